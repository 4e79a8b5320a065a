/**
 * What an answer did, as people are told: grants, limits, and the policy's new rule.
 * @module
 */

import { resolve } from "node:path";
import { amendedText } from "../kernel/amend.ts";
import { diffText } from "../kernel/diff.ts";
import { SysError } from "../kernel/errors.ts";
import type { EventMap, Line } from "../kernel/event.ts";
import { canonical } from "../kernel/json.ts";
import type { RequestRecord } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import { matchesIn } from "../runtime/matches.ts";
import { addRule } from "../runtime/rule_book.ts";
import type { Context } from "./command.ts";
import { isFile } from "./files.ts";
import { answerText } from "../runtime/line_text.ts";
import { operatorOf, type Taken } from "./order.ts";
import { matchesText } from "./request_text.ts";
import { POLICY_FILE } from "./reserved.ts";
import { reading } from "./store.ts";
import { timeOf } from "./words.ts";

/** An answer that was taken. */
interface Decided {
  readonly tree: Tree;
  readonly said: PersonAnswer;
  readonly request: RequestRecord | undefined;
  readonly id: string;
  readonly taken: Taken;
}

/** What an answer granted. */
export function grantsOf(lines: readonly Line[], id: string): EventMap["cap.granted"][] {
  return lines.filter(({ type }) => type === "cap.granted")
    .map(({ data }) => data as EventMap["cap.granted"])
    .filter(({ grant }) => grant?.request === id);
}

/** What an answer did, a line each. */
export async function decidedLines(at: Context, decided: Decided): Promise<string[]> {
  const { tree, said, request, id, taken } = decided;
  const lines = [`${answerText(said)} ${id} by ${operatorOf(at)}`];
  if (of(taken.lines, "human.seconded").some((each) => each.id === id)) {
    lines.push("another person has to agree: nothing is granted yet");
  }
  for (const cap of grantsOf(taken.lines, id)) {
    const until = cap.expiresMs === null ? "" : ` until ${timeOf(cap.expiresMs)} UTC`;
    const uses = cap.usesMax === null ? "" : `, uses: ${cap.usesMax}`;
    const under = cap.parent === null ? "" : ` (⊂ ${cap.parent})`;
    const whose = cap.image === undefined ? cap.subject : `processes of its image`;
    const what = `${cap.id} allow ${cap.right}(${cap.resource}) to ${whose}`;
    lines.push(`granted ${what}${until}${uses}${under}`);
  }
  if (said.outcome === "approve" && (said.scope ?? "once") !== "once") {
    lines.push(...await matchedLines(at, decided, said.resource));
  }
  if (request?.kind === "budget") {
    for (const { pid, limits } of of(taken.lines, "budget.limited")) {
      lines.push(`${pid} may spend ${canonical(limits)} now`);
    }
  }
  for (const amendment of of(taken.lines, "policy.amended")) {
    if (amendment.request === id) lines.push(...await policyLines(at, decided, amendment));
  }
  if (!taken.isRunning) lines.push(goOnText(tree));
  return lines;
}

function of<T extends keyof EventMap>(lines: readonly Line[], type: T): EventMap[T][] {
  return lines.filter((line) => line.type === type).map(({ data }) => data as EventMap[T]);
}

/** How much of the past the rule would have covered. */
async function matchedLines(
  at: Context,
  { tree, request }: Decided,
  resource: string | undefined,
): Promise<string[]> {
  if (request?.call == null) return [];
  const { right, resource: own } = request.call;
  const wanted = { right, resource: resource ?? own };
  const found = await reading(at, (store) => matchesIn(store, tree.state.tree, wanted));
  return [`  ${matchesText(found, right)}`];
}

/** What changed in the policy, and in its file where no kernel runs that would see to it. */
async function policyLines(
  at: Context,
  { tree, taken }: Decided,
  amendment: EventMap["policy.amended"],
): Promise<string[]> {
  const { text } = tree.state.policy;
  const diff = diffText(text, amendedText(text, amendment)).trimEnd().split("\n");
  const lines = [`policy of ${tree.state.tree}:`, ...diff.map((line) => `  ${line}`)];
  const file = at.flags.text("policy") ??
    (await isFile(at, POLICY_FILE) ? POLICY_FILE : undefined);
  if (taken.isRunning || file === undefined) return lines;
  const why = await added(resolve(at.io.cwd, file), amendment.rule);
  const told = why === null
    ? [`${file}:`, `  + ${amendment.rule}`]
    : [`not added to ${file}: ${why}`];
  return [...lines, ...told];
}

async function added(path: string, rule: string): Promise<string | null> {
  try {
    return await addRule(path, rule);
  } catch (error) {
    if (error instanceof SysError) return error.message;
    throw error;
  }
}

/** What to do when no kernel runs. */
export function goOnText({ state }: Tree): string {
  const pid = `p_${state.tree.slice(2)}`;
  const jit = Object.keys(state.tools).length === 0 ? "" : " --jit";
  return `No kernel runs on this store: libos run FILE ${pid} --resume${jit} goes on`;
}
