/**
 * Erasure: content taken away for good. `redaction.ts` has what is kept for a time.
 *
 * Content is removed in this order: a line says so, the snapshots that hold it go, the payloads go,
 * the values go. Whatever is cut short is valid, and is finished by asking for it again.
 *
 * Invariants:
 *   G1. No line is changed: each log stays valid, and says of everything that is gone why.
 *   G2. What a live process may still be given is not erased: its step could not be run again.
 *   G3. What stands in a line itself cannot be erased, and is said so before anything is done.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { EventMap, Line, ValueRef } from "../kernel/event.ts";
import type { ObjectId, Pid, TreeId } from "../kernel/ids.ts";
import { ChainReader, GENESIS, STATE_LINES } from "../kernel/log.ts";
import { named } from "../kernel/proof.ts";
import { isMark, userOf } from "../kernel/retention.ts";
import { archiveOf } from "../kernel/store.ts";
import type { Removed, Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { addRefs } from "./collect.ts";
import { allGrown, growAll } from "./growth.ts";
import { headOf, readLines } from "./load.ts";
import type { Node } from "./node.ts";
import { standingStill } from "./rewind.ts";
import { treesOf } from "./seal.ts";
import { lineAt } from "../kernel/state.ts";

/** Lines whose payloads are parts of a state and cannot go. */
export const STATE_LINE = new RegExp(
  `"type":"(${STATE_LINES.join("|").replaceAll(".", "\\.")})"\\}$`,
);

/** What an erasure came to. */
export interface Erased extends Removed {
  /** Hashes of what is gone: values, and payloads that carried them. */
  readonly hashes: readonly string[];
  /** Trees that held them. Each has a line that says so. */
  readonly trees: readonly TreeId[];
  /** Lines that say it in themselves: there it stays. Empty unless `partly` was asked for. */
  readonly left: readonly { readonly tree: TreeId; readonly seq: number }[];
}

/** Who erases, and why. */
export interface Erasing {
  readonly by: string;
  readonly reason: string;
  /** Goes on though some of it stands in lines themselves, where it stays. */
  readonly partly?: boolean;
}

/**
 * Takes the content of an object away for good, in all its versions and items, everywhere in the
 * store: values, payloads which carry them, and snapshots. Reading it says so with `ENOENT`. Throws
 * `ESTATE` while a live process works with it (G2), or when lines themselves say it (G3).
 */
export async function eraseObject(
  node: Node,
  id: TreeId,
  object: string,
  given: Erasing,
): Promise<Erased> {
  const { store } = node.options;
  const archive = archiveOf(store);
  await growAll(node);
  await node.durable(await node.open(id));
  const { hashes, left } = await contentOf(store, await node.open(id), object);
  const needles = (await Promise.all([...hashes].map((hash) => needlesOf(store, hash)))).flat();
  const all = new Set(hashes);
  const trees: TreeId[] = [];
  const seen = new Set<TreeId>();
  let removed: Removed = { count: 0, bytes: 0 };
  // Again until no tree has come since, such as one that was branched off meanwhile.
  for (let last = -1; last < seen.size;) {
    last = seen.size;
    const some = await holders(node, { seen, hashes, needles, object });
    left.push(...some.left);
    if (left.length > 0 && given.partly !== true) throw inLines(object, left);
    for (const tree of some.trees) {
      const { payloads, ...went } = await eraseFrom(node, tree, {
        object,
        hashes,
        needles,
        ...given,
      });
      for (const hash of payloads) all.add(hash);
      removed = added(removed, went);
    }
    trees.push(...some.trees);
  }
  const when = new Date(node.options.world.clock.now()).toISOString();
  const note = `erased by ${given.by} on ${when.slice(0, 10)}`;
  removed = added(removed, await archive.sweep(hashes, { note }));
  return { ...removed, hashes: [...all].sort(), trees, left };
}

/** Trees that were not seen yet and hold content, and the lines in which it stays. */
async function holders(
  node: Node,
  given: Wanted & {
    readonly seen: Set<TreeId>;
    readonly object: string;
  },
): Promise<Pick<Erased, "trees"> & { readonly left: Erased["left"] }> {
  const { seen, hashes, needles, object } = given;
  const { store } = node.options;
  const trees: TreeId[] = [];
  const left: { readonly tree: TreeId; readonly seq: number }[] = [];
  // A branch that is not listed yet may have read what was taken away since.
  await allGrown(node);
  for await (const { tree, seq } of treesOf(store)) {
    if (seq === 0 || seen.has(tree)) continue;
    seen.add(tree);
    // One that has not grown says nothing yet of what it will hold (GW2).
    await allGrown(node);
    const found = await search(store, tree, { hashes, needles });
    if (!found.isThere) continue;
    trees.push(tree);
    left.push(...found.left.map((at) => ({ tree, seq: at })));
    const user = userOf((await node.open(tree)).state, new Set([...hashes, ...found.payloads]));
    if (user !== null) throw inUse(object, user);
  }
  return { trees, left };
}

function added(one: Removed, other: Removed): Removed {
  return { count: one.count + other.count, bytes: one.bytes + other.bytes };
}

function inUse(object: string, user: string): SysError {
  const sentence = `Cannot erase object "${object}": "${user}" works with it in its step in hand`;
  return new SysError("ESTATE", `${sentence}, expected the step to be over; wait, or end it`);
}

function inLines(object: string, left: readonly { tree: TreeId; seq: number }[]): SysError {
  const where = left.slice(0, 4).map(({ tree, seq }) => `${seq} of "${tree}"`).join(", ");
  const sentence = `Cannot erase object "${object}": ${left.length} lines say it themselves`;
  const rest = `such as ${where}; ask for "partly" to erase all but these`;
  return new SysError("ESTATE", `${sentence}, ${rest}`, { left: left.slice(0, 100) });
}

/** Hashes of all values that an object ever had, and the lines in which small ones stand. */
async function contentOf(store: Store, { state }: Tree, object: string): Promise<{
  readonly hashes: Set<string>;
  readonly left: { tree: TreeId; seq: number }[];
}> {
  const hashes = new Set<string>();
  const left = new Set<number>();
  let id = Object.values(state.objects).find((one) => one.id === object || one.name === object)?.id;
  const add = (ref: ValueRef | undefined, seq: number): void => {
    if (ref !== undefined && "hash" in ref) hashes.add(ref.hash);
    else if (ref !== undefined) left.add(seq);
  };
  const kinds = ["object.created", "object.written", "object.appended"];
  for await (const { type, data, seq } of readLines(store, state.tree)) {
    if (!kinds.includes(type)) continue;
    const said = data as EventMap["object.created"] & { readonly item?: ValueRef };
    if (type === "object.created" && id === undefined) {
      if (said.id === object || said.name === object) id = said.id;
    }
    if (said.id === id) add(said.value ?? said.item, seq);
  }
  if (id === undefined) {
    const sentence = `Cannot erase object "${object}" of tree "${state.tree}": absent`;
    throw new SysError("ENOENT", `${sentence}, expected the id or full name of an object`);
  }
  // What a tree began with stands in no line of an object.
  const { versions = [], items = [] } = state.objects[id as ObjectId] ?? {};
  for (const { value, seq } of [...versions, ...items]) {
    const line = lineAt(state, seq);
    if ("hash" in value || line > 0) add(value, line);
  }
  return { hashes, left: [...left].map((seq) => ({ tree: state.tree, seq })) };
}

/** How deep a text may stand in texts of JSON: in a preview of arguments in a message, say. */
const QUOTED_MAX = 3;

/** How the text of a value looks inside other JSON: as a value, and as a part of longer texts. */
async function needlesOf(store: Store, hash: string): Promise<string[]> {
  const text = await store.getBlob(hash).catch((error) => {
    // Erased before: what is left of it was found then.
    if (error instanceof SysError && error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return [];
  const needles = [text.startsWith('"') ? text.slice(1, -1) : text];
  for (let i = 0; i < QUOTED_MAX; i++) needles.push(JSON.stringify(needles[i]).slice(1, -1));
  return [...new Set(needles)];
}

/** What is looked for. */
interface Wanted {
  readonly hashes: ReadonlySet<string>;
  readonly needles: readonly string[];
}

/** Where a tree's log carries content: in payloads that can go, and in lines that cannot. */
async function search(store: Store, id: TreeId, { hashes, needles }: Wanted): Promise<{
  readonly isThere: boolean;
  readonly payloads: Set<string>;
  readonly left: number[];
}> {
  const payloads = new Set<string>();
  const left: number[] = [];
  let isThere = false;
  const has = (text: string): boolean => needles.some((needle) => text.includes(needle));
  for await (const batch of store.read(id, 1)) {
    const hits = [...batch.payloads].filter(([, text]) => has(text)).map(([hash]) => hash);
    for (const [i, line] of batch.lines.entries()) {
      const here = hits.filter((hash) => line.includes(hash));
      if (has(line) || (here.length > 0 && STATE_LINE.test(line))) left.push(batch.seq + i);
      else for (const hash of here) payloads.add(hash);
      isThere ||= here.length > 0;
    }
    if (isThere) continue;
    const refs = new Set<string>();
    for (const text of [...batch.lines, ...batch.payloads.values()]) addRefs(refs, text);
    isThere = [...hashes].some((hash) => refs.has(hash));
  }
  return { isThere: isThere || left.length > 0, payloads, left };
}

/** Erases content from one tree, which stands still meanwhile. */
async function eraseFrom(
  node: Node,
  id: TreeId,
  given: Wanted & Erasing & { readonly object: string },
): Promise<Removed & { readonly payloads: ReadonlySet<string> }> {
  const { store } = node.options;
  return await standingStill(node, id, async (tree) => {
    const { payloads } = await search(store, id, given);
    await allGrown(node);
    const gone = new Set([...given.hashes, ...payloads]);
    // No wait from here to the commit: nothing else can take it up in between.
    const user = userOf(tree.state, gone);
    if (user !== null) throw inUse(given.object, user);
    const { by, reason } = given;
    const draft = new Draft(tree, node.options.world.clock.now());
    draft.add("content.erased", { hashes: [...gone].sort(), by, reason });
    tree.commit(draft);
    node.changed(tree);
    await node.durable(tree);
    const keep = new Set<string>();
    for await (const batch of store.read(id, 1)) {
      for (const line of batch.lines) {
        if (STATE_LINE.test(line)) named(line).forEach((h) => keep.add(h));
      }
    }
    const has = (text: string): boolean => given.needles.some((needle) => text.includes(needle));
    await renewSnapshot(node, tree, has);
    const removed = await archiveOf(store).redact(id, () => gone.difference(keep));
    return { ...removed, payloads };
  });
}

const TRIES = 1_000;

/**
 * Takes snapshots away whose states hold what is to go; one of now takes their place. Throws
 * `EAGAIN` while the tree does not come to rest.
 */
export async function renewSnapshot(
  node: Node,
  tree: Tree,
  holds: (state: string) => boolean,
): Promise<void> {
  const { store } = node.options;
  const id = tree.state.tree;
  const gone: number[] = [];
  for (let at = await store.getSnapshot(id); at !== undefined;) {
    if (holds(at.state)) gone.push(at.seq);
    at = await store.getSnapshot(id, at.seq - 1);
  }
  if (gone.length === 0) return;
  for (let i = 0; !await isWritten(node, tree); i++) {
    if (i < TRIES) continue;
    throw new SysError("EAGAIN", `Cannot renew a snapshot of tree "${id}": it is never at rest`);
  }
  const { seq } = tree.state;
  await store.putSnapshot(id, { seq, head: tree.head, state: tree.dump() });
  await archiveOf(store).removeSnapshots(id, gone.filter((one) => one !== seq));
}

/** Whether the store has all of a tree, in the turn in which this is heard. */
async function isWritten(node: Node, tree: Tree): Promise<boolean> {
  const hosted = await node.hosted(tree.state.tree);
  await node.durable(tree);
  return tree.tailLength === 0 && hosted.durableSeq === tree.state.seq;
}

/** Lines as they are, until one of a process whose payload was taken away: `ENOENT`. */
export async function* wholeLines(lines: AsyncIterable<Line>, pid: Pid): AsyncGenerator<Line> {
  for await (const line of lines) {
    const { args, edited, result } = line.data as Partial<EventMap["call.done"]>;
    const isHere = (line.data as { readonly pid?: Pid }).pid === pid;
    const given = [args, edited?.asked, result?.ok === true ? result.reply : undefined];
    if (isHere && given.some(isMark)) {
      const sentence = `Cannot replay "${pid}": a payload of line ${line.seq} was erased`;
      throw new SysError("ENOENT", `${sentence}, expected all that it was given`);
    }
    yield line;
  }
}

/**
 * How many payloads that a tree's lines name were taken away, as later lines say. `EINTEGRITY` when
 * one is missing that none does.
 */
export async function countErased(store: Store, id: TreeId): Promise<number> {
  const head = await headOf(store, id);
  const reader = new ChainReader(id, 0, GENESIS);
  for await (const batch of store.read(id, 1)) {
    // Written since the head was read.
    if (batch.seq > head.seq) break;
    for (const _ of reader.read(batch));
  }
  reader.finish(head.seq, head.head);
  return reader.erased;
}
