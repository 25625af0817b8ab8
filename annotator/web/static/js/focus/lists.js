// The rows of a picture: fixed when it opens, followed in place by newer numbers.

import { plural } from "../words.js";
import { isOpen, rowsAgain } from "./again.js";
import { SLOTS, announce, cellsOf, currentImage, moreHere, offered } from "./state.js";
import { withEvidence } from "./why_steps.js";

/** The rows of a picture at the moment it opens. */
export function freshList(state, id) {
  const image = state.images.get(id);
  const again = rowsAgain(image);
  const rows = (again.length ? again : offered(state, image))
    .slice(0, SLOTS)
    .map((suggestion, i) => ({ ...suggestion, slot: i + 1, since: 0 }));
  return { rows, model: image.model_version ?? null };
}

/** Newest revision wins; the list of an open picture follows in place. */
export function takeImages(state, images, at, { keepLists = false } = {}) {
  let next = { ...state, images: new Map(state.images), lists: new Map(state.lists) };
  for (const image of images ?? []) {
    const old = next.images.get(image.id);
    // What is asked blind stays blind: other answers carry what it must not show.
    if (old?.blind && !image.blind && !keepLists) continue;
    // Only a queue says what is looked at again; other answers leave it.
    const again = image.again ?? old?.again ?? null;
    const turned = Boolean(old) && Boolean(old.blind) !== Boolean(image.blind);
    if (!turned && !isNewer(image, old)) {
      next.images.set(image.id, { ...old, again });
      continue;
    }
    next.images.set(image.id, { ...image, again });
    if (turned) next = toldAnew(next, image.id);
    const list = next.lists.get(image.id);
    // Numbers of another model version would change the order that was promised to stay.
    if (list && !keepLists && list.model === (image.model_version ?? null)) {
      next.lists.set(image.id, followed(next, next.images.get(image.id), list, at ?? 0));
    }
  }
  return next;
}

/** Asked blind from now on, or no longer: nothing of what the page told of the picture so far stays. */
function toldAnew(state, id) {
  const others = (answers) => new Map([...answers].filter(([key]) => !key.startsWith(`${id}:`)));
  const lists = new Map(state.lists);
  if (lists.has(id)) lists.set(id, freshList(state, id));
  const next = { ...state, lists, evidence: others(state.evidence), maps: others(state.maps) };
  if (currentImage(next)?.id === id) next.selected = lists.get(id)?.rows[0]?.category ?? null;
  return next;
}

function isNewer(image, old) {
  if (!old) return true;
  if (image.revision !== old.revision) return image.revision > old.revision;
  return (image.model_version ?? 0) >= (old.model_version ?? 0);
}

/** The list with today's numbers, and risen categories at its end on keys that are free. */
function followed(state, image, list, at) {
  const cells = cellsOf(state, image.id);
  const now = new Map(image.suggestions.map((s) => [s.category, s]));
  let rows = list.rows.map((row) => ({ ...row, ...(now.get(row.category) ?? {}) }));
  const listed = new Set(rows.map((row) => row.category));
  const risen = rowsAgain(image).length ? [] : image.suggestions.filter(
    (s) => s.above && !listed.has(s.category) && !cells.has(s.category),
  );
  for (const suggestion of risen) {
    const freed = rows.find((row) => row.slot !== null && cells.has(row.category));
    if (!freed) break;
    const slot = freed.slot;
    rows = rows.map((row) => (row === freed ? { ...row, slot: null } : row));
    rows.push({ ...suggestion, slot, since: at });
  }
  return { ...list, rows };
}

/** After an undo an undecided row may stand without a key: give it one that is free. */
export function regiveSlots(state) {
  const image = currentImage(state);
  const list = image && state.lists.get(image.id);
  if (!list) return state;
  const cells = cellsOf(state, image.id);
  const taken = new Set(list.rows.filter((r) => r.slot !== null).map((r) => r.slot));
  const rows = list.rows.map((row) => {
    if (row.slot !== null || !isOpen(row, cells.get(row.category))) return row;
    for (let slot = 1; slot <= SLOTS; slot++) {
      if (!taken.has(slot)) {
        taken.add(slot);
        return { ...row, slot };
      }
    }
    return row;
  });
  return { ...state, lists: new Map(state.lists).set(image.id, { ...list, rows }) };
}

export function showMore(state, { at }) {
  const image = currentImage(state);
  const more = moreHere(state).slice(0, SLOTS);
  if (!image || !more.length) return [state, []];
  const list = state.lists.get(image.id);
  const rows = [...list.rows, ...more.map((s) => ({ ...s, slot: null, since: at ?? 0 }))];
  let next = { ...state, lists: new Map(state.lists).set(image.id, { ...list, rows }) };
  next = freeDecidedSlots(next, image.id);
  next = announce(regiveSlots(next), `${plural(more.length, "more suggestion")}`);
  return withEvidence({ ...next, selected: more[0].category });
}

function freeDecidedSlots(state, id) {
  const cells = cellsOf(state, id);
  const list = state.lists.get(id);
  const rows = list.rows.map((row) =>
    isOpen(row, cells.get(row.category)) ? row : { ...row, slot: null },
  );
  return { ...state, lists: new Map(state.lists).set(id, { ...list, rows }) };
}
