// Pointer, wheel and fingers on the stage; what they mean is computed in zoom.js.

import { CLOSE, FIT, STEP, clamped, dragBy, fitted, mostOf, panBy, transformOf, zoomAt } from "./zoom.js";

const WHEEL = 0.0022; // of a factor per pixel of wheel

/**
 * @param {Element} stage what is looked through
 * @param {Element} layer what is enlarged, as large as the stage
 * @param {(on: boolean) => void} changed told when the picture becomes enlarged or fits again
 */
export function makeZooming(stage, layer, changed) {
  let view = FIT;
  let image = { width: 1, height: 1 };
  const pointers = new Map(); // id -> [x, y] in shares of the stage

  const box = () => ({ width: stage.clientWidth, height: stage.clientHeight });
  const rect = () => fitted(image, box());
  const place = (event) => {
    const { left, top, width, height } = stage.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  };

  function show(next) {
    const was = view.scale > 1;
    view = next;
    layer.style.transform = transformOf(view);
    if (view.scale > 1 !== was) changed(view.scale > 1);
  }

  const by = (factor, at = [0.5, 0.5]) => show(zoomAt(view, factor, at, rect(), mostOf(image, box())));

  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      by(Math.exp(-event.deltaY * (event.ctrlKey ? 4 : 1) * WHEEL), place(event));
    },
    { passive: false },
  );
  stage.addEventListener("dblclick", (event) => by(view.scale > 1 ? 0 : CLOSE, place(event)));
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, place(event));
    if (view.scale > 1 || pointers.size > 1) stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (other) {
      const size = box();
      const far = ([x, y]) => Math.hypot((x - other[0]) * size.width, (y - other[1]) * size.height);
      by(far(now) / Math.max(1, far(before)), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    } else if (view.scale > 1) show(dragBy(view, [now[0] - before[0], now[1] - before[1]], rect()));
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }

  return {
    rect,
    /** The picture whose size counts from now on. */
    of(next) {
      image = next;
    },
    /** By the key: enlarged or fitted. */
    set(on) {
      if (on && view.scale === 1) by(CLOSE);
      else if (!on && view.scale > 1) show(FIT);
    },
    step: (direction) => by(STEP ** direction),
    pan: (direction) => show(panBy(view, direction, rect())),
    /** The stage has another size. */
    resized() {
      if (view.scale > 1) show(clamped(view, rect()));
    },
  };
}
