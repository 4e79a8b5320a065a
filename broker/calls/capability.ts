/**
 * Capabilities as processes handle them: see, explain, hand on, take back, ask for more.
 * @module
 */

import { z } from "zod";
import { coveringFor, derive, ELSEWHERE, type HeldCapability } from "../../kernel/capability.ts";
import { explain } from "../../kernel/explain.ts";
import { SysError } from "../../kernel/errors.ts";
import { parsePattern, type Pattern } from "../../kernel/grammar.ts";
import type { CapId, Pid } from "../../kernel/ids.ts";
import { hashOf } from "../../kernel/json.ts";
import { ask } from "../../kernel/human.ts";
import { formatLabel } from "../../kernel/label.ts";
import { GRANT_MS } from "../../kernel/grant.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { processOf, refuseAway } from "../../kernel/process.ts";
import { parseGrant } from "../../kernel/path.ts";
import { sinkText } from "../../kernel/sink.ts";
import {
  capIdShape,
  jsonObjectShape,
  nothing,
  pidShape,
  ruleShape,
  timeoutShape,
} from "../shapes.ts";
import { deniedByName, ruleFor, ruleText, sinkFor, underCeiling } from "../authorize.ts";
import { refusedByPerson } from "../ask.ts";
import { type CallContext, Parked, syscall } from "../syscall.ts";

function shown(cap: HeldCapability): Record<string, unknown> {
  return {
    id: cap.id,
    rule: `${cap.right}(${cap.resource})`,
    parent: cap.parent,
    via: cap.via,
    by: cap.by,
    usesLeft: cap.usesMax === null ? null : cap.usesMax - cap.usesSpent,
    expiresMs: cap.expiresMs,
    constraint: cap.constraint,
    delegable: cap.delegable && cap.depthMax > 0,
    depthLeft: cap.delegable ? cap.depthMax : 0,
    bytesMax: cap.bytesMax,
  };
}

/** A capability the caller holds, or one it derived; others are as if they were not there (G9). */
function own(at: CallContext, id: CapId): HeldCapability {
  for (let cap = at.tree.cap(id); cap !== undefined;) {
    if (cap.subject === at.pid) return at.tree.cap(id)!;
    cap = cap.parent === null ? undefined : at.tree.cap(cap.parent);
  }
  throw new SysError("ENOENT", `Cannot find capability "${id}": absent, expected one of the own`);
}

/** Calls on capabilities. */
export const capabilityCalls = {
  "capability.list": syscall({
    about: "List the capabilities the caller can use",
    effect: "observe",
    args: nothing,
    reply: z.strictObject({ capabilities: z.array(z.looseObject({ id: capIdShape })) }),
    needs: () => [],
    run: (at) => ({
      capabilities: [...at.tree.caps.heldBy(at.tree.reach(at.pid))].slice(0, 1_000).map(shown),
    }),
  }),
  "capability.inspect": syscall({
    about: "Tell about one capability of the caller, or derived from one",
    effect: "observe",
    args: z.strictObject({ capability: capIdShape }),
    reply: z.looseObject({ id: capIdShape }),
    needs: () => [],
    run: (at, args) => shown(own(at, args.capability)),
  }),
  "capability.explain": syscall({
    about: "Tell whether the caller may do something, why, and what the least grant would be",
    effect: "observe",
    args: z.strictObject({ rule: ruleShape, args: jsonObjectShape.optional() }),
    reply: z.looseObject({ decision: z.string() }),
    needs: () => [],
    run: (at, args) => explainCall(at, args.rule, args.args ?? {}),
  }),
  "capability.delegate": syscall({
    about: "Hand a part of a capability to another process of the tree",
    effect: "mutate",
    args: z.strictObject({
      to: pidShape,
      rule: ruleShape,
      capability: capIdShape.optional().describe("Which to derive from; else one that covers"),
      constraint: jsonObjectShape.optional().describe("JSON Schema over the call's arguments"),
      uses: z.number().int().min(1).optional(),
      forMs: timeoutShape.optional(),
      delegable: z.boolean().default(false),
      depth: z.number().int().min(0).max(LIMITS.capabilityDepthMax).optional()
        .describe("How many times, one after another, it may be handed on"),
      bytes: z.number().int().min(0).optional()
        .describe("Most bytes that one call may move; only calls that say how many"),
    }),
    reply: z.strictObject({ capability: capIdShape }),
    hands: ({ rule }) => [rule],
    needs: ({ to }, { tree, process }) =>
      Object.hasOwn(tree.state.processes, to) && tree.lineage(to).includes(process.pid)
        ? []
        : [{ right: "capability.delegate", resource: to }],
    run(at, args) {
      const target = processOf(at.tree.state, args.to);
      if (target.life.state === "ended") {
        throw new SysError("ESTATE", `Cannot delegate to process "${args.to}": ended`);
      }
      refuseAway(target, "delegate to");
      const pattern = parseGrant(args.rule, at.cwd);
      const from = args.capability === undefined
        ? coveringFor(at.tree.caps, {
          lineage: at.tree.reach(at.pid),
          pattern,
          nowMs: at.nowMs,
        })
        : held(at, args.capability);
      if (from === undefined) {
        throw new SysError(
          "EPERM",
          `Cannot delegate ${args.rule}: no delegable capability of "${at.pid}" covers it`,
        );
      }
      const cap = derive(from, {
        subject: args.to,
        ...pattern,
        delegable: args.delegable,
        ...(args.constraint === undefined ? {} : { constraint: args.constraint }),
        ...(args.uses === undefined ? {} : { usesMax: args.uses }),
        ...(args.forMs === undefined ? {} : { expiresMs: at.nowMs + args.forMs }),
        ...(args.depth === undefined ? {} : { depthMax: args.depth }),
        ...(args.bytes === undefined ? {} : { bytesMax: args.bytes }),
      }, { id: at.draft.id("cap"), via: "delegate", by: at.pid, nowMs: at.nowMs });
      at.draft.add("cap.granted", cap);
      return { capability: cap.id };
    },
  }),
  "capability.revoke": syscall({
    about: "Take back a capability the caller holds or derived, and all derived from it",
    effect: "mutate",
    args: z.strictObject({ capability: capIdShape, reason: z.string().max(512).default("") }),
    reply: z.strictObject({ revoked: z.array(capIdShape) }),
    needs: () => [],
    run(at, args) {
      const cap = own(at, args.capability);
      const ids = [cap.id, ...at.tree.caps.descendants(cap.id)];
      at.draft.add("cap.revoked", { ids, by: at.pid, reason: args.reason });
      return { revoked: ids };
    },
  }),
  "capability.request": syscall({
    about: "Ask a person for a right that the caller does not have, inside the tree's ceiling",
    effect: "mutate",
    args: z.strictObject({ rule: ruleShape, reason: z.string().min(1).max(2_000) }),
    reply: z.strictObject({ granted: z.literal(true), until: z.number().nullable() }),
    needs: () => [],
    run(at, args) {
      const parked = heard(at);
      if (parked !== null) return parked;
      const pattern = parseGrant(args.rule, at.cwd);
      if (!underCeiling(at.tree, pattern.right, pattern.resource)) {
        const sentence = `Cannot request ${args.rule}: over the ceiling of the tree`;
        throw new SysError("EPERM", `${sentence}, which no person is asked about`);
      }
      const request = ask(at.draft, at.process, at.key, {
        kind: "permission",
        prompt: `${at.pid} asks for ${pattern.right}(${pattern.resource}): ${args.reason}`,
        call: {
          name: pattern.right,
          ...pattern,
          args: {},
          argsHash: hashOf({ name: "capability.request", args }),
          under: null,
        },
        schema: null,
        choices: [],
        risk: at.riskOf(pattern.right),
        preview: null,
        expiresMs: at.nowMs + LIMITS.requestExpiryMsDefault,
      });
      return new Parked({ reason: "person", key: at.key, request });
    },
  }),
};

function held(at: CallContext, id: CapId): HeldCapability {
  const cap = own(at, id);
  if (cap.subject === at.pid) return cap;
  throw new SysError("EPERM", `Cannot delegate from capability "${id}": held by another`);
}

/** What a person said to an earlier issue of this call; null when nothing was said. */
function heard(at: CallContext): { granted: true; until: number | null } | null {
  if (at.parked?.reason !== "person") return null;
  const request = at.tree.state.requests[at.parked.request];
  const refused = refusedByPerson({
    key: at.key,
    name: "capability.request",
    process: at.process,
    tree: at.tree,
  });
  if (refused !== null) throw refused;
  if (request?.status !== "approved" || request.answer?.outcome !== "approve") return null;
  const { scope = "once", forMs = GRANT_MS[scope === "policy" ? "once" : scope] } = request.answer;
  return { granted: true, until: at.nowMs + forMs };
}

/** Rights that are on processes: none is needed for the caller itself and what it started. */
const OVER: ReadonlySet<string> = new Set([
  "budget.inspect",
  "budget.limit",
  "capability.delegate",
  "message.send",
  "process.inspect",
  "process.signal",
]);

/** Rights of calls that say how many bytes they move. */
const COUNTED: ReadonlySet<string> = new Set(["file.read", "file.write", "net.fetch"]);

/** Whether it takes no right at all: it is about the caller, or what the caller started. */
function isOwn(
  { tree, process, pid }: Pick<CallContext, "tree" | "process" | "pid">,
  { right, resource }: Pattern,
): boolean {
  if (tree.context.free?.has(right) === true) return true;
  if (!OVER.has(right) || !Object.hasOwn(tree.state.processes, resource)) return false;
  const isFamily = tree.lineage(resource as Pid).includes(pid) ||
    (right === "message.send" && process.parent === resource);
  return isFamily && deniedByName({ tree, process, name: right, needs: [] }) === undefined;
}

/** Why something would be allowed or refused, for the caller or for people who look at it. */
export function explainCall(
  at: Pick<CallContext, "tree" | "process" | "pid" | "nowMs">,
  rule: string,
  args: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const pattern = parsePattern(rule);
  const { right, resource } = parseGrant(`${pattern.right}(${pattern.resource})`, at.process.cwd);
  if (isOwn(at, { right, resource })) {
    return { decision: "allow", right, resource, chain: [], considered: [] };
  }
  const lineage = at.tree.lineage(at.pid);
  const query = {
    lineage: at.tree.reach(at.pid),
    right,
    resource,
    args: args as never,
    argsHash: () => hashOf({ name: right, args }),
    nowMs: at.nowMs,
    image: at.process.image,
    // A call that says how many bytes it moves may move few.
    bytes: COUNTED.has(right) ? 0 : undefined,
  };
  const held = explain(at.tree.caps, { ...query, needsGrant: false });
  const ruled = ruleFor(at.tree, lineage, {
    need: { right, resource },
    nowMs: at.nowMs,
    label: at.process.label,
  });
  const sink = ruled?.effect === "deny" ? undefined : sinkFor(at.tree, lineage, {
    need: { right, resource },
    label: at.process.label,
  });
  const asks = sink === undefined && ruled?.effect === "ask" && held.decision === "allow";
  const granted = asks ? explain(at.tree.caps, { ...query, needsGrant: true }) : held;
  const isGranted = asks && granted.decision === "allow";
  const { decision: capability, ...rest } = isGranted ? granted : held;
  const isOver = capability === "none" && !underCeiling(at.tree, right, resource);
  const elsewhere = isOver ? { suggestion: `${right}(${resource}) ${ELSEWHERE}` } : {};
  const ruling = isGranted ? "allow" : sink?.otherwise ?? ruled?.effect ?? "allow";
  const decision = capability === "none" ? "none" : ruling;
  const said = sink === undefined
    ? ruled === undefined ? {} : { rule: ruleText(ruled), line: ruled.line }
    : { rule: sinkText(sink), line: sink.line, seen: formatLabel(at.process.label) };
  return { decision, right, resource, ...rest, ...elsewhere, ...said };
}
