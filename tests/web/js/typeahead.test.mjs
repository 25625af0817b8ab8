import assert from "node:assert/strict";
import { test } from "node:test";
import { digitsFor, match, prepare } from "../../../annotator/web/static/js/focus/typeahead.js";

const nothing = { probability: new Map(), decided: new Map(), uses: new Map() };
const entries = prepare(
  ["cup", "dining table", "dog", "cake", "teddy bear", "bear", "Crème", "hot dog"].map(
    (name, i) => ({ id: i + 1, name }),
  ),
);
const names = (text, context = nothing) => match(entries, text, context).map((m) => m.name);

test("the beginning of a name comes before the middle of another", () => {
  assert.deepEqual(names("do").slice(0, 2), ["dog", "hot dog"]);
});

test("initials and beginnings of words find a name of several words", () => {
  assert.equal(names("dt")[0], "dining table");
  assert.equal(names("dita")[0], "dining table");
});

test("the exact name comes first, even where another is likely", () => {
  assert.equal(names("bear", { ...nothing, probability: new Map([[5, 0.99]]) })[0], "bear");
});

test("what is likely here comes first among equal fits", () => {
  assert.equal(names("c", { ...nothing, probability: new Map([[4, 0.8]]) })[0], "cake");
});

test("what was typed before comes first among equals", () => {
  assert.equal(names("c", { ...nothing, uses: new Map([[4, 3]]) })[0], "cake");
});

test("decided categories come after undecided ones", () => {
  assert.equal(names("c", { ...nothing, decided: new Map([[1, { state: 1 }]]) }).at(-1), "cup");
});

test("accents and capitals do not matter", () => {
  assert.equal(names("creme")[0], "Crème");
});

test("letters that fit nothing find nothing", () => {
  assert.deepEqual(names("xyz"), []);
});

test("three letters are enough for any of a thousand names, with a model that knows the picture", () => {
  // Names of two invented syllable words each, as alike as real ones: 31 x 33 combinations.
  const first = "ba be bi bo bu da de di do du fa fe fi fo fu ka ke ki ko ku la le li lo lu ma me mi mo mu na".split(" ");
  const second = "ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo vu wa we wi wo wu ya ye yi yo yu za ze zi".split(" ");
  const many = prepare(
    first.flatMap((a, i) => second.map((b, j) => ({ id: i * 100 + j, name: `${a}lon ${b}mer` }))),
  );
  assert.ok(many.length > 1000);
  for (const wanted of many) {
    const context = { ...nothing, probability: new Map([[wanted.id, 0.4]]) };
    const [found] = match(many, wanted.folded.slice(0, 3), context);
    assert.equal(found.id, wanted.id);
  }
});

test("digits choose what is shown, unless a name goes on with one", () => {
  assert.deepEqual(digitsFor(entries, "do", 2), [1, 2]);
  assert.deepEqual(digitsFor(entries, "qq", 0), []);
  assert.deepEqual(digitsFor(entries, " ", 8), []);
  const lines = prepare(["line 1", "line 2", "line 30"].map((name, i) => ({ id: i + 1, name })));
  assert.deepEqual(digitsFor(lines, "line", 3), []);
  assert.deepEqual(digitsFor(lines, "line 1", 1), [1]);
  assert.deepEqual(digitsFor(lines, "line ", 3), []);
});
