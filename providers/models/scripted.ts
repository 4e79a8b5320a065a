/**
 * Scripted models: answers written beforehand, for demos, tests and runs without a network.
 *
 * Invariants:
 *   S1. The turn to play is told by the request alone: it is the number of assistant messages in
 *       it. A run that was killed goes on where it was, and processes may share one model. (A
 *       conversation whose assistant messages are cut off its front starts the script again.)
 *   S2. The same request gets the same reply: ids of calls and counts of tokens come from it. Only
 *       `times` of a failing turn counts attempts, per idempotency key, in this very object.
 * @module
 */

import { type Errno, SysError } from "../../kernel/errors.ts";
import type { Json } from "../../kernel/json.ts";
import type { Model, ModelCall, ModelReply, ModelRequest } from "../../kernel/world.ts";

/** A tool call in a script. */
export interface ScriptedCall {
  /** Name of the tool. */
  readonly tool: string;
  /** What the tool is called with; `{}` when absent. */
  readonly input?: Json;
  /** Id of the call; `call_<turn>_<index>` when absent. */
  readonly id?: string;
  /** Text that is no valid JSON, instead of `input`: a model which writes badly. */
  readonly raw?: string;
}

/** A turn that fails. */
export interface ScriptedFailure {
  /** The code. */
  readonly error: Errno;
  /** The sentence of the error. */
  readonly message?: string;
  /** Goes into the error's detail. */
  readonly retryAfterMs?: number;
  /** How many attempts at one call fail; without it, all. */
  readonly times?: number;
  /** What is played after `times` failures; an empty text when absent. */
  readonly then?: ScriptedTurn;
}

/** One turn of a script. A text alone is an answer without calls. */
export type ScriptedTurn =
  | string
  | ScriptedCall
  | readonly ScriptedCall[]
  | { readonly text: string; readonly calls: readonly ScriptedCall[] }
  | ScriptedFailure
  | ((request: ModelRequest, n: number) => ScriptedTurn | Promise<ScriptedTurn>);

/** A model that plays a script. */
export interface ScriptedModel extends Model {
  /** The script. */
  readonly turns: readonly ScriptedTurn[];
}

/**
 * Makes a model which plays `turns`, one for each assistant message of a conversation.
 *
 * Errors of `generate`: what a failing turn says, `EINVAL` when the turns have run out, `ECANCELED`
 * when the signal was aborted.
 *
 * @example
 * ```ts
 * import { scriptedModel } from "@agent-libos/core/testing";
 * const model = scriptedModel([{ tool: "file_read", input: { path: "./a" } }, "Done"]);
 * const request = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
 * const reply = await model.generate(request, { signal: new AbortController().signal });
 * console.assert(reply.calls[0]?.id === "call_0_0" && reply.finish === "tool-calls");
 * ```
 */
export function scriptedModel(
  turns: readonly ScriptedTurn[],
  options: { readonly id?: string } = {},
): ScriptedModel {
  const id = options.id ?? "scripted/model";
  const attempts = new Map<string, number>();
  return {
    id,
    turns,
    async generate(request, { signal, onText }) {
      refuseStopped(id, signal);
      const n = turnOf(request);
      const turn = turns[n];
      if (turn === undefined) {
        const sentence = `Cannot generate with model "${id}": turn ${n} of ${turns.length} asked`;
        throw new SysError("EINVAL", `${sentence}, expected a script with more turns`);
      }
      const settled = await settle(turn, request, attempts);
      refuseStopped(id, signal);
      const reply = play(settled, request);
      for (const chunk of reply.text.match(/\S+\s*|\s+/g) ?? []) onText?.(chunk);
      return reply;
    },
  };
}

/** Which turn of its conversation a request asks for, from 0. */
export function turnOf(request: ModelRequest): number {
  let turns = 0;
  for (const message of request.messages) if (message.role === "assistant") turns++;
  return turns;
}

/** A rough count of tokens, the same for the same text: four characters are one. */
export function countTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

/** The same count for all that a request brings before a model. */
export function countRequestTokens(request: ModelRequest): number {
  const tools = request.tools.length === 0 ? "" : JSON.stringify(request.tools);
  return countTokens(JSON.stringify(request.messages) + tools);
}

type Played = Exclude<ScriptedTurn, ScriptedFailure | ((...args: never[]) => unknown)>;

function refuseStopped(id: string, signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new SysError("ECANCELED", `Cannot generate with model "${id}": the call was stopped`);
}

/** Follows functions and failures until there is something to say. */
async function settle(
  first: ScriptedTurn,
  request: ModelRequest,
  attempts: Map<string, number>,
): Promise<Played> {
  let turn = first;
  let failuresBefore = 0;
  for (;;) {
    if (typeof turn === "function") {
      turn = await turn(request, turnOf(request));
    } else if (isFailure(turn)) {
      const tried = attempts.get(request.idempotencyKey) ?? 0;
      if (turn.times === undefined || tried < failuresBefore + turn.times) {
        attempts.set(request.idempotencyKey, tried + 1);
        throw failureOf(turn, request);
      }
      failuresBefore += turn.times;
      turn = turn.then ?? "";
    } else {
      return turn;
    }
  }
}

function isFailure(turn: ScriptedTurn): turn is ScriptedFailure {
  return typeof turn === "object" && "error" in turn;
}

function failureOf(turn: ScriptedFailure, request: ModelRequest): SysError {
  const sentence = `Cannot generate with model "${request.model}": the script says ${turn.error}`;
  const { retryAfterMs } = turn;
  const detail = retryAfterMs === undefined ? undefined : { retryAfterMs };
  return new SysError(turn.error, turn.message ?? sentence, detail);
}

function play(turn: Played, request: ModelRequest): ModelReply {
  const { text, calls } = partsOf(turn);
  const n = turnOf(request);
  const asked = calls.map((call, index) => callOf(call, `call_${n}_${index}`));
  const written = text + (asked.length === 0 ? "" : JSON.stringify(asked));
  return {
    text,
    calls: asked,
    finish: asked.length === 0 ? "stop" : "tool-calls",
    inputTokens: countRequestTokens(request),
    outputTokens: countTokens(written),
  };
}

function partsOf(turn: Played): { text: string; calls: readonly ScriptedCall[] } {
  if (typeof turn === "string") return { text: turn, calls: [] };
  if ("tool" in turn) return { text: "", calls: [turn] };
  if ("calls" in turn) return turn;
  return { text: "", calls: turn };
}

function callOf(call: ScriptedCall, id: string): ModelCall {
  const named = { id: call.id ?? id, name: call.tool };
  if (call.raw !== undefined) return { ...named, raw: call.raw };
  return { ...named, input: call.input ?? {} };
}
