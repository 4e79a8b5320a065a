/**
 * Requests to people and their answers, as the API shows and takes them.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { capIdShape, hashShape, jsonShape, pageShape, pidShape } from "./shape.ts";
import { requestIdShape, timeShape, treeShape } from "./shape.ts";

/** What kinds of request there are. */
export const REQUEST_KINDS = [
  "permission",
  "question",
  "notice",
  "review",
  "budget",
  "doubt",
] as const;
/** How far an approval reaches. */
export const SCOPES = ["once", "process", "subtree", "tree", "image", "policy"] as const;

/** A rule that would answer this request and others like it. */
export const suggestionShape = z.object({
  right: z.string(),
  resource: z.string(),
  scope: z.enum(SCOPES),
  /** Past calls that it would have covered. */
  matched: z.number().int(),
}).openapi("Suggestion");

/** What there is to see before deciding. */
export const previewShape = z.object({
  kind: z.enum(["diff", "source", "url", "text"]),
  body: z.string(),
  /** Lines that come and go, for a diff. */
  added: z.number().int().optional(),
  removed: z.number().int().optional(),
}).openapi("Preview");

/** A request. */
export const requestShape = z.object({
  id: requestIdShape,
  kind: z.enum(REQUEST_KINDS),
  status: z.enum(["pending", "approved", "denied", "answered", "expired"]),
  tree: treeShape,
  pid: pidShape,
  image: z.string(),
  goal: z.string(),
  lineage: z.array(pidShape),
  askers: z.array(pidShape),
  /** What the agent says. It is a claim. */
  prompt: z.string(),
  call: z.object({
    name: z.string(),
    right: z.string(),
    resource: z.string(),
    args: jsonShape,
    argsHash: hashShape,
  }).nullable(),
  /** Whether values are shown; without role approver, arguments and preview are null. */
  revealed: z.boolean(),
  /** The generated tool that asks, when one does. */
  tool: z.object({ name: z.string(), hash: hashShape }).nullable(),
  schema: z.record(z.string(), jsonShape).nullable(),
  choices: z.array(z.string()),
  risk: z.enum(["low", "medium", "high", "destructive"]),
  /** Why a person is asked: the rule, and whose it is. */
  because: z.string().nullable(),
  preview: previewShape.nullable(),
  suggestions: z.array(suggestionShape),
  /** Scopes that may be given. */
  scopes: z.array(z.enum(SCOPES)),
  /** How long each of them holds where the decision has no `forMs`. */
  lasts: z.array(z.object({
    scope: z.enum(SCOPES),
    /** In milliseconds; null for good. */
    forMs: z.number().int().nullable(),
  })),
  /** People that have to agree, and those that have. */
  people: z.object({ needed: z.number().int(), agreed: z.array(z.string()) }),
  /** Whom the asker wants to hear from, in its own words. */
  who: z.string().nullable(),
  /** Answers to others for the same right in the tree; null in lists. */
  similar: z.object({ approved: z.number().int(), denied: z.number().int() }).nullable(),
  createdAt: timeShape,
  expiresAt: timeShape.nullable(),
  escalatedAt: timeShape.nullable(),
  answer: jsonShape.nullable(),
  by: z.string().nullable(),
  /** Who started the tree: nobody decides what their own token asked for. */
  owner: z.string(),
  /** Whether the one who reads this may decide it. */
  mayDecide: z.boolean(),
}).openapi("Request");
/** A request. */
export type RequestView = z.infer<typeof requestShape>;
/** A page of requests. */
export const requestPage = pageShape(requestShape, "RequestPage");

/** What a person says. */
export const decisionShape = z.discriminatedUnion("outcome", [
  z.strictObject({
    outcome: z.literal("approve"),
    scope: z.enum(SCOPES).default("once"),
    /** A pattern that the call's resource matches, for a scope wider than once. */
    resource: z.string().max(1_024).optional(),
    /** For how long; `lasts` of the request says what holds without it. */
    forMs: z.number().int().min(1).optional(),
    uses: z.number().int().min(1).optional(),
    note: z.string().max(2_000).optional(),
  }),
  z.strictObject({
    outcome: z.literal("edit"),
    args: z.record(z.string(), jsonShape),
    note: z.string().max(2_000).optional(),
  }),
  z.strictObject({
    outcome: z.literal("deny"),
    reason: z.string().max(2_000).optional(),
    stop: z.boolean().optional(),
  }),
  z.strictObject({ outcome: z.literal("answer"), value: jsonShape }),
]);

/** How many processes an answer is for. */
const askersShape = z.number().int().min(1).default(1).openapi({
  description:
    "How many processes asked, as was shown: a yes is for all of them, and for no others",
});

/** A decision on one request; the hash is that of the call that was shown. */
export const decideShape = z.strictObject({
  decision: decisionShape,
  argsHash: hashShape.optional().openapi({ description: "Required where the request has a call" }),
  askers: askersShape,
}).openapi("Decide");
/** A decision on one request. */
export type DecideInput = z.input<typeof decideShape>;

/** The same decision on several that are alike. */
export const decideAllShape = z.strictObject({
  items: z.array(z.strictObject({ id: requestIdShape, argsHash: hashShape, askers: askersShape }))
    .min(1).max(100),
  decision: decisionShape,
}).openapi("DecideAll");

/** What a decision did. */
export const decidedShape = z.object({
  request: requestShape,
  grants: z.array(capIdShape),
  /** When the last of what it granted ends; null where nothing was granted, or for good. */
  grantsUntil: timeShape.nullable(),
  /** What changed in the policy, as a diff; null when nothing did. */
  policyDiff: z.string().nullable(),
}).openapi("Decided");
/** What each decision of several did. */
export const decidedAllShape = z.object({
  items: z.array(z.object({
    id: requestIdShape,
    ok: z.boolean(),
    code: z.string().nullable(),
    detail: z.string().nullable(),
  })),
}).openapi("DecidedAll");

/** What a rule would have matched in history. */
export const matchesShape = z.object({
  matched: z.number().int(),
  of: z.number().int(),
  asked: z.number().int(),
  allowed: z.number().int(),
  denied: z.number().int(),
  processes: z.number().int(),
  examples: z.array(z.object({ seq: z.number().int(), pid: pidShape, resource: z.string() })),
  /** Whether all of the log was read, and not only its latest lines. */
  isWhole: z.boolean(),
  /** Why the rule would not answer the request; null where it would. */
  problem: z.string().nullable(),
}).openapi("Matches");
