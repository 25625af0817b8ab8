import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, inWords, toWhere } from "../../../annotator/web/static/js/browse/filter.js";
import { namesOf } from "../../../annotator/web/static/js/browse/head.js";
import { commandOf } from "../../../annotator/web/static/js/browse/keys.js";
import { layoutOf, moved, rowsInSight, scrollTo } from "../../../annotator/web/static/js/browse/layout.js";
import * as selection from "../../../annotator/web/static/js/browse/selection.js";
import {
  bulkWords,
  cellsOf,
  chosen,
  initialState,
  listWanted,
  noticesOf,
  outcome,
  update,
} from "../../../annotator/web/static/js/browse/state.js";
import { Windows } from "../../../annotator/web/static/js/browse/windows.js";

const CATEGORIES = [
  { id: 3, name: "cup" },
  { id: 5, name: "fork" },
];
const NAMES = {
  category: (id) => CATEGORIES.find((c) => c.id === id).name,
  user: (id) => `user ${id}`,
  source: (source) => source.toUpperCase(),
};
const LIST = { name: "l1", total: 10, of: 12, event: 4, model_version: null };
const run = (state, ...actions) =>
  actions.reduce(([s], action) => update(s, { key: "k", ...action }), [state, []]);
const started = () =>
  run(
    initialState(),
    { type: "started", categories: CATEGORIES, kept: null },
    { type: "searched", asked: 1, list: LIST, place: null },
  )[0];
const ofType = (effects, type) => effects.filter((effect) => effect.type === type);
const press = (key, view = "grid", more = {}) => commandOf({ key, ...more }, view);

// -- selection ---------------------------------------------------------------------------------

test("a selection is what toggling and adding ranges one by one gives", () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % n;
  for (let round = 0; round < 200; round++) {
    let ranges = selection.NONE;
    const plain = new Set();
    for (let step = 0; step < 12; step++) {
      const [a, b] = [random(15), random(15)];
      if (random(2)) {
        ranges = selection.withRange(ranges, a, b);
        for (let i = Math.min(a, b); i <= Math.max(a, b); i++) plain.add(i);
      } else {
        ranges = selection.toggled(ranges, a);
        if (!plain.delete(a)) plain.add(a);
      }
    }
    const listed = Array.from({ length: 15 }, (_, i) => i).filter((i) => selection.has(ranges, i));
    assert.deepEqual(listed, [...plain].sort((x, y) => x - y));
    assert.equal(selection.count(ranges), plain.size);
    for (let i = 1; i < ranges.length; i++) assert.ok(ranges[i - 1][1] < ranges[i][0]);
  }
});

test("all of a long list is one range", () => {
  const [state] = run({ ...started(), list: { ...LIST, total: 118_000 } }, { type: "selectAll" });
  assert.deepEqual(chosen(state), { ranges: [[0, 118_000]], whole: true });
});

test("changing a selection of all makes it one of single pictures", () => {
  const [state] = run(started(), { type: "selectAll" }, { type: "click", place: 3, add: true });
  assert.deepEqual(chosen(state), { ranges: [[0, 3], [4, 10]], whole: false });
});

test("shift selects from where the last click was", () => {
  const [state] = run(
    started(),
    { type: "click", place: 2 },
    { type: "click", place: 6, extend: true },
    { type: "move", to: 4, extend: true },
  );
  assert.deepEqual(state.selected, [[2, 5]]);
});

test("without a selection the picture under the cursor is decided", () => {
  const [state] = run(started(), { type: "move", to: 7 });
  assert.deepEqual(chosen(state), { ranges: [[7, 8]], whole: false });
});

// -- where tiles stand -------------------------------------------------------------------------

test("only the rows in sight and a few around them exist", () => {
  const layout = layoutOf({ width: 1320, total: 118_000, size: "medium" });
  assert.equal(layout.columns, 7);
  assert.equal(layout.rows, Math.ceil(118_000 / 7));
  const [first, after] = rowsInSight(layout, { top: 1_000_000, height: 700 });
  assert.ok(after - first < 10);
  assert.ok(first * layout.rowHeight <= 1_000_000 && after * layout.rowHeight >= 1_000_700);
});

test("a narrow page has one column", () => {
  assert.equal(layoutOf({ width: 60, total: 3, size: "large" }).columns, 1);
});

test("arrows stay inside the list, also where its last row is short", () => {
  const grid = { columns: 4, total: 10, page: 2 };
  assert.equal(moved(3, "ArrowRight", grid), 4);
  assert.equal(moved(0, "ArrowLeft", grid), 0);
  assert.equal(moved(7, "ArrowDown", grid), 9);
  assert.equal(moved(9, "ArrowDown", grid), 9);
  assert.equal(moved(2, "ArrowUp", grid), 2);
  assert.equal(moved(6, "Home", grid), 4);
  assert.equal(moved(9, "End", grid), 9);
  assert.equal(moved(9, "PageUp", grid), 1);
  assert.equal(moved(1, "Last", grid), 9);
});

test("a tile out of sight is scrolled to, one in sight is not", () => {
  const layout = layoutOf({ width: 700, total: 100, size: "medium" });
  const view = { top: 300, height: 500 };
  assert.equal(scrollTo(layout, 0, view), 0);
  const middle = layout.columns * 2;
  assert.equal(scrollTo(layout, middle, { top: layout.rowHeight * 2, height: 500 }), layout.rowHeight * 2);
});

// -- filters -----------------------------------------------------------------------------------

test("one condition is sent as it is, several under all or any, a negated one under not", () => {
  const label = { kind: "label", category: 3, states: ["unknown"] };
  const name = { kind: "name", text: "a", not: true };
  assert.equal(toWhere({ match: "all", conditions: [] }), null);
  assert.deepEqual(toWhere({ match: "any", conditions: [label] }), label);
  assert.deepEqual(toWhere({ match: "any", conditions: [label, name] }), {
    kind: "any",
    of: [label, { kind: "not", of: { kind: "name", text: "a" } }],
  });
});

test("days are whole local days", () => {
  const added = { kind: "added", from: "2026-03-01", to: "2026-03-01" };
  const { since, until } = toWhere({ match: "all", conditions: [added] });
  assert.equal(since, new Date(2026, 2, 1).toISOString());
  assert.equal(until, new Date(2026, 2, 2).toISOString());
});

test("a filter outlives its address", () => {
  const kept = {
    filter: { match: "any", conditions: [{ kind: "score", category: 3, least: 0.4, most: 0.6 }] },
    sort: { by: "name", descending: true, category: null, image: null },
    show: 3,
    size: "large",
  };
  assert.deepEqual(decode(encode(kept)), kept);
});

test("an address that somebody has written by hand does no harm", () => {
  for (const text of ["", "null", "{", "[]", '{"where": 5}']) assert.equal(decode(text), null);
  const odd = [{ kind: "constructor" }, { kind: "label" }, null, { kind: "name", text: 5 }];
  assert.deepEqual(decode(JSON.stringify({ where: odd })).filter.conditions, []);
});

test("conditions are told in plain words", () => {
  const words = (condition) => inWords(condition, NAMES);
  assert.equal(words({ kind: "label", category: 3, states: ["present", "unknown"] }), "cup present or unknown");
  assert.equal(words({ kind: "known", least: 0, most: 0 }), "untouched");
  assert.equal(words({ kind: "known", least: 3, most: null, not: true }), "not: 3 or more known cells");
  assert.equal(words({ kind: "score", category: 5, least: 0.4, most: 0.6 }), "fork 40 % to 60 % likely");
  assert.equal(words({ kind: "decided", users: [2], sources: ["sweep"] }), "decided by user 2 on SWEEP");
});

test("a filter that is changed asks for a new list and shows the category it speaks of", () => {
  const condition = { kind: "label", category: 5, states: ["unknown"] };
  const [state, effects] = run(started(), { type: "condition", index: -1, condition });
  assert.equal(state.show, 5);
  assert.equal(ofType(effects, "search").length, 1);
});

test("looking for a category lists the pictures in which nobody has decided it", () => {
  const elsewhere = { ...started(), view: "groups", sort: { by: "known", descending: true } };
  const [state, effects] = run(elsewhere, { type: "find", category: 5 });
  assert.deepEqual(listWanted(state), {
    where: { kind: "label", category: 5, states: ["unknown"] },
    sort: { by: "added", descending: false, category: null, image: null },
  });
  assert.deepEqual([state.view, state.show], ["grid", 5]);
  assert.match(state.notices[0].text, /P says that they show fork/);
  assert.equal(ofType(effects, "search").length, 1);
});

test("an answer to an earlier search is dropped", () => {
  const [state] = run(started(), { type: "refresh" }, { type: "refresh" });
  const [after] = run(state, { type: "searched", asked: 2, list: { ...LIST, total: 99 }, place: null });
  assert.equal(after.list, state.list);
});

test("the list stays while its filter finds something else, and says so", () => {
  const state = started();
  const [told] = run(state, { type: "rechecked", list: state.list, now: { total: 8, same: false } });
  assert.equal(told.list, state.list);
  assert.equal(told.newer, 8);
});

// -- deciding many -----------------------------------------------------------------------------

test("what confirming would do is told in cells", () => {
  const counted = { images: 60, present: 10, absent: 20, unknown: 30, check: "c" };
  const now = (value, overwrite) => outcome({ value, overwrite, counted });
  assert.deepEqual(now(1, false), { added: 30, overwritten: 0, same: 10, kept: 20, other: 20 });
  assert.deepEqual(now(1, true), { added: 30, overwritten: 20, same: 10, kept: 0, other: 20 });
  assert.deepEqual(now(0, false), { added: 0, overwritten: 30, same: 30, kept: 0 });
});

test("nothing is sent before it was counted", () => {
  const [open, effects] = run(started(), { type: "selectAll" }, { type: "bulkOpen", value: 1 });
  assert.equal(ofType(effects, "count").length, 1);
  assert.deepEqual(run(open, { type: "bulkConfirm" })[1], []);
  const counted = { images: 10, present: 0, absent: 0, unknown: 10, check: "c" };
  const [, sent] = run(open, { type: "bulkCounted", counted }, { type: "bulkConfirm", key: "b" });
  assert.deepEqual(sent, [{ type: "decideAll", key: "b" }]);
});

test("a refusal because something changed counts anew", () => {
  const [open] = run(started(), { type: "bulkOpen", value: 1 });
  const [state, effects] = run(open, { type: "bulkFailed", text: "changed", recount: true });
  assert.equal(state.bulk.problem, "changed");
  assert.deepEqual(effects, [{ type: "count" }]);
});

test("a notice never takes the place of one of another kind", () => {
  const entry = { key: "b", kind: "decide", source: "browse", cells: [] };
  const [state] = run(
    started(),
    { type: "bulkOpen", value: 1 },
    { type: "bulkDone", text: "cup present", result: { added: 2, overwritten: 0, kept: 0 } },
    { type: "refused", entry, text: "Not saved" },
    { type: "rechecked", list: LIST, now: { same: false, total: 8 } },
  );
  const told = noticesOf(state);
  assert.deepEqual(told.map((one) => [one.kind, Boolean(one.undo)]), [["error", false], ["others", false], ["info", true]]);
  assert.match(told[1].text, /finds 8 pictures now/);
  assert.deepEqual(noticesOf({ ...state, view: "groups" }).map((one) => one.kind), ["error", "info"]);
});

test("what became of a bulk decision is said", () => {
  const result = { added: 1204, overwritten: 37, kept: 0 };
  assert.equal(bulkWords("cup present", result), "cup present: 1,204 cells set, 37 known cells changed.");
});

test("undo takes the newest change of this person, wherever it was made", () => {
  const entry = { key: "s", kind: "decide", source: "sweep", cells: [] };
  const [, effects] = run(started(), { type: "sent", entry }, { type: "undo", key: "u" });
  assert.deepEqual(ofType(effects, "send"), [
    { type: "send", entry: { key: "u", kind: "undo", source: "browse", undoes: "s", event: null } },
  ]);
});

test("the Undo beside a bulk change goes once something else is decided", () => {
  const done = { type: "bulkDone", result: { added: 3, overwritten: 0, kept: 0 }, text: "cup present" };
  const bulk = run(started(), { type: "sent", entry: { key: "b", kind: "decide" } }, done)[0];
  assert.deepEqual(bulk.notices.map((one) => one.undo), [true]);
  const later = run(bulk, { type: "sent", entry: { key: "c", kind: "decide" } })[0];
  assert.deepEqual(later.notices.map((one) => one.undo), [false]);
});

test("undo of what was done before this visit is named first", () => {
  const change = { event: 7, text: "dog: 58 present", where: "Sweep", at: "2026-11-22T17:03:00Z" };
  const [asking, effects] = run(started(), { type: "undo", key: "u1" });
  assert.deepEqual(effects, [{ type: "lastChange" }]);
  const [told] = run(asking, { type: "lastChange", change });
  assert.match(told.notices[0].text, /Press again to take back: dog: 58 present \(Sweep, /);
  const [, more] = run(told, { type: "undo", key: "u2" });
  assert.equal(ofType(more, "send")[0].entry.event, 7);
  const [closed] = run(told, { type: "dismiss", kind: "info" });
  assert.deepEqual(run(closed, { type: "undo", key: "u3" })[1], [{ type: "lastChange" }]);
});

test("a cell on its way lies over what the server has told", () => {
  const image = { id: 1, known: [{ category: 3, state: 1, source: "focus", user: "ana" }] };
  const pending = [{ cells: [{ image: 1, category: 3, state: 0 }, { image: 1, category: 5, state: -1 }] }];
  const cells = cellsOf(image, pending);
  assert.deepEqual([...cells.keys()], [5]);
  assert.equal(cells.get(5).saved, false);
});

// -- keys --------------------------------------------------------------------------------------

test("keys mean what the card of keys says", () => {
  assert.deepEqual(press("ArrowDown", "grid", { shiftKey: true }), {
    command: "move",
    key: "ArrowDown",
    extend: true,
  });
  assert.deepEqual(press("a", "grid", { ctrlKey: true }), { command: "selectAll" });
  assert.deepEqual(press("a"), { command: "absent" });
  assert.deepEqual(press("ArrowLeft", "picture"), { command: "previous" });
  assert.deepEqual(press("?", "grid", { shiftKey: true }), { command: "help" });
  assert.equal(press("c", "grid", { ctrlKey: true }), null);
  assert.deepEqual(press("p", "grid", { repeat: true }), { command: "ignore" });
});

// -- windows -----------------------------------------------------------------------------------

test("what is in sight is fetched once, and again when it may have changed", async () => {
  const asked = [];
  const windows = new Windows({ fetch: async (start) => Boolean(asked.push(start)), wait: async () => {} });
  await windows.need(0, 130);
  await windows.need(10, 140);
  assert.deepEqual(asked, [0, 120]);
  await windows.changed();
  assert.deepEqual(asked, [0, 120, 0, 120]);
});

test("places that are scrolled past are not fetched", async () => {
  const asked = [];
  let settle = null;
  const wait = () => new Promise((resolve) => (settle = resolve));
  const windows = new Windows({ fetch: async (start) => Boolean(asked.push(start)), wait });
  void windows.need(5000, 5100);
  const before = settle;
  const last = windows.need(90_000, 90_020);
  settle();
  await last;
  before();
  await new Promise((resolve) => setTimeout(resolve));
  assert.ok(asked.every((start) => start >= 89_000));
});

test("a source is told in the server's words, one without any as it is", () => {
  const choices = { users: [], source_words: { contract: "Automatic, under a contract" } };
  const { source } = namesOf({ categories: [], choices });
  assert.deepEqual(["contract", "constructor", ""].map(source), ["Automatic, under a contract", "constructor", ""]);
});

test("a picture that is opened before its tile has come opens when it comes", () => {
  const state = run(started(), { type: "move", to: 1 }, { type: "open", place: 1 })[0];
  assert.equal(state.view, "grid");
  const came = { type: "window", list: LIST, start: 0, pictures: [{ image: 7 }, { image: 8 }], event: 4 };
  const [opened, effects] = run(state, came);
  assert.deepEqual([opened.view, opened.picture.id], ["picture", 8]);
  assert.deepEqual(ofType(effects, "load"), [{ type: "load", image: 8 }]);
  assert.equal(run(state, { type: "move", to: 0 }, came)[0].view, "grid", "gone on meanwhile");
  assert.equal(run(started(), { type: "open", place: 10 }, came)[0].view, "grid", "not in the list");
});
