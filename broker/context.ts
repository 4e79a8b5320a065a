/**
 * What a handler is told of the call it handles.
 * @module
 */

import type { Draft } from "../kernel/draft.ts";
import type { AskingTool, Spending, ValueRef } from "../kernel/event.ts";
import type { Pid } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";
import { joinLabels, type Label, originAmong, withOrigin } from "../kernel/label.ts";
import type { Risk } from "../kernel/policy.ts";
import type { ParkedCall, Process } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import { riskOf } from "./ask.ts";
import { addTo, type Call, callId, type Host, idempotencyKey, toolOf } from "./call.ts";
import { mayAlso } from "./judge.ts";
import { Port, type PortRights } from "./port.ts";
import type { Run } from "./run.ts";
import {
  type AnySyscall,
  type CallContext,
  type DecideContext,
  isFree,
  type Need,
  type World,
} from "./syscall.ts";

/** The part of the door which a handler reaches through its context. */
export interface ContextDoor {
  readonly world: World;
  readonly host: Host;
  readonly table: ReadonlyMap<string, AnySyscall>;
  now(tree: Tree): number;
  call(run: Run, parent: string, name: string, rawArgs: unknown): Promise<unknown>;
  callAt(run: Run, key: string, name: string, rawArgs: unknown): Promise<unknown>;
}

/** The context of a call: one is made for each, so that what few handlers ask for is a getter. */
export class Context implements CallContext {
  readonly tree: Tree;
  readonly process: Process;
  readonly pid: Pid;
  readonly cwd: string;
  readonly key: string;
  readonly nowMs: number;
  readonly world: World;
  readonly parked: ParkedCall | undefined;
  readonly #door: ContextDoor;
  readonly #call: Call;

  /** What the handler of `call` is told. */
  constructor(door: ContextDoor, call: Call) {
    const { tree, process, key } = call;
    this.tree = tree;
    this.process = process;
    this.pid = process.pid;
    this.cwd = call.cwd;
    this.key = key;
    this.nowMs = door.now(tree);
    this.world = door.world;
    this.parked = process.parked[key];
    this.#door = door;
    this.#call = call;
  }

  get call(): string {
    return callId(this.#call);
  }

  get signal(): AbortSignal {
    return this.#call.run.signal;
  }

  get heard(): AbortSignal {
    return this.#call.frame?.signal ?? this.signal;
  }

  get over(): Promise<unknown> {
    return this.#call.run.ended;
  }

  get tool(): AskingTool | undefined {
    return toolOf(this.#call).tool;
  }

  get idempotencyKey(): string {
    return idempotencyKey(this.tree, this.call);
  }

  async load(ref: ValueRef): Promise<Json> {
    const { tree } = this;
    return tree.peek(ref) ??
      await this.#door.host.load(tree, (ref as { readonly hash: string }).hash);
  }

  taint(what: Label): void {
    const { notes } = this.#call;
    const label = withOrigin(what, originAmong(notes.needs));
    notes.label = notes.label === null ? label : joinLabels(notes.label, label);
  }

  book(spent: Spending): void {
    addTo(this.#call.notes.spent, spent);
  }

  sys(name: string, args: unknown): Promise<unknown> {
    return this.#door.call(this.#call.run, this.key, name, args);
  }

  program(): void {
    this.#call.run.programs.set(this.key, new Set());
  }

  port(tool: PortRights): Port {
    const { run } = this.#call;
    return new Port(
      { run, process: this.process, parent: this.key, tool },
      (name, args, place) => this.#door.callAt(run, place, name, args),
    );
  }

  riskOf(right: string): Risk {
    return riskOf(this.#door.table, right);
  }

  isFree(right: string): boolean {
    return isFree(this.#door.table.get(right));
  }

  may(need: Need): boolean {
    return mayAlso(this.#door, this.#call, need);
  }

  stream(chunk: string): void {
    this.#call.run.stream(chunk);
  }

  waits(isWaiting: boolean): void {
    this.#call.run.waits(isWaiting);
  }
}

/** The context of a call that changes the log. */
export class DecidingContext extends Context implements DecideContext {
  readonly draft: Draft;

  /** What the handler of `call` is told, with the draft of what it decides. */
  constructor(door: ContextDoor, call: Call, draft: Draft) {
    super(door, call);
    this.draft = draft;
  }
}
