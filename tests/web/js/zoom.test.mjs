import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FIT,
  dragBy,
  fitted,
  mostOf,
  panBy,
  transformOf,
  zoomAt,
} from "../../../annotator/web/static/js/focus/zoom.js";

const BOX = { width: 800, height: 600 };
const WIDE = fitted({ width: 1600, height: 1200 }, BOX);
const TALL = fitted({ width: 300, height: 1200 }, BOX);
/** Where a point of the box is on the stage, in shares. */
const onStage = (view, [x, y]) => [0.5 + (x - view.x) * view.scale, 0.5 + (y - view.y) * view.scale];

test("a picture is as large as fits, in the middle", () => {
  assert.deepEqual(WIDE, { left: 0, top: 0, width: 1, height: 1 });
  assert.equal(TALL.height, 1);
  assert.equal(TALL.left, (1 - TALL.width) / 2);
});

test("enlarging keeps the point under the pointer", () => {
  const at = [0.7, 0.4];
  const view = zoomAt(FIT, 2, at, WIDE);
  const [x, y] = onStage(view, at);
  assert.ok(Math.abs(x - 0.7) < 1e-9 && Math.abs(y - 0.4) < 1e-9);
});

test("no more than fits, no less than the whole picture", () => {
  assert.equal(zoomAt(FIT, 0.5, [0.5, 0.5], WIDE), FIT);
  assert.equal(zoomAt(FIT, 1000, [0.5, 0.5], WIDE, 8).scale, 8);
});

test("a 60-megapixel picture can be enlarged until its pixels can be counted", () => {
  assert.ok(mostOf({ width: 9504, height: 6336 }, BOX) > 60);
  assert.equal(mostOf({ width: 1, height: 1 }, BOX), 8);
});

test("the view ends at the edge of the picture", () => {
  let view = zoomAt(FIT, 4, [0.5, 0.5], WIDE);
  for (let i = 0; i < 50; i++) view = panBy(view, [1, 0], WIDE);
  assert.ok(Math.abs(onStage(view, [1, 0])[0] - 1) < 1e-9);
  view = dragBy(view, [5, 0], WIDE);
  assert.ok(Math.abs(onStage(view, [0, 0])[0]) < 1e-9);
});

test("a narrow picture stays in the middle until it is wider than the stage", () => {
  const view = zoomAt(FIT, 2, [0.9, 0.5], TALL);
  assert.equal(view.x, 0.5);
  assert.equal(panBy(view, [1, 0], TALL).x, 0.5);
});

test("what fits needs no transform", () => {
  assert.equal(transformOf(FIT), "");
  assert.match(transformOf(zoomAt(FIT, 3, [0, 0], WIDE)), /^translate\(.*scale\(3\)$/);
});
