// The picture: as large as fits, swapped only when the next one is decoded, enlarged on demand.

import { attr, h } from "../dom.js";
import { grouped, plural } from "../words.js";
import { currentImage, knownHere } from "./state.js";

const PAN_STEP = 0.15; // of the picture per arrow key
const RETRY_MS = 1000;
const QUEUES = [
  ["uncertain", "least certain first"],
  ["unlabelled", "least labelled first"],
  ["random", "random order"],
];

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {import("./pictures.js").Pictures} options.pictures
 * @param {(image: number) => string} options.originalUrl
 */
export function makeFrame({ send, pictures, originalUrl }) {
  const stage = h("div.stage");
  const message = h("div.message", { hidden: true });
  const late = h(
    "div.message",
    { hidden: true },
    h("h2", { text: "The picture comes when the server is back" }),
    h("p", { text: "You can go on; what you mark is kept here." }),
  );
  const name = h("span.file");
  const cells = h("span");
  const place = h("span");
  const open = h("span", {}, h("span"), h("span.long", { text: " in this queue" }));
  const queue = h(
    "select",
    {
      "aria-label": "Queue",
      onchange: (event) => send({ type: "queue", queue: event.target.value }),
    },
    ...QUEUES.map(([value, text]) => h("option", { value, text })),
  );
  const zoomed = h("span.hint", { text: "enlarged, Z to go back", hidden: true });
  const element = h(
    "figure.frame",
    { "aria-label": "Picture" },
    stage,
    message,
    late,
    h("figcaption", {}, name, cells, place, open, queue, zoomed),
  );
  let shown = null; // image id on stage
  let waiting = null;
  let centre = [0.5, 0.5];

  stage.addEventListener("dblclick", () => send({ type: "zoom" }));
  stage.addEventListener("pointermove", (event) => {
    if (!element.classList.contains("zoomed")) return;
    const box = stage.getBoundingClientRect();
    pan([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  });

  function pan([x, y]) {
    centre = [clamp(x), clamp(y)];
    stage.style.setProperty("--x", `${centre[0] * 100}%`);
    stage.style.setProperty("--y", `${centre[1] * 100}%`);
  }

  function show(image) {
    if (shown === image.id || waiting === image.id) return;
    const held = pictures.get(image.id);
    waiting = image.id;
    late.hidden = true;
    const put = () => {
      if (waiting !== image.id) return; // the person has gone on
      if (held.state === "failed") {
        shown = null;
        stage.replaceChildren();
        void afterFailure(image);
        return;
      }
      waiting = null;
      late.hidden = true;
      shown = image.id;
      attr(held.element, "alt", `Picture ${image.file_name}`);
      stage.replaceChildren(held.element);
      requestAnimationFrame(() => send({ type: "shown", image: image.id }));
    };
    if (held.state === "loading") {
      // A picture that is late leaves no doubt which one the labels belong to.
      stage.replaceChildren();
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

  async function zoomTo(image, on) {
    element.classList.toggle("zoomed", on);
    zoomed.hidden = !on;
    if (!on || stage.dataset.original === String(image.id)) return;
    stage.dataset.original = String(image.id);
    pan([0.5, 0.5]);
    const original = new Image();
    original.src = originalUrl(image.id);
    original.alt = `Picture ${image.file_name}, full size`;
    try {
      await original.decode();
    } catch {
      return; // the smaller one stays
    }
    if (shown === image.id) stage.replaceChildren(original);
  }

  function render(state, empty) {
    const image = currentImage(state);
    const failed = image && state.failed.has(image.id);
    message.hidden = !empty && !failed;
    if (empty || failed) late.hidden = true;
    if (empty) {
      shown = waiting = null;
      stage.replaceChildren();
      message.replaceChildren(h("h2", { text: empty.title }), h("p", { text: empty.text }));
    } else if (failed) {
      message.replaceChildren(
        h("h2", { text: "This picture cannot be shown" }),
        h("p", { text: `${state.failed.get(image.id)} Space goes on.` }),
      );
    }
    const counts = state.status?.counts;
    element.classList.toggle("bare", Boolean(empty) && !(counts?.images && counts.categories));
    attr(queue, "disabled", !state.ready);
    if (queue.value !== state.queue) queue.value = state.queue;
    if (!image || empty) {
      for (const part of [name, cells, place]) attr(part, "text", "");
      open.hidden = true;
      return;
    }
    if (!failed) show(image);
    // The only picture of a queue comes again without being loaded again.
    if (shown === image.id && state.shownAt === null) {
      requestAnimationFrame(() => send({ type: "shown", image: image.id }));
    }
    const known = knownHere(state).count;
    attr(name, "text", image.file_name);
    attr(cells, "text", `${known} of ${plural(image.cells_total, "cell")} known`);
    const number = state.positions.get(image.id);
    attr(place, "text", number ? `picture ${grouped(number)}` : "");
    open.hidden = state.total === null;
    attr(open.firstChild, "text", `${grouped(state.total ?? 0)} open`);
    void zoomTo(image, state.zoom && !failed);
    if (!state.zoom) delete stage.dataset.original;
  }

  return {
    element,
    render,
    panBy(x, y) {
      pan([centre[0] + x * PAN_STEP, centre[1] + y * PAN_STEP]);
    },
  };
}

function clamp(share) {
  return Math.min(1, Math.max(0, share));
}
