/**
 * Generated tools that do several things at once: answers come in the order of the log in every
 * run, however fast or slow files, store and clock are the next time (P2).
 * @module
 */

import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import { allow, ask, type Json } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import type { Batch } from "../kernel/store.ts";
import { AgentProcess } from "../runtime/process.ts";
import { codeOf, CountedFiles, imageOf, World } from "./world_fixture.ts";
import { drive, type FakeOs, FakeWorkshop, install } from "./fake_sandbox.ts";

/** A call, and what is done when its answer has come. */
interface Node {
  readonly kind: keyof typeof KINDS;
  readonly then: readonly Node[];
}

/** Calls of every sort; each takes the node's place, which makes names unique. */
const KINDS = {
  read: () => ["file.read", { path: "in" }],
  write: (at: string) => ["file.write", { path: `out-${at}`, text: at }],
  asked: (at: string) => ["file.write", { path: `asked-${at}`, text: at }],
  append: (at: string) => ["object.append", { object: "log", item: at }],
  create: (at: string) => ["object.create", { name: at, value: at }],
  chance: () => ["random.bytes", { length: 8 }],
  now: () => ["clock.now", {}],
  wait: () => ["clock.wait", { ms: 10 }],
  sleep: () => ["clock.sleep", { ms: 60_000 }],
  ask: (at: string) => ["human.ask", { prompt: at }],
  receive: () => ["message.receive", { timeoutMs: 5_000 }],
  undeclared: () => ["file.remove", { path: "in" }],
  malformed: () => ["file.read", { path: 1 }],
  unknown: () => ["no.such", {}],
  closed: () => ["tool.list", {}],
} as const satisfies Record<string, (at: string) => readonly [string, Json]>;

const RIGHTS = ["file.read(./in)", "file.write(./**)", "object.*", "human.ask", "message.receive"];
const GRANTS = [
  allow("tool.register", "**"),
  allow("file.read", "./in"),
  allow("file.remove", "./in"),
  allow("file.write", "./**"),
  ask("file.write", "./asked*"),
  allow("human.ask", "**"),
  allow("message.receive", "**"),
];

const { nodes } = fc.letrec<{ nodes: readonly Node[]; node: Node }>((tie) => ({
  nodes: fc.array(tie("node"), { maxLength: 4, depthIdentifier: "calls" }),
  node: fc.record({
    kind: fc.constantFrom(...Object.keys(KINDS) as Node["kind"][]),
    then: fc.oneof({ maxDepth: 2, depthIdentifier: "calls" }, fc.constant([]), tie("nodes")),
  }),
}));

/** A store whose every commit takes some turns. */
class SlowStore extends MemoryStore {
  readonly #turns: () => number;

  constructor(turns: () => number) {
    super();
    this.#turns = turns;
  }

  override async commit(batches: readonly Batch[]): Promise<void> {
    await pause(this.#turns());
    await super.commit(batches);
  }
}

async function pause(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

interface Told {
  readonly traces: readonly (readonly string[])[];
  readonly writes: readonly string[];
  readonly output: Json;
}

/** Runs a plan to its end; each run of the tool leaves what it heard, in order. */
async function play(plan: readonly Node[], delays: readonly number[]): Promise<Told> {
  let drawn = 0;
  const turns = (): number => delays[drawn++ % delays.length]!;
  const files = new CountedFiles();
  files.put("in", "x");
  files.before = () => pause(turns());
  files.after = () => pause(turns());
  const traces: string[][] = [];
  const tool = async (_: Json, os: FakeOs): Promise<Json> => {
    const trace = [`begun at ${os.now()} with ${os.seed}`];
    traces.push(trace);
    await perform(plan, "n", os, trace);
    return trace;
  };
  const workshop = FakeWorkshop.of({ tool });
  const world = new World({ store: new SlowStore(turns), files, workshop });
  const process = await world.start(
    imageOf(async ({ sys }) => {
      await sys.object.create({ name: "log", list: true });
      await install(sys, "tool", { rights: RIGHTS });
      await sys.message.receive({});
      return (await sys.tool.call({ name: "tool" })).output;
    }),
    { grants: GRANTS },
  );
  await process.send("go");
  const { result } = await finish(world, process, workshop);
  await world.close();
  return { traces, writes: files.done.filter((what) => what.startsWith("write")), output: result };
}

async function perform(
  plan: readonly Node[],
  at: string,
  os: FakeOs,
  trace: string[],
): Promise<void> {
  await Promise.all(plan.map(async ({ kind, then }, i) => {
    const place = `${at}${i}`;
    const [name, args] = KINDS[kind](place);
    let reply: Json = null;
    const code = await codeOf(os.call(name, args).then((given) => reply = given));
    trace.push(`${place} ${kind} ${code} ${JSON.stringify(reply)} at ${os.now()}`);
    await perform(then, place, os, trace);
  }));
}

async function finish(
  world: World,
  process: AgentProcess,
  workshop: FakeWorkshop,
): Promise<Awaited<ReturnType<World["ended"]>>> {
  for (let turn = 0; turn < 500; turn++) {
    await drive(world);
    const { state } = await process.info();
    if (state === "ended") return await world.ended(process);
    assert.equal(workshop.running, 0, "a cage is held while its process waits");
    const [request] = world.os.approvals.list();
    if (request === undefined) await world.clock.advance(30_000);
    else {
      await world.os.approvals.decide(
        request.id,
        request.kind === "permission" ? { outcome: "approve" } : { outcome: "answer", value: "a" },
      );
    }
  }
  throw new Error("The tool did not end");
}

/** Here the second run waits again before it has heard all that the first one heard. */
const SHORTER: [readonly Node[], number[]] = [
  [
    {
      kind: "undeclared",
      then: [{ kind: "undeclared", then: [] }, { kind: "asked", then: [] }],
    },
    { kind: "asked", then: [] },
  ],
  [0, 0, 2, 0, 0],
];

Deno.test("Each run of a tool hears what the last one hears, in the same order, as far as it gets", () =>
  fc.assert(
    fc.asyncProperty(
      nodes.filter((plan) => plan.length > 0),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 17 }),
      async (plan, delays) => {
        const { traces, writes, output } = await play(plan, delays);
        const last = output as readonly string[];
        for (const [i, trace] of traces.entries()) {
          assert.deepEqual(last.slice(0, trace.length), trace, `run ${i + 1} of ${traces.length}`);
        }
        assert.equal(new Set(writes).size, writes.length, "a file was written twice");
      },
    ),
    { numRuns: Number(Deno.env.get("LIBOS_RUNS") ?? 60), examples: [SHORTER] },
  ));

Deno.test("A slow read that was begun first is heard after a fast one, in both runs", async () => {
  const files = new CountedFiles();
  files.put("fast", "");
  files.put("slow", "");
  const traces: string[][] = [];
  let isSlow = "read slow";
  files.before = (what) => what === isSlow ? pause(20) : undefined;
  const workshop = FakeWorkshop.of({
    tool: async (_, os) => {
      const trace: string[] = [];
      traces.push(trace);
      const read = async (path: string): Promise<void> => {
        await os.call("file.read", { path });
        trace.push(path);
      };
      await Promise.all([read("slow"), read("fast")]);
      // The next time it is the other that would be slow.
      isSlow = "read fast";
      await os.call("human.ask", { prompt: "?" });
      return trace;
    },
  });
  const world = new World({ workshop, files });
  const process = await world.start(
    imageOf(async ({ sys }) => {
      await install(sys, "tool", { rights: ["file.read(./**)", "human.ask"] });
      return (await sys.tool.call({ name: "tool" })).output;
    }),
    { grants: GRANTS.concat(allow("file.read", "./**")) },
  );
  const { result } = await finish(world, process, workshop);
  assert.deepEqual([result, traces], [["fast", "slow"], [["fast", "slow"], ["fast", "slow"]]]);
  assert.equal(files.count("read slow"), 1);
  await world.close();
});

Deno.test("More calls at once than may be in flight are refused at the same places in every run", async () => {
  const traces: string[][] = [];
  const workshop = FakeWorkshop.of({
    tool: async (_, os) => {
      const trace: string[] = [];
      traces.push(trace);
      await Promise.all(Array.from({ length: 60 }, async (_, i) => {
        // Defaults are filled in at the door, and the text is more than a refusal keeps.
        const args = { path: `f${i}`, text: "x".repeat(9_000) };
        trace.push(`${i} ${await codeOf(os.call("file.write", args))}`);
      }));
      await os.call("human.ask", { prompt: "?" });
      return trace.filter((line) => line.endsWith("EAGAIN")).length;
    },
  });
  const world = new World({ workshop });
  const process = await world.start(
    imageOf(async ({ sys }) => {
      await install(sys, "tool", { rights: RIGHTS });
      return (await sys.tool.call({ name: "tool" })).output;
    }),
    { grants: GRANTS },
  );
  const { result } = await finish(world, process, workshop);
  assert.ok(Number(result) > 0 && Number(result) < 60, String(result));
  assert.deepEqual(traces[1], traces[0]);
  await world.close();
});

Deno.test("A refusal because others had too much in flight comes again when they have not", async () => {
  const traces: string[][] = [];
  const workshop = FakeWorkshop.of({
    tool: async (_, os) => {
      const trace = await Promise.all(Array.from(
        { length: 20 },
        (_, i) => codeOf(os.call("file.write", { path: `f${i}`, text: "x".repeat(9_000) })),
      ));
      traces.push(trace);
      await os.call("clock.wait", { ms: 500 });
      await os.call("human.ask", { prompt: "?" });
      return trace.filter((code) => code === "EAGAIN").length;
    },
  });
  const world = new World({ workshop });
  const process = await world.os.spawn(
    imageOf(async ({ sys }) => {
      await install(sys, "tool", { rights: RIGHTS });
      const beside = Array.from({ length: 30 }, () => sys.clock.wait({ ms: 100 }));
      const { output } = await sys.tool.call({ name: "tool" });
      await Promise.all(beside);
      return output;
    }),
    { goal: "x", grants: GRANTS },
  );
  const { result, outcome } = await finish(world, process, workshop);
  assert.ok(Number(result) > 0, JSON.stringify(outcome));
  assert.deepEqual(traces[1], traces[0]);
  await world.close();
});
