/**
 * `explain`: why a past call was allowed or refused.
 * @module
 */

import type { HeldCapability } from "../kernel/capability.ts";
import type { Pid } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { consideredLines } from "./authority.ts";
import { type Asked, type CallStory, placeAt, storyOf } from "../runtime/call_story.ts";
import type { Command } from "./command.ts";
import { explainThere } from "./evidence_there.ts";
import { UsageError } from "./exit.ts";
import { answerText, decisionText, resultText } from "../runtime/line_text.ts";
import { show } from "./output.ts";
import { wayTo } from "./process_text.ts";
import { storyView } from "../server/view/story.ts";
import { findTree, reading } from "./store.ts";
import { dateOf, short } from "./words.ts";

/** `explain`. */
export const explain: Command = {
  name: "explain",
  group: "authority",
  usage: "SEQ | CALL [--tree T]",
  about: "Tell why a past call was allowed or refused, by what, and how it ended",
  examples: ["libos explain 17 --tree t_1", "libos explain 'p_1#2.3'"],
  options: { tree: { type: "string" } },
  words: [1, 1],
  remote: explainThere,
  async run(at) {
    const [word] = at.words;
    const call = /^(p_\d+(?:\.\d+)?)#(\d+)\.(.+)$/.exec(word!);
    const seq = /^#?(\d+)$/.exec(word!);
    if (call === null && seq === null) {
      const expected = 'expected the number of a line, or a call like "p_1#2.3"';
      throw new UsageError(`Cannot explain "${word}": ${expected}`);
    }
    const story = await reading(at, async (store) => {
      const tree = await findTree(store, call?.[1] ?? at.flags.text("tree"));
      const place = call === null
        ? await placeAt(store, tree, Number(seq![1]))
        : { pid: call[1] as Pid, step: Number(call[2]), key: call[3]! };
      return await storyOf(store, tree, place);
    });
    const { pid, step, key } = story.place;
    show(at, storyView(story, Number(seq?.[1] ?? 0)), {
      name: `${pid}#${step}.${key}`,
      lines: storyLines(story),
    });
    return 0;
  },
};

function storyLines(story: CallStory): string[] {
  const { place, decided, asked, outcome, tree } = story;
  const by = `by ${place.pid}, step ${place.step}, call ${place.key}`;
  const lines = decided === null
    ? [`${tree}  ${by}`, "  decision  none yet: a person is asked"]
    : decidedLines(decided, { by, story });
  for (const one of asked) lines.push(`  asked     ${askedText(one)}`);
  if (decided !== null) {
    const after = outcome === null
      ? "in doubt: no outcome is known"
      : `${resultText(outcome.result)}${replyText(outcome.result)}` +
        `${outcome.via === "call" ? "" : ` (${outcome.via})`}  line ${outcome.seq}`;
    lines.push(`  effect    ${after}`);
    lines.push(`  line      ${tree} #${decided.seq} sha256:${decided.hash}`);
    lines.push(`            after sha256:${decided.prev}, chain checked`);
  }
  return lines;
}

function decidedLines(decided: NonNullable<CallStory["decided"]>, { by, story }: {
  readonly by: string;
  readonly story: CallStory;
}): string[] {
  const { head, seq, atMs } = decided;
  const needs = head.decision.needs.map(({ right, resource }) => `${right}(${resource})`);
  const lines = [
    `#${seq} ${head.name}  ${by}  ${dateOf(atMs)}`,
    `  args      ${short(canonical(head.args), 200)}`,
    `  needs     ${needs.join(", ") || "nothing: open to every process"}`,
    `  decision  ${decisionText(head)}`,
  ];
  for (const chain of story.chains) lines.push(`  chain     ${chain.map(capText).join(" ⊂ ")}`);
  if (head.decision.rule !== undefined) lines.push(`  rule      ${head.decision.rule}`);
  const { explained } = story;
  if (explained !== null && explained.decision === "none") {
    lines.push(...consideredLines(explained.considered));
  }
  const suggestion = suggestionOf(story);
  if (suggestion !== null) lines.push(`  to allow  ${suggestion}`);
  return lines;
}

/** A capability of a chain: what it says, and where it came from. */
function capText({ id, right, resource, via, by, grant }: HeldCapability): string {
  const request = grant === null ? "" : ` of ${grant.request}`;
  return `${id} ${right}(${resource}) (${via}${request} by ${by})`;
}

/** What would have let a refused call through; null when it was not refused for want of a right. */
function suggestionOf({ decided, place, explained }: CallStory): string | null {
  const [need] = decided?.head.decision.needs ?? [];
  if (need === undefined || explained?.decision !== "none") return null;
  return wayTo(place.pid, explained);
}

function askedText({ id, kind, who, seq, answer, answeredSeq, isExpired }: Asked): string {
  const what = who === null ? kind : `${kind} to ${who}`;
  const to = who === null ? "" : ` (${what})`;
  if (isExpired) return `${id} (${what}, line ${seq}): nobody answered in time`;
  if (answer === null) return `${id} (${what}, line ${seq}): waits for an answer`;
  return `${id}${to} ${answerText(answer.answer)} by ${answer.by} (asked at line ${seq}, ` +
    `answered at line ${answeredSeq})`;
}

function replyText(result: NonNullable<CallStory["outcome"]>["result"]): string {
  return result.ok && result.reply !== null ? ` ${short(canonical(result.reply), 120)}` : "";
}
