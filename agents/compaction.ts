/**
 * Keeping a conversation inside its window: when to compact, and who writes the summary.
 *
 * User space: it makes the calls that any program may make, and each is answered from the log when
 * a step is run again.
 * @module
 */

import type { Sys } from "../broker/client.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { ModelReply } from "../kernel/world.ts";

/** What `model.generate` says of the prompt it made. */
export interface Windowed {
  readonly context?: {
    readonly tokens: number;
    readonly window: number;
    /** How far the conversation should be compacted now. */
    readonly compact?: number;
  };
}

/** Codes after which nothing may be tried again. */
export const FATAL: ReadonlySet<string> = new Set(["EREPLAY", "EFENCED", "EINTEGRITY"]);

const SCALE = "context/.scale";
const ASK = "Summarize the conversation above for whoever goes on with it: what was done and " +
  "found out, with names and numbers; what failed; what is still to do. Leave out what is " +
  "pinned. Write only the summary.";

/** Compacts a conversation when its last prompt says so. A failure leaves it as it is. */
export async function compactWhenDue(
  sys: Sys,
  of: { readonly model: string; readonly context: string },
  { context: made }: Windowed,
): Promise<void> {
  if (made?.compact === undefined) return;
  const { window, compact: to } = made;
  const summary = await tolerant(() => summarize(sys, { ...of, window, to }));
  const { context, model } = of;
  await tolerant(() =>
    sys.context.compact({ context, model, to, window, ...(summary ? { summary } : {}) })
  );
}

/** What a model makes of the turns up to `to`; where it makes nothing, sentences are picked. */
async function summarize(sys: Sys, of: {
  readonly model: string;
  readonly context: string;
  readonly window: number;
  readonly to: number;
}): Promise<string> {
  const { model, context, window, to } = of;
  const reply = await sys.model.generate({
    model,
    context,
    length: to,
    window,
    recall: 0,
    instructions: true,
    tools: false,
    messages: [{ role: "user", text: ASK } as never],
    maxOutputTokens: Math.max(64, Math.floor(window / 8)),
  }) as unknown as ModelReply;
  return reply.calls.length === 0 ? reply.text.trim() : "";
}

async function tolerant<T>(job: () => Promise<T>): Promise<T | undefined> {
  try {
    return await job();
  } catch (error) {
    if (!(error instanceof SysError) || FATAL.has(error.code)) throw error;
    return undefined;
  }
}

/** Counts more carefully from now on when a provider counted more tokens than the kernel did. */
export async function calibrate(sys: Sys, reply: ModelReply & Windowed): Promise<void> {
  const made = reply.context;
  if (made === undefined || !(reply.inputTokens > made.tokens)) return;
  const { objects } = await sys.object.list({ prefix: "context" });
  const known = objects.find(({ name }) => name === SCALE);
  if (known === undefined) await sys.object.create({ name: SCALE, type: "json", list: true });
  // Later prompts are counted with the last line; each line is on top of the one before.
  const before = known === undefined ? [] : (await sys.object.read({ object: SCALE })).value;
  const old = (before as readonly number[]).at(-1) ?? 100;
  const percent = Math.min(
    LIMITS.contextScalePercentMax,
    Math.ceil(old * reply.inputTokens / Math.max(1, made.tokens)),
  );
  if (percent > old) await sys.object.append({ object: SCALE, item: percent });
}
