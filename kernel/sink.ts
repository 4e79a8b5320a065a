/**
 * Sinks: what a place outside may receive, and whose word it acts on.
 *
 * A line of the policy says of a right on a resource how secret and how untrusted a caller may have
 * become that uses it. Whoever has seen more is refused, or needs a person's release of exactly
 * what it sends.
 *
 * Invariants:
 *   K1. All sinks that match have to take a label; one line cannot make an exception to another.
 *   K2. A sink gives nothing, and no rule that allows takes it away.
 *   K3. What was released is one call with its arguments; nothing wider than that is a release.
 * @module
 */

import { formatPattern, type Pattern, splitResource } from "./grammar.ts";
import {
  formatLabel,
  type Label,
  rankOfSensitivity,
  rankOfTrust,
  type Sensitivity,
  type Trust,
} from "./label.ts";
import { PatternIndex } from "./pattern_index.ts";
import type { Risk } from "./policy.ts";

/** A line about what may get to a place. */
export interface SinkRule {
  /** Line of the text, from 1. */
  readonly line: number;
  readonly pattern: Pattern;
  /** The most secret it may receive; null: anything. */
  readonly sensitivityMax: Sensitivity | null;
  /** The least trusted it acts on; null: anybody. */
  readonly trustMin: Trust | null;
  /** What becomes of a call that it does not take: a person may release it, or nobody may. */
  readonly otherwise: "ask" | "deny";
  readonly risk: Risk | null;
  readonly reason: string | null;
}

/** A caller that wants to use a right on a resource, and what it has seen. */
export interface SinkQuery {
  readonly right: string;
  readonly resource: string;
  readonly label: Label;
}

type Sinks = readonly SinkRule[];
const ready = new WeakMap<Sinks, PatternIndex<SinkRule>>();

/** The sink that does not take a label: one that nobody may release first, then by their lines. */
export function sinkAgainst(sinks: Sinks, query: SinkQuery): SinkRule | undefined {
  if (sinks.length === 0) return undefined;
  let worst: SinkRule | undefined;
  for (const sink of indexOf(sinks).find(query.right, splitResource(query.resource))) {
    if (takes(sink, query.label)) continue;
    if (worst === undefined || comesBefore(sink, worst)) worst = sink;
  }
  return worst;
}

/** Whether a sink takes what carries a label. */
export function takes({ sensitivityMax, trustMin }: SinkRule, label: Label): boolean {
  const isSecret = sensitivityMax !== null &&
    rankOfSensitivity(label) > rankOfSensitivity({ sensitivity: sensitivityMax });
  const isDoubtful = trustMin !== null && rankOfTrust(label) < rankOfTrust({ trust: trustMin });
  return !isSecret && !isDoubtful;
}

/** A sink as its line says it, without what is said about it. */
export function sinkText({ pattern, sensitivityMax, trustMin }: SinkRule): string {
  let text = `sink ${formatPattern(pattern)}`;
  if (sensitivityMax !== null) text += ` sensitivity<=${sensitivityMax}`;
  if (trustMin !== null) text += ` trust>=${trustMin}`;
  return text;
}

/** A sink's whole line. */
export function formatSink(sink: SinkRule): string {
  let text = sinkText(sink);
  if (sink.otherwise === "deny") text += " else deny";
  if (sink.risk !== null) text += ` risk ${sink.risk}`;
  if (sink.reason !== null) text += ` because ${sink.reason}`;
  return text;
}

/** Why a sink does not take a label, for who is refused and for who is asked. */
export function sinkReason(sink: SinkRule, label: Label): string {
  const why = sink.reason === null ? "" : ` because ${sink.reason}`;
  return `"${sinkText(sink)}" does not take what was seen (${formatLabel(label)})${why}`;
}

function comesBefore(one: SinkRule, other: SinkRule): boolean {
  if (one.otherwise !== other.otherwise) return one.otherwise === "deny";
  return one.line < other.line;
}

function indexOf(sinks: Sinks): PatternIndex<SinkRule> {
  let index = ready.get(sinks);
  if (index === undefined) {
    index = new PatternIndex();
    for (const sink of sinks) index.add(sink.pattern, sink);
    ready.set(sinks, index);
  }
  return index;
}
