// The Focus page: holds the state, draws it, carries out effects.

import { attr, h } from "../dom.js";
import { makeNotices } from "../notices.js";
import { Thumbs } from "../sweep/thumbs.js";
import { grouped } from "../words.js";
import { HEADING, rowsAgain } from "./again.js";
import { emptyState, modelHint } from "./empty.js";
import { makeFlagList, makeFlagging } from "./flagging.js";
import { makeFrame } from "./frame.js";
import { makeHelp } from "./help.js";
import { belongsToTarget, capOf, commandOf } from "./keys.js";
import { makeKnown } from "./known.js";
import { legendOf } from "./legend.js";
import { Pictures } from "./pictures.js";
import { makeRest } from "./rest.js";
import { makeRows } from "./rows.js";
import {
  SLOTS,
  currentImage,
  evidenceKey,
  initialState,
  knownHere,
  moreHere,
  rowsHere,
} from "./state.js";
import { measureAck, measureAnswer, measurePaint, measureSent } from "./timing.js";
import { makeTyping } from "./typing.js";
import { update } from "./update.js";
import { withEvidence } from "./why_steps.js";

const MAP_AGAIN_MS = 500;
const REST_MS = 200; // without a key, from which reasons are asked for

/**
 * @param {Element} root where the page goes
 * @param {import("../session.js").Session} session
 */
export function mountFocus(root, session) {
  // Where there is little height, reasons would leave no room for a second row.
  let state = { ...initialState(), why: !matchMedia("(height <= 620px)").matches };
  const getState = () => state;
  const rest = makeRest(REST_MS);
  const pictures = new Pictures((id) => session.api.pictureUrl(id, "picture"));
  const view = makeView(send, getState, pictures, session);
  root.replaceChildren(view.element);
  root.classList.add("annotator");

  function send(action) {
    const [next, effects] = update(state, { key: newKey(), at: performance.now(), ...action });
    const same = next === state;
    state = next;
    // What is to be saved is on its way before it is drawn: the server works meanwhile.
    const saves = effects.filter((effect) => effect.type === "send");
    for (const effect of saves) run(effect);
    if (!same) view.render(state);
    for (const effect of effects) if (!saves.includes(effect)) run(effect);
  }

  const effects = {
    send: ({ entry }) => {
      measureSent(entry.key);
      void session.send(entry);
    },
    fetch: async ({ after, count, asked, open }) => {
      const query = new URLSearchParams({ count });
      if (after !== null) query.set("after", after);
      const page = await session.persist(() =>
        session.api.get(`/queues/${state.queue}/next?${query}`),
      );
      if (page.error) send({ type: "pageFailed", text: page.error });
      else send({ type: "page", ...page, asked, open });
    },
    lastChange: async () => send({ type: "lastChange", change: await session.lastChange() }),
    prefetch: ({ images }) => void pictures.prefetch(images),
    open: ({ image }) => void pictures.get(image),
    evidence: async () => {
      if (!(await rest.come())) return;
      const wanted = withEvidence(state)[1].find((effect) => effect.type === "evidence");
      if (!wanted) return;
      const { image, category, model } = wanted;
      const { revision } = state.images.get(image);
      const version = model === null ? "" : `?model_version=${model}`;
      const path = `/images/${image}/categories/${category}/evidence${version}`;
      const evidence = await session.quietly(() => session.api.get(path));
      if (evidence) send({ type: "evidence", image, category, evidence: { ...evidence, revision, model } });
    },
    refresh: async ({ images }) => {
      const fresh = await Promise.all(
        images.map((id) => session.quietly(() => session.api.get(`/images/${id}`))),
      );
      send({ type: "refreshed", images: fresh.filter(Boolean) });
    },
    visit: async ({ image }) => {
      const found = await session.persist(() => session.api.get(`/images/${image}`));
      if (found.error) send({ type: "pageFailed", text: found.error });
      else send({ type: "visited", image: found });
    },
    reload: async ({ image }) => {
      const fresh = await session.quietly(() => session.api.get(`/images/${image}`));
      if (fresh) send({ type: "image", image: fresh });
    },
    categories: async () => {
      const categories = await session.quietly(() => session.api.get("/categories"));
      if (categories) send({ type: "categories", categories });
    },
    queues: async () => {
      const queues = await session.quietly(() => session.api.get("/queues"));
      if (queues) send({ type: "queues", queues });
    },
    flags: async () => {
      const flags = await session.quietly(() => session.api.get("/flags?limit=1000"));
      if (flags) send({ type: "flags", flags });
    },
    attention: async ({ image, category, later = false }) => {
      if (later) await new Promise((resolve) => setTimeout(resolve, MAP_AGAIN_MS));
      if (!state.attention || state.selected !== category || currentImage(state)?.id !== image) return;
      const path = `/images/${image}/categories/${category}/attention`;
      const map = await session.quietly(() => session.api.get(path));
      const lost = { message: "the server does not answer", again: true };
      send({ type: "map", image, category, map: map ?? lost });
    },
    focusTyping: () => view.typing.focus(),
  };

  function run(effect) {
    void effects[effect.type](effect);
  }

  document.addEventListener("keydown", (event) => {
    if (!isVisible(root) || event.defaultPrevented || belongsToTarget(event)) return;
    const command = commandOf(event, session.keys);
    if (!command) return;
    event.preventDefault();
    measurePaint(event.timeStamp);
    rest.pressed();
    press(command, state, send, view);
  });
  // A click leaves the focus on what was clicked; the keys belong to the page again.
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (button && event.detail > 0 && !event.target.closest("dialog")) button.blur();
  });

  session.on("changes", (changes) => send({ type: "changes", changes }));
  session.on("keys", () => {
    view.drawKeys();
    view.render(state);
  });
  session.on("status", (status) => send({ type: "status", status }));
  session.on("outbox", () => {
    if (!currentImage(state)) view.render(state); // only without a picture it says who is reached
  });
  session.on("open-queue", (queue) => send({ type: "queue", queue }));
  session.on("open-image", (image) => run({ type: "visit", image }));
  session.on("sent", (entry) => send({ type: "sent", entry }));
  session.on("saved", (entry) => measureAck(entry.key));
  session.on("acknowledged", (entry, reply) => {
    measureAnswer(entry.key);
    send({ type: "acknowledged", key: entry.key, reply });
  });
  session.on("refused", (entry, text, dropped) =>
    send({ type: "rejected", key: entry.key, text, dropped }),
  );
  session.on("started", ({ categories, pending }) => {
    const { history, user } = session;
    send({ type: "started", categories, pending, history, me: user.name });
    run({ type: "queues" });
    run({ type: "flags" });
  });
  view.render(state);
}

const PAN = { Up: [0, -1], Down: [0, 1], Left: [-1, 0], Right: [1, 0] };

function press(command, state, send, view) {
  if (state.zoom && command.arrow) return view.frame.pan(PAN[command.arrow]);
  const { letter } = command;
  const commands = {
    slot: () => send({ type: "slot", slot: command.slot, value: command.value }),
    restAbsent: () => send({ type: "restAbsent", unseen: view.rows.unseen() }),
    next: () => send({ type: "next" }),
    previous: () => send({ type: "previous" }),
    undo: () => send({ type: "undo" }),
    why: () => send({ type: "why", letter }),
    attention: () => send({ type: "attention", letter }),
    zoom: () => send({ type: "zoom", letter }),
    zoomIn: () => view.frame.step(1),
    zoomOut: () => view.frame.step(-1),
    flag: () => send({ type: "flag", letter }),
    type: () => send({ type: "type", text: command.text ?? "" }),
    help: () => send({ type: "help" }),
    up: () => send({ type: "move", by: -1 }),
    down: () => send({ type: "move", by: 1 }),
    more: () => view.rows.showBelow() || send({ type: "more" }),
    selectedPresent: () => send({ type: "decideSelected", value: 1 }),
    selectedAbsent: () => send({ type: "decideSelected", value: -1 }),
    ignore: () => {},
  };
  commands[command.command]?.();
}

function makeView(send, getState, pictures, session) {
  const thumbnailUrl = (id) => session.api.pictureUrl(id, "thumbnail");
  const thumbs = new Thumbs({ urlOf: thumbnailUrl, fetchMany: (ids) => session.api.thumbnails(ids) });
  const flagging = makeFlagging(send, getState);
  const flagList = makeFlagList(send, getState, (id) => session.openImage(id), thumbnailUrl);
  const frame = makeFrame({
    send,
    pictures,
    flags: flagging.element,
    originalUrl: (id) => session.api.pictureUrl(id, "picture", "original"),
  });
  const known = makeKnown(send);
  const list = h("div.list");
  const rows = makeRows(send, thumbs, edges, list);
  const typing = makeTyping(send, getState);
  const help = makeHelp(send, getState, session.keyboard);
  const legend = h("p.legend");
  const hint = h("p.hint", { hidden: true });
  const notices = makeNotices();
  const said = h("p.sr-only", { "aria-live": "polite", "aria-atomic": "true" });
  const done = h("p.quiet", { hidden: true });
  const more = h("button.more", { type: "button", onclick: () => send({ type: "more" }) });
  const heading = h("h2");
  list.append(rows.element, done, more);
  const suggested = h(
    "section.suggested",
    { "aria-label": "Suggested" },
    heading,
    typing.element,
    hint,
    list,
  );
  const news = h("div.news", {}, rows.below, notices.element);
  const foot = h("div.foot", {}, news, legend);
  const panel = h("div.panel", {}, known.element, suggested, foot);
  const element = h("div.focus", {}, frame.element, panel, help.element, flagList.element, said);
  let shownKeys = legendOf(null, false);
  drawKeys();
  const resized = new ResizeObserver(() => rows.measure());
  for (const part of [foot, news, frame.element, list]) resized.observe(part);

  /** The list scrolls by itself, or with the page: header and foot, in one column the picture too, stay. */
  function edges() {
    if (getComputedStyle(list).overflowY === "auto") return { root: list, top: 0, bottom: 0 };
    const sticky = Number.parseFloat(getComputedStyle(frame.element).top) || 0;
    const column = panel.getBoundingClientRect().left < frame.element.getBoundingClientRect().right;
    // Where there is little height the keys do not stay.
    const bottom = foot.offsetHeight || news.offsetHeight;
    return { root: null, top: sticky + (column ? frame.element.offsetHeight : 0), bottom };
  }

  function render(state) {
    const empty = emptyState(state, session.outbox?.state ?? { online: session.online });
    const image = currentImage(state);
    element.classList.toggle("empty", Boolean(empty));
    frame.render(state, empty);
    flagging.render(state);
    flagList.render(state);
    known.render(knownHere(state));
    const again = Boolean(image) && rowsAgain(image).length > 0;
    attr(heading, "text", headingOf(image, again));
    const keys = legendOf(image, again);
    if (JSON.stringify(keys) !== JSON.stringify(shownKeys)) drawKeys(keys);
    const shown = rowsHere(state);
    rows.render(image?.id, shown, {
      selected: state.selected,
      why: state.why && Boolean(image?.model_version),
      hasModel: Boolean(image?.model_version),
      blind: Boolean(image?.blind),
      keys: session.keys,
      evidenceOf: (category) => state.evidence.get(evidenceKey(image.id, category)),
    });
    const further = image ? moreHere(state).length : 0;
    more.hidden = further === 0;
    attr(more, "text", moreText(further));
    done.hidden = !image || shown.some((row) => row.open);
    attr(done, "text", further ? "All of these are decided." : `Everything is ${again ? "answered" : "decided"} here. Enter goes on.`);
    const line = image ? modelHint(state) : null;
    hint.hidden = !line;
    attr(hint, "text", line ?? "");
    const list = image && !image.blind ? state.lists.get(image.id) : null;
    session.showing("Focus", list ? { model: list.model, unit: "picture" } : null);
    notices.render(state.notices);
    typing.render(state);
    help.render(state);
    // Said again even when the words are the same: undo, undo.
    if (said.dataset.n !== String(state.said.n)) {
      said.dataset.n = String(state.said.n);
      said.textContent = state.said.text;
    }
  }

  function drawKeys(keys = shownKeys) {
    shownKeys = keys;
    legend.replaceChildren(...legendParts(keys, session.keys, () => send({ type: "help" })));
  }

  return { element, render, drawKeys, typing, frame, rows };
}

/** On the button below the rows. */
function moreText(further) {
  if (further > SLOTS) return `Show ${SLOTS} more (${grouped(further)} left)`;
  return further === 1 ? "Show the last one" : `Show the last ${further}`;
}

function headingOf(image, again) {
  if (again) return HEADING;
  return image?.blind ? "Asked, without a suggestion" : "Suggested, most useful first";
}

/** The line of keys, as this person has them. */
function legendParts(shown, keys, openHelp) {
  return shown.filter(({ action }) => keys[action].length).map(({ action, words, before = "" }) => {
    const parts = [h("kbd", { text: before + capOf(keys[action][0]) }), ` ${words}`];
    return action === "help"
      ? h("button", { type: "button", onclick: openHelp }, ...parts)
      : h("span", {}, ...parts);
  });
}

function isVisible(element) {
  return element.checkVisibility ? element.checkVisibility() : element.offsetParent !== null;
}

/** An idempotency key; `randomUUID` exists only on https and localhost. */
function newKey() {
  if (globalThis.crypto?.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
