/**
 * Models: a turn of a conversation that lies in Object Memory.
 *
 * The prompt is named, not passed: the log of a long conversation grows with what is new in it, not
 * with its square.
 * @module
 */

import { z } from "zod";
import { estimateTokens, totalOf } from "../../kernel/context.ts";
import { SysError } from "../../kernel/errors.ts";
import { treeNumber } from "../../kernel/ids.ts";
import { hashOf, type Json, type JsonObject } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { existing, itemsOf, lengthAt } from "../../kernel/memory.ts";
import type { Recorded } from "../../kernel/state.ts";
import type {
  Model,
  ModelMessage,
  ModelReply,
  ModelRequest,
  ModelTool,
} from "../../kernel/world.ts";
import { jsonShape, objectShape } from "../shapes.ts";
import { type CallContext, syscall } from "../syscall.ts";
import { assemble, current, type Manifest, type Prompt, taintWith } from "../assemble.ts";
import { mostOfTurn } from "../holding.ts";
import { attach, type Attached, withParts } from "../parts.ts";
import { inOrder } from "../reading.ts";
import { visibleTools } from "../tools_of.ts";
import { contextNeeds, windowArgs } from "../window.ts";

const message = z.looseObject({ role: z.enum(["system", "user", "assistant", "tool"]) });

/** Calls to models. */
export const modelCalls = {
  "model.generate": syscall({
    about: "Let a model take the next turn of a conversation",
    effect: "emit",
    risk: "low",
    args: z.strictObject({
      model: z.string().min(1).max(256).describe("provider/model"),
      context: objectShape.optional().describe("A list object of messages; or give messages"),
      length: z.number().int().min(0).optional().describe("How many items of it to use"),
      messages: z.array(message).max(1_024).optional(),
      system: z.string().max(65_536).optional(),
      instructions: z.boolean().default(false).describe("Begin with the own image's instructions"),
      tools: z.boolean().default(true).describe("Whether the model may call the own tools"),
      maxOutputTokens: z.number().int().min(1).optional(),
      temperature: z.number().min(0).max(2).optional(),
      timeoutMs: z.number().int().min(1).default(LIMITS.modelTimeoutMsDefault),
      unsupported: z.enum(["say", "refuse"]).optional()
        .describe("Media that the model does not take: told to it in words, or refused"),
      ...windowArgs,
    }),
    reply: z.looseObject({ text: z.string(), calls: z.array(jsonShape) }),
    cost: () => ({ modelCalls: 1, tokens: 0, usd: 0 }),
    needs: ({ model, context, window, messages }, at) => [
      { right: "model.generate", resource: model },
      ...named(messages).map((object) => ({
        right: "object.read",
        resource: at.tree.resolve(at.process.pid, object).name,
        shown: object,
      })),
      ...(window !== undefined ? contextNeeds(context, at) : context === undefined ? [] : [{
        right: "object.read",
        resource: at.tree.resolve(at.process.pid, context).name,
        shown: context,
      }]),
    ],
    async prepare(at, args) {
      const model = at.world.model(args.model);
      if (model === undefined) {
        const expected = "expected one this runtime was given; see --model and createRuntime";
        throw new SysError("ENOSYS", `Cannot use model "${args.model}": unknown, ${expected}`);
      }
      const tools = args.tools ? toolsOf(at) : [];
      const system = systemOf(at, args.instructions, args.system);
      const given = (args.messages ?? []) as unknown as ModelMessage[];
      if (args.window !== undefined) {
        const { window, context, length, query } = args;
        const wanted = { ...args, window, context, length, query, system, given, tools };
        const prompt = await assemble(at, { ...wanted, counting: model, again: madeBefore(at) });
        taintWith(at, prompt);
        const { messages } = current(at, prompt);
        mustFit(args.model, messages);
        const attached = await attach(at, messages, prompt.manifest.seq);
        const read = readBy(model, messages, tools);
        return { model, prompt, messages, tools, attached, read };
      }
      const messages = [...system, ...await conversation(at, args.context, args.length), ...given];
      mustFit(args.model, messages);
      const attached = await attach(at, messages, null);
      const read = readBy(model, messages, tools);
      return { model, prompt: null, messages, tools, attached, read };
    },
    most(of, { maxOutputTokens }, prepared: Prepared) {
      const turn = { inputTokens: prepared.read, outputTokens: maxOutputTokens };
      const most = mostOfTurn(of, prepared.model.pricing, turn);
      // What is written is bounded by what is held for it.
      prepared.bound = most?.outputTokens;
      return most;
    },
    sends: ({ messages, tools, attached }: Prepared) =>
      hashOf({ messages, tools, attached: [...attached] } as unknown as Json),
    // With it the same prompt can be made again: after a crash, or by whoever reads the log.
    before: ({ prompt }: Prepared) => (prompt?.manifest ?? null) as unknown as Json,
    async run(at, args, { model, prompt, messages, tools, attached, bound }) {
      const { unsupported = "say", maxOutputTokens = bound } = args;
      let withdrawn = 0;
      const request = (): ModelRequest => {
        const now = prompt === null ? { messages, withdrawn: 0 } : current(at, prompt);
        withdrawn = now.withdrawn;
        return {
          model: args.model,
          messages: withParts(at, now.messages, { attached, model, unsupported }),
          tools,
          idempotencyKey: at.idempotencyKey,
          ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
          ...(args.temperature === undefined ? {} : { temperature: args.temperature }),
        };
      };
      const reply = await insist(at, model, { request, timeoutMs: args.timeoutMs });
      at.book({
        tokens: amount(reply.inputTokens) + amount(reply.outputTokens),
        ...(reply.usd === undefined ? {} : { usd: amount(reply.usd) }),
      });
      return prompt === null ? reply : { ...reply, context: said(prompt.manifest, withdrawn) };
    },
    // A lost answer is asked for again: it costs tokens, and changes nothing outside.
    lost: "safe",
  }),
};

/** What a turn is asked for with. */
interface Prepared {
  readonly model: Model;
  /** A prompt that was put together under a window; null for `messages` as they are. */
  readonly prompt: Prompt | null;
  /** What is sent, less what is deleted or revoked until then. */
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly ModelTool[];
  /** What the messages name. */
  readonly attached: Attached;
  /** About how many tokens it reads, where that has a price. */
  readonly read: number;
  /** The most tokens that it may write, for the money that is held. */
  bound?: number | undefined;
}

function readBy(
  model: Model,
  messages: readonly ModelMessage[],
  tools: readonly ModelTool[],
): number {
  if (model.pricing === undefined) return 0;
  return totalOf(messages, estimateTokens) + estimateTokens(JSON.stringify(tools));
}

/** Objects that messages name. */
function named(messages: readonly unknown[] = []): readonly string[] {
  const parts = messages.flatMap((message) => (message as { parts?: unknown }).parts ?? []);
  const names = parts.map((part) => (part as { object?: unknown } | null)?.object);
  return [...new Set(names.filter((name) => typeof name === "string"))];
}

/** What the prompt was made of, when this very call was under way before a crash. */
function madeBefore(at: CallContext): Manifest | undefined {
  const recorded = recordedOf(at);
  if (recorded?.state !== "open" || recorded.intent.before === null) return undefined;
  return recorded.intent.before as unknown as Manifest;
}

function recordedOf({ process, key }: CallContext): Recorded | undefined {
  return Object.hasOwn(process.journal, key) ? process.journal[key] : undefined;
}

function said(manifest: Manifest, withdrawn: number): Manifest {
  return withdrawn === 0 ? manifest : { ...manifest, left: { ...manifest.left, withdrawn } };
}

function mustFit(model: string, messages: readonly ModelMessage[]): void {
  const bytes = JSON.stringify(messages).length;
  if (bytes <= LIMITS.modelContextBytesMax) return;
  const sentence = `Cannot ask model "${model}": the prompt has ${bytes} bytes`;
  throw new SysError("ELIMIT", `${sentence}, expected ${LIMITS.modelContextBytesMax}`, {
    limit: "modelContextBytesMax",
  });
}

/** What a provider counted, as far as it is a count. */
function amount(counted: unknown): number {
  return typeof counted === "number" && Number.isFinite(counted) && counted > 0 ? counted : 0;
}

/** The image's instructions are named, not passed, so that the log does not repeat them. */
export function systemOf(at: CallContext, instructions: boolean, system = ""): ModelMessage[] {
  const own = instructions ? at.tree.state.images[at.process.image]?.instructions ?? "" : "";
  const text = [own, system].filter((part) => part !== "").join("\n\n");
  return text === "" ? [] : [{ role: "system", text }];
}

/** The tools that the caller's model sees. */
export function toolsOf(at: CallContext): ModelTool[] {
  return visibleTools(at).map(({ name, description, inputSchema, generated }) => ({
    name,
    description,
    inputSchema: generated === undefined ? inputSchema : inOrder(inputSchema) as JsonObject,
  }));
}

/** The messages in a list object, as the process's memory has them. */
async function conversation(
  at: CallContext,
  ref: string | undefined,
  length: number | undefined,
): Promise<ModelMessage[]> {
  if (ref === undefined) return [];
  const found = at.tree.resolve(at.pid, ref);
  const object = existing(found, "read");
  at.taint(object.label);
  const to = Math.min(length ?? Infinity, lengthAt(object, found.asOf));
  const items = itemsOf(at.tree.state, object, 0, to);
  const values: Json[] = await Promise.all(items.map((item) => at.load(item.value)));
  return values.map(inOrder) as unknown as ModelMessage[];
}

/**
 * Asks a model, again where it is busy: bounded in tries and in time, as it says itself. What a
 * gate has tried again already is not.
 */
async function insist(at: CallContext, model: Model, given: {
  /** The request as it may be made now. */
  readonly request: () => ModelRequest;
  readonly timeoutMs: number;
}): Promise<ModelReply> {
  const signal = AbortSignal.any([at.signal]);
  const { pid, priority } = at.process;
  const recorded = recordedOf(at);
  const sinceMs = recorded?.state === "open" ? recorded.intent.atMs ?? at.nowMs : at.nowMs;
  const { tree, processes } = at.tree.state;
  const { labels = {} } = processes[`p_${treeNumber(tree)}`] ?? {};
  const asker = { tree, pid, priority, sinceMs, labels };
  for (let attempt = 1;; attempt++) {
    try {
      return await bounded(at, given.timeoutMs, (limit, onWait) =>
        model.generate(given.request(), {
          signal: AbortSignal.any([signal, limit]),
          onText: (chunk) => at.stream(chunk),
          onWait,
          asker,
        }));
    } catch (error) {
      const again = error instanceof SysError && error.retry &&
        error.detail?.["attempts"] === undefined && attempt < LIMITS.modelRetriesMax;
      if (!again || signal.aborted) throw error;
      const asked = error.detail?.["retryAfterMs"];
      const pause = typeof asked === "number" ? asked : 250 * 2 ** attempt;
      if (pause > LIMITS.modelRetryMsMax) throw error;
      at.waits(true);
      await at.world.clock.sleep(pause, signal).finally(() => at.waits(false));
    }
  }
}

/**
 * Runs `job` under a time limit that the clock keeps, even when it ignores its signal. The time
 * stands still while the job says that it waits, and begins anew when it does so no longer.
 */
export async function bounded<T>(
  at: CallContext,
  timeoutMs: number,
  job: (limit: AbortSignal, onWait: (waits: boolean) => void) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const over = new AbortController();
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  let lap = new AbortController();
  const start = (): void => {
    lap = new AbortController();
    at.world.clock.sleep(timeoutMs, AbortSignal.any([lap.signal, over.signal])).then(() => {
      limit.abort(new SysError("ETIMEDOUT", "Cannot wait longer"));
      const sentence = `Cannot get an answer of the model: none in ${timeoutMs} ms`;
      late.reject(new SysError("ETIMEDOUT", sentence));
    }, () => {});
  };
  let isWaiting = false;
  const tell = (waits: boolean): void => {
    if (waits !== isWaiting) at.waits(isWaiting = waits);
  };
  const onWait = (waits: boolean): void => {
    if (over.signal.aborted || limit.signal.aborted) return;
    lap.abort();
    if (!waits) start();
    tell(waits);
  };
  start();
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void =>
      reject(new SysError("ECANCELED", "Cannot get an answer of the model: stopped"));
    if (at.signal.aborted) stop();
    else at.signal.addEventListener("abort", stop, { once: true, signal: over.signal });
  });
  stopped.catch(() => {});
  try {
    return await Promise.race([job(limit.signal, onWait), late.promise, stopped]);
  } finally {
    over.abort();
    tell(false);
  }
}
