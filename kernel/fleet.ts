/**
 * The fleet: the nodes that share one store, and which of them has which tree.
 *
 * All times are the database's: what a node's own clock says decides nothing here.
 *
 * Invariants every fleet keeps:
 *   FL1. A tree has one owner at most; each change of owner raises its epoch, and so does giving it
 *        back.
 *   FL2. A node whose lease has run out owns nothing: its trees are free, and it hears of that at
 *        its next beat.
 *   FL3. No node is given trees beyond its capacity, nor any while it drains or is cordoned.
 * @module
 */

import { SysError } from "./errors.ts";
import type { TreeId } from "./ids.ts";

/**
 * "active" takes trees; "cordoned" takes none and keeps its own; "draining" takes none and gives
 * its own back; "gone" left, or its lease ran out.
 */
export const NODE_STATES = ["active", "cordoned", "draining", "gone"] as const;
/** How a node stands. */
export type NodeState = (typeof NODE_STATES)[number];

/** Words about a node, such as `region=eu`; of a tree, those that its node has to have. */
export type NodeLabels = Readonly<Record<string, string>>;

/** What a node says of itself when it joins. */
export interface NodeFacts {
  /** Its id, which no other node has. */
  readonly id: string;
  /** What people call it. It may come back under the same name with another id. */
  readonly name: string;
  /** What trees may ask for; `node` is always its name. */
  readonly labels: NodeLabels;
  /** The version of its program: MAJOR.MINOR.PATCH. */
  readonly version: string;
  /** How many trees it works on at the same time, at most. */
  readonly capacity: number;
  /** For how long its trees are its own after a beat, in milliseconds. */
  readonly leaseMs: number;
}

/** How much a node does. */
export interface NodeLoad {
  /** Trees that have something to do. */
  readonly active: number;
  /** Trees that it has in memory. */
  readonly held: number;
  /** Steps a second that became durable since its beat before. */
  readonly steps: number;
  /** Its clock, so that others see how far it is off. */
  readonly nowMs: number;
}

/** What a node hears at a beat. */
export interface Beat {
  /** How it stands. */
  readonly state: NodeState;
  /** In how many milliseconds the next lease of another node runs out; null: there is none. */
  readonly nextMs: number | null;
  /** The store's time. */
  readonly nowMs: number;
  /** Its share of what all active nodes work on. */
  readonly share: number;
  /** How many trees it owns. */
  readonly owned: number;
}

/** A tree that is a node's now. */
export interface Claimed {
  /** The tree. */
  readonly tree: TreeId;
  /** The epoch to write it under. */
  readonly epoch: number;
}

/** A node as others see it. */
export interface FleetNode extends NodeFacts, Omit<NodeLoad, "nowMs"> {
  /** What it has of what trees run on: words beside its labels. */
  readonly has: NodeLabels;
  /** How it stands; one whose lease ran out is "gone" before anybody noted that. */
  readonly state: NodeState;
  /** The layout of tables that its program knows. */
  readonly layout: number;
  /** When it joined, in milliseconds since 1970. */
  readonly startedMs: number;
  /** How long ago its last beat was, in milliseconds. */
  readonly beatAgeMs: number;
  /** By how many milliseconds its clock was ahead of the database's at its last beat. */
  readonly skewMs: number;
  /** Trees that it took since it joined, those of nodes that were lost among them. */
  readonly taken: number;
  /** Trees that it freed since another node's lease had run out. */
  readonly freed: number;
  /** Times that its own lease had run out. */
  readonly lapses: number;
  /** How many trees it owns. */
  readonly owned: number;
}

/** Trees that no node has. */
export interface FreeTrees {
  /** How many have something to do. */
  readonly ready: number;
  /** How many only wait: for a time, a message, a person. */
  readonly resting: number;
  /** Up to here was counted of each. */
  readonly atMost: number;
  /** The first of those with something to do. */
  readonly first: readonly {
    readonly tree: TreeId;
    readonly title: string;
    /** What its node has to have: labels, programs and models. */
    readonly selector: NodeLabels | null;
  }[];
}

/** What of its own trees a node has to look at. */
export interface Mine {
  /** How the node stands; undefined when it is not there any more. */
  readonly state: NodeState | undefined;
  /** Trees of it with something in their inbox. */
  readonly inbox: readonly TreeId[];
  /** Trees of it that are wanted on another node. */
  readonly wanted: readonly TreeId[];
}

/** For what a tree is claimed: to look at it, to give it what is in its inbox, or as a new one. */
export type ClaimFor = "look" | "order" | "new";

/** The nodes of one store. */
export interface Fleet {
  /**
   * Joins, or comes back after its lease ran out; the store's time. `EINVAL` where versions do not
   * go together.
   */
  join(facts: NodeFacts): Promise<number>;
  /** Says what a node has of what trees run on; of each join anew. */
  offer(id: string, has: NodeLabels): Promise<void>;
  /** Renews the leases of all trees that the node has; undefined when it has none any more. */
  beat(id: string, load: NodeLoad): Promise<Beat | undefined>;
  /** Frees trees of nodes whose lease ran out, at most so many; how many there were. */
  reap(id: string, limit: number): Promise<number>;
  /**
   * Takes free trees that have something to do, at most so many, those first that wait longest, up
   * to the node's share and capacity. `free` is how many there were.
   */
  take(id: string, wish: {
    readonly nowMs: number;
    readonly active: number;
    readonly limit: number;
    /** Also beyond its share: they waited long enough for others. */
    readonly isOver: boolean;
    /** Trees that it cannot work on. */
    readonly barred: readonly TreeId[];
  }): Promise<{ readonly trees: readonly Claimed[]; readonly free: number }>;
  /**
   * Takes one tree; or by the name of which node it is had, null where that is none and this one
   * lacks what it asks for. A "new" one goes to any node that asks, and an "order" of a person's is
   * taken by a node which does not have what the tree runs on.
   */
  claim(
    tree: TreeId,
    id: string,
    why: ClaimFor,
  ): Promise<{ readonly epoch: number } | { readonly by: string | null }>;
  /** Gives trees back. */
  giveBack(id: string, trees: readonly Claimed[]): Promise<void>;
  /** What of its own trees a node has to look at. */
  mine(id: string): Promise<Mine>;
  /** The trees that a node owns. */
  owned(id: string): Promise<readonly Claimed[]>;
  /** Leaves: all trees of it are free. */
  leave(id: string): Promise<void>;
  /** The nodes, those that left lately among them, in order of name and id. */
  nodes(): Promise<readonly FleetNode[]>;
  /** Trees that nobody has and that have not ended. */
  free(): Promise<FreeTrees>;
  /** Sets how a node stands. `ENOENT` when there is none, `ESTATE` when it is gone. */
  order(id: string, state: Exclude<NodeState, "gone">): Promise<void>;
  /** Has a tree move to a node. `ENOENT`, or `ESTATE` when that node takes none. */
  move(tree: TreeId, id: string): Promise<void>;
}

/** Whether a node's labels have all that a selector asks for. */
export function fits(labels: NodeLabels, selector: NodeLabels): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** Labels as people write them: `gpu=yes,region=eu`. */
export function labelText(labels: NodeLabels): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).sort().join(",");
}

const LABEL_KEY = /^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,62}$/;
const LABEL_VALUE = /^[a-zA-Z0-9._:/-]{0,63}$/;
const LABELS_MAX = 32;

/** Throws `EINVAL` for labels or a selector with words that are none. */
export function refuseLabels(what: string, labels: NodeLabels): void {
  const all = Object.entries(labels);
  const wrong = all.find(([key, value]) =>
    !LABEL_KEY.test(key) || typeof value !== "string" || !LABEL_VALUE.test(value)
  );
  if (wrong === undefined && all.length <= LABELS_MAX) return;
  const state = wrong === undefined ? `${all.length} of them` : JSON.stringify(wrong.join("="));
  const expected = `expected at most ${LABELS_MAX}, of letters, digits and ._/-, 63 each`;
  throw new SysError("EINVAL", `Cannot take labels of ${what}: ${state}, ${expected}`);
}

/**
 * Throws `EINVAL` when a program does not go together with those that run: they have to be of one
 * major version, and none may be more than one minor version behind another.
 */
export function refuseSkew(version: string, others: readonly string[]): void {
  const [major, minor] = numbersOf(version);
  for (const other of others) {
    const [otherMajor, otherMinor] = numbersOf(other);
    if (major === otherMajor && Math.abs(minor - otherMinor) <= 1) continue;
    const expected = "expected one major version, and minor ones that differ by 1 at most; " +
      "update one after the other";
    const sentence = `Cannot join the nodes: this is version ${version}, another is ${other}`;
    throw new SysError("EINVAL", `${sentence}, ${expected}`, { version, other });
  }
}

function numbersOf(version: string): readonly [number, number] {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  return [major, minor];
}
