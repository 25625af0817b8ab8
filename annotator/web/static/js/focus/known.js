// "Known here": chips of present and absent categories; more than a line of absent ones folds.

import { attr, h, keyed } from "../dom.js";
import { verdict } from "../words.js";

const CHIP_EXTRA = 44; // padding, border, the x and the gap, in pixels
const MORE_WIDTH = 92;

/**
 * @param {(action: object) => void} send
 */
export function makeKnown(send) {
  const present = h("ul.chips", { "aria-label": "Present" });
  const absent = h("ul.chips", { "aria-label": "Absent" });
  const none = h("p.quiet", { text: "Nothing yet." });
  const more = h("button.more", { type: "button", onclick: () => toggle() });
  const element = h(
    "section.known",
    { "aria-label": "Known here" },
    h("h2", { text: "Known here" }),
    none,
    h("div.lists", {}, present, absent, more),
  );
  let open = false;
  let last = null;
  let width = null; // noted when it changes: asked for between two changes, the page is laid out twice

  new ResizeObserver(() => {
    if (width === element.clientWidth) return;
    width = element.clientWidth;
    if (last) render(last);
  }).observe(element);

  function toggle() {
    open = !open;
    render(last);
  }

  function render(known) {
    last = known;
    none.hidden = known.present.length + known.absent.length > 0;
    present.hidden = !known.present.length;
    absent.hidden = !known.absent.length;
    width ??= element.clientWidth;
    const fits = open ? known.absent.length : fitting(known.absent, width - 28);
    const hiddenCount = known.absent.length - fits;
    chips(present, known.present, send);
    chips(absent, known.absent.slice(0, fits), send);
    more.hidden = !open && hiddenCount === 0;
    attr(more, "text", open ? "Fold absent" : `+ ${hiddenCount} absent`);
    attr(more, "aria-expanded", String(open));
  }

  return { element, render };
}

function chips(list, items, send) {
  keyed(
    list,
    items,
    (item) => item.id,
    (item) => {
      const flip = h("button.name", {
        type: "button",
        onclick: () => send({ type: "decide", category: item.id, value: -chipState(chip) }),
      });
      const clear = h(
        "button.clear",
        {
          type: "button",
          onclick: () => send({ type: "decide", category: item.id, value: 0 }),
        },
        h("span", { text: "×", "aria-hidden": "true" }),
      );
      const chip = h("li.chip", {}, flip, clear);
      return chip;
    },
    (chip, item) => {
      const [flip, clear] = chip.children;
      attr(chip, "data-state", String(item.state));
      chip.classList.toggle("unsaved", !item.saved);
      attr(flip, "text", item.name);
      const by = item.user ? `, by ${item.user}` : "";
      attr(flip, "title", `${verdict(item.state)}${by}; click for ${verdict(-item.state)}`);
      attr(flip, "aria-label", `${item.name}: ${verdict(item.state)}, change to ${verdict(-item.state)}`);
      attr(clear, "title", "make unknown again");
      attr(clear, "aria-label", `${item.name}: make unknown again`);
    },
  );
}

function chipState(chip) {
  return Number(chip.getAttribute("data-state"));
}

let canvas = null;

/** How many chips fit on one line, by the width of their text: no layout has to be computed. */
function fitting(items, width) {
  if (!items.length || width <= 0) return items.length;
  canvas ??= document.createElement("canvas").getContext("2d");
  canvas.font = "13px system-ui, sans-serif";
  let used = 0;
  for (let i = 0; i < items.length; i++) {
    used += canvas.measureText(items[i].name).width + CHIP_EXTRA;
    const room = i === items.length - 1 ? width : width - MORE_WIDTH;
    if (used > room) return Math.max(1, i);
  }
  return items.length;
}
