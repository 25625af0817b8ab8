// The tiles of a list: only the rows in sight exist, whatever the length of the list.

import { attr, h, keyed, set } from "../dom.js";
import { grouped, percent, plural, verdict } from "../words.js";
import { layoutOf, moved, rowsInSight, scrollTo } from "./layout.js";
import { has } from "./selection.js";
import { total } from "./state.js";

const PADDING = 20;

/**
 * @param {object} options
 * @param {(action: object) => void} options.send
 * @param {() => object} options.getState
 * @param {import("../sweep/thumbs.js").Thumbs} options.thumbs pictures wanted at the same moment come
 *   in one answer: those that a jump brings into sight
 * @param {(first: number, after: number) => void} options.need told which places are in sight
 */
export function makeGrid({ send, getState, thumbs, need }) {
  const sizer = h("div.sizer", { role: "presentation" });
  const element = h("div.scroller", {
    role: "grid",
    "aria-label": "Pictures",
    "aria-multiselectable": "true",
    onscroll: () => schedule(),
    onclick: onClick,
    ondblclick: (event) => {
      const place = placeOf(event.target);
      if (place !== null) send({ type: "open", place });
    },
    onmousedown: (event) => event.shiftKey && event.preventDefault(), // selects tiles, not text
  });
  element.append(sizer);
  let layout = layoutOf({ width: 0, total: 0, size: "medium" });
  let waiting = 0;
  let wanted = false; // the keyboard is in the grid and has to follow the cursor

  new ResizeObserver(() => {
    const state = getState();
    const before = layout;
    measure(state);
    if (before.columns !== layout.columns && total(state)) show(state.cursor);
    draw(state);
  }).observe(element);

  function measure(state) {
    // The scroll bar stands in the padding on the right, so that the tiles end where the head does.
    const right = Math.max(PADDING, element.offsetWidth - element.clientWidth + 4);
    const width = Math.max(0, element.offsetWidth - PADDING - right);
    layout = layoutOf({ width, total: total(state), size: state.size });
    sizer.style.height = `${layout.height}px`;
    sizer.style.setProperty("--tile", `${layout.tile}px`);
    sizer.style.setProperty("--columns", layout.columns);
  }

  function view() {
    return { top: element.scrollTop, height: element.clientHeight };
  }

  function schedule() {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      draw(getState());
    });
  }

  function onClick(event) {
    const place = placeOf(event.target);
    if (place === null) return;
    wanted = true;
    const add = event.ctrlKey || event.metaKey || Boolean(event.target.closest(".pick"));
    send({ type: "click", place, extend: event.shiftKey, add });
  }

  function show(place) {
    element.scrollTop = scrollTo(layout, place, view());
  }

  function render(state) {
    measure(state);
    set(element, {
      "aria-rowcount": layout.rows,
      "aria-colcount": layout.columns,
      "aria-busy": String(state.searching),
      "data-labels": state.show !== null,
    });
    draw(state);
  }

  function draw(state) {
    if (!layout.tile || !element.clientHeight) return;
    const [first, after] = rowsInSight(layout, view());
    const count = total(state);
    const rows = [];
    for (let row = first; row < after; row++) rows.push(row);
    // The row of the cursor always exists: the keyboard's place in the page must not vanish.
    const own = Math.floor(state.cursor / layout.columns);
    if (count && (own < first || own >= after)) rows.push(own);
    keyed(sizer, rows, (row) => row, makeRow, (element_, row) => drawRow(element_, row, state));
    need(first * layout.columns, Math.min(count, after * layout.columns));
    thumbs.forget();
  }

  function makeRow() {
    return h("div.row", { role: "row" });
  }

  function drawRow(element_, row, state) {
    attr(element_, "aria-rowindex", row + 1);
    const y = `translateY(${row * layout.rowHeight}px)`;
    if (element_.style.transform !== y) element_.style.transform = y;
    const places = [];
    const end = Math.min(total(state), (row + 1) * layout.columns);
    for (let place = row * layout.columns; place < end; place++) places.push(place);
    const patch = (cell, place) => drawCell(cell, place, state, thumbs, layout.columns);
    keyed(element_, places, (place) => place, makeCell, patch);
  }

  return {
    element,
    render,
    /** Put the keyboard on the tile of the cursor. */
    focus() {
      const state = getState();
      if (!total(state)) return;
      show(state.cursor);
      draw(state);
      sizer.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
    },
    /** Whether the keyboard is here, or nowhere. */
    hasFocus: () => element.contains(document.activeElement) || document.activeElement === document.body,
    /** Where a key leads. */
    target(key, place) {
      const page = Math.max(1, Math.floor(element.clientHeight / layout.rowHeight));
      return moved(place, key, { columns: layout.columns, total: total(getState()), page });
    },
    /** After a click the tile has the keyboard. */
    followClick() {
      if (wanted) this.focus();
      wanted = false;
    },
    toTop(place) {
      if (place === null) element.scrollTop = 0;
      else show(place);
    },
  };
}

function placeOf(target) {
  const cell = target.closest?.("[role=gridcell]");
  return cell ? Number(cell.dataset.place) : null;
}

function makeCell(place) {
  const cell = h(
    "div.tile",
    { role: "gridcell", "data-place": place, tabindex: "-1" },
    h("span.frame", {}, h("img", { alt: "" }), h("span.mark"), h("span.share"), h("span.pick", { "aria-hidden": "true" })),
    h("span.name"),
  );
  return cell;
}

/** Put a picture into a tile, or the empty one while nobody knows which it is. */
function drawPicture(cell, image, thumbs) {
  if (cell.image === image) return;
  cell.image = image;
  cell.classList.remove("failed");
  const held = image === null ? null : thumbs.get(image);
  const frame = cell.firstChild;
  frame.querySelector("img")?.remove(); // it may have gone to another tile
  frame.prepend(held?.element ?? h("img", { alt: "" }));
  void held?.done.then(() => {
    if (cell.image === image) cell.classList.toggle("failed", held.state === "failed");
  });
}

function drawCell(cell, place, state, thumbs, columns) {
  const tile = state.tiles.get(place);
  drawPicture(cell, tile?.image ?? null, thumbs);
  const [frame, name] = cell.children;
  const [, mark, share] = frame.children;
  set(cell, {
    tabindex: place === state.cursor ? "0" : "-1",
    "aria-selected": String(has(state.selected, place)),
    "aria-colindex": (place % columns) + 1,
    "aria-label": tile ? tileLabel(tile, state) : `Picture ${grouped(place + 1)}, loading`,
    "data-state": tile?.state ?? null,
    title: tile?.file_name ?? null,
  });
  attr(mark, "text", tile?.state ? verdict(tile.state) : "");
  attr(share, "text", tile ? shareText(tile) : "");
  attr(name, "text", tile ? `${tile.flagged ? "⚑ " : ""}${tile.file_name}` : "");
}

function shareText({ similarity, probability }) {
  if (similarity !== null) return similarity === 1 ? "this one" : `${percent(similarity)} alike`;
  return probability === null ? "" : percent(probability);
}

/** For screen readers: "a.jpg, cup present, 93 % likely, 12 of 80 cells known". */
function tileLabel(tile, state) {
  const shown = state.categories.find((category) => category.id === state.show);
  const parts = [tile.file_name];
  if (shown && tile.state !== null) parts.push(`${shown.name} ${verdict(tile.state)}`);
  if (tile.similarity !== null) parts.push(`${percent(tile.similarity)} alike`);
  else if (tile.probability !== null) parts.push(`${percent(tile.probability)} likely`);
  parts.push(`${tile.known} of ${plural(state.categories.length, "cell")} known`);
  if (tile.flagged) parts.push("flagged");
  return parts.join(", ");
}
