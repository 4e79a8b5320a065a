/**
 * The system as commands see it: the store here, or a server. Both tell it in the API's shapes.
 * @module
 */

import type { BudgetLimits } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import type { Signal } from "../kernel/process.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import type { CapabilityView } from "../server/schema/authority.ts";
import type { EventView } from "../server/schema/evidence.ts";
import type { Put } from "../kernel/put.ts";
import type { CheckpointView, ObjectView } from "../server/schema/memory.ts";
import type { ProcessView } from "../server/schema/process.ts";
import type { RequestView } from "../server/schema/request.ts";
import type { Context } from "./command.ts";
import { LocalSystem } from "./system_here.ts";
import { RemoteSystem } from "./system_there.ts";

/** Which processes to list. */
export interface ProcessQuery {
  /** Those that ended too. */
  readonly all: boolean;
  /** `waiting`, or `waiting/person`. */
  readonly state?: string | undefined;
  /** `k=v`, all of them. */
  readonly labels?: readonly string[];
  /** Those of one tree. */
  readonly tree?: string;
}

/** What a signal did. */
export interface Signaled {
  readonly process: ProcessView;
  /** Whether a kernel runs, so that processes go on by themselves. */
  readonly isRunning: boolean;
}

/** A message to a process. */
export interface Sent {
  readonly type: string;
  readonly data: Json;
  readonly interrupt: boolean;
}

/** Part of a model's answer, as it comes. */
export interface ModelText {
  readonly pid: string;
  readonly text: string;
}

/** The system: every id may be a prefix that only one thing has. */
export interface System {
  /** Processes, in order of tree and number. */
  processes(query: ProcessQuery): Promise<ProcessView[]>;
  /** One process. */
  process(word: string): Promise<ProcessView>;
  /** What a process holds, itself or by its ancestors. */
  held(pid: string): Promise<CapabilityView[]>;
  /** Lines of a tree's log from a number on, of one process where it is named. */
  lines(tree: string, of: { readonly from: number; readonly pid?: string }): AsyncIterable<
    EventView
  >;
  /** Yields now and whenever something may have changed, until it is aborted. */
  changes(signal: AbortSignal): AsyncIterable<void>;
  /** What models answer, as it comes; ends at once where nobody can tell. */
  texts(signal: AbortSignal): AsyncIterable<ModelText>;
  /** Sends a signal to a process and all below it. */
  signal(pid: string, signal: Signal, reason: string): Promise<Signaled>;
  /** Sends a process a message. */
  send(pid: string, message: Sent): Promise<void>;
  /** Sets limits of a process. */
  limit(pid: string, limits: BudgetLimits): Promise<void>;
  /** Gives the position of a process's tree a name. */
  checkpoint(pid: string, name: string): Promise<CheckpointView>;
  /** Puts a value into a process's memory. */
  put(pid: string, put: Omit<Put, "pid" | "by">): Promise<ObjectView>;
  /** Requests that wait for an answer, oldest first. */
  requests(): Promise<RequestView[]>;
  /** One request. */
  request(word: string): Promise<RequestView>;
  /** What a rule over a request would have matched, in a sentence. */
  matches(request: string, resource: string): Promise<string>;
  /** Answers a request that was shown, and tells what that did, a line each. */
  decide(request: RequestView, answer: PersonAnswer): Promise<string[]>;
  /** What a process that ended exited with. */
  result(pid: string): Promise<Json>;
}

/** The system that a command works on. */
export function systemOf(at: Context): System {
  return at.client === null ? new LocalSystem(at) : new RemoteSystem(at.client);
}
