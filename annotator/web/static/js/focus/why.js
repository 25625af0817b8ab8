// The why panel of one cell: what the labels here, similar pictures and the picture alone say.

import { h } from "../dom.js";
import { grouped, percent, plural, sigmoid, times, verdict } from "../words.js";

const MAX_TERMS = 4;
const MAX_THUMBNAILS = 6;
const TELLING = 0.05; // logits; less changes the odds by under 5 %

/**
 * Elements for one evidence.
 * @param {object} evidence as the API gives it
 * @param {import("../sweep/thumbs.js").Thumbs} thumbs
 */
export function whyElements(evidence, thumbs) {
  if (evidence.waiting) {
    return [line("Model", `none for ${evidence.name} yet: ${evidence.waiting}.`)];
  }
  return [labelsLine(evidence), ...similar(evidence, thumbs), aloneLine(evidence)].filter(
    Boolean,
  );
}

/** "Labels here: dining table 3.3 ×, bottle 2.2 × likelier; no car 1.3 × less likely." */
function labelsLine(evidence) {
  const terms = evidence.terms.filter((term) => Math.abs(term.contribution) >= TELLING);
  if (!terms.length) return line("Labels here", "say little about it so far.");
  const shown = terms.slice(0, MAX_TERMS);
  const parts = [
    side(shown.filter((term) => term.contribution > 0), "likelier"),
    side(shown.filter((term) => term.contribution < 0), "less likely"),
  ].filter(Boolean);
  const rest = terms.length - shown.length;
  if (rest > 0) parts.push(`and ${plural(rest, "weaker one")}`);
  return line(
    "Labels here",
    `${parts.join("; ")}.`,
    "What the labels known in this picture do to the odds (intra-image transfer, IST)",
  );
}

function side(terms, word) {
  const names = terms.map(
    (term) => `${term.state > 0 ? term.name : `no ${term.name}`} ${times(term.contribution)}`,
  );
  return names.length ? `${names.join(", ")} ${word}` : "";
}

function similar(evidence, thumbs) {
  const present = evidence.neighbours.filter((near) => near.state > 0);
  const absent = evidence.neighbours.filter((near) => near.state < 0);
  const title = "Nearest labelled pictures (cross-image transfer, CST)";
  const push = evidence.sources
    .filter((source) => source.kind === "cst")
    .reduce((sum, source) => sum + source.contribution, 0);
  const word = push > 0 ? "likelier" : "less likely";
  // All similar and typical pictures together: what a few of them are known to show may differ.
  const effect = Math.abs(push) >= TELLING ? `; together, such pictures make it ${times(push)} ${word}` : "";
  if (present.length || absent.length) {
    const all = grouped(present.length + absent.length);
    const shows = present.length === 1 ? "shows" : "show";
    const text = `${present.length} of the ${all} most similar with a label ${shows} it${effect}.`;
    const shown = [...present, ...absent].slice(0, MAX_THUMBNAILS);
    return [line("Similar pictures", text, title), strip(shown, evidence, thumbs)];
  }
  if (!evidence.exemplars.length) return [];
  const shown = evidence.exemplars.slice(0, MAX_THUMBNAILS).map((image) => ({ image, state: 1 }));
  const text = `none of the most similar has a label; these are typical${effect}.`;
  return [line("Similar pictures", text, title), strip(shown, evidence, thumbs)];
}

function strip(shown, evidence, thumbs) {
  void thumbs.prefetch(shown.map((near) => near.image)); // in one answer
  const items = shown.map((near) => {
    const what = `${evidence.name} ${verdict(near.state)}`;
    const alike = near.similarity === undefined ? "" : `, ${percent(near.similarity)} alike`;
    const image = h("img", {
      alt: `Similar picture, ${what}${alike}`,
      title: `${what}${alike}`,
      width: 52,
      height: 52,
    });
    const held = thumbs.get(near.image);
    void held.done.then(() => (image.src = held.element.src));
    return h("li", { "data-state": String(near.state) }, image);
  });
  return h("ul.thumbs", {}, ...items);
}

function aloneLine(evidence) {
  const logit = evidence.sources
    .filter((source) => source.kind === "classifier")
    .reduce((sum, source) => sum + source.contribution, evidence.start);
  return line(
    "Picture alone",
    `${percent(sigmoid(logit))}, in all ${percent(evidence.probability)}.`,
    "What the classifier says without other labels and similar pictures",
  );
}

function line(head, text, title = null) {
  return h("p", { title }, h("b", { text: `${head}: ` }), h("span", { text }));
}
