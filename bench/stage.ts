/**
 * A stage: one node on a store, with two calls of the bench's own, and programs to run on it.
 * @module
 */

import { z } from "zod";
import { RIGHTS, SYSCALLS } from "../broker/table.ts";
import { type AnySyscall, syscall } from "../broker/syscall.ts";
import type { ImageData } from "../kernel/event.ts";
import { type Pid, treeOf } from "../kernel/ids.ts";
import { hashOf } from "../kernel/json.ts";
import { offered } from "../kernel/needs.ts";
import { plant } from "../kernel/spawn.ts";
import type { Store } from "../kernel/store.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { StoreKey } from "../providers/store_key.ts";
import { Node } from "../runtime/node.ts";
import { membershipOf } from "../runtime/node_parts.ts";
import type { StepContext } from "../runtime/program.ts";
import type { NodeSpec } from "../runtime/runtime_options.ts";

/** The door without types, since some calls are the bench's own. */
export type Call = (name: string, args: unknown) => Promise<Record<string, unknown>>;
/** A program of the bench. */
export type BenchProgram = (call: Call, step: StepContext) => Promise<void>;

const BENCH_CALLS = {
  "bench.look": syscall({
    about: "Read nothing, with a capability",
    effect: "observe",
    args: z.strictObject({ at: z.string() }),
    reply: z.strictObject({ seen: z.boolean() }),
    needs: ({ at }) => [{ right: "bench.look", resource: at }],
    run: () => ({ seen: true }),
  }),
  "bench.send": syscall({
    about: "An effect that costs nothing outside: intent and outcome alone",
    effect: "emit",
    args: z.strictObject({ to: z.string(), text: z.string() }),
    reply: z.strictObject({ text: z.string() }),
    needs: ({ to }) => [{ right: "bench.send", resource: to }],
    // As long as what was sent, but never the same text: each is a payload of its own.
    run: (_, { text }) => Promise.resolve({ text: `${text.slice(1)}.` }),
    lost: "safe",
  }),
};

/** Values which a store is written full of: more than its log is let grow. */
const FILLERS = 160;
const FILLER_BYTES = 65_536;

const TABLE: Readonly<Record<string, AnySyscall>> = { ...SYSCALLS, ...BENCH_CALLS };
const CONTEXT = { rights: [...RIGHTS, ...Object.keys(BENCH_CALLS)] };

/** What a bench's process may do. */
export const CAPS = [
  { right: "bench.look", resource: "**" },
  { right: "bench.send", resource: "**" },
  { right: "human.ask", resource: "**" },
  { right: "process.fork", resource: "self" },
] as const;

/** How a tree of the bench is planted. */
export interface PlantOptions {
  readonly policy?: string;
  readonly caps?: readonly { readonly right: string; readonly resource: string }[];
}

/** A node and its programs. */
export class Stage implements AsyncDisposable {
  readonly node: Node;
  readonly store: Store;
  readonly #programs = new Map<string, BenchProgram>();

  /** A stage over a store, which it closes; `shared` makes it a node among others. */
  constructor(store: Store, concurrency = 128, shared?: NodeSpec) {
    this.store = store;
    const id = shared?.name ?? "bench";
    this.node = new Node({
      id,
      ...(shared === undefined
        ? {}
        : membershipOf(shared, store, { id, clock: realClock, random: realRandom })),
      store,
      table: TABLE,
      context: CONTEXT,
      concurrency,
      alone: shared === undefined,
      has: () => offered(this.#programs.keys(), []),
      program: (name) => {
        const program = this.#programs.get(name);
        if (program === undefined) return undefined;
        return (step) => program(step.sys as unknown as Call, step);
      },
      world: {
        clock: realClock,
        random: realRandom,
        files: null,
        model: () => undefined,
        tool: () => undefined,
        workshop: null,
        shell: null,
        mcp: null,
        history: () => Promise.reject(new Error("no history here")),
        branches: {
          reserve: () => Promise.reject(new Error("no branches here")),
          isStarted: () => Promise.resolve(false),
          start: () => Promise.reject(new Error("no branches here")),
        },
      },
    });
  }

  /** A stage on a SQLite file. */
  static sqlite(path: string, durability: "power" | "process" = "power"): Stage {
    return new Stage(SqliteStore.open(path, { durability }));
  }

  /**
   * Makes the store's write-ahead log as long as it becomes, by another tree: commits to a file
   * that still grows cost more, which would be held against whoever has the shortest history.
   */
  async filled(): Promise<Stage> {
    await this.play(async (call) => {
      for (let n = 0; n < FILLERS; n++) {
        await call("object.create", { name: `${n}`, value: `${n}`.padEnd(FILLER_BYTES, "x") });
      }
      await call("process.exit", {});
    }, { caps: [{ right: "object.*", resource: "**" }] });
    return this;
  }

  /** A stage on an encrypted SQLite file, synced. */
  static encrypted(path: string): Stage {
    return new Stage(SqliteStore.open(path, { encryption: StoreKey.of("5e".repeat(32)) }));
  }

  /** Makes a program known under a name. */
  teach(name: string, program: BenchProgram): void {
    this.#programs.set(name, program);
    this.node.membership?.wake();
  }

  /** Plants a tree whose root runs the program of this name, from when the stage is taught it. */
  async plant(name: string, options: PlantOptions = {}): Promise<Pid> {
    const caps = options.caps ?? CAPS;
    const image = imageOf(name);
    return await this.node.plant(null, (draft) =>
      plant(draft, {
        key: null,
        nonce: "bench",
        policy: options.policy ?? "",
        ceiling: [{ right: "*", resource: "**" }],
        images: [image],
        caps,
        image,
        goal: name,
        input: null,
        cwd: ".",
        grants: [],
        rules: "",
        labels: {},
        budget: {},
        priority: 10,
      }));
  }

  /** Plants one tree with a program and runs it to its end. */
  async play(program: BenchProgram, options: PlantOptions = {}): Promise<Pid> {
    const name = `play-${this.#programs.size}`;
    this.teach(name, program);
    const pid = await this.plant(name, options);
    await this.run(pid);
    return pid;
  }

  /** Runs until nothing is ready. Throws when the tree of `pid` broke or its root failed. */
  async run(pid?: Pid): Promise<void> {
    await this.node.runUntilIdle();
    if (pid === undefined) return;
    const { life } = (await this.node.open(treeOf(pid))).state.processes[pid]!;
    if (life.state === "ended" && life.outcome.kind === "failed") {
      throw new Error(`A bench's process failed: ${life.outcome.message}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.stop();
    await this.store.close();
  }
}

function imageOf(name: string): ImageData {
  const data = {
    name,
    version: "1",
    program: name,
    instructions: "",
    model: null,
    tools: [],
    requests: [],
    budget: {},
    stepsMax: 10_000_000,
    types: {},
  };
  return { ...data, hash: hashOf(data) };
}

const NOISE = realRandom.bytes(4_096).toBase64();
let texts = 0;

/**
 * A text of `bytes` characters that nothing else in the run was given; costs next to nothing. The
 * noise is cut before it is joined, so that who keeps the text keeps none of the rest.
 */
export function freshText(bytes: number): string {
  const head = `${++texts}:`;
  return head + NOISE.slice(0, bytes - head.length);
}
