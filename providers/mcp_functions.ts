/**
 * Functions of the embedder as tools with rights of their own.
 *
 * They are mounted as servers of tools are: each is the right `mcp.<server>.<function>`, whose
 * constraint is over its arguments, and goes through the same door with an intent before it and an
 * outcome after it. What was put into the program by whoever runs it is believed: its hints hold,
 * and there is nothing to pin.
 *
 * Invariants:
 *   U1. A function is called after the door let the call through, with arguments that fit its
 *       schema.
 *   U2. What a function throws is the end of a call that happened, unless it is a `SysError`: that
 *       says itself what became of it, and any code but `EINDOUBT` says that nothing did.
 * @module
 */

import { checkConstraint } from "../kernel/constraint.ts";
import { SysError } from "../kernel/errors.ts";
import { canonical, type Json, type JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import {
  checkServerName,
  isToolName,
  type Mcp,
  type McpAnswer,
  type McpCall,
  type McpDone,
  type McpReadable,
  type McpReading,
  type McpServer,
  type McpTool,
  pinOf,
} from "../kernel/mcp.ts";
import type { Reach } from "../kernel/reach.ts";

/** A function that processes may call with a right of its own. */
export interface MountedFunction {
  /** Names the right: letters, digits, `_`, `-` and inner dots, 64 characters at most. */
  readonly name: string;
  /** What it does, for models and people. */
  readonly description: string;
  /** JSON Schema of its arguments, in the words that a constraint may have. */
  readonly inputSchema: JsonObject;
  /**
   * What is known of it. `readOnly` and `idempotent`: a call whose end nobody saw is sent again, in
   * place of asking a person. `destructive`: people are shown it so, and allow it once only.
   */
  readonly hints?: {
    readonly readOnly?: boolean;
    readonly idempotent?: boolean;
    readonly destructive?: boolean;
  };
  /**
   * Does it. Gives JSON. A `SysError` says that nothing happened, unless its code is `EINDOUBT`;
   * whatever else it throws is told to who called, as the end of something that did.
   */
  execute(args: JsonObject, signal: AbortSignal): unknown;
}

/** Functions by the name of the server they are mounted under. */
export interface MountedFunctions {
  /** Small letters, digits and `-` after a letter, 24 characters at most. */
  readonly [server: string]: readonly MountedFunction[];
}

/**
 * Mounts functions for the option `mcp` of `createRuntime`, under names of servers; `beside` are
 * servers of other kinds, as `mountMcp` mounts them. Throws `EINVAL` for names that can be no
 * rights and schemas that cannot be checked, `EEXIST` for names that are taken.
 *
 * @example
 * ```ts
 * import { allow, createRuntime, defineImage, mountFunctions } from "@agent-libos/core";
 * const sent: unknown[] = [];
 * const mcp = mountFunctions({
 *   bank: [{
 *     name: "pay",
 *     description: "Pay somebody",
 *     inputSchema: { type: "object", properties: { to: { type: "string" } }, required: ["to"] },
 *     execute: (args) => sent.push(args),
 *   }],
 * });
 * const payer = defineImage({
 *   name: "payer",
 *   program: async ({ sys }) => {
 *     const pay = (to: string) =>
 *       sys.mcp.call({ server: "bank", tool: "pay", arguments: { to } })
 *         .then(() => "paid", (error: { readonly code: string }) => error.code);
 *     await sys.process.exit({ result: [await pay("eve"), await pay("ada"), await pay("ada")] });
 *   },
 * });
 * await using os = await createRuntime({ store: ":memory:", workspace: null, mcp });
 * const process = await os.spawn(payer, {
 *   goal: "pay ada",
 *   grants: [
 *     allow("mcp.bank.pay", "**", {
 *       uses: 1,
 *       constraint: { properties: { to: { const: "ada" } } },
 *     }),
 *   ],
 * });
 * console.assert(String((await process.wait()).result) === "EPERM,paid,EPERM");
 * console.assert(sent.length === 1);
 * ```
 */
export function mountFunctions(functions: MountedFunctions, beside?: Mcp): Mcp {
  return new McpFunctions(functions, beside ?? null);
}

interface Seat {
  readonly shown: McpServer;
  readonly functions: ReadonlyMap<string, MountedFunction>;
}

class McpFunctions implements Mcp {
  readonly #seats = new Map<string, Seat>();
  readonly #beside: Mcp | null;

  constructor(functions: MountedFunctions, beside: Mcp | null) {
    this.#beside = beside;
    for (const [server, given] of Object.entries(functions)) {
      checkServerName(server);
      if (beside?.server(server) !== undefined) throw taken("server", server);
      this.#seats.set(server, seatOf(server, given));
    }
  }

  servers(): readonly McpServer[] {
    const own = [...this.#seats.values()].map(({ shown }) => shown);
    return [...own, ...this.#beside?.servers() ?? []];
  }

  server(name: string): McpServer | undefined {
    return this.#seats.get(name)?.shown ?? this.#beside?.server(name);
  }

  async ready(name: string, reach: Reach, signal: AbortSignal): Promise<McpServer> {
    return this.#seats.get(name)?.shown ?? await this.#other(name).ready(name, reach, signal);
  }

  async call(call: McpCall, signal: AbortSignal): Promise<McpAnswer> {
    const seat = this.#seats.get(call.server);
    if (seat === undefined) return await this.#other(call.server).call(call, signal);
    // The door looked the tool up in `ready`, which never changes.
    return await callFunction(seat.functions.get(call.tool)!, call, signal);
  }

  async readables(
    name: string,
    reach: Reach,
    signal: AbortSignal,
  ): Promise<readonly McpReadable[]> {
    return this.#seats.has(name) ? [] : await this.#other(name).readables(name, reach, signal);
  }

  async read(what: McpReading, signal: AbortSignal): Promise<readonly Json[]> {
    if (!this.#seats.has(what.server)) return await this.#other(what.server).read(what, signal);
    const sentence = `Cannot read "${what.uri}" of "${what.server}": functions have no resources`;
    throw new SysError("ENOENT", `${sentence}, expected a call`);
  }

  async close(): Promise<void> {
    await this.#beside?.close();
  }

  #other(name: string): Mcp {
    if (this.#beside !== null) return this.#beside;
    const mounted = [...this.#seats.keys()].join(", ");
    const sentence = `Cannot use MCP server "${name}": not mounted`;
    throw new SysError("ENOENT", `${sentence}, expected one of: ${mounted}`);
  }
}

function seatOf(server: string, given: readonly MountedFunction[]): Seat {
  const functions = new Map<string, MountedFunction>();
  const by = { version: "", command: "functions of this program" };
  const tools: McpTool[] = [];
  if (given.length > LIMITS.mcpToolsPerServerMax) {
    const found = `${given.length} functions, expected at most ${LIMITS.mcpToolsPerServerMax}`;
    throw new SysError("EINVAL", `Cannot mount "${server}": ${found}`);
  }
  for (const one of given) {
    const { name, description, inputSchema, hints = {} } = one;
    if (!isToolName(name)) {
      const expected = "expected letters, digits, _, - and inner dots";
      throw new SysError("EINVAL", `Cannot mount function "${name}" of "${server}": ${expected}`);
    }
    if (functions.has(name)) throw taken("function", name);
    checkConstraint(inputSchema);
    functions.set(name, one);
    const annotations = {
      readOnlyHint: hints.readOnly === true,
      idempotentHint: hints.idempotent === true,
      destructiveHint: hints.destructive === true,
    };
    const definition = { name, description, inputSchema, annotations };
    tools.push({ definition, pin: pinOf(definition, by), state: "pinned", found: null, why: "" });
  }
  const shown: McpServer = {
    name: server,
    ...by,
    confinement: "unconfined: part of the program that runs the kernel",
    isTrusted: true,
    root: null,
    bindings: {},
    state: "up",
    why: "",
    protocol: "",
    tools,
  };
  return { shown, functions };
}

function taken(what: string, name: string): SysError {
  return new SysError("EEXIST", `Cannot mount ${what} "${name}": taken, expected another name`);
}

/** U2. Nobody waits for longer than the call says; then it may still happen. */
async function callFunction(
  { execute, name }: MountedFunction,
  { args, timeoutMs, server }: McpCall,
  signal: AbortSignal,
): Promise<McpDone> {
  const late = Promise.withResolvers<never>();
  const inDoubt = (why: string): void =>
    late.reject(new SysError("EINDOUBT", `Cannot tell how "${server}.${name}" ended: ${why}`));
  const timer = setTimeout(() => inDoubt(`no answer in ${timeoutMs} ms`), timeoutMs);
  const stopped = (): void => inDoubt("nobody waits for it any more");
  signal.addEventListener("abort", stopped, { once: true });
  try {
    return doneOf(await Promise.race([Promise.try(execute, args, signal), late.promise]));
  } catch (error) {
    if (error instanceof SysError) throw error;
    const { message } = error instanceof Error ? error : { message: String(error) };
    return failed(message.slice(0, LIMITS.mcpErrorBytesMax));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stopped);
  }
}

function doneOf(value: unknown): McpDone {
  const text = textOf(value);
  if (text === null) return failed("it was done; its result is no JSON");
  if (text.length > LIMITS.mcpResultBytesMax) {
    return failed(`it was done; its result of ${text.length} characters is too large to be told`);
  }
  return { kind: "done", content: [{ type: "text", text }], structured: null, isError: false };
}

function textOf(value: unknown): string | null {
  try {
    return typeof value === "string" ? value : canonical((value ?? null) as Json);
  } catch {
    return null;
  }
}

function failed(text: string): McpDone {
  return { kind: "done", content: [{ type: "text", text }], structured: null, isError: true };
}
