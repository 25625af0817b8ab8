import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyState } from "../../../annotator/web/static/js/sweep/empty.js";
import { commandOf } from "../../../annotator/web/static/js/sweep/keys.js";
import { SETTLE_MS } from "../../../annotator/web/static/js/sweep/pages.js";
import {
  countsOf,
  countsText,
  initialState,
  shareText,
  tileLabel,
} from "../../../annotator/web/static/js/sweep/state.js";
import { update } from "../../../annotator/web/static/js/sweep/update.js";

const CUP = 3;
const TABLE = 4;
const SHARE = { right: 96, total: 100, low: 0.9007, high: 0.989 };
const one = (id, name, over = {}) => ({
  id,
  name,
  unknown: 100,
  present: 40,
  absent: 60,
  share: SHARE,
  verdict: "good",
  waits_for: "",
  ...over,
});
const LIST = { categories: [one(CUP, "cup"), one(TABLE, "table")], model_version: 7, minimum: 0.95 };
const tiles = (from, count = 6, suggested = 1) =>
  Array.from({ length: count }, (_, i) => ({
    image: from + i,
    file_name: `${from + i}.jpg`,
    probability: 0.93 - i / 100,
    suggested,
  }));
const page = (from, over = {}) => ({
  category: CUP,
  name: "cup",
  side: "present",
  model_version: 7,
  threshold: 0.5,
  tiles: tiles(from),
  present: 40,
  absent: 60,
  elsewhere: 0,
  waits_for: "",
  ...over,
});
const run = (state, ...actions) => {
  let effects = [];
  for (const action of actions) {
    const [next, more] = update(state, { key: "k", at: 10_000, ...action });
    state = next;
    effects = [...effects, ...more];
  }
  return [state, effects];
};
const status = (version = 7) => ({
  model: version && { id: version, number: version },
  counts: { images: 100, categories: 2 },
});
const listed = (list = LIST) =>
  run(
    initialState(),
    { type: "status", status: status(list.model_version) },
    { type: "started" },
    { type: "visible", visible: true },
    { type: "list", list, side: "present", resort: true },
  )[0];
const opened = (first = page(1)) =>
  run(
    listed(),
    { type: "choose", category: CUP },
    { type: "page", page: first, asked: 1 },
    { type: "shown", at: 0 },
  )[0];
const told = (state, kind) => state.notices.find((one) => one.kind === kind)?.text;
const ofType = (effects, type) => effects.filter((effect) => effect.type === type);
const states = (state) => state.page.tiles.map((tile) => tile.state);
const accepted = (state, key = "p1") => run(state, { type: "accept", key });
const sent = (effects) => ofType(effects, "send").map((effect) => effect.entry);

test("Enter begins with the first category where none was chosen, and not before the list is here", () => {
  const [state, effects] = run(listed(), { type: "accept" });
  assert.equal(state.category, CUP);
  assert.equal(ofType(effects, "fetch").length, 1);
  assert.match(emptyState(listed(), { online: true }).text, /Enter begins\.$/);
  assert.equal(run(initialState(), { type: "accept" })[0].category, null);
});

test("nothing is asked for before the page is on screen", () => {
  const [state, effects] = run(initialState(), { type: "started" });
  assert.deepEqual(effects, []);
  assert.deepEqual(ofType(run(state, { type: "visible", visible: true })[1], "list").length, 1);
});

test("a page opens with every tile as suggested, and the next one is asked for without its tiles", () => {
  const [state, effects] = run(
    listed(),
    { type: "choose", category: CUP },
    { type: "page", page: page(1), asked: 1 },
  );
  assert.deepEqual(states(state), [1, 1, 1, 1, 1, 1]);
  const [, ahead] = ofType(effects, "fetch");
  assert.deepEqual(ahead.without, [1, 2, 3, 4, 5, 6]);
});

test("arrows move and stop at the edges; down ends in a short last row", () => {
  const cursor = (...moves) =>
    run(opened(), ...moves.map((move) => ({ type: "move", columns: 4, ...move })))[0].page.cursor;
  assert.equal(cursor({ dx: -1 }), 0);
  assert.equal(cursor({ dx: 1 }, { dx: 1 }, { dx: 1 }, { dy: 1 }), 5);
  assert.equal(cursor({ to: "last" }, { dx: 1 }), 5);
  assert.equal(cursor({ dy: 1 }, { dy: 1 }, { dy: -1 }), 0);
});

test("Space turns a tile over and back", () => {
  const [once] = run(opened(), { type: "flip" });
  assert.deepEqual(states(once), [-1, 1, 1, 1, 1, 1]);
  assert.deepEqual(states(run(once, { type: "flip" })[0]), [1, 1, 1, 1, 1, 1]);
});

test("a range turns over together, also where a part of it was turned before", () => {
  const right = { type: "move", dx: 1, columns: 6, extend: true };
  const [state] = run(opened(), { type: "flip" }, right, right, { type: "flip" });
  assert.deepEqual(states(state), [-1, -1, -1, 1, 1, 1]);
  assert.deepEqual(states(run(state, { type: "flip" })[0]), [1, 1, 1, 1, 1, 1]);
});

test("a tile that cannot be told stays unknown, and Space gives it its suggestion back", () => {
  const [state] = run(opened(), { type: "unknown" });
  assert.deepEqual(countsOf(state.page), { present: 5, absent: 0, unknown: 1 });
  assert.equal(tileLabel(state.page, 0), "picture 1, cup 93 %, stays unknown");
  assert.deepEqual(states(run(state, { type: "flip" })[0])[0], 1);
});

test("Enter sends one change: what was left alone as suggested, the rest as marked", () => {
  const [marked] = run(opened(), { type: "flip" }, { type: "point", place: 5, flips: false }, { type: "unknown" });
  const [state, effects] = accepted(marked);
  const [entry] = sent(effects);
  assert.equal(entry.key, "p1");
  assert.equal(entry.source, "sweep");
  assert.equal(entry.model, 7);
  assert.deepEqual(entry.cells.map((c) => [c.image, c.category, c.state]), [
    [1, CUP, -1],
    [2, CUP, 1],
    [3, CUP, 1],
    [4, CUP, 1],
    [5, CUP, 1],
  ]);
  assert.equal(entry.text, "cup: 4 present, 1 absent");
  assert.equal(state.page, null);
});

test("what is on its way or was left unknown does not come again", () => {
  const [left] = run(opened(), { type: "unknown" });
  const [, effects] = run(accepted(left)[0], { type: "page", page: page(7), asked: 2 });
  const [{ without }] = ofType(effects, "fetch");
  assert.deepEqual(without.sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

test("a page that has just appeared is not accepted", () => {
  const [state, effects] = run(opened(), { type: "accept", at: SETTLE_MS - 1 });
  assert.notEqual(state.page, null);
  assert.deepEqual(effects, []);
});

test("tiles that were never on screen are shown before they are accepted", () => {
  const [state, effects] = run(opened(), { type: "accept", unseen: 3 });
  assert.notEqual(state.page, null);
  assert.deepEqual(effects, [{ type: "scrollOn" }]);
});

test("Backspace brings the page back as it was left, and the open one follows it", () => {
  const [first] = run(opened(), { type: "flip" }, { type: "page", page: page(7), asked: 2 });
  const [second] = accepted(first);
  assert.equal(second.page.tiles[0].image, 7);
  const [back, effects] = run(second, { type: "undo", key: "u1" });
  assert.deepEqual(states(back), [-1, 1, 1, 1, 1, 1]);
  assert.deepEqual(sent(effects), [{ key: "u1", kind: "undo", undoes: "p1" }]);
  const [again] = run(back, { type: "shown", at: 0 }, { type: "accept", key: "p3" });
  assert.equal(again.page.tiles[0].image, 7);
});

test("a page of which nothing was decided is brought back without asking the server", () => {
  const all = { type: "move", to: "last", columns: 6, extend: true };
  const [left] = run(opened(), all, { type: "unknown" });
  const [state, effects] = accepted(left);
  assert.deepEqual(sent(effects), []);
  const [back, more] = run(state, { type: "undo" });
  assert.deepEqual(sent(more), []);
  assert.equal(back.page.tiles.length, 6);
  assert.equal(back.passed.get(CUP).size, 0);
});

test("Backspace brings a page of another class back with its class", () => {
  const [other] = run(accepted(opened())[0], { type: "choose", category: TABLE });
  const [back] = run(other, { type: "undo" });
  assert.equal(back.category, CUP);
  assert.equal(back.page.tiles[0].image, 1);
});

test("a change made on Focus is what Backspace takes back first", () => {
  const focus = { key: "f1", kind: "decide", source: "focus", cells: [{}], text: "dog present" };
  const [state] = run(accepted(opened())[0], { type: "sent", entry: focus });
  const [back, effects] = run(state, { type: "undo", key: "u1" });
  assert.equal(sent(effects)[0].undoes, "f1");
  assert.equal(told(back, "info"), "Taken back: dog present (Focus)");
  assert.equal(back.done.at(-1).key, "p1");
});

test("Backspace where no page was decided names what is newest, and takes it back when pressed again", () => {
  const change = { event: 7, text: "dog present in a.jpg", where: "Focus", at: "2026-11-22T17:03:00Z" };
  const [asking, effects] = run(opened(), { type: "undo", key: "u1" });
  assert.deepEqual(effects, [{ type: "lastChange" }]);
  const [named, none] = run(asking, { type: "lastChange", change });
  assert.deepEqual(none, []);
  assert.match(told(named, "info"), /Press again to take back: dog present in a.jpg \(Focus, /);
  const [state, more] = run(named, { type: "undo", key: "u2" });
  assert.deepEqual(sent(more), [{ key: "u2", kind: "undo", undoes: null, event: 7 }]);
  const reply = { summary: "Taken back: dog present in a.jpg (Focus)", left: 0 };
  const [done] = run(state, { type: "acknowledged", key: "u2", reply });
  assert.equal(told(done, "info"), reply.summary);
});

test("nothing left to take back, and a server that does not answer, are said", () => {
  const ask = (change) => run(opened(), { type: "undo", key: "u" }, { type: "lastChange", change })[0];
  assert.match(told(ask(null), "info"), /nothing left to take back/);
  assert.deepEqual(run(ask(null), { type: "undo", key: "u2" })[1], [{ type: "lastChange" }]);
  assert.match(told(ask(undefined), "error"), /server does not answer/);
});

test("a page that is accepted withdraws the offer to take back something older", () => {
  const change = { event: 7, text: "dog present", where: "Focus", at: "2026-11-22T17:03:00Z" };
  const [offered] = run(opened(), { type: "undo" }, { type: "lastChange", change });
  const [state] = accepted(offered);
  assert.deepEqual(state.notices, []);
  assert.deepEqual(sent(run(state, { type: "undo", key: "u" })[1])[0].undoes, "p1");
});

test("a page taken back on Focus is not taken back once more", () => {
  const [state] = run(accepted(opened())[0], {
    type: "sent",
    entry: { key: "u9", kind: "undo", undoes: "p1" },
  });
  assert.deepEqual(state.done, []);
  assert.deepEqual(state.tally.get(CUP), { present: 0, absent: 0 });
});

test("a page that the server refuses is said and is not to be taken back", () => {
  const [state] = run(accepted(opened())[0], { type: "rejected", key: "p1", text: "no category 3" });
  assert.match(told(state, "error"), /no category 3/);
  assert.deepEqual([state.done, state.pending], [[], []]);
});

test("a refusal and a new model are both told until the next page is accepted", () => {
  const [state] = run(
    accepted(opened())[0],
    { type: "rejected", key: "p1", text: "no category 3" },
    { type: "page", page: page(7), asked: 2 },
    { type: "status", status: status(8) },
  );
  assert.deepEqual(state.notices.map((one) => one.kind), ["error", "model"]);
  const [next] = run(state, { type: "shown", at: 1000 }, { type: "accept", key: "p2" });
  assert.deepEqual(next.notices, []);
});

test("a new model leaves the open page alone and asks for the next one anew", () => {
  const [waiting] = run(opened(), { type: "page", page: page(7), asked: 2 });
  const [state, effects] = run(waiting, { type: "status", status: status(8) });
  assert.equal(state.page, waiting.page);
  assert.deepEqual(state.ahead, []);
  assert.match(told(state, "model"), /Model 8 is ready: from the next page on/);
  assert.deepEqual(ofType(effects, "release")[0].images, [7, 8, 9, 10, 11, 12]);
  assert.equal(ofType(effects, "fetch").length, 1);
  const [, late] = run(state, { type: "page", page: page(20), asked: 2 });
  assert.deepEqual(ofType(late, "release").length, 1);
});

test("a tile that somebody else has decided is left alone", () => {
  const [changed, effects] = run(opened(), { type: "changes", images: [2, 99], everything: false });
  assert.deepEqual(ofType(effects, "recheck"), [{ type: "recheck", category: CUP, images: [2] }]);
  const [state] = run(changed, { type: "decided", image: 2, category: CUP, state: -1, user: "bo" });
  assert.equal(tileLabel(state.page, 1), "picture 2, cup 92 %, already absent by bo");
  const [entry] = sent(accepted(state)[1]);
  assert.deepEqual(entry.cells.map((cell) => cell.image), [1, 3, 4, 5, 6]);
});

test("a picture that cannot be shown is not decided", () => {
  const [state] = run(opened(), { type: "failed", image: 1 }, { type: "flip" });
  const [entry] = sent(accepted(state)[1]);
  assert.deepEqual(entry.cells.map((cell) => cell.image), [2, 3, 4, 5, 6]);
});

test("leaving a class gives its tiles back", () => {
  const [state, effects] = run(opened(), { type: "choose", category: TABLE });
  assert.deepEqual(ofType(effects, "release"), [
    { type: "release", category: CUP, images: [1, 2, 3, 4, 5, 6] },
  ]);
  assert.equal(state.page, null);
});

test("the next class is one with something to sweep that is not asked in Focus", () => {
  const categories = [
    one(1, "a", { verdict: "below" }),
    one(2, "b", { present: 0 }),
    one(5, "c"),
  ];
  const state = listed({ ...LIST, categories });
  assert.equal(run(state, { type: "chooseNext" })[0].category, 5);
});

test("rows of the list stay where they are while their numbers change", () => {
  const turned = { ...LIST, categories: [...LIST.categories].reverse() };
  const [state] = run(listed(), { type: "list", list: turned, side: "present" });
  assert.deepEqual(state.order, [CUP, TABLE]);
  const [sorted] = run(state, { type: "list", list: turned, side: "present", resort: true });
  assert.deepEqual(sorted.order, [TABLE, CUP]);
});

test("a class that was removed is closed", () => {
  const list = { ...LIST, categories: [one(TABLE, "table")] };
  const [state] = run(opened(), { type: "list", list, side: "present" });
  assert.deepEqual([state.category, state.page], [null, null]);
});

test("each empty state says what to do next", () => {
  const on = { online: true };
  const title = (state, box = on) => emptyState(state, box)?.title;
  assert.equal(title(initialState(), { online: false }), "The server does not answer");
  assert.equal(title(listed({ ...LIST, model_version: null })), "No model yet");
  assert.equal(title(listed()), "Choose a category");
  const [asking] = run(listed(), { type: "choose", category: CUP });
  assert.equal(title(asking), "Looking for cup …");
  const answer = (over) =>
    run(asking, { type: "page", asked: 1, page: page(1, { tiles: [], present: 0, ...over }) })[0];
  assert.equal(title(answer({ waits_for: "needs at least one present label" })), "No suggestions of cup yet");
  const none = emptyState(answer({ elsewhere: 4 }), on);
  assert.equal(none.title, "Nothing of cup is suggested present");
  assert.match(none.text, /4 further pictures on other people's pages.*60 wait on the other side/);
  assert.equal(emptyState(opened(), on), null);
});

test("the end of a class tells what was accepted, asked again once everything is saved", () => {
  const end = page(1, { tiles: [], present: 0, absent: 0 });
  const [state] = run(accepted(opened())[0], { type: "page", page: end, asked: 2 });
  const [asking, effects] = run(state, { type: "acknowledged", key: "p1", reply: {} });
  assert.equal(ofType(effects, "fetch").length, 1);
  const [done] = run(asking, { type: "page", page: end, asked: 3 });
  const shown = emptyState(done, { online: true });
  assert.equal(shown.title, "cup is done");
  assert.match(shown.text, /6 present and 0 absent/);
});

test("words for numbers", () => {
  assert.equal(countsText({ present: 58, absent: 2, unknown: 0 }), "58 present, 2 absent");
  assert.equal(shareText(SHARE), "96 % of 100 right (90–99 %)");
  assert.equal(shareText({ right: 0, total: 1, low: 0, high: 0.98 }), "0 of 1 right");
  assert.equal(shareText({ right: 0, total: 0, low: 0, high: 1 }), "not checked yet");
});

test("keys mean what the card says, held keys only move", () => {
  const key = (name, over = {}) => commandOf({ key: name, ...over });
  assert.deepEqual(key(" "), { command: "flip" });
  assert.deepEqual(key("U"), { command: "unknown" });
  assert.deepEqual(key("Enter", { repeat: true }), { command: "ignore" });
  assert.deepEqual(key("ArrowRight", { repeat: true }), { command: "move", extend: undefined, dx: 1 });
  assert.deepEqual(key("ArrowDown", { shiftKey: true }), { command: "move", extend: true, dy: 1 });
  assert.deepEqual(key("End", { ctrlKey: true }), { command: "move", to: "last", extend: undefined });
  assert.equal(key("Enter", { shiftKey: true }), null);
  assert.equal(key("r", { ctrlKey: true }), null);
});
