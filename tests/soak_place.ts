/**
 * Where a soak session runs: a store that is measured by the virtual hour, a driver that knows
 * after a crash what was done, and the final state without what a restart may change.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentImage, SqliteStore } from "../mod.ts";
import { SeededRandom, VirtualClock } from "../testing.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, type Json, sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { renamed } from "../kernel/rename.ts";
import type { State } from "../kernel/state.ts";
import type { Batch, Store } from "../kernel/store.ts";
import { KEPT } from "../runtime/idle.ts";
import type { AgentProcess } from "../runtime/process.ts";
import { type History, historyOf } from "./soak_history.ts";
import {
  DESK_GRANTS,
  deskOf,
  type Op,
  opsOf,
  person,
  type SessionSize,
  TALKER_GRANTS,
  talkerOf,
} from "./soak_session.ts";
import { CountedFiles, foldOf, START_MS, type World } from "./world_fixture.ts";
import { Died, MortalStore, MortalWorld } from "./world_fixture_crash.ts";

const HOUR_MS = 3_600_000;

/** What was written in one hour of virtual time. */
export interface Hour {
  calls: number;
  lines: number;
  bytes: number;
  /** Bytes of lines which carry parts of the state: going back and branching off. */
  copies: number;
  commits: number;
  reads: number;
  /** Bytes of the heap, which has nothing of the store; null where it cannot be told. */
  heap: number | null;
}

/** A store outside the heap that counts what it is given and asked, by the hour. */
export class MeteredStore extends MortalStore {
  readonly hours: Hour[] = [];
  readonly #clock: VirtualClock;

  /** Hours are those of `clock`. */
  constructor(clock: VirtualClock) {
    super(SqliteStore.open(":memory:", { durability: "process" }), null);
    this.#clock = clock;
  }

  #hour(): Hour {
    const i = Math.floor((this.#clock.now() - START_MS) / HOUR_MS);
    while (this.hours.length <= i) {
      const last = this.hours.at(-1);
      if (last !== undefined) last.heap = this.#heap();
      this.hours.push({
        calls: 0,
        lines: 0,
        bytes: 0,
        copies: 0,
        commits: 0,
        reads: 0,
        heap: null,
      });
    }
    return this.hours[i]!;
  }

  #heap(): number | null {
    const { gc } = globalThis as unknown as { readonly gc?: () => void };
    if (gc === undefined) return null;
    gc();
    return Deno.memoryUsage().heapUsed;
  }

  override commit(batches: readonly Batch[]): Promise<void> {
    const hour = this.#hour();
    hour.commits += 1;
    for (const { lines, payloads, blobs } of batches) {
      hour.lines += lines.length;
      hour.calls += lines.filter((text) => text.includes('"name":"tool.call"')).length;
      const carriers = lines.filter((text) =>
        /"type":"tree\.(restored|forked|grown)"\}$/.test(text)
      );
      for (const [hash, text] of [...payloads, ...blobs, ...lines.map((line) => ["", line])]) {
        const isCopy = carriers.some((line) =>
          line === text || (hash !== "" && line.includes(hash!))
        );
        if (isCopy) hour.copies += text!.length;
        else hour.bytes += text!.length;
      }
    }
    return super.commit(batches);
  }

  override due(nowMs: number, limit: number): ReturnType<Store["due"]> {
    this.#hour().reads += 1;
    return super.due(nowMs, limit);
  }

  override getInbox(tree: TreeId): ReturnType<Store["getInbox"]> {
    this.#hour().reads += 1;
    return super.getInbox(tree);
  }

  override getBlob(hash: string): ReturnType<Store["getBlob"]> {
    this.#hour().reads += 1;
    return super.getBlob(hash);
  }

  override head(tree: TreeId): ReturnType<Store["head"]> {
    this.#hour().reads += 1;
    return super.head(tree);
  }
}

/** How a session came out. */
export interface Ending {
  /** Hash of the state of each tree, the tree's number aside. */
  readonly states: readonly string[];
  readonly dumps: readonly string[];
  readonly results: readonly unknown[];
  readonly contents: readonly (readonly [string, string])[];
  /** Every operation that changed a file, in no order. */
  readonly done: readonly string[];
  readonly hours: readonly Hour[];
  readonly commits: number;
  readonly crashes: number;
  readonly compactions: number;
  readonly asked: number;
  readonly history: History;
}

/** What outlives kernels: the driver, too, who knows which op is under way. */
export interface Session {
  readonly images: readonly AgentImage[];
  readonly ops: readonly Op[];
  next: number;
  /** The line after which the op under way began; null when none is. */
  since: number | null;
}

/** Runs a session to its end, through `crashes` crashes, one every `every` commits or so. */
export async function runSession(
  size: SessionSize,
  plan: { readonly crashes: number; readonly every: number },
  images: readonly AgentImage[] = [deskOf(size), talkerOf(size)],
): Promise<Ending> {
  const clock = new VirtualClock(START_MS);
  const store = new MeteredStore(clock);
  const files = new CountedFiles();
  const chance = new SeededRandom(size.seed + 17);
  const session: Session = { images, ops: opsOf(size), next: 0, since: null };
  for (let life = 1;; life++) {
    const mayDie = life <= plan.crashes;
    const at = 1 + chance.below(2 * plan.every - 1);
    const when = (["before", "after"] as const)[chance.below(2)]!;
    const isWriteFatal = mayDie && chance.below(4) === 0;
    const world = new MortalWorld({
      store,
      clock,
      files,
      life: size.seed * 10_000 + life,
      plan: mayDie ? { at, when } : null,
      ...(isWriteFatal ? { diesAfterWrite: 1 + chance.below(2) } : {}),
      options: { images, approvals: person(), concurrency: 1 },
    });
    try {
      await world.live(() => drive(world, session));
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      await clock.settle();
      continue;
    }
    const ending = await endingOf(world, store, files);
    await world.close();
    await store.inner.close();
    return { ...ending, crashes: life - 1 };
  }
}

/** Does the ops that are left, and lets all come to its end. */
export async function drive(world: World, session: Session): Promise<void> {
  const [desk, talker] = session.images;
  const given = { goal: "Work in rounds", idempotencyKey: "desk", grants: DESK_GRANTS };
  const started = async (id: TreeId): Promise<boolean> =>
    ((await world.store.head(id))?.seq ?? 0) > 0;
  if (!await started("t_1")) await world.os.spawn(desk!, given);
  const read = { goal: "Read all pages", idempotencyKey: "talker", grants: TALKER_GRANTS };
  if (!await started("t_2")) await world.os.spawn(talker!, read);
  await world.os.ps();
  const process = (await world.os.get("p_1"))!;
  while (session.next < session.ops.length) {
    await untilWaiting(world);
    const op = session.ops[session.next]!;
    const isDone = session.since !== null && await wasDone(world, op, session.since);
    if (!isDone) {
      session.since ??= (await world.store.head("t_1"))!.seq;
      await perform(process, op);
    }
    session.next += 1;
    session.since = null;
  }
  await world.untilDone();
}

/** Lets time go on until the desk waits for its driver, or has ended. */
async function untilWaiting(world: World): Promise<void> {
  for (;;) {
    await world.os.runUntilIdle();
    // As the clock of a running node does.
    world.os.node.leaveIdle({ ...KEPT, quietMs: LIMITS.treeIdleMsMax });
    const { life } = (await world.tree("t_1")).state.processes["p_1"]!;
    if (life.state === "ended") return;
    const isFree = life.state === "waiting" && life.on.reason === "message" &&
      life.on.untilMs === null;
    if (isFree) return;
    const dueMs = await world.os.node.nextDueMs();
    assert.ok(dueMs !== null, `the desk is stuck: ${JSON.stringify(life)}`);
    await world.clock.advance(Math.max(0, dueMs - world.clock.now()));
  }
}

async function perform(process: AgentProcess, op: Op): Promise<void> {
  switch (op.op) {
    case "send":
      return await process.send(`${op.kind} ${op.mark}`);
    case "checkpoint":
      return void await process.checkpoint(op.mark);
    case "restore":
      return void await process.restore(op.mark, { files: true });
    case "fork":
      return void await process.fork(op.at, { message: `branch ${op.mark}` });
  }
}

/** Whether an op was done by a kernel that died before it could say so. */
async function wasDone(world: World, op: Op, since: number): Promise<boolean> {
  if (op.op === "fork") {
    for (const { tree } of await world.os.trees({ all: true })) {
      const made = await world.store.head(tree);
      if (made!.seq === 0 || tree === "t_1" || tree === "t_2") continue;
      const said = JSON.stringify(await world.events("message.sent", tree)) +
        JSON.stringify(await world.events("tree.forked", tree));
      if (said.includes(`branch ${op.mark}`)) return true;
    }
    return false;
  }
  const lines = (await world.lines("t_1")).filter(({ seq }) => seq > since);
  return lines.some(({ type, data }) => {
    const said = data as unknown as { readonly data?: Json; readonly name?: string };
    if (op.op === "restore") return type === "tree.restored";
    if (op.op === "checkpoint") return type === "checkpoint.taken" && said.name === op.mark;
    return type === "message.sent" && said.data === `${op.kind} ${op.mark}`;
  });
}

/** Looks at all that is claimed of an ended session, whatever came before. */
async function endingOf(
  world: MortalWorld,
  store: MeteredStore,
  files: CountedFiles,
): Promise<Omit<Ending, "crashes">> {
  const dumps: string[] = [];
  const results: unknown[] = [];
  let [compactions, asked] = [0, 0];
  for (const { tree: id, seq } of await world.os.trees({ all: true })) {
    if (seq === 0) continue;
    const tree = await foldOf(store, id);
    for (const { pid, life, journal } of Object.values(tree.state.processes)) {
      assert.equal(life.state, "ended", `${pid} did not end`);
      assert.deepEqual(journal, {}, `${pid} has an effect without an outcome`);
      if (!pid.includes(".") && life.state === "ended") results.push(life.outcome);
    }
    dumps.push(comparable(tree.state));
    const lines = await world.lines(id);
    asked += lines.filter(({ type }) => type === "human.asked").length;
    compactions += lines.filter(({ type, data }) =>
      type === "call.done" && (data as { readonly name?: string }).name === "context.compact"
    ).length;
  }
  const contents = [...files.contents.keys()].sort().map((path) =>
    [path, files.text(path)!] as const
  );
  const done = files.done.filter((what) => /^(write|remove|move|mkdir) /.test(what)).sort();
  const { hours, commits } = store;
  const states = dumps.map(sha256);
  const history = await historyOf(world, store);
  return { history, states, dumps, results, contents, done, hours, commits, compactions, asked };
}

/** What a restart changes: line numbers, the epoch, and what is drawn by chance. */
const PASSING = ["seq", "createdSeq", "epoch", "nonce", "idempotencyKey", "argsHash"];

/**
 * A state without what a restart may change, as if it were tree 1. Of a branch, how many lines its
 * origin had is such a number, too.
 */
export function comparable({ before: _, ...state }: State): string {
  const strip = (value: Json): Json => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(strip);
    const kept = Object.entries(value).filter(([key]) => !PASSING.includes(key));
    return Object.fromEntries(kept.map(([key, each]) => {
      if (key === "deletedSeq") return [key, each === null];
      if (key === "hidden") return [key, Object.keys(each as object).sort()];
      return [key, strip(each as Json)];
    }));
  };
  return canonical(strip(renamed(state, "t_1") as unknown as Json));
}
