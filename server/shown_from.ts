/**
 * Where what is shown is read: a replica of the store's database, where there is one that has all
 * that this process wrote or was shown, else the store.
 *
 * Invariants:
 *   SF1. Nothing is decided by it: who may see, what a change rests on, and what was just changed
 *        are read from the store itself.
 *   SF2. An answer that a replica gave says how old it is at most, in `libos-behind-ms`.
 * @module
 */

import type { Context, MiddlewareHandler } from "hono";
import { type StoreView, viewOf } from "../kernel/store.ts";
import type { Env, House } from "./api.ts";

const HEADER = "libos-behind-ms";

/** Where one request reads what it shows; asked for after whatever it has to see. */
export async function shownFrom(house: House, c: Context<Env>): Promise<StoreView> {
  const known = c.get("shown");
  if (known !== undefined) return known;
  const view = await viewOf(house.runtime.node.options.store);
  c.set("shown", view);
  return view;
}

/** Says how old an answer is (SF2). */
export const saysAge: MiddlewareHandler<Env> = async (c, next) => {
  await next();
  const behindMs = c.get("shown")?.behindMs ?? null;
  if (behindMs !== null) c.res.headers.set(HEADER, String(behindMs));
};
