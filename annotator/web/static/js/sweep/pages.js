// Pages on their way: fetched ahead, opened, accepted, brought back.

import { markOf, offeredEvent, takenBack, withOffer } from "../history.js";
import { without } from "../notices.js";
import { plural } from "../words.js";
import { COUNT, announce, countsOf, countsText, isOut, say, sideText } from "./state.js";

/** Milliseconds for which a page must have been on screen before it can be accepted. */
export const SETTLE_MS = 400;
const KEEP_UNDO = 200;
const KEEP_AHEAD = 1;

/** Ask for the next page of the open class, unless one is on its way or here. */
export function fetchAhead(state) {
  const enough = state.ahead.length >= (state.page ? KEEP_AHEAD : 1);
  if (state.category === null || state.fetching || state.ended || enough) return [state, []];
  const asked = state.asked + 1;
  const effect = {
    type: "fetch",
    category: state.category,
    side: state.side,
    count: COUNT,
    asked,
    without: notAgain(state),
  };
  return [{ ...state, asked, fetching: true, problem: null }, [effect]];
}

/** Images that the next page must not have: shown, waiting, on their way, or left unknown. */
function notAgain(state) {
  const { category } = state;
  const pages = [state.page, ...state.ahead].filter(Boolean);
  const under = state.pending.filter((e) => e.kind === "decide" && e.category === category);
  return [
    ...new Set([
      ...pages.flatMap((page) => page.tiles.map((tile) => tile.image)),
      ...under.flatMap((entry) => entry.images),
      ...(state.passed.get(category) ?? []),
    ]),
  ];
}

export function takePage(state, { page, asked }) {
  const stale = asked !== state.asked || page.category !== state.category;
  if (stale) return [state, giveBack(page)];
  let next = { ...state, fetching: false };
  if (!page.tiles.length) return [{ ...next, ended: page }, []];
  next = { ...next, ahead: [...state.ahead, page] };
  return next.page ? [next, [{ type: "prefetch", page }]] : openNext(next);
}

export function takePageFailure(state, { text, asked }) {
  if (asked !== state.asked) return [state, []];
  return [{ ...say(state, text, "error"), fetching: false, problem: text }, []];
}

/** Show the next page if it is here, and ask for the one after it. */
export function openNext(state) {
  const [first, ...ahead] = state.ahead;
  if (!first) return fetchAhead({ ...state, page: null });
  const page = first.cursor === undefined ? opened(first) : { ...first, shownAt: null };
  let next = { ...state, page, ahead, zoom: false };
  const where = `${page.name}, ${sideText(page.side)}, ${plural(page.tiles.length, "picture")}`;
  next = announce(next, where);
  const [asking, effects] = fetchAhead(next);
  return [asking, [{ type: "opened" }, ...effects]];
}

/** A page from the server as the person works on it. */
function opened(page) {
  return {
    ...page,
    tiles: page.tiles.map((tile) => ({
      ...tile,
      state: tile.suggested, // what it will be: 1 present, -1 absent, 0 left unknown
      failed: false, // it cannot be shown
      decided: null, // {state, user} if somebody else was quicker
    })),
    cursor: 0,
    anchor: null, // where a range began
    shownAt: null, // when its pictures could be seen
  };
}

export function noteShown(state, { at }) {
  if (!state.page || state.page.shownAt !== null) return [state, []];
  return [{ ...state, page: { ...state.page, shownAt: at } }, []];
}

/**
 * Accept the page: one change, one key.
 * @param {{key: string, at: number, unseen?: number}} action `unseen`: tiles that were never on
 *   screen; they are shown first
 */
export function accept(state, { key, at, unseen = 0 }) {
  const { page } = state;
  if (!page) return [state, []];
  if (page.shownAt === null || at - page.shownAt < SETTLE_MS) {
    return [announce(state, "The page has just appeared; nothing was accepted"), []];
  }
  if (unseen) {
    const text = `${plural(unseen, "further picture")} below, Enter goes on`;
    return [announce({ ...state, zoom: false }, text), [{ type: "scrollOn" }]];
  }
  const chosen = page.tiles.filter((tile) => tile.state !== 0 && !isOut(tile));
  const { category } = page;
  const cells = chosen.map((tile) => ({ image: tile.image, category, state: tile.state }));
  const text = `${page.name}: ${countsText({ ...countsOf(page), unknown: 0 })}`;
  let next = {
    ...state,
    page: null,
    zoom: false,
    passed: withPassed(state, page, true),
    tally: tallied(state, page, 1),
    done: [...state.done, { key: cells.length ? key : null, page, text }].slice(-KEEP_UNDO),
    notices: [],
  };
  const effects = [];
  if (cells.length) {
    const entry = { key, kind: "decide", source: "sweep", model: page.model_version, cells, text };
    next.pending = [...next.pending, { key, kind: "decide", category, images: imagesOf(cells) }];
    effects.push({ type: "send", entry });
  }
  const [moved, more] = openNext(announce(next, `Accepted ${text}`));
  const said = { ...moved, said: { ...moved.said, text: `Accepted ${text}. ${moved.said.text}` } };
  return [moved.page ? said : moved, [...effects, ...more]];
}

/** Take back the newest change; a page comes back as it was left. */
export function undo(state, { key }) {
  const last = state.done.at(-1);
  if (!last) return undoEarlier(state, key);
  const next = { ...state, done: state.done.slice(0, -1), zoom: false };
  const entry = { key, kind: "undo", undoes: last.key };
  const pending = [...state.pending, entry];
  const send = [{ type: "send", entry }];
  if (!last.page) return [say({ ...next, pending }, takenBack({ ...last, page: last.from }), "info"), send];
  const { page } = last;
  // A page of which nothing was decided was only laid aside.
  const sent = last.key === null ? [next, []] : [{ ...next, pending }, send];
  const [back, effects] = bringBack(sent[0], page);
  return [announce(back, `Taken back: ${last.text}`), [...sent[1], ...effects]];
}

/** Nothing of this visit is left: the first press tells what is newest, the next takes it back. */
function undoEarlier(state, key) {
  const event = offeredEvent(state.notices);
  if (event === null) return [state, [{ type: "lastChange" }]];
  const entry = { key, kind: "undo", undoes: null, event };
  const pending = [...state.pending, entry];
  const notices = without(state.notices, "error", "info");
  return [announce({ ...state, pending, notices }, "Taking back"), [{ type: "send", entry }]];
}

/** The server has told what is newest. */
export function takeLastChange(state, { change }) {
  if (state.done.length) return [state, []]; // something was done meanwhile
  return [{ ...state, notices: withOffer(state.notices, change) }, []];
}

/** A change of another page, as Backspace takes it back here. */
export function elsewhere({ key, text, page: from }) {
  return { key, page: null, text, from };
}

/** The page comes back; the one that was open follows it. */
function bringBack(state, page) {
  const same = page.category === state.category && page.side === state.side;
  const former = same ? [state.page, ...state.ahead].filter(Boolean) : [];
  const dropped = same ? [] : [state.page, ...state.ahead].filter(Boolean).flatMap(giveBack);
  const next = {
    ...state,
    category: page.category,
    side: page.side,
    page: { ...page, shownAt: null },
    ahead: former,
    asked: same ? state.asked : state.asked + 1,
    fetching: same && state.fetching,
    ended: same ? state.ended : null,
    passed: withPassed(state, page, false),
    tally: tallied(state, page, -1),
    notices: without(state.notices, "error", "info"),
  };
  return [next, [...dropped, { type: "opened" }]];
}

/** Tiles left unknown come again. */
export function passedAgain(state) {
  const passed = new Map(state.passed);
  passed.delete(state.category);
  return fetchAhead({ ...state, passed, ended: null });
}

/** A change that another page made: Backspace takes back the newest one wherever it was made. */
export function takeForeign(state, { entry }) {
  if (state.pending.some((e) => e.key === entry.key)) return [state, []];
  if (entry.kind === "undo") {
    const taken =
      state.done.find((d) => d.key !== null && d.key === entry.undoes) ??
      (entry.event ? undefined : state.done.findLast((d) => d.key !== null));
    const tally = taken?.page ? tallied(state, taken.page, -1) : state.tally;
    return [{ ...state, tally, done: state.done.filter((d) => d !== taken) }, []];
  }
  if (entry.kind !== "decide") return [state, []];
  return [{ ...state, done: [...state.done, elsewhere(markOf(entry))] }, []];
}

export function acknowledge(state, { key, reply }) {
  const entry = state.pending.find((e) => e.key === key);
  let next = { ...state, pending: state.pending.filter((e) => e.key !== key) };
  if (!entry) {
    next = { ...next, ended: null }; // another page may have taken something back
  } else if (entry.kind === "undo") {
    // Open again on the server only now, and so is what a page may have ended with.
    next = { ...next, ended: null };
    if (reply?.summary && (reply.left || !entry.undoes)) next = say(next, reply.summary, "info");
  } else if (next.ended && !next.page && entry.category === next.category) {
    next = { ...next, ended: null }; // ask once more now that the server knows everything
  }
  const [asking, effects] = fetchAhead(next);
  return [asking, [{ type: "listSoon" }, ...effects]];
}

/** The server refused: what was not decided waits still, and comes again. */
export function reject(state, { key, text, dropped = [] }) {
  const entry = state.pending.find((e) => e.key === key);
  if (!entry) return [state, []];
  const gone = new Set([key, ...dropped]);
  const next = {
    ...state,
    pending: state.pending.filter((e) => !gone.has(e.key)),
    done: state.done.filter((d) => d.key === null || !gone.has(d.key)),
  };
  const what = entry.kind === "undo" ? "Nothing was taken back" : "A page was not saved and comes again";
  return [say(next, `${what} (${text})`, "error"), [{ type: "listSoon" }]];
}

/** Tiles that were fetched but will not be shown are everybody's again. */
export function giveBack(page) {
  if (!page?.tiles.length) return [];
  return [{ type: "release", category: page.category, images: imagesOf(page.tiles) }];
}

function imagesOf(cells) {
  return cells.map((cell) => cell.image);
}

function withPassed(state, page, add) {
  const passed = new Map(state.passed);
  const images = new Set(passed.get(page.category) ?? []);
  for (const tile of page.tiles) {
    if (tile.state !== 0) continue;
    if (add) images.add(tile.image);
    else images.delete(tile.image);
  }
  return passed.set(page.category, images);
}

function tallied(state, page, sign) {
  const { present, absent } = countsOf(page);
  const had = state.tally.get(page.category) ?? { present: 0, absent: 0 };
  return new Map(state.tally).set(page.category, {
    present: had.present + sign * present,
    absent: had.absent + sign * absent,
  });
}
