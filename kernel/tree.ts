/**
 * A tree in memory: its state, what is derived from it, and the end of its log.
 *
 * Invariants:
 *   R1. `commit` is the only way to change state; it cannot refuse (G4).
 *   R2. Lines are numbered, timed and applied in the turn in which they were decided; they become
 *       durable in that order. Whoever lets something out waits for `durable` first.
 *   R3. What is derived (index, names, policy) can be thrown away and rebuilt from state.
 * @module
 */

import { apply } from "./apply.ts";
import type { EditJudge } from "./answer.ts";
import { CapabilityIndex } from "./capability_index.ts";
import type { Draft } from "./draft.ts";
import { assert } from "./errors.ts";
import type { CallHead, Event, Line } from "./event.ts";
import type { CapId, ObjectId, Pid, TreeId } from "./ids.ts";
import { canonical, type Json } from "./json.ts";
import { kinItem, tidings } from "./kin.ts";
import { encodeLine, GENESIS } from "./log.ts";
import { type Found, listNames, lookUp, Names, resolve } from "./names.ts";
import { type Forms, parsePolicy, type Policy } from "./policy.ts";
import { lineageOf } from "./process.ts";
import type { HeldCapability } from "./capability.ts";
import { parseJson } from "./parse.ts";
import {
  type Collection,
  emptyState,
  type ObjectRecord,
  type Process,
  type State,
} from "./state.ts";
import { applyPatch, type StatePatch } from "./patch.ts";
import { Recent } from "./recent.ts";
import { wants } from "./schedule.ts";
import type { Batch, InboxItem } from "./store.ts";
import { Trail } from "./trail.ts";
import { ValueCache } from "./values.ts";

/** What a tree needs to know that no log says: the syscalls which policy may name. */
export interface TreeContext {
  readonly rights: readonly string[];
  /** What the resources of those are like, for policies that are given from now on. */
  readonly forms?: Forms;
  /** The calls that need no right. */
  readonly free?: ReadonlySet<string>;
  /** Payloads may not be kept for fewer days; `LIMITS.retentionDaysMin` when absent. */
  readonly retentionDaysMin?: number;
  /** After how long somebody else hears of a request that nobody answers. */
  readonly escalateMs?: number;
  /** How many people have to agree to a destructive call. */
  readonly destructiveApprovers?: number;
  /** "ask": a turn of the model that the budget does not bear is put before a person. */
  readonly onBudget?: "ask" | "fail";
  /** Judges a call whose arguments a person changed. */
  readonly judgeEdit?: EditJudge;
}

const NO_BLOBS: ReadonlyMap<string, string> = new Map();

/** What a tree tells its store that it wants. */
type Wanted = ReturnType<typeof wants>;

/** A tree: state, indexes and the tail of its log that is not durable yet. */
export class Tree {
  readonly state: State;
  readonly context: TreeContext;
  caps: CapabilityIndex = new CapabilityIndex();
  names: Names = new Names();
  readonly values: ValueCache = new ValueCache();
  /** The latest calls that were applied here. */
  readonly recent: Recent = new Recent();
  /** What it was at its latest checkpoints. */
  readonly trail: Trail;
  /** Namespaces that show through another. */
  readonly bases: Set<string> = new Set();
  /** How many lists continue each list. */
  readonly prefixes: Map<ObjectId, number> = new Map();
  /** Objects that are not deleted. */
  objectCount = 0;
  /** Rises with every line that may change a life, or what the tree wants of its node. */
  stirs = 0;
  #policy: Policy;
  #rules = new Map<string, Policy>();
  #lineages = new Map<Pid, readonly Pid[]>();
  #head: string;
  #tail: Line[] = [];
  #blobs: Map<string, string> | null = null;
  #taken: string[] = [];
  #wants: { readonly stirs: number; readonly of: Wanted } | undefined;
  #puts: { readonly tree: TreeId; readonly item: InboxItem }[] = [];

  /** A tree in `state`, whose last line has the hash `head`. */
  constructor(state: State, head: string, context: TreeContext) {
    this.state = state;
    this.trail = new Trail(state);
    this.context = context;
    this.#head = head;
    this.#policy = parsePolicy(state.policy.text, context);
    this.reindex();
  }

  /** A tree with an empty log. */
  static empty(tree: TreeId, context: TreeContext): Tree {
    return new Tree(emptyState(tree), GENESIS, context);
  }

  /** Derives everything from state anew: after loading, and after the state went elsewhere. */
  reindex(): void {
    this.caps = new CapabilityIndex();
    this.names = new Names();
    this.prefixes.clear();
    this.objectCount = 0;
    this.#lineages.clear();
    this.reloadPolicy();
    for (const cap of Object.values(this.state.caps)) this.caps.add(cap);
    for (const object of Object.values(this.state.objects)) this.#know(object);
    this.#findBases();
  }

  /**
   * Changes state and what is derived from it as a patch says, and looks at nothing else. What is
   * "shared" is nobody else's.
   */
  patch(patch: StatePatch, values: "copied" | "shared" = "copied"): void {
    const { state } = this;
    const touched = [...patch.drop, ...patch.set].map(([name, key]) => [name, key] as const);
    const each = <T>(name: Collection, see: (entry: T) => void): void => {
      const entries = state[name] as { readonly [key: string]: unknown };
      for (const [of, key] of touched) {
        if (of === name && Object.hasOwn(entries, key)) see(entries[key] as T);
      }
    };
    each<HeldCapability>("caps", (cap) => this.caps.remove(cap.id));
    each<ObjectRecord>("objects", (object) => this.#unknow(object));
    applyPatch(state, patch, values);
    each<HeldCapability>("caps", (cap) => this.caps.add(cap));
    each<ObjectRecord>("objects", (object) => this.#know(object));
    if (touched.some(([name]) => name === "namespaces")) this.#findBases();
    if (patch.fields.policy !== undefined) this.reloadPolicy();
    this.#lineages.clear();
  }

  /**
   * Becomes what a patch says that is nobody else's: what it brings is not copied, since the text
   * of its line is known by now or was read.
   */
  adopt(patch: StatePatch): void {
    applyPatch(this.state, patch, "shared");
    this.reindex();
  }

  #know(object: ObjectRecord): void {
    this.names.add(object.name, object.id);
    if (object.deletedSeq === null) this.objectCount += 1;
    if (object.prefix !== null) this.countPrefix(object.prefix.object, 1);
  }

  #unknow(object: ObjectRecord): void {
    this.names.remove(object.name, object.id);
    if (object.deletedSeq === null) this.objectCount -= 1;
    if (object.prefix !== null) this.countPrefix(object.prefix.object, -1);
  }

  #findBases(): void {
    this.bases.clear();
    for (const { base } of Object.values(this.state.namespaces)) {
      if (base !== null) this.bases.add(base.name);
    }
  }

  /** Counts a list that continues another, or one that no longer does. */
  countPrefix(id: ObjectId, change: 1 | -1): void {
    const count = (this.prefixes.get(id) ?? 0) + change;
    if (count === 0) this.prefixes.delete(id);
    else this.prefixes.set(id, count);
  }

  /** The tree's policy. */
  get policy(): Policy {
    return this.#policy;
  }

  /** The ask and deny rules that came with a process. */
  rulesOf(process: Process): Policy {
    let policy = this.#rules.get(process.rules);
    if (policy === undefined) {
      policy = parsePolicy(process.rules, this.context);
      this.#rules.set(process.rules, policy);
    }
    return policy;
  }

  /** Reads the policy text again, after an event changed it. */
  reloadPolicy(): void {
    this.#policy = parsePolicy(this.state.policy.text, this.context);
  }

  /** A process and its ancestors, itself first. Parents never change, so this is kept. */
  lineage(pid: Pid): readonly Pid[] {
    let line = this.#lineages.get(pid);
    if (line === undefined) {
      line = lineageOf(this.state, pid);
      this.#lineages.set(pid, line);
    }
    return line;
  }

  /** Whose capabilities for subtrees a process sees: its lineage, up to one that stands apart. */
  reach(pid: Pid): readonly Pid[] {
    const line = this.lineage(pid);
    const { processes } = this.state;
    const last = line.findIndex((each) => processes[each]?.apart === true);
    return last < 0 ? line : line.slice(0, last + 1);
  }

  /** A held capability, for walking chains. */
  cap(id: CapId): HeldCapability | undefined {
    return Object.hasOwn(this.state.caps, id) ? this.state.caps[id] : undefined;
  }

  /** What a full object name means now. */
  lookUp(name: string): Found {
    return lookUp(this.state, this.names, name);
  }

  /** What a process means by a name or an id. */
  resolve(pid: Pid, ref: string): Found {
    return resolve(this.state, this.names, pid, ref);
  }

  /** What a process could see in a namespace. */
  listNames(space: string): Iterable<Found> {
    return listNames(this.state, this.names, space);
  }

  /** Commits what a verb decided: numbers, applies and queues its lines. Cannot refuse (R1). */
  commit(draft: Draft): readonly Line[] {
    assert(draft.tree === this, `A draft of another tree was committed to "${this.state.tree}"`);
    const first = this.#tail.length;
    for (const event of draft.events) this.#add(event, draft.nowMs);
    // What this means for other trees of the family is told them in the same commit.
    if (this.state.kin !== undefined) {
      for (const data of tidings(this.state)) this.#add({ type: "kin.told", data }, draft.nowMs);
    }
    const { beside } = draft;
    if (beside !== null) {
      for (const [hash, text] of beside.blobs) (this.#blobs ??= new Map()).set(hash, text);
      this.#taken.push(...beside.taken);
      this.#puts.push(...beside.puts);
    }
    return this.#tail.slice(first);
  }

  #add(event: Event, atMs: number): void {
    const { tree, seq } = this.state;
    const line: Line = { tree, seq: seq + 1, atMs, type: event.type, data: event.data, prev: "" };
    apply(this, line);
    this.recent.hear(line);
    if (line.type === "checkpoint.taken") this.trail.mark();
    if (!isQuiet(this.state, line)) this.stirs += 1;
    this.#tail.push(line);
    if (event.type !== "kin.told") return;
    this.#puts.push({ tree: event.data.to, item: kinItem(tree, line.seq) });
  }

  /** Applies a line that was read from the log. */
  replay(line: Line): void {
    apply(this, line);
    this.recent.hear(line);
  }

  /** Says what the last replayed line's hash is: the next line is chained to it. */
  rebase(head: string): void {
    assert(this.#tail.length === 0, "A tree was rebased with lines in its tail");
    this.#head = head;
  }

  /** Lines which no batch has taken yet. */
  get tailLength(): number {
    return this.#tail.length;
  }

  /** Hash of the last line that was put into a batch. */
  get head(): string {
    return this.#head;
  }

  /** Takes the tail as a batch for the store; it counts as written unless the store fails. */
  takeBatch(): { readonly batch: Batch; readonly lines: readonly Line[] } | undefined {
    const [first] = this.#tail;
    if (first === undefined) return undefined;
    const payloads = new Map<string, string>();
    const lines: string[] = [];
    for (const line of this.#tail) {
      const { text, hash } = encodeLine(line, payloads, this.#head);
      lines.push(text);
      this.#head = hash;
      if (line.type === "checkpoint.taken" || this.trail.isHeld) {
        this.trail.chained(line.seq, hash);
      }
    }
    const batch: Batch = {
      tree: this.state.tree,
      epoch: this.state.epoch,
      seq: first.seq,
      lines,
      head: this.#head,
      payloads,
      blobs: this.#blobs ?? NO_BLOBS,
      taken: this.#taken,
      puts: this.#puts,
      ...this.#wanted(),
    };
    const taken = this.#tail;
    this.#tail = [];
    this.#blobs = null;
    this.#taken = [];
    this.#puts = [];
    return { batch, lines: taken };
  }

  /** What the tree wants, looked for only when it may have changed; a call may settle a request. */
  #wanted(): Wanted {
    const { state, stirs } = this;
    for (const _ in state.requests) return wants(state);
    if (this.#wants?.stirs !== stirs) this.#wants = { stirs, of: wants(state) };
    return this.#wants.of;
  }

  /** State as canonical text: what a snapshot holds, and what tests compare. */
  dump(): string {
    return canonical(this.state);
  }

  /** The reverse of {@linkcode dump}. */
  static load(text: string, head: string, context: TreeContext): Tree {
    return new Tree(parseJson(text) as State, head, context);
  }

  /** A value that is in memory already, or undefined when it has to be fetched. */
  peek(ref: { readonly value: Json } | { readonly hash: string }): Json | undefined {
    return "value" in ref ? ref.value : this.values.get(ref.hash);
  }
}

/** A call of a ready process changes no life: the tree lives and is ready before and after it. */
function isQuiet(state: State, { type, data }: Line): boolean {
  if (!type.startsWith("call.")) return false;
  return state.processes[(data as CallHead).pid]?.life.state === "ready";
}
