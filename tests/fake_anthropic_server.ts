/**
 * A fake endpoint of Anthropic's Messages: a real HTTP server on this machine that speaks their
 * event stream. What it answers depends on the planner alone; it never waits for time.
 * @module
 */

/** A request as it came. */
export interface SeenRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  // deno-lint-ignore no-explicit-any -- tests look into what came over the wire
  readonly body: any;
}

/** How a request is met. */
export type Met =
  | {
    readonly text?: string;
    readonly calls?: readonly { readonly name: string; readonly input: unknown }[];
    readonly usage?: Readonly<Record<string, number>>;
    readonly stop?: string;
  }
  | {
    readonly status: number;
    readonly error?: string;
    readonly headers?: Readonly<Record<string, string>>;
  }
  /** Events as they are; then the stream ends. */
  | { readonly events: readonly unknown[] };

/** A running fake endpoint. */
export interface FakeAnthropic extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly requests: readonly SeenRequest[];
}

/** Starts a fake endpoint on a free port of 127.0.0.1. */
export function fakeAnthropic(planner: (body: SeenRequest["body"], n: number) => Met) {
  const requests: SeenRequest[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.json();
    const { pathname: path } = new URL(request.url);
    requests.push({ path, headers: Object.fromEntries(request.headers), body });
    const met = planner(body, requests.length - 1);
    if ("status" in met) {
      const error = { type: "error", error: { type: "x", message: met.error ?? "Fake refusal" } };
      return Response.json(error, { status: met.status, headers: met.headers ?? {} });
    }
    const events = "events" in met ? met.events : eventsOf(met);
    const stream = ReadableStream.from(events.map((event) => {
      const { type } = event as { type?: string };
      return new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(event)}\n\n`);
    }));
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  } satisfies FakeAnthropic;
}

/** How a stream begins. */
export function started(usage: Readonly<Record<string, number>> = {}): unknown {
  const counted = { input_tokens: 10, output_tokens: 1, ...usage };
  return { type: "message_start", message: { id: "msg_1", role: "assistant", usage: counted } };
}

/** Text in an event. */
export function said(text: string, index = 0): unknown {
  return { type: "content_block_delta", index, delta: { type: "text_delta", text } };
}

/** A call begins. */
export function calling(index: number, name: string): unknown {
  const block = { type: "tool_use", id: `toolu_${index}`, name, input: {} };
  return { type: "content_block_start", index, content_block: block };
}

/** A piece of a call's arguments. */
export function piece(index: number, partial_json: string): unknown {
  return { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } };
}

/** How a stream ends. */
export function ended(stop = "end_turn", output = 5): readonly unknown[] {
  return [
    { type: "message_delta", delta: { stop_reason: stop }, usage: { output_tokens: output } },
    { type: "message_stop" },
  ];
}

function eventsOf(
  { text = "", calls = [], usage, stop }: Exclude<Met, { status: number } | { events: unknown }>,
): readonly unknown[] {
  const words = text === "" ? [] : text.split(/(?<= )/);
  const at = words.length === 0 ? 0 : 1;
  return [
    started(usage),
    { type: "ping" },
    ...(at === 0
      ? []
      : [{ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }]),
    ...words.map((word) => said(word)),
    ...calls.flatMap(({ name, input }, i) => {
      const json = JSON.stringify(input);
      const cut = Math.ceil(json.length / 2);
      return [
        calling(at + i, name),
        piece(at + i, json.slice(0, cut)),
        piece(at + i, json.slice(cut)),
        { type: "content_block_stop", index: at + i },
      ];
    }),
    ...ended(stop ?? (calls.length > 0 ? "tool_use" : "end_turn"), usage?.["output_tokens"] ?? 5),
  ];
}
