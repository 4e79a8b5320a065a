/**
 * Processes, trees and nodes as the API shows them.
 * @module
 */

import { NODE_STATES } from "../../kernel/fleet.ts";
import { z } from "@hono/zod-openapi";
import {
  hashShape,
  jsonShape,
  labelShape,
  labelsShape,
  pageShape,
  pidShape,
  timeShape,
} from "./shape.ts";
import { treeShape } from "./shape.ts";

/** What a process has used, and may use. */
export const spentShape = z.object({
  modelCalls: z.number(),
  tokens: z.number(),
  usd: z.number(),
  toolCalls: z.number(),
  children: z.number(),
  depth: z.number(),
  wallMs: z.number(),
  bytes: z.number(),
}).partial();

/** Why a process does not run, and since when. */
export const waitingShape = z.object({
  reason: z.enum(["person", "message", "child", "timer", "call", "away", "paused", "node"]),
  /** What it waits for: a request, pids, a time, labels of a node. */
  on: z.string().nullable(),
  since: timeShape,
}).openapi("Waiting");

/** How a process ended. */
export const outcomeShape = z.object({
  kind: z.enum(["exited", "failed", "canceled", "killed"]),
  code: z.union([z.number(), z.string()]).nullable(),
  message: z.string().nullable(),
  by: z.string().nullable(),
}).openapi("Outcome");

/** What bringing a tree came to. */
export const importedShape = z.object({
  tree: treeShape,
  /** Lines that were brought. */
  lines: z.number().int(),
  /** Values that came with them. */
  blobs: z.number().int(),
  /** false: the same log was here already, and nothing was changed. */
  created: z.boolean(),
  /** Effects that were under way at the export: in doubt, and not sent. */
  inDoubt: z.number().int(),
}).openapi("Imported");

/** A process. */
export const processShape = z.object({
  pid: pidShape,
  parent: pidShape.nullable(),
  tree: treeShape,
  /** `name@version`. */
  image: z.string(),
  imageHash: hashShape,
  state: z.enum(["ready", "running", "waiting", "paused", "canceling", "ended"]),
  waiting: waitingShape.nullable(),
  outcome: outcomeShape.nullable(),
  goal: z.string(),
  cwd: z.string(),
  labels: labelsShape,
  /** What it has read so far, joined: it goes with all that it writes and sends. */
  label: labelShape,
  step: z.number().int(),
  calls: z.object({ allowed: z.number(), asked: z.number(), denied: z.number() }),
  spent: spentShape,
  budget: spentShape,
  tools: z.array(z.string()),
  generatedTools: z.array(z.string()),
  children: z.array(pidShape),
  /** Requests of it that wait for a person. */
  requests: z.number().int(),
  /** Who started its tree. */
  owner: z.string(),
  startedAt: timeShape,
  endedAt: timeShape.nullable(),
  /** The last line of its tree. */
  seq: z.number().int(),
  elsewhere: z.literal(true).optional().openapi({
    description: "Another node has its tree: this is what the store has of it. Orders reach it " +
      "there, through its inbox",
  }),
}).openapi("Process");
/** A process. */
export type ProcessView = z.infer<typeof processShape>;
/** A page of processes. */
export const processPage = pageShape(processShape, "ProcessPage");

/** Which processes to list. */
export const processQuery = z.object({
  all: z.enum(["true", "false"]).default("false").openapi({ description: "Ended ones too" }),
  state: z.string().max(64).optional().openapi({ description: "`waiting` or `waiting/person`" }),
  label: z.union([z.string(), z.array(z.string())]).optional().openapi({
    description: "`k=v`, several for all of them",
  }),
  tree: treeShape.optional(),
  image: z.string().max(256).optional(),
  pid: z.union([pidShape, z.array(pidShape).max(100)]).optional().openapi({
    description: "These, ended ones too; whatever else is asked for is not looked at",
  }),
});

/** How to start a process. */
export const spawnShape = z.strictObject({
  /** Name or `name@version` of an image that the server knows. */
  image: z.string().max(256),
  /** What it is to do; that of the image's file when absent, where `defaults` is true. */
  goal: z.string().min(1).max(16_384).optional(),
  input: jsonShape.optional(),
  /**
   * Whether to begin with what the image's file says about how to start it, as `libos run` does:
   * its goal, grants, budget and the like. What is said here comes besides, or in its place.
   */
  defaults: z.boolean().default(false),
  /** Rules as text: `allow file.read(./notes/**)`, `ask …`, `deny …`. */
  grants: z.array(z.string().max(1_024)).max(256).default([]),
  budget: spentShape.optional(),
  labels: labelsShape.optional(),
  cwd: z.string().max(4_096).optional(),
  priority: z.number().int().min(1).max(100).optional(),
}).openapi("Spawn");
/** How to start a process. */
export type SpawnInput = z.input<typeof spawnShape>;

/** A signal. */
export const signalShape = z.strictObject({
  signal: z.enum(["pause", "resume", "cancel", "kill"]),
  reason: z.string().max(512).default(""),
}).openapi("Signal");

/** A message to a process. */
export const messageShape = z.strictObject({
  data: jsonShape,
  type: z.string().regex(/^[\w.-]{1,64}$/).default("message"),
  interrupt: z.boolean().default(false),
}).openapi("Message");

/** How a process ended, or that it has not yet. */
export const waitShape = z.object({
  ended: z.boolean(),
  process: processShape,
  result: jsonShape.nullable(),
}).openapi("WaitResult");

/** A tree. */
export const treeViewShape = z.object({
  tree: treeShape,
  root: pidShape,
  /** What its root is for. */
  title: z.string(),
  owner: z.string(),
  processes: z.number().int(),
  live: z.boolean(),
  seq: z.number().int(),
  head: hashShape,
  /** Why it stopped, when this node does not run it any more. */
  broken: z.string().nullable(),
  policy: z.string(),
  ceiling: z.array(z.string()),
}).openapi("Tree");
/** A tree. */
export type TreeView = z.infer<typeof treeViewShape>;

/** A running kernel. */
export const nodeShape = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(NODE_STATES),
  /** What trees may ask for. */
  labels: z.record(z.string(), z.string()),
  version: z.string(),
  startedAt: timeShape,
  trees: z.number().int(),
  /** Steps that run here; of another node, trees that have something to do. */
  running: z.number().int(),
  /** Of the kernel that answers; null of others. */
  residentBytes: z.number().int().nullable(),
  /** What the nodes of a shared store know of each other; null where one has it alone. */
  fleet: z.object({
    capacity: z.number().int(),
    held: z.number().int(),
    /** Steps a second, between its last two beats. */
    steps: z.number(),
    layout: z.number().int(),
    leaseMs: z.number().int(),
    beatAgeMs: z.number().int(),
    skewMs: z.number().int(),
    taken: z.number().int(),
    freed: z.number().int(),
    lapses: z.number().int(),
  }).nullable(),
}).openapi("Node");

/** A replica that what is only shown is read from, as it was at this question. */
export const replicaShape = z.object({
  name: z.string(),
  use: z.enum(["unasked", "used", "behind", "away", "refused"]),
  /** Why it is not used, when it is not. */
  detail: z.string(),
  /** How old at most what it has is; null: nobody knows. */
  lagMs: z.number().int().nullable(),
  /** How much of the primary's log it has not done yet; null: nobody knows. */
  lagBytes: z.number().int().nullable(),
  /** Questions that it answered, and those that went to the primary, since the server started. */
  answered: z.object({ replica: z.number().int(), primary: z.number().int() }),
}).openapi("Replica");

/** Trees that no node has. */
export const freeShape = z.object({
  ready: z.number().int(),
  resting: z.number().int(),
  /** Of each no more were counted. */
  atMost: z.number().int(),
  /** The first of those that have something to do. */
  first: z.array(z.object({
    tree: treeShape,
    title: z.string(),
    selector: z.record(z.string(), z.string()).nullable(),
  })),
}).openapi("FreeTrees");
