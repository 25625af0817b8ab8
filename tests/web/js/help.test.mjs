import assert from "node:assert/strict";
import { test } from "node:test";
import { objection, withKey } from "../../../annotator/web/static/js/focus/help.js";
import { DEFAULT_KEYS } from "../../../annotator/web/static/js/focus/keys.js";

test("a free key may be chosen, also the one that the action has", () => {
  assert.equal(objection(DEFAULT_KEYS, "why", "w"), "");
  assert.equal(objection(DEFAULT_KEYS, "why", "e"), "");
});

test("a key of another action is refused in words", () => {
  assert.match(objection(DEFAULT_KEYS, "why", "z"), /^z already means: enlarge/);
});

test("keys of the browser are refused in words", () => {
  assert.match(objection(DEFAULT_KEYS, "why", "F5"), /belongs to the browser/);
});

test("a key is replaced, added or removed in its place", () => {
  assert.deepEqual(withKey(DEFAULT_KEYS, "next", 0, "n").next, ["n", "ArrowRight"]);
  assert.deepEqual(withKey(DEFAULT_KEYS, "next", 2, "n").next, ["Space", "ArrowRight", "n"]);
  assert.deepEqual(withKey(DEFAULT_KEYS, "next", 1).next, ["Space"]);
  assert.deepEqual(withKey(DEFAULT_KEYS, "next", 1, "Space").next, ["Space"]);
});
