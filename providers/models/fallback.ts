/**
 * Models made of models: several that stand in for each other, and one with a price.
 *
 * Invariants:
 *   M1. The next is asked only after a failure that may be tried again, and only when nothing of an
 *       answer was heard: chunks of a reply come from one model.
 *   M2. Which one answered is in the reply, and so in the log; of a failure of all, each is told.
 * @module
 */

import { SysError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { checkPrices, priceIn, priceOf, type Prices, type Pricing } from "../../kernel/price.ts";
import type { Model } from "../../kernel/world.ts";

/**
 * Makes a model of several: each call goes to the first, and to the next where one is busy, slow or
 * broken (`EAGAIN`, `ETIMEDOUT`, `EIO`). Refusals for what is asked, or for a key, are not passed
 * on. The reply's `answeredBy` says which one it was, where it was not the first.
 *
 * It takes the media that all of them take; its price is the highest, and known where all are.
 * Throws `EINVAL` for none, or more than `LIMITS.modelsTriedMax`. Errors of `generate`: those of
 * the last that was asked, with `detail.tried`.
 *
 * @example
 * ```ts
 * import { fallbackModel } from "@agent-libos/core";
 * import { scriptedModel } from "@agent-libos/core/testing";
 * const far = scriptedModel([{ error: "EIO" }], { id: "far/large" });
 * const near = scriptedModel(["Hello"], { id: "near/small" });
 * const model = fallbackModel([far, near]);
 * const request = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
 * const reply = await model.generate(request, { signal: new AbortController().signal });
 * console.assert(reply.text === "Hello" && reply.answeredBy === "near/small");
 * ```
 */
export function fallbackModel(
  models: readonly Model[],
  options: { readonly id?: string } = {},
): Model {
  const [first] = models;
  if (first === undefined || models.length > LIMITS.modelsTriedMax) {
    const expected = `expected 1 to ${LIMITS.modelsTriedMax}`;
    throw new SysError("EINVAL", `Cannot make a model of ${models.length} models: ${expected}`);
  }
  const id = options.id ?? first.id;
  const pricing = dearest(models);
  const takes = (first.takes ?? []).filter((type) =>
    models.every((model) => model.takes?.includes(type))
  );
  return {
    id,
    ...(pricing === undefined ? {} : { pricing }),
    ...(takes.length === 0 ? {} : { takes }),
    async generate(request, { onText, ...asking }) {
      const tried: { readonly model: string; readonly code: string }[] = [];
      for (const [i, model] of models.entries()) {
        let isHeard = false;
        const hear = (chunk: string): void => {
          isHeard = true;
          onText?.(chunk);
        };
        try {
          const reply = await model.generate({ ...request, model: model.id }, {
            ...asking,
            ...(onText === undefined ? {} : { onText: hear }),
          });
          const answeredBy = reply.answeredBy ?? model.id;
          return answeredBy === id ? reply : { ...reply, answeredBy };
        } catch (error) {
          if (!(error instanceof SysError)) throw error;
          tried.push({ model: model.id, code: error.code });
          const isLast = i === models.length - 1;
          if (isLast || isHeard || !error.retry || asking.signal.aborted) throw told(error, tried);
        }
      }
      throw new SysError("EIO", `Cannot generate with model "${id}": none was asked`);
    },
  };
}

function told(error: SysError, tried: readonly { readonly model: string; code: string }[]) {
  if (tried.length < 2) return error;
  const before = tried.slice(0, -1).map(({ model, code }) => `${model}: ${code}`).join(", ");
  const detail = { ...error.detail, tried };
  return new SysError(error.code, `${error.message} (before it: ${before})`, detail);
}

/** The highest of each price; undefined where one has none. */
function dearest(models: readonly Model[]): Pricing | undefined {
  const prices = models.map(({ pricing }) => pricing).filter((one) => one !== undefined);
  if (prices.length < models.length) return undefined;
  const most = (of: (pricing: Pricing) => number): number => Math.max(...prices.map(of));
  return {
    inputUsd: most(({ inputUsd }) => inputUsd),
    outputUsd: most(({ outputUsd }) => outputUsd),
    cachedInputUsd: most(({ cachedInputUsd, inputUsd }) => cachedInputUsd ?? inputUsd),
    cacheWriteUsd: most(({ cacheWriteUsd, inputUsd }) => cacheWriteUsd ?? inputUsd),
  };
}

/**
 * Makes a model with the price that a table has for it: under its id, or under `provider/*`. A
 * model that has a price, or is in no line of the table, is as it was.
 *
 * Throws `EINVAL` for what is no table of prices.
 *
 * @example
 * ```ts
 * import { pricedModel } from "@agent-libos/core";
 * import { scriptedModel } from "@agent-libos/core/testing";
 * const prices = { "scripted/*": { inputUsd: 3, outputUsd: 15 } };
 * const model = pricedModel(scriptedModel(["Hello"]), prices);
 * const request = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
 * const reply = await model.generate(request, { signal: new AbortController().signal });
 * console.assert(model.pricing?.inputUsd === 3 && (reply.usd ?? 0) > 0);
 * ```
 */
export function pricedModel(model: Model, prices: Prices): Model {
  const pricing = model.pricing ?? priceIn(checkPrices(prices), model.id);
  if (pricing === undefined || model.pricing !== undefined) return model;
  return {
    ...model,
    pricing,
    async generate(request, asking) {
      const reply = await model.generate(request, asking);
      return reply.usd === undefined ? { ...reply, usd: priceOf(reply, pricing) } : reply;
    },
  };
}
