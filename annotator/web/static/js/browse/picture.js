// One picture, large, with its cells: who decided each, when and where; and pictures like it.

import { attr, h, keyed, set } from "../dom.js";
import { match, prepare } from "../focus/typeahead.js";
import { grouped, percent, plural, verdict } from "../words.js";
import { namesOf } from "./head.js";
import { cellsOf, total } from "./state.js";

const VALUES = [
  [1, "present"],
  [-1, "absent"],
  [0, "unknown"],
];
const SIMILAR = 12;

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {(image: object, category: number, value: number) => void} options.decide
 * @param {(image: number) => void} options.openInFocus
 * @param {import("../session.js").Session} options.session
 */
export function makePicture({ send, decide, openInFocus, session }) {
  const stage = h("img", { alt: "", draggable: "false" });
  const broken = h("p.message", { hidden: true });
  stage.addEventListener("error", () => (broken.hidden = false));
  stage.addEventListener("load", () => (broken.hidden = true));
  attr(broken, "text", "This picture cannot be shown.");
  const name = h("h2", { tabindex: "-1" });
  const facts = h("p.quiet");
  const find = h("input", {
    type: "text",
    placeholder: "Find a category",
    "aria-label": "Find a category",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => refresh(),
    onkeydown: onFindKey,
  });
  const list = h("ul.cells", { "aria-label": "Cells", onkeydown: onCellKey });
  const like = h("section.similar", { "aria-label": "Similar pictures" });
  const act = (text, label, onclick) => h("button", { type: "button", title: label, onclick }, text);
  const back = act("← Back", "Back (Esc)", () => send({ type: "close" }));
  const previous = act("‹", "Previous picture (←)", () => step(-1));
  const next = act("›", "Next picture (→)", () => step(1));
  set(previous, { "aria-label": "Previous picture" });
  set(next, { "aria-label": "Next picture" });
  const focus = act("Open in Focus", "Open in Focus (F)", () => shown && openInFocus(shown.id));
  const similar = act("All similar pictures", "All similar pictures (S)", () => showSimilar());
  const element = h(
    "div.picture",
    { role: "region", "aria-label": "Picture", hidden: true },
    h("figure", {}, stage, broken),
    h(
      "div.panel",
      {},
      h("div.tools", {}, back, previous, next, focus),
      h("div.about", {}, name, facts),
      h("div.find", {}, find),
      list,
      like,
    ),
  );
  let state = null;
  let shown = null; // the picture as the server last told
  let active = null; // category whose row has the keyboard
  let prepared = { categories: null, entries: [] };
  let nearOf = null;

  function step(by) {
    if (!state?.picture) return;
    const { place } = state.picture;
    const to = place === null ? null : place + by;
    if (to !== null && to >= 0 && to < total(state)) send({ type: "open", place: to });
  }

  function showSimilar() {
    if (shown) send({ type: "similar", image: shown.id, name: shown.file_name });
  }

  function render(next_, image) {
    state = next_;
    element.hidden = state.view !== "picture";
    if (element.hidden) {
      nearOf = null;
      return;
    }
    const { id, place } = state.picture;
    const src = session.api.pictureUrl(id, "picture");
    if (stage.getAttribute("src") !== src) {
      broken.hidden = true;
      attr(stage, "src", src);
      find.value = "";
      active = null;
      void loadSimilar(id);
    }
    set(previous, { disabled: place === null || place === 0 });
    set(next, { disabled: place === null || place >= total(state) - 1 });
    shown = image?.id === id ? image : null;
    if (image?.problem && image.id === id) {
      attr(name, "text", "This picture is gone");
      attr(facts, "text", image.problem);
      shown = null;
    }
    refresh();
  }

  function refresh() {
    if (!shown) {
      list.replaceChildren();
      list.__keyed = new Map();
      return;
    }
    attr(stage, "alt", `Picture ${shown.file_name}`);
    attr(name, "text", shown.file_name);
    const cells = cellsOf(shown, session.outbox.entries);
    const where = state.picture.place === null ? "" : ` · ${grouped(state.picture.place + 1)} of ${grouped(total(state))}`;
    attr(facts, "text", `${cells.size} of ${plural(shown.cells_total, "cell")} known · ${shown.width} × ${shown.height}${where}`);
    const rows = rowsOf(cells);
    if (!rows.some((row) => row.id === active)) active = rows[0]?.id ?? null;
    keyed(
      list,
      rows,
      (row) => row.id,
      (row) => makeRow(row.id, (value) => choose(row.id, value)),
      (element_, row) => drawRow(element_, row, row.id === active),
    );
  }

  /** Known cells first, then what the model suggests; while typing, what fits. */
  function rowsOf(cells) {
    const likely = new Map(shown.suggestions.map((s) => [s.category, s.probability]));
    const { source } = namesOf(state);
    const row = ({ id, name: text }) => {
      const cell = cells.get(id);
      return { id, name: text, cell, where: cell && source(cell.source), likely: likely.get(id) };
    };
    if (find.value.trim()) {
      if (prepared.categories !== state.categories) {
        prepared = { categories: state.categories, entries: prepare(state.categories) };
      }
      const context = { probability: likely, decided: new Map(), uses: new Map() };
      return match(prepared.entries, find.value, context, 12).map(row);
    }
    const known = state.categories.filter((c) => cells.has(c.id));
    const present = known.filter((c) => cells.get(c.id).state > 0);
    const absent = known.filter((c) => cells.get(c.id).state < 0);
    const open = shown.suggestions.filter((s) => !cells.has(s.category));
    const rest = open.length
      ? open.map((s) => ({ id: s.category, name: s.name }))
      : state.categories.filter((c) => !cells.has(c.id)).slice(0, 24);
    return [...present, ...absent, ...rest].map(row);
  }

  function choose(category, value) {
    active = category;
    const now = cellsOf(shown, session.outbox.entries).get(category)?.state ?? 0;
    if (now !== value) decide(shown, category, value);
  }

  function onFindKey(event) {
    if (event.key === "Escape") {
      find.value = "";
      refresh();
      find.blur();
    } else if (event.key === "ArrowDown" || event.key === "Enter") focusRow(active);
    else return event.stopPropagation();
    event.preventDefault();
    event.stopPropagation();
  }

  function onCellKey(event) {
    const row = event.target.closest?.("li");
    if (row) active = Number(row.dataset.category);
  }

  function focusRow(category) {
    active = category;
    refresh();
    list.querySelector(`[data-category="${Number(category)}"]`)?.focus();
  }

  async function loadSimilar(id) {
    nearOf = id;
    const near = await session.quietly(() => nearest(session.api, id));
    if (nearOf !== id) return;
    drawSimilar(near, id);
  }

  function drawSimilar(near, id) {
    const head = h("h3", { text: "Similar pictures" });
    const line = (text) => like.replaceChildren(head, h("p.quiet", { text }));
    if (!near) return line("They come when the server is back.");
    if (near.model === null) return line("No model yet: they come with its first version.");
    const others = near.pictures.filter((tile) => tile.image !== id);
    if (!others.length) return line("The model has not seen this picture yet.");
    const tiles = others.map((tile) => {
      const text = `${percent(tile.similarity)} alike`;
      const open = () => send({ type: "open", image: tile.image });
      return h(
        "li",
        {},
        h(
          "button",
          { type: "button", title: tile.file_name, "aria-label": `${tile.file_name}, ${text}`, onclick: open },
          h("img", { src: session.api.pictureUrl(tile.image, "thumbnail"), alt: "", loading: "lazy" }),
          h("span", { text: percent(tile.similarity) }),
        ),
      );
    });
    like.replaceChildren(head, h("ul", {}, ...tiles), similar);
  }

  const commands = {
    previous: () => step(-1),
    next: () => step(1),
    up: () => moveRow(-1),
    down: () => moveRow(1),
    present: () => active !== null && shown && choose(active, 1),
    absent: () => active !== null && shown && choose(active, -1),
    unknown: () => active !== null && shown && choose(active, 0),
    focus: () => shown && openInFocus(shown.id),
    similar: showSimilar,
    find: () => find.focus(),
  };

  function moveRow(by) {
    const rows = [...list.children].map((row) => Number(row.dataset.category));
    const place = rows.indexOf(active);
    const inside = list.contains(document.activeElement);
    const to = inside ? Math.max(0, Math.min(rows.length - 1, place + by)) : Math.max(0, place);
    if (rows.length) focusRow(rows[to]);
  }

  return { element, render, commands, focus: () => name.focus() };
}

/** The nearest pictures, the picture itself first. */
async function nearest(api, image) {
  const list = await api.post("/browse/lists", {
    where: { kind: "similar", image },
    sort: { by: "similarity", descending: true, image },
  });
  const { pictures } = await api.get(`/browse/lists/${list.name}?count=${SIMILAR + 1}`);
  return { model: list.model_version, pictures };
}

function makeRow(category, choose) {
  const buttons = VALUES.map(([value, text]) =>
    h("button", { type: "button", tabindex: "-1", "data-value": value, text, onclick: () => choose(value) }),
  );
  return h(
    "li",
    { "data-category": category, tabindex: "-1" },
    h("span.what", {}, h("span.name"), h("span.from")),
    h("span.states", { role: "group" }, ...buttons),
  );
}

function drawRow(row, { name, cell, where, likely }, active) {
  const [what, states] = row.children;
  attr(what.children[0], "text", name);
  attr(what.children[1], "text", provenance(cell, where, likely));
  const value = cell?.state ?? 0;
  set(row, {
    "data-state": value,
    tabindex: active ? "0" : "-1",
    "aria-label": `${name}: ${verdict(value)}${cell ? `, ${provenance(cell, where)}` : ""}`,
  });
  row.classList.toggle("unsaved", Boolean(cell && !cell.saved));
  attr(states, "aria-label", name);
  for (const button of states.children) {
    set(button, {
      "aria-pressed": String(Number(button.dataset.value) === value),
      "aria-label": `${name} ${button.textContent}`,
      tabindex: active ? "0" : "-1",
    });
  }
}

/** "ana · Focus · 23 Nov 2026, 10:04", or how likely the model holds it. */
function provenance(cell, where, likely) {
  if (!cell) return likely === undefined ? "" : `${percent(likely)} likely`;
  if (!cell.saved) return "not saved yet";
  const at = new Date(cell.at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return [cell.user ?? "no person", where, at].join(" · ");
}
