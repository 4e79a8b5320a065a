/**
 * What sandbox tests share: runs with answers by a table, sandboxes of each tier, a cage that is none.
 * @module
 */

import { fileURLToPath } from "node:url";
import type {
  CageEnd,
  CageLimits,
  CageRun,
  PortAnswer,
  Sandbox,
  SandboxCounts,
  Tier,
} from "../broker/sandbox.ts";
import type { Child, Children } from "../kernel/child.ts";
import type { Json } from "../kernel/json.ts";
import { CAGE_LIMITS } from "../kernel/limits.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";
import { WorkerSandbox } from "../sandboxes/worker_sandbox.ts";

/** A small surface: enough for every way of calling. */
export const SURFACE = {
  calls: [
    "file.read",
    "file.write",
    "object.read",
    "clock.wait",
    "process.exit",
    "process.exec",
    "mcp.github.create_issue",
  ],
  positions: { "file.read": ["path"], "file.write": ["path", "text"], "object.read": ["object"] },
  ends: ["process.exit", "process.exec"],
} as const;

/** Where the runs of these tests begin: 2020-01-01. */
export const START_MS = 1_577_836_800_000;

/** One call that a tool made. */
export interface Made {
  readonly name: string;
  readonly args: Json;
}

/** A way to answer calls: by default, each is answered with its own name and arguments. */
export type Answers = (made: Made, number: number) => PortAnswer | Promise<PortAnswer>;

/** An answer. */
export function answer(reply: Json, atMs = START_MS): PortAnswer {
  return { ok: true, reply, atMs };
}

/** What a run is made with; the rest is usual. */
export interface RunOptions {
  readonly tenant?: string;
  readonly input?: Json;
  readonly limits?: Partial<CageLimits>;
  readonly answers?: Answers;
  readonly signal?: AbortSignal;
  readonly seed?: string;
}

/** A run of `code`, and the calls it has made. */
export function runOf(code: string, options: RunOptions = {}): CageRun & { readonly made: Made[] } {
  const made: Made[] = [];
  const answers = options.answers ?? (({ name, args }) => answer({ name, args }));
  return {
    made,
    tenant: options.tenant ?? "pid_1/tool",
    name: "tool",
    code,
    input: options.input ?? null,
    nowMs: START_MS,
    seed: options.seed ?? "00112233445566778899aabbccddeeff",
    limits: { ...CAGE_LIMITS, ...options.limits },
    signal: options.signal ?? new AbortController().signal,
    call(name, args) {
      made.push({ name, args });
      return Promise.resolve(answers({ name, args }, made.length));
    },
  };
}

/** A tool whose body this is. */
export function tool(body: string): string {
  return `export default async (input, os) => { ${body} };`;
}

/** A sandbox which tells how many cages it has. */
export type CountedSandbox = Sandbox & { counts(): SandboxCounts };

/** Sandboxes of a tier, over the real world or over parts of another. */
export function sandboxOf(
  tier: Tier,
  options: { readonly children?: Children; readonly warm?: boolean } = {},
): CountedSandbox {
  const { children = new RealChildren(), warm = false } = options;
  const parts = { clock: realClock, random: realRandom, surface: SURFACE, warm };
  if (tier === "worker") return new WorkerSandbox({ ...parts, hasWorkerOptions: true });
  return new ProcessSandbox({ ...parts, children, jail: tier === "jail" });
}

/** Whether the system's jail can be put around a child here, and why not. */
export async function canJail(): Promise<{ readonly can: boolean; readonly why: string }> {
  const { works, why } = await new RealChildren().jail();
  return { can: works, why };
}

/** Whether a Worker can be started without rights here: without the option, the runtime exits. */
export async function hasWorkerOptions(): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-"],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const worker =
    'new Worker("data:text/javascript,", { type: "module", deno: { permissions: "none" } })';
  await writer.write(new TextEncoder().encode(`${worker}.terminate();`));
  await writer.close();
  return (await child.status).success;
}

/** Children of the host, and those of them that still live. */
export class WatchedChildren implements Children {
  readonly alive = new Set<Child>();
  readonly #real = new RealChildren();

  start(spec: Parameters<Children["start"]>[0]): Child {
    const child = this.#real.start(spec);
    this.alive.add(child);
    void child.ended.then(() => this.alive.delete(child));
    return child;
  }

  jail(): ReturnType<Children["jail"]> {
    return this.#real.jail();
  }
}

/**
 * Children that are none: `says` gives what is written back for each frame that one is sent.
 * The first frame is the Worker's code.
 */
export class FakeChildren implements Children {
  readonly #says: (text: string, child: number) => Uint8Array | null;
  #started = 0;

  constructor(says: (text: string, child: number) => Uint8Array | null) {
    this.#says = says;
  }

  start(): Child {
    const over = Promise.withResolvers<{ code: number; errors: string }>();
    const says = this.#says;
    const number = ++this.#started;
    let pipe: ReadableStreamDefaultController<Uint8Array>;
    let hasEnded = false;
    const end = (code: number): void => {
      if (hasEnded) return;
      hasEnded = true;
      pipe.close();
      over.resolve({ code, errors: "" });
    };
    return {
      pid: 0,
      output: new ReadableStream({ start: (controller) => void (pipe = controller) }),
      write(bytes) {
        for (const text of textsOf(bytes)) {
          const said = says(text, number);
          if (said !== null && !hasEnded) pipe.enqueue(said);
        }
        return Promise.resolve();
      },
      kill: () => end(137),
      ended: over.promise,
      usage: () => null,
    };
  }

  jail(): Promise<{ works: boolean; why: string }> {
    return Promise.resolve({ works: false, why: "there is none" });
  }
}

/** A text as a frame. */
export function frame(text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

function* textsOf(bytes: Uint8Array): Generator<string> {
  for (let at = 0; at < bytes.length;) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
    yield new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
}

/** What a run returned; anything else fails the test. */
export function outputOf(end: CageEnd): Json {
  if (end.kind !== "returned") throw new Error(`It did not return: ${JSON.stringify(end)}`);
  return end.output;
}
