/**
 * Claims about archives: trees adopted whole, content taken away, and nothing else with it.
 * @module
 */

import assert from "node:assert/strict";
import { sha256 } from "../kernel/json.ts";
import { archiveOf } from "../kernel/store.ts";
import { batchOf, inboxIds, item, linesOf, LIVE, newTree, picture } from "./store_fixture.ts";
import { type Claim, readAll, rejects } from "./store_fixture.ts";

const blob = (name: string): [string, string] => {
  const text = JSON.stringify(name.padEnd(300, "."));
  return [sha256(text), text];
};

/** Claims about what a store does beside running trees. */
export const ARCHIVE_CLAIMS: Readonly<Record<string, Claim>> = {
  async "archive().adopt() makes a whole tree, and later ones have higher numbers"(store, options) {
    await newTree(store);
    const archive = archiveOf(store);
    const summary = { ...LIVE, title: "adopted", key: "k" };
    const payloads = new Map([blob("payload")]);
    const first = batchOf("t_7", { epoch: 4, payloads, lines: ["1", "2"], summary });
    const puts = [{ tree: "t_7" as const, item: item("in") }];
    const last = batchOf("t_7", { epoch: 4, seq: 3, puts, dueMs: 9, summary });
    const snapshot = { seq: 2, head: first.head, state: "{}" };
    await archive.adopt([first, { ...last, blobs: new Map([blob("value")]) }], snapshot);
    const open = options.reopen === undefined ? store : await options.reopen(store);
    const { owner, epoch, seq, head, dueMs } = (await open.head("t_7"))!;
    assert.deepEqual([owner, epoch, seq, head, dueMs], [null, 4, 3, last.head, 9]);
    assert.deepEqual(await linesOf(open, "t_7"), ["1", "2", ...last.lines]);
    assert.deepEqual((await readAll(open, "t_7"))[0]!.payloads, payloads);
    assert.deepEqual(await open.getSnapshot("t_7"), snapshot);
    assert.deepEqual(await inboxIds(open, "t_7"), ["in"]);
    assert.equal(await open.getBlob(blob("value")[0]), blob("value")[1]);
    assert.deepEqual(await open.create("k"), { tree: "t_7", created: false });
    assert.equal(await newTree(open), "t_8");
    await archiveOf(open).adopt([batchOf("t_5")], null);
    const trees = (await open.list({ limit: 9 })).map(({ tree }) => tree);
    assert.deepEqual(trees, ["t_1", "t_5", "t_7", "t_8"]);
    await open.commit([batchOf("t_7", { epoch: 4, seq: 4 })]);
    assert.deepEqual(await open.check(), []);
    if (open !== store) await open.close();
  },

  async "archive().adopt() refuses a number that is taken, and half a tree, with no change"(store) {
    const tree = await newTree(store);
    await store.commit([batchOf(tree)]);
    const before = await picture(store, [tree]);
    const archive = archiveOf(store);
    await rejects(archive.adopt([batchOf(tree)], null), "EEXIST");
    const gap = [batchOf("t_3"), batchOf("t_3", { seq: 3 })];
    await rejects(archive.adopt(gap, null), "ESTALE");
    assert.equal(await store.head("t_3"), undefined);
    assert.deepEqual(await picture(store, [tree]), before);
    assert.equal(await newTree(store), "t_2");
  },

  async "archive().redact() takes the payloads that were picked, and leaves every line"(store) {
    const tree = await newTree(store);
    const [one, other] = [blob("one"), blob("other")];
    const payloads = new Map([one, other]);
    for (const seq of [1, 2, 3]) await store.commit([batchOf(tree, { seq, payloads })]);
    const lines = await linesOf(store, tree);
    const removed = await archiveOf(store).redact(
      tree,
      ({ seq }) => new Set(seq === 2 ? [one[0], other[0]] : [one[0], "absent"]),
    );
    assert.deepEqual(removed, { count: 4, bytes: 3 * one[1].length + other[1].length });
    const left = (await readAll(store, tree)).map((batch) => [...batch.payloads.keys()]);
    assert.deepEqual(left, [[other[0]], [], [other[0]]]);
    assert.deepEqual(await linesOf(store, tree), lines);
    assert.deepEqual(await store.check(), []);
    await store.commit([batchOf(tree, { seq: 4 })]);
  },

  async "archive().redactable() names trees with what is to go, ended ones too, the earliest first"(
    store,
    options,
  ) {
    const [one, two, ended, never] = [
      await newTree(store),
      await newTree(store),
      await newTree(store),
      await newTree(store),
    ];
    assert.deepEqual(await archiveOf(store).redactable(1e15, 9), []);
    await store.commit([
      batchOf(one, { redactMs: 20 }),
      batchOf(two, { redactMs: 10 }),
      batchOf(ended, { redactMs: 1_900_000_000_000, summary: { ...LIVE, live: false } }),
      batchOf(never),
    ]);
    const open = options.reopen === undefined ? store : await options.reopen(store);
    const archive = archiveOf(open);
    assert.deepEqual(await archive.redactable(9, 9), []);
    assert.deepEqual(await archive.redactable(20, 9), [two, one]);
    assert.deepEqual(await archive.redactable(1e15, 9), [two, one, ended]);
    assert.deepEqual(await archive.redactable(1e15, 1), [two]);
    // It is no reason to wake a tree.
    assert.deepEqual(await open.due(1e15, 9), []);
    // Who does not say so leaves it.
    await open.commit([batchOf(one, { seq: 2 }), batchOf(two, { seq: 2, redactMs: null })]);
    assert.deepEqual(await archive.redactable(1e15, 9), [one, ended]);
    await open.commit([batchOf(one, { seq: 3, redactMs: 1_900_000_000_001 })]);
    assert.deepEqual(await archive.redactable(1e15, 9), [ended, one]);
    if (open !== store) await open.close();
  },

  async "archive().removeSnapshots() takes those that are named"(store) {
    const tree = await newTree(store);
    await store.commit([batchOf(tree, { lines: ["1", "2", "3"] })]);
    for (const seq of [1, 2, 3]) await store.putSnapshot(tree, { seq, head: "", state: `${seq}` });
    await archiveOf(store).removeSnapshots(tree, [3, 9]);
    assert.notEqual((await store.getSnapshot(tree))?.seq, 3);
  },

  async "archive().blobs() pages through all of them by hash"(store) {
    const tree = await newTree(store);
    const all = new Map(Array.from({ length: 7 }, (_, i) => blob(`${i}`)));
    await store.commit([batchOf(tree, { blobs: all })]);
    const archive = archiveOf(store);
    const found = [];
    for (let after = "";;) {
      const page = await archive.blobs(after, 3);
      found.push(...page);
      if (page.length < 3) break;
      after = page.at(-1)!.hash;
    }
    assert.deepEqual(
      found,
      [...all.keys()].sort().map((hash) => ({ hash, bytes: all.get(hash)!.length })),
    );
  },

  async "archive().sweep() says why a blob is gone, until the same text is put again"(store) {
    const tree = await newTree(store);
    const [hash, text] = blob("gone");
    await store.commit([batchOf(tree, { blobs: new Map([[hash, text], blob("stays")]) })]);
    const archive = archiveOf(store);
    const removed = await archive.sweep([hash, "0".repeat(64)], { note: "erased by a test" });
    assert.deepEqual(removed, { count: 1, bytes: text.length });
    const { message } = await rejects(store.getBlob(hash), "ENOENT");
    assert.match(message, /: erased by a test$/);
    assert.equal(await store.getBlob(sha256("never")), undefined);
    assert.equal((await archive.blobs("", 9)).length, 1);
    await store.commit([batchOf(tree, { seq: 2, blobs: new Map([[hash, text]]) })]);
    assert.equal(await store.getBlob(hash), text);
    assert.deepEqual(await store.check(), []);
  },

  async "archive().sweep() spares what was committed since its position"(store) {
    const tree = await newTree(store);
    const loose = ["line", "payload", "before"].map(blob);
    const [line, payload, before] = loose.map(([hash]) => hash);
    await store.commit([batchOf(tree, { lines: [`"${before}"`], blobs: new Map(loose) })]);
    const archive = archiveOf(store);
    const since = await archive.position();
    const text = `{"hash":"${payload}"}`;
    await store.commit([
      batchOf(tree, { seq: 2, lines: [`"${line}"`], payloads: new Map([[sha256(text), text]]) }),
    ]);
    const removed = await archive.sweep([line!, payload!, before!], { note: "loose", since });
    assert.deepEqual(removed.count, 1);
    assert.deepEqual((await archive.blobs("", 9)).map(({ hash }) => hash), [line, payload].sort());
  },

  async "archive().sweep() takes what a line says is collected, and spares what looks like one"(
    store,
  ) {
    const tree = await newTree(store);
    const loose = ["said", "told"].map(blob);
    const [said, told] = loose.map(([hash]) => hash);
    await store.commit([batchOf(tree, { blobs: new Map(loose) })]);
    const archive = archiveOf(store);
    const since = await archive.position();
    const saying = (hash?: string): string => `{"hash":"${hash}","type":"values.collected"}`;
    const payloads = new Map([[sha256(saying(told)), saying(told)]]);
    await store.commit([batchOf(tree, { seq: 2, lines: ["1", saying(said)], payloads })]);
    assert.equal((await archive.sweep([said!, told!], { note: "loose", since })).count, 1);
    assert.deepEqual((await archive.blobs("", 9)).map(({ hash }) => hash), [told]);
  },
};
