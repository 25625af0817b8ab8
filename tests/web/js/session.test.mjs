import assert from "node:assert/strict";
import { test } from "node:test";
import { Session, onlyOwn } from "../../../annotator/web/static/js/session.js";

test("a page that made every new event need not ask what changed", () => {
  assert.equal(onlyOwn(new Set([5, 6, 7]), 4, 7), true);
  assert.equal(onlyOwn(new Set(), 4, 4), true);
});

test("one event of somebody else is enough to ask", () => {
  assert.equal(onlyOwn(new Set([5, 7]), 4, 7), false);
  assert.equal(onlyOwn(new Set([5, 6]), 4, 7), false);
});

test("a log that is shorter than before is asked about", () => {
  assert.equal(onlyOwn(new Set([5, 6]), 6, 4), false);
});

test("a category is looked for once, also by a page that is made for it", () => {
  const session = new Session({ base: "http://here", askName: async () => "", storage: new Map() });
  const heard = [];
  session.on("find", () => heard.push("opened"));
  session.find("7");
  session.on("find", () => heard.push("made later")); // is not told of what was said before
  assert.deepEqual([heard, session.takeSought(), session.takeSought()], [["opened"], 7, null]);
});
