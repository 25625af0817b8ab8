import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_KEYS, commandOf, keyName, mayBeChosen } from "../../../annotator/web/static/js/focus/keys.js";

const press = (key, over = {}) =>
  commandOf({ key, code: "", shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...over });

test("digits mean present, with Shift absent, whatever character the layout gives", () => {
  assert.deepEqual(press("1", { code: "Digit1" }), { command: "slot", slot: 1, value: 1 });
  assert.deepEqual(press("!", { code: "Digit1", shiftKey: true }), {
    command: "slot",
    slot: 1,
    value: -1,
  });
  assert.deepEqual(press("&", { code: "Digit1" }), { command: "slot", slot: 1, value: 1 });
});

test("the keys of the page", () => {
  const expected = {
    Enter: "restAbsent",
    " ": "next",
    Backspace: "undo",
    e: "why",
    z: "zoom",
    "/": "type",
    "?": "help",
    ArrowDown: "down",
  };
  for (const [key, command] of Object.entries(expected)) {
    assert.equal(press(key, { shiftKey: key === "?" }).command, command);
  }
});

test("any other letter begins to type a category", () => {
  assert.deepEqual(press("d"), { command: "type", text: "d" });
  assert.deepEqual(press("ü"), { command: "type", text: "ü" });
  assert.deepEqual(press("E", { shiftKey: true }), { command: "type", text: "E" });
});

test("a held key decides once", () => {
  assert.equal(press("1", { code: "Digit1", repeat: true }).command, "ignore");
  assert.equal(press("Enter", { repeat: true }).command, "ignore");
  assert.equal(press("ArrowDown", { repeat: true }).command, "down");
});

test("keys of the browser and of input methods are left alone", () => {
  assert.equal(press("1", { code: "Digit1", ctrlKey: true }), null);
  assert.equal(press("d", { isComposing: true }), null);
  assert.equal(press("Tab"), null);
  assert.equal(press("F5"), null);
});

test("the map can be another", () => {
  const event = { key: "n", code: "KeyN" };
  assert.deepEqual(commandOf(event, { next: ["n"] }), { command: "next", letter: "n" });
});

test("digits and letters may change places, and Shift still means absent", () => {
  const keys = { ...DEFAULT_KEYS, slot1: ["q"], why: ["1"] };
  const at = (key, code, shiftKey = false) => commandOf({ key, code, shiftKey }, keys);
  assert.deepEqual(at("q", "KeyQ"), { command: "slot", slot: 1, value: 1 });
  assert.deepEqual(at("Q", "KeyQ", true), { command: "slot", slot: 1, value: -1 });
  assert.equal(at("1", "Digit1").command, "why");
});

test("keys of the browser may not be chosen", () => {
  for (const name of ["Tab", "Escape", "F5", "Control", "Dead"]) assert.equal(mayBeChosen(name), false);
  for (const name of ["e", "ü", "7", "/", "Home", "Space"]) assert.equal(mayBeChosen(name), true);
});

test("a key is named alike however it was pressed", () => {
  assert.equal(keyName({ key: "E", code: "KeyE" }), "e");
  assert.equal(keyName({ key: "&", code: "Digit1" }), "1");
  assert.equal(keyName({ key: " ", code: "Space" }), "Space");
});
