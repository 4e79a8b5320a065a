/**
 * Calls as spans: what a line of a log says of a call, in the words of OpenTelemetry.
 *
 * Invariants:
 *   P1. Without `content`, no argument, reply, prompt, resource, message or goal is in a signal.
 *   P2. What is labelled secret is in none, whatever was asked for.
 * @module
 */

import type { CallHead, CallResult, EventMap } from "../kernel/event.ts";
import { canonical, type Json, sha256 } from "../kernel/json.ts";
import type { Label } from "../kernel/label.ts";
import type { Process, State } from "../kernel/state.ts";
import type { SignalAttributes } from "../providers/telemetry.ts";

/** A call that a span will be made of. */
export interface CallRecord {
  readonly key: string;
  readonly span: string;
  readonly operation: "chat" | "execute_tool" | "syscall";
  readonly startMs: number;
  endMs: number | null;
  failure: string | null;
  readonly attributes: SignalAttributes;
}

/** What a call's attributes are made with. */
export interface Sight {
  readonly content: boolean;
  readonly state: State | undefined;
  /** The request whose answer a capability was born of. */
  request(cap: string): string | undefined;
}

const CONTENT_CHARS_MAX = 4_096;

/** Calls on memory, as the conventions name them. */
const MEMORY: { readonly [name: string]: string } = {
  "object.find": "search_memory",
  "object.create": "create_memory",
  "object.write": "update_memory",
  "object.append": "update_memory",
  "object.delete": "delete_memory",
};

/** A call whose first line this is. */
export function begun(head: CallHead, atMs: number, sight: Sight): CallRecord {
  const { key, name, args } = head;
  const attributes: SignalAttributes = {
    "libos.syscall": name,
    "libos.call.id": `${head.pid}#${head.step}.${key}`,
    ...decided(head, sight),
  };
  const process = sight.state?.processes[head.pid];
  const record = (span: string, operation: CallRecord["operation"]): CallRecord => {
    return { key, span, operation, startMs: atMs, endMs: null, failure: null, attributes };
  };
  if (name === "model.generate") {
    const model = textOf(args, "model") ?? "unknown";
    Object.assign(attributes, asked(model, args));
    addContent(attributes, { "gen_ai.input.messages": args }, sight, process?.label);
    return record(`chat ${modelName(model)}`, "chat");
  }
  if (name === "tool.call") {
    const tool = textOf(args, "name") ?? "unknown";
    Object.assign(attributes, toolAttributes(tool, process, attributes["libos.call.id"] as string));
    const input = (args as { readonly input?: Json }).input ?? null;
    addContent(attributes, { "gen_ai.tool.call.arguments": input }, sight, process?.label);
    return record(`execute_tool ${tool}`, "execute_tool");
  }
  const memory = MEMORY[name];
  if (memory !== undefined) attributes["gen_ai.operation.name"] = memory;
  addContent(attributes, { "libos.args": args }, sight, process?.label);
  return record(`libos.syscall ${name}`, "syscall");
}

/** How it came out. */
export function finish(record: CallRecord, atMs: number, done: {
  readonly result: CallResult;
  readonly label?: Label | undefined;
  readonly via?: EventMap["call.outcome"]["via"];
  readonly usd?: number | undefined;
  readonly sight: Sight;
}): void {
  const { attributes } = record;
  const { result, label, sight } = done;
  record.endMs = atMs;
  if (done.via !== undefined && done.via !== "call") attributes["libos.via"] = done.via;
  if (done.usd !== undefined) attributes["libos.usage.usd"] = done.usd;
  if (!result.ok) {
    record.failure = result.code;
    attributes["error.type"] = result.code;
    addContent(attributes, { "libos.error.message": result.message }, sight, label);
    return;
  }
  if (record.operation === "chat") Object.assign(attributes, usage(result.reply));
  const name = record.operation === "chat"
    ? "gen_ai.output.messages"
    : record.operation === "execute_tool"
    ? "gen_ai.tool.call.result"
    : "libos.reply";
  addContent(attributes, { [name]: result.reply }, sight, label);
}

/** Adds content where it was asked for, unless it is secret (P1, P2). */
export function addContent(
  attributes: SignalAttributes,
  content: { readonly [name: string]: Json },
  { content: isWanted }: Pick<Sight, "content">,
  label: Label | undefined,
): void {
  if (!isWanted || label?.sensitivity === "secret") return;
  for (const [name, value] of Object.entries(content)) {
    const text = typeof value === "string" ? value : canonical(value);
    attributes[name] = text.length > CONTENT_CHARS_MAX
      ? `${text.slice(0, CONTENT_CHARS_MAX)}…`
      : text;
  }
}

/** How a call was let through: by which rule's effect, capability and person's answer. */
function decided({ decision }: CallHead, { state, request }: Sight): SignalAttributes {
  const [need] = decision.needs;
  const caps = [...new Set(decision.by.flatMap(([first]) => first === undefined ? [] : [first]))];
  const approval = decision.by.flat().map(request).find((id) => id !== undefined);
  return {
    "libos.decision": decision.effect,
    ...(need === undefined ? {} : {
      "libos.right": need.right,
      // Salted with what only the tree knows, so that nobody can try names.
      "libos.resource.hash": sha256(`${state?.nonce ?? ""}\n${need.resource}`).slice(0, 16),
    }),
    ...(caps.length === 0 ? {} : { "libos.cap.id": caps.join(",") }),
    ...(approval === undefined ? {} : { "libos.approval.id": approval }),
  };
}

function asked(model: string, args: Json): SignalAttributes {
  const { maxOutputTokens, temperature } = args as { readonly [name: string]: Json };
  return {
    ...modelNames(model),
    ...(typeof maxOutputTokens === "number"
      ? { "gen_ai.request.max_tokens": maxOutputTokens }
      : {}),
    ...(typeof temperature === "number" ? { "gen_ai.request.temperature": temperature } : {}),
  };
}

/** What a model is called, in the words of the conventions. */
export function modelNames(model: string): SignalAttributes {
  return {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": model.includes("/") ? model.slice(0, model.indexOf("/")) : "unknown",
    "gen_ai.request.model": modelName(model),
  };
}

function modelName(model: string): string {
  return model.slice(model.indexOf("/") + 1);
}

function usage(reply: Json): SignalAttributes {
  const { inputTokens, outputTokens, finish } = reply as { readonly [name: string]: Json };
  return {
    ...(typeof inputTokens === "number" ? { "gen_ai.usage.input_tokens": inputTokens } : {}),
    ...(typeof outputTokens === "number" ? { "gen_ai.usage.output_tokens": outputTokens } : {}),
    ...(typeof finish === "string" ? { "gen_ai.response.finish_reasons": [finish] } : {}),
  };
}

function toolAttributes(
  name: string,
  process: Process | undefined,
  id: string,
): SignalAttributes {
  const held = process !== undefined && Object.hasOwn(process.generated, name)
    ? process.generated[name]
    : undefined;
  return {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": name,
    "gen_ai.tool.type": "function",
    "gen_ai.tool.call.id": id,
    "libos.tool.origin": held === undefined ? "host" : "generated",
    ...(held === undefined ? {} : { "libos.tool.sha256": held.hash }),
  };
}

function textOf(args: Json, name: string): string | undefined {
  const value = (args as { readonly [name: string]: Json } | null)?.[name];
  return typeof value === "string" ? value : undefined;
}
