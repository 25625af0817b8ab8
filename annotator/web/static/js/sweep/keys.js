// Which command a key means on Sweep.

const COMMANDS = {
  " ": "flip",
  Enter: "accept",
  Backspace: "undo",
  Escape: "escape",
  "/": "find",
  "?": "help",
  u: "unknown",
  z: "zoom",
  n: "nextClass",
  s: "side",
};

const MOVES = {
  ArrowLeft: { dx: -1 },
  ArrowRight: { dx: 1 },
  ArrowUp: { dy: -1 },
  ArrowDown: { dy: 1 },
  PageUp: { dy: -3 },
  PageDown: { dy: 3 },
  Home: { to: "rowFirst" },
  End: { to: "rowLast" },
};

/**
 * The command of a key press, or null where the key is not ours.
 * @param {KeyboardEvent} event or anything with its fields
 * @returns {?{command: string, extend?: boolean, dx?: number, dy?: number, to?: string}}
 */
export function commandOf(event) {
  if (event.metaKey || event.altKey || event.isComposing) return null;
  const to = { Home: "first", End: "last" }[event.key];
  if (event.ctrlKey) return to ? { command: "move", to, extend: event.shiftKey } : null;
  if (MOVES[event.key]) return { command: "move", extend: event.shiftKey, ...MOVES[event.key] };
  // "?" needs Shift on most layouts; Shift with another key means something else elsewhere.
  if (event.shiftKey && event.key !== "?") return null;
  const command = COMMANDS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!command) return null;
  // Held keys move, everything else counts once per press.
  return event.repeat ? { command: "ignore" } : { command };
}
