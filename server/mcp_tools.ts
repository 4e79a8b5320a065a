/**
 * What other agents are offered over MCP: each tool is one route of the HTTP API.
 *
 * Invariants:
 *   O1. A tool does nothing but make its request, with the caller's own token: what the token may
 *       not, its route refuses.
 * @module
 */

import { z } from "zod";
import { LIMITS } from "../kernel/limits.ts";
import type { Role } from "./principal.ts";
import { messageShape, signalShape, spawnShape } from "./schema/process.ts";
import { decisionShape, REQUEST_KINDS } from "./schema/request.ts";
import { hashShape, pidShape, requestIdShape, treeShape } from "./schema/shape.ts";

/** A request to the API. */
export interface ApiRequest {
  readonly method: "GET" | "POST";
  /** With what stands after "?". */
  readonly path: string;
  readonly body?: unknown;
  /** Its Idempotency-Key. */
  readonly key?: string;
}

/** One tool. */
export interface OfferedTool {
  /** For models: what it does, in a sentence or two. */
  readonly about: string;
  /** The least role that its route answers; others are not shown it. */
  readonly role: Role;
  /** Hints of the protocol. */
  readonly hints: Readonly<Record<"readOnlyHint" | "destructiveHint" | "idempotentHint", boolean>>;
  /** What it takes. */
  readonly args: z.ZodType;
  /** Its request; null where the client's person is asked first. Throws nothing. */
  request(args: unknown): ApiRequest | null;
}

const READS = { readOnlyHint: true, destructiveHint: false, idempotentHint: true };
const WRITES = { readOnlyHint: false, destructiveHint: false, idempotentHint: false };
const ENDS = { readOnlyHint: false, destructiveHint: true, idempotentHint: false };

const PAGE = {
  limit: z.number().int().min(1).max(100).default(50),
  after: z.string().max(512).optional().describe("`next` of the page before"),
};

/** One record a tool, its arguments typed by its own schema. */
function offered<T extends z.ZodType>(
  tool: Omit<OfferedTool, "args" | "request"> & {
    readonly args: T;
    readonly request: (args: z.output<T>) => ApiRequest | null;
  },
): OfferedTool {
  return { ...tool, request: (args) => tool.request(args as z.output<T>) };
}

const get = (path: string, query: Readonly<Record<string, unknown>> = {}): ApiRequest => {
  const said = Object.entries(query).filter(([, value]) => value !== undefined)
    .map(([key, value]) => [key, String(value)]);
  const text = new URLSearchParams(said).toString();
  return { method: "GET", path: text === "" ? path : `${path}?${text}` };
};

/** Every tool, by its name. */
export const OFFERED: Readonly<Record<string, OfferedTool>> = {
  image_list: offered({
    about: "List the images that processes can be started from",
    role: "viewer",
    hints: READS,
    args: z.strictObject({}),
    request: () => get("/v1/images"),
  }),
  process_list: offered({
    about: "List processes: what they are for, how they stand, what they wait for",
    role: "viewer",
    hints: READS,
    args: z.strictObject({
      all: z.boolean().default(false).describe("Ended ones too"),
      state: z.string().max(64).optional().describe("`waiting`, or `waiting/person`"),
      tree: treeShape.optional(),
      ...PAGE,
    }),
    request: (query) => get("/v1/processes", query),
  }),
  process_status: offered({
    about: "Look at one process: its state, what it waits for, what it has used up",
    role: "viewer",
    hints: READS,
    args: z.strictObject({ pid: pidShape }),
    request: ({ pid }) => get(`/v1/processes/${pid}`),
  }),
  process_wait: offered({
    about: "Wait until a process has ended, or the time is up; with what it exited with, for " +
      "tokens of role operator",
    role: "viewer",
    hints: READS,
    args: z.strictObject({
      pid: pidShape,
      timeoutMs: z.number().int().min(0).max(LIMITS.httpWaitMsMax).default(20_000),
    }),
    request: ({ pid, timeoutMs }) => get(`/v1/processes/${pid}/wait`, { timeoutMs }),
  }),
  process_spawn: offered({
    about: "Start a process from an image, with exactly the rights in `grants` and no others; " +
      "what it may not, it asks a person for, or is refused",
    role: "operator",
    hints: WRITES,
    // Without what an image's file says: what is granted stands in the call, and nowhere else.
    args: spawnShape.omit({ defaults: true }).required({ goal: true }).extend({
      key: z.string().regex(/^[\x21-\x7e]{1,128}$/).optional()
        .describe("A second call with the same key returns the process of the first"),
    }),
    request: ({ key, ...body }) => ({
      method: "POST",
      path: "/v1/processes",
      body,
      ...(key === undefined ? {} : { key }),
    }),
  }),
  process_message: offered({
    about: "Send a process a message",
    role: "operator",
    hints: WRITES,
    args: messageShape.extend({ pid: pidShape }),
    request: ({ pid, ...body }) => ({
      method: "POST",
      path: `/v1/processes/${pid}/messages`,
      body,
    }),
  }),
  process_signal: offered({
    about: "Pause, resume, cancel or kill a process and all below it",
    role: "operator",
    hints: ENDS,
    args: signalShape.extend({ pid: pidShape }),
    request: ({ pid, ...body }) => ({ method: "POST", path: `/v1/processes/${pid}/signals`, body }),
  }),
  request_list: offered({
    about: "List requests to people: permissions and questions that processes wait for",
    role: "viewer",
    hints: READS,
    args: z.strictObject({
      status: z.enum(["pending", "all"]).default("pending"),
      kind: z.enum(REQUEST_KINDS).optional(),
      tree: treeShape.optional(),
      ...PAGE,
    }),
    request: (query) => get("/v1/approvals", query),
  }),
  request_show: offered({
    about: "Look at one request: the call, why a person is asked, what it would change",
    role: "viewer",
    hints: READS,
    args: z.strictObject({ request: requestIdShape }),
    request: ({ request }) => get(`/v1/approvals/${request}`),
  }),
  request_answer: offered({
    about: "Answer a request. Without a `decision` the person at your client is asked. With one " +
      "it is given in the name of the token; for a call, with the argsHash of what was shown",
    role: "approver",
    hints: ENDS,
    args: z.strictObject({
      request: requestIdShape,
      decision: decisionShape.optional(),
      argsHash: hashShape.optional().describe("Of the call that request_show has shown"),
      askers: z.number().int().min(1).default(1)
        .describe("How many processes ask, as request_show has shown"),
    }),
    request: ({ request, decision, argsHash, askers }) =>
      decision === undefined ? null : {
        method: "POST",
        path: `/v1/approvals/${request}/decision`,
        body: { decision, askers, ...(argsHash === undefined ? {} : { argsHash }) },
      },
  }),
};
