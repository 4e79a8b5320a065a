/**
 * Policy: what is taken away again from calls that a capability covers.
 *
 * Invariants:
 *   Y1. Deny beats ask beats allow, whatever the order of the rules and however specific they are;
 *       an allow that says "unasked" beats the asks of its own text, and no deny.
 *   Y2. A policy gives nothing: where no rule matches, the capability alone decides.
 *   Y3. A rule that could never match is refused when the text is read, not ignored afterwards.
 *   Y4. Judging costs what matches, not how many rules there are.
 * @module
 */

import { type Pattern, splitResource } from "./grammar.ts";
import {
  joinLabels,
  type Label,
  rankOfSensitivity,
  rankOfTrust,
  SENSITIVITIES,
  type Sensitivity,
  type Trust,
  TRUSTS,
} from "./label.ts";
import { PatternIndex } from "./pattern_index.ts";
import { isBareDeny } from "./policy_forms.ts";
import type { SinkRule } from "./sink.ts";

export { type Forms, neverMatches } from "./policy_forms.ts";
export { formatPolicy, formatRule } from "./policy_format.ts";
export { checkPolicy, parsePolicy, unknownRight } from "./policy_text.ts";
export type { PolicyContext } from "./policy_text.ts";
export { suggest } from "./suggest.ts";

/** What a rule does, weakest first. */
export const EFFECTS = ["allow", "ask", "deny"] as const;
/** What a rule does. */
export type Effect = "allow" | "ask" | "deny";

/** How bad a mistake would be, least first; shown to who is asked. */
export const RISKS = ["low", "medium", "high", "destructive"] as const;
/** How bad a mistake would be. */
export type Risk = (typeof RISKS)[number];

/** How a label is compared. */
export const COMPARISONS = [">=", "<=", "="] as const;
/** How a label is compared. */
export type Comparison = (typeof COMPARISONS)[number];

/** A claim about the label of what the caller has seen, which makes a rule one about sinks. */
export type LabelTest =
  | { readonly field: "sensitivity"; readonly is: Comparison; readonly value: Sensitivity }
  | { readonly field: "trust"; readonly is: Comparison; readonly value: Trust };

/** One rule. */
export interface PolicyRule {
  /** Line of the text, from 1. */
  readonly line: number;
  readonly effect: Effect;
  readonly pattern: Pattern;
  /** It applies only when this holds; null: always. */
  readonly when: LabelTest | null;
  readonly reason: string | null;
  readonly risk: Risk | null;
  /** How long after the policy was loaded it applies; null: always. */
  readonly expiresMs: number | null;
  /** Of an ask: how many people have to agree; absent: one. */
  readonly people?: number;
  /** Of an allow: what it covers is asked about by no rule of the same text. */
  readonly unasked?: true;
}

/** A rule which labels the values that come from somewhere. */
export interface LabelRule {
  readonly line: number;
  readonly pattern: Pattern;
  readonly label: Label;
}

/** A policy: plain data, as read from its text. */
export interface Policy {
  readonly text: string;
  /** SHA-256 of the text. */
  readonly hash: string;
  readonly rules: readonly PolicyRule[];
  readonly labels: readonly LabelRule[];
  readonly sinks: readonly SinkRule[];
}

/** What a policy says to a call. */
export interface Judgement {
  readonly effect: Effect;
  /** The deciding rule: of those with the strongest effect, the first in the text. */
  readonly rule?: PolicyRule;
}

/** What is judged: a call that a capability covers. */
export interface JudgeQuery {
  readonly right: string;
  readonly resource: string;
  /** The join of all that the caller has seen. */
  readonly label: Label;
  readonly nowMs: number;
  /** When the policy was loaded. */
  readonly sinceMs: number;
}

interface Ready {
  readonly rules: PatternIndex<PolicyRule>;
  readonly labels: PatternIndex<LabelRule>;
  /** Bare denies by their right. */
  readonly denied: ReadonlyMap<string, PolicyRule>;
}

const ALLOWED: Judgement = { effect: "allow" };
const ready = new WeakMap<Policy, Ready>();

/** What the policy says to a call. */
export function judge(policy: Policy, query: JudgeQuery): Judgement {
  if (policy.rules.length === 0) return ALLOWED;
  const { rules } = readyOf(policy);
  let best: PolicyRule | undefined;
  for (const rule of rules.find(query.right, splitResource(query.resource))) {
    if (rule.expiresMs !== null && query.nowMs >= query.sinceMs + rule.expiresMs) continue;
    if (rule.when !== null && !holds(rule.when, query.label)) continue;
    if (best === undefined || comesBefore(rule, best)) best = rule;
  }
  return best === undefined ? ALLOWED : { effect: best.effect, rule: best };
}

/** Whether a label has what a rule tests for. */
export function holds(test: LabelTest, label: Label): boolean {
  const [have, want] = test.field === "sensitivity"
    ? [rankOfSensitivity(label), SENSITIVITIES.indexOf(test.value)]
    : [rankOfTrust(label), TRUSTS.indexOf(test.value)];
  switch (test.is) {
    case ">=":
      return have >= want;
    case "<=":
      return have <= want;
    case "=":
      return have === want;
  }
}

/**
 * Says of each right whether a bare deny forbids it altogether: such tools are not shown to models.
 * A deny that expires or tests labels hides nothing, as it may not apply at the next call.
 */
export function hidden(policy: Policy): (right: string) => boolean {
  const bare = new PatternIndex<true>();
  for (const rule of policy.rules) {
    if (isBareDeny(rule)) bare.add({ right: rule.pattern.right, resource: "**" }, true);
  }
  return (right) => bare.find(right, [""]).length > 0;
}

/** The bare deny that has exactly this right, by whatever its calls need; undefined: none. */
export function deniedByName(policy: Policy, right: string): PolicyRule | undefined {
  return policy.rules.length === 0 ? undefined : readyOf(policy).denied.get(right);
}

/** The label the policy puts on what comes from a resource; null when it has no rule for it. */
export function labelFor(policy: Policy, right: string, resource: string): Label | null {
  if (policy.labels.length === 0) return null;
  let label: Label | null = null;
  for (const rule of readyOf(policy).labels.find(right, splitResource(resource))) {
    label = label === null ? rule.label : joinLabels(label, rule.label);
  }
  return label;
}

function comesBefore(rule: PolicyRule, other: PolicyRule): boolean {
  const stronger = weight(rule) - weight(other);
  return stronger > 0 || (stronger === 0 && rule.line < other.line);
}

/** How much a rule weighs: by its effect, and among asks by how many have to agree. */
function weight({ effect, people, unasked }: PolicyRule): number {
  return effect === "deny" ? 4 : unasked === true ? 3 : effect === "ask" ? people ?? 1 : 0;
}

function readyOf(policy: Policy): Ready {
  const known = ready.get(policy);
  if (known !== undefined) return known;
  const denied = policy.rules.filter(isBareDeny).map((rule) => [rule.pattern.right, rule] as const);
  const made: Ready = {
    rules: new PatternIndex(),
    labels: new PatternIndex(),
    denied: new Map(denied),
  };
  for (const rule of policy.rules) made.rules.add(rule.pattern, rule);
  for (const rule of policy.labels) made.labels.add(rule.pattern, rule);
  ready.set(policy, made);
  return made;
}
