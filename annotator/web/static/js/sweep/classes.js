// The list of categories, and which one is open.

import { fold, prepare, fit } from "../focus/typeahead.js";
import { announce, waitingOf } from "./state.js";
import { fetchAhead, giveBack } from "./pages.js";

/**
 * The list from the server. Its order is taken over only where it was asked for: rows do not move
 * under the pointer because a number has changed.
 */
export function takeList(state, { list, side, resort = false }) {
  if (side !== state.side) return [state, []];
  const classes = new Map(list.categories.map((one) => [one.id, one]));
  const same =
    state.order.length === classes.size && state.order.every((category) => classes.has(category));
  const order = same && !resort ? state.order : [...classes.keys()];
  let next = {
    ...state,
    classes,
    order,
    listed: true,
    listModel: list.model_version,
    minimum: list.minimum,
  };
  const effects = [];
  if (state.category !== null && !classes.has(state.category)) {
    effects.push(...leave(next));
    next = announce(closed(next, null), "This category was removed");
  }
  return [next, effects];
}

export function takeMinimum(state, { minimum }) {
  return [{ ...state, minimum }, [{ type: "minimum", minimum }]];
}

/** Open a category. */
export function choose(state, { category }) {
  if (!state.classes.has(category)) return [state, []];
  if (category === state.category && state.page) return [state, [{ type: "focusTile" }]];
  const [next, effects] = fetchAhead(closed(state, category));
  return [announce(next, `Opening ${state.classes.get(category).name}`), [...leave(state), ...effects]];
}

/** The next category in the list that has something to sweep, from the top when none is open. */
export function chooseNext(state) {
  const from = state.order.indexOf(state.category);
  const order = [...state.order.slice(from + 1), ...state.order.slice(0, Math.max(from, 0))];
  const next = order.find((id) => {
    const one = state.classes.get(id);
    return one.verdict !== "below" && waitingOf(one, state.side) > 0;
  });
  if (next === undefined) return [announce(state, "No other category has anything to sweep"), []];
  return choose(state, { category: next });
}

/** Suggested present, suggested absent, or both. */
export function chooseSide(state, { side }) {
  if (side === state.side) return [state, []];
  const [next, effects] = fetchAhead({ ...closed(state, state.category), side });
  return [next, [...leave(state), { type: "list", side, resort: true }, ...effects]];
}

/** Categories that fit what is typed, best first; without a word all, as listed. */
export function found(state, prepared) {
  const query = fold(state.query.trim());
  if (!query) return state.order;
  const place = new Map(state.order.map((id, i) => [id, i]));
  return prepared
    .map((entry) => ({ id: entry.id, fits: fit(entry, query) }))
    .filter((one) => one.fits && place.has(one.id))
    .sort((a, b) => b.fits - a.fits || place.get(a.id) - place.get(b.id))
    .map((one) => one.id);
}

/** Names prepared for typing, once per list. */
export function prepareClasses(classes) {
  return prepare([...classes.values()]);
}

/** Without a page; an answer that is under way for the former one comes with an older number. */
function closed(state, category) {
  return { ...state, category, page: null, ahead: [], fetching: false, ended: null, problem: null };
}

/** Give back what was fetched for the category that is left. */
function leave(state) {
  return [state.page, ...state.ahead].filter(Boolean).flatMap(giveBack);
}
