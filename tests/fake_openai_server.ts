/**
 * A fake endpoint of OpenAI's chat completions: a real HTTP server on this machine, which behaves
 * well or badly as a script or a planner says.
 *
 * Invariants:
 *   H1. What it answers depends on the script (request 0 gets entry 0) or the planner alone.
 *   H2. It waits for gates, for clients and for its end, never for time.
 *   H3. When it is disposed, no request of it is open.
 * @module
 */

/** A message as it comes over the wire. */
export interface WireMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | null;
  readonly tool_calls?: readonly {
    readonly id: string;
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
  readonly tool_call_id?: string;
}

/** A tool as it comes over the wire. */
export interface WireTool {
  readonly type: "function";
  readonly function: { readonly name: string; readonly parameters: unknown };
}

/** A request as it came. */
export interface WireRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: {
    readonly model: string;
    readonly messages: readonly WireMessage[];
    readonly tools?: readonly WireTool[];
    readonly stream?: boolean;
    readonly max_tokens?: number;
    readonly temperature?: number;
  };
}

/** A call in an answer. */
export interface FakeCall {
  readonly name: string;
  /** Arguments; a text is sent as it is, well-formed or not. */
  readonly args: unknown;
  /** Null: none is sent. */
  readonly id?: string | null;
}

/** What may be said besides text and calls. */
export interface AnswerOptions {
  readonly calls?: readonly FakeCall[];
  /** Pieces the text is sent in, each as one event. */
  readonly pieces?: readonly string[];
  /** Waited for before each event. */
  readonly gate?: (event: number) => Promise<void> | void;
  /** Null: none is sent. */
  readonly usage?: { readonly input: number; readonly output: number } | null;
  readonly finish?: string;
}

/** How one request is met. */
export type Behaviour =
  | ({ readonly kind: "answer"; readonly text: string } & AnswerOptions)
  | {
    readonly kind: "status";
    readonly status: number;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
  }
  /** Sends events as they are given and then ends, breaks off, or stays. */
  | {
    readonly kind: "events";
    readonly events: readonly unknown[];
    readonly then: "end" | "break" | "hang";
  }
  /** Answers nothing at all. */
  | { readonly kind: "hang" };

/** Decides on an answer from a conversation and its tools. */
export type Planner = (
  messages: readonly WireMessage[],
  tools: readonly WireTool[],
  body: WireRequest["body"],
) => Behaviour;

/** A running fake endpoint. */
export interface FakeOpenAi extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly url: string;
  /** All requests so far. */
  readonly requests: readonly WireRequest[];
  /** How many requests are not answered to their end. */
  open(): number;
  /** Resolves when the next request has come. */
  nextRequest(): Promise<void>;
  /** Resolves when no answer is being sent: all were sent, or their clients have gone. */
  quiet(): Promise<void>;
}

/** An answer of text. */
export function says(text: string, options: AnswerOptions = {}): Behaviour {
  return { kind: "answer", text, ...options };
}

/** An answer of calls. */
export function asks(...calls: readonly FakeCall[]): Behaviour {
  return { kind: "answer", text: "", calls };
}

/** A refusal. */
export function refuses(
  status: number,
  options: { readonly message?: string; readonly headers?: Record<string, string> } = {},
): Behaviour {
  const body = JSON.stringify({ error: { message: options.message ?? `Fake ${status}` } });
  return { kind: "status", status, body, headers: options.headers ?? {} };
}

/** Starts a fake endpoint on a free port of 127.0.0.1. */
export function fakeOpenAi(script: readonly Behaviour[] | Planner): FakeOpenAi {
  const requests: WireRequest[] = [];
  const closing = new AbortController();
  let open = 0;
  let came = Promise.withResolvers<void>();
  let quiet = Promise.withResolvers<void>();
  quiet.resolve();
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const server = Deno.serve(options, async (request) => {
    const body = await request.json() as WireRequest["body"];
    const behaviour = pick(script, body, requests.length);
    requests.push({ headers: Object.fromEntries(request.headers), body });
    came.resolve();
    came = Promise.withResolvers();
    if (open++ === 0) quiet = Promise.withResolvers();
    const done = () => {
      if (--open === 0) quiet.resolve();
    };
    return await meet(behaviour, { body, closing: closing.signal, done });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    requests,
    open: () => open,
    nextRequest: () => came.promise,
    quiet: () => quiet.promise,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await server.shutdown();
      if (open !== 0) throw new Error(`Fake endpoint was left with ${open} open requests`);
    },
  };
}

/**
 * A planner that lists a folder, reads each of its files, writes a report and ends. Names of tools
 * are those of the request; what a tool answers may be text, a list of names or a list of entries.
 */
export function reportPlanner(
  options: { readonly folder: string; readonly report: string },
): Planner {
  const { folder, report } = options;
  return (messages, tools) => {
    const named = (verb: string) =>
      tools.map((tool) => tool.function.name).find((name) => name.endsWith(verb)) ?? verb;
    const done = (name: string) => resultsOf(messages, name);
    const listed = done(named("list"));
    if (listed.length === 0) return asks({ name: named("list"), args: { path: folder } });
    const files = namesIn(listed[0]?.text ?? "").map((name) => `${folder}/${name}`);
    const read = done(named("read"));
    const unread = files.filter((path) => !read.some((result) => result.path === path));
    if (unread.length > 0) {
      return asks(...unread.map((path) => ({ name: named("read"), args: { path } })));
    }
    if (done(named("write")).length > 0) {
      return says(`Wrote ${report} about ${files.length} files`);
    }
    const lines = read.map(({ path, text }) => `- ${path}: ${text.length} characters`);
    const content = `# Report\n\n${lines.join("\n")}\n`;
    return asks({ name: named("write"), args: { path: report, content, text: content } });
  };
}

/** Results of a tool so far, each with the path it was asked for. */
export function resultsOf(
  messages: readonly WireMessage[],
  name: string,
): readonly { readonly path: string; readonly text: string }[] {
  const results: { path: string; text: string }[] = [];
  for (const call of messages.flatMap((message) => message.tool_calls ?? [])) {
    if (call.function.name !== name) continue;
    const result = messages.find((message) => message.tool_call_id === call.id);
    if (result === undefined) continue;
    const args = JSON.parse(call.function.arguments) as { path?: string };
    results.push({ path: args.path ?? "", text: result.content ?? "" });
  }
  return results;
}

function namesIn(text: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text.split("\n").filter((line) => line !== "");
  }
  const list = Array.isArray(value)
    ? value
    : Object.values(value as object).find((field) => Array.isArray(field)) ?? [];
  return (list as readonly unknown[])
    .filter((item) => (item as { kind?: string }).kind !== "directory")
    .map((item) => typeof item === "string" ? item : (item as { name: string }).name);
}

/** A request on its way. */
interface Visit {
  readonly body: WireRequest["body"];
  /** Aborted when the server is disposed. */
  readonly closing: AbortSignal;
  /** To be called once, when all is sent. */
  readonly done: () => void;
}

function pick(
  script: readonly Behaviour[] | Planner,
  body: WireRequest["body"],
  index: number,
): Behaviour {
  if (typeof script === "function") return script(body.messages, body.tools ?? [], body);
  return script[index] ?? refuses(400, { message: `The script has no entry ${index}` });
}

async function meet(behaviour: Behaviour, visit: Visit): Promise<Response> {
  switch (behaviour.kind) {
    case "status": {
      const { status, body = "", headers = {} } = behaviour;
      visit.done();
      return new Response(body === "" ? null : body, { status, headers });
    }
    case "hang":
      await until(visit.closing);
      visit.done();
      return new Response(null, { status: 503 });
    case "events":
      return stream(visit, behaviour.events, { then: behaviour.then });
    case "answer": {
      if (visit.body.stream !== true) {
        visit.done();
        return Response.json(wholeAnswer(behaviour));
      }
      const { gate } = behaviour;
      const more = gate === undefined ? {} : { gate };
      return stream(visit, [...eventsOf(behaviour), "[DONE]"], { then: "end", ...more });
    }
  }
}

function stream(
  visit: Visit,
  events: readonly unknown[],
  options: { then: "end" | "break" | "hang"; gate?: (event: number) => Promise<void> | void },
): Response {
  const encoder = new TextEncoder();
  let next = 0;
  let open = true;
  const close = () => {
    if (open) visit.done();
    open = false;
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (next < events.length) {
        await options.gate?.(next);
        const event = events[next++];
        const text = typeof event === "string" ? event : JSON.stringify(event);
        controller.enqueue(encoder.encode(`data: ${text}\n\n`));
        return;
      }
      if (options.then === "hang") await until(visit.closing);
      close();
      controller.close();
    },
    cancel: close,
  });
  // To send less than was announced is how the connection comes to break.
  const announced = options.then === "break" ? { "content-length": String(2 ** 20) } : {};
  return new Response(body, { headers: { "content-type": "text/event-stream", ...announced } });
}

function until(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

type Answer = Extract<Behaviour, { kind: "answer" }>;

/** A chunk of a stream around what it brings. */
export function chunk(delta: unknown, finish: string | null = null): unknown {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return { id: "fake", object: "chat.completion.chunk", created: 0, model: "fake", choices };
}

function eventsOf(answer: Answer): readonly unknown[] {
  const pieces = answer.pieces ?? (answer.text === "" ? [] : [answer.text]);
  const calls = answer.calls ?? [];
  const usage = usageOf(answer);
  const events: unknown[] = [chunk({ role: "assistant", content: "" })];
  for (const content of pieces) events.push(chunk({ content }));
  for (const [index, call] of calls.entries()) events.push(...callEvents(call, index));
  events.push(chunk({}, answer.finish ?? (calls.length > 0 ? "tool_calls" : "stop")));
  if (usage !== null) events.push({ ...(chunk({}) as object), choices: [], usage });
  return events;
}

/** A call in several events: its name, and its arguments in three pieces. */
function callEvents(call: FakeCall, index: number): readonly unknown[] {
  const text = argsOf(call);
  const id = call.id === null ? {} : { id: call.id ?? `wire_${index}` };
  const cuts = [0, Math.ceil(text.length / 3), Math.ceil(text.length * 2 / 3), text.length];
  const start = { index, ...id, type: "function", function: { name: call.name, arguments: "" } };
  const events = [chunk({ tool_calls: [start] })];
  for (let i = 0; i < 3; i++) {
    const piece = { index, function: { arguments: text.slice(cuts[i], cuts[i + 1]) } };
    events.push(chunk({ tool_calls: [piece] }));
  }
  return events;
}

function wholeAnswer(answer: Answer): unknown {
  const calls = (answer.calls ?? []).map((call, index) => ({
    ...(call.id === null ? {} : { id: call.id ?? `wire_${index}` }),
    type: "function",
    function: { name: call.name, arguments: argsOf(call) },
  }));
  const message = {
    role: "assistant",
    content: answer.pieces?.join("") ?? answer.text,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  const finish = answer.finish ?? (calls.length > 0 ? "tool_calls" : "stop");
  const choices = [{ index: 0, message, finish_reason: finish }];
  const usage = usageOf(answer) ?? undefined;
  return { id: "fake", object: "chat.completion", created: 0, model: "fake", choices, usage };
}

function argsOf(call: FakeCall): string {
  return typeof call.args === "string" ? call.args : JSON.stringify(call.args);
}

function usageOf(answer: Answer): Readonly<Record<string, number>> | null {
  if (answer.usage === null) return null;
  const { input, output } = answer.usage ?? { input: 10, output: 5 };
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}
