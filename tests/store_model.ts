/**
 * A store against a model which is too simple to be wrong: random commands, then everything that
 * can be seen of both is compared. fast-check prints the seed and the shortest failing commands.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { SysError } from "../kernel/errors.ts";
import { sha256 } from "../kernel/json.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Batch, Store, TreeHead } from "../kernel/store.ts";

/** One command; `tree` counts from 1 and may name one that is not there. */
type Command =
  | { readonly do: "create"; readonly key: string | null }
  | { readonly do: "commit"; readonly parts: readonly Part[] }
  | { readonly do: "put"; readonly tree: number; readonly id: string }
  | {
    readonly do: "claim";
    readonly tree: number;
    readonly node: string;
    readonly ttlMs: number;
    readonly steal: boolean;
  }
  | { readonly do: "release"; readonly tree: number; readonly node: string }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "reopen" };

/** One tree's part of a commit, as a difference to what would fit. */
interface Part {
  readonly tree: number;
  readonly lines: number;
  readonly seqOff: number;
  readonly epochOff: number;
  readonly dueMs: number | null;
  readonly live: boolean;
  readonly ready: boolean;
  readonly taken: readonly string[];
  readonly puts: readonly { readonly tree: number; readonly id: string }[];
}

/** A tree as the model knows it: plain lists, searched from the front. */
interface ModelTree {
  head: TreeHead;
  lines: string[];
  inbox: string[];
}

const TREES_MAX = 4;
const tree = fc.integer({ min: 1, max: TREES_MAX + 1 });
const id = fc.constantFrom("a", "b", "c");
const node = fc.constantFrom("n1", "n2");
const rarely = fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.constantFrom(-1, 1));
const part: fc.Arbitrary<Part> = fc.record({
  tree,
  lines: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) }, fc.constant(200)),
  seqOff: rarely,
  epochOff: rarely,
  dueMs: fc.option(fc.integer({ min: 0, max: 50 })),
  live: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
  ready: fc.boolean(),
  taken: fc.array(id, { maxLength: 2 }),
  puts: fc.array(fc.record({ tree, id }), { maxLength: 2 }),
});
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant("create" as const), key: fc.option(fc.constantFrom("k1", "k2")) }),
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      parts: fc.array(part, { minLength: 1, maxLength: 4 }),
    }),
  },
  fc.record({ do: fc.constant("put" as const), tree, id }),
  fc.record({
    do: fc.constant("claim" as const),
    tree,
    node,
    ttlMs: fc.integer({ min: 1, max: 20 }),
    steal: fc.boolean(),
  }),
  fc.record({ do: fc.constant("release" as const), tree, node }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ do: fc.constant("reopen" as const) }),
);

/** Registers the property for one kind of store. */
export function testStoreModel(
  name: string,
  open: () => Promise<Store> | Store,
  reopen: ((store: Store) => Promise<Store>) | undefined,
): void {
  Deno.test(`${name} does what a trivial model does, whatever the commands`, async () => {
    const property = fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
      const run = new Run(await open(), reopen);
      try {
        for (const each of commands) await run.step(each);
        await run.compare();
      } finally {
        await run.store.close();
      }
    });
    await fc.assert(property, { numRuns: 100 });
  });
}

class Run {
  store: Store;
  readonly #reopen: ((store: Store) => Promise<Store>) | undefined;
  readonly #trees: ModelTree[] = [];
  #nowMs = 0;

  constructor(store: Store, reopen: ((store: Store) => Promise<Store>) | undefined) {
    this.store = store;
    this.#reopen = reopen;
  }

  async step(command: Command): Promise<void> {
    switch (command.do) {
      case "create":
        return await this.#create(command.key);
      case "commit":
        return await this.#commit(command.parts);
      case "put": {
        const to = this.#trees[command.tree - 1];
        const put = this.store.putInbox(idOf(command.tree), { id: command.id, body: {} });
        assert.equal(await codeOf(put), to === undefined ? "ENOENT" : "ok");
        if (to !== undefined && !to.inbox.includes(command.id)) to.inbox.push(command.id);
        return;
      }
      case "claim":
        return await this.#claim(command);
      case "release": {
        const to = this.#trees[command.tree - 1];
        const epoch = to?.head.epoch ?? 0;
        await this.store.release(idOf(command.tree), command.node, epoch);
        if (to === undefined || to.head.owner !== command.node) return;
        to.head = { ...to.head, owner: null, leaseMs: 0, epoch: epoch + 1 };
        return;
      }
      case "wait":
        this.#nowMs += command.ms;
        return;
      case "reopen":
        if (this.#reopen !== undefined) this.store = await this.#reopen(this.store);
        return await this.compare();
    }
  }

  async #create(key: string | null): Promise<void> {
    const known = this.#trees.find(({ head }) =>
      key !== null && head.summary.live && head.summary.key === key
    );
    if (known === undefined && this.#trees.length === TREES_MAX) return;
    const number = this.#trees.length + 1;
    const expected = { tree: known?.head.tree ?? idOf(number), created: known === undefined };
    assert.deepEqual(await this.store.create(key), expected);
    if (known !== undefined) return;
    const summary = { live: true, title: "", key, ready: false };
    const empty = { seq: 0, head: "0".repeat(64), epoch: 0, owner: null, leaseMs: 0, dueMs: null };
    this.#trees.push({ head: { tree: idOf(number), ...empty, summary }, lines: [], inbox: [] });
  }

  async #claim(command: Command & { do: "claim" }): Promise<void> {
    const { tree, node, ttlMs, steal } = command;
    const claim = this.store.claim(idOf(tree), node, { nowMs: this.#nowMs, ttlMs, steal });
    const to = this.#trees[tree - 1];
    if (to === undefined) return assert.equal(await codeOf(claim), "ENOENT");
    const { owner, leaseMs, epoch } = to.head;
    const isFree = owner === null || owner === node || leaseMs <= this.#nowMs || steal;
    const next = owner === node ? epoch : epoch + 1;
    assert.deepEqual(await claim, isFree ? { epoch: next } : undefined);
    if (!isFree) return;
    to.head = { ...to.head, owner: node, epoch: next, leaseMs: this.#nowMs + ttlMs };
  }

  /** Applies to a copy, which takes the place of the model only when no part was refused. */
  async #commit(parts: readonly Part[]): Promise<void> {
    const trees = structuredClone(this.#trees);
    const batches: Batch[] = [];
    let code = "ok";
    for (const part of parts) {
      const to = trees[part.tree - 1];
      const batch = batchFor(part, to);
      batches.push(batch);
      if (code === "ok") code = apply(batch, trees);
    }
    assert.equal(await codeOf(this.store.commit(batches)), code);
    if (code === "ok") this.#trees.splice(0, this.#trees.length, ...trees);
  }

  async compare(): Promise<void> {
    const heads = this.#trees.map(({ head }) => head);
    assert.deepEqual(await this.store.list({ limit: 100 }), heads);
    const due: TreeId[] = [];
    for (const { head, lines, inbox } of this.#trees) {
      const seen: string[] = [];
      for await (const batch of this.store.read(head.tree, 1)) seen.push(...batch.lines);
      assert.deepEqual(seen, lines);
      const items = await this.store.getInbox(head.tree);
      assert.deepEqual(items.map(({ id }) => id), inbox);
      const { live, ready } = head.summary;
      const isDue = ready || (head.dueMs !== null && head.dueMs <= this.#nowMs);
      if (inbox.length > 0 || (live && isDue)) due.push(head.tree);
    }
    assert.deepEqual(await this.store.due(this.#nowMs, 100), due);
    const dues = heads.flatMap(({ dueMs, summary }) =>
      dueMs !== null && summary.live ? [dueMs] : []
    );
    assert.equal(await this.store.nextDueMs(), dues.length === 0 ? null : Math.min(...dues));
    assert.deepEqual(await this.store.check(), []);
  }
}

function batchFor(part: Part, to: ModelTree | undefined): Batch {
  const seq = (to?.head.seq ?? 0) + 1 + part.seqOff;
  const lines = Array.from({ length: part.lines }, (_, i) => `{"n":${seq + i}}`);
  return {
    tree: idOf(part.tree),
    epoch: (to?.head.epoch ?? 0) + part.epochOff,
    seq,
    lines,
    head: sha256(lines.at(-1) ?? ""),
    payloads: new Map(),
    blobs: new Map(),
    taken: part.taken,
    dueMs: part.dueMs,
    puts: part.puts.map(({ tree, id }) => ({ tree: idOf(tree), item: { id, body: {} } })),
    summary: {
      live: part.live,
      title: "",
      key: to?.head.summary.key ?? null,
      // A key belongs to one live tree; an ended tree stays ended here, as it does in the kernel.
      ...(to !== undefined && !to.head.summary.live ? { live: false } : {}),
      ready: part.ready,
    },
  };
}

function apply(batch: Batch, trees: ModelTree[]): string {
  const at = (id: TreeId) => trees.find(({ head }) => head.tree === id);
  const to = at(batch.tree);
  if (to === undefined) return "ENOENT";
  if (to.head.epoch !== batch.epoch) return "EFENCED";
  if (to.head.seq + 1 !== batch.seq) return "ESTALE";
  const { head, dueMs, summary, lines } = batch;
  to.head = { ...to.head, seq: to.head.seq + lines.length, head, dueMs, summary };
  to.lines.push(...lines);
  to.inbox = to.inbox.filter((id) => !batch.taken.includes(id));
  for (const { tree, item } of batch.puts) {
    const other = at(tree);
    if (other !== undefined && !other.inbox.includes(item.id)) other.inbox.push(item.id);
  }
  return "ok";
}

function idOf(tree: number): TreeId {
  return `t_${tree}`;
}

async function codeOf(job: Promise<unknown>): Promise<string> {
  try {
    await job;
    return "ok";
  } catch (thrown) {
    if (thrown instanceof SysError) return thrown.code;
    throw thrown;
  }
}
