// Steps that change cells, and what becomes of them: undo, acknowledgement, refusal.

import { markOf, offeredEvent, takenBack, withOffer } from "../history.js";
import { without } from "../notices.js";
import { verdict } from "../words.js";
import { confirms, sourceOf } from "./again.js";
import { flagAcknowledged, flagRefused } from "./flag_steps.js";
import { regiveSlots, takeImages } from "./lists.js";
import { fetch, goForward, openAt, placeOf, withTrail } from "./queue_steps.js";
import { SETTLE_MS, announce, askable, cellsOf, currentImage, describe, nameOf, rowsHere, say, settled } from "./state.js";
import { withEvidence } from "./why_steps.js";

const KEEP_UNDO = 500;

/** One change of cells of the open picture: shown now, sent by the outbox. */
export function decide(state, pairs, key) {
  const image = currentImage(state);
  if (!image) return [state, []];
  const known = cellsOf(state, image.id);
  const changed = pairs.filter(
    ([category, value]) => (known.get(category)?.state ?? 0) !== value || confirms(image, known, category),
  );
  if (!changed.length) {
    const [category, value] = pairs[0] ?? [];
    if (category === undefined) return [state, []];
    return [announce(state, `${nameOf(state, category)} is already ${verdict(value)}`), []];
  }
  const cells = changed.map(([category, value]) => ({ image: image.id, category, state: value }));
  const before = changed.map(([category]) => ({
    image: image.id,
    category,
    state: known.get(category)?.state ?? 0,
    source: known.get(category)?.source,
    user: known.get(category)?.user,
  }));
  const entry = {
    key,
    kind: "decide",
    cells,
    source: sourceOf(image, changed.map(([category]) => category)),
    model: state.lists.get(image.id)?.model ?? null,
    text: `${describe(state, cells)} in ${image.file_name}`,
  };
  let next = {
    ...state,
    pending: [...state.pending, entry],
    done: [...state.done, { key, image: image.id, before, text: describe(state, cells) }].slice(
      -KEEP_UNDO,
    ),
    notices: without(state.notices, "error", "info"),
  };
  next = announce(next, describe(state, cells));
  if (changed.some(([category]) => category === state.selected)) next = selectUndecided(next);
  const [withWhy, effects] = withEvidence(next);
  return [withWhy, [{ type: "send", entry }, ...effects]];
}

export function decideSlot(state, { slot, value, key, at }) {
  const row = rowsHere(state).find((r) => r.slot === slot);
  if (!row) return [announce(state, `No suggestion has the key ${slot}`), []];
  if (!settled(row, at)) return [announce(state, `${row.name} has just appeared, press again`), []];
  return decide(state, [[row.category, value]], key);
}

/**
 * Absent for what is listed, undecided and was there long enough to be read; then the next. What is
 * looked at again is decided already: it wants an answer of its own.
 * @param {{key: string, at: number, unseen?: Set<number>}} action `unseen`: categories whose rows
 *   have never been on screen
 */
export function restAbsent(state, { key, at, unseen = new Set() }) {
  const image = currentImage(state);
  if (!image) return goForward(state, at);
  if (state.failed.has(image.id)) {
    return [say(state, "This picture cannot be shown, so nothing was marked. Space goes on.", "error"), []];
  }
  if (state.shownAt === null || at - state.shownAt < SETTLE_MS) {
    return [announce(state, "The picture has just appeared; nothing was marked"), []];
  }
  const shown = rowsHere(state).filter((row) => settled(row, at) && !unseen.has(row.category));
  const rest = shown.filter((row) => row.open && !row.again);
  const pairs = rest.map((row) => [row.category, -1]);
  const [decided, effects] = pairs.length ? decide(state, pairs, key) : [state, []];
  const [moved, more] = goForward(decided, at);
  const kept = effects.filter((effect) => effect.type === "send");
  return [moved, [...kept, ...more]];
}

export function undo(state, { key, at }) {
  const last = state.done.at(-1);
  if (!last) return undoEarlier(state, key);
  const entry = { key, kind: "undo", cells: last.before, undoes: last.key };
  let next = { ...state, done: state.done.slice(0, -1), pending: [...state.pending, entry] };
  const effects = [{ type: "send", entry }];
  if (last.image !== null && currentImage(next)?.id !== last.image) {
    const [moved, more] = openAt(next, placeOf(next, last.image), at);
    next = moved;
    effects.push(...more);
  }
  // Nothing of it is to be seen here, so it is written.
  if (last.image === null) next = say(next, takenBack(last), "info");
  else next = { ...next, notices: without(next.notices, "error", "info") };
  const category = last.before[0]?.category;
  if (rowsHere(next).some((row) => row.category === category)) next.selected = category;
  next = regiveSlots(announce(next, `Taken back: ${last.text}`));
  const [withWhy, more] = withEvidence(next);
  return [withWhy, [...effects, ...more]];
}

/** Nothing of this visit is left: the first press tells what is newest, the next takes it back. */
function undoEarlier(state, key) {
  const event = offeredEvent(state.notices);
  if (event === null) return [state, [{ type: "lastChange" }]];
  const entry = { key, kind: "undo", cells: [], undoes: null, event };
  const pending = [...state.pending, entry];
  const next = { ...state, pending, notices: without(state.notices, "error", "info") };
  return [announce(next, "Taking back"), [{ type: "send", entry }]];
}

/** The server has told what is newest. */
export function takeLastChange(state, { change }) {
  if (state.done.length) return [state, []]; // something was done meanwhile
  return [{ ...state, notices: withOffer(state.notices, change) }, []];
}

/**
 * A change that another page made. Undo takes back a person's newest change wherever it was made,
 * so this page has to know of it.
 */
export function takeForeign(state, { entry }) {
  if (state.pending.some((e) => e.key === entry.key)) return [state, []];
  const pending = [...state.pending, { ...entry, cells: entry.cells ?? [], foreign: true }];
  if (entry.kind === "undo") {
    const taken = entry.undoes ?? (entry.event ? null : state.done.at(-1)?.key);
    return [{ ...state, pending, done: state.done.filter((d) => d.key !== taken) }, []];
  }
  const done = [...state.done, elsewhere(markOf(entry))].slice(-KEEP_UNDO);
  return [{ ...state, pending, done }, []];
}

/** A change of which this page knows no more than what to call it. */
export function elsewhere(mark) {
  return { ...mark, image: null, before: [] };
}

/** The server has it: its answer takes the place of what was laid over. */
export function acknowledge(state, { key, reply, at }) {
  const entry = state.pending.find((e) => e.key === key);
  let next = { ...state, pending: state.pending.filter((e) => e.key !== key) };
  if (entry?.kind === "flag" || entry?.kind === "closeFlag") return [flagAcknowledged(next, reply), []];
  next = takeImages(next, reply.images, at);
  if (entry) next = answeredBlind(next, entry);
  const effects = entry?.foreign ? touched(next, entry, reply) : [];
  if (next.ended && !currentImage(next) && !next.pending.length && !next.fetching) {
    const [asking, more] = fetch(next, null); // now that the server knows everything
    next = asking;
    effects.push(...more);
  }
  if (entry?.kind === "undo" && !entry.foreign) {
    const told = reply.summary && (reply.left || !entry.undoes);
    // Nothing of this visit was left to take back: show where the server took something back.
    const image = reply.images[0]?.id;
    if (!entry.undoes && image !== undefined && currentImage(next)?.id !== image) {
      const [moved, more] = openAt(withTrail(next, image), placeOf(next, image), at);
      next = moved;
      effects.push(...more);
    }
    if (told) next = say(next, reply.summary, "info");
  }
  const [withWhy, more] = withEvidence(next);
  return [withWhy, [...effects, ...more]];
}

/** Of a picture that is asked blind only the own answers are known here. */
function answeredBlind(state, entry) {
  const images = new Map(state.images);
  for (const { image: id, category, state: value } of entry.cells) {
    const image = images.get(id);
    if (!image?.blind) continue;
    const others = image.known.filter((cell) => cell.category !== category);
    const mine = { category, state: value, source: entry.source ?? "focus", user: state.me };
    images.set(id, { ...image, known: value === 0 ? others : [...others, mine] });
  }
  return { ...state, images };
}

/** Pictures that a change from another page touched; of many the answer carries no states. */
function touched(state, entry, reply) {
  const told = new Set(reply.images.map((image) => image.id));
  const ids = new Set(entry.cells.map((cell) => cell.image).filter((id) => !told.has(id)));
  const current = currentImage(state)?.id;
  const ahead = askable(state, state.ahead).filter((id) => ids.has(id));
  return [
    ...(askable(state, [current]).some((id) => ids.has(id)) ? [{ type: "reload", image: current }] : []),
    ...(ahead.length ? [{ type: "refresh", images: ahead }] : []),
  ];
}

/** The server refused: the change is taken back by leaving `pending`, and said aloud. */
export function reject(state, { key, text, dropped = [] }) {
  const gone = new Set([key, ...dropped]);
  const entry = state.pending.find((e) => e.key === key);
  const next = {
    ...state,
    pending: state.pending.filter((e) => !gone.has(e.key)),
    done: state.done.filter((d) => !gone.has(d.key)),
  };
  if (entry?.kind === "flag" || entry?.kind === "closeFlag") return [flagRefused(next, entry, text), []];
  const what =
    entry?.kind === "undo" ? "Nothing was taken back" : `Not saved: ${describe(state, entry?.cells ?? [])}`;
  const images = askable(state, [...new Set((entry?.cells ?? []).map((cell) => cell.image))]);
  const [told, effects] = withEvidence(say(next, `${what} (${text})`, "error"));
  return [told, [...images.map((image) => ({ type: "reload", image })), ...effects]];
}

function selectUndecided(state) {
  const rows = rowsHere(state);
  const from = rows.findIndex((row) => row.category === state.selected);
  const order = [...rows.slice(from + 1), ...rows.slice(0, Math.max(from, 0))];
  const next = order.find((row) => row.open);
  return next ? { ...state, selected: next.category } : state;
}
