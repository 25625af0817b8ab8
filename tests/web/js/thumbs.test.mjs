import assert from "node:assert/strict";
import { test } from "node:test";
import { dataUrl, piecesOf } from "../../../annotator/web/static/js/pieces.js";
import { Thumbs } from "../../../annotator/web/static/js/sweep/thumbs.js";

function packed(...files) {
  const parts = files.flatMap((file) => [0, 0, file.length >> 8, file.length & 255, ...file]);
  return new Uint8Array(parts).buffer;
}

function thumbs(fetchMany, decode = async () => {}, more = {}) {
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
      ...more,
    }),
  };
}

const piece = () => new Uint8Array([120]);

test("an answer is taken apart by the lengths in it", () => {
  const long = Array.from({ length: 300 }, (_, i) => i % 256);
  const found = piecesOf(packed([1, 2], [], long));
  assert.deepEqual(found.map((one) => one && [...one]), [[1, 2], null, long]);
});

test("of an answer that is cut off the whole files are taken", () => {
  const whole = packed([1, 2], [3, 4]);
  assert.equal(piecesOf(whole.slice(0, -1)).length, 1);
  assert.equal(piecesOf(whole.slice(0, 8)).length, 1);
  assert.deepEqual(piecesOf(new ArrayBuffer(0)), []);
});

test("the address of a picture that is here holds all its bytes", async () => {
  const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => i % 256);
  const read = await (await fetch(dataUrl(bytes, "image/jpeg"))).arrayBuffer();
  assert.deepEqual(new Uint8Array(read), bytes);
});

test("pictures that are wanted at the same moment are asked for together", async () => {
  const { thumbs: all, asked } = thumbs((images) => images.map(piece));
  all.get(1);
  await all.prefetch([1, 2, 3]);
  assert.deepEqual(asked, [[1, 2, 3]]);
  assert.equal(all.get(2).element.src, "data:image/jpeg;base64,eA==");
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

test("of very many pictures those wanted longest ago are dropped, never one on the page", async () => {
  const { thumbs: all, asked } = thumbs((images) => images.map(piece));
  await all.prefetch(Array.from({ length: 300 }, (_, i) => i + 1));
  all.get(1).element.isConnected = true;
  await all.prefetch(Array.from({ length: 300 }, (_, i) => i + 301));
  const before = asked.length;
  await all.prefetch([1, 600]);
  assert.equal(asked.length, before);
  await all.prefetch([2, 3]);
  assert.deepEqual(asked.at(-1), [2, 3]);
});

test("where few are not worth it they are asked for one by one", async () => {
  const { thumbs: all, asked } = thumbs((images) => images.map(piece), undefined, { least: 3 });
  await all.prefetch([1, 2]);
  assert.deepEqual(asked, []);
  assert.equal(all.get(2).element.src, "one/2");
  await all.prefetch([3, 4, 5]);
  assert.deepEqual(asked, [[3, 4, 5]]);
});
