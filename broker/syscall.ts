/**
 * A system call as one record: meaning, effect, schemas, authority and handler together.
 *
 * All else is derived from the table of these records: dispatch, client types, the JSON Schema
 * which models see, the reference page, the test that every call is covered.
 * @module
 */

import { z } from "zod";
import type { BranchEdits } from "../kernel/branch.ts";
import type { Draft } from "../kernel/draft.ts";
import type { AskingTool, Spending, ValueRef, Wait } from "../kernel/event.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";
import type { Label } from "../kernel/label.ts";
import type { Mcp } from "../kernel/mcp.ts";
import type { Net } from "../kernel/net.ts";
import type { Risk } from "../kernel/policy.ts";
import type { Programs } from "../kernel/program.ts";
import type { ParkedCall, Process, State } from "../kernel/state.ts";
import type { Shell } from "../kernel/shell.ts";
import type { Skills } from "../kernel/skill.ts";
import type { Simulator } from "../kernel/simulate.ts";
import type { Touched } from "../kernel/touch.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Clock, Files, Model, Random } from "../kernel/world.ts";
import type { Most } from "./holding.ts";
import type { Port, PortRights } from "./port.ts";
import type { Workshop } from "./sandbox.ts";
import type { Tool } from "./tool.ts";

/** Everything outside, as boot code hands it to the broker (G8). */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files | null;
  /** Runs programs of the machine; null when this runtime runs none. */
  readonly shell: Shell | null;
  /** Null or absent when this runtime reaches no net. */
  readonly net?: Net | null;
  /** The model behind an id or pattern, or undefined. */
  model(id: string): Model | undefined;
  /** The world model behind an id; absent where a runtime has none. */
  simulator?(id: string): Simulator | undefined;
  /** Skills in folders; absent where a runtime has none. */
  readonly skills?: Skills;
  /** The skills of a package, by its hash; undefined where it is not known here. */
  packaged?(hash: string): Skills | undefined;
  /** The code of a tool, or undefined when this node does not have it. */
  tool(name: string): Tool | undefined;
  /** Mounted servers of tools; null when this runtime has none. */
  readonly mcp: Mcp | null;
  /** What a tree was at an earlier position of its log, all of which is durable by then. */
  history(tree: Tree, seq: number): Promise<State>;
  /** Starts trees from positions of others. */
  readonly branches: Branches;
  /** Where generated tools are checked and run; null when this runtime has none. */
  readonly workshop: Workshop | null;
  /** Starts whole Deno programs; absent when this runtime has none. */
  readonly programs?: Programs | undefined;
}

/** Starts trees from positions of others. */
export interface Branches {
  /** The tree that a branch with this key will be; the same for the same key until it has ended. */
  reserve(key: string): Promise<TreeId>;
  /** Whether it was started. */
  isStarted(tree: TreeId): Promise<boolean>;
  /** Starts it, and returns its root. */
  start(from: Tree, branch: {
    readonly seq: number;
    readonly by: Pid;
    readonly key: string;
    readonly edits: BranchEdits;
  }): Promise<Pid>;
}

/** `observe` reads; `mutate` changes only the log; `emit` touches the world. */
export type Effect = "observe" | "mutate" | "emit";

/** One right that a call needs, on one resource. */
export interface Need {
  readonly right: string;
  readonly resource: string;
  /** What a refusal shows instead: the caller's own words, which tell nothing (G9). */
  readonly shown?: string;
  /** Bytes that the call moves, for capabilities which bound them. */
  readonly bytes?: number;
  /** Why a person's word is needed, whatever the rules say. */
  readonly ask?: string;
  /** What that word is bound to, besides the arguments. */
  readonly binds?: Json;
  /** What that word is asked for as; a review by default. */
  readonly kind?: "permission" | "review";
  /** What a constraint on this right is over, where that is not the call's own arguments. */
  readonly args?: Json;
  /** How much harm it could do, where that is more than the call's by itself. */
  readonly risk?: Risk;
}

/** What a handler knows about the call it handles. */
export interface CallContext {
  readonly tree: Tree;
  readonly process: Process;
  readonly pid: Pid;
  /** The working directory when the call was made; what was judged is what is done. */
  readonly cwd: string;
  /** Place of the call in its step. */
  readonly key: string;
  /** The call's id for people and provenance: `p_1#4.2`. */
  readonly call: string;
  readonly nowMs: number;
  readonly world: World;
  /** What this call waited for when it was issued before; undefined the first time. */
  readonly parked: ParkedCall | undefined;
  readonly signal: AbortSignal;
  /** Aborted when nobody hears the answer any more; what was begun may still be finished. */
  readonly heard: AbortSignal;
  /** Settles when the step's code lives no longer: then calls from inside are never answered. */
  readonly over: Promise<unknown>;
  /** The generated tool that makes this call, and which version of it; undefined for other code. */
  readonly tool: AskingTool | undefined;
  /** The same for every attempt at this effect. */
  readonly idempotencyKey: string;
  /** Fetches a value that is not in memory. */
  load(ref: ValueRef): Promise<Json>;
  /** Joins a label into the caller's, since what it reads carries it. Says where it is from. */
  taint(label: Label): void;
  /** Books spending that is known only afterwards. */
  book(spent: Spending): void;
  /** Calls from inside this one, in the caller's name. */
  sys(name: string, args: unknown): Promise<unknown>;
  /** From here on calls from inside are a program's: counted apart, and asked about ahead. */
  program(): void;
  /** Opens the port of a generated tool: calls from inside this one, for what it declared. */
  port(tool: PortRights): Port;
  /** How much harm a right could do: that of the worst call it opens. */
  riskOf(right: string): Risk;
  /** Whether this is the right of a call that nobody needs a capability for. */
  isFree(right: string): boolean;
  /** Whether the caller may do this as well, now and without asking or spending a use. */
  may(need: Need): boolean;
  /** A chunk of text for whoever listens; never part of the log. */
  stream(chunk: string): void;
  /** This call begins to wait for a turn at a gate, or does so no longer: others run meanwhile. */
  waits(isWaiting: boolean): void;
}

/** What a mutating handler has besides: the draft of what it decides. */
export interface DecideContext extends CallContext {
  readonly draft: Draft;
}

/** Returned by a handler whose process has to wait; the call is issued again from the top. */
export class Parked {
  readonly on: Wait;
  /** Parks the caller on `on`. */
  constructor(on: Wait) {
    this.on = on;
  }
}

/** Returned by a handler after which the running step is over: exit, exec. */
export const STEP_OVER = Symbol("step over");

/** What an effect does to a path; its content before is at hand. */
export interface Touching extends Omit<Touched, "content"> {
  /** As text, or as base64; null when there is none to keep. */
  readonly content: Json;
}

/** What a provider says of an effect whose outcome was lost. */
export type Reconciled =
  | { readonly state: "done"; readonly reply: Json }
  | { readonly state: "not-done" }
  | { readonly state: "unknown" };

/** What rights are worked out from, besides arguments. */
export interface NeedContext {
  readonly tree: Tree;
  readonly process: Process;
  /** The working directory when the call was made. Handlers use this one, never the process's. */
  readonly cwd: string;
  readonly world: World;
}

interface Common<A, P> {
  /** One sentence: what it does. */
  readonly about: string;
  /** "closed": no generated tool reaches it. "free": a tool need not declare it. */
  readonly port?: "closed" | "free";
  /**
   * "ahead": who has to ask a person does not wait for the answer. The call fails with `EAGAIN`,
   * and once somebody said yes the next one like it is let through.
   */
  readonly asks?: "ahead";
  /** After it the running step is over, also when it is answered from the log. */
  readonly ends?: boolean;
  /** How much harm a wrong call could do, as people are shown it. */
  readonly risk?: Risk;
  /** How much harm a call with these arguments could do, where that differs. */
  weigh?(args: A): Risk;
  readonly args: z.ZodType<A>;
  readonly reply: z.ZodType;
  /** Rights the call needs; empty means that only the caller's own things are touched. */
  needs(args: A, at: NeedContext): readonly Need[];
  /** Rights that it hands to another process, as rules: a generated tool hands on no others. */
  hands?(args: A, tree: Tree): readonly string[];
  /** What a person is shown who is asked about it, besides the rule. */
  preview?(at: CallContext, args: A): Promise<string>;
  /** What it uses up; 0 where the amount is known only afterwards. */
  cost?(args: A): Spending;
  /** Reads what the decision needs, before the last check. */
  prepare?(at: CallContext, args: A): Promise<P>;
  /** What it sends that its arguments only name: a release by a person is bound to it. */
  sends?(prepared: P): Json;
}

/** A call that reads. */
export interface Observe<A, P> extends Common<A, P> {
  readonly effect: "observe";
  run(at: CallContext, args: A, prepared: P): unknown | Promise<unknown>;
}

/** A call that changes only the log; decides in one turn. */
export interface Mutate<A, P> extends Common<A, P> {
  readonly effect: "mutate";
  run(at: DecideContext, args: A, prepared: P): unknown | Parked | typeof STEP_OVER;
}

/** A call made of other calls. */
export interface Compose<A, P> extends Common<A, P> {
  readonly effect: "mutate";
  compose(at: CallContext, args: A): Promise<unknown>;
}

/** A call that touches the world. */
export interface Emit<A, P> extends Common<A, P> {
  readonly effect: "emit";
  /** What the world looked like before, kept with the intent for reconciling. */
  before?(prepared: P): Json;
  run(at: CallContext, args: A, prepared: P): Promise<unknown>;
  /** What it may cost at most, in money, as things stand; undefined where nobody knows. */
  most?(
    of: { readonly tree: Tree; readonly process: Process },
    args: A,
    prepared: P,
  ): Most | undefined;
  /** What it will do to files, so that it can be taken back. */
  touches?(prepared: P): readonly Touching[];
  /** After a crash: "safe" may simply be sent again; a function asks the provider. */
  readonly lost:
    | "safe"
    | ((at: CallContext, args: A, before: Json) => Promise<Reconciled>);
  /**
   * Takes it back, where even the provider cannot tell whether it happened; done twice, or when it
   * never happened, it changes nothing more. Without one a person is asked.
   */
  compensate?(at: CallContext, args: A, before: Json): Promise<void>;
}

/** A system call. */
export type Syscall<A = never, P = never> =
  | Observe<A, P>
  | Mutate<A, P>
  | Compose<A, P>
  | Emit<A, P>;

/** A call of any arguments, as the table holds it. */
// deno-lint-ignore no-explicit-any -- a table of calls with different arguments has no other type
export type AnySyscall = Syscall<any, any>;

/** Declares a call; keeps the types of its arguments and reply. */
export function syscall<A extends z.ZodType, R extends z.ZodType, P = undefined>(
  record: Syscall<z.output<A>, P> & { readonly args: A; readonly reply: R },
): Syscall<z.output<A>, P> & { readonly args: A; readonly reply: R } {
  return record;
}

/** Stands in for the record of a call that there is none of. */
export const NO_CALL: AnySyscall = {
  about: "Nothing",
  effect: "observe",
  args: z.unknown(),
  reply: z.unknown(),
  needs: () => [],
  run: () => null,
};

/** Whether a call needs no right, whatever its arguments. */
export function isFree(def: AnySyscall | undefined): boolean {
  // Where needs come from arguments there may be some.
  return def !== undefined && def.needs.length === 0 &&
    def.needs(undefined, undefined as never).length === 0;
}
