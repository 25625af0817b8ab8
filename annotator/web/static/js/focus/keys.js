// Which command a key means. The map is data, so that a person can have an own one: keys are named
// as `KeyboardEvent.key` has them, letters small, the space bar "Space".
//
// Digits are read by their place on the keyboard (`Digit1`), because Shift+1 gives another
// character on every layout, and some layouts need Shift for the digits themselves.

/** The server has the same list and checks what a person chooses (`annotator/key_settings.py`). */
export const DEFAULT_KEYS = Object.freeze({
  ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`slot${i + 1}`, [String(i + 1)]])),
  restAbsent: ["Enter"],
  next: ["Space", "ArrowRight"],
  previous: ["ArrowLeft"],
  undo: ["Backspace"],
  why: ["e"],
  attention: ["a"],
  zoom: ["z"],
  zoomIn: ["."],
  zoomOut: [","],
  flag: ["f"],
  type: ["/"],
  help: ["?"],
  up: ["ArrowUp"],
  down: ["ArrowDown"],
  more: ["PageDown"],
  selectedPresent: ["=", "+"],
  selectedAbsent: ["-"],
});

/** Keys that may be chosen beside those that print a character. */
const NAMED = new Set(
  ("Enter Space Backspace Delete Insert Home End PageUp PageDown " +
    "ArrowUp ArrowDown ArrowLeft ArrowRight").split(" "),
);

/** Commands that a held key may repeat; all others count once per press. */
const REPEATS = new Set(["up", "down", "zoomIn", "zoomOut"]);

/** Name of the key of an event, by which it is looked up. */
export function keyName(event) {
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code ?? "");
  if (digit) return digit[1];
  if (event.key === " ") return "Space";
  const small = event.key.toLowerCase();
  return event.key.length === 1 && small.length === 1 ? small : event.key;
}

/** Whether a key may be given to an action; the others belong to the browser. */
export function mayBeChosen(name) {
  return NAMED.has(name) || /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(name);
}

/**
 * The command of a key press, or null where the key is not ours.
 * @param {KeyboardEvent} event or anything with its fields
 * @param {object} keys as DEFAULT_KEYS
 * @returns {?{command: string, slot?: number, value?: number, text?: string, letter?: string,
 *   arrow?: string}}
 */
export function commandOf(event, keys = DEFAULT_KEYS) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return null;
  const name = keyName(event);
  const isLetter = /^\p{L}$/u.test(event.key);
  const action = Object.keys(keys).find((one) => keys[one].includes(name));
  const slot = /^slot([1-9])$/.exec(action ?? "");
  if (slot) {
    if (event.repeat) return { command: "ignore" };
    return { command: "slot", slot: Number(slot[1]), value: event.shiftKey ? -1 : 1 };
  }
  // Shift+E is a typed capital; Shift+Enter belongs to the type-ahead alone.
  if (action && !(event.shiftKey && (isLetter || name === "Enter"))) {
    if (event.repeat && !REPEATS.has(action)) return { command: "ignore" };
    return {
      command: action,
      ...(isLetter ? { letter: event.key } : {}),
      ...(name.startsWith("Arrow") ? { arrow: name.slice(5) } : {}),
    };
  }
  return isLetter && !event.repeat ? { command: "type", text: event.key } : null;
}

const SHOWN = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  PageUp: "Page ↑",
  PageDown: "Page ↓",
};

/** A key as its cap is labelled: "e" -> "E", "ArrowUp" -> "↑". */
export function capOf(name) {
  return SHOWN[name] ?? (name.length === 1 ? name.toUpperCase() : name);
}

/** A key as it is said aloud. */
export function spokenKey(name) {
  return name.replace(/^(Arrow|Page)(?=[A-Z])/, "$1 ");
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
