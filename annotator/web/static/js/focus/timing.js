// What the promises are measured by: User Timing entries that a browser test or the developer
// tools can read. "annotator:key-to-paint" from the key event to the frame that shows its effect,
// "annotator:acknowledged" from the decision to the server's word that it is on disk,
// "annotator:answered" from the decision to the suggestions that follow from it.

const KEEP = 2000;
const begun = new Map();

/** Measure from a key event to the next painted frame. */
export function measurePaint(start) {
  requestAnimationFrame(() => {
    // A message posted from a frame callback is handled after that frame was painted.
    const channel = new MessageChannel();
    channel.port1.onmessage = () => record("annotator:key-to-paint", start);
    channel.port2.postMessage(null);
  });
}

/** A change is on its way. */
export function measureSent(key) {
  begun.set(key, performance.now());
}

/** The server has it. */
export function measureAck(key) {
  if (begun.has(key)) record("annotator:acknowledged", begun.get(key));
}

/** Its answer is there. */
export function measureAnswer(key) {
  if (begun.has(key)) record("annotator:answered", begun.get(key));
  begun.delete(key);
}

function record(name, start) {
  performance.measure(name, { start, end: performance.now() });
  if (performance.getEntriesByName(name).length > KEEP) performance.clearMeasures(name);
}
