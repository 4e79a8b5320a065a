/**
 * Asking ahead: calls that cannot wait for a person's answer, because a program makes them that
 * goes on at once.
 *
 * Such a call fails with the request it made; the answer is there when the program is run again.
 *
 * Invariants:
 *   C1. A program is told of its request only when that is durable.
 *   C2. What a person allowed once holds for the run that uses it, and no longer; who takes the
 *       capability away, or forbids it, ends that, too.
 *   C3. A no stays a no for this process.
 * @module
 */

import type { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Decision } from "../kernel/event.ts";
import type { RequestRecord } from "../kernel/state.ts";
import { requestFor } from "./ask.ts";
import { refusal, type Verdict } from "./authorize.ts";
import type { Call } from "./call.ts";

type Asks = Verdict & { is: "ask" };

/** What people let the program do in which this call is made (C2). */
export function passesOf({ run, key }: Call): Set<string> | undefined {
  return run.programs.get(key.slice(0, Math.max(key.lastIndexOf("."), 0)));
}

/** Notes what a person's grant let through. */
export function notePasses(call: Call, { needs, rule }: Decision): void {
  if (rule?.startsWith("ask ") !== true) return;
  const passes = passesOf(call);
  for (const { right, resource } of needs) passes?.add(`${right}(${resource})`);
}

/** Decides a request that nobody waits for; returns what its caller and the log are told. */
export function askAhead(draft: Draft, call: Call, judged: Asks): {
  readonly error: SysError;
  readonly judged: Verdict & { is: "allowed" };
} {
  const pending = sameAs(call, judged).find(({ status }) => status === "pending");
  const request = pending?.id ?? requestFor(draft, call, { judged, preview: undefined });
  const { right, resource } = judged.need;
  const sentence = `Cannot call "${call.name}": ${right}(${resource}) is denied, request ` +
    `"${request}" is pending, run again when a person has answered it`;
  return {
    error: new SysError("EAGAIN", sentence, { request }),
    judged: { is: "allowed", decision: { ...refusal(judged), effect: "ask" }, spends: [] },
  };
}

/** What a person said no to; null when nobody has (C3). */
export function refusedAhead(call: Call, judged: Asks): SysError | null {
  const denied = sameAs(call, judged).find(({ status }) => status === "denied");
  if (denied === undefined) return null;
  const reason = denied.answer?.outcome === "deny" ? denied.answer.reason : undefined;
  const why = reason === undefined ? "" : `: ${reason}`;
  return new SysError("EACCES", `Cannot call "${call.name}": ${denied.by} refused it${why}`, {
    request: denied.id,
  });
}

/** Requests of this process for exactly this. */
function sameAs(call: Call, { need, argsHash }: Asks): readonly RequestRecord[] {
  return Object.values(call.tree.state.requests).filter((request) =>
    request.ahead === true && request.call?.argsHash === argsHash &&
    request.call.right === need.right && request.call.resource === need.resource &&
    request.askers.some(({ pid }) => pid === call.process.pid)
  );
}
