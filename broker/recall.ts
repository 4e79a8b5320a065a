/**
 * Recalling: passages of a process's own memory that speak of what a conversation is about.
 *
 * The index is kept beside the tree and can be thrown away: what is found is a function of state.
 * @module
 */

import type { Count, Entry, Pins, Plan } from "../kernel/context.ts";
import type { ValueRef } from "../kernel/event.ts";
import type { ObjectId } from "../kernel/ids.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { joinLabels, type Label } from "../kernel/label.ts";
import { LIMITS } from "../kernel/limits.ts";
import { isMediaKind } from "../kernel/media.ts";
import { itemsOf, lengthAt } from "../kernel/memory.ts";
import { type Found, fullName } from "../kernel/names.ts";
import { piecesOf, Recall, wordsOf } from "../kernel/recall.ts";
import type { ObjectRecord } from "../kernel/state.ts";
import type { ModelMessage } from "../kernel/world.ts";
import type { Wanted } from "./assemble.ts";
import {
  type Conversation,
  type Get,
  mayRead,
  raises,
  seen,
  shownName,
  textOf,
  versionOf,
} from "./reading.ts";
import type { CallContext } from "./syscall.ts";

/** What was recalled, how the manifest names it, and what was left out for which reason. */
export interface Recalled {
  readonly entries: readonly Entry[];
  readonly refs: readonly string[];
  readonly left: { readonly [reason: string]: number };
}

interface Source {
  /** Tells a value from every other, also after a restore. */
  readonly key: string;
  /** Full name. */
  readonly name: string;
  readonly id: ObjectId;
  readonly seq: number;
  readonly value: ValueRef;
  readonly label: Label;
  readonly version: number;
  /** Position in its list; null for a value. */
  readonly item: number | null;
  /** Whether it is a message of some conversation. */
  readonly spoken: boolean;
}

/** What is kept of a process between calls; it can be thrown away. */
interface Kept {
  readonly index: Recall;
  /** Sources by the version or item that they are. */
  readonly made: WeakMap<object, Source>;
  /** Sources by key, as they were at the last look. */
  known: Map<string, Source>;
  /** Bytes of their values. */
  bytes: number;
  /** Those whose values were not in memory yet. */
  readonly pending: Set<Source>;
}

interface Given {
  readonly wanted: Wanted;
  readonly talk: Conversation;
  readonly shownFrom: number;
  readonly planned: Plan;
  readonly pins: Pins;
  readonly count: Count;
}

const QUERY_WORDS_MAX = 64;
const QUERY_CHARS_MAX = 4_000;
/** Passages that score less than this part of the best are not worth their tokens. */
const SCORE_PART_MIN = 0.25;
const INDEXES_MAX = 8;
const ITEMS_MAX = 10_000;
const indexes = new WeakMap<object, Map<string, Kept>>();

/** Passages of older turns and own objects that fit into what is left of the window. */
export function recall(at: CallContext, get: Get, given: Given): Recalled {
  const { wanted, planned, count } = given;
  if (wanted.again !== undefined) return recallAgain(at, get, given, wanted.again.recalled);
  const most = wanted.recall ?? LIMITS.contextRecallsDefault;
  if (most === 0) return { entries: [], refs: [], left: {} };
  const query = queryOf(wanted, planned);
  if (query.length === 0) return { entries: [], refs: [], left: {} };
  const { index, sources } = refresh(at, get);
  const entries: Entry[] = [];
  const refs: string[] = [];
  const left: Record<string, number> = {};
  const leave = (reason: string): void => void (left[reason] = (left[reason] ?? 0) + 1);
  let room = Math.min(
    planned.room,
    Math.floor(
      planned.parts.turns.length === 0 ? planned.room : Math.max(64, given.wanted.window / 4),
    ),
  );
  let best: number | undefined;
  for (const { key, piece, score } of index.search(query, (key) => eligible(sources, key, given))) {
    best ??= score;
    if (score < best * SCORE_PART_MIN || entries.length >= most) break;
    const source = sources.get(key)!;
    const why = refusal(at, source, given);
    if (why !== null) {
      leave(why);
      continue;
    }
    const entry = entryOf(at, get, { source, piece, turn: isTurn(source, given) });
    const tokens = count(`${entry.head}:\n${entry.text}\n\n`) + 1;
    if (tokens > room) {
      leave("budget");
      continue;
    }
    room -= tokens;
    entries.push(entry);
    refs.push(refOf(at, source, piece));
  }
  return { entries, refs, left };
}

/** Turns that stand in the prompt are not recalled besides. */
function eligible(sources: ReadonlyMap<string, Source>, key: string, given: Given): boolean {
  const source = sources.get(key);
  return source !== undefined && !(isTurn(source, given) && source.item! >= given.shownFrom);
}

function isTurn({ id, item }: Pick<Source, "id" | "item">, { talk }: Pick<Given, "talk">): boolean {
  return item !== null && id === talk.found?.object?.id;
}

function refusal(at: CallContext, source: Source, given: Given): string | null {
  const { talk, pins } = given;
  const shown = shownName(at.pid, source.name);
  if (pins.held.has(shown)) return "pinned";
  if (pins.superseded.has(shown)) return "superseded";
  if (!mayRead(at, source.name)) return "denied";
  const talking = talk.found?.object?.label ?? at.process.label;
  const own = joinLabels(at.process.label, talking);
  return !isTurn(source, given) &&
      raises(own, source.item === null ? source.label : labelOf(at, source))
    ? "label"
    : null;
}

/** Words that are asked for: those of the caller, or of the last turns. */
function queryOf(wanted: Wanted, { parts }: Plan): string[] {
  const last = parts.turns.at(-1);
  const user = parts.turns.findLast(({ role }) => role === "user");
  const asked = [user, ...(last === user ? [] : [last]), ...wanted.given]
    .map((turn) => turn === undefined ? "" : turnText(turn).slice(0, QUERY_CHARS_MAX))
    .join(" ");
  return [...new Set(wordsOf(wanted.query ?? asked))].slice(0, QUERY_WORDS_MAX);
}

/** What a turn says, as text. */
export function turnText(turn: ModelMessage): string {
  switch (turn.role) {
    case "tool":
      return `${turn.name}: ${textOf(turn.output)}`;
    case "assistant":
      return [turn.text, ...(turn.calls ?? []).map((call) => canonical(call))].join(" ").trim();
    case "system":
    case "user":
      return turn.text;
  }
}

/** Brings the index of a process up to date; what is not in memory is fetched first. */
function refresh(at: CallContext, get: Get): {
  readonly index: Recall;
  readonly sources: ReadonlyMap<string, Source>;
} {
  const kept = keptOf(at);
  const { index, pending } = kept;
  const { all, fresh } = sourcesOf(at, kept.made);
  const bytes = kept.bytes + bytesOf(fresh);
  if (all.length === kept.known.size + fresh.length && isBearable(all.length, bytes)) {
    for (const source of fresh) kept.known.set(source.key, source);
    for (const source of fresh) pending.add(source);
    kept.bytes = bytes;
  } else {
    // Something is gone, or there is too much.
    const most = newest(all);
    kept.known = new Map(most.map((source) => [source.key, source]));
    kept.bytes = bytesOf(most);
    for (const key of [...index.keys]) if (!kept.known.has(key)) index.drop(key);
    pending.clear();
    for (const [key, source] of kept.known) if (!index.has(key)) pending.add(source);
  }
  for (const source of pending) {
    const value = get(source.value);
    if (value === undefined) continue;
    index.add(source.key, shownName(at.pid, source.name), textIn(source, value));
    pending.delete(source);
  }
  return { index, sources: kept.known };
}

function keptOf(at: CallContext): Kept {
  const known = indexes.get(at.tree) ?? new Map<string, Kept>();
  indexes.set(at.tree, known);
  const kept: Kept = known.get(at.pid) ??
    { index: new Recall(), made: new WeakMap(), known: new Map(), bytes: 0, pending: new Set() };
  known.delete(at.pid);
  known.set(at.pid, kept);
  for (const oldest of known.keys()) {
    if (known.size <= INDEXES_MAX) break;
    known.delete(oldest);
  }
  return kept;
}

function textIn({ spoken }: Pick<Source, "spoken">, value: Json): string {
  return spoken ? turnText(value as unknown as ModelMessage) : textOf(value);
}

/** Everything in the own memory but what the kernel keeps there. */
function sourcesOf(at: CallContext, made: Kept["made"]): {
  readonly all: Source[];
  /** Those that were not there at the last look. */
  readonly fresh: readonly Source[];
} {
  const all: Source[] = [];
  const fresh: Source[] = [];
  const add = (of: object, name: string, make: () => Source): void => {
    let source = made.get(of);
    if (source === undefined || source.name !== name) {
      made.set(of, source = make());
      fresh.push(source);
    }
    all.push(source);
  };
  for (const { name, object, asOf } of namesOf(at)) {
    // Media are no words: what is said of them stands where they are named.
    if (name.includes("/.") || isMediaKind(object.type)) continue;
    const { id, createdSeq } = object;
    if (!object.list) {
      const version = versionOf({ name, object, asOf });
      if (version === undefined) continue;
      const { seq, value, label, version: number } = version;
      add(version, name, () => {
        const key = `${id}@${Math.max(seq, createdSeq)}`;
        return { key, name, id, seq, value, label, version: number, item: null, spoken: false };
      });
      continue;
    }
    const length = lengthAt(object, asOf);
    const from = Math.max(0, length - ITEMS_MAX);
    const items = itemsOf(at.tree.state, object, from, length);
    for (const [i, { seq, value }] of items.entries()) {
      const item = from + i;
      const { label } = object;
      // A list's label rises as it grows: it is looked up when the item is used.
      const spoken = object.type === "context";
      const place = { key: "", name, id, seq, value, label, version: 0, item, spoken };
      const key = `${id}#${item}@${Math.max(seq, createdSeq)}`;
      add(items[i]!, name, () => ({ ...place, key }));
    }
  }
  return { all, fresh };
}

type There = Found & { readonly object: ObjectRecord };

/** What the process sees in its own memory; without a view there is nothing to look through. */
function namesOf(at: CallContext): Iterable<There> {
  const { state, names } = at.tree;
  if (state.namespaces[at.pid]?.base !== null) {
    return at.tree.listNames(at.pid) as Iterable<There>;
  }
  const found: There[] = [];
  for (const name of names.in(at.pid)) {
    for (const id of names.ids(name)) {
      const object = state.objects[id];
      if (object !== undefined && object.deletedSeq === null) {
        found.push({ name, object, asOf: null });
        break;
      }
    }
  }
  return found;
}

/** The newest, when there is more than is searched. */
function newest(sources: Source[]): Source[] {
  let bytes = bytesOf(sources);
  if (isBearable(sources.length, bytes)) return sources;
  sources.sort((a, b) => b.seq - a.seq || (a.key < b.key ? -1 : 1));
  while (!isBearable(sources.length, bytes)) bytes -= bytesOf([sources.pop()!]);
  return sources;
}

function isBearable(count: number, bytes: number): boolean {
  return count <= LIMITS.contextSourcesMax && bytes <= LIMITS.contextSourceBytesMax;
}

function bytesOf(sources: readonly Source[]): number {
  return sources.reduce(
    (sum, { value }) => sum + ("hash" in value ? value.bytes : LIMITS.inlineBytesMax),
    0,
  );
}

function entryOf(at: CallContext, get: Get, found: {
  readonly source: Source;
  readonly piece: number;
  readonly turn: boolean;
}): Entry {
  const { source, piece, turn } = found;
  const value = get(source.value) ?? null;
  const pieces = piecesOf(value === null ? "" : textIn(source, value));
  const part = pieces.length > 1 ? `, part ${piece + 1} of ${pieces.length}` : "";
  const shown = shownName(at.pid, source.name);
  const { name, id, version } = source;
  const label = source.item === null ? source.label : labelOf(at, source);
  const head = turn
    ? `turn ${source.item} (${(value as { readonly role?: string } | null)?.role ?? ""})${part}`
    : source.item === null
    ? `"${shown}"${version === 1 ? "" : ` (version ${version})`}${part}`
    : `"${shown}" item ${source.item}${part}`;
  return { name, id, version, head, text: pieces[piece] ?? "", label };
}

function labelOf(at: CallContext, { id, label }: Source): Label {
  return at.tree.state.objects[id]?.label ?? label;
}

function refOf(at: CallContext, source: Source, piece: number): string {
  const place = source.item === null ? `@${source.version}` : `#${source.item}`;
  return `${shownName(at.pid, source.name)}${place}${piece === 0 ? "" : `+${piece}`}`;
}

const REF = /^(.*)([@#])(\d+)(?:\+(\d+))?$/s;

/** What a manifest names, as it was, where it is still there and may be read. */
function recallAgain(
  at: CallContext,
  get: Get,
  { talk, wanted }: Given,
  refs: readonly string[],
): Recalled {
  const asOf = wanted.again!.seq;
  const entries: Entry[] = [];
  for (const ref of refs) {
    const [, shown, kind, number, piece] = REF.exec(ref) ?? [];
    if (shown === undefined) continue;
    const name = fullName(at.pid, shown);
    const found = seen(at, name, asOf);
    const { object } = found;
    if (object === undefined || !mayRead(at, name) || seen(at, name, null).object === undefined) {
      continue;
    }
    const item = kind === "#" ? Number(number) : null;
    const [line] = item === null ? [] : itemsOf(at.tree.state, object, item, item + 1);
    const value = item === null ? versionOf(found)?.value : line?.value;
    if (value === undefined) continue;
    const label = item === null ? versionOf(found)!.label : object.label;
    const version = item === null ? Number(number) : 0;
    const { id } = object;
    const spoken = item !== null && object.type === "context";
    const source = { key: "", name, id, seq: 0, value, label, version, item, spoken };
    const turn = isTurn(source, { talk });
    entries.push(entryOf(at, get, { source, piece: Number(piece ?? 0), turn }));
  }
  return { entries, refs, left: {} };
}
