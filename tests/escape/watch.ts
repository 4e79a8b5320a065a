/**
 * What is watched in a kernel under attack: its turn, its memory, what is left of the attackers, its
 * intrinsics, and what there is to steal.
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const SAMPLE_MS = 20;
const TICK_MS = 10;

/** What was counted until a moment, in milliseconds. */
interface Tally {
  readonly atMs: number;
  /** For how long threads of this process were ready and had no processor. */
  readonly delayMs: number;
  /** Processor time of everybody else. */
  readonly othersMs: number;
}

/**
 * Measures how long the kernel's turn was held.
 *
 * In the tier "worker" the turn waits for threads of this process, which a busy machine lets wait:
 * with `forgives`, a time in which they were ready and others had the processors does not count.
 */
export class LagMeter {
  readonly #forgives: boolean;
  /** When the turn was held for long, and how long. */
  readonly #late: { readonly atMs: number; readonly ms: number }[] = [];
  readonly #tallies: Tally[];
  readonly #timer: ReturnType<typeof setInterval>;
  #delays: ReadonlyMap<string, number>;
  /** When it last had its turn. */
  #turnMs = performance.now();

  /** Begins. */
  constructor(forgives = false) {
    this.#forgives = forgives;
    this.#delays = runDelays();
    this.#tallies = [{ atMs: performance.now(), delayMs: 0, othersMs: othersMs() }];
    this.#timer = setInterval(() => {
      const now = this.#count();
      const ms = this.#own(this.#turnMs, now) - SAMPLE_MS;
      if (ms > SAMPLE_MS) this.#late.push({ atMs: now.atMs, ms });
      this.#turnMs = now.atMs;
    }, SAMPLE_MS);
  }

  /** The worst since a moment of `performance.now()`. */
  worstSince(sinceMs: number): number {
    const late = this.#late.filter(({ atMs }) => atMs >= sinceMs).map(({ ms }) => ms);
    return Math.round(Math.max(0, this.#own(this.#turnMs, this.#count()) - SAMPLE_MS, ...late));
  }

  /** The milliseconds since a moment of `performance.now()` that count. */
  ownSince(sinceMs: number): number {
    return Math.round(this.#own(sinceMs, this.#count()));
  }

  /** Ends. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** What counts of the time from `fromMs` to a tally. */
  #own(fromMs: number, to: Tally): number {
    const from = this.#tallies.find(({ atMs }) => atMs >= fromMs) ?? to;
    const others = Math.min(to.delayMs - from.delayMs, to.othersMs - from.othersMs);
    const ms = to.atMs - fromMs;
    return ms - Math.min(ms, Math.max(0, others));
  }

  #count(): Tally {
    const last = this.#tallies.at(-1)!;
    if (!this.#forgives) {
      const now = { ...last, atMs: performance.now() };
      this.#tallies.push(now);
      return now;
    }
    const delays = runDelays();
    let { delayMs } = last;
    for (const [thread, ms] of delays) delayMs += ms - (this.#delays.get(thread) ?? 0);
    this.#delays = delays;
    const now = { atMs: performance.now(), delayMs, othersMs: othersMs() };
    this.#tallies.push(now);
    return now;
  }
}

/** How long each thread of this process has been ready without a processor; empty where unknown. */
function runDelays(): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const thread of readdirSync("/proc/self/task")) {
    try {
      const [, waitedNs] = readFileSync(`/proc/self/task/${thread}/schedstat`, "utf8").split(" ");
      found.set(thread, Number(waitedNs) / 1e6);
    } catch {
      // It has ended, or this system does not tell.
    }
  }
  return found;
}

/** Processor time of all but this process, with what the machine's own host took. */
function othersMs(): number {
  const [, ...fields] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.split(/\s+/);
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0, stolen = 0] = fields.map(Number);
  const all = user + nice + system + irq + soft + stolen;
  return all * TICK_MS - (seen("/proc/self/stat")?.cpuMs ?? 0);
}

/** A process or a thread, as `/proc` shows it. */
export interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly cpuMs: number;
}

/** All processes. */
export function processes(): Seen[] {
  const found: Seen[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const one = seen(`/proc/${name}/stat`);
    if (one !== null) found.push(one);
  }
  return found;
}

function seen(path: string): Seen | null {
  try {
    const stat = readFileSync(path, "utf8");
    const [state, parent, group, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state === "Z" || state === "X") return null;
    const cpuMs = (Number(rest[8]) + Number(rest[9])) * TICK_MS;
    return { pid: Number.parseInt(stat), parent: Number(parent), group: Number(group), cpuMs };
  } catch {
    return null;
  }
}

/** Processor time of this process, its descendants and some groups, thus far. */
export function familyCpuMs(groups: ReadonlySet<number>): number {
  const all = processes();
  const family = new Set([Deno.pid]);
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid);
  }
  return all
    .filter(({ pid, group }) => family.has(pid) || groups.has(group))
    .reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

/** How many threads this process has that belong to Workers. */
export function workerThreads(): number {
  return readdirSync("/proc/self/task").filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, "utf8").startsWith("worker-");
    } catch {
      return false;
    }
  }).length;
}

const INTRINSICS: readonly object[] = [
  globalThis,
  Object,
  Object.prototype,
  Array,
  Array.prototype,
  Function.prototype,
  String.prototype,
  Number.prototype,
  Promise,
  Promise.prototype,
  RegExp.prototype,
  Map.prototype,
  Set.prototype,
  WeakMap.prototype,
  Error,
  Error.prototype,
  Symbol.prototype,
  Uint8Array.prototype,
  JSON,
  Math,
  Reflect,
  Date,
  Date.prototype,
];
type Fields = readonly (readonly [PropertyKey, PropertyDescriptor])[];

/** The intrinsics as they are now. */
export function intrinsics(): readonly Fields[] {
  return INTRINSICS.map((one) =>
    Reflect.ownKeys(one).map((key) => [key, Object.getOwnPropertyDescriptor(one, key)!] as const)
  );
}

/** What has changed in the intrinsics, in words. */
export function changedIntrinsics(before: readonly Fields[]): string[] {
  const changed: string[] = [];
  for (const [i, fields] of intrinsics().entries()) {
    const old = new Map(before[i]);
    if (old.size !== fields.length) changed.push(`intrinsic ${i} has ${fields.length} keys`);
    for (const [key, field] of fields) {
      const was = old.get(key);
      const isSame = was !== undefined && Object.is(was.value, field.value) &&
        was.get === field.get &&
        was.set === field.set;
      if (!isSame) changed.push(`intrinsic ${i} has another "${String(key)}"`);
    }
  }
  return changed;
}

/** Paths of all files below a folder, with their sizes; not the folders. */
export function filesBelow(folder: string): string[] {
  const found: string[] = [];
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...filesBelow(path));
    else found.push(`${path} ${Deno.lstatSync(path).size}`);
  }
  return found.sort();
}

/** Collects memory. The flag is only on while it is asked for: else each new realm had a `gc`. */
const collect = ((): () => void => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  return gc;
})();

/** Bytes that this process holds, once what nobody needs is collected. */
export function resident(): number {
  collect();
  return Deno.memoryUsage().rss;
}
