/**
 * Generated tools in kernels that die: the tool is run again from its top, and nobody can tell.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type Json } from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import type { Line } from "../kernel/event.ts";
import type { Pid } from "../kernel/ids.ts";
import { drive, type FakeOs, FakeWorkshop, install } from "./fake_sandbox.ts";
import { CountedFiles, imageOf, START_MS } from "./world_fixture.ts";
import { type DeathPlan, Died, MortalWorld } from "./world_fixture_crash.ts";

/** What the tool asks for, in order. Times are left out of what it gives: they pass as they will. */
const CALLS: readonly (readonly [string, unknown])[] = [
  ["file.read", { path: "in" }],
  ["file.write", { path: "one", text: "1" }],
  ["file.read", { path: "absent" }],
  ["file.read", { path: 3 }],
  ["object.create", { name: "log", list: true }],
  ["object.append", { object: "log", item: "a" }],
  ["no.such", { x: 1 }],
  ["__proto__", {}],
  ["tool.list", {}],
  ["file.remove", { path: "in" }],
  ["message.send", { to: "p_1", data: "hi" }],
  ["clock.wait", { ms: 250 }],
  ["message.receive", {}],
  ["file.write", { path: "two", text: "2" }],
  ["clock.sleep", { ms: 3_600_000 }],
  ["object.append", { object: "log", item: "b" }],
  ["human.ask", { prompt: "More?" }],
  ["file.write", { path: "asked", text: "3" }],
  ["file.write", { path: "two", text: "4", mode: "create" }],
  ["object.read", { object: "log" }],
];
const RIGHTS = [
  "file.read(./**)",
  "file.write(./one)",
  "file.write(./two)",
  "file.write(./asked)",
  "object.*(log)",
  "message.send(p_1)",
  "message.receive",
  "human.ask",
];
const GRANTS = [
  allow("tool.register", "**"),
  allow("file.read", "./**"),
  allow("file.remove", "./**"),
  allow("file.write", "./one"),
  allow("file.write", "./two"),
  ask("file.write", "./asked"),
  allow("human.ask", "**"),
  allow("message.*", "**"),
];

async function tool(_: Json, os: FakeOs): Promise<Json> {
  const told: Json[] = [];
  for (const [name, args] of CALLS) {
    try {
      told.push(stable(name, await os.call(name, args as Json)));
    } catch (error) {
      told.push((error as { readonly code: string }).code);
    }
  }
  return told;
}

function stable(name: string, reply: Json): Json {
  const found = reply as { readonly [key: string]: Json };
  switch (name) {
    case "file.read":
      return found["text"]!;
    case "object.read":
      return found["value"]!;
    case "human.ask":
      return found["answer"]!;
    case "message.receive":
      return (found["messages"] as unknown as readonly { readonly data: Json }[])[0]!.data;
    default:
      return "ok";
  }
}

const AGENT = imageOf(async ({ sys }) => {
  await install(sys, "tool", { rights: RIGHTS });
  return (await sys.tool.call({ name: "tool" })).output;
}, { name: "agent" });

interface Ending {
  readonly result: unknown;
  readonly lives: number;
  readonly commits: number;
  readonly runs: number;
  readonly files: CountedFiles;
  readonly lines: readonly Line[];
}

async function liveThrough(plan: DeathPlan | null, diesAfterWrite?: number): Promise<Ending> {
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  const files = new CountedFiles();
  files.put("in", "input");
  let commits = 0;
  let runs = 0;
  for (let life = 1; life < 10; life++) {
    const workshop = FakeWorkshop.of({ tool });
    const world = new MortalWorld({
      store,
      clock,
      files,
      life,
      plan: life === 1 ? plan : null,
      ...(life === 1 && diesAfterWrite !== undefined ? { diesAfterWrite } : {}),
      options: { images: [AGENT], workshop },
    });
    try {
      const pid = await world.live(() => start(world));
      const result = await world.live(() => finish(world, workshop, pid));
      commits += world.mortal.commits;
      runs += workshop.started;
      const lines = await world.lines();
      await world.close();
      return { result, lives: life, commits, runs, files, lines };
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      runs += workshop.started;
      await clock.settle();
    }
  }
  throw new Error("The agent did not end in ten lives");
}

async function start(world: MortalWorld): Promise<Pid> {
  if (((await world.store.head("t_1"))?.seq ?? 0) > 0) return "p_1";
  const { pid } = await world.os.spawn(AGENT, { goal: "x", grants: GRANTS });
  return pid;
}

/** Plays the person and the passing of time until the agent has ended. */
async function finish(world: MortalWorld, workshop: FakeWorkshop, pid: Pid): Promise<unknown> {
  for (let turn = 0; turn < 50; turn++) {
    await drive(world, () => world.mortal.isDead);
    if (world.mortal.isDead) return await new Promise(() => {});
    assert.equal(workshop.running, 0, "a cage is held while its process waits");
    const process = (await world.os.get(pid))!;
    const { state } = await process.info();
    if (state === "ended") return (await process.wait()).outcome;
    const [request] = world.os.approvals.list();
    if (request === undefined) await world.clock.advance(600_000);
    else {
      const answer = request.kind === "permission"
        ? { outcome: "approve" } as const
        : { outcome: "answer", value: "no" } as const;
      await world.os.approvals.decide(request.id, answer);
    }
  }
  throw new Error("The agent did not end");
}

const EXPECTED = {
  kind: "exited",
  code: 0,
  result: [
    "input",
    "ok",
    "ENOENT",
    "EINVAL",
    "ok",
    "ok",
    "ENOSYS",
    "ENOSYS",
    "EPERM",
    "EPERM",
    "ok",
    "ok",
    "hi",
    "ok",
    "ok",
    "ok",
    "no",
    "ok",
    "EEXIST",
    ["a", "b"],
  ],
};

function check(ending: Ending, plan: string): void {
  assert.deepEqual(ending.result, EXPECTED, plan);
  for (const path of ["one", "two", "asked"]) {
    assert.equal(ending.files.count(`write ${path}`), 1, `${plan}: wrote ${path} again`);
  }
  assert.equal(ending.files.text("two"), "2", plan);
  const counts: Record<string, number> = {};
  for (const { type } of ending.lines) counts[type] = (counts[type] ?? 0) + 1;
  const once = ["tool.proposed", "tool.registered", "process.spawned", "process.ended"];
  for (const type of once) assert.equal(counts[type], 1, `${plan}: ${type}`);
  assert.equal(counts["object.appended"], 2, `${plan}: an item was added twice`);
  assert.equal(counts["message.sent"], 1, `${plan}: a message was sent twice`);
  assert.equal(counts["human.asked"], 2, `${plan}: asked more than once`);
  assert.equal(counts["call.intent"], counts["call.outcome"], `${plan}: an outcome is missing`);
  // Each place of the step has one answer, the tool's 20 among them.
  const keys = ending.lines.filter(({ type }) => type === "call.done" || type === "call.outcome")
    .map(({ data }) => data as unknown as { readonly step: number; readonly key: string })
    .map(({ step, key }) => `${step}/${key}`);
  assert.equal(new Set(keys).size, keys.length, `${plan}: a call has two answers`);
  assert.equal(keys.filter((key) => key.startsWith("1/3.")).length, CALLS.length + 2, plan);
}

Deno.test("A tool of twenty calls ends the same whether its kernel dies before or after any commit", async () => {
  const calm = await liveThrough(null);
  check(calm, "no crash");
  // Once from the start, and once more after each of three waits.
  assert.deepEqual([calm.lives, calm.runs], [1, 4]);
  assert.ok(calm.commits > 15, `only ${calm.commits} commits`);
  for (const when of ["before", "after"] as const) {
    // Before its first commit there is no agent yet.
    for (let at = when === "before" ? 2 : 1; at <= calm.commits; at++) {
      const ending = await liveThrough({ at, when });
      check(ending, `died ${when} commit ${at}`);
      assert.equal(ending.lives, 2);
    }
  }
});

Deno.test("A tool ends the same when its kernel dies after any of its writes and before the outcome", async () => {
  for (let n = 1; n <= 3; n++) {
    const ending = await liveThrough(null, n);
    check(ending, `died after write ${n}`);
    assert.equal(ending.lives, 2);
  }
});
