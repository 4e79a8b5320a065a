/**
 * Doubt: what a person is asked about an effect that nobody can tell the outcome of, and what the
 * answer comes to.
 *
 * Invariants:
 *   D1. Whoever says that it happened says what it replied, and that is a reply of the call; where
 *       a reply says nothing, it need not be said.
 * @module
 */

import { z } from "zod";
import { checkConstraint } from "../kernel/constraint.ts";
import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { CallResult } from "../kernel/event.ts";
import { ask } from "../kernel/human.ts";
import { canonical, type Json, type JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { wait } from "../kernel/process.ts";
import type { Broker } from "./broker.ts";
import { askedBy, type Call, replyOf, toolOf } from "./call.ts";
import { type AnySyscall, Parked } from "./syscall.ts";

const CHOICES = ["happened", "did not happen", "retry"];
const PREVIEW_LENGTH_MAX = 2_000;

/** What a person said: that it happened and how it came out, or a word. */
export type Said =
  | { readonly result: CallResult }
  | "retry"
  | "did not happen"
  | "unanswered"
  | undefined;

/** What a person said about a doubtful effect; undefined when nobody was asked, or nobody yet. */
export function answered(call: Call): Said {
  const on = call.process.parked[call.key];
  if (on?.reason !== "call") return undefined;
  const request = call.tree.state.requests[on.request];
  if (request === undefined || request.status === "pending") return undefined;
  if (request.answer?.outcome !== "answer") return "unanswered";
  const { value } = request.answer;
  if (value === "retry" || value === "did not happen") return value;
  return { result: happened(call, value) };
}

/** An effect that happened, as somebody says who may have said what it replied (D1). */
function happened(call: Call, value: Json): CallResult {
  const isWord = typeof value === "string";
  const reply = isWord ? unsaid(call.def) : (value as JsonObject)["happened"];
  if (reply !== undefined && fits(call.def, reply)) {
    return { ok: true, reply: replyOf(call, reply) };
  }
  // A question of before replies were asked for, or a call that replies otherwise now.
  const message = `Cannot tell what "${call.name}" replied: a person says only that it happened`;
  return { ok: false, code: "EINDOUBT", message };
}

function fits(def: AnySyscall, reply: Json): boolean {
  return def.reply.safeParse(reply).success;
}

/** The reply of which nothing need be said; undefined for calls whose replies tell something. */
function unsaid(def: AnySyscall): Json | undefined {
  return [null, {}].find((reply) => fits(def, reply));
}

/** Puts a doubtful effect before a person, and parks the caller meanwhile. */
export function doubt(broker: Broker, call: Call): Parked {
  const { tree, process, key, name, args, def } = call;
  const draft = new Draft(tree, broker.now(tree));
  const schema = replySchema(def);
  const mustSay = unsaid(def) === undefined;
  const how = mustSay ? ` If it did, say what it replied: {"happened": ${typeText(schema)}}` : "";
  const request = ask(draft, process, key, {
    kind: "doubt",
    ...toolOf(call),
    prompt: `The kernel died while "${name}" was under way. Did it happen?${how}`,
    call: null,
    schema: {
      anyOf: [
        { enum: mustSay ? CHOICES.slice(1) : CHOICES },
        {
          type: "object",
          properties: { happened: schema },
          required: ["happened"],
          additionalProperties: false,
        },
      ],
    },
    choices: CHOICES,
    risk: "high",
    preview: canonical(args).slice(0, PREVIEW_LENGTH_MAX).toWellFormed(),
    expiresMs: draft.nowMs + LIMITS.requestExpiryMsDefault,
  });
  const on = { reason: "call", key, request } as const;
  wait(draft, process, { on, ...askedBy(call) });
  tree.commit(draft);
  broker.host.changed(tree);
  // Nobody is shown a question that is not durable. A write that fails stops the tree by itself.
  broker.host.durable(tree).catch(() => {});
  return new Parked(on);
}

/** What a call replies, as a schema that answers are checked against; `{}` where none says it. */
function replySchema(def: AnySyscall): JsonObject {
  const { $schema: _, ...schema } = z.toJSONSchema(def.reply, {
    io: "output",
    unrepresentable: "any",
  }) as JsonObject;
  try {
    checkConstraint(schema);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return {};
  }
  return schema;
}

/** The shape of a reply in a few words: `{"bytes": number, "sha256": string}`. */
function typeText(schema: JsonObject): string {
  const { properties, type } = schema as {
    readonly properties?: { readonly [name: string]: { readonly type?: string } };
    readonly type?: string;
  };
  if (properties === undefined) return type ?? "REPLY";
  const fields = Object.entries(properties).map(([name, of]) => `"${name}": ${of.type ?? "any"}`);
  return `{${fields.join(", ")}}`;
}
