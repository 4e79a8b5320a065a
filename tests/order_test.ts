/**
 * Orders as callers without types give them: what no tree could take is refused before it is put
 * into an inbox, and whoever comes afterwards is heard.
 * @module
 */

import assert from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { type AgentProcess, allow, createRuntime, defineImage, type Runtime } from "../mod.ts";
import { codeOf } from "./world_fixture.ts";

const idle = defineImage({
  name: "idle",
  program: async ({ sys }) => {
    const { messages } = await sys.message.receive({});
    await sys.process.exit({ result: messages[0]!.data });
  },
});

function nested(levels: number): unknown {
  return levels === 0 ? "in" : [nested(levels - 1)];
}

function circle(): unknown {
  const inner: { again?: unknown } = {};
  inner.again = inner;
  return inner;
}

const NO_JSON: readonly (readonly [claim: string, data: unknown, code: string])[] = [
  ["nothing", undefined, "EINVAL"],
  ["a bigint", 1n, "EINVAL"],
  ["a bigint in an object", { n: [1n] }, "EINVAL"],
  ["NaN", NaN, "EINVAL"],
  ["a function", () => 1, "EINVAL"],
  ["a date", new Date(0), "EINVAL"],
  ["a map", new Map([[1, 2]]), "EINVAL"],
  ["half a character", "\ud800", "EINVAL"],
  ["a circle", circle(), "ELIMIT"],
  ["something deep", nested(LIMITS.jsonDepthMax * 2), "ELIMIT"],
  ["a message that is an object", "m".repeat(LIMITS.messageBytesMax), "ELIMIT"],
];

async function started(os: Runtime): Promise<AgentProcess> {
  const process = await os.spawn(idle, { goal: "g", ceiling: [allow("file.read")] });
  await os.runUntilIdle();
  return process;
}

for (const [claim, data, code] of NO_JSON) {
  Deno.test(`What is no message is refused, and the next one is received: ${claim}`, async () => {
    await using os = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
    const process = await started(os);
    assert.equal(await codeOf(process.send(data as never)), code);
    await process.send(nested(LIMITS.jsonDepthMax - 1) as never);
    await os.runUntilIdle();
    assert.deepEqual((await process.wait()).result, nested(LIMITS.jsonDepthMax - 1));
    assert((await os.verify()).every(({ broken }) => broken === null));
  });
}

const ORDERS: readonly (readonly [order: unknown, message: RegExp])[] = [
  [null, /Cannot use an order: no kind, expected an object with one/],
  ["kill", /no kind/],
  [{}, /no kind/],
  [{ kind: "dance" }, /Cannot use order "dance" at "kind": /],
  [
    { kind: "budget", pid: "p_1", limits: { usd: NaN }, by: "ada" },
    /"budget" at "limits.usd": NaN/,
  ],
];

Deno.test("An order that is none is refused, and stands in the way of no other", async () => {
  await using os = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
  const process = await started(os);
  for (const [order, message] of ORDERS) {
    await assert.rejects(os.order("t_1", order as never), { code: "EINVAL", message });
  }
  await process.signal("kill");
  assert.equal((await process.wait()).outcome.kind, "killed");
});

const READ = { effect: "allow", right: "file.read", resource: "./x" };

const GRANTS: readonly (readonly [rule: unknown, message: RegExp])[] = [
  [null, /no rule, expected what allow\(\)/],
  ["file.read(./x)", /no rule/],
  [{ ...READ, effect: "deny" }, /says "deny": expected "allow"/],
  [{ ...READ, uses: NaN }, /for NaN uses: expected a whole number from 1/],
  [{ ...READ, uses: "3" }, /for 3 uses: expected a whole number/],
  [{ ...READ, expiresIn: "soon" }, /duration "soon"/],
  [{ ...READ, delegable: 0 }, /delegable "0": expected true or false/],
  [{ ...READ, use: 1 }, /"use": unknown, .*did you mean "uses"\?/],
  [{ ...READ, right: "file.raed" }, /no syscall "file.raed", did you mean "file.read"/],
];

Deno.test("A grant that nobody could mean is refused, and gives nothing", async () => {
  await using os = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
  const process = await os.spawn(idle, { goal: "g", ceiling: [allow("*")] });
  for (const [rule, message] of GRANTS) {
    await assert.rejects(process.grant(rule as never), { code: "EINVAL", message });
  }
  const of = (rule: string) => os.explain(process.pid, rule);
  assert.equal((await of("file.read(./x)")).decision, "none");
  await process.grant(allow("file.read", "./x", { uses: 1, expiresIn: "5m" }));
  assert.equal((await of("file.read(./x)")).decision, "allow");
});

Deno.test("A checkpoint has a name that it is found by", async () => {
  await using os = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
  const process = await started(os);
  for (const name of [undefined, null, 5, {}, "", "12", "n".repeat(257)]) {
    assert.equal(await codeOf(process.checkpoint(name as never)), "EINVAL", String(name));
  }
  await process.checkpoint("12 o'clock");
  assert.equal((await process.inspect("12 o'clock")).processes.length, 1);
});

Deno.test("What is no text is no rule, pattern or policy", async () => {
  await using os = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
  const process = await started(os);
  for (const text of [undefined, null, 5, {}] as unknown as string[]) {
    assert.equal(await codeOf(os.explain(process.pid, text)), "EINVAL");
    assert.equal(await codeOf(process.whatIf(text)), "EINVAL");
  }
});
