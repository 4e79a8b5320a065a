/**
 * Time, chance and budgets.
 * @module
 */

import { z } from "zod";
import { afford } from "../../kernel/budget.ts";
import { SysError } from "../../kernel/errors.ts";
import type { BudgetLimits } from "../../kernel/event.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { processOf, refuseAway } from "../../kernel/process.ts";
import { given } from "../../kernel/raise.ts";
import type { RequestRecord } from "../../kernel/state.ts";
import { refusedByPerson } from "../ask.ts";
import { askForRaise } from "../raise.ts";
import { budgetShape, nothing, pidShape } from "../shapes.ts";
import { Parked, syscall } from "../syscall.ts";
import { untilOf } from "./process.ts";

/** Calls on time. */
export const clockCalls = {
  "clock.now": syscall({
    about: "Tell the time, in milliseconds since 1970 and as text",
    effect: "observe",
    port: "free",
    args: nothing,
    reply: z.strictObject({ ms: z.number(), iso: z.string() }),
    needs: () => [],
    run: (at) => ({ ms: at.nowMs, iso: new Date(at.nowMs).toISOString() }),
  }),
  "clock.wait": syscall({
    about: "Wait a moment in place, without being parked",
    effect: "observe",
    port: "free",
    args: z.strictObject({ ms: z.number().int().min(0).max(LIMITS.waitMsMax) }),
    reply: nothing,
    needs: () => [],
    async run(at, { ms }) {
      await at.world.clock.sleep(ms, at.heard);
      return {};
    },
  }),
  "clock.sleep": syscall({
    about: "Sleep; costs nothing, and outlives restarts",
    effect: "mutate",
    port: "free",
    args: z.strictObject({ ms: z.number().int().min(0).max(LIMITS.sleepMsMax) }),
    reply: nothing,
    needs: () => [],
    run(at, args) {
      const until = untilOf(at.parked, args.ms, at.nowMs) ?? at.nowMs;
      if (until <= at.nowMs) return {};
      return new Parked({ reason: "timer", key: at.key, untilMs: until });
    },
  }),
};

/** Calls on chance. */
export const randomCalls = {
  "random.bytes": syscall({
    about: "Give random bytes, as base64",
    effect: "observe",
    port: "free",
    args: z.strictObject({ length: z.number().int().min(1).max(LIMITS.randomBytesMax) }),
    reply: z.strictObject({ base64: z.string() }),
    needs: () => [],
    run: (at, { length }) => ({ base64: at.world.random.bytes(length).toBase64() }),
  }),
};

/** Calls on budgets. */
export const budgetCalls = {
  "budget.inspect": syscall({
    about: "Tell what the caller may spend and has spent",
    effect: "observe",
    args: z.strictObject({ pid: pidShape.optional() }),
    reply: z.strictObject({ limits: budgetShape, spent: z.record(z.string(), z.number()) }),
    needs: ({ pid }, { tree, process }) =>
      pid === undefined ||
        (Object.hasOwn(tree.state.processes, pid) && tree.lineage(pid).includes(process.pid))
        ? []
        : [{ right: "budget.inspect", resource: pid }],
    run(at, args) {
      const { limits, spent } = processOf(at.tree.state, args.pid ?? at.pid);
      return { limits, spent };
    },
  }),
  "budget.limit": syscall({
    about: "Set limits of a process below the caller; its own it can only lower",
    effect: "mutate",
    args: z.strictObject({ pid: pidShape, limits: budgetShape }),
    reply: nothing,
    needs: ({ pid }, { tree, process }) =>
      Object.hasOwn(tree.state.processes, pid) && tree.lineage(pid).includes(process.pid)
        ? []
        : [{ right: "budget.limit", resource: pid }],
    run(at, args) {
      const target = processOf(at.tree.state, args.pid);
      refuseAway(target, "set limits of");
      const limits = Object.fromEntries(
        Object.entries(args.limits).filter(([, value]) => value !== undefined),
      ) as BudgetLimits;
      if (args.pid === at.pid) refuseRaise(target.limits, limits);
      afford(at.tree.state, at.process, {}, at.nowMs);
      at.draft.add("budget.limited", { pid: args.pid, limits, by: at.pid });
      return {};
    },
  }),
  "budget.raise": syscall({
    about: "Ask a person for more to spend, as new limits of the caller, and wait for the answer",
    effect: "mutate",
    port: "closed",
    args: z.strictObject({ limits: budgetShape, reason: z.string().min(1).max(2_000) }),
    reply: z.strictObject({
      given: budgetShape.describe("What was given, which may be less than was asked for"),
      by: z.string(),
      note: z.string().optional(),
    }),
    needs: () => [],
    run(at, args) {
      if (at.parked?.reason === "person") {
        const request = at.tree.state.requests[at.parked.request];
        const refused = refusedByPerson({ ...at, name: "budget.raise" });
        if (refused !== null) throw refused;
        if (request?.status === "pending") return new Parked(at.parked);
        if (request?.status === "approved") return raised(request);
      }
      const request = askForRaise(at.draft, at.process, at.key, args);
      return new Parked({ reason: "person", key: at.key, request });
    },
  }),
};

/** What a person gave. */
function raised(request: RequestRecord): { given: BudgetLimits; by: string; note?: string } {
  const { by, answer } = request;
  const note = answer?.outcome === "approve" || answer?.outcome === "edit"
    ? answer.note
    : undefined;
  const limits = given(request, answer!);
  return { given: limits, by: by ?? "", ...(note === undefined ? {} : { note }) };
}

function refuseRaise(old: BudgetLimits, wanted: BudgetLimits): void {
  for (const kind of Object.keys(wanted) as (keyof BudgetLimits)[]) {
    const before = old[kind];
    if (before === undefined || wanted[kind]! <= before) continue;
    const expected = "expected a parent or a person to raise it";
    throw new SysError("EPERM", `Cannot raise the own budget of ${kind}: ${before}, ${expected}`);
  }
}
