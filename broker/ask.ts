/**
 * Asking a person about a call: the request that is shown, and what a no means.
 * @module
 */

import { ceilingAllows } from "../kernel/capability.ts";
import type { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import { ask } from "../kernel/human.ts";
import { hashOf } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { wait } from "../kernel/process.ts";
import { ruleText, type Verdict } from "./authorize.ts";
import type { Call } from "./call.ts";

/** Decides a permission request for a call, and parks the caller on it. */
export function askPerson(draft: Draft, call: Call, judged: Verdict & { is: "ask" }): void {
  const { process, name, args, def, key } = call;
  const { need, rule } = judged;
  if (!ceilingAllows(draft.tree.state.ceiling, need)) {
    const sentence = `Cannot call "${name}": ${need.right}(${need.resource}) is over the ceiling`;
    throw new SysError("EPERM", `${sentence} of the tree, which no person is asked about`);
  }
  const request = ask(draft, process, key, {
    kind: "permission",
    prompt: `${need.right}(${need.resource})`,
    call: {
      name,
      right: need.right,
      resource: need.resource,
      args,
      argsHash: hashOf({ name, args }),
      under: judged.under,
    },
    schema: null,
    choices: [],
    risk: rule.risk ?? def.risk ?? "medium",
    preview: `because of rule "${ruleText(rule)}"${rule.reason === null ? "" : `: ${rule.reason}`}`,
    expiresMs: draft.nowMs + LIMITS.requestExpiryMsDefault,
  });
  wait(draft, process, { reason: "person", key, request });
}

/** What a person said no to; null when nobody has said so. */
export function refusedByPerson(
  call: Pick<Call, "key" | "name" | "process" | "tree">,
): SysError | null {
  const on = call.process.parked[call.key];
  if (on?.reason !== "person") return null;
  const request = call.tree.state.requests[on.request];
  const what = `Cannot call "${call.name}"`;
  if (request?.status === "denied") {
    const reason = request.answer?.outcome === "deny" ? request.answer.reason : undefined;
    const why = reason === undefined ? "" : `: ${reason}`;
    return new SysError("EACCES", `${what}: ${request.by} refused it${why}`, {
      request: request.id,
    });
  }
  if (request?.status !== "expired") return null;
  return new SysError("EEXPIRED", `${what}: nobody answered request "${request.id}" in time`, {
    request: request.id,
  });
}
