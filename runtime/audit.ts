/**
 * The audit of a store: prove a line, check all of it, hand it out. `seal.ts` has how it is sealed.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { hiddenRecord, payloadRecord } from "../kernel/export.ts";
import { type Fault, faultAt, History, LineWalk } from "../kernel/history.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, sha256 } from "../kernel/json.ts";
import { leafHash, MerkleTree } from "../kernel/merkle.ts";
import { type Growth, named, type Proof } from "../kernel/proof.ts";
import { readLeaf } from "../kernel/seal.ts";
import type { Anchor, AuditStore, KeyStatement, SignedHead, Trust } from "../kernel/seal.ts";
import type { StoredBatch } from "../kernel/store.ts";
import { headOf } from "./load.ts";
import type { Pace } from "./pace.ts";
import { type Audited, PAGE, treesOf, walkStore } from "./seal.ts";

/** The lines of a tree from one number to another, each as its place in its batch. */
async function* eachLine(
  { store }: Audited,
  tree: TreeId,
  { from, to }: { readonly from: number; readonly to: number },
): AsyncGenerator<readonly [StoredBatch, number]> {
  for await (const batch of store.read(tree, from)) {
    if (batch.seq > to) return;
    for (let i = Math.max(0, from - batch.seq); i < batch.lines.length; i++) {
      if (batch.seq + i > to) return;
      yield [batch, i];
    }
  }
}

/** The leaves of a history of `size`. */
async function* leavesOf(audit: AuditStore, size: number): AsyncGenerator<string> {
  for (let from = 0; from < size;) {
    const page = await audit.leaves(from, Math.min(PAGE, size - from));
    if (page.length === 0) return;
    yield* page;
    from += page.length;
  }
}

/** The heads of a history, up to the one of `size`. */
async function* headsOf(audit: AuditStore, size: number): AsyncGenerator<SignedHead> {
  for (let after = 0; after < size;) {
    const page = await audit.heads(after, PAGE);
    if (page.length === 0) return;
    for (const head of page) if (head.size <= size) yield head;
    after = page.at(-1)!.size;
  }
}

interface Loaded {
  readonly head: SignedHead;
  readonly tree: MerkleTree;
  readonly keys: readonly KeyStatement[];
}

/** The Merkle tree and the keys of a whole history. */
async function loadHistory(audit: AuditStore): Promise<Loaded> {
  const head = (await audit.last())?.head;
  if (head === undefined) {
    throw new SysError("ENOENT", "Cannot prove a line: the store was never sealed");
  }
  const tree = new MerkleTree();
  const keys: KeyStatement[] = [];
  for await (const text of leavesOf(audit, head.size)) {
    tree.append(leafHash(text));
    const leaf = text.endsWith('"type":"libos.key/1"}') ? readLeaf(text) : undefined;
    if (leaf?.type === "libos.key/1") keys.push(leaf);
  }
  if (tree.size === head.size && tree.root() === head.root) return { head, tree, keys };
  throw new SysError("EINTEGRITY", "Cannot prove a line: the history is not what was signed");
}

/**
 * A proof of one line under the last head. `ENOENT` when it is not there or not sealed yet. Takes
 * a hash for each leaf of the history and for each line of the stretch.
 */
export async function prove(parts: Audited, tree: TreeId, seq: number): Promise<Proof> {
  const { store, audit } = parts;
  await headOf(store, tree);
  const found = await audit.covering(tree, seq);
  if (found === undefined || seq <= found.stretch.from) {
    const sentence = `Cannot prove line ${seq} of tree "${tree}": no seal covers it`;
    throw new SysError("ENOENT", `${sentence}, expected a line that was sealed`);
  }
  const { stretch } = found;
  const lines = new MerkleTree();
  let line = "";
  const payloads: Record<string, string> = {};
  for await (
    const [batch, i] of eachLine(parts, tree, { from: stretch.from + 1, to: stretch.seq })
  ) {
    const text = batch.lines[i]!;
    lines.append(sha256(text));
    if (batch.seq + i !== seq) continue;
    line = text;
    for (const hash of named(text)) {
      const payload = batch.payloads.get(hash);
      if (payload !== undefined) payloads[hash] = payload;
    }
  }
  if (lines.size !== stretch.seq - stretch.from || lines.root() !== stretch.lines) {
    const sentence = `Cannot prove line ${seq} of tree "${tree}": its log is not what was sealed`;
    throw new SysError("EINTEGRITY", sentence, { tree, seq });
  }
  const history = await loadHistory(audit);
  return {
    type: "libos.proof/1",
    line,
    payloads,
    leaf: found.text,
    index: found.index,
    inStretch: lines.inclusion(seq - stretch.from - 1),
    inHistory: history.tree.inclusion(found.index),
    head: history.head,
    keys: history.keys,
  };
}

/** A proof that the last head has all that the head of `size` leaves had. */
export async function proveGrowth(audit: AuditStore, size: number): Promise<Growth> {
  const { head, tree, keys } = await loadHistory(audit);
  const [from] = await audit.heads(size - 1, 1);
  if (from?.size !== size) {
    throw new SysError(
      "ENOENT",
      `Cannot prove growth: no head has ${size} leaves, expected one that was signed`,
    );
  }
  return { type: "libos.growth/1", from, to: head, proof: tree.consistency(size), keys };
}

/** What checking a store found. */
export interface AuditReport {
  readonly trees: number;
  readonly lines: number;
  /** How many lines no seal covers: only the chain to the store's own head speaks for them. */
  readonly unsealed: number;
  /** The last signed head, or null for a store that was never sealed. */
  readonly head: SignedHead | null;
  /** How many heads kept elsewhere were compared. */
  readonly anchored: number;
  /** What is wrong: of the history and the anchors the first thing, and of each tree. */
  readonly faults: readonly Fault[];
}

/** What is checked of a store, at which pace. */
export interface Checking extends Audited {
  readonly anchors?: readonly Anchor[];
  readonly pace?: Pace;
}

/** Checks all trees, the history, and that it has all that the anchors know. Nothing is changed. */
export async function verifyStore(
  { store, audit, anchors = [], pace }: Checking,
  trust: Trust,
): Promise<AuditReport> {
  // In this order: beside a running kernel each may grow after it was read.
  const kept: (readonly [string, SignedHead])[] = [];
  for (const one of anchors) for (const head of await one.all()) kept.push([one.name, head]);
  const history = new History(trust);
  const fault = await readHistory(audit, history) ??
    kept.map(([name, head]) => history.anchored(head, name)).find((found) => found !== null);
  const faults: Fault[] = fault === undefined || fault === null ? [] : [fault];
  const rest = new Set(history.stretches.keys());
  let [trees, lines, unsealed] = [0, 0, 0];
  for await (const head of treesOf(store)) {
    rest.delete(head.tree);
    const walk = new LineWalk(head.tree, history.stretches.get(head.tree) ?? []);
    const broken = await walkStore(store, head, walk, pace);
    if (broken !== null) faults.push(broken);
    trees += 1;
    lines += walk.seq;
    unsealed += Math.max(0, walk.seq - walk.sealedSeq);
  }
  for (const tree of rest) {
    faults.push({ tree, seq: 1, leaf: null, why: "the tree was sealed and is not there" });
  }
  const head = history.last ?? null;
  return { trees, lines, unsealed, head, anchored: kept.length, faults };
}

/** Reads a stored history up to its last head; a store that was never sealed has none. */
async function readHistory(audit: AuditStore, history: History): Promise<Fault | null> {
  const size = (await audit.last())?.head.size ?? 0;
  if (size === 0) return null;
  const heads = headsOf(audit, size);
  let next = (await heads.next()).value;
  for await (const text of leavesOf(audit, size)) {
    const fault = history.leaf(text);
    if (fault !== null) return fault;
    if (next === undefined || next.size > history.size) continue;
    const refused = history.head(next);
    if (refused !== null) return refused;
    next = (await heads.next()).value;
  }
  if (history.size === size) return history.finish();
  return faultAt(history.size, `the history ends before it, expected ${size} leaves`);
}

/**
 * The records of an export, as `kernel/export.ts` says, each without its line feed: of the whole
 * store, or of one tree with the others' leaves as bare hashes. Seal before, since only what is
 * sealed is in it.
 */
export async function* exportAudit(
  parts: Audited,
  only: TreeId | null = null,
): AsyncGenerator<string> {
  const { audit } = parts;
  const last = (await audit.last())?.head;
  if (last === undefined) {
    throw new SysError("ENOENT", "Cannot export the store: it was never sealed");
  }
  yield canonical({ type: "libos.export/1", log: last.log, size: last.size, tree: only });
  const ends = new Map<TreeId, number>();
  const heads = headsOf(audit, last.size);
  let next = (await heads.next()).value;
  let size = 0;
  for await (const text of leavesOf(audit, last.size)) {
    const leaf = readLeaf(text);
    const hidden = only !== null && leaf?.type === "libos.seal/1" && leaf.tree !== only;
    yield hidden ? hiddenRecord(leafHash(text)) : text;
    if (leaf?.type === "libos.seal/1" && !hidden) ends.set(leaf.tree, leaf.seq);
    size += 1;
    if (next === undefined || next.size > size) continue;
    yield canonical(next);
    next = (await heads.next()).value;
  }
  if (only !== null && !ends.has(only)) {
    throw new SysError("ENOENT", `Cannot export tree "${only}": never sealed, expected a seal`);
  }
  for (const [tree, to] of ends) {
    for await (const [batch, i] of eachLine(parts, tree, { from: 1, to })) {
      const text = batch.lines[i]!;
      yield text;
      for (const hash of named(text)) {
        const payload = batch.payloads.get(hash);
        if (payload !== undefined) yield payloadRecord(payload);
      }
    }
  }
}
