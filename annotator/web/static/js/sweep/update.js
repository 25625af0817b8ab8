// The Sweep page as a pure function: update(state, action) -> [state, effects].
//
// A page is fixed when it is shown: tiles, their order, their probabilities and the model version
// that goes with the decision. Pages that were fetched ahead but not shown follow the newest
// version. What was accepted is kept to be brought back; the outbox sees to its being saved.

import { choose, chooseNext, chooseSide, takeList, takeMinimum } from "./classes.js";
import { flip, markUnknown, move, noteDecided, noteFailed, point } from "./marks.js";
import { takeChanges, takeStatus } from "./news.js";
import {
  accept,
  acknowledge,
  elsewhere,
  noteShown,
  passedAgain,
  reject,
  takeForeign,
  takeLastChange,
  takePage,
  takePageFailure,
  undo,
} from "./pages.js";

const HANDLERS = {
  started: (state, { history = [] }) =>
    listIfVisible({ ...state, ready: true, done: history.map(elsewhere) }),
  visible: (state, { visible }) => {
    const next = { ...state, visible };
    return visible && !state.visible ? listIfVisible(next) : [next, []];
  },
  status: takeStatus,
  list: takeList,
  minimum: takeMinimum,
  query: (state, { text }) => [{ ...state, query: text }, []],
  choose,
  chooseNext,
  side: chooseSide,
  page: takePage,
  pageFailed: takePageFailure,
  shown: noteShown,
  move,
  point,
  flip,
  unknown: markUnknown,
  failed: noteFailed,
  decided: noteDecided,
  accept: (state, action) => (begins(state) ? chooseNext(state) : accept(state, action)),
  undo,
  again: passedAgain,
  sent: takeForeign,
  acknowledged: acknowledge,
  rejected: reject,
  lastChange: takeLastChange,
  changes: takeChanges,
  zoom: (state, { on = !state.zoom }) => [{ ...state, zoom: Boolean(on && state.page) }, []],
  help: (state) => [{ ...state, help: !state.help }, []],
};

/**
 * @param {object} state from `initialState` or an earlier call
 * @param {{type: string, key?: string, at?: number}} action `key` is new for each, `at` in ms
 * @returns {[object, object[]]} the next state, and what is to be done about it
 */
export function update(state, action) {
  return HANDLERS[action.type](state, action);
}

/** Nothing was chosen yet: there is no page to accept, and the first category is the way to one. */
function begins(state) {
  return state.listed && !state.page && state.category === null;
}

function listIfVisible(state) {
  const wanted = state.ready && state.visible;
  return [state, wanted ? [{ type: "list", side: state.side, resort: !state.page }] : []];
}
