// All keys of Browse on one card.

import { h } from "../dom.js";

const KEYS = [
  ["Tiles", [
    [["←", "→", "↑", "↓"], "move; Home, End, Page ↑, Page ↓ as well"],
    [["Space"], "select, or not"],
    [["Shift", "arrows"], "select a range"],
    [["Ctrl", "A"], "select all that the filter finds"],
    [["Esc"], "select nothing"],
    [["P"], "present in all selected; the numbers are shown first"],
    [["A"], "absent"],
    [["U"], "unknown"],
    [["Enter"], "open the picture"],
    [["F"], "open it in Focus"],
    [["S"], "pictures similar to it"],
    [["D"], "near-duplicates"],
    [["N"], "add a filter"],
    [["/"], "find by file name"],
    [["R"], "refresh the list"],
    [["+", "-"], "larger, smaller"],
    [["Backspace"], "take back your last change"],
  ]],
  ["An open picture", [
    [["←", "→"], "picture before, next picture"],
    [["↑", "↓"], "choose a cell"],
    [["P", "A", "U"], "present, absent, unknown"],
    [["/"], "find a category"],
    [["Esc"], "back"],
  ]],
];

/** @param {(action: object) => void} send */
export function makeHelp(send, getState) {
  const lists = KEYS.flatMap(([title, keys]) => [
    h("h3", { text: title }),
    h("dl", {}, ...keys.map(([caps, text]) =>
      h("div", {}, h("dt", {}, ...caps.map((cap) => h("kbd", { text: cap }))), h("dd", { text })))),
  ]);
  const element = h(
    "dialog.card.keys",
    {
      "aria-label": "Keys",
      onclose: () => getState().help && send({ type: "help" }),
      onclick: (event) => event.target === element && element.close(),
    },
    h("h2", { text: "Keys" }),
    ...lists,
    h("button", { type: "button", text: "Close", onclick: () => element.close() }),
  );
  return {
    element,
    render(state) {
      if (state.help && !element.open) element.showModal();
      else if (!state.help && element.open) element.close();
    },
  };
}
