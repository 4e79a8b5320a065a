/**
 * State: what a tree is at one position of its log. Plain JSON, nothing derived.
 *
 * Invariants:
 *   T1. State is a function of the log: two folds of the same lines give equal canonical texts.
 *   T2. Nothing in it is shared with an event: `apply` copies what it may change later.
 * @module
 */

import type { HeldCapability } from "./capability.ts";
import type {
  AskingTool,
  BudgetLimits,
  CallHead,
  CallResult,
  EditNote,
  EndOutcome,
  EventMap,
  ImageData,
  Message,
  ObjectLink,
  ProcessMode,
  Provenance,
  RequestCall,
  RequestKind,
  RequestRule,
  SpentKind,
  ValueRef,
  Wait,
} from "./event.ts";
import type { Pattern } from "./grammar.ts";
import type { CapId, CheckpointId, IdKind, ObjectId, Pid, RequestId, TreeId } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import type { Kin } from "./kin.ts";
import type { Label } from "./label.ts";
import type { Marks } from "./mark.ts";
import type { Touched } from "./touch.ts";
import type { Branch } from "./tree_event.ts";
import type { PersonAnswer } from "./world.ts";

/** Where a process is in its life. */
export type Life =
  | { readonly state: "ready" }
  | { readonly state: "waiting"; readonly on: Wait; readonly sinceMs: number }
  | { readonly state: "canceling"; readonly by: string; readonly reason: string }
  | { readonly state: "ended"; readonly outcome: EndOutcome; readonly atMs: number };

/** A call of the step in hand, so that the step can be run again from the top. */
export type Recorded =
  & {
    readonly name: string;
    readonly args: Json;
    /** What the caller gave, where a person had it changed. */
    readonly edited?: EditNote;
  }
  & (
    | {
      readonly state: "done";
      readonly result: CallResult;
      readonly seq: number;
      readonly atMs: number;
    }
    | { readonly state: "open"; readonly intent: OpenIntent }
  );

/** An effect whose outcome is not known yet. */
export interface OpenIntent extends CallHead {
  readonly cwd: string;
  readonly idempotencyKey: string;
  readonly spends: readonly CapId[];
  readonly before: Json;
  readonly touches?: readonly Touched[];
  readonly seq: number;
  /** When it was written; absent in states that are older. */
  readonly atMs?: number;
}

/** A call that waited, what it was, and whether it was interrupted. */
export type ParkedCall = Wait & {
  readonly name: string;
  readonly argsHash: string;
  readonly interrupted?: boolean;
  /** What a person made of its arguments. */
  readonly edited?: { readonly args: Json; readonly by: string; readonly note?: string };
};

/** A process. */
export interface Process {
  readonly pid: Pid;
  readonly parent: Pid | null;
  readonly startedMs: number;
  readonly mode: ProcessMode;
  readonly ephemeral: boolean;
  /** Set when it sees nothing that its ancestors hold for their subtrees. */
  readonly apart?: true;
  image: string;
  goal: string;
  readonly input: Json;
  /** What its next step begins with: a step in hand is the same to its end. */
  upcoming?: { readonly goal: string; readonly image: string };
  cwd: string;
  readonly labels: { readonly [key: string]: string };
  tools: readonly string[];
  /** Generated tools in its table, by name. */
  generated: { [name: string]: HeldTool };
  /** Rights of generated tools that a person has approved for it. */
  approved: readonly string[];
  /** Ask and deny rules that hold for it and its descendants, as policy text. */
  readonly rules: string;
  readonly priority: number;
  life: Life;
  step: number;
  /** Calls made over the whole life. */
  calls: { allowed: number; asked: number; denied: number };
  label: Label;
  limits: BudgetLimits;
  spent: { [K in SpentKind]: number };
  /** Calls of the current step by key. */
  journal: { [key: string]: Recorded };
  /** What parked calls of the current step waited for, by key. */
  parked: { [key: string]: ParkedCall };
  children: Pid[];
}

/** A version of an object's value. */
export interface Version {
  readonly version: number;
  readonly seq: number;
  readonly value: ValueRef;
  readonly label: Label;
  readonly from: Provenance;
  readonly atMs: number;
}

/** An item of a list object. */
export interface Item {
  readonly seq: number;
  readonly value: ValueRef;
}

/** A pointer to another object, and since when it is there; absent: always, for a view. */
export interface Link extends ObjectLink {
  readonly seq?: number;
}

/** A typed value with versions, or an append-only list. */
export interface ObjectRecord {
  readonly id: ObjectId;
  /** Namespace and name: `p_1/notes/monday`. */
  name: string;
  owner: Pid;
  readonly type: string;
  readonly mutable: boolean;
  readonly list: boolean;
  /** Since when it has its name. */
  createdSeq: number;
  deletedSeq: number | null;
  version: number;
  label: Label;
  /** Newest last; a list has none. */
  versions: Version[];
  items: Item[];
  readonly prefix: { readonly object: ObjectId; readonly length: number } | null;
  links: Link[];
  readonly from: Provenance;
  readonly atMs: number;
}

/** A namespace: whose it is, and which other namespace shows through it. */
export interface Namespace {
  readonly owner: Pid;
  /** Copy-on-write: names not written here are looked up there, as of `seq`. */
  readonly base: {
    readonly name: string;
    readonly seq: number;
    /** Patterns of the names that show through; null for all. */
    readonly only: readonly string[] | null;
  } | null;
  /** Names of the base which were deleted here, and when. */
  hidden: { [rest: string]: number };
}

/** A request to a person. */
export interface RequestRecord {
  readonly id: RequestId;
  readonly kind: RequestKind;
  /** Who asked first; others with the same call wait for the same answer. */
  readonly pid: Pid;
  askers: {
    readonly pid: Pid;
    readonly key: string;
    /** The asker's own capability that would cover the call; a grant to it hangs under this one. */
    readonly under: CapId | null;
  }[];
  /** Whom the asker named; absent where the kernel asks, whoever is there. */
  readonly who?: string;
  /** The generated tool in which it was asked; absent for other code. */
  readonly tool?: AskingTool;
  readonly prompt: string;
  readonly call: RequestCall | null;
  readonly schema: JsonObject | null;
  readonly choices: readonly string[];
  readonly risk: "low" | "medium" | "high" | "destructive";
  readonly preview: string | null;
  readonly createdMs: number;
  readonly expiresMs: number | null;
  /** The rule that says ask; absent where none does. */
  readonly rule?: RequestRule;
  /** How many people have to agree; absent: one. */
  readonly people?: number;
  /** Nobody waits for the answer: who asks comes again. */
  readonly ahead?: true;
  /** When somebody else is to hear of it; absent: never. */
  readonly escalatesMs?: number;
  escalatedMs?: number;
  /** Who agreed first, where it takes two. */
  first?: { readonly by: string; readonly answer: PersonAnswer };
  status: "pending" | "approved" | "denied" | "answered" | "expired";
  answer: PersonAnswer | null;
  by: string | null;
}

/** A generated tool in a process's table. */
export interface HeldTool {
  readonly hash: string;
  /** What a call of it may use at most: patterns as they hold. */
  readonly rights: readonly string[];
  readonly limits: { readonly [name: string]: number | undefined };
  readonly seq: number;
}

/** A version of a generated tool. */
export interface ToolRecord extends Readonly<EventMap["tool.proposed"]> {
  /** Others who proposed the same content, without having seen it. */
  also: readonly (Pid | "image")[];
  readonly atMs: number;
  tested: { readonly passed: number; readonly failed: number } | null;
  revoked: { readonly by: string; readonly reason: string } | null;
}

/** A named position of the log. */
export interface Checkpoint extends Readonly<EventMap["checkpoint.taken"]> {
  /** The position: the number of its own line. */
  readonly seq: number;
  readonly atMs: number;
}

/** The state of a tree. */
export interface State {
  readonly tree: TreeId;
  seq: number;
  atMs: number;
  epoch: number;
  key: string | null;
  /** Who started it; absent in trees of before this was kept. */
  owner?: string;
  nonce: string;
  next: { [K in IdKind]: number };
  policy: { text: string; sinceMs: number };
  ceiling: readonly Pattern[];
  images: { [hash: string]: ImageData };
  processes: { [pid: Pid]: Process };
  caps: { [id: CapId]: HeldCapability };
  objects: { [id: ObjectId]: ObjectRecord };
  namespaces: { [name: string]: Namespace };
  requests: { [id: RequestId]: RequestRecord };
  mail: { [pid: Pid]: Message[] };
  /** Versions of generated tools by hash. */
  tools: { [hash: string]: ToolRecord };
  /** Named positions of the log. */
  checkpoints: { [id: CheckpointId]: Checkpoint };
  /** Where a process wants the tree to go back to: nothing of it runs meanwhile. */
  going?: Readonly<EventMap["restore.asked"]>;
  /** How often the tree went back because a process wanted it; absent for never. */
  returns?: number;
  /** How long payloads are kept; absent where nobody ever said. */
  retention?: Keeping;
  /** Labels of files that its processes wrote, where no rule says as much; absent for none. */
  marks?: Marks;
  /** The trees around it: that of its parent, and those of detached children. */
  kin?: Kin;
  /** What it is to grow from, while it is not whole yet. */
  branch?: Branch;
  /** Moments before its first line: those of what it was branched off as. Absent for none. */
  before?: number;
  /** Labels that its node has to have; absent: any node may have it. */
  selector?: { readonly [key: string]: string };
}

/**
 * Now, among all moments of a tree: its lines number them, after those of what it was branched off
 * as. What stands in entries as `seq` is a moment; only that of a checkpoint is a line.
 */
export function momentOf({ seq, before = 0 }: Pick<State, "seq" | "before">): number {
  return before + seq;
}

/** The line of a tree in which something was; 0 for what it began with. */
export function lineAt({ before = 0 }: Pick<State, "before">, moment: number): number {
  return Math.max(0, moment - before);
}

/** Parts of a state that are entries by key. */
export const COLLECTIONS: readonly Collection[] = [
  "images",
  "processes",
  "caps",
  "objects",
  "namespaces",
  "requests",
  "mail",
  "tools",
  "checkpoints",
];
/** A part of a state that is entries by key. */
export type Collection =
  | "images"
  | "processes"
  | "caps"
  | "objects"
  | "namespaces"
  | "requests"
  | "mail"
  | "tools"
  | "checkpoints";

/** How long a tree's payloads are kept, and how far they were taken away. */
export interface Keeping {
  /** Days; null for as long as the log. */
  readonly days: number | null;
  readonly by: string;
  readonly isDefault: boolean;
  /** No payload that may go is older; null when there is none. */
  readonly fromMs: number | null;
  /** When payloads were looked at last; 0 for never. */
  readonly passedMs: number;
  /** Payloads that were to go then, and that the state still needed. */
  readonly stays: number;
}

/**
 * A copy whose collections can be changed. Their entries are shared with the state it was made of:
 * a process is changed after {@linkcode owned} made it the copy's own, all others are replaced.
 */
export function loosened(state: State): State {
  const { next, images, processes, caps, requests, mail, checkpoints } = state;
  return {
    ...state,
    next: { ...next },
    images: { ...images },
    processes: { ...processes },
    caps: { ...caps },
    requests: { ...requests },
    mail: { ...mail },
    checkpoints: { ...checkpoints },
  };
}

/**
 * A process of a copy, to be changed: what it consists of is still shared, but for the entries of
 * what it spent, of its journal, and of what it holds. What is not changed stays the same record,
 * so that comparing costs nothing.
 */
export function owned(copy: State, given: State, pid: Pid): Process {
  const process = copy.processes[pid]!;
  if (process !== given.processes[pid]) return process;
  const { spent, journal, parked, generated } = process;
  return copy.processes[pid] = {
    ...process,
    spent: { ...spent },
    journal: { ...journal },
    parked: { ...parked },
    generated: { ...generated },
  };
}

/** The state before the first line. */
export function emptyState(tree: TreeId): State {
  return {
    tree,
    seq: 0,
    atMs: 0,
    epoch: 0,
    key: null,
    nonce: "",
    next: { p: 0, cap: 1, obj: 1, req: 1, msg: 1, ck: 1 },
    policy: { text: "", sinceMs: 0 },
    ceiling: [],
    images: {},
    processes: {},
    caps: {},
    objects: {},
    namespaces: {},
    requests: {},
    mail: {},
    tools: {},
    checkpoints: {},
  };
}
