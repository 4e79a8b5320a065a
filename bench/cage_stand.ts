/**
 * A stand for cages: children that are remembered, sandboxes, runs, and tools on a runtime.
 * @module
 */

import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../broker/port_surface.ts";
import type { CageRun, PortAnswer, Sandbox } from "../broker/sandbox.ts";
import type { Child, Children, ChildSpec } from "../kernel/child.ts";
import type { Json } from "../kernel/json.ts";
import { CAGE_LIMITS, CAGE_LIMITS_MAX } from "../kernel/limits.ts";
import { allow, createRuntime, defineImage } from "../mod.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";
import { WorkerSandbox } from "../sandboxes/worker_sandbox.ts";

/** The tool that does next to nothing. */
export const ADD = "export default ({ n }) => ({ n: n + 1 });";

const SURFACE = { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS };
const PARTS = { clock: realClock, random: realRandom, surface: SURFACE };
const LOOK_MS = 40;
const LOOKS_QUIET = 6;
/** As long as a Worker of this process may take to start. */
const WORKER_REST_MS = 250;

/** The host's children, remembered while they live. */
export class Brood implements Children {
  readonly alive = new Set<Child>();
  readonly #real = new RealChildren();

  /** Starts one. */
  start(spec: ChildSpec): Child {
    const child = this.#real.start(spec);
    this.alive.add(child);
    void child.ended.then(() => this.alive.delete(child));
    return child;
  }

  /** No jail: a bench measures the same everywhere. */
  jail(): Promise<{ readonly works: boolean; readonly why: string }> {
    return Promise.resolve({ works: false, why: "the bench has none" });
  }

  /** Processor time of those that live, in milliseconds; null where the system does not tell. */
  cpuMs(): number | null {
    let sum = 0;
    for (const child of this.alive) {
      const usage = child.usage();
      if (usage === null) return null;
      sum += usage.cpuMs;
    }
    return sum;
  }

  /** Resolves when none of them has been at work for a while. */
  async rest(): Promise<void> {
    let before = "";
    for (let quiet = 0; quiet < LOOKS_QUIET;) {
      await pause(LOOK_MS);
      const now = `${this.alive.size}/${this.cpuMs()}`;
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** A sandbox of one tier, and how to wait until its cages have started. */
export interface Stand extends AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly brood: Brood;
  rest(): Promise<void>;
}

/** Opens a sandbox. */
export function standOf(tier: "process" | "worker", warm: boolean): Stand {
  const brood = new Brood();
  const sandbox = tier === "process"
    ? new ProcessSandbox({ ...PARTS, children: brood, warm })
    : new WorkerSandbox({ ...PARTS, warm, hasWorkerOptions: true });
  return {
    sandbox,
    brood,
    rest: () => tier === "process" ? brood.rest() : pause(WORKER_REST_MS),
    [Symbol.asyncDispose]: () => sandbox.close(),
  };
}

let tenants = 0;

/** A tenant that no cage has served. */
export function freshTenant(): string {
  return `p_1/${++tenants}`;
}

/** A run of the tool of a tenant. */
export function runOf(tenant: string, code: string, more: {
  readonly input?: Json;
  readonly call?: (name: string, args: Json) => Promise<PortAnswer>;
} = {}): CageRun {
  return {
    tenant,
    name: "bench",
    code,
    input: more.input ?? { n: 1 },
    nowMs: Date.now(),
    seed: realRandom.bytes(16).toHex(),
    limits: { ...CAGE_LIMITS, calls: CAGE_LIMITS_MAX.calls },
    signal: new AbortController().signal,
    call: more.call ?? (() => Promise.reject(new Error("It makes no calls"))),
  };
}

/** Runs a tool. Throws when it did not return. */
export async function play(sandbox: Sandbox, run: CageRun): Promise<void> {
  const end = await sandbox.run(run);
  if (end.kind !== "returned") throw new Error(`A bench's tool ended: ${JSON.stringify(end)}`);
}

/** Calls the one tool of a process through the whole door. */
export type ToolCall = (input?: Json) => Promise<void>;

/**
 * A runtime on the memory store, with one process for each play, which has one tool of its own. It
 * closes the sandbox.
 */
export async function onRuntime(
  sandbox: Sandbox,
  code: string,
  plays: readonly ((call: ToolCall) => Promise<void>)[],
): Promise<void> {
  // Sources of the bench are JavaScript already: checks are not what is measured.
  const compiler = {
    check: ({ source }: { readonly source: string }) =>
      Promise.resolve({ ok: true as const, code: source }),
    close: () => Promise.resolve(),
  };
  await using os = await createRuntime({
    store: ":memory:",
    workspace: null,
    approvals: "deny",
    jit: { review: "never", workshop: { sandbox, compiler } },
  });
  await Promise.all(plays.map(async (play, i) => {
    const name = `tool_${i}`;
    const image = defineImage({
      name: `bench-${i}`,
      program: async ({ sys }) => {
        const inputSchema = { type: "object", properties: { n: { type: "number" } } };
        const source = `${code}\n// ${freshTenant()}\n`;
        const about = { name, description: "Of the bench", inputSchema, source };
        const { tool } = await sys.tool.propose(about);
        await sys.tool.register({ tool });
        await play(async (input = { n: 1 }) => void await sys.tool.call({ name, input }));
        await sys.process.exit({});
      },
    });
    const process = await os.spawn(image, { goal: "call", grants: [allow("tool.register", "*")] });
    const { outcome } = await process.wait();
    if (outcome.kind !== "exited") throw new Error(`A bench's process: ${JSON.stringify(outcome)}`);
  }));
}
