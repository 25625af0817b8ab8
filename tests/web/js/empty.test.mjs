import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyState, modelHint } from "../../../annotator/web/static/js/focus/empty.js";

const status = (over) => ({
  status: { model: { id: 1 }, job: null, worker_alive: true, counts: { known: 5 }, ...over },
});

test("with a model that learns there is nothing to say", () => {
  assert.equal(modelHint(status({})), null);
  assert.equal(modelHint(status({ job: { status: "running" } })), null);
});

test("a failed training is said with its reason and that work goes on", () => {
  const said = modelHint(status({ job: { status: "failed", reason: "no room on the disk" } }));
  assert.match(said, /stopped learning: no room on the disk\. Go on labelling; the Model page/);
});

test("a trainer that does not answer is said", () => {
  const said = modelHint(status({ job: { status: "running" }, worker_alive: false }));
  assert.match(said, /^The trainer does not answer/);
});

test("before the first model it is said what the order is", () => {
  assert.match(modelHint(status({ model: null })), /^No model yet/);
  assert.match(modelHint(status({ model: null, counts: { known: 0 } })), /^Nothing is known yet/);
});

test("when the blind questions are answered it is said where to go on", () => {
  const counts = { categories: 3, images: 5 };
  const done = { trail: [], images: new Map(), cursor: 0, ready: true, ended: true, status: { counts } };
  assert.match(emptyState({ ...done, queue: "audit" }, { online: true }).text, /stands on Progress/);
  assert.equal(emptyState({ ...done, queue: "uncertain" }, { online: true }).title, "This queue is finished");
});
