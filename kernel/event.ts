/**
 * Events: everything that can happen to a tree, one record a kind.
 *
 * A line of a tree's log is one event with its number, its time and the hash of the line before.
 * Events say what happened, never what should happen: `apply` needs nothing else to rebuild state.
 * @module
 */

import type { Capability } from "./capability.ts";
import type { Errno, ErrorDetail } from "./errors.ts";
import type { Pattern } from "./grammar.ts";
import type { CapId, MessageId, ObjectId, Pid, RequestId, TreeId } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import type { Label } from "./label.ts";
import type { PersonAnswer } from "./world.ts";

/** Why a process does not run. */
export type Wait =
  | { readonly reason: "person"; readonly key: string; readonly request: RequestId }
  | {
    readonly reason: "message";
    readonly key: string;
    readonly filter: MessageFilter;
    readonly untilMs: number | null;
  }
  | {
    readonly reason: "child";
    readonly key: string;
    readonly pids: readonly Pid[];
    readonly untilMs: number | null;
  }
  | { readonly reason: "timer"; readonly key: string; readonly untilMs: number }
  | { readonly reason: "call"; readonly key: string; readonly request: RequestId }
  | { readonly reason: "paused"; readonly by: string; readonly was: Wait | null };

/** How a process ended. */
export type EndOutcome =
  | { readonly kind: "exited"; readonly code: number; readonly result: Json }
  | { readonly kind: "failed"; readonly code: Errno; readonly message: string }
  | { readonly kind: "canceled"; readonly by: string; readonly reason: string }
  | { readonly kind: "killed"; readonly by: string; readonly reason: string };

/** Which messages a receiver waits for. Absent fields match all. */
export interface MessageFilter {
  readonly from?: string;
  readonly type?: string;
  readonly replyTo?: MessageId;
}

/** A message as it lies in a mailbox. */
export interface Message {
  readonly id: MessageId;
  /** A pid, or "person:NAME" or "operator". */
  readonly from: string;
  readonly to: Pid;
  readonly type: string;
  readonly data: Json;
  readonly replyTo: MessageId | null;
  readonly interrupt: boolean;
  readonly atMs: number;
  readonly label: Label;
}

/** What a process may use up. Absent: no limit of its own. */
export interface BudgetLimits {
  readonly modelCalls?: number | undefined;
  readonly tokens?: number | undefined;
  readonly usd?: number | undefined;
  readonly toolCalls?: number | undefined;
  readonly children?: number | undefined;
  readonly depth?: number | undefined;
  readonly wallMs?: number | undefined;
  readonly bytes?: number | undefined;
}

/** What was used up. */
export type Spending = { readonly [K in SpentKind]?: number };
/** What can be used up by doing (depth and wall time are measured, not spent). */
export type SpentKind = "modelCalls" | "tokens" | "usd" | "toolCalls" | "children" | "bytes";

/** Where a value is: in the event itself when it is small, else in a blob. */
export type ValueRef =
  | { readonly value: Json }
  | { readonly hash: string; readonly bytes: number };

/** A value's ancestry: who wrote it, in which call, from which objects. */
export interface Provenance {
  readonly pid: Pid;
  readonly call: string;
  readonly sources: readonly string[];
}

/** An image as the tree keeps it: data only. */
export interface ImageData {
  readonly name: string;
  readonly version: string;
  readonly hash: string;
  readonly program: string;
  readonly instructions: string;
  readonly model: string | null;
  readonly tools: readonly string[];
  readonly requests: readonly Pattern[];
  readonly budget: BudgetLimits;
  readonly stepsMax: number;
  /** Object types with their JSON Schemas. */
  readonly types: { readonly [name: string]: JsonObject };
}

/** How a call was let through: what it needed, by what it was covered, what the rules said. */
export interface Decision {
  readonly needs: readonly { readonly right: string; readonly resource: string }[];
  /** The capability used for each need, and its chain up to the root grant. */
  readonly by: readonly (readonly CapId[])[];
  readonly effect: "allow" | "ask" | "deny";
  /** The deciding rule, as text, when a rule decided. */
  readonly rule?: string;
}

/** What every event of a call says. */
export interface CallHead {
  readonly pid: Pid;
  readonly step: number;
  /** Place of the call in its step: "3", or "3.1" for the first call inside call 3. */
  readonly key: string;
  readonly name: string;
  readonly args: Json;
  readonly decision: Decision;
}

/** How a call ended, as the log keeps it. */
export type CallResult =
  | { readonly ok: true; readonly reply: Json }
  | {
    readonly ok: false;
    readonly code: Errno;
    readonly message: string;
    readonly detail?: ErrorDetail;
  };

/** The data of every kind of event. */
export interface EventMap {
  "tree.created": {
    readonly root: Pid;
    readonly key: string | null;
    readonly nonce: string;
    readonly ceiling: readonly Pattern[];
    readonly policy: string;
  };
  "tree.opened": { readonly node: string; readonly epoch: number };
  "policy.loaded": { readonly text: string; readonly by: string };
  "image.registered": ImageData;
  "process.spawned": {
    readonly pid: Pid;
    readonly parent: Pid | null;
    readonly mode: "spawn" | "fork";
    /** Which names of the parent's memory show through, copy-on-write: null for none of it. */
    readonly view: { readonly only: readonly string[] | null } | null;
    readonly ephemeral: boolean;
    readonly image: string;
    readonly goal: string;
    readonly input: Json;
    readonly cwd: string;
    readonly labels: { readonly [key: string]: string };
    readonly tools: readonly string[];
    readonly rules: string;
    readonly priority: number;
    readonly budget: BudgetLimits;
    readonly label: Label;
  };
  "process.executed": {
    readonly pid: Pid;
    readonly image: string;
    readonly goal: string;
    readonly tools: readonly string[];
  };
  "process.stepped": { readonly pid: Pid; readonly step: number };
  "process.waiting": { readonly pid: Pid; readonly on: Wait };
  "process.woken": { readonly pid: Pid; readonly by: string; readonly interrupted: boolean };
  "process.paused": { readonly pid: Pid; readonly by: string };
  "process.resumed": { readonly pid: Pid; readonly by: string };
  "process.canceling": { readonly pid: Pid; readonly by: string; readonly reason: string };
  "process.ended": { readonly pid: Pid; readonly outcome: EndOutcome };
  "process.moved": { readonly pid: Pid; readonly cwd: string };
  "process.labeled": { readonly pid: Pid; readonly label: Label };
  "call.done": CallHead & {
    readonly result: CallResult;
    readonly spends?: readonly CapId[];
    readonly spent?: Spending;
    readonly label?: Label;
  };
  "call.intent": CallHead & {
    readonly idempotencyKey: string;
    readonly spends: readonly CapId[];
    /** What the provider saw before, for reconciling. */
    readonly before: Json;
  };
  "call.outcome": {
    readonly pid: Pid;
    readonly step: number;
    readonly key: string;
    readonly result: CallResult;
    /** Finite uses given back, since the effect certainly did not happen. */
    readonly restores: readonly CapId[];
    readonly spent?: Spending;
    readonly label?: Label;
    /** How the outcome came to be known: by the call itself, or after a restart. */
    readonly via: "call" | "reconciled" | "repeated" | "person" | "abandoned";
  };
  "cap.granted": Capability;
  "cap.revoked": { readonly ids: readonly CapId[]; readonly by: string; readonly reason: string };
  "budget.limited": { readonly pid: Pid; readonly limits: BudgetLimits; readonly by: string };
  "namespace.created": { readonly name: string; readonly owner: Pid };
  "object.created": {
    readonly id: ObjectId;
    readonly name: string;
    readonly owner: Pid;
    readonly type: string;
    readonly mutable: boolean;
    readonly list: boolean;
    /** 1, or what a copy continues from; a list counts its items. */
    readonly version: number;
    /** Present for values; lists start empty or from another list's first items. */
    readonly value?: ValueRef;
    readonly prefix?: { readonly object: ObjectId; readonly length: number };
    readonly label: Label;
    readonly from: Provenance;
  };
  "object.written": {
    readonly id: ObjectId;
    readonly version: number;
    readonly value: ValueRef;
    readonly label: Label;
    readonly from: Provenance;
  };
  "object.appended": {
    readonly id: ObjectId;
    readonly version: number;
    readonly item: ValueRef;
    readonly label: Label;
    readonly from: Provenance;
  };
  "object.deleted": { readonly id: ObjectId; readonly by: string };
  "object.hidden": { readonly name: string; readonly by: Pid };
  "object.moved": { readonly id: ObjectId; readonly name: string; readonly owner: Pid };
  "object.linked": {
    readonly id: ObjectId;
    readonly relation: string;
    readonly to: ObjectId;
    readonly from: Provenance;
  };
  "human.asked": {
    readonly id: RequestId;
    readonly kind: "permission" | "question" | "notice" | "doubt";
    readonly pid: Pid;
    readonly key: string;
    readonly prompt: string;
    readonly call: RequestCall | null;
    readonly schema: JsonObject | null;
    readonly choices: readonly string[];
    readonly risk: "low" | "medium" | "high" | "destructive";
    readonly preview: string | null;
    readonly expiresMs: number | null;
  };
  "human.joined": { readonly id: RequestId; readonly pid: Pid; readonly key: string };
  "human.answered": {
    readonly id: RequestId;
    readonly answer: PersonAnswer;
    readonly by: string;
    readonly inbox: string | null;
  };
  "human.expired": { readonly id: RequestId };
  "inbox.refused": { readonly inbox: string; readonly code: Errno; readonly message: string };
  "inbox.taken": { readonly inbox: string; readonly by: string; readonly what: string };
  "message.sent": Message;
  "message.received": { readonly pid: Pid; readonly ids: readonly MessageId[] };
}

/** The call a permission request is about. */
export interface RequestCall {
  readonly name: string;
  readonly right: string;
  readonly resource: string;
  readonly args: Json;
  readonly argsHash: string;
  /** The capability that would cover it; a grant is derived from it. */
  readonly under: CapId | null;
}

/** The name of an event. */
export type EventType = keyof EventMap;
/** An event of type `T`. */
export interface EventOf<T extends EventType> {
  readonly type: T;
  readonly data: EventMap[T];
}
/** Any event. */
export type Event = { readonly [T in EventType]: EventOf<T> }[EventType];

/** One line of a tree's log. */
export interface Line {
  readonly tree: TreeId;
  /** 1 for the first line. */
  readonly seq: number;
  /** Never less than the line before. */
  readonly atMs: number;
  readonly type: EventType;
  readonly data: Event["data"];
  /** SHA-256 of the line before; 64 zeros before the first. */
  readonly prev: string;
}
