/**
 * The calls on files, models, capabilities and time, one by one; and how lost effects of each kind
 * are settled after a crash.
 * @module
 */

import assert from "node:assert/strict";
import { allow, SysError } from "../mod.ts";
import type { Model, ModelReply } from "../kernel/world.ts";
import {
  type Body,
  codeOf,
  CountedFiles,
  errorOf,
  imageOf,
  inWorld,
  World,
} from "./world_fixture.ts";

const FILES = [allow("file.*")];
const NEVER = (): Promise<never> => new Promise(() => {});

/** One call after others, and how it is answered. */
type Step = readonly [call: string, args: Record<string, unknown>, code: string];

const STEPS: readonly Step[] = [
  ["file.write", { path: "a", text: "aGk=", encoding: "base64", mode: "create" }, "ok"],
  ["file.write", { path: "a", text: "x", mode: "create" }, "EEXIST"],
  ["file.write", { path: "b", text: "x", mode: "replace" }, "ENOENT"],
  ["file.write", { path: "b", text: "no base64!", encoding: "base64" }, "EINVAL"],
  ["file.read", { path: "a", encoding: "base64" }, "ok"],
  ["file.read", { path: "binary" }, "EINVAL"],
  ["file.read", { path: "nothing" }, "ENOENT"],
  ["file.list", {}, "ok"],
  ["file.stat", { path: "nothing" }, "ok"],
  ["file.mkdir", { path: "d/e" }, "ok"],
  ["file.move", { from: "a", to: "d/a" }, "ok"],
  ["file.move", { from: "a", to: "d/b" }, "ENOENT"],
  ["file.remove", { path: "d/a" }, "ok"],
  ["file.remove", { path: "d/a" }, "ENOENT"],
  ["object.import", { path: "binary", name: "x" }, "EINVAL"],
  ["object.export", { object: "nothing", path: "x" }, "ENOENT"],
];

Deno.test("Calls on files answer with what the provider says", () =>
  inWorld(async (world) => {
    world.files!.contents.set("binary", new Uint8Array([0xff, 0xfe]));
    const codes = await world.result(async ({ sys }) => {
      const codes: string[] = [];
      for (const [call, args] of STEPS) codes.push(await codeOf(sys(call as never, args as never)));
      return codes;
    }, { grants: FILES });
    assert.deepEqual(codes, STEPS.map(([, , code]) => code));
  }));

Deno.test("Calls on files are refused with ENOSYS where a runtime has none", () =>
  inWorld(async (world) => {
    const code = await world.result(({ sys }) => codeOf(sys.file.read({ path: "a" })), {
      grants: FILES,
    });
    assert.equal(code, "ENOSYS");
  }, { files: null }));

interface Lost {
  readonly call: Step;
  readonly hangs: "before" | "after";
  /** What somebody else did meanwhile. */
  readonly meanwhile?: (files: CountedFiles) => void;
  readonly result: string;
  readonly via: string;
  readonly count: number;
}

const MOVE: Step = ["file.move", { from: "from", to: "to" }, "move from to"];
const REMOVE: Step = ["file.remove", { path: "from" }, "remove from"];
const MKDIR: Step = ["file.mkdir", { path: "d" }, "mkdir d"];
const EXPORT: Step = ["object.export", { object: "o", path: "out" }, "write out"];

const LOST: Readonly<Record<string, Lost>> = {
  "a move that was done": { call: MOVE, hangs: "after", result: "ok", via: "reconciled", count: 1 },
  "a move that was not": { call: MOVE, hangs: "before", result: "ok", via: "reconciled", count: 1 },
  "a move of what both are there now": {
    call: MOVE,
    hangs: "before",
    meanwhile: (files) => files.put("to", "theirs"),
    result: "EINDOUBT",
    via: "abandoned",
    count: 0,
  },
  "a removal that was done": {
    call: REMOVE,
    hangs: "after",
    result: "ok",
    via: "reconciled",
    count: 1,
  },
  "a removal that was not": {
    call: REMOVE,
    hangs: "before",
    result: "ok",
    via: "reconciled",
    count: 1,
  },
  "a folder that was made": {
    call: MKDIR,
    hangs: "after",
    result: "ok",
    via: "reconciled",
    count: 1,
  },
  "an export that was done": {
    call: EXPORT,
    hangs: "after",
    result: "ok",
    via: "reconciled",
    count: 1,
  },
  "an export that was not": {
    call: EXPORT,
    hangs: "before",
    result: "ok",
    via: "reconciled",
    count: 1,
  },
};

for (const [claim, lost] of Object.entries(LOST)) {
  Deno.test(`A lost effect is settled after a crash: ${claim}`, async () => {
    const [name, args, what] = lost.call;
    const image = imageOf(async ({ sys }) => {
      await sys.object.create({ name: "o", value: { text: "x" } });
      return await codeOf(sys(name as never, args as never));
    });
    const files = new CountedFiles();
    files.put("from", "x");
    files[lost.hangs] = (each) => each === what ? NEVER() : undefined;
    const first = new World({ files });
    await first.os.spawn(image, { goal: "x", grants: FILES });
    void first.os.runUntilIdle();
    await first.clock.settle();
    files[lost.hangs] = () => {};
    lost.meanwhile?.(files);
    const { store, clock } = first;
    const world = new World({ store, clock, files, seed: 2, images: [image] });
    await world.untilDone();
    assert.equal((await world.ended((await world.os.get("p_1"))!)).result, lost.result);
    const [outcome] = await world.events("call.outcome");
    assert.equal(outcome!["via"], lost.via);
    assert.equal(files.count(what), lost.count);
    await world.close();
  });
}

const REPLY: ModelReply = {
  text: "hello",
  calls: [],
  finish: "stop",
  inputTokens: 3,
  outputTokens: 2,
  usd: 0.5,
};

/** A model that does these things one after the other, the last one for ever. */
function modelThat(...acts: readonly (() => Promise<ModelReply>)[]): Model & { calls: number } {
  return {
    id: "test/model",
    calls: 0,
    generate() {
      this.calls += 1;
      return acts[Math.min(this.calls, acts.length) - 1]!();
    },
  };
}

const says = (): Promise<ModelReply> => Promise.resolve(REPLY);
const busy = (retryAfterMs?: number) => (): Promise<never> =>
  Promise.reject(
    new SysError("EAGAIN", "Cannot ask: busy", retryAfterMs === undefined ? {} : { retryAfterMs }),
  );

interface Asked {
  readonly acts: readonly (() => Promise<ModelReply>)[];
  readonly args?: Record<string, unknown>;
  readonly code: string;
  readonly calls: number;
  readonly waitedMs?: number;
}

const ASKED: Readonly<Record<string, Asked>> = {
  "an answer": { acts: [says], code: "ok", calls: 1 },
  "busy, then an answer": { acts: [busy(), says], code: "ok", calls: 2, waitedMs: 500 },
  "busy, and says for how long": {
    acts: [busy(1_234), says],
    code: "ok",
    calls: 2,
    waitedMs: 1_234,
  },
  "busy for longer than it is waited": { acts: [busy(60_001)], code: "EAGAIN", calls: 1 },
  "busy for ever": { acts: [busy()], code: "EAGAIN", calls: 4, waitedMs: 3_500 },
  "no answer in time": {
    acts: [NEVER],
    args: { timeoutMs: 10 },
    code: "ETIMEDOUT",
    calls: 4,
    waitedMs: 3_540,
  },
  "a refusal": {
    acts: [() => Promise.reject(new SysError("EACCES", "Cannot ask: no key"))],
    code: "EACCES",
    calls: 1,
  },
};

for (const [claim, { acts, args, code, calls, waitedMs = 0 }] of Object.entries(ASKED)) {
  Deno.test(`model.generate hears of a model: ${claim}`, () =>
    inWorld(async (world) => {
      const model = modelThat(...acts);
      const image = imageOf(
        ({ sys }) => codeOf(sys.model.generate({ model: model.id, messages: [], ...args })),
        { model },
      );
      const start = world.clock.now();
      const process = await world.os.spawn(image, { goal: "x" });
      const idle = world.os.runUntilIdle();
      await world.clock.settle();
      while ((await process.info()).state !== "ended") {
        assert.ok(await world.clock.advanceToNext(), "it waits for nothing");
      }
      await idle;
      assert.equal((await world.ended(process)).result, code);
      assert.equal(model.calls, calls);
      assert.equal(world.clock.now() - start, waitedMs);
      assert.equal(world.clock.pending(), 0);
    }));
}

Deno.test("model.generate books what a turn cost, and refuses the next when it is used up", () =>
  inWorld(async (world) => {
    const model = modelThat(says);
    const process = await world.start(
      imageOf(async ({ sys }) => {
        const ask = () => codeOf(sys.model.generate({ model: model.id, messages: [] }));
        const codes = [await ask(), await ask()];
        return [codes, (await sys.budget.inspect({})).spent];
      }, { model }),
      { budget: { tokens: 5 } },
    );
    const [codes, spent] = (await world.ended(process)).result as [unknown, object];
    assert.deepEqual(codes, ["ok", "EBUDGET"]);
    assert.deepEqual({ ...spent, bytes: 0 }, {
      modelCalls: 1,
      tokens: 5,
      usd: 0.5,
      toolCalls: 0,
      children: 0,
      bytes: 0,
    });
  }));

Deno.test("model.generate is refused for an unknown model, and stopped with its process", () =>
  inWorld(async (world) => {
    const code = await world.result(
      ({ sys }) => codeOf(sys.model.generate({ model: "no/model", messages: [] })),
      { grants: [allow("model.generate")] },
    );
    assert.equal(code, "ENOSYS");
    const model = modelThat(NEVER);
    const image = imageOf(({ sys }) => sys.model.generate({ model: model.id, messages: [] }), {
      model,
    });
    const process = await world.os.spawn(image, { goal: "x" });
    const idle = world.os.runUntilIdle();
    await world.clock.settle();
    await process.signal("kill");
    await idle;
    assert.equal(world.clock.pending(), 0);
    assert.equal((await world.events("call.outcome", "t_2")).length, 1);
  }));

const CAPABILITIES: Readonly<Record<string, readonly [body: Body, result: unknown]>> = {
  "list and inspect show what is held": [async ({ sys }) => {
    const { capabilities } = await sys.capability.list({});
    const seen = await sys.capability.inspect({ capability: capabilities[1]!.id });
    return [capabilities.map((each) => each["rule"]), seen["usesLeft"], seen["via"]];
  }, [["object.*(p_1/**)", "file.*(**)"], null, "boot"]],
  "explain says why, and what the least grant would be": [async ({ sys }) => {
    const yes = await sys.capability.explain({ rule: "file.read(./a)" });
    const no = await sys.capability.explain({ rule: "net.fetch(https://x.org/)", args: { a: 1 } });
    return [yes.decision, no.decision, no["suggestion"]];
  }, [
    "allow",
    "none",
    "net.fetch(https://x.org/) in a new tree: it is over the ceiling of this one",
  ]],
  "delegate narrows by constraint, uses and time": [async ({ sys, pid }) => {
    const { capability } = await sys.capability.delegate({
      to: pid,
      rule: "file.write(./a)",
      constraint: { properties: { text: { maxLength: 3 } } },
      uses: 2,
      forMs: 10,
      delegable: true,
    });
    const seen = await sys.capability.inspect({ capability });
    return [seen["usesLeft"], seen["delegable"], seen["constraint"] !== null];
  }, [2, true, true]],
  "delegate from a named capability that does not cover is refused": [async ({ sys, pid }) => {
    const { capabilities } = await sys.capability.list({});
    const capability = capabilities[0]!.id;
    const rule = "file.write(./a)";
    return [
      await codeOf(sys.capability.delegate({ to: pid, rule, capability })),
      await codeOf(sys.capability.delegate({ to: pid, rule, capability: "cap_1.99" })),
    ];
  }, ["EPERM", "ENOENT"]],
  "revoke takes back what was derived": [async ({ sys, pid }) => {
    const one = await sys.capability.delegate({ to: pid, rule: "file.read(**)", delegable: true });
    const two = await sys.capability.delegate({
      to: pid,
      rule: "file.read(./a)",
      capability: one.capability,
    });
    const { revoked } = await sys.capability.revoke(one);
    return [revoked.length, await codeOf(sys.capability.inspect(two))];
  }, [2, "ENOENT"]],
};

for (const [claim, [body, result]] of Object.entries(CAPABILITIES)) {
  Deno.test(`capability: ${claim}`, () =>
    inWorld(async (world) => {
      assert.deepEqual(await world.result(body, { grants: FILES }), result);
    }));
}

Deno.test("A tool that breaks without a code is EIO, and one whose input does not fit EINVAL", () =>
  inWorld(async (world) => {
    const { defineTool } = await import("../mod.ts");
    const { z } = await import("zod");
    const tool = defineTool({
      name: "break",
      description: "Break",
      inputSchema: z.object({ n: z.number() }),
      execute() {
        throw new Error("snap");
      },
    });
    const process = await world.start(imageOf(async ({ sys }) => {
      const snap = await errorOf(sys.tool.call({ name: "break", input: { n: 1 } }));
      const typo = await errorOf(sys.tool.call({ name: "braek", input: { n: 1 } }));
      return [
        snap?.code,
        snap?.message.includes("snap"),
        await codeOf(sys.tool.call({ name: "break" })),
        typo?.message,
      ];
    }, { tools: [tool] }));
    const expected = 'Cannot call tool "braek": not in the table; did you mean "break"';
    assert.deepEqual((await world.ended(process)).result, ["EIO", true, "EINVAL", expected]);
  }));
