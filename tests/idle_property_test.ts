/**
 * Trees that leave memory at any time, in random interleavings: nobody can tell.
 *
 * A failing seed is printed; `LIBOS_SEEDS=100 deno test` tries more of them.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask } from "../mod.ts";
import { MemoryStore, SeededRandom, VirtualClock } from "../testing.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import { codeOf, imageOf, START_MS, World } from "./world_fixture.ts";

const NONE = { quiet: 0, quietMs: 0, asking: 0 } as const;
const GRANTS = [allow("human.*"), allow("message.send"), ask("file.write", "./d/**")];
const ANSWER = { outcome: "answer", value: "so" } as const;
const TREES = 6;
const ROUNDS = 12;

/** Takes messages that say what to do next, so that what happens is up to the test. */
const ACTOR = imageOf(async ({ sys }) => {
  for (let n = 0;; n++) {
    const { messages } = await sys.message.receive({ timeoutMs: 60_000 });
    const said = messages[0]?.["data"] as { readonly do: string; readonly to?: `p_${string}` };
    if (said === undefined) continue;
    switch (said.do) {
      case "sleep":
        await sys.clock.sleep({ ms: 20_000 });
        break;
      case "ask":
        await sys.object.create({
          name: `answer-${n}`,
          value: (await sys.human.ask({ prompt: "?" })).answer,
        });
        break;
      case "write":
        await sys.object.create({ name: `note-${n}`, value: n });
        break;
      case "send":
        await sys.message.send({ to: said.to!, data: { do: "write" } });
        break;
      case "file":
        await codeOf(sys.file.write({ path: `d/${n}`, text: "x" }));
        break;
      default:
        return n;
    }
  }
}, { name: "actor" });

/** A store whose answers come late, while trees leave. */
function late(inner: Store, turn: () => Promise<void>): Store {
  return new Proxy(inner, {
    get(target, name) {
      const method = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      if (name === "read" || name === "close") return method.bind(target);
      return async (...args: unknown[]) => {
        await turn();
        const answer = await method.apply(target, args);
        await turn();
        return answer;
      };
    },
  });
}

/** The heads of all logs after the same things happened; with `leaves`, trees leave at any time. */
async function play(seed: number, leaves: boolean): Promise<{
  readonly heads: readonly string[];
  readonly left: number;
}> {
  const events = new SeededRandom(seed);
  const chance = new SeededRandom(seed + 1_000);
  const inner = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  let left = 0;
  let world: World | undefined = undefined;
  const leave = (): void => {
    const before = world!.os.node.trees.length;
    world!.os.node.leaveIdle(NONE);
    left += before - world!.os.node.trees.length;
  };
  const turn = async (): Promise<void> => {
    for (let i = chance.below(3); i > 0; i--) {
      await new Promise<void>((resolve) => clock.soon(resolve));
      clock.soon(leave);
    }
  };
  world = new World({ clock, store: leaves ? late(inner, turn) : inner });
  for (let i = 0; i < TREES; i++) await world.start(ACTOR, { grants: GRANTS });
  for (let round = 0; round < ROUNDS; round++) {
    const jobs = await doings(world, events);
    await Promise.all(jobs.map((job) => job()));
    await world.os.runUntilIdle();
    if (events.below(2) === 0) await world.pass(events.below(30_000));
    if (leaves) { for (let i = 0; i < 3; i++) leave(); }
  }
  for (let i = 1; i <= TREES; i++) await (await world.os.get(`p_${i}`))!.signal("kill", "over");
  await world.os.runUntilIdle();
  const heads = [];
  for (let i = 1; i <= TREES; i++) heads.push((await inner.head(`t_${i}`))!.head);
  await world.close();
  return { heads, left };
}

const DOINGS = ["sleep", "ask", "write", "write", "file", "nothing", "answer", "pause", "resume"];

/**
 * What happens in a round, at once: one thing to each tree, and to one of them a message of another
 * tree. One that is sent to does nothing else: the order in its log is then certain.
 */
async function doings(world: World, events: SeededRandom): Promise<(() => Promise<unknown>)[]> {
  const from = events.below(TREES);
  const to = (from + 1) % TREES;
  const jobs: (() => Promise<unknown>)[] = [];
  for (let i = 0; i < TREES; i++) {
    const what = DOINGS[events.below(DOINGS.length)]!;
    const process = (await world.os.get(`p_${i + 1}`))!;
    const { state } = await world.tree(`t_${i + 1}` as TreeId);
    if (i === to || what === "nothing") continue;
    if (i === from) {
      // It sends now, or not at all: later the other tree could do something in the same turn.
      if ((await process.info()).waiting?.on.reason !== "message") continue;
      jobs.push(() => process.send({ do: "send", to: `p_${to + 1}` }));
    } else if (what === "pause" || what === "resume") jobs.push(() => codeOf(process.signal(what)));
    else if (what !== "answer") jobs.push(() => process.send({ do: what }));
    else {
      const request = Object.values(state.requests).find(({ status }) => status === "pending");
      if (request === undefined) continue;
      const answer = request.kind === "permission" ? { outcome: "approve" } as const : ANSWER;
      jobs.push(() => world.os.approvals.decide(request.id, answer));
    }
  }
  return jobs;
}

const SEEDS = Number(Deno.env.get("LIBOS_SEEDS") ?? 12);
const FIRST = Number(Deno.env.get("LIBOS_SEED") ?? 1);

Deno.test("Whenever trees leave memory, their logs are what they are when none does", async () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const kept = await play(seed, false);
    const gone = await play(seed, true);
    assert.ok(gone.left > 0, `LIBOS_SEED=${seed}: nothing left`);
    assert.deepEqual(gone.heads, kept.heads, `LIBOS_SEED=${seed}`);
  }
});
