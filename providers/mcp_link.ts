/**
 * A link to one MCP server: the protocol, and nothing of what the kernel thinks of it.
 *
 * Speaks 2026-07-28 where the server does, and what the server speaks where it does not. A question
 * that comes up in a call ends the call with the question: whoever made it asks a person, and makes
 * the call again with the answer. A server that asks in the middle, as older ones do, is told that
 * nobody answers for now; when the call is made again and it asks the same, it gets the answer.
 *
 * Invariants:
 *   K1. Nothing that a server says is run, compiled or followed: schemas are data, and results too.
 *   K2. A question is answered only with what was said to that very question.
 *   K3. What a server says is searched for secrets before it is cut: of one that was cut before, a
 *       part would be left.
 * @module
 */

import {
  Client,
  type ClientOptions,
  ProtocolError,
  SdkError,
  type Transport,
} from "@modelcontextprotocol/client";
import { SysError } from "../kernel/errors.ts";
import { hashOf, type Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type {
  McpAnswer,
  McpCall,
  McpDefinition,
  McpQuestion,
  McpReadable,
  McpReply,
} from "../kernel/mcp.ts";
import { checkHeaders, definitionOf, jsonOf, type Loose, objectOf } from "./mcp_definition.ts";
import { checkable } from "../kernel/mcp_schema.ts";
import { exposed } from "../kernel/mcp_text.ts";

/** A call that is under way on a server which asks in the middle. */
interface Under {
  readonly replies: McpCall["replies"];
  readonly questions: McpQuestion[];
}

/** Takes whatever comes: what is checked is checked by us, with bounds. */
const UNCHECKED = {
  getValidator: () => (data: unknown) => ({ valid: true, data, errorMessage: undefined }),
} as unknown as NonNullable<ClientOptions["jsonSchemaValidator"]>;

/** Takes secrets out of a text (K3). */
type Clean = (text: string) => string;

/** One connection. */
export class McpLink {
  /** Whether the server said that what it offers has changed. */
  isStale = true;
  isClosed = false;
  readonly #client: Client;
  readonly #http: boolean;
  readonly #clean: Clean;
  readonly #under = new Set<Under>();
  /** What the server said last that it offers. */
  #tools: ReadonlyMap<string, McpDefinition> = new Map();

  private constructor(client: Client, { http, clean = (text) => text }: {
    readonly http: boolean;
    readonly clean?: Clean;
  }) {
    this.#client = client;
    this.#http = http;
    this.#clean = clean;
  }

  /** Connects, and agrees on a protocol. Throws `EIO`. */
  static async open(transport: Transport, options: {
    readonly http: boolean;
    readonly legacy: boolean;
    /** Takes out of a text what was sent and is to be seen by nobody; nothing by default. */
    readonly clean?: Clean;
    /** How long an answer in today's protocol is waited for. */
    readonly probeMs?: number;
  }): Promise<McpLink> {
    let link: McpLink | null = null;
    const stale = (): void => {
      if (link !== null) link.isStale = true;
    };
    const client = new Client({ name: "agent-libos", version: "0.1.0" }, {
      capabilities: { elicitation: { form: {} } },
      versionNegotiation: options.legacy
        ? { mode: "legacy" }
        : { mode: "auto", probe: { timeoutMs: options.probeMs ?? LIMITS.mcpProbeMsMax } },
      // K1: theirs would make code of a server's schema.
      jsonSchemaValidator: UNCHECKED,
      inputRequired: { autoFulfill: false },
      listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: stale } },
    });
    link = new McpLink(client, options);
    client.onclose = () => link.isClosed = true;
    client.onerror = () => {};
    client.setRequestHandler(
      "elicitation/create",
      (request) => link.#elicited(request.params as unknown as Loose) as never,
    );
    try {
      await client.connect(transport, { timeout: LIMITS.mcpStartMsMax });
    } catch (error) {
      await client.close().catch(() => {});
      throw new SysError("EIO", `Cannot connect: ${said(error, link.#clean)}`);
    }
    return link;
  }

  /** What the server calls its version. */
  get version(): string {
    return exposed(this.#clean(String(this.#client.getServerVersion()?.version ?? "")), 128);
  }

  /** The protocol that was agreed on. */
  get protocol(): string {
    return exposed(this.#clean(String(this.#client.getNegotiatedProtocolVersion() ?? "")), 32);
  }

  /** What the server offers now. Throws `EIO`. */
  async tools(): Promise<readonly McpDefinition[]> {
    if (this.#client.getServerCapabilities()?.tools === undefined) {
      this.isStale = false;
      return [];
    }
    // Before asking: what changes while it answers is looked at again.
    this.isStale = false;
    const found = await this.#pages("tools/list", "tools", LIMITS.mcpToolsPerServerMax + 1);
    const tools = found.map((one) => {
      try {
        const definition = definitionOf(one);
        if (this.#http) checkHeaders(definition);
        return definition;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        // A name that is no right: it is listed, and never called.
        return { name: `${one["name"]} (unreadable: ${error.message})`, inputSchema: {} };
      }
    });
    this.#tools = new Map(tools.map((one) => [one.name, one]));
    return tools;
  }

  /** What there is to read. Throws `EIO`. */
  async readables(): Promise<readonly McpReadable[]> {
    const has = this.#client.getServerCapabilities() ?? {};
    const most = LIMITS.mcpReadablesMax;
    const resources = has.resources === undefined
      ? []
      : await this.#pages("resources/list", "resources", most);
    const templates = has.resources === undefined
      ? []
      : await this.#pages("resources/templates/list", "resourceTemplates", most).catch(() => []);
    const prompts = has.prompts === undefined
      ? []
      : await this.#pages("prompts/list", "prompts", most);
    const of = (kind: McpReadable["kind"], name: string) => (one: Loose): McpReadable =>
      readableOf(kind, one[name], { one, clean: this.#clean });
    return [
      ...resources.map(of("resource", "uri")),
      ...templates.map(of("template", "uriTemplate")),
      ...prompts.map(of("prompt", "name")),
    ].slice(0, most);
  }

  /** Reads a resource or a prompt. Throws `EIO`. */
  async read(
    what: { readonly uri: string; readonly prompt?: { readonly [name: string]: string } },
    signal: AbortSignal,
  ): Promise<readonly Json[]> {
    const request = what.prompt === undefined
      ? { method: "resources/read" as const, params: { uri: what.uri } }
      : { method: "prompts/get" as const, params: { name: what.uri, arguments: what.prompt } };
    try {
      const options = { signal, timeout: LIMITS.mcpCallMsDefault };
      const result = await this.#client.request(request, options) as unknown as Loose;
      return partsOf(result[what.prompt === undefined ? "contents" : "messages"], this.#clean);
    } catch (error) {
      const why = said(error, this.#clean);
      throw new SysError("EIO", `Cannot read "${exposed(what.uri, 200)}": ${why}`);
    }
  }

  /** Calls a tool. `EINVAL` where the server takes no such call; `EINDOUBT` where nobody knows. */
  async call(call: McpCall, signal: AbortSignal): Promise<McpAnswer> {
    const under: Under = { replies: call.replies, questions: [] };
    this.#under.add(under);
    try {
      const result = await this.#send(call, signal);
      if (result["resultType"] === "input_required") return asked(result, this.#clean);
      // The server was told that nobody answers for now: what it made of that is no result.
      if (under.questions.length > 0) {
        return { kind: "asks", questions: under.questions, state: null };
      }
      return {
        kind: "done",
        content: partsOf(result["content"], this.#clean),
        structured: kept(result["structuredContent"]),
        isError: result["isError"] === true,
      };
    } catch (error) {
      if (under.questions.length > 0 && error instanceof ProtocolError) {
        return { kind: "asks", questions: under.questions, state: null };
      }
      throw failed(call, error, this.#clean);
    } finally {
      this.#under.delete(under);
    }
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.#client.close().catch(() => {});
  }

  async #send(call: McpCall, signal: AbortSignal): Promise<Loose> {
    const { state, replies } = call;
    const isAgain = this.#client.getProtocolEra() === "modern" &&
      (state !== null || Object.keys(replies).length > 0);
    const params = {
      name: call.tool,
      arguments: call.args as Record<string, unknown>,
      ...isAgain ? { inputResponses: replies } : {},
      ...isAgain && state !== null ? { requestState: state } : {},
    };
    const options = { signal, timeout: call.timeoutMs, allowInputRequired: true };
    // Over HTTP some arguments are wanted as headers too, which only this way does.
    if (this.#http) {
      const toolDefinition = {
        name: call.tool,
        inputSchema: this.#tools.get(call.tool)?.inputSchema,
      };
      const more = { ...options, toolDefinition };
      return await this.#client.callTool(params as never, more as never) as Loose;
    }
    const request = { method: "tools/call" as const, params: params as never };
    return await this.#client.request(request, options) as unknown as Loose;
  }

  /** A server asks in the middle of a call, if it is clear of which. */
  #elicited(params: Loose): McpReply {
    const [under, ...others] = this.#under;
    if (under === undefined || others.length > 0) return { action: "cancel" };
    const question = questionOf(null, params, this.#clean);
    if (question === null) return { action: "decline" };
    const reply = Object.hasOwn(under.replies, question.key)
      ? under.replies[question.key]
      : undefined;
    if (reply !== undefined) return reply;
    if (under.questions.length < LIMITS.mcpQuestionsPerCallMax) under.questions.push(question);
    return { action: "cancel" };
  }

  async #pages(method: string, field: string, most: number): Promise<readonly Loose[]> {
    const found: Loose[] = [];
    let cursor: unknown;
    for (let page = 0; page < LIMITS.mcpPagesMax; page++) {
      const params = typeof cursor === "string" ? { cursor } : {};
      const options = { timeout: LIMITS.mcpStartMsMax };
      let result: Loose;
      try {
        result = await this.#client.request(
          { method, params } as never,
          options,
        ) as unknown as Loose;
      } catch (error) {
        const why = said(error, this.#clean);
        throw new SysError("EIO", `Cannot list what the server offers: ${why}`);
      }
      const items = Array.isArray(result[field]) ? result[field] as unknown[] : [];
      found.push(...items.filter((one) => typeof one === "object" && one !== null) as Loose[]);
      cursor = result["nextCursor"];
      if (typeof cursor !== "string" || found.length >= most) return found.slice(0, most);
    }
    throw new SysError("ELIMIT", "Cannot list what the server offers: it never comes to an end", {
      limit: "mcpPagesMax",
    });
  }
}

/** What a call came to, whatever it is: the call was made, and that cannot be refused now. */
function kept(value: unknown): Json {
  try {
    return jsonOf(value);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { type: "text", text: `[left out: ${error.message}]` };
  }
}

function readableOf(
  kind: McpReadable["kind"],
  name: unknown,
  { one, clean }: { readonly one: Loose; readonly clean: Clean },
): McpReadable {
  const { title, description, mimeType } = one;
  const words = [title, description].find((text) => typeof text === "string") ?? "";
  return {
    kind,
    name: exposed(clean(String(name ?? "")), 1_024),
    title: exposed(clean(String(words)), 256),
    mimeType: typeof mimeType === "string" ? exposed(clean(mimeType), 128) : null,
  };
}

/** Parts of a result, as many and as large as there may be; what was left out is said. */
function partsOf(value: unknown, clean: Clean): readonly Json[] {
  const parts: Json[] = [];
  let left: number = LIMITS.mcpResultBytesMax;
  for (const one of Array.isArray(value) ? value.slice(0, LIMITS.mcpResultPartsMax) : []) {
    const part = bounded(one as Loose, left, clean);
    left -= JSON.stringify(part).length;
    parts.push(part);
    if (left <= 0) break;
  }
  const missing = (Array.isArray(value) ? value.length : 0) - parts.length;
  if (missing > 0) parts.push({ type: "text", text: `[${missing} parts were left out]` });
  return parts;
}

function bounded(part: Loose, left: number, clean: Clean): Json {
  const { text, data, blob, resource } = part;
  const field = typeof text === "string"
    ? "text"
    : typeof data === "string"
    ? "data"
    : typeof blob === "string"
    ? "blob"
    : null;
  if (field !== null && (part[field] as string).length > left) {
    const whole = part[field] as string;
    const shown = field === "text" ? clean(whole).slice(0, Math.max(0, left)).toWellFormed() : "";
    return kept({ ...part, [field]: shown, truncated: true, characters: whole.length });
  }
  if (typeof resource === "object" && resource !== null && left > 0) {
    return kept({ ...part, resource: bounded(resource as Loose, left, clean) });
  }
  return kept(part);
}

/** Questions in a result that wants answers before there is another. */
function asked(result: Loose, clean: Clean): McpAnswer {
  const { inputRequests, requestState } = result;
  const wanted = Object.entries((inputRequests ?? {}) as Record<string, Loose>);
  const questions = wanted.map(([key, { method, params }]) => {
    const question = method === "elicitation/create"
      ? questionOf(key, params as Loose, clean)
      : null;
    if (question !== null) return question;
    const what = exposed(clean(String(method)), 64);
    throw new SysError("EIO", `Cannot answer the server: it wants "${what}", which it may not`);
  });
  if (questions.length > LIMITS.mcpQuestionsPerCallMax) {
    throw new SysError(
      "ELIMIT",
      `Cannot answer the server: it asks ${questions.length} questions`,
      {
        limit: "mcpQuestionsPerCallMax",
      },
    );
  }
  const state = typeof requestState === "string" ? requestState : null;
  return { kind: "asks", questions, state };
}

/** A question in a form; null for what is asked in another way. */
function questionOf(key: string | null, params: Loose, clean: Clean): McpQuestion | null {
  const { mode = "form", message, requestedSchema } = params;
  if (mode !== "form" || typeof message !== "string") return null;
  const shown = exposed(clean(message), LIMITS.mcpQuestionCharsMax);
  const schema = checkable(objectOf(requestedSchema) ?? {});
  return { key: key ?? hashOf({ message, schema }), message: shown, schema };
}

/** What a server answered to what it did not take, by its code. */
const NOT_TAKEN = new Set([-32_600, -32_601, -32_602]);

function failed({ server, tool }: McpCall, error: unknown, clean: Clean): SysError {
  if (error instanceof SysError) return error;
  const what = `tool "${tool}" of MCP server "${server}"`;
  if (error instanceof ProtocolError && NOT_TAKEN.has(error.code)) {
    return new SysError("EINVAL", `Cannot call ${what}: it says ${said(error, clean)}`);
  }
  if (
    error instanceof SdkError && (error.code === "SEND_FAILED" || error.code === "NOT_CONNECTED")
  ) {
    return new SysError("EIO", `Cannot call ${what}: ${said(error, clean)}`);
  }
  return new SysError("EINDOUBT", `Cannot tell whether ${what} did it: ${said(error, clean)}`);
}

function said(error: unknown, clean: Clean): string {
  const text = clean(error instanceof Error ? error.message : String(error));
  return exposed(text.replaceAll("\n", " "), 300) || "no reason";
}
