import assert from "node:assert/strict";
import { test } from "node:test";
import { againLines } from "../../../annotator/web/static/js/focus/again.js";
import { emptyState } from "../../../annotator/web/static/js/focus/empty.js";
import {
  cellsOf,
  currentImage,
  initialState,
  moreHere,
  rowLabel,
  rowsHere,
} from "../../../annotator/web/static/js/focus/state.js";
import { update } from "../../../annotator/web/static/js/focus/update.js";

const HOSTILE = "<img src=x onerror=alert(1)>";
const NAMES = ["person", "table", "cup", "fork", HOSTILE];
const CATEGORIES = NAMES.map((name, i) => ({ id: i + 1, name }));
const said = (category, probability, text = "with table") => ({
  category,
  name: NAMES[category - 1],
  probability,
  threshold: 0.5,
  above: probability >= 0.5,
  source: "ist",
  reasons: text ? [{ source: "ist", text }] : [],
});
const cell = (category, state, source = "focus", user = "ana") => ({
  category,
  name: NAMES[category - 1],
  state,
  source,
  user,
});
/** Everything is known; table (absent) and the hostile name (present) are contradicted. */
const image = (id, over = {}) => ({
  id,
  file_name: `${id}.jpg`,
  revision: 0,
  cells_known: 5,
  cells_total: 5,
  known: [cell(1, 1), cell(2, -1), cell(3, -1), cell(4, -1), cell(5, 1, "import", null)],
  suggestions: [],
  model_version: 1,
  again: [said(2, 0.94), said(5, 0.03, "")],
  ...over,
});
const run = (state, ...actions) =>
  actions.reduce(([s], action) => update(s, { at: 10_000, ...action }), [state, []]);
const opened = (...images) =>
  run(
    { ...initialState(), queue: "look-again" },
    { type: "started", categories: CATEGORIES, pending: [] },
    { type: "page", images, position: 1, total: images.length, asked: 1, at: 0 },
    { type: "shown", image: images[0].id, at: 1000 },
  )[0];
const sent = (effects) => effects.filter((one) => one.type === "send").map((one) => one.entry);
const texts = (state) => rowsHere(state).map((row) => againLines(row).join("; "));

test("a fully known picture is shown with its contradicted cells as rows", () => {
  const state = opened(image(1));
  assert.equal(currentImage(state).id, 1);
  assert.deepEqual(rowsHere(state).map((r) => [r.slot, r.category, r.state, r.open]), [
    [1, 2, -1, true],
    [2, 5, 1, true],
  ]);
  assert.equal(state.selected, 2);
});

test("a row tells what was decided, by whom, and what the model says against it", () => {
  assert.deepEqual(texts(opened(image(1))), [
    "marked absent by ana; the model says present 94 %, with table",
    "imported as present; the model says absent 97 %",
  ]);
  assert.match(rowLabel(rowsHere(opened(image(1)))[1]), /^<img src=x onerror=alert\(1\)>, imported/);
});

test("the same key that decides a suggestion confirms or changes", () => {
  const [confirmed, first] = run(opened(image(1)), { type: "slot", slot: 1, value: -1, key: "k" });
  assert.deepEqual(sent(first)[0].cells, [{ image: 1, category: 2, state: -1 }]);
  assert.equal(sent(first)[0].source, "look-again");
  assert.equal(confirmed.selected, 5);
  const [changed, second] = run(confirmed, { type: "decideSelected", value: -1, key: "l" });
  assert.deepEqual(sent(second)[0].cells, [{ image: 1, category: 5, state: -1 }]);
  assert.deepEqual(texts(changed), ["confirmed: absent", "present before, now absent"]);
  assert.ok(rowsHere(changed).every((row) => !row.open));
});

test("an answer given twice is sent once, and can be changed", () => {
  const [once] = run(opened(image(1)), { type: "slot", slot: 1, value: -1, key: "k" });
  assert.deepEqual(sent(run(once, { type: "slot", slot: 1, value: -1, key: "l" })[1]), []);
  const [, effects] = run(once, { type: "slot", slot: 1, value: 1, key: "l" });
  assert.equal(sent(effects)[0].source, "look-again");
});

test("the answer of the server leaves the rows as they are", () => {
  const known = image(1).known.map((one) =>
    one.category === 2 ? cell(2, -1, "look-again", "bo") : one,
  );
  const reply = { images: [image(1, { revision: 1, known, again: null })] };
  const [state] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: -1, key: "k" },
    { type: "acknowledged", key: "k", reply },
  );
  assert.deepEqual(rowsHere(state).map((r) => [r.category, r.open]), [[2, false], [5, true]]);
  assert.equal(cellsOf(state, 1).get(2).source, "look-again");
});

test("Enter goes on and touches none of them, not even one that was made unknown", () => {
  const [unknown] = run(opened(image(1), image(2)), { type: "decide", category: 2, value: 0, key: "u" });
  for (const state of [opened(image(1), image(2)), unknown]) {
    const [next, effects] = run(state, { type: "restAbsent", key: "k" });
    assert.deepEqual(sent(effects), []);
    assert.equal(currentImage(next).id, 2);
  }
});

test("Enter marks what was asked for with the key for more", () => {
  const open = image(1, { known: image(1).known.slice(1), suggestions: [said(1, 0.4)] });
  const [more] = run(opened(open, image(2)), { type: "more", at: 1100 });
  assert.deepEqual(rowsHere(more).map((row) => row.category), [2, 5, 1]);
  const [, effects] = run(more, { type: "restAbsent", key: "k" });
  assert.deepEqual(sent(effects)[0].cells, [{ image: 1, category: 1, state: -1 }]);
  assert.equal(sent(effects)[0].source, "focus");
});

test("undo asks again, with who had decided it", () => {
  const [state, effects] = run(
    opened(image(1)),
    { type: "slot", slot: 1, value: -1, key: "k" },
    { type: "undo", key: "u" },
  );
  assert.equal(sent(effects)[0].undoes, "k");
  assert.ok(rowsHere(state)[0].open);
  assert.equal(cellsOf(state, 1).get(2).user, "ana");
  assert.equal(state.selected, 2);
});

test("undo of a change goes back to its picture", () => {
  const [state] = run(
    opened(image(1), image(2)),
    { type: "slot", slot: 1, value: 1, key: "k" },
    { type: "restAbsent", key: "n" },
    { type: "undo", key: "u" },
  );
  assert.equal(currentImage(state).id, 1);
  assert.deepEqual(rowsHere(state).map((row) => row.open), [true, true]);
});

test("what somebody else decided meanwhile is not asked", () => {
  const known = image(1).known.map((one) => (one.category === 2 ? cell(2, 1, "focus", "bo") : one));
  const fresh = image(1, { revision: 1, known, again: null });
  const [state] = run(opened(image(1)), { type: "image", image: fresh });
  assert.deepEqual(rowsHere(state).map((row) => row.open), [false, true]);
});

test("a picture whose answers are on their way is not opened again", () => {
  const [answered] = run(
    opened(image(1), image(2)),
    { type: "slot", slot: 1, value: -1, key: "k" },
    { type: "slot", slot: 2, value: 1, key: "l" },
    { type: "next" },
  );
  const page = { images: [image(2), image(1)], position: 2, total: 2, asked: answered.asked };
  assert.deepEqual(run(answered, { type: "page", ...page })[0].ahead, []);
});

test("nine rows have keys, further ones follow on demand", () => {
  const all = Array.from({ length: 12 }, (_, i) => i + 1);
  const names = all.map((id) => ({ id, name: `c${id}` }));
  const many = image(1, {
    known: all.map((id) => ({ ...cell(1, -1), category: id })),
    again: all.map((id) => ({ ...said(1, 0.9), category: id, name: `c${id}` })),
  });
  let state = { ...opened(many), categories: names };
  assert.equal(rowsHere(state).length, 9);
  assert.equal(moreHere(state).length, 3);
  for (let slot = 1; slot <= 9; slot++) [state] = run(state, { type: "slot", slot, value: -1, key: `${slot}` });
  [state] = run(state, { type: "more", at: 20_000 });
  assert.deepEqual(rowsHere(state).filter((r) => r.open).map((r) => [r.slot, r.category]), [[1, 10], [2, 11], [3, 12]]);
});

test("in another queue, or opened from another page, the same picture asks nothing again", () => {
  const plain = image(1, { again: null, known: [cell(2, -1)], suggestions: [said(3, 0.8)] });
  const [asking] = run(opened(image(1)), { type: "queue", queue: "uncertain" });
  const page = { images: [plain], position: 1, total: 1, asked: asking.asked, open: true };
  const [other] = run(asking, { type: "page", ...page });
  assert.deepEqual(rowsHere(other).map((row) => row.category), [3]);
  const [visited] = run(opened(image(2), image(1)), { type: "visited", image: plain });
  assert.deepEqual(rowsHere(visited).map((row) => row.category), [3]);
});

test("the next page leaves the rows of the picture that is open", () => {
  const [answered] = run(opened(image(1)), { type: "slot", slot: 1, value: -1, key: "k" });
  const later = image(1, { revision: 1, again: [said(5, 0.03)] });
  const page = { images: [later, image(2)], position: 1, total: 2, asked: answered.asked };
  const [state] = run(answered, { type: "page", ...page });
  assert.deepEqual(rowsHere(state).map((row) => row.category), [2, 5]);
  const [, effects] = run(state, { type: "slot", slot: 1, value: 1, key: "l" });
  assert.equal(sent(effects)[0].source, "look-again");
  assert.deepEqual(state.ahead, [2]);
});

test("a new model version is asked for what it contradicts; the open picture stays", () => {
  const status = (id) => ({ model: { id, number: id }, counts: { categories: 5, images: 2 } });
  const [before] = run(opened(image(1), image(2)), { type: "status", status: status(1) });
  const [asking, effects] = run(before, { type: "status", status: status(2) });
  assert.deepEqual(effects.map((one) => [one.type, one.after]), [["fetch", null]]);
  const fresh = image(2, { model_version: 2, again: [said(5, 0.02)] });
  const page = { images: [image(1, { again: [] }), fresh], position: 1, total: 2, asked: asking.asked };
  const [state] = run(asking, { type: "page", ...page });
  assert.deepEqual(rowsHere(state).map((row) => row.category), [2, 5]);
  const [next] = run(state, { type: "next" });
  assert.deepEqual(rowsHere(next).map((row) => row.category), [5]);
});

test("an empty queue says that nothing is contradicted", () => {
  const [state] = run(
    { ...initialState(), queue: "look-again", status: { counts: { categories: 5, images: 2 } } },
    { type: "started", categories: CATEGORIES, pending: [] },
    { type: "page", images: [], position: 1, total: 0, asked: 1, at: 0 },
  );
  assert.equal(emptyState(state, { online: true }).title, "Nothing to look at again");
});
