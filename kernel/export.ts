/**
 * The export: a history and the lines it sealed as JSON Lines, checked offline.
 *
 * Every record is one line of canonical JSON, and every record but a line of a log ends with its
 * `type`, which has a "/" where a log's line never has one:
 *   1. `libos.export/1`: the history's name, its size, and the one tree it is about, or null.
 *   2. All leaves in order, each as it was sealed, and each signed head behind what it covers. In
 *      an export of one tree the leaves of others are `libos.leaf/1`: a hash that tells nothing.
 *   3. The lines of each tree as they stand in its log, up to its last seal, the trees in the order
 *      of their first leaves; behind a line its payloads, as `libos.payload/1`. A payload that was
 *      taken away is not there.
 *
 * Invariants:
 *   X1. An export without a fault has every sealed line of its trees as it was sealed, and no
 *       other.
 *   X2. That there is no later seal only shows by a head from elsewhere: pass it to `finish`. The
 *       last seals of the one tree that an export is about could be among the hidden leaves.
 * @module
 */

import { z } from "zod";
import { type Fault, faultAt, History, LineWalk } from "./history.ts";
import type { TreeId } from "./ids.ts";
import { isId } from "./ids.ts";
import type { Json } from "./json.ts";
import { canonical, sha256 } from "./json.ts";
import { parseJson } from "./parse.ts";
import { named } from "./proof.ts";
import type { SignedHead, Trust } from "./seal.ts";

/** The first record of an export. */
export interface ExportStart {
  readonly type: "libos.export/1";
  readonly log: string;
  /** How many leaves the history has. */
  readonly size: number;
  /** The tree it is about; null for all of them. */
  readonly tree: TreeId | null;
}

const START: z.ZodType<ExportStart> = z.strictObject({
  type: z.literal("libos.export/1"),
  log: z.string(),
  size: z.number().int().min(1),
  tree: z.custom<TreeId>((value) => isId("t", value), "expected the id of a tree").nullable(),
});

/** The record of a leaf which is of no concern to the reader. */
export function hiddenRecord(hash: string): string {
  return canonical({ hash, type: "libos.leaf/1" });
}

/** The record of a payload. */
export function payloadRecord(text: string): string {
  return canonical({ text, type: "libos.payload/1" });
}

/** What reading an export found. */
export interface ExportReport {
  /** The first thing that is wrong, or null. */
  readonly fault: Fault | null;
  /** Lines that were read. */
  readonly lines: number;
  /** Payloads that were read. */
  readonly payloads: number;
  /** How many that lines name are not there: each was taken away, from the store or from here. */
  readonly payloadsMissing: number;
  /** The last head: how far the export goes, and when it was sealed. */
  readonly head: SignedHead | null;
}

const TYPE = /"type":"(libos\.[a-z]+\/1)"\}$/;

/**
 * Reads an export record by record.
 *
 * @example
 * ```ts
 * import { checkSignature, createRuntime, ExportReader } from "@agent-libos/core";
 * await using os = await createRuntime({ store: ":memory:", workspace: null, audit: {} });
 * const { head } = await os.seal();
 * const reader = new ExportReader({ keys: [head.key], check: checkSignature });
 * for await (const record of os.exportAudit()) reader.push(record);
 * console.assert(reader.finish([head]).fault === null);
 * ```
 */
export class ExportReader {
  readonly #history: History;
  #start: ExportStart | undefined;
  #walk: { readonly tree: TreeId; readonly walk: LineWalk } | undefined;
  #fault: Fault | null = null;
  /** Trees whose lines are still to come, the next one last. */
  #trees: TreeId[] = [];
  /** What the last line names and has not come yet. */
  #named = new Set<string>();
  #missing = 0;
  #lines = 0;
  #payloads = 0;

  /** Starts before the first record. */
  constructor(trust: Trust) {
    this.#history = new History(trust);
  }

  /** Reads the next record, without its line feed. After a fault nothing more is looked at. */
  push(record: string): void {
    this.#fault ??= this.#read(record);
  }

  /** Ends the reading. `heads` are signed heads that the reader has from elsewhere. */
  finish(heads: readonly SignedHead[] = []): ExportReport {
    this.#fault ??= this.#end(heads);
    return {
      fault: this.#fault,
      lines: this.#lines,
      payloads: this.#payloads,
      payloadsMissing: this.#missing + this.#named.size,
      head: this.#history.last ?? null,
    };
  }

  #read(record: string): Fault | null {
    if (this.#start === undefined) return this.#readStart(record);
    // All but lines are few, and lines are many: nothing is parsed to tell them.
    const isLine = record.startsWith('{"at":') && !record.endsWith('/1"}');
    if (isLine) return this.#readLine(record);
    switch (TYPE.exec(record)?.[1]) {
      case "libos.seal/1":
      case "libos.key/1":
        return this.#early() ?? this.#history.leaf(record);
      case "libos.head/1":
        return this.#early() ?? this.#history.head(parsed(record));
      case "libos.leaf/1":
        return this.#early() ?? this.#readHidden(record);
      case "libos.payload/1":
        return this.#readPayload(record);
    }
    return this.#here("a record stands there that is of no known type");
  }

  #readStart(record: string): Fault | null {
    this.#start = START.safeParse(parsed(record)).data;
    return this.#start === undefined ? faultAt(null, "it is no export of version 1") : null;
  }

  /** What is wrong with a record of the history at this place: it comes before all lines. */
  #early(): Fault | null {
    return this.#walk === undefined ? null : this.#here("a record of the history stands there");
  }

  #readHidden(record: string): Fault | null {
    const { size } = this.#history;
    if (this.#start!.tree === null) return faultAt(size, "it is hidden in an export of all trees");
    const hash = (parsed(record) as { readonly hash?: unknown } | undefined)?.hash;
    if (typeof hash !== "string" || hiddenRecord(hash) !== record) {
      return faultAt(size, "it is not in canonical JSON");
    }
    return this.#history.hidden(hash);
  }

  #readLine(record: string): Fault | null {
    if (this.#walk === undefined) {
      const fault = this.#endOfHistory();
      if (fault !== null) return fault;
      this.#trees = this.#order();
    }
    const here = this.#walk?.walk;
    if (here === undefined || here.seq === here.sealedSeq) {
      const fault = this.#nextTree();
      if (fault !== null) return fault;
    }
    this.#lines += 1;
    this.#missing += this.#named.size;
    this.#named = named(record);
    return this.#walk!.walk.push(record);
  }

  /** The trees whose lines follow, in order. */
  #order(): TreeId[] {
    const { stretches } = this.#history;
    const { tree } = this.#start!;
    return (tree === null ? [...stretches.keys()] : [tree]).reverse();
  }

  /** Goes on to the next tree, when that of the lines before is at its end. */
  #nextTree(): Fault | null {
    const tree = this.#trees.pop();
    if (tree === undefined) return this.#here("it was never sealed");
    const stretches = this.#history.stretches.get(tree) ?? [];
    this.#walk = { tree, walk: new LineWalk(tree, stretches) };
    return null;
  }

  #readPayload(record: string): Fault | null {
    const text = (parsed(record) as { readonly text?: unknown } | undefined)?.text;
    const seq = this.#walk?.walk.seq ?? null;
    const where = { tree: this.#walk?.tree ?? null, seq, leaf: null };
    if (typeof text !== "string" || !text.isWellFormed() || payloadRecord(text) !== record) {
      return { ...where, why: "a payload of it is not in canonical JSON" };
    }
    this.#payloads += 1;
    if (this.#named.delete(sha256(text))) return null;
    return { ...where, why: "a payload of it was changed" };
  }

  #endOfHistory(): Fault | null {
    const fault = this.#history.finish();
    if (fault !== null) return fault;
    const { size, last } = this.#history;
    if (size !== this.#start!.size) {
      return faultAt(size, `the history ends before it, expected ${this.#start!.size} leaves`);
    }
    return last!.log === this.#start!.log ? null : faultAt(null, "it is of another history");
  }

  #end(heads: readonly SignedHead[]): Fault | null {
    if (this.#start === undefined) return faultAt(null, "it is empty");
    if (this.#walk === undefined) {
      const fault = this.#endOfHistory();
      if (fault !== null) return fault;
    }
    const last = this.#walk?.walk.finish();
    if (last !== undefined && last !== null) return last;
    const next = (this.#walk === undefined ? this.#order() : this.#trees).at(-1);
    if (next !== undefined) {
      return { tree: next, seq: 1, leaf: null, why: "the export ends before it" };
    }
    for (const head of heads) {
      const fault = this.#history.anchored(head, "what is known from elsewhere");
      if (fault !== null) return fault;
    }
    return null;
  }

  #here(why: string): Fault {
    const here = this.#walk;
    if (here === undefined) return faultAt(this.#history.size, why);
    return { tree: here.tree, seq: here.walk.seq + 1, leaf: null, why };
  }
}

function parsed(record: string): unknown {
  try {
    const value: unknown = parseJson(record);
    return canonical(value) === record ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A line as an event of CloudEvents 1.0, in its JSON format. */
export interface CloudEvent {
  /** Always "1.0". */
  readonly specversion: "1.0";
  /** The line's number; with `source` it is unique. */
  readonly id: string;
  /** `urn:libos:⟨history⟩:⟨tree⟩`. */
  readonly source: string;
  /** `dev.libos.⟨type of the line⟩`. */
  readonly type: string;
  /** RFC 3339. */
  readonly time: string;
  /** The process it is about, or the tree. */
  readonly subject: string;
  /** Always JSON. */
  readonly datacontenttype: "application/json";
  /** What the line says; what it only names is its hash. */
  readonly data: Json;
  /** Extension "sequence": the number, so that texts sort as numbers do. */
  readonly sequence: string;
  /** Extension: SHA-256 of the line before. */
  readonly prevhash: string;
  /** Extension: SHA-256 of the line. What it names, its proof proves. */
  readonly linehash: string;
}

/**
 * The event that a line says. `log` names the history; what the line only names stays a hash.
 *
 * @example
 * ```ts
 * import { cloudEvent } from "@agent-libos/core";
 * const prev = "0".repeat(64);
 * const line = `{"at":0,"data":{},"prev":"${prev}","seq":1,"tree":"t_1","type":"tree.opened"}`;
 * const { type, source } = cloudEvent(line, "a1");
 * console.assert(type === "dev.libos.tree.opened" && source === "urn:libos:a1:t_1");
 * ```
 */
export function cloudEvent(text: string, log: string): CloudEvent {
  const line = parseJson(text) as {
    readonly at: number;
    readonly data: Json & { readonly pid?: unknown };
    readonly prev: string;
    readonly seq: number;
    readonly tree: TreeId;
    readonly type: string;
  };
  const pid = typeof line.data === "object" ? line.data?.pid : undefined;
  return {
    specversion: "1.0",
    id: String(line.seq),
    source: `urn:libos:${log}:${line.tree}`,
    type: `dev.libos.${line.type}`,
    time: new Date(line.at).toISOString(),
    subject: typeof pid === "string" ? pid : line.tree,
    datacontenttype: "application/json",
    data: line.data,
    sequence: String(line.seq).padStart(16, "0"),
    prevhash: line.prev,
    linehash: sha256(text),
  };
}
