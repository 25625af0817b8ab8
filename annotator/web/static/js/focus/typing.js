// The field for any category: a combobox over all names, near the keys that it takes.

import { attr, h, keyed, set } from "../dom.js";
import { percent, verdict } from "../words.js";
import { cellsOf, currentImage } from "./state.js";
import { digitsFor, match, prepare } from "./typeahead.js";

/**
 * @param {(action: object) => void} send
 * @param {() => object} getState
 */
export function makeTyping(send, getState) {
  const input = h("input", {
    type: "text",
    role: "combobox",
    "aria-label": "Any category",
    "aria-expanded": "true",
    "aria-controls": "focus-matches",
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => send({ type: "typed", text: input.value }),
    onkeydown: onKey,
    onblur: () => setTimeout(() => element.contains(document.activeElement) || close(), 0),
  });
  const list = h("ul", { id: "focus-matches", role: "listbox", "aria-label": "Categories" });
  const foot = h("p.quiet");
  const element = h("div.typing", { hidden: true }, input, list, foot);
  let prepared = { categories: null, entries: [] };
  let matches = [];
  let digits = [];

  function close() {
    if (getState().typing) send({ type: "endTyping" });
  }

  function onKey(event) {
    const { typing } = getState();
    if (!typing || event.isComposing) return;
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const by = event.key === "ArrowDown" ? 1 : -1;
      const index = Math.max(0, Math.min(matches.length - 1, typing.index + by));
      send({ type: "typed", text: typing.text, index });
    } else if (event.key === "Enter") choose(typing.index, event.shiftKey ? -1 : 1);
    else if (digitOf(event)) choose(digitOf(event) - 1, event.shiftKey ? -1 : 1);
    else if (event.key === "Backspace" && !input.value) close();
    else return event.stopPropagation();
    event.preventDefault();
    event.stopPropagation();
  }

  /** A digit names a match, unless there are names that go on with it. */
  function digitOf(event) {
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
    if (event.ctrlKey || event.altKey || event.metaKey) return 0;
    return digits.includes(Number(digit)) ? Number(digit) : 0;
  }

  function choose(index, value) {
    const chosen = matches[index];
    if (chosen) send({ type: "choose", category: chosen.id, value });
  }

  function render(state) {
    element.hidden = !state.typing;
    if (!state.typing) {
      // A hidden field keeps the keyboard until the next frame, and a quick key would be lost in it.
      if (element.contains(document.activeElement)) document.activeElement.blur();
      input.value = "";
      return;
    }
    const image = currentImage(state);
    const asked = image.blind ? image.suggestions : null;
    const offered = asked ?? state.categories;
    if (prepared.categories !== offered) {
      const entries = asked ? asked.map(({ category, name }) => ({ id: category, name })) : offered;
      prepared = { categories: offered, entries: prepare(entries) };
    }
    const decided = cellsOf(state, image.id);
    const probability = new Map(image.suggestions.map((s) => [s.category, s.probability]));
    matches = match(prepared.entries, state.typing.text, {
      probability,
      decided,
      uses: state.uses,
    });
    digits = digitsFor(prepared.entries, state.typing.text, matches.length);
    if (input.value !== state.typing.text) input.value = state.typing.text;
    const none = matches.length === 0;
    drawFoot();
    const items = none ? [{ id: 0, name: "No category matches", none }] : matches;
    keyed(
      list,
      items,
      (item) => item.id,
      (item) =>
        h(
          "li",
          {
            id: `focus-match-${item.id}`,
            role: "option",
            // Before the field loses focus, so that the list is still there.
            onpointerdown: (event) => {
              event.preventDefault();
              choose(matches.findIndex((m) => m.id === item.id), event.shiftKey ? -1 : 1);
            },
          },
          h("span.number", { "aria-hidden": "true" }),
          h("span.name"),
          h("span.share"),
        ),
      (option, item) => {
        const index = items.indexOf(item);
        const state_ = decided.get(item.id)?.state;
        const likely = probability.get(item.id);
        attr(option.children[0], "text", none ? "" : index + 1);
        attr(option.children[1], "text", item.name);
        attr(
          option.children[2],
          "text",
          state_ ? verdict(state_) : likely === undefined || image.blind ? "" : percent(likely),
        );
        attr(option, "aria-selected", String(!none && index === state.typing.index));
      },
    );
    const active = matches[state.typing.index];
    set(input, { "aria-activedescendant": active ? `focus-match-${active.id}` : null });
    if (list.scrollHeight > list.clientHeight) {
      list.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
    }
  }

  /** The keys that do something with what is typed now. */
  function drawFoot() {
    const keys = JSON.stringify([matches.length > 0, digits]);
    if (foot.dataset.keys === keys) return;
    foot.dataset.keys = keys;
    const cap = (text) => h("kbd", { text });
    // Each key stays beside its words where the line is too long for the window.
    const piece = (...parts) => h("span", {}, ...parts);
    const enter = matches.length
      ? [piece(cap("Enter"), " present"), piece(cap("Shift Enter"), " absent")]
      : [];
    const run = digits.length > 2 && digits.length === matches.length;
    const caps = run
      ? [cap(digits[0]), "–", cap(digits.at(-1))]
      : digits.map((digit) => cap(digit));
    const chosen = digits.length ? [piece(...caps, " that one")] : [];
    foot.replaceChildren(...enter, ...chosen, piece(cap("Esc"), " close"));
  }

  return {
    element,
    render,
    focus() {
      input.focus();
      element.scrollIntoView({ block: "nearest" }); // in a low window the matches would be below it
      input.setSelectionRange(input.value.length, input.value.length);
    },
  };
}
