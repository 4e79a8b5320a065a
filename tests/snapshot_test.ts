/**
 * When a tree's state is written down: between steps, as far as they end.
 * @module
 */

import assert from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import type { Snapshot } from "../kernel/store.ts";
import type { State } from "../kernel/state.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import type { Program } from "../runtime/program.ts";
import { imageOf, inWorld } from "./world_fixture.ts";

const EVERY = LIMITS.snapshotEveryLinesMin;
const AT_ONCE = LIMITS.callsInFlightPerProcessMax;

/** A store that notes what is written down. */
class Noting extends MemoryStore {
  readonly written: Snapshot[] = [];

  override putSnapshot(tree: "t_1", snapshot: Snapshot): Promise<void> {
    this.written.push(snapshot);
    return super.putSnapshot(tree, snapshot);
  }

  /** Calls of the step in hand that the nth snapshot holds. */
  inHand(n: number): number {
    const { processes } = JSON.parse(this.written[n]!.state) as State;
    return Object.keys(processes["p_1"]!.journal).length;
  }
}

/** A program of so many steps of so many calls, which waits at the end of the last one. */
function steps(count: number, calls: number): ReturnType<typeof imageOf> {
  const program: Program = async ({ sys, step }) => {
    for (let at = 0; at < calls; at += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, calls - at) }, (_, i) => at + i);
      await Promise.all(some.map((n) => sys.object.create({ name: `${step}-${n}`, value: n })));
    }
    if (step === count) await sys.message.receive({});
  };
  return imageOf(() => Promise.resolve(null), { program });
}

Deno.test("A snapshot that is due in a step is written when the step ends", async () => {
  const store = new Noting();
  await inWorld(async (world) => {
    await world.start(steps(3, EVERY / 2 + 50));
    assert.ok(store.written.length > 0);
    for (const n of store.written.keys()) assert.equal(store.inHand(n), 0);
  }, { store });
});

Deno.test("A step that does not end is written down when the tail is worth two snapshots", async () => {
  const store = new Noting();
  await inWorld(async (world) => {
    await world.start(steps(1, EVERY + 2 * AT_ONCE));
    const [first] = store.written;
    assert.ok(first!.seq >= 2 * EVERY && first!.seq < 2 * EVERY + 4 * AT_ONCE, `${first!.seq}`);
    assert.ok(store.inHand(0) > EVERY / 2);
  }, { store });
});
