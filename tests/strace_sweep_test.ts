/**
 * The sweep of system calls: two agents of thirty steps over a store and a workspace in files are
 * killed at every call that writes, syncs or names, also twice in a row and during recovery, or the
 * call fails with EIO or ENOSPC. Nothing acknowledged is lost, no effect happens twice, and they
 * end as if nothing had happened.
 *
 * A sample by default; `deno task sweep` takes every call, or a piece (`sweep.ts`). LIBOS_SEED
 * repeats an earlier run.
 * @module
 */

import assert from "node:assert/strict";
import { SeededRandom } from "../testing.ts";
import {
  type Ending,
  finish,
  injected,
  type Injection,
  inodesOf,
  place,
  type Point,
  pointsOf,
  untraceable,
} from "./strace_place.ts";
import { chanceAt, covered, SEED, SWEEP, taken } from "./sweep.ts";

/** Rounds at the same time: each has a process of its own. */
const LANES = Math.max(2, navigator.hardwareConcurrency);
/** A recovery is killed among its first calls. */
const RECOVERY_CALLS = 60;

/** What happens in the lives of one round, and whether the agents may hear of it. */
interface Round {
  readonly lives: readonly Injection[];
  readonly isHeard: boolean;
}

/** Which calls are taken: a sample has one of each kind. */
function chosen(points: readonly Point[]): number[] {
  if (SWEEP !== null) return taken(points.length, SWEEP);
  const random = new SeededRandom(SEED);
  const kinds = new Map<string, number[]>();
  for (const [at, { call, isFile }] of points.entries()) {
    const kind = `${call} ${isFile}`;
    kinds.set(kind, [...kinds.get(kind) ?? [], at]);
  }
  return [...kinds.values()].map((alike) => alike[random.below(alike.length)]!);
}

/** All that happens at one call. */
function roundsAt(at: number, { call, n, isFile }: Point): Round[] {
  const random = chanceAt(at);
  const one = (fault: Injection["fault"], ...more: readonly Injection[]): Round => ({
    lives: [{ call, n, fault }, ...more],
    isHeard: isFile && fault !== "KILL",
  });
  const recovery = 1 + random.below(RECOVERY_CALLS);
  const again: Injection = { call: "pwrite64", n: recovery, fault: "KILL" };
  const rounds = [one("KILL")];
  const isTwice = SWEEP === null ? random.below(2) === 0 : at % 2 === 0;
  if (isTwice) rounds.push(one("KILL", again));
  const failures = ["EIO", "ENOSPC"] as const;
  const some = SWEEP === null ? [failures[random.below(2)]!] : failures;
  rounds.push(...some.map((fault) => one(fault)));
  // A disk that stays full until the kernel is started anew.
  if (call === "pwrite64" && (SWEEP === null || at % 8 < 2)) {
    rounds.push({ lives: [{ call, n, fault: "ENOSPC", stays: true }], isHeard: false });
  }
  return rounds;
}

/** What is wrong with a round, a sentence each. */
async function run(
  folder: string,
  names: readonly string[],
  { lives, isHeard }: Round,
  whole: Ending,
) {
  const faults: string[] = [];
  const written = new Map<string, number>();
  for (const [i, injection] of lives.entries()) {
    const { wasKilled, code, output } = await injected(folder, i + 1, { names, injection });
    const isExpected = injection.fault === "KILL" ? wasKilled || i > 0 : code === 0 || code === 3;
    if (!isExpected || (!wasKilled && ![0, 3].includes(code))) {
      faults.push(`life ${i + 1} ended with ${code}: ${output}`);
    }
    for (const [path, inode] of await inodesOf(folder)) {
      if ((written.get(path) ?? inode) !== inode) faults.push(`${path} was written again`);
      written.set(path, inode);
    }
  }
  const ending = await finish(folder, lives.length + 1);
  const inodes = await inodesOf(folder);
  for (const [path, inode] of written) {
    if (inodes.get(path) !== inode) faults.push(`${path} was written again at the end`);
  }
  faults.push(...ending.faults);
  for (const what of ["states", "contents", "results", "asked"] as const) {
    if (isHeard) continue;
    if (JSON.stringify(ending[what]) !== JSON.stringify(whole[what])) faults.push(`other ${what}`);
  }
  return faults;
}

const reason = await untraceable();

Deno.test({
  name: "Two agents end as they should, whichever system call they die or fail at" +
    (reason === null ? "" : ` (not here: ${reason})`),
  ignore: reason !== null,
  fn: async (t) => {
    const root = await Deno.makeTempDir();
    try {
      const { points, names } = await pointsOf(root);
      assert.ok(points.length > 1_000, `${points.length} calls`);
      const whole = await finish(await place(root, "whole"), 1);
      assert.deepEqual(whole.faults, []);
      assert.equal(whole.contents.length, 26);
      const positions = chosen(points);
      const todo = positions.flatMap((at) => roundsAt(at, points[at]!)).reverse();
      const faults: string[] = [];
      let [begun, done] = [0, 0];
      const lane = async (): Promise<void> => {
        for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
          const folder = await place(root, `${begun++}`);
          const found = await run(folder, names, next, whole)
            .catch((error) => [String(error instanceof Error ? error.stack : error)]);
          faults.push(...found.map((fault) => `${JSON.stringify(next.lives)}: ${fault}`));
          await Deno.remove(folder, { recursive: true });
          done += 1;
          if (done % 100 === 0) console.log(`${done} rounds, ${todo.length} left: ${faults}`);
        }
      };
      const title = `${todo.length} rounds: ${covered(positions, points.length, "calls")}`;
      await t.step(title, async () => {
        await Promise.all(Array.from({ length: LANES }, lane));
        assert.deepEqual(faults, [], `LIBOS_SEED=${SEED}`);
      });
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});
