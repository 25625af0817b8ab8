// Which command a key means on Browse; what belongs to a field or a button is left to it.

const GRID = Object.freeze({
  Enter: "open",
  Escape: "selectNone",
  p: "present",
  a: "absent",
  u: "unknown",
  f: "focus",
  s: "similar",
  d: "groups",
  r: "refresh",
  n: "addFilter",
  "/": "findName",
  Backspace: "undo",
  "+": "larger",
  "=": "larger",
  "-": "smaller",
  "?": "help",
});
const PICTURE = Object.freeze({
  Escape: "close",
  ArrowLeft: "previous",
  ArrowRight: "next",
  ArrowUp: "up",
  ArrowDown: "down",
  p: "present",
  a: "absent",
  u: "unknown",
  f: "focus",
  s: "similar",
  "/": "find",
  Backspace: "undo",
  "?": "help",
});
const GROUPS = Object.freeze({ Escape: "grid", Backspace: "undo", r: "refresh", "?": "help" });
const MAPS = { grid: GRID, picture: PICTURE, groups: GROUPS };
const MOVES = new Set([
  "ArrowLeft",
  "ArrowRight",
  "ArrowUp",
  "ArrowDown",
  "Home",
  "End",
  "PageUp",
  "PageDown",
]);
const REPEATS = new Set(["move", "previous", "next", "up", "down"]);

/**
 * @param {KeyboardEvent} event or anything with its fields
 * @param {"grid" | "picture" | "groups"} view
 * @returns {?{command: string, key?: string, extend?: boolean}}
 */
export function commandOf(event, view) {
  if (event.altKey || event.isComposing) return null;
  const held = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = view === "grid" ? gridCommand(event, key, held) : null;
  if (command) return event.repeat && !REPEATS.has(command.command) ? { command: "ignore" } : command;
  if (held) return null;
  if (event.shiftKey && key !== "?" && key !== "+" && key !== "/") return null;
  const name = MAPS[view][key];
  if (!name) return null;
  return event.repeat && !REPEATS.has(name) ? { command: "ignore" } : { command: name };
}

function gridCommand(event, key, held) {
  if (held && key === "a") return { command: "selectAll" };
  if (held && (key === "Home" || key === "End")) {
    return { command: "move", key: key === "Home" ? "First" : "Last", extend: event.shiftKey };
  }
  if (held) return null;
  if (MOVES.has(key)) return { command: "move", key, extend: event.shiftKey };
  if (key === " ") return { command: event.shiftKey ? "range" : "toggle" };
  return null;
}
