/**
 * How a gate is set, and which settings make sense.
 * @module
 */

import { SysError } from "./errors.ts";
import type { BreakerOptions } from "./gate_breaker.ts";
import { LIMITS } from "./limits.ts";

/** How a gate is set. All is optional: what an endpoint says in its headers is heeded anyway. */
export interface GateOptions {
  /** Most requests in any minute. */
  readonly requestsPerMinute?: number;
  /** Most tokens in any minute, read and written. */
  readonly tokensPerMinute?: number;
  /** How many calls are out at first; 8 by default. */
  readonly concurrency?: number;
  /** How many are out at most; 64 by default, or `concurrency` where that is more. */
  readonly concurrencyMax?: number;
  /** An answer that takes longer narrows the gate. */
  readonly slowMs?: number;
  /** How often a call is sent; 8 by default. */
  readonly tries?: number;
  /** For how long a call may wait, its pauses and tries included; an hour by default. */
  readonly waitMs?: number;
  /** How many calls wait at most; 10,000 by default. */
  readonly lineMax?: number;
  /** Most tokens of one tree while this gate is open. */
  readonly tokensPerTree?: number;
  /** The pause after a first failure, doubled after each; 250 by default. */
  readonly retryMs?: number;
  /** When it stops sending for a while. */
  readonly breaker?: BreakerOptions;
  /** What a minute is, for tests. */
  readonly minuteMs?: number;
}

const RANGES: Readonly<
  Record<Exclude<keyof GateOptions, "breaker">, readonly [least: number, most: number]>
> = {
  requestsPerMinute: [1, 1e9],
  tokensPerMinute: [1, 1e12],
  concurrency: [1, LIMITS.gateConcurrencyMax],
  concurrencyMax: [1, LIMITS.gateConcurrencyMax],
  slowMs: [1, 86_400_000],
  tries: [1, LIMITS.gateTriesMax],
  waitMs: [0, LIMITS.gateWaitMsMax],
  lineMax: [1, LIMITS.gateLineMax],
  tokensPerTree: [1, 1e15],
  retryMs: [1, LIMITS.gatePauseMsMax],
  minuteMs: [1, 86_400_000],
};

/** Throws `EINVAL` for a setting that is out of range. */
export function checkGate(options: GateOptions): void {
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = options[name as keyof typeof RANGES];
    if (value === undefined || (value >= least && value <= most)) continue;
    const sentence = `Cannot open a gate: ${name} is ${value}, expected ${least} to ${most}`;
    throw new SysError("EINVAL", sentence);
  }
}
