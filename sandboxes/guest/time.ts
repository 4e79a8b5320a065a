/**
 * Time and chance of a run: the clock stands still until an answer moves it, chance comes from the
 * seed. Run again with the same answers, the code sees the same of both.
 * @module
 */

import type { Port } from "./port.ts";
import { fix, give, type Primordials } from "./primordials.ts";

/** The clock of a run. */
export class GuestClock {
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  /** Goes to `ms`, never back. */
  reach(ms: number): void {
    if (ms > this.#nowMs) this.#nowMs = ms;
  }
}

/** Chance of a run: sfc32. */
export class GuestChance {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  seed(P: Primordials, digits: string): void {
    const word = (at: number) => P.Number(`0x${P.slice(digits, at, at + 8)}`) | 0;
    this.#a = word(0);
    this.#b = word(8);
    this.#c = word(16);
    this.#counter = word(24);
    for (let round = 0; round < 16; round++) this.word();
  }

  /** A whole number from 0 to 2^32 - 1. */
  word(): number {
    const out = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) | 0;
    return out >>> 0;
  }

  /** From 0 to less than 1, in steps of 2^-53. */
  float(): number {
    const high = this.word() >>> 5;
    return (high * 67_108_864 + (this.word() >>> 6)) / 9_007_199_254_740_992;
  }
}

/** One timer that is set. */
interface Timer {
  readonly id: number;
  readonly everyMs: number | null;
  readonly job: () => void;
  dueMs: number;
}

/**
 * Timers, by the call `clock.wait`. One wait serves all that is due at its end or later: what a
 * tool sets and clears again and again holds no place at the host.
 */
export class Timers {
  readonly #P: Primordials;
  readonly #port: Port;
  readonly #clock: GuestClock;
  /** In the order in which they are due, ties in the order in which they were set. */
  #set: Timer[] = [];
  /** When each wait that is out will be over. */
  #waits: number[] = [];
  #made = 0;

  constructor(P: Primordials, port: Port, clock: GuestClock) {
    this.#P = P;
    this.#port = port;
    this.#clock = clock;
  }

  /** Sets a timer; `everyMs` is its interval, null for once. */
  set(job: () => void, ms: number, everyMs: number | null): number {
    if (this.#set.length >= this.#port.limits.timers) this.#port.over("timers");
    const id = ++this.#made;
    this.#place({ id, job, everyMs, dueMs: this.#clock.now() + ms });
    this.#wait();
    return id;
  }

  clear(id: unknown): void {
    const left: Timer[] = [];
    for (let i = 0; i < this.#set.length; i++) {
      const timer = this.#set[i]!;
      if (timer.id !== id) left[left.length] = timer;
    }
    this.#set = left;
  }

  #place(timer: Timer): void {
    let at = this.#set.length;
    for (; at > 0 && this.#set[at - 1]!.dueMs > timer.dueMs; at--) {
      this.#set[at] = this.#set[at - 1]!;
    }
    this.#set[at] = timer;
  }

  /** Asks for a wait, unless one that is out ends early enough for the first timer. */
  #wait(): void {
    const first = this.#set[0];
    if (first === undefined) return;
    for (let i = 0; i < this.#waits.length; i++) if (this.#waits[i]! <= first.dueMs) return;
    const leftMs = this.#P.max(0, first.dueMs - this.#clock.now());
    const ms = this.#P.min(leftMs, 60_000);
    const untilMs = this.#clock.now() + ms;
    this.#waits[this.#waits.length] = untilMs;
    const over = () => this.#over(untilMs);
    this.#port.ask("clock.wait", `{"ms":${ms}}`, { isWait: true, resolve: over, reject: over });
  }

  /** A wait is over: what was due at its end has its turn, even when the clock was set back. */
  #over(untilMs: number): void {
    let found = false;
    const left: number[] = [];
    for (let i = 0; i < this.#waits.length; i++) {
      if (!found && this.#waits[i] === untilMs) found = true;
      else left[left.length] = this.#waits[i]!;
    }
    this.#waits = left;
    this.#clock.reach(untilMs);
    const nowMs = this.#clock.now();
    const made = this.#made;
    for (let first = this.#set[0]; first !== undefined; first = this.#set[0]) {
      // What is set by a timer of this turn waits for its own.
      if (first.dueMs > nowMs || first.id > made) break;
      this.clear(first.id);
      if (first.everyMs !== null) {
        first.dueMs = nowMs + this.#P.max(1, first.everyMs);
        this.#place(first);
      }
      first.job();
    }
    this.#wait();
  }
}

/** A `Date` whose present is the clock's. */
export function dateOf(P: Primordials, clock: GuestClock): unknown {
  const Real = P.now;
  const { construct } = P;
  // A function, for a class cannot be called.
  function Present(this: unknown, ...given: unknown[]): unknown {
    if (new.target === undefined) {
      return (construct(Real, [clock.now()]) as Date).toString();
    }
    const args = given.length === 0 ? [clock.now()] : given;
    return construct(Real, args, new.target);
  }
  fix(P, Present, "prototype", Real.prototype);
  give(P, Present, "now", () => clock.now());
  give(P, Present, "parse", Real.parse);
  give(P, Present, "UTC", Real.UTC);
  P.defineProperty(Present, "name", { __proto__: null, value: "Date" } as object);
  P.defineProperty(Present, "length", { __proto__: null, value: 7 } as object);
  give(P, Real.prototype, "constructor", Present);
  return Present;
}

/** `Intl` formats a date that is not given as the present. */
export function presentOf(P: Primordials, clock: GuestClock): void {
  const proto = Intl.DateTimeFormat.prototype;
  const getter = P.descriptor(proto, "format")!.get!;
  const parts = P.uncurry(proto.formatToParts);
  const present = (date: unknown) => date === undefined ? clock.now() : date;
  P.defineProperty(proto, "format", {
    __proto__: null,
    get(this: Intl.DateTimeFormat): unknown {
      const format = P.apply(getter, this, []) as (date: unknown) => string;
      return (date?: unknown) => format(present(date));
    },
    enumerable: false,
    configurable: true,
  } as PropertyDescriptor);
  give(P, proto, "formatToParts", function (this: Intl.DateTimeFormat, date?: unknown) {
    return parts(this, present(date));
  });
}

/**
 * Leaves `Temporal` to code that names it, without `Temporal.Now`, which is the present. To look at
 * it is to make it, and that costs as much as making all the rest of a realm.
 */
export function temporalFor(P: Primordials, code: string, on: typeof globalThis): void {
  if (P.indexOf(code, "Temporal") < 0) {
    P.deleteProperty(on, "Temporal");
    return;
  }
  const { Temporal } = on as unknown as { Temporal?: { Now?: unknown } };
  if (Temporal !== undefined) P.deleteProperty(Temporal, "Now");
}
