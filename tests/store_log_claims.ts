/**
 * Claims about logs, S1 to S5 of `kernel/store.ts`, in their order.
 * @module
 */

import assert from "node:assert/strict";
import type { Errno } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import type { Batch, StoredBatch } from "../kernel/store.ts";
import {
  batchOf,
  inboxIds,
  item,
  linesOf,
  newTree,
  picture,
  readAll,
  rejects,
} from "./store_fixture.ts";
import type { Claim } from "./store_fixture.ts";

/** What refuses a commit: a change to a batch that would fit at line 3 and epoch 1. */
const REFUSALS: readonly (readonly [string, Partial<Batch>, Errno])[] = [
  ["no lines", { lines: [] }, "EINVAL"],
  ["a line break inside a line", { lines: ['{"a":1}\n{"b":2}'] }, "EINVAL"],
  ["a line break inside a payload", { payloads: new Map([["h", "1\n2"]]) }, "EINVAL"],
  ["a tree that is not there", { tree: "t_999" }, "ENOENT"],
  ["an epoch of the past", { epoch: 0 }, "EFENCED"],
  ["an epoch of the future", { epoch: 2 }, "EFENCED"],
  ["an epoch and a position of the past", { epoch: 0, seq: 1 }, "EFENCED"],
  ["a position of the past", { seq: 2 }, "ESTALE"],
  ["a position with a gap", { seq: 4 }, "ESTALE"],
  ["the position of an empty log", { seq: 1 }, "ESTALE"],
];

/** Claims about lines and what goes with them. */
export const LOG_CLAIMS: Readonly<Record<string, Claim>> = {
  async "S1 keeps lines, payloads, blobs, inbox and due time of a commit together"(store) {
    const [one, two] = [await newTree(store), await newTree(store)];
    await store.putInbox(one, item("a"));
    await store.putInbox(one, item("b"));
    const blob = '{"big":true}';
    await store.commit([batchOf(one, {
      lines: ['{"n":1}', '{"n":2}'],
      payloads: new Map([["h1", '"x"'], ["h2", "[]"]]),
      blobs: new Map([[sha256(blob), blob]]),
      taken: ["a", "never there"],
      dueMs: 1_900_000_000_000,
      puts: [{ tree: two, item: item("c") }, { tree: one, item: item("d") }],
      summary: { live: true, title: "Title", key: "k", ready: true },
    })]);
    assert.deepEqual(await readAll(store, one), [{
      seq: 1,
      lines: ['{"n":1}', '{"n":2}'],
      payloads: new Map([["h1", '"x"'], ["h2", "[]"]]),
    }]);
    assert.equal(await store.getBlob(sha256(blob)), blob);
    assert.deepEqual(await inboxIds(store, one), ["b", "d"]);
    assert.deepEqual(await inboxIds(store, two), ["c"]);
    assert.deepEqual(await store.head(one), {
      tree: one,
      seq: 2,
      head: sha256('{"n":2}'),
      epoch: 0,
      owner: null,
      leaseMs: 0,
      dueMs: 1_900_000_000_000,
      summary: { live: true, title: "Title", key: "k", ready: true },
    });
  },

  async "S1 changes no tree when a later batch of the commit is refused"(store) {
    const [one, two] = [await newTree(store), await newTree(store)];
    await store.putInbox(one, item("a"));
    const before = await picture(store, [one, two]);
    const blob = "1";
    const fits = batchOf(one, {
      taken: ["a"],
      dueMs: 5,
      blobs: new Map([[sha256(blob), blob]]),
      puts: [{ tree: two, item: item("b") }],
      summary: { live: false, title: "other", key: "key", ready: true },
    });
    const wrongs = [[{ seq: 2 }, "ESTALE"], [{ epoch: 7 }, "EFENCED"], [{ lines: [] }, "EINVAL"]];
    for (const [wrong, code] of wrongs as [Partial<Batch>, Errno][]) {
      await rejects(store.commit([fits, batchOf(two, wrong)]), code);
      assert.deepEqual(await picture(store, [one, two]), before);
      assert.equal(await store.getBlob(sha256(blob)), undefined);
    }
    assert.equal((await store.create("key")).created, true);
    await store.commit([fits, batchOf(two)]);
    assert.equal((await store.head(one))?.seq, 1);
  },

  async "S1 takes two batches of one tree, the second after the first"(store) {
    const tree = await newTree(store);
    const next = batchOf(tree, { seq: 3, taken: ["a"] });
    const first = batchOf(tree, { lines: ["1", "2"], puts: [{ tree, item: item("a") }] });
    await rejects(store.commit([next, first]), "ESTALE");
    await store.commit([first, next]);
    assert.deepEqual((await readAll(store, tree)).map(({ seq }) => seq), [1, 3]);
    assert.deepEqual(await inboxIds(store, tree), []);
  },

  async "S1 drops an item for a tree that is not there, and keeps the rest"(store) {
    const tree = await newTree(store);
    await store.commit([
      batchOf(tree, { puts: [{ tree: "t_999", item: item("x") }, { tree, item: item("y") }] }),
    ]);
    assert.deepEqual(await inboxIds(store, tree), ["y"]);
  },

  async "S1 takes an empty commit as no change"(store) {
    await store.commit([]);
    assert.deepEqual(await store.list({ limit: 10 }), []);
  },

  async "S2 refuses what does not continue its tree, and names the tree"(store) {
    const tree = await newTree(store);
    await store.claim(tree, "node", { nowMs: 0, ttlMs: 10 });
    await store.commit([batchOf(tree, { epoch: 1, lines: ["1", "2"] })]);
    const before = await picture(store, [tree]);
    for (const [what, changes, code] of REFUSALS) {
      const batch = batchOf(tree, { epoch: 1, seq: 3, ...changes });
      const error = await rejects(store.commit([batch]), code);
      assert.equal(error.detail?.tree, batch.tree, what);
      assert.deepEqual(await picture(store, [tree]), before, what);
    }
    await store.commit([batchOf(tree, { epoch: 1, seq: 3 })]);
  },

  async "S2 fences the old owner once another has claimed the tree"(store) {
    const tree = await newTree(store);
    const old = await store.claim(tree, "a", { nowMs: 0, ttlMs: 10 });
    await store.commit([batchOf(tree, { epoch: old?.epoch ?? -1 })]);
    const now = await store.claim(tree, "b", { nowMs: 10, ttlMs: 10 });
    const late = batchOf(tree, { epoch: old?.epoch ?? -1, seq: 2 });
    const error = await rejects(store.commit([late]), "EFENCED");
    assert.match(error.message, /owned by "b"/);
    await store.commit([batchOf(tree, { epoch: now?.epoch ?? -1, seq: 2 })]);
  },

  async "S2 commits a hundred trees together"(store) {
    const trees: TreeId[] = [];
    for (let i = 0; i < 100; i++) trees.push(await newTree(store));
    for (let seq = 1; seq <= 3; seq++) {
      await store.commit(trees.map((tree) => batchOf(tree, { seq, lines: [`"${tree}:${seq}"`] })));
    }
    for (const tree of trees) {
      assert.deepEqual(await linesOf(store, tree), [1, 2, 3].map((seq) => `"${tree}:${seq}"`));
    }
  },

  async "S3 gives back after a restart all that was committed"(store, { reopen }) {
    if (reopen === undefined) return;
    const tree = await newTree(store, "key");
    await store.claim(tree, "a", { nowMs: 0, ttlMs: 10 });
    await store.commit([batchOf(tree, { epoch: 1, dueMs: 9, lines: ["1", "2"] })]);
    await store.putSnapshot(tree, { seq: 1, head: sha256("1"), state: "{}" });
    await store.putInbox(tree, item("a"));
    const before = await picture(store, [tree]);
    const again = await reopen(store);
    try {
      assert.deepEqual(await picture(again, [tree]), before);
      assert.deepEqual(await again.check(), []);
      assert.notEqual(await newTree(again), tree);
    } finally {
      await again.close();
    }
  },

  async "S4 keeps a blob once, under its hash"(store) {
    const tree = await newTree(store);
    const text = '{"text":"čaj 茶 🍵"}';
    const hash = sha256(text);
    await store.commit([batchOf(tree, { blobs: new Map([[hash, text]]) })]);
    await store.commit([batchOf(tree, { seq: 2, blobs: new Map([[hash, "other"]]) })]);
    assert.equal(await store.getBlob(hash), text);
    assert.equal(await store.getBlob(sha256("absent")), undefined);
    assert.deepEqual(await store.check(), []);
  },

  async "S4 refuses a blob which is not what its hash says"(store) {
    const tree = await newTree(store);
    const hash = sha256("true");
    await store.commit([batchOf(tree, { blobs: new Map([[hash, "false"]]) })]);
    await rejects(store.getBlob(hash), "EINTEGRITY");
    assert.equal((await store.check()).length, 1);
  },

  async "S5 reads from any position, across batches of any size"(store) {
    const tree = await newTree(store);
    const other = await newTree(store);
    const sizes = [1, 3, 255, 1, 1, 600, 2, 256, 1];
    let seq = 1;
    for (const size of sizes) {
      const lines = Array.from({ length: size }, (_, i) => String(seq + i));
      await store.commit([batchOf(other, { seq, lines }), batchOf(tree, { seq, lines })]);
      seq += size;
    }
    const all = Array.from({ length: seq - 1 }, (_, i) => String(i + 1));
    for (const from of [-1, 0, 1, 2, 4, 5, 256, 257, 259, 260, 700, 862, 863, 1_119, 1_120]) {
      const batches = await readAll(store, tree, from);
      const first = batches[0];
      assert(first !== undefined && first.seq <= Math.max(from, 1), `from ${from}`);
      assert(first.seq + first.lines.length > from, `from ${from}`);
      assert.deepEqual(batches.flatMap(({ lines }) => [...lines]), all.slice(first.seq - 1));
    }
    assert.deepEqual(await readAll(store, tree, seq), []);
    assert.deepEqual(await readAll(store, tree, seq + 1_000), []);
    assert.deepEqual(await store.check(), []);
  },

  async "S5 reads small batches and large ones between them, each with its payloads"(store) {
    const tree = await newTree(store);
    const other = await newTree(store);
    const batches = Array.from({ length: 60 }, (_, i) => {
      const text = JSON.stringify("x".repeat(i % 25 === 20 ? 300_000 : i));
      const payloads = new Map(i % 3 === 0 ? [] : [[sha256(text), text]]);
      return { seq: i + 1, lines: [`{"n":${i}}`], payloads };
    });
    for (const batch of batches) {
      await store.commit([batchOf(other, { seq: batch.seq }), batchOf(tree, batch)]);
    }
    assert.deepEqual(await readAll(store, tree), batches);
    assert.deepEqual(await readAll(store, tree, 17), batches.slice(16));
  },

  async "S5 reads lines of any text, and the log as it was when the read began"(store) {
    const tree = await newTree(store);
    const lines = ['{"a":"\\n\\u0000"}', '""', '"\u2028 žluť 🐎"', `"${"x".repeat(100_000)}"`];
    await store.commit([batchOf(tree, { lines, payloads: new Map([["h", '"\u2028"']]) })]);
    const seen: StoredBatch[] = [];
    for await (const batch of store.read(tree, 1)) {
      seen.push(batch);
      await store.commit([batchOf(tree, { seq: 5 })]);
    }
    assert.deepEqual(seen, [{ seq: 1, lines, payloads: new Map([["h", '"\u2028"']]) }]);
  },

  async "S5 keeps what was appended when the caller changes it afterwards"(store) {
    const tree = await newTree(store);
    const lines = ["1"];
    const payloads = new Map([["h", "2"]]);
    await store.commit([batchOf(tree, { lines, payloads })]);
    lines[0] = "other";
    payloads.clear();
    const kept = [{ seq: 1, lines: ["1"], payloads: new Map([["h", "2"]]) }];
    assert.deepEqual(await readAll(store, tree), kept);
  },

  async "read() reads nothing from an empty tree and refuses an absent one"(store) {
    assert.deepEqual(await readAll(store, await newTree(store)), []);
    await rejects(readAll(store, "t_999"), "ENOENT");
  },
};
