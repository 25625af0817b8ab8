// All keys of Sweep on one card.

import { h } from "../dom.js";

const KEYS = [
  [["←", "→", "↑", "↓"], "move"],
  [["Space"], "turn the picture over: present, absent"],
  [["Shift", "←", "→", "↑", "↓"], "select several; Space turns them over together"],
  [["U"], "leave unknown, when you cannot tell"],
  [["Enter"], "begin with the first category; accept the page, after showing the rest of it"],
  [["Backspace"], "take back the newest change; a page comes back as it was"],
  [["Z"], "enlarge"],
  [["N"], "next category"],
  [["S"], "suggested present, absent, both"],
  [["/"], "find a category"],
  [["Home", "End"], "ends of the row; with Ctrl of the page"],
  [["?"], "this card"],
];

/** @param {(action: object) => void} send */
export function makeHelp(send, getState) {
  const rows = KEYS.map(([keys, text]) =>
    h("div", {}, h("dt", {}, ...keys.map((key) => h("kbd", { text: key }))), h("dd", { text })),
  );
  const element = h(
    "dialog.card.annotator",
    {
      "aria-label": "Keys of Sweep",
      onclose: () => getState().help && send({ type: "help" }),
      onkeydown: (event) => {
        if (event.key === "?") {
          event.preventDefault();
          element.close();
        }
      },
      onclick: (event) => event.target === element && element.close(),
    },
    h("h2", { text: "Keys" }),
    h("dl", {}, ...rows),
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
