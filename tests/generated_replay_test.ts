/**
 * Generated tools that wait: the cage is let go, and hours later the tool is where it was.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type Json } from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { AgentProcess } from "../runtime/process.ts";
import { type FakeBody, type FakeOs, FakeWorkshop, install } from "./fake_sandbox.ts";
import {
  type Body,
  codeOf,
  CountedFiles,
  errorOf,
  imageOf,
  inWorld,
  START_MS,
  World,
} from "./world_fixture.ts";

/** A store that outlives the kernels which close it. */
class LastingStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

const HOUR = 3_600_000;
const RIGHTS = ["file.*(./**)", "human.ask", "message.receive", "process.wait", "process.spawn"];
const GRANTS = [
  allow("tool.register", "**"),
  allow("file.*", "./**"),
  ...["human.ask", "message.*", "process.*"].map((right) => allow(right, "**")),
];

/** A process with a tool that does what `wait` does between two writes. */
function waiting(wait: (os: FakeOs) => Promise<unknown>): FakeWorkshop {
  return FakeWorkshop.of({
    tool: async (_, os) => {
      const begun = [os.now(), os.seed];
      await os.call("file.write", { path: "a", text: "1" });
      const heard = await wait(os) as Json;
      await os.call("file.write", { path: "b", text: "2" });
      return { begun, heard };
    },
  });
}

const CALLING: Body = async ({ sys }) => {
  await install(sys, "tool", { rights: RIGHTS });
  const output = await sys.tool.call({ name: "tool" });
  return output.output;
};

interface Waiting {
  readonly call: string;
  readonly args: Json;
  readonly reason: string;
  /** What ends the wait. */
  readonly wake: (world: World, process: AgentProcess) => Promise<void>;
  readonly heard: (reply: Record<string, Json>) => unknown;
  readonly expected: unknown;
}

const approve = async (world: World, answer: Json): Promise<void> => {
  const [request] = world.os.approvals.list();
  await world.os.approvals.decide(request!.id, answer as never);
};

const WAITING: readonly Waiting[] = [
  {
    call: "human.ask",
    args: { prompt: "?", expiresMs: 10 * HOUR },
    reason: "person",
    wake: (world) => approve(world, { outcome: "answer", value: "yes" }),
    heard: ({ answer }) => answer,
    expected: "yes",
  },
  {
    call: "clock.sleep",
    args: { ms: 5 * HOUR },
    reason: "timer",
    wake: () => Promise.resolve(),
    heard: (reply) => reply,
    expected: {},
  },
  {
    call: "message.receive",
    args: {},
    reason: "message",
    wake: (_, process) => process.send("hello"),
    heard: ({ messages }) => (messages as unknown as { readonly data: Json }[])[0]!.data,
    expected: "hello",
  },
  {
    call: "process.wait",
    args: { pids: ["p_1.1"] },
    reason: "child",
    wake: async (world) => await (await world.os.get("p_1.1"))!.signal("kill"),
    heard: ({ ended }) => (ended as unknown as { readonly pid: string }).pid,
    expected: "p_1.1",
  },
];

for (const { call, args, reason, wake, heard, expected } of WAITING) {
  Deno.test(`A tool that waits in ${call} lets its cage go, and goes on hours later where it was`, () => {
    const workshop = waiting(async (os) =>
      heard(await os.call(call, args) as Record<string, Json>)
    );
    return inWorld(async (world) => {
      const idle = imageOf(({ sys }) => sys.message.receive({}), { name: "idle" });
      const process = await world.start(
        imageOf(async (context) => {
          await context.sys.process.spawn({ image: "idle", goal: "x" });
          return await CALLING(context);
        }),
        { grants: GRANTS, images: [idle] },
      );
      const { state, waiting: on } = await process.info();
      assert.deepEqual([state, on?.on.reason], ["waiting", reason]);
      assert.deepEqual([workshop.started, workshop.running], [1, 0]);
      await world.pass(4 * HOUR);
      assert.deepEqual([workshop.started, world.files!.text("b")], [1, undefined]);
      await wake(world, process);
      await world.pass(2 * HOUR);
      const { result } = await world.ended(process);
      assert.deepEqual((result as { readonly heard: Json }).heard, expected);
      assert.equal((result as { readonly begun: Json[] }).begun[0], START_MS);
      assert.equal(workshop.started, 2);
      assert.deepEqual(["a", "b"].map((path) => world.files!.count(`write ${path}`)), [1, 1]);
    }, { workshop });
  });
}

Deno.test("A tool that waits for a person's word on a write goes on when it is given", () => {
  const workshop = waiting((os) => os.call("file.write", { path: "asked", text: "x" }));
  return inWorld(async (world) => {
    const process = await world.start(imageOf(CALLING), {
      grants: [...GRANTS, ask("file.write", "./asked")],
    });
    assert.deepEqual([workshop.running, world.files!.text("asked")], [0, undefined]);
    await world.pass(HOUR / 2);
    await approve(world, { outcome: "approve" });
    await world.os.runUntilIdle();
    await world.ended(process);
    const written = ["a", "asked", "b"].map((path) => world.files!.count(`write ${path}`));
    assert.deepEqual([written, workshop.started], [[1, 1, 1], 2]);
  }, { workshop });
});

Deno.test("A tool goes on in another kernel than the one it waited in, with the same clock and chance", async () => {
  const store = new LastingStore();
  const clock = new VirtualClock(START_MS);
  const files = new CountedFiles();
  const begun: Json[] = [];
  const workshop = waiting(async (os) => {
    begun.push([os.now(), os.seed]);
    return (await os.call("human.ask", { prompt: "?" }) as { readonly answer: Json }).answer;
  });
  const image = imageOf(CALLING, { name: "mover" });
  const worlds = [1, 2].map((seed) => () =>
    new World({ store, clock, files, seed, workshop, images: [image] })
  );
  const first = worlds[0]!();
  await first.start(image, { grants: GRANTS });
  await first.close();
  await clock.advance(HOUR / 2);
  const second = worlds[1]!();
  await second.os.runUntilIdle();
  await second.tree();
  await approve(second, { outcome: "answer", value: "yes" });
  await second.os.runUntilIdle();
  const { result } = await second.ended((await second.os.get("p_1"))!);
  assert.equal((result as { readonly heard: Json }).heard, "yes");
  assert.equal(begun.length, 2);
  assert.deepEqual(begun[0], begun[1]);
  assert.deepEqual(["a", "b"].map((path) => files.count(`write ${path}`)), [1, 1]);
  await second.close();
});

Deno.test("Two calls of one tool have different chance", () =>
  inWorld(async (world) => {
    const told = await world.result(async ({ sys }) => {
      await install(sys, "tool");
      const seeds = [];
      for (let i = 0; i < 2; i++) seeds.push((await sys.tool.call({ name: "tool" })).output);
      return seeds;
    }, { grants: GRANTS });
    const [a, b] = told as readonly string[];
    assert.match(a!, /^[0-9a-f]{32}$/);
    assert.notEqual(a, b);
  }, { workshop: FakeWorkshop.of({ tool: (_, os) => os.seed }) }));

/** What the second run does in place of `file.read({ path: "x" })`. */
const STRAYING: readonly (readonly [string, FakeBody, RegExp])[] = [
  [
    "another call",
    (_, os) => os.call("file.stat", { path: "x" }),
    /call 3\.3 was "file\.read" before and is "file\.stat" now, expected the same call$/,
  ],
  [
    "the call with other arguments",
    (_, os) => os.call("file.read", { path: "y" }),
    /call 3\.3 was "file\.read" before and is "file\.read" now with other arguments/,
  ],
  [
    "an unknown call",
    (_, os) => os.call("no.such", {}),
    /call 3\.3 was "file\.read" before and is "no\.such" now/,
  ],
  [
    "nothing, and returns",
    () => null,
    /call 3\.3 was "file\.read" before and is not made now, expected the same calls$/,
  ],
  [
    "nothing, and throws",
    () => {
      throw new Error("other");
    },
    /call 3\.3 was "file\.read" before and is not made now/,
  ],
  [
    "nothing, and waits",
    (_, os) => {
      os.rest();
      return new Promise(() => {});
    },
    /call 3\.3 was "file\.read" before and is not made now, expected the same calls$/,
  ],
];

for (const [what, stray, message] of STRAYING) {
  Deno.test(`A tool whose second run asks for ${what} breaks its step with EREPLAY`, () => {
    let runs = 0;
    const workshop = FakeWorkshop.of({
      tool: async (input, os) => {
        runs += 1;
        if (runs > 1) return await stray(input, os);
        await codeOf(os.call("file.read", { path: "x" }));
        return await os.call("human.ask", { prompt: "?" });
      },
    });
    return inWorld(async (world) => {
      const process = await world.start(imageOf(CALLING), { grants: GRANTS });
      await approve(world, { outcome: "answer", value: "yes" });
      await world.os.runUntilIdle();
      const { outcome } = await world.ended(process);
      assert.equal(outcome.kind, "failed");
      assert.equal((outcome as { readonly code: string }).code, "EREPLAY");
      assert.match((outcome as { readonly message: string }).message, message);
      assert.equal(workshop.running, 0);
    }, { workshop });
  });
}

Deno.test("A tool whose second run waits for something else than the first breaks its step", () => {
  let runs = 0;
  const workshop = FakeWorkshop.of({
    tool: (_, os) => os.call("human.ask", { prompt: `number ${++runs}` }),
  });
  return inWorld(async (world) => {
    const process = await world.start(imageOf(CALLING), { grants: GRANTS });
    await approve(world, { outcome: "answer", value: "yes" });
    await world.os.runUntilIdle();
    const { outcome } = await world.ended(process);
    assert.equal((outcome as { readonly code: string }).code, "EREPLAY");
    assert.match(
      (outcome as { readonly message: string }).message,
      /call 3\.3 waited as "human\.ask" with other arguments/,
    );
  }, { workshop });
});

const GONE: readonly (readonly [string, (world: World, hash: string) => Promise<void>])[] = [
  [
    "was revoked",
    (world, hash) => world.os.order("t_1", { kind: "revoke-tool", hash, reason: "bad", by: "ops" }),
  ],
];

for (const [how, take] of GONE) {
  Deno.test(`A tool that ${how} while it waited is not run again, and its caller hears that it was begun`, () => {
    const workshop = waiting((os) => os.call("human.ask", { prompt: "?" }));
    return inWorld(async (world) => {
      const process = await world.start(
        imageOf(async ({ sys }) => {
          await install(sys, "tool", { rights: RIGHTS });
          const error = await errorOf(sys.tool.call({ name: "tool" }));
          return [error!.code, error!.message, await codeOf(sys.tool.call({ name: "tool" }))];
        }),
        { grants: GRANTS },
      );
      const [hash] = Object.keys((await world.tree()).state.tools);
      await take(world, hash!);
      await approve(world, { outcome: "answer", value: "yes" });
      await world.os.runUntilIdle();
      assert.deepEqual((await world.ended(process)).result, [
        "ECANCELED",
        'Cannot finish tool "tool": it was taken back',
        "ENOSYS",
      ]);
      assert.deepEqual([workshop.started, world.files!.text("b")], [1, undefined]);
    }, { workshop });
  });
}

Deno.test("A tool that was revoked while its code was being loaded is not run", async () => {
  class GatedStore extends LastingStore {
    gate: () => Promise<void> = () => Promise.resolve();
    override async getBlob(hash: string): Promise<string | undefined> {
      await this.gate();
      return await super.getBlob(hash);
    }
  }
  const store = new GatedStore();
  const clock = new VirtualClock(START_MS);
  // Too long to stand in a line of the log.
  const source = "x".repeat(1_000);
  const workshop = FakeWorkshop.of({ [source]: (_, os) => codeOf(os.call("clock.now", {})) });
  const image = imageOf(async ({ sys }) => {
    await install(sys, "tool", { source });
    await sys.message.receive({});
    return await codeOf(sys.tool.call({ name: "tool" }));
  }, { name: "loader" });
  const first = new World({ store, clock, workshop, images: [image] });
  await first.start(image, { grants: GRANTS });
  await first.close();
  const world = new World({ store, clock, workshop, seed: 2, images: [image] });
  let loads: () => void = () => {};
  const isLoading = new Promise<void>((resolve) => loads = resolve);
  let goOn: () => void = () => {};
  const released = new Promise<void>((resolve) => goOn = resolve);
  const process = (await world.os.get("p_1"))!;
  store.gate = () => {
    loads();
    return released;
  };
  await process.send("go");
  const idle = world.os.runUntilIdle();
  await isLoading;
  const [hash] = Object.keys((await world.tree()).state.tools);
  await world.os.order("t_1", { kind: "revoke-tool", hash: hash!, reason: "bad", by: "ops" });
  goOn();
  await idle;
  assert.equal((await world.ended(process)).result, "ECANCELED");
  assert.equal((await world.events("call.done")).filter(({ key }) => key === "4.3").length, 0);
  await world.close();
});

Deno.test("A wait of a tool that is broken off is refused inside the tool, which goes on", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(CALLING), { grants: GRANTS });
    await process.send("stop", { interrupt: true });
    await world.os.runUntilIdle();
    const { result } = await world.ended(process);
    assert.equal((result as { readonly heard: Json }).heard, "ECANCELED");
    assert.equal(world.files!.count("write a"), 1);
  }, { workshop: waiting((os) => codeOf(os.call("human.ask", { prompt: "?" }))) }));

Deno.test("A process that is paused in the middle of a tool goes on with it when it is resumed", () => {
  const files = new CountedFiles();
  const workshop = waiting((os) => os.call("file.write", { path: "c", text: "" }));
  return inWorld(async (world) => {
    let reached: () => void = () => {};
    const isThere = new Promise<void>((resolve) => reached = resolve);
    files.before = (what) => what === "write c" ? reached() : undefined;
    const starting = world.start(imageOf(CALLING), { grants: GRANTS });
    await isThere;
    const process = (await world.os.get("p_1"))!;
    await process.signal("pause");
    await starting;
    assert.equal((await process.info()).state, "paused");
    assert.equal(workshop.running, 0);
    await process.signal("resume");
    await world.os.runUntilIdle();
    await world.ended(process);
    const written = ["a", "b", "c"].map((path) => files.count(`write ${path}`));
    assert.deepEqual([written, workshop.started], [[1, 1, 1], 2]);
  }, { workshop, files });
});

Deno.test("A process that is killed in the middle of a tool leaves no cage behind", () => {
  const workshop = FakeWorkshop.of({ tool: () => new Promise<Json>(() => {}) });
  return inWorld(async (world) => {
    const starting = world.start(imageOf(CALLING), { grants: GRANTS });
    while (workshop.running === 0) await world.clock.settle();
    await (await world.os.get("p_1"))!.signal("kill");
    await starting;
    assert.equal(workshop.running, 0);
  }, { workshop });
});
