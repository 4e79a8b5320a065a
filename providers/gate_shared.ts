/**
 * The share of one node in a gate that several nodes pass through: each attempt asks for a permit
 * when it is its turn here, and keeps it while it is out.
 *
 * Invariants:
 *   P1. Nothing is sent without a permit: where the store does not answer, the attempt fails (L4).
 *   P2. A permit that is not given back, since its node died, is out for its lease and no longer;
 *       what it took of the rate stays taken.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { GateOptions } from "../kernel/gate_options.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Shares } from "../kernel/shares.ts";
import type { Clock } from "../kernel/world.ts";

/** What is kept together with other nodes. */
export interface SharedGate {
  /** The gate: the same word on all nodes. */
  readonly name: string;
  /** Where it is kept. */
  readonly shares: Shares;
}

/** An attempt that is let through. */
export interface Permit {
  /** Ends it: what it took beyond what it was let in for, and for how long nobody is to follow. */
  end(more: { readonly tokens: number; readonly heldMs: number }): Promise<void>;
}

/** Waits for a permit, until `untilMs`: `EAGAIN` then, and whatever the store fails with. */
export async function permitOf(
  { name, shares }: SharedGate,
  options: GateOptions,
  asking: {
    readonly clock: Clock;
    readonly tokens: number;
    readonly untilMs: number;
    readonly signal: AbortSignal;
  },
): Promise<Permit> {
  const { clock, tokens, untilMs, signal } = asking;
  const permit = crypto.randomUUID();
  const windowMs = options.minuteMs ?? 60_000;
  const leaseMs = LIMITS.shareLeaseMs;
  for (;;) {
    const waitMs = await shares.enter({
      ...{ gate: name, permit, tokens, windowMs, leaseMs },
      requestsMax: options.requestsPerMinute ?? null,
      tokensMax: options.tokensPerMinute ?? null,
      outMax: options.concurrencyMax ?? null,
    });
    if (waitMs === 0) break;
    if (clock.now() + waitMs > untilMs) {
      const sentence = `Cannot pass gate "${name}": all nodes together are at its limit`;
      throw new SysError("EAGAIN", `${sentence}, expected fewer calls`, { attempts: 0 });
    }
    await clock.sleep(waitMs, signal);
  }
  const over = new AbortController();
  const renewing = (async () => {
    for (;;) {
      await clock.sleep(leaseMs / 3, over.signal);
      // What cannot be renewed now may be the next time.
      await shares.renew(name, permit, { leaseMs, windowMs }).catch(() => {});
    }
  })().catch(() => {});
  return {
    end: async (more) => {
      over.abort();
      await renewing;
      // A permit that stays is out for its lease.
      await shares.leave(name, permit, { ...more, windowMs }).catch(() => {});
    },
  };
}
