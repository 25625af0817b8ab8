// Small pictures, fetched and decoded before their page is shown.

const KEEP = 400;

export class Thumbs {
  /** @param {(image: number) => string} urlOf */
  constructor(urlOf, { makeImage = () => new Image() } = {}) {
    this.urlOf = urlOf;
    this.makeImage = makeImage;
    this.held = new Map(); // image id -> {element, state: "loading" | "ready" | "failed", done}
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
    element.src = this.urlOf(image);
    const held = { element, state: "loading" };
    held.done = element.decode().then(
      () => (held.state = "ready"),
      () => (held.state = "failed"),
    );
    return held;
  }
}
