/**
 * Functions of an embedder: rights of their own, the same door, and what becomes of a call that
 * fails, is late or says too much.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage, type Json, mountFunctions, SysError } from "../mod.ts";
import type { MountedFunction, Rule } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { LIMITS } from "../kernel/limits.ts";
import { type Body, codeOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const PAY_SCHEMA = {
  type: "object",
  properties: { to: { type: "string" }, amount: { type: "number" } },
  required: ["to"],
};

/** A bank whose one function writes down what reaches it. */
function bank(execute: MountedFunction["execute"] = () => "paid"): {
  readonly pay: MountedFunction;
  readonly paid: Json[];
} {
  const paid: Json[] = [];
  const pay = {
    name: "pay",
    description: "Pays somebody",
    inputSchema: PAY_SCHEMA,
    execute: (...given: Parameters<MountedFunction["execute"]>) => {
      paid.push(given[0]);
      return execute(...given);
    },
  };
  return { pay, paid };
}

function withBank(
  made: ReturnType<typeof bank>,
  job: (world: World) => Promise<void>,
): Promise<void> {
  return inWorld(job, { mcp: mountFunctions({ bank: [made.pay] }) });
}

const call = (to: string, amount = 1) => ({
  server: "bank",
  tool: "pay",
  arguments: { to, amount },
});
const paying = (...calls: readonly (readonly [string, number])[]): Body => async ({ sys }) => {
  const said: string[] = [];
  for (const [to, amount] of calls) said.push(await codeOf(sys.mcp.call(call(to, amount))));
  return said;
};

const ADA: Rule = allow("mcp.bank.pay", "**", {
  uses: 1,
  constraint: {
    properties: { to: { const: "ada" }, amount: { type: "number", maximum: 5 } },
    required: ["to", "amount"],
  },
});

Deno.test("A function is called as its grant says: by whom, with what, and how often", () => {
  const made = bank();
  return withBank(made, async (world) => {
    const body = paying(["eve", 1], ["ada", 6], ["ada", 5], ["ada", 5]);
    assert.deepEqual(await world.result(body, { grants: [ADA] }), [
      "EPERM",
      "EPERM",
      "ok",
      "EPERM",
    ]);
    assert.deepEqual(made.paid, [{ to: "ada", amount: 5 }]);
    assert.deepEqual(await world.result(paying(["ada", 1])), ["EPERM"]);
    const intents = (await world.events("call.intent")).filter(({ name }) => name === "mcp.call");
    assert.equal(intents.length, 1);
  });
});

Deno.test("Arguments that do not fit a function's schema never reach it", () => {
  const made = bank();
  return withBank(made, async (world) => {
    const body: Body = ({ sys }) =>
      codeOf(sys.mcp.call({ server: "bank", tool: "pay", arguments: { amount: 1 } }));
    assert.equal(await world.result(body, { grants: [allow("mcp.bank.*")] }), "EINVAL");
    assert.deepEqual(made.paid, []);
  });
});

Deno.test("A model sees the function as a tool, and what it answers is untrusted", () => {
  const made = bank();
  const model = scriptedModel([
    { tool: "mcp_bank_pay", input: { to: "ada", amount: 2 } },
    "Paid.",
  ]);
  return withBank(made, async (world) => {
    const payer = defineImage({ name: "payer", model });
    const process = await world.start(payer, { grants: [ADA] });
    assert.equal((await world.ended(process)).result, "Paid.");
    assert.deepEqual(made.paid, [{ to: "ada", amount: 2 }]);
    const [outcome] = (await world.events("call.outcome")).filter(({ label }) =>
      (label as { trust?: string } | undefined)?.trust === "untrusted"
    );
    assert.deepEqual((outcome!["label"] as { origin: Json }).origin, ["mcp:bank"]);
  });
});

Deno.test("A yes of a person is for one call of a function, with its arguments", () => {
  const made = bank();
  return withBank(made, async (world) => {
    const process = await world.start(imageOf(paying(["ada", 1], ["eve", 9])), {
      grants: [ask("mcp.bank.pay")],
    });
    for (const outcome of ["approve", "deny"] as const) {
      const [request] = world.os.approvals.list();
      await world.os.approvals.decide(request!.id, { outcome });
      await world.os.runUntilIdle();
    }
    assert.deepEqual((await world.ended(process)).result, ["ok", "EACCES"]);
    assert.deepEqual(made.paid, [{ to: "ada", amount: 1 }]);
  });
});

interface Ending {
  readonly claim: string;
  readonly execute: MountedFunction["execute"];
  /** What two calls under a grant for one come to. */
  readonly codes: readonly string[];
}

/** U2: who says that nothing happened gives the use back; who only fails does not. */
const ENDINGS: readonly Ending[] = [
  {
    claim: "fails",
    execute: () => {
      throw new Error("no line");
    },
    codes: ["ok", "EPERM"],
  },
  {
    claim: "says that nothing happened",
    execute: () => {
      throw new SysError("EAGAIN", "Cannot pay: busy");
    },
    codes: ["EAGAIN", "EAGAIN"],
  },
  { claim: "answers what is no JSON", execute: () => 1n, codes: ["ok", "EPERM"] },
  {
    claim: "answers too much",
    execute: () => "x".repeat(LIMITS.mcpResultBytesMax + 1),
    codes: ["ok", "EPERM"],
  },
];

for (const { claim, execute, codes } of ENDINGS) {
  Deno.test(`A function that ${claim} leaves what is true: two calls under one use`, () =>
    withBank(bank(execute), async (world) => {
      const body = paying(["ada", 1], ["ada", 1]);
      assert.deepEqual(await world.result(body, { grants: [ADA] }), codes);
    }));
}

Deno.test("A function that does not answer in time leaves a doubt, and is not called again", () => {
  const made = bank(() => new Promise(() => {}));
  return withBank(made, async (world) => {
    const body: Body = ({ sys }) => codeOf(sys.mcp.call({ ...call("ada"), timeoutMs: 1 }));
    const process = await world.start(imageOf(body), { grants: [ADA] });
    const [request] = world.os.approvals.list();
    if (request !== undefined) {
      await world.os.approvals.decide(request.id, { outcome: "deny" });
      await world.os.runUntilIdle();
    }
    assert.equal((await world.ended(process)).result, "EINDOUBT");
    assert.equal(made.paid.length, 1);
  });
});

Deno.test("Functions stand beside other servers, and their names are their own", async () => {
  const { pay, paid } = bank();
  const inner = mountFunctions({ shop: [{ ...pay, name: "buy" }] });
  const mcp = mountFunctions({ bank: [pay] }, inner);
  assert.deepEqual(mcp.servers().map(({ name }) => name), ["bank", "shop"]);
  await inWorld(async (world) => {
    const body: Body = async ({ sys }) => {
      await sys.mcp.call({ server: "shop", tool: "buy", arguments: { to: "ada" } });
      return await codeOf(sys.mcp.call({ server: "none", tool: "x", arguments: {} }));
    };
    assert.equal(await world.result(body, { grants: [allow("mcp.*")] }), "ENOENT");
    assert.equal(paid.length, 1);
  }, { mcp });
  assert.throws(() => mountFunctions({ shop: [pay] }, inner), { code: "EEXIST" });
});

const REFUSED: readonly (readonly [string, Parameters<typeof mountFunctions>[0], string])[] = [
  ["a server whose name is no right", { "Bank": [] }, "EINVAL"],
  ["a function whose name is no right", { bank: [{ ...bank().pay, name: "p*y" }] }, "EINVAL"],
  ["two functions of one name", { bank: [bank().pay, bank().pay] }, "EEXIST"],
  [
    "a schema with a word that is misspelt",
    { bank: [{ ...bank().pay, inputSchema: { requird: ["to"] } }] },
    "EINVAL",
  ],
];

for (const [claim, functions, code] of REFUSED) {
  Deno.test(`Not mounted is ${claim}`, () => {
    assert.throws(() => mountFunctions(functions), { code });
  });
}
