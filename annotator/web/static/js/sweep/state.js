// What the Sweep page knows, and the words for it.

import { noticed } from "../notices.js";
import { grouped, percent, verdict } from "../words.js";

/** Tiles of a page. */
export const COUNT = 60;

/** The state before anything is known. */
export function initialState() {
  return {
    ready: false, // the session has started
    visible: false, // the page is on screen; nothing is asked for before
    status: null,
    classes: new Map(), // category id -> {id, name, unknown, present, absent, share, verdict, waits_for}
    order: [], // category ids as listed; stays while the numbers change
    listed: false, // the list is here
    listModel: null, // model version of the list
    minimum: 0.95, // precision below which a category is pointed to Focus
    query: "", // what is typed to find a category
    category: null, // id of the open one
    side: "present",
    page: null, // see `opened` in pages.js
    ahead: [], // pages after it, as the server gave them or gone back from
    asked: 0, // number of the newest request for a page; older answers are dropped
    fetching: false,
    ended: null, // the answer that had no tiles left: {present, absent, elsewhere, waits_for}
    problem: null, // why the server refused a page
    done: [], // changes that Backspace takes back, newest last: {key, page, text, from}
    pending: [], // changes without acknowledgement, oldest first
    passed: new Map(), // category id -> Set of images left unknown in this visit
    tally: new Map(), // category id -> {present, absent} accepted in this visit
    zoom: false,
    help: false,
    notices: [], // see ../notices.js
    said: { text: "", n: 0 }, // for screen readers
  };
}

/** Numbers of the open page: {present, absent, unknown}. */
export function countsOf(page) {
  const counts = { present: 0, absent: 0, unknown: 0 };
  for (const tile of page.tiles) counts[verdict(isOut(tile) ? 0 : tile.state)] += 1;
  return counts;
}

/** A tile that the page leaves alone: it cannot be shown, or somebody else has decided it. */
export function isOut(tile) {
  return tile.failed || tile.decided !== null;
}

/** Whether a tile is marked otherwise than suggested. */
export function isFlipped(tile) {
  return tile.state === -tile.suggested;
}

/** Places from anchor to cursor; the cursor alone without a range. */
export function rangeOf({ cursor, anchor }) {
  const from = anchor ?? cursor;
  const [first, last] = from < cursor ? [from, cursor] : [cursor, from];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** "picture 12, cup 93 %, will be present". */
export function tileLabel(page, place) {
  const tile = page.tiles[place];
  const what = `picture ${place + 1}, ${page.name} ${percent(tile.probability)}`;
  if (tile.failed) return `${what}, cannot be shown, stays unknown`;
  if (tile.decided) return `${what}, already ${verdict(tile.decided.state)} by ${tile.decided.user ?? "an import"}`;
  return `${what}, ${tile.state === 0 ? "stays unknown" : `will be ${verdict(tile.state)}`}`;
}

/** "58 present, 2 absent, 1 left unknown"; zeros are left out. */
export function countsText({ present, absent, unknown }) {
  const parts = [];
  if (present) parts.push(`${present} present`);
  if (absent) parts.push(`${absent} absent`);
  if (unknown) parts.push(`${unknown} left unknown`);
  return parts.join(", ") || "nothing";
}

/** A share of fewer answers says less than the answers themselves. */
const FEW = 10;

/** How past suggestions fared: "96 % of 104 right (91–99 %)", "2 of 3 right", or that nobody knows. */
export function shareText(share) {
  if (!share || !share.total) return "not checked yet";
  if (share.total < FEW) return `${share.right} of ${share.total} right`;
  const low = Math.floor(share.low * 100);
  const high = Math.ceil(share.high * 100);
  return `${percent(share.right / share.total)} of ${grouped(share.total)} right (${low}–${high} %)`;
}

/** Cells of a category that wait on a side. */
export function waitingOf(one, side) {
  return (side === "absent" ? 0 : one.present) + (side === "present" ? 0 : one.absent);
}

/** "suggested present", …. */
export function sideText(side) {
  return side === "both" ? "suggested present or absent" : `suggested ${side}`;
}

export function announce(state, text) {
  return { ...state, said: { text, n: state.said.n + 1 } };
}

export function say(state, text, kind) {
  return { ...state, notices: noticed(state.notices, text, kind) };
}
