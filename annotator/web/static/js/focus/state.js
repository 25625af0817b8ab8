// The Focus page as a pure function: update(state, action) -> [state, effects].
//
// What the server confirmed and what is still on its way are kept apart: `images` holds the
// newest confirmed state of each picture, `pending` the changes that are not acknowledged. What
// the page shows is the one with the other laid over it, so a rejected change takes itself back.
//
// Rows never move under the cursor: the list of a picture is fixed when it opens. Probabilities
// follow each decision in place; a category that rises above its threshold is added at the end
// with a key that a decided row gave back, and does not listen to keys for a moment.

import { noticed } from "../notices.js";
import { percent, verdict } from "../words.js";
import { againLines, isOpen, rowsAgain } from "./again.js";

export const SLOTS = 9;

/** Milliseconds in which a row that came by itself takes no key, and a picture no "rest absent". */
export const SETTLE_MS = 300;

/**
 * The state before anything is known.
 * @returns {object} see the comments at each field
 */
export function initialState() {
  return {
    ready: false, // categories and the first page of the queue are here
    categories: [], // [{id, name}] in the workspace's order
    images: new Map(), // image id -> newest confirmed state
    lists: new Map(), // image id -> {rows: [{category, slot, since}], model} fixed at opening
    me: null, // name of this person
    queue: "uncertain",
    queues: [], // [{name, words, waiting, blind}]
    blind: false, // the queue shows neither what the model says nor what is known
    trail: [], // image ids in the order they were opened
    cursor: -1, // place in the trail
    ahead: [], // image ids fetched but not opened
    positions: new Map(), // image id -> its number in the queue
    guests: new Set(), // pictures opened from another page, not by the queue
    total: null, // pictures that are still open in the queue
    ended: false, // the queue has nothing more
    fetching: false,
    asked: 0, // number of the newest request; older answers are dropped
    pending: [], // changes without acknowledgement, oldest first
    done: [], // own changes of this visit that undo takes back, newest last; `image` null: elsewhere
    selected: null, // category id
    why: true,
    zoom: false,
    help: false,
    typing: null, // {text, index} while any category can be typed
    shownAt: null, // when the open picture became visible; null while it loads
    failed: new Map(), // picture -> why it cannot be shown
    evidence: new Map(), // "image:category" -> {model, revision, cells}
    attention: false, // whether the selected category's map lies over the picture
    maps: new Map(), // "image:category" -> {rows, columns, values, …} or {message, again}
    flags: [], // open flags of all pictures, newest first
    flagging: false, // whether a note is being written
    listing: false, // whether the list of all flags is open
    uses: new Map(), // category id -> times decided by typing; raises it in the list
    status: null,
    model: null, // id of the model version that `ahead` was computed with
    notices: [], // see ../notices.js
    said: { text: "", n: 0 }, // for screen readers
    lastLetter: null, // {command, letter, at}
  };
}

/** The picture on screen, as last confirmed; null when there is none. */
export function currentImage(state) {
  const id = state.trail[state.cursor];
  return id === undefined ? null : state.images.get(id) ?? null;
}

/**
 * States of the decided cells of one picture as the page shows them.
 * @returns {Map<number, {state: number, source: string, user: ?string, saved: boolean}>}
 */
export function cellsOf(state, imageId) {
  const cells = new Map();
  for (const known of state.images.get(imageId)?.known ?? []) {
    cells.set(known.category, { ...known, saved: true });
  }
  for (const entry of state.pending) {
    for (const cell of entry.cells) {
      if (cell.image !== imageId) continue;
      cells.delete(cell.category);
      if (cell.state !== 0) {
        const { source = entry.source ?? "focus", user = null } = cell;
        cells.set(cell.category, { state: cell.state, source, user, saved: false });
      }
    }
  }
  return cells;
}

/** Present and absent categories of the open picture, in the workspace's order. */
export function knownHere(state) {
  const image = currentImage(state);
  const cells = image ? cellsOf(state, image.id) : new Map();
  const pick = (wanted) =>
    state.categories
      .filter((category) => cells.get(category.id)?.state === wanted)
      .map((category) => ({ ...category, ...cells.get(category.id) }));
  return { present: pick(1), absent: pick(-1), count: cells.size };
}

/** Rows of the open picture with what is known of each now; `open` ones wait for an answer. */
export function rowsHere(state) {
  const image = currentImage(state);
  if (!image) return [];
  const cells = cellsOf(state, image.id);
  return (state.lists.get(image.id)?.rows ?? []).map((row) => ({
    ...row,
    state: cells.get(row.category)?.state ?? 0,
    open: isOpen(row, cells.get(row.category)),
  }));
}

/** Suggestions that are not in the list yet, most probable first. */
export function moreHere(state) {
  const image = currentImage(state);
  if (!image) return [];
  const listed = new Set((state.lists.get(image.id)?.rows ?? []).map((row) => row.category));
  const all = [...rowsAgain(image), ...offered(state, image)];
  return all.filter((suggestion) => !listed.has(suggestion.category));
}

/** Open flags of the picture on screen, those on their way to the server included. */
export function flagsHere(state) {
  const image = currentImage(state)?.id;
  const closing = new Set(state.pending.filter((e) => e.kind === "closeFlag").map((e) => e.flag));
  const coming = state.pending.filter((e) => e.kind === "flag" && e.image === image);
  return [
    ...coming.map((e) => ({ id: e.key, image, note: e.note, user: state.me, saved: false })),
    ...state.flags.filter((flag) => flag.image === image && !closing.has(flag.id)),
  ];
}

/** Undecided suggestions; while nothing at all is known, the categories in their own order. */
export function offered(state, image) {
  const cells = cellsOf(state, image.id);
  const list = image.suggestions.length ? image.suggestions : state.categories.map(unranked);
  return list.filter((suggestion) => !cells.has(suggestion.category));
}

function unranked({ id, name }) {
  return {
    category: id,
    name,
    probability: null,
    threshold: null,
    above: false,
    source: "none",
    reasons: [],
  };
}

/** Pictures that may be asked for again: where one is asked blind, the answer would tell too much. */
export function askable(state, ids) {
  return ids.filter((id) => !state.images.get(id)?.blind);
}

/** Key of the evidence of one cell. */
export function evidenceKey(image, category) {
  return `${image}:${category}`;
}

export function settled(row, at) {
  return at === undefined || at - row.since >= SETTLE_MS || row.since === 0;
}

export function nameOf(state, category) {
  return state.categories.find((c) => c.id === category)?.name ?? `category ${category}`;
}

/** "cup present" or "7 absent: bowl, chair, …". */
export function describe(state, cells) {
  if (!cells.length) return "nothing";
  const names = cells.slice(0, 3).map((cell) => nameOf(state, cell.category));
  const what = verdict(cells[0].state);
  if (cells.length === 1) return `${names[0]} ${what}`;
  return `${cells.length} ${what}: ${names.join(", ")}${cells.length > 3 ? ", …" : ""}`;
}

/** For a row's name to screen readers: "cup, 93 % likely, above its threshold". */
export function rowLabel(row) {
  if (row.again) return `${row.name}, ${againLines(row).join("; ")}`;
  const state = row.state === 0 ? "" : `, marked ${verdict(row.state)}`;
  if (row.probability === null) return `${row.name}${state}`;
  const side = row.above ? "above" : "below";
  return `${row.name}, ${percent(row.probability)} likely, ${side} its threshold${state}`;
}

export function announce(state, text) {
  return { ...state, said: { text, n: state.said.n + 1 } };
}

export function say(state, text, kind) {
  return { ...state, notices: noticed(state.notices, text, kind) };
}
