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
});

test("the model chip tells version and work", () => {
  const model = { number: 7 };
  const job = (over) => ({ status: "running", progress: 0.62, message: "training", ...over });
  assert.equal(modelText({ model, job: job() }).text, "Model 7 · training 62 %");
  assert.equal(modelText({ model, job: null }).text, "Model 7");
  const waiting = "waiting: needs at least one present and one absent label";
  assert.equal(modelText({ model: null, job: job({ status: "waiting", message: waiting }) }).text, waiting);
  assert.equal(modelText({ model, job: job({ status: "failed", reason: "disk full" }) }).tone, "warn");
});

test("a push in logits is told as odds", () => {
  assert.deepEqual([1.2, -0.7, 3, 9].map(times).map((t) => t.replace("\u00a0", " ")), ["3.3 ×", "2 ×", "20 ×", "over 100 ×"]);
});

test("numbers and nouns", () => {
  assert.equal(grouped(1234567), "1,234,567");
  assert.equal(plural(1, "cell"), "1 cell");
  assert.equal(plural(2, "cell"), "2 cells");
});
