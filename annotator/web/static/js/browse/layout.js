// Where the tiles of a list stand, so that only those in sight have to exist.

/** Narrowest tile in pixels by its size. */
export const SIZES = Object.freeze({ small: 108, medium: 168, large: 260 });
export const GAP = 10;
/** Height of the line with the file name below a picture. */
export const CAPTION = 26;
const OVERSCAN = 2;

/**
 * @param {{width: number, total: number, size: "small" | "medium" | "large"}} options `width` in
 *   pixels without padding
 * @returns {{columns: number, tile: number, rowHeight: number, rows: number, height: number}}
 */
export function layoutOf({ width, total, size }) {
  const least = SIZES[size] ?? SIZES.medium;
  const columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  const tile = Math.max(1, Math.floor((width - GAP * (columns - 1)) / columns));
  const rowHeight = tile + CAPTION + GAP;
  const rows = Math.ceil(total / columns);
  return { columns, tile, rowHeight, rows, height: rows * rowHeight };
}

/**
 * First row and row after the last that should exist.
 * @param {{top: number, height: number}} view of the scroller
 */
export function rowsInSight(layout, { top, height }) {
  const first = Math.floor(top / layout.rowHeight) - OVERSCAN;
  const after = Math.ceil((top + height) / layout.rowHeight) + OVERSCAN;
  return [Math.max(0, Math.min(first, layout.rows)), Math.max(0, Math.min(after, layout.rows))];
}

/** Where the scroller has to stand so that a place is in sight; `top` if it is already. */
export function scrollTo(layout, place, { top, height }) {
  const row = Math.floor(place / layout.columns);
  const [begin, end] = [row * layout.rowHeight, (row + 1) * layout.rowHeight];
  if (begin < top) return begin;
  return end > top + height ? Math.max(0, end - height) : top;
}

/**
 * Where a key leads from a place; the same place where it leads nowhere.
 * @param {string} key ArrowLeft, …, Home and End in the row, PageUp, PageDown, First, Last
 * @param {{columns: number, total: number, page: number}} grid `page`: rows in sight
 */
export function moved(place, key, { columns, total, page }) {
  const start = place - (place % columns);
  const targets = {
    ArrowLeft: place - 1,
    ArrowRight: place + 1,
    ArrowUp: place - columns,
    ArrowDown: Math.min(place + columns, below(place, columns, total)),
    Home: start,
    End: Math.min(start + columns - 1, total - 1),
    PageUp: Math.max(place - columns * page, place % columns),
    PageDown: Math.min(place + columns * page, total - 1),
    First: 0,
    Last: total - 1,
  };
  const target = targets[key];
  return target === undefined || target < 0 || target >= total ? place : target;
}

/** The last row may be short: from above its gap, down leads to its end. */
function below(place, columns, total) {
  const lastRow = Math.floor((total - 1) / columns);
  return Math.floor(place / columns) < lastRow ? total - 1 : place;
}
