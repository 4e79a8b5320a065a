/**
 * The judge of a chaos run: reads every log when all is over, and says what does not hold.
 * @module
 */

import type { TreeId } from "../../kernel/ids.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Store } from "../../kernel/store.ts";
import { readLines, verifyTree } from "../../runtime/load.ts";
import { RIGHTS } from "../../broker/table.ts";
import { checkTree, type Invocation } from "./history.ts";
import type { Recorder } from "./recorder.ts";
import { timerFaults, Timers } from "./timers.ts";
import { lengthOf, type Watch } from "./watch.ts";

/** What is judged. */
export interface Evidence {
  readonly store: Store;
  readonly trees: readonly TreeId[];
  readonly recorder: Recorder;
  readonly watch: Watch;
  readonly invocations: readonly Invocation[];
  readonly leaseMs: number;
  /** How long an agent sleeps after each effect that is plain. */
  readonly pauseMs: number;
}

/** What was found. */
export interface Judged {
  /** A sentence for each thing that does not hold. */
  readonly violations: readonly string[];
  /** Effects with an intent in a log. */
  effects: number;
  /** Of those, whose outcome says that nobody knows. */
  unknown: number;
  /** How often a tree got a new owner. */
  takeovers: number;
  lines: number;
  /** Sleeps of which it is known when they began and ended. */
  sleeps: number;
  /** Waits that time was to end, and how late one of them was at most, in milliseconds. */
  timers: number;
  latestMs: number;
  /** For how long nodes answered all the while, all together, in seconds. */
  steadyS: number;
}

interface Effect {
  intents: number;
  outcome: "ok" | "failed" | "unknown" | "open";
}

type Data = {
  readonly pid: string;
  readonly step: number;
  readonly key: string;
  readonly name: string;
  readonly args: { readonly url: string };
  readonly result: { readonly ok: boolean; readonly code?: string };
  readonly by: string;
  readonly epoch: number;
};

/** What the log of one tree tells. */
interface Story {
  readonly acts: readonly string[];
  readonly effects: ReadonlyMap<string, Effect>;
  readonly epochs: readonly number[];
}

async function storyOf(store: Store, tree: TreeId): Promise<Story> {
  const acts: string[] = [];
  const epochs: number[] = [];
  const effects = new Map<string, Effect>();
  const paths = new Map<string, string>();
  for await (const { type, data: given } of readLines(store, tree)) {
    const data = given as unknown as Data;
    const call = `${data.pid}#${data.step}.${data.key}`;
    if (type === "inbox.taken") acts.push(data.by);
    else if (type === "tree.opened") epochs.push(data.epoch);
    else if (type === "call.intent" && data.name === "net.fetch") {
      const path = new URL(data.args.url).pathname;
      paths.set(call, path);
      const known = effects.get(path) ?? { intents: 0, outcome: "open" };
      effects.set(path, { intents: known.intents + 1, outcome: "open" });
    } else if (type === "call.outcome" && paths.has(call)) {
      const { ok, code } = data.result;
      const outcome = ok ? "ok" : code === "EINDOUBT" ? "unknown" : "failed";
      effects.set(paths.get(call)!, { ...effects.get(paths.get(call)!)!, outcome });
    }
  }
  return { acts, epochs, effects };
}

/** What is wrong with one effect, given what the recorder saw of it. */
function effectFaults(path: string, effect: Effect | undefined, recorder: Recorder): string[] {
  const { count, keys } = recorder.arrived.get(path) ?? { count: 0, keys: new Set() };
  const found: string[] = [];
  const times = path.endsWith("/keyed") ? keys.size : count;
  if (effect === undefined) return [`effect ${path} was sent without an intent`];
  if (times > 1) found.push(`effect ${path} was done ${times} times`);
  if (path.endsWith("/keyed") && keys.has(null)) found.push(`effect ${path} came without its key`);
  if (effect.outcome === "ok" && count === 0) found.push(`effect ${path} is said to be done`);
  if (effect.outcome === "failed" && count > 0) found.push(`effect ${path} is said not to be done`);
  if (effect.outcome === "open") found.push(`effect ${path} has no outcome, not even a doubt`);
  return found;
}

/**
 * Sleeps that ended before their time by more than a lease: the effects before and after them were
 * seen by who has no wrong clock. Whoever does something plain sleeps then.
 */
function shortSleeps({ recorder: { arrived }, pauseMs, leaseMs }: Evidence): {
  readonly sleeps: number;
  readonly short: readonly string[];
} {
  const short: string[] = [];
  let sleeps = 0;
  for (const [path, { firstMs }] of arrived) {
    const [, pid, step, kind] = path.split("/");
    const next = arrived.get(`/${pid}/${Number(step) + 1}/${kind === "plain" ? "keyed" : ""}`);
    if (firstMs === null || next === undefined || next.firstMs === null) continue;
    sleeps += 1;
    const sleptMs = Math.round(next.firstMs - firstMs);
    if (sleptMs < pauseMs - leaseMs) short.push(`${path}: slept ${sleptMs} of ${pauseMs} ms`);
  }
  return { sleeps, short };
}

const NONE = { timers: 0, latestMs: 0, steadyS: 0 };

/** Beyond a lease: a node looks untold so often, and leaves to others what is free for so long. */
const TAKEOVER_MS = LIMITS.storeUntoldMsMax + LIMITS.nodePatienceMs;

/** What is wrong with the timers of one tree. */
async function timersOf(tree: TreeId, { store, watch, leaseMs }: Evidence): Promise<{
  readonly count: number;
  readonly latestMs: number;
  readonly faults: readonly string[];
}> {
  const timers = new Timers();
  const { batches, held } = await watch.of(tree);
  let atMs = 0;
  for await (const { seq, type, data } of readLines(store, tree)) {
    atMs = batches.get(seq) ?? atMs;
    timers.hear(type, data, atMs);
  }
  timers.end();
  const watched = { held, steady: watch.steady, leaseMs, boundMs: leaseMs + TAKEOVER_MS };
  const faults = timers.all.flatMap((timer) => timerFaults(timer, watched));
  const late = timers.all.map(({ dueMs, endedMs }) => endedMs - dueMs);
  return { count: late.length, latestMs: Math.max(0, ...late), faults };
}

/** Judges all of it. */
export async function judge(evidence: Evidence): Promise<Judged> {
  const { store, trees, recorder, invocations } = evidence;
  const { sleeps, short } = shortSleeps(evidence);
  const violations: string[] = [...short];
  const judged = { violations, effects: 0, unknown: 0, takeovers: 0, lines: 0, sleeps, ...NONE };
  const known = new Set<string>();
  for (const tree of trees) {
    const { broken, lines } = await verifyTree(store, tree, { rights: RIGHTS });
    if (broken !== null) violations.push(`${tree}: its chain is broken: ${broken}`);
    if (broken !== null) continue;
    const { acts, epochs, effects } = await storyOf(store, tree);
    judged.lines += lines;
    judged.takeovers += epochs.length - 1;
    if (epochs.some((epoch, i) => i > 0 && epoch <= epochs[i - 1]!)) {
      violations.push(`${tree}: epochs go back: ${epochs.join(", ")}`);
    }
    const { count, latestMs, faults } = await timersOf(tree, evidence);
    judged.timers += count;
    judged.latestMs = Math.max(judged.latestMs, Math.round(latestMs));
    violations.push(...faults.map((fault) => `${tree}: ${fault}`));
    const mine = invocations.filter((one) => one.tree === tree);
    for (const { kind, what } of checkTree(tree, mine, acts)) {
      violations.push(`${tree}: ${kind}: ${what}`);
    }
    for (const [path, effect] of effects) {
      known.add(path);
      judged.effects += 1;
      if (effect.outcome === "unknown") judged.unknown += 1;
      violations.push(...effectFaults(path, effect, recorder));
    }
  }
  for (const path of recorder.arrived.keys()) {
    if (!known.has(path)) violations.push(...effectFaults(path, undefined, recorder));
  }
  for (const damage of await store.check()) violations.push(damage);
  const steadyMs = [...evidence.watch.steady.values()].reduce((sum, all) => sum + lengthOf(all), 0);
  return { ...judged, steadyS: Math.round(steadyMs / 1_000) };
}

/** Jain's index: 1 where all have had the same, 1/n where one has had all. */
export function fairness(shares: readonly number[]): number {
  const sum = shares.reduce((a, b) => a + b, 0);
  const squares = shares.reduce((a, b) => a + b * b, 0);
  return squares === 0 ? 0 : sum * sum / (shares.length * squares);
}
