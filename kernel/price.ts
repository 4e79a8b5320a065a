/**
 * Prices: what the tokens of a model cost, and what a reply came to.
 * @module
 */

import { SysError } from "./errors.ts";
import type { ModelReply } from "./world.ts";

/** What tokens cost, in US dollars for a million. */
export interface Pricing {
  /** For what is sent. */
  readonly inputUsd: number;
  /** For what is written. */
  readonly outputUsd: number;
  /** For input which the provider had in its cache; `inputUsd` when absent. */
  readonly cachedInputUsd?: number;
  /** For input which the provider put into its cache; `inputUsd` when absent. */
  readonly cacheWriteUsd?: number;
}

/** Prices by the id of a model, `provider/model`, or by `provider/*`. */
export type Prices = Readonly<Record<string, Pricing>>;

/** What is counted of a reply. */
export type Counted =
  & Pick<ModelReply, "inputTokens" | "outputTokens">
  & Partial<Pick<ModelReply, "cachedTokens" | "cacheWriteTokens">>;

/** What tokens come to, in US dollars. */
export function priceOf(used: Counted, pricing: Pricing): number {
  const cached = Math.min(used.cachedTokens ?? 0, used.inputTokens);
  const put = Math.min(used.cacheWriteTokens ?? 0, used.inputTokens - cached);
  const input = (used.inputTokens - cached - put) * pricing.inputUsd +
    cached * (pricing.cachedInputUsd ?? pricing.inputUsd) +
    put * (pricing.cacheWriteUsd ?? pricing.inputUsd);
  return (input + used.outputTokens * pricing.outputUsd) / 1_000_000;
}

/** The price of a model in a table: its own line, or that of its provider. */
export function priceIn(prices: Prices, id: string): Pricing | undefined {
  if (Object.hasOwn(prices, id)) return prices[id];
  const all = `${id.slice(0, id.indexOf("/"))}/*`;
  return Object.hasOwn(prices, all) ? prices[all] : undefined;
}

const FIELDS = ["inputUsd", "outputUsd", "cachedInputUsd", "cacheWriteUsd"];

/** Throws `EINVAL` for anything that is no table of prices. */
export function checkPrices(given: unknown): Prices {
  const isTable = typeof given === "object" && given !== null && !Array.isArray(given);
  const refuse = (what: string): never => {
    const expected = 'expected {"provider/model": {"inputUsd": 1, "outputUsd": 2}}';
    throw new SysError("EINVAL", `Cannot use the prices: ${what}, ${expected}`);
  };
  if (!isTable) refuse("no table");
  for (const [id, pricing] of Object.entries(given as object)) {
    const fields = Object.entries((pricing ?? {}) as object);
    const wrong = fields.find(([name, usd]) =>
      !FIELDS.includes(name) || typeof usd !== "number" || !Number.isFinite(usd) || usd < 0
    );
    if (wrong !== undefined) refuse(`"${wrong[0]}" of "${id}" is no price`);
    const names = fields.map(([name]) => name);
    if (!names.includes("inputUsd") || !names.includes("outputUsd")) refuse(`"${id}" has half`);
  }
  return given as Prices;
}
