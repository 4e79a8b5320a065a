/**
 * Amending: an answer that puts a rule into a tree's policy, so that the like is asked no more.
 *
 * Invariants:
 *   M1. Only what a rule of the policy asked about can be amended, and by one rule, which covers
 *       the call that was asked about.
 *   M2. No amendment stands against a deny, and none makes another rule hold longer.
 * @module
 */

import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { EventMap } from "./event.ts";
import { within } from "./grammar.ts";
import { judge, parsePolicy, type Policy, type PolicyRule } from "./policy.ts";
import { formatRule } from "./policy_format.ts";
import { holds } from "./policy.ts";
import type { RequestRecord } from "./state.ts";

/** A policy's text with a rule put in. */
export function amendedText(
  text: string,
  { rule, replaces }: Pick<EventMap["policy.amended"], "rule" | "replaces">,
): string {
  if (replaces === null) {
    return `${text === "" || text.endsWith("\n") ? text : `${text}\n`}${rule}\n`;
  }
  return text.split("\n").map((line, i) => i + 1 === replaces ? rule : line).join("\n");
}

/** Decides the narrowest rule by which a request would not have been made (M1, M2). */
export function amend(draft: Draft, request: RequestRecord, wanted: {
  readonly resource: string;
  readonly forMs: number | undefined;
  readonly by: string;
}): EventMap["policy.amended"] {
  const { tree, nowMs } = draft;
  const call = request.call!;
  const pattern = { right: call.right, resource: wanted.resource };
  const refused = `Cannot approve request "${request.id}" for the policy`;
  if (request.rule?.source !== "policy") {
    const whose = request.rule === undefined ? "no rule" : `a rule of ${request.rule.source}`;
    throw new SysError("EINVAL", `${refused}: ${whose} asked, expected one of the policy`);
  }
  refuseDenied(draft, request, pattern);
  const { sinceMs, text } = tree.state.policy;
  const rule = formatRule({
    line: 0,
    effect: "allow",
    pattern,
    when: null,
    reason: `${wanted.by.replaceAll(/[^\w@.:+-]/g, "_")} approved ${request.id}`,
    risk: null,
    // A rule counts from when the policy was loaded.
    expiresMs: wanted.forMs === undefined ? null : nowMs - sinceMs + wanted.forMs,
    unasked: true,
  });
  const old = tree.policy.rules.find((each) =>
    each.unasked === true && each.when === null && each.pattern.right === pattern.right &&
    each.pattern.resource === pattern.resource
  );
  const amendment = { rule, replaces: old?.line ?? null, by: wanted.by, request: request.id };
  const policy = parsePolicy(amendedText(text, amendment), tree.context);
  refuseUseless(draft, request, policy);
  return amendment;
}

/** Every policy that speaks about a process: the tree's, and what came with its ancestors. */
function policiesOf({ tree }: Draft, request: RequestRecord): { of: Policy; sinceMs: number }[] {
  const own = tree.lineage(request.pid).map((pid) => tree.state.processes[pid]!)
    .map((process) => ({ of: tree.rulesOf(process), sinceMs: process.startedMs }));
  return [{ of: tree.policy, sinceMs: tree.state.policy.sinceMs }, ...own];
}

/** M2. */
function refuseDenied(draft: Draft, request: RequestRecord, pattern: PolicyRule["pattern"]): void {
  const { label } = draft.tree.state.processes[request.pid]!;
  for (const { of, sinceMs } of policiesOf(draft, request)) {
    const over = of.rules.find((rule) =>
      rule.effect === "deny" && within(pattern, rule.pattern) &&
      (rule.expiresMs === null || draft.nowMs < sinceMs + rule.expiresMs) &&
      (rule.when === null || holds(rule.when, label))
    );
    if (over === undefined) continue;
    const { right, resource } = pattern;
    const sentence = `Cannot approve request "${request.id}" for the policy: ` +
      `"${right}(${resource})" stands against rule "${formatRule(over)}"`;
    throw new SysError("EPERM", `${sentence}, and deny always wins`, { rule: formatRule(over) });
  }
}

/** M1: what would be asked again is no answer to the question. */
function refuseUseless(draft: Draft, request: RequestRecord, amended: Policy): void {
  const { right, resource } = request.call!;
  const { label } = draft.tree.state.processes[request.pid]!;
  const query = { right, resource, label, nowMs: draft.nowMs };
  const [{ sinceMs }, ...others] = policiesOf(draft, request) as [
    { sinceMs: number },
    ...{ of: Policy; sinceMs: number }[],
  ];
  const all = [{ of: amended, sinceMs }, ...others];
  const still = all.map((each) => judge(each.of, { ...query, sinceMs: each.sinceMs }).rule)
    .find((rule) => rule?.effect === "ask");
  if (still === undefined) return;
  const sentence = `Cannot approve request "${request.id}" for the policy: rule ` +
    `"${formatRule(still)}" would ask again`;
  throw new SysError("EINVAL", `${sentence}, expected another scope`);
}
