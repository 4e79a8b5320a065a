/**
 * Objects, checkpoints, generated tools and images as the API shows them.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { hashShape, jsonShape, labelShape, objectIdShape, pageShape, pidShape } from "./shape.ts";
import { timeShape, treeShape } from "./shape.ts";

/** An object, without its content. */
export const objectShape = z.object({
  id: objectIdShape,
  tree: treeShape,
  /** Namespace and name: `p_1/notes/monday`. */
  name: z.string(),
  owner: pidShape,
  type: z.string(),
  mutable: z.boolean(),
  list: z.boolean(),
  version: z.number().int(),
  items: z.number().int(),
  bytes: z.number().int().nullable(),
  label: labelShape,
  /** The call that wrote it: `p_1#4.2`, and what it was made from. */
  from: z.object({ pid: pidShape, call: z.string(), sources: z.array(z.string()) }),
  links: z.array(z.object({ relation: z.string(), to: objectIdShape })),
  at: timeShape,
  deleted: z.boolean(),
}).openapi("Object");
/** An object. */
export type ObjectView = z.infer<typeof objectShape>;
/** A page of objects. */
export const objectPage = pageShape(objectShape, "ObjectPage");

/** One version of an object; the value only when it was asked for, which the log says. */
export const versionShape = z.object({
  id: objectIdShape,
  version: z.number().int(),
  seq: z.number().int(),
  at: timeShape,
  label: labelShape,
  from: objectShape.shape.from,
  revealed: z.boolean(),
  erased: z.boolean(),
  value: jsonShape.optional(),
}).openapi("ObjectVersion");
/** One version of an object. */
export type VersionView = z.infer<typeof versionShape>;

/** A value for a process's memory. */
export const putShape = z.strictObject({
  /** As its process says it: `notes/today`. */
  name: z.string().min(1).max(512),
  type: z.string().max(64).optional(),
  value: jsonShape,
  from: z.number().int().min(0).optional(),
}).openapi("Put");

/** A named position. */
export const checkpointShape = z.object({
  id: z.string(),
  tree: treeShape,
  name: z.string(),
  by: z.string(),
  auto: z.enum(["ask", "destructive"]).nullable(),
  seq: z.number().int(),
  at: timeShape,
}).openapi("Checkpoint");
/** A named position. */
export type CheckpointView = z.infer<typeof checkpointShape>;
/** A page of checkpoints. */
export const checkpointPage = pageShape(checkpointShape, "CheckpointPage");

/** What differs between two positions. */
export const changesShape = z.object({
  from: z.number().int(),
  to: z.number().int(),
  items: z.array(z.object({
    part: z.string(),
    id: z.string(),
    change: z.enum(["added", "removed", "changed"]),
    fields: z.array(z.string()),
    /** What it was and what it is, in words; null where it is not there. */
    was: z.string().nullable(),
    is: z.string().nullable(),
  })),
}).openapi("Changes");
/** What differs between two positions. */
export type ChangesView = z.infer<typeof changesShape>;
/** One thing that differs. */
export type ChangeView = ChangesView["items"][number];

/** What going back would do, and what it cannot undo. */
export const rollbackPreviewShape = z.object({
  to: z.number().int(),
  effects: z.array(z.object({
    seq: z.number().int(),
    pid: pidShape,
    name: z.string(),
    what: z.string(),
    ok: z.boolean().nullable(),
  })),
  messages: z.number().int(),
  files: z.array(z.object({ path: z.string(), does: z.string(), conflict: z.string().nullable() })),
}).openapi("RollbackPreview");
/** How to go back. */
export const rollbackShape = z.strictObject({ files: z.boolean().default(false) }).openapi(
  "Rollback",
);
/** How to branch off. */
export const forkShape = z.strictObject({
  goal: z.string().max(16_384).optional(),
  model: z.string().max(256).optional(),
  budget: z.record(z.string(), z.number()).optional(),
  message: z.string().max(65_536).optional(),
  policy: z.string().max(262_144).optional(),
}).openapi("Fork");

/** A version of a generated tool. */
export const toolShape = z.object({
  hash: hashShape,
  tree: treeShape,
  name: z.string(),
  description: z.string(),
  inputSchema: jsonShape,
  outputSchema: jsonShape.nullable(),
  by: z.string(),
  at: timeShape,
  /** Rights it declared, and calls that take a right which it was seen to make. */
  declared: z.array(z.string()),
  observed: z.array(z.object({ name: z.string(), calls: z.number(), denied: z.number() })),
  tested: z.object({ passed: z.number(), failed: z.number() }).nullable(),
  holders: z.array(pidShape),
  reviewedBy: z.string().nullable(),
  revoked: z.object({ by: z.string(), reason: z.string() }).nullable(),
  runs: z.array(z.object({
    seq: z.number().int(),
    pid: pidShape,
    at: timeShape,
    ms: z.number().nullable(),
    ok: z.boolean().nullable(),
    code: z.string().nullable(),
    /** Calls that it made, and how many of them were refused. */
    calls: z.number().int(),
    denied: z.number().int(),
  })),
  /** Earlier versions of the same name in the tree, newest first. */
  versions: z.array(hashShape),
}).openapi("Tool");
/** A version of a generated tool. */
export type ToolView = z.infer<typeof toolShape>;
/** A page of tools. */
export const toolPage = pageShape(toolShape, "ToolPage");
/** A tool's source. */
export const sourceShape = z.object({
  hash: hashShape,
  name: z.string(),
  source: z.string(),
  /** Against the version asked for; null without one. */
  diff: z.string().nullable(),
}).openapi("ToolSource");

/** An image that the server can start. */
export const imageShape = z.object({
  ref: z.string(),
  hash: hashShape,
  program: z.string(),
  model: z.string().nullable(),
  tools: z.array(z.string()),
  requests: z.array(z.string()),
  /** Generated tools that its processes have, by hash. */
  generated: z.array(z.object({ name: z.string(), hash: hashShape })),
  instructions: z.string(),
  /** The package it is of, by hash; null for one that is of none. */
  package: hashShape.nullable(),
  /** How its file says to start it: for `defaults` of a spawn; null where it says nothing. */
  start: z.object({
    goal: z.string().nullable(),
    /** `allow`, `ask` and `deny` rules; what narrows one stands behind it. */
    grants: z.array(z.string()),
  }).nullable(),
  /** The position of the process that it was made of; null for one that the server was given. */
  made: z.object({
    pid: pidShape,
    seq: z.number().int(),
    checkpoint: z.string(),
    by: z.string(),
    at: timeShape,
  }).nullable(),
}).openapi("Image");
/** What is to be an image. */
export const imageWishShape = z.strictObject({
  pid: pidShape,
  name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/).openapi({ example: "reporter" }),
  version: z.string().regex(/^[\w.-]{1,32}$/).default("1"),
}).openapi("ImageWish");
/** An image. */
export type ImageView = z.infer<typeof imageShape>;
