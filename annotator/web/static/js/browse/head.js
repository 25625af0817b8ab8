// Above the tiles: how many there are, how they are sorted, what they show, and the filter.

import { attr, h, keyed } from "../dom.js";
import { grouped, plural } from "../words.js";
import { makeEditor } from "./editor.js";
import { inWords } from "./filter.js";
import { total } from "./state.js";

const SORTS = [
  ["added", false, "oldest first"],
  ["added", true, "newest first"],
  ["name", false, "by file name"],
  ["known", false, "least known first"],
  ["known", true, "most known first"],
  ["changed", true, "last decided first"],
  ["uncertainty", true, "most uncertain first"],
  ["probability", true, "most likely first"],
  ["probability", false, "least likely first"],
];
const OF_MODEL = new Set(["uncertainty", "probability"]);
const SIZES = ["small", "medium", "large"];

/**
 * @param {(action: object) => void} send
 * @param {() => object} getState
 */
export function makeHead(send, getState) {
  const counted = h("h2.counted");
  const sort = h(
    "select",
    { "aria-label": "Order", onchange: () => send({ type: "sort", sort: chosenSort() }) },
    ...SORTS.map(([, , text], i) => h("option", { value: i, text })),
    h("option", { value: "similarity", text: "most similar first", hidden: true }),
  );
  const show = h("select", {
    "aria-label": "Show labels of",
    onchange: () => {
      const category = show.value ? Number(show.value) : null;
      const { sort: now } = getState();
      if (now.by === "probability" && category !== null) send({ type: "sort", sort: { ...now, category } });
      send({ type: "show", category });
    },
  });
  const sizes = h(
    "span.sizes",
    { role: "group", "aria-label": "Size of pictures" },
    button("−", "Smaller", () => resize(-1)),
    button("+", "Larger", () => resize(1)),
  );
  const groups = h("button", {
    type: "button",
    text: "Near-duplicates",
    onclick: () => send({ type: "view", view: "groups" }),
  });
  const chips = h("ul.conditions", { "aria-label": "Filter" });
  const match = h(
    "select",
    { "aria-label": "Pictures must match", onchange: () => send({ type: "match", match: match.value }) },
    h("option", { value: "all", text: "all of these" }),
    h("option", { value: "any", text: "any of these" }),
  );
  const add = h("button.add", {
    type: "button",
    text: "Add a filter",
    onclick: () => send({ type: "edit", index: getState().editing === null ? -1 : null }),
  });
  const clear = h("button.plain", {
    type: "button",
    text: "Clear",
    onclick: () => send({ type: "clearFilter" }),
  });
  const editor = makeEditor(send, getState);
  let shown = 0; // conditions
  const element = h(
    "div.head",
    {},
    h(
      "div.bar",
      {},
      counted,
      h("label", {}, h("span.word", { text: "Order" }), sort),
      h("label", {}, h("span.word", { text: "Labels of" }), show),
      sizes,
      groups,
    ),
    h("div.filter", {}, chips, match, add, clear),
    editor.element,
  );

  function chosenSort() {
    const [by, descending] = SORTS[Number(sort.value)];
    const { show: category, categories } = getState();
    return { by, descending, category: by === "probability" ? (category ?? categories[0]?.id) : null };
  }

  function resize(by) {
    const place = SIZES.indexOf(getState().size) + by;
    if (SIZES[place]) send({ type: "size", size: SIZES[place] });
  }

  function render(state) {
    attr(counted, "text", countWords(state));
    options(show, [["", "no category"], ...state.categories.map((c) => [String(c.id), c.name])]);
    show.value = state.show === null ? "" : String(state.show);
    const noModel = state.choices.model_version === null;
    SORTS.forEach(([by], i) => attr(sort.options[i], "disabled", noModel && OF_MODEL.has(by)));
    const similar = state.sort.by === "similarity";
    attr(sort.options[SORTS.length], "hidden", !similar);
    const place = SORTS.findIndex(([by, down]) => by === state.sort.by && down === Boolean(state.sort.descending));
    sort.value = similar ? "similarity" : String(Math.max(0, place));
    attr(sizes.children[0], "disabled", state.size === SIZES[0]);
    attr(sizes.children[1], "disabled", state.size === SIZES.at(-1));
    const names = namesOf(state);
    const { conditions } = state.filter;
    keyed(
      chips,
      conditions.map((condition, index) => ({ condition, index })),
      ({ index }) => index,
      ({ index }) => makeChip(send, index),
      (chip, { condition, index }) => {
        const words = inWords(condition, names);
        const [edit, remove] = chip.children;
        attr(edit, "text", words);
        attr(edit, "aria-expanded", String(state.editing === index));
        attr(edit, "disabled", condition.kind === "similar" || condition.kind === "images");
        attr(remove, "aria-label", `Remove the filter: ${words}`);
      },
    );
    chips.hidden = conditions.length === 0;
    if (conditions.length > shown) chips.scrollLeft = chips.scrollWidth; // the new one is last
    shown = conditions.length;
    match.hidden = conditions.length < 2;
    match.value = state.filter.match;
    clear.hidden = conditions.length === 0;
    attr(add, "aria-expanded", String(state.editing === -1));
    editor.render(state);
  }

  return { element, render, resize, editor };
}

function makeChip(send, index) {
  return h(
    "li",
    {},
    h("button.words", { type: "button", onclick: () => send({ type: "edit", index }) }),
    h("button.remove", {
      type: "button",
      text: "×",
      onclick: () => send({ type: "removeCondition", index }),
    }),
  );
}

function button(text, label, onclick) {
  return h("button", { type: "button", text, "aria-label": label, title: label, onclick });
}

/** Names of what conditions speak of; what is gone is said to be. */
export function namesOf({ categories, choices }) {
  const words = new Map(Object.entries(choices.source_words));
  return {
    category: (id) => categories.find((c) => c.id === id)?.name ?? "a category that is gone",
    user: (id) => (id === 0 ? "no person" : (choices.users.find((u) => u.id === id)?.name ?? "somebody")),
    source: (source) => words.get(source) ?? source,
  };
}

/** Give a select these options, by value and text, only where they differ. */
export function options(select, wanted) {
  const key = JSON.stringify(wanted);
  if (select.__options === key) return;
  select.__options = key;
  const value = select.value;
  select.replaceChildren(...wanted.map(([v, text]) => h("option", { value: v, text })));
  if (wanted.some(([v]) => v === value)) select.value = value;
}

function countWords(state) {
  if (!state.list) return state.searching ? "Looking …" : "Pictures";
  const all = state.list.of;
  const found = total(state);
  return found === all ? plural(all, "picture") : `${grouped(found)} of ${plural(all, "picture")}`;
}
