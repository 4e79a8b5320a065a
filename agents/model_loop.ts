/**
 * The model loop: a program that turns model turns into tool calls.
 *
 * It is user space: it has no authority but its process's, and keeps nothing but its process's
 * memory. The conversation is the list object "context"; one step is one turn of the model and the
 * calls it asked for, in order. The goal is pinned, and stands in every prompt.
 * @module
 */

import type { Sys } from "../broker/client.ts";
import { SysError } from "../kernel/errors.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { ModelCall, ModelReply } from "../kernel/world.ts";
import { pictured, type Shown } from "./pictured.ts";
import { calibrate, compactWhenDue, FATAL, type Windowed } from "./compaction.ts";

/** What the loop needs of a step. */
export interface LoopContext {
  readonly step: number;
  readonly goal: string;
  readonly input: Json;
  readonly instructions: string;
  readonly model: string | null;
  readonly sys: Sys;
}

const CONTEXT = "context";
const GOAL = "goal";

/** One turn: hear what came in, ask the model, do what it asks. */
export async function modelLoop(step: LoopContext): Promise<void> {
  const { sys, model } = step;
  if (model === null) {
    throw new SysError("EINVAL", "Cannot run the model loop: the image names no model");
  }
  await begin(step);
  await hear(sys);
  for (let repairs = 0;; repairs++) {
    const reply = await sys.model.generate({
      model,
      context: CONTEXT,
      instructions: true,
      window: LIMITS.contextWindowTokensDefault,
    }) as unknown as ModelReply & Windowed;
    await calibrate(sys, reply);
    await say(sys, { role: "assistant", text: reply.text, calls: reply.calls as never });
    if (reply.calls.length === 0) {
      if (reply.text.trim() !== "") {
        await sys.process.exit({ result: reply.text });
        return;
      }
      await say(sys, { role: "user", text: "You said nothing. Call a tool, or say the result." });
    } else if (await doAll(sys, reply.calls)) {
      await compactWhenDue(sys, { model, context: CONTEXT }, reply);
      return;
    }
    if (repairs >= LIMITS.modelRepairsMax) {
      const sentence = `Cannot go on: the model made no usable call in ${repairs + 1} turns`;
      throw new SysError("EINVAL", `${sentence}, expected one of its tools with valid arguments`);
    }
  }
}

/** The first step pins the goal; a fork continues its parent's conversation with its own. */
async function begin({ sys, step, goal, input }: LoopContext): Promise<void> {
  if (step > 1) return;
  const given = input === null ? "" : `\n\nInput:\n${JSON.stringify(input)}`;
  const { objects } = await sys.object.list({});
  const isFork = objects.some(({ name }) => name === CONTEXT);
  await sys.object.create({ name: GOAL, type: "text", value: `${goal}${given}` });
  await sys.context.pin({ object: GOAL, kind: "goal" });
  if (isFork) await say(sys, { role: "user", text: `${goal}${given}` });
  else await sys.object.create({ name: CONTEXT, type: "context", list: true });
}

/** Messages of others become turns of the conversation. */
async function hear(sys: Sys): Promise<void> {
  const { messages } = await sys.message.receive({ max: 16, timeoutMs: 0 });
  for (const { from, type, data } of messages) {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    await say(sys, { role: "user", text: `Message (${type}) from ${from}: ${text}` });
  }
}

/** Makes the calls of a turn in order; false when none of them was usable. */
async function doAll(sys: Sys, calls: readonly ModelCall[]): Promise<boolean> {
  let usable = false;
  const shown: Shown[] = [];
  for (const call of calls) {
    const { output, isError, malformed } = await doOne(sys, call, shown);
    if (!malformed) usable = true;
    await say(sys, { role: "tool", id: call.id, name: call.name, output, isError });
  }
  // Results are words; what can be seen or heard follows them, by name.
  if (shown.length > 0) {
    const names = shown.map(({ object }) => `"${object}"`).join(", ");
    await say(sys, { role: "user", text: `[Shown, as asked for: ${names}]`, parts: shown });
  }
  return usable;
}

interface Done {
  readonly output: Json;
  readonly isError: boolean;
  /** Whether the model has to write the call again. */
  readonly malformed: boolean;
}

async function doOne(sys: Sys, call: ModelCall, shown: Shown[]): Promise<Done> {
  if (call.input === undefined) {
    const message = "Cannot read the arguments: not valid JSON, expected one JSON object";
    return { output: { error: "EINVAL", message }, isError: true, malformed: true };
  }
  try {
    const { output, edited = [] } = await sys.tool.call({ name: call.name, input: call.input });
    const seen = pictured(call, output as Json);
    if (seen !== null) {
      shown.push(seen.part);
      return { output: seen.output, isError: false, malformed: false };
    }
    const told = edited.length === 0 ? output : { output, changed: edited.map(changedText) };
    return { output: bounded(told as Json), isError: false, malformed: false };
  } catch (error) {
    if (!(error instanceof SysError) || FATAL.has(error.code)) throw error;
    const { code, message } = error;
    const malformed = code === "ENOSYS" || code === "EINVAL";
    return { output: { error: code, message }, isError: true, malformed };
  }
}

/** What a person made of a call, so that the model does not take it for its own. */
function changedText({ call, asked, done, by, note }: {
  readonly call: string;
  readonly asked: Json;
  readonly done: Json;
  readonly by: string;
  readonly note?: string | undefined;
}): string {
  const why = note === undefined ? "" : `, saying: ${note}`;
  const what = `${by} changed the arguments of ${call} before it was done${why}`;
  return `${what}. You asked for ${canonical(asked)}; done was ${canonical(done)}`;
}

/** A result as large as a conversation can bear; what was cut off is said. */
export function bounded(output: Json): Json {
  const text = typeof output === "string" ? output : canonical(output);
  if (text.length <= LIMITS.toolResultBytesMax) return output;
  const kept = text.slice(0, LIMITS.toolResultBytesMax - 256).toWellFormed();
  return {
    truncated: true,
    characters: text.length,
    shown: kept.length,
    text: kept,
    hint: "Ask for a part, or use object_import and object_find",
  };
}

async function say(
  sys: Sys,
  message: { readonly role: string } & Record<string, unknown>,
): Promise<void> {
  await sys.object.append({ object: CONTEXT, item: message as never });
}
