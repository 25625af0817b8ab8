// What the promises are measured by: User Timing entries that a browser test or the developer
// tools can read. "annotator:key-to-paint" from the key event to the frame that shows its effect,
// "annotator:acknowledged" from the decision to the server's confirmation.

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

/** Begin (or with `end` finish) the time until a change is acknowledged. */
export function measureAck(key, end = false) {
  if (!end) begun.set(key, performance.now());
  else if (begun.has(key)) {
    record("annotator:acknowledged", begun.get(key));
    begun.delete(key);
  }
}

function record(name, start) {
  performance.measure(name, { start, end: performance.now() });
  if (performance.getEntriesByName(name).length > KEEP) performance.clearMeasures(name);
}
