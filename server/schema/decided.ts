/**
 * What people decided, as the API shows it afterwards.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { REQUEST_KINDS, requestShape, SCOPES } from "./request.ts";
import { capIdShape, pidShape, requestIdShape, timeShape, treeShape } from "./shape.ts";

/** How requests end. */
export const OUTCOMES = ["approve", "edit", "deny", "answer", "expired"] as const;

/** What became of what an approval gave. */
export const givenShape = z.object({
  id: capIdShape,
  holder: pidShape,
  /**
   * `holds`: it may be used still. `used`: all of its uses are spent. `expired`, `revoked`: by
   * time, by somebody. `gone`: with its holder, or when its tree went back.
   */
  state: z.enum(["holds", "used", "expired", "revoked", "gone"]),
  /** Calls that it let through. */
  calls: z.number().int(),
  usesMax: z.number().int().nullable(),
  expiresAt: timeShape.nullable(),
}).openapi("GivenCapability");

/** A request that is over, and how. It holds no arguments and no answer's value. */
export const decidedRequestShape = z.object({
  id: requestIdShape,
  tree: treeShape,
  pid: pidShape,
  kind: z.enum(REQUEST_KINDS),
  /** The call and its resource, or what was asked, shortened. */
  what: z.string(),
  risk: requestShape.shape.risk,
  outcome: z.enum(OUTCOMES),
  /** Who decided; null where time did. */
  by: z.string().nullable(),
  /** Who agreed before, where it took two. */
  agreed: z.string().nullable(),
  askedAt: timeShape,
  at: timeShape,
  /** The line of the decision in its tree's log. */
  seq: z.number().int(),
  scope: z.enum(SCOPES).nullable(),
  /** The pattern of resources that it was given for, where that is not the call's own. */
  pattern: z.string().nullable(),
  /** What was said with it: a note, or the reason of a no. */
  note: z.string().nullable(),
  /** Whether who asked was stopped, too. */
  stopped: z.boolean(),
  gave: z.array(givenShape),
  /** The rule that it put into the policy. */
  rule: z.string().nullable(),
}).openapi("DecidedRequest");
/** A request that is over, and how. */
export type DecidedRequestView = z.infer<typeof decidedRequestShape>;

/** A page of them, the latest first. */
export const decidedPage = z.object({
  items: z.array(decidedRequestShape),
  next: z.string().nullable(),
  /** Trees that were not read to their end yet: asking again reads on. */
  unread: z.number().int(),
}).openapi("DecidedPage");
