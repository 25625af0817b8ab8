import assert from "node:assert/strict";
import { test } from "node:test";
import { legendOf } from "../../../annotator/web/static/js/focus/legend.js";

const actions = (image) => legendOf(image, false).map((key) => key.action);

test("reasons are offered where there are some", () => {
  assert.ok(actions({ model_version: 3 }).includes("why"));
  assert.ok(!actions({ model_version: null }).includes("why"));
});

test("what is asked without a suggestion has no key for reasons", () => {
  assert.ok(!actions({ model_version: 3, blind: true }).includes("why"));
});

test("looking again, Enter only goes on", () => {
  const [enter] = legendOf({ model_version: 3 }, true).filter((key) => key.action === "restAbsent");
  assert.equal(enter.words, "next");
});
