import assert from "node:assert/strict";
import { test } from "node:test";
import { makeRest } from "../../../annotator/web/static/js/focus/rest.js";

function make() {
  const clock = { time: 1000, waits: [], during: () => {} };
  const wait = async (ms) => {
    clock.waits.push(ms);
    clock.time += ms;
    clock.during();
    clock.during = () => {};
  };
  return { clock, rest: makeRest(200, { now: () => clock.time, wait }) };
}

test("whoever has not pressed a key does not wait", async () => {
  const { clock, rest } = make();
  assert.equal(await rest.come(), true);
  assert.deepEqual(clock.waits, []);
});

test("a key pressed meanwhile begins the wait anew", async () => {
  const { clock, rest } = make();
  rest.pressed();
  clock.time += 50;
  clock.during = () => rest.pressed();
  assert.equal(await rest.come(), true);
  assert.deepEqual(clock.waits, [150, 200]);
});

test("of several who wait only the last goes on", async () => {
  const { rest } = make();
  rest.pressed();
  assert.deepEqual(await Promise.all([rest.come(), rest.come()]), [false, true]);
});
