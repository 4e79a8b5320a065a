/**
 * Rules written as people write them: the reverse of reading.
 * @module
 */

import { formatPattern } from "./grammar.ts";
import type { LabelRule, Policy, PolicyRule } from "./policy.ts";
import { formatSink, type SinkRule } from "./sink.ts";

/** How long each unit of time is, in milliseconds, the longest first. */
export const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** Writes a policy's rules one a line, in their order, without comments. */
export function formatPolicy(policy: Policy): string {
  const { rules, labels, sinks } = policy;
  const lines = [...rules, ...labels, ...sinks].sort((a, b) => a.line - b.line);
  return lines.map((rule) => `${formatRule(rule)}\n`).join("");
}

/** Writes one rule. */
export function formatRule(rule: PolicyRule | LabelRule | SinkRule): string {
  if ("otherwise" in rule) return formatSink(rule);
  const pattern = formatPattern(rule.pattern);
  if ("label" in rule) {
    return `label ${pattern} sensitivity=${rule.label.sensitivity} trust=${rule.label.trust}`;
  }
  const { when, expiresMs, risk, reason, people, unasked } = rule;
  let text = `${rule.effect} ${pattern}`;
  if (unasked === true) text += " unasked";
  if (when !== null) text += ` when ${when.field}${when.is}${when.value}`;
  if (expiresMs !== null) text += ` expires ${formatDuration(expiresMs)}`;
  if (risk !== null) text += ` risk ${risk}`;
  if (people !== undefined) text += ` people ${people}`;
  if (reason !== null) text += ` because ${reason}`;
  return text;
}

/** Writes a time with the longest unit that it is a whole number of. */
export function formatDuration(ms: number): string {
  for (const [unit, length] of Object.entries(UNITS)) {
    if (ms % length === 0) return `${ms / length}${unit}`;
  }
  return `${ms}ms`;
}
