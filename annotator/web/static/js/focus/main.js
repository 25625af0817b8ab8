// The Focus page: holds the state, draws it, carries out effects.

import { attr, h } from "../dom.js";
import { plural } from "../words.js";
import { emptyState, modelHint } from "./empty.js";
import { makeFrame } from "./frame.js";
import { makeHelp } from "./help.js";
import { DEFAULT_KEYS, belongsToTarget, commandOf } from "./keys.js";
import { makeKnown } from "./known.js";
import { Pictures } from "./pictures.js";
import { makeRows } from "./rows.js";
import {
  currentImage,
  evidenceKey,
  initialState,
  knownHere,
  moreHere,
  rowsHere,
  update,
} from "./state.js";
import { measureAck, measurePaint } from "./timing.js";
import { makeTyping } from "./typing.js";

const LEGEND = [
  [["1"], "present"],
  [["Shift 1"], "absent"],
  [["/"], "any label"],
  [["E"], "why"],
  [["Enter"], "rest absent, next"],
  [["Backspace"], "undo"],
  [["?"], "keys"],
];

/**
 * @param {Element} root where the page goes
 * @param {import("../session.js").Session} session
 */
export function mountFocus(root, session) {
  let state = initialState();
  const getState = () => state;
  const pictures = new Pictures((id) => session.api.pictureUrl(id, "picture"));
  const view = makeView(send, getState, pictures, session);
  root.replaceChildren(view.element);
  root.classList.add("annotator");

  function send(action) {
    const [next, effects] = update(state, { key: newKey(), at: performance.now(), ...action });
    state = next;
    view.render(state);
    for (const effect of effects) run(effect);
  }

  const effects = {
    send: ({ entry }) => {
      measureAck(entry.key);
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
    prefetch: ({ images }) => void pictures.prefetch(images),
    open: ({ image }) => void pictures.get(image),
    evidence: async ({ image, category, model }) => {
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
    focusTyping: () => view.typing.focus(),
  };

  function run(effect) {
    void effects[effect.type](effect);
  }

  document.addEventListener("keydown", (event) => {
    if (!isVisible(root) || event.defaultPrevented || belongsToTarget(event)) return;
    const command = commandOf(event, session.keys ?? DEFAULT_KEYS);
    if (!command) return;
    event.preventDefault();
    measurePaint(event.timeStamp);
    press(command, state, send, view);
  });
  // A click leaves the focus on what was clicked; the keys belong to the page again.
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (button && event.detail > 0 && !event.target.closest("dialog")) button.blur();
  });

  session.on("status", (status) => send({ type: "status", status }));
  session.on("outbox", () => view.render(state));
  session.on("open-image", (image) => run({ type: "visit", image }));
  session.on("sent", (entry) => send({ type: "sent", entry }));
  session.on("acknowledged", (entry, reply) => {
    measureAck(entry.key, true);
    send({ type: "acknowledged", key: entry.key, reply });
  });
  session.on("refused", (entry, text, dropped) =>
    send({ type: "rejected", key: entry.key, text, dropped }),
  );
  session.on("started", ({ categories, pending }) => {
    send({ type: "started", categories, pending });
  });
  view.render(state);
}

const PAN = { Up: [0, -1], Down: [0, 1], Left: [-1, 0], Right: [1, 0] };

function press(command, state, send, view) {
  if (state.zoom && command.arrow) return view.frame.panBy(...PAN[command.arrow]);
  const commands = {
    slot: () => send({ type: "slot", slot: command.slot, value: command.value }),
    restAbsent: () => send({ type: "restAbsent" }),
    next: () => send({ type: "next" }),
    previous: () => send({ type: "previous" }),
    undo: () => send({ type: "undo" }),
    why: () => send({ type: "why" }),
    zoom: () => send({ type: "zoom" }),
    type: () => send({ type: "type", text: command.text ?? "" }),
    help: () => send({ type: "help" }),
    up: () => send({ type: "move", by: -1 }),
    down: () => send({ type: "move", by: 1 }),
    more: () => send({ type: "more" }),
    selectedPresent: () => send({ type: "decideSelected", value: 1 }),
    selectedAbsent: () => send({ type: "decideSelected", value: -1 }),
    ignore: () => {},
  };
  commands[command.command]?.();
}

function makeView(send, getState, pictures, session) {
  const frame = makeFrame({
    send,
    pictures,
    originalUrl: (id) => session.api.pictureUrl(id, "picture", "original"),
  });
  const known = makeKnown(send);
  const rows = makeRows(send, (id) => session.api.pictureUrl(id, "thumbnail"));
  const typing = makeTyping(send, getState);
  const help = makeHelp(send, getState);
  const hint = h("p.hint", { hidden: true });
  const notice = h("p.notice", { role: "status", hidden: true });
  const said = h("p.sr-only", { "aria-live": "polite", "aria-atomic": "true" });
  const done = h("p.quiet", { hidden: true });
  const more = h("button.more", { type: "button", onclick: () => send({ type: "more" }) });
  const suggested = h(
    "section.suggested",
    { "aria-label": "Suggested" },
    h("h2", { text: "Suggested, most useful first" }),
    typing.element,
    hint,
    rows.element,
    done,
    more,
  );
  const panel = h("div.panel", {}, notice, known.element, suggested, makeLegend(send));
  const element = h("div.focus", {}, frame.element, panel, help.element, said);

  function render(state) {
    const empty = emptyState(state, session.outbox?.state ?? { online: session.online });
    const image = currentImage(state);
    element.classList.toggle("empty", Boolean(empty));
    frame.render(state, empty);
    known.render(knownHere(state));
    const list = rowsHere(state);
    rows.render(image?.id, list, {
      selected: state.selected,
      why: state.why && Boolean(image?.model_version),
      hasModel: Boolean(image?.model_version),
      evidenceOf: (category) => state.evidence.get(evidenceKey(image.id, category)),
    });
    const further = image ? moreHere(state).length : 0;
    more.hidden = further === 0;
    attr(more, "text", `${plural(Math.min(9, further), "more suggestion")} of ${further}`);
    done.hidden = !image || list.some((row) => row.state === 0);
    attr(done, "text", further ? "All of these are decided." : "Everything is decided here. Enter goes on.");
    const line = image ? modelHint(state) : null;
    hint.hidden = !line;
    attr(hint, "text", line ?? "");
    notice.hidden = !state.notice;
    attr(notice, "text", state.notice?.text ?? "");
    attr(notice, "data-kind", state.notice?.kind ?? null);
    typing.render(state);
    help.render(state);
    // Said again even when the words are the same: undo, undo.
    if (said.dataset.n !== String(state.said.n)) {
      said.dataset.n = String(state.said.n);
      said.textContent = state.said.text;
    }
  }

  return { element, render, typing, frame };
}

function makeLegend(send) {
  const items = LEGEND.map(([keys, text]) =>
    h("span", {}, ...keys.map((key) => h("kbd", { text: key })), ` ${text}`),
  );
  const open = () => send({ type: "help" });
  return h("p.legend", {}, ...items.slice(0, -1), h("button", { type: "button", onclick: open }, items.at(-1)));
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
