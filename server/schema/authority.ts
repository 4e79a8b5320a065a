/**
 * Capabilities, policy, explanations and budgets as the API shows them.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { LIMITS } from "../../kernel/limits.ts";
import { capIdShape, jsonShape, pageShape, pidShape, timeShape, treeShape } from "./shape.ts";
import { spentShape } from "./process.ts";

/** A capability. */
export const capabilityShape = z.object({
  id: capIdShape,
  tree: treeShape,
  subject: pidShape,
  right: z.string(),
  resource: z.string(),
  scope: z.enum(["process", "subtree", "image"]),
  parent: capIdShape.nullable(),
  depth: z.number().int(),
  constraint: z.record(z.string(), jsonShape).nullable(),
  usesMax: z.number().int().nullable(),
  usesSpent: z.number().int(),
  expiresAt: timeShape.nullable(),
  delegable: z.boolean(),
  via: z.enum(["boot", "spawn", "delegate", "approval", "operator"]),
  by: z.string(),
  /** The request it was born of. */
  request: z.string().nullable(),
  /** Bound to exactly one call. */
  bound: z.boolean(),
  givenAt: timeShape,
  /** Capabilities that fall with it, itself included, and processes that lose something. */
  below: z.object({ capabilities: z.number().int(), processes: z.number().int() }),
  /** Calls that it or one derived from it let through; null where that was not asked for. */
  used: z.object({ calls: z.number().int(), lastAt: timeShape.nullable() }).nullable(),
}).openapi("Capability");
/** A capability. */
export type CapabilityView = z.infer<typeof capabilityShape>;
/** A page of capabilities. */
export const capabilityPage = pageShape(capabilityShape, "CapabilityPage");

/** A right to be given. */
export const grantShape = z.strictObject({
  rule: z.string().max(1_024).openapi({ example: "file.read(./notes/**)" }),
  uses: z.number().int().min(1).optional(),
  forMs: z.number().int().min(1).optional(),
  delegable: z.boolean().optional(),
  depth: z.number().int().min(0).max(LIMITS.capabilityDepthMax).optional(),
  bytes: z.number().int().min(0).optional(),
  constraint: z.record(z.string(), jsonShape).optional(),
}).openapi("Grant");

/** A question about authority. */
export const explainInput = z.strictObject({
  pid: pidShape,
  /** `net.fetch(https://x/**)`. */
  rule: z.string().max(1_024),
  args: z.record(z.string(), jsonShape).optional(),
}).openapi("Explain");

/** Whether a process could, why, and the least that would let it. */
export const explanationShape = z.object({
  pid: pidShape,
  decision: z.enum(["allow", "ask", "deny", "none"]),
  right: z.string(),
  resource: z.string(),
  cap: capIdShape.nullable(),
  chain: z.array(z.object({ id: capIdShape, via: z.string(), by: z.string() })),
  considered: z.array(z.object({ id: capIdShape, matched: z.boolean(), why: z.string() })),
  rule: z.string().nullable(),
  /** What the process has seen, where a sink does not take it: its label in words. */
  seen: z.string().nullable(),
  suggestion: z.string().nullable(),
}).openapi("Explanation");
/** Whether a process could, and why. */
export type ExplanationView = z.infer<typeof explanationShape>;

/** Who can do something. */
export const whoCanShape = z.object({
  items: z.array(z.object({
    pid: pidShape,
    image: z.string(),
    decision: z.enum(["allow", "ask", "deny"]),
    cap: capIdShape.nullable(),
  })),
  /** Processes that were looked at. */
  of: z.number().int(),
}).openapi("WhoCan");

/** A tree's policy. */
export const policyShape = z.object({ tree: treeShape, text: z.string() }).openapi("Policy");

/** Rules of a tree's policy that decided no call so far. */
export const unusedShape = z.object({
  tree: treeShape,
  /** Each with its line in the text. */
  items: z.array(z.object({ line: z.number().int(), rule: z.string() })),
}).openapi("UnusedRules");

/** The least that would have let a process, and all below it, do what it did. */
export const leastShape = z.object({
  pid: pidShape,
  image: z.string(),
  items: z.array(z.object({
    rule: z.string(),
    /** "ask" where a person was asked, each time. */
    effect: z.enum(["allow", "ask"]),
    /** How many calls it covers. */
    calls: z.number().int(),
    /** Lines of the first of them. */
    lines: z.array(z.number().int()),
  })),
}).openapi("LeastAuthority");

/** What a process may use and has used, with its ancestors' limits. */
export const budgetShape = z.object({
  pid: pidShape,
  spent: spentShape,
  limits: spentShape,
  /** Per kind, the nearest limit in the lineage: whose, how much, what is left. */
  nearest: z.array(z.object({
    kind: z.string(),
    pid: pidShape,
    limit: z.number(),
    spent: z.number(),
    left: z.number(),
  })),
}).openapi("Budget");
/** What a process may use and has used. */
export type BudgetView = z.infer<typeof budgetShape>;
/** A process's budget in a list, with what it is. */
export const budgetRowShape = budgetShape.extend({
  parent: pidShape.nullable(),
  image: z.string(),
  goal: z.string(),
  ended: z.boolean(),
}).openapi("BudgetRow");
/** A process's budget in a list. */
export type BudgetRow = z.infer<typeof budgetRowShape>;
/** A page of budgets. */
export const budgetPage = pageShape(budgetRowShape, "BudgetPage");

/** How long payloads of a tree are kept. */
export const retentionShape = z.object({
  tree: treeShape,
  /** Null for as long as the log. */
  days: z.number().nullable(),
  /** Who said so. */
  by: z.string().nullable(),
  /** Payloads that may go some time. */
  payloads: z.number().int(),
  bytes: z.number().int(),
  /** Payloads that the state needs. */
  stays: z.number().int(),
  /** When it is looked at next, in milliseconds since 1970; null for never. */
  nextMs: z.number().nullable(),
}).openapi("Retention");

/** How long payloads are to be kept. */
export const retainShape = z.strictObject({ days: z.number().nullable() }).openapi("Retain");

/** How long payloads are kept from now on. */
export const keptShape = z.object({
  tree: treeShape,
  days: z.number().nullable(),
  nextMs: z.number().nullable(),
}).openapi("Kept");

/** What would go. */
export const plannedShape = z.object({
  items: z.array(z.object({
    tree: treeShape,
    /** The last line whose payloads would go. */
    to: z.number().int(),
    count: z.number().int(),
    bytes: z.number().int(),
    stays: z.number().int(),
  })),
}).openapi("RetentionPlan");

/** A policy to be held against what a process did. */
export const policyTrialShape = z.strictObject({
  text: z.string().max(262_144),
  /** The last line that is looked at. */
  until: z.number().int().min(1).optional(),
}).openapi("PolicyTrial");

/** Calls that a policy would have treated otherwise. */
export const otherwiseShape = z.object({
  items: z.array(z.object({
    seq: z.number().int(),
    pid: pidShape,
    call: z.string(),
    right: z.string(),
    resource: z.string(),
    was: z.enum(["allow", "ask", "deny"]),
    would: z.enum(["ask", "deny"]),
    rule: z.string(),
  })),
}).openapi("PolicyTested");
