// Which rows have been on screen: "rest absent" speaks of what was shown, and nothing further down.
//
// Rows scroll inside their list where there is room for it, else with the page, of which the ends
// are covered by what stays there.

/** Of a row's line, what has to be visible for it to count as seen. */
const ENOUGH = 0.9;

/**
 * @param {object} options
 * @param {() => {root: ?Element, top: number, bottom: number}} options.edges what the rows scroll in,
 *   null for the window, and how many pixels of it are covered above and below the rows
 * @param {(below: number) => void} options.changed told how many rows are further down
 */
export function makeSight({ edges, changed }) {
  const seen = new WeakSet();
  const below = new Set();
  let rows = []; // elements
  let watcher = null;
  let within = { root: null, margin: "" };

  function note(entries) {
    for (const { target, intersectionRatio, boundingClientRect, rootBounds } of entries) {
      const hidden = intersectionRatio < ENOUGH;
      if (!hidden) seen.add(target);
      if (hidden && boundingClientRect.bottom > rootBounds.bottom) below.add(target);
      else below.delete(target);
    }
    changed(below.size);
  }

  /** Look again where the edges have moved. */
  function measure() {
    const { root, top, bottom } = edges();
    const margin = `-${Math.round(top)}px 0px -${Math.round(bottom)}px 0px`;
    if (margin === within.margin && root === within.root) return;
    within = { root, margin };
    watcher?.disconnect();
    below.clear();
    watcher = new IntersectionObserver(note, { root, rootMargin: margin, threshold: [0, ENOUGH] });
    for (const row of rows) watcher.observe(row);
  }

  /** From now on these rows are on the page; those that stay keep what is known of them. */
  function watch(elements) {
    if (rows.length === elements.length && rows.every((row, i) => row === elements[i])) return;
    measure();
    const kept = new Set(elements);
    for (const row of rows) {
      if (kept.has(row)) continue;
      watcher.unobserve(row);
      below.delete(row);
    }
    for (const row of elements) watcher.observe(row); // of one that is observed this does nothing
    rows = elements;
    changed(below.size);
  }

  return {
    watch,
    measure,
    wasSeen: (row) => seen.has(row),
    /** The first row that is further down, or undefined. */
    firstBelow: () => rows.find((row) => below.has(row)),
  };
}
