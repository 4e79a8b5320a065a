/**
 * Claims about `libos models`: what it lists, what it tries, and what it says of endpoints that are
 * slow to please.
 * @module
 */

import { deepStrictEqual as equal, doesNotMatch, match } from "node:assert/strict";
import { Place } from "./cli_place.ts";
import { SITE_CERT, SITE_KEY } from "./net_place.ts";
import { fakeAnthropic } from "./fake_anthropic_server.ts";

interface Endpoint {
  readonly takesImages: boolean;
  readonly calls: number;
  readonly models?: unknown;
  readonly takesTools?: boolean;
}

/** An endpoint of chat completions which lists models, and does what it is said to. */
function endpoint({ takesImages, calls, models, takesTools = true }: Endpoint) {
  const seen: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname}`);
    if (request.headers.get("authorization") === "Bearer wrong") {
      return Response.json({ error: { message: "no such key: wrong" } }, { status: 401 });
    }
    if (request.method === "GET") return Response.json(models ?? { data: [{ id: "m\x1b[2J" }] });
    const body = await request.json();
    const asked = JSON.stringify(body.messages);
    if (body.tools !== undefined && !takesTools) {
      return Response.json({ error: { message: "m does not support tools" } }, { status: 400 });
    }
    if (asked.includes("image_url") && !takesImages) {
      return Response.json({ error: { message: "images are not supported" } }, { status: 400 });
    }
    const words = asked.includes("image_url") ? ["Red"] : ["one ", "two ", "three"];
    const deltas = body.tools === undefined
      ? words.map((content) => ({ content }))
      : Array.from({ length: calls }, (_, index) => ({
        tool_calls: [{
          index,
          id: `c${index}`,
          type: "function",
          function: { name: "look_up_code", arguments: '{"city":"Oslo"}' },
        }],
      }));
    const finish = body.tools !== undefined && calls > 0 ? "tool_calls" : "stop";
    const events = [
      ...deltas.map((delta) => ({ choices: [{ index: 0, delta }] })),
      {
        choices: [{ index: 0, delta: {}, finish_reason: finish }],
        usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
      },
    ];
    const lines = [...events.map((event) => JSON.stringify(event)), "[DONE]"];
    const text = ReadableStream.from(
      lines.map((line) => new TextEncoder().encode(`data: ${line}\n\n`)),
    );
    return new Response(text, { headers: { "content-type": "text/event-stream" } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    seen,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

type Row = { readonly what: string; readonly state: string; readonly code: string | null };

function rows(out: string): string[] {
  return (JSON.parse(out) as Row[]).map(({ what, state, code }) => `${what}: ${code ?? state}`);
}

Deno.test("models test says what an endpoint does, thing by thing", async () => {
  await using place = await Place.make();
  await using all = endpoint({ takesImages: true, calls: 2 });
  const well = await place.libos("models", "test", all.url, "--model-id", "m", "-o", "json");
  equal([well.exit, rows(well.out)], [0, [
    "connect: ok",
    "completion: ok",
    "streaming: ok",
    "tool call: ok",
    "parallel calls: ok",
    "image: ok",
  ]]);
  await using few = endpoint({ takesImages: false, calls: 0 });
  const less = await place.libos("models", "test", few.url, "--model-id", "m", "-o", "json");
  equal([less.exit, rows(less.out)], [0, [
    "connect: ok",
    "completion: ok",
    "streaming: ok",
    "tool call: no",
    "image: EINVAL",
  ]]);
});

Deno.test("models test says with a code what is wrong, exits 1, and keeps the key to itself", async () => {
  await using place = await Place.make();
  await using server = endpoint({ takesImages: true, calls: 1 });
  place.variables["LIBOS_MODEL_KEY"] = "wrong";
  const args = ["models", "test", server.url, "--model-id", "m"];
  const refused = await place.libos(...args, "-o", "json");
  equal([refused.exit, rows(refused.out)], [1, ["connect: EACCES", "completion: EACCES"]]);
  doesNotMatch(refused.out, /no such key: wrong/);
  const gone = await place.libos("models", "test", "http://127.0.0.1:1/v1", "--model-id", "m");
  equal(gone.exit, 1);
  match(gone.out, /completion +bad +EIO/);
});

Deno.test("models test says no of a model that takes no tools, and why", async () => {
  await using place = await Place.make();
  await using server = endpoint({ takesImages: true, calls: 1, takesTools: false });
  const { exit, out } = await place.libos("models", "test", server.url, "--model-id", "m");
  equal(exit, 0);
  match(out, /^tool call +no +EINVAL +it takes no tools: .*status 400, m does not support tools/m);
  match(out, /^image +ok/m);
});

Deno.test("models test says where a redirect leads, and that it is not followed", async () => {
  await using place = await Place.make();
  const seen: string[] = [];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      seen.push(new URL(request.url).pathname);
      const headers = { location: "https://models.example/v1/chat?token=hidden" };
      return new Response(null, { status: 307, headers });
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}/v1`;
  const { exit, out } = await place.libos("models", "test", url, "--model-id", "m");
  equal(exit, 1);
  const says =
    /bad +EINVAL +Cannot list models of .*status 307, it leads to "https:\/\/models\.example\/v1\/chat", and no redirect is followed, expected the address that it leads to/;
  match(out, says);
  match(out, /^completion +bad +EINVAL .*status 307, it leads to "https:\/\/models\.example/m);
  doesNotMatch(out, /hidden/);
  equal(seen, ["/v1/models", "/v1/chat/completions"]);
});

Deno.test("models test says once what is wrong with TLS, and what to do", async () => {
  await using place = await Place.make();
  const onListen = () => {};
  const answer = () => new Response("{}");
  const at = { hostname: "127.0.0.1", port: 0, onListen };
  await using secure = Deno.serve({ ...at, cert: SITE_CERT, key: SITE_KEY }, answer);
  await using plain = Deno.serve(at, answer);
  const tried = async (port: number) =>
    (await place.libos("models", "test", `https://127.0.0.1:${port}/v1`, "--model-id", "m")).out;
  const untrusted = await tried(secure.addr.port);
  for (const what of ["connect", "completion"]) {
    const line = untrusted.split("\n").find((one) => one.startsWith(what)) ?? "";
    match(
      line,
      /bad +EIO .*certificate.*, expected a certificate that is trusted here; DENO_CERT=/,
    );
    equal(line.match(/invalid peer certificate/g)?.length, 1, line);
  }
  const clear = await tried(plain.addr.port);
  match(clear, /^connect +bad +EIO .*, expected TLS there; an address of plain HTTP begins with/m);
});

Deno.test("models ls prints names safely, and refuses what is no list", async () => {
  await using place = await Place.make();
  await using server = endpoint({ takesImages: true, calls: 1 });
  const listed = await place.libos("models", "ls", server.url);
  equal(listed.exit, 0);
  equal(listed.out.includes("\x1b"), false);
  await using odd = endpoint({ takesImages: true, calls: 1, models: { data: "no" } });
  const wrong = await place.libos("models", "ls", odd.url);
  equal(wrong.exit, 1);
  match(wrong.err, /Cannot list models: the answer is no list/);
  equal((await place.libos("models", "ls")).exit, 2);
  equal((await place.libos("models", "burn", odd.url)).exit, 2);
});

Deno.test("models test speaks Messages, too", async () => {
  await using place = await Place.make();
  await using server = fakeAnthropic((body) =>
    body.tools === undefined
      ? { text: "one two red" }
      : { calls: [{ name: "look_up_code", input: { city: "Oslo" } }] }
  );
  const said = await place.libos(
    ...["models", "test", `anthropic:${server.url}`, "--model-id", "m", "-o", "json"],
  );
  equal(rows(said.out).slice(1), [
    "completion: ok",
    "streaming: ok",
    "tool call: ok",
    "parallel calls: no",
    "image: ok",
  ]);
  equal(said.exit, 0);
});

Deno.test("A model is asked over the environment's proxy, unless its host is one that goes without", async () => {
  await using proxy = endpoint({ takesImages: false, calls: 0 });
  const main = new URL("../cli/main.ts", import.meta.url).pathname;
  const list = async (env: Record<string, string>): Promise<string> => {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", main, "models", "ls", "http://model.invalid/v1"],
      env: { NO_COLOR: "1", HTTP_PROXY: new URL(proxy.url).origin, NO_PROXY: "", ...env },
      stdin: "null",
    }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  match(await list({}), /^MODEL\nm/);
  equal(proxy.seen, ["GET /v1/models"]);
  match(await list({ NO_PROXY: "model.invalid" }), /EIO/);
  equal(proxy.seen.length, 1);
});
