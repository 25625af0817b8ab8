import assert from "node:assert/strict";
import { test } from "node:test";
import { describeMap, enlarge } from "../../../annotator/web/static/js/focus/attention.js";

/** A map of 6 x 6 with weight at some (row, column). */
const map = (...places) => {
  const values = new Array(36).fill(0);
  for (const [row, column] of places) values[row * 6 + column] = 1;
  return { rows: 6, columns: 6, values };
};

test("the strongest part is named", () => {
  assert.equal(describeMap(map([0, 0])), "strongest in the upper left");
  assert.equal(describeMap(map([2, 3])), "strongest in the middle");
  assert.equal(describeMap(map([5, 3])), "strongest in the lower middle");
  assert.equal(describeMap(map([3, 5])), "strongest in the right middle");
});

test("a second strong part is named too", () => {
  const said = describeMap(map([0, 0], [0, 1], [5, 5]));
  assert.equal(said, "strongest in the upper left");
  assert.equal(describeMap(map([0, 0], [5, 5])), "strongest in the upper left, also in the lower right");
});

test("a flat map and an empty one are said as such", () => {
  const flat = { rows: 4, columns: 5, values: new Array(20).fill(0.5) };
  assert.equal(describeMap(flat), "spread over the whole picture");
  assert.equal(describeMap(map()), "nothing in the picture speaks for it");
});

test("why there is none is said in the server's words", () => {
  assert.equal(describeMap({ message: "the trainer does not run" }), "the trainer does not run");
});

test("enlarging keeps values within 0 and 1, a constant constant and the peak in place", () => {
  const flat = enlarge({ rows: 2, columns: 3, values: new Array(6).fill(0.4) }, 30, 20);
  assert.ok(flat.every((value) => Math.abs(value - 0.4) < 1e-6));
  const peak = enlarge(map([1, 4]), 60, 60);
  assert.ok(peak.every((value) => value >= 0 && value <= 1));
  const at = peak.indexOf(Math.max(...peak));
  assert.deepEqual([Math.floor(at / 60 / 10), Math.floor((at % 60) / 10)], [1, 4]);
});

test("one row and one column are enough", () => {
  assert.deepEqual([...enlarge({ rows: 1, columns: 1, values: [1] }, 2, 2)], [1, 1, 1, 1]);
});
