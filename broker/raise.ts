/**
 * Asking for more: a process that has used up its budget, or is about to, before a person.
 * @module
 */

import type { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { BudgetLimits } from "../kernel/event.ts";
import { ask } from "../kernel/human.ts";
import type { RequestId } from "../kernel/ids.ts";
import { canonical, hashOf, type Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { processOf, wait } from "../kernel/process.ts";
import { checkRaise, raisesFor, said } from "../kernel/raise.ts";
import type { Process, State } from "../kernel/state.ts";
import { askedBy, type Call } from "./call.ts";

/** Decides a request for more. Throws `EINVAL` when it is no more. */
export function askForRaise(draft: Draft, process: Process, key: string, wanted: {
  readonly limits: BudgetLimits;
  readonly reason: string;
}): RequestId {
  const { state } = draft.tree;
  const limits = said(wanted.limits);
  checkRaise(state, process, limits);
  const args = { limits, reason: wanted.reason } as unknown as Json;
  return ask(draft, process, key, {
    kind: "budget",
    prompt: `${process.pid} asks for more to spend: ${wanted.reason}`,
    call: {
      name: "budget.raise",
      right: "budget.raise",
      resource: process.pid,
      args,
      argsHash: hashOf({ name: "budget.raise", args }),
      under: null,
    },
    schema: null,
    choices: [],
    risk: "medium",
    preview: raisesText(state, process, limits),
    expiresMs: draft.nowMs + LIMITS.requestExpiryMsDefault,
  });
}

function raisesText(state: State, process: Process, limits: BudgetLimits): string {
  const { spent, limits: now } = process;
  const lines = Object.keys(limits).map((name) => {
    const used = Object.hasOwn(spent, name) ? spent[name as keyof typeof spent] : "-";
    const kind = name as keyof BudgetLimits;
    return `${name}: ${used} used of ${now[kind] ?? "no limit of its own"}, asks for ${
      limits[kind]
    }`;
  });
  const raises = raisesFor(state, process, limits)
    .map(({ pid, limits: to }) => `raises ${pid} to ${canonical(to)}`);
  return [...lines, ...raises].join("\n");
}

/**
 * Puts a turn of a model that the budget does not bear before a person and parks its caller, where
 * the image or the runtime wants that and nobody has said no to it.
 */
export function asksForMore(draft: Draft, call: Call, error: unknown): boolean {
  const { tree, process, key } = call;
  const image = tree.state.images[process.image];
  const wants = (image?.onBudget ?? tree.context.onBudget) === "ask";
  const isOver = error instanceof SysError && error.code === "EBUDGET";
  if (!isOver || !wants || call.name !== "model.generate") return false;
  const request = pendingHere(call) ?? moreOf(draft, call, error);
  if (request === null) return false;
  wait(draft, process, { on: { reason: "person", key, request }, ...askedBy(call) });
  return true;
}

/** The request that this call waits for already. */
function pendingHere({ tree, process, key }: Call): RequestId | null {
  const on = process.parked[key];
  if (on?.reason !== "person") return null;
  return tree.state.requests[on.request]?.status === "pending" ? on.request : null;
}

/** Asks for as much again; null when a person has said no. */
function moreOf(draft: Draft, call: Call, error: SysError): RequestId | null {
  const { tree, process, key } = call;
  const on = process.parked[key];
  const answered = on?.reason === "person" ? tree.state.requests[on.request] : undefined;
  if (answered?.status === "denied" || answered?.status === "expired") return null;
  const { pid, kind } = error.detail as { readonly pid: Process["pid"]; readonly kind: string };
  const limit = processOf(tree.state, pid).limits[kind as keyof BudgetLimits] ?? 0;
  const used = kind === "wallMs"
    ? draft.nowMs - process.startedMs
    : process.spent[kind as keyof Process["spent"]];
  const reason = `${error.message.split(", expected")[0]}`;
  try {
    const limits = { [kind]: used + Math.max(limit, 1) };
    return askForRaise(draft, process, key, { limits, reason });
  } catch (refused) {
    // Too many ask already: then it is as if nobody could be asked.
    if (refused instanceof SysError) return null;
    throw refused;
  }
}
