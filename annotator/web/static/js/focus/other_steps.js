// What other people did meanwhile: it appears in place, and nothing moves for it.

import { verdict } from "../words.js";
import { takeImages } from "./lists.js";
import { askable, cellsOf, currentImage, nameOf, say } from "./state.js";
import { withEvidence } from "./why_steps.js";

const NAMED = 3;

/** Pictures that others changed: those that are here are asked for again. */
export function takeChanges(state, { changes }) {
  const touched = new Set(changes.images);
  const here = (id) => changes.everything || touched.has(id);
  const effects = [];
  const current = currentImage(state)?.id;
  if (current !== undefined && askable(state, [current]).some(here)) effects.push({ type: "reload", image: current });
  const ahead = askable(state, state.ahead).filter(here);
  if (ahead.length) effects.push({ type: "refresh", images: ahead });
  if (changes.categories) effects.push({ type: "categories" });
  if (changes.flags) effects.push({ type: "flags" });
  return [state, effects];
}

/** The newest state of the open picture; what somebody else decided is said. */
export function takeImage(state, { image, at }) {
  const before = cellsOf(state, image.id);
  const next = takeImages(state, [image], at);
  if (currentImage(next)?.id !== image.id || image.blind) return [next, []];
  const after = cellsOf(next, image.id);
  const news = [];
  for (const category of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(category), after.get(category)];
    if ((was?.state ?? 0) === (is?.state ?? 0)) continue;
    if (is && (is.user === null || is.user === state.me)) continue; // an import, or another window
    news.push({ who: is?.user ?? null, what: `${nameOf(state, category)} ${verdict(is?.state ?? 0)}` });
  }
  const [withWhy, effects] = withEvidence(next);
  if (!news.length) return [withWhy, effects];
  return [say(withWhy, sentence(news), "others"), effects];
}

/** "ben: cup present, fork absent." */
function sentence(news) {
  const who = news.find((one) => one.who)?.who ?? "Somebody";
  const shown = news.slice(0, NAMED).map((one) => one.what);
  const rest = news.length > NAMED ? ` and ${news.length - NAMED} more` : "";
  return `${who}: ${shown.join(", ")}${rest}.`;
}
