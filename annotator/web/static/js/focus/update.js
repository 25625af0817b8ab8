// update(state, action) -> [state, effects]: which step each action takes.

import {
  acknowledge,
  decide,
  decideSlot,
  elsewhere,
  reject,
  restAbsent,
  takeForeign,
  takeLastChange,
  undo,
} from "./cell_steps.js";
import { closeFlag, flagPicture, takeFlags } from "./flag_steps.js";
import { showMore } from "./lists.js";
import { moveSelection, startTyping, toggle, typedNotNote, unlessWord } from "./look_steps.js";
import { takeChanges, takeImage } from "./other_steps.js";
import { fetch, goBack, goForward, refreshAhead, takeCategories, takePage, takeStatus, visit } from "./queue_steps.js";
import { currentImage, rowsHere, say, settled } from "./state.js";
import { takeEvidence, takeMap, withEvidence } from "./why_steps.js";

/**
 * Apply one action.
 * @param {object} state
 * @param {object} action `{type, ...}`; `at` is milliseconds on any steady clock
 * @returns {[object, object[]]} the new state and what is to be done outside
 */
export function update(state, action) {
  const handler = HANDLERS[action.type];
  if (!handler) throw new Error(`unknown action ${action.type}`);
  return handler(state, action);
}

/** A copy of a change; an undo that another page made names no cells. */
function withCells(entry) {
  return { ...entry, cells: entry.cells ?? [] };
}

const HANDLERS = {
  // -- what the server says ------------------------------------------------------------------
  started: (state, { categories, pending, history = [], me = null }) => {
    const done = history.map(elsewhere);
    return fetch({ ...state, ready: true, categories, pending: pending.map(withCells), done, me }, null);
  },
  page: takePage,
  pageFailed: (state, { text }) => [say({ ...state, fetching: false }, text, "error"), []],
  categories: takeCategories,
  refreshed: refreshAhead,
  image: takeImage,
  changes: takeChanges,
  queues: (state, { queues }) => [{ ...state, queues }, []],
  countQueues: (state) => [state, [{ type: "queues" }]],
  flags: takeFlags,
  visited: visit,
  sent: takeForeign,
  acknowledged: acknowledge,
  lastChange: takeLastChange,
  rejected: reject,
  status: takeStatus,
  evidence: takeEvidence,
  map: takeMap,
  shown: (state, { image, at }) =>
    currentImage(state)?.id === image && state.shownAt === null
      ? [{ ...state, shownAt: at }, []]
      : [state, []],
  unshowable: (state, { image, text }) => [
    { ...state, failed: new Map(state.failed).set(image, text) },
    [],
  ],

  // -- what the person does ------------------------------------------------------------------
  slot: decideSlot,
  decide: (state, { category, value, key }) => decide(state, [[category, value]], key),
  decideSelected: (state, { value, key, at }) => {
    const row = rowsHere(state).find((r) => r.category === state.selected);
    return row && settled(row, at) ? decide(state, [[row.category, value]], key) : [state, []];
  },
  restAbsent,
  next: (state, { at }) => goForward(state, at),
  previous: (state, { at }) => goBack(state, at),
  undo,
  select: (state, { category }) => withEvidence({ ...state, selected: category }),
  move: moveSelection,
  more: showMore,
  why: unlessWord((state, action) => withEvidence(toggle(state, "why", action))),
  attention: unlessWord((state, action) => withEvidence(toggle(state, "attention", action))),
  zoom: unlessWord((state, action) => [toggle(state, "zoom", action), []]),
  enlarged: (state, { on }) => [{ ...state, zoom: on }, []],
  flag: unlessWord((state, action) =>
    currentImage(state) ? [toggle(state, "flagging", action), []] : [state, []],
  ),
  flagPicture,
  closeFlag,
  typedNotNote,
  flagList: (state) => [{ ...state, listing: !state.listing }, []],
  help: (state) => [{ ...state, help: !state.help }, []],
  type: startTyping,
  typed: (state, { text, index = 0 }) => [{ ...state, typing: { text, index } }, []],
  endTyping: (state) => [{ ...state, typing: null }, []],
  choose: (state, { category, value, key }) => {
    const uses = new Map(state.uses).set(category, (state.uses.get(category) ?? 0) + 1);
    return decide({ ...state, typing: null, uses }, [[category, value]], key);
  },
  queue: (state, { queue }) =>
    fetch({ ...state, queue, ahead: [], positions: new Map(), total: null }, null, true),
};
