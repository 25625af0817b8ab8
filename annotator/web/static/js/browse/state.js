// The Browse page as a pure function: update(state, action) -> [state, effects].
//
// A list keeps its order until it is asked for anew; what is known of its pictures is always that
// of now. Places in the list, not picture ids, are what is selected, so that all of 118,000
// pictures are one range.

import { offeredEvent, withOffer } from "../history.js";
import { noticed, without } from "../notices.js";
import { plural, verdict } from "../words.js";
import { BY_ADDED, NO_FILTER, categoryMeant, toWhere } from "./filter.js";
import { NONE, count, toggled, withRange } from "./selection.js";

const KEEP_UNDO = 500;
const SOURCE = "browse";

/** The state before anything is known. */
export function initialState() {
  return {
    ready: false,
    categories: [], // [{id, name}] in the workspace's order
    choices: { users: [], sources: [], source_words: {}, model_version: null, with_model: [] },
    status: null,
    view: "grid", // "grid", "picture" or "groups"
    filter: NO_FILTER,
    sort: BY_ADDED,
    show: null, // category whose state the tiles tell
    size: "medium",
    editing: null, // place of the condition being edited, -1 for a new one
    list: null, // {name, total, of, digest, event, model_version}
    asked: 0, // number of the newest search
    searching: false,
    problem: null, // why the last search failed
    newer: null, // total of the same filter now, where it finds something else
    tiles: new Map(), // place -> tile
    event: 0, // newest event that the tiles know of
    cursor: 0,
    anchor: 0, // where a range begins
    selected: NONE,
    whole: false, // "all that the filter finds" was selected
    bulk: null, // {category, value, overwrite, counted, problem, busy}
    picture: null, // {id, place, back} of the picture that is open
    opening: null, // place to open as soon as its tile has come
    done: [], // keys of this person's changes in this page, for undo
    notices: [], // see ../notices.js; `undo`: whether it speaks of what one undo takes back
    said: { text: "", n: 0 },
    help: false,
  };
}

/** Number of pictures in the list. */
export function total(state) {
  return state.list?.total ?? 0;
}

/** What the server is asked for. */
export function listWanted({ filter, sort }) {
  return { where: toWhere(filter), sort };
}

/** The condition that finds the pictures similar to one, in order. */
export function similarTo(image, name) {
  return {
    filter: { match: "all", conditions: [{ kind: "similar", image, name }] },
    sort: { by: "similarity", descending: true, category: null, image },
  };
}

/** The condition that finds the pictures in which nobody has decided a category. */
export function undecidedOf(category) {
  return {
    filter: { match: "all", conditions: [{ kind: "label", category, states: ["unknown"] }] },
    sort: BY_ADDED,
    show: category,
  };
}

/** Places to decide: the selection, else the picture under the cursor. */
export function chosen(state) {
  if (count(state.selected)) return { ranges: state.selected, whole: state.whole };
  return { ranges: withRange(NONE, state.cursor, state.cursor), whole: false };
}

/**
 * Apply one action.
 * @returns {[object, object[]]} the new state and what is to be done outside
 */
export function update(state, action) {
  const handler = HANDLERS[action.type];
  if (!handler) throw new Error(`unknown action ${action.type}`);
  return handler(state, action);
}

const HANDLERS = {
  // -- what the server says ------------------------------------------------------------------
  started: (state, { categories, kept, history = [] }) => {
    const done = history.map((mark) => mark.key);
    return search({ ...state, ...(kept ?? {}), categories, done, ready: true });
  },
  choices: (state, { choices }) => [{ ...state, choices }, []],
  categories: (state, { categories }) => [{ ...state, categories }, []],
  searched: takeList,
  searchFailed: (state, { asked, text }) =>
    asked === state.asked ? [{ ...state, searching: false, problem: text, list: null }, []] : [state, []],
  rechecked: (state, { list, now }) => [
    list === state.list ? { ...state, newer: now.same ? null : now.total } : state,
    [],
  ],
  window: takeWindow,
  listGone: (state) => search(say(state, "The list was made anew: the server has started again.")),
  status: takeStatus,
  sent: takeSent,
  acknowledged: acknowledge,
  refused: (state, { entry, text, dropped = [] }) => {
    const gone = new Set([entry.key, ...dropped]);
    const next = { ...state, done: state.done.filter((key) => !gone.has(key)) };
    return [entry.source === "browse" ? say(next, text, "error") : next, [{ type: "refetch" }]];
  },

  // -- which pictures ------------------------------------------------------------------------
  condition: (state, { index, condition }) => {
    const conditions = [...state.filter.conditions];
    if (index < 0) conditions.push(condition);
    else conditions[index] = condition;
    return filtered(state, { ...state.filter, conditions });
  },
  removeCondition: (state, { index }) =>
    filtered(state, {
      ...state.filter,
      conditions: state.filter.conditions.filter((_, i) => i !== index),
    }),
  clearFilter: (state) => filtered(state, NO_FILTER),
  match: (state, { match }) => filtered(state, { ...state.filter, match }),
  edit: (state, { index }) => [{ ...state, editing: index }, []],
  sort: (state, { sort }) => {
    const next = { ...state, sort: { ...BY_ADDED, ...sort } };
    return search({ ...next, show: categoryMeant(next.filter, next.sort) ?? state.show });
  },
  show: (state, { category }) => refetch({ ...state, show: category }),
  size: (state, { size }) => [{ ...state, size }, [{ type: "remember" }]],
  similar: (state, { image, name }) => search({ ...state, ...similarTo(image, name), view: "grid" }),
  find: (state, { category }) => {
    const name = state.categories.find((one) => one.id === category)?.name;
    const next = { ...state, ...undecidedOf(category), view: "grid", picture: null, editing: null };
    const how = `Select pictures by Space or Ctrl + click; P says that they show ${name ?? "it"}, A that they do not.`;
    return search(say(next, how));
  },
  refresh: (state) => search(state, state.tiles.get(state.cursor)?.image ?? null),

  // -- where one is, what is selected --------------------------------------------------------
  move: (state, { to, extend }) => {
    if (!total(state)) return [state, []];
    const next = { ...state, cursor: to };
    if (!extend) return [{ ...next, anchor: to }, []];
    return [{ ...next, selected: withRange(NONE, state.anchor, to), whole: false }, []];
  },
  click: (state, { place, extend, add }) => {
    const base = { ...state, cursor: place, whole: false };
    if (extend) {
      const before = add ? state.selected : NONE;
      return [{ ...base, selected: withRange(before, state.anchor, place) }, []];
    }
    if (add) return [{ ...base, anchor: place, selected: toggled(state.selected, place) }, []];
    return [{ ...base, anchor: place, selected: withRange(NONE, place, place) }, []];
  },
  toggle: (state) => {
    if (!total(state)) return [state, []];
    const selected = toggled(state.selected, state.cursor);
    const next = { ...state, selected, anchor: state.cursor, whole: false };
    return [announce(next, `${count(selected)} selected`), []];
  },
  selectAll: (state) => {
    if (!total(state)) return [state, []];
    const next = { ...state, selected: [[0, total(state)]], whole: true };
    return [announce(next, `All ${plural(total(state), "picture")} selected`), []];
  },
  selectNone: (state) => [
    count(state.selected) ? announce({ ...state, selected: NONE, whole: false }, "Nothing selected") : state,
    [],
  ],

  // -- deciding many -------------------------------------------------------------------------
  bulkOpen: (state, { value }) => {
    if (!total(state)) return [state, []];
    const category = state.bulk?.category ?? state.show ?? state.categories[0]?.id ?? null;
    if (category === null) return [say(state, "There are no categories yet (add some on Data).", "error"), []];
    const bulk = { category, value, overwrite: false, counted: null, problem: null, busy: false };
    return counting({ ...state, bulk });
  },
  bulkChange: (state, { change }) => {
    const bulk = { ...state.bulk, ...change, problem: null };
    return "category" in change ? counting({ ...state, bulk }) : [{ ...state, bulk }, []];
  },
  bulkCounted: (state, { counted }) => [
    state.bulk ? { ...state, bulk: { ...state.bulk, counted, busy: false } } : state,
    [],
  ],
  bulkFailed: (state, { text, recount }) => {
    if (!state.bulk) return [say(state, text, "error"), []];
    const next = { ...state, bulk: { ...state.bulk, problem: text, busy: false, counted: null } };
    return recount ? [next, [{ type: "count" }]] : [next, []];
  },
  bulkConfirm: (state, { key }) => {
    const { bulk } = state;
    if (!bulk?.counted || bulk.busy || !willChange(bulk)) return [state, []];
    return [{ ...state, bulk: { ...bulk, busy: true } }, [{ type: "decideAll", key }]];
  },
  bulkDone: (state, { result, text }) => [
    say({ ...state, bulk: null }, bulkWords(text, result), "info", true),
    [{ type: "refetch" }, { type: "recheck" }],
  ],
  bulkClose: (state) => [{ ...state, bulk: null }, []],
  undo: (state, { key }) => {
    const undoes = state.done.at(-1) ?? null;
    const event = undoes === null ? offeredEvent(state.notices) : null;
    // Nothing of this visit is left: the first press tells what is newest, the next takes it back.
    if (undoes === null && event === null) return [state, [{ type: "lastChange" }]];
    const next = { ...state, done: state.done.slice(0, -1), notices: without(state.notices, "info") };
    const entry = { key, kind: "undo", source: SOURCE, undoes, event };
    return [announce(next, "Taking back"), [{ type: "send", entry }]];
  },
  lastChange: (state, { change }) => {
    if (state.done.length) return [state, []]; // something was done meanwhile
    return [{ ...state, notices: withOffer(state.notices, change) }, []];
  },

  // -- views ---------------------------------------------------------------------------------
  open: (state, { place, image }) => {
    const id = image ?? state.tiles.get(place)?.image;
    // A quick Enter comes before its tile does: it must not be lost.
    if (id === undefined) return [{ ...state, opening: place < total(state) ? place : null }, []];
    const back = state.view === "picture" ? state.picture.back : state.view;
    const at = place ?? null;
    const next = { ...moved(state), view: "picture", picture: { id, place: at, back }, opening: null };
    return [at === null ? next : { ...next, cursor: at, anchor: at }, [{ type: "load", image: id }]];
  },
  close: (state) => [{ ...moved(state), view: state.picture?.back ?? "grid", picture: null }, []],
  view: (state, { view }) => [{ ...moved(state), view, picture: null }, view === "groups" ? [{ type: "groups" }] : []],
  notice: (state, { text, kind = "info" }) => [say(state, text, kind), []],
  dismiss: (state, { kind }) => [{ ...state, notices: without(state.notices, kind) }, []],
  help: (state) => [{ ...state, help: !state.help }, []],
};

// -- lists -----------------------------------------------------------------------------------

function filtered(state, filter) {
  const next = { ...state, filter, editing: null, view: "grid", picture: null };
  // Without its picture, similarity is nothing to sort by.
  const lost = next.sort.by === "similarity" && !filter.conditions.some((c) => c.kind === "similar");
  const sort = lost ? BY_ADDED : next.sort;
  return search({ ...next, sort, show: categoryMeant(filter, sort) ?? next.show });
}

function search(state, keep = null) {
  const asked = state.asked + 1;
  const next = { ...state, asked, searching: true, problem: null, newer: null };
  return [next, [{ type: "remember" }, { type: "search", asked, keep }]];
}

function takeList(state, { asked, list, place }) {
  if (asked !== state.asked) return [state, []]; // the person was faster than the answer
  const cursor = place ?? 0;
  const next = {
    ...state,
    list,
    searching: false,
    problem: null,
    newer: null,
    tiles: new Map(),
    event: list.event,
    cursor,
    anchor: cursor,
    selected: NONE,
    whole: false,
    opening: null,
  };
  const words = list.total ? plural(list.total, "picture") : "No picture matches";
  return [announce(next, words), [{ type: "top", place: place ?? null }]];
}

function takeWindow(state, { list, start, pictures, event }) {
  if (list !== state.list) return [state, []];
  const tiles = new Map(state.tiles);
  pictures.forEach((tile, i) => tiles.set(start + i, tile));
  const next = { ...state, tiles, event: Math.max(event, state.event) };
  const wanted = next.opening;
  if (wanted === null || !tiles.has(wanted)) return [next, []];
  if (next.view !== "grid" || next.cursor !== wanted) return [{ ...next, opening: null }, []];
  return update(next, { type: "open", place: wanted });
}

function takeStatus(state, { status }) {
  const before = state.status;
  const next = { ...state, status };
  if (!state.ready || !before) return [next, []];
  const effects = [];
  const model = (status.model?.id ?? null) !== (before.model?.id ?? null);
  if (status.event !== before.event || model) effects.push({ type: "refetch" }, { type: "recheck" });
  if (status.event !== before.event || model) effects.push({ type: "choices" });
  if (status.counts.categories !== before.counts.categories) effects.push({ type: "categories" });
  // An empty project fills itself: there is nothing that could move under anybody.
  if (status.counts.images !== before.counts.images && !total(state)) {
    const [searching, more] = search(next);
    return [searching, [...effects, ...more]];
  }
  return [next, effects];
}

function refetch(state) {
  return [state, [{ type: "remember" }, { type: "refetch" }]];
}

// -- changes ---------------------------------------------------------------------------------

function takeSent(state, { entry }) {
  // An Undo beside an older change would take back this one, or what lay before the one undone.
  const next = { ...state, notices: state.notices.map((one) => ({ ...one, undo: false })) };
  if (entry.kind !== "undo") return [{ ...next, done: [...state.done, entry.key].slice(-KEEP_UNDO) }, []];
  const taken = entry.undoes ?? (entry.event ? null : state.done.at(-1));
  return [{ ...next, done: state.done.filter((key) => key !== taken) }, []];
}

function acknowledge(state, { entry, reply }) {
  const effects = [{ type: "refetch" }, { type: "recheck" }];
  if (entry.kind !== "undo" || entry.source !== SOURCE) return [state, effects];
  return [say(state, `${reply.summary}.`), effects];
}

function counting(state) {
  return [{ ...state, bulk: { ...state.bulk, counted: null, busy: false } }, [{ type: "count" }]];
}

/** What confirming would do, in cells: {added, overwritten, same, kept}. */
export function outcome({ value, overwrite, counted }) {
  const { present, absent, unknown } = counted;
  if (value === 0) return { added: 0, overwritten: present + absent, same: unknown, kept: 0 };
  const [same, other] = value > 0 ? [present, absent] : [absent, present];
  return { added: unknown, overwritten: overwrite ? other : 0, same, kept: overwrite ? 0 : other, other };
}

/** Whether confirming would change anything. */
export function willChange(bulk) {
  const { added, overwritten } = outcome(bulk);
  return added + overwritten > 0;
}

/** "cup present: 1,204 cells set, 37 overwritten, 3 kept as they were". */
export function bulkWords(text, { added, overwritten, kept }) {
  const parts = [
    added ? `${plural(added, "cell")} set` : "",
    overwritten ? `${plural(overwritten, "known cell")} changed` : "",
    kept ? `${plural(kept, "known cell")} kept` : "",
  ].filter(Boolean);
  return `${text}: ${parts.join(", ") || "nothing to change"}.`;
}

/** "cup present in 1,241 pictures". */
export function bulkTitle(bulk, pictures, categories) {
  const name = categories.find((c) => c.id === bulk.category)?.name ?? "";
  return `${name} ${verdict(bulk.value)} in ${plural(pictures, "picture")}`;
}

/** States of one picture's decided cells with what is still on its way laid over them. */
export function cellsOf(image, pending) {
  const cells = new Map();
  for (const known of image.known) cells.set(known.category, { ...known, saved: true });
  for (const entry of pending) {
    for (const { image: id, category, state } of entry.cells ?? []) {
      if (id !== image.id) continue;
      cells.delete(category);
      if (state) cells.set(category, { category, state, source: entry.source, user: null, saved: false });
    }
  }
  return cells;
}

/** What the page tells, with what the filter would find now: that goes by itself. */
export function noticesOf(state) {
  if (state.newer === null || state.view !== "grid") return state.notices;
  const text =
    state.newer === total(state)
      ? "The list would be another one now; it stays until you refresh it."
      : `The filter finds ${plural(state.newer, "picture")} now; the list stays until you refresh it.`;
  const newer = noticed(state.notices, text, "others");
  return newer.map((one) => (one.kind === "others" ? { ...one, n: 0 } : one));
}

/** Somewhere else on the page: what was told in passing is over. */
function moved(state) {
  return { ...state, notices: state.notices.filter((one) => one.kind !== "info" || one.undo) };
}

function announce(state, text) {
  return { ...state, said: { text, n: state.said.n + 1 } };
}

function say(state, text, kind = "info", undo = false) {
  const notices = noticed(state.notices, text, kind);
  return { ...state, notices: notices.map((one) => (one.kind === kind ? { ...one, undo } : one)) };
}
