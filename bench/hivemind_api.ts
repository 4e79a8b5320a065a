/**
 * A mock of a rate-limited API that many agents share, by published rules: a fixed window of
 * requests and tokens, refusals, broken connections, latencies, a bound on what is under way.
 *
 * It is a real HTTP server that speaks Anthropic's Messages. Its rules are those of a published
 * evaluation (arXiv 2604.17111), with all its times divided by `speed`.
 * @module
 */

import { SeededRandom } from "../testing.ts";

/** One scenario, as published; times in milliseconds. */
export interface Scenario {
  readonly id: string;
  readonly agents: number;
  readonly turns: number;
  readonly rpm: number;
  readonly tpm: number;
  /** How often it answers 502, and how often it breaks off. */
  readonly p502: number;
  readonly preset: number;
  readonly base_ms: number;
  readonly jitter_ms: number;
  readonly spike_rate: number;
  readonly max_concurrent: number;
  readonly hm_concurrency: number;
  readonly paper: { readonly direct_fail: number; readonly hivemind_fail: number };
}

/** What the mock counted. */
export interface Seen {
  requests: number;
  served: number;
  limited: number;
  overloaded: number;
  broken: number;
  /** Requests of each window that counted in it. */
  readonly windows: number[];
}

/** A running mock. */
export interface MockApi extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly seen: Seen;
}

const WINDOW_MS = 60_000;
const SPIKE = 5;

/** Starts a mock on a free port of 127.0.0.1. */
export function mockApi(scenario: Scenario, speed: number, seed: number): MockApi {
  const mock = new Mock(scenario, speed, new SeededRandom(seed));
  const at = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const server = Deno.serve(at, (request) => mock.answer(request));
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    seen: mock.seen,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

class Mock {
  readonly seen: Seen = {
    requests: 0,
    served: 0,
    limited: 0,
    overloaded: 0,
    broken: 0,
    windows: [0],
  };
  readonly #windowMs: number;
  #active = 0;
  #fromMs = performance.now();
  #requests = 0;
  #tokens = 0;

  constructor(
    readonly scenario: Scenario,
    readonly speed: number,
    readonly random: SeededRandom,
  ) {
    this.#windowMs = WINDOW_MS / speed;
  }

  /** The checks are in the published order: what is refused before the count is not counted. */
  async answer(request: Request): Promise<Response> {
    const { scenario, seen } = this;
    seen.requests += 1;
    this.#active += 1;
    try {
      const text = await request.text();
      if (scenario.max_concurrent > 0 && this.#active > scenario.max_concurrent) {
        seen.overloaded += 1;
        return refusal(529, "overloaded_error");
      }
      if (this.#chance() < scenario.preset) {
        seen.broken += 1;
        return new Response(null, { status: 502 });
      }
      if (this.#chance() < scenario.p502) {
        seen.broken += 1;
        return refusal(502, "api_error");
      }
      const body = parsed(text);
      if (body === undefined) return refusal(400, "invalid_request_error");
      const input = Math.ceil(JSON.stringify(body.messages).length / 4);
      const over = this.#count(input);
      if (over) {
        seen.limited += 1;
        const retryAfter = { "retry-after": (this.#leftMs() / 1_000).toFixed(3) };
        return refusal(429, "rate_limit_error", { ...this.#head(), ...retryAfter });
      }
      await this.#latency();
      seen.served += 1;
      const output = Math.max(10, Math.round(150 + 50 * this.#gauss()));
      return answerOf(body.stream === true, { input, output }, this.#head());
    } finally {
      this.#active -= 1;
    }
  }

  #count(input: number): boolean {
    this.#roll();
    this.#requests += 1;
    this.#tokens += input;
    this.seen.windows[this.seen.windows.length - 1]! += 1;
    return this.#requests > this.scenario.rpm || this.#tokens > this.scenario.tpm;
  }

  #roll(): void {
    const nowMs = performance.now();
    if (nowMs - this.#fromMs < this.#windowMs) return;
    this.#fromMs = nowMs;
    this.#requests = this.#tokens = 0;
    this.seen.windows.push(0);
  }

  #leftMs(): number {
    return Math.max(0, this.#windowMs - (performance.now() - this.#fromMs));
  }

  #head(): Record<string, string> {
    const { rpm, tpm } = this.scenario;
    const reset = new Date(Date.now() + this.#leftMs()).toISOString();
    const of = (rate: string, limit: number, used: number) => ({
      [`anthropic-ratelimit-${rate}-limit`]: String(limit),
      [`anthropic-ratelimit-${rate}-remaining`]: String(Math.max(0, limit - used)),
      [`anthropic-ratelimit-${rate}-reset`]: reset,
    });
    return { ...of("requests", rpm, this.#requests), ...of("tokens", tpm, this.#tokens) };
  }

  async #latency(): Promise<void> {
    const { base_ms, jitter_ms, spike_rate } = this.scenario;
    const usual = Math.max(10, base_ms + jitter_ms * this.#gauss());
    const ms = this.#chance() < spike_rate ? usual * SPIKE : usual;
    await new Promise((resolve) => setTimeout(resolve, ms / this.speed));
  }

  #chance(): number {
    const [a, b, c, d] = this.random.bytes(4);
    return (((a! * 256 + b!) * 256 + c!) * 256 + d!) / 2 ** 32;
  }

  #gauss(): number {
    return Math.sqrt(-2 * Math.log(1 - this.#chance())) * Math.cos(2 * Math.PI * this.#chance());
  }
}

interface Body {
  readonly messages: unknown;
  readonly stream?: boolean;
}

function parsed(text: string): Body | undefined {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return undefined;
  }
}

function refusal(status: number, type: string, headers: Record<string, string> = {}): Response {
  return Response.json({ type: "error", error: { type, message: type } }, { status, headers });
}

function answerOf(
  isStream: boolean,
  { input, output }: { readonly input: number; readonly output: number },
  headers: Record<string, string>,
): Response {
  const usage = { input_tokens: input, output_tokens: output };
  const message = { id: "msg_1", type: "message", role: "assistant", model: "mock", usage };
  if (!isStream) {
    const content = [{ type: "text", text: "ok" }];
    return Response.json({ ...message, content, stop_reason: "end_turn" }, { headers });
  }
  const events = [
    { type: "message_start", message: { ...message, content: [] } },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "ok" } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: output } },
    { type: "message_stop" },
  ];
  const text = events.map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`).join("");
  return new Response(text, { headers: { ...headers, "content-type": "text/event-stream" } });
}
