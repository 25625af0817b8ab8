// What is asked of the server about the selected cell: reasons, and where the model looks.

import { announce, currentImage, evidenceKey, nameOf } from "./state.js";
import { describeMap } from "./attention.js";

const KEEP_ANSWERS = 300;

/**
 * Ask for what is shown of the selected cell and is not here yet. While a change waits for its answer
 * nothing is asked: the answer makes reasons old, and whoever answers is to have hands free for it.
 */
export function withEvidence(state) {
  const image = currentImage(state);
  if (!image || image.blind || state.selected === null) return [state, []];
  if (state.pending.some((entry) => entry.kind === "decide" || entry.kind === "undo")) return [state, []];
  const model = state.lists.get(image.id)?.model ?? null;
  if (model === null) return [state, []]; // nothing has been learned that could be told
  const about = { image: image.id, category: state.selected };
  const key = evidenceKey(about.image, about.category);
  const effects = [];
  const have = state.evidence.get(key);
  if (state.why && !(have && have.revision === image.revision && have.model === model)) {
    effects.push({ type: "evidence", ...about, model });
  }
  if (state.attention && !state.maps.has(key)) effects.push({ type: "attention", ...about });
  return [state, effects];
}

/** Reasons have come; too late for a picture that is asked blind by now. */
export function takeEvidence(state, { image, category, evidence }) {
  if (state.images.get(image)?.blind) return [state, []];
  return [{ ...state, evidence: kept(state.evidence, image, category, evidence) }, []];
}

/** A map has come, or why there is none; `again`: it is being worked out. */
export function takeMap(state, { image, category, map }) {
  if (state.images.get(image)?.blind) return [state, []];
  const next = { ...state, maps: kept(state.maps, image, category, map) };
  if (currentImage(state)?.id !== image || state.selected !== category) return [next, []];
  const again = map.again && state.attention;
  const effects = again ? [{ type: "attention", image, category, later: true }] : [];
  return [announce(next, `${nameOf(state, category)}: ${describeMap(map)}`), effects];
}

/** Maps of a former model version say nothing any more. */
export function forgetMaps(state) {
  return { ...state, maps: new Map() };
}

function kept(answers, image, category, answer) {
  const next = new Map(answers).set(evidenceKey(image, category), answer);
  if (next.size > KEEP_ANSWERS) next.delete(next.keys().next().value);
  return next;
}
