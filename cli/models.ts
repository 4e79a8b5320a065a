/**
 * `models`: what an endpoint of models offers, and what one of them can do.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { priceIn, type Prices } from "../kernel/price.ts";
import { oneLine } from "../providers/printable.ts";
import { bad, listModels, type Probe, probeModel } from "../providers/models/probe.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, type ExitCode, UsageError } from "./exit.ts";
import { modelAt } from "./image_file.ts";
import { list } from "./output.ts";
import { PRICES_OPTION, priceSentence, pricesOf, priceText } from "./prices.ts";

const ANTHROPIC = "https://api.anthropic.com/v1";

/** `models`. */
export const models: Command = {
  name: "models",
  group: "start",
  usage: "[ls | test] URL [--model-id NAME] [--prices FILE]",
  about: "List the models of an endpoint, or try one: completion, streaming, tool calls, images",
  examples: [
    "libos models ls http://127.0.0.1:11434/v1",
    "libos models test anthropic --model-id claude-sonnet-4-5",
  ],
  options: { "model-id": { type: "string" }, ...PRICES_OPTION },
  words: [0, 2],
  remote: "none",
  async run(at) {
    const [verb = "ls", word] = at.words;
    const url = word ?? at.io.env("LIBOS_MODEL");
    if ((verb !== "ls" && verb !== "test") || url === undefined) {
      throw new UsageError(`Cannot run "models ${oneLine(verb)}": expected models ${models.usage}`);
    }
    return verb === "ls" ? await listed(at, url) : await tested(at, url);
  },
};

async function listed(at: Context, url: string): Promise<ExitCode> {
  const prices = await pricesOf(at);
  if (prices !== undefined) return await listedPrices(at, url, prices);
  list(at, await namesAt(at, url), {
    columns: [{ head: "MODEL", of: (name) => oneLine(name) }],
    name: (name) => name,
    none: "The endpoint lists no models",
  });
  return EXIT.ok;
}

/** With the id that a line of the table has to have, so that none is guessed. */
async function listedPrices(at: Context, url: string, prices: Prices): Promise<ExitCode> {
  const rows = (await namesAt(at, url)).map((model) => {
    const { id } = modelAt(url, { modelId: model });
    return { model, id, price: priceIn(prices, id) ?? null };
  });
  list(at, rows, {
    columns: [
      { head: "MODEL", of: ({ model }) => oneLine(model) },
      { head: "PRICED AS", of: ({ id }) => oneLine(id) },
      { head: "A MILLION, IN / OUT", of: ({ price }) => priceText(price ?? undefined) },
    ],
    name: ({ model }) => model,
    none: "The endpoint lists no models",
  });
  return EXIT.ok;
}

async function tested(at: Context, url: string): Promise<ExitCode> {
  const prices = await pricesOf(at);
  const found: Probe[] = [];
  let names: readonly string[] = [];
  try {
    names = await namesAt(at, url);
    found.push({ what: "connect", state: "ok", code: null, detail: `${names.length} models` });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    // Not every endpoint lists what it has; a model is tried all the same.
    found.push(bad("connect", error));
  }
  const modelId = at.flags.text("model-id") ?? at.io.env("LIBOS_MODEL_ID") ??
    (names.length === 1 ? names[0] : undefined);
  if (modelId !== undefined) {
    const stop = new AbortController();
    const unhear = at.io.onInterrupt(() => stop.abort());
    try {
      const model = modelAt(url, { modelId, ...keyOf(at) });
      if (prices !== undefined) at.io.err(`${oneLine(priceSentence(prices, model.id))}\n`);
      for await (const probe of probeModel(model, stop.signal)) found.push(probe);
    } finally {
      unhear();
    }
  }
  list(at, found, {
    columns: [
      { head: "WHAT", of: ({ what }) => what },
      { head: "STATE", of: ({ state }) => state },
      { head: "CODE", of: ({ code }) => code ?? "-" },
      { head: "DETAIL", of: ({ detail }) => oneLine(detail) },
    ],
    name: ({ what }) => what,
    none: "Nothing was tried",
  });
  if (modelId === undefined) {
    at.io.err(`No model was tried: ${names.length} are listed, name one with --model-id\n`);
  }
  const works = found.some(({ what, state }) => what === "completion" && state === "ok");
  return works && found.every(({ what, state }) => what === "connect" || state !== "bad")
    ? EXIT.ok
    : EXIT.error;
}

function keyOf(at: Context): { readonly apiKey?: string } {
  const apiKey = at.io.env("LIBOS_MODEL_KEY");
  return apiKey === undefined ? {} : { apiKey };
}

async function namesAt(at: Context, url: string): Promise<readonly string[]> {
  const [, messages] = /^anthropic(?::(.+))?$/.exec(url) ?? [];
  const isAnthropic = url.startsWith("anthropic");
  return await listModels({
    url: isAnthropic ? messages ?? ANTHROPIC : url,
    kind: isAnthropic ? "anthropic" : "openai",
    ...keyOf(at),
  });
}
