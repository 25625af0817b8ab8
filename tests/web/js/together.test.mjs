// What others do, flags, and queues that ask blind.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cellsOf,
  currentImage,
  flagsHere,
  initialState,
  knownHere,
  rowsHere,
} from "../../../annotator/web/static/js/focus/state.js";
import { update } from "../../../annotator/web/static/js/focus/update.js";

const NAMES = ["cup", "fork", "car"];
const CATEGORIES = NAMES.map((name, i) => ({ id: i + 1, name }));
const suggestion = (category, probability = 0.5) => ({
  category,
  name: NAMES[category - 1],
  probability,
  threshold: 0.7,
  above: false,
  source: "ist",
  reasons: [],
});
const image = (id, over = {}) => ({
  id,
  file_name: `${id}.jpg`,
  revision: 0,
  cells_total: 3,
  known: [],
  suggestions: [1, 2, 3].map((category) => suggestion(category)),
  model_version: 1,
  ...over,
});
const known = (category, state, user) => ({ category, state, source: "focus", user });
const run = (state, ...actions) =>
  actions.reduce(([s], action) => update(s, { at: 10_000, ...action }), [state, []]);
const page = (images, over = {}) => ({
  type: "page",
  images,
  position: 1,
  total: images.length,
  asked: 1,
  at: 0,
  ...over,
});
const opened = (images, over) =>
  run(
    initialState(),
    { type: "started", categories: CATEGORIES, pending: [], me: "ana" },
    page(images, over),
    { type: "shown", image: images[0].id, at: 1000 },
  )[0];
const changes = (over) => ({
  type: "changes",
  changes: { images: [], everything: false, categories: false, flags: false, ...over },
});
const told = (state, kind) => state.notices.find((one) => one.kind === kind)?.text;
const types = (effects) => effects.map((effect) => effect.type);

test("a picture that others changed is asked for again, if it is here", () => {
  const state = opened([image(1), image(2), image(3)]);
  const [, effects] = run(state, changes({ images: [1, 3, 77] }));
  assert.deepEqual(effects, [
    { type: "reload", image: 1 },
    { type: "refresh", images: [3] },
  ]);
  assert.deepEqual(run(state, changes({ images: [77] }))[1], []);
  assert.deepEqual(types(run(state, changes({ everything: true }))[1]), ["reload", "refresh"]);
});

test("what somebody else decided appears in place and is said", () => {
  const state = opened([image(1)]);
  const order = rowsHere(state).map((row) => row.category);
  const theirs = image(1, { revision: 1, known: [known(2, 1, "ben")] });
  const [next] = run(state, { type: "image", image: { ...theirs, suggestions: [suggestion(3), suggestion(1)] } });
  assert.deepEqual(rowsHere(next).map((row) => row.category), order);
  assert.equal(rowsHere(next)[1].state, 1);
  assert.equal(told(next, "others"), "ben: fork present.");
});

test("a cell that is being decided here stays as it was decided here", () => {
  const [state] = run(opened([image(1)]), { type: "decide", category: 2, value: -1, key: "k" });
  const theirs = image(1, { revision: 1, known: [known(2, 1, "ben")] });
  const [next] = run(state, { type: "image", image: theirs });
  assert.equal(cellsOf(next, 1).get(2).state, -1);
  assert.deepEqual(next.notices, []);
});

test("a new model and a colleague's change are both told, whichever comes first", () => {
  const status = (id) => ({ type: "status", status: { model: { id, number: id }, counts: { images: 1, categories: 3 } } });
  const [state] = run(opened([image(1), image(2)]), status(1));
  const model = status(2);
  const theirs = { type: "image", image: image(1, { revision: 1, known: [known(2, 1, "ben")] }) };
  for (const order of [[model, theirs], [theirs, model]]) {
    const [next] = run(state, ...order);
    assert.match(told(next, "model"), /Model 2 is ready/);
    assert.equal(told(next, "others"), "ben: fork present.");
    const [decided] = run(next, { type: "decide", category: 3, value: 1, key: "k" });
    assert.equal(decided.notices.length, 2, "both are true until the next picture");
    assert.deepEqual(run(decided, { type: "next" })[0].notices, []);
  }
});

test("a model that came with somebody's change moves no row and no number", () => {
  const state = opened([image(1)]);
  const newer = image(1, { revision: 1, model_version: 2, suggestions: [suggestion(3, 0.99), suggestion(1)] });
  const [next] = run(state, { type: "image", image: newer });
  const numbers = (s) => rowsHere(s).map((row) => [row.category, row.probability]);
  assert.deepEqual(numbers(next), numbers(state));
});

test("a flag is seen at once, kept when confirmed and gone when refused", () => {
  const [state, effects] = run(opened([image(1)]), { type: "flag" }, { type: "flagPicture", note: " <b>? ", key: "k" });
  assert.equal(state.flagging, false);
  assert.deepEqual(flagsHere(state).map((flag) => [flag.note, flag.user]), [["<b>?", "ana"]]);
  assert.equal(effects[0].entry.kind, "flag");
  const reply = { id: 5, image: 1, note: "<b>?", user: "ana", closed_at: null };
  const [kept] = run(state, { type: "acknowledged", key: "k", reply });
  assert.deepEqual(flagsHere(kept).map((flag) => flag.id), [5]);
  const [refused] = run(state, { type: "rejected", key: "k", text: "no such image" });
  assert.deepEqual(flagsHere(refused), []);
  assert.match(told(refused, "error"), /^Not flagged \(no such image/);
});

test("a closed flag goes at once", () => {
  const flag = { id: 5, image: 1, note: "", user: "ben", closed_at: null };
  const [state] = run(opened([image(1)]), { type: "flags", flags: [flag] });
  assert.equal(flagsHere(state).length, 1);
  const [closing, effects] = run(state, { type: "closeFlag", flag: 5, key: "k" });
  assert.deepEqual(flagsHere(closing), []);
  assert.equal(effects[0].entry.flag, 5);
  const [closed] = run(closing, { type: "acknowledged", key: "k", reply: { ...flag, closed_at: "now" } });
  assert.deepEqual(closed.flags, []);
});

test("letters right after the key for a flag were meant for a name", () => {
  const [state] = run(
    opened([image(1)]),
    { type: "flag", letter: "f", at: 5000 },
    { type: "typedNotNote", text: "o", at: 5200 },
  );
  assert.equal(state.flagging, false);
  assert.equal(state.typing.text, "fo");
  const [note] = run(
    opened([image(1)]),
    { type: "flag", letter: "f", at: 5000 },
    { type: "typedNotNote", text: "o", at: 5600 },
  );
  assert.equal(note.flagging, true);
});

const asked = (id, over = {}) =>
  image(id, {
    model_version: null,
    suggestions: [{ ...suggestion(2), probability: null, threshold: null, source: "audit" }],
    cells_total: 1,
    ...over,
  });

test("a queue that asks blind shows only the questions, and no answer brings more", () => {
  const [asking] = run(opened([image(3)]), { type: "queue", queue: "audit" });
  const [state] = run(asking, page([asked(1), asked(2)], { asked: asking.asked, open: true, blind: true }));
  assert.deepEqual(rowsHere(state).map((row) => [row.category, row.probability]), [[2, null]]);
  const [decided, effects] = run(state, { type: "slot", slot: 1, value: 1, key: "k" });
  assert.equal(effects[0].entry.source, "audit");
  const full = image(1, { revision: 4, known: [known(1, 1, "ben"), known(2, 1, "ana")] });
  const [after] = run(decided, { type: "acknowledged", key: "k", reply: { images: [full] } });
  assert.deepEqual(knownHere(after).present.map((cell) => cell.id), [2]);
  assert.deepEqual(rowsHere(after).map((row) => row.category), [2]);
  const [reloaded] = run(after, { type: "image", image: full });
  assert.deepEqual(knownHere(reloaded).present.map((cell) => cell.id), [2]);
});

test("no reasons and no map are asked for while a picture is asked blind", () => {
  const state = opened([asked(1)], { blind: true });
  assert.deepEqual(run(state, { type: "attention" })[1], []);
});

test("nothing is asked for again of pictures that are asked blind, and a late answer does not open their eyes", () => {
  const status = (id) => ({ type: "status", status: { model: { id, number: id }, counts: { images: 2, categories: 3 } } });
  const [state] = run(opened([image(1), image(2)], { blind: true }), status(1));
  const asks = (...actions) => run(state, ...actions)[1].filter((one) => one.image || one.images?.length);
  assert.deepEqual(asks(status(2)), []);
  assert.deepEqual(asks(changes({ everything: true })), []);
  assert.deepEqual(asks({ type: "categories", categories: CATEGORIES }), []);
  const full = image(2, { known: [known(1, 1, "ben")], model_version: 2 });
  const [late] = run(state, { type: "refreshed", images: [full] }, { type: "next" });
  assert.equal(currentImage(late).blind, true);
  assert.deepEqual(knownHere(late).present, []);
});

test("a blind question that is answered on the way back from another queue is a blind answer", () => {
  const [asking] = run(opened([image(3)]), { type: "queue", queue: "audit" });
  const [blind] = run(asking, page([asked(1)], { asked: asking.asked, open: true, blind: true }));
  const [choosing] = run(blind, { type: "queue", queue: "random" });
  const [left] = run(choosing, page([image(2)], { asked: choosing.asked, open: true }));
  const [back] = run(left, { type: "previous" });
  assert.equal(currentImage(back).id, 1);
  const [, effects] = run(back, { type: "slot", slot: 1, value: 1, key: "k" });
  assert.equal(effects[0].entry.source, "audit");
});

test("a blind picture is an ordinary one again in another queue", () => {
  const state = opened([asked(1)], { blind: true });
  const [choosing] = run(state, { type: "queue", queue: "random" });
  const [next] = run(choosing, page([image(1)], { asked: 2, open: true }));
  assert.equal(rowsHere(next).length, 3);
  assert.equal(Boolean(currentImage(next).blind), false);
});

test("the way back to a picture that is asked blind by now shows nothing of what was told of it", () => {
  const about = { image: 1, category: 1 };
  const [seen] = run(
    opened([image(1, { suggestions: [suggestion(1, 0.93)] }), image(2)]),
    { type: "evidence", ...about, evidence: { model: 1, revision: 0, cells: [] } },
    { type: "map", ...about, map: { values: [1] } },
    { type: "next" },
    { type: "queue", queue: "audit" },
  );
  const questions = page([asked(3), asked(1)], { asked: seen.asked, open: true, blind: true });
  const [state] = run(seen, questions, { type: "previous" }, { type: "previous" });
  assert.deepEqual([currentImage(state).id, currentImage(state).blind], [1, true]);
  assert.deepEqual(rowsHere(state).map((row) => [row.category, row.probability]), [[2, null]]);
  const [late] = run(state, { type: "evidence", ...about, evidence: {} }, { type: "map", ...about, map: {} });
  assert.deepEqual([late.evidence.size, late.maps.size], [0, 0]);
  const [, effects] = run(state, { type: "slot", slot: 1, value: 1, key: "k" });
  assert.deepEqual(effects[0].entry.cells, [{ image: 1, category: 2, state: 1 }]);
});

test("a picture that is asked blind while it is open shows the questions from then on, and back", () => {
  const [seen] = run(opened([image(1)]), { type: "queue", queue: "audit" });
  const [blind] = run(seen, page([asked(1)], { asked: seen.asked, blind: true }));
  assert.deepEqual(rowsHere(blind).map((row) => [row.category, row.probability]), [[2, null]]);
  assert.equal(blind.selected, 2);
  const [open] = run(blind, page([image(1)], { asked: blind.asked }));
  assert.equal(rowsHere(open).length, 3);
});

test("a map is asked for again only while it is being worked out and looked at", () => {
  const unexplained = run(opened([image(1)]), { type: "why" })[0];
  const [state, effects] = run(unexplained, { type: "attention" });
  assert.deepEqual(types(effects), ["attention"]);
  const { selected } = state;
  const about = { type: "map", image: 1, category: selected };
  const [, again] = run(state, { ...about, map: { message: "soon", again: true } });
  assert.deepEqual(types(again), ["attention"]);
  const [, never] = run(state, { ...about, map: { message: "no trainer", again: false } });
  assert.deepEqual(never, []);
  const [off] = run(state, { type: "attention" });
  assert.deepEqual(run(off, { ...about, map: { message: "soon", again: true } })[1], []);
});

test("a day of thousands of pictures does not fill the memory", () => {
  let state = opened([image(1), image(2)]);
  for (let id = 2; id < 3000; id++) {
    state = run(state, { type: "next" }, page([image(id + 1)], { asked: state.asked + 1 }))[0];
  }
  assert.ok(state.images.size < 800 && state.trail.length < 800);
  assert.equal(currentImage(state).id, 2999);
  assert.equal(currentImage(run(state, { type: "previous" })[0]).id, 2998);
});
