import assert from "node:assert/strict";
import { test } from "node:test";
import {
  SETTLE_MS,
  cellsOf,
  currentImage,
  describe as described,
  initialState,
  knownHere,
  moreHere,
  rowsHere,
} from "../../../annotator/web/static/js/focus/state.js";
import { update } from "../../../annotator/web/static/js/focus/update.js";

const NAMES = ["person", "table", "cup", "fork", "car", "dog", "elephant"];
const CATEGORIES = NAMES.map((name, i) => ({ id: i + 1, name }));
const suggestion = (category, probability, above = probability > 0.7) => ({
  category,
  name: NAMES[category - 1],
  probability,
  threshold: 0.7,
  above,
  source: "ist",
  reasons: [{ source: "ist", text: "with table" }],
});
const image = (id, over = {}) => ({
  id,
  file_name: `${id}.jpg`,
  revision: 0,
  cells_known: 0,
  cells_total: 7,
  known: [],
  suggestions: [suggestion(3, 0.9), suggestion(4, 0.5), suggestion(5, 0.2)],
  model_version: 1,
  ...over,
});
const known = (category, state) => ({ category, state, source: "focus", user: "ana" });
const run = (state, ...actions) =>
  actions.reduce(([s], action) => update(s, { at: 10_000, ...action }), [state, []]);
const opened = (...images) =>
  run(
    initialState(),
    { type: "started", categories: CATEGORIES, pending: [] },
    { type: "page", images, position: 1, total: images.length, asked: 1, at: 0 },
    { type: "shown", image: images[0].id, at: 1000 },
  )[0];
const told = (state, kind) => state.notices.find((one) => one.kind === kind)?.text;
const ofType = (effects, type) => effects.filter((effect) => effect.type === type);
const types = (effects) => effects.map((effect) => effect.type);
const stateOf = (state, imageId, category) => cellsOf(state, imageId).get(category)?.state ?? 0;

test("the first page of the queue opens its first picture", () => {
  assert.equal(currentImage(opened(image(1), image(2))).id, 1);
});

test("digits name the rows from the top", () => {
  assert.deepEqual(rowsHere(opened(image(1))).map((r) => [r.slot, r.name]), [
    [1, "cup"],
    [2, "fork"],
    [3, "car"],
  ]);
});

test("a decision shows at once and is sent with its key", () => {
  const [state, effects] = run(opened(image(1)), { type: "slot", slot: 1, value: 1, key: "k" });
  assert.equal(stateOf(state, 1, 3), 1);
  const [{ entry }] = ofType(effects, "send");
  assert.deepEqual(entry.cells, [{ image: 1, category: 3, state: 1 }]);
  assert.equal(entry.key, "k");
});

test("a decided row keeps its place and its digit", () => {
  const [state] = run(opened(image(1)), { type: "slot", slot: 1, value: 1, key: "k" });
  assert.deepEqual(rowsHere(state).map((r) => [r.slot, r.state]), [[1, 1], [2, 0], [3, 0]]);
});

test("deciding the same again sends nothing", () => {
  const [state] = run(opened(image(1)), { type: "slot", slot: 1, value: 1, key: "k" });
  const [, effects] = run(state, { type: "slot", slot: 1, value: 1, key: "l" });
  assert.deepEqual(ofType(effects, "send"), []);
});

test("an acknowledged decision stays and is marked as saved", () => {
  const [state] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: 1, key: "k" },
    { type: "acknowledged", key: "k", reply: { images: [image(1, { revision: 1, known: [known(3, 1)] })] } },
  );
  assert.equal(cellsOf(state, 1).get(3).saved, true);
  assert.equal(state.pending.length, 0);
});

test("an older revision is dropped", () => {
  const [state] = run(
    opened(image(1, { revision: 5, known: [known(3, 1)] })),
    { type: "image", image: image(1, { revision: 4 }) },
  );
  assert.equal(stateOf(state, 1, 3), 1);
});

test("a reply does not undo what was decided after it", () => {
  const [state] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: 1, key: "k" },
    { type: "slot", slot: 1, value: -1, key: "l" },
    { type: "acknowledged", key: "k", reply: { images: [image(1, { revision: 1, known: [known(3, 1)] })] } },
  );
  assert.equal(stateOf(state, 1, 3), -1);
});

test("a refused decision is taken back and said", () => {
  const [state, effects] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: 1, key: "k" },
    { type: "rejected", key: "k", text: "There is no category 3." },
  );
  assert.equal(stateOf(state, 1, 3), 0);
  assert.match(told(state, "error"), /cup present.*There is no category 3/);
  assert.deepEqual(ofType(effects, "reload"), [{ type: "reload", image: 1 }]);
});

test("a refused decision cannot be undone later", () => {
  const [state] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: 1, key: "k" },
    { type: "rejected", key: "k", text: "no" },
  );
  assert.deepEqual(state.done, []);
});

test("rest absent marks what is shown, leaves the rest unknown and goes on", () => {
  const many = image(1, { suggestions: CATEGORIES.map((c) => suggestion(c.id, 0.9 - c.id / 10)) });
  const small = { ...many, suggestions: many.suggestions.slice(0, 3) };
  const [state, effects] = run(
    opened(small, image(2)),
    { type: "slot", slot: 2, value: 1, key: "a" },
    { type: "restAbsent", key: "k" },
  );
  const [{ entry }] = ofType(effects, "send");
  assert.deepEqual(entry.cells.map((c) => [c.category, c.state]), [[1, -1], [3, -1]]);
  assert.equal(stateOf(state, 1, 7), 0);
  assert.equal(currentImage(state).id, 2);
});

test("rest absent leaves rows unknown that were never on screen", () => {
  const action = { type: "restAbsent", key: "k", unseen: new Set([4]) };
  const [, effects] = run(opened(image(1), image(2)), action);
  assert.deepEqual(ofType(effects, "send")[0].entry.cells.map((c) => c.category), [3, 5]);
});

test("rest absent does nothing to a picture that is not visible yet", () => {
  const [before] = run(opened(image(1), image(2)), { type: "next" });
  const [state, effects] = run(before, { type: "restAbsent", key: "k", at: 99_999 });
  assert.deepEqual(effects, []);
  assert.equal(currentImage(state).id, 2);
});

test("rest absent does nothing to a picture that appeared a moment ago", () => {
  const before = opened(image(1), image(2));
  const [state] = run(before, { type: "restAbsent", key: "k", at: 1000 + SETTLE_MS - 1 });
  assert.equal(state.pending.length, 0);
  assert.equal(currentImage(state).id, 1);
});

test("rest absent does nothing to a picture that cannot be shown", () => {
  const [state] = run(
    opened(image(1)),
    { type: "unshowable", image: 1 },
    { type: "restAbsent", key: "k" },
  );
  assert.equal(state.pending.length, 0);
  assert.match(told(state, "error"), /nothing was marked/);
});

test("undo shows the former state at once", () => {
  const [state, effects] = run(
    opened(image(1, { known: [known(6, -1)] })),
    { type: "decide", category: 6, value: 1, key: "k" },
    { type: "undo", key: "u" },
  );
  assert.equal(stateOf(state, 1, 6), -1);
  assert.equal(ofType(effects, "send")[0].entry.undoes, "k");
});

test("undo returns to the picture it changes", () => {
  const [state] = run(
    opened(image(1), image(2)),
    { type: "restAbsent", key: "k" },
    { type: "undo", key: "u" },
  );
  assert.equal(currentImage(state).id, 1);
  assert.equal(knownHere(state).count, 0);
});

test("undo after undo takes back one further change", () => {
  const [state] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: 1, key: "a" },
    { type: "slot", slot: 2, value: 1, key: "b" },
    { type: "undo", key: "u" },
    { type: "undo", key: "v" },
  );
  assert.equal(knownHere(state).count, 0);
});

const earlier = { event: 7, text: "cup present in 9.jpg", where: "Focus", at: "2026-11-22T17:03:00Z" };

test("undo of an earlier visit is named first, then taken back where its picture is", () => {
  const [asking, effects] = run(opened(image(1)), { type: "undo", key: "u1" });
  assert.deepEqual(effects, [{ type: "lastChange" }]);
  const [named] = run(asking, { type: "lastChange", change: earlier });
  assert.match(told(named, "info"), /Press again to take back: cup present in 9.jpg \(Focus, /);
  assert.equal(named.pending.length, 0);
  const [state, more] = run(named, { type: "undo", key: "u2" });
  assert.equal(ofType(more, "send")[0].entry.event, 7);
  const reply = { images: [image(9, { revision: 3 })], summary: "Taken back: cup", left: 0 };
  const [undone] = run(state, { type: "acknowledged", key: "u2", reply });
  assert.equal(currentImage(undone).id, 9);
  assert.equal(told(undone, "info"), "Taken back: cup");
});

test("an offer to take back something older goes with the next decision or picture", () => {
  const [named] = run(
    opened(image(1), image(2)),
    { type: "undo", key: "u1" },
    { type: "lastChange", change: earlier },
  );
  for (const action of [{ type: "slot", slot: 1, value: 1, key: "k" }, { type: "next" }]) {
    const [state] = run(named, action);
    assert.equal(told(state, "info"), undefined);
  }
  const [moved] = run(named, { type: "next" });
  assert.deepEqual(run(moved, { type: "undo", key: "u2" })[1], [{ type: "lastChange" }]);
});

test("what was left unsent, or was done on a page before this one was open, is of this visit", () => {
  const history = [{ key: "s", text: "dog: 58 present", page: "Sweep" }];
  const [state] = run(initialState(), { type: "started", categories: CATEGORIES, pending: [], history });
  const [undone, effects] = run(state, { type: "undo", key: "u" });
  assert.equal(ofType(effects, "send")[0].entry.undoes, "s");
  assert.equal(told(undone, "info"), "Taken back: dog: 58 present (Sweep)");
});

test("numbers of a reply are taken over in place", () => {
  const reply = image(1, {
    revision: 1,
    known: [known(3, 1)],
    suggestions: [suggestion(5, 0.65, false), suggestion(4, 0.4)],
  });
  const [state] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: 1, key: "k" },
    { type: "acknowledged", key: "k", reply: { images: [reply] } },
  );
  assert.deepEqual(rowsHere(state).map((r) => [r.name, r.probability]), [
    ["cup", 0.9],
    ["fork", 0.4],
    ["car", 0.65],
  ]);
});

const risen = () => {
  const reply = image(1, { revision: 1, known: [known(3, 1)], suggestions: [suggestion(6, 0.8)] });
  return run(
    opened(image(1)),
    { type: "slot", slot: 1, value: 1, key: "k" },
    { type: "acknowledged", key: "k", reply: { images: [reply] }, at: 20_000 },
  )[0];
};

test("a category that rose above its threshold takes the digit of a decided row", () => {
  assert.deepEqual(rowsHere(risen()).map((r) => [r.name, r.slot]), [
    ["cup", null],
    ["fork", 2],
    ["car", 3],
    ["dog", 1],
  ]);
});

test("a row that has just appeared does not take a key press meant for another", () => {
  const [state] = run(risen(), { type: "slot", slot: 1, value: 1, key: "l", at: 20_100 });
  assert.equal(stateOf(state, 1, 6), 0);
});

test("a row that has just appeared is left out of rest absent", () => {
  const [, effects] = run(risen(), { type: "restAbsent", key: "l", at: 20_100 });
  const [{ entry }] = ofType(effects, "send");
  assert.deepEqual(entry.cells.map((c) => c.category), [4, 5]);
});

test("a new model version leaves the open picture alone and says so", () => {
  const status = (id) => ({ model: { id, number: id }, counts: { images: 2, categories: 7 } });
  const [before] = run(opened(image(1), image(2)), { type: "status", status: status(1) });
  const [state, effects] = run(before, { type: "status", status: status(2) });
  assert.deepEqual(rowsHere(state), rowsHere(before));
  assert.deepEqual(ofType(effects, "refresh"), [{ type: "refresh", images: [2] }]);
  assert.match(told(state, "model"), /Model 2/);
});

test("numbers of another model version do not reach an open list", () => {
  const reply = image(1, { revision: 1, model_version: 2, suggestions: [suggestion(4, 0.99)] });
  const [state] = run(opened(image(1)), { type: "image", image: reply });
  assert.equal(rowsHere(state)[1].probability, 0.5);
});

test("an empty page looks again when pictures or categories are added", () => {
  const counts = { images: 0, categories: 0 };
  const [empty] = run(
    initialState(),
    { type: "status", status: { model: null, counts } },
    { type: "started", categories: [], pending: [] },
    { type: "page", images: [], position: 1, total: 0, asked: 1 },
  );
  for (const change of [{ images: 3 }, { categories: 2 }]) {
    const status = { model: null, counts: { ...counts, ...change } };
    const [, effects] = run(empty, { type: "status", status });
    assert.equal(ofType(effects, "fetch").length, 1);
  }
});

test("categories that arrive after the first picture are listed at once", () => {
  const bare = image(1, { suggestions: [], model_version: null });
  const [before] = run(
    initialState(),
    { type: "started", categories: [], pending: [] },
    { type: "page", images: [bare], position: 1, total: 1, asked: 1 },
  );
  assert.deepEqual(rowsHere(before), []);
  const [state] = run(before, { type: "categories", categories: CATEGORIES });
  assert.deepEqual(rowsHere(state).map((r) => r.name), NAMES);
});

test("categories that are added later leave an open list alone", () => {
  const before = opened(image(1));
  const [state] = run(before, { type: "categories", categories: [...CATEGORIES, { id: 8, name: "x" }] });
  assert.deepEqual(rowsHere(state), rowsHere(before));
});

test("the next picture uses the new version", () => {
  const fresh = image(2, { model_version: 2, suggestions: [suggestion(6, 0.6)] });
  const [state] = run(
    opened(image(1), image(2)),
    { type: "refreshed", images: [fresh] },
    { type: "next" },
  );
  assert.deepEqual(rowsHere(state).map((r) => r.name), ["dog"]);
});

test("a picture that was opened from elsewhere is left like any other when the queue hands it out", () => {
  const [visited] = run(opened(image(1), image(2), image(3)), { type: "visited", image: image(2) });
  const [back] = run(visited, { type: "next" });
  assert.equal(currentImage(back).id, 1);
  const [state] = run(back, { type: "next" });
  assert.equal(currentImage(state).id, 2);
  const [, effects] = run(state, { type: "next" });
  assert.equal(ofType(effects, "fetch")[0].after, 2);
});

test("a guest that is the next of the queue is not shown twice in a row", () => {
  const [visited] = run(opened(image(1), image(2), image(3)), { type: "next" }, { type: "visited", image: image(3) });
  const at = { ...visited, trail: [1, 3], cursor: 1, ahead: [3] };
  assert.notEqual(currentImage(run(at, { type: "next" })[0])?.id, 3);
});

test("space goes on without deciding, left goes back", () => {
  const [there] = run(opened(image(1), image(2)), { type: "next" });
  assert.equal(currentImage(there).id, 2);
  assert.equal(there.pending.length, 0);
  assert.equal(currentImage(run(there, { type: "previous" })[0]).id, 1);
});

test("each step forward tells the queue which picture was left", () => {
  const [, effects] = run(opened(image(1), image(2), image(3)), { type: "next" });
  assert.deepEqual(ofType(effects, "fetch"), [
    { type: "fetch", after: 1, count: 6, asked: 2, open: false },
  ]);
});

test("the answer of the queue replaces what was fetched ahead, the open picture left out", () => {
  const [there] = run(opened(image(1), image(2)), { type: "next" });
  const [state] = run(there, {
    type: "page",
    images: [image(2), image(3), image(4)],
    position: 2,
    total: 9,
    asked: 2,
  });
  assert.deepEqual(state.ahead, [3, 4]);
  assert.equal(state.positions.get(3), 3);
});

test("an answer of the queue to an earlier step is dropped", () => {
  const [there] = run(opened(image(1), image(2), image(3)), { type: "next" }, { type: "next" });
  const page = { type: "page", images: [image(2), image(3)], position: 2, total: 9, asked: 2 };
  const [state] = run(there, page);
  assert.deepEqual(state.ahead, []);
});

test("a step forward from an earlier picture goes where one has been", () => {
  const [state, effects] = run(
    opened(image(1), image(2)),
    { type: "next" },
    { type: "previous" },
    { type: "next" },
  );
  assert.equal(currentImage(state).id, 2);
  assert.deepEqual(ofType(effects, "fetch"), []);
});

test("a queue without more pictures ends and can be left backwards", () => {
  const [waiting] = run(opened(image(1)), { type: "next" });
  const [state] = run(waiting, { type: "page", images: [], position: 2, total: 0, asked: 2 });
  assert.equal(currentImage(state), null);
  assert.equal(state.ended, true);
  assert.equal(currentImage(run(state, { type: "previous" })[0]).id, 1);
});

test("a picture that is done is not opened again because the server does not know yet", () => {
  const [decided] = run(
    opened(image(1, { cells_total: 3 })),
    { type: "restAbsent", key: "k" },
    { type: "page", images: [image(1, { cells_total: 3 })], position: 2, total: 1, asked: 2 },
  );
  assert.equal(currentImage(decided), null);
  assert.equal(decided.ended, true);
  const reply = { images: [image(1, { revision: 1, known: [known(3, -1), known(4, -1)] })] };
  const [, effects] = run(decided, { type: "acknowledged", key: "k", reply });
  assert.equal(ofType(effects, "fetch").length, 1);
});

test("a picture that comes while one waits for it opens", () => {
  const [waiting] = run(opened(image(1)), { type: "next" });
  const [state] = run(waiting, {
    type: "page",
    images: [image(5)],
    position: 2,
    total: 3,
    asked: 2,
  });
  assert.equal(currentImage(state).id, 5);
});

test("another queue that has nothing shows no picture of the one before", () => {
  const [asking, [{ asked }]] = run(opened(image(1), image(2)), { type: "queue", queue: "audit" });
  const [state] = run(asking, { type: "page", images: [], position: 0, total: 0, blind: true, asked, open: true });
  assert.equal(currentImage(state), null);
  assert.equal(state.ended, true);
  const [after, effects] = run(state, { type: "restAbsent", key: "k" });
  assert.deepEqual(ofType(effects, "send"), []);
  assert.equal(currentImage(run(after, { type: "previous" })[0]).id, 1);
});

test("another queue opens its first picture", () => {
  const [asking, effects] = run(opened(image(1), image(2)), { type: "queue", queue: "random" });
  assert.deepEqual(ofType(effects, "fetch")[0].open, true);
  const page = { type: "page", images: [image(7)], position: 1, total: 3, asked: 2, open: true };
  assert.equal(currentImage(run(asking, page)[0]).id, 7);
});

test("a letter that is a command is typed when another follows quickly", () => {
  const [state] = run(
    opened(image(1)),
    { type: "why", letter: "e", at: 5000 },
    { type: "type", text: "l", at: 5200 },
  );
  assert.equal(state.why, true);
  assert.equal(state.typing.text, "el");
});

test("two commands' letters in quick succession begin a word", () => {
  const [state] = run(
    opened(image(1)),
    { type: "zoom", letter: "z", at: 5000 },
    { type: "why", letter: "e", at: 5200 },
    { type: "typed", text: "zeb" },
  );
  assert.equal(state.zoom, false);
  assert.equal(state.why, true);
  assert.equal(state.typing.text, "zeb");
});

test("the same command twice is that command twice", () => {
  const [state] = run(
    opened(image(1)),
    { type: "zoom", letter: "z", at: 5000 },
    { type: "zoom", letter: "z", at: 5200 },
  );
  assert.equal(state.zoom, false);
  assert.equal(state.typing, null);
});

test("two commands one after the other are both carried out", () => {
  const [state] = run(
    opened(image(1)),
    { type: "zoom", letter: "z", at: 5000 },
    { type: "attention", letter: "a", at: 5600 },
  );
  assert.equal(state.zoom, true);
  assert.equal(state.attention, true);
});

test("the map over one picture does not lie over the next, and no letter brings it back", () => {
  const [state] = run(
    opened(image(1), image(2)),
    { type: "attention", letter: "a", at: 5000 },
    { type: "next", at: 5100 },
    { type: "type", text: "l", at: 5200 },
  );
  assert.equal(state.trail[state.cursor], 2);
  assert.equal(state.attention, false);
  assert.equal(state.typing.text, "l");
});

test("a letter long after a command begins a new word", () => {
  const [state] = run(
    opened(image(1)),
    { type: "why", letter: "e", at: 5000 },
    { type: "type", text: "l", at: 9000 },
  );
  assert.equal(state.why, false);
  assert.equal(state.typing.text, "l");
});

test("a typed category is decided and remembered", () => {
  const [state] = run(
    opened(image(1)),
    { type: "type", text: "d" },
    { type: "choose", category: 6, value: -1, key: "k" },
  );
  assert.equal(stateOf(state, 1, 6), -1);
  assert.equal(state.typing, null);
  assert.equal(state.uses.get(6), 1);
});

test("more suggestions come below, the first ones keep their digits", () => {
  const all = CATEGORIES.map((c) => suggestion(c.id, 0.9 - c.id / 10));
  const start = opened(image(1));
  const list = { rows: all.slice(0, 3).map((s, i) => ({ ...s, slot: i + 1, since: 0 })), model: 1 };
  const state = {
    ...start,
    images: new Map([[1, image(1, { suggestions: all })]]),
    lists: new Map([[1, list]]),
  };
  assert.equal(moreHere(state).length, 4);
  const [grown] = run(state, { type: "more" });
  assert.deepEqual(rowsHere(grown).map((r) => r.slot), [1, 2, 3, 4, 5, 6, 7]);
});

test("while nothing is known the categories come in their own order", () => {
  const state = opened(image(1, { suggestions: [], model_version: null }));
  assert.deepEqual(rowsHere(state).map((r) => r.name), NAMES);
  assert.equal(rowsHere(state)[0].probability, null);
});

test("what an earlier page left unsent is shown as decided", () => {
  const pending = [{ key: "old", kind: "decide", cells: [{ image: 1, category: 5, state: 1 }] }];
  const [state] = run(
    initialState(),
    { type: "started", categories: CATEGORIES, pending },
    { type: "page", images: [image(1)], position: 1, total: 1, asked: 1 },
  );
  assert.equal(stateOf(state, 1, 5), 1);
});

test("the reasons of the selected cell are asked for once per revision", () => {
  const [state, effects] = run(opened(image(1)), { type: "select", category: 4 });
  assert.deepEqual(effects, [{ type: "evidence", image: 1, category: 4, model: 1 }]);
  const [here] = run(state, {
    type: "evidence",
    image: 1,
    category: 4,
    evidence: { revision: 0, model: 1 },
  });
  assert.deepEqual(run(here, { type: "select", category: 4 })[1], []);
});

test("reasons are asked for when the decision before them is answered", () => {
  const [state, effects] = run(opened(image(1)), { type: "slot", slot: 1, value: 1, key: "k" });
  assert.deepEqual(types(effects), ["send"]);
  const reply = { images: [image(1, { revision: 1, known: [known(3, 1)] })] };
  const [, more] = run(state, { type: "acknowledged", key: "k", reply });
  assert.deepEqual(ofType(more, "evidence"), [{ type: "evidence", image: 1, category: 4, model: 1 }]);
});

test("reasons are asked for when the decision before them is refused", () => {
  const [state] = run(opened(image(1)), { type: "slot", slot: 1, value: 1, key: "k" });
  const [, effects] = run(state, { type: "rejected", key: "k", text: "no" });
  assert.equal(ofType(effects, "evidence").length, 1);
});

test("a change is described by its names", () => {
  const cells = [3, 4, 5, 6].map((category) => ({ image: 1, category, state: -1 }));
  assert.equal(described({ categories: CATEGORIES }, cells), "4 absent: cup, fork, car, …");
});

test("a picture from another page opens before the open one, and the way forward leads back", () => {
  const [state, effects] = run(opened(image(1), image(2)), { type: "visited", image: image(9) });
  assert.equal(currentImage(state).id, 9);
  assert.deepEqual(ofType(effects, "fetch"), []);
  const [back, more] = run(state, { type: "next" });
  assert.equal(currentImage(back).id, 1);
  assert.deepEqual(ofType(more, "fetch"), []);
});

test("a picture from another page never counts as passed in the queue", () => {
  const nothing = initialState();
  const [state] = run(
    nothing,
    { type: "visited", image: image(9) },
    { type: "started", categories: CATEGORIES, pending: [] },
    { type: "page", images: [image(1), image(2)], position: 1, total: 2, asked: 1 },
  );
  const [, effects] = run(state, { type: "next" });
  assert.equal(ofType(effects, "fetch")[0].after, null);
});

const sweep = (key, image) => ({
  key,
  kind: "decide",
  source: "sweep",
  text: "60 cups on Sweep",
  cells: [{ image, category: 3, state: 1 }],
});

test("a change from another page shows at once and is what undo takes back next", () => {
  const [state] = run(opened(image(1)), { type: "slot", slot: 2, value: 1, key: "k" });
  const [swept] = run(state, { type: "sent", entry: sweep("s", 1) });
  assert.equal(stateOf(swept, 1, 3), 1);
  const [undone, effects] = run(swept, { type: "undo", key: "u" });
  assert.equal(ofType(effects, "send")[0].entry.undoes, "s");
  assert.match(told(undone, "info"), /60 cups on Sweep/);
  assert.equal(undone.done.at(-1).key, "k");
});

test("an undo on another page takes its change off the list of this one", () => {
  const [state] = run(
    opened(image(1)),
    { type: "sent", entry: sweep("s", 1) },
    { type: "sent", entry: { key: "u", kind: "undo", undoes: "s" } },
  );
  assert.deepEqual(state.done, []);
});

test("pictures that a large change from another page touched are asked for again", () => {
  const [state] = run(opened(image(1), image(2)), { type: "sent", entry: sweep("s", 1) });
  const [, effects] = run(state, { type: "acknowledged", key: "s", reply: { images: [] } });
  assert.deepEqual(ofType(effects, "reload"), [{ type: "reload", image: 1 }]);
});

test("an undo from another page does no harm before this page has made a change", () => {
  const entry = { key: "u1", kind: "undo", undoes: null };
  const began = (pending) =>
    run(
      initialState(),
      { type: "started", categories: CATEGORIES, pending },
      { type: "page", images: [image(1)], position: 1, total: 1, asked: 1 },
    )[0];
  const outbox = []; // the session keeps this list and goes on filling it
  const state = began(outbox);
  outbox.push(entry);
  assert.equal(knownHere(update(state, { type: "sent", entry })[0]).count, 0);
  assert.equal(knownHere(began([entry])).count, 0, "left unsent when the page was closed");
});
