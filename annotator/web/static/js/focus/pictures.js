// Pictures fetched and decoded before they are needed.

const KEEP = 14;

export class Pictures {
  /** @param {(image: number) => string} urlOf */
  constructor(urlOf, { makeImage = () => new Image(), fetch = globalThis.fetch } = {}) {
    this.urlOf = urlOf;
    this.makeImage = makeImage;
    this.fetch = fetch.bind(globalThis);
    this.held = new Map(); // image id -> {element, state: "loading" | "ready" | "failed", done}
  }

  /** The picture, begun to load if it is not here. */
  get(id) {
    let held = this.held.get(id);
    if (held) {
      this.held.delete(id); // to the end: dropped last
    } else {
      held = this.#load(id);
    }
    this.held.set(id, held);
    return held;
  }

  /** Load these in turn, so that the next one is never slowed down by the fifth. */
  async prefetch(ids) {
    this.wanted = ids;
    for (const id of ids) {
      if (this.wanted !== ids) return;
      await this.get(id).done;
    }
    this.#trim(new Set(ids));
  }

  /**
   * Why a picture failed: a text from the server, or null where the server was not reached and
   * it is worth another try. Either way it is loaded anew the next time.
   */
  async explain(id) {
    this.held.delete(id);
    try {
      const response = await this.fetch(this.urlOf(id), { cache: "no-store" });
      if (response.ok) return "The browser cannot decode it.";
      return response.status >= 500 ? null : (await response.json()).error;
    } catch {
      return null;
    }
  }

  #load(id) {
    const element = this.makeImage();
    element.decoding = "async";
    element.draggable = false;
    element.src = this.urlOf(id);
    const held = { element, state: "loading" };
    held.done = element.decode().then(
      () => (held.state = "ready"),
      () => (held.state = "failed"),
    );
    return held;
  }

  #trim(wanted) {
    for (const [id, held] of this.held) {
      if (this.held.size <= KEEP) return;
      if (!wanted.has(id) && !held.element.isConnected) this.held.delete(id);
    }
  }
}
