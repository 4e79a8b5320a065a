/**
 * The log: lines in canonical JSON, chained by SHA-256 (G4).
 *
 * The text of a line is the RFC 8785 text of `{at, data, prev, seq, tree, type}`; `prev` is the
 * SHA-256 of the text before, so anyone can check a log with a JSON reader and a hash.
 *
 * Invariants:
 *   L1. Large arguments and replies stand beside a line, not in it: the line holds their hash.
 *       Taking a payload away later leaves the chain valid, and a line that names it says so.
 *   L2. decode(encode(line)) = line, and any changed byte is found at its position.
 * @module
 */

import { Panic, SysError } from "./errors.ts";
import type { Event, EventType, Line } from "./event.ts";
import { canonical, isShort, sha256 } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { TreeId } from "./ids.ts";
import { parseJson } from "./parse.ts";
import type { StoredBatch } from "./store.ts";

/** What stands before the first line. */
export const GENESIS = "0".repeat(64);

/** Places in an event's data where large values are, as paths in the order of their names. */
const PAYLOADS: { readonly [T in EventType]?: readonly (readonly string[])[] } = {
  "call.done": [["args"], ["edited", "asked"], ["result", "reply"]],
  "call.intent": [["args"], ["before"], ["edited", "asked"]],
  "call.outcome": [["result", "reply"]],
  "human.asked": [["call", "args"], ["preview"]],
  "human.answered": [["answer", "args"], ["answer", "value"]],
  "human.seconded": [["answer", "args"]],
  "kin.told": [["say"]],
  "message.sent": [["data"]],
  "process.spawned": [["input"]],
  "process.ended": [["outcome", "result"]],
  "tree.restored": [["patch"]],
  "tree.forked": [["edits"], ["patch"]],
  "tree.grown": [["patch"]],
};
/** Whether lines of a type may have payloads that can be taken away. */
export function hasPayloads(type: EventType): boolean {
  return type in PAYLOADS && !STATE_LINES.includes(type);
}

/** A line with nothing in place of the values that it carries. */
export function withoutPayloads<T extends Line>(line: T): T {
  const spots = SPOTS.get(line.type);
  return spots === undefined ? line : { ...line, data: emptied(line.data as Fields, spots) };
}

function emptied(data: Fields, spots: Spots): Fields {
  const rest: Fields = { ...data };
  for (const [field, spot] of spots) {
    const value = rest[field];
    if (value === undefined || value === null) continue;
    rest[field] = spot === "here" ? null : emptied(value as Fields, spot);
  }
  return rest;
}

/** Lines that say that payloads of lines before them were taken away. */
const FORGIVING: readonly EventType[] = ["content.erased", "payloads.redacted"];

/** The end of a line's text, which data cannot reach: keys are sorted and it holds no quotes. */
const TAIL = /,"prev":"([0-9a-f]{64})","seq":(\d+),"tree":"(t_\d+)","type":"[a-z.]+"\}$/;
/** The field that names a payload; where the payload was taken away, it stands for the value. */
export const MARK = "$payload";
/** Lines whose payload is a part of the state itself: without it there is no state. */
export const STATE_LINES: readonly EventType[] = ["tree.restored", "tree.forked", "tree.grown"];
type Fields = { [key: string]: unknown };
/** The same places by field: "here", or fields further down. Walking pairs makes no garbage. */
type Spots = readonly (readonly [field: string, spot: Spots | "here"])[];
const SPOTS: ReadonlyMap<string, Spots> = new Map(
  Object.entries(PAYLOADS).map(([type, paths]) => [type, spotsOf(paths)]),
);

function spotsOf(paths: readonly (readonly string[])[]): Spots {
  return [...new Set(paths.map(([first]) => first!))].map((first) => {
    const below = paths.filter(([field]) => field === first).map(([, ...rest]) => rest);
    return [first, below.some((rest) => rest.length === 0) ? "here" : spotsOf(below)] as const;
  });
}

/** A line as text, with what stands beside it. */
export interface EncodedLine {
  readonly text: string;
  readonly hash: string;
}

/** Writes a line's text after line `prev`; large values go into `payloads` (L1). */
export function encodeLine(
  line: Line,
  payloads: Map<string, string>,
  prev: string = line.prev,
): EncodedLine {
  const { atMs: at, data, seq, tree, type } = line;
  const spots = SPOTS.get(type);
  // Written as a whole: a text put together of others is copied once more when it is hashed.
  if (spots === undefined || typeof data !== "object") {
    return hashed(canonical({ at, data, prev, seq, tree, type }));
  }
  if (isAllSmall(data as Fields, spots)) {
    const text = canonical({ at, data, prev, seq, tree, type });
    if (!text.includes(MARK)) return hashed(text);
  }
  const left = aside(data as Fields, spots, payloads);
  return hashed(canonical({ at, data: left, prev, seq, tree, type }));
}

function hashed(text: string): EncodedLine {
  return { text, hash: sha256(text) };
}

/** The same data with marks in place of what is large, whose texts go into `payloads`. */
function aside(data: Fields, spots: Spots, payloads: Map<string, string>): Fields {
  const left: Fields = { ...data };
  for (const [field, spot] of spots) {
    const value = data[field];
    if (value === undefined || isSmall(value)) continue;
    if (spot === "here") left[field] = besideLine(value, payloads);
    else if (typeof value === "object") left[field] = aside(value as Fields, spot, payloads);
  }
  return left;
}

/** Whether all values that could stand beside the line are so small that they stand in it. */
function isAllSmall(data: Fields, spots: Spots): boolean {
  for (const [field, spot] of spots) {
    const value = data[field];
    if (value === undefined || value === null) continue;
    if (spot !== "here") {
      if (typeof value !== "object" || !isAllSmall(value as Fields, spot)) return false;
    } else if (!isShort(value, LIMITS.inlineBytesMax)) return false;
  }
  return true;
}

/** Canonical texts of values that were made of them. */
const texts = new WeakMap<object, string>();

/** Says what a value's canonical text is, as it stands in a line whatever becomes of the value. */
export function textIs(value: object, text: string): void {
  texts.set(value, text);
}

/** What stands in a line for a value: itself, or its mark when it stands beside. */
function besideLine(value: unknown, payloads: Map<string, string>): unknown {
  const known = typeof value === "object" && value !== null ? texts.get(value) : undefined;
  const text = known ?? canonical(value);
  if (isInline(value, text)) return known === undefined ? value : parseJson(text);
  const hash = sha256(text);
  payloads.set(hash, text);
  return { [MARK]: hash, bytes: text.length };
}

/** The text of a value that stands beside its line; null for one that stands in it. */
export function payloadText(value: unknown): string | null {
  const text = canonical(value);
  return isInline(value, text) ? null : text;
}

function isInline(value: unknown, text: string): boolean {
  return isSmall(value) || (text.length <= LIMITS.inlineBytesMax && !text.includes(MARK));
}

function isSmall(value: unknown): boolean {
  return value === null || typeof value === "number" || typeof value === "boolean" ||
    (typeof value === "string" && value.length < LIMITS.inlineBytesMax / 2);
}

/**
 * Reads a line's text back; `payloads` has what stands beside it. With `gone`, hashes of those that
 * are not there are noted in it, and their marks stay in their places.
 */
export function decodeLine(
  text: string,
  payloads: ReadonlyMap<string, string>,
  gone?: Set<string>,
): Line {
  const raw = parseJson(text) as {
    readonly at: number;
    readonly data: unknown;
    readonly prev: string;
    readonly seq: number;
    readonly tree: TreeId;
    readonly type: EventType;
  };
  const missing = STATE_LINES.includes(raw.type) ? undefined : gone;
  for (const path of PAYLOADS[raw.type] ?? []) restore(raw.data, path, payloads, missing);
  return {
    tree: raw.tree,
    seq: raw.seq,
    atMs: raw.at,
    type: raw.type,
    data: raw.data as Event["data"],
    prev: raw.prev,
  };
}

function restore(
  data: unknown,
  path: readonly string[],
  payloads: ReadonlyMap<string, string>,
  gone: Set<string> | undefined,
): void {
  if (typeof data !== "object" || data === null) return;
  const fields = data as Fields;
  const [field, ...rest] = path;
  const inner = fields[field!];
  if (inner === undefined || inner === null) return;
  if (rest.length > 0) return restore(inner, rest, payloads, gone);
  const hash = (inner as Fields)[MARK];
  if (typeof hash !== "string") return;
  const text = payloads.get(hash);
  if (text === undefined && gone !== undefined) {
    gone.add(hash);
    return;
  }
  if (text === undefined || sha256(text) !== hash) {
    throw new SysError("EINTEGRITY", `Cannot read payload "${hash}": missing or changed`);
  }
  fields[field!] = parseJson(text);
}

/** Follows a chain from a known head, and says where it breaks. */
export class ChainReader {
  #seq: number;
  #head: string;
  readonly #tree: TreeId;
  /** Payloads that are not there, and the first and last line that name them. */
  readonly #gone = new Map<string, { readonly first: number; readonly last: number }>();
  #erased = 0;

  /** Starts after line `seq`, whose hash is `head`. */
  constructor(tree: TreeId, seq: number, head: string) {
    this.#tree = tree;
    this.#seq = seq;
    this.#head = head;
  }

  /** Sequence number of the last line read. */
  get seq(): number {
    return this.#seq;
  }

  /** Hash of the last line read. */
  get head(): string {
    return this.#head;
  }

  /** How many payloads of the lines read are not there, and a later line says so. */
  get erased(): number {
    return this.#erased;
  }

  /** The lines of a batch that come next, checked. Throws `EINTEGRITY` with the position. */
  *read(batch: StoredBatch): Iterable<Line> {
    let seq = batch.seq;
    for (const text of batch.lines) {
      if (seq++ <= this.#seq) continue;
      const at = this.#seq + 1;
      let line: Line;
      const gone = new Set<string>();
      try {
        line = decodeLine(text, batch.payloads, gone);
      } catch (error) {
        if (error instanceof Panic) throw error;
        throw broken(this.#tree, at, error instanceof SysError ? error.message : "not JSON");
      }
      if (line.seq !== at) throw broken(this.#tree, at, `line ${line.seq} stands there`);
      if (line.tree !== this.#tree) throw broken(this.#tree, at, "it is of another tree");
      if (line.prev !== this.#head) throw broken(this.#tree, at, "the line before was changed");
      this.#head = sha256(text);
      this.#seq = at;
      for (const hash of gone) {
        this.#gone.set(hash, { first: this.#gone.get(hash)?.first ?? at, last: at });
      }
      if (this.#gone.size > 0 && FORGIVING.includes(line.type)) this.#forgive(line);
      yield line;
    }
  }

  /** Strikes what a line says was taken away off what is missing. */
  #forgive({ type, data }: Line): void {
    const named = data as { readonly hashes: readonly string[] };
    const redacted = data as { readonly to: number; readonly kept: readonly string[] };
    for (const [hash, { last }] of this.#gone) {
      const isSaid = type === "content.erased"
        ? named.hashes.includes(hash)
        : last <= redacted.to && !redacted.kept.includes(hash);
      if (!isSaid) continue;
      this.#gone.delete(hash);
      this.#erased += 1;
    }
  }

  /** Checks a batch's chain without reading what its lines say; far cheaper than `read`. */
  skim(batch: StoredBatch): void {
    let seq = batch.seq;
    for (const text of batch.lines) {
      if (seq++ <= this.#seq) continue;
      const at = this.#seq + 1;
      const end = TAIL.exec(text);
      if (end === null) throw broken(this.#tree, at, "not a line");
      if (end[1] !== this.#head) throw broken(this.#tree, at, "the line before was changed");
      if (Number(end[2]) !== at) throw broken(this.#tree, at, `line ${end[2]} stands there`);
      if (end[3] !== this.#tree) throw broken(this.#tree, at, "it is of another tree");
      this.#head = sha256(text);
      this.#seq = at;
    }
  }

  /** Checks that the log ended where the store says. */
  finish(seq: number, head: string): void {
    const [lost] = this.#gone;
    if (this.#seq !== seq) {
      throw broken(this.#tree, this.#seq + 1, `the log ends there, expected line ${seq}`);
    }
    if (this.#head !== head) throw broken(this.#tree, this.#seq, "the last line was changed");
    if (lost === undefined) return;
    const [hash, { first }] = lost;
    const why = `Cannot read payload "${hash}": missing or changed, and no line says it was erased`;
    throw broken(this.#tree, first, why);
  }
}

function broken(tree: TreeId, seq: number, why: string): SysError {
  const sentence = `Cannot read tree "${tree}" at line ${seq}: ${why}, expected an unbroken chain`;
  return new SysError("EINTEGRITY", sentence, { tree, seq });
}
