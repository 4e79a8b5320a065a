/**
 * Branching off: a new tree that begins where another was.
 *
 * What is asked for is one commit, which says where and with what edits; the new tree grows from
 * there beside whatever else the node does (`growth.ts`).
 *
 * Invariants:
 *   V1. When a branch is heard of, all that it is to grow from is durable, in two logs.
 *   V2. A tree that is branched off from runs on, and stays in memory until its branch has grown:
 *       what it changes meanwhile is kept for the branch as it was.
 * @module
 */

import { explainCall } from "../broker/calls/capability.ts";
import { branched, type BranchEdits, checkEdits, livingRoot } from "../kernel/branch.ts";
import { findPosition } from "../kernel/checkpoint.ts";
import type { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { Origin, Past } from "../kernel/growth.ts";
import { isId, type ObjectId, type Pid, type TreeId, treeNumber } from "../kernel/ids.ts";
import { refuseKin } from "../kernel/kin.ts";
import { checkPolicy } from "../kernel/policy.ts";
import { refuseGone } from "../kernel/retention.ts";
import { NOTHING_SINCE, readSince, type Since } from "../kernel/rewind.ts";
import { momentOf, type ObjectRecord, type Process, type State } from "../kernel/state.ts";
import { entryFrom, type Mark, objectIdsFrom, recallFrom } from "../kernel/trail.ts";
import { Tree } from "../kernel/tree.ts";
import type { Branch } from "../kernel/tree_event.ts";
import type { Hosted } from "./forest.ts";
import { until } from "./growth.ts";
import { linesAfter } from "./history.ts";
import type { Node } from "./node.ts";
import { wholeAt } from "./rewind.ts";

/** How a tree is branched off. */
export interface Forking {
  readonly at: string | number;
  readonly by: string;
  readonly edits: BranchEdits;
  /** A second branch with the same key is the first one, while that lives. */
  readonly key?: string;
}

/** Starts a new tree from a position of another. Throws `ENOENT`, `ESTATE`, `EINVAL`, `EPERM`. */
export async function forkTree(node: Node, id: TreeId, given: Forking): Promise<Pid> {
  checkEdits(given.edits);
  const hosted = await node.hosted(id);
  const { state } = hosted.tree;
  // What its parent takes back would not reach the branch.
  if (state.kin?.above !== undefined) refuseKin(state, "branch off");
  if (given.edits.policy !== undefined) checkPolicy(given.edits.policy, node.options.context);
  const seq = findPosition(state, given.at);
  const hold = new Hold(node, hosted, seq);
  try {
    const branch = await hold.begin(given.edits);
    if (given.edits.model !== undefined) checkModel(node, hold.past().then, given.edits);
    const nonce = node.options.world.random.bytes(16).toHex();
    const decide = (draft: Draft): Pid =>
      decideBranch(draft, hosted.tree, { branch, nonce, given });
    return await node.plant(given.key ?? null, decide, hold);
  } catch (error) {
    hold.letGo();
    throw error;
  }
}

/** Refuses a model that the root could never call: a branch brings no new authority. */
function checkModel({ options }: Node, then: State, edits: BranchEdits): void {
  const pid: Pid = `p_${treeNumber(then.tree)}`;
  const tree = new Tree(branched(then, pid, edits), "", options.context);
  const process = tree.state.processes[pid]!;
  const nowMs = Math.max(options.world.clock.now(), then.atMs);
  const asked = { tree, process, pid, nowMs };
  const { decision } = explainCall(asked, `model.generate(${edits.model})`, {});
  if (decision === "allow" || decision === "ask") return;
  const held = [...tree.caps.heldBy([pid])].filter(({ right }) => right === "model.generate")
    .map(({ resource }) => resource);
  const expected = held.length === 0 ? "it may use none" : `expected one of ${held.join(", ")}`;
  const sentence = `Cannot fork "${pid}" with model "${edits.model}": not its own, ${expected}`;
  throw new SysError("EPERM", sentence, { right: "model.generate", resource: edits.model });
}

function decideBranch(draft: Draft, { state }: Tree, { branch, nonce, given: { by } }: {
  readonly branch: Branch;
  readonly nonce: string;
  readonly given: Forking;
}): Pid {
  const { marks, retention, selector } = state;
  const before = momentOf({ ...state, seq: branch.seq });
  const placed = selector === undefined ? {} : { selector };
  const made = { ...branch, before, nonce, by, ...whose(state, by), ...placed };
  draft.add("tree.forked", { ...made, ...(marks === undefined ? {} : { marks }) });
  if (retention !== undefined) {
    const { days, by, isDefault } = retention;
    draft.add("retention.set", { days, by, isDefault });
  }
  return `p_${treeNumber(draft.tree.state.tree)}`;
}

/** Whose a branch is: theirs who ask for it, or whose the tree is that a process branches off. */
function whose(state: State, by: string): { readonly owner?: string } {
  if (!isId("p", by)) return { owner: by };
  return state.owner === undefined ? {} : { owner: state.owner };
}

/** A log that grows faster than it is read is not read to its very end. */
const TRIES = 8;

/** A tree in memory that is branched off from (V2). */
class Hold implements Origin {
  readonly #node: Node;
  readonly #hosted: Hosted;
  readonly #seq: number;
  /** From the position on, where the tree knows it; the last one is of now. */
  #marks: readonly Mark[];
  /** What the tree was at the position, where it does not know. */
  #read: State | null = null;
  #since: Since = NOTHING_SINCE;
  readonly #over = Promise.withResolvers<void>();

  constructor(node: Node, hosted: Hosted, seq: number) {
    this.#node = node;
    this.#hosted = hosted;
    this.#seq = seq;
    this.#marks = this.#hold();
    hosted.busy += 1;
    node.branching.add(this.#over.promise);
  }

  /** The mark of now, and those from the position on. */
  #hold(): readonly Mark[] {
    const { trail, tailLength, head } = this.#hosted.tree;
    const marks = trail.hold(this.#seq);
    if (tailLength === 0) marks.at(-1)!.head = head;
    return marks;
  }

  get #own(): Mark {
    return this.#marks.at(-1)!;
  }

  /** Reads what has to be known, and waits for what has to be durable (V1). */
  async begin(edits: BranchEdits): Promise<Branch> {
    const { store, context } = this.#node.options;
    const from = this.#hosted.tree.state.tree;
    const seq = this.#seq;
    await this.#written();
    let head = this.#marks[0]!.head;
    if (seq !== this.#own.seq) {
      if (this.#marks.length === 1) {
        const past = await wholeAt(store, from, { seq, context });
        refuseGone(past.tree.state);
        this.#read = past.tree.state;
        head = past.head;
      }
      this.#since = await readSince(this.#lines({ seq, head: head! }));
    }
    const root: Pid = `p_${treeNumber(from)}`;
    livingRoot(from, this.#entry("processes", root) as Process | undefined);
    const { seq: last, head: lastHead } = this.#own;
    return { from, seq, head: head!, end: { seq: last, head: lastHead! }, edits };
  }

  async #written(): Promise<void> {
    if (this.#hosted.durableSeq < this.#own.seq) await this.#node.durable(this.#hosted.tree);
  }

  /** Lines after the position; what the tree had revoked or loaded when they were read is known. */
  async *#lines(after: { readonly seq: number; readonly head: string }): AsyncGenerator<Line> {
    const { tree } = this.#hosted;
    let from = after;
    for (let i = 0;; i++) {
      yield* until(linesAfter(this.#node.options.store, tree.state.tree, from), this.#own.seq);
      if (tree.state.seq === this.#own.seq || i === TRIES) return;
      const own = this.#own;
      from = { seq: own.seq, head: own.head! };
      this.#marks = [...this.#marks, this.#hold().at(-1)!];
      tree.trail.letGo(own);
      await this.#written();
    }
  }

  past(): Past {
    const { state } = this.#hosted.tree;
    const now = recallFrom(state, [this.#own], false).state;
    if (this.#read !== null) {
      const ids = Object.keys(this.#read.objects) as ObjectId[];
      return { then: this.#read, now, since: this.#since, ids };
    }
    const then = recallFrom(state, this.#marks, false).state;
    return { then, now, since: this.#since, ids: objectIdsFrom(state, this.#marks) };
  }

  object(id: ObjectId): ObjectRecord | undefined {
    return this.#entry("objects", id) as ObjectRecord | undefined;
  }

  #entry(name: "objects" | "processes", key: string): unknown {
    if (this.#read === null) {
      return entryFrom(this.#hosted.tree.state, this.#marks, { name, key });
    }
    const entries = this.#read[name] as { readonly [key: string]: unknown };
    return Object.hasOwn(entries, key) ? entries[key] : undefined;
  }

  letGo(): void {
    if (!this.#node.branching.delete(this.#over.promise)) return;
    this.#hosted.tree.trail.letGo(this.#own);
    this.#hosted.busy -= 1;
    this.#over.resolve();
  }
}
