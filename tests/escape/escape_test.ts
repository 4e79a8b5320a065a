/**
 * Hostile bodies against every tier: what must be held is held, and what is known not to be is not.
 *
 * `deno task escape` (LIBOS_ESCAPE=all) tries each body against each tier. By default the tier
 * "process" has all of them; "jail", which puts walls around the same cage, has each third one and
 * "worker" each fifth, beginning with another in another run, and of those that a Worker does not
 * hold a sample, since each of them takes a kernel with it. LIBOS_SEED repeats the choice of a run.
 * @module
 */

import assert from "node:assert/strict";
import { type Tier, TIERS } from "../../broker/sandbox.ts";
import { allBodies } from "./all.ts";
import { canTry, tryTier } from "./harness.ts";
import { CLASSES, type Hostile } from "./hostile.ts";
import { notHeld, unsteady } from "./residual.ts";
import { TABLE_PATH, tableOf } from "./table.ts";

const BODIES = await allBodies();
const IS_WHOLE = Deno.env.get("LIBOS_ESCAPE") === "all";
/** One of so many that a Worker does not hold is tried by default. */
const SAMPLE = 8;
/** Runs in which all bodies come before a tier, with fitting seeds. */
const TURNS: Readonly<Record<Tier, number>> = { process: 1, jail: 3, worker: 5 };
const SEED = Number(Deno.env.get("LIBOS_SEED") ?? Date.now() % 1_000_000);

function chosen(tier: Tier): (body: Hostile) => boolean {
  const open = BODIES.filter(({ name }) => notHeld(tier).has(name));
  const sample = new Set(open.filter((_, i) => i % SAMPLE === 0));
  const held = BODIES.filter(({ name }) => !notHeld(tier).has(name));
  const turn = new Set(held.filter((_, i) => (i + SEED) % TURNS[tier] === 0));
  return (body) => IS_WHOLE || turn.has(body) || sample.has(body);
}

for (const tier of TIERS) {
  const { can, why } = await canTry(tier);
  const name = `Tier "${tier}" holds every hostile body that it is said to, and no other`;
  Deno.test({ name: can ? name : `${name} (${why})`, ignore: !can }, async () => {
    const choose = chosen(tier);
    const { verdicts, noise } = await tryTier(tier, choose);
    const broken = verdicts.filter((one) => one.broken.length > 0);
    const unsaid = broken
      .filter(({ body }) => !notHeld(tier).has(body.name))
      .map((one) => [one.body.name, ...one.broken]);
    assert.deepEqual(unsaid, [], `Tier "${tier}" did not hold these, seed ${SEED}`);
    const found = broken.map(({ body }) => body.name).sort();
    const said = BODIES.filter((body) => choose(body) && notHeld(tier).has(body.name));
    const sure = said.map(({ name }) => name).filter((name) => !unsteady(tier).has(name));
    assert.deepEqual(
      found.filter((name) => !unsteady(tier).has(name)),
      sure.sort(),
      `Tier "${tier}" holds more`,
    );
    // Of what happened, not of the body's name; being slow beside others is the machine's.
    const grave = noise.filter((one) => {
      const what = one.slice(one.lastIndexOf('": ') + 3);
      return !what.startsWith("slow") &&
        /escaped|secret|stray|request|message|file|intrinsic/.test(what);
    });
    assert.deepEqual(grave, [], "Came once, and not again with the body alone");
  });
}

Deno.test("Hostile bodies have names of their own, and there are some of each class", () => {
  const names = BODIES.map(({ name }) => name);
  assert.deepEqual(names.filter((name, i) => names.indexOf(name) !== i), []);
  for (const one of CLASSES) {
    assert.equal(BODIES.some((body) => body.class === one), true, `No body is about ${one}`);
  }
  const known = new Set(names);
  const lost = TIERS.flatMap((tier) => [...notHeld(tier)].filter((name) => !known.has(name)));
  assert.deepEqual(lost, [], "A residual list names bodies that are not there");
});

Deno.test("docs/escape-table.md says what the bodies and the residual lists say", () => {
  // The formatter sets lines and the columns of tables.
  const flat = (text: string) => text.replace(/\s+/g, " ").replace(/-{3,}/g, "---");
  assert.equal(
    flat(Deno.readTextFileSync(TABLE_PATH)),
    flat(tableOf(BODIES)),
    "Write it anew by tests/escape/table.ts",
  );
});
