/**
 * G5 at most once, or told: an effect nobody can tell of is taken back, where its provider can.
 * @module
 */

import assert from "node:assert/strict";
import { z } from "zod";
import { syscall } from "../broker/syscall.ts";
import { RIGHTS, SYSCALLS } from "../broker/table.ts";
import type { EventMap, ImageData } from "../kernel/event.ts";
import { hashOf, type Json } from "../kernel/json.ts";
import { plant } from "../kernel/spawn.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { realClock } from "../providers/clock.ts";
import { Node } from "../runtime/node.ts";
import { effectsOfTree } from "../runtime/effects.ts";
import { readLines } from "../runtime/load.ts";
import { codeOf } from "./world_fixture.ts";

class OpenStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A far place where bookings are made; nobody can ask it whether one was. */
class Place {
  readonly booked = new Set<string>();
  isStuck = true;
  isBroken = false;
  undone = 0;

  readonly calls = {
    "place.book": syscall({
      about: "Book a seat",
      effect: "emit",
      args: z.strictObject({ seat: z.string() }),
      reply: z.strictObject({}),
      needs: ({ seat }) => [{ right: "place.book", resource: seat }],
      run: (at, { seat }) => {
        this.booked.add(`${seat} ${at.idempotencyKey}`);
        return this.isStuck ? new Promise(() => {}) : Promise.resolve({});
      },
      lost: () => Promise.resolve({ state: "unknown" }),
      compensate: (at, { seat }) => {
        if (this.isBroken) return Promise.reject(new Error("the line is down"));
        this.undone += 1;
        this.booked.delete(`${seat} ${at.idempotencyKey}`);
        return Promise.resolve();
      },
    }),
  };

  node(store: MemoryStore): Node {
    return new Node({
      id: "test",
      store,
      table: { ...SYSCALLS, ...this.calls },
      context: { rights: [...RIGHTS, "place.book"] },
      concurrency: 4,
      autorun: false,
      alone: true,
      program: () => async ({ sys }) => {
        const call = sys as unknown as (name: string, args: Json) => Promise<Json>;
        const first = await codeOf(call("place.book", { seat: "1A" }));
        await sys.process.exit({ result: first });
      },
      world: {
        clock: realClock,
        random: { bytes: (length) => new Uint8Array(length) },
        files: null,
        model: () => undefined,
        tool: () => undefined,
        workshop: null,
        shell: null,
        mcp: null,
        history: () => Promise.reject(new Error("no history here")),
        branches: {
          reserve: () => Promise.reject(new Error("no branches here")),
          isStarted: () => Promise.resolve(false),
          start: () => Promise.reject(new Error("no branches here")),
        },
      },
    });
  }
}

const DATA: Omit<ImageData, "hash"> = {
  name: "traveller",
  version: "1",
  program: "any",
  instructions: "",
  model: null,
  tools: [],
  requests: [],
  budget: {},
  stepsMax: 10,
  types: {},
};
const IMAGE: ImageData = { ...DATA, hash: hashOf(DATA as unknown as Json) };

/** Books a seat, dies while the booking is under way, and comes back. */
async function afterDeath(
  place: Place,
): Promise<{ readonly node: Node; readonly store: OpenStore }> {
  const store = new OpenStore();
  const before = place.node(store);
  await before.plant(null, (draft) =>
    plant(draft, {
      key: null,
      nonce: "00",
      policy: "",
      ceiling: [{ right: "place.book", resource: "**" }],
      images: [IMAGE],
      caps: [{ right: "place.book", resource: "**", usesMax: 1 }],
      image: IMAGE,
      goal: "travel",
      input: null,
      cwd: ".",
      rules: "",
      grants: [],
      labels: {},
      budget: {},
      priority: 10,
    }));
  void before.runUntilIdle();
  while (place.booked.size === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  place.isStuck = false;
  return { node: place.node(store), store };
}

async function outcomes(store: OpenStore): Promise<EventMap["call.outcome"][]> {
  const lines = await Array.fromAsync(readLines(store, "t_1"));
  return lines.filter(({ type }) => type === "call.outcome")
    .map(({ data }) => data as EventMap["call.outcome"]);
}

Deno.test("G5 an effect that nobody can tell of is taken back, once, and its use given back", async () => {
  const place = new Place();
  const { node, store } = await afterDeath(place);
  await node.runUntilIdle();
  assert.equal(place.undone, 1);
  assert.deepEqual([...place.booked], []);
  const [outcome, ...others] = await outcomes(store);
  assert.deepEqual(others, []);
  assert.equal(outcome!.via, "compensated");
  assert.equal(outcome!.restores.length, 1);
  const [told] = await effectsOfTree(store, "t_1", null);
  assert.deepEqual([told!.state, told!.via], ["compensated", "compensated"]);
  const { life } = (await node.open("t_1")).state.processes["p_1"]!;
  assert.ok(life.state === "ended" && life.outcome.kind === "exited");
  assert.equal(life.outcome.result, "ECANCELED");
  await node.stop();
});

Deno.test("G5 what cannot be taken back either is put before a person", async () => {
  const place = new Place();
  place.isBroken = true;
  const { node, store } = await afterDeath(place);
  await node.runUntilIdle();
  const { state } = await node.open("t_1");
  assert.deepEqual(Object.values(state.requests).map(({ kind }) => kind), ["doubt"]);
  assert.deepEqual(await outcomes(store), []);
  assert.equal(place.booked.size, 1);
  await node.stop();
});
