// Changes on their way to the server: kept in the browser's storage until acknowledged, sent one
// after the other, tried again for as long as it takes.
//
// Every entry is a storage item of its own, so that two pages of the same person never overwrite
// each other. A page adopts what an earlier page left behind. If both send the same entry, the
// idempotency key makes the second a repetition; each page sends in order and waits for the
// answer, so nothing overtakes.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4000;

/** The server answered and refused; `text` is for the person. */
export class Refused extends Error {}

export class Outbox {
  /**
   * @param {object} options
   * @param {Storage} options.storage localStorage or alike
   * @param {string} options.scope workspace id; entries of others are left alone
   * @param {(entry: object, saved: () => void) => Promise<object>} options.send resolves with the
   *   reply, rejects with `Refused`, or with anything else where the server was not reached; may
   *   call `saved` as soon as the change is on the server's disk
   * @param {(entry) => void} options.added told of every change at once
   * @param {(entry) => void} options.saved told once that a change is safe, before its answer
   * @param {(entry, reply) => void} options.acknowledged
   * @param {(entry, text, dropped: string[]) => void} options.refused
   * @param {(state: object) => void} options.changed
   * @param {(ms: number) => Promise<void>} options.wait
   */
  constructor(options) {
    const { storage, scope, send, acknowledged, refused, changed, wait, now = Date.now } = options;
    Object.assign(this, { storage, send, acknowledged, refused, changed, wait, now });
    this.added = options.added ?? (() => {});
    this.saved = options.saved ?? (() => {});
    this.prefix = `annotator.outbox.${scope}.`;
    this.online = true;
    this.durable = true;
    this.sending = false;
    this.failures = 0;
    this.answered = false; // the server was reached at the last try, but could not do it
    this.problem = ""; // why the last try failed, for whoever looks closer
    this.last = 0;
    this.entries = this.#stored();
  }

  /** What the saved chip needs. */
  get state() {
    const { entries, online, durable, problem, answered } = this;
    return { waiting: entries.length, online, durable, problem, answered };
  }

  /** Keep a change and send it as soon as those before it are through. */
  add(entry) {
    // Strictly growing within a page; between pages by the clock.
    this.last = Math.max(this.last + 1, this.now() * 1000);
    const item = `${this.prefix}${String(this.last).padStart(17, "0")}.${entry.key}`;
    const kept = { ...entry, item };
    try {
      this.storage.setItem(item, JSON.stringify(entry));
    } catch {
      // Storage is full or forbidden: it is still sent, but would not outlive the page.
      this.durable = false;
    }
    this.entries.push(kept);
    const sent = this.pump(); // under way before anybody draws it: the server works meanwhile
    this.added(entry);
    this.changed(this.state);
    return sent;
  }

  /** Send until nothing waits. Safe to call at any time. */
  async pump() {
    if (this.sending) return;
    this.sending = true;
    try {
      while (this.entries.length) await this.#sendFirst();
    } finally {
      this.sending = false;
    }
  }

  /** Try at once: the server or the network is back. */
  wake() {
    this.failures = 0;
    this.awake?.();
    return this.pump();
  }

  /** The server was reached (or not) by somebody else. */
  reached(online) {
    if (online && !this.online && this.entries.length) void this.wake();
    else if (!this.entries.length && online !== this.online) this.#setOnline(online);
  }

  async #sendFirst() {
    const entry = this.entries[0];
    try {
      const reply = await this.send(entry, () => this.#keepNoLonger(entry));
      this.#keepNoLonger(entry);
      this.#remove([entry]);
      this.#setOnline(true);
      this.acknowledged(entry, reply);
    } catch (error) {
      if (error instanceof Refused) {
        // An undo that was meant for this change would now take back an older one.
        const orphans = this.entries.filter((e) => e.kind === "undo" && e.undoes === entry.key);
        this.#remove([entry, ...orphans]);
        this.#setOnline(true);
        this.refused(entry, error.message, orphans.map((e) => e.key));
        return;
      }
      this.failures += 1;
      this.problem = error.message;
      this.answered = error.status !== undefined;
      this.#setOnline(false);
      const ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.failures - 1));
      await Promise.race([this.wait(ms), new Promise((resolve) => (this.awake = resolve))]);
    }
  }

  /** The server has it: it need not outlive this page, which still waits for the answer. */
  #keepNoLonger(entry) {
    if (entry.saved) return; // asked again, since the answer had not come
    entry.saved = true;
    this.storage.removeItem(entry.item);
    this.saved(entry);
  }

  #remove(entries) {
    const gone = new Set(entries.map((entry) => entry.item));
    for (const item of gone) this.storage.removeItem(item);
    this.entries = this.entries.filter((entry) => !gone.has(entry.item));
  }

  #setOnline(online) {
    this.online = online;
    if (online) {
      this.failures = 0;
      this.problem = "";
      this.answered = false;
    }
    this.changed(this.state);
  }

  #stored() {
    const items = [];
    try {
      for (let i = 0; i < this.storage.length; i++) {
        const item = this.storage.key(i);
        if (item?.startsWith(this.prefix)) items.push(item);
      }
    } catch {
      this.durable = false;
    }
    const entries = [];
    for (const item of items.sort()) {
      try {
        entries.push({ ...JSON.parse(this.storage.getItem(item)), item });
      } catch {
        this.storage.removeItem(item); // cut off while it was written: was never shown as saved
      }
    }
    return entries;
  }
}
