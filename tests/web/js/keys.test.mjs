import assert from "node:assert/strict";
import { test } from "node:test";
import { commandOf } from "../../../annotator/web/static/js/focus/keys.js";

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
  assert.equal(press("1", { code: "Digit1", repeat: true }), null);
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
  assert.deepEqual(commandOf(event, { next: ["n"] }), { command: "next" });
});
