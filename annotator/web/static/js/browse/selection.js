// Which places of a list are selected, as ranges [first, after): all of 118,000 pictures are one.

/** Without these. */
export const NONE = Object.freeze([]);

/** How many places are selected. */
export function count(ranges) {
  return ranges.reduce((sum, [first, after]) => sum + after - first, 0);
}

/** Whether a place is selected. */
export function has(ranges, place) {
  return ranges.some(([first, after]) => first <= place && place < after);
}

/** With all places from `one` to `other`, both included, in either order. */
export function withRange(ranges, one, other) {
  let [first, after] = [Math.min(one, other), Math.max(one, other) + 1];
  const result = [];
  for (const range of ranges) {
    if (range[1] < first || range[0] > after) result.push(range);
    else [first, after] = [Math.min(first, range[0]), Math.max(after, range[1])];
  }
  return [...result, [first, after]].sort((a, b) => a[0] - b[0]);
}

/** Without one place. */
export function without(ranges, place) {
  return ranges.flatMap(([first, after]) => {
    if (place < first || place >= after) return [[first, after]];
    return [[first, place], [place + 1, after]].filter(([a, b]) => a < b);
  });
}

/** With a place if it was not selected, without it if it was. */
export function toggled(ranges, place) {
  return has(ranges, place) ? without(ranges, place) : withRange(ranges, place, place);
}
