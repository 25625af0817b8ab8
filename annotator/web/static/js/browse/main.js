// The Browse page: holds the state, draws it, carries out effects.

import { attr, h } from "../dom.js";
import { belongsToTarget } from "../focus/keys.js";
import { measurePaint } from "../focus/timing.js";
import { makeNotices } from "../notices.js";
import { openTab } from "../shell.js";
import { Thumbs } from "../sweep/thumbs.js";
import { verdict } from "../words.js";
import { makeBulkCard, makeSelectionBar } from "./bulk.js";
import { emptyState } from "./empty.js";
import { decode, encode } from "./filter.js";
import { makeGrid } from "./grid.js";
import { makeGroups } from "./groups.js";
import { makeHead } from "./head.js";
import { makeHelp } from "./help.js";
import { commandOf } from "./keys.js";
import { makePicture } from "./picture.js";
import { count } from "./selection.js";
import { bulkTitle, chosen, initialState, listWanted, noticesOf, update } from "./state.js";
import { Windows } from "./windows.js";

const HASH = "#browse=";
const RECHECK_MS = 400;
const JUMPED = 16; // pictures at the same moment; fewer come while somebody scrolls
const GONE = 404;

/**
 * @param {Element} root where the page goes; it may be mounted again
 * @param {import("../session.js").Session} session
 */
export function mountBrowse(root, session) {
  session.browsePage ??= makePage(session);
  root.replaceChildren(session.browsePage.element);
  root.classList.add("annotator");
}

/** An address that holds a filter opens this page. */
export function openKept() {
  if (location.hash.startsWith(HASH)) openTab("Browse");
}

function makePage(session) {
  let state = initialState();
  let image = null; // the picture that is open, as the server last told
  let rechecking = null;
  const getState = () => state;
  const windows = new Windows({ fetch: fetchWindow });
  const view = makeView({ send, getState, session, windows, decide, decideCells });

  function send(action) {
    const before = state;
    const [next, effects] = update(state, { key: newKey(), ...action });
    state = next;
    view.render(state, image);
    view.follow(before, state, action);
    for (const effect of effects) void run[effect.type](effect);
  }

  // -- effects -------------------------------------------------------------------------------

  const run = {
    search: async ({ asked, keep }) => {
      const list = await session.persist(() => session.api.post("/browse/lists", listWanted(state)));
      if (list.error) return send({ type: "searchFailed", asked, text: list.error });
      let place = null;
      if (keep !== null) {
        const found = await session.quietly(() =>
          session.api.get(`/browse/lists/${list.name}/place?image=${keep}`),
        );
        place = found?.place ?? null;
      }
      send({ type: "searched", asked, list, place });
    },
    top: ({ place }) => {
      windows.reset();
      view.grid.toTop(place);
      view.render(state, image);
    },
    refetch: () => {
      if (state.view === "picture") void run.load({ image: state.picture.id });
      return state.list && isVisible() ? windows.changed() : undefined;
    },
    recheck: () => {
      clearTimeout(rechecking);
      rechecking = setTimeout(() => void recheck(), RECHECK_MS);
    },
    choices: async () => {
      const choices = await session.quietly(() => session.api.get("/browse/choices"));
      if (choices) send({ type: "choices", choices });
    },
    categories: async () => {
      const categories = await session.quietly(() => session.api.get("/categories"));
      if (categories) send({ type: "categories", categories });
    },
    load: async ({ image: id }) => {
      const found = await session.persist(() => session.api.get(`/images/${id}`));
      if (state.picture?.id !== id) return;
      image = found.error ? { id, problem: found.error } : found;
      view.render(state, image);
    },
    groups: () => view.groups.load(),
    send: ({ entry }) => session.send(entry),
    lastChange: async () => send({ type: "lastChange", change: await session.lastChange() }),
    count: countSelection,
    decideAll,
    remember: () => remember(),
  };

  async function recheck() {
    const { list } = state;
    if (!list || state.searching || !isVisible()) return;
    const now = await session.quietly(() => session.api.get(`/browse/lists/${list.name}/now`));
    if (now) send({ type: "rechecked", list, now });
  }

  async function fetchWindow(start, size) {
    const { list, show } = state;
    if (!list || start >= list.total) return false;
    const query = new URLSearchParams({ start, count: size });
    if (show !== null) query.set("category", show);
    const window_ = await session.persist(() => session.api.get(`/browse/lists/${list.name}?${query}`));
    if (list !== state.list) return false;
    if (window_.error) {
      const known = state.categories.some((category) => category.id === show);
      if (window_.status === GONE && show !== null && !known) send({ type: "show", category: null });
      else if (window_.status === GONE) send({ type: "listGone" });
      return false;
    }
    send({ type: "window", list, ...window_ });
    return true;
  }

  async function countSelection() {
    const { list, bulk } = state;
    await drained();
    const body = { ...chosen(state), category: bulk.category };
    const counted = await session.persist(() =>
      session.api.post(`/browse/lists/${list.name}/count`, body),
    );
    if (state.bulk?.category !== bulk.category) return;
    if (counted.error) send({ type: "bulkFailed", text: counted.error });
    else send({ type: "bulkCounted", counted });
  }

  async function decideAll({ key }) {
    const { list, bulk } = state;
    const selection = chosen(state);
    const text = bulkTitle(bulk, count(selection.ranges), state.categories);
    await drained();
    const body = {
      ...selection,
      key,
      category: bulk.category,
      state: bulk.value,
      overwrite: bulk.overwrite,
      check: bulk.counted.check,
    };
    const result = await session.persist(() =>
      session.api.post(`/browse/lists/${list.name}/decisions`, body),
    );
    if (result.error) return send({ type: "bulkFailed", text: result.error, recount: result.status === 409 });
    // The other pages hear of it, so that their undo knows what is newest.
    const entry = { key, kind: "decide", source: "browse", cells: [], text };
    session.emit("sent", entry);
    session.emit("acknowledged", entry, { images: [] });
    send({ type: "bulkDone", result, text });
  }

  /** What this person did before is on disk before the next thing is counted. */
  async function drained() {
    while (session.outbox.entries.length) await new Promise((resolve) => setTimeout(resolve, 30));
  }

  function decide(picture, category, value) {
    const name = state.categories.find((c) => c.id === category)?.name ?? "";
    const cells = [{ image: picture.id, category, state: value }];
    decideCells(cells, `${name} ${verdict(value)} in ${picture.file_name}`, picture.model_version);
  }

  function decideCells(cells, text, model = null) {
    void session.send({ key: newKey(), kind: "decide", source: "browse", model, cells, text });
  }

  // -- keeping the filter --------------------------------------------------------------------

  function itemName() {
    return `annotator.browse.${session.api.workspace}`;
  }

  function remember() {
    const text = encode(state);
    session.storage.setItem(itemName(), text);
    if (isVisible()) history.replaceState(null, "", HASH + encodeURIComponent(text));
  }

  function kept() {
    if (location.hash.startsWith(HASH)) {
      const fromAddress = decode(safely(() => decodeURIComponent(location.hash.slice(HASH.length))));
      if (fromAddress) return fromAddress;
    }
    return decode(session.storage.getItem(itemName()) ?? "");
  }

  function isVisible() {
    const { element } = view;
    return element.isConnected && element.checkVisibility();
  }

  new IntersectionObserver(() => {
    if (!state.ready) return;
    if (isVisible()) {
      remember();
      void run.refetch();
      run.recheck();
    } else if (location.hash.startsWith(HASH)) {
      history.replaceState(null, "", location.pathname + location.search);
    }
  }).observe(view.element);

  // -- listening -----------------------------------------------------------------------------

  const commands = makeCommands({ send, getState, view, session });
  document.addEventListener("keydown", (event) => {
    if (!isVisible() || event.defaultPrevented || belongsToTarget(event)) return;
    const command = commandOf(event, state.view);
    if (!command || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    measurePaint(event.timeStamp);
    const own = state.view === "picture" ? view.picture.commands[command.command] : null;
    (own ?? commands[command.command])(command);
  });

  session.on("status", (status) => send({ type: "status", status }));
  session.on("outbox", () => view.render(state, image));
  session.on("sent", (entry) => send({ type: "sent", entry }));
  session.on("acknowledged", (entry, reply) => {
    const told = reply.images.find((one) => one.id === state.picture?.id);
    if (told) image = told;
    send({ type: "acknowledged", entry, reply });
    if (state.view === "groups") void view.groups.load();
  });
  session.on("refused", (entry, text, dropped) => send({ type: "refused", entry, text, dropped }));
  const seek = () => {
    const category = state.ready ? session.takeSought() : null;
    if (category !== null) send({ type: "find", category });
  };
  session.on("find", seek);
  const begin = (categories) => {
    send({ type: "status", status: session.status });
    send({ type: "started", categories, kept: kept(), history: session.history });
    seek();
    void run.choices();
  };
  session.on("started", ({ categories }) => begin(categories));
  // The tab may be opened long after the session began.
  if (session.outbox) void session.persist(() => session.api.get("/categories")).then(begin);
  view.render(state, image);
  return view;
}

/** What the keys of the tiles do; the open picture has its own. */
function makeCommands({ send, getState, view, session }) {
  const underCursor = () => getState().tiles.get(getState().cursor);
  return {
    move: ({ key, extend }) => send({ type: "move", to: view.grid.target(key, getState().cursor), extend }),
    toggle: () => send({ type: "toggle" }),
    range: () => send({ type: "click", place: getState().cursor, extend: true, add: true }),
    selectAll: () => send({ type: "selectAll" }),
    selectNone: () => send({ type: "selectNone" }),
    open: () => send({ type: "open", place: getState().cursor }),
    present: () => send({ type: "bulkOpen", value: 1 }),
    absent: () => send({ type: "bulkOpen", value: -1 }),
    unknown: () => send({ type: "bulkOpen", value: 0 }),
    focus: () => underCursor() && session.openImage(underCursor().image),
    similar: () => {
      const tile = underCursor();
      if (tile) send({ type: "similar", image: tile.image, name: tile.file_name });
    },
    groups: () => send({ type: "view", view: "groups" }),
    grid: () => send({ type: "view", view: "grid" }),
    close: () => send({ type: "close" }),
    refresh: () => (getState().view === "groups" ? void view.groups.load() : send({ type: "refresh" })),
    addFilter: () => send({ type: "edit", index: -1 }),
    findName: () => view.head.editor.start("name"),
    larger: () => view.head.resize(1),
    smaller: () => view.head.resize(-1),
    undo: () => send({ type: "undo" }),
    help: () => send({ type: "help" }),
    ignore: () => {},
  };
}

function makeView({ send, getState, session, windows, decide, decideCells }) {
  const head = makeHead(send, getState);
  const grid = makeGrid({
    send,
    getState,
    thumbs: new Thumbs({
      urlOf: (id) => session.api.pictureUrl(id, "thumbnail"),
      fetchMany: (ids) => session.api.thumbnails(ids),
      least: JUMPED,
    }),
    need: (first, after) => void windows.need(first, after),
  });
  const picture = makePicture({ send, decide, session, openInFocus: (id) => session.openImage(id) });
  const groups = makeGroups({ send, decideCells, getState, session });
  const bar = makeSelectionBar(send, getState);
  const card = makeBulkCard(send, getState);
  const help = makeHelp(send, getState);
  const notices = makeNotices((one) => noticeButtons(one, send));
  const emptyTitle = h("h2");
  const emptyText = h("p");
  const emptyAct = h("button", { type: "button" });
  emptyAct.addEventListener("click", () => emptyAct.act?.());
  const empty = h("div.message", { hidden: true }, emptyTitle, emptyText, emptyAct);
  const said = h("p.sr-only", { "aria-live": "polite", "aria-atomic": "true" });
  const tiles = h("div.tiles", {}, head.element, h("div.body", {}, grid.element, empty));
  const foot = h("div.foot", {}, notices.element, bar.element);
  const views = [tiles, picture.element, groups.element];
  const element = h("div.browse", {}, ...views, foot, card.element, help.element, said);

  function render(state, image) {
    notices.render(noticesOf(state));
    tiles.hidden = state.view !== "grid";
    head.render(state);
    const why = emptyState(state, session.online);
    empty.hidden = !why;
    grid.element.classList.toggle("empty", Boolean(why));
    attr(emptyTitle, "text", why?.title ?? "");
    attr(emptyText, "text", why?.text ?? "");
    emptyAct.hidden = !why?.act;
    attr(emptyAct, "text", why?.label ?? "");
    emptyAct.act = why?.act ? () => actOn(why.act) : null;
    if (!tiles.hidden) grid.render(state);
    bar.render(state);
    picture.render(state, image);
    groups.render(state);
    card.render(state);
    help.render(state);
    if (said.dataset.n !== String(state.said.n)) {
      said.dataset.n = String(state.said.n);
      said.textContent = state.said.text;
    }
  }

  function actOn(act) {
    if (act === "data") openTab("Data");
    else send({ type: act });
  }

  /** Where the keyboard goes after an action. */
  function follow(before, state, action) {
    if (action.type === "move" || action.type === "toggle") grid.focus();
    else if (action.type === "click") grid.followClick();
    else if (before.view !== "grid" && state.view === "grid") grid.focus();
    else if (before.view !== "picture" && state.view === "picture") picture.focus();
    else if (before.bulk && !state.bulk) grid.focus();
    else if (before.editing !== null && state.editing === null && state.view === "grid") grid.focus();
    else if (action.type === "searched" && grid.hasFocus()) grid.focus();
  }

  return { element, render, follow, head, grid, picture, groups };
}

/** What can be done about a notice. */
function noticeButtons({ kind, undo }, send) {
  if (kind === "others") {
    return [h("button", { type: "button", onclick: () => send({ type: "refresh" }) }, "Refresh ", h("kbd", { text: "R" }))];
  }
  const close = h("button.close", {
    type: "button",
    text: "×",
    "aria-label": "Close this message",
    onclick: () => send({ type: "dismiss", kind }),
  });
  const back = () => h("button", { type: "button", text: "Undo", onclick: () => send({ type: "undo" }) });
  return undo ? [back(), close] : [close];
}

function safely(call) {
  try {
    return call();
  } catch {
    return ""; // an address that somebody has cut off
  }
}

/** An idempotency key; `randomUUID` exists only on https and localhost. */
function newKey() {
  if (globalThis.crypto?.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
