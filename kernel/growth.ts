/**
 * Growth: how a tree that was branched off comes to what it begins with, piece by piece.
 *
 * Its first commit only says where it was branched off, and with what edits. All else follows from
 * the log of the other tree, is copied into its own log under ids of its own, and once that is done
 * it needs the other no more. Nothing of it runs, and nobody sees it, before it is whole.
 *
 * Invariants:
 *   GR1. What it grows to is a function of its first commit and of the other log up to `end`: who
 *        grows it, when, and how often that was cut short, is no matter.
 *   GR2. An entry is brought once; whoever goes on begins with what is not there.
 *   GR3. A piece brings nothing of a third tree, and no authority that could be used twice (B1).
 * @module
 */

import { branched } from "./branch.ts";
import type { HeldCapability } from "./capability.ts";
import type { EventMap } from "./event.ts";
import { ID_KINDS, isId, type ObjectId, type Pid, type TreeId, treeNumber, treeOf } from "./ids.ts";
import { canonical, type Json } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { textIs } from "./log.ts";
import { parseJson } from "./parse.ts";
import { diffStates, type StatePatch } from "./patch.ts";
import { renamedApart, renamedName, renamedText } from "./rename.ts";
import { rewind, type Since } from "./rewind.ts";
import { type Collection, emptyState, type ObjectRecord, type State } from "./state.ts";
import { copyOf } from "./trail.ts";

/** What the other tree was. */
export interface Past {
  /** What it was where it was branched off; of its objects nothing is read here. */
  readonly then: State;
  /** What it was at `end`. */
  readonly now: State;
  /** What the lines between the two say. */
  readonly since: Since;
  /** Ids of all its objects at the position, and perhaps of others. */
  readonly ids: readonly ObjectId[];
}

/** Where a tree is given what it begins with. What is read of it is to be used at once. */
export interface Origin {
  /** All but the objects. */
  past(): Past;
  /** An object as it was at the position; undefined for none. */
  object(id: ObjectId): ObjectRecord | undefined;
  /** Nothing more is read of it. */
  letGo(): void;
}

type Entry = readonly [Collection, string, Json];
/** An entry's text, and whether it has the tree's own ids already. */
type Text = { readonly text: string; readonly isRenamed: boolean };

/** What a tree is yet to be given. */
export class Growth {
  readonly #tree: State;
  readonly #origin: Origin;
  readonly #from: TreeId;
  /** Entries that are no objects, as they were when this began. */
  readonly #entries: readonly Entry[];
  readonly #fields: Json;
  readonly #ids: readonly ObjectId[];
  readonly #isBegun: boolean;
  #at = 0;

  /** What `tree`, whose first commit was applied, is to be given of `origin`. */
  constructor(tree: State, origin: Origin) {
    const { from, edits } = tree.branch!;
    this.#tree = tree;
    this.#origin = origin;
    this.#from = from;
    const { then, now, since, ids } = origin.past();
    this.#ids = ids;
    const root: Pid = `p_${treeNumber(from)}`;
    const made = branched(rewind({ ...then, objects: {} }, now, since), root, edits);
    const { set, fields } = diffStates(emptyState(from), made);
    // What the other tree changes meanwhile is not shared with it.
    this.#entries = set.map(([name, key, value]) => [name, key, copyOf(name, value) as Json]);
    this.#fields = fields as unknown as Json;
    this.#isBegun = Object.keys(tree.processes).length + Object.keys(tree.images).length > 0;
  }

  /** The next piece; the last one says so. */
  next(): EventMap["tree.grown"] {
    const texts: Text[] = [];
    const end = this.#entries.length + this.#ids.length;
    for (let bytes = 0; this.#at < end && bytes < LIMITS.growthPieceBytes; this.#at++) {
      const entry = this.#entry(this.#at);
      if (entry === undefined || this.#isThere(entry)) continue;
      const done = renamedApart(entry, this.#from, this.#tree.tree);
      const text = done ?? canonical(entry);
      bytes += text.length;
      texts.push({ text, isRenamed: done !== null });
    }
    const isWhole = this.#at === end;
    return { patch: this.#patch(texts, isWhole), isWhole };
  }

  #entry(at: number): Entry | undefined {
    if (at < this.#entries.length) return this.#entries[at];
    const id = this.#ids[at - this.#entries.length]!;
    const object = this.#origin.object(id);
    return object === undefined ? undefined : ["objects", id, object as unknown as Json];
  }

  /** GR2. */
  #isThere([name, key]: Entry): boolean {
    return this.#isBegun &&
      Object.hasOwn(this.#tree[name], renamedName(key, this.#from, this.#tree.tree));
  }

  /** Texts are renamed and read by what the platform has for it; they are what the line holds. */
  #patch(texts: readonly Text[], isWhole: boolean): StatePatch {
    const set: string[] = [];
    let plain: string[] = [];
    const rename = (): void => {
      const list = renamedText(`[${plain.join(",")}]`, this.#from, this.#tree.tree);
      if (plain.length > 0) set.push(list.slice(1, -1));
      plain = [];
    };
    for (const { text, isRenamed } of texts) {
      if (isRenamed) rename();
      (isRenamed ? set : plain).push(text);
    }
    rename();
    const text = `{"drop":[],"fields":${isWhole ? this.#lastly() : "{}"},"set":[${set}]}`;
    const patch = parseJson(text) as StatePatch;
    textIs(patch, text);
    return patch;
  }

  /** The parts that are no entries. */
  #lastly(): string {
    const apart = renamedApart(["fields", null, this.#fields], this.#from, this.#tree.tree);
    return apart ?? renamedText(canonical(this.#fields), this.#from, this.#tree.tree);
  }
}

/** What a tree may not begin with, where somebody else says what it begins with (GR3). */
export function foreignIn({ set }: StatePatch, tree: TreeId): string | null {
  const isCounted = (id: unknown): boolean => ID_KINDS.some((kind) => isId(kind, id));
  const isOwn = (id: string): boolean => isCounted(id) && treeOf(id) === tree;
  for (const [name, key, value] of set) {
    if (isCounted(key) && !isOwn(key)) return `${key} is of another tree`;
    const { owner, parent } = value as { readonly owner?: Pid; readonly parent?: Pid | null };
    const above = name === "objects" ? owner : name === "processes" ? parent : null;
    if (above != null && !isOwn(above)) return `${key} belongs to another tree`;
    if (name !== "caps") continue;
    const cap = value as unknown as HeldCapability;
    if (cap.usesMax !== null || cap.grant !== null) return `${key} could be used twice`;
    if (cap.id !== key || !isOwn(cap.subject)) return `${key} is held by another tree`;
  }
  return null;
}
