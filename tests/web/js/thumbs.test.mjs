import assert from "node:assert/strict";
import { test } from "node:test";
import { piecesOf } from "../../../annotator/web/static/js/pieces.js";
import { Thumbs } from "../../../annotator/web/static/js/sweep/thumbs.js";

const JPEG = "image/jpeg";

function packed(...files) {
  const parts = files.flatMap((file) => [0, 0, file.length >> 8, file.length & 255, ...file]);
  return new Uint8Array(parts).buffer;
}

function thumbs(fetchMany, decode = async () => {}) {
  const asked = [];
  return {
    asked,
    thumbs: new Thumbs({
      urlOf: (image) => `one/${image}`,
      fetchMany: async (images) => {
        asked.push(images);
        return fetchMany(images);
      },
      makeImage: () => ({ decode }),
    }),
  };
}

const piece = () => new Blob(["x"], { type: JPEG });

test("an answer is taken apart by the lengths in it", async () => {
  const long = Array.from({ length: 300 }, (_, i) => i % 256);
  const found = piecesOf(packed([1, 2], [], long), JPEG);
  const bytes = await Promise.all(found.map(async (one) => one && [...new Uint8Array(await one.arrayBuffer())]));
  assert.deepEqual(bytes, [[1, 2], null, long]);
  assert.equal(found[0].type, JPEG);
});

test("of an answer that is cut off the whole files are taken", () => {
  const whole = packed([1, 2], [3, 4]);
  assert.equal(piecesOf(whole.slice(0, -1), JPEG).length, 1);
  assert.equal(piecesOf(whole.slice(0, 8), JPEG).length, 1);
  assert.deepEqual(piecesOf(new ArrayBuffer(0), JPEG), []);
});

test("pictures that are wanted at the same moment are asked for together", async () => {
  const { thumbs: all, asked } = thumbs((images) => images.map(piece));
  all.get(1);
  await all.prefetch([1, 2, 3]);
  assert.deepEqual(asked, [[1, 2, 3]]);
  assert.match(all.get(2).element.src, /^blob:/);
  assert.equal(all.get(2).state, "ready");
});

test("a picture that is not in the answer is asked for alone", async () => {
  const { thumbs: all } = thumbs((images) => images.map((image) => (image === 2 ? null : piece())));
  await all.prefetch([1, 2]);
  assert.equal(all.get(2).element.src, "one/2");
});

test("one picture, or a server that does not answer, is no different from before", async () => {
  const { thumbs: all, asked } = thumbs(() => Promise.reject(new Error("gone")));
  await all.prefetch([7]);
  assert.deepEqual(asked, []);
  await all.prefetch([8, 9]);
  assert.deepEqual([7, 8, 9].map((image) => all.get(image).element.src), ["one/7", "one/8", "one/9"]);
});

test("a picture that failed is loaded again when it is wanted again", async () => {
  let broken = true;
  const decode = async () => {
    if (broken) throw new Error("broken");
  };
  const { thumbs: all, asked } = thumbs((images) => images.map(piece), decode);
  await all.prefetch([1, 2]);
  broken = false;
  await all.prefetch([1, 2]);
  assert.equal(asked.length, 2);
  assert.equal(all.get(1).state, "ready");
});
