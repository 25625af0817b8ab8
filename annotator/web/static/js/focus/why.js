// The why panel of one cell: what the labels here, similar pictures and the picture alone say.

import { h } from "../dom.js";
import { odds, percent, plural, sigmoid, verdict } from "../words.js";

const MAX_TERMS = 4;
const MAX_THUMBNAILS = 6;
const TELLING = 0.05; // logits; less changes the odds by under 5 %

/**
 * Elements for one evidence.
 * @param {object} evidence as the API gives it
 * @param {(image: number) => string} thumbnailUrl
 */
export function whyElements(evidence, thumbnailUrl) {
  if (evidence.waiting) {
    return [line("Model", `No model for ${evidence.name} yet: ${evidence.waiting}.`)];
  }
  return [labelsLine(evidence), ...similar(evidence, thumbnailUrl), aloneLine(evidence)].filter(
    Boolean,
  );
}

function labelsLine(evidence) {
  const terms = evidence.terms.filter((term) => Math.abs(term.contribution) >= TELLING);
  if (!terms.length) return line("Labels here", "say little about it so far.");
  const shown = terms.slice(0, MAX_TERMS).map(termText);
  const rest = terms.length - shown.length;
  return line(
    "Labels here",
    `${shown.join("; ")}${rest > 0 ? `; and ${plural(rest, "weaker one")}` : ""}.`,
    "What labels known in this picture do to the odds (intra-image transfer, IST)",
  );
}

/** "dining table makes it 3.3 × likelier", "no car makes it 1.2 × less likely". */
function termText(term) {
  const who = term.state > 0 ? term.name : `no ${term.name}`;
  return `${who} makes it ${odds(term.contribution)}`;
}

function similar(evidence, thumbnailUrl) {
  const present = evidence.neighbours.filter((n) => n.state > 0);
  const absent = evidence.neighbours.filter((n) => n.state < 0);
  const push = evidence.sources
    .filter((source) => source.kind === "cst")
    .reduce((sum, source) => sum + source.contribution, 0);
  const effect = Math.abs(push) >= TELLING ? `, which makes it ${odds(push)}` : "";
  const title = "Nearest labelled pictures (cross-image transfer, CST)";
  if (present.length || absent.length) {
    const count =
      `${present.length} of the ${plural(present.length + absent.length, "nearest labelled picture")} ` +
      `${present.length === 1 ? "has" : "have"} it${effect}.`;
    const shown = [...present, ...absent].slice(0, MAX_THUMBNAILS);
    return [line("Similar pictures", count, title), strip(shown, evidence, thumbnailUrl)];
  }
  if (!evidence.exemplars.length) return [];
  const shown = evidence.exemplars.slice(0, MAX_THUMBNAILS).map((image) => ({ image, state: 1 }));
  const text = `none near is labelled; typical for ${evidence.name}${effect}:`;
  return [line("Similar pictures", text, title), strip(shown, evidence, thumbnailUrl)];
}

function strip(shown, evidence, thumbnailUrl) {
  const items = shown.map((near) => {
    const what = `${evidence.name} ${verdict(near.state)}`;
    const alike = near.similarity === undefined ? "" : `, ${percent(near.similarity)} alike`;
    const image = h("img", {
      src: thumbnailUrl(near.image),
      alt: `Similar picture, ${what}${alike}`,
      title: `${what}${alike}`,
      width: 52,
      height: 52,
      loading: "eager",
    });
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
    `${percent(sigmoid(logit))}. All together ${percent(evidence.probability)}; ` +
      `the model says present from ${percent(evidence.threshold)}.`,
    "What the classifier says without other labels and similar pictures",
  );
}

function line(head, text, title = null) {
  return h("p", { title }, h("b", { text: `${head}: ` }), h("span", { text }));
}
