// The line of keys at the foot of Focus: those that are used most, and that mean something here.

const KEYS = [
  { action: "slot1", words: "present" },
  { action: "slot1", words: "absent", before: "Shift " },
  { action: "type", words: "any label" },
  { action: "why", words: "why" },
  { action: "restAbsent", words: "rest absent, next" },
  { action: "undo", words: "undo" },
  { action: "help", words: "keys" },
];

/**
 * @param {?object} image the picture on screen
 * @param {boolean} again whether it is looked at again
 * @returns {{action: string, words: string, before?: string}[]}
 */
export function legendOf(image, again) {
  // There are no reasons before the first model, nor for what is asked without a suggestion.
  const reasons = !image || (!image.blind && Boolean(image.model_version));
  return KEYS.filter(({ action }) => action !== "why" || reasons).map((key) =>
    again && key.action === "restAbsent" ? { ...key, words: "next" } : key,
  );
}
