/**
 * Talking: to people, and from process to process.
 * @module
 */

import { z } from "zod";
import { checkConstraint } from "../../kernel/constraint.ts";
import { ask } from "../../kernel/human.ts";
import { isId, type MessageId, treeOf } from "../../kernel/ids.ts";
import { joinLabels } from "../../kernel/label.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { boundMessage, deliver, waiting } from "../../kernel/message.ts";
import type { MessageFilter } from "../../kernel/event.ts";
import { refusedByPerson } from "../ask.ts";
import { jsonObjectShape, jsonShape, nothing, pidShape, timeoutShape } from "../shapes.ts";
import { Parked, syscall } from "../syscall.ts";
import { untilOf } from "./process.ts";

const prompt = z.string().min(1).max(LIMITS.requestPromptBytesMax);
const messageId = z.custom<MessageId>((value) => isId("msg", value), "expected a message id")
  .meta({ tsType: "MessageId" });

/** Calls to people. */
export const humanCalls = {
  "human.ask": syscall({
    about: "Ask a person a question, and wait for the answer",
    effect: "mutate",
    args: z.strictObject({
      prompt,
      choices: z.array(z.string().min(1).max(256)).max(32).default([]),
      schema: jsonObjectShape.optional().describe("JSON Schema of the answer"),
      who: z.string().min(1).max(128).default("owner"),
      expiresMs: timeoutShape.min(1).default(LIMITS.requestExpiryMsDefault),
    }),
    reply: z.strictObject({ answer: jsonShape, by: z.string() }),
    needs: ({ who }) => [{ right: "human.ask", resource: who }],
    run(at, args) {
      if (at.parked?.reason === "person") {
        const request = at.tree.state.requests[at.parked.request];
        const refused = refusedByPerson({ ...at, name: "human.ask" });
        if (refused !== null) throw refused;
        if (request?.status === "answered" && request.answer?.outcome === "answer") {
          at.taint({ sensitivity: "public", trust: "user" });
          return { answer: request.answer.value, by: request.by };
        }
        if (request?.status === "pending") return new Parked(at.parked);
      }
      if (args.schema !== undefined) checkConstraint(args.schema);
      const request = ask(at.draft, at.process, at.key, {
        kind: "question",
        who: args.who,
        ...(at.tool === undefined ? {} : { tool: at.tool }),
        prompt: args.prompt,
        call: null,
        schema: args.schema ?? null,
        choices: args.choices,
        risk: "low",
        preview: null,
        expiresMs: at.nowMs + args.expiresMs,
      });
      return new Parked({ reason: "person", key: at.key, request });
    },
  }),
  "human.tell": syscall({
    about: "Tell a person something, without waiting",
    effect: "mutate",
    args: z.strictObject({ message: prompt, who: z.string().min(1).max(128).default("owner") }),
    reply: nothing,
    needs: ({ who }) => [{ right: "human.tell", resource: who }],
    run(at, args) {
      ask(at.draft, at.process, at.key, {
        kind: "notice",
        who: args.who,
        ...(at.tool === undefined ? {} : { tool: at.tool }),
        prompt: args.message,
        call: null,
        schema: null,
        choices: [],
        risk: "low",
        preview: null,
        expiresMs: at.nowMs + 7 * 24 * LIMITS.requestExpiryMsDefault,
      });
      return {};
    },
  }),
};

const filterShape = z.strictObject({
  from: z.string().max(128).optional(),
  type: z.string().max(64).optional(),
  replyTo: messageId.optional(),
});

/** Calls between processes. */
export const messageCalls = {
  "message.send": syscall({
    about: "Send a message to a process; it stays until it is received",
    effect: "mutate",
    args: z.strictObject({
      to: pidShape,
      type: z.string().regex(/^[\w.-]{1,64}$/).default("message"),
      data: jsonShape,
      replyTo: messageId.optional(),
      interrupt: z.boolean().default(false).describe("End whatever the receiver waits for"),
    }),
    reply: z.strictObject({ message: messageId.nullable() }),
    needs: ({ to, interrupt }, { tree, process }) => {
      const family = Object.hasOwn(tree.state.processes, to) &&
          (tree.lineage(to).includes(process.pid) || process.parent === to) ||
        (process.parent === null && tree.state.kin?.above?.pid === to);
      if (family && !interrupt) return [];
      return [{ right: interrupt ? "message.interrupt" : "message.send", resource: to }];
    },
    run(at, args) {
      boundMessage(args.to, args.data);
      const { to, type, data, interrupt } = args;
      const sent = { from: at.pid, to, type, data, interrupt, label: at.process.label };
      const replyTo = args.replyTo ?? null;
      if (treeOf(to) !== at.tree.state.tree) {
        const body = { kind: "message", ...sent, replyTo, label: { ...sent.label } };
        at.draft.along.puts.push({ tree: treeOf(to), item: { id: `message:${at.call}`, body } });
        return { message: null };
      }
      return { message: deliver(at.draft, { ...sent, replyTo }).id };
    },
  }),
  "message.receive": syscall({
    about: "Take messages from the own mailbox, waiting for one when there is none",
    effect: "mutate",
    args: z.strictObject({
      filter: filterShape.default({}),
      max: z.number().int().min(1).max(LIMITS.mailboxMessagesMax).default(1),
      timeoutMs: timeoutShape.optional().describe("0: do not wait"),
    }),
    reply: z.strictObject({ messages: z.array(z.looseObject({ id: messageId })) }),
    needs: () => [],
    run(at, args) {
      const filter = definedOnly(args.filter);
      const found = waiting(at.draft, at.pid, { filter, max: args.max });
      const until = untilOf(at.parked, args.timeoutMs, at.nowMs);
      if (found.length === 0 && (until === null || until > at.nowMs)) {
        return new Parked({ reason: "message", key: at.key, filter, untilMs: until });
      }
      if (found.length > 0) {
        at.draft.add("message.received", { pid: at.pid, ids: found.map(({ id }) => id) });
        at.taint(found.map(({ label }) => label).reduce(joinLabels));
      }
      const messages = found.map(({ id, from, type, data, replyTo, atMs }) => ({
        id,
        from,
        type,
        data,
        replyTo,
        atMs,
      }));
      return { messages };
    },
  }),
};

function definedOnly(filter: { readonly [key: string]: string | undefined }): MessageFilter {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}
