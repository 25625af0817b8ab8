// The line above the tiles: category, side, how right past suggestions were, what Enter will do.

import { attr, h, set } from "../dom.js";
import { grouped, plural } from "../words.js";
import { countsOf, countsText, shareText, sideText, waitingOf } from "./state.js";

const SIDES = [
  ["present", "Suggested present"],
  ["absent", "Suggested absent"],
  ["both", "Both"],
];

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {() => void} options.accept
 * @param {() => void} options.goToFocus
 * @param {{value: number, change: (pixels: number) => void}} options.size of the tiles
 */
export function makeHead({ send, accept, goToFocus, size }) {
  const name = h("h2");
  const waiting = h("span.fact");
  const past = h("span.fact", {
    title:
      "How often the model was right where people have answered, with the exact 95 % interval. " +
      "Answers on Focus are the hardest ones, so this is rather too low than too high there.",
  });
  const sides = SIDES.map(([value, text]) => {
    const radio = h("input", {
      type: "radio",
      name: "sweep-side",
      value,
      onchange: () => send({ type: "side", side: value }),
    });
    return { value, radio, label: h("label", {}, radio, h("span", { text })) };
  });
  const range = h("input", {
    type: "range",
    min: "96",
    max: "320",
    step: "8",
    value: String(size.value),
    "aria-label": "Size of the pictures",
    oninput: () => size.change(Number(range.value)),
  });
  const counts = h("span.counts");
  const button = h("button.accept", { type: "button", onclick: accept });
  const warning = h("span");
  const ask = h("button", { type: "button", text: "Go to Focus", onclick: goToFocus });
  const below = h("p.below", { hidden: true }, warning, ask);
  const element = h(
    "header",
    {},
    h("div.line", {}, name, waiting, h("span.gap"), h("div.go", {}, counts, button)),
    h(
      "div.line.choices",
      {},
      h("div.sides", { role: "radiogroup", "aria-label": "What to show" }, ...sides.map((s) => s.label)),
      past,
      h("span.gap"),
      h("label.size", {}, h("span", { text: "Size", "aria-hidden": "true" }), range),
    ),
    below,
  );

  function render(state, unseen) {
    const one = state.classes.get(state.category);
    element.hidden = !state.listed || state.listModel === null;
    for (const side of sides) side.radio.checked = side.value === state.side;
    attr(name, "text", one?.name ?? "Sweep");
    // Without a model of it there is nothing to count.
    for (const fact of [waiting, past]) fact.hidden = !one || Boolean(one.waits_for);
    const { page } = state;
    for (const part of [counts, button]) part.hidden = !page;
    below.hidden = !one || one.verdict !== "below";
    if (!one) return;
    attr(waiting, "text", `${sideText(state.side)} · ${grouped(waitingOf(one, state.side))} wait`);
    attr(past, "text", `past suggestions: ${shareText(one.share)}`);
    attr(past, "data-verdict", one.verdict);
    attr(
      warning,
      "text",
      `Suggestions of ${one.name} were right too seldom: ${shareText(one.share)}. It is better asked in Focus.`,
    );
    if (!page) return;
    attr(counts, "text", countsText(countsOf(page)));
    const more = unseen > 0 && page.shownAt !== null;
    attr(button, "text", more ? `Show ${grouped(unseen)} more` : "Accept page");
    set(button, {
      "aria-label": more
        ? `Show ${plural(unseen, "further picture")}`
        : `Accept page: ${countsText(countsOf(page))}`,
      "data-more": more,
    });
    button.append(h("kbd", { text: "⏎", "aria-hidden": "true" }));
  }

  return { element, render };
}
