/**
 * Checking all trees over the API: what one who asks may cost the others.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { realClock } from "../providers/clock.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import type { Role } from "../server/principal.ts";
import { VirtualClock } from "../testing.ts";
import { sleeper } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

const talker = defineImage({
  name: "talker",
  program: async ({ sys }) => {
    for (let i = 0; i < 1_200; i++) await sys.clock.now({});
    await sys.process.exit({});
  },
});

/** A store whose logs are read no further from when they are held on. */
function gated() {
  const store = new MemoryStore();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let isHeld = false;
  const read = store.read.bind(store);
  store.read = async function* (tree, from) {
    if (isHeld) {
      begun.resolve();
      await gate.promise;
    }
    yield* read(tree, from);
  };
  return {
    store,
    hold: () => void (isHeld = true),
    begun: begun.promise,
    release: () => gate.resolve(),
  };
}

Deno.test("Whole logs are read so many at once for a token, and others go on", async () => {
  const { store, hold, release } = gated();
  await using at = await serverPlace({ runtime: { store } });
  await at.runtime.spawn(sleeper, { goal: "sleep" });
  await at.runtime.runUntilIdle();
  hold();
  const paths = ["trees/t_1/effects", "trees/t_1/policy/unused", "processes/p_1/least-authority"];
  const read = (i: number) => at.ask("viewer", `/v1/${paths[i % paths.length]}`);
  const asked = Array.from({ length: LIMITS.httpLogReadsPerPrincipalMax + 1 }, (_, i) => read(i));
  const refused = await Promise.race(asked);
  assert.equal(refused.status, 429);
  assert.match((await refused.json()).detail, /reads of whole logs at once, expected fewer/);
  release();
  const answers = await Promise.all(asked);
  assert.equal(answers.filter(({ status }) => status === 200).length, asked.length - 1);
  for (const answer of answers) if (!answer.bodyUsed) await answer.body?.cancel();
});

Deno.test("All trees are checked once at a time for a token, so often a minute, and others go on", async () => {
  const { store, hold, begun, release } = gated();
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { store }, serve: { clock } });
  await at.runtime.spawn(sleeper, { goal: "sleep" });
  await at.runtime.runUntilIdle();
  const check = (role: Role) => at.post(role, "/v1/audit/verify", {});
  hold();
  const first = check("viewer");
  await begun;
  const second = await check("viewer");
  assert.equal(second.status, 429);
  assert.equal(second.headers.get("retry-after"), "5");
  assert.match((await second.json()).detail, /1 checks of all trees by one token at once/);
  const others = ["approver", "operator"] as const;
  const [one, other] = others.map(check);
  const refused = await Promise.race([one!, other!]);
  assert.equal(refused.status, 429, "two at once are enough for the machine");
  assert.match((await refused.json()).detail, /2 checks of all trees at once/);
  const processes = await at.ask("viewer", "/v1/whoami");
  assert.equal(processes.status, 200, "and whoever asks something else is answered");
  await processes.body?.cancel();
  release();
  const done = await Promise.all([first, one!, other!]);
  assert.deepEqual(done.map(({ status }) => status).sort(), [200, 200, 429]);
  await first.then((answer) => answer.body?.cancel());
  for (const answer of done) if (!answer.bodyUsed) await answer.body?.cancel();
  for (let i = 1; i < LIMITS.auditChecksPerMinute; i++) {
    const answer = await check("viewer");
    assert.equal((await answer.json()).ok, true);
  }
  const late = await check("viewer");
  assert.equal(late.status, 429);
  await late.body?.cancel();
  const seconds = Number(late.headers.get("retry-after"));
  assert.equal(seconds, 60 / LIMITS.auditChecksPerMinute);
  await clock.advance(seconds * 1_000);
  assert.equal((await (await check("viewer")).json()).ok, true);
});

Deno.test("A store that is checked lets others have their turn", async () => {
  await using at = await serverPlace();
  await at.runtime.spawn(talker, { goal: "talk", grants: [allow("clock.now")] });
  await at.runtime.runUntilIdle();
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) realClock.soon(count);
  };
  count();
  const checked = await at.runtime.verify();
  isOver = true;
  const lines = checked.reduce((sum, { lines }) => sum + lines, 0);
  assert(lines > 1_024 && turns >= Math.floor(lines / 256), `${turns} turns for ${lines} lines`);
});
