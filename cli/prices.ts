/**
 * Prices of models from a file: `--prices FILE`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/parse.ts";
import { checkPrices, priceIn, type Prices, type Pricing } from "../kernel/price.ts";
import type { RuntimeOptions } from "../runtime/runtime_options.ts";
import type { Command, Context } from "./command.ts";
import { readText } from "./files.ts";

/** The option of commands that ask models. */
export const PRICES_OPTION = {
  prices: { type: "string" },
} as const satisfies Command["options"];

/** The runtime's option that it sets. */
export async function pricesFor(at: Context): Promise<Pick<RuntimeOptions, "prices">> {
  const prices = await pricesOf(at);
  return prices === undefined ? {} : { prices };
}

/** The table that was named; undefined for none. Throws `ENOENT`, and `EINVAL` that says why. */
export async function pricesOf(at: Context): Promise<Prices | undefined> {
  const file = at.flags.text("prices");
  if (file === undefined) return undefined;
  const text = await readText(at, file);
  let given: unknown;
  try {
    given = parseJson(text);
  } catch (error) {
    const why = `no JSON: ${(error as Error).message}`;
    throw new SysError("EINVAL", `Cannot read the prices in "${file}": ${why}`);
  }
  const prices = checkPrices(given);
  // A line that prices nothing would be noticed on the bill.
  const idle = Object.keys(prices).find((id) => !/^[^/*]+\/([^*]+|\*)$/.test(id));
  if (idle === undefined) return prices;
  const expected = 'expected "provider/model" or "provider/*"';
  const what = `"${idle}" is no model`;
  throw new SysError("EINVAL", `Cannot read the prices in "${file}": ${what}, ${expected}`);
}

/** A price as people read it: what a million tokens cost, read and written. */
export function priceText(pricing: Pricing | undefined): string {
  return pricing === undefined ? "-" : `$${pricing.inputUsd} / $${pricing.outputUsd}`;
}

/** What the table says of a model, in a sentence. */
export function priceSentence(prices: Prices, id: string): string {
  const pricing = priceIn(prices, id);
  return pricing === undefined
    ? `No price for ${id}: a budget in money counts nothing for it`
    : `Price of ${id}: ${priceText(pricing)} for a million tokens, read and written`;
}
