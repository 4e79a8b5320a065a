/**
 * Redaction: payloads that are taken away when the time that they are kept is over.
 *
 * How long that is stands in each tree's log, and when it is over next is told to the store with
 * each batch: nothing is read of a tree before something of it is due, and no tree at a start. A
 * pass over a tree takes payloads away in this order: a line says so, the snapshots that hold them
 * go, the payloads go, and another line says that this was done. Whatever is cut short is valid,
 * and is due still.
 *
 * Invariants:
 *   K1. What the state of a tree holds stays, until a later pass: steps can be run again.
 *   K2. Passes go on beside steps: what is taken away stands in old lines, which no step reads.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { named } from "../kernel/proof.ts";
import { heldPayloads, refuseDays } from "../kernel/retention.ts";
import type { State } from "../kernel/state.ts";
import { archiveOf } from "../kernel/store.ts";
import type { Removed, Store, StoredBatch, TreeHead } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { allGrown, growAll } from "./growth.ts";
import type { Node } from "./node.ts";
import { renewSnapshot, STATE_LINE } from "./retention.ts";
import { treesOf } from "./seal.ts";

const DAY_MS = 86_400_000;

/**
 * How long the payloads of trees are kept: the large arguments and replies of their calls. Lines
 * stay, and name them by hash.
 *
 * @example
 * ```ts
 * import { createRuntime } from "@agent-libos/core";
 * const retention = { days: 30, daysMin: 7 };
 * await using os = await createRuntime({ store: ":memory:", workspace: null, retention });
 * console.assert((await os.verify()).every(({ erased }) => erased === 0));
 * ```
 */
export interface RetentionOptions {
  /**
   * Days, for trees of which nobody said otherwise: those that are made here, and others when they
   * come into memory. null: for as long as the log. Absent: as each tree's log says.
   */
  readonly days?: number | null;
  /** Nobody may ask for fewer; 1 by default. */
  readonly daysMin?: number;
}

/** What the options of a runtime are for a node and for its trees. Throws `EINVAL`. */
export function retentionOf(
  { retention }: { readonly retention?: RetentionOptions },
): readonly [{ readonly retentionDays?: number | null }, { readonly retentionDaysMin?: number }] {
  const { days, daysMin } = retention ?? {};
  refuseDays("trees", days ?? null, daysMin);
  return [
    days === undefined ? {} : { retentionDays: days },
    daysMin === undefined ? {} : { retentionDaysMin: daysMin },
  ];
}

/** Writes down how long a tree's payloads are kept, where nobody said so of it. */
export function keepByDefault(tree: Tree, { retentionDays: days, world }: Node["options"]): void {
  const known = tree.state.retention;
  if (days === undefined || (known === undefined && days === null)) return;
  if (known !== undefined && (!known.isDefault || known.days === days)) return;
  const draft = new Draft(tree, world.clock.now());
  draft.add("retention.set", { days, by: "runtime", isDefault: true });
  tree.commit(draft);
}

/** How long payloads are kept, in a pass over all trees that somebody orders. */
export interface Retention {
  /** Days that a tree's payloads are kept; null for as long as its log. */
  readonly days: (tree: TreeHead) => number | null;
  /** Fewer than these are refused; 1 by default. */
  readonly daysMin?: number;
  readonly by?: string;
}

/** What was redacted of one tree. */
export interface Redacted extends Removed {
  readonly tree: TreeId;
  /** Up to this line. */
  readonly to: number;
  /** How many payloads up to there the state still needs: they go later. */
  readonly stays: number;
}

/**
 * Redacts payloads that are older than they are kept to their hashes, of all trees, whatever their
 * logs say. What a state still holds stays. Throws `EINVAL` for fewer days than `daysMin`.
 */
export async function retain(node: Node, retention: Retention): Promise<Redacted[]> {
  const { store, world } = node.options;
  const { daysMin, by = "retention" } = retention;
  archiveOf(store);
  await growAll(node);
  const due: { readonly tree: TreeId; readonly beforeMs: number }[] = [];
  for (const head of await Array.fromAsync(treesOf(store))) {
    const days = head.seq === 0 ? null : retention.days(head);
    refuseDays(`tree "${head.tree}"`, days, daysMin);
    if (days === null) continue;
    due.push({ tree: head.tree, beforeMs: world.clock.now() - days * DAY_MS });
  }
  const done: Redacted[] = [];
  for (const { tree, beforeMs } of due) {
    if ((await oldPayloads(store, tree, beforeMs)).old.size === 0) continue;
    const redacted = await redactTree(node, tree, { beforeMs, by });
    if (redacted.count > 0) done.push(redacted);
  }
  return done;
}

/** Redacts what is due of all trees, as their logs say, until nothing is. */
export async function redactDue(node: Node): Promise<Redacted[]> {
  const done: Redacted[] = [];
  for (;;) {
    const page = await dueTrees(node, LIMITS.retentionTreesPerTurnMax);
    if (page.length === 0) return done;
    for (const id of page) done.push(await passOver(node, id));
  }
}

/** Trees with payloads that are to go; none for a store that takes nothing away. */
async function dueTrees(node: Node, limit: number): Promise<readonly TreeId[]> {
  const { store, world: { clock } } = node.options;
  const due = await store.archive?.().redactable(clock.now(), limit) ?? [];
  if (due.length > 0) await growAll(node);
  return due;
}

/** Takes away what is due of one tree, and writes down that this was done. */
async function passOver(node: Node, id: TreeId): Promise<Redacted> {
  const { store, world: { clock } } = node.options;
  const hosted = await node.hosted(id);
  const { tree } = hosted;
  hosted.busy += 1;
  try {
    const days = tree.state.retention?.days ?? Infinity;
    const beforeMs = clock.now() - days * DAY_MS;
    const redacted = await redactTree(node, id, { beforeMs, by: "retention" });
    const { to, nextMs } = await oldPayloads(store, id, beforeMs);
    const draft = new Draft(tree, clock.now());
    draft.add("retention.passed", { to, nextMs, stays: redacted.stays });
    tree.commit(draft);
    await node.durable(tree);
    return redacted;
  } finally {
    hosted.busy -= 1;
  }
}

/** Payloads of a log by age. */
interface Aged {
  /** Those that only lines from before a time name, and what they come to. */
  readonly old: ReadonlyMap<string, Removed>;
  /** The last of these lines. */
  readonly to: number;
  /** When the first line after it was written that has a payload; null for none. */
  readonly nextMs: number | null;
}

async function oldPayloads(store: Store, id: TreeId, beforeMs: number): Promise<Aged> {
  const old = new Map<string, Removed>();
  const stays = new Set<string>();
  let to = 0;
  let nextMs: number | null = null;
  for await (const { seq, lines, payloads } of store.read(id, 1)) {
    const here = new Set<string>();
    for (const [i, line] of lines.entries()) {
      const atMs = Number(/^\{"at":(\d+)/.exec(line)?.[1]);
      const isOld = atMs <= beforeMs;
      const isState = STATE_LINE.test(line);
      if (isOld) to = seq + i;
      for (const hash of named(line)) {
        if (!isOld || isState) stays.add(hash);
        if (!payloads.has(hash) || isState) continue;
        if (isOld) here.add(hash);
        else nextMs ??= atMs;
      }
    }
    for (const hash of here) {
      const { count, bytes } = old.get(hash) ?? { count: 0, bytes: 0 };
      old.set(hash, { count: count + 1, bytes: bytes + payloads.get(hash)!.length });
    }
  }
  for (const hash of stays) old.delete(hash);
  return { old, to, nextMs };
}

async function redactTree(node: Node, id: TreeId, given: {
  readonly beforeMs: number;
  readonly by: string;
}): Promise<Redacted> {
  const { store, world } = node.options;
  const hosted = await node.hosted(id);
  const { tree } = hosted;
  hosted.busy += 1;
  try {
    const { beforeMs, by } = given;
    await node.durable(tree);
    const { old, to } = await oldPayloads(store, id, beforeMs);
    await allGrown(node);
    // No wait from here to the commit: nothing can take an old payload up in between (K1).
    const kept = heldPayloads(tree.state);
    const gone = new Set(old.keys()).difference(kept);
    const stays = old.size - gone.size;
    if (gone.size === 0) return { tree: id, to, stays, count: 0, bytes: 0 };
    const draft = new Draft(tree, world.clock.now());
    draft.add("payloads.redacted", { to, kept: [...kept].sort(), by });
    tree.commit(draft);
    await node.durable(tree);
    await renewSnapshot(node, tree, () => true);
    const removed = await archiveOf(store).redact(id, (batch) => within(batch, to, gone));
    return { tree: id, to, stays, ...removed };
  } finally {
    hosted.busy -= 1;
  }
}

/** Of these hashes, those that a batch of lines up to `to` has. */
function within({ seq }: StoredBatch, to: number, gone: ReadonlySet<string>): ReadonlySet<string> {
  return seq <= to ? gone : new Set();
}

/** What a pass would take away from a tree; nothing is changed. */
export async function planRedaction(store: Store, state: State, given: {
  readonly nowMs: number;
  readonly days: number;
}): Promise<Redacted> {
  const { old, to } = await oldPayloads(store, state.tree, given.nowMs - given.days * DAY_MS);
  const held = heldPayloads(state);
  let [count, bytes, stays] = [0, 0, 0];
  for (const [hash, one] of old) {
    if (held.has(hash)) {
      stays += 1;
      continue;
    }
    count += one.count;
    bytes += one.bytes;
  }
  return { tree: state.tree, to, count, bytes, stays };
}

/** Takes payloads away when they are due, beside whatever else a node does. */
export class Redactions {
  readonly #node: Node;
  #running: Promise<void> | null = null;
  #isStopped = false;
  #nextMs = 0;
  /** Trees that could not be passed over, and when to try again. */
  readonly #later = new Map<TreeId, number>();

  /** Redactions of one node's trees; {@linkcode look} starts them. */
  constructor(node: Node) {
    this.#node = node;
  }

  /** Looks for what is due, when it is time to look again. Returns at once. */
  look(): void {
    if (this.#isStopped || this.#running !== null) return;
    if (this.#node.options.world.clock.now() < this.#nextMs) return;
    this.#running = this.turn().finally(() => this.#running = null);
  }

  /** Stops, and resolves when the tree in hand is passed over. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /** Passes over some of the trees that are due. */
  async turn(): Promise<void> {
    const { clock } = this.#node.options.world;
    const most = LIMITS.retentionTreesPerTurnMax;
    for (const [id, untilMs] of this.#later) if (untilMs <= clock.now()) this.#later.delete(id);
    try {
      const due = (await dueTrees(this.#node, most + this.#later.size))
        .filter((id) => !this.#later.has(id)).slice(0, most);
      for (const id of due) if (!this.#isStopped) await this.#pass(id);
      this.#nextMs = due.length < most ? clock.now() + LIMITS.retentionLookMs : 0;
    } catch (error) {
      // The store is busy or in trouble: the next look tries again.
      if (!(error instanceof SysError)) throw error;
      this.#nextMs = clock.now() + LIMITS.retentionLookMs;
    }
  }

  async #pass(id: TreeId): Promise<void> {
    try {
      await passOver(this.#node, id);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const { clock } = this.#node.options.world;
      this.#later.set(id, clock.now() + LIMITS.retentionRetryMs);
    }
  }
}
