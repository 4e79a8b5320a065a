/**
 * Rules that nothing needed: those of a policy which decided no call of a log.
 * @module
 */

import type { CallHead, EventMap, Line } from "../kernel/event.ts";
import type { Policy } from "../kernel/policy.ts";
import { ruleText } from "../broker/authorize.ts";

/** A rule of a policy. */
export interface UnusedRule {
  /** Where it stands in the text. */
  readonly line: number;
  /** As the text has it. */
  readonly rule: string;
}

/** The rules of a policy which decided none of a log's calls. */
export async function unusedRules(
  { rules }: Policy,
  lines: AsyncIterable<Line>,
): Promise<UnusedRule[]> {
  const used = new Set<string>();
  for await (const line of lines) {
    const rule = decidingRule(line);
    if (rule !== undefined) used.add(rule);
  }
  return rules.map((rule) => ({ line: rule.line, rule: ruleText(rule) }))
    .filter(({ rule }) => !used.has(rule));
}

function decidingRule({ type, data }: Line): string | undefined {
  if (type === "call.done" || type === "call.intent") return (data as CallHead).decision.rule;
  if (type !== "human.asked") return undefined;
  const { preview } = data as EventMap["human.asked"];
  return /because of rule "([^"]*)"/.exec(preview ?? "")?.[1];
}
