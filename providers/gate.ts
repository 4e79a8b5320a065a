/**
 * A gate before a rate-limited endpoint: what waits for its turn, is sent, and is sent again.
 *
 * Invariants:
 *   G1. Whoever waits costs no timer of its own: there is one, and none while none is needed.
 *   G2. A call that is stopped leaves at once, from wherever it is.
 *   G3. What the last attempt failed with is what the caller hears, with how often it was tried.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { Admission, type AttemptEnd, type Entering, type GateState } from "../kernel/gate.ts";
import { type Head, ratesOf } from "../kernel/gate_head.ts";
import type { GateOptions } from "../kernel/gate_options.ts";
import type { Clock, Model, ModelAsking, ModelReply } from "../kernel/world.ts";
import type { Shares } from "../kernel/shares.ts";
import { LIMITS } from "../kernel/limits.ts";
import { realClock } from "./clock.ts";
import { type Permit, permitOf, type SharedGate } from "./gate_shared.ts";
import { countRequestTokens } from "./models/scripted.ts";

/** One attempt, as whoever made it saw it. */
export type Attempt<T> =
  & {
    readonly how: AttemptEnd["how"];
    /** The headers of its answer. */
    readonly head: Head;
    /** Tokens it took. */
    readonly tokens?: number;
  }
  & ({ readonly value: T } | { readonly error: unknown });

/** How a call passes. */
export interface Passing<T> {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Hears when it begins to wait, and when it is sent. */
  readonly onWait?: ((waits: boolean) => void) | undefined;
  /** Makes an attempt; it does not throw. What its headers say may be told before its end. */
  attempt(onHead: (head: Head) => void): Promise<Attempt<T>>;
}

/**
 * A gate: one for each endpoint and key, shared by all that ask there.
 *
 * @example
 * ```ts
 * import { gated, Gate } from "@agent-libos/core";
 * import { scriptedModel } from "@agent-libos/core/testing";
 * const gate = new Gate({ requestsPerMinute: 50, concurrency: 4 });
 * const model = gated(scriptedModel(["Hello!"]), gate);
 * const request = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
 * const { text } = await model.generate(request, { signal: AbortSignal.timeout(10_000) });
 * console.assert(text === "Hello!" && gate.state().counts.passed === 1);
 * ```
 */
export class Gate {
  readonly #rules: Admission;
  readonly #options: GateOptions & { readonly shared?: SharedGate };
  readonly #clock: Clock;
  readonly #turns = new Map<number, Waiting>();
  #wakeAtMs: number | null = null;
  #sleep = new AbortController();

  /** Opens one. Throws `EINVAL` for a setting that is out of range. */
  constructor(
    options: GateOptions & { readonly clock?: Clock; readonly shared?: SharedGate } = {},
  ) {
    this.#rules = new Admission(options);
    this.#options = options;
    this.#clock = options.clock ?? realClock;
  }

  /** How it stands. */
  state(): GateState {
    return this.#rules.state(this.#clock.now());
  }

  /**
   * Sends a call when it is its turn, and again where that may help.
   * @internal
   */
  async pass<T>(call: Entering, passing: Passing<T>): Promise<T> {
    const { signal, onWait } = passing;
    if (signal.aborted) throw stopped(signal);
    const cameMs = this.#clock.now();
    const untilMs = cameMs + (this.#options.waitMs ?? LIMITS.gateWaitMsDefault);
    const id = this.#rules.enter(call, cameMs);
    let waits = false;
    let last: { readonly error: unknown } | undefined;
    try {
      for (;;) {
        const turn = this.#turn(id, signal);
        this.#pump();
        if (!waits && this.#turns.has(id)) onWait?.(waits = true);
        if (!await turn) throw this.#late(id, call, last?.error);
        if (this.#options.shared !== undefined && !waits) onWait?.(waits = true);
        const permit = await this.#permit(call, untilMs, signal);
        if (waits) onWait?.(waits = false);
        const made = await passing.attempt((head) => this.#heard(id, head));
        await permit?.end(beyond(call, made, this.#clock.now()));
        const attempts = this.#rules.attempts(id);
        if (signal.aborted && !("value" in made) && !isLate(signal.reason)) throw made.error;
        const fate = this.#ended(id, made);
        if ("value" in made) return made.value;
        if (fate === "over") throw triedOften(made.error, attempts);
        if (signal.aborted) throw made.error;
        last = made;
      }
    } finally {
      this.#turns.delete(id);
      this.#rules.leave(id, this.#clock.now());
      this.#pump();
    }
  }

  /** Leave of all nodes that pass through it, where it is shared. */
  #permit({ tokens }: Entering, untilMs: number, signal: AbortSignal): Promise<Permit> | undefined {
    const { shared } = this.#options;
    if (shared === undefined) return undefined;
    return permitOf(shared, this.#options, { clock: this.#clock, tokens, untilMs, signal });
  }

  #heard(id: number, head: Head): void {
    const nowMs = this.#clock.now();
    this.#rules.heard(id, ratesOf(head, nowMs), nowMs);
    this.#pump();
  }

  #ended<T>(id: number, { how, head, tokens }: Attempt<T>): "over" | "again" {
    const nowMs = this.#clock.now();
    const end = { how, rates: ratesOf(head, nowMs), ...(tokens === undefined ? {} : { tokens }) };
    return this.#rules.ended(id, end, nowMs);
  }

  /** Resolves to true when it is its turn, to false when its time is over. */
  #turn(id: number, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const stop = (): void => reject(stopped(signal));
    const settle = (isSent: boolean): void => {
      signal.removeEventListener("abort", stop);
      this.#turns.delete(id);
      resolve(isSent);
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    this.#turns.set(id, settle);
    return promise;
  }

  /** Does what is to be done now, and sleeps until it has to be looked at again. */
  #pump(): void {
    const { send, over, wakeAtMs } = this.#rules.next(this.#clock.now());
    for (const id of over) this.#turns.get(id)?.(false);
    for (const id of send) this.#turns.get(id)?.(true);
    if (wakeAtMs === this.#wakeAtMs) return;
    this.#wakeAtMs = wakeAtMs;
    this.#sleep.abort();
    if (wakeAtMs === null) return;
    const sleep = this.#sleep = new AbortController();
    this.#clock.sleep(wakeAtMs - this.#clock.now(), sleep.signal).then(() => {
      if (sleep.signal.aborted) return;
      this.#wakeAtMs = null;
      this.#pump();
    }, () => {});
  }

  #late(id: number, { tree }: Entering, error: unknown): unknown {
    const attempts = this.#rules.attempts(id);
    if (error !== undefined) return triedOften(error, attempts);
    const sentence = `Cannot ask a model for "${tree}": no turn came in time`;
    return new SysError("EAGAIN", `${sentence}, expected a gate with fewer calls`, { attempts: 0 });
  }
}

type Waiting = (isSent: boolean) => void;

/** What an attempt took beyond what it was let in for, and for how long nobody is to follow. */
function beyond<T>({ tokens }: Entering, made: Attempt<T>, nowMs: number): {
  readonly tokens: number;
  readonly heldMs: number;
} {
  const heldMs = made.how === "passed" ? 0 : ratesOf(made.head, nowMs).retryAfterMs ?? 0;
  return { tokens: Math.max(0, (made.tokens ?? 0) - tokens), heldMs };
}

/**
 * A model behind a gate: asked when it is the asker's turn, fair between trees.
 *
 * @example
 * ```ts
 * import { gated, Gate } from "@agent-libos/core";
 * import { scriptedModel } from "@agent-libos/core/testing";
 * const model = gated(scriptedModel(["Hello!"]), new Gate());
 * console.assert(model.id === "scripted/model");
 * ```
 */
export function gated(model: Model, gate: Gate): Model {
  const { id, pricing, takes } = model;
  const behind: Model = {
    id,
    ...(pricing === undefined ? {} : { pricing }),
    ...(takes === undefined ? {} : { takes }),
    generate(request, asking) {
      const { tree, pid, priority, sinceMs } = asking.asker ?? NOBODY;
      const tokens = countRequestTokens(request);
      const since = sinceMs === undefined ? {} : { sinceMs };
      return gate.pass({ tree, pid, priority, tokens, ...since }, {
        signal: asking.signal,
        onWait: asking.onWait,
        attempt: (onHead) => attempted(model, request, { asking, onHead }),
      });
    },
  };
  GATED.add(behind);
  return behind;
}

/**
 * Puts each model behind a gate of its own, by its id; none that is behind one already. With
 * shares, the gate of a model is that of all nodes.
 */
export function gatesOf(
  options: GateOptions,
  clock: Clock,
  shares?: Shares,
): (model: Model) => Model {
  const gates = new Map<string, Gate>();
  new Gate(options);
  return (model) => {
    if (isGated(model)) return model;
    const shared = shares === undefined ? {} : { shared: { name: model.id, shares } };
    const gate = gates.get(model.id) ?? new Gate({ ...options, clock, ...shared });
    gates.set(model.id, gate);
    return gated(model, gate);
  };
}

/** Whether a model is behind a gate already. */
export function isGated(model: Model): boolean {
  return GATED.has(model);
}

const GATED = new WeakSet<Model>();
const NOBODY = { tree: "-", pid: "-", priority: 1, sinceMs: undefined };

async function attempted(
  model: Model,
  request: Parameters<Model["generate"]>[0],
  { asking, onHead }: { readonly asking: ModelAsking; readonly onHead: (head: Head) => void },
): Promise<Attempt<ModelReply>> {
  let head: Head = {};
  const hear = (said: Head): void => {
    onHead(head = said);
    asking.onHead?.(said);
  };
  try {
    const value = await model.generate(request, { ...asking, onHead: hear });
    const tokens = counted(value.inputTokens) + counted(value.outputTokens);
    return { how: "passed", head, tokens, value };
  } catch (error) {
    return { how: howOf(error), head: { ...toldIn(error), ...head }, error };
  }
}

/** What a failure says of the endpoint. */
function howOf(error: unknown): AttemptEnd["how"] {
  // What was tried again already is not.
  if (!(error instanceof SysError) || error.detail?.["attempts"] !== undefined) return "refused";
  if (error.code === "EAGAIN") return "limited";
  const status = error.detail?.["status"];
  if (status === 503 || status === 529) return "overloaded";
  return error.retry ? "failed" : "refused";
}

/** When to come again, of models that tell no headers. */
function toldIn(error: unknown): Head {
  const ms = error instanceof SysError ? error.detail?.["retryAfterMs"] : undefined;
  return typeof ms === "number" ? { "retry-after-ms": String(Math.max(0, Math.ceil(ms))) } : {};
}

function counted(tokens: number): number {
  return Number.isFinite(tokens) && tokens > 0 ? tokens : 0;
}

/** The failure, and how often it was tried: whoever hears that does not try again. */
function triedOften(error: unknown, attempts: number): unknown {
  if (!(error instanceof SysError) || !error.retry) return error;
  if (error.detail?.["attempts"] !== undefined) return error;
  const times = attempts === 1 ? "once" : `${attempts} times`;
  const sentence = `${error.message} (tried ${times})`;
  return new SysError(error.code, sentence, { ...error.detail, attempts });
}

/** Whether an attempt was ended since it took too long, which is the endpoint's fault. */
function isLate(reason: unknown): boolean {
  return reason instanceof SysError && reason.code === "ETIMEDOUT";
}

function stopped(signal: AbortSignal): unknown {
  if (signal.reason instanceof SysError) return signal.reason;
  return new SysError("ECANCELED", "Cannot ask a model: the call was stopped");
}
