/**
 * Reading a tree that was exported: each record is checked as it comes, and nothing is stored.
 * @module
 */

import { RIGHTS } from "../broker/table.ts";
import { SysError } from "../kernel/errors.ts";
import type { EventMap } from "../kernel/event.ts";
import { foreignIn } from "../kernel/growth.ts";
import { isId, type TreeId, treeNumber } from "../kernel/ids.ts";
import { canonical, type JsonObject, sha256 } from "../kernel/json.ts";
import { ChainReader, GENESIS } from "../kernel/log.ts";
import { parseJson } from "../kernel/parse.ts";
import type { StatePatch } from "../kernel/patch.ts";
import { named } from "../kernel/proof.ts";
import { wants } from "../kernel/schedule.ts";
import type { Batch, InboxItem, Snapshot, StoredBatch } from "../kernel/store.ts";
import { Tree, type TreeContext } from "../kernel/tree.ts";
import { addRefs, valuesOf } from "./collect.ts";

/** What trees are read with, unless somebody says otherwise. */
export const CONTEXT: TreeContext = { rights: RIGHTS };

/** The record of a snapshot; its state is canonical JSON already. */
export function snapshotRecord({ seq, head, state }: Snapshot): string {
  return `{"head":"${head}","seq":${seq},"state":${state},"type":"libos.snapshot/1"}`;
}

/** A number far beyond it would leave none for trees that are made later. */
const TREE_NUMBER_MAX = 2 ** 48;
/** Lines that one stored batch takes. */
const BATCH_LINES = 64;

interface Start {
  readonly tree: TreeId;
  readonly seq: number;
  readonly head: string;
}

/** The last millisecond that a date can be. */
const TIME_MAX = 8.64e15;

function isTime(atMs: unknown): boolean {
  return Number.isSafeInteger(atMs) && (atMs as number) >= 0 && (atMs as number) <= TIME_MAX;
}

/** Stores keep these as whole numbers: with another one no tree could be listed any more. */
function areWhole({ epoch, dueMs, redactMs = null }: Batch): boolean {
  return isTime(epoch) && [dueMs, redactMs].every((atMs) => atMs === null || isTime(atMs));
}

/** Reads a stream record by record, and checks each as it comes (P2). */
export class TreeReader {
  /** How many were read. */
  records = 0;
  #start: Start | undefined;
  #tree: Tree | undefined;
  #chain: ChainReader | undefined;
  #snapshot: Snapshot | null = null;
  readonly #stored: StoredBatch[] = [];
  /** The line whose payloads may still come. */
  #line: { readonly text: string; readonly payloads: Map<string, string> } | undefined;
  readonly #refs = new Set<string>();
  readonly #erased = new Set<string>();
  readonly #blobs = new Map<string, string>();
  readonly #inbox: InboxItem[] = [];
  #digest = "";
  #ended = false;

  /** The first record. */
  get start(): Start {
    return this.#start!;
  }

  /** Reads the next record, without its line feed. Throws `EINTEGRITY` with the line. */
  push(record: string): void {
    if (this.#ended) throw this.#broken("a record stands behind the end");
    if (this.#start === undefined) this.#readStart(record);
    else if (record.startsWith('{"at":') && !record.endsWith('/1"}')) this.#readLine(record);
    else this.#readOther(record);
    this.records += 1;
    this.#digest = sha256(this.#digest + record);
  }

  #readStart(record: string): void {
    const { tree, seq, head, type } = this.#parsed(record);
    const isRight = type === "libos.tree/1" && isId("t", tree) && Number.isSafeInteger(seq) &&
      (seq as number) >= 1 && typeof head === "string" &&
      treeNumber(tree as TreeId) <= TREE_NUMBER_MAX;
    if (!isRight) throw this.#broken("it is no export of version 1");
    this.#start = { tree: tree as TreeId, seq: seq as number, head: head as string };
    this.#tree = Tree.empty(this.#start.tree, CONTEXT);
    this.#chain = new ChainReader(this.#start.tree, 0, GENESIS);
  }

  #readLine(text: string): void {
    if (this.#blobs.size + this.#inbox.length > 0) {
      throw this.#broken("a line stands behind values");
    }
    this.#take();
    this.#line = { text, payloads: new Map() };
  }

  #readOther(record: string): void {
    const parsed = this.#parsed(record);
    switch (parsed["type"]) {
      case "libos.snapshot/1":
        return this.#readSnapshot(record, parsed);
      case "libos.payload/1":
        return this.#readPayload(parsed["text"]);
      case "libos.blob/1":
        return this.#readBlob(parsed["text"]);
      case "libos.inbox/1":
        this.#take();
        this.#inbox.push({ id: String(parsed["id"]), body: parsed["body"] as JsonObject });
        return;
      case "libos.end/1":
        return this.#readEnd(parsed);
    }
    throw this.#broken("a record of no known type stands there");
  }

  #readSnapshot(record: string, parsed: JsonObject): void {
    const { seq, head } = parsed as unknown as Snapshot;
    const snapshot = { seq, head, state: canonical(parsed["state"]) };
    if (this.#snapshot !== null || this.records !== 1 || !(seq >= 1 && seq <= this.start.seq)) {
      throw this.#broken("a snapshot stands there");
    }
    if (snapshotRecord(snapshot) !== record) throw this.#broken("its snapshot is not canonical");
    this.#snapshot = snapshot;
    addRefs(this.#refs, snapshot.state);
  }

  #readPayload(text: unknown): void {
    const line = this.#line;
    if (line === undefined || typeof text !== "string") {
      throw this.#broken("a payload is misplaced");
    }
    const hash = sha256(text);
    if (!named(line.text).has(hash)) throw this.#broken("a payload of it was changed", 1);
    line.payloads.set(hash, text);
  }

  #readBlob(text: unknown): void {
    this.#take();
    if (typeof text !== "string") throw this.#broken("a value is misplaced");
    const hash = sha256(text);
    if (!this.#refs.has(hash)) throw this.#broken(`value "${hash}" was changed: no line names it`);
    this.#blobs.set(hash, text);
  }

  #readEnd({ digest, records }: JsonObject): void {
    this.#take();
    if (records !== this.records || digest !== this.#digest) {
      throw this.#broken("a record is missing or was changed");
    }
    this.#ended = true;
  }

  /** Checks and applies the line in hand; all its payloads have come. */
  #take(): void {
    const line = this.#line;
    if (line === undefined) return;
    this.#line = undefined;
    const seq = this.#chain!.seq + 1;
    const batch = { seq, lines: [line.text], payloads: line.payloads };
    for (const read of this.#chain!.read(batch)) {
      if (!isTime(read.atMs)) throw this.#broken("it was written at no time");
      const { patch } = read.data as { readonly patch?: StatePatch };
      const isBegin = read.type === "tree.forked" || read.type === "tree.grown";
      const wrong = isBegin && patch !== undefined
        ? this.sound(() => foreignIn(patch, read.tree))
        : null;
      if (wrong !== null) throw this.#broken(`it begins with what is not its own: ${wrong}`);
      this.sound(() => this.#tree!.replay(read));
      if (read.type === "content.erased" || read.type === "values.collected") {
        const { hashes } = read.data as EventMap["content.erased" | "values.collected"];
        for (const hash of hashes) this.#erased.add(hash);
      }
    }
    this.#keep(batch);
    const { tree, seq: at, head } = { ...this.#snapshot, tree: this.#tree! };
    if (at === seq && (tree.dump() !== this.#snapshot!.state || head !== this.#chain!.head)) {
      throw this.#broken("its snapshot is not what the lines say");
    }
  }

  #keep({ seq, lines, payloads }: StoredBatch): void {
    for (const text of [...lines, ...payloads.values()]) addRefs(this.#refs, text);
    const last = this.#stored.at(-1);
    if (last === undefined || last.lines.length >= BATCH_LINES) {
      this.#stored.push({ seq, lines: [...lines], payloads: new Map(payloads) });
      return;
    }
    (last.lines as string[]).push(...lines);
    for (const [hash, text] of payloads) (last.payloads as Map<string, string>).set(hash, text);
  }

  /** Ends the reading: what was read, whole and checked. */
  finish(): {
    readonly tree: Tree;
    readonly blobs: ReadonlyMap<string, string>;
    readonly snapshot: Snapshot | null;
    readonly inbox: readonly InboxItem[];
  } {
    if (!this.#ended) throw this.#broken("the stream was cut");
    this.#chain!.finish(this.start.seq, this.start.head);
    const tree = this.#tree!;
    // It would grow from a tree of this store, whatever that is.
    if (tree.state.branch !== undefined) throw this.#broken("it has yet to grow");
    for (const hash of this.sound(() => valuesOf(tree.state))) {
      if (this.#blobs.has(hash) || this.#erased.has(hash)) continue;
      throw this.#broken(`value "${hash}" is missing`);
    }
    tree.rebase(this.#chain!.head);
    return { tree, blobs: this.#blobs, snapshot: this.#snapshot, inbox: this.#inbox };
  }

  /** The lines as they are stored. Throws `EINTEGRITY` for what no store keeps. */
  batches(): Batch[] {
    const { tree, epoch } = this.#tree!.state;
    const beside = { blobs: new Map<string, string>(), taken: [], puts: [] };
    const wanted = wants(this.#tree!.state);
    const batches = this.#stored.map((stored) => ({
      ...beside,
      ...wanted,
      ...stored,
      tree,
      epoch,
      head: sha256(stored.lines.at(-1)!),
    }));
    if (batches.every(areWhole)) return batches;
    throw this.#broken("it wants something at no time");
  }

  /** Does what only fails for lines that no kernel wrote: `EINTEGRITY`, then. */
  sound<T>(job: () => T): T {
    try {
      return job();
    } catch (error) {
      throw this.#broken(error instanceof Error ? error.message : String(error));
    }
  }

  #parsed(record: string): JsonObject {
    try {
      return parseJson(record) as JsonObject;
    } catch {
      throw this.#broken("a record is no JSON");
    }
  }

  #broken(why: string, ahead = 0): SysError {
    const tree = this.#start?.tree ?? null;
    const seq = (this.#chain?.seq ?? 0) + ahead;
    const what = tree === null ? "a tree" : `tree "${tree}" at line ${seq}`;
    const sentence = `Cannot import ${what}, record ${this.records + 1}`;
    return new SysError("EINTEGRITY", `${sentence}: ${why}`, { tree, seq });
  }
}
