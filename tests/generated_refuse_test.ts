/**
 * Generated tools: what is refused when one is proposed, tested, registered and called.
 * @module
 */

import assert from "node:assert/strict";
import { allow, type Json, type Sys } from "../mod.ts";
import type { Args } from "../broker/client.ts";
import { CAGE_LIMITS_MAX, LIMITS } from "../kernel/limits.ts";
import { contract, FakeWorkshop, install } from "./fake_sandbox.ts";
import { type Body, codeOf, errorOf, inWorld, type RunOptions } from "./world_fixture.ts";

const ANY = allow("tool.register", "**");

function shop(): FakeWorkshop {
  return FakeWorkshop.of({ one: () => 1, two: () => 2 });
}

/** What a program gives, in a world with these bodies. */
async function result(body: Body, options: RunOptions = {}): Promise<Json> {
  let found: Json = null;
  await inWorld(async (world) => {
    found = await world.result(body, { grants: [ANY], ...options });
  }, { workshop: shop() });
  return found;
}

type Proposal = Partial<Args<"tool.propose">>;
const GRANTED = allow("file.read", "./data/**");
const RIGHTS = Array.from({ length: LIMITS.toolRightsMax + 1 }, (_, i) => `file.read(./data/${i})`);

const WRONG: readonly (readonly [claim: string, given: Proposal, code: string])[] = [
  ["a name of an image's tool", { name: "file_read" }, "EEXIST"],
  ["the name __proto__", { name: "__proto__" }, "EINVAL"],
  ["a name with a hyphen", { name: "a-b" }, "EINVAL"],
  ["a name with a dot", { name: "file.read" }, "EINVAL"],
  ["a name of 65 letters", { name: "a".repeat(65) }, "EINVAL"],
  ["an empty name", { name: "" }, "EINVAL"],
  ["a name with a line end", { name: "a\nb" }, "EINVAL"],
  ["no description", { description: "" }, "EINVAL"],
  ["a description beyond its length", { description: "x".repeat(2_049) }, "EINVAL"],
  ["input that is a text", { inputSchema: { type: "string" } }, "EINVAL"],
  ["input of any type", { inputSchema: {} }, "EINVAL"],
  ["input of one type of two", { inputSchema: { type: ["object", "null"] } }, "EINVAL"],
  ["a misspelt word in a schema", { inputSchema: { type: "object", requird: [] } }, "EINVAL"],
  ["a schema with a reference", { inputSchema: { type: "object", $ref: "#" } }, "EINVAL"],
  ["an output schema that is none", { outputSchema: { type: "money" } }, "EINVAL"],
  ["a schema of 8 KiB", {
    inputSchema: { type: "object", description: "x".repeat(LIMITS.constraintBytesMax) },
  }, "EINVAL"],
  ["too many rights", { rights: RIGHTS }, "ELIMIT"],
  ["a right over the ceiling", { rights: ["file.read(./other)"] }, "EPERM"],
  ["every right", { rights: ["*(**)"] }, "EPERM"],
  ["a bare right, which is it on everything", { rights: ["file.read"] }, "EPERM"],
  ["another process's memory", { rights: ["object.read(p_2/**)"] }, "EPERM"],
  ["a path out of the workspace", { rights: ["file.read(../x)"] }, "EINVAL"],
  ["a right that is none", { rights: ["file read(./data)"] }, "EINVAL"],
  ["source that its compiler refuses", { source: "nothing like it" }, "EINVAL"],
  ["no source", { source: "" }, "EINVAL"],
  ["too many tests", {
    tests: Array.from({ length: LIMITS.toolTestsMax + 1 }, () => ({ name: "t", input: {} })),
  }, "EINVAL"],
];

for (const [claim, given, code] of WRONG) {
  Deno.test(`tool.propose refuses ${claim} with ${code}, and keeps nothing of it`, () =>
    inWorld(async (world) => {
      const told = await world.result(
        ({ sys }) => codeOf(sys.tool.propose({ ...contract("one"), ...given })),
        { grants: [ANY, GRANTED] },
      );
      assert.equal(told, code);
      assert.deepEqual((await world.tree()).state.tools, {});
    }, { workshop: shop() }));
}

const ABSENT = "0".repeat(64);
const LIMITED = allow("tool.limit", "one/wallMs");

const REFUSED: readonly (readonly [string, (sys: Sys) => Promise<unknown>, string])[] = [
  ["a version that is absent", (sys) => sys.tool.register({ tool: ABSENT }), "ENOENT"],
  ["a version that is no hash", (sys) => sys.tool.register({ tool: "one" }), "EINVAL"],
  ["tests that were not run", async (sys) => {
    const given = { tests: [{ name: "t", input: {}, output: 1 }] };
    await install(sys, "one", given);
  }, "ESTATE"],
  ["tests that failed", async (sys) => {
    const given = { tests: [{ name: "t", input: {}, output: 2 }] };
    const { tool } = await sys.tool.propose(contract("one", given));
    assert.deepEqual((await sys.tool.test({ tool })).results[0], {
      name: "t",
      passed: false,
      why: "it returned 1, expected 2",
      logs: [],
    });
    await sys.tool.register({ tool });
  }, "ESTATE"],
  ["a further test that failed", async (sys) => {
    const given = { tests: [{ name: "t", input: {}, output: 1 }] };
    const { tool } = await sys.tool.propose(contract("one", given));
    await sys.tool.test({ tool });
    await sys.tool.test({ tool, tests: [{ name: "more", input: {}, error: { code: "EIO" } }] });
    await sys.tool.register({ tool });
  }, "ESTATE"],
  ["a limit above the usual without the right", async (sys) => {
    const { tool } = await sys.tool.propose(contract("one"));
    await sys.tool.register({ tool, limits: { cpuMs: 20_000 } });
  }, "EPERM"],
  ["a limit above the greatest", async (sys) => {
    const { tool } = await sys.tool.propose(contract("one"));
    await sys.tool.register({ tool, limits: { wallMs: CAGE_LIMITS_MAX.wallMs + 1 } });
  }, "ELIMIT"],
  ["a limit that is none", async (sys) => {
    const { tool } = await sys.tool.propose(contract("one"));
    await sys.tool.register({ tool, limits: { toString: 1 } as never });
  }, "EINVAL"],
  ["to unregister what is not there", (sys) => sys.tool.unregister({ name: "one" }), "ENOENT"],
  [
    "to unregister a tool of the image",
    (sys) => sys.tool.unregister({ name: "file_read" }),
    "ENOENT",
  ],
  ["to test a version that is absent", (sys) => sys.tool.test({ tool: ABSENT }), "ENOENT"],
  ["input that does not fit", async (sys) => {
    await install(sys, "one", { inputSchema: { type: "object", required: ["a"] } });
    await sys.tool.call({ name: "one", input: {} });
  }, "EINVAL"],
  ["input that is no object", async (sys) => {
    await install(sys, "one");
    await sys.tool.call({ name: "one", input: [] });
  }, "EINVAL"],
];

for (const [claim, job, code] of REFUSED) {
  Deno.test(`Registering, testing and calling refuse ${claim} with ${code}`, async () => {
    assert.equal(
      await result(({ sys }) => codeOf(job(sys)), { grants: [ANY, LIMITED] }),
      code,
    );
  });
}

Deno.test("A limit is raised with tool.limit for this tool and limit, and lowered without", async () => {
  const told = await result(async ({ sys }) => {
    const { tool } = await sys.tool.propose(contract("one"));
    return [
      await codeOf(sys.tool.register({ tool, limits: { wallMs: 20_000 } })),
      await codeOf(sys.tool.register({ tool, limits: { wallMs: 5, cpuMs: 5, calls: 0 } })),
    ];
  }, { grants: [ANY, LIMITED] });
  assert.deepEqual(told, ["ok", "ok"]);
});

Deno.test("What is usual is what this runtime says: more than its own limits takes tool.limit", async () => {
  await inWorld(async (world) => {
    const told = await world.result(async ({ sys }) => {
      const { tool } = await sys.tool.propose(contract("one"));
      return [
        await codeOf(sys.tool.register({ tool, limits: { wallMs: 2_000 } })),
        await codeOf(sys.tool.register({ tool, limits: { wallMs: 1_000 } })),
      ];
    }, { grants: [ANY] });
    assert.deepEqual(told, ["EPERM", "ok"]);
  }, { workshop: Object.assign(shop(), { limits: { ...shop().limits, wallMs: 1_000 } }) });
});

Deno.test("A table is full at its limit; a tool that stands in it can still get a new version", () =>
  inWorld(async (world) => {
    const told = await world.result(async ({ sys }) => {
      // Those that nothing here could carry out are in the table, and not in lists.
      const held = (await world.os.ps())[0]!.tools.length;
      for (let i = held; i < LIMITS.toolsPerProcessMax; i++) {
        await install(sys, `t${i}`, { source: "one" });
      }
      const error = await errorOf(install(sys, "more", { source: "one" }));
      return [
        error!.code,
        error!.detail!["limit"] as string,
        await codeOf(install(sys, `t${LIMITS.toolsPerProcessMax - 1}`, { source: "two" })),
      ];
    }, { grants: [ANY] });
    assert.deepEqual(told, ["ELIMIT", "toolsPerProcessMax", "ok"]);
  }, { workshop: shop() }));

Deno.test("A tree keeps a bounded number of versions", () =>
  inWorld(async (world) => {
    const told = await world.result(async ({ sys }) => {
      for (let i = 0; i < LIMITS.toolVersionsPerTreeMax; i++) {
        await sys.tool.propose(contract("one", { description: `number ${i}` }));
      }
      const error = await errorOf(sys.tool.propose(contract("one")));
      return [error!.code, error!.detail!["limit"] as string];
    });
    assert.deepEqual(told, ["ELIMIT", "toolVersionsPerTreeMax"]);
  }, { workshop: shop() }));
