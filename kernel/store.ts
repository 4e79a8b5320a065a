/**
 * The store: where trees' logs live. One small interface, one conformance suite, several kinds.
 *
 * Invariants every store keeps:
 *   S1. A commit is all or nothing: its lines, payloads, blobs, inbox changes and due time
 *       together, for every tree named in it.
 *   S2. A batch is taken only at the expected position and the current epoch of its tree; otherwise
 *       the whole commit is refused with `ESTALE` or `EFENCED`, and nothing is changed.
 *   S3. When `commit` returns at durability "power", a crash of the machine loses none of it.
 *   S4. Blobs are addressed by the SHA-256 of their text; a second put of the same is no change.
 *   S5. What `read` returns is what was appended, in order, or `EINTEGRITY`.
 * @module
 */

import { SysError } from "./errors.ts";
import type { Fleet } from "./fleet.ts";
import type { JsonObject } from "./json.ts";
import type { TreeId } from "./ids.ts";
import type { AuditStore } from "./seal.ts";
import type { Shares } from "./shares.ts";
import type { Tail } from "./tail.ts";

/**
 * "power": synced to the disk before an answer is given. "process": survives a kill, not a power
 * cut.
 */
export type Durability = "power" | "process";

/** One item which came from outside: an answer, a signal, a message from another tree. */
export interface InboxItem {
  /** Unique in the tree; a second put of the same id is no change. */
  readonly id: string;
  /** What it is; read by the kernel's inbox rules. */
  readonly body: JsonObject;
}

/** What is in inboxes. */
export interface InboxDepth {
  /** How many items, up to a limit. */
  readonly items: number;
  /** For how long the oldest is there; null where there is none, or nobody noted it. */
  readonly oldestMs: number | null;
}

/** What one tree adds to its log in one commit. */
export interface Batch {
  /** The tree that it is added to. */
  readonly tree: TreeId;
  /** The epoch under which the writer claimed the tree. */
  readonly epoch: number;
  /** Sequence number of the first line; the log must end just before it (the first line is 1). */
  readonly seq: number;
  /** Canonical JSON texts, one a line, in order; at least one. */
  readonly lines: readonly string[];
  /** SHA-256 of the last line: the head of the chain after this batch. */
  readonly head: string;
  /**
   * Large arguments and replies the lines refer to: hash → canonical text. Kept beside the lines.
   */
  readonly payloads: ReadonlyMap<string, string>;
  /** Object values the lines refer to: hash → canonical text. Shared by all trees. */
  readonly blobs: ReadonlyMap<string, string>;
  /** Inbox items which these lines have dealt with; removed in the same commit. */
  readonly taken: readonly string[];
  /** When the tree next wants to be woken, or null. */
  readonly dueMs: number | null;
  /** When payloads of it are to be taken away, or null for never; absent: as before. */
  readonly redactMs?: number | null;
  /** Items for other trees, put in the same commit. One for a tree that is not there is dropped. */
  readonly puts: readonly { readonly tree: TreeId; readonly item: InboxItem }[];
  /** What lists show of the tree without opening it. */
  readonly summary: TreeSummary;
}

/** What lists show of a tree without opening it. */
export interface TreeSummary {
  /** Whether any process of it has not ended. */
  readonly live: boolean;
  /** The root's image and goal, shortened. */
  readonly title: string;
  /** The key given at creation, so that a second start finds the same tree; or null. */
  readonly key: string | null;
  /** Whether it has something to do now, without anything from outside. */
  readonly ready: boolean;
  /** How many of its requests wait for a person; absent for none. */
  readonly asking?: number;
  /** What its node has to have: labels, and what it runs on; absent: any node may have it. */
  readonly selector?: Readonly<Record<string, string>>;
}

/** What the store knows of a tree. */
export interface TreeHead {
  /** Its id. */
  readonly tree: TreeId;
  /** Sequence number of the last line; 0 for an empty log. */
  readonly seq: number;
  /** SHA-256 of the last line; 64 zeros for an empty log. */
  readonly head: string;
  /** Rises with every new owner; a commit under an older one is refused. */
  readonly epoch: number;
  /** The node which owns it, or null. */
  readonly owner: string | null;
  /** Until when the owner's claim holds, in milliseconds since 1970; 0 when nobody owns it. */
  readonly leaseMs: number;
  /** When it next wants to be woken, in milliseconds since 1970; null: not by time. */
  readonly dueMs: number | null;
  /** What lists show of it. */
  readonly summary: TreeSummary;
}

/** Lines as they were appended, with the payloads they refer to. */
export interface StoredBatch {
  /** Sequence number of its first line. */
  readonly seq: number;
  /** The texts of its lines, in order. */
  readonly lines: readonly string[];
  /** Hash to canonical text, for what its lines only name. */
  readonly payloads: ReadonlyMap<string, string>;
}

/**
 * Which snapshots of a tree go when one at `newest` is written: the closer to the end, the more are
 * kept, so that a log of n lines keeps about log n of them, and any position has one before it.
 */
export function thinned(seqs: readonly number[], newest: number): readonly number[] {
  const gone: number[] = [];
  const sorted = [...seqs].filter((one) => one < newest).sort((a, b) => a - b);
  let kept = 0;
  for (const [i, seq] of sorted.entries()) {
    const next = sorted[i + 1] ?? newest;
    // What would be folded without it stays small against how far back it is.
    if (next - kept <= Math.max(1_000, (newest - next) / 4)) gone.push(seq);
    else kept = seq;
  }
  return gone;
}

/** A state written down, so that start-up need not read the whole log. */
export interface Snapshot {
  /** The last line that it includes. */
  readonly seq: number;
  /** SHA-256 of the line at `seq`. */
  readonly head: string;
  /** Canonical JSON of the state after `seq`. */
  readonly state: string;
}

/**
 * Where trees live. Methods are asynchronous for stores that are; the embedded ones answer at
 * once.
 */
export interface Store {
  /** What kind it is, for people: "memory", "sqlite ./.libos/libos.db". */
  readonly name: string;
  /** Whether several nodes own trees of it at the same time; absent: one owns all of them. */
  readonly isShared?: boolean;
  /** Makes a new, empty tree, owned by nobody, or returns the live one that has the same `key`. */
  create(key: string | null): Promise<{ readonly tree: TreeId; readonly created: boolean }>;
  /**
   * Appends batches of several trees in one transaction and one sync (S1, S2, S3). Throws
   * `ESTALE`, `EFENCED`, `ENOSPC` or `EIO` with nothing changed.
   */
  commit(batches: readonly Batch[]): Promise<void>;
  /** The stored batches which hold lines from `fromSeq` on, in order. */
  read(tree: TreeId, fromSeq: number): AsyncIterable<StoredBatch>;
  /** What is known of one tree; undefined when there is none. */
  head(tree: TreeId): Promise<TreeHead | undefined>;
  /**
   * Trees in order of number, after `after`. `live` limits to those that have not ended, `asking`
   * to those of them with requests that wait for a person.
   */
  list(options: {
    readonly live?: boolean;
    readonly asking?: boolean;
    readonly after?: TreeId;
    readonly limit: number;
  }): Promise<readonly TreeHead[]>;
  /** Writes a snapshot. Older ones of the tree may go, as {@linkcode thinned} says. */
  putSnapshot(tree: TreeId, snapshot: Snapshot): Promise<void>;
  /** The latest snapshot; with `atMost`, the latest of a line not after it. */
  getSnapshot(tree: TreeId, atMost?: number): Promise<Snapshot | undefined>;
  /**
   * The text of a blob; undefined when it is not there. Checked against its hash (`EINTEGRITY`).
   */
  getBlob(hash: string): Promise<string | undefined>;
  /** Puts an item into a tree's durable inbox. `ENOENT` for a tree that is not there. */
  putInbox(tree: TreeId, item: InboxItem): Promise<void>;
  /** The items in a tree's inbox, oldest first. */
  getInbox(tree: TreeId): Promise<readonly InboxItem[]>;
  /**
   * Trees that have something in their inbox, are due at `nowMs`, or are ready; with `node`, but
   * for those that another node's lease holds at `nowMs`.
   */
  due(nowMs: number, limit: number, node?: string): Promise<readonly TreeId[]>;
  /** The earliest due time of any live tree, or null. */
  nextDueMs(): Promise<number | null>;
  /**
   * Takes or renews ownership of a tree until `nowMs + ttlMs`. A claim by a new owner raises the
   * epoch, which fences the old one. Undefined when another owner's lease runs still, unless
   * `steal`.
   */
  claim(tree: TreeId, node: string, options: {
    readonly nowMs: number;
    readonly ttlMs: number;
    readonly steal?: boolean;
  }): Promise<{ readonly epoch: number } | undefined>;
  /** Gives a tree up, if `node` still owns it at `epoch`. */
  release(tree: TreeId, node: string, epoch: number): Promise<void>;
  /**
   * A number that changes whenever another process may have changed the store: cheap to poll.
   */
  version(): Promise<number>;
  /**
   * Whoever uses it is about to stop: commits wait no longer for a store that is away. Absent where
   * it is never away.
   */
  hurry?(): void;
  /** Looks for damage; a sentence for each thing found. */
  check(): Promise<readonly string[]>;
  /** What it can do beside running trees; absent for stores that cannot. */
  archive?(): Archive;
  /** The nodes that share it; absent for stores that one node owns. */
  fleet?(): Fleet;
  /** Calls `heard` as soon as another process wrote for a tree that `node` has. */
  hear?(node: string, heard: () => void): void;
  /** What all nodes commit from now on; absent where one node has it alone. */
  tail?(): Promise<Tail>;
  /** For one question whose answer is only shown; absent where it has no replica. */
  view?(): Promise<StoreView>;
  /** How its replica stands; absent and null where it has none. */
  replica?(): ReplicaState | null;
  /** Where it is sealed; absent where it has no place for that. */
  audit?(): AuditStore;
  /** What is in all inboxes, and was not taken out yet; absent where nobody counts. */
  waiting?(): Promise<InboxDepth>;
  /** Its lines to a database, now; absent where there are none. */
  lines?(): { readonly statements: number; readonly connections: number };
  /** Limits that all nodes over it keep together; absent where one node has it alone. */
  shares?(): Shares;
  /** Lets go of everything; later calls are refused. A second close changes nothing. */
  close(): Promise<void>;
}

/** What is read of a store, and changes nothing. */
export type StoreReads = Pick<
  Store,
  "name" | "head" | "list" | "read" | "getSnapshot" | "getBlob"
>;

/**
 * A store to show things from, for one question. What it says was true a moment ago, and has all
 * that this process wrote or was shown before; nothing is decided by it.
 */
export interface StoreView extends StoreReads {
  /** How old at most, in milliseconds, where a replica says it; absent and null: the store does. */
  readonly behindMs?: number | null;
  /** The nodes, as of then. */
  fleet?(): Pick<Fleet, "nodes" | "free">;
}

/** How a replica stands: "unasked" before the first question. */
export type ReplicaUse = "unasked" | "used" | "behind" | "away" | "refused";

/** A replica that what is only shown is read from, as it was at the last question. */
export interface ReplicaState {
  /** Where it is; no password. */
  readonly name: string;
  /** Why it is not used, when it is not. */
  readonly use: ReplicaUse;
  /** The same in words, for people. */
  readonly detail: string;
  /** How old at most what it has is, in milliseconds; null: nobody knows. */
  readonly lagMs: number | null;
  /** How many bytes of the primary's log it has not done yet; null: nobody knows. */
  readonly lagBytes: number | null;
  /** Questions that it answered, and those that went to the primary. */
  readonly answered: { readonly replica: number; readonly primary: number };
}

/** A store for one question that is only shown: a replica where there is one, else the store. */
export async function viewOf(store: Store): Promise<StoreView> {
  return await store.view?.() ?? store;
}

/** How much was taken away. */
export interface Removed {
  /** How many payloads or blobs. */
  readonly count: number;
  /** Length of their texts. */
  readonly bytes: number;
}

/**
 * Carrying trees from store to store, and taking content away. No line is ever changed or removed.
 *
 * Invariants every archive keeps, besides those of its store:
 *   A1. A tree is adopted as a whole or not at all.
 *   A2. `sweep` takes no blob that a commit since `since` named, or that one under way brings. A
 *       line which says that it is collected does not name it.
 *   A3. What was removed is not to be had by `getBlob`, `read` or `getSnapshot` afterwards.
 */
export interface Archive {
  /**
   * Makes a tree with all its lines, owned by nobody, at the epoch of its batches: all of one tree,
   * from line 1 on. `EEXIST` when the number is taken.
   */
  adopt(batches: readonly Batch[], snapshot: Snapshot | null): Promise<void>;
  /** Takes the payloads away that `pick` names, batch by batch; its lines stay as they are. */
  redact(
    tree: TreeId,
    pick: (batch: StoredBatch) => ReadonlySet<string>,
  ): Promise<Removed>;
  /**
   * Trees with payloads that are to be taken away by `nowMs`, as their last batches say: also of
   * those that ended. The earliest first.
   */
  redactable(nowMs: number, limit: number): Promise<readonly TreeId[]>;
  /** Takes snapshots of a tree away: those at these lines. */
  removeSnapshots(tree: TreeId, seqs: readonly number[]): Promise<void>;
  /** A number that rises with every batch of any tree. */
  position(): Promise<number>;
  /** Blobs in the order of their hashes, after `after`. */
  blobs(after: string, limit: number): Promise<
    readonly { readonly hash: string; readonly bytes: number }[]
  >;
  /**
   * Takes blobs away, but for those that a batch after position `since` names. `getBlob` says
   * `note` in their place, with `ENOENT`, until the same text is put again.
   */
  sweep(hashes: Iterable<string>, given: {
    readonly note: string;
    readonly since?: number;
  }): Promise<Removed>;
}

/** A SHA-256 wherever it stands. */
const HASH = /[0-9a-f]{64}/g;

/** Every hash in lines and in what stands beside them, but for lines that say what is collected. */
export function* hashesIn(lines: readonly string[], beside: Iterable<string>): Iterable<string> {
  const naming = lines.filter((line) => !line.endsWith('"type":"values.collected"}'));
  for (const text of [...naming, ...beside]) for (const [hash] of text.matchAll(HASH)) yield hash;
}

/** A tree whose number another one has. */
export function takenTree(tree: TreeId): SysError {
  const sentence = `Cannot adopt tree "${tree}": its number is taken, expected a free one`;
  return new SysError("EEXIST", sentence, { tree });
}

/** A blob that was taken away, and why. */
export function removedBlob(hash: string, note: string): SysError {
  return new SysError("ENOENT", `Cannot read value "${hash}": ${note}`, { hash });
}

/** What a store can do beside running trees; `ENOSYS` for one that cannot. */
export function archiveOf(store: Store): Archive {
  const archive = store.archive?.();
  if (archive !== undefined) return archive;
  const sentence =
    `Cannot use store "${store.name}": no archive, expected one that can carry trees`;
  throw new SysError("ENOSYS", sentence);
}
