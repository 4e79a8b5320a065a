/**
 * The crash sweep: the demo is killed before and after its commits, twice in a row, and at random
 * times from outside. Run again, it ends as if nobody had killed it.
 *
 * Every tenth commit, from one that the seed says, and the last ones by default; `deno task sweep`
 * takes each of them, or a piece (`sweep.ts`). LIBOS_SEED repeats the commits and the random times of
 * an earlier run.
 * @module
 */

import assert from "node:assert/strict";
import { type Kill, place, round, run, stories } from "./crash_rounds.ts";
import { chanceAt, covered, SEED, SWEEP, taken } from "./sweep.ts";

const STRIDE = SWEEP ?? { every: 10, from: null };
/** The write of the report is among these; they are never left out. */
const LAST_COMMITS = 12;
const RANDOM_ROUNDS = 40;
const RANDOM_ROUNDS_OF_A_SAMPLE = 6;
/** Rounds at the same time: each is a process of its own. */
const LANES = Math.max(2, navigator.hardwareConcurrency);

interface Baseline {
  readonly commits: number;
  readonly report: string;
  readonly asked: number;
  readonly results: readonly string[];
  readonly ms: number;
}

async function baseline(root: string): Promise<Baseline> {
  const at = await place(root, "whole");
  const startedMs = Date.now();
  const { code, output } = await run(at, null);
  const ms = Date.now() - startedMs;
  assert.equal(code, 0, output);
  const [story] = await stories(at);
  assert.deepEqual(story?.faults, []);
  const commits = Number(/^commits: (\d+)$/m.exec(output)?.[1]);
  const { asked, results } = story!;
  return { commits, report: await Deno.readTextFile(at.report), asked, results, ms };
}

/** Which commits are taken, from 1: a sample has the last ones always. */
function commitsOf({ commits }: Baseline): Set<number> {
  const found = new Set(taken(commits, STRIDE).map((at) => at + 1));
  for (let last = commits - LAST_COMMITS + 1; SWEEP === null && last <= commits; last++) {
    found.add(last);
  }
  return found;
}

function plans(whole: Baseline, commits: ReadonlySet<number>): Map<string, readonly Kill[]> {
  const rounds = new Map<string, readonly Kill[]>();
  for (const commit of commits) {
    for (const when of ["before", "after"] as const) {
      // Of the last ones, which are taken each time, one or the other.
      const isLast = commit > whole.commits - LAST_COMMITS;
      const isOther = (commit + SEED) % 2 === (when === "before" ? 1 : 0);
      if (SWEEP === null && isLast && isOther) continue;
      const once: Kill = { when, commit };
      rounds.set(`${when}-${commit}`, [once]);
      const isTwice = SWEEP !== null || commit % 2 === 0;
      if (isTwice) rounds.set(`${when}-${commit}-twice`, [once, { when, commit: 1 + commit % 4 }]);
    }
  }
  const random = SWEEP === null
    ? Array.from({ length: RANDOM_ROUNDS_OF_A_SAMPLE }, (_, i) => i)
    : taken(RANDOM_ROUNDS, STRIDE);
  for (const i of random) {
    const chance = chanceAt(i);
    const afterMs = (): number => chance.below(Math.ceil(whole.ms));
    rounds.set(`random-${i + 1}`, [{ afterMs: afterMs() }, { afterMs: afterMs() }]);
  }
  return rounds;
}

Deno.test("The demo ends as if it had never been killed, wherever it is killed", async (t) => {
  const root = await Deno.makeTempDir();
  try {
    const whole = await baseline(root);
    assert(whole.commits > 20, `${whole.commits} commits`);
    const commits = commitsOf(whole);
    const todo = [...plans(whole, commits)];
    const faults: string[] = [];
    const lane = async (): Promise<void> => {
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        const [name, kills] = next;
        const at = await place(root, name);
        const found = await round(at, kills, whole);
        faults.push(...found.map((fault) => `${name}: ${fault}`));
        await Deno.remove(`${root}/${name}`, { recursive: true });
      }
    };
    const at = [...commits].sort((a, b) => a - b).map((commit) => commit - 1);
    const title = `${todo.length} rounds: ${covered(at, whole.commits, "commits")}`;
    await t.step(title, async () => {
      await Promise.all(Array.from({ length: LANES }, lane));
      assert.deepEqual(faults, [], `LIBOS_SEED=${SEED}`);
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
