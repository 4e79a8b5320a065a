/**
 * The story of a call as the API shows it.
 * @module
 */

import type { z } from "@hono/zod-openapi";
import type { PersonAnswer } from "../../kernel/world.ts";
import type { CallStory } from "../../runtime/call_story.ts";
import { answerText, decisionText, resultText } from "../../runtime/line_text.ts";
import type { storyShape } from "../schema/evidence.ts";

/** A call's story, the answer first. */
export function storyView(story: CallStory, seq: number): z.infer<typeof storyShape> {
  const { place, decided, chains, asked, outcome, explained, tree } = story;
  const head = decided?.head ?? null;
  const [need] = head?.decision.needs ?? [];
  const sentences: string[] = [];
  if (head === null) sentences.push("None yet: a person is asked");
  else sentences.push(decisionText(head));
  for (const one of asked) {
    const said = one.isExpired
      ? "nobody answered in time"
      : one.answer === null
      ? "nobody has answered yet"
      : `${answerText(hidden(one.answer.answer))} by ${one.answer.by}`;
    sentences.push(`${one.id} (${one.kind}): ${said}`);
  }
  if (explained?.suggestion !== undefined) sentences.push(`Would do: ${explained.suggestion}`);
  if (outcome !== null) {
    sentences.push(
      `${resultText(outcome.result)}${outcome.via === "call" ? "" : ` (${outcome.via})`}`,
    );
  }
  return {
    tree,
    seq: decided?.seq ?? asked[0]?.seq ?? seq,
    pid: place.pid,
    call: `${place.pid}#${place.step}.${place.key}`,
    name: head?.name ?? "",
    resource: need?.resource ?? "",
    decision: head?.decision.effect ?? "ask",
    rule: head?.decision.rule ?? null,
    chain: chains.flat().map(({ id, via, by }) => ({ id, via, by })),
    request: asked[0]?.id ?? null,
    story: sentences,
  };
}

/** What a person said, without the value in it. */
function hidden(answer: PersonAnswer): PersonAnswer {
  if (answer.outcome === "edit") return { ...answer, args: null };
  return answer.outcome === "answer" ? { ...answer, value: null } : answer;
}
