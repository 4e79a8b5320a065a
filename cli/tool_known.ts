/**
 * What a store knows of generated tools: each version's story, told from the log of its tree.
 *
 * Invariants:
 *   K1. A version is its content: the same one in two trees has one hash and two stories.
 *   K2. Who is to lose a tool is never guessed: a word that two versions have names neither.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { CallResult, EventMap, Line } from "../kernel/event.ts";
import type { Pid, RequestId, TreeId } from "../kernel/ids.ts";
import type { ToolRecord } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { readLines } from "../runtime/load.ts";
import { UsageError } from "./exit.ts";
import { findTree, headsOf, treeIn } from "./store.ts";

/** Trees that are looked through for a word, newest first. */
const TREES_SEARCHED_MAX = 200;
const PROCESS_ENDED = "its process ended";
const PREFIX = /^[0-9a-f]{4,64}$/;

/** A place in a tool table, from the line that gave it. */
export interface Registration {
  readonly pid: Pid;
  readonly seq: number;
  readonly atMs: number;
  readonly from: EventMap["tool.registered"]["from"];
  readonly reviewed: boolean;
  readonly rights: readonly string[];
  /** Why it has the place no longer; null while it has. */
  ended: string | null;
}

/** A request to a person to look at a version. */
export interface Review {
  readonly id: RequestId;
  readonly pid: Pid;
  readonly seq: number;
  status: "pending" | "approve" | "deny" | "answer" | "expired";
  by: string | null;
}

/** What became of a version in one tree. */
export interface ToolStory {
  readonly tree: TreeId;
  readonly record: ToolRecord;
  readonly seq: number;
  readonly registrations: Registration[];
  readonly reviews: Review[];
  readonly runs: { ok: number; failed: number };
}

/** The stories of all versions that a tree knows, oldest first. */
export async function storiesOf(store: Store, tree: Tree): Promise<ToolStory[]> {
  if (Object.keys(tree.state.tools).length === 0) return [];
  const telling = new Telling(tree);
  for await (const line of readLines(store, tree.state.tree)) telling.hear(line);
  return [...telling.stories.values()];
}

/** Folds lines into stories. */
class Telling {
  readonly stories = new Map<string, ToolStory>();
  readonly #tree: Tree;
  /** Which version a process has under a name. */
  readonly #held = new Map<string, { readonly hash: string; readonly place: Registration }>();
  readonly #reviews = new Map<RequestId, Review>();

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  hear({ type, data, seq, atMs }: Line): void {
    switch (type) {
      case "tool.proposed":
        return this.#proposed(data as EventMap["tool.proposed"], seq);
      case "tool.registered":
        return this.#registered(data as EventMap["tool.registered"], seq, atMs);
      case "tool.unregistered": {
        const { pid, name, by } = data as EventMap["tool.unregistered"];
        return this.#end((held) => held === `${pid}/${name}`, `unregistered by ${by}`);
      }
      case "tool.revoked": {
        const { hash, by } = data as EventMap["tool.revoked"];
        return this.#end((_, held) => held === hash, `revoked by ${by}`);
      }
      case "process.executed": {
        const { pid } = data as EventMap["process.executed"];
        return this.#end((held) => held.startsWith(`${pid}/`), "left behind by exec");
      }
      case "process.ended": {
        const { pid } = data as EventMap["process.ended"];
        return this.#end((held) => held.startsWith(`${pid}/`), PROCESS_ENDED);
      }
      case "human.asked":
        return this.#asked(data as EventMap["human.asked"], seq);
      case "human.answered": {
        const { id, answer, by } = data as EventMap["human.answered"];
        const review = this.#reviews.get(id);
        if (review !== undefined) Object.assign(review, { status: answer.outcome, by });
        return;
      }
      case "human.expired": {
        const review = this.#reviews.get((data as EventMap["human.expired"]).id);
        if (review !== undefined) review.status = "expired";
        return;
      }
      case "call.done":
        return this.#ran(data as EventMap["call.done"]);
    }
  }

  #proposed({ hash }: EventMap["tool.proposed"], seq: number): void {
    const record = this.#tree.state.tools[hash];
    if (record === undefined) return;
    const tree = this.#tree.state.tree;
    const runs = { ok: 0, failed: 0 };
    this.stories.set(hash, { tree, record, seq, registrations: [], reviews: [], runs });
  }

  #registered(data: EventMap["tool.registered"], seq: number, atMs: number): void {
    const { pid, name, hash, from, reviewed, rights } = data;
    this.#end((held) => held === `${pid}/${name}`, "another version took its place");
    const place: Registration = { pid, seq, atMs, from, reviewed, rights, ended: null };
    this.#held.set(`${pid}/${name}`, { hash, place });
    this.stories.get(hash)?.registrations.push(place);
  }

  #end(isMeant: (key: string, hash: string) => boolean, why: string): void {
    for (const [key, { hash, place }] of this.#held) {
      if (!isMeant(key, hash)) continue;
      place.ended = why;
      this.#held.delete(key);
    }
  }

  #asked({ id, pid, call }: EventMap["human.asked"], seq: number): void {
    if (call?.name !== "tool.register") return;
    const { tool } = call.args as { readonly tool?: string };
    const review: Review = { id, pid, seq, status: "pending", by: null };
    this.#reviews.set(id, review);
    this.stories.get(tool ?? "")?.reviews.push(review);
  }

  #ran({ name, args, pid, result }: EventMap["call.done"]): void {
    if (name !== "tool.call") return;
    const tool = (args as { readonly name?: string }).name;
    const held = this.#held.get(`${pid}/${tool}`);
    const runs = this.stories.get(held?.hash ?? "")?.runs;
    if (runs !== undefined) runs[(result as CallResult).ok ? "ok" : "failed"] += 1;
  }
}

/** What a word names: a version, in a tree which knows it. */
export interface FoundTool {
  readonly tree: Tree;
  readonly story: ToolStory;
  /** All versions of that tree, oldest first. */
  readonly stories: readonly ToolStory[];
  /** Other trees that have it too. */
  readonly elsewhere: readonly TreeId[];
}

/** The trees to look through: the one that was named, or the newest. */
async function treesToSearch(store: Store, named: string | undefined): Promise<TreeId[]> {
  if (named !== undefined) return [await findTree(store, named)];
  const heads = await headsOf(store, true);
  return heads.slice(-TREES_SEARCHED_MAX).reverse().map(({ tree }) => tree);
}

function matching(stories: readonly ToolStory[], word: string): ToolStory[] {
  const named = stories.filter(({ record }) => record.name === word);
  if (named.length > 0 || !PREFIX.test(word)) return named;
  return stories.filter(({ record }) => record.hash.startsWith(word));
}

/** The version that a word names, to be looked at: of a name the one in use, or the newest. */
export async function findTool(
  store: Store,
  word: string,
  named: string | undefined,
): Promise<FoundTool> {
  let found: Omit<FoundTool, "elsewhere"> | undefined;
  const elsewhere: TreeId[] = [];
  for (const id of await treesToSearch(store, named)) {
    const tree = await treeIn(store, id);
    const stories = await storiesOf(store, tree);
    const matches = matching(stories, word);
    if (matches.length === 0) continue;
    if (found !== undefined) {
      elsewhere.push(id);
      continue;
    }
    const isName = matches[0]!.record.name === word;
    if (!isName && matches.length > 1) throw ambiguous(word, matches);
    const story = matches.findLast(isHeld) ?? matches.at(-1)!;
    found = { tree, story, stories };
  }
  if (found === undefined) throw absent(word);
  return { ...found, elsewhere };
}

/** The one version that a word names and that was not revoked. Throws when there are more (K2). */
export async function findStanding(
  store: Store,
  word: string,
  named: string | undefined,
): Promise<ToolStory> {
  const matches: ToolStory[] = [];
  let isRevoked = false;
  for (const id of await treesToSearch(store, named)) {
    const found = matching(await storiesOf(store, await treeIn(store, id)), word);
    const standing = found.filter(({ record }) => record.revoked === null);
    isRevoked ||= standing.length < found.length;
    // Of a name, the versions in use are meant; a proposal alone is meant when there is no other.
    const held = standing.filter(isHeld);
    matches.push(...(held.length > 0 ? held : standing));
  }
  const [only] = matches;
  if (matches.length > 1) throw ambiguous(word, matches);
  if (only !== undefined) return only;
  if (isRevoked) {
    throw new SysError("ESTATE", `Cannot revoke tool "${word}": every version is revoked already`);
  }
  throw absent(word);
}

/** A request to look at a version that waits for an answer, by the version or its name. */
export async function findReview(
  store: Store,
  word: string,
  named: string | undefined,
): Promise<RequestId> {
  const waiting: { readonly id: RequestId; readonly story: ToolStory }[] = [];
  for (const id of await treesToSearch(store, named)) {
    const stories = matching(await storiesOf(store, await treeIn(store, id)), word);
    for (const story of stories) {
      const pending = story.reviews.filter(({ status }) => status === "pending");
      waiting.push(...pending.map((review) => ({ id: review.id, story })));
    }
  }
  const [only] = waiting;
  if (waiting.length > 1) {
    const some = waiting.slice(0, 5).map(({ id, story }) => `${id} (${versionOf(story)})`);
    const state = `${waiting.length} requests wait, expected one of ${some.join(", ")}`;
    throw new UsageError(`Cannot tell which request for "${word}" is meant: ${state}`);
  }
  if (only !== undefined) return only.id;
  const state = "no request to register it waits, expected one of libos approvals";
  throw new SysError("ENOENT", `Cannot answer for tool "${word}": ${state}`);
}

/** Whether a process has it, or had it when it ended. */
export function isHeld({ registrations }: ToolStory): boolean {
  return registrations.some(isKept);
}

/** Whether it is in the table of a process; one that ended keeps what it had. */
export function isKept({ ended }: Registration): boolean {
  return ended === null || ended === PROCESS_ENDED;
}

/** A version as people see it: enough of the hash to tell it from others. */
export function versionOf({ record }: ToolStory): string {
  return record.hash.slice(0, 12);
}

function absent(word: string): SysError {
  const state = "absent, expected a name, or 4 digits of a version, of libos tools ls";
  return new SysError("ENOENT", `Cannot find tool "${word}": ${state}`);
}

function ambiguous(word: string, found: readonly ToolStory[]): UsageError {
  const some = found.slice(0, 5).map((story) => `${versionOf(story)} of ${story.tree}`).join(", ");
  const more = found.length > 5 ? ", …" : "";
  const state = `${found.length} versions, expected one of ${some}${more}; --tree names a tree`;
  return new UsageError(`Cannot tell which tool "${word}" is: ${state}`);
}
