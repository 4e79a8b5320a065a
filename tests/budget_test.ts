/**
 * Budgets: what a process spends, all above it spend, and a limit of any of them holds.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { allow } from "../mod.ts";
import { afford, book, nothingSpent, SPENT_KINDS } from "../kernel/budget.ts";
import type { Spending } from "../kernel/event.ts";
import type { Process, State } from "../kernel/state.ts";
import { type Body, codeOf, errorOf, inWorld } from "./world_fixture.ts";

const GRANTS = [allow("process.*"), allow("file.*"), allow("budget.*")];
const tool: Body = ({ sys }) => codeOf(sys.tool.call({ name: "clock_now" }));

interface Limited {
  readonly budget: Record<string, unknown>;
  readonly body: Body;
  readonly result: unknown;
}

const LIMITED: Readonly<Record<string, Limited>> = {
  "calls of tools": {
    budget: { toolCalls: 2 },
    body: async (context) => [await tool(context), await tool(context), await tool(context)],
    result: ["ok", "ok", "EBUDGET"],
  },
  "children": {
    budget: { children: 1 },
    body: async ({ sys, goal }) =>
      goal === "child" ? null : [
        await codeOf(sys.process.fork({ goal: "child" })),
        await codeOf(sys.process.fork({ goal: "child" })),
      ],
    result: ["ok", "EBUDGET"],
  },
  "depth": {
    budget: { depth: 1 },
    body: async ({ sys, goal }) => {
      if (goal === "2") return await codeOf(sys.process.fork({ goal: "3" }));
      const { pid } = await sys.process.fork({ goal: "2" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return (ended!.outcome as unknown as { result: unknown }).result;
    },
    result: "EBUDGET",
  },
  "bytes of memory": {
    budget: { bytes: 2_000 },
    body: async ({ sys }) => [
      await codeOf(sys.object.create({ name: "a", value: "x".repeat(1_000) })),
      await codeOf(sys.object.create({ name: "b", value: "x".repeat(1_000) })),
    ],
    result: ["ok", "EBUDGET"],
  },
  "time by the clock": {
    budget: { wallClock: "100ms" },
    body: async (context) => {
      const first = await tool(context);
      await context.sys.clock.sleep({ ms: 100 });
      const second = await tool(context);
      await context.sys.clock.sleep({ ms: 1 });
      return [first, second, await tool(context)];
    },
    result: ["ok", "ok", "EBUDGET"],
  },
  "effects by the clock, of all below as well": {
    budget: { wallClock: "100ms" },
    body: async ({ sys, goal }) => {
      const write = (path: string) => codeOf(sys.file.write({ path, text: "" }));
      if (goal === "child") {
        await sys.clock.sleep({ ms: 100 });
        const inTime = await write("c");
        await sys.clock.sleep({ ms: 1 });
        return [inTime, await write("d")];
      }
      const first = await write("a");
      const { pid } = await sys.process.fork({ goal: "child", budget: { wallMs: 60_000 } });
      await sys.clock.sleep({ ms: 101 });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return [first, await write("b"), (ended!.outcome as unknown as { result: unknown }).result];
    },
    result: ["ok", "EBUDGET", ["ok", "EBUDGET"]],
  },
  "what children spend": {
    budget: { toolCalls: 1 },
    body: async (context) => {
      if (context.goal === "child") return await tool(context);
      const { sys } = context;
      const { pid } = await sys.process.fork({ goal: "child", budget: { toolCalls: 100 } });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return [(ended!.outcome as unknown as { result: unknown }).result, await tool(context)];
    },
    result: ["ok", "EBUDGET"],
  },
  "a raise of the own": {
    budget: { toolCalls: 1 },
    body: async ({ sys, pid }) => [
      await codeOf(sys.budget.limit({ pid, limits: { toolCalls: 2 } })),
      await codeOf(sys.budget.limit({ pid, limits: { toolCalls: 0 } })),
      await codeOf(sys.budget.limit({ pid, limits: { toolCalls: 1 } })),
    ],
    result: ["EPERM", "ok", "EPERM"],
  },
};

for (const [claim, { budget, body, result }] of Object.entries(LIMITED)) {
  Deno.test(`A budget limits ${claim}`, () =>
    inWorld(async (world) => {
      assert.deepEqual(await world.result(body, { budget, grants: GRANTS }), result);
    }));
}

Deno.test("A refusal for its budget says which process, how much and of how much", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      const error = await errorOf(sys.tool.call({ name: "clock_now" }));
      return [error!.message, error!.detail];
    }, { budget: { toolCalls: 0 } });
    assert.deepEqual(said, [
      'Cannot spend toolCalls of process "p_1": 0 of 0 used, expected a raise with budget.limit',
      { pid: "p_1", kind: "toolCalls" },
    ]);
  }));

Deno.test("A parent raises its child's budget, and a person anyone's", () =>
  inWorld(async (world) => {
    const said = await world.result(async (context) => {
      const { sys, goal } = context;
      if (goal === "child") {
        const first = await tool(context);
        await sys.message.receive({});
        return [first, await tool(context)];
      }
      const { pid } = await sys.process.fork({ goal: "child", budget: { toolCalls: 0 } });
      await sys.clock.sleep({ ms: 1 });
      await sys.budget.limit({ pid, limits: { toolCalls: 1 } });
      await sys.message.send({ to: pid, data: "go" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return [
        (ended!.outcome as unknown as { result: unknown }).result,
        await sys.budget.inspect({ pid }),
      ];
    }, { grants: GRANTS });
    const [codes, seen] = said as [unknown, { limits: unknown; spent: { toolCalls: number } }];
    assert.deepEqual(codes, ["EBUDGET", "ok"]);
    assert.deepEqual([seen.limits, seen.spent.toolCalls], [{ toolCalls: 1 }, 1]);
  }));

/** A line of processes, the root first. */
function line(limits: readonly (number | undefined)[]): { state: State; all: Process[] } {
  const all = limits.map((toolCalls, i) => ({
    pid: `p_1.${i}`,
    parent: i === 0 ? null : `p_1.${i - 1}`,
    startedMs: 0,
    limits: toolCalls === undefined ? {} : { toolCalls },
    spent: nothingSpent(),
  })) as unknown as Process[];
  const processes = Object.fromEntries(all.map((each) => [each.pid, each]));
  return { state: { processes } as unknown as State, all };
}

Deno.test("No process of a line ever spends more than its own limit, and each spends what those below do", () => {
  const limit = fc.option(fc.nat(10), { nil: undefined });
  fc.assert(fc.property(
    fc.array(limit, { minLength: 1, maxLength: 5 }),
    fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 40 }),
    (limits, spendings) => {
      const { state, all } = line(limits);
      const own = all.map(() => 0);
      for (const [at, amount] of spendings) {
        const i = at % all.length;
        const wanted: Spending = { toolCalls: amount + 1 };
        try {
          afford(state, all[i]!, wanted, 0);
        } catch {
          continue;
        }
        book(state, all[i]!, wanted);
        own[i]! += amount + 1;
      }
      for (const [i, process] of all.entries()) {
        const below = own.slice(i).reduce((sum, each) => sum + each, 0);
        assert.equal(process.spent.toolCalls, below);
        assert.ok(process.spent.toolCalls <= (limits[i] ?? Infinity));
      }
    },
  ));
});

Deno.test("Every kind that is spent starts at nothing", () => {
  assert.deepEqual(Object.keys(nothingSpent()), [...SPENT_KINDS]);
  assert.ok(Object.values(nothingSpent()).every((amount) => amount === 0));
});
