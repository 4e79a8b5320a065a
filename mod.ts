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

export { type Blame, type Errno, type ErrorDetail, ERRORS, SysError } from "./kernel/errors.ts";
export type { Approvals, DecidedBy, DecidedItem, DecideItem } from "./runtime/approvals.ts";
export type { Matches } from "./runtime/matches.ts";
export type { RetentionOptions } from "./runtime/redaction.ts";
export { createRuntime } from "./runtime/create.ts";
export { Runtime, type RuntimeOptions, type SpawnOptions } from "./runtime/runtime.ts";
export type { NodeSpec } from "./runtime/runtime_options.ts";
export type { JitOptions } from "./runtime/workshop.ts";
export type { ShellOptions } from "./providers/shell.ts";
export type { ToolInfo } from "./runtime/generated.ts";
export type { ToolDefinition, ToolTest, ToolTestCall } from "./kernel/generated.ts";
export type { HumanEvents } from "./kernel/human_event.ts";
export type { ToolEvents } from "./kernel/tool_event.ts";
export type { Birth, Descent, Detached, KinEvents, Tiding } from "./kernel/kin_event.ts";
export type { Branch, TreeEvents } from "./kernel/tree_event.ts";
export type { Collection } from "./kernel/state.ts";
export type { StatePatch } from "./kernel/patch.ts";
export type { BranchEdits } from "./kernel/branch.ts";
export type { Change, StateSummary } from "./kernel/describe.ts";
export type { LaterEffect } from "./kernel/rewind.ts";
export type { Restored } from "./runtime/rewind.ts";
export type { Divergence, Replayed } from "./runtime/replay.ts";
export type { Needed, Otherwise } from "./runtime/what_if.ts";
export { exportTree, type Imported, importTree } from "./runtime/portable.ts";
export type { FileUndo } from "./runtime/undo.ts";
export type { Digest, Touched } from "./kernel/touch.ts";
export type { Review, Tier } from "./broker/sandbox.ts";
export { AgentProcess, type ExitStatus, type ProcessInfo } from "./runtime/process.ts";
export {
  type AgentImage,
  type Budget,
  defineImage,
  defineTool,
  type ImageSpec,
  type StandardResult,
  type StandardSchema,
  type ToolSpec,
} from "./runtime/image.ts";
export type { Program, StepContext } from "./runtime/program.ts";
export type { Verified } from "./runtime/load.ts";
export type { AuditOptions, Checked, ExportFormat } from "./runtime/auditing.ts";
export type { Sealed } from "./runtime/seal.ts";
export type { Hook } from "./runtime/hooks.ts";
export type { HookEvent } from "./runtime/hook_events.ts";
export type { TelemetryOptions } from "./runtime/telemetry.ts";
export type {
  Anchor,
  AuditStore,
  CheckSignature,
  KeyStatement,
  SignedHead,
  Signer,
  StoredHead,
  StoredStretch,
  Stretch,
  Trust as AuditTrust,
} from "./kernel/seal.ts";
export type { Fault } from "./kernel/history.ts";
export {
  type Growth,
  type Proof,
  type Proved,
  type Step as ProofStep,
  type Verdict,
  verifyGrowth,
  verifyProof,
} from "./kernel/proof.ts";
export { type CloudEvent, cloudEvent, ExportReader, type ExportReport } from "./kernel/export.ts";
export { HttpAnchor } from "./providers/anchor.ts";
export { checkSignature, FileAnchor, SigningKey } from "./providers/signing.ts";
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
export type { Calls } from "./broker/calls.ts";
export type { Args, Method, Noun, Nouns, Reply, Sys, SyscallName, Verb } from "./broker/client.ts";
export type { Tool, ToolContext } from "./broker/tool.ts";
export type * from "./kernel/event.ts";
export type * from "./kernel/world.ts";
export type { Media, MediaFacts } from "./kernel/media.ts";
export type * from "./kernel/simulate.ts";
export type { Prices, Pricing } from "./kernel/price.ts";
export type { Skills } from "./kernel/skill.ts";
export type * from "./kernel/store.ts";
export type * from "./kernel/tail.ts";
export type { Explained } from "./runtime/call_story.ts";
export type { Capability, CapabilityGrant, Considered } from "./kernel/capability.ts";
export type { Pattern } from "./kernel/grammar.ts";
export type {
  CapId,
  CheckpointId,
  Id,
  MessageId,
  ObjectId,
  Pid,
  RequestId,
  TreeId,
} from "./kernel/ids.ts";
export type { Order } from "./kernel/inbox.ts";
export type { Json, JsonObject } from "./kernel/json.ts";
export type { Label, Sensitivity, Trust } from "./kernel/label.ts";
export type { Marks } from "./kernel/mark.ts";
export type { Effect } from "./kernel/policy.ts";
export type { LifeState, Signal } from "./kernel/process.ts";
export type {
  Mcp,
  McpAnswer,
  McpAsks,
  McpCall,
  McpDefinition,
  McpDone,
  McpQuestion,
  McpReadable,
  McpReading,
  McpReply,
  McpServer,
  McpTool,
  McpToolState,
} from "./kernel/mcp.ts";
export type { Binding } from "./kernel/mcp_binding.ts";
export { type McpMount, type McpPin, parseLock } from "./kernel/mcp_lock.ts";
export { McpHost, type McpOptions, mountMcp } from "./providers/mcp_host.ts";
export {
  type MountedFunction,
  type MountedFunctions,
  mountFunctions,
} from "./providers/mcp_functions.ts";
export type { Owned } from "./kernel/owned.ts";
export type { Area, Reach } from "./kernel/reach.ts";
export type { Net, NetAnswer, NetAsked, NetMethod, NetTarget } from "./kernel/net.ts";
export type { NetHeader } from "./kernel/net_request.ts";
export type { CredentialHead, Credentials } from "./kernel/credential.ts";
export { type NetOptions, openNet } from "./providers/net.ts";
export {
  type CredentialSource,
  type CredentialSources,
  openCredentials,
} from "./providers/credentials.ts";
export { SqliteStore } from "./providers/sqlite_store.ts";
export { encryptStore, rekeyStore, storeEncryption } from "./providers/sqlite_rekey.ts";
export type { Encryption, EncryptionState } from "./providers/sqlite_vault.ts";
export { StoreKey } from "./providers/store_key.ts";
export { aiSdkModel, type AiSdkOptions, type LanguageModel } from "./providers/models/ai_sdk.ts";
export { anthropicModel, type AnthropicOptions } from "./providers/models/anthropic.ts";
export type { EndpointOptions } from "./providers/models/endpoint.ts";
export { modelSimulator } from "./providers/models/simulator.ts";
export { fallbackModel, pricedModel } from "./providers/models/fallback.ts";
export {
  openaiCompatibleModel,
  type OpenAiCompatibleOptions,
} from "./providers/models/openai_compatible.ts";
export type { AttemptEnd, GateState } from "./kernel/gate.ts";
export type { BreakerOptions, BreakerState } from "./kernel/gate_breaker.ts";
export type { Rates, Told } from "./kernel/gate_head.ts";
export type { GateOptions } from "./kernel/gate_options.ts";
export type { RateState } from "./kernel/gate_rate.ts";
export { Gate, gated } from "./providers/gate.ts";
export type { SharedGate } from "./providers/gate_shared.ts";
export type { Quota } from "./providers/quota.ts";
export type { SharedEntering, SharedSpend, Shares } from "./kernel/shares.ts";
export type { OnceAsking, OnceState } from "./kernel/shares.ts";
export {
  Client,
  connect,
  type ConnectOptions,
  type PageOf,
  type Query,
  ServerRefusal,
} from "./server/client.ts";
