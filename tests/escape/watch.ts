/**
 * What is watched in a kernel under attack: its turn, its memory, what is left of the attackers, its
 * intrinsics, and what there is to steal.
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";

const SAMPLE_MS = 20;
const TICK_MS = 10;

/** Measures how long the kernel's turn was held. */
export class LagMeter {
  #atMs = performance.now();
  /** When the turn was held for long, and how long. */
  readonly #late: { readonly atMs: number; readonly ms: number }[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  /** Begins. */
  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      const ms = nowMs - this.#atMs - SAMPLE_MS;
      if (ms > SAMPLE_MS) this.#late.push({ atMs: nowMs, ms });
      this.#atMs = nowMs;
    }, SAMPLE_MS);
  }

  /** The worst since a moment of `performance.now()`. */
  worstSince(sinceMs: number): number {
    const nowMs = performance.now();
    const late = this.#late.filter(({ atMs }) => atMs >= sinceMs).map(({ ms }) => ms);
    return Math.round(Math.max(0, nowMs - this.#atMs - SAMPLE_MS, ...late));
  }

  /** Ends. */
  stop(): void {
    clearInterval(this.#timer);
  }
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
