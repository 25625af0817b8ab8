// All keys on one card, where each person can change them.

import { attr, h, keyed } from "../dom.js";
import { capOf, keyName, mayBeChosen, spokenKey } from "./keys.js";

const MOST_KEYS = 3;
/** Actions in the order of the card, and what they do. The digits are one line until they are changed. */
const ACTIONS = [
  ...Array.from({ length: 9 }, (_, i) => [`slot${i + 1}`, `suggestion ${i + 1} present, with Shift absent`]),
  ["restAbsent", "the rest of what is shown is absent, next picture"],
  ["next", "next picture, nothing decided"],
  ["previous", "picture before"],
  ["undo", "take back, also on earlier pictures"],
  ["type", "any category; or just type its first letters"],
  ["up", "select the one above"],
  ["down", "select the one below"],
  ["selectedPresent", "the selected one is present"],
  ["selectedAbsent", "the selected one is absent"],
  ["more", "rows further down, then more suggestions"],
  ["why", "why is it suggested"],
  ["attention", "where in this picture the model looks for it; again: off"],
  ["zoom", "enlarge; then arrows or the pointer move the picture"],
  ["zoomIn", "enlarge more"],
  ["zoomOut", "enlarge less"],
  ["flag", "flag the picture with a note for somebody else"],
  ["help", "this card"],
];
const WORDS = new Map(ACTIONS);

/** What speaks against giving a key to an action; "" if nothing does. */
export function objection(keys, action, name) {
  if (!mayBeChosen(name)) return `${spokenKey(name)} belongs to the browser. Press another key.`;
  const other = Object.keys(keys).find((one) => one !== action && keys[one].includes(name));
  if (!other) return "";
  return `${spokenKey(name)} already means: ${WORDS.get(other) ?? other}. Press another key, or change that one first.`;
}

/** The keys with one of an action's keys replaced (`place` beyond its keys adds one), or removed. */
export function withKey(keys, action, place, name = null) {
  const own = keys[action].filter((_, i) => i !== place);
  if (name !== null) own.splice(place, 0, name);
  return { ...keys, [action]: [...new Set(own)] };
}

/**
 * @param {(action: object) => void} send
 * @param {() => object} getState
 * @param {object} keyboard `{keys, defaults, save(keys): Promise<string>}`; save resolves with what
 *   was wrong, or ""
 */
export function makeHelp(send, getState, keyboard) {
  let editing = false;
  let listening = null; // {action, place} while a key is awaited
  const said = h("p.problem", { role: "status" });
  const list = h("dl");
  const change = h("button", { type: "button", onclick: () => edit(!editing) });
  const reset = h("button", { type: "button", text: "Reset all", onclick: () => void save({}) });
  const element = h(
    "dialog.card.keys",
    {
      "aria-label": "Keys",
      onclose: () => {
        edit(false);
        if (getState().help) send({ type: "help" });
      },
      oncancel: (event) => listening && event.preventDefault(),
      onkeydown: onKey,
      onclick: (event) => event.target === element && element.close(),
    },
    h("h2", { text: "Keys" }),
    list,
    h(
      "footer",
      {},
      said,
      h(
        "p.buttons",
        {},
        reset,
        change,
        h("button.primary", { type: "button", text: "Close", onclick: () => element.close() }),
      ),
    ),
  );

  function edit(on) {
    editing = on;
    listening = null;
    attr(said, "text", "");
    draw();
  }

  function onKey(event) {
    if (!listening) {
      if (!editing && keyboard.keys.help.includes(keyName(event))) {
        event.preventDefault();
        element.close();
      }
      return;
    }
    if (["Shift", "Control", "Alt", "AltGraph", "Meta"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const { action, place } = listening;
    if (event.key === "Escape") return listen(null);
    const name = keyName(event);
    const problem = objection(keyboard.keys, action, name);
    if (problem) attr(said, "text", problem);
    else void save(withKey(keyboard.keys, action, place, name));
  }

  function listen(which) {
    const before = listening;
    listening = which;
    attr(said, "text", which ? `Press the key for: ${WORDS.get(which.action)}. Esc leaves it.` : "");
    draw();
    focusKey(which ?? before); // drawing has replaced the button that had the focus
  }

  async function save(keys) {
    const which = listening;
    listening = null;
    const problem = await keyboard.save(keys);
    attr(said, "text", problem || "Saved");
    draw();
    focusKey(which);
  }

  function focusKey(which) {
    if (!which) return;
    const { action, place } = which;
    const row = list.querySelector(`[data-action="${action}"]`);
    (row?.querySelectorAll("button.key")[place] ?? row?.querySelector("button"))?.focus();
  }

  function draw() {
    reset.hidden = !editing;
    attr(change, "text", editing ? "Done" : "Change keys");
    element.classList.toggle("editing", editing);
    keyed(list, lines(), ([action]) => action, createLine, patchLine);
  }

  /** While nothing is edited the nine digits are one line, if they are the digits. */
  function lines() {
    const digits = Array.from({ length: 9 }, (_, i) => i + 1).every(
      (slot) => keyboard.keys[`slot${slot}`].join() === String(slot),
    );
    if (editing || !digits) return ACTIONS;
    return [
      ["digits", "suggestions 1 to 9 present, with Shift absent", ["1", "–", "9"]],
      ...ACTIONS.slice(9),
    ];
  }

  function createLine([action, text]) {
    return h("div", { "data-action": action }, h("dt"), h("dd", { text }));
  }

  function patchLine(line, [action, text, caps]) {
    const keys = caps ?? keyboard.keys[action];
    const what = JSON.stringify([keys, editing, listening]);
    if (line.dataset.what === what) return;
    line.dataset.what = what;
    const parts = editing ? editors(action, text, keys) : keys.map(cap);
    if (!parts.length) parts.push(h("span.quiet", { text: "no key" }));
    line.firstChild.replaceChildren(...parts);
  }

  function cap(name) {
    return name === "–" ? h("span", { text: "–" }) : h("kbd", { text: capOf(name), "aria-label": spokenKey(name) });
  }

  function editors(action, text, keys) {
    const awaited = (place) => listening?.action === action && listening.place === place;
    const one = (name, place) =>
      h("button.key", {
        type: "button",
        text: awaited(place) ? "press …" : capOf(name),
        "aria-label": awaited(place) ? "Press a key, Escape leaves it" : `${text}: ${spokenKey(name)}, change`,
        "data-awaited": awaited(place),
        onclick: () => listen({ action, place }),
      });
    const parts = keys.map(one);
    if (awaited(keys.length)) parts.push(one("", keys.length));
    else if (keys.length < MOST_KEYS) {
      parts.push(
        h("button.add", {
          type: "button",
          text: "+",
          title: "one more key",
          "aria-label": `${text}: one more key`,
          onclick: () => listen({ action, place: keys.length }),
        }),
      );
    }
    if (listening?.action === action && listening.place < keys.length && (keys.length > 1 || action !== "help")) {
      parts.push(
        h("button.add", {
          type: "button",
          text: "×",
          title: "no longer this key",
          "aria-label": `${text}: no longer ${spokenKey(keys[listening.place])}`,
          onclick: () => void save(withKey(keyboard.keys, action, listening.place)),
        }),
      );
    }
    return parts;
  }

  return {
    element,
    render(state) {
      if (state.help && !element.open) {
        draw();
        element.showModal();
      } else if (!state.help && element.open) element.close();
    },
  };
}
