/**
 * The log, its proof, the stream and the overview as the API shows them.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { checkpointShape } from "./memory.ts";
import {
  capIdShape,
  hashShape,
  jsonShape,
  pageShape,
  pidShape,
  timeShape,
  treeShape,
} from "./shape.ts";

/** One line of a log, told. */
export const eventShape = z.object({
  tree: treeShape,
  seq: z.number().int(),
  at: timeShape,
  pid: pidShape.nullable(),
  /** `call.done`, `process.ended`, … */
  type: z.string(),
  /** What happened, in a word and a sentence. Agents may have written parts: show it as text. */
  word: z.string(),
  text: z.string(),
  decision: z.enum(["allow", "ask", "deny"]).nullable(),
  /** The place of the call that the line is of: `p_1#4.2`. */
  call: z.string().nullable(),
  /** The whole line, with its values; only where they were revealed. */
  data: jsonShape.optional(),
  /** The hash of the line before; only with the whole line. */
  prev: z.string().optional(),
}).openapi("Event");
/** One line of a log, told. */
export type EventView = z.infer<typeof eventShape>;
/** A page of lines. */
export const eventPage = pageShape(eventShape, "EventPage");

/** What the stream is made of. */
export const STREAM_KINDS = [
  "process.state",
  "process.text",
  "model.call",
  "syscall.request",
  "syscall.decision",
  "syscall.result",
  "approval.created",
  "approval.changed",
  "approval.decided",
  "approval.escalated",
  "object.version",
  "checkpoint.created",
  "tool.registered",
  "budget.warning",
  "node.state",
  "audit.head",
] as const;

/** One thing on the stream: a summary, never a secret or an object's content. */
export const streamEventShape = z.object({
  /** Where to go on from. */
  id: z.string(),
  kind: z.enum(STREAM_KINDS),
  tree: treeShape.nullable(),
  pid: pidShape.nullable(),
  seq: z.number().int().nullable(),
  at: timeShape,
  summary: z.record(z.string(), jsonShape),
}).openapi("StreamEvent");
/** One thing on the stream. */
export type StreamEvent = z.infer<typeof streamEventShape>;

/** Something that a process did, on a timeline. */
export const barShape = z.object({
  lane: z.enum(["model", "syscalls", "tools", "people", "children"]),
  /** The line that it began with. */
  seq: z.number().int(),
  name: z.string(),
  resource: z.string(),
  from: timeShape,
  /** Null while it is not over. */
  to: timeShape.nullable(),
  decision: z.enum(["allow", "ask", "deny"]),
  ok: z.boolean().nullable(),
}).openapi("Bar");
/** Something that a process did, on a timeline. */
export type BarView = z.infer<typeof barShape>;
/** A page of a timeline. */
export const timelineShape = pageShape(barShape, "Timeline");

/** A call, with its arguments and result where they were revealed. */
export const callShape = z.object({
  tree: treeShape,
  seq: z.number().int(),
  pid: pidShape,
  call: z.string(),
  name: z.string(),
  /** What it is about: the first right that it needs. */
  resource: z.string(),
  /** Whether its values are shown; where not, `args` and `result` are null. */
  revealed: z.boolean(),
  args: jsonShape,
  result: jsonShape.nullable(),
  ok: z.boolean().nullable(),
  code: z.string().nullable(),
  decision: z.enum(["allow", "ask", "deny"]),
  caps: z.array(z.string()),
  rule: z.string().nullable(),
  at: timeShape,
  ms: z.number().nullable(),
}).openapi("Call");

/** What was sent outside, and how it came out. */
export const sentShape = z.object({
  tree: treeShape,
  /** The line of its intent. */
  seq: z.number().int(),
  at: timeShape,
  pid: pidShape,
  call: z.string(),
  name: z.string(),
  /** What it was about, in words. */
  what: z.string(),
  /** "in doubt": nobody knows; its outcome may be under way. */
  state: z.enum(["committed", "failed", "in doubt", "repeated", "reconciled", "compensated"]),
  /** The line of its outcome. */
  outcome: z.number().int().nullable(),
  /** How the outcome came to be known. */
  via: z.string().nullable(),
  why: z.string(),
}).openapi("SentEffect");
/** What was sent outside, and how it came out. */
export type SentView = z.infer<typeof sentShape>;

/** Why a past call was let through or refused. */
export const storyShape = z.object({
  tree: treeShape,
  seq: z.number().int(),
  pid: pidShape,
  call: z.string(),
  name: z.string(),
  resource: z.string(),
  decision: z.enum(["allow", "ask", "deny"]),
  rule: z.string().nullable(),
  chain: z.array(z.object({ id: capIdShape, via: z.string(), by: z.string() })),
  request: z.string().nullable(),
  /** Sentences for people, the answer first. */
  story: z.array(z.string()),
}).openapi("CallStory");

/** A turn of a conversation. */
export const turnShape = z.object({
  seq: z.number().int().nullable(),
  role: z.enum(["system", "user", "assistant", "tool"]),
  text: z.string(),
  calls: z.array(z.object({ id: z.string(), name: z.string(), input: jsonShape })),
}).openapi("Turn");

/** What a tree was at a line. */
export const stateShape = z.object({
  tree: treeShape,
  /** The checkpoint that names the line; null where none does. */
  checkpoint: checkpointShape.nullable(),
  seq: z.number().int(),
  atMs: z.number(),
  processes: z.array(z.object({
    pid: pidShape,
    state: z.string(),
    step: z.number().int(),
    goal: z.string(),
    spent: z.record(z.string(), z.number()),
    context: z.number().int(),
  })),
  objects: z.array(z.object({ name: z.string(), version: z.number().int() })),
  capabilities: z.array(z.object({ subject: pidShape, rule: z.string() })),
  requests: z.array(z.object({ id: z.string(), pid: pidShape, what: z.string() })),
  tools: z.array(z.object({ pid: pidShape, name: z.string(), tool: z.string() })),
  /** How much was left out, by part. */
  more: z.record(z.string(), z.number()),
}).openapi("State");
/** What a tree was at a line. */
export type StateView = z.infer<typeof stateShape>;

/** What checking came to of one tree; `tree` is null for the seals of all. */
export const checkedShape = z.object({
  tree: treeShape.nullable(),
  ok: z.boolean(),
  lines: z.number().int(),
  head: z.string(),
  /** Payloads that were erased, as the log says. */
  erased: z.number().int(),
  broken: z.string().nullable(),
  /** The line where the damage begins, where that is known. */
  line: z.number().int().nullable(),
  /** Of the seals, where they were looked at one by one. */
  seals: jsonShape.optional(),
}).openapi("Checked");
/** What checking came to of one tree. */
export type CheckedView = z.infer<typeof checkedShape>;

/** What checking one tree came to: the tree, and the seals where there are any. */
export const checkedListShape = z.object({ items: z.array(checkedShape) }).openapi("CheckedList");

/** What checking the logs came to. */
export const verifiedShape = z.object({
  ok: z.boolean(),
  trees: z.number().int(),
  lines: z.number().int(),
  /** Sealed size and root, where the store is sealed. */
  sealed: z.object({ size: z.number(), root: hashShape }).nullable(),
  broken: z.array(z.object({ tree: treeShape, seq: z.number().int().nullable(), why: z.string() })),
  /** Every tree that was checked, in order of number, and the seals last. */
  checked: z.array(checkedShape),
}).openapi("Verified");

/** Numbers for the first page. */
export const overviewShape = z.object({
  running: z.number().int(),
  waiting: z.number().int(),
  /** Requests that wait for a person. */
  requests: z.number().int(),
  /** Processes that failed in the last day; for a token with labels, those of trees that live. */
  failed: z.number().int(),
  oldestRequestAt: timeShape.nullable(),
  inDoubt: z.number().int(),
  spent: z.object({ usd: z.number(), tokens: z.number(), modelCalls: z.number() }),
  spentToday: z.object({ usd: z.number(), tokens: z.number(), modelCalls: z.number() }),
  eventsPerMinute: z.number(),
  tier: z.string().nullable(),
  audit: z.object({ ok: z.boolean(), checkedAt: timeShape, lines: z.number() }).nullable(),
}).openapi("Overview");
/** Numbers for the first page. */
export type OverviewView = z.infer<typeof overviewShape>;

/** Points over time, oldest first. */
export const seriesShape = z.object({
  name: z.enum(["usd", "tokens", "calls", "denials", "personWaitMs"]),
  stepMs: z.number().int(),
  from: timeShape,
  /** A row a key: "" for all, or a right. */
  rows: z.array(z.object({ key: z.string(), points: z.array(z.number()) })),
}).openapi("Series");
/** Points over time. */
export type SeriesView = z.infer<typeof seriesShape>;

/** An effect whose outcome nobody knows, or that is under way. */
export const effectShape = z.object({
  tree: treeShape,
  seq: z.number().int(),
  pid: pidShape,
  call: z.string(),
  name: z.string(),
  /** What it is about: the first right that it needs. */
  resource: z.string(),
  /** Null where they were not revealed. */
  args: jsonShape,
  revealed: z.boolean(),
  request: z.string().nullable(),
  at: timeShape,
}).openapi("Effect");
/** An effect whose outcome nobody knows. */
export type EffectView = z.infer<typeof effectShape>;
/** A page of effects. */
export const effectPage = pageShape(effectShape, "EffectPage");

/** A token, without its secret. */
export const tokenShape = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(["viewer", "approver", "operator", "admin"]),
  labels: z.record(z.string(), z.string()),
  createdAt: timeShape,
  expiresAt: timeShape.nullable(),
}).openapi("Token");
/** A token that was just made: its secret is shown once. */
export const newTokenShape = tokenShape.extend({ secret: z.string() }).openapi("NewToken");
