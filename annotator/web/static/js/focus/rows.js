// The list of suggestions. A row keeps its element and its place while its picture is open.

import { attr, h, keyed } from "../dom.js";
import { percent, verdict } from "../words.js";
import { HEADING, againLines } from "./again.js";
import { capOf } from "./keys.js";
import { makeSight } from "./sight.js";
import { rowLabel } from "./state.js";
import { whyElements } from "./why.js";

const SUGGESTED = "Suggested categories, most useful first";

/**
 * @param {(action: object) => void} send
 * @param {import("../sweep/thumbs.js").Thumbs} thumbs
 * @param {() => object} edges see sight.js
 * @param {Element} list holds the rows and scrolls them where there is room for it
 */
export function makeRows(send, thumbs, edges, list) {
  const element = h("ol.rows", { "aria-label": SUGGESTED });
  const below = h("button.below", { type: "button", hidden: true, onclick: showBelow });
  const sight = makeSight({
    edges,
    changed: (count) => {
      // Whoever has come to the end of the list sees nothing jump: the line stays, empty.
      below.hidden = count === 0 && list.scrollTop === 0;
      below.style.visibility = count ? "" : "hidden";
      attr(below, "text", `↓ ${count} more below`);
    },
  });

  /** Bring what is further down to the top; false where everything is on screen. */
  function showBelow() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const first = sight.firstBelow();
    first?.parentElement.scrollIntoView({ block: "start", behavior: calm ? "instant" : "smooth" });
    return first !== undefined;
  }

  /** Categories of rows that have not been on screen since their picture opened. */
  function unseen() {
    const rows = [...element.children].filter((row) => !sight.wasSeen(row.parts.head));
    return new Set(rows.map((row) => Number(row.dataset.category)));
  }

  function create(row) {
    const cap = h("button.cap", {
      type: "button",
      onclick: (event) =>
        send({ type: "decide", category: row.category, value: event.shiftKey ? -1 : 1 }),
    });
    const name = h("span.name");
    const reason = h("span.reason");
    const bar = h("span.bar", { role: "img" }, h("span.fill"), h("span.mark"));
    const share = h("span.share");
    const head = h(
      "button.head",
      { type: "button", onclick: () => send({ type: "select", category: row.category }) },
      h("span.text", {}, name, reason),
      bar,
      share,
    );
    const why = h("div.why", { hidden: true });
    const item = h("li.row", { "data-category": row.category }, cap, head, why);
    item.parts = { cap, name, reason, bar, share, head, why };
    return item;
  }

  function patch(item, row, { selected, why, hasModel, keys, evidence }) {
    const { cap, name, reason, bar, share, head } = item.parts;
    const isSelected = row.category === selected;
    item.classList.toggle("selected", isSelected);
    item.classList.toggle("again", Boolean(row.again));
    attr(item, "aria-current", isSelected ? "true" : null);
    attr(item, "data-state", String(row.open ? 0 : row.state));
    const key = row.slot ? capOf(keys[`slot${row.slot}`][0] ?? "·") : "·";
    attr(cap, "text", row.open || row.state === 0 ? key : row.state > 0 ? "✓" : "✕");
    attr(cap, "aria-label", `${row.name}: mark present`);
    attr(cap, "title", row.slot ? `present (${key}), absent (Shift ${key})` : "present");
    attr(name, "text", row.name);
    attr(reason, "text", row.open || row.again ? reasonText(row, hasModel) : verdict(row.state));
    const ranked = row.probability !== null;
    bar.style.visibility = ranked ? "" : "hidden";
    if (ranked) {
      bar.style.setProperty("--share", row.probability);
      bar.style.setProperty("--threshold", row.threshold);
      attr(bar, "aria-label", `the model says present from ${percent(row.threshold)}`);
    }
    attr(share, "text", ranked ? percent(row.probability) : "");
    attr(head, "aria-label", rowLabel(row));
    attr(head, "aria-expanded", String(isSelected && why));
    patchWhy(item, row, isSelected && why, evidence);
  }

  function patchWhy(item, row, open, evidence) {
    const panel = item.parts.why;
    panel.hidden = !open;
    if (!open || panel.evidence === evidence) return;
    // While newer numbers are on their way the older ones stay, so that nothing jumps.
    if (!evidence && panel.childElementCount) return;
    const follow = item !== element.firstChild && (!panel.evidence || endsInSight(item));
    panel.evidence = evidence;
    panel.replaceChildren(
      ...(evidence ? whyElements(evidence, thumbs) : [h("p.quiet", { text: "Looking …" })]),
      decideButtons(row),
    );
    if (follow) item.scrollIntoView?.({ block: "nearest", behavior: "instant" });
  }

  /** Whether the end of a row is on screen, in a list that scrolls by itself. */
  function endsInSight(item) {
    if (list.scrollHeight <= list.clientHeight) return false;
    return item.getBoundingClientRect().bottom <= list.getBoundingClientRect().bottom + 1;
  }

  /** For pointers and touch; the keys do the same. */
  function decideButtons(row) {
    const button = (text, value) =>
      h("button", {
        type: "button",
        text,
        "aria-label": `${row.name} ${text.toLowerCase()}`,
        onclick: () => send({ type: "decide", category: row.category, value }),
      });
    const where = h("button", {
      type: "button",
      text: "Where",
      "aria-label": `Where the model looks for ${row.name}`,
      onclick: () => send({ type: "attention" }),
    });
    return h("p.decide", {}, where, button("Present", 1), button("Absent", -1));
  }

  function render(image, rows, context) {
    if (image !== element.imageBefore) list.scrollTop = 0;
    element.imageBefore = image;
    // Another picture gets new rows: a thumbnail or a text of the old one must not flash up. So does
    // one that is asked blind now: of what was told of it before nothing is left.
    const key = (row) => `${image}:${row.category}:${context.blind}`;
    keyed(element, rows, key, create, (item, row) =>
      patch(item, row, { ...context, evidence: context.evidenceOf(row.category) }),
    );
    attr(element, "aria-label", rows.some((row) => row.again) ? HEADING : SUGGESTED);
    sight.watch([...element.children].map((row) => row.parts.head));
    if (context.selected !== element.selectedBefore) {
      element.selectedBefore = context.selected;
      element
        .querySelector(".row.selected")
        ?.scrollIntoView?.({ block: "nearest", behavior: "instant" });
    }
  }

  return { element, below, render, unseen, showBelow, measure: sight.measure };
}

function reasonText(row, hasModel) {
  if (row.again) return againLines(row).join("\n");
  if (row.source === "none" || (row.source === "prior" && !hasModel)) return "";
  if (row.source === "prior") return "no model for it yet, by how common it is";
  return row.reasons.map((reason) => reason.text).join("; ");
}
