/**
 * Authority: what finding the one capability, and the one rule, costs among very many.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { type Pid, treeOf } from "../kernel/ids.ts";
import { root } from "../kernel/spawn.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { infoRow, ratioRow, type Section, times } from "./measure.ts";
import { CAPS, Stage } from "./stage.ts";

const CALLS_PER_STEP = 200;
const STEPS = 80;
const STEPS_WARM = 20;
const GROUP = 8;
/** Each is measured this often, in turns. */
const ROUNDS = 4;
const GRANTS_PER_DRAFT = 1_000;

/** What a checked call costs its caller with so many capabilities, rules and sinks. */
async function measure(caps: number, rules: number, sinks = 0): Promise<number[]> {
  await using stage = new Stage(new MemoryStore());
  const waits: number[] = [];
  const policy = [
    ...Array.from({ length: rules }, (_, n) => `deny bench.look(forbidden-${n}/**)`),
    // One of them is for the call, and takes it.
    ...Array.from({ length: sinks }, (_, n) => `sink bench.look(area-${n}/**) trust>=user`),
  ];
  const pid = await stage.plant("look", { caps: [CAPS[3]], policy: policy.join("\n") });
  await grant(stage, pid, caps);
  stage.teach("look", async (call, { step }) => {
    for (let n = 0; n < CALLS_PER_STEP; n += GROUP) {
      const before = performance.now();
      for (let i = 0; i < GROUP; i++) await call("bench.look", { at: "area-7/here" });
      if (step > STEPS_WARM) waits.push((performance.now() - before) / GROUP);
    }
    if (step === STEPS + STEPS_WARM) await call("process.exit", {});
  });
  await stage.run(pid);
  return waits;
}

async function grant(stage: Stage, pid: Pid, caps: number): Promise<void> {
  const tree = await stage.node.open(treeOf(pid));
  for (let n = 0; n < caps;) {
    const draft = new Draft(tree, tree.state.atMs);
    for (const until = Math.min(caps, n + GRANTS_PER_DRAFT); n < until; n++) {
      const given = { subject: pid, right: "bench.look", resource: `area-${n}/**` };
      draft.add("cap.granted", root(draft, given, { via: "boot", by: "boot" }));
    }
    tree.commit(draft);
  }
  await stage.node.durable(tree);
}

/** Calls of a process with many capabilities, and under many rules. */
export async function authority(): Promise<Section> {
  const few: number[] = [], lots: number[] = [], strict: number[] = [], watched: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    few.push(...await measure(10, 0));
    lots.push(...await measure(10_000, 0));
    strict.push(...await measure(10, 1_000));
    watched.push(...await measure(10, 0, 1_000));
  }
  const [ten, many] = [times(few), times(lots)];
  const [ruled, sunk] = [times(strict), times(watched)];
  return {
    title: "Authority: a checked call, as its caller waits",
    rows: [
      infoRow("10 capabilities", ten),
      ratioRow("10,000 capabilities", many, { raw: ten, ratioMax: 1.2 }),
      ratioRow("10 capabilities and 1,000 rules", ruled, { raw: ten, ratioMax: 1.5 }),
      ratioRow("10 capabilities and 1,000 sinks", sunk, { raw: ten, ratioMax: 1.5 }),
    ],
    notes: ["Raw is the same call with 10 capabilities and no rule."],
  };
}
