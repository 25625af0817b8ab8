// The picture: as large as fits, swapped only when the next one is decoded, enlarged on demand,
// with the map of where the model looks over it.

import { attr, h, keyed } from "../dom.js";
import { grouped, plural } from "../words.js";
import { describeMap, drawMap } from "./attention.js";
import { currentImage, evidenceKey, knownHere, nameOf } from "./state.js";
import { makeZooming } from "./zooming.js";

const RETRY_MS = 1000;
const MAP_SIDE = 480; // pixels of the longer side of a drawn map

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {import("./pictures.js").Pictures} options.pictures
 * @param {(image: number) => string} options.originalUrl
 * @param {Element} options.flags drawn over the lower edge of the picture
 */
export function makeFrame({ send, pictures, originalUrl, flags }) {
  const canvas = h("canvas.map", { role: "img", hidden: true });
  const holder = h("div.holder");
  const layer = h("div.layer", {}, holder, canvas);
  const stage = h("div.stage", {}, layer);
  const mapped = h("p.mapped", { hidden: true });
  const message = h("div.message", { hidden: true });
  const late = h(
    "div.message",
    { hidden: true },
    h("h2", { text: "The picture comes when the server is back" }),
    h("p", { text: "You can go on; what you mark is kept here." }),
  );
  const caption = makeCaption(send);
  const element = h(
    "figure.frame",
    { "aria-label": "Picture" },
    h("div.view", {}, stage, message, late, mapped, flags),
    caption.element,
  );
  const zooming = makeZooming(stage, layer, (on) => send({ type: "enlarged", on }));
  let shown = null; // image id on stage
  let waiting = null;
  let drawn = null; // the map on the canvas
  new ResizeObserver(() => {
    zooming.resized();
    placeMap();
  }).observe(stage);

  function show(image) {
    if (shown === image.id || waiting === image.id) return;
    const held = pictures.get(image.id);
    waiting = image.id;
    late.hidden = true;
    const put = () => {
      if (waiting !== image.id) return; // the person has gone on
      if (held.state === "failed") {
        shown = null;
        holder.replaceChildren();
        void afterFailure(image);
        return;
      }
      waiting = null;
      late.hidden = true;
      shown = image.id;
      attr(held.element, "alt", `Picture ${image.file_name}`);
      holder.replaceChildren(held.element);
      requestAnimationFrame(() => send({ type: "shown", image: image.id }));
    };
    if (held.state === "loading") {
      // A picture that is late leaves no doubt which one the labels belong to.
      holder.replaceChildren();
      void held.done.then(put);
    } else put();
  }

  /** Tell why, or try again while the server is away. */
  async function afterFailure(image) {
    const text = await pictures.explain(image.id);
    if (waiting !== image.id) return;
    if (text !== null) {
      waiting = null;
      send({ type: "unshowable", image: image.id, text });
      return;
    }
    late.hidden = false;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    if (waiting !== image.id) return;
    waiting = null;
    show(image);
  }

  /** Enlarged, the picture is shown with all its pixels once they are here. */
  async function zoomTo(image, on) {
    zooming.set(on);
    element.classList.toggle("zoomed", on);
    if (!on || stage.dataset.original === String(image.id)) return;
    stage.dataset.original = String(image.id);
    const original = new Image();
    original.draggable = false;
    original.src = originalUrl(image.id);
    original.alt = `Picture ${image.file_name}, full size`;
    try {
      await original.decode();
    } catch {
      return; // the smaller one stays
    }
    if (shown === image.id) holder.replaceChildren(original);
  }

  function placeMap() {
    const { left, top, width, height } = zooming.rect();
    for (const [side, share] of Object.entries({ left, top, width, height })) {
      canvas.style[side] = `${share * 100}%`;
    }
  }

  function renderMap(state, image) {
    const map = state.maps.get(evidenceKey(image.id, state.selected));
    const on = state.attention && !image.blind && shown === image.id && state.selected !== null;
    const said = map ? describeMap(map) : image.model_version ? "…" : "no model yet";
    mapped.hidden = !on;
    attr(mapped, "text", on ? `${nameOf(state, state.selected)}: ${said}` : "");
    canvas.hidden = !on || !map?.values || !map.values.some((value) => value > 0);
    if (canvas.hidden) return;
    attr(canvas, "aria-label", `Where the model looks for ${nameOf(state, state.selected)}: ${describeMap(map)}`);
    placeMap();
    if (drawn === map) return;
    drawn = map;
    const scale = MAP_SIDE / Math.max(image.width, image.height);
    const size = (side) => Math.max(2, Math.round(side * scale));
    drawMap(canvas, map, size(image.width), size(image.height));
  }

  function render(state, empty) {
    const image = currentImage(state);
    const failed = image && state.failed.has(image.id);
    message.hidden = !empty && !failed;
    if (empty || failed) late.hidden = true;
    if (empty) {
      shown = waiting = null;
      holder.replaceChildren();
      message.replaceChildren(h("h2", { text: empty.title }), h("p", { text: empty.text }));
    } else if (failed) {
      message.replaceChildren(
        h("h2", { text: "This picture cannot be shown" }),
        h("p", { text: sentence(state.failed.get(image.id)) }),
        h("p", { text: "Space goes on." }),
      );
    }
    const counts = state.status?.counts;
    element.classList.toggle("bare", Boolean(empty) && !(counts?.images && counts.categories));
    caption.render(state, empty ? null : image);
    if (!image || empty) {
      canvas.hidden = mapped.hidden = true;
      return;
    }
    if (failed) holder.replaceChildren();
    else show(image);
    // The only picture of a queue comes again without being loaded again.
    if (shown === image.id && state.shownAt === null) {
      requestAnimationFrame(() => send({ type: "shown", image: image.id }));
    }
    zooming.of(image);
    void zoomTo(image, state.zoom && !failed);
    if (!state.zoom) delete stage.dataset.original;
    renderMap(state, image);
  }

  return { element, render, pan: zooming.pan, step: zooming.step };
}

/** What the server said, as a sentence. */
function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}

/** The line under the picture. */
function makeCaption(send) {
  const name = h("span.file");
  const cells = h("span");
  const place = h("span.place");
  const open = h("span.open", {}, h("span"), h("span.long", { text: " in this queue" }));
  const zoomed = h("span.hint", { text: "enlarged", hidden: true });
  const flag = h("button", {
    type: "button",
    text: "Flag",
    title: "Flag this picture with a note for somebody else",
    onclick: () => send({ type: "flag" }),
  });
  const list = h("button", { type: "button", hidden: true, onclick: () => send({ type: "flagList" }) });
  const queue = h("select", {
    "aria-label": "Queue",
    onfocus: () => send({ type: "countQueues" }),
    onchange: (event) => send({ type: "queue", queue: event.target.value }),
  });
  const element = h("figcaption", {}, name, cells, place, open, zoomed, flag, list, queue);

  function render(state, image) {
    renderQueues(queue, state);
    attr(queue, "disabled", !state.ready);
    list.hidden = state.flags.length === 0;
    attr(list, "text", plural(state.flags.length, "flag"));
    flag.hidden = !image;
    zoomed.hidden = !image || !state.zoom;
    if (!image) {
      for (const part of [name, cells, place]) attr(part, "text", "");
      open.hidden = true;
      return;
    }
    attr(name, "text", image.file_name);
    attr(name, "title", image.file_name);
    const { count } = knownHere(state);
    attr(cells, "text", image.blind ? "" : `${count} of ${plural(image.cells_total, "cell")} known`);
    const number = state.positions.get(image.id);
    attr(place, "text", number ? `picture ${grouped(number)}` : "");
    open.hidden = state.total === null;
    attr(open.firstChild, "text", `${plural(state.total ?? 0, "picture")} open`);
  }

  return { element, render };
}

/** Whatever queues the server has, with what waits in each. */
function renderQueues(select, state) {
  const known = state.queues.some((queue) => queue.name === state.queue);
  keyed(
    select,
    known ? state.queues : [{ name: state.queue, words: "…" }, ...state.queues],
    (queue) => queue.name,
    (queue) => h("option", { value: queue.name }),
    // What waits in the one that is open stands beside it already.
    (option, { name, words, waiting }) =>
      attr(option, "text", waiting === undefined || name === state.queue ? words : `${words} (${grouped(waiting)})`),
  );
  if (select.value !== state.queue) select.value = state.queue;
}
