/**
 * What `run` is to start: an image from a module that a person names, or the built-in one.
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Model } from "../kernel/world.ts";
import { modelLoop } from "../agents/model_loop.ts";
import { anthropicModel } from "../providers/models/anthropic.ts";
import { privateFile } from "../providers/private_file.ts";
import { openaiCompatibleModel } from "../providers/models/openai_compatible.ts";
import { type AgentImage, type Budget, defineImage } from "../runtime/image.ts";
import { loadValue } from "../runtime/load.ts";
import type { Package } from "../runtime/package.ts";
import { madeAgain, MadeImages, refOf } from "../server/image_book.ts";
import type { SpawnOptions } from "../runtime/runtime.ts";
import type { Context } from "./command.ts";
import { spoken, SysError } from "../kernel/errors.ts";
import { credentialRules } from "./credential_place.ts";
import { UsageError } from "./exit.ts";
import { packageBook, packageFile, startablePackage } from "./package_file.ts";
import { isFile } from "./files.ts";
import { reading } from "./store.ts";
import { imagesPath } from "./token.ts";
import { budgetOf, rulesOf } from "./words.ts";

const INSTRUCTIONS =
  "You are a careful agent. Reach the goal with the tools you have. A tool that " +
  "is refused tells you why: ask for a right with capability_request when you need it. When you " +
  "are done, answer with the result alone.";

/** An image, with what its module says about how to start it. */
export interface Startable {
  readonly image: AgentImage;
  readonly spawn: Partial<SpawnOptions>;
  /** The package that it is of. */
  readonly package?: Package;
}

/** The model that the options name; undefined when they name none. */
export function modelOf({ flags, io }: Context): Model | undefined {
  const url = flags.text("model") ?? io.env("LIBOS_MODEL");
  const modelId = flags.text("model-id") ?? io.env("LIBOS_MODEL_ID");
  if (url === undefined && modelId === undefined) return undefined;
  if (url === undefined || modelId === undefined) {
    throw new UsageError(
      "Cannot use a model: half of it is named, expected --model and --model-id",
    );
  }
  const apiKey = io.env("LIBOS_MODEL_KEY");
  return modelAt(url, { modelId, ...(apiKey === undefined ? {} : { apiKey }) });
}

/** A model at an address: "anthropic", or what is behind "anthropic:", speaks Messages. */
export function modelAt(
  url: string,
  options: { readonly modelId: string; readonly apiKey?: string },
): Model {
  if (url === "anthropic") return anthropicModel(options);
  const [, messages] = /^anthropic:(.+)$/.exec(url) ?? [];
  return messages === undefined
    ? openaiCompatibleModel({ ...options, url })
    : anthropicModel({ ...options, url: messages });
}

/** Loads what a word names: a module's file, "agent", or an image made of a process. */
export async function startableOf(at: Context, word: string): Promise<Startable> {
  if (word === "agent") {
    const model = modelOf(at);
    if (model === undefined) {
      const expected = "expected --model URL and --model-id NAME";
      throw new UsageError(`Cannot run image "agent": no model, ${expected}`);
    }
    return { image: defineImage({ name: "agent", instructions: INSTRUCTIONS, model }), spawn: {} };
  }
  const one = await packageMeant(at, word);
  if (one !== undefined) {
    const image = await startablePackage(at, one, modelOf(at)?.id);
    return { image, spawn: {}, package: one };
  }
  if (!await isFile(at, word)) {
    const image = await imageMade(at, word);
    if (image !== undefined) return { image, spawn: {} };
    const state = 'no such file, expected a TypeScript module, "agent", or one of libos images';
    throw new SysError("ENOENT", `Cannot run "${word}": ${state}`);
  }
  return exported(word, await loaded(at, word));
}

/** A module of a person's; why one does not load is told with its name. */
async function loaded({ io }: Context, word: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(resolve(io.cwd, word)).href);
  } catch (thrown) {
    if (thrown instanceof SysError) throw thrown;
    const expected = "expected a TypeScript module that exports an image";
    throw new SysError(
      "EINVAL",
      `Cannot load "${word}": ${spoken(thrown)}${placeOf(thrown)}\n${expected}`,
    );
  }
}

/** Where it was thrown, if its sentence does not say so. */
function placeOf(thrown: unknown): string {
  const { message = "", stack = "" } = Object(thrown) as { message?: string; stack?: string };
  const place = /\n\s+(at .*file:.*)/.exec(stack)?.[1];
  return place === undefined || message.includes("file:") ? "" : `, ${place}`;
}

/** The package that a word means: the file of one, or one that is kept; undefined for another. */
async function packageMeant(at: Context, word: string): Promise<Package | undefined> {
  if (await isFile(at, word)) {
    return /\.json$/.test(word) ? await packageFile(at, word) : undefined;
  }
  const label = packageBook(at).named(word);
  return label === undefined ? undefined : await packageBook(at).open(label);
}

/**
 * An image that was made of a process of the store, by its ref; undefined where there is none. It
 * runs here when it needs no code but what every runtime has.
 */
async function imageMade(at: Context, word: string): Promise<AgentImage | undefined> {
  const made = new MadeImages(privateFile(imagesPath(at))).list();
  const found = made.find((one) => refOf(one) === word);
  if (found === undefined) return undefined;
  return await reading(at, async (store) => {
    const { image } = await madeAgain(store, {
      program: (name) => name === "model-loop" ? modelLoop : undefined,
      tool: () => undefined,
      load: (tree, hash) => loadValue(store, tree, hash),
    }, found);
    return image;
  });
}

function exported(word: string, module: unknown): Startable {
  const given = (module as { readonly default?: unknown }).default;
  if (isImage(given)) return { image: given, spawn: {} };
  const { image, spawn } = (given ?? {}) as { readonly image?: unknown; readonly spawn?: unknown };
  if (isImage(image)) return { image, spawn: (spawn ?? {}) as Partial<SpawnOptions> };
  const expected = "expected a default export made by defineImage, or { image, spawn }";
  throw new UsageError(`Cannot run "${word}": it exports no image, ${expected}`);
}

function isImage(value: unknown): value is AgentImage {
  const { ref, sha256, data, tools } = (value ?? {}) as { readonly [key: string]: unknown };
  return typeof ref === "string" && typeof sha256 === "string" && typeof data === "object" &&
    Array.isArray(tools);
}

/** The module's options, and over them those of the command line. */
export function spawnOptions(
  at: Context,
  spawn: Partial<SpawnOptions>,
  goal: string,
): SpawnOptions {
  const { flags } = at;
  const key = flags.text("key") ?? spawn.idempotencyKey;
  const { wallMs, ...limits } = budgetOf(flags.texts("budget"));
  const budget: Budget = {
    ...spawn.budget,
    ...limits,
    ...(wallMs === undefined ? {} : { wallClock: `${wallMs}ms` }),
  };
  return {
    ...spawn,
    goal,
    budget,
    grants: [
      ...spawn.grants ?? [],
      ...rulesOf(flags.texts("grant"), "allow"),
      ...credentialRules(at, flags.texts("credential")),
      ...rulesOf(flags.texts("ask"), "ask"),
      ...rulesOf(flags.texts("deny"), "deny"),
    ],
    ...(key === undefined ? {} : { idempotencyKey: key }),
  };
}
