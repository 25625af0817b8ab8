import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox, Refused } from "../../../annotator/web/static/js/outbox.js";

class Memory {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(i) {
    return [...this.#items.keys()][i] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, String(value));
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

/** An outbox whose server is a function; the clock stands still unless told otherwise. */
function make(send, { storage = new Memory(), scope = "w", now = () => 5 } = {}) {
  const log = { added: [], saved: [], acknowledged: [], refused: [], states: [], waits: [] };
  const outbox = new Outbox({
    storage,
    scope,
    send,
    now,
    added: (entry) => log.added.push(entry.key),
    saved: (entry) => log.saved.push(entry.key),
    acknowledged: (entry) => log.acknowledged.push(entry.key),
    refused: (entry, text, dropped) => log.refused.push([entry.key, text, dropped]),
    changed: (state) => log.states.push(state),
    wait: async (ms) => void log.waits.push(ms),
  });
  return { outbox, storage, log };
}
const entry = (key, over = {}) => ({ key, kind: "decide", cells: [], ...over });

test("entries arrive one after the other in the order they were made", async () => {
  const arrived = [];
  let busy = 0;
  const { outbox } = make(async ({ key }) => {
    assert.equal(++busy, 1);
    await null;
    busy -= 1;
    arrived.push(key);
  });
  await Promise.all(["a", "b", "c"].map((key) => outbox.add(entry(key))));
  await outbox.pump();
  assert.deepEqual(arrived, ["a", "b", "c"]);
});

test("an entry leaves the storage when it is safe, and waits for its answer", async () => {
  const storage = new Memory();
  const seen = [];
  const { outbox, log } = make(
    async (_, saved) => {
      saved();
      seen.push([storage.length, log.saved.length, outbox.state.waiting, log.acknowledged.length]);
    },
    { storage },
  );
  await outbox.add(entry("a"));
  assert.deepEqual(seen, [[0, 1, 1, 0]]);
  assert.deepEqual([log.saved, log.acknowledged], [["a"], ["a"]]);
});

test("an answer that breaks off is asked for again, and what is safe is told once", async () => {
  let tries = 0;
  const { outbox, log } = make(async (_, saved) => {
    saved();
    if (++tries === 1) throw new Error("broken off");
  });
  await outbox.add(entry("a"));
  assert.deepEqual([tries, log.saved, log.acknowledged], [2, ["a"], ["a"]]);
});

test("an entry is in storage before it is sent and gone after the answer", async () => {
  const storage = new Memory();
  let during = 0;
  const { outbox } = make(async () => void (during = storage.length), { storage });
  await outbox.add(entry("a"));
  assert.equal(during, 1);
  assert.equal(storage.length, 0);
});

test("a lost connection is retried with the same key, later each time", async () => {
  const keys = [];
  const { outbox, log } = make(async ({ key }) => {
    keys.push(key);
    if (keys.length < 4) throw new TypeError("Failed to fetch");
  });
  await outbox.add(entry("a"));
  assert.deepEqual(keys, ["a", "a", "a", "a"]);
  assert.deepEqual(log.waits, [250, 500, 1000]);
  assert.deepEqual(log.acknowledged, ["a"]);
});

test("nothing overtakes an entry that waits for the connection", async () => {
  const arrived = [];
  let down = 3;
  const { outbox } = make(async ({ key }) => {
    if (down-- > 0) throw new TypeError("Failed to fetch");
    arrived.push(key);
  });
  await Promise.all(["a", "b"].map((key) => outbox.add(entry(key))));
  await outbox.pump();
  assert.deepEqual(arrived, ["a", "b"]);
});

test("the state tells what waits and whether the server is reached", async () => {
  let down = true;
  const { outbox, log } = make(async () => {
    if (down) {
      down = false;
      throw new TypeError("Failed to fetch");
    }
  });
  await outbox.add(entry("a"));
  assert.deepEqual(log.states.map((s) => [s.waiting, s.online]), [[1, true], [1, false], [0, true]]);
});

test("what a page left behind is sent by the next one, first things first", async () => {
  const storage = new Memory();
  let time = 1;
  const never = () => new Promise(() => {});
  const before = make(never, { storage, now: () => time++ }).outbox;
  void before.add(entry("a"));
  void before.add(entry("b"));
  const arrived = [];
  const { outbox } = make(async ({ key }) => void arrived.push(key), { storage, now: () => time++ });
  await outbox.add(entry("c"));
  assert.deepEqual(arrived, ["a", "b", "c"]);
});

test("entries of another workspace are left alone", () => {
  const storage = new Memory();
  void make(() => new Promise(() => {}), { storage, scope: "other" }).outbox.add(entry("a"));
  assert.equal(make(async () => {}, { storage, scope: "w" }).outbox.entries.length, 0);
});

test("a refused entry is dropped, told, and does not hold up the next", async () => {
  const { outbox, log } = make(async ({ key }) => {
    if (key === "a") throw new Refused("There is no image 7.");
  });
  await Promise.all(["a", "b"].map((key) => outbox.add(entry(key))));
  await outbox.pump();
  assert.deepEqual(log.refused, [["a", "There is no image 7.", []]]);
  assert.deepEqual(log.acknowledged, ["b"]);
});

test("the undo of a refused entry is dropped with it, or it would take back an older change", async () => {
  const { outbox, log } = make(async ({ key }) => {
    if (key === "a") throw new Refused("no");
  });
  await Promise.all([
    outbox.add(entry("a")),
    outbox.add(entry("u", { kind: "undo", undoes: "a" })),
    outbox.add(entry("b")),
  ]);
  await outbox.pump();
  assert.deepEqual(log.refused, [["a", "no", ["u"]]]);
  assert.deepEqual(log.acknowledged, ["b"]);
});

test("without storage entries are still sent, and the state says they would not last", async () => {
  const storage = new Memory();
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  const { outbox, log } = make(async () => {}, { storage });
  await outbox.add(entry("a"));
  assert.deepEqual(log.acknowledged, ["a"]);
  assert.equal(log.states[0].durable, false);
});

test("a half-written entry is thrown away", () => {
  const storage = new Memory();
  storage.setItem("annotator.outbox.w.1.a", '{"key": "a", "ce');
  assert.equal(make(async () => {}, { storage }).outbox.entries.length, 0);
  assert.equal(storage.length, 0);
});

test("a change is told of before its answer", async () => {
  const made = make(async () => {});
  const sent = made.outbox.add(entry("a"));
  assert.deepEqual([made.log.added, made.log.acknowledged], [["a"], []]);
  await sent;
  assert.equal(made.log.acknowledged.length, 1);
});
