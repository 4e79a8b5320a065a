/**
 * The simulation behind docs/scale.md: the same each time, losing nothing, and over its limit where
 * more comes than can be done.
 * @module
 */

import assert from "node:assert/strict";
import { costsOf, measured, usual } from "../bench/simulation/main.ts";
import { Agenda, chance, simulate } from "../bench/simulation/model.ts";

const given = { ...usual(costsOf(measured())), agents: 200_000, forMs: 6_000, warmMs: 1_000 };

Deno.test("M1 The same seed gives the same result, another one another", () => {
  assert.deepEqual(simulate(given), simulate(given));
  assert.notDeepEqual(simulate(given), simulate({ ...given, seed: 2 }));
});

Deno.test("M2 Each wake comes to its steps where there is room, and work piles up where not", () => {
  const { wakes, steps, isOver, behind, busy } = simulate(given);
  // Those of its beginning and its end are half done.
  assert(Math.abs(steps / wakes - 3) < 0.1, `${steps} of ${wakes}`);
  assert.deepEqual([isOver, behind < 100, busy.most < 1], [false, true, true]);
  const costs = { ...given.costs, cores: 1, commitMs: 50, treeMs: 50 };
  const flooded = simulate({ ...given, costs });
  assert.equal(flooded.isOver, true);
  assert(flooded.steps < flooded.wakes && flooded.busy.most > 0.95, JSON.stringify(flooded));
});

Deno.test("More databases share the work, by the numbers of trees", () => {
  const one = simulate(given);
  const four = simulate({ ...given, shards: 4 });
  const ratio = one.busy.mean / four.busy.mean;
  assert(ratio > 3.5 && ratio < 4.5, `${ratio}`);
  assert(four.busy.most < 1.5 * four.busy.mean, "A database has more than its share");
});

Deno.test("Events come in the order of their times, and of coming where those are the same", () => {
  const random = chance(7);
  const agenda = new Agenda();
  const all = Array.from({ length: 2_000 }, (_, i) => [Math.floor(random() * 50), i] as const);
  for (const [atMs, what] of all) agenda.push(atMs, what);
  const came = Array.from(all, () => agenda.shift());
  assert.deepEqual(came, [...all].sort((a, b) => a[0] - b[0] || a[1] - b[1]));
});

Deno.test("docs/scale.md says what was measured", () => {
  const page = Deno.readTextFileSync(new URL("../docs/scale.md", import.meta.url));
  const { treeBytes, stepBytes, stepWalBytes, asked } = measured();
  for (const bytes of [treeBytes, stepBytes, stepWalBytes]) {
    assert(page.includes(` ${bytes.toLocaleString("en-US")} `), `${bytes}`);
  }
  for (const [kind, { pages, least }] of Object.values(asked).flatMap(Object.entries)) {
    const figure = `${pages.toLocaleString("en-US")}, ${least.toFixed(2)} ms`;
    assert(page.includes(kind) && page.includes(figure), `${kind}: ${figure}`);
  }
});
