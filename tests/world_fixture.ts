/**
 * A small world for tests: a runtime over a store in memory, virtual time, chance from a seed, and
 * files that are counted. After each test the state is what the log says and nothing is left open.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentImage, defineImage, type Rule, SysError } from "../mod.ts";
import { MemoryStore, SeededRandom, VirtualClock } from "../testing.ts";
import { RIGHTS } from "../broker/table.ts";
import type { Workshop } from "../broker/sandbox.ts";
import type { Line } from "../kernel/event.ts";
import type { ObjectId, TreeId } from "../kernel/ids.ts";
import { canonical, type Json, sha256 } from "../kernel/json.ts";
import type { Programs } from "../kernel/program.ts";
import type { Store } from "../kernel/store.ts";
import { Tree } from "../kernel/tree.ts";
import type { Files, FileStat } from "../kernel/world.ts";
import { readLines } from "../runtime/load.ts";
import type { Program, StepContext } from "../runtime/program.ts";
import { AgentProcess, type ExitStatus } from "../runtime/process.ts";
import { Runtime, type RuntimeOptions, type SpawnOptions } from "../runtime/runtime.ts";

/** Where virtual time starts: any time but 0, which hides mistakes. */
export const START_MS = 1_700_000_000_000;

/** Files in memory, which count what is done to them and can be made to wait, fail or vanish. */
export class CountedFiles implements Files {
  readonly contents: Map<string, Uint8Array> = new Map();
  readonly folders: Set<string> = new Set();
  /** Every operation that went through, as `write a.txt`. */
  readonly done: string[] = [];
  /** Called before an operation acts; may wait, or throw. */
  before: (what: string) => void | Promise<void> = () => {};
  /** Called after an operation acted and before its answer is heard. */
  after: (what: string) => void | Promise<void> = () => {};

  /** A file's text; undefined when it is not there. */
  text(path: string): string | undefined {
    const bytes = this.contents.get(path);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  /** Puts a file there, not counted. */
  put(path: string, text: string): void {
    this.contents.set(path, new TextEncoder().encode(text));
  }

  /** How often an operation went through. */
  count(what: string): number {
    return this.done.filter((each) => each === what).length;
  }

  async #do<T>(what: string, job: () => T): Promise<T> {
    await this.before(what);
    const answer = job();
    this.done.push(what);
    await this.after(what);
    return answer;
  }

  read(path: string): Promise<Uint8Array> {
    return this.#do(`read ${path}`, () => this.contents.get(path) ?? absent("read", path));
  }

  write(
    path: string,
    bytes: Uint8Array,
    options: { readonly create: boolean; readonly replace: boolean },
  ): Promise<void> {
    return this.#do(`write ${path}`, () => {
      const there = this.contents.has(path);
      if (there && !options.replace) {
        throw new SysError("EEXIST", `Cannot write file "${path}": there, expected none`);
      }
      if (!there && !options.create) absent("write", path);
      this.contents.set(path, bytes);
    });
  }

  list(): Promise<readonly { readonly name: string; readonly kind: "file" }[]> {
    return this.#do(
      "list",
      () => [...this.contents.keys()].map((name) => ({ name, kind: "file" as const })),
    );
  }

  stat(path: string): Promise<FileStat | undefined> {
    const bytes = this.folders.has(path) ? 0 : this.contents.get(path)?.length;
    const kind = this.folders.has(path) ? "directory" : "file";
    return this.#do(
      `stat ${path}`,
      () => bytes === undefined ? undefined : { kind, bytes, modifiedMs: START_MS },
    );
  }

  mkdir(path: string): Promise<void> {
    return this.#do(`mkdir ${path}`, () => void this.folders.add(path));
  }

  move(from: string, to: string): Promise<void> {
    return this.#do(`move ${from} ${to}`, () => {
      const bytes = this.contents.get(from) ?? absent("move", from);
      this.contents.delete(from);
      this.contents.set(to, bytes);
    });
  }

  remove(path: string): Promise<void> {
    return this.#do(`remove ${path}`, () => {
      if (!this.contents.delete(path)) absent("remove", path);
    });
  }

  async digest(path: string): Promise<string | null> {
    await this.before(`digest ${path}`);
    const bytes = this.contents.get(path);
    return bytes === undefined ? null : sha256(bytes);
  }
}

function absent(verb: string, path: string): never {
  throw new SysError("ENOENT", `Cannot ${verb} file "${path}": absent, expected a file`);
}

/** What a world is made of; what is left out is new. */
export interface WorldOptions extends Omit<RuntimeOptions, "store" | "clock"> {
  readonly store?: Store;
  readonly clock?: VirtualClock;
  readonly files?: CountedFiles | null;
  readonly seed?: number;
  readonly workshop?: Workshop | null;
  /** What starts Deno programs. */
  readonly runs?: Programs;
}

/** How a program's process is started. */
export type RunOptions = Partial<Omit<SpawnOptions, "grants">> & {
  readonly grants?: readonly Rule[];
};

/** A program that gives its result instead of exiting with it. */
export type Body = (context: StepContext) => Promise<unknown>;

let images = 0;

/** An image with code; its process ends with what the code returns. */
export function imageOf(
  body: Body,
  options: Partial<Parameters<typeof defineImage>[0]> = {},
): AgentImage {
  images += 1;
  return defineImage({ name: `image-${images}`, program: exiting(body), ...options });
}

/** A program which exits with what the body returns. */
export function exiting(body: Body): Program {
  return async (context) => {
    const result = await body(context);
    await context.sys.process.exit({ result: (result ?? null) as never });
  };
}

/** A runtime with what is around it. */
export class World {
  readonly os: Runtime;
  readonly store: Store;
  readonly clock: VirtualClock;
  readonly files: CountedFiles | null;

  /** Opens a runtime; nothing runs before it is told to. */
  constructor(options: WorldOptions = {}) {
    const { store, clock, files, seed, workshop, runs, ...rest } = options;
    this.store = store ?? new MemoryStore();
    this.clock = clock ?? new VirtualClock(START_MS);
    this.files = files === undefined ? new CountedFiles() : files;
    this.os = new Runtime({
      options: {
        approvals: "queue",
        random: new SeededRandom(seed ?? 1),
        autorun: false,
        ...rest,
        clock: this.clock,
      },
      store: this.store,
      files: this.files,
      workshop: workshop ?? null,
      programs: runs,
      alone: true,
    });
    this.os.start();
  }

  /** Starts a process of an image, and runs until nothing can go on. */
  async start(image: AgentImage, options: RunOptions = {}): Promise<AgentProcess> {
    const process = await this.os.spawn(image, { goal: "test", ...options });
    await this.os.runUntilIdle();
    return process;
  }

  /** Runs a program to its end and gives how it ended; timers are let go by. */
  async run(body: Body, options: RunOptions = {}): Promise<ExitStatus> {
    const process = await this.start(imageOf(body), options);
    await this.untilDone();
    return await this.ended(process);
  }

  /** The result of a program which must exit by itself. */
  async result(body: Body, options: RunOptions = {}): Promise<Json> {
    const status = await this.run(body, options);
    assert.equal(status.outcome.kind, "exited", JSON.stringify(status.outcome));
    return status.result;
  }

  /** How a process ended; fails when it has not. */
  async ended(process: AgentProcess): Promise<ExitStatus> {
    const { state, waiting } = await process.info();
    assert.equal(state, "ended", `${process.pid} is ${state}: ${JSON.stringify(waiting)}`);
    return await process.wait();
  }

  /** Lets time go on until nothing is due. Requests that nobody answers expire. */
  async untilDone(): Promise<void> {
    for (;;) {
      await this.os.runUntilIdle();
      const dueMs = await this.os.node.nextDueMs();
      if (dueMs === null) return;
      await this.clock.advance(Math.max(0, dueMs - this.clock.now()));
    }
  }

  /** Lets some time go by, and runs what is due. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.os.runUntilIdle();
  }

  /** A tree in memory. */
  async tree(id: TreeId = "t_1"): Promise<Tree> {
    return await this.os.node.open(id);
  }

  /** The lines of a tree, durable first. */
  async lines(id: TreeId = "t_1"): Promise<Line[]> {
    if (this.os.node.trees.some(({ state }) => state.tree === id)) {
      await this.os.node.durable(await this.tree(id));
    }
    return await Array.fromAsync(readLines(this.store, id));
  }

  /** Lines of one kind. */
  async events(type: Line["type"], id: TreeId = "t_1"): Promise<Record<string, unknown>[]> {
    return (await this.lines(id)).filter((line) => line.type === type)
      .map(({ data }) => data as unknown as Record<string, unknown>);
  }

  /** Closes it, after everything it claims of itself was looked at. */
  async close(): Promise<void> {
    await checkWorld(this);
    await this.os.close();
  }
}

/** Checks that state is the fold of the log, and that nothing is under way. */
export async function checkWorld(world: Pick<World, "os" | "store">): Promise<void> {
  const { node } = world.os;
  await world.os.runUntilIdle();
  assert.equal(node.broker.sending.size, 0, "an effect is still being sent");
  assert.ok(node.idle, "the node is not idle");
  for (const verified of await world.os.verify()) assert.equal(verified.broken, null);
  for (const tree of node.trees) {
    const folded = await foldOf(world.store, tree.state.tree);
    assert.equal(tree.dump(), folded.dump(), `${tree.state.tree} is not what its log says`);
    await checkTrail(world.store, tree);
  }
}

/** Checks that what a tree knows of its latest checkpoints is what its log says of them. */
export async function checkTrail(store: Store, { state, trail }: Tree): Promise<void> {
  const seqs = new Set(trail.seqs);
  if (seqs.size === 0) return;
  const then = Tree.empty(state.tree, { rights: RIGHTS });
  for await (const line of readLines(store, state.tree)) {
    then.replay(line);
    if (!seqs.delete(line.seq)) continue;
    const where = `line ${line.seq} of ${state.tree}`;
    assert.equal(canonical(trail.recall(line.seq, true)!.state), then.dump(), where);
    const changed = new Set(trail.recall(line.seq, false)!.objects);
    for (const id of Object.keys(then.state.objects) as ObjectId[]) {
      if (changed.has(id)) continue;
      assert.equal(canonical(state.objects[id]), canonical(then.state.objects[id]), where);
    }
  }
  assert.equal(seqs.size, 0, "a trail knows lines that are not there");
}

/** The state that a stored log gives, from its first line on. */
export async function foldOf(store: Store, id: TreeId): Promise<Tree> {
  const tree = Tree.empty(id, { rights: RIGHTS });
  for await (const line of readLines(store, id)) tree.replay(line);
  return tree;
}

/** Runs a test in a world and closes it; `checked: false` where the test broke it on purpose. */
export async function inWorld(
  job: (world: World) => Promise<void>,
  options: WorldOptions = {},
): Promise<void> {
  const world = new World(options);
  let isGood = false;
  try {
    await job(world);
    isGood = true;
  } finally {
    if (!isGood) await world.os.close({ drain: false });
  }
  await world.close();
}

/** "ok", or the code with which a call was refused. */
export async function codeOf(job: Promise<unknown>): Promise<string> {
  return (await errorOf(job))?.code ?? "ok";
}

/** The refusal of a call; undefined when it was not refused. */
export async function errorOf(job: Promise<unknown>): Promise<SysError | undefined> {
  try {
    await job;
    return undefined;
  } catch (error) {
    if (error instanceof SysError) return error;
    throw error;
  }
}
