// Fetches the parts of a list that come into sight, a block at a time, once scrolling slows down.

const BLOCK = 120;
const SETTLE_MS = 60;
const AT_ONCE = 3;

export class Windows {
  /**
   * @param {object} options
   * @param {(start: number, count: number) => Promise<boolean>} options.fetch resolves with
   *   whether the answer came
   * @param {(ms: number) => Promise<void>} options.wait
   */
  constructor({ fetch, wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }) {
    Object.assign(this, { fetch, wait });
    this.reset();
  }

  /** Another list: nothing of it is here. */
  reset() {
    this.have = new Set(); // blocks that are here
    this.stale = new Set(); // blocks that are here, but may have changed
    this.sight = [0, 0];
    this.asking = new Map(); // block -> number of the request
    this.round = (this.round ?? 0) + 1;
  }

  /** These places are in sight. */
  async need(first, after) {
    const moving = Math.abs(first - this.sight[0]) > BLOCK;
    this.sight = [first, after];
    if (!this.#missing().length) return;
    if (moving) await this.wait(SETTLE_MS);
    await this.#pump();
  }

  /** What is here may have changed: what is in sight is fetched again, the rest when it comes. */
  changed() {
    this.stale = new Set(this.have);
    this.round += 1; // what is on its way may be older
    this.asking.clear();
    return this.#pump();
  }

  #missing() {
    const [first, after] = this.sight;
    const blocks = [];
    for (let block = Math.floor(first / BLOCK); block * BLOCK < after; block++) {
      if (this.asking.has(block)) continue;
      if (!this.have.has(block) || this.stale.has(block)) blocks.push(block);
    }
    return blocks;
  }

  async #pump() {
    const blocks = this.#missing().slice(0, AT_ONCE - this.asking.size);
    await Promise.all(blocks.map((block) => this.#ask(block, this.round)));
  }

  async #ask(block, round) {
    this.asking.set(block, round);
    const came = await this.fetch(block * BLOCK, BLOCK);
    if (this.round !== round) return;
    this.asking.delete(block);
    if (!came) return;
    this.have.add(block);
    this.stale.delete(block);
    await this.#pump();
  }
}
