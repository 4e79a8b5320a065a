/**
 * A gate as a proxy, before a real upstream.
 * @module
 */

import assert from "node:assert/strict";
import { Gate, type GateOptions } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { gateProxy } from "../providers/gate_proxy.ts";
import { listenHttp } from "../providers/http.ts";
import {
  type Behaviour,
  fakeOpenAi,
  refuses,
  says,
  type WireRequest,
} from "./fake_openai_server.ts";

const KEY = "sk-very-secret-1234567890";

/** A proxy before an upstream, both real. */
class Stand implements AsyncDisposable {
  readonly upstream;
  readonly gate: Gate;
  readonly #listener;

  constructor(script: Parameters<typeof fakeOpenAi>[0], options: GateOptions = {}) {
    this.upstream = fakeOpenAi(script);
    this.gate = new Gate({ retryMs: 5, ...options });
    this.#listener = listenHttp(gateProxy({ upstream: this.upstream.url, gate: this.gate }));
  }

  get origin(): string {
    return this.#listener.url;
  }

  ask(given: { agent?: string; key?: string; signal?: AbortSignal; stream?: boolean } = {}) {
    const { agent, key = KEY, signal, stream = false } = given;
    const messages = [{ role: "user", content: agent ?? "somebody" }];
    return fetch(`${this.origin}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${key}`,
        ...(agent === undefined ? {} : { "x-libos-agent": agent }),
      },
      body: JSON.stringify({ model: "m", messages, stream }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close();
    await this.upstream[Symbol.asyncDispose]();
  }
}

const textOf = async (response: Response) => (await response.json()).choices?.[0]?.message?.content;

Deno.test("An answer comes through as it is, with the key sent on and nothing of ours", async () => {
  await using stand = new Stand([says("Hello")]);
  const response = await stand.ask({ agent: "a-1" });
  assert.deepEqual([response.status, await textOf(response)], [200, "Hello"]);
  const { headers, body } = stand.upstream.requests[0]!;
  assert.equal(headers["authorization"], `Bearer ${KEY}`);
  assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("x-libos")), []);
  assert.deepEqual(body.messages, [{ role: "user", content: "a-1" }]);
  assert.equal(stand.gate.state().counts.passed, 1);
});

Deno.test("A stream comes through as it is written, and its turn ends with it", async () => {
  const go = Promise.withResolvers<void>();
  const held = says("", { pieces: ["one ", "two"], gate: (n) => n === 2 ? go.promise : undefined });
  await using stand = new Stand([held, says("next")], { concurrency: 1, concurrencyMax: 1 });
  const response = await stand.ask({ stream: true });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("one ")) text += (await reader.read()).value;
  assert.equal(stand.gate.state().out, 1);
  const second = stand.ask();
  go.resolve();
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  assert.match(text, /two[\s\S]*\[DONE\]/);
  assert.equal(await textOf(await second), "next");
  const { limit, left } = stand.gate.state().tokens;
  assert.deepEqual([limit, left], [null, null]);
});

Deno.test("Refusals that time helps are waited for; the agent sees the answer alone", async () => {
  const script: Behaviour[] = [
    refuses(429, { headers: { "retry-after-ms": "10" } }),
    refuses(502),
    refuses(529),
    says("at last"),
  ];
  await using stand = new Stand(script);
  assert.equal(await textOf(await stand.ask()), "at last");
});

Deno.test("A refusal for good comes through as the upstream said it, after one try", async () => {
  await using stand = new Stand([refuses(401, { message: "No such key" })]);
  const response = await stand.ask();
  assert.equal(response.status, 401);
  assert.equal((await response.json()).error.message, "No such key");
  assert.equal(stand.upstream.requests.length, 1);
});

Deno.test("The last refusal comes through when no try is left", async () => {
  await using stand = new Stand(() => refuses(500, { message: "Still down" }), { tries: 2 });
  const response = await stand.ask();
  assert.equal(response.status, 500);
  assert.equal((await response.json()).error.message, "Still down");
  assert.equal(stand.upstream.requests.length, 2);
});

Deno.test("An answer that breaks off is not asked for again once some of it was passed on", async () => {
  const broken: Behaviour = { kind: "events", events: ['{"a":1}'], then: "break" };
  await using stand = new Stand([broken, says("never")]);
  const response = await stand.ask({ stream: true });
  await assert.rejects(response.text());
  await stand.upstream.quiet();
  assert.equal(stand.upstream.requests.length, 1);
});

Deno.test("Who leaves, leaves the line, and ends at the upstream", async () => {
  await using stand = new Stand([{ kind: "hang" }, says("second")], {
    concurrency: 1,
    concurrencyMax: 1,
  });
  const stop = new AbortController();
  const came = stand.upstream.nextRequest();
  const first = stand.ask({ signal: stop.signal });
  await came;
  const second = stand.ask();
  stop.abort();
  await assert.rejects(first);
  assert.equal(await textOf(await second), "second");
});

const named = {
  agent: ({ body }: WireRequest) => body.messages[0]!.content,
  key: ({ headers }: WireRequest) => headers["authorization"]!.slice("Bearer ".length),
} as const;

for (const by of ["agent", "key"] as const) {
  Deno.test(`Who asks much keeps nobody waiting: turns go round by ${by}`, async () => {
    const go = Promise.withResolvers<void>();
    let isFirst = true;
    await using stand = new Stand(() => {
      const held = says("ok", isFirst ? { gate: () => go.promise } : {});
      isFirst = false;
      return held;
    }, { concurrency: 1, concurrencyMax: 1 });
    const ask = (name: string) =>
      stand.ask({ [by]: name, stream: true }).then((response) => response.text());
    const came = stand.upstream.nextRequest();
    const asked = [ask("busy")];
    await came;
    for (let n = 0; n < 4; n++) asked.push(ask("busy"));
    asked.push(ask("calm"));
    while (stand.gate.state().waiting < 5) await (await fetch(`${stand.origin}/gate`)).text();
    go.resolve();
    await Promise.all(asked);
    const order = stand.upstream.requests.map(named[by]);
    assert.equal(order.length, 6);
    assert.ok(order.indexOf("calm") <= 2, order.join(" "));
  });
}

const REFUSED: readonly (readonly [string, string, RequestInit, number])[] = [
  [
    "a page in a browser",
    "/v1/x",
    { method: "POST", headers: { origin: "http://a.example" } },
    403,
  ],
  ["a path that is not under /v1/", "/admin", {}, 404],
  ["a path that leaves /v1/", "/v1/../admin", {}, 404],
  ["a path that leaves it when it is decoded", "/v1/..%2f..%2fadmin", {}, 400],
  ["a path that leaves it when it is decoded twice", "/v1/%252e%252e/admin", {}, 400],
  ["a page's picture", "/v1/x", { headers: { "sec-fetch-site": "cross-site" } }, 403],
  ["a page of another port", "/gate", { headers: { "sec-fetch-site": "same-site" } }, 403],
  ["an odd name", "/v1/x", { method: "POST", headers: { "x-libos-agent": "a b" } }, 400],
  ["an odd priority", "/v1/x", { method: "POST", headers: { "x-libos-priority": "900" } }, 400],
];

Deno.test("What a proxy refuses reaches no upstream, and is said in the form that clients read", async () => {
  await using stand = new Stand([]);
  for (const [what, path, init, status] of REFUSED) {
    const response = await fetch(`${stand.origin}${path}`, init);
    const { error } = await response.json();
    assert.equal(response.status, status, what);
    assert.match(error.message, /^Cannot /);
  }
  const large = new Uint8Array(LIMITS.gateBodyBytesMax + 1);
  const response = await fetch(`${stand.origin}/v1/x`, { method: "POST", body: large });
  assert.equal(response.status, 413);
  await response.body?.cancel();
  assert.equal(stand.upstream.requests.length, 0);
});

Deno.test("A name of another machine that leads here is refused", async () => {
  await using stand = new Stand([]);
  const connection = await Deno.connect({ port: Number(new URL(stand.origin).port) });
  const text = "GET /gate HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
  await connection.write(new TextEncoder().encode(text));
  assert.match(await new Response(connection.readable).text(), /^HTTP\/1\.1 403 /);
});

Deno.test("Redirects are not followed, so that a key reaches nobody else", async () => {
  await using other = fakeOpenAi([says("stolen")]);
  const redirect = refuses(307, { headers: { location: `${other.url}/chat/completions` } });
  await using stand = new Stand([redirect]);
  const response = await stand.ask();
  await response.body?.cancel();
  assert.equal(response.status, 307);
  assert.equal(other.requests.length, 0);
});

Deno.test("A key is nowhere in what a proxy says of itself", async () => {
  await using stand = new Stand([says("ok")], { tokensPerTree: 30 });
  await (await stand.ask()).text();
  const spent = await stand.ask();
  assert.equal(spent.status, 403);
  const said = await spent.text() + await (await fetch(`${stand.origin}/gate`)).text();
  assert.match(said, /EBUDGET[\s\S]*"passed":1/);
  assert.ok(!said.includes(KEY) && !said.includes("very-secret"));
});

Deno.test("An upstream that is not there is said to be so after some tries", async () => {
  const gone = fakeOpenAi([]);
  await gone[Symbol.asyncDispose]();
  const gate = new Gate({ retryMs: 1 });
  const listener = listenHttp(gateProxy({ upstream: gone.url, gate }));
  const response = await fetch(`${listener.url}/v1/chat/completions`, {
    method: "POST",
    body: "{}",
  });
  assert.equal(response.status, 502);
  assert.match((await response.json()).error.message, /Cannot reach the endpoint: no answer/);
  assert.equal(gate.state().counts.failed, LIMITS.modelRetriesMax);
  await listener.close();
});
