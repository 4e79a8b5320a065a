/**
 * Recorded models: what a real model said once, said again without it.
 *
 * A tape is text, one JSON record a line: the hash of a request, hashes of its parts, and the reply
 * or the failure. Prompts themselves are not on it; replies are.
 *
 * Invariants:
 *   T1. A request is known by the hash of its canonical text without `idempotencyKey`; the same
 *       request asked again gets the next of its replies, in the order in which they were recorded.
 *   T2. A replay never makes an answer up: what is not on the tape is `EREPLAY`, which says where
 *       the request leaves the closest recorded one.
 *   T3. A record is appended only when its call has ended; a call that was stopped leaves none.
 * @module
 */

import { type Errno, type ErrorDetail, ERRORS, SysError } from "../../kernel/errors.ts";
import { canonical, hashOf } from "../../kernel/json.ts";
import { parseJson } from "../../kernel/parse.ts";
import type { Model, ModelMessage, ModelReply, ModelRequest } from "../../kernel/world.ts";

/** Where records go. */
export interface Tape {
  /** Adds one line; it ends without a newline. */
  append(line: string): void | Promise<void>;
}

/** A tape in memory. */
export interface MemoryTape extends Tape {
  /** All lines so far, as JSONL. */
  text(): string;
}

/**
 * Makes a tape in memory, which goes on after `text`.
 *
 * @example
 * ```ts
 * import { memoryTape } from "@agent-libos/core/testing";
 * const tape = memoryTape();
 * await tape.append("{}");
 * console.assert(tape.text() === "{}\n");
 * ```
 */
export function memoryTape(text = ""): MemoryTape {
  const lines = text.split("\n").filter((line) => line !== "");
  return {
    append: (line) => void lines.push(line),
    text: () => lines.map((line) => `${line}\n`).join(""),
  };
}

/**
 * Makes a model which asks `model` and writes all that it answers on `tape`.
 *
 * Errors of `generate`: those of `model` (recorded too, unless the call was stopped) and those of
 * the tape.
 *
 * @example
 * ```ts
 * import { memoryTape, recordModel, replayModel, scriptedModel } from "@agent-libos/core/testing";
 * const tape = memoryTape();
 * const request = { model: "scripted/model", messages: [], tools: [], idempotencyKey: "1" };
 * const { signal } = new AbortController();
 * await recordModel(scriptedModel(["Hello"]), tape).generate(request, { signal });
 * const again = await replayModel(tape.text()).generate(request, { signal });
 * console.assert(again.text === "Hello");
 * ```
 */
export function recordModel(model: Model, tape: Tape): Model {
  const { id, pricing, takes } = model;
  return {
    id,
    ...(pricing === undefined ? {} : { pricing }),
    ...(takes === undefined ? {} : { takes }),
    async generate(request, options) {
      try {
        const reply = await model.generate(request, options);
        await tape.append(lineOf(request, { reply }));
        return reply;
      } catch (thrown) {
        if (thrown instanceof SysError && thrown.code !== "ECANCELED") {
          const { code, message, detail } = thrown;
          await tape.append(lineOf(request, { error: { code, message, detail } }));
        }
        throw thrown;
      }
    },
  };
}

/**
 * Makes a model which answers from the text of a tape. Its id is that of the recorded model.
 *
 * Throws `EINTEGRITY` for a text that is no tape. Errors of `generate`: recorded ones, `EREPLAY`
 * for a request that is not on the tape, `ECANCELED` when the signal was aborted.
 *
 * @example
 * ```ts
 * import { replayModel } from "@agent-libos/core/testing";
 * const request = { model: "a/b", messages: [], tools: [], idempotencyKey: "1" };
 * const { signal } = new AbortController();
 * const refusal = await replayModel("").generate(request, { signal }).catch((error) => error);
 * console.assert(refusal.code === "EREPLAY");
 * ```
 */
export function replayModel(tape: string, options: { readonly id?: string } = {}): Model {
  const records = readTape(tape);
  const id = options.id ?? records[0]?.model ?? "recorded/model";
  const played = new Set<Entry>();
  return {
    id,
    // deno-lint-ignore require-await -- a refusal has to be a rejection
    async generate(request, { signal, onText }) {
      if (signal.aborted) {
        throw new SysError("ECANCELED", `Cannot generate with model "${id}": the call was stopped`);
      }
      const hash = requestHash(request);
      const found = records.find((entry) => entry.requestHash === hash && !played.has(entry));
      if (found === undefined) throw unknownRequest(request, records, played);
      played.add(found);
      if ("error" in found) {
        const { code, message, detail } = found.error;
        throw new SysError(code, message, detail);
      }
      if (found.reply.text !== "") onText?.(found.reply.text);
      return found.reply;
    },
  };
}

/** The hash by which a tape knows a request. */
export function requestHash(request: ModelRequest): string {
  const { idempotencyKey: _, ...rest } = request;
  return hashOf(rest);
}

type Result =
  | { readonly reply: ModelReply }
  | {
    readonly error: {
      readonly code: Errno;
      readonly message: string;
      readonly detail?: ErrorDetail | undefined;
    };
  };

type Entry = Result & {
  readonly requestHash: string;
  readonly model: string;
  /** Hash of each message. */
  readonly messages: readonly string[];
  readonly toolsHash: string;
};

function lineOf(request: ModelRequest, result: Result): string {
  const entry: Entry = {
    requestHash: requestHash(request),
    model: request.model,
    messages: request.messages.map(hashOf),
    toolsHash: hashOf(request.tools),
    ...result,
  };
  return canonical(entry);
}

function readTape(text: string): readonly Entry[] {
  const entries: Entry[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const entry = parse(line);
    if (!isEntry(entry)) {
      const where = `Cannot read tape: line ${index + 1} is no record of a model call`;
      throw new SysError("EINTEGRITY", `${where}, expected a line which recordModel wrote`);
    }
    entries.push(entry);
  }
  return entries;
}

function parse(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Partial<Record<string, unknown>>;
  const reply = entry["reply"] as Partial<ModelReply> | undefined;
  const error = entry["error"] as { code?: unknown } | undefined;
  const answered = typeof reply?.text === "string" && Array.isArray(reply.calls);
  const failed = typeof error?.code === "string" && Object.hasOwn(ERRORS, error.code);
  return typeof entry["requestHash"] === "string" && typeof entry["model"] === "string" &&
    Array.isArray(entry["messages"]) && (answered || failed);
}

function unknownRequest(
  request: ModelRequest,
  records: readonly Entry[],
  played: ReadonlySet<Entry>,
): SysError {
  const call = played.size;
  const detail = { call };
  const what = `Cannot replay model call ${call}`;
  const hash = requestHash(request);
  const times = records.filter((entry) => entry.requestHash === hash).length;
  if (times > 0) {
    const spent = `all of its ${times} recorded replies were played`;
    return new SysError("EREPLAY", `${what}: ${spent}, expected another request`, detail);
  }
  const hashes = request.messages.map(hashOf);
  const { closest, shared } = closestTo(hashes, records.filter((entry) => !played.has(entry)));
  if (closest === undefined) {
    return new SysError("EREPLAY", `${what}: the tape ended, expected no more calls`, detail);
  }
  const record = records.indexOf(closest);
  const where = { ...detail, record };
  if (shared === hashes.length && shared === closest.messages.length) {
    const part = settingThatDiffers(request, closest);
    return new SysError("EREPLAY", `${what}: ${part}, expected those of record ${record}`, where);
  }
  const found = describe(request.messages[shared], shared);
  const kept = closest.messages.length === shared
    ? `the conversation of record ${record} to end there`
    : `message ${shared} of record ${record}`;
  const sentence = `${what}: first difference at ${found}, expected ${kept}`;
  return new SysError("EREPLAY", sentence, { ...where, message: shared });
}

/** The record which has most first messages in common with a request; of equals, the first. */
function closestTo(
  hashes: readonly string[],
  records: readonly Entry[],
): { readonly closest: Entry | undefined; readonly shared: number } {
  let closest: Entry | undefined;
  let shared = -1;
  let away = Infinity;
  for (const entry of records) {
    let same = 0;
    while (same < hashes.length && hashes[same] === entry.messages[same]) same++;
    const apart = Math.abs(entry.messages.length - hashes.length);
    if (same < shared || (same === shared && apart >= away)) continue;
    closest = entry;
    shared = same;
    away = apart;
  }
  return { closest, shared };
}

function settingThatDiffers(request: ModelRequest, entry: Entry): string {
  if (request.model !== entry.model) return `the model is "${request.model}"`;
  if (hashOf(request.tools) !== entry.toolsHash) return "its tools differ";
  return "its settings differ";
}

function describe(message: ModelMessage | undefined, index: number): string {
  if (message === undefined) return `message ${index} (absent)`;
  const name = message.role === "tool" ? ` "${message.name}"` : "";
  return `message ${index} (${message.role}${name})`;
}
