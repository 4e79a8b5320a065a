/**
 * A store whose disk does what disks do: refuses, answers too late or not at all, says it has
 * written what it has not, or has written half.
 *
 * A disk outlives its kernels. Each kernel has one hold on it, with one fault in it.
 * @module
 */

import { SysError } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import type { Batch, InboxItem, Snapshot, Store } from "../kernel/store.ts";
import { MortalStore } from "./world_fixture_crash.ts";

/** What a disk can do wrong at a commit, and what may come of it. */
export const FAULTS = {
  /** It is refused, and nothing is written. */
  "eio-before": { loses: false, damages: false },
  /** It is written, and said not to be. */
  "eio-after": { loses: false, damages: false },
  "enospc": { loses: false, damages: false },
  "crash-before": { loses: false, damages: false },
  "crash-after": { loses: false, damages: false },
  /** The first tree of a group is written and the others are not; then it is refused. */
  "torn-refused": { loses: false, damages: false },
  /** The same, and the kernel dies. */
  "torn-crash": { loses: false, damages: false },
  /** The same, and the kernel is told that all is well. */
  "torn-said": { loses: true, damages: false },
  /** All from here on is said to be written, and gone after the crash. */
  "lying-sync": { loses: true, damages: false },
  /** It is said to be written, and is not. */
  "lost": { loses: true, damages: false },
  /** The place it was written to cannot be found again; the index says that it is there. */
  "hole": { loses: true, damages: true },
  /** Half of a batch's lines are written; the index says all. */
  "torn-lines": { loses: false, damages: true },
  /** An item for an inbox is refused, or is put in and said not to be. */
  "inbox-eio-before": { loses: false, damages: false },
  "inbox-eio-after": { loses: false, damages: false },
  "inbox-crash-before": { loses: false, damages: false },
  "inbox-crash-after": { loses: false, damages: false },
  /** Two of these stay within the time of a request. */
  "clock-forward": { loses: false, damages: false },
  "clock-back": { loses: false, damages: false },
  /** The time of every request is over. */
  "clock-late": { loses: false, damages: false },
} as const;

const JUMP_MS: Partial<Readonly<Record<FaultKind, number>>> = {
  "clock-forward": 1_500_000,
  "clock-back": -7_200_000,
  "clock-late": 7_200_000,
};

/** A fault's name. */
export type FaultKind = keyof typeof FAULTS;

/** A fault, and the commit (or item for an inbox) of its kernel at which it comes. */
export interface Fault {
  readonly kind: FaultKind;
  readonly at: number;
}

/** Commits between a write that is lost and the crash that shows it. */
const LATER = 4;

type Change = (store: MemoryStore) => Promise<unknown>;

/** What is on a disk: a store in memory that can go back to what it was. */
export class Disk {
  store: MemoryStore = new MemoryStore();
  readonly changes: Change[] = [];
  /** Places of batches that cannot be found. */
  readonly missing: Set<string> = new Set();
  /** What kernels were told is durable: tree, line, and the hash of the line. */
  acknowledged: { readonly tree: TreeId; readonly seq: number; readonly head: string }[] = [];

  /** Makes a change, and keeps it to make it again. */
  async change<T>(how: (store: MemoryStore) => Promise<T>): Promise<T> {
    const answer = await how(this.store);
    this.changes.push(how);
    return answer;
  }

  /** Forgets all but the first changes. */
  async goBack(count: number): Promise<void> {
    this.changes.length = count;
    this.store = new MemoryStore();
    for (const change of this.changes) await change(this.store);
  }

  /** What was acknowledged and is not there: beyond the end of its log, or another line. */
  async lost(): Promise<{ readonly beyond: number; readonly other: number }> {
    const heads = new Map<TreeId, string[]>();
    for (const { tree } of await this.store.list({ limit: 1_000 })) {
      const found: string[] = [];
      for await (const { lines } of this.store.read(tree, 1)) found.push(...lines.map(sha256));
      heads.set(tree, found);
    }
    let [beyond, other] = [0, 0];
    for (const { tree, seq, head } of this.acknowledged) {
      const found = heads.get(tree)?.[seq - 1];
      if (found === undefined) beyond += 1;
      else if (found !== head) other += 1;
    }
    return { beyond, other };
  }
}

/** One kernel's hold on a disk, with one fault. */
export class FaultStore extends MortalStore {
  readonly disk: Disk;
  readonly #fault: Fault | null;
  readonly #jump: (ms: number) => void;
  /** Whether the fault came. A torn group needs two trees, half a batch two lines. */
  hasStruck = false;
  #writes = 0;
  #items = 0;
  /** Where a disk that lies goes back to. */
  #truth: number | null = null;
  #left: number | null = null;
  #crashing: Promise<void> | null = null;

  /** A hold; `jump` moves the clock. */
  constructor(disk: Disk, fault: Fault | null, jump: (ms: number) => void) {
    super(disk.store, null);
    this.disk = disk;
    this.#fault = fault;
    this.#jump = jump;
  }

  /** How many commits were asked for. */
  get writes(): number {
    return this.#writes;
  }

  /** How many items were put into inboxes. */
  get items(): number {
    return this.#items;
  }

  /** The power goes: nothing is answered any more, and what was a lie is gone. */
  crash(): Promise<void> {
    this.die();
    return this.#crashing ??= this.#truth === null
      ? Promise.resolve()
      : this.disk.goBack(this.#truth);
  }

  override async commit(batches: readonly Batch[]): Promise<void> {
    if (this.isDead) return await super.commit(batches);
    this.#writes += 1;
    const fault = this.#due(this.#writes, false);
    if (fault === null) await this.#write(batches);
    else await this.#strike(fault, batches);
    if (this.#left !== null && --this.#left === 0) await this.crash();
    if (this.isDead) return await super.commit(batches);
    for (const { tree, seq, lines, head } of batches) {
      this.disk.acknowledged.push({ tree, seq: seq + lines.length - 1, head });
    }
  }

  /** The fault that comes now, at the nth commit or item. */
  #due(n: number, isItem: boolean): FaultKind | null {
    const fault = this.#fault;
    if (fault === null || this.hasStruck || n < fault.at) return null;
    return fault.kind.startsWith("inbox-") === isItem ? fault.kind : null;
  }

  async #write(batches: readonly Batch[]): Promise<void> {
    await this.disk.change((store) => store.commit(batches));
  }

  async #strike(kind: FaultKind, batches: readonly Batch[]): Promise<void> {
    const [first] = batches;
    const isGroup = batches.length > 1;
    if (kind.startsWith("torn-") && !(kind === "torn-lines" ? first!.lines.length > 1 : isGroup)) {
      return await this.#write(batches);
    }
    this.hasStruck = true;
    switch (kind) {
      case "eio-before":
        throw refused("EIO");
      case "enospc":
        throw refused("ENOSPC");
      case "eio-after":
        await this.#write(batches);
        throw refused("EIO");
      case "crash-before":
        return this.die();
      case "crash-after":
        await this.#write(batches);
        return this.die();
      case "torn-refused":
        await this.#write([first!]);
        throw refused("EIO");
      case "torn-crash":
        await this.#write([first!]);
        return this.die();
      case "torn-said":
        this.#left = LATER;
        return await this.#write([first!]);
      case "lying-sync":
        this.#truth = this.disk.changes.length;
        this.#left = LATER;
        return await this.#write(batches);
      case "lost":
        this.#left = LATER;
        return;
      case "hole":
        await this.#write(batches);
        this.disk.missing.add(`${first!.tree} ${first!.seq}`);
        this.#left = LATER;
        return;
      case "torn-lines": {
        const lines = first!.lines.slice(0, Math.ceil(first!.lines.length / 2));
        await this.#write([{ ...first!, lines, taken: [], puts: [] }]);
        return this.die();
      }
      default:
        await this.#write(batches);
        return this.#jump(JUMP_MS[kind] ?? 0);
    }
  }

  override async *read(tree: TreeId, fromSeq: number): ReturnType<Store["read"]> {
    for await (const batch of super.read(tree, fromSeq)) {
      if (!this.disk.missing.has(`${tree} ${batch.seq}`)) yield batch;
    }
  }

  async #change<T>(how: (store: MemoryStore) => Promise<T>): Promise<T> {
    // Never answered.
    if (this.isDead) await super.version();
    return await this.disk.change(how);
  }

  override create(key: string | null): ReturnType<Store["create"]> {
    return this.#change((store) => store.create(key));
  }
  override putSnapshot(tree: TreeId, snapshot: Snapshot): Promise<void> {
    return this.#change((store) => store.putSnapshot(tree, snapshot));
  }
  override async putInbox(tree: TreeId, item: InboxItem): Promise<void> {
    const fault = this.isDead ? null : this.#due(++this.#items, true);
    if (fault !== null) this.hasStruck = true;
    if (fault === "inbox-eio-before") throw refused("EIO");
    if (fault === "inbox-crash-before") this.die();
    await this.#change((store) => store.putInbox(tree, item));
    if (fault === "inbox-eio-after") throw refused("EIO");
    if (fault !== "inbox-crash-after") return;
    this.die();
    await super.version();
  }
  override claim(...given: Parameters<Store["claim"]>): ReturnType<Store["claim"]> {
    return this.#change((store) => store.claim(...given));
  }
  override release(...given: Parameters<Store["release"]>): Promise<void> {
    return this.#change((store) => store.release(...given));
  }
}

function refused(code: "EIO" | "ENOSPC"): SysError {
  return new SysError(code, `Cannot write to the disk: it says ${code}`);
}
