/**
 * What if: another policy held against a history, and the least authority a history needed.
 * @module
 */

import { ruleText } from "../broker/authorize.ts";
import type { CallHead, Line } from "../kernel/event.ts";
import { formatPattern, type Pattern, within } from "../kernel/grammar.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { joinLabels, type Label } from "../kernel/label.ts";
import { judge, type JudgeQuery, parsePolicy, type Policy } from "../kernel/policy.ts";
import { sinkAgainst, sinkText } from "../kernel/sink.ts";
import { Tree, type TreeContext } from "../kernel/tree.ts";

/** A call that a policy would have treated otherwise. */
export interface Otherwise {
  /** Line of the call. */
  readonly seq: number;
  /** Who made it. */
  readonly pid: Pid;
  /** `p_1#4.2`. */
  readonly call: string;
  /** The right that it needed. */
  readonly right: string;
  /** The resource that it needed it on. */
  readonly resource: string;
  /** What came of it then. */
  readonly was: "allow" | "ask" | "deny";
  /** What the policy says. */
  readonly would: "ask" | "deny";
  /** The rule that says so. */
  readonly rule: string;
}

/** The calls of a history that a policy would have refused or asked about, and did not then. */
export async function whatIf(
  lines: AsyncIterable<Line> | Iterable<Line>,
  text: string,
  context: TreeContext,
): Promise<readonly Otherwise[]> {
  const policy = parsePolicy(text, context);
  const found: Otherwise[] = [];
  let tree: Tree | undefined;
  for await (const line of lines) {
    tree ??= Tree.empty(line.tree as TreeId, context);
    if (line.type === "call.done" || line.type === "call.intent") {
      const head = line.data as CallHead & { readonly label?: Label };
      const { decision, pid, step, key } = head;
      const own = tree.state.processes[pid]?.label;
      // A call is judged with the label of what it reads itself.
      const label = own === undefined || head.label === undefined
        ? own
        : joinLabels(own, head.label);
      for (const { right, resource } of label === undefined ? [] : decision.needs) {
        const query = { right, resource, label: label!, nowMs: line.atMs, sinceMs: line.atMs };
        const said = saidBy(policy, query);
        if (said === null || decision.effect === "deny") continue;
        const was = wasAsked(decision) ? "ask" : decision.effect;
        if (was === said.would) continue;
        const call = `${pid}#${step}.${key}`;
        found.push({ seq: line.seq, pid, call, right, resource, was, ...said });
      }
    }
    tree.replay(line);
  }
  return found;
}

/**
 * The calls of a process and all below it that a policy would have refused or asked about, and did
 * not then; up to line `until`.
 */
export async function whatIfOf(
  lines: AsyncIterable<Line>,
  { pid, until = Infinity }: { readonly pid: Pid; readonly until?: number | undefined },
  { text, context }: { readonly text: string; readonly context: TreeContext },
): Promise<readonly Otherwise[]> {
  const family = new Set<string>([pid]);
  const found = await whatIf(told(lines, { until, family }), text, context);
  return found.filter((one) => family.has(one.pid));
}

/** Lines up to one; puts the children of whoever is in the family into it. */
async function* told(lines: AsyncIterable<Line>, { until, family }: {
  readonly until: number;
  readonly family: Set<string>;
}): AsyncGenerator<Line> {
  for await (const line of lines) {
    if (line.seq > until) return;
    if (line.type === "process.spawned") {
      const { pid, parent } = line.data as { readonly pid: Pid; readonly parent: Pid | null };
      if (parent !== null && family.has(parent)) family.add(pid);
    }
    yield line;
  }
}

/** What a policy says against a call, and by which line; null for nothing. */
function saidBy(policy: Policy, query: JudgeQuery): Pick<Otherwise, "rule" | "would"> | null {
  const { effect, rule } = judge(policy, query);
  const sink = sinkAgainst(policy.sinks, query);
  if (sink !== undefined && effect !== "deny") {
    return { would: sink.otherwise, rule: sinkText(sink) };
  }
  return effect === "allow" || rule === undefined ? null : { would: effect, rule: ruleText(rule) };
}

/** Whether a person had to say yes. */
function wasAsked({ rule = "" }: CallHead["decision"]): boolean {
  return rule.startsWith("ask ") || rule.startsWith("sink ");
}

/** A right that a history needed, and what for. */
export interface Needed {
  /** `right(resource)`. */
  readonly rule: string;
  /** "ask" where a person was asked, each time. */
  readonly effect: "allow" | "ask";
  /** How many calls it covers. */
  readonly calls: number;
  /** Lines of the first of them. */
  readonly lines: readonly number[];
}

const LINES_SHOWN = 5;
/** As many different resources in one folder are said as the folder. */
const ALIKE_MIN = 4;

/**
 * The least that would have let a process and all below it do what it did: one rule for each right
 * and resource, and one for a folder where many are alike. What was refused needs nothing.
 */
export async function leastFor(
  lines: AsyncIterable<Line> | Iterable<Line>,
  pid: Pid,
  context: TreeContext,
): Promise<readonly Needed[]> {
  const uses = new Map<string, { pattern: Pattern; asked: boolean; lines: number[] }>();
  let tree: Tree | undefined;
  for await (const line of lines) {
    tree ??= Tree.empty(treeOf(pid), context);
    if (line.type === "call.done" || line.type === "call.intent") {
      const { decision, pid: by } = line.data as CallHead;
      const below = Object.hasOwn(tree.state.processes, by) && tree.lineage(by).includes(pid);
      for (const need of below && decision.effect === "allow" ? decision.needs : []) {
        // What every process has from its birth.
        if (need.right.startsWith("object.") && need.resource.startsWith(`${by}/`)) continue;
        const pattern = { right: need.right, resource: need.resource };
        const key = formatPattern(pattern);
        const known = uses.get(key) ?? { pattern, asked: true, lines: [] };
        known.asked &&= wasAsked(decision);
        known.lines.push(line.seq);
        uses.set(key, known);
      }
    }
    tree.replay(line);
  }
  return folded([...uses.values()]).map(({ pattern, asked, lines: seqs }) => ({
    rule: formatPattern(pattern),
    effect: asked ? "ask" as const : "allow" as const,
    calls: seqs.length,
    lines: seqs.slice(0, LINES_SHOWN),
  })).sort((one, other) => one.rule < other.rule ? -1 : 1);
}

interface Use {
  readonly pattern: Pattern;
  readonly asked: boolean;
  readonly lines: readonly number[];
}

/** Puts many of one folder together; never a folder that a rule of its own right covers already. */
function folded(uses: readonly Use[]): Use[] {
  const groups = new Map<string, Use[]>();
  for (const use of uses) {
    const { right, resource } = use.pattern;
    const folder = resource.includes("/") ? resource.slice(0, resource.lastIndexOf("/")) : "";
    const key = `${right} ${use.asked} ${folder}`;
    groups.set(key, [...groups.get(key) ?? [], use]);
  }
  const made: Use[] = [];
  for (const group of groups.values()) {
    const { pattern: { right, resource }, asked } = group[0]!;
    const folder = resource.slice(0, Math.max(resource.lastIndexOf("/"), 0));
    if (group.length < ALIKE_MIN || folder === "") {
      made.push(...group);
      continue;
    }
    const lines = group.flatMap((use) => use.lines).sort((a, b) => a - b);
    made.push({ pattern: { right, resource: `${folder}/*` }, asked, lines });
  }
  return made.filter((use) =>
    !made.some((other) =>
      other !== use && other.asked === use.asked && within(use.pattern, other.pattern)
    )
  );
}
