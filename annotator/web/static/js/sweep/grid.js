// The tiles: a grid for keyboard and screen readers, click or tap turns over, a long press enlarges.

import { attr, h, set } from "../dom.js";
import { percent, verdict } from "../words.js";
import { isFlipped, isOut, rangeOf, tileLabel } from "./state.js";

const LONG_PRESS_MS = 450;
const GAP = 8;
const SIGNS = { 1: "✓", "-1": "✕", 0: "?" };

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {import("./thumbs.js").Thumbs} options.thumbs
 * @param {() => void} options.seenMore called when further tiles have been on screen
 */
export function makeGrid({ send, thumbs, seenMore }) {
  const element = h("div.grid", { role: "grid", "aria-multiselectable": "true" });
  let page = null; // the one that is drawn
  let tiles = []; // elements by place
  let columns = 1;
  let width = 150; // of a tile, pixels
  let seen = new Set(); // places that have been on screen with their picture
  let press = null;

  const watch = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const place = Number(entry.target.dataset.place);
        // Half of a tile is enough to judge; a strip of it is not.
        if (entry.intersectionRatio >= 0.5) note(place);
      }
      seenMore();
    },
    { threshold: [0, 0.5, 1] },
  );
  new ResizeObserver(() => page && layOut()).observe(element);

  function note(place) {
    const held = thumbs.get(page.tiles[place].image);
    const drawn = page;
    void held.done.then(() => {
      if (page !== null && samePage(page, drawn)) seen.add(place);
      seenMore();
    });
  }

  function draw() {
    watch.disconnect();
    seen = new Set();
    tiles = page.tiles.map((tile, place) => makeTile(tile, place));
    columns = 0;
    layOut();
    for (const tile of tiles) watch.observe(tile);
  }

  function makeTile(tile, place) {
    const held = thumbs.get(tile.image);
    const element_ = h(
      "div.tile",
      { role: "gridcell", tabindex: "-1", "data-place": String(place) },
      held.element,
      h("span.share", { "aria-hidden": "true" }),
      h("span.mark", { "aria-hidden": "true" }),
    );
    void held.done.then(() => {
      if (held.state === "failed") send({ type: "failed", image: tile.image });
    });
    return element_;
  }

  /** Rows of as many tiles as fit; assistive technology needs them, the eye sees one grid. */
  function layOut() {
    const room = element.clientWidth;
    const fits = Math.max(2, Math.floor((room + GAP) / (width + GAP)));
    if (fits === columns) return;
    columns = fits;
    element.style.setProperty("--columns", String(columns));
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    const rows = [];
    for (let first = 0; first < tiles.length; first += columns) {
      rows.push(h("div.row", { role: "row" }, ...tiles.slice(first, first + columns)));
    }
    element.replaceChildren(...rows);
    focused?.focus({ preventScroll: true });
  }

  function render(state) {
    if (!state.page) {
      if (page) {
        watch.disconnect();
        page = null;
        tiles = [];
        element.replaceChildren();
      }
      return;
    }
    const fresh = !page || !samePage(page, state.page);
    const before = fresh ? null : page;
    page = state.page;
    if (fresh) draw();
    attr(element, "aria-label", `${page.name}, ${page.tiles.length} pictures`);
    const range = new Set(page.anchor === null ? [] : rangeOf(page));
    page.tiles.forEach((tile, place) => {
      const cursor = place === page.cursor;
      const chosen = range.has(place);
      const element_ = tiles[place];
      // Only what has changed: a key press touches one tile or two.
      if (before?.tiles[place] === tile && element_.__cursor === cursor && element_.__range === chosen) return;
      element_.__cursor = cursor;
      element_.__range = chosen;
      patch(element_, tile, place, cursor, chosen);
    });
  }

  function patch(element_, tile, place, cursor, chosen) {
    const out = isOut(tile);
    const state = out ? 0 : tile.state;
    set(element_, {
      "aria-label": tileLabel(page, place),
      "aria-selected": chosen ? "true" : null,
      "data-state": String(state),
      "data-flipped": isFlipped(tile) && !out,
      "data-out": out,
      "data-cursor": cursor,
      tabindex: cursor ? "0" : "-1",
      title: tile.file_name,
    });
    attr(element_.children[1], "text", percent(tile.probability));
    attr(element_.children[2], "text", markText(tile, state));
  }

  /** The sign alone where the suggestion stands; a word where the person says otherwise. */
  function markText(tile, state) {
    if (tile.failed) return "cannot be shown";
    if (tile.decided) return `${verdict(tile.decided.state)} by ${tile.decided.user ?? "an import"}`;
    return state === tile.suggested ? SIGNS[state] : `${SIGNS[state]} ${verdict(state)}`;
  }

  function placeOf(event) {
    const tile = event.target.closest?.(".tile");
    return tile ? Number(tile.dataset.place) : null;
  }

  element.addEventListener("pointerdown", (event) => {
    const place = placeOf(event);
    if (place === null || event.button !== 0) return;
    clearTimeout(press?.timer);
    press = { place, x: event.clientX, y: event.clientY, long: false };
    const mine = press;
    mine.timer = setTimeout(() => {
      mine.long = true;
      send({ type: "point", place, flips: false });
      send({ type: "zoom", on: true });
    }, LONG_PRESS_MS);
  });
  element.addEventListener("pointermove", (event) => {
    // A finger that moves scrolls.
    if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > 10) clearTimeout(press.timer);
  });
  for (const type of ["pointerup", "pointercancel", "pointerleave"]) {
    element.addEventListener(type, () => clearTimeout(press?.timer));
  }
  element.addEventListener("click", (event) => {
    const place = placeOf(event);
    if (place === null) return;
    const long = press?.long;
    press = null;
    if (!long) send({ type: "point", place, extend: event.shiftKey });
  });
  // The menu of a long touch would cover what it enlarges.
  element.addEventListener("contextmenu", (event) => {
    if (press?.long || event.pointerType === "touch") event.preventDefault();
  });

  return {
    element,
    render,
    get columns() {
      return columns;
    },
    /** How many tiles have not been on screen yet. */
    get unseen() {
      return page ? page.tiles.filter((tile, place) => !seen.has(place) && !tile.failed).length : 0;
    },
    setWidth(pixels) {
      width = pixels;
      if (page) layOut();
    },
    focus() {
      const tile = page && tiles[page.cursor];
      tile?.focus({ preventScroll: true });
      tile?.scrollIntoView({ block: "nearest", behavior: "instant" });
    },
    /** The first tile that has not been on screen comes to the top. */
    scrollOn() {
      const first = tiles.find((_, place) => !seen.has(place));
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      first?.scrollIntoView({ block: "start", behavior: calm ? "instant" : "smooth" });
    },
  };
}

/** The same tiles in the same order, whatever has been marked since. */
function samePage(one, other) {
  return (
    one.category === other.category &&
    one.tiles.length === other.tiles.length &&
    one.tiles.every((tile, place) => tile.image === other.tiles[place].image)
  );
}
