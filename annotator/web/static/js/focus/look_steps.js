// Steps that change nothing but what is looked at: selection, reasons, typing.

import { currentImage, rowsHere } from "./state.js";
import { withEvidence } from "./why_steps.js";

/** A letter that is also a command becomes a typed letter if another follows within this time. */
export const TYPING_MS = 700;

/** The same where the second letter has a meaning too: the note's first, or another command. */
export const NOTE_MS = 350;

export function moveSelection(state, { by }) {
  const rows = rowsHere(state);
  if (!rows.length) return [state, []];
  const at = rows.findIndex((row) => row.category === state.selected);
  const to = Math.max(0, Math.min(rows.length - 1, at + by));
  return withEvidence({ ...state, selected: rows[to].category });
}

export function startTyping(state, { text = "", at }) {
  if (!currentImage(state)) return [state, []];
  const last = state.lastLetter;
  let next = { ...state, help: false, lastLetter: null, selected: state.selected };
  let typed = text;
  // "e" opened the reasons, but "el" was meant to be typed: close them again and keep both letters.
  if (text && last && at !== undefined && at - last.at < TYPING_MS) {
    next[last.command] = !next[last.command];
    typed = last.letter + text;
  }
  return [{ ...next, typing: { text: typed, index: 0 } }, [{ type: "focusTyping" }]];
}

/** Turn something on or off by a key, and know which, in case it was the beginning of a word. */
export function toggle(state, command, { letter = null, at }) {
  const lastLetter = letter === null || at === undefined ? null : { command, letter, at };
  return { ...state, [command]: !state[command], lastLetter };
}

/** A step on a letter key, unless another command's letter came just before: "ze" of zebra. */
export function unlessWord(step) {
  return (state, action) => {
    const last = state.lastLetter;
    const word = action.letter && last && last.letter !== action.letter;
    const soon = word && action.at - last.at < NOTE_MS;
    return soon ? startTyping(state, { text: action.letter, at: action.at }) : step(state, action);
  };
}

/** Letters in the note right after its key were meant for a category that begins with it. */
export function typedNotNote(state, { text, at }) {
  const last = state.lastLetter;
  const soon = last?.command === "flagging" && at - last.at < NOTE_MS;
  return soon && /^\p{L}$/u.test(text) ? startTyping(state, { text, at }) : [state, []];
}
