// Reasons are for whoever stops to look. While keys follow one another the server and the browser
// have their hands free for the answers.

/**
 * @param {number} ms without a key
 * @param {object} [clock]
 * @param {() => number} clock.now milliseconds on a steady clock
 * @param {(ms: number) => Promise<void>} clock.wait
 */
export function makeRest(ms, { now = () => performance.now(), wait = sleep } = {}) {
  let last = -Infinity;
  let asked = 0;
  const left = () => last + ms - now();
  return {
    pressed() {
      last = now();
    },
    /** Resolves when no key has been pressed for a while; true for whoever asked last. */
    async come() {
      asked += 1;
      const mine = asked;
      while (left() > 0) await wait(left());
      return mine === asked;
    },
  };
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
