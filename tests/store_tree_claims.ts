/**
 * Claims about trees, snapshots, inboxes, wake-ups and ownership: every method but the log's.
 * @module
 */

import assert from "node:assert/strict";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import type { Store } from "../kernel/store.ts";
import { batchOf, inboxIds, item, LIVE, newTree, readAll, rejects } from "./store_fixture.ts";
import type { Claim } from "./store_fixture.ts";

/** Claims about everything but the lines. */
export const TREE_CLAIMS: Readonly<Record<string, Claim>> = {
  async "create() numbers trees upwards, empty and owned by nobody"(store) {
    const { tree, created } = await store.create(null);
    assert.deepEqual([tree, created], ["t_1", true]);
    assert.deepEqual(await store.create(null), { tree: "t_2", created: true });
    assert.deepEqual(await store.head(tree), {
      tree,
      seq: 0,
      head: "0".repeat(64),
      epoch: 0,
      owner: null,
      leaseMs: 0,
      dueMs: null,
      summary: { live: true, title: "", key: null, ready: false },
    });
    assert.equal(await store.head("t_3"), undefined);
  },

  async "create() finds the live tree of the same key, and no ended one"(store) {
    const key = 'o\'key \u2028 "1"';
    const { tree } = await store.create(key);
    assert.deepEqual(await store.create(key), { tree, created: false });
    assert.equal((await store.create("other")).created, true);
    await store.commit([batchOf(tree, { summary: { ...LIVE, key } })]);
    assert.deepEqual(await store.create(key), { tree, created: false });
    await store.commit([batchOf(tree, { seq: 2, summary: { ...LIVE, key, live: false } })]);
    const next = await store.create(key);
    assert(next.created && next.tree !== tree);
    assert.deepEqual(await store.create(key), { tree: next.tree, created: false });
  },

  async "list() pages through trees in order of number"(store) {
    const trees: TreeId[] = [];
    for (let i = 0; i < 12; i++) trees.push(await newTree(store));
    for (const [i, tree] of trees.entries()) {
      const live = i % 3 !== 0;
      await store.commit([batchOf(tree, { summary: { ...LIVE, live, title: `Tree ${i}` } })]);
    }
    const page = async (options: Parameters<Store["list"]>[0]) =>
      (await store.list(options)).map(({ tree }) => tree);
    assert.deepEqual(await page({ limit: 100 }), trees);
    assert.deepEqual(await page({ limit: 100, live: false }), trees);
    assert.deepEqual(await page({ limit: 2 }), ["t_1", "t_2"]);
    assert.deepEqual(await page({ limit: 3, after: "t_8" }), ["t_9", "t_10", "t_11"]);
    assert.deepEqual(await page({ limit: 3, after: "t_8", live: true }), ["t_9", "t_11", "t_12"]);
    assert.deepEqual(await page({ limit: 3, after: "t_12" }), []);
    assert.equal((await store.list({ limit: 1 }))[0]?.summary.title, "Tree 0");
  },

  async "putSnapshot() keeps the latest, of lines that are there"(store) {
    const tree = await newTree(store);
    await store.commit([batchOf(tree, { lines: ["1", "2", "3"] })]);
    assert.equal(await store.getSnapshot(tree), undefined);
    const [one, two] = [1, 3].map((seq) => ({
      seq,
      head: sha256(`${seq}`),
      state: `{"n":${seq}}`,
    }));
    assert(one !== undefined && two !== undefined);
    await store.putSnapshot(tree, one);
    assert.deepEqual(await store.getSnapshot(tree), one);
    await store.putSnapshot(tree, two);
    await store.putSnapshot(tree, one);
    assert.deepEqual(await store.getSnapshot(tree), two);
    await store.putSnapshot(tree, { ...two, state: "[]" });
    assert.equal((await store.getSnapshot(tree))?.state, "[]");
    await rejects(store.putSnapshot(tree, { ...two, seq: 4 }), "EINVAL");
    await rejects(store.putSnapshot("t_999", one), "ENOENT");
    assert.equal(await store.getSnapshot("t_999"), undefined);
  },

  async "putInbox() keeps each id once, in order of arrival"(store) {
    const [tree, other] = [await newTree(store), await newTree(store)];
    await store.putInbox(tree, item("b"));
    await store.putInbox(tree, item("a"));
    await store.putInbox(tree, { id: "b", body: { say: "again" } });
    await store.putInbox(other, item("b"));
    await store.commit([batchOf(other, { puts: [{ tree, item: item("a") }] })]);
    assert.deepEqual(await store.getInbox(tree), [item("b"), item("a")]);
    await store.commit([batchOf(tree, { taken: ["b"] })]);
    assert.deepEqual(await inboxIds(store, tree), ["a"]);
    assert.deepEqual(await inboxIds(store, other), ["b"]);
    await rejects(store.putInbox("t_999", item("a")), "ENOENT");
    assert.deepEqual(await store.getInbox("t_999"), []);
  },

  async "putInbox() keeps a body of any JSON as it was handed in"(store) {
    const tree = await newTree(store);
    const body = { "": null, list: [1, -0.5, "🐎\n"], deep: { yes: true } };
    await store.putInbox(tree, { id: "an id / 🐎", body });
    assert.deepEqual(await store.getInbox(tree), [{ id: "an id / 🐎", body }]);
  },

  async "due() names trees with items, live ones that are due, and live ones that are ready"(
    store,
  ) {
    const trees: TreeId[] = [];
    for (let i = 0; i < 6; i++) trees.push(await newTree(store));
    const [idle, items, due, ready, ended, endedItems] = trees;
    assert(idle && items && due && ready && ended && endedItems);
    const over = { ...LIVE, live: false, ready: true };
    await store.commit([
      batchOf(due, { dueMs: 1_000 }),
      batchOf(ready, { summary: { ...LIVE, ready: true } }),
      batchOf(ended, { dueMs: 1, summary: over }),
      batchOf(endedItems, { summary: over, puts: [{ tree: items, item: item("a") }] }),
    ]);
    await store.putInbox(endedItems, item("late"));
    assert.deepEqual(await store.due(999, 10), [items, ready, endedItems]);
    assert.deepEqual(await store.due(1_000, 10), [items, due, ready, endedItems]);
    assert.equal((await store.due(1_000, 2)).length, 2);
    await store.commit([
      batchOf(items, { taken: ["a"] }),
      batchOf(due, { seq: 2 }),
      batchOf(ready, { seq: 2 }),
      batchOf(endedItems, { seq: 2, taken: ["late"], summary: over }),
    ]);
    assert.deepEqual(await store.due(1e15, 10), []);
  },

  async "due() leaves out for a node what another node's lease holds"(store) {
    const trees = [await newTree(store), await newTree(store), await newTree(store)];
    const [inbox, ready, timed] = trees;
    await store.putInbox(inbox!, item("a"));
    await store.commit([
      batchOf(ready!, { summary: { ...LIVE, ready: true } }),
      batchOf(timed!, { dueMs: 5 }),
    ]);
    for (const tree of trees) await store.claim(tree, "a", { nowMs: 10, ttlMs: 10 });
    assert.deepEqual(await store.due(10, 9), trees);
    assert.deepEqual(await store.due(10, 9, "a"), trees);
    assert.deepEqual(await store.due(19, 9, "b"), []);
    assert.deepEqual(await store.due(20, 9, "b"), trees);
    await store.release(ready!, "a", 1);
    assert.deepEqual(await store.due(10, 9, "b"), [ready]);
  },

  async "nextDueMs() is the earliest of the live trees"(store) {
    const trees = [await newTree(store), await newTree(store), await newTree(store)];
    const [one, two, three] = trees;
    assert(one && two && three);
    assert.equal(await store.nextDueMs(), null);
    await store.commit([
      batchOf(one, { dueMs: 1_900_000_000_002 }),
      batchOf(two, { dueMs: 1_900_000_000_001 }),
      batchOf(three, { dueMs: 5, summary: { ...LIVE, live: false } }),
    ]);
    assert.equal(await store.nextDueMs(), 1_900_000_000_001);
    await store.commit([batchOf(two, { seq: 2 })]);
    assert.equal(await store.nextDueMs(), 1_900_000_000_002);
    await store.commit([batchOf(one, { seq: 2 })]);
    assert.equal(await store.nextDueMs(), null);
  },

  async "claim() is refused while another's lease runs, unless it is stolen"(store) {
    const tree = await newTree(store);
    const claim = (node: string, nowMs: number, steal?: boolean) =>
      store.claim(tree, node, { nowMs, ttlMs: 100, ...(steal === undefined ? {} : { steal }) });
    assert.deepEqual(await claim("a", 1_000), { epoch: 1 });
    assert.equal(await claim("b", 1_050), undefined);
    assert.equal(await claim("b", 1_050, false), undefined);
    assert.deepEqual(await claim("a", 1_060), { epoch: 1 });
    assert.equal((await store.head(tree))?.leaseMs, 1_160);
    assert.equal(await claim("b", 1_159), undefined);
    assert.deepEqual(await claim("b", 1_160), { epoch: 2 });
    assert.deepEqual(await claim("a", 1_161, true), { epoch: 3 });
    const head = await store.head(tree);
    assert.deepEqual([head?.owner, head?.epoch, head?.leaseMs], ["a", 3, 1_261]);
    assert.deepEqual(await claim("a", 9_000), { epoch: 3 });
    await rejects(store.claim("t_999", "a", { nowMs: 0, ttlMs: 1 }), "ENOENT");
  },

  async "release() gives up what the node still owns, and fences it"(store) {
    const tree = await newTree(store);
    await store.claim(tree, "a", { nowMs: 0, ttlMs: 100 });
    await store.release(tree, "b", 1);
    await store.release(tree, "a", 0);
    await store.release("t_999", "a", 1);
    assert.equal((await store.head(tree))?.owner, "a");
    await store.release(tree, "a", 1);
    const head = await store.head(tree);
    assert.deepEqual([head?.owner, head?.leaseMs], [null, 0]);
    await rejects(store.commit([batchOf(tree, { epoch: 1 })]), "EFENCED");
    const next = await store.claim(tree, "b", { nowMs: 1, ttlMs: 100 });
    assert(next !== undefined && next.epoch > 1);
    await store.commit([batchOf(tree, { epoch: next.epoch })]);
  },

  async "version() does not change by this store's own commits"(store) {
    const tree = await newTree(store);
    const version = await store.version();
    await store.commit([batchOf(tree)]);
    assert.equal(await store.version(), version);
  },

  async "check() finds nothing in a sound store"(store) {
    const tree = await newTree(store);
    assert.deepEqual(await store.check(), []);
    await store.commit([batchOf(tree)]);
    await store.putSnapshot(tree, { seq: 1, head: sha256("1"), state: "{}" });
    await store.putInbox(tree, item("a"));
    assert.deepEqual(await store.check(), []);
  },

  async "close() ends all use, and may be called again"(store) {
    const tree = await newTree(store);
    await store.commit([batchOf(tree), batchOf(tree, { seq: 2 })]);
    const reading = store.read(tree, 1)[Symbol.asyncIterator]();
    await reading.next();
    await store.close();
    await store.close();
    const snapshot = { seq: 1, head: "", state: "" };
    const uses = [
      () => store.create(null),
      () => store.commit([]),
      () => readAll(store, tree),
      () => reading.next(),
      () => store.head(tree),
      () => store.list({ limit: 1 }),
      () => store.putSnapshot(tree, snapshot),
      () => store.getSnapshot(tree),
      () => store.getBlob("h"),
      () => store.putInbox(tree, item("a")),
      () => store.getInbox(tree),
      () => store.due(0, 1),
      () => store.nextDueMs(),
      () => store.claim(tree, "a", { nowMs: 0, ttlMs: 1 }),
      () => store.release(tree, "a", 0),
      () => store.version(),
      () => store.check(),
    ];
    for (const use of uses) await rejects(use(), "ESTATE");
  },
};
