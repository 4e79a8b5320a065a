/**
 * What stands before the models of a runtime: prices, quotas, and gates, which all nodes over one
 * database keep together.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { checkPrices } from "../kernel/price.ts";
import type { Store } from "../kernel/store.ts";
import type { Clock, Model } from "../kernel/world.ts";
import { gatesOf, isGated } from "../providers/gate.ts";
import { pricedModel } from "../providers/models/fallback.ts";
import { checkQuotas, quotaed } from "../providers/quota.ts";
import type { RuntimeOptions } from "./runtime_options.ts";
import type { Watchers } from "./watchers.ts";

/** Puts each model behind what the options say. `EINVAL` for what they cannot say. */
export function modelsBehind(
  { prices, gate, quotas = [] }: RuntimeOptions,
  { store, clock, watchers }: {
    readonly store: Store;
    readonly clock: Clock;
    readonly watchers: Watchers;
  },
): (model: Model) => Model {
  if (prices !== undefined) checkPrices(prices);
  checkQuotas(quotas);
  const shares = store.shares?.();
  if (quotas.length > 0 && shares === undefined) {
    const state = `store "${store.name}" is one node's, expected a database`;
    throw new SysError("EINVAL", `Cannot keep quotas: ${state}; a budget bounds each process`);
  }
  const gates = gate === undefined ? (model: Model) => model : gatesOf(gate, clock, shares);
  return (model) => {
    const timed = watchers.timed(model);
    // Timed inside its gate, where it has none yet: each attempt by itself.
    const gated = isGated(model) ? timed : gates(timed);
    const priced = prices === undefined ? gated : pricedModel(gated, prices);
    return shares === undefined || quotas.length === 0 ? priced : quotaed(priced, quotas, shares);
  };
}
