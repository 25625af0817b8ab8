// What this person has changed in this visit, over all pages: undo is one history. A page keeps more
// about its own changes; what it must know of the others is here.

import { noticed } from "./notices.js";

const KEEP = 500;
const PAGES = { sweep: "Sweep", browse: "Browse", similar: "Browse" };

/**
 * A change as another page takes it back.
 * @param {object} entry as sent, see session.js
 * @returns {{key: string, text: string, page: string}} `page`: where it was made
 */
export function markOf(entry) {
  const count = entry.cells?.length ?? 0;
  const text = entry.text ?? `${count} ${count === 1 ? "cell" : "cells"}`;
  return { key: entry.key, text, page: PAGES[entry.source] ?? "Focus" };
}

/** The history with one more entry, which may be an undo. */
export function remembered(marks, entry) {
  if (entry.kind === "decide") return [...marks, markOf(entry)].slice(-KEEP);
  if (entry.kind !== "undo" || entry.event) return marks;
  const taken = entry.undoes ?? marks.at(-1)?.key;
  return marks.filter((mark) => mark.key !== taken);
}

/** "Taken back: 58 present, 2 absent (Sweep)". */
export function takenBack({ text, page }) {
  return `Taken back: ${text} (${page})`;
}

/**
 * The notices with what a further undo would take back now that nothing of this visit is left: it may
 * be long ago, so it is named first.
 * @param {?{event: number, text: string, where: string, at: string}} change as the server has it,
 *   null if there is none, undefined if the server does not answer
 */
export function withOffer(notices, change) {
  if (change === undefined) {
    return noticed(notices, "Nothing was taken back: the server does not answer.", "error");
  }
  if (change === null) return noticed(notices, "There is nothing left to take back.", "info");
  const when = new Date(change.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const what = `${change.text} (${change.where}, ${when})`;
  const text = `Nothing of this visit is left to take back. Press again to take back: ${what}`;
  return noticed(notices, text, "info", change.event);
}

/** Event that the next undo takes back: the one that stands on the page, or null. */
export function offeredEvent(notices) {
  return notices.find((one) => one.kind === "info")?.offer ?? null;
}
