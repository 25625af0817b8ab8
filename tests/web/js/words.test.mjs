import assert from "node:assert/strict";
import { test } from "node:test";
import {
  grouped,
  modelText,
  percent,
  plural,
  savedText,
  times,
} from "../../../annotator/web/static/js/words.js";

test("a probability is never rounded to certainty", () => {
  assert.deepEqual([0, 0.001, 0.934, 0.999, 1].map(percent), ["0 %", "<1 %", "93 %", ">99 %", "100 %"]);
});

test("the saved chip tells what is where", () => {
  const text = (over) => savedText({ waiting: 0, online: true, durable: true, ...over });
  assert.equal(text({}), "All saved");
  assert.equal(text({ waiting: 3 }), "3 not saved yet");
  assert.equal(text({ waiting: 3, online: false }), "Connection lost: 3 kept here, retrying");
  assert.equal(
    text({ waiting: 3, online: false, answered: true }),
    "Server in trouble: 3 kept here, retrying",
  );
});

test("the model chip tells version and work", () => {
  const job = (over) => ({ status: "running", activity: "learning", progress: 0.62, ...over });
  const status = (over) => ({ model: { number: 7 }, worker_alive: true, trainer: "", ...over });
  const text = (over) => modelText(status(over)).text;
  assert.equal(text({ job: job() }), "Model 7 · learning 62 %");
  assert.equal(text({ job: job({ activity: "idle", progress: 1 }) }), "Model 7");
  assert.equal(text({ job: null }), "Model 7");
  const message = "waiting: no labels yet";
  assert.equal(text({ model: null, job: job({ activity: "waiting", message }) }), message);
  assert.equal(modelText(status({ job: job({ status: "failed", reason: "x" }) })).tone, "warn");
  assert.equal(modelText(status({ job: job(), worker_alive: false })).text, "Model 7 · stopped");
});

test("the model chip tells of which version the suggestions on screen are", () => {
  const status = { model: { number: 4 }, worker_alive: true, trainer: "", job: null };
  const text = (model) => modelText(status, { model, unit: "picture" }).text;
  assert.equal(text(3), "Model 3 here · 4 from the next picture");
  assert.equal(text(null), "Model 4 from the next picture");
  assert.equal(text(4), "Model 4");
  assert.equal(modelText(status, null).text, "Model 4");
  const job = { status: "failed", reason: "disk full", message: "" };
  const stopped = modelText({ ...status, job }, { model: 3, unit: "picture" });
  assert.deepEqual([stopped.text, stopped.tone], ["Model 4 · stopped", "warn"], "above all that");
});

test("a push in logits is told as odds", () => {
  assert.deepEqual([1.2, -0.7, 3, 9].map(times).map((t) => t.replace("\u00a0", " ")), ["3.3 ×", "2 ×", "20 ×", "over 100 ×"]);
});

test("numbers and nouns", () => {
  assert.equal(grouped(1234567), "1,234,567");
  assert.equal(plural(1, "cell"), "1 cell");
  assert.equal(plural(2, "cell"), "2 cells");
});
