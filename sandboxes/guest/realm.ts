/**
 * The realm of a tool: what it finds there, and how a run begins, goes on and ends.
 *
 * This runs inside a context of its own, and is made of that context's intrinsics only.
 * @module
 */

import { abortOf, GuestAbortController } from "./abort.ts";
import { cloneOf } from "./clone.ts";
import { Os, type Surface } from "./os.ts";
import { type GuestLimits, Port, type Send } from "./port.ts";
import { fix, give, type Primordials } from "./primordials.ts";
import { bytesIn, fromBase64, GuestTextDecoder, GuestTextEncoder, toBase64 } from "./text.ts";
import { dateOf, GuestChance, GuestClock, presentOf, temporalFor, Timers } from "./time.ts";
import { GuestSearchParams, GuestUrl } from "./url.ts";

/** What the outer realm may call. Only strings and functions of this realm go in or out. */
export interface RealmDoor {
  /** Begins a run; gives the code to evaluate. */
  open(send: Send, text: string): string;
  /** Calls the tool, which is the default export. */
  run(module: { readonly default?: unknown }): void;
  /** The module could not be evaluated. */
  failed(thrown: unknown): void;
  /** Hears an answer, as its frame's text. */
  answer(text: string): void;
}

/** What `open` is told. */
interface RunText {
  readonly code: string;
  readonly input: unknown;
  readonly nowMs: number;
  readonly seed: string;
  readonly limits: GuestLimits;
}

/** Makes the realm ready for one run. */
export function realm(P: Primordials, surfaceText: string): RealmDoor {
  const clock = new GuestClock();
  const chance = new GuestChance();
  const port = new Port(P);
  const timers = new Timers(P, port, clock);
  const controller = new GuestAbortController();
  const os = new Os(P, port, P.parse(surfaceText) as Surface);
  strip(P);
  furnish(P, { port, timers, os });
  furnishTime(P, clock, chance);
  const face = os.make(clock, chance, controller.signal);
  fix(P, globalThis, "os", face);
  let input: unknown;

  return {
    __proto__: null,
    open(send: Send, text: string): string {
      const [, , run] = P.parse(text) as [string, string, RunText];
      port.open(send, run.limits);
      clock.reach(run.nowMs);
      chance.seed(P, run.seed);
      temporalFor(P, run.code, globalThis);
      input = run.input;
      return run.code;
    },
    run(module: { readonly default?: unknown }): void {
      const started = new P.Promise((resolve) => resolve(undefined));
      shield(P, started);
      // From the foot of the stack: nothing of the outer realm is on it while the tool runs.
      const job = () => {
        const tool = module.default;
        if (typeof tool !== "function") {
          return port.threw("Cannot run the tool: its default export is no function", null);
        }
        // Waiting for a promise of the realm asks none of its prototypes, where resolving would.
        const done = (async () => await P.apply(tool as () => unknown, undefined, [input, face]))();
        shield(P, done);
        P.then(
          done,
          (value: unknown) => attempt(P, port, () => port.returned(value, os)),
          (thrown: unknown) => port.threw(describe(P, thrown), port.codeOf(thrown)),
        );
      };
      P.then(started, () => attempt(P, port, job));
    },
    failed: (thrown: unknown) => port.threw(describe(P, thrown), port.codeOf(thrown)),
    answer(text: string): void {
      // By number: taken apart, it would be shown to an iterator that the tool can change, and the
      // nonce in it is no part of what the tool may know.
      const frame = P.parse(text) as unknown[];
      clock.reach(frame[2] as number);
      const ok = frame[4] === true;
      const answer = { ok, reply: frame[5], message: frame[6] as string };
      attempt(P, port, () => port.answer(frame[3] as number, answer));
    },
  } as unknown as RealmDoor;
}

/** Does a job of the tool's; what it throws ends the run. */
export function attempt(P: Primordials, port: Port, job: () => void): void {
  try {
    job();
  } catch (thrown) {
    port.threw(describe(P, thrown), port.codeOf(thrown));
  }
}

/** Keeps `then` from asking a prototype that the tool can change. */
export function shield(P: Primordials, promise: object): void {
  P.defineProperty(promise, "constructor", { __proto__: null, value: undefined } as object);
}

/** What was thrown, in a sentence. */
export function describe(P: Primordials, thrown: unknown): string {
  try {
    if (typeof thrown !== "object" || thrown === null) return P.String(thrown);
    const { name, message } = thrown as { name?: unknown; message?: unknown };
    if (typeof message !== "string") return "It threw a value that is no error";
    const isPlain = typeof name !== "string" || name === "Error" || name === "SysError";
    return isPlain ? message : `${name}: ${message}`;
  } catch {
    return "It threw a value that cannot be shown";
  }
}

/**
 * Takes away what is not ECMAScript, what tells time, and what shares memory; and keeps the stack's
 * frames from tools: the functions of a frame belong to the outer realm.
 */
export function strip(P: Primordials): void {
  const gone = [
    "console",
    "queueMicrotask",
    "WebAssembly",
    "SharedArrayBuffer",
    "Atomics",
    "WeakRef",
    "FinalizationRegistry",
    "gc",
  ];
  for (let i = 0; i < gone.length; i++) {
    if (P.deleteProperty(globalThis, gone[i]!)) continue;
    // "gc" of a runtime that was started with "--expose-gc" cannot be deleted.
    (globalThis as unknown as Record<string, unknown>)[gone[i]!] = undefined;
  }
  fix(P, P.Error, "prepareStackTrace", undefined);
  fix(P, globalThis, "Error", P.Error);
}

/** Gives what platforms give. */
export function furnish(
  P: Primordials,
  given: { readonly port: Port; readonly timers: Timers; readonly os: Os },
): void {
  const { port, timers, os } = given;
  const set = (isRepeated: boolean) => (job: unknown, ms?: unknown, ...args: unknown[]): number => {
    if (typeof job !== "function") throw new P.TypeError("Cannot set a timer: no function");
    const wanted = P.Number(ms);
    const waitMs = wanted > 0 ? P.min(P.ceil(wanted), 2 ** 31 - 1) : 0;
    const run = () => attempt(P, port, () => void P.apply(job, undefined, args));
    return timers.set(run, waitMs, isRepeated ? waitMs : null);
  };
  const clear = (id?: unknown) => timers.clear(id);
  const log = (...values: unknown[]) => os.log(values);
  const console: Record<string, unknown> = {};
  const methods = ["log", "info", "warn", "error", "debug", "trace", "dir"];
  for (let i = 0; i < methods.length; i++) console[methods[i]!] = log;
  console.assert = (holds: unknown, ...values: unknown[]) => holds ? undefined : os.log(values);
  const once = set(false);
  const abort = abortOf((job, ms) => void once(job, ms));
  const things: Record<string, unknown> = {
    console,
    setTimeout: once,
    setInterval: set(true),
    clearTimeout: clear,
    clearInterval: clear,
    queueMicrotask(job: unknown): void {
      if (typeof job !== "function") throw new P.TypeError("Cannot queue a job: no function");
      const next = new P.Promise((resolve) => resolve(undefined));
      shield(P, next);
      P.then(next, () => attempt(P, port, () => void P.apply(job, undefined, [])));
    },
    structuredClone: (value: unknown) => cloneOf(value),
    atob: fromBase64,
    btoa: toBase64,
    TextEncoder: GuestTextEncoder,
    TextDecoder: GuestTextDecoder,
    URL: GuestUrl,
    URLSearchParams: GuestSearchParams,
    AbortSignal: abort.AbortSignal,
    AbortController: abort.AbortController,
  };
  const names = P.keys(things);
  for (let i = 0; i < names.length; i++) {
    const thing = things[names[i]!];
    if (typeof thing === "function") nameIt(P, thing, names[i]!);
    give(P, globalThis, names[i]!, thing);
  }
}

/** Gives a function the name by which it is found. */
export function nameIt(P: Primordials, thing: object, name: string): void {
  P.defineProperty(thing, "name", { __proto__: null, value: name, configurable: true } as object);
}

/** Gives the run's time and chance. */
export function furnishTime(P: Primordials, clock: GuestClock, chance: GuestChance): void {
  give(P, globalThis, "Date", dateOf(P, clock));
  presentOf(P, clock);
  give(P, Math, "random", () => chance.float());
  const crypto = {
    randomUUID(): string {
      let digits = "";
      for (let i = 0; i < 32; i++) {
        const digit = i === 12 ? 4 : i === 16 ? 8 + (chance.word() >>> 30) : chance.word() >>> 28;
        digits += (i === 8 || i === 12 || i === 16 || i === 20 ? "-" : "") + digit.toString(16);
      }
      return digits;
    },
    getRandomValues<T extends ArrayBufferView>(into: T): T {
      if (!ArrayBuffer.isView(into) || into.byteLength > 65_536) {
        throw new P.TypeError("Cannot draw bytes: expected a typed array of 65536 bytes at most");
      }
      const bytes = bytesIn(into);
      for (let i = 0; i < bytes.length; i++) bytes[i] = chance.word() >>> 24;
      return into;
    },
  };
  give(P, globalThis, "crypto", crypto);
}
