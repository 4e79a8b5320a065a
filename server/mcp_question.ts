/**
 * Requests to people as questions of MCP: what the person at a client is shown, and what they say.
 *
 * Invariants:
 *   Q1. What an agent wrote stands behind a line that says so, however it is spelled.
 *   Q2. A person is shown all of a call, or is not asked here.
 * @module
 */

import { z } from "zod";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { exposed } from "../kernel/mcp_text.ts";
import { parseJson } from "../kernel/parse.ts";
import type { DecideInput, RequestView } from "./schema/request.ts";

/** A question in a form. */
export interface FormQuestion {
  readonly message: string;
  /** A form of the protocol: an object of plain fields. */
  readonly schema: {
    readonly type: "object";
    readonly properties: Record<string, never>;
    readonly required: string[];
  };
  /** What the answer is bound to; it goes by the client, and comes back as it may. */
  readonly state: string;
}

const WAYS = ["permission", "question"] as const;
const STATE = z.strictObject({
  way: z.enum(WAYS),
  isJson: z.boolean(),
  argsHash: z.string().nullable(),
  askers: z.number(),
});
const SAID = z.object({
  action: z.enum(["accept", "decline", "cancel"]),
  content: z.record(z.string(), z.unknown()).optional(),
});

/** A request as a form: yes or no to a call, one field for an answer. `ELIMIT` for a long one. */
export function questionFor(view: RequestView): FormQuestion {
  const message = exposed(wordsOf(view), Infinity);
  const most = LIMITS.mcpRequestCharsMax;
  if (message.length > most) {
    const sentence = `Cannot put request "${view.id}" before the person: ${message.length} ` +
      `characters, expected ${most} at most; the console and libos approve show all of it`;
    throw new SysError("ELIMIT", sentence, { limit: "mcpRequestCharsMax" });
  }
  const isQuestion = view.kind === "question" || view.kind === "doubt";
  const state: z.infer<typeof STATE> = {
    way: isQuestion ? "question" : "permission",
    isJson: view.schema !== null,
    argsHash: view.call?.argsHash ?? null,
    askers: Math.max(1, view.askers.length),
  };
  return {
    message,
    schema: {
      type: "object",
      properties: (isQuestion ? answerField(view) : YES_OR_NO) as Record<string, never>,
      required: [isQuestion ? "answer" : "decision"],
    },
    state: JSON.stringify(state),
  };
}

const YES_OR_NO = {
  decision: { type: "string", title: "Decision", enum: ["approve", "deny"] },
  reason: { type: "string", title: "Reason, for a no" },
};

function answerField({ choices }: RequestView): unknown {
  const isChoice = choices.length > 0;
  return { answer: { type: "string", title: "Answer", ...isChoice ? { enum: choices } : {} } };
}

/** What the kernel knows stands before what agents wrote, each in one line (Q1). */
function wordsOf({ pid, goal, prompt, call, risk, because, preview, schema }: RequestView): string {
  const form = JSON.stringify(schema);
  return [
    `Process ${pid} asks${call === null ? "" : `: ${call.right}(${call.resource}), risk ${risk}`}`,
    ...because === null ? [] : [`Because: ${because}`],
    ...schema === null ? [] : [`The answer is JSON of ${form}`],
    "What agents wrote:",
  ].map((line) => line.replaceAll("\n", "\\n")).concat(
    prompt,
    `Goal: ${goal}`,
    // Q2
    ...call === null ? [] : [`Arguments: ${JSON.stringify(call.args)}`],
    ...preview === null ? [] : [preview.body],
  ).join("\n");
}

/** What was said, as a decision of the API; a sentence where it is none. */
export function replyTo(said: unknown, state: unknown): DecideInput | string {
  const reply = SAID.safeParse(said);
  const bound = STATE.safeParse(typeof state === "string" ? jsonOf(state) : null);
  if (!reply.success || !bound.success) {
    return "Cannot answer the request: no reply to what was shown, expected one";
  }
  if (reply.data.action !== "accept") {
    return "Cannot answer the request: the person gave no answer; it waits as before";
  }
  const { way, isJson, argsHash, askers } = bound.data;
  const { decision, answer, reason } = reply.data.content ?? {};
  const head = { askers, ...argsHash === null ? {} : { argsHash } };
  if (way === "question" && typeof answer === "string") {
    const value = isJson ? jsonOf(answer) : answer;
    return { ...head, decision: { outcome: "answer", value: value ?? answer } };
  }
  if (way === "permission" && decision === "approve") {
    return { ...head, decision: { outcome: "approve", scope: "once" } };
  }
  if (way === "permission" && decision === "deny") {
    const why = typeof reason === "string" && reason !== "" ? { reason } : {};
    return { ...head, decision: { outcome: "deny", ...why } };
  }
  return "Cannot answer the request: the form came back without an answer";
}

/** A text as JSON; undefined where it is none. */
function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
