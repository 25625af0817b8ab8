// Groups of near-duplicates: decided together, and where their labels differ, pointed out.

import { attr, h } from "../dom.js";
import { percent, plural, verdict } from "../words.js";
import { options } from "./head.js";

const PAGE = 20;
const THUMBS = 24;
const AGREED_SHOWN = 12;
const DIFFERING_SHOWN = 6;

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {(cells: object[], text: string) => void} options.decideCells
 * @param {() => object} options.getState
 * @param {import("../session.js").Session} options.session
 */
export function makeGroups({ send, decideCells, getState, session }) {
  const title = h("h2", { tabindex: "-1", text: "Near-duplicates" });
  const facts = h("p.quiet", { "aria-live": "polite" });
  const said = h("output", { text: "90 %" });
  const cut = h("input", {
    type: "range",
    min: 70,
    max: 99,
    value: 90,
    "aria-label": "Alike from",
    oninput: () => attr(said, "text", `${cut.value} %`),
    onchange: () => void load(),
  });
  const list = h("div.groups");
  const more = h("button", { type: "button", text: "Show more groups", hidden: true, onclick: () => void load(shown.length) });
  const element = h(
    "div.duplicates",
    { hidden: true },
    h(
      "div.bar",
      {},
      h("button", { type: "button", text: "← All pictures", onclick: () => send({ type: "view", view: "grid" }) }),
      title,
      facts,
      h("label.cut", {}, h("span.word", { text: "Alike from" }), cut, said),
    ),
    list,
    more,
  );
  let shown = [];
  let asked = 0;

  /** Ask for the groups anew, or for those after the ones that are here. */
  async function load(start = 0) {
    const round = (asked += 1);
    if (!start) attr(facts, "text", "Comparing …");
    const count = start ? PAGE : Math.min(100, Math.max(PAGE, shown.length));
    const query = new URLSearchParams({ cut: Number(cut.value) / 100, start, count });
    const page = await session.persist(() => session.api.get(`/browse/near-duplicates?${query}`));
    if (round !== asked) return;
    if (page.error) return attr(facts, "text", page.error);
    shown = start ? [...shown, ...page.groups] : page.groups;
    attr(facts, "text", countWords(page));
    more.hidden = shown.length >= page.total;
    if (start) list.append(...page.groups.map(draw));
    else list.replaceChildren(...page.groups.map(draw));
  }

  function draw(group) {
    const { pictures } = group;
    const thumbs = pictures.slice(0, THUMBS).map((tile) =>
      h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            title: tile.file_name,
            "aria-label": `Open ${tile.file_name}`,
            onclick: () => send({ type: "open", image: tile.image }),
          },
          h("img", { src: session.api.pictureUrl(tile.image, "thumbnail"), alt: "", loading: "lazy" }),
        ),
        h("span.state"),
      ),
    );
    const rest = pictures.length - thumbs.length;
    const differing = group.labels.filter((label) => label.differs);
    const agreed = group.labels.filter((label) => !label.differs);
    const element_ = h(
      "article.group",
      { "aria-label": `${plural(pictures.length, "picture")} that look alike` },
      h("p.size", { text: `${plural(pictures.length, "picture")}, ${percent(group.similarity)} alike or more` }),
      h("ul.thumbs", {}, ...thumbs, rest > 0 ? h("li.quiet", { text: `and ${rest} more` }) : null),
      ...disagreement(differing.map((label) => differs(group, label, thumbs))),
      agreed.length ? agreement(group, agreed) : null,
      ask(group),
    );
    return element_;
  }

  /** The first few; of a thousand categories many can differ, and the rest opens on demand. */
  function disagreement(lines) {
    const [first, rest] = [lines.slice(0, DIFFERING_SHOWN), lines.slice(DIFFERING_SHOWN)];
    if (!rest.length) return first;
    const summary = h("summary", { text: `More labels that differ: ${rest.length}` });
    return [...first, h("details.differing", {}, summary, ...rest)];
  }

  /** "cup is present in 2, absent in 1: a mistake?" with what to make of it. */
  function differs(group, label, thumbs) {
    const [present, absent] = [1, -1].map((state) => label.states.filter((s) => s === state).length);
    const all = (value) =>
      h("button", {
        type: "button",
        text: `All ${verdict(value)}`,
        "aria-label": `${label.name} ${verdict(value)} in all ${group.pictures.length}`,
        onclick: () => decideAll(group, label.category, value, label.name),
      });
    thumbs.forEach((thumb, i) => {
      const state = label.states[i];
      thumb.dataset.state = thumb.dataset.state ?? String(state);
      const mark = thumb.lastChild;
      if (state && !mark.textContent) attr(mark, "text", `${label.name} ${verdict(state)}`);
    });
    return h(
      "p.differs",
      {},
      h("b", { text: label.name }),
      h("span", { text: ` is present in ${present} and absent in ${absent}: a mistake? ` }),
      all(1),
      all(-1),
    );
  }

  /** What some pictures have and none contradicts, to be carried over to the others. */
  function agreement(group, labels) {
    const cells = labels.flatMap((label) => {
      const state = label.states.find((s) => s !== 0);
      return label.states.flatMap((s, i) =>
        s === 0 ? [{ image: group.pictures[i].image, category: label.category, state }] : [],
      );
    });
    const words = labels.slice(0, AGREED_SHOWN).map((label) => {
      const known = label.states.filter((s) => s !== 0).length;
      const value = verdict(label.states.find((s) => s !== 0));
      return known === group.pictures.length ? `${label.name} ${value}` : `${label.name} ${value} in ${known}`;
    });
    const rest = labels.length - words.length;
    return h(
      "p.agreed",
      {},
      h("span", { text: `Agreed: ${words.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}. ` }),
      cells.length
        ? h("button", {
            type: "button",
            text: `Carry over to all: ${plural(cells.length, "cell")}`,
            onclick: () => decideCells(cells, `${plural(cells.length, "cell")} of near-duplicates`),
          })
        : null,
    );
  }

  /** Any category for the whole group. */
  function ask(group) {
    const category = h("select", { "aria-label": `Category for all ${group.pictures.length}` });
    options(category, getState().categories.map((c) => [String(c.id), c.name]));
    const all = (value) =>
      h("button", {
        type: "button",
        text: verdict(value),
        onclick: () =>
          decideAll(group, Number(category.value), value, category.selectedOptions[0]?.textContent ?? ""),
      });
    return h(
      "p.ask",
      {},
      h("label", {}, h("span.word", { text: `All ${group.pictures.length}` }), category),
      ...[1, -1, 0].map(all),
    );
  }

  function decideAll(group, category, state, name) {
    const cells = group.pictures.map((tile) => ({ image: tile.image, category, state }));
    if (category) decideCells(cells, `${name} ${verdict(state)} in ${plural(cells.length, "near-duplicate")}`);
  }

  function render(state) {
    const was = element.hidden;
    element.hidden = state.view !== "groups";
    if (was && !element.hidden) title.focus();
  }

  return { element, render, load };
}

function countWords(page) {
  if (page.model_version === null) {
    return "No model yet: pictures are compared once its first version is there.";
  }
  if (!page.total) return "No two pictures are this much alike.";
  const differing = page.differing
    ? `${plural(page.differing, "group")} with labels that differ, first`
    : "no label differs";
  return `${plural(page.total, "group")}, ${plural(page.pictures, "picture")}; ${differing}`;
}
