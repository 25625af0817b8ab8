// What all pages share: who is working, the outbox, the status of the server.

import { Api } from "./api.js";
import { DEFAULT_KEYS } from "./focus/keys.js";
import { remembered } from "./history.js";
import { Outbox, Refused } from "./outbox.js";

const POLL_MS = 1500;
const POLL_HIDDEN_MS = 10_000;
const USER_ITEM = "annotator.user";
const RETRY_MS = 1000;
const KEEP_EVENTS = 1000;
/** News that stays true: a page that is mounted later hears the latest at once. */
const STANDING = new Set(["status", "user", "started", "outbox", "keys", "moved"]);

/** Whether every event from one to another is among these; an id that went unused is not. */
export function onlyOwn(own, after, event) {
  if (event < after || event - after > own.size) return false;
  for (let id = after + 1; id <= event; id++) if (!own.has(id)) return false;
  return true;
}

export class Session {
  /** @param {{base: string, askName: () => Promise<string>, storage: Storage}} options */
  constructor({ base, askName, storage }) {
    this.api = new Api({ base });
    this.askName = askName;
    this.storage = storage;
    this.listeners = new Map();
    this.latest = new Map(); // what was said last, of `STANDING`
    this.outbox = null;
    this.user = null;
    this.online = true;
    this.status = null;
    this.event = null; // newest event that this page knows of
    this.own = new Set(); // events of this page; their answers brought what they changed
    this.keys = DEFAULT_KEYS;
    this.shown = new Map(); // page -> what `showing` told last
    this.sought = null; // category that Browse is to look for
    this.history = []; // changes of this visit on any page, see history.js
    this.on("sent", (entry) => (this.history = remembered(this.history, entry)));
    this.on("refused", (entry, _, dropped) => {
      const gone = new Set([entry.key, ...dropped]);
      this.history = this.history.filter((mark) => !gone.has(mark.key));
    });
  }

  /** The keys of this person, for the card on which they are changed. */
  get keyboard() {
    const session = this;
    return {
      get keys() {
        return session.keys;
      },
      save: (keys) => session.#saveKeys(keys),
    };
  }

  on(event, listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
    if (this.latest.has(event)) listener(...this.latest.get(event));
  }

  emit(event, ...values) {
    if (STANDING.has(event)) this.latest.set(event, values);
    for (const listener of this.listeners.get(event) ?? []) listener(...values);
  }

  /** Find the workspace, learn who is there, take up what was left unsent. */
  async start() {
    this.status = await this.persist(() => this.api.get("/status"));
    this.api.workspace = this.status.workspace.id;
    this.emit("status", this.status);
    await this.#signIn();
    this.outbox = new Outbox({
      storage: this.storage,
      scope: this.status.workspace.id,
      send: (entry, saved) => this.#deliver(entry, saved),
      added: (entry) => this.emit("sent", entry),
      saved: (entry) => this.emit("saved", entry),
      acknowledged: (entry, reply) => {
        if (reply.event) this.own.add(reply.event);
        if (this.own.size > KEEP_EVENTS) this.own.delete(this.own.values().next().value);
        this.emit("acknowledged", entry, reply);
      },
      refused: (entry, text, dropped) => this.emit("refused", entry, text, dropped),
      changed: (state) => {
        this.online = state.online;
        this.emit("outbox", state);
      },
      wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
    this.history = this.outbox.entries.reduce(remembered, this.history);
    this.event = this.status.event;
    const [settings, categories] = await Promise.all(
      ["/users/me/settings", "/categories"].map((path) => this.persist(() => this.api.get(path))),
    );
    if (!settings.error) this.#useKeys(settings.keys);
    this.emit("started", { categories, pending: this.outbox.entries });
    this.emit("outbox", this.outbox.state);
    void this.outbox.pump();
    addEventListener("online", () => void this.outbox.wake());
    addEventListener("beforeunload", (event) => {
      // In storage it is safe; without storage it would be lost.
      if (this.outbox.entries.length && !this.outbox.durable) event.preventDefault();
    });
    this.#poll();
  }

  /**
   * Keep a change of this person and send it after those before it. All pages hear of it:
   * "sent" at once, then "saved" when it is on the server's disk and "acknowledged" (entry, reply)
   * with the answer, or "refused" (entry, text, dropped).
   *
   * @param {object} entry `{key, kind: "decide", source, model, cells: [{image, category, state}],
   *   text}` or `{key, kind: "undo", undoes, event}`; `source` is the page ("focus", "sweep", …),
   *   `text` says in a few words what was done, for whoever takes it back; `undoes` is the key of
   *   the change that is meant, `event` its number where it was made before this visit
   */
  send(entry) {
    return this.outbox.add({ ...entry, user: this.user.id });
  }

  /** What undo would take back of this person; see `withOffer` in history.js. */
  lastChange() {
    return this.quietly(() => this.api.get("/undo"));
  }

  /** Show a picture on Focus; the place in its queue is kept. */
  openImage(image) {
    this.emit("open-image", Number(image));
  }

  /**
   * A page tells which model version the suggestions on it are from; the header says so.
   * @param {string} page the word on its tab
   * @param {?{model: ?number, unit: string}} what null where nothing is shown that could be older
   */
  showing(page, what) {
    const now = JSON.stringify(what);
    if (this.shown.get(page) === now) return;
    this.shown.set(page, now);
    this.emit("showing", { page, ...what });
  }

  /** Look on Browse for pictures of a category whose cell nobody has decided. */
  find(category) {
    this.sought = Number(category);
    this.emit("find");
  }

  /** The category that was to be looked for, once: Browse may only be made because of it. */
  takeSought() {
    const category = this.sought;
    this.sought = null;
    return category;
  }

  /** Go on with another queue on Focus. */
  openQueue(queue) {
    this.emit("open-queue", queue);
  }

  /** Work under another name from now on; what is unsent stays with the one who did it. */
  async rename() {
    const name = await this.askName(this.user?.name ?? "");
    if (!name || name === this.user?.name) return;
    this.storage.setItem(USER_ITEM, name);
    location.reload();
  }

  /** Ask until the server is reached; an answer that refuses is given as `{error}`. */
  async persist(ask) {
    for (;;) {
      try {
        const answer = await ask();
        this.#setOnline(true);
        return answer;
      } catch (error) {
        if (error instanceof Refused) return { error: error.message, status: error.status };
        this.#setOnline(false);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** Ask once; undefined where there was no answer, for what is only nice to have. */
  async quietly(ask) {
    try {
      return await ask();
    } catch {
      return undefined;
    }
  }

  async #signIn() {
    let name = this.storage.getItem(USER_ITEM);
    for (;;) {
      name ||= await this.askName("");
      const user = await this.persist(() => this.api.post("/users", { name }, { user: null }));
      if (!user.error) {
        this.user = user;
        this.api.user = user.id;
        this.storage.setItem(USER_ITEM, user.name);
        // For the pages that Gradio serves, which cannot read our storage.
        document.cookie = `annotator_user=${Number(user.id)}; path=/; samesite=strict`;
        this.emit("user", user);
        return;
      }
      name = await this.askName(name, user.error);
    }
  }

  #deliver(entry, saved) {
    const { key, user } = entry;
    const by = { user, saved };
    if (entry.kind === "undo") {
      const { undoes = null, event = null } = entry;
      return this.api.post("/undo", { key, of: undoes, event }, by);
    }
    if (entry.kind === "flag") {
      return this.api.post("/flags", { image: entry.image, note: entry.note }, by);
    }
    if (entry.kind === "closeFlag") return this.api.delete(`/flags/${Number(entry.flag)}`, by);
    const { source = "focus", model = null, cells } = entry;
    return this.api.post("/decisions", { key, source, model_version: model, cells }, by);
  }

  async #saveKeys(keys) {
    try {
      this.#useKeys((await this.api.put("/users/me/settings", { keys })).keys);
      return "";
    } catch (error) {
      return error instanceof Refused ? error.message : "Not saved: the server does not answer.";
    }
  }

  #useKeys(keys) {
    this.keys = keys;
    this.emit("keys", keys);
  }

  /** Tell the pages what changed since the last look, apart from what this page did itself. */
  async #catchUp(event) {
    const after = this.event;
    if (onlyOwn(this.own, after, event)) {
      this.event = event;
      return;
    }
    const found = await this.api.get(`/changes?after=${after}`);
    this.event = found.event;
    const images = found.images.filter((one) => !this.own.has(one.event)).map((one) => one.image);
    const { everything, categories, pictures, flags } = found;
    if (images.length || everything || categories || pictures || flags) {
      this.emit("changes", { after, images, everything, categories, pictures, flags });
    }
  }

  #setOnline(online) {
    if (this.outbox) this.outbox.reached(online);
    if (this.online === online) return;
    this.online = online;
    this.emit("outbox", this.outbox?.state ?? { waiting: 0, online, durable: true });
  }

  async #poll() {
    for (;;) {
      const ms = document.hidden ? POLL_HIDDEN_MS : POLL_MS;
      await new Promise((resolve) => setTimeout(resolve, ms));
      try {
        this.status = await this.api.get("/status");
        this.#setOnline(true);
        this.emit("status", this.status);
        await this.#catchUp(this.status.event);
      } catch (error) {
        if (error.moved) {
          this.emit("moved", error.message);
          return;
        }
        this.#setOnline(false);
      }
    }
  }
}
