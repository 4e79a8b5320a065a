/**
 * Generated tools: their life from a proposal to the end, and what is refused on the way.
 * @module
 */

import assert from "node:assert/strict";
import { allow, type Json, SysError } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import type { Args } from "../broker/client.ts";
import { contract, FakeWorkshop, install } from "./fake_sandbox.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, type RunOptions } from "./world_fixture.ts";

const ANY = allow("tool.register", "**");

/** Bodies that tests of this file name. */
function shop(): FakeWorkshop {
  return FakeWorkshop.of({
    one: () => 1,
    two: () => 2,
    "one\nmore": () => 1,
    fails: () => {
      throw new Error("no");
    },
    asks: (_, os) => os.call("file.read", { path: "a" }),
  });
}

/** What a program gives, in a world with these bodies. */
async function result(body: Body, options: RunOptions = {}): Promise<Json> {
  let found: Json = null;
  await inWorld(async (world) => {
    found = await world.result(body, { grants: [ANY], ...options });
  }, { workshop: shop() });
  return found;
}

Deno.test("A generated tool goes from a proposal through tests and a table to a call, and out again", async () => {
  const told = await result(async ({ sys }) => {
    const given = { tests: [{ name: "gives 1", input: {}, output: 1 }] };
    const { tool } = await sys.tool.propose(contract("one", given));
    const listed = async (): Promise<string[]> =>
      (await sys.tool.list()).tools.filter(({ generated }) => generated !== null)
        .map(({ name }) => name);
    const before = await listed();
    const { passed, failed } = await sys.tool.test({ tool });
    const registered = await sys.tool.register({ tool });
    const during = await listed();
    const { output } = await sys.tool.call({ name: "one" });
    await sys.tool.unregister({ name: "one", reason: "done" });
    return {
      before,
      tests: [passed, failed],
      isSame: registered.tool === tool,
      during,
      output,
      after: await listed(),
      gone: await codeOf(sys.tool.call({ name: "one" })),
    };
  });
  assert.deepEqual(told, {
    before: [],
    tests: [1, 0],
    isSame: true,
    during: ["one"],
    output: 1,
    after: [],
    gone: "ENOSYS",
  });
});

Deno.test("A model writes a tool, and has it in its list from its next turn on", () =>
  inWorld(async (world) => {
    let hash = "";
    const seen: boolean[] = [];
    const outputs: unknown[] = [];
    const turn =
      (next: (last: Record<string, string>) => { tool: string; input: Json }) =>
      ({ tools, messages }: Parameters<
        Extract<Parameters<typeof scriptedModel>[0][number], (...given: never[]) => unknown>
      >[0]) => {
        seen.push(tools.some(({ name }) => name === "one"));
        const last = messages.at(-1) as { readonly output?: unknown };
        outputs.push(last.output);
        return next((last.output ?? {}) as Record<string, string>);
      };
    const model = scriptedModel([
      turn(() => ({ tool: "tool_propose", input: contract("one") as never })),
      turn(({ tool }) => ({ tool: "tool_register", input: { tool: hash = tool! } })),
      turn(() => ({ tool: "one", input: {} })),
      turn(() => ({ tool: "tool_unregister", input: { name: "one" } })),
      turn(() => ({ tool: "process_exit", input: { result: "over" } })),
    ]);
    const image = imageOf(() => Promise.resolve(), { model });
    const process = await world.start({
      ...image,
      program: undefined,
      data: { ...image.data, program: "model-loop" },
    }, { grants: [ANY] });
    assert.equal((await world.ended(process)).result, "over");
    assert.deepEqual(seen, [false, false, true, true, false]);
    assert.deepEqual(outputs.slice(1), [{ tool: hash }, { name: "one", tool: hash }, 1, {}]);
  }, { workshop: shop() }));

Deno.test("A new version takes the place of the old one, which can be put back", async () => {
  const told = await result(async ({ sys }) => {
    const first = await install(sys, "count", { source: "one" });
    const outputs = [(await sys.tool.call({ name: "count" })).output];
    await install(sys, "count", { source: "two" });
    outputs.push((await sys.tool.call({ name: "count" })).output);
    await sys.tool.register({ tool: first });
    outputs.push((await sys.tool.call({ name: "count" })).output);
    const { tools } = await sys.tool.list();
    return [...outputs, tools.filter(({ name }) => name === "count").length];
  });
  assert.deepEqual(told, [1, 2, 1, 1]);
});

const FREE = [
  "process.exit",
  "process.chdir",
  "message.receive",
  "process.wait",
  "capability.list",
];

Deno.test("What takes no capability may be declared under any ceiling", async () => {
  const told = await result(async ({ sys }) => {
    const rights = [...FREE, "process.exit(**)", "clock.now"];
    return await codeOf(sys.tool.propose(contract("one", { rights })));
  });
  assert.equal(told, "ok");
});

Deno.test("The same content is the same version, and any other content is another", async () => {
  const told = await result(async ({ sys }) => {
    const versions: string[] = [];
    for (
      const given of [
        {},
        {},
        { description: "other" },
        { source: "two" },
        { rights: ["object.read(x)"] },
        { outputSchema: { type: "number" } },
        { inputSchema: { type: "object", required: ["a"] } },
        { tests: [{ name: "t", input: {} }] },
      ]
    ) versions.push((await sys.tool.propose(contract("count", { source: "one", ...given }))).tool);
    return [versions[0] === versions[1], new Set(versions).size];
  });
  assert.deepEqual(told, [true, 7]);
});

for (const name of ["constructor", "toString", "hasOwnProperty", "valueOf", "toJSON", "then"]) {
  Deno.test(`A tool may be called "${name}", and is absent before and after like any other`, async () => {
    const told = await result(async ({ sys }) => {
      const codes = [
        await codeOf(sys.tool.call({ name })),
        await codeOf(sys.tool.unregister({ name })),
      ];
      const tool = await install(sys, name, { source: "one" });
      const { output } = await sys.tool.call({ name });
      await sys.tool.unregister({ name });
      codes.push(await codeOf(sys.tool.call({ name })));
      return { codes, output, again: await codeOf(sys.tool.register({ tool })) };
    });
    assert.deepEqual(told, { codes: ["ENOSYS", "ENOENT", "ENOSYS"], output: 1, again: "ok" });
  });
}

const ABSENT = "0".repeat(64);

Deno.test("A sibling's version is absent, a parent's is not, and a child's is its own", () =>
  inWorld(async (world) => {
    const author = imageOf(async ({ sys }) => (await sys.tool.propose(contract("two"))).tool, {
      name: "author",
    });
    const other = imageOf(async ({ sys, input }) => {
      const codes: string[] = [];
      for (const tool of input as string[]) codes.push(await codeOf(sys.tool.register({ tool })));
      return codes;
    }, { name: "other" });
    const told = await world.result(async ({ sys }) => {
      const { tool } = await sys.tool.propose(contract("one"));
      const run = async (image: string, input: Json): Promise<Json> => {
        const grants = ["tool.register(**)"];
        const { pid } = await sys.process.spawn({ image, goal: "x", input, grants });
        const { ended } = await sys.process.wait({ pids: [pid] });
        return (ended!.outcome as { readonly result?: Json }).result!;
      };
      const foreign = await run("author", null) as string;
      return [
        await run("other", [tool, foreign]),
        await codeOf(sys.tool.register({ tool: foreign })),
      ];
    }, { grants: [ANY, allow("process.spawn", "**")], images: [author, other] });
    assert.deepEqual(told, [["ok", "ENOENT"], "ENOENT"]);
  }, { workshop: shop() }));

Deno.test("Whoever proposes what a sibling proposed before can register it, too", () =>
  inWorld(async (world) => {
    const author = imageOf(({ sys }) => codeOf(install(sys, "one")), { name: "author" });
    const told = await world.result(async ({ sys }) => {
      const codes: Json[] = [];
      for (let i = 0; i < 2; i++) {
        const grants = ["tool.register(**)"];
        const { pid } = await sys.process.spawn({ image: "author", goal: "x", grants });
        const { ended } = await sys.process.wait({ pids: [pid] });
        codes.push((ended!.outcome as { readonly result?: Json }).result!);
      }
      return codes;
    }, { grants: [ANY, allow("process.spawn", "**")], images: [author] });
    assert.deepEqual(told, ["ok", "ok"]);
  }, { workshop: shop() }));

Deno.test("A version that was revoked is never registered again, by anyone, under any limits", () =>
  inWorld(async (world) => {
    let tool = "";
    const child = imageOf(({ sys }) => codeOf(sys.tool.register({ tool })), { name: "child" });
    const process = await world.start(
      imageOf(async ({ sys }) => {
        tool = await install(sys, "one");
        await sys.message.receive({});
        const { pid } = await sys.process.spawn({
          image: "child",
          goal: "x",
          grants: ["tool.register(**)"],
        });
        const { ended } = await sys.process.wait({ pids: [pid] });
        const again = await errorOf(install(sys, "one"));
        return [
          await codeOf(sys.tool.call({ name: "one" })),
          again!.message,
          (ended!.outcome as { readonly result?: Json }).result!,
          await codeOf(install(sys, "one", { source: "two" })),
        ];
      }),
      { grants: [ANY, allow("process.spawn", "**")], images: [child] },
    );
    const order = { kind: "revoke-tool", hash: tool, reason: "bad", by: "ops" } as const;
    await world.os.order("t_1", order);
    await assert.rejects(world.os.order("t_1", order), { code: "ESTATE" });
    await assert.rejects(world.os.order("t_1", { ...order, hash: ABSENT }), { code: "ENOENT" });
    await process.send("go");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, [
      "ENOSYS",
      'Cannot register tool "one": ops revoked this version: bad',
      "EACCES",
      "ok",
    ]);
  }, { workshop: shop() }));

Deno.test("A version that was revoked without a reason is refused without one", () =>
  inWorld(async (world) => {
    let hash = "";
    const process = await world.start(
      imageOf(async ({ sys }) => {
        hash = await install(sys, "one");
        await sys.message.receive({});
        return (await errorOf(install(sys, "one")))!.message;
      }),
      { grants: [ANY] },
    );
    await world.os.order("t_1", { kind: "revoke-tool", hash, reason: "", by: "ops" });
    await process.send("go");
    await world.os.runUntilIdle();
    const said = 'Cannot register tool "one": ops revoked this version';
    assert.deepEqual((await world.ended(process)).result, said);
  }, { workshop: shop() }));

Deno.test("Without a workshop nothing is proposed or tested, and models are not told how", () =>
  inWorld(async (world) => {
    const told = await world.result(async ({ sys }) => [
      await codeOf(sys.tool.propose(contract("one"))),
      await codeOf(sys.tool.test({ tool: ABSENT })),
      (await sys.tool.list()).tools.some(({ name }) => name.startsWith("tool_")),
    ], { grants: [ANY] });
    assert.deepEqual(told, ["ENOSYS", "ENOENT", false]);
  }));

const SCRIPTS: readonly (readonly [
  claim: string,
  test: Args<"tool.propose">["tests"] extends readonly (infer T)[] | undefined ? T : never,
  why: string,
])[] = [
  ["the script answers the call", {
    name: "t",
    input: {},
    calls: [{ name: "file.read", args: { path: "a" }, reply: { text: "x" } }],
    output: { text: "x" },
  }, ""],
  ["the script refuses the call", {
    name: "t",
    input: {},
    calls: [{ name: "file.read", error: { code: "ENOENT" } }],
    error: { code: "ENOENT" },
  }, ""],
  [
    "a call was not expected",
    { name: "t", input: {} },
    'call 1 was file.read({"path":"a"}), expected no more calls',
  ],
  [
    "a call had other arguments",
    { name: "t", input: {}, calls: [{ name: "file.read", args: { path: "b" } }] },
    'call 1 was file.read({"path":"a"}), expected file.read({"path":"b"})',
  ],
  ["a call was never made", {
    name: "t",
    input: {},
    calls: [{ name: "file.read" }, { name: "file.list" }],
  }, "call 2 was never made, expected file.list"],
  [
    "the input does not fit",
    { name: "t", input: 3, calls: [{ name: "file.read" }] },
    "the input does not fit the schema",
  ],
];

for (const [claim, test, why] of SCRIPTS) {
  Deno.test(`A test ${why === "" ? "passes" : "fails and says why"} when ${claim}`, async () => {
    const told = await result(async ({ sys }) => {
      const { tool } = await sys.tool.propose(contract("asks", { tests: [test] }));
      return (await sys.tool.test({ tool })).results[0]!.why;
    });
    assert.ok(String(told).startsWith(why) && (told === "") === (why === ""), String(told));
  });
}

Deno.test("What tests say of long values and logs fits into one answer, however many they are", () =>
  inWorld(async (world) => {
    const told = await world.result(async ({ sys }) => {
      const { tool } = await sys.tool.propose(contract("long"));
      const tests = Array.from({ length: 64 }, (_, i) => ({ name: `t${i}`, input: {}, output: 1 }));
      const { failed, results } = await sys.tool.test({ tool, tests });
      return [failed, results[63]!.why.replace(/x+/, "x"), results[63]!.logs[0]!.slice(-19)];
    });
    assert.deepEqual(told, [
      64,
      'it returned "x… (200002 characters), expected 1',
      "l… (6000 characters)".slice(-19),
    ]);
  }, {
    workshop: FakeWorkshop.of({
      long: (_, os) => {
        for (let i = 0; i < 10; i++) os.log("l".repeat(6_000));
        return Promise.resolve("x".repeat(200_000));
      },
    }),
  }));

for (const args of [null, 3, [], { ms: "1" }, { ms: -1 }, { ms: 1e400 }, {}]) {
  Deno.test(`A tool under test that waits for ${JSON.stringify(args)} fails its test`, () =>
    inWorld(async (world) => {
      const told = await world.result(async ({ sys }) => {
        const { tool } = await sys.tool.propose(contract("waits"));
        const { results } = await sys.tool.test({ tool, tests: [{ name: "t", input: {} }] });
        return results[0]!.passed;
      });
      assert.equal(told, false);
    }, {
      workshop: FakeWorkshop.of({
        waits: async (_, os) => {
          await os.call("clock.wait", args as never);
          if (!Number.isSafeInteger(os.now())) throw new SysError("EIO", "Cannot tell the time");
          return null;
        },
      }),
    }));
}
