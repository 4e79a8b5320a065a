/**
 * The crash sweep: the demo is killed before and after its commits, twice in a row, and at random
 * times from outside. Run again, it ends as if nobody had killed it.
 *
 * Every tenth commit, from one that the seed says, and the last ones by default; `deno task sweep`
 * takes each of them (LIBOS_SWEEP=all).
 * LIBOS_SEED repeats the commits and the random times of an earlier run.
 * @module
 */

import assert from "node:assert/strict";
import { type Kill, place, round, run, stories } from "./crash_rounds.ts";

const IS_WHOLE = Deno.env.get("LIBOS_SWEEP") === "all";
const STRIDE = IS_WHOLE ? 1 : 10;
/** The write of the report is among these; they are never left out. */
const LAST_COMMITS = 12;
const RANDOM_ROUNDS = IS_WHOLE ? 40 : 6;
const SEED = Number(Deno.env.get("LIBOS_SEED") ?? Date.now() % 1_000_000);
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

/** Numbers from 0 to 1 which a seed gives again. */
function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function plans(whole: Baseline): Map<string, readonly Kill[]> {
  const rounds = new Map<string, readonly Kill[]>();
  for (let commit = 1; commit <= whole.commits; commit++) {
    if ((commit + SEED) % STRIDE !== 0 && commit <= whole.commits - LAST_COMMITS) continue;
    for (const when of ["before", "after"] as const) {
      // Of the last ones, which are taken each time, one or the other.
      const isLast = commit > whole.commits - LAST_COMMITS;
      if (!IS_WHOLE && isLast && (commit + SEED) % 2 === (when === "before" ? 1 : 0)) continue;
      const once: Kill = { when, commit };
      rounds.set(`${when}-${commit}`, [once]);
      const isTwice = IS_WHOLE || (commit + SEED) % (2 * STRIDE) === 0;
      if (isTwice) rounds.set(`${when}-${commit}-twice`, [once, { when, commit: 1 + commit % 4 }]);
    }
  }
  const random = chance(SEED);
  for (let i = 1; i <= RANDOM_ROUNDS; i++) {
    const afterMs = (): number => Math.round(random() * whole.ms);
    rounds.set(`random-${i}`, [{ afterMs: afterMs() }, { afterMs: afterMs() }]);
  }
  return rounds;
}

Deno.test("The demo ends as if it had never been killed, wherever it is killed", async (t) => {
  const root = await Deno.makeTempDir();
  try {
    const whole = await baseline(root);
    assert(whole.commits > 20, `${whole.commits} commits`);
    const todo = [...plans(whole)];
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
    const count = todo.length;
    await t.step(`${count} rounds of ${whole.commits} commits, seed ${SEED}`, async () => {
      await Promise.all(Array.from({ length: LANES }, lane));
      assert.deepEqual(faults, [], `seed ${SEED}`);
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
