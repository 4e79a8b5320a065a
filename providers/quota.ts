/**
 * Quotas: what all nodes together may spend on models in a period, for all trees or for a team's.
 *
 * Invariants:
 *   Q1. What a call may take at least is spent before it is sent, and made right afterwards: calls
 *       at once on many nodes do not spend the same (L2).
 *   Q2. What a node that died had spent beforehand stays spent.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Counted, priceOf } from "../kernel/price.ts";
import type { SharedSpend, Shares } from "../kernel/shares.ts";
import type { Model, ModelReply, ModelRequest } from "../kernel/world.ts";
import { countRequestTokens } from "./models/scripted.ts";

/** What may be spent in a period. */
export interface Quota {
  /** Its name: the same word on all nodes, and of one place alone. */
  readonly name: string;
  /** Periods begin with the hour or the day, in UTC. */
  readonly per: "hour" | "day";
  /** Most tokens in a period, read and written. */
  readonly tokens?: number;
  /** Most US dollars in a period, for models whose price is known or told. */
  readonly usd?: number;
  /** Of trees whose root has all of these labels; of all trees when absent. */
  readonly labels?: Readonly<Record<string, string>>;
}

const PERIODS = { hour: 3_600_000, day: 86_400_000 } as const;
/** Failures that say that nothing was made: the endpoint refused, or was not asked. */
const UNSENT: readonly string[] = ["EINVAL", "EACCES", "EPERM", "EAGAIN", "ENOENT"];

/** Throws `EINVAL` for a quota that says nothing, or what is none. */
export function checkQuotas(quotas: readonly Quota[]): void {
  const names = new Set<string>();
  for (const { name, per, tokens, usd } of quotas) {
    const isNone = [tokens, usd].some((max) => max !== undefined && !(max >= 0 && max <= 1e15)) ||
      (tokens === undefined && usd === undefined) || !Object.hasOwn(PERIODS, per) || name === "";
    if (!isNone && !names.has(name)) names.add(name);
    else {
      const expected = "expected a name of its own, tokens or usd, and hour or day";
      throw new SysError("EINVAL", `Cannot keep quota "${name}": it is none, ${expected}`);
    }
  }
}

/** Puts a model under the quotas that hold for who asks. */
export function quotaed(model: Model, quotas: readonly Quota[], shares: Shares): Model {
  const { id, pricing, takes } = model;
  return {
    id,
    ...(pricing === undefined ? {} : { pricing }),
    ...(takes === undefined ? {} : { takes }),
    generate: async (request, asking) => {
      const labels = asking.asker?.labels ?? {};
      const mine = quotas.filter((quota) =>
        Object.entries(quota.labels ?? {}).every(([key, value]) =>
          Object.hasOwn(labels, key) && labels[key] === value
        )
      );
      const spends = spendsOf(mine, model, request);
      if (spends.length === 0) return await model.generate(request, asking);
      const correct = await shares.spend(spends);
      let reply: ModelReply;
      try {
        reply = await model.generate(request, asking);
      } catch (error) {
        const isUnsent = error instanceof SysError && UNSENT.includes(error.code);
        // What may have been made stays spent.
        if (isUnsent) await correct(spends.map(({ amount }) => -amount)).catch(() => {});
        throw error;
      }
      const took = tookOf(model, reply);
      // The reply is there and paid for: what cannot be booked now is what was held for it.
      await correct(spends.map(({ kind, amount }) => took[kind as "usd"] - amount))
        .catch(() => {});
      return reply;
    },
  };
}

/** What a call may take at least, of each quota, in one order everywhere. */
function spendsOf(
  quotas: readonly Quota[],
  { pricing }: Model,
  request: ModelRequest,
): readonly SharedSpend[] {
  const inputTokens = countRequestTokens(request);
  const used = { inputTokens, outputTokens: request.maxOutputTokens ?? 0 };
  const amounts = {
    tokens: used.inputTokens + used.outputTokens,
    usd: pricing === undefined ? 0 : priceOf(used, pricing),
  };
  const spends = quotas.flatMap((quota) =>
    (["tokens", "usd"] as const).flatMap((kind) => {
      const max = quota[kind];
      if (max === undefined) return [];
      const periodMs = PERIODS[quota.per];
      return [{ quota: quota.name, kind, periodMs, max, amount: amounts[kind] }];
    })
  );
  const order = ({ quota, kind }: SharedSpend): string => `${quota} ${kind}`;
  return spends.sort((one, other) => order(one) < order(other) ? -1 : 1);
}

function tookOf({ pricing }: Model, reply: ModelReply): { tokens: number; usd: number } {
  const priced = pricing === undefined ? 0 : priceOf(reply as Counted, pricing);
  return { tokens: reply.inputTokens + reply.outputTokens, usd: reply.usd ?? priced };
}
