// All keys on one card.

import { h } from "../dom.js";

const KEYS = [
  [["1", "–", "9"], "present"],
  [["Shift", "1", "–", "9"], "absent"],
  [["a", "–", "z"], "any category: type its first letters"],
  [["/"], "the same, also for names with e or z first"],
  [["Enter"], "the rest of what is shown is absent, next picture"],
  [["Space", "→"], "next picture, nothing decided"],
  [["←"], "picture before"],
  [["Backspace"], "take back, also on earlier pictures"],
  [["↑", "↓"], "select"],
  [["=", "-"], "the selected one is present, absent"],
  [["Page ↓"], "more suggestions"],
  [["E"], "why"],
  [["Z"], "enlarge; arrows or pointer move"],
  [["?"], "this card"],
];

/** @param {(action: object) => void} send */
export function makeHelp(send, getState) {
  const rows = KEYS.map(([keys, text]) =>
    h(
      "div",
      {},
      h("dt", {}, ...keys.map((key) => (key === "–" ? h("span", { text: "–" }) : h("kbd", { text: key })))),
      h("dd", { text }),
    ),
  );
  const element = h(
    "dialog.card",
    {
      "aria-label": "Keys",
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
