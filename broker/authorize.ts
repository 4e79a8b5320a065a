/**
 * May this call be made? Capabilities first, then rules, then people (G2, G3, G9).
 *
 * Invariants:
 *   A1. Needs are computed from arguments and names alone, so a refusal tells nothing about what
 *       exists.
 *   A2. A rule can only take away: without a covering capability no rule is even looked at.
 *   A3. Where a rule says ask, only a grant that a person gave for this call will do.
 *   A4. Where a sink does not take what the caller has seen, only a release of exactly this call.
 *   A5. A bare deny of a call's name refuses it whatever else it needs. Of a call that never needs
 *       a right it only hides the tools.
 * @module
 */

import { authorize, ceilingAllows, type HeldCapability, leastGrant } from "../kernel/capability.ts";
import { SysError } from "../kernel/errors.ts";
import type { Decision } from "../kernel/event.ts";
import type { CapId, Pid } from "../kernel/ids.ts";
import { hashOf, type Json } from "../kernel/json.ts";
import { deniedByName as deniedIn, judge, type Policy, type PolicyRule } from "../kernel/policy.ts";
import type { Label } from "../kernel/label.ts";
import { sinkAgainst, sinkReason, type SinkRule, sinkText } from "../kernel/sink.ts";
import type { Process } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Need } from "./syscall.ts";

/** The question: may this process make this call now? */
export interface Question {
  readonly tree: Tree;
  readonly process: Process;
  readonly name: string;
  readonly args: Json;
  readonly needs: readonly Need[];
  readonly nowMs: number;
  /** The join of all that the process and this call have seen. */
  readonly label: Label;
  /** What is sent besides the arguments, which only name it. */
  readonly sends?: (() => Json) | undefined;
  /** Whether a person let the program do this that is running: "right(resource)". */
  readonly passes?: ReadonlySet<string> | undefined;
}

/** Let through, with what covered it; or a person has to be asked; or refused. */
export type Verdict =
  | { readonly is: "allowed"; readonly decision: Decision; readonly spends: readonly CapId[] }
  | {
    readonly is: "ask";
    readonly need: Need;
    readonly under: CapId;
    /** What the answer is bound to. */
    readonly argsHash: string;
    /** The rule that says ask; undefined when a sink or the call itself wants a person's word. */
    readonly rule: PolicyRule | undefined;
    /** The sink that does not take what the caller has seen, unless a person releases it. */
    readonly sink: SinkRule | undefined;
    /** What the caller has seen. */
    readonly label: Label;
  }
  | { readonly is: "refused"; readonly decision: Decision; readonly error: SysError };

const OPEN: Verdict = {
  is: "allowed",
  decision: { by: [], effect: "allow", needs: [] },
  spends: [],
};

/** Judges a call. Pure: the same state gives the same verdict. */
export function judgeCall(question: Question): Verdict {
  const { needs, tree, process } = question;
  if (needs.length === 0) return OPEN;
  const lineage = tree.lineage(process.pid);
  const isRuled = hasRules(tree, lineage);
  const reach = tree.reach(process.pid);
  const by: (readonly CapId[])[] = [];
  const spends: CapId[] = [];
  let decided: string | undefined;
  let argsHash: string | undefined;
  const hash = (): string => argsHash ??= askedHash(question, undefined);
  for (const need of needs) {
    const query = {
      lineage: reach,
      right: need.right,
      resource: need.resource,
      args: need.args ?? question.args,
      argsHash: need.binds === undefined ? hash : () => askedHash(question, need.binds),
      nowMs: question.nowMs,
      needsGrant: false,
      call: need.args === undefined ? question.name : need.right,
      image: process.image,
      bytes: need.bytes,
    };
    const held = authorize(tree.caps, query);
    if (!held.ok) return refuse(question, need, "EPERM");
    const at = { need, nowMs: question.nowMs, label: question.label };
    const ruled = isRuled ? ruleFor(tree, lineage, at) : undefined;
    if (ruled?.effect === "deny") return refuse(question, need, "EACCES", ruled);
    const sink = isRuled ? sinkFor(tree, lineage, at) : undefined;
    if (sink?.otherwise === "deny") return refuse(question, need, "EACCES", sink);
    let chosen = held;
    const rule = ruled?.effect === "ask" ? ruled : undefined;
    if (rule !== undefined || sink !== undefined || need.ask !== undefined) {
      const wanted = sink === undefined
        ? { needsGrant: need.ask === undefined ? true : "shown" as const }
        : { needsGrant: "released" as const, argsHash: () => releaseHash(question, need) };
      const granted = authorize(tree.caps, { ...query, ...wanted });
      const isPassed = sink === undefined &&
        question.passes?.has(`${need.right}(${need.resource})`) === true;
      if (!granted.ok && !isPassed) {
        const argsHash = (wanted.argsHash ?? query.argsHash)();
        const { label } = question;
        return { is: "ask", need, under: ownOf(held.cap), argsHash, rule, sink, label };
      }
      if (granted.ok) chosen = granted;
    }
    if (sink !== undefined) decided = sinkText(sink);
    else if (ruled !== undefined) decided = ruleText(ruled);
    by.push(chosen.chain);
    for (const id of chosen.chain) {
      if (tree.cap(id)?.usesMax != null && !spends.includes(id)) spends.push(id);
    }
  }
  return { is: "allowed", decision: allowed(needs, by, decided), spends };
}

/**
 * The bare deny of a call's own name, where what this call needs is something else or nothing: so
 * no such call is made (A5).
 */
export function deniedByName(
  { tree, process, name, needs }: Pick<Question, "name" | "needs" | "process" | "tree">,
): PolicyRule | undefined {
  if (needs.some(({ right }) => right === name)) return undefined;
  const lineage = tree.lineage(process.pid);
  if (!hasRules(tree, lineage)) return undefined;
  for (const pid of lineage) {
    const own = tree.state.processes[pid]!;
    const denied = own.rules === "" ? undefined : deniedIn(tree.rulesOf(own), name);
    if (denied !== undefined) return denied;
  }
  return deniedIn(tree.policy, name);
}

/** What a bare deny of a call's own name comes to. */
export function refuseByName(question: Question, rule: PolicyRule): Verdict {
  return refuse(question, { right: question.name, resource: "**" }, "EACCES", rule);
}

/** In the order in which the log has the names of fields: it is then written as it stands. */
function allowed(
  needs: readonly Need[],
  by: Decision["by"],
  rule: string | undefined,
): Decision {
  const asked = needs.map(({ right, resource }) => ({ resource, right }));
  const decision = { by, effect: "allow", needs: asked } as const;
  return rule === undefined ? decision : { ...decision, rule };
}

/** Whether anybody said anything about what the processes of a lineage may do. */
function hasRules(tree: Tree, lineage: readonly Pid[]): boolean {
  if (tree.state.policy.text !== "") return true;
  for (const pid of lineage) if (tree.state.processes[pid]!.rules !== "") return true;
  return false;
}

/** The sink of the tree's or the lineage's rules that does not take what the caller has seen. */
export function sinkFor(
  tree: Tree,
  lineage: readonly Pid[],
  at: { readonly need: Need; readonly label: Label },
): SinkRule | undefined {
  const query = { right: at.need.right, resource: at.need.resource, label: at.label };
  let found = sinkAgainst(tree.policy.sinks, query);
  for (let i = lineage.length - 1; i >= 0 && found?.otherwise !== "deny"; i--) {
    const process = tree.state.processes[lineage[i]!]!;
    if (process.rules === "") continue;
    const own = sinkAgainst(tree.rulesOf(process).sinks, query);
    if (found === undefined || own?.otherwise === "deny") found = own;
  }
  return found;
}

/** What a person's answer to a call is bound to: it, its arguments, and what the need says. */
export function askedHash(
  { name, args }: { readonly name: string; readonly args: Json },
  binds: Json | undefined,
): string {
  return hashOf({ name, args, ...(binds === undefined ? {} : { binds }) });
}

/** What a release is bound to besides: what its sender had seen, and all that is sent (A4). */
export function releaseHash(
  { name, args, label, sends }: Pick<Question, "args" | "label" | "name" | "sends">,
  { binds }: Pick<Need, "binds">,
): string {
  const { sensitivity, trust } = label;
  const sent = sends === undefined ? {} : { sends: sends() };
  const seen = { sensitivity, trust };
  return hashOf({ name, args, ...(binds === undefined ? {} : { binds }), seen, ...sent });
}

/** What a release hangs under: never an answer to the call itself, which is bound otherwise. */
function ownOf({ id, parent, grant }: HeldCapability): CapId {
  return grant?.argsHash != null && parent !== null ? parent : id;
}

/**
 * The rule that decides a need: deny beats ask beats allow, over the tree's and the lineage's
 * rules.
 */
export function ruleFor(
  tree: Tree,
  lineage: readonly Pid[],
  at: { readonly need: Need; readonly nowMs: number; readonly label: Label },
): PolicyRule | undefined {
  const { right, resource } = at.need;
  const query = { right, resource, label: at.label, nowMs: at.nowMs };
  let asks: PolicyRule | undefined;
  let allows: PolicyRule | undefined;
  const weigh = (rule: PolicyRule | undefined): PolicyRule | undefined => {
    if (rule?.effect === "deny") return rule;
    // What takes two people takes two, whoever else says that one will do.
    if (rule?.effect === "ask") asks = (rule.people ?? 1) > (asks?.people ?? 0) ? rule : asks;
    else allows ??= rule;
    return undefined;
  };
  const { policy } = tree.state;
  if (policy.text !== "") {
    const denied = weigh(judge(tree.policy, { ...query, sinceMs: policy.sinceMs }).rule);
    if (denied !== undefined) return denied;
  }
  // The root's rules first: those a parent gave its child never speak before its own.
  for (let i = lineage.length - 1; i >= 0; i--) {
    const process = tree.state.processes[lineage[i]!]!;
    if (process.rules === "") continue;
    const sinceMs = process.startedMs;
    const denied = weigh(judge(tree.rulesOf(process), { ...query, sinceMs }).rule);
    if (denied !== undefined) return denied;
  }
  return asks ?? allows;
}

/** Whose rule it is: the policy's, or those of the process that was started with it. */
export function ruleSource(
  tree: Tree,
  lineage: readonly Pid[],
  rule: PolicyRule | SinkRule,
): string {
  const has = ({ rules, sinks }: Policy): boolean =>
    [...rules, ...sinks].some((each) => each === rule);
  if (has(tree.policy)) return "the policy";
  const pid = lineage.find((each) => {
    const process = tree.state.processes[each]!;
    return process.rules !== "" && has(tree.rulesOf(process));
  });
  return pid ?? "nobody";
}

/** A rule as people wrote it. */
export function ruleText(rule: PolicyRule): string {
  return `${rule.effect} ${rule.pattern.right}(${rule.pattern.resource})`;
}

/** What the log says where a person said no, or has not spoken. */
export function refusal({ need }: Verdict & { is: "ask" }): Decision {
  return { needs: [{ right: need.right, resource: need.resource }], by: [], effect: "deny" };
}

function refuse(
  question: Question,
  need: Need,
  code: "EPERM" | "EACCES",
  by?: PolicyRule | SinkRule,
): Verdict {
  const resource = need.shown ?? need.resource;
  const what = `${need.right}(${resource})`;
  const call = `Cannot call "${question.name}"`;
  const rule = by === undefined ? undefined : "otherwise" in by ? sinkText(by) : ruleText(by);
  const sentence = by === undefined
    ? `${call}: no capability of "${question.process.pid}" covers ${what}, expected one; ` +
      `capability.request asks a person`
    : "otherwise" in by
    ? `${call}: ${sinkReason(by, question.label)}, expected a process that has not seen it`
    : `${call}: rule "${rule}" refuses ${what}${by.reason === null ? "" : ` because ${by.reason}`}`;
  const least = leastGrant(need.right, resource);
  const error = new SysError(code, sentence, {
    right: need.right,
    resource,
    ...(rule === undefined ? { least } : { rule }),
    ...(by !== undefined && "otherwise" in by ? { label: question.label } : {}),
  });
  return {
    is: "refused",
    decision: {
      needs: [{ right: need.right, resource: need.resource }],
      by: [],
      effect: "deny",
      ...(rule === undefined ? {} : { rule }),
    },
    error,
  };
}

/** Whether a right on a resource is inside the tree's ceiling at all. */
export function underCeiling(tree: Tree, right: string, resource: string): boolean {
  return ceilingAllows(tree.state.ceiling, { right, resource });
}
