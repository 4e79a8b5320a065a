/**
 * G10: every limit that a call can reach is kept at one side of it and refused at the other.
 * @module
 */

import assert from "node:assert/strict";
import { z } from "zod";
import { allow, defineTool, type Sys } from "../mod.ts";
import { RIGHTS } from "../broker/table.ts";
import { Draft } from "../kernel/draft.ts";
import { LIMITS } from "../kernel/limits.ts";
import { canonical } from "../kernel/json.ts";
import { end, processOf } from "../kernel/process.ts";
import type { State } from "../kernel/state.ts";
import { Tree } from "../kernel/tree.ts";
import { errorOf, imageOf, inWorld } from "./world_fixture.ts";

interface Bound {
  readonly code: string;
  /** Brings a process to just before the limit. */
  readonly before?: (sys: Sys) => Promise<unknown>;
  /** A call that is let through. */
  readonly inside: (sys: Sys) => Promise<unknown>;
  /** The same one further. */
  readonly outside: (sys: Sys) => Promise<unknown>;
}

const text = (length: number): string => "x".repeat(length);
const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)];
const times = async (n: number, job: (i: number) => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < n; i++) await job(i);
};
const path = (length: number): string => `d/${text(length - 4)}`.replace(/(.{200})/g, "$1/");

const BOUNDS: Readonly<Record<string, Bound>> = {
  callArgumentBytesMax: {
    code: "ELIMIT",
    inside: (sys) => sys.object.create({ name: "a", value: text(2 ** 20 - 100) }),
    outside: (sys) => sys.object.create({ name: "b", value: text(2 ** 20) }),
  },
  jsonDepthMax: {
    code: "ELIMIT",
    // The arguments themselves are one level, and so is the innermost array's place.
    inside: (sys) => sys.object.create({ name: "a", value: deep(63) as never }),
    outside: (sys) => sys.object.create({ name: "b", value: deep(64) as never }),
  },
  goalBytesMax: {
    code: "EINVAL",
    inside: (sys) => sys.process.fork({ goal: text(LIMITS.goalBytesMax) }),
    outside: (sys) => sys.process.fork({ goal: text(LIMITS.goalBytesMax + 1) }),
  },
  pathBytesMax: {
    code: "EINVAL",
    inside: (sys) => sys.process.chdir({ path: path(3_900) }),
    outside: (sys) => sys.process.chdir({ path: text(LIMITS.pathBytesMax + 1) }),
  },
  resourceSegmentsMax: {
    code: "EINVAL",
    inside: (sys) => sys.process.chdir({ path: "a/".repeat(62) }),
    outside: (sys) => sys.process.chdir({ path: "a/".repeat(64) }),
  },
  ruleBytesMax: {
    code: "EINVAL",
    inside: (sys) => sys.capability.explain({ rule: `file.read(./${text(1_000)})` }),
    outside: (sys) => sys.capability.explain({ rule: `file.read(./${text(1_020)})` }),
  },
  sleepMsMax: {
    code: "EINVAL",
    inside: (sys) => sys.message.receive({ timeoutMs: 0 }),
    outside: (sys) => sys.clock.sleep({ ms: LIMITS.sleepMsMax + 1 }),
  },
  randomBytesMax: {
    code: "EINVAL",
    inside: (sys) => sys.random.bytes({ length: LIMITS.randomBytesMax }),
    outside: (sys) => sys.random.bytes({ length: LIMITS.randomBytesMax + 1 }),
  },
  findResultsMax: {
    code: "EINVAL",
    inside: (sys) => sys.object.find({ query: "x", limit: LIMITS.findResultsMax }),
    outside: (sys) => sys.object.find({ query: "x", limit: LIMITS.findResultsMax + 1 }),
  },
  requestPromptBytesMax: {
    code: "EINVAL",
    inside: (sys) => sys.human.tell({ message: text(LIMITS.requestPromptBytesMax) }),
    outside: (sys) => sys.human.tell({ message: text(LIMITS.requestPromptBytesMax + 1) }),
  },
  requestsPendingPerTreeMax: {
    code: "EAGAIN",
    before: (sys) =>
      times(LIMITS.requestsPendingPerTreeMax - 1, (i) => sys.human.tell({ message: `${i}` })),
    inside: (sys) => sys.human.tell({ message: "last" }),
    outside: (sys) => sys.human.tell({ message: "over" }),
  },
  messageBytesMax: {
    code: "ELIMIT",
    inside: (sys) => sys.message.send({ to: "p_1", data: text(LIMITS.messageBytesMax - 2) }),
    outside: (sys) => sys.message.send({ to: "p_1", data: text(LIMITS.messageBytesMax - 1) }),
  },
  mailboxMessagesMax: {
    code: "EAGAIN",
    before: (sys) =>
      times(LIMITS.mailboxMessagesMax - 1, (i) => sys.message.send({ to: "p_1", data: i })),
    inside: (sys) => sys.message.send({ to: "p_1", data: "last" }),
    outside: (sys) => sys.message.send({ to: "p_1", data: "over" }),
  },
  linksPerObjectMax: {
    code: "ELIMIT",
    before: async (sys) => {
      await sys.object.create({ name: "a" });
      const link = (i: number) => sys.object.link({ object: "a", relation: `r${i}`, to: "a" });
      await times(LIMITS.linksPerObjectMax - 1, link);
    },
    inside: (sys) => sys.object.link({ object: "a", relation: "last", to: "a" }),
    outside: (sys) => sys.object.link({ object: "a", relation: "over", to: "a" }),
  },
  policyBytesMax: {
    code: "EINVAL",
    inside: (sys) => sys.process.fork({ rules: `#${text(1_000)}` }),
    outside: (sys) => sys.process.fork({ rules: text(LIMITS.policyBytesMax + 1) }),
  },
  policyRulesMax: {
    code: "EINVAL",
    inside: (sys) => sys.process.fork({ rules: "" }),
    outside: (sys) =>
      sys.process.fork({
        rules: Array.from({ length: 2_049 }, (_, i) => `deny file.read(./${i})`).join("\n"),
      }),
  },
  callsPerStepMax: {
    code: "ELIMIT",
    before: (sys) => times(LIMITS.callsPerStepMax - 2, () => sys.process.cwd()),
    inside: (sys) => sys.process.cwd(),
    outside: async (sys) => {
      await sys.process.cwd();
      await sys.process.cwd();
    },
  },
};

for (const [limit, { code, before, inside, outside }] of Object.entries(BOUNDS)) {
  Deno.test(`G10 bounded: ${limit} is kept at one side and refused with ${code} at the other`, () =>
    inWorld(async (world) => {
      let said: string | undefined;
      const image = imageOf(async ({ sys, step }) => {
        if (step !== 1) return;
        await before?.(sys);
        await inside(sys);
        const lines = world.os.node.trees[0]!.state.seq;
        const error = await errorOf(outside(sys));
        said = `${error?.code}`;
        assert.match(error!.message, /^Cannot [a-z]+ .+[^.]$/s);
        // What was refused before the door leaves no line; after it, the line of the refusal.
        assert.ok(world.os.node.trees[0]!.state.seq <= lines + 2);
      });
      const only = { ...image, program: onlyRoot(image.program!) };
      await world.start(only, {
        grants: [allow("human.tell"), allow("process.fork"), allow("message.send")],
      });
      await world.untilDone();
      assert.equal(said, code);
    }));
}

/** The program for the root; its forks just wait, and end with it. */
function onlyRoot(program: NonNullable<ReturnType<typeof imageOf>["program"]>): typeof program {
  return async (context) => {
    if (context.pid === "p_1") return await program(context);
    await context.sys.message.receive({});
  };
}

Deno.test("G10 bounded: callsInFlightPerProcessMax calls are in flight, and more are refused with EAGAIN", () =>
  inWorld(async (world) => {
    const codes = await world.result(async ({ sys }) => {
      const calls = Array.from({ length: 60 }, () => errorOf(sys.file.stat({ path: "a" })));
      return (await Promise.all(calls)).map((error) => error?.code ?? "ok");
    }, { grants: [allow("file.stat")] });
    const max = LIMITS.callsInFlightPerProcessMax + LIMITS.callNestingMax;
    const expected = Array.from({ length: 60 }, (_, i) => i < max ? "ok" : "EAGAIN");
    assert.deepEqual(codes, expected);
  }));

Deno.test("G10 bounded: callNestingMax calls nest, and one more is refused with ELIMIT", () =>
  inWorld(async (world) => {
    let deepest = 0;
    const tool = defineTool({
      name: "nest",
      description: "Call itself",
      inputSchema: z.object({ depth: z.number() }),
      async execute({ depth }, { sys }): Promise<unknown> {
        deepest = depth;
        return await sys.tool.call({ name: "nest", input: { depth: depth + 1 } });
      },
    });
    const process = await world.start(imageOf(async ({ sys }) => {
      const error = await errorOf(sys.tool.call({ name: "nest", input: { depth: 1 } }));
      return [error?.code, error?.detail?.["limit"]];
    }, { tools: [tool] }));
    assert.deepEqual((await world.ended(process)).result, ["ELIMIT", "callNestingMax"]);
    assert.equal(deepest, LIMITS.callNestingMax);
  }));

Deno.test("G10 bounded: processDepthMax generations live, and one more is refused with ELIMIT", () =>
  inWorld(async (world) => {
    const image = imageOf(async ({ sys, goal }): Promise<unknown> => {
      const error = await errorOf(sys.process.spawn({
        image: "nested",
        goal: String(Number(goal) + 1),
        grants: ["process.spawn(**)"],
      }));
      return error === undefined ? await sys.message.receive({}) : [goal, error.code];
    }, { name: "nested" });
    await world.start(image, { goal: "1", grants: [allow("process.spawn")] });
    const all = Object.values((await world.tree()).state.processes);
    assert.equal(all.length, LIMITS.processDepthMax);
    const [last] = all.filter(({ life }) => life.state === "ended");
    assert.ok(last?.life.state === "ended" && last.life.outcome.kind === "exited");
    assert.deepEqual(last.life.outcome.result, [String(LIMITS.processDepthMax), "ELIMIT"]);
    await (await world.os.get("p_1"))!.signal("kill");
  }));

Deno.test("G10 bounded: a step more than an image allows ends its process with ELIMIT", () =>
  inWorld(async (world) => {
    let steps = 0;
    const image = imageOf(() => Promise.resolve(), { maxSteps: 3 });
    const program = () => {
      steps += 1;
      return Promise.resolve();
    };
    const process = await world.start({ ...image, program });
    const { outcome } = await world.ended(process);
    assert.deepEqual([steps, outcome.kind === "failed" && outcome.code], [3, "ELIMIT"]);
  }));

Deno.test("G10 bounded: versions of an object that are kept", () =>
  inWorld(async (world) => {
    await world.result(async ({ sys }) => {
      await sys.object.create({ name: "a", value: 0, mutable: true });
      await times(LIMITS.objectVersionsKeptMax + 5, (i) =>
        sys.object.write({ object: "a", value: i, from: i + 1 }));
    });
    const { object } = (await world.tree()).lookUp("p_1/a");
    assert.equal(object!.versions.length, LIMITS.objectVersionsKeptMax);
    assert.equal(object!.version, LIMITS.objectVersionsKeptMax + 6);
  }));

Deno.test("G10 bounded: processesPerTreeMax processes are remembered, and the oldest that ended is not", () =>
  inWorld(async (world) => {
    await world.start(imageOf(({ sys }) => sys.message.receive({})));
    const live = await world.tree();
    const over = 50;
    const full = filled(JSON.parse(live.dump()) as State, LIMITS.processesPerTreeMax - 1);
    // A snapshot keeps its keys in another order than they were made in.
    let tree = Tree.load(canonical(full), "", CONTEXT);
    const folded = Tree.load(JSON.stringify(full), "", CONTEXT);
    for (let i = 0; i < over; i++) {
      const draft = new Draft(tree, world.clock.now());
      const root = tree.state.processes["p_1"]!;
      const { image, goal, input, cwd, priority, label } = root;
      const pid = draft.id("p");
      draft.add("process.spawned", {
        ...{ image, goal, input, cwd, priority, parent: "p_1", mode: "fork", view: null, label },
        ...{ pid, ephemeral: false, labels: {}, tools: [], rules: "", budget: {} },
      });
      const lines = [...tree.commit(draft)];
      const last = new Draft(tree, world.clock.now());
      end(last, processOf(tree.state, pid), { kind: "exited", code: 0, result: null });
      lines.push(...tree.commit(last));
      for (const line of lines) folded.replay(line);
      if (i === over / 2) tree = Tree.load(tree.dump(), "", CONTEXT);
    }
    const pids = Object.keys(tree.state.processes);
    assert.equal(pids.length, LIMITS.processesPerTreeMax);
    assert.ok(pids.includes("p_1") && !pids.includes(`p_1.${over}`));
    assert.ok(pids.includes(`p_1.${over + 1}`));
    assert.equal(tree.dump(), folded.dump());
    await (await world.os.get("p_1"))!.signal("kill");
  }));

const CONTEXT = { rights: RIGHTS };

/** A state in which the root has had `count` children, all ended. */
function filled(state: State, count: number): State {
  const root = state.processes["p_1"]!;
  const outcome = { kind: "exited", code: 0, result: null } as const;
  for (let i = 1; i <= count; i++) {
    const pid = `p_1.${i}` as const;
    const life = { state: "ended", outcome, atMs: state.atMs } as const;
    state.processes[pid] = { ...structuredClone(root), pid, parent: "p_1", life, journal: {} };
    root.children.push(pid);
  }
  for (const process of Object.values(state.processes).slice(1)) process.children = [];
  state.next.p = count + 1;
  return state;
}
