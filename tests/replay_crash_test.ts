/**
 * A kernel that dies at every single commit of an agent's life: the agent ends as if it never had.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask } from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import type { Pid } from "../kernel/ids.ts";
import { CountedFiles, imageOf, START_MS } from "./world_fixture.ts";
import { type DeathPlan, Died, MortalWorld } from "./world_fixture_crash.ts";

const CHILD = imageOf(async ({ sys, input }) => {
  await sys.object.create({ name: "results/double", value: Number(input) * 2 });
  await sys.file.write({ path: "child", text: "from the child" });
  return Number(input) * 2;
}, { name: "doubler" });

const TURNED = imageOf(async ({ sys }) => {
  const { value } = await sys.object.read({ object: "log" });
  await sys.file.write({ path: "turned", text: String((value as unknown[]).length) });
  return value;
}, { name: "turned" });

/** Ten things to do, over three steps and two images. */
const AGENT = {
  ...imageOf(() => Promise.resolve(null), { name: "agent" }),
  program: async ({ sys, step }: Parameters<NonNullable<typeof CHILD.program>>[0]) => {
    switch (step) {
      case 1: {
        await sys.object.create({ name: "log", list: true });
        await sys.file.write({ path: "first", text: "1" });
        await sys.object.append({ object: "log", item: "first" });
        await sys.file.write({ path: "approved", text: "2" });
        await sys.object.append({ object: "log", item: "approved" });
        return;
      }
      case 2: {
        await sys.clock.sleep({ ms: 1_000 });
        const { pid } = await sys.process.spawn({
          image: "doubler",
          goal: "double",
          input: 21,
          grants: ["file.write(./child)"],
        });
        const { ended } = await sys.process.wait({ pids: [pid], merge: true });
        const { outcome } = ended as { outcome: { result?: unknown } };
        await sys.object.append({ object: "log", item: (outcome.result ?? null) as never });
        const { answer } = await sys.human.ask({ prompt: "More?" });
        await sys.object.append({ object: "log", item: answer });
        return;
      }
      default: {
        await sys.file.write({ path: "once", text: "3" });
        await sys.process.exec({ image: "turned" });
      }
    }
  },
};

const GRANTS = [
  allow("file.write", "./first"),
  ask("file.write", "./approved"),
  allow("file.write", "./once", { uses: 1 }),
  allow("file.write", "./child"),
  allow("file.write", "./turned"),
  allow("process.*", "**"),
  allow("human.ask", "**"),
];

interface Ending {
  readonly result: unknown;
  readonly lives: number;
  readonly commits: number;
  readonly files: CountedFiles;
  readonly counts: Readonly<Record<string, number>>;
}

/** Lives until the agent has ended; the kernel's first life ends as planned. */
async function liveThrough(
  plan: DeathPlan | null,
  diesAfterWrite?: number,
): Promise<Ending> {
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  const files = new CountedFiles();
  let commits = 0;
  for (let life = 1; life < 10; life++) {
    const world = new MortalWorld({
      store,
      clock,
      files,
      life,
      plan: life === 1 ? plan : null,
      ...(life === 1 && diesAfterWrite !== undefined ? { diesAfterWrite } : {}),
      options: { images: [AGENT, CHILD, TURNED] },
    });
    try {
      const pid = await world.live(() => start(world));
      const result = await world.live(() => finish(world, pid));
      commits += world.mortal.commits;
      const lines = await world.lines();
      const counts: Record<string, number> = {};
      for (const { type } of lines) counts[type] = (counts[type] ?? 0) + 1;
      await world.close();
      return { result, lives: life, commits, files, counts };
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      await clock.settle();
    }
  }
  throw new Error("The agent did not end in ten lives");
}

async function start(world: MortalWorld): Promise<Pid> {
  // A key finds a tree only while it lives; the kernel may have died with the last commit.
  if (((await world.store.head("t_1"))?.seq ?? 0) > 0) return "p_1";
  const { pid } = await world.os.spawn(AGENT, {
    goal: "live",
    grants: GRANTS,
    images: [CHILD, TURNED],
    idempotencyKey: "agent",
  });
  return pid;
}

/** Plays the person and the passing of time until the agent has ended. */
async function finish(world: MortalWorld, pid: Pid): Promise<unknown> {
  for (let turn = 0; turn < 50; turn++) {
    await world.os.runUntilIdle();
    const process = (await world.os.get(pid))!;
    const { state } = await process.info();
    if (state === "ended") return (await process.wait()).outcome;
    const [request] = world.os.approvals.list();
    if (request === undefined) await world.clock.advance(1_000);
    else {
      const answer = request.kind === "permission"
        ? { outcome: "approve" } as const
        : { outcome: "answer", value: "no" } as const;
      await world.os.approvals.decide(request.id, answer);
    }
  }
  throw new Error("The agent did not end");
}

const EXPECTED = { kind: "exited", code: 0, result: ["first", "approved", 42, "no"] };
const WRITES = ["write first", "write approved", "write child", "write once", "write turned"];

function check(ending: Ending, plan: string, writesMax = 1): void {
  assert.deepEqual(ending.result, EXPECTED, plan);
  for (const write of WRITES) {
    const count = ending.files.count(write);
    assert.ok(count >= 1 && count <= writesMax, `${plan}: ${write} was done ${count} times`);
  }
  assert.equal(ending.counts["human.asked"], 2, `${plan}: asked more than once`);
  assert.equal(ending.counts["human.answered"], 2, `${plan}: answered more than once`);
  assert.equal(ending.counts["call.intent"], 5, `${plan}: an intent was made twice`);
  assert.equal(ending.counts["call.outcome"], 5, `${plan}: an outcome is missing or doubled`);
  assert.equal(ending.counts["object.appended"], 4, `${plan}: an item was added twice`);
  assert.equal(ending.counts["process.spawned"], 2, `${plan}: a child was started twice`);
}

Deno.test("An agent ends the same whether its kernel dies before or after any of its commits", async () => {
  const calm = await liveThrough(null);
  check(calm, "no crash");
  assert.equal(calm.lives, 1);
  assert.ok(calm.commits > 15, `only ${calm.commits} commits`);
  for (const when of ["before", "after"] as const) {
    for (let at = 1; at <= calm.commits; at++) {
      const ending = await liveThrough({ at, when });
      check(ending, `died ${when} commit ${at}`);
      assert.equal(ending.lives, 2);
    }
  }
});

Deno.test("An agent ends the same when its kernel dies after any write and before its outcome", async () => {
  for (let n = 1; n <= WRITES.length; n++) {
    const ending = await liveThrough(null, n);
    check(ending, `died after write ${n}`);
    assert.equal(ending.lives, 2);
  }
});
