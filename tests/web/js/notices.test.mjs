// Notices: one of each kind, the most urgent first.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noticed, without } from "../../../annotator/web/static/js/notices.js";

const texts = (notices) => notices.map((one) => one.text);
const three = () => {
  const some = noticed(noticed([], "ben: cup present.", "others"), "Model 2 is ready", "model");
  return noticed(some, "Not saved", "error");
};

test("news of one kind leaves that of another, errors come first", () => {
  assert.deepEqual(texts(three()), ["Not saved", "Model 2 is ready", "ben: cup present."]);
});

test("newer news of a kind takes the place of the older, as something to be said anew", () => {
  const before = three();
  const after = noticed(before, "Model 2 is ready", "model");
  assert.deepEqual(texts(after), texts(before));
  assert.ok(after[1].n > before[1].n);
});

test("kinds are taken away; where there are none the list is the same one", () => {
  const notices = three();
  assert.deepEqual(texts(without(notices, "error", "model")), ["ben: cup present."]);
  assert.equal(without(notices, "info"), notices);
});
