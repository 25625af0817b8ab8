// Enlarging a picture: pure geometry. A view is {scale, x, y}: the point (x, y) of the fitted
// picture's box, in shares of the box, lies in the middle of the stage.

export const FIT = Object.freeze({ scale: 1, x: 0.5, y: 0.5 });
/** What the key for enlarging goes to. */
export const CLOSE = 3;
export const STEP = 1.4;
const PAN = 0.18; // of what is visible, per arrow key
const MOST = 8;
const PIXELS = 6; // a picture's pixel is never larger than this on screen, unless it fits that way

/**
 * Where the picture lies in its box: as large as fits.
 * @param {{width: number, height: number}} image in pixels
 * @param {{width: number, height: number}} box in pixels
 * @returns {{left: number, top: number, width: number, height: number}} in shares of the box
 */
export function fitted(image, box) {
  if (!image.width || !image.height || !box.width || !box.height) {
    return { left: 0, top: 0, width: 1, height: 1 };
  }
  const scale = Math.min(box.width / image.width, box.height / image.height);
  const width = (image.width * scale) / box.width;
  const height = (image.height * scale) / box.height;
  return { left: (1 - width) / 2, top: (1 - height) / 2, width, height };
}

/** How far a picture can be enlarged: large ones until their pixels can be counted. */
export function mostOf(image, box) {
  const scale = Math.min(box.width / image.width, box.height / image.height);
  return Math.max(MOST, PIXELS / scale);
}

/** Enlarge by a factor; the point under (px, py), in shares of the stage, stays there. */
export function zoomAt(view, factor, [px, py], rect, most = MOST) {
  const scale = Math.min(most, Math.max(1, view.scale * factor));
  if (scale === 1) return FIT;
  const x = view.x + (px - 0.5) / view.scale - (px - 0.5) / scale;
  const y = view.y + (py - 0.5) / view.scale - (py - 0.5) / scale;
  return clamped({ scale, x, y }, rect);
}

/** Move the view by arrow keys: dx, dy are -1, 0 or 1. */
export function panBy(view, [dx, dy], rect) {
  const step = PAN / view.scale;
  return clamped({ ...view, x: view.x + dx * step, y: view.y + dy * step }, rect);
}

/** Move the picture with the pointer: dx, dy in shares of the stage. */
export function dragBy(view, [dx, dy], rect) {
  return clamped({ ...view, x: view.x - dx / view.scale, y: view.y - dy / view.scale }, rect);
}

/** The view nearest to this one that shows no more empty stage than needed. */
export function clamped(view, rect) {
  const half = 0.5 / view.scale;
  const within = (at, start, size) =>
    size <= 2 * half ? start + size / 2 : Math.min(start + size - half, Math.max(start + half, at));
  return {
    scale: view.scale,
    x: within(view.x, rect.left, rect.width),
    y: within(view.y, rect.top, rect.height),
  };
}

/** CSS transform of the box, with its origin at the upper left. */
export function transformOf({ scale, x, y }) {
  if (scale === 1) return "";
  return `translate(${(0.5 - x * scale) * 100}%, ${(0.5 - y * scale) * 100}%) scale(${scale})`;
}
