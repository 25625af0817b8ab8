// Small pictures, fetched and decoded before their page is shown. Those that are wanted at the same
// moment come in one answer: sixty requests would take longer than everything else on the way.

import { dataUrl } from "../pieces.js";

const KEEP = 400;
const TOGETHER = 100; // pictures in one request

export class Thumbs {
  /**
   * @param {object} options
   * @param {(image: number) => string} options.urlOf address of one
   * @param {(images: number[]) => Promise<(?Uint8Array)[]>} options.fetchMany in the order asked for,
   *   null where the picture has to be asked for alone
   * @param {number} options.least how many are worth an answer together; fewer are asked for one by
   *   one, which costs the page itself less
   */
  constructor({ urlOf, fetchMany, least = 2, makeImage = () => new Image() }) {
    Object.assign(this, { urlOf, fetchMany, least, makeImage });
    this.held = new Map(); // image id -> {element, state: "loading" | "ready" | "failed", done}
    this.wanted = []; // [image id, how to tell where it is], asked for at the end of this task
  }

  /** The small picture, begun to load if it is not here or could not be loaded. */
  get(image) {
    let held = this.held.get(image);
    if (held) this.held.delete(image); // to the end: dropped last
    if (!held || held.state === "failed") held = this.#load(image);
    this.held.set(image, held);
    return held;
  }

  /** Load these; resolves when each is here or has failed. */
  async prefetch(images) {
    await Promise.all(images.map((image) => this.get(image).done));
    this.forget();
  }

  /** Those that were wanted longest ago are dropped, where there are too many. */
  forget() {
    for (const [image, held] of this.held) {
      if (this.held.size <= KEEP) return;
      if (!held.element.isConnected) this.held.delete(image);
    }
  }

  #load(image) {
    const element = this.makeImage();
    element.decoding = "async";
    element.draggable = false;
    element.alt = ""; // the tile around it says what it is
    const held = { element, state: "loading" };
    held.done = this.#show(element, image).then(
      () => (held.state = "ready"),
      () => (held.state = "failed"),
    );
    return held;
  }

  async #show(element, image) {
    const piece = await this.#piece(image);
    element.src = piece ? dataUrl(piece, "image/jpeg") : this.urlOf(image);
    await element.decode();
  }

  /** The picture out of an answer for all that are wanted now, or null. */
  #piece(image) {
    if (!this.wanted.length) queueMicrotask(() => this.#ask());
    return new Promise((tell) => this.wanted.push([image, tell]));
  }

  #ask() {
    const all = this.wanted;
    this.wanted = [];
    for (let first = 0; first < all.length; first += TOGETHER) void this.#askFor(all.slice(first, first + TOGETHER));
  }

  async #askFor(some) {
    let pieces = [];
    if (some.length >= this.least) pieces = await this.fetchMany(some.map(([image]) => image)).catch(() => []);
    some.forEach(([, tell], place) => tell(pieces[place] ?? null));
  }
}
