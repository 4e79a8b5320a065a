/**
 * Deciding: answers on their way to their trees, one by one or several that are alike.
 *
 * Invariants:
 *   D1. Each answer is an order of its own, bound to the call that was shown: it has its effect
 *       once or is refused, whatever becomes of the others.
 *   D2. What is answered together is alike: one right, nothing destructive, one pattern over all.
 * @module
 */

import { SysError, toOutcome } from "../kernel/errors.ts";
import type { EventMap } from "../kernel/event.ts";
import { checkPattern, matchResource } from "../kernel/grammar.ts";
import { type RequestId, type TreeId, treeOf } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { RequestRecord } from "../kernel/state.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import type { DecidedBy, DecidedItem, DecideItem } from "./approvals.ts";
import { lookAt } from "./look.ts";
import { latest, type Matches, matchesIn } from "./matches.ts";
import type { Node } from "./node.ts";
import { problemOf } from "./suggest.ts";

/** An answer, and who gives it. */
interface Given {
  readonly answer: PersonAnswer;
  readonly by: DecidedBy;
}

/** Answers a request. Throws what refuses it. */
export async function decide(node: Node, id: string, { answer, by }: Given): Promise<void> {
  const { actor, strict, argsHash, askers } = by;
  try {
    await node.order(treeOf(id), {
      kind: "answer",
      request: id as RequestId,
      answer,
      by: actor,
      ...(strict === undefined ? {} : { strict }),
      ...(argsHash === undefined ? {} : { argsHash }),
      ...(askers === undefined ? {} : { askers }),
    });
  } catch (error) {
    const isOver = error instanceof SysError && error.code === "ESTATE";
    throw isOver && await hasExpired(node, id as RequestId)
      ? new SysError("EEXPIRED", `Cannot answer request "${id}": expired already`)
      : error;
  }
}

/** Whether a request that its asker has heard the end of already came to it by expiring. */
async function hasExpired(node: Node, id: RequestId): Promise<boolean> {
  for await (const { type, data } of latest(node.options.store, treeOf(id))) {
    if (type === "human.expired" && (data as EventMap["human.expired"]).id === id) return true;
  }
  return false;
}

/** Answers several requests that are alike (D2); what became of each. */
export async function decideAll(
  node: Node,
  items: readonly DecideItem[],
  given: Given,
): Promise<DecidedItem[]> {
  if (items.length === 0 || items.length > LIMITS.requestsDecidedTogetherMax) {
    refuse(`${items.length}, expected 1 to ${LIMITS.requestsDecidedTogetherMax}`);
  }
  if (new Set(items.map(({ id }) => id)).size < items.length) refuse("one of them twice");
  const known: RequestRecord[] = [];
  for (const { id } of items) {
    const request = await requestOf(node, id as RequestId);
    if (request?.status === "pending") known.push(request);
  }
  mustBeAlike(known, given.answer);
  const decided: DecidedItem[] = [];
  const isNo = given.answer.outcome === "deny";
  for (const { id, argsHash, askers } of items) {
    try {
      const shown = isNo || askers === undefined ? { argsHash } : { argsHash, askers };
      await decide(node, id, { ...given, by: { ...given.by, ...shown } });
      decided.push({ id, ok: true });
    } catch (error) {
      const { code, message } = toOutcome(error);
      decided.push({ id, ok: false, code, message });
    }
  }
  return decided;
}

/** Refuses with `EINVAL` to answer together what is not alike (D2). */
export function mustBeAlike(requests: readonly RequestRecord[], answer: PersonAnswer): void {
  if (answer.outcome !== "approve" && answer.outcome !== "deny") {
    refuse(`the answer is "${answer.outcome}", expected approve or deny`);
  }
  const rights = new Set(requests.map(({ call }) => call?.right));
  if (rights.has(undefined)) refuse("one of them is about no call");
  if (rights.size > 1) refuse(`they are for ${[...rights].join(", ")}, expected one right`);
  if (answer.outcome === "deny") return;
  const other = requests.find(({ kind }) => kind !== "permission");
  if (other !== undefined) refuse(`"${other.id}" is a ${other.kind}, expected permissions`);
  const destructive = requests.find(({ risk }) => risk === "destructive");
  if (destructive !== undefined) refuse(`"${destructive.id}" is destructive`);
  const { resource } = answer;
  if (resource === undefined) refuse("no pattern, expected one that all of them match");
  const outside = requests.find(({ call }) => !matchResource(resource, call!.resource));
  if (outside !== undefined) {
    refuse(`"${resource}" does not match ${outside.call!.resource} of "${outside.id}"`);
  }
}

function refuse(why: string): never {
  throw new SysError("EINVAL", `Cannot answer requests together: ${why}`);
}

async function requestOf(node: Node, id: RequestId): Promise<RequestRecord | undefined> {
  const { state } = await lookAt(node, treeOf(id));
  return Object.hasOwn(state.requests, id) ? state.requests[id] : undefined;
}

/** What a pattern would have covered, and whether it would answer a request. */
export async function matches(
  node: Node,
  of: string | { readonly tree: TreeId; readonly right: string },
  resource: string,
): Promise<Matches> {
  const { store } = node.options;
  if (typeof of === "object") {
    const wanted = { right: of.right, resource };
    checkPattern(wanted);
    return { ...await matchesIn(store, of.tree, wanted), problem: null };
  }
  const tree = await lookAt(node, treeOf(of));
  const request = await requestOf(node, of as RequestId);
  if (request?.call == null) {
    const state = "absent or about no call, expected one about a call";
    throw new SysError("ENOENT", `Cannot match request "${of}": ${state}`);
  }
  const wanted = { right: request.call.right, resource };
  checkPattern(wanted);
  const found = await matchesIn(store, tree.state.tree, wanted);
  return { ...found, problem: problemOf(tree, request, wanted) };
}
