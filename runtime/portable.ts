/**
 * Portability: a tree as one stream of JSON Lines, and an image of what a process has become.
 *
 * A record is one line of canonical JSON. In order:
 *   1. `libos.tree/1`: the tree, the number of its last line and that line's hash.
 *   2. `libos.snapshot/1`: the latest snapshot, if there is one.
 *   3. The lines as they stand in the log, each with the payloads it names behind it, as
 *      `libos.payload/1`. One that was erased is not there.
 *   4. `libos.blob/1`: the values that the snapshots, checkpoints and state refer to, by hash.
 *   5. `libos.inbox/1`: what lies in the inbox and had no effect yet.
 *   6. `libos.end/1`: how many records came before, and a hash over all of them.
 *
 * Invariants:
 *   P1. Two exports of the same log, snapshot and inbox are the same, byte for byte.
 *   P2. An import changes nothing before all of its stream was checked, and then all at once.
 *   P3. An effect under way at the export is in doubt at the importer, and not sent again by it.
 *   P4. A tree that was moved does not run where it was: all its processes ended there.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import { payloadRecord } from "../kernel/export.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import { refuseKin } from "../kernel/kin.ts";
import { canonical, hashOf, sha256 } from "../kernel/json.ts";
import { drain, openIntents, processOf } from "../kernel/process.ts";
import { named } from "../kernel/proof.ts";
import type { Process } from "../kernel/state.ts";
import type { Batch, Store } from "../kernel/store.ts";
import { archiveOf } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Tool } from "../broker/tool.ts";
import { LIBC_CALLS, toolName } from "../tools/libc.ts";
import { refsOf } from "./collect.ts";
import { definitionOf, type Values } from "./generated.ts";
import { treeAt } from "./history.ts";
import { type AgentImage, defineImage } from "./image.ts";
import { headOf } from "./load.ts";
import type { Node } from "./node.ts";
import type { Program } from "./program.ts";
import { CONTEXT, snapshotRecord, TreeReader } from "./portable_read.ts";
import { standingStill } from "./rewind.ts";

/** What a line of a moved tree ends with: nothing after it is of the tree that went. */
const MOVED = /"prev":"([0-9a-f]{64})","seq":(\d+),"tree":"t_\d+","type":"tree\.moved"\}$/;

/**
 * A tree as records, without line feeds; nothing changes by it. Of one that was moved, all up to
 * the move. Throws `ENOENT`, and `EINTEGRITY` for a tree that is damaged.
 *
 * @example
 * ```ts
 * import { createRuntime, defineImage, SqliteStore } from "@agent-libos/core";
 * import { exportTree, importTree } from "@agent-libos/core";
 * const image = defineImage({ name: "idle", program: async ({ sys }) => {
 *   await sys.process.exit({ result: "done" });
 * } });
 * const [here, there] = [SqliteStore.open(":memory:"), SqliteStore.open(":memory:")];
 * await using os = await createRuntime({ store: here, workspace: null, approvals: "queue" });
 * await (await os.spawn(image, { goal: "-" })).wait();
 * const { tree, lines } = await importTree(there, exportTree(here, "t_1"));
 * console.assert(tree === "t_1" && lines > 3);
 * await there.close();
 * ```
 */
export async function* exportTree(store: Store, id: TreeId): AsyncGenerator<string> {
  let digest = "";
  let records = 0;
  for await (const record of recordsOf(store, id)) {
    digest = sha256(digest + record);
    records += 1;
    yield record;
  }
  yield canonical({ digest, records, type: "libos.end/1" });
}

async function* recordsOf(store: Store, id: TreeId): AsyncGenerator<string> {
  const end = await endOf(store, id);
  const past = await treeAt(store, id, end.seq, CONTEXT);
  if (past.tree.state.branch !== undefined) throw growing(id);
  yield canonical({ ...end, tree: id, type: "libos.tree/1" });
  const snapshot = await store.getSnapshot(id, end.seq);
  if (snapshot !== undefined) yield snapshotRecord(snapshot);
  for await (const { seq, lines, payloads } of store.read(id, 1)) {
    for (const [i, line] of lines.entries()) {
      if (seq + i > end.seq) break;
      yield line;
      for (const hash of named(line)) {
        const text = payloads.get(hash);
        if (text !== undefined) yield payloadRecord(text);
      }
    }
    if (seq + lines.length > end.seq) break;
  }
  const refs = await refsOf(store, past.tree.state);
  for (const hash of [...refs].sort()) {
    const text = await store.getBlob(hash).catch(ifRemoved);
    if (text !== undefined) yield canonical({ text, type: "libos.blob/1" });
  }
  for (const { id: item, body } of await store.getInbox(id)) {
    yield canonical({ body, id: item, type: "libos.inbox/1" });
  }
}

/** A tree whose kernel died before it had grown is of no use without the one it came from. */
function growing(id: TreeId): SysError {
  const sentence =
    `Cannot export tree "${id}": it has yet to grow from the tree it was branched off`;
  return new SysError("ESTATE", `${sentence}, expected a kernel to open the store first`);
}

/** Content that was taken away is not carried; anything else that fails, fails. */
function ifRemoved(error: unknown): undefined {
  if (error instanceof SysError && error.code === "ENOENT") return undefined;
  throw error;
}

/** Where the tree ends that is carried: before the line that says it was moved. */
async function endOf(
  store: Store,
  id: TreeId,
): Promise<{ readonly seq: number; readonly head: string }> {
  const { seq, head } = await headOf(store, id);
  if (seq === 0) throw new SysError("ESTATE", `Cannot export tree "${id}": it has no lines`);
  for await (const { lines } of store.read(id, 1)) {
    const moved = lines.map((line) => MOVED.exec(line)).find((found) => found !== null);
    if (moved !== undefined && moved !== null) {
      return { seq: Number(moved[2]) - 1, head: moved[1]! };
    }
  }
  return { seq, head };
}

/**
 * Ends a tree here, so that it goes on elsewhere, and exports it. Should the stream be cut,
 * `exportTree` gives it again. Throws `ESTATE` while an effect is in doubt, with nothing changed.
 */
export async function* moveTree(node: Node, id: TreeId, given: {
  /** Where to, in words for people. */
  readonly to: string;
  readonly by: string;
}): AsyncGenerator<string> {
  await standingStill(node, id, async (tree) => {
    for (const process of Object.values(tree.state.processes)) refuseOpen(id, process);
    refuseKin(tree.state, "move");
    if (await isMoved(node.options.store, id)) return;
    const draft = new Draft(tree, node.options.world.clock.now());
    draft.add("tree.moved", given);
    tree.commit(draft);
    node.changed(tree);
    await node.durable(tree);
  });
  yield* exportTree(node.options.store, id);
}

async function isMoved(store: Store, id: TreeId): Promise<boolean> {
  return (await endOf(store, id)).seq < (await headOf(store, id)).seq;
}

function refuseOpen(id: TreeId, process: Process): void {
  if (openIntents(process).length === 0) return;
  const sentence = `Cannot move tree "${id}": an effect of "${process.pid}" is in doubt`;
  throw new SysError("ESTATE", `${sentence}, expected its outcome; answer its request`);
}

/** What an image needs besides its data: code by name, and values by hash. */
export interface Code extends Values {
  /** The program of that name; undefined where it is not known. */
  program(name: string): Program | undefined;
  /** The tool of that name; undefined where it is not known. */
  tool(name: string): Tool | undefined;
}

/** The code that a node knows. */
export function codeOf(node: Node): Code {
  return {
    program: (name) => node.options.program(name),
    tool: (name) => node.options.world.tool(name),
    load: (tree, hash) => node.load(tree, hash),
  };
}

/** An image of what a process is now, with the code of its node. Throws `EINVAL`, `ENOSYS`. */
export async function commitImage(
  node: Node,
  tree: Tree,
  pid: Pid,
  given: { readonly name: string; readonly version: string },
): Promise<AgentImage> {
  return await imageOf(codeOf(node), tree, pid, given);
}

/**
 * An image of what a process is in a tree: its instructions, its tools and its generated tools, as
 * data by hash. Its code stays with its runtime, under the name it has. Throws `EINVAL`, `ENOSYS`.
 */
export async function imageOf(known: Code, tree: Tree, pid: Pid, given: {
  readonly name: string;
  readonly version: string;
}): Promise<AgentImage> {
  const process = processOf(tree.state, pid);
  const made = tree.state.images[process.image]!;
  const { program, model, instructions, requests, budget, onBudget, stepsMax, types } = made;
  const { wallMs, ...limits } = budget;
  const builtIn = LIBC_CALLS.map(toolName);
  const isBuiltIn = (name: string): boolean => builtIn.includes(name);
  const code = known.program(program);
  const generated = await Promise.all(
    Object.keys(process.generated).sort().map((name) => definitionOf(known, tree, process, name)),
  );
  if (code === undefined) throw unknown("program", program);
  const image = defineImage({
    name: given.name,
    version: given.version,
    instructions,
    ...(model === null ? {} : { model }),
    libc: process.tools.filter(isBuiltIn),
    tools: process.tools.filter((name) => !isBuiltIn(name)).map((name) => {
      const tool = known.tool(name);
      if (tool === undefined) throw unknown("tool", name);
      return tool;
    }),
    requests: requests.map((pattern) => ({ effect: "ask" as const, ...pattern })),
    budget: { ...limits, ...(wallMs === undefined ? {} : { wallClock: `${wallMs}ms` as const }) },
    maxSteps: stepsMax,
    ...(onBudget === undefined ? {} : { onBudget }),
    types,
    generated,
    ...(program === "model-loop" ? {} : { program: code }),
  });
  if (program === "model-loop" && made.package === undefined) return image;
  return withNames(image, {
    program,
    ...(made.package === undefined ? {} : { package: made.package }),
  });
}

/** The same image, of a program and a package that are known by name: its hash covers which. */
function withNames(
  image: AgentImage,
  names: { readonly program: string; readonly package?: string },
): AgentImage {
  const { hash: _, ...own } = image.data;
  const data = { ...own, ...names };
  const sha256 = hashOf(data);
  return { ...image, sha256, data: { ...data, hash: sha256 } };
}

function unknown(kind: string, name: string): SysError {
  const sentence = `Cannot make an image with ${kind} "${name}": its code is not known here`;
  return new SysError("ENOSYS", `${sentence}, expected a registered one`);
}

/** What an import came to. */
export interface Imported {
  /** Its id, the same as where it came from. */
  readonly tree: TreeId;
  /** Lines that were brought; those that say so come after them. */
  readonly lines: number;
  /** Values that came with it. */
  readonly blobs: number;
  /** false: the same log was there already, and nothing was changed. */
  readonly created: boolean;
  /** Effects that were under way at the export: their callers are told so with `EINDOUBT`. */
  readonly inDoubt: number;
}

/**
 * Takes a tree in, under the number it has, with all the authority that its log gives it: a stream
 * proves that it is whole, and not who made it. Throws `EINTEGRITY` with the line for a stream that
 * is cut, changed or of another log than it says, `EEXIST` when another tree has its number.
 */
export async function importTree(
  store: Store,
  records: AsyncIterable<string> | Iterable<string>,
  options: {
    readonly by?: string;
    /** Hash of its last line as it is known from elsewhere: any other log is refused. */
    readonly head?: string;
  } = {},
): Promise<Imported> {
  const archive = archiveOf(store);
  const reader = new TreeReader();
  for await (const record of records) {
    const isFirst = reader.records === 0;
    reader.push(record.endsWith("\n") ? record.slice(0, -1) : record);
    if (isFirst && (options.head ?? reader.start.head) !== reader.start.head) {
      const sentence = `Cannot import tree "${reader.start.tree}": its last line has another hash`;
      throw new SysError("EINTEGRITY", `${sentence}, expected "${options.head}"`);
    }
    if (isFirst && await isThere(store, reader)) {
      const { tree, seq: lines } = reader.start;
      return { tree, lines, blobs: 0, created: false, inDoubt: 0 };
    }
  }
  const { tree, blobs, snapshot, inbox } = reader.finish();
  const [inDoubt, { batch }] = reader.sound(() => {
    return [arrive(tree, options.by ?? "operator"), tree.takeBatch()!] as const;
  });
  const batches = reader.batches();
  const { epoch } = tree.state;
  const last: Batch = {
    ...batch,
    epoch,
    blobs,
    puts: inbox.map((item) => ({ tree: batch.tree, item })),
  };
  await archive.adopt([...batches, last], snapshot);
  return {
    tree: batch.tree,
    lines: reader.start.seq,
    blobs: blobs.size,
    created: true,
    inDoubt,
  };
}

/** Whether the log of a stream is in the store already; another tree of its number is refused. */
async function isThere(store: Store, { start }: TreeReader): Promise<boolean> {
  const { tree, seq, head } = start;
  const there = await store.head(tree);
  if (there === undefined) return false;
  if (there.seq >= seq) {
    for await (const batch of store.read(tree, seq)) {
      if (sha256(batch.lines[seq - batch.seq]!) === head) return true;
      break;
    }
  }
  const sentence = `Cannot import tree "${tree}": its number is another tree's in this store`;
  const expected = "expected a free one; import into an empty store, and fork from there";
  throw new SysError("EEXIST", `${sentence}, ${expected}`, { tree });
}

/** Says that a tree came, and settles what was under way (P3); how many effects that were. */
function arrive(tree: Tree, by: string): number {
  const { state } = tree;
  const { seq, atMs } = state;
  const draft = new Draft(tree, atMs);
  draft.add("tree.arrived", { seq, head: tree.head, by });
  tree.commit(draft);
  let count = 0;
  for (const process of Object.values(state.processes)) {
    for (const key of openIntents(process)) {
      // A person was asked about it, and still is.
      if (process.parked[key]?.reason === "call") continue;
      const entry = process.journal[key]!;
      const message = `Cannot tell whether "${entry.name}" happened: its tree went elsewhere`;
      const settled = new Draft(tree, atMs);
      settled.add("call.outcome", {
        pid: process.pid,
        step: entry.state === "open" ? entry.intent.step : process.step,
        key,
        result: { ok: false, code: "EINDOUBT", message },
        restores: [],
        via: "abandoned",
      });
      drain(settled, process, key);
      tree.commit(settled);
      count += 1;
    }
  }
  return count;
}
