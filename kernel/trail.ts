/**
 * Trails: what a tree in memory was at its latest checkpoints, kept as what has changed since.
 *
 * To take a checkpoint stays one line, and what is kept grows with what happens after it. A trail
 * is no part of the state, and nothing is lost with it: what it does not know the store does.
 *
 * Invariants:
 *   TR1. Whoever changes an entry of a state says so first, by {@linkcode keep}. The entry stays
 *        the same record; what is kept is a copy, made once between two checkpoints.
 *   TR2. Content that is taken away is not kept: the trail ends there.
 *   TR3. What is held is kept until it is let go, however much changes meanwhile.
 * @module
 */

import { copied } from "./copy.ts";
import type { ObjectId } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import { type Collection, COLLECTIONS, type ObjectRecord, type State } from "./state.ts";

type Entries = { [key: string]: unknown };
/** Entries as they were; undefined where there was none. */
type Kept = Map<string, unknown>;

/** What a state was after a line, as far as later lines changed it. */
export interface Mark {
  readonly seq: number;
  /** SHA-256 of the line; absent until it is put into a batch. */
  head?: string;
  /** All that is no entry. */
  readonly fields: State;
  readonly entries: { [K in Collection]?: Kept };
}

/** What a tree was at a checkpoint: to be read at once, since it shares with what the tree is. */
export interface Recalled {
  readonly state: State;
  /** Objects that are different now, or were not there then. */
  readonly objects: Iterable<string>;
}

const trails = new WeakMap<object, Trail>();

/** Says that an entry of a state is about to be changed, added or removed (TR1). */
export function keep(state: object, name: Collection, key: string): void {
  trails.get(state)?.keep(name, key);
}

/** The latest checkpoints of one state. */
export class Trail {
  readonly #state: State;
  #marks: Mark[] = [];
  /** Marks of those who hold what the state was (TR3). */
  readonly #held = new Set<Mark>();
  #kept = 0;

  /** A trail that knows of no checkpoint yet. */
  constructor(state: State) {
    this.#state = state;
  }

  /** Remembers what the state is now. */
  mark(): void {
    this.#marks.push(this.#here());
    if (this.#marks.length > LIMITS.positionsKeptMax) this.#drop();
  }

  #here(): Mark {
    const state = this.#state;
    const { kin } = state;
    const around = kin === undefined ? {} : { kin: copied(kin) };
    const fields = { ...state, ...around, next: { ...state.next } };
    for (const name of COLLECTIONS) fields[name] = {};
    trails.set(state, this);
    return { seq: state.seq, fields, entries: {} };
  }

  /**
   * Holds what the state is now, and what it was after line `seq` where that is known: the marks
   * from there on, of which the last is of now. They are kept until {@linkcode letGo} (TR3).
   */
  hold(seq: number): readonly [...Mark[], Mark] {
    const own = this.#here();
    this.#held.add(own);
    const at = this.#marks.findIndex((mark) => mark.seq === seq);
    return at < 0 ? [own] : [...this.#marks.slice(at), own];
  }

  /** Ends a hold, by the mark of when it began. */
  letGo(mark: Mark): void {
    this.#held.delete(mark);
    if (this.#held.size === 0 && this.#marks.length === 0) trails.delete(this.#state);
  }

  /** Whether hashes are to be told of all lines, and not of checkpoints alone. */
  get isHeld(): boolean {
    return this.#held.size > 0;
  }

  /** Says what the hash of a line is, where it is that of a checkpoint or of what is held. */
  chained(seq: number, head: string): void {
    for (const mark of [...this.#marks, ...this.#held]) if (mark.seq === seq) mark.head = head;
  }

  /** Forgets everything (TR2). */
  forget(): void {
    this.#marks = [];
    this.#kept = 0;
    if (this.#held.size === 0) trails.delete(this.#state);
  }

  /** The lines that it knows, oldest first. */
  get seqs(): readonly number[] {
    return this.#marks.map(({ seq }) => seq);
  }

  /** The hash of a line that it knows; undefined for any other. */
  head(seq: number): string | undefined {
    return this.#marks.find((mark) => mark.seq === seq)?.head;
  }

  /** See {@linkcode keep}. */
  keep(name: Collection, key: string): void {
    for (const held of this.#held) this.#note(held, name, key);
    const mark = this.#marks.at(-1);
    if (mark === undefined || !this.#note(mark, name, key)) return;
    this.#kept += 1;
    while (this.#kept > LIMITS.positionEntriesKeptMax) this.#drop();
  }

  #note(mark: Mark, name: Collection, key: string): boolean {
    const kept = mark.entries[name] ??= new Map();
    if (kept.has(key)) return false;
    const entries = this.#state[name] as Entries;
    kept.set(key, Object.hasOwn(entries, key) ? copyOf(name, entries[key]) : undefined);
    return true;
  }

  /** Forgets the oldest checkpoint. */
  #drop(): void {
    const gone = this.#marks.shift();
    if (gone === undefined) return;
    for (const kept of Object.values(gone.entries)) this.#kept -= kept.size;
    if (this.#marks.length === 0) this.forget();
  }

  /**
   * What the state was right after line `seq`; undefined when that is not known. Of its objects
   * only those that are different now, unless `whole`.
   */
  recall(seq: number, whole: boolean): Recalled | undefined {
    const at = this.#marks.findIndex((mark) => mark.seq === seq);
    return at < 0 ? undefined : recallFrom(this.#state, this.#marks.slice(at), whole);
  }
}

/** What a state was at the first of these marks. */
export function recallFrom(now: State, marks: readonly Mark[], whole: boolean): Recalled {
  const { fields } = marks[0]!;
  const state = { ...fields, next: { ...fields.next } };
  const objects = new Set<string>();
  for (const name of COLLECTIONS) {
    const kept = keptOf(marks, name);
    if (name === "objects") { for (const key of kept.keys()) objects.add(key); }
    const entries: Entries = name === "objects" && !whole ? {} : { ...now[name] };
    for (const [key, entry] of kept) {
      if (entry === undefined) delete entries[key];
      else entries[key] = name === "objects" ? asObject(entry as KeptObject) : entry;
    }
    (state as unknown as Entries)[name] = entries;
  }
  return { state, objects };
}

/** What was kept of a collection since the first of these marks, as it was there. */
function keptOf(marks: readonly Mark[], name: Collection): Kept {
  const kept: Kept = new Map();
  // What a mark kept later is what it was only until then.
  for (const { entries } of marks.toReversed()) {
    for (const [key, entry] of entries[name] ?? []) kept.set(key, entry);
  }
  return kept;
}

/** An entry as it was at the first of these marks; undefined where there was none. */
export function entryFrom(now: State, marks: readonly Mark[], of: {
  readonly name: Collection;
  readonly key: string;
}): unknown {
  const { name, key } = of;
  for (const { entries } of marks) {
    if (entries[name]?.has(key) !== true) continue;
    const kept = entries[name].get(key);
    return kept === undefined || name !== "objects" ? kept : asObject(kept as KeptObject);
  }
  const there = now[name] as Entries;
  return Object.hasOwn(there, key) ? there[key] : undefined;
}

/** The ids of all objects at the first of these marks, and perhaps of later ones. */
export function objectIdsFrom(now: State, marks: readonly Mark[]): ObjectId[] {
  const here = Object.keys(now.objects) as ObjectId[];
  if (marks.every(({ entries }) => entries.objects === undefined)) return here;
  const ids = new Set<string>(here);
  for (const { entries: { objects } } of marks) {
    for (const id of objects?.keys() ?? []) ids.add(id);
  }
  return [...ids] as ObjectId[];
}

/** Lists only grow: the items of an object are kept as how many there were. */
interface KeptObject extends ObjectRecord {
  readonly count: number;
}

function asObject({ count, ...object }: KeptObject): ObjectRecord {
  return { ...object, items: object.items.slice(0, count) };
}

/** A copy of an entry that shares nothing with it which is changed in its place. */
export function copyOf(name: Collection, entry: unknown): unknown {
  switch (name) {
    case "objects":
      return copyOfObject(entry as ObjectRecord);
    case "processes":
      return copyOfProcess(entry as State["processes"][`p_${number}`]);
    case "namespaces": {
      const space = entry as State["namespaces"][string];
      return { ...space, hidden: { ...space.hidden } };
    }
    case "requests": {
      const request = entry as State["requests"][`req_${number}`];
      return { ...request, askers: [...request.askers] };
    }
    case "mail":
      return [...entry as State["mail"][`p_${number}`]];
    case "images":
    case "caps":
    case "tools":
    case "checkpoints":
      return { ...entry as object };
  }
}

function copyOfObject(object: ObjectRecord): KeptObject {
  const { versions, links, items } = object;
  return { ...object, versions: [...versions], links: [...links], count: items.length };
}

function copyOfProcess(process: State["processes"][`p_${number}`]): unknown {
  const { calls, spent, journal, parked, generated, children } = process;
  return {
    ...process,
    calls: { ...calls },
    spent: { ...spent },
    journal: { ...journal },
    parked: { ...parked },
    generated: { ...generated },
    children: [...children],
  };
}
