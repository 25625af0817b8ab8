// The history of a visit over all pages, and the words for what undo takes back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { offeredEvent, remembered, takenBack, withOffer } from "../../../annotator/web/static/js/history.js";

const decide = (key, over = {}) => ({ key, kind: "decide", source: "sweep", cells: [{}, {}], ...over });
const undo = (undoes, over = {}) => ({ key: `u-${undoes}`, kind: "undo", undoes, ...over });
const keys = (entries) => entries.reduce(remembered, []).map((mark) => mark.key);

test("changes are kept in order, those taken back are not, flags are none", () => {
  assert.deepEqual(keys([decide("a"), decide("b"), { key: "f", kind: "flag" }]), ["a", "b"]);
  assert.deepEqual(keys([decide("a"), decide("b"), undo("a")]), ["b"]);
  assert.deepEqual(keys([decide("a"), decide("b"), undo(null)]), ["a"]);
});

test("what was made before this visit and is taken back was never in its history", () => {
  assert.deepEqual(keys([decide("a"), undo(null, { event: 7 })]), ["a"]);
});

test("a change is told with its words, or counted, and with its page", () => {
  const told = (entry) => takenBack(remembered([], entry)[0]);
  assert.equal(told(decide("a", { text: "dog: 58 present" })), "Taken back: dog: 58 present (Sweep)");
  assert.equal(told(decide("a")), "Taken back: 2 cells (Sweep)");
  assert.equal(told(decide("a", { source: "audit", cells: [{}] })), "Taken back: 1 cell (Focus)");
});

test("only an offer that stands on the page is taken", () => {
  const change = { event: 7, text: "dog", where: "Import", at: "2026-11-22T17:03:00Z" };
  assert.equal(offeredEvent(withOffer([], change)), 7);
  assert.equal(offeredEvent(withOffer(withOffer([], change), null)), null);
  assert.equal(offeredEvent([]), null);
});
