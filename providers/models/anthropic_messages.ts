/**
 * Requests in the form of Anthropic's Messages, from the form that the AI SDK gives them.
 * @module
 */

type Fields = Readonly<Record<string, unknown>>;

/** What is asked, as `aiSdkModel` says it. */
export interface Question {
  readonly prompt: readonly Fields[];
  readonly tools?: readonly Fields[];
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly abortSignal: AbortSignal;
}

/** The body of a request. */
export function messagesOf(question: Question, given: {
  readonly modelId: string;
  readonly maxOutputTokens: number;
  readonly isCached: boolean;
}): Fields {
  const { prompt, tools, temperature } = question;
  const system = prompt.filter(({ role }) => role === "system")
    .map(({ content }) => ({ type: "text", text: content }));
  const messages = merged(prompt.filter(({ role }) => role !== "system").map(turnOf));
  if (given.isCached) {
    keepUpTo(system);
    keepUpTo(messages.at(-1)?.content);
  }
  return {
    model: given.modelId,
    max_tokens: question.maxOutputTokens ?? given.maxOutputTokens,
    stream: true,
    ...(system.length === 0 ? {} : { system }),
    messages,
    ...(temperature === undefined ? {} : { temperature: Math.min(1, temperature) }),
    ...(tools === undefined ? {} : {
      tools: tools.map(({ name, description, inputSchema }) => ({
        name,
        description,
        input_schema: inputSchema,
      })),
    }),
  };
}

interface Turn {
  readonly role: "user" | "assistant";
  readonly content: Fields[];
}

function turnOf({ role, content }: Fields): Turn {
  const parts = content as readonly Fields[];
  if (role === "assistant") return { role, content: parts.map(ofAssistant) };
  return { role: "user", content: parts.map(role === "tool" ? resultOf : ofUser) };
}

/** Turns of the same side that follow each other are one: the API wants them to alternate. */
function merged(turns: readonly Turn[]): Turn[] {
  const made: Turn[] = [];
  for (const turn of turns) {
    const last = made.at(-1);
    const content = turn.content.filter(({ type, text }) => type !== "text" || text !== "");
    if (last?.role === turn.role) last.content.push(...content);
    else if (content.length > 0) made.push({ role: turn.role, content });
  }
  return made;
}

function ofAssistant(part: Fields): Fields {
  const { type, text, toolCallId, toolName, input } = part;
  return type === "tool-call"
    ? { type: "tool_use", id: callId(toolCallId), name: toolName, input }
    : { type: "text", text };
}

function ofUser({ type, text, mediaType, data }: Fields): Fields {
  if (type === "text") return { type, text };
  const source = { type: "base64", media_type: mediaType, data: (data as Fields)["data"] };
  return { type: mediaType === "application/pdf" ? "document" : "image", source };
}

function resultOf({ toolCallId, output }: Fields): Fields {
  const { type, value } = output as Fields;
  const isError = String(type).startsWith("error-");
  return {
    type: "tool_result",
    tool_use_id: callId(toolCallId),
    content: typeof value === "string" ? value : JSON.stringify(value),
    ...(isError ? { is_error: true } : {}),
  };
}

/** The API takes ids of letters, digits, `_` and `-` only; those of another model may have more. */
function callId(id: unknown): string {
  return String(id).replaceAll(/[^\w-]/g, "_");
}

function keepUpTo(content: readonly Fields[] | undefined): void {
  const last = content?.at(-1) as Record<string, unknown> | undefined;
  if (last !== undefined) last["cache_control"] = { type: "ephemeral" };
}
