/**
 * A gate before a rate-limited endpoint that many share: who is sent, when, and again when.
 *
 * The rules alone: events in, decisions out, time an argument. What waits, sends and sleeps is in
 * providers/gate.ts.
 *
 * Invariants:
 *   A1. A call that came in is in line, at rest after a failure, or out; and then it is over, once.
 *   A2. Nothing is sent while the breaker is open, while the endpoint said to stay away, with as
 *       many out as the width allows, or beyond a rate that is known.
 *   A3. To be told when to come again, and to be refused for what else was out, costs no try; all
 *       other failures do. A refusal that is the caller's fault is not tried again.
 *   A4. Every call ends: by its tries, or by the time it may take in all.
 *   A5. While something waits, there is a time at which it is looked at again, or something is out
 *       whose end does so.
 * @module
 */

import { assert, SysError } from "./errors.ts";
import { Breaker, type BreakerState } from "./gate_breaker.ts";
import type { Rates } from "./gate_head.ts";
import { Line, type Standing } from "./gate_line.ts";
import { checkGate, type GateOptions } from "./gate_options.ts";
import { Rate, type RateState, type Sent } from "./gate_rate.ts";
import { Width } from "./gate_width.ts";
import { LIMITS } from "./limits.ts";

/** A call that comes in. */
export interface Entering {
  readonly tree: string;
  readonly pid: string;
  /** 1 to 100. */
  readonly priority: number;
  /** About how many tokens it takes. */
  readonly tokens: number;
  /** Since when it is waited for, where that is before now. */
  readonly sinceMs?: number;
}

/** How an attempt ended. */
export interface AttemptEnd {
  /**
   * It passed; was refused for good; was refused for a rate; or because too much was out; or the
   * endpoint failed.
   */
  readonly how: "passed" | "refused" | "limited" | "overloaded" | "failed";
  /** What its headers said. */
  readonly rates?: Rates;
  /** Tokens it took. */
  readonly tokens?: number;
}

/** What is to be done now. */
export interface Turn {
  /** To be sent, in this order. */
  readonly send: readonly number[];
  /** Whose time is over. */
  readonly over: readonly number[];
  /** When to ask again, if nothing happens before; null when nothing waits for time. */
  readonly wakeAtMs: number | null;
}

/** How a gate stands. */
export interface GateState {
  /** Whether it sends, sends nothing for a while, or tries one alone. */
  readonly breaker: BreakerState;
  /** How many may be out. */
  readonly width: number;
  /** How many are out. */
  readonly out: number;
  /** How many stand in line, those at rest included. */
  readonly waiting: number;
  /** Until when nothing is sent, since the endpoint said so. */
  readonly heldUntilMs: number | null;
  /** The rate of requests. */
  readonly requests: RateState;
  /** The rate of tokens. */
  readonly tokens: RateState;
  /** Attempts that were sent, and how they ended. */
  readonly counts: Readonly<Record<AttemptEnd["how"] | "sent", number>>;
}

/** A call inside. */
interface Call {
  readonly standing: Standing;
  readonly tokens: number;
  readonly cameMs: number;
  /** How often it was sent, and how many of these count. */
  attempts: number;
  tries: number;
  /** Not null while it is out. */
  out: Out | null;
  /** When it comes into line again; 0 unless it rests. */
  dueMs: number;
}

interface Out {
  readonly request: Sent;
  readonly tokens: Sent;
  readonly era: number;
  readonly sentMs: number;
}

const PATIENT_REFUSALS = 3;
const GOLDEN = 0.618033988749895;

/** The rules of a gate. */
export class Admission {
  readonly #set: GateOptions;
  readonly #line = new Line();
  readonly #calls = new Map<number, Call>();
  readonly #resting = new Set<number>();
  readonly #breaker: Breaker;
  readonly #width: Width;
  readonly #requests: Rate;
  readonly #tokens: Rate;
  /** Tokens by tree, the latest last: what was taken, and what those inside may take. */
  readonly #spent = new Map<string, number>();
  readonly #counts = { sent: 0, passed: 0, refused: 0, limited: 0, overloaded: 0, failed: 0 };
  #nextId = 0;
  #out = 0;
  #sentLast = -1;
  #heldUntilMs = 0;
  /** Refusals in a row that say when to come again, each of another hold. */
  #refusals = 0;
  #heldAfter = -1;
  /** Whether the endpoint has ever answered. */
  #isKnown = false;

  /** Throws `EINVAL` for a setting that is out of range. */
  constructor(options: GateOptions = {}) {
    checkGate(options);
    const windowMs = options.minuteMs ?? 60_000;
    const first = options.concurrency ?? 8;
    this.#set = options;
    this.#breaker = new Breaker(options.breaker);
    const most = options.concurrencyMax ?? Math.max(64, first);
    this.#width = new Width({ first, most, slowMs: options.slowMs });
    this.#requests = new Rate({ most: options.requestsPerMinute, windowMs });
    this.#tokens = new Rate({ most: options.tokensPerMinute, windowMs });
  }

  /** A call comes in. Throws `EAGAIN` with the line full, `EBUDGET` when its tree is spent. */
  enter(call: Entering, nowMs: number): number {
    const most = this.#set.lineMax ?? LIMITS.gateLineMax;
    if (this.#calls.size - this.#out >= most) {
      const sentence = `Cannot wait for a model: ${most} calls wait already, expected fewer`;
      throw new SysError("EAGAIN", sentence, { attempts: 0 });
    }
    this.#reserve(call);
    const id = this.#nextId++;
    const { tree, pid, priority } = call;
    const weight = 1 + call.tokens / 1_000;
    const sinceMs = Math.min(call.sinceMs ?? nowMs, nowMs);
    const standing = { id, tree, pid, priority, weight, sinceMs };
    const tokens = Math.max(0, call.tokens);
    const inside = { standing, tokens, cameMs: nowMs, attempts: 0, tries: 0, out: null, dueMs: 0 };
    this.#calls.set(id, inside);
    this.#line.push(standing);
    return id;
  }

  /** A call is taken back, wherever it is. */
  leave(id: number, nowMs: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    if (call.out !== null) {
      this.#breaker.gaveUp(call.out.era);
      this.#settle(call.out, {}, nowMs);
    }
    this.#end(id, call, 0);
  }

  /** The headers of an answer have come, which may be long before its end. */
  heard(id: number, rates: Rates, nowMs: number): void {
    const out = this.#calls.get(id)?.out;
    if (out == null) return;
    if (rates.requests !== undefined) this.#requests.heard(out.request, rates.requests, nowMs);
    if (rates.tokens !== undefined) this.#tokens.heard(out.tokens, rates.tokens, nowMs);
  }

  /** An attempt has ended; whether its call is over, or is sent again later. */
  ended(id: number, end: AttemptEnd, nowMs: number): "over" | "again" {
    const call = this.#calls.get(id);
    if (call?.out == null) return "over";
    const { out } = call;
    const together = this.#out;
    this.heard(id, end.rates ?? {}, nowMs);
    this.#settle(out, end, nowMs);
    this.#counts[end.how] += 1;
    this.#isKnown ||= end.how !== "failed";
    const isFault = end.how === "failed" || end.how === "overloaded";
    const awayMs = end.rates?.retryAfterMs ?? 0;
    this.#breaker.ended(!isFault, { era: out.era, nowMs }, awayMs);
    if (end.how === "passed" || end.how === "refused") {
      const tookMs = nowMs - out.sentMs;
      const at = { tookMs, out: together, sentLast: this.#sentLast };
      if (end.how === "passed") this.#width.passed(out.request.order, at);
      this.#refusals = 0;
      this.#end(id, call, end.tokens ?? (end.how === "passed" ? call.tokens : 0));
      return "over";
    }
    return this.#again(id, { call, out, end, together }, nowMs);
  }

  /** What is to be done now. */
  next(nowMs: number): Turn {
    const over = this.#expired(nowMs);
    for (const id of over) this.leave(id, nowMs);
    for (const id of this.#resting) {
      const call = this.#calls.get(id)!;
      if (call.dueMs > nowMs) continue;
      this.#resting.delete(id);
      call.dueMs = 0;
      this.#line.push(call.standing, true);
    }
    const send: number[] = [];
    let wakeAtMs = Infinity;
    for (let next = this.#line.peek(); next !== undefined; next = this.#line.peek()) {
      wakeAtMs = this.#freeAtMs(this.#calls.get(next.id)!, nowMs);
      if (wakeAtMs > nowMs) break;
      wakeAtMs = Infinity;
      this.#line.shift();
      this.#send(next.id, nowMs);
      send.push(next.id);
    }
    assert(this.#line.size === 0 || wakeAtMs < Infinity || this.#out > 0, "A gate stands still");
    for (const id of this.#resting) wakeAtMs = Math.min(wakeAtMs, this.#calls.get(id)!.dueMs);
    const waits = firstWaiting(this.#calls);
    if (waits !== undefined) wakeAtMs = Math.min(wakeAtMs, waits.cameMs + this.#waitMs());
    return { send, over, wakeAtMs: Number.isFinite(wakeAtMs) ? wakeAtMs : null };
  }

  /** How often a call was sent. */
  attempts(id: number): number {
    return this.#calls.get(id)?.attempts ?? 0;
  }

  /** How it stands. */
  state(nowMs: number): GateState {
    this.#breaker.untilMs(nowMs);
    return {
      breaker: this.#breaker.state,
      width: this.#width.now,
      out: this.#out,
      waiting: this.#calls.size - this.#out,
      heldUntilMs: this.#heldUntilMs > nowMs ? this.#heldUntilMs : null,
      requests: this.#requests.state(nowMs),
      tokens: this.#tokens.state(nowMs),
      counts: { ...this.#counts },
    };
  }

  #freeAtMs(call: Call, nowMs: number): number {
    if (this.#out >= this.#width.now) return Infinity;
    const untilMs = Math.max(this.#breaker.untilMs(nowMs), this.#heldUntilMs);
    const ratesMs = Math.max(
      this.#requests.readyAtMs(1, nowMs),
      this.#tokens.readyAtMs(call.tokens, nowMs),
    );
    return Math.max(untilMs, ratesMs);
  }

  #send(id: number, nowMs: number): void {
    const call = this.#calls.get(id)!;
    const request = this.#requests.sent(1, nowMs);
    const tokens = this.#tokens.sent(call.tokens, nowMs);
    call.out = { request, tokens, era: this.#breaker.sent(), sentMs: nowMs };
    call.attempts += 1;
    this.#counts.sent += 1;
    this.#sentLast = request.order;
    this.#out += 1;
  }

  #settle(out: Out, end: Partial<AttemptEnd>, nowMs: number): void {
    const cost = end.how === "passed" ? 1 : 0;
    this.#requests.ended(out.request, cost, nowMs);
    this.#tokens.ended(out.tokens, cost * (end.tokens ?? out.tokens.amount), nowMs);
    this.#out -= 1;
  }

  #again(id: number, ended: {
    readonly call: Call;
    readonly out: Out;
    readonly end: AttemptEnd;
    readonly together: number;
  }, nowMs: number): "over" | "again" {
    const { call, out, end, together } = ended;
    const { order } = out.request;
    call.out = null;
    const toldMs = toldOf(end);
    if (toldMs !== undefined) this.#hold(order, toldMs, nowMs);
    const isTooMuch = end.how === "overloaded" ||
      (end.how === "limited" && toldMs === undefined);
    if (isTooMuch) this.#width.narrow(order, this.#sentLast);
    const isFree = toldMs !== undefined || (isTooMuch && together > 1);
    if (!isFree) call.tries += 1;
    if (call.tries >= this.#triesMax()) {
      this.#end(id, call, 0);
      return "over";
    }
    if (toldMs === undefined) {
      call.dueMs = nowMs + this.#pauseMs(call);
      this.#resting.add(id);
    } else this.#line.push(call.standing, true);
    return "again";
  }

  /** Nothing is sent until then; for longer where such times were said in vain. */
  #hold(order: number, toldMs: number, nowMs: number): void {
    if (order > this.#heldAfter) this.#refusals += 1;
    this.#heldAfter = this.#sentLast;
    const vain = this.#refusals - PATIENT_REFUSALS;
    const moreMs = vain <= 0 ? 0 : Math.min(100 * 2 ** vain, 2 * LIMITS.gatePauseMsMax);
    this.#heldUntilMs = Math.max(this.#heldUntilMs, nowMs + toldMs + moreMs);
  }

  /** Half to one and a half of what doubles each time, so that calls do not come back together. */
  #pauseMs(call: Call): number {
    const pauseMs = (this.#set.retryMs ?? 250) * 2 ** Math.max(0, call.tries - 1);
    const share = ((call.standing.id + call.attempts) * GOLDEN) % 1;
    return Math.ceil(Math.min(pauseMs, LIMITS.gatePauseMsMax) * (0.5 + share));
  }

  /** An endpoint that never answered is given up sooner: there may be none. */
  #triesMax(): number {
    const tries = this.#set.tries ?? LIMITS.gateTriesDefault;
    return this.#isKnown ? tries : Math.min(tries, LIMITS.modelRetriesMax);
  }

  #waitMs(): number {
    return this.#set.waitMs ?? LIMITS.gateWaitMsDefault;
  }

  /** All may wait equally long, so whose time is over came first. */
  #expired(nowMs: number): number[] {
    const over: number[] = [];
    for (const [id, call] of this.#calls) {
      if (call.out !== null) continue;
      if (nowMs < call.cameMs + this.#waitMs()) break;
      over.push(id);
    }
    return over;
  }

  #reserve(call: Entering): void {
    const most = this.#set.tokensPerTree;
    if (most === undefined) return;
    const spent = this.#spent.get(call.tree) ?? 0;
    if (spent + call.tokens > most) {
      const sentence = `Cannot ask a model for "${call.tree}": ${spent} tokens are spent or asked`;
      const detail = { attempts: 0, limit: "tokensPerTree" };
      throw new SysError("EBUDGET", `${sentence} for, expected at most ${most} with this`, detail);
    }
    this.#book(call.tree, spent + call.tokens);
  }

  #book(tree: string, tokens: number): void {
    this.#spent.delete(tree);
    this.#spent.set(tree, Math.max(0, tokens));
    if (this.#spent.size <= LIMITS.gateTreesMax) return;
    this.#spent.delete(this.#spent.keys().next().value!);
  }

  #end(id: number, call: Call, tokens: number): void {
    this.#calls.delete(id);
    this.#resting.delete(id);
    this.#line.remove(call.standing);
    const { tree } = call.standing;
    if (this.#set.tokensPerTree === undefined) return;
    this.#book(tree, (this.#spent.get(tree) ?? 0) - call.tokens + tokens);
  }
}

/** When to come again, where that was said: by itself, or by the rate of which nothing is left. */
function toldOf({ how, rates }: AttemptEnd): number | undefined {
  if (rates?.retryAfterMs !== undefined) return rates.retryAfterMs;
  if (how !== "limited") return undefined;
  const empty = [rates?.requests, rates?.tokens].filter((rate) => rate?.left === 0);
  const times = empty.flatMap((rate) => rate?.resetInMs === undefined ? [] : [rate.resetInMs]);
  return times.length === 0 ? undefined : Math.max(...times);
}

function firstWaiting(calls: ReadonlyMap<number, Call>): Call | undefined {
  for (const call of calls.values()) if (call.out === null) return call;
  return undefined;
}
