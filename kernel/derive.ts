/**
 * Deriving: the only way in which one capability becomes another.
 *
 * Invariants:
 *   D1. What is derived covers no more than its parent, lives no longer, and has no more uses.
 *   D2. It is no grant: a person's answer was given to its asker alone.
 *   D3. Each delegation uses up one level of depth, of the parent's and of the system's.
 * @module
 */

import type { Capability, HeldCapability } from "./capability.ts";
import { least, standing } from "./chain.ts";
import { checkConstraint } from "./constraint.ts";
import { SysError } from "./errors.ts";
import { checkPattern, formatPattern, within } from "./grammar.ts";
import type { CapId, Pid } from "./ids.ts";
import type { JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";

/** What is wanted of a derived capability; what is left out is as in the parent. */
export interface DeriveRequest {
  readonly subject: Pid;
  readonly right?: string;
  readonly resource?: string;
  readonly constraint?: JsonObject | null;
  readonly usesMax?: number | null;
  readonly expiresMs?: number | null;
  readonly bytesMax?: number | null;
  readonly delegable?: boolean;
  readonly depthMax?: number;
  /** "process" unless said otherwise. */
  readonly scope?: "process" | "subtree";
}

/** What the kernel says of a new capability. */
export interface DeriveFacts {
  readonly id: CapId;
  readonly via: Capability["via"];
  readonly by: string;
  readonly nowMs: number;
}

/** Makes a capability from another, never a wider one; throws `EPERM` or `EINVAL`. */
export function derive(
  parent: HeldCapability,
  request: DeriveRequest,
  facts: DeriveFacts,
): Capability {
  const pattern = {
    right: request.right ?? parent.right,
    resource: request.resource ?? parent.resource,
  };
  checkPattern(pattern);
  checkRequest(request, facts);
  if (!within(pattern, parent)) {
    const covered = `expected something within "${formatPattern(parent)}"`;
    refuse(parent, `"${formatPattern(pattern)}" is not provably covered, ${covered}`);
  }
  const depthMax = Math.min(request.depthMax ?? parent.depthMax - 1, parent.depthMax - 1);
  checkParent(parent, facts.nowMs);
  const scope = request.scope ?? "process";
  // A subtree's capability reaches processes that would else need a delegation of their own.
  if (scope === "subtree" && parent.scope === "process" && depthMax < 1) {
    refuse(parent, 'no delegation left for scope "subtree", expected scope "process"');
  }
  const left = parent.usesMax === null ? null : parent.usesMax - parent.usesSpent;
  return {
    id: facts.id,
    subject: request.subject,
    ...pattern,
    parent: parent.id,
    depth: parent.depth + 1,
    constraint: request.constraint ?? null,
    usesMax: least(request.usesMax ?? null, left),
    expiresMs: least(request.expiresMs ?? null, parent.expiresMs),
    bytesMax: least(request.bytesMax ?? null, parent.bytesMax),
    delegable: (request.delegable ?? true) && depthMax > 0,
    depthMax,
    scope,
    // An answer was given to its asker: what is derived opens no rule that says "ask".
    grant: null,
    via: facts.via,
    by: facts.by,
    atMs: facts.nowMs,
  };
}

function checkParent(parent: HeldCapability, nowMs: number): void {
  if (!parent.delegable || parent.depthMax < 1) refuse(parent, "not delegable");
  if (parent.depth >= LIMITS.capabilityDepthMax) {
    refuse(parent, `at depth ${parent.depth}, expected less than ${LIMITS.capabilityDepthMax}`);
  }
  const stands = standing(parent, nowMs);
  if (stands !== null) refuse(parent, stands);
}

function checkRequest(request: DeriveRequest, facts: DeriveFacts): void {
  checkCount("usesMax", request.usesMax ?? null, 1);
  checkCount("bytesMax", request.bytesMax ?? null, 0);
  checkCount("depthMax", request.depthMax ?? null, 0);
  checkCount("expiresMs", request.expiresMs ?? null, facts.nowMs + 1);
  if (request.constraint !== undefined && request.constraint !== null) {
    checkConstraint(request.constraint);
  }
}

function checkCount(name: string, value: number | null, min: number): void {
  if (value === null || (Number.isSafeInteger(value) && value >= min)) return;
  const found = `${name} is ${value}, expected a whole number from ${min}`;
  throw new SysError("EINVAL", `Cannot derive a capability: ${found}`);
}

function refuse(parent: Capability, found: string): never {
  throw new SysError("EPERM", `Cannot derive from capability "${parent.id}": ${found}`, {
    covers: formatPattern(parent),
  });
}
