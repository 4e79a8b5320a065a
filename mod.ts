/**
 * Agent libOS: LLM agents as processes, with explicit authority and a log that can be checked.
 *
 * @example
 * ```ts
 * import { allow, createRuntime, defineImage } from "@agent-libos/core";
 * import { scriptedModel } from "@agent-libos/core/testing";
 *
 * const hello = defineImage({
 *   name: "hello",
 *   instructions: "Look around and say hello.",
 *   model: scriptedModel([{ tool: "file_list", input: {} }, "Hello!"]),
 * });
 * await using os = await createRuntime({ store: ":memory:", workspace: "." });
 * const process = await os.spawn(hello, { goal: "Hi", grants: [allow("file.list", ".")] });
 * console.assert((await process.wait()).result === "Hello!");
 * ```
 * @module
 */

export { ERRORS, type Errno, SysError } from "./kernel/errors.ts";
export { createRuntime, Runtime } from "./runtime/runtime.ts";
export type { Approvals, RuntimeOptions, SpawnOptions } from "./runtime/runtime.ts";
export { AgentProcess, type ExitStatus, type ProcessInfo } from "./runtime/process.ts";
export {
  type AgentImage,
  type Budget,
  defineImage,
  defineTool,
  type ImageSpec,
  type StandardSchema,
  type ToolSpec,
} from "./runtime/image.ts";
export type { Program, StepContext } from "./runtime/program.ts";
export {
  allow,
  ask,
  deny,
  type Duration,
  milliseconds,
  parseRule,
  type Rule,
  type RuleOptions,
} from "./runtime/rule.ts";
export type { Args, Reply, Sys } from "./broker/client.ts";
export type { SyscallName } from "./broker/table.ts";
export type { Tool, ToolContext } from "./broker/tool.ts";
export type { Event, EventType, Line } from "./kernel/event.ts";
export type { Json, JsonObject } from "./kernel/json.ts";
export type { Store } from "./kernel/store.ts";
export type {
  Clock,
  Files,
  Model,
  ModelReply,
  ModelRequest,
  Person,
  PersonAnswer,
  PersonRequest,
  Random,
} from "./kernel/world.ts";
export { SqliteStore } from "./providers/sqlite_store.ts";
export { aiSdkModel, type LanguageModel } from "./providers/models/ai_sdk.ts";
export { openaiCompatibleModel } from "./providers/models/openai_compatible.ts";
