/**
 * The sweep of system calls: two agents of thirty steps over a store and a workspace in files are
 * killed at every call that writes, syncs or names, also twice in a row and during recovery, or the
 * call fails with EIO or ENOSPC. Nothing acknowledged is lost, no effect happens twice, and they
 * end as if nothing had happened.
 *
 * A sample by default; `deno task sweep` (LIBOS_SWEEP=all) takes every call, and LIBOS_SWEEP=N every
 * Nth. LIBOS_SEED repeats the sample of an earlier run.
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

const SWEEP = Deno.env.get("LIBOS_SWEEP");
const STRIDE = SWEEP === "all" ? 1 : Number(SWEEP ?? 0);
const SEED = Number(Deno.env.get("LIBOS_SEED") ?? Date.now() % 1_000_000);
/** Rounds at the same time: each has a process of its own. */
const LANES = Math.max(2, navigator.hardwareConcurrency);
/** A recovery is killed among its first calls. */
const RECOVERY_CALLS = 60;

/** What happens in the lives of one round, and whether the agents may hear of it. */
interface Round {
  readonly lives: readonly Injection[];
  readonly isHeard: boolean;
}

/** A sample has some of each kind of call; a sweep has them all. */
function chosen(points: readonly Point[], random: SeededRandom): Point[] {
  if (STRIDE > 0) {
    const offset = random.below(STRIDE);
    return points.filter((_, i) => i % STRIDE === offset);
  }
  const kinds = new Map<string, Point[]>();
  for (const point of points) {
    const kind = `${point.call} ${point.isFile}`;
    kinds.set(kind, [...kinds.get(kind) ?? [], point]);
  }
  return [...kinds.values()].map((alike) => alike[random.below(alike.length)]!);
}

function plan(points: readonly Point[], random: SeededRandom): Round[] {
  const rounds: Round[] = [];
  const take = (faults: readonly Injection["fault"][], isTwice: boolean): void => {
    for (const [i, { call, n, isFile }] of chosen(points, random).entries()) {
      if (isTwice && i % 2 === 1) continue;
      for (const fault of faults) {
        const isHeard = isFile && fault !== "KILL";
        const first = { call, n, fault };
        const again: Injection = { call: "pwrite64", n: 1 + random.below(RECOVERY_CALLS), fault };
        rounds.push({ lives: isTwice ? [first, again] : [first], isHeard });
      }
    }
  };
  take(["KILL"], false);
  take(["KILL"], true);
  take(STRIDE > 0 ? ["EIO", "ENOSPC"] : [(["EIO", "ENOSPC"] as const)[random.below(2)]!], false);
  // A disk that stays full until the kernel is started anew.
  for (
    const point of chosen(points, random).filter(({ call }, i) => call === "pwrite64" && i % 8 < 2)
  ) {
    rounds.push({ lives: [{ ...point, fault: "ENOSPC", stays: true }], isHeard: false });
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
      const todo = plan(points, new SeededRandom(SEED)).reverse();
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
          if (done % 500 === 0) console.log(`${done} rounds, ${todo.length} left: ${faults}`);
        }
      };
      const title = `${todo.length} rounds over ${points.length} calls, seed ${SEED}`;
      await t.step(title, async () => {
        await Promise.all(Array.from({ length: LANES }, lane));
        assert.deepEqual(faults, [], `LIBOS_SEED=${SEED}`);
      });
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});
