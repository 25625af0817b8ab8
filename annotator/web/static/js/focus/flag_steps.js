// Flags: a picture with a note for somebody else. They travel by the outbox like decisions.

import { announce, currentImage, say } from "./state.js";

/** Flag the open picture. */
export function flagPicture(state, { note, key }) {
  const image = currentImage(state);
  if (!image) return [state, []];
  const entry = { key, kind: "flag", image: image.id, note: note.trim(), cells: [] };
  const next = { ...state, flagging: false, pending: [...state.pending, entry] };
  return [announce(next, "Flagged"), [{ type: "send", entry }]];
}

/** Close a flag: it was dealt with. One that is not saved yet has no number to close it by. */
export function closeFlag(state, { flag, key }) {
  const open = state.flags.find((f) => f.id === flag);
  if (!open) return [state, []];
  const entry = { key, kind: "closeFlag", flag, image: open.image, cells: [] };
  const next = { ...state, pending: [...state.pending, entry] };
  return [announce(next, "Flag closed"), [{ type: "send", entry }]];
}

/** The server's list of open flags. */
export function takeFlags(state, { flags }) {
  return [{ ...state, flags }, []];
}

/** A flag was set or closed; `reply` is the flag as it is now. */
export function flagAcknowledged(state, reply) {
  const others = state.flags.filter((flag) => flag.id !== reply.id);
  return { ...state, flags: reply.closed_at === null ? [reply, ...others] : others };
}

/** The server refused a flag. */
export function flagRefused(state, entry, text) {
  const what = entry.kind === "flag" ? "Not flagged" : "The flag stays";
  return say(state, `${what} (${text})`, "error");
}
