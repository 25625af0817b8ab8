// The cursor on a page, and what each tile will become.

import { announce, isFlipped, isOut, rangeOf, tileLabel } from "./state.js";
import { verdict } from "../words.js";

/**
 * Move the cursor; with `extend` the range grows from where it began.
 * @param {{dx?: number, dy?: number, to?: "first" | "last" | "rowFirst" | "rowLast",
 *   columns: number, extend?: boolean}} action
 */
export function move(state, { dx = 0, dy = 0, to = null, columns, extend = false }) {
  const { page } = state;
  if (!page?.tiles.length) return [state, []];
  const last = page.tiles.length - 1;
  const row = Math.floor(page.cursor / columns) * columns;
  const ends = { first: 0, last, rowFirst: row, rowLast: Math.min(last, row + columns - 1) };
  let cursor = to === null ? page.cursor + dx + dy * columns : ends[to];
  if (cursor < 0 || (cursor > last && dy === 0)) cursor = page.cursor;
  // Down from above a short last row ends in its last tile.
  else if (cursor > last) cursor = row + columns <= last ? last : page.cursor;
  const anchor = extend ? (page.anchor ?? page.cursor) : null;
  const next = { ...state, page: { ...page, cursor, anchor } };
  const many = rangeOf(next.page).length;
  const text = many > 1 ? `${many} pictures selected` : "";
  return [text ? announce(next, text) : next, [{ type: "focusTile" }]];
}

/** A tile was clicked or tapped: it flips; with `extend` the range up to it. */
export function point(state, { place, extend = false, flips = true }) {
  const { page } = state;
  if (!page?.tiles[place]) return [state, []];
  const anchor = extend ? (page.anchor ?? page.cursor) : null;
  const pointed = { ...state, page: { ...page, cursor: place, anchor } };
  return flips ? flip(pointed) : [pointed, [{ type: "focusTile" }]];
}

/** Turn the tile or the range over; a range of which some are turned is turned altogether. */
export function flip(state) {
  return mark(state, (tiles) => {
    const turn = tiles.some((tile) => tile.state !== 0 && !isFlipped(tile));
    return (tile) => (turn ? -tile.suggested : tile.suggested);
  });
}

/** Leave the tile or the range unknown, or take that back. */
export function markUnknown(state) {
  return mark(state, (tiles) => {
    const leave = tiles.some((tile) => tile.state !== 0);
    return (tile) => (leave ? 0 : tile.suggested);
  });
}

function mark(state, makeState) {
  const { page } = state;
  if (!page?.tiles.length) return [state, []];
  const places = rangeOf(page).filter((place) => !isOut(page.tiles[place]));
  if (!places.length) return [announce(state, tileLabel(page, page.cursor)), []];
  const stateOf = makeState(places.map((place) => page.tiles[place]));
  const chosen = new Set(places);
  const tiles = page.tiles.map((tile, place) =>
    chosen.has(place) ? { ...tile, state: stateOf(tile) } : tile,
  );
  const next = { ...state, page: { ...page, tiles } };
  const one = next.page.tiles[page.cursor];
  const word = one.state === 0 ? "left unknown" : verdict(one.state);
  return [announce(next, places.length > 1 ? `${places.length} ${word}` : word), []];
}

/** A picture that cannot be shown is not decided. */
export function noteFailed(state, { image }) {
  return [{ ...state, page: patched(state.page, image, { failed: true, state: 0 }) }, []];
}

/** Somebody else has decided a tile of the open page: it is shown so, and left alone. */
export function noteDecided(state, { image, category, state: decided, user }) {
  if (state.page?.category !== category) return [state, []];
  const facts = decided === 0 ? null : { state: decided, user };
  return [{ ...state, page: patched(state.page, image, { decided: facts }) }, []];
}

function patched(page, image, change) {
  if (!page) return page;
  const tiles = page.tiles.map((tile) => (tile.image === image ? { ...tile, ...change } : tile));
  return { ...page, tiles };
}
