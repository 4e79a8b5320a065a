/**
 * Messages: from process to process, durable, in order.
 *
 * Invariants:
 *   Q1. Messages of one sender to one receiver arrive in the order in which they were sent.
 *   Q2. A message is received once; a full mailbox refuses with `EAGAIN` and nothing is sent.
 *   Q3. An interrupt ends any wait of its receiver; the waiting call fails with `ECANCELED`.
 * @module
 */

import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { Message, MessageFilter } from "./event.ts";
import { canonical, type Json } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { processOf, waitOf, wake } from "./process.ts";

/** Whether a filter takes a message. */
export function matches(filter: MessageFilter, message: Message): boolean {
  return (filter.from === undefined || filter.from === message.from) &&
    (filter.type === undefined || filter.type === message.type) &&
    (filter.replyTo === undefined || filter.replyTo === message.replyTo);
}

/** Refuses data that is no message any more but an object, with `ELIMIT`. */
export function boundMessage(to: Message["to"], data: Json): void {
  if (canonical(data).length <= LIMITS.messageBytesMax) return;
  const sentence = `Cannot send to process "${to}": the message is too large`;
  throw new SysError("ELIMIT", `${sentence}, expected an object's name in it`, {
    limit: "messageBytesMax",
  });
}

/** Decides that a message is put into the mailbox of a process of this tree. */
export function deliver(
  draft: Draft,
  sent: Omit<Message, "id" | "atMs">,
): Message {
  const process = processOf(draft.tree.state, sent.to);
  if (process.life.state === "ended") {
    throw new SysError("ESTATE", `Cannot send to process "${sent.to}": ended, expected a live one`);
  }
  const mail = draft.tree.state.mail[sent.to] ?? [];
  if (mail.length >= LIMITS.mailboxMessagesMax) {
    const sentence = `Cannot send to process "${sent.to}": its mailbox is full`;
    throw new SysError("EAGAIN", `${sentence}, expected it to receive`, {
      limit: "mailboxMessagesMax",
    });
  }
  const message = { ...sent, id: draft.id("msg"), atMs: draft.nowMs };
  draft.add("message.sent", message);
  const on = waitOf(process);
  if (on?.reason === "message" && matches(on.filter, message)) wake(draft, process, message.id);
  else if (message.interrupt) wake(draft, process, message.id, true);
  return message;
}

/** Messages in a mailbox that a filter takes, oldest first. */
export function waiting(
  draft: Draft,
  pid: Message["to"],
  options: { readonly filter: MessageFilter; readonly max: number },
): Message[] {
  return (draft.tree.state.mail[pid] ?? [])
    .filter((message) => matches(options.filter, message))
    .slice(0, options.max);
}
