/**
 * Asking a person about a call: the request that is shown, and what a no means.
 * @module
 */

import { ceilingAllows } from "../kernel/capability.ts";
import type { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { RequestRule } from "../kernel/event.ts";
import { matchRight } from "../kernel/grammar.ts";
import { ask } from "../kernel/human.ts";
import type { Pid, RequestId } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { type PolicyRule, type Risk, RISKS } from "../kernel/policy.ts";
import { sinkReason, type SinkRule, sinkText } from "../kernel/sink.ts";
import { wait } from "../kernel/process.ts";
import { ruleSource, ruleText, type Verdict } from "./authorize.ts";
import { askedBy, type Call, toolOf } from "./call.ts";
import type { AnySyscall } from "./syscall.ts";

/** What a person is asked about, as it was judged. */
export interface Asked {
  readonly judged: Verdict & { is: "ask" };
  readonly preview: string | undefined;
}

/** Decides a permission request for a call, and parks the caller on it. */
export function askPerson(draft: Draft, call: Call, given: Asked): void {
  const { process, key } = call;
  const request = requestFor(draft, call, given);
  wait(draft, process, { on: { reason: "person", key, request }, ...askedBy(call) });
}

/** Decides a permission request for a call, or joins the same one. */
export function requestFor(draft: Draft, call: Call, given: Asked): RequestId {
  const { process, name, args, def, key } = call;
  const { need, rule, sink, under } = given.judged;
  if (!ceilingAllows(draft.tree.state.ceiling, need)) {
    const sentence = `Cannot call "${name}": ${need.right}(${need.resource}) is over the ceiling`;
    throw new SysError("EPERM", `${sentence} of the tree, which no person is asked about`);
  }
  const by = sink ?? rule;
  const ruled = by === undefined ? undefined : asking(draft, process.pid, by);
  return ask(draft, process, key, {
    kind: need.ask === undefined ? "permission" : need.kind ?? "review",
    ...toolOf(call),
    prompt: `${need.right}(${need.resource})`,
    call: {
      name,
      right: need.right,
      resource: need.resource,
      args,
      argsHash: given.judged.argsHash,
      under,
    },
    schema: null,
    choices: [],
    // A rule may make a call look worse than it is, never better: an agent may have written it.
    risk: [rule?.risk, sink?.risk, need.risk].reduce<Risk>(
      (worst, one) => worse(worst, one ?? "low"),
      riskOfCall(def, args),
    ),
    preview: [because(draft, process.pid, given.judged), given.preview ?? ""].join("\n").trimEnd(),
    expiresMs: draft.nowMs + LIMITS.requestExpiryMsDefault,
    ...(ruled === undefined ? {} : { rule: ruled }),
    ...(rule?.people === undefined ? {} : { people: rule.people }),
    ...(def.asks === "ahead" ? { ahead: true as const } : {}),
  });
}

function asking(draft: Draft, pid: Pid, rule: PolicyRule | SinkRule): RequestRule {
  const said = ruleSource(draft.tree, draft.tree.lineage(pid), rule);
  const source = said === "the policy" ? "policy" : said as Pid;
  if ("otherwise" in rule) return { text: sinkText(rule), source, sink: true };
  return { text: ruleText(rule), source };
}

function because(draft: Draft, pid: Pid, judged: Verdict & { is: "ask" }): string {
  const { need, rule, sink, label } = judged;
  if (sink !== undefined) {
    const source = ruleSource(draft.tree, draft.tree.lineage(pid), sink);
    const first = `because sink ${sinkReason(sink, label)}, says ${source}`;
    if (rule === undefined && need.ask === undefined) return first;
    return `${first}\n${because(draft, pid, { ...judged, sink: undefined })}`;
  }
  if (rule === undefined) return `because ${need.ask}`;
  const source = ruleSource(draft.tree, draft.tree.lineage(pid), rule);
  const reason = rule.reason === null ? "" : `: ${rule.reason}`;
  return `because of rule "${ruleText(rule)}" of ${source}${reason}`;
}

/** The worse of two. */
export function worse(a: Risk, b: Risk): Risk {
  return RISKS.indexOf(a) > RISKS.indexOf(b) ? a : b;
}

/** How much harm a call with these arguments could do. */
export function riskOfCall(def: AnySyscall, args: Json): Risk {
  return def.weigh?.(args) ?? def.risk ?? "medium";
}

/** How much harm a right could do: that of the worst call it opens. */
export function riskOf(table: ReadonlyMap<string, AnySyscall>, right: string): Risk {
  let risk: Risk = "medium";
  for (const [call, def] of table) {
    if (matchRight(right, call)) risk = worse(risk, def.risk ?? "low");
  }
  return risk;
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
