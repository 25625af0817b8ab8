// The Sweep page: holds the state, draws it, carries out effects.

import { attr, h } from "../dom.js";
import { belongsToTarget } from "../focus/keys.js";
import { measurePaint } from "../focus/timing.js";
import { makeNotices } from "../notices.js";
import { openTab } from "../shell.js";
import { emptyState } from "./empty.js";
import { makeGrid } from "./grid.js";
import { makeHead } from "./head.js";
import { makeHelp } from "./help.js";
import { commandOf } from "./keys.js";
import { makeList } from "./list.js";
import { initialState } from "./state.js";
import { Thumbs } from "./thumbs.js";
import { update } from "./update.js";
import { makeZoom } from "./zoom.js";

const SIZE_ITEM = "annotator.sweep.size";
const SIZE = 136;
const LIST_SOON_MS = 700;
const RECHECKED_AT_ONCE = 4;
const SIDES = ["present", "absent", "both"];
const LEGEND = [
  [["Space"], "turn over"],
  [["Shift", "arrows"], "several"],
  [["U"], "leave unknown"],
  [["Enter"], "accept page"],
  [["Backspace"], "take it back"],
  [["Z"], "enlarge"],
  [["N"], "next category"],
  [["?"], "keys"],
];

/**
 * @param {Element} root where the page goes
 * @param {import("../session.js").Session} session
 */
export function mountSweep(root, session) {
  let state = initialState();
  const getState = () => state;
  const thumbs = new Thumbs({
    urlOf: (image) => session.api.pictureUrl(image, "thumbnail"),
    fetchMany: (images) => session.api.thumbnails(images),
  });
  const view = makeView(send, getState, thumbs, session, press);
  root.replaceChildren(view.element);
  root.classList.add("annotator");

  function send(action) {
    const at = performance.now();
    const [next, effects] = update(state, { key: newKey(), at, ...action });
    const same = next === state;
    state = next;
    // What is to be saved is on its way before it is drawn: the server works meanwhile.
    const saves = effects.filter((effect) => effect.type === "send");
    for (const effect of saves) void run.send(effect);
    if (!same) view.render(state);
    for (const effect of effects) if (!saves.includes(effect)) void run[effect.type](effect, at);
  }

  const run = {
    send: ({ entry }) => session.send(entry),
    list: (effect) => view.lists.now(effect),
    listSoon: () => view.lists.soon(),
    fetch: async ({ category, side, count, asked, without }) => {
      const query = new URLSearchParams({ side, count });
      if (without.length) query.set("without", without.join(","));
      const page = await session.persist(() =>
        session.api.get(`/sweep/categories/${category}/page?${query}`),
      );
      if (page.error) {
        send({ type: "pageFailed", text: page.error, asked });
        return;
      }
      void thumbs.prefetch(page.tiles.map((tile) => tile.image));
      await null; // they are asked for at the end of this task: before the tiles are drawn
      send({ type: "page", page, asked });
    },
    lastChange: async () => send({ type: "lastChange", change: await session.lastChange() }),
    prefetch: ({ page }) => thumbs.prefetch(page.tiles.map((tile) => tile.image)),
    opened: (_, at) => view.opened(at),
    release: ({ category, images }) =>
      session.quietly(() => session.api.post(`/sweep/categories/${category}/release`, { images })),
    minimum: async ({ minimum }) => {
      const saved = await session.persist(() => session.api.post("/sweep/minimum", { minimum }));
      if (!saved.error) view.lists.now({ side: state.side, resort: false });
    },
    recheck: ({ category, images }) => recheck(category, images),
    focusTile: () => view.grid.focus(),
    scrollOn: () => view.grid.scrollOn(),
  };

  /** See who has decided these tiles meanwhile, a few at a time. */
  async function recheck(category, images) {
    const waiting = [...images];
    const look = async () => {
      for (let image = waiting.shift(); image !== undefined; image = waiting.shift()) {
        const found = await session.quietly(() => session.api.get(`/images/${image}`));
        // What is under way here has changed it, not somebody else.
        if (!found || state.pending.length) continue;
        const cell = found.known.find((known) => known.category === category);
        send({ type: "decided", image, category, state: cell?.state ?? 0, user: cell?.user });
      }
    };
    await Promise.all(Array.from({ length: RECHECKED_AT_ONCE }, look));
  }

  function press(event) {
    const command = commandOf(event);
    if (!command) return;
    event.preventDefault();
    measurePaint(event.timeStamp);
    const { columns } = view.grid;
    const commands = {
      move: () => send({ type: "move", columns, ...command }),
      flip: () => send({ type: "flip" }),
      unknown: () => send({ type: "unknown" }),
      accept: () => view.accept(),
      undo: () => send({ type: "undo" }),
      zoom: () => send({ type: "zoom" }),
      nextClass: () => send({ type: "chooseNext" }),
      side: () => send({ type: "side", side: SIDES[(SIDES.indexOf(state.side) + 1) % SIDES.length] }),
      find: () => view.list.focus(),
      help: () => send({ type: "help" }),
      escape: () => view.grid.focus(),
      ignore: () => {},
    };
    commands[command.command]();
  }

  document.addEventListener("keydown", (event) => {
    // Asked now: what the observer says comes a moment after the page, and a quick key before it.
    if (!root.checkVisibility() || event.defaultPrevented || isTyped(event)) return;
    press(event);
  });
  new IntersectionObserver((entries) => {
    send({ type: "visible", visible: entries.at(-1).isIntersecting });
  }).observe(root);
  // Tiles that nobody looks at any more are everybody's at once.
  addEventListener("pagehide", () => {
    for (const page of [state.page, ...state.ahead].filter(Boolean)) {
      run.release({ category: page.category, images: page.tiles.map((tile) => tile.image) });
    }
  });

  session.on("status", (status) => send({ type: "status", status }));
  session.on("outbox", () => {
    if (!state.page) view.render(state); // only without a page it says who is reached
  });
  session.on("sent", (entry) => send({ type: "sent", entry }));
  session.on("acknowledged", (entry, reply) => send({ type: "acknowledged", key: entry.key, reply }));
  session.on("refused", (entry, text, dropped) =>
    send({ type: "rejected", key: entry.key, text, dropped }),
  );
  session.on("changes", (changes) => send({ type: "changes", ...changes }));
  session.on("started", () => send({ type: "started", history: session.history }));
  view.render(state);
}

function makeView(send, getState, thumbs, session, press) {
  const goToFocus = () => openTab("Focus");
  const find = (category) => session.find(category);
  const accept = () => send({ type: "accept", unseen: grid.unseen });
  const grid = makeGrid({ send, thumbs, seenMore });
  const list = makeList({ send, getState, goToFocus, find, leave: () => grid.focus() });
  const size = {
    value: Number(localStorage.getItem(SIZE_ITEM)) || SIZE,
    change: (pixels) => {
      localStorage.setItem(SIZE_ITEM, String(pixels));
      grid.setWidth(pixels);
    },
  };
  grid.setWidth(size.value);
  const head = makeHead({ send, accept, goToFocus, size });
  const zoom = makeZoom({
    send,
    getState,
    onKey: press,
    pictureUrl: (image) => session.api.pictureUrl(image, "picture"),
    thumbnailUrl: (image) => session.api.pictureUrl(image, "thumbnail"),
  });
  const help = makeHelp(send, getState);
  const notices = makeNotices();
  const message = h("div.message", { hidden: true });
  const said = h("p.sr-only", { "aria-live": "polite", "aria-atomic": "true" });
  const legend = makeLegend(send);
  const foot = h("div.foot", {}, notices.element, legend);
  const stage = h("section.tiles", { "aria-label": "Pictures" }, head.element, message, grid.element, foot);
  const element = h("div.sweep", {}, list.element, stage, zoom.element, help.element, said);
  let toldEmpty = "";

  function seenMore() {
    const state = getState();
    if (state.page && state.page.shownAt === null && grid.unseen < state.page.tiles.length) {
      send({ type: "shown" });
    } else head.render(state, grid.unseen);
  }

  function render(state) {
    const empty = emptyState(state, session.outbox?.state ?? { online: session.online });
    grid.render(state);
    list.render(state);
    head.render(state, grid.unseen);
    zoom.render(state);
    help.render(state);
    element.classList.toggle("bare", !state.listed || state.listModel === null);
    grid.element.hidden = legend.hidden = Boolean(empty);
    message.hidden = !empty;
    if (empty) drawEmpty(empty);
    else toldEmpty = "";
    session.showing("Sweep", state.page ? { model: state.page.model_version, unit: "page" } : null);
    notices.render(state.notices);
    // Said again even when the words are the same.
    if (said.dataset.n !== String(state.said.n)) {
      said.dataset.n = String(state.said.n);
      said.textContent = state.said.text;
    }
  }

  function drawEmpty({ title, text, actions }) {
    const now = JSON.stringify([title, text, actions]);
    if (now === toldEmpty) return; // a button that has the keyboard keeps it
    toldEmpty = now;
    const buttons = actions.map(([label, action], i) =>
      h(i ? "button" : "button.primary", {
        type: "button",
        text: label,
        onclick: () => go(action),
      }),
    );
    message.replaceChildren(h("h2", { text: title }), h("p", { text }), h("p.buttons", {}, ...buttons));
  }

  function go(action) {
    if (action === "Focus") goToFocus();
    else if (action === "Browse") find(getState().category);
    else send(action);
  }

  const lists = {
    timer: null,
    /** Get the list; what was asked for another side since is dropped by the state. */
    async now({ side, resort = false }) {
      clearTimeout(lists.timer);
      const found = await session.persist(() => session.api.get(`/sweep/categories?side=${side}`));
      if (!found.error) send({ type: "list", list: found, side, resort });
    },
    soon() {
      clearTimeout(lists.timer);
      lists.timer = setTimeout(() => {
        const { side, visible } = getState();
        if (visible) void lists.now({ side });
      }, LIST_SOON_MS);
    },
  };

  return {
    element,
    grid,
    list,
    lists,
    render,
    accept,
    /** A page has come on screen: the keyboard goes to it, unless it is in use elsewhere. */
    opened(at) {
      const { page } = getState();
      if (!page) return;
      stage.scrollIntoView({ block: "start", behavior: "instant" });
      const active = document.activeElement;
      const busy = active?.closest?.("input, select, textarea, dialog[open]");
      if (getState().visible && !busy) grid.focus();
      void thumbs.prefetch(page.tiles.map((tile) => tile.image)).then(() => measurePage(at));
    },
  };
}

/** A key for the element it was pressed in. A chosen side or a size takes only what moves it. */
function isTyped(event) {
  const sets = event.target.closest?.("input[type=radio], input[type=range]");
  return sets ? /^(Arrow|Page|Home$|End$| $)/.test(event.key) : belongsToTarget(event);
}

/** From what asked for the page to all its pictures on screen, see focus/timing.js. */
function measurePage(start) {
  requestAnimationFrame(() => {
    performance.measure("annotator:sweep-page", { start, end: performance.now() });
  });
}

function makeLegend(send) {
  const items = LEGEND.map(([keys, text]) =>
    h("span", {}, ...keys.map((key) => h("kbd", { text: key })), ` ${text}`),
  );
  const open = () => send({ type: "help" });
  const last = h("button", { type: "button", onclick: open }, items.at(-1));
  return h("p.legend", {}, ...items.slice(0, -1), last);
}

/** An idempotency key; `randomUUID` exists only on https and localhost. */
function newKey() {
  if (globalThis.crypto?.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
