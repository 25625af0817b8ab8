// The list of categories: how many cells wait, how right past suggestions were, and a field to find one.

import { attr, h, keyed, set } from "../dom.js";
import { grouped, percent } from "../words.js";
import { found, prepareClasses } from "./classes.js";
import { shareText, waitingOf } from "./state.js";

const MINIMA = [0.8, 0.9, 0.95, 0.98, 0.99];

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {() => object} options.getState
 * @param {() => void} options.goToFocus
 * @param {(category: number) => void} options.find leads to Browse
 * @param {() => void} options.leave gives the keyboard back to the tiles
 */
export function makeList({ send, getState, goToFocus, find, leave }) {
  const input = h("input", {
    type: "search",
    "aria-label": "Find a category",
    placeholder: "Find a category",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => send({ type: "query", text: input.value }),
    onkeydown: onInputKey,
  });
  const rows = h("ul", { "aria-label": "Categories" });
  const none = h("p.quiet", { hidden: true });
  const minimum = h("select", {
    "aria-label": "Good enough from this share of right suggestions",
    title: "Categories whose suggestions were right less often are better asked in Focus",
    onchange: () => send({ type: "minimum", minimum: Number(minimum.value) }),
  });
  const element = h(
    "nav.classes",
    { "aria-label": "Categories" },
    input,
    h("p.columns", { "aria-hidden": "true" }, h("span", { text: "Category" }), h("span", { text: "Suggested" })),
    h("div.scroll", {}, rows, none),
    h("label.minimum", {}, h("span", { text: "Good enough from" }), minimum),
  );
  let drawn = {}; // what the rows were drawn from
  let prepared = [];
  let shown = []; // ids in the order of the rows
  let current = null; // the row that Tab reaches

  rows.addEventListener("keydown", onRowKey);
  rows.addEventListener("focusin", (event) => {
    const row = event.target.closest("li");
    if (row) setCurrent(Number(row.dataset.category));
  });

  function onInputKey(event) {
    if (event.key === "ArrowDown") focusRow(0);
    else if (event.key === "Enter" && shown.length) choose(shown[0]);
    else if (event.key === "Escape") {
      if (!input.value) leave();
      else clear();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function onRowKey(event) {
    const place = shown.indexOf(current);
    const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (event.key === "Escape") leave();
    else if (to === undefined) return;
    else if (to < 0) input.focus();
    else focusRow(Math.min(to, shown.length - 1));
    event.preventDefault();
    event.stopPropagation();
  }

  function focusRow(place) {
    const row = rows.children[place];
    row?.querySelector("button").focus();
  }

  function setCurrent(category) {
    for (const row of rows.children) {
      const mine = Number(row.dataset.category) === category;
      for (const button of row.querySelectorAll("button")) button.tabIndex = mine ? 0 : -1;
    }
    current = category;
  }

  function choose(category) {
    input.blur(); // the keyboard goes to the tiles as soon as they are here
    send({ type: "choose", category });
    clear();
  }

  function clear() {
    input.value = "";
    if (getState().query) send({ type: "query", text: "" });
  }

  function makeRow(one) {
    return h(
      "li",
      { "data-category": String(one.id) },
      h(
        "button.class",
        { type: "button", onclick: () => choose(one.id) },
        h("span.name"),
        h("span.count"),
        h("span.past"),
      ),
      h("button.ask", {
        type: "button",
        hidden: true,
        onclick: (event) => (event.currentTarget.finds ? find(one.id) : goToFocus()),
      }),
    );
  }

  function patchRow(row, one, state) {
    const [open, ask] = row.children;
    const [name, count, past] = open.children;
    const waiting = waitingOf(one, state.side);
    attr(name, "text", one.name);
    attr(count, "text", grouped(waiting));
    set(count, { title: `${grouped(waiting)} of ${grouped(one.unknown)} undecided cells are suggested here` });
    attr(past, "text", one.waits_for || shareText(one.share));
    set(open, { "aria-current": one.id === state.category ? "true" : null });
    set(row, { "data-none": waiting === 0, "data-verdict": one.verdict });
    ask.hidden = one.verdict !== "below" && !one.waits_for;
    // Without a suggestion nothing says where it is; many pictures at once are looked through soonest.
    ask.finds = Boolean(one.waits_for);
    const text = ask.finds ? "find some on Browse" : "ask in Focus";
    attr(ask, "text", text);
    set(ask, {
      "aria-label": `${one.name}: ${text}`,
      title: one.waits_for ? one.waits_for : `Past suggestions were right too seldom: ${shareText(one.share)}`,
    });
  }

  function render(state) {
    const from = [state.classes, state.order, state.query, state.category, state.side];
    if (drawn.from?.every((value, i) => value === from[i])) return;
    if (drawn.classes !== state.classes) prepared = prepareClasses(state.classes);
    drawn = { from, classes: state.classes };
    shown = found(state, prepared);
    keyed(
      rows,
      shown.map((id) => state.classes.get(id)),
      (one) => one.id,
      makeRow,
      (row, one) => patchRow(row, one, state),
    );
    const wanted = [current, state.category, shown[0]].find((id) => shown.includes(id));
    if (wanted !== undefined) setCurrent(wanted);
    none.hidden = shown.length > 0 || !state.listed;
    attr(none, "text", state.query ? "No category has this name" : "No categories yet");
    renderMinimum(state.minimum);
  }

  function renderMinimum(value) {
    const values = MINIMA.includes(value) ? MINIMA : [...MINIMA, value].sort();
    if (minimum.children.length !== values.length) {
      minimum.replaceChildren(...values.map((v) => h("option", { value: String(v), text: percent(v) })));
    }
    if (minimum.value !== String(value)) minimum.value = String(value);
  }

  return {
    element,
    render,
    focus() {
      input.focus();
      input.select();
    },
  };
}
