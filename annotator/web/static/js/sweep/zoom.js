// One tile as large as fits, over the page.

import { attr, h } from "../dom.js";
import { percent, verdict } from "../words.js";
import { isOut, tileLabel } from "./state.js";

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {() => object} options.getState
 * @param {(event: KeyboardEvent) => void} options.onKey keys that the page understands
 * @param {(image: number) => string} options.pictureUrl
 * @param {(image: number) => string} options.thumbnailUrl shown until the picture is here
 */
export function makeZoom({ send, getState, onKey, pictureUrl, thumbnailUrl }) {
  const picture = h("img", { alt: "" });
  const file = h("span.file");
  const text = h("span.what");
  const flip = h("button", { type: "button", text: "Turn over", onclick: () => send({ type: "flip" }) });
  const unknown = h("button", {
    type: "button",
    text: "Leave unknown",
    onclick: () => send({ type: "unknown" }),
  });
  const close = h("button", { type: "button", text: "Close", onclick: () => send({ type: "zoom" }) });
  const element = h(
    "dialog.sweep-zoom.annotator",
    {
      "aria-label": "Enlarged picture",
      onclose: () => getState().zoom && send({ type: "zoom", on: false }),
      onclick: (event) => event.target === element && element.close(),
      onkeydown: (event) => {
        if (event.key === "Tab" || event.key === "Escape") return;
        if (event.target.closest("button") && (event.key === "Enter" || event.key === " ")) return;
        onKey(event);
      },
    },
    picture,
    h("p", {}, file, text, flip, unknown, close),
  );
  let shown = null;

  async function show(image) {
    if (shown === image) return;
    shown = image;
    picture.src = thumbnailUrl(image);
    const large = new Image();
    large.src = pictureUrl(image);
    try {
      await large.decode();
    } catch {
      return; // the small one stays
    }
    if (shown === image) picture.src = large.src;
  }

  function render(state) {
    if (!state.zoom || !state.page) {
      if (element.open) element.close();
      shown = null;
      return;
    }
    const { page } = state;
    const tile = page.tiles[page.cursor];
    void show(tile.image);
    element.dataset.state = String(isOut(tile) ? 0 : tile.state);
    attr(picture, "alt", tileLabel(page, page.cursor));
    attr(file, "text", tile.file_name);
    const becomes = tile.state === 0 ? "stays unknown" : `will be ${verdict(tile.state)}`;
    attr(text, "text", `${page.name} ${percent(tile.probability)}, ${becomes}`);
    flip.disabled = unknown.disabled = isOut(tile);
    if (!element.open) element.showModal();
  }

  return { element, render };
}
