/**
 * A kernel under attack: a process of its own that runs hostile bodies in a sandbox, and says on its
 * stdout, one JSON line each after a word that nobody else knows, what it saw.
 *
 * It has something to steal: a file, an environment value, a loopback server, another tool's data.
 * Arguments: an `Attack` as JSON.
 * @module
 */

import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../../broker/port_surface.ts";
import type { CageEnd, CageLimits, PortAnswer, Sandbox, Tier } from "../../broker/sandbox.ts";
import type { Child, Children } from "../../kernel/child.ts";
import type { Json } from "../../kernel/json.ts";
import { CAGE_LIMITS } from "../../kernel/limits.ts";
import { RealChildren } from "../../providers/children.ts";
import { realClock } from "../../providers/clock.ts";
import { realRandom } from "../../providers/random.ts";
import { ProcessSandbox } from "../../sandboxes/process_sandbox.ts";
import { WorkerSandbox } from "../../sandboxes/worker_sandbox.ts";
import { allBodies } from "./all.ts";
import type { Hostile } from "./hostile.ts";
import {
  changedIntrinsics,
  familyCpuMs,
  filesBelow,
  intrinsics,
  LagMeter,
  processes,
  resident,
  workerThreads,
} from "./watch.ts";

/** What a kernel under attack is told. */
export interface Attack {
  readonly tier: Tier;
  /** A folder of its own, with `secret.txt`. */
  readonly folder: string;
  /** Before each line of its own. */
  readonly word: string;
  /** What must not be seen in any tool: in the file, the environment, and the other tool's data. */
  readonly secret: string;
  /** Numbers of bodies, wave by wave. */
  readonly waves: readonly (readonly number[])[];
  /** How many bodies of a wave run at a time. */
  readonly abreast: number;
}

/** What a kernel under attack says. */
export type Said =
  | { readonly kind: "body"; readonly number: number; readonly broken: readonly string[] }
  | { readonly kind: "wave"; readonly wave: number; readonly broken: readonly string[] }
  | { readonly kind: "done"; readonly lagMs: number };

/** How long a body may hold the turn; its answer may take a second more. */
const WALL_MS = 400;
const LIMITS: CageLimits = {
  ...CAGE_LIMITS,
  wallMs: WALL_MS,
  cpuMs: 600,
  calls: 300,
};
const GRACE_MS = 1_000;
/** After which a run is let go of, and counts as not answered. */
const LOST_MS = 4_000;
const GOOD_MS_MAX = 1_000;
const LAG_MS_MAX = 250;
/** How often it is looked whether memory went back to the system. */
const RETURN_LOOKS = 30;
const GROWTH_BYTES_MAX = 50 * 2 ** 20;
/** What a Worker takes that waits in this process. */
const CAGE_BYTES = 10 * 2 ** 20;
const QUIET_MS = 250;
/** Looks at whether it becomes quiet. */
const QUIET_LOOKS = 8;
/** Processor time in `QUIET_MS` which the kernel itself may take, watching. */
const QUIET_CPU_MS_MAX = 80;
const GOOD = `export default async (input, os) => {
  const probe = {};
  for (const key in probe) return "inherits " + key;
  return [typeof os.call, input, [3, 1, 2].sort().map(String), JSON.stringify({ a: [1] }),
    await Promise.resolve(7), Reflect.ownKeys(globalThis).length, Math.random(), Date.now()];
};`;
const SEED = "00112233445566778899aabbccddeeff";

/** Tells which children there were, by group: in a jail there are groups of its own. */
class CountedChildren implements Children {
  readonly #real = new RealChildren();
  readonly live: Set<number> = new Set();
  readonly gone: Set<number> = new Set();
  /** Groups seen below each live child. */
  readonly #below = new Map<number, Set<number>>();

  /** Looks which groups there are below children that live. */
  look(): void {
    const all = processes();
    const seen = new Map(all.map((one) => [one.pid, one]));
    for (const { group, parent } of all) {
      for (let at = parent; at > 1; at = seen.get(at)?.parent ?? 0) {
        if (group !== at) this.#below.get(at)?.add(group);
      }
    }
  }

  start(spec: Parameters<Children["start"]>[0]): Child {
    const child = this.#real.start(spec);
    this.live.add(child.pid);
    this.#below.set(child.pid, new Set());
    void child.ended.then(() => {
      this.live.delete(child.pid);
      this.gone.add(child.pid);
      for (const group of this.#below.get(child.pid) ?? []) this.gone.add(group);
      this.#below.delete(child.pid);
    });
    return child;
  }

  jail(): ReturnType<Children["jail"]> {
    return this.#real.jail();
  }
}

/** The kernel. */
class Target {
  readonly #attack: Attack;
  readonly #bodies: readonly Hostile[];
  readonly #children = new CountedChildren();
  readonly #sandbox: Sandbox & { counts(): { readonly cages: number } };
  readonly #meter: LagMeter;
  readonly #intrinsics = intrinsics();
  readonly #channel = new BroadcastChannel("kernel");
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #requests = 0;
  #messages = 0;
  #worstLagMs = 0;
  #residentBytes = 0;
  #files: readonly string[] = [];

  constructor(attack: Attack, bodies: readonly Hostile[]) {
    this.#attack = attack;
    this.#bodies = bodies;
    this.#meter = new LagMeter(attack.tier === "worker");
    const surface = { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS };
    const parts = { clock: realClock, random: realRandom, surface };
    this.#sandbox = attack.tier === "worker"
      ? new WorkerSandbox({ ...parts, hasWorkerOptions: true })
      : new ProcessSandbox({ ...parts, children: this.#children, jail: attack.tier === "jail" });
    this.#channel.onmessage = () => this.#messages++;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
      this.#requests++;
      return new Response("you came through");
    });
  }

  async attacked(): Promise<void> {
    // Another tool, whose data is in a cage of its own while the bodies run.
    await this.#run("other", `export default (input) => { globalThis.held = input; };`, {
      input: { secret: this.#attack.secret },
    });
    this.#files = filesBelow(this.#attack.folder);
    for (const [i, wave] of this.#attack.waves.entries()) {
      await pause(20);
      this.#residentBytes = resident();
      const left = [...wave];
      const lane = async (_: unknown, at: number) => {
        // A Worker that another body had would be one whose memory is counted already.
        const own = (n: number) => this.#attack.tier === "worker" ? `body ${n}` : `lane ${at}`;
        for (let n = left.shift(); n !== undefined; n = left.shift()) await this.#try(n, own(n));
      };
      await Promise.all(Array.from({ length: this.#attack.abreast }, lane));
      const broken = await this.#seenAfter();
      say(this.#attack, { kind: "wave", wave: i, broken });
      // What is left in this process would be taken for the next wave's.
      if (broken.length > 0) Deno.exit(0);
    }
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#meter.stop();
    const closed = await Promise.race([this.#sandbox.close(), pause(2_000).then(() => "late")]);
    // A Worker that was told to end takes its time.
    await this.#second(() => this.#threadsLeft().length === 0);
    const left = processes().filter(({ group }) => this.#children.gone.has(group));
    const broken = [
      ...(closed === "late" ? ["the sandbox did not close"] : []),
      ...(left.length > 0 || this.#children.live.size > 0 ? ["a process is left"] : []),
      ...this.#threadsLeft(),
    ];
    say(this.#attack, { kind: "wave", wave: this.#attack.waves.length - 1, broken });
    say(this.#attack, { kind: "done", lagMs: this.#worstLagMs });
    Deno.exit(0);
  }

  #growth(): number {
    const { cages } = this.#attack.tier === "worker" ? this.#sandbox.counts() : { cages: 0 };
    return resident() - this.#residentBytes - cages * CAGE_BYTES;
  }

  #threadsLeft(): string[] {
    if (this.#attack.tier !== "worker") return [];
    const threads = workerThreads();
    return threads > this.#sandbox.counts().cages ? [`${threads} threads are left`] : [];
  }

  /** Runs one body in a place that served it, or others, before, and lets that serve again. */
  async #try(number: number, tenant: string): Promise<void> {
    const body = this.#bodies[number]!;
    const broken: string[] = [];
    const startMs = performance.now();
    const witness = body.witness ?? GOOD;
    const before = await this.#run(tenant, witness);
    this.#children.look();
    if (before.end.kind !== "returned") {
      broken.push(`${blame(before.end)}its place did not serve: ${shown(before.end)}`);
    }
    for (let call = 0; call < (body.calls ?? 1); call++) {
      const ran = await this.#run(tenant, this.#aimed(body.source), {
        input: body.input ?? null,
        limits: body.limits ?? {},
      });
      broken.push(...this.#judged(ran));
    }
    const after = await this.#run(tenant, witness);
    if (JSON.stringify(after.end) !== JSON.stringify(before.end)) {
      const slow = blame(before.end) + blame(after.end);
      broken.push(
        `${slow}the next call was not as before: ${shown(after.end)} after ${shown(before.end)}`,
      );
    }
    if (after.ms > GOOD_MS_MAX) broken.push(`slow: a good tool was served after ${after.ms} ms`);
    broken.push(...this.#judged(after));
    await pause(0);
    const lagMs = this.#meter.worstSince(startMs);
    this.#worstLagMs = Math.max(this.#worstLagMs, lagMs);
    if (lagMs > LAG_MS_MAX) broken.push(`slow: the turn was held for ${lagMs} ms`);
    say(this.#attack, { kind: "body", number, broken });
  }

  #aimed(source: string): string {
    const { port } = this.#server.addr;
    return source
      .replaceAll("__URL__", `http://127.0.0.1:${port}/`)
      .replaceAll("__FOLDER__", this.#attack.folder)
      .replaceAll("__PID__", String(Deno.pid));
  }

  #judged(ran: Ran): string[] {
    const { end, ms, said, lateCalls } = ran;
    const broken: string[] = [];
    const all = JSON.stringify(end) + said;
    if (/"escaped":true/.test(all)) broken.push(`it escaped: ${shown(end)}`);
    if (all.includes(this.#attack.secret)) broken.push("it has the secret");
    if (ms > Math.max(LIMITS.wallMs, LIMITS.cpuMs) + GRACE_MS) {
      broken.push(`slow: answered after ${ms} ms`);
    }
    if (end.kind === "stopped") broken.push("it was never answered");
    if (lateCalls > 0) broken.push("a call came after the end");
    return broken;
  }

  async #run(
    tenant: string,
    code: string,
    options: { input?: Json; limits?: Partial<CageLimits> } = {},
  ): Promise<Ran> {
    const world = new PortWorld();
    const run = {
      tenant,
      name: "tool",
      code,
      input: options.input ?? null,
      nowMs: 1_000,
      seed: SEED,
    };
    const startMs = performance.now();
    const end = await this.#sandbox.run({
      ...run,
      limits: { ...LIMITS, ...options.limits },
      signal: AbortSignal.timeout(LOST_MS),
      call: (name, args) => world.call(name, args),
    });
    world.hasEnded = true;
    const ms = this.#meter.ownSince(startMs);
    return {
      end,
      ms,
      said: world.said,
      get lateCalls() {
        return world.lateCalls;
      },
    };
  }

  /** A second of what counts, or less when all is over sooner. */
  async #second(isOver: () => boolean): Promise<void> {
    const startMs = performance.now();
    while (!isOver() && this.#meter.ownSince(startMs) < 1_000) await pause(50);
  }

  /** Processor time that goes in a stretch in which nothing is asked of the kernel. */
  async #burned(): Promise<number> {
    const startMs = familyCpuMs(this.#children.gone);
    await pause(QUIET_MS);
    return familyCpuMs(this.#children.gone) - startMs;
  }

  /** What is wrong once the wave has been over for a second. */
  async #seenAfter(): Promise<string[]> {
    await this.#second(() => false);
    let cpuMs = await this.#burned();
    // A Worker that takes the place of one that was ended may be starting still; what a body left
    // behind goes on.
    for (let i = 0; i < QUIET_LOOKS && cpuMs > QUIET_CPU_MS_MAX; i++) cpuMs = await this.#burned();
    let growth = this.#growth();
    // What was freed goes back to the system later: within a second where it has little to do.
    for (let i = 0; i < RETURN_LOOKS && growth > GROWTH_BYTES_MAX; i++) {
      await pause(300);
      growth = this.#growth();
    }
    const left = processes().filter(({ group }) => this.#children.gone.has(group)).length;
    const files = filesBelow(this.#attack.folder);
    return [
      ...(growth > GROWTH_BYTES_MAX ? [`memory grew by ${growth >> 20} MiB`] : []),
      ...(cpuMs > QUIET_CPU_MS_MAX ? [`${cpuMs} ms of ${QUIET_MS} were burned afterwards`] : []),
      ...(left > 0 ? [`${left} processes are left`] : []),
      ...this.#threadsLeft(),
      ...(this.#requests > 0 ? ["a request was made"] : []),
      ...(this.#messages > 0 ? ["a message was broadcast"] : []),
      ...(String(files) !== String(this.#files) ? ["a file was changed"] : []),
      ...changedIntrinsics(this.#intrinsics),
    ];
  }
}

/** How a run came out. */
interface Ran {
  readonly end: CageEnd;
  readonly ms: number;
  /** Arguments of its calls. */
  readonly said: string;
  readonly lateCalls: number;
}

/** What is behind the port: little, and none of it secret. */
class PortWorld {
  said = "";
  lateCalls = 0;
  hasEnded = false;

  async call(name: string, args: Json): Promise<PortAnswer> {
    if (this.hasEnded) this.lateCalls++;
    if (this.said.length < 2 ** 22) this.said += JSON.stringify([name, args]);
    const given = args as { readonly ms?: number; readonly bytes?: number };
    if (name === "clock.wait" || name === "clock.sleep") {
      await pause(Math.min(Math.max(0, Number(given.ms) || 0), 300));
      return { ok: true, atMs: 2_000, reply: null };
    }
    if (name === "clock.now") return { ok: true, atMs: 2_000, reply: { ms: 2_000 } };
    if (name === "object.read") {
      return { ok: true, atMs: 2_000, reply: { value: { text: "x".repeat(1_000) }, version: 1 } };
    }
    // Great answers are what may fill memory on this side.
    if (name === "file.read") {
      return { ok: true, atMs: 2_000, reply: { text: "y".repeat(2 ** 20) } };
    }
    const message = `Cannot call "${name.slice(0, 64)}": no held capability covers the call`;
    return { ok: false, code: "EPERM", message, atMs: 2_000 };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** "slow: " when a good tool came to the end of its time: on a busy machine, for no body's fault. */
function blame(end: CageEnd): string {
  return end.kind === "limit" && end.limit === "wallMs" ? "slow: " : "";
}

function shown(end: CageEnd): string {
  return JSON.stringify(end).slice(0, 400);
}

function say({ word }: Attack, said: Said): void {
  const bytes = new TextEncoder().encode(`${word}${JSON.stringify(said)}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

if (import.meta.main) {
  const attack = JSON.parse(Deno.args[0]!) as Attack;
  await new Target(attack, await allBodies()).attacked();
}
