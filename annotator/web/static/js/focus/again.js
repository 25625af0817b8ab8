// Decided cells that the evidence contradicts (the queue "look again"): rows that are answered like
// suggestions, but say what was decided before, by whom, and what the model says against it.

import { percent, verdict } from "../words.js";

/** Name of the queue, and of the decisions made in it. */
export const LOOK_AGAIN = "look-again";

/** Above its rows. */
export const HEADING = "Decided, but the model disagrees";

const MADE = {
  import: ({ state, user }) => `imported as ${verdict(state)}${user ? ` by ${user}` : ""}`,
  contract: ({ state }) => `decided ${verdict(state)} under a contract`,
};

/** A picture as a queue hands it out: with rows to look at again, or none. */
export function handedOut(image) {
  const known = new Map(image.known.map((cell) => [cell.category, cell]));
  const rows = (image.again ?? []).flatMap((row) => {
    const cell = known.get(row.category);
    return cell ? [{ ...row, again: true, was: cell.state, made: madeText(cell) }] : [];
  });
  return { ...image, again: rows };
}

/** The picture on screen as the server has it now: what is asked of it stays as it was opened. */
export function asOpen(state, image) {
  return { ...image, again: state.images.get(image.id)?.again ?? [] };
}

/** "marked absent by ana", "imported as absent". */
function madeText(cell) {
  const { state, user, source } = cell;
  if (MADE[source]) return MADE[source](cell);
  return `marked ${verdict(state)}${user ? ` by ${user}` : ""}`;
}

/** Whether a row waits for an answer, given what is known of its cell now. */
export function isOpen(row, cell) {
  if (!row.again) return !cell;
  return Boolean(cell) && cell.state === row.was && cell.source !== LOOK_AGAIN;
}

/** Whether a picture has anything left to look at again. */
export function asksAgain(image, cells) {
  return rowsAgain(image).some((row) => isOpen(row, cells.get(row.category)));
}

/** Rows of a picture that are looked at again. */
export function rowsAgain(image) {
  return image.again ?? [];
}

/** Whether an answer that changes nothing is one all the same: it confirms. */
export function confirms(image, cells, category) {
  const row = rowsAgain(image).find((one) => one.category === category);
  return Boolean(row) && isOpen(row, cells.get(category));
}

/** Where cells of a picture are decided, for their provenance. */
export function sourceOf(image, categories) {
  if (image.blind) return image.queue; // also on the way back from another queue
  const asked = new Set(rowsAgain(image).map((row) => row.category));
  return categories.every((category) => asked.has(category)) ? LOOK_AGAIN : "focus";
}

/** ["marked absent by ana", "the model says present 94 %, with table"], or what was answered. */
export function againLines(row) {
  if (!row.open) return [answerText(row)];
  const against = -row.was;
  const share = percent(against > 0 ? row.probability : 1 - row.probability);
  const reasons = row.reasons.map((reason) => `, ${reason.text}`).join("");
  return [row.made, `the model says ${verdict(against)} ${share}${reasons}`];
}

function answerText(row) {
  if (row.state === row.was) return `confirmed: ${verdict(row.state)}`;
  return `${verdict(row.was)} before, now ${verdict(row.state)}`;
}
