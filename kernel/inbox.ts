/**
 * The inbox: what comes into a tree from outside, and what it does (G7).
 *
 * Answers, signals, messages of other trees and operators' orders are put into the tree's durable
 * inbox by whoever has them, and taken out by the one node that owns the tree, in the same commit
 * as
 * their events. An item that is refused leaves a line which says why.
 * @module
 */

import { z } from "zod";
import { type CapabilityIndex, ceilingAllows, WITHIN } from "./capability.ts";
import { takeCheckpoint } from "./checkpoint.ts";
import { checkConstraint } from "./constraint.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import { revokeTool } from "./generated.ts";
import type { CapId, Pid, RequestId } from "./ids.ts";
import { isId } from "./ids.ts";
import { answer } from "./answer.ts";
import type { BudgetLimits, Message } from "./event.ts";
import { type Json, type JsonObject, plain } from "./json.ts";
import { SENSITIVITIES, TRUSTS } from "./label.ts";
import { LIMITS } from "./limits.ts";
import { boundMessage, deliver } from "./message.ts";
import { checkPolicy, unknownRight } from "./policy.ts";
import { processOf, type Signal, signal, SIGNALS } from "./process.ts";
import { hear, type Word } from "./kin_hear.ts";
import { parseGrant } from "./path.ts";
import { put } from "./put.ts";
import { refuseDays } from "./retention.ts";
import { root } from "./spawn.ts";
import type { InboxItem } from "./store.ts";
import { type PersonAnswer, SCOPES } from "./world.ts";

const pid = z.custom<Pid>((value) => isId("p", value), "expected a pid");
const json = z.custom<Json>((value) => value !== undefined, "expected a JSON value");
const by = z.string().min(1).max(256);

const ANSWER = z.discriminatedUnion("outcome", [
  z.strictObject({
    outcome: z.literal("approve"),
    scope: z.enum(SCOPES).optional(),
    forMs: z.number().optional(),
    uses: z.number().optional(),
    resource: z.string().max(1_024).optional(),
    note: z.string().max(2_000).optional(),
  }),
  z.strictObject({
    outcome: z.literal("edit"),
    args: json,
    note: z.string().max(2_000).optional(),
  }),
  z.strictObject({
    outcome: z.literal("deny"),
    reason: z.string().max(2_000).optional(),
    stop: z.boolean().optional(),
  }),
  z.strictObject({ outcome: z.literal("answer"), value: json }),
]);

/** Everything that may enter, by kind. */
const ORDERS = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("answer"),
    request: z.custom<RequestId>((value) => isId("req", value), "expected a request id"),
    answer: ANSWER,
    argsHash: z.string().optional(),
    askers: z.number().int().optional(),
    strict: z.boolean().optional(),
    by,
  }),
  z.strictObject({
    kind: z.literal("signal"),
    pid,
    signal: z.enum(SIGNALS),
    reason: z.string().max(512),
    by,
  }),
  z.strictObject({
    kind: z.literal("message"),
    to: pid,
    from: z.string().min(1).max(256),
    type: z.string().regex(/^[\w.-]{1,64}$/, "expected letters, digits, _, . and -"),
    data: json,
    interrupt: z.boolean(),
    replyTo: z.custom<`msg_${string}`>((value) => isId("msg", value)).nullable(),
    label: z.strictObject({
      origin: z.array(z.string()).max(LIMITS.labelOriginsMax + 1).optional(),
      sensitivity: z.enum(SENSITIVITIES),
      trust: z.enum(TRUSTS),
    }),
  }),
  z.strictObject({
    kind: z.literal("grant"),
    pid,
    rule: z.string().max(1_024),
    uses: z.number().int().min(1).optional(),
    forMs: z.number().int().min(1).optional(),
    delegable: z.boolean().optional(),
    depth: z.number().int().min(0).max(LIMITS.capabilityDepthMax).optional(),
    bytes: z.number().int().min(0).optional(),
    constraint: z.record(z.string(), json).optional(),
    by,
  }),
  z.strictObject({
    kind: z.literal("revoke"),
    capability: z.custom<CapId>((value) => isId("cap", value), "expected a capability id"),
    reason: z.string().max(512),
    by,
  }),
  z.strictObject({
    kind: z.literal("budget"),
    pid,
    limits: z.record(
      z.enum(["modelCalls", "tokens", "usd", "toolCalls", "children", "depth", "wallMs", "bytes"]),
      z.number().min(0).optional(),
    ),
    by,
  }),
  z.strictObject({ kind: z.literal("policy"), text: z.string().max(262_144), by }),
  z.strictObject({ kind: z.literal("checkpoint"), name: z.string().min(1).max(256), by }),
  z.strictObject({ kind: z.literal("retain"), days: z.number().nullable(), by }),
  z.strictObject({
    kind: z.literal("revoke-tool"),
    hash: z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256"),
    reason: z.string().max(512),
    by,
  }),
  z.strictObject({
    kind: z.literal("put"),
    pid,
    name: z.string().min(1).max(512),
    type: z.string().max(64).optional(),
    value: json,
    from: z.number().int().min(0).optional(),
    by,
  }),
  z.strictObject({ kind: z.literal("reveal"), what: z.string().max(512), by }),
]);

/** One order from outside. */
export type Order =
  | {
    readonly kind: "answer";
    readonly request: RequestId;
    readonly answer: PersonAnswer;
    /** Hash of the call that the person was shown; another one is refused with `ESTALE`. */
    readonly argsHash?: string | undefined;
    /** How many askers the person was shown; others that joined since make it `ESTALE`. */
    readonly askers?: number | undefined;
    /** Whether who started the tree is refused with `EPERM`: nobody approves their own. */
    readonly strict?: boolean | undefined;
    readonly by: string;
  }
  | {
    readonly kind: "signal";
    readonly pid: Pid;
    readonly signal: Signal;
    readonly reason: string;
    readonly by: string;
  }
  | ({ readonly kind: "message" } & Omit<Message, "id" | "atMs">)
  | {
    readonly kind: "grant";
    readonly pid: Pid;
    readonly rule: string;
    readonly uses?: number | undefined;
    readonly forMs?: number | undefined;
    readonly delegable?: boolean | undefined;
    readonly depth?: number | undefined;
    readonly bytes?: number | undefined;
    readonly constraint?: JsonObject | undefined;
    readonly by: string;
  }
  | {
    readonly kind: "revoke";
    readonly capability: CapId;
    readonly reason: string;
    readonly by: string;
  }
  | {
    readonly kind: "budget";
    readonly pid: Pid;
    readonly limits: BudgetLimits;
    readonly by: string;
  }
  | { readonly kind: "policy"; readonly text: string; readonly by: string }
  | { readonly kind: "checkpoint"; readonly name: string; readonly by: string }
  | {
    readonly kind: "retain";
    /** How many days payloads are kept; null for as long as the log. */
    readonly days: number | null;
    readonly by: string;
  }
  | {
    readonly kind: "revoke-tool";
    /** SHA-256 of the version. */
    readonly hash: string;
    readonly reason: string;
    readonly by: string;
  }
  | {
    readonly kind: "put";
    readonly pid: Pid;
    /** As its process says it: `notes/today`. */
    readonly name: string;
    readonly type?: string | undefined;
    readonly value: Json;
    /** The version it is based on; 0: there is to be none. */
    readonly from?: number | undefined;
    readonly by: string;
  }
  | {
    readonly kind: "reveal";
    /** What somebody is shown: `obj_1.2@3`. It changes nothing, and stands in the log. */
    readonly what: string;
    readonly by: string;
  };

/** A value in an order stands so deep. */
const VALUE_LEVELS = 2;
const BOUNDS = {
  depthMax: LIMITS.jsonDepthMax + VALUE_LEVELS,
  bytesMax: LIMITS.objectBytesMax + LIMITS.callArgumentBytesMax,
};

/**
 * A copy of an order which its giver changes no more. Refuses what no inbox could hold, before it
 * is put into one: whatever stands in an inbox can be taken out.
 */
export function copiedOrder(given: Order): Order {
  const { kind } = Object(given) as Partial<Order>;
  if (typeof kind === "string") return plain(given, BOUNDS, `order "${kind}"`) as unknown as Order;
  throw new SysError("EINVAL", "Cannot use an order: no kind, expected an object with one");
}

function parsed(body: InboxItem["body"]): Order {
  const read = ORDERS.safeParse(body);
  if (read.success) return read.data as Order;
  const [issue] = read.error.issues;
  const path = issue?.path.join(".") ?? "";
  const where = path === "" ? "" : ` at "${path}"`;
  throw new SysError("EINVAL", `Cannot use order "${body.kind}"${where}: ${issue?.message}`);
}

/** Decides what an item does; throws `SysError` when it is refused. */
export function accept(draft: Draft, item: InboxItem, word?: Word | SysError): void {
  if (item.body.kind === "kin") return hear(draft, item, word);
  const order = parsed(item.body);
  const { state } = draft.tree;
  switch (order.kind) {
    case "answer":
      answer(draft, order.request, { ...order, inbox: item.id });
      break;
    case "signal":
      signal(draft, processOf(state, order.pid), order);
      break;
    case "message": {
      const { to, from, type, data, interrupt, replyTo, label } = order;
      boundMessage(to, data);
      deliver(draft, { to, from, type, data, interrupt, replyTo, label });
      break;
    }
    case "grant":
      grant(draft, order);
      break;
    case "revoke":
      revoke(draft, draft.tree.caps, order);
      break;
    case "budget":
      processOf(state, order.pid);
      draft.add("budget.limited", { pid: order.pid, limits: order.limits, by: order.by });
      break;
    case "policy":
      checkPolicy(order.text, draft.tree.context);
      draft.add("policy.loaded", { text: order.text, by: order.by });
      break;
    case "checkpoint":
      takeCheckpoint(draft, order);
      break;
    case "retain":
      refuseDays(`tree "${state.tree}"`, order.days, draft.tree.context.retentionDaysMin);
      draft.add("retention.set", { days: order.days, by: order.by, isDefault: false });
      break;
    case "revoke-tool":
      revokeTool(draft, order);
      break;
    case "put":
      put(draft, order);
      break;
    case "reveal":
      break;
  }
  const who = "by" in order ? order.by : order.from;
  draft.add("inbox.taken", { inbox: item.id, by: who, what: whatOf(order) });
}

function whatOf(order: Order): string {
  if (order.kind === "put") return `put ${order.name} of ${order.pid}`;
  return order.kind === "reveal" ? `reveal ${order.what}` : order.kind;
}

function grant(draft: Draft, order: Order & { kind: "grant" }): void {
  const process = processOf(draft.tree.state, order.pid);
  const pattern = parseGrant(order.rule, process.cwd);
  const unknown = unknownRight(pattern.right, draft.tree.context);
  if (unknown !== undefined) {
    throw new SysError("EINVAL", `Cannot grant "${order.rule}": ${unknown}`);
  }
  if (order.constraint !== undefined) checkConstraint(order.constraint);
  if (!ceilingAllows(draft.tree.state.ceiling, pattern)) {
    throw new SysError("EPERM", `Cannot grant ${order.rule}: over the tree's ceiling, ${WITHIN}`);
  }
  draft.add(
    "cap.granted",
    root(draft, {
      subject: order.pid,
      ...pattern,
      ...(order.uses === undefined ? {} : { usesMax: order.uses }),
      ...(order.delegable === undefined ? {} : { delegable: order.delegable }),
      ...(order.depth === undefined ? {} : { depthMax: order.depth }),
      ...(order.bytes === undefined ? {} : { bytesMax: order.bytes }),
      ...(order.constraint === undefined ? {} : { constraint: order.constraint }),
      ...(order.forMs === undefined ? {} : { expiresMs: draft.nowMs + order.forMs }),
    }, { via: "operator", by: order.by }),
  );
}

function revoke(draft: Draft, caps: CapabilityIndex, order: Order & { kind: "revoke" }): void {
  if (draft.tree.cap(order.capability) === undefined) {
    throw new SysError("ENOENT", `Cannot revoke capability "${order.capability}": absent`);
  }
  const ids = [order.capability, ...caps.descendants(order.capability)];
  draft.add("cap.revoked", { ids, by: order.by, reason: order.reason });
}

/** An order as an inbox item. */
export function orderItem(id: string, order: Order): InboxItem {
  return { id, body: order as unknown as JsonObject };
}
