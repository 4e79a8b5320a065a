/**
 * Principals: who speaks to the server, and what their role lets them do.
 *
 * Invariants:
 *   P1. Roles are ordered: each may do all that the ones before it may.
 *   P2. A principal with labels sees and touches only trees whose root carries all of them: what a
 *       person gave the root counts, not what an agent says of its children.
 * @module
 */

import type { State } from "../kernel/state.ts";

/** The roles, least first. */
export const ROLES = ["viewer", "approver", "operator", "admin"] as const satisfies Role[];
/** What somebody may do: read; answer requests; start, stop and grant; make tokens. */
export type Role = "viewer" | "approver" | "operator" | "admin";

/** Who speaks. */
export interface Principal {
  /** What the log says of them. */
  readonly name: string;
  /** What they may do. */
  readonly role: Role;
  /** Only trees whose root has all of these labels; empty for all. */
  readonly labels: Readonly<Record<string, string>>;
  /** The token's id, or that of the session's token. */
  readonly token: string;
}

/** Whether a role may do what `needed` may. */
export function reaches(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** Whether a principal sees some labels only. */
export function isConfined(who: Principal): boolean {
  return Object.keys(who.labels).length > 0;
}

/** Whether a principal sees a tree (P2). */
export function seesTree(who: Principal, { tree, processes }: State): boolean {
  const root = processes[`p_${tree.slice(2)}`];
  return root !== undefined && sees(who, root.labels);
}

/** Whether labels are among those that a principal sees; a tree that was brought may have none. */
export function sees(who: Principal, labels: Readonly<Record<string, string>> | null): boolean {
  return Object.entries(who.labels).every(([key, value]) =>
    labels != null && Object.hasOwn(labels, key) && labels[key] === value
  );
}
