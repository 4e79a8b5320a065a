/**
 * Published scenarios of agents that contend for one rate-limited API, in short: who dies, and that
 * nothing is lost. How long they take is measured by `deno task bench:hivemind`.
 * @module
 */

import assert from "node:assert/strict";
import { play } from "../bench/hivemind_agents.ts";
import { SCENARIOS, scenarios } from "../bench/hivemind.ts";

const SPEED = 150;
const SHORT = ["micro-10", "micro-20", "replay-11", "latency-spike"];
const all = await scenarios();
if (all === null) console.log(`skipped: no scenarios at "${SCENARIOS}"; see LIBOS_TEST_DATA`);

for (const scenario of all ?? []) {
  if (!SHORT.includes(scenario.id)) continue;
  for (const way of ["model", "proxy"] as const) {
    Deno.test(`In ${scenario.id} no agent dies behind a gate (${way}), and all have all their turns`, async () => {
      const gate = { concurrency: scenario.hm_concurrency };
      const came = await play(scenario, { way, speed: SPEED, seed: 7, gate });
      assert.equal(came.dead, 0);
      assert.equal(came.turns, scenario.agents * scenario.turns);
      assert.equal(came.seen.served, came.turns, "an answer was lost or asked for twice");
    });
  }
}

Deno.test("Without a gate agents die in a scenario where none does behind one", async () => {
  const scenario = all?.find(({ id }) => id === "micro-10");
  if (scenario === undefined) return;
  // As published but for its speed: the window outlasts all that the agents ask in it.
  const came = await play(scenario, { way: "direct", speed: 1, seed: 7 });
  assert.ok(came.dead > 0);
});
