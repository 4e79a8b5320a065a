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
import type { Detached, KinEvents } from "./kin_event.ts";
import type { BudgetLimits, Spending } from "./spending.ts";
import type { Touched } from "./touch.ts";
import type { ToolEvents } from "./tool_event.ts";
import type { TreeEvents } from "./tree_event.ts";
import type { HumanEvents } from "./human_event.ts";

export type { AskingTool, RequestCall, RequestKind, RequestRule } from "./human_event.ts";
export type { BudgetLimits, Spending, SpentKind } from "./spending.ts";

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
  | { readonly reason: "away"; readonly key: string; readonly tree: TreeId }
  | { readonly reason: "timer"; readonly key: string; readonly untilMs: number }
  | { readonly reason: "call"; readonly key: string; readonly request: RequestId }
  | { readonly reason: "paused"; readonly by: string; readonly was: Wait | null };

/** How a process came to be: "detached" stands for a child that is a tree of its own. */
export type ProcessMode = "spawn" | "fork" | "detached";

/** How a process ended. */
export type EndOutcome =
  | { readonly kind: "exited"; readonly code: number; readonly result: Json }
  | { readonly kind: "failed"; readonly code: Errno; readonly message: string }
  | { readonly kind: "canceled"; readonly by: string; readonly reason: string }
  | { readonly kind: "killed"; readonly by: string; readonly reason: string };

/** Which messages a receiver waits for. Absent fields match all. */
export interface MessageFilter {
  /** Only of this sender. */
  readonly from?: string;
  /** Only of this type. */
  readonly type?: string;
  /** Only answers to this message. */
  readonly replyTo?: MessageId;
}

/** A message as it lies in a mailbox. */
export interface Message {
  /** Made by the receiver's tree. */
  readonly id: MessageId;
  /** A pid, or "person:NAME" or "operator". */
  readonly from: string;
  /** Who receives it. */
  readonly to: Pid;
  /** A word that sender and receiver agree on; "message" when nobody said. */
  readonly type: string;
  /** What it says. */
  readonly data: Json;
  /** The message it answers, or null. */
  readonly replyTo: MessageId | null;
  /** Whether it ended whatever its receiver waited for. */
  readonly interrupt: boolean;
  /** When it was delivered, in milliseconds since 1970. */
  readonly atMs: number;
  /** What its sender had seen; joined into the receiver's label when it is received. */
  readonly label: Label;
}

/** Where a value is: in the event itself when it is small, else in a blob. */
export type ValueRef =
  | { readonly value: Json }
  | { readonly hash: string; readonly bytes: number };

/** One object's pointer to another. */
export interface ObjectLink {
  /** What the one is to the other: `cites`. */
  readonly relation: string;
  /** The other. */
  readonly to: ObjectId;
}

/** A value's ancestry: who wrote it, in which call, from which objects. */
export interface Provenance {
  /** The process that wrote it. */
  readonly pid: Pid;
  /** The call in which it was written: `p_1#4.2`. */
  readonly call: string;
  /** What it was made from: `file:⟨path⟩@⟨sha256⟩` or `⟨object⟩@⟨version⟩`. */
  readonly sources: readonly string[];
}

/** An image as the tree keeps it: data only. */
export interface ImageData {
  /** Name without the version. */
  readonly name: string;
  /** A word that tells images of one name apart. */
  readonly version: string;
  /** SHA-256 of the canonical text of the other fields. */
  readonly hash: string;
  /** The program that runs its steps: "model-loop", or one that the embedder brought. */
  readonly program: string;
  /** The system prompt; empty for none. */
  readonly instructions: string;
  /** `provider/model`, or null when it uses none. */
  readonly model: string | null;
  /** Names of its tools, in the order in which models see them. */
  readonly tools: readonly string[];
  /** Rights it will ask people for. They give nothing. */
  readonly requests: readonly Pattern[];
  /** Limits of every process of it, unless its spawn says others. */
  readonly budget: BudgetLimits;
  /** Steps a process may make before it fails with `ELIMIT`. */
  readonly stepsMax: number;
  /** Object types with their JSON Schemas. */
  readonly types: { readonly [name: string]: JsonObject };
  /** "ask": a turn of the model that the budget does not bear is put before a person. */
  readonly onBudget?: "ask" | "fail";
  /** The package that it was made from, by its hash: its skills are for this image. */
  readonly package?: string;
  /** Generated tools that its processes have, by name and hash. */
  readonly generated?: readonly { readonly name: string; readonly hash: string }[];
}

/** How a call was let through: what it needed, by what it was covered, what the rules said. */
export interface Decision {
  /** The rights that the call needed, in order. */
  readonly needs: readonly { readonly right: string; readonly resource: string }[];
  /** The capability used for each need, and its chain up to the root grant. */
  readonly by: readonly (readonly CapId[])[];
  /** What came of it: let through, put before a person, or refused. */
  readonly effect: "allow" | "ask" | "deny";
  /** The deciding rule, as text, when a rule decided. */
  readonly rule?: string;
}

/** What every event of a call says. */
export interface CallHead {
  /** The caller. */
  readonly pid: Pid;
  /** The caller's step; 1 is the first. */
  readonly step: number;
  /** Place of the call in its step: "3", or "3.1" for the first call inside call 3. */
  readonly key: string;
  /** Name of the call: `file.read`. */
  readonly name: string;
  /** The arguments after their schema filled in defaults. */
  readonly args: Json;
  /** Set where a person had the arguments changed: `args` is what was done. */
  readonly edited?: EditNote;
  /** How it was let through, or why not. */
  readonly decision: Decision;
}

/** What a call was before a person changed its arguments. */
export interface EditNote {
  /** The arguments that the caller gave. */
  readonly asked: Json;
  /** Who changed them. */
  readonly by: string;
  /** What was said about it. */
  readonly note?: string;
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
export interface EventMap extends HumanEvents, ToolEvents, TreeEvents, KinEvents {
  /** A policy took the place of the one before. */
  "policy.loaded": { readonly text: string; readonly by: string };
  /** An image can be used in this tree. */
  "image.registered": ImageData;
  /** A process was started. Its capabilities follow in the same commit. */
  "process.spawned": {
    readonly pid: Pid;
    readonly parent: Pid | null;
    readonly mode: ProcessMode;
    /** The tree that a detached child is: nothing of it runs here. */
    readonly away?: Detached;
    /** Which names of the parent's memory show through, copy-on-write: null for none of it. */
    readonly view: { readonly only: readonly string[] | null } | null;
    readonly ephemeral: boolean;
    /** Whether it sees nothing that its ancestors hold for their subtrees: a tool started it. */
    readonly apart?: true;
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
  /** A process became another image and keeps its identity, memory and authority. */
  "process.executed": {
    readonly pid: Pid;
    readonly image: string;
    readonly goal: string;
    readonly tools: readonly string[];
  };
  /** A step is over and the next, `step`, begins with an empty journal. */
  "process.stepped": { readonly pid: Pid; readonly step: number };
  /** A process stopped running until something comes. */
  "process.waiting": {
    readonly pid: Pid;
    readonly on: Wait;
    /** The call that waits, and the hash of its arguments: only the same is given the answer. */
    readonly name: string;
    readonly argsHash: string;
  };
  /** What a process waited for has come, or an interrupt ended the wait. */
  "process.woken": { readonly pid: Pid; readonly by: string; readonly interrupted: boolean };
  /** A process stands still until it is resumed, whatever else comes. */
  "process.paused": { readonly pid: Pid; readonly by: string };
  /** A paused process goes on, or waits again for what it waited for. */
  "process.resumed": { readonly pid: Pid; readonly by: string };
  /** A process is to end as soon as the effects it sent have come home. */
  "process.canceling": { readonly pid: Pid; readonly by: string; readonly reason: string };
  /** A process ended. Its capabilities and mail are gone with it. */
  "process.ended": { readonly pid: Pid; readonly outcome: EndOutcome };
  /** A process changed its working directory. */
  "process.moved": { readonly pid: Pid; readonly cwd: string };
  /** A process has seen something with this label. */
  "process.labeled": { readonly pid: Pid; readonly label: Label };
  /** A call that touches nothing outside was answered or refused. */
  "call.done": CallHead & {
    readonly result: CallResult;
    readonly spends?: readonly CapId[];
    readonly spent?: Spending;
    readonly label?: Label;
  };
  /** An effect is about to be sent. Durable before it is. */
  "call.intent": CallHead & {
    /** The working directory that the call's paths are relative to. */
    readonly cwd: string;
    readonly idempotencyKey: string;
    /** What it certainly uses up; what is known only afterwards is booked with the outcome. */
    readonly spent?: Spending;
    readonly spends: readonly CapId[];
    /** What the provider saw before, for reconciling. */
    readonly before: Json;
    /** What it does to files, so that it can be taken back. */
    readonly touches?: readonly Touched[];
    /** What was read to put it together: whatever comes of it, the caller has seen that. */
    readonly label?: Label;
    /** What the files that it leaves are marked with; absent where rules say as much of them. */
    readonly marks?: { readonly label: Label; readonly paths: readonly string[] };
  };
  /** How an effect came out. */
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
    readonly via: "call" | "reconciled" | "repeated" | "compensated" | "person" | "abandoned";
  };
  /** A capability came to be. */
  "cap.granted": Capability;
  /** Capabilities were taken back, with all that was derived from them. */
  "cap.revoked": { readonly ids: readonly CapId[]; readonly by: string; readonly reason: string };
  /** Limits of a process changed; absent ones stay. */
  "budget.limited": { readonly pid: Pid; readonly limits: BudgetLimits; readonly by: string };
  /** A namespace came to be. That gives nobody a right in it, not even its owner. */
  "namespace.created": { readonly name: string; readonly owner: Pid };
  /** An object came to be: a value, or a list that is empty or continues another. */
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
    /** What a copy points to, as what it was made of did. */
    readonly links?: readonly ObjectLink[];
    readonly label: Label;
    readonly from: Provenance;
  };
  /** A mutable object has a new version. */
  "object.written": {
    readonly id: ObjectId;
    readonly version: number;
    readonly value: ValueRef;
    readonly label: Label;
    readonly from: Provenance;
  };
  /** A list has one item more. */
  "object.appended": {
    readonly id: ObjectId;
    readonly version: number;
    readonly item: ValueRef;
    readonly label: Label;
    readonly from: Provenance;
  };
  /** An object is gone, except for views that were taken before. */
  "object.deleted": { readonly id: ObjectId; readonly by: string };
  /** A name of the parent's memory no longer shows through a fork's view. */
  "object.hidden": { readonly name: string; readonly by: Pid };
  /** An object changed its name and owner: a child's result became its parent's. */
  "object.moved": { readonly id: ObjectId; readonly name: string; readonly owner: Pid };
  /** One version of an object was copied with a lower label, by who has the right to. */
  "label.declassified": {
    readonly pid: Pid;
    readonly id: ObjectId;
    readonly name: string;
    readonly version: number;
    /** SHA-256 of the text, or of the value as JSON. */
    readonly sha256: string;
    /** The copy. */
    readonly as: ObjectId;
    readonly from: Label;
    readonly to: Label;
    readonly reason: string;
  };
  /** An object points to another. */
  "object.linked": {
    readonly id: ObjectId;
    readonly relation: string;
    readonly to: ObjectId;
    /** Of the object from then on: who links says something by it. */
    readonly label?: Label;
    readonly from: Provenance;
  };
  /** An item from outside was refused and has changed nothing. */
  "inbox.refused": { readonly inbox: string; readonly code: Errno; readonly message: string };
  /** An item from outside has had its effect, which stands before this line. */
  "inbox.taken": { readonly inbox: string; readonly by: string; readonly what: string };
  /** A message lies in a mailbox. */
  "message.sent": Message;
  /** Messages were taken out of a mailbox. */
  "message.received": { readonly pid: Pid; readonly ids: readonly MessageId[] };
}

/** The name of an event. */
export type EventType = keyof EventMap;
/** An event of type `T`. */
export interface EventOf<T extends EventType> {
  /** Which kind it is. */
  readonly type: T;
  /** What happened. */
  readonly data: EventMap[T];
}
/** Any event. */
export type Event = { readonly [T in EventType]: EventOf<T> }[EventType];

/** One line of a tree's log. */
export interface Line {
  /** Whose log it is in. */
  readonly tree: TreeId;
  /** 1 for the first line. */
  readonly seq: number;
  /** Never less than the line before. */
  readonly atMs: number;
  /** Which kind of event it is. */
  readonly type: EventType;
  /** What happened. */
  readonly data: Event["data"];
  /** SHA-256 of the line before; 64 zeros before the first. */
  readonly prev: string;
}
