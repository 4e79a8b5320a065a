/**
 * What every kind of `AuditStore` keeps: one suite for all.
 * @module
 */

import assert from "node:assert/strict";
import { canonical, sha256 } from "../kernel/json.ts";
import { Frontier, leafHash } from "../kernel/merkle.ts";
import type { AuditStore, SignedHead, Stretch } from "../kernel/seal.ts";
import { rejects } from "./store_fixture.ts";

function leafOf(tree: Stretch["tree"], from: number, seq: number): string {
  const hash = sha256(`${tree} ${seq}`);
  return canonical({ type: "libos.seal/1", tree, from, seq, head: hash, lines: hash, at: 1 });
}

const KEY = canonical({
  type: "libos.key/1",
  log: "0".repeat(32),
  key: "1".repeat(64),
  prev: null,
  at: 1,
  sig: "2".repeat(128),
});

interface Seal {
  readonly leaves: readonly string[];
  readonly head: SignedHead;
  readonly peaks: readonly string[];
}

/** Seals over these leaves, one a list. */
function sealsOf(lists: readonly (readonly string[])[]): Seal[] {
  const frontier = new Frontier();
  return lists.map((leaves, i) => {
    for (const leaf of leaves) frontier.append(leafHash(leaf));
    const head = {
      type: "libos.head/1",
      log: "0".repeat(32),
      size: frontier.size,
      root: frontier.root(),
      at: i,
      key: "1".repeat(64),
      sig: "2".repeat(128),
    } as const;
    return { leaves, head, peaks: frontier.peaks };
  });
}

const LISTS = [
  [KEY, leafOf("t_1", 0, 5)],
  [leafOf("t_1", 5, 9), leafOf("t_12", 0, 1)],
  [leafOf("t_12", 1, 700)],
];

/** Registers the claims for a kind of store; `reopen` closes one and opens it again. */
export function testAuditStore(
  name: string,
  open: () => AuditStore | Promise<AuditStore>,
  reopen: (store: AuditStore) => AuditStore | Promise<AuditStore> = (store) => store,
): void {
  const filled = async (): Promise<AuditStore> => {
    const store = await open();
    for (const { leaves, head, peaks } of sealsOf(LISTS)) await store.append(leaves, head, peaks);
    return await reopen(store);
  };

  Deno.test(`${name} is empty before the first seal`, async () => {
    const store = await open();
    assert.equal(await store.last(), undefined);
    assert.deepEqual(await store.leaves(0, 10), []);
    assert.deepEqual(await store.heads(0, 10), []);
    assert.equal(await store.latest("t_1"), undefined);
    assert.equal(await store.covering("t_1", 1), undefined);
  });

  Deno.test(`${name} gives back what was sealed, in order and by page`, async () => {
    const store = await filled();
    const seals = sealsOf(LISTS);
    assert.deepEqual(await store.leaves(0, 10), LISTS.flat());
    assert.deepEqual(await store.leaves(1, 2), LISTS.flat().slice(1, 3));
    assert.deepEqual(await store.leaves(5, 10), []);
    assert.deepEqual(await store.heads(0, 10), seals.map(({ head }) => head));
    assert.deepEqual(await store.heads(2, 1), [seals[1]!.head]);
    const { head, peaks } = seals.at(-1)!;
    assert.deepEqual(await store.last(), { head, peaks });
  });

  Deno.test(`${name} finds the stretch of a line, and the last one of a tree`, async () => {
    const store = await filled();
    const place = async (tree: Stretch["tree"], seq: number) =>
      (await store.covering(tree, seq))?.index;
    assert.deepEqual([await place("t_1", 1), await place("t_1", 5), await place("t_1", 6)], [
      1,
      1,
      2,
    ]);
    assert.deepEqual([await place("t_12", 700), await place("t_12", 701)], [4, undefined]);
    const last = await store.latest("t_1");
    assert.deepEqual([last?.index, last?.stretch.seq, last?.text], [2, 9, LISTS[1]![0]]);
  });

  Deno.test(`${name} takes a seal only where the history ends, or changes nothing`, async () => {
    const store = await filled();
    const { head, peaks } = (await store.last())!;
    const leaf = leafOf("t_1", 9, 10);
    await rejects(store.append([leaf], head, peaks), "ESTALE");
    await rejects(store.append([], head, peaks), "ESTALE");
    await rejects(store.append([leaf], { ...head, size: head.size + 2 }, peaks), "ESTALE");
    assert.equal((await store.leaves(0, 10)).length, 5);
    assert.equal((await store.heads(0, 10)).length, 3);
    assert.equal((await store.latest("t_1"))?.stretch.seq, 9);
  });
}
