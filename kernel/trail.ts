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
 * @module
 */

import { copied } from "./copy.ts";
import { LIMITS } from "./limits.ts";
import { type Collection, COLLECTIONS, type ObjectRecord, type State } from "./state.ts";

type Entries = { [key: string]: unknown };
/** Entries as they were; undefined where there was none. */
type Kept = Map<string, unknown>;

/** What a state was after a line, as far as later lines changed it. */
interface Mark {
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
  #kept = 0;

  /** A trail that knows of no checkpoint yet. */
  constructor(state: State) {
    this.#state = state;
  }

  /** Remembers what the state is now. */
  mark(): void {
    const state = this.#state;
    const { kin } = state;
    const around = kin === undefined ? {} : { kin: copied(kin) };
    const fields = { ...state, ...around, next: { ...state.next } };
    for (const name of COLLECTIONS) fields[name] = {};
    this.#marks.push({ seq: state.seq, fields, entries: {} });
    if (this.#marks.length > LIMITS.positionsKeptMax) this.#drop();
    trails.set(state, this);
  }

  /** Says what the hash of a line is, where it is that of a checkpoint. */
  chained(seq: number, head: string): void {
    const mark = this.#marks.find((each) => each.seq === seq);
    if (mark !== undefined) mark.head = head;
  }

  /** Forgets everything (TR2). */
  forget(): void {
    this.#marks = [];
    this.#kept = 0;
    trails.delete(this.#state);
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
    const mark = this.#marks.at(-1);
    if (mark === undefined) return;
    const kept = mark.entries[name] ??= new Map();
    if (kept.has(key)) return;
    const entries = this.#state[name] as Entries;
    kept.set(key, Object.hasOwn(entries, key) ? copyOf(name, entries[key]) : undefined);
    this.#kept += 1;
    while (this.#kept > LIMITS.positionEntriesKeptMax) this.#drop();
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
    const mark = this.#marks[at];
    if (mark === undefined) return undefined;
    const state = { ...mark.fields, next: { ...mark.fields.next } };
    const objects = new Set<string>();
    for (const name of COLLECTIONS) {
      const kept: Kept = new Map();
      // What a checkpoint kept later is what it was only until then.
      for (const { entries } of this.#marks.slice(at).reverse()) {
        for (const [key, entry] of entries[name] ?? []) kept.set(key, entry);
      }
      if (name === "objects") { for (const key of kept.keys()) objects.add(key); }
      const now: Entries = name === "objects" && !whole ? {} : { ...this.#state[name] };
      for (const [key, entry] of kept) {
        if (entry === undefined) delete now[key];
        else now[key] = name === "objects" ? asObject(entry as KeptObject) : entry;
      }
      (state as unknown as Entries)[name] = now;
    }
    return { state, objects };
  }
}

/** Lists only grow: the items of an object are kept as how many there were. */
interface KeptObject extends ObjectRecord {
  readonly count: number;
}

function asObject({ count, ...object }: KeptObject): ObjectRecord {
  return { ...object, items: object.items.slice(0, count) };
}

/** A copy of an entry that shares nothing with it which is changed in its place. */
function copyOf(name: Collection, entry: unknown): unknown {
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
