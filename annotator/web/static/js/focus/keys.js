// Which command a key means. The map is data, so that a person can have an own one.
//
// Digits are read by their place on the keyboard (`Digit1`), because Shift+1 gives another
// character on every layout, and some layouts need Shift for the digits themselves.

export const DEFAULT_KEYS = Object.freeze({
  restAbsent: ["Enter"],
  next: ["Space", "ArrowRight"],
  previous: ["ArrowLeft"],
  undo: ["Backspace"],
  why: ["e"],
  zoom: ["z"],
  type: ["/"],
  help: ["?"],
  up: ["ArrowUp"],
  down: ["ArrowDown"],
  more: ["PageDown"],
  selectedPresent: ["=", "+"],
  selectedAbsent: ["-"],
});

/** Commands that a held key may repeat; all others count once per press. */
const REPEATS = new Set(["up", "down"]);

/**
 * The command of a key press, or null where the key is not ours.
 * @param {KeyboardEvent} event or anything with its fields
 * @param {object} keys as DEFAULT_KEYS
 * @returns {?{command: string, slot?: number, value?: number, text?: string, arrow?: string}}
 */
export function commandOf(event, keys = DEFAULT_KEYS) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return null;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code ?? "");
  if (digit) {
    if (event.repeat) return null;
    return { command: "slot", slot: Number(digit[1]), value: event.shiftKey ? -1 : 1 };
  }
  const name = event.key === " " ? "Space" : event.key;
  const lower = name.length === 1 ? name.toLowerCase() : name;
  for (const [command, names] of Object.entries(keys)) {
    if (!names.includes(lower) && !names.includes(name)) continue;
    // Shift+E is a typed capital; Shift+Enter belongs to the type-ahead alone.
    if (event.shiftKey && (/^\p{L}$/u.test(name) || name === "Enter")) continue;
    if (event.repeat && !REPEATS.has(command)) return { command: "ignore" };
    return name.startsWith("Arrow") ? { command, arrow: name.slice(5) } : { command };
  }
  if (/^\p{L}$/u.test(name) && !event.repeat) return { command: "type", text: name };
  return null;
}

/** True where a key belongs to the element it was pressed in, not to the page. */
export function belongsToTarget(event) {
  const target = event.target;
  if (!target?.closest) return false;
  if (target.closest("input, textarea, select, [contenteditable=true], dialog[open]")) return true;
  // The tab that is open already has nothing to do with a further Enter: it is meant for the page.
  if (target.closest("[role=tab][aria-selected=true]")) return false;
  const pressable = target.closest("button, a[href], summary, [role=tab]");
  return Boolean(pressable) && (event.key === "Enter" || event.key === " ");
}
