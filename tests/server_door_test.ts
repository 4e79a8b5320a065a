/**
 * Who gets into the server, and who does not.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { VirtualClock } from "../testing.ts";
import { serverPlace } from "./server_place.ts";

const sleeper = defineImage({
  name: "sleeper",
  program: async ({ sys }) => {
    await sys.clock.sleep({ ms: 86_400_000 });
  },
});

async function problem(answer: Response): Promise<[number, string]> {
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  const { status, code } = await answer.json();
  assert.equal(status, answer.status);
  return [answer.status, code];
}

Deno.test("The server refuses whoever is nobody, says which code, and tells nothing else", async () => {
  await using at = await serverPlace();
  const REFUSALS: readonly (readonly [string, Record<string, string>, number, string])[] = [
    ["no token", {}, 401, "unauthenticated"],
    ["a wrong token", { authorization: "Bearer libos_wrong" }, 401, "unauthenticated"],
    ["another scheme", { authorization: "Basic YTpi" }, 401, "unauthenticated"],
    ["an empty cookie", { cookie: `libos_${at.server.port}=` }, 401, "unauthenticated"],
    ["a page of another site", { origin: "https://evil.test" }, 403, "origin_refused"],
    ["a page without an origin", { origin: "null" }, 403, "origin_refused"],
    ["another port's page", { origin: "http://127.0.0.1:1" }, 403, "origin_refused"],
    ["cross-site", { "sec-fetch-site": "cross-site" }, 403, "origin_refused"],
  ];
  for (const [claim, headers, status, code] of REFUSALS) {
    const answer = await at.ask(null, "/v1/whoami", { headers });
    assert.deepEqual(await problem(answer), [status, code], claim);
  }
});

Deno.test("A Host that is not the server's is refused, whatever token comes along", async () => {
  await using at = await serverPlace();
  for (const host of ["evil.test", `evil.test:${at.server.port}`, "127.0.0.1:1", "[::1]", ""]) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: at.server.port });
    const text = `GET /v1/whoami HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n` +
      `Authorization: Bearer ${at.secrets.admin}\r\n\r\n`;
    await conn.write(new TextEncoder().encode(text));
    const answer = await new Response(conn.readable).text();
    assert.match(answer, /^HTTP\/1.1 4(21|00)/, host);
    assert.doesNotMatch(answer, /"role"/);
  }
});

Deno.test("Every answer carries the headers that keep a browser from harm", async () => {
  await using at = await serverPlace();
  for (
    const [role, path] of [[null, "/v1/health"], ["viewer", "/v1/whoami"], [null, "/nope"], [
      null,
      "/",
    ]] as const
  ) {
    const answer = await at.ask(role, path);
    await answer.body?.cancel();
    const csp = answer.headers.get("content-security-policy")!;
    assert.match(csp, /default-src 'none'/, path);
    assert.doesNotMatch(csp, /unsafe-inline|unsafe-eval/);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.equal(answer.headers.get("x-frame-options"), "DENY");
    assert.equal(answer.headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("A role does what the ones below it may, and no more", async () => {
  await using at = await serverPlace();
  for (const role of ["viewer", "approver", "operator"] as const) {
    assert.deepEqual(await problem(await at.ask(role, "/v1/tokens")), [403, "role_too_low"], role);
  }
  const answer = await at.ask("admin", "/v1/tokens");
  const { items } = await answer.json();
  assert.equal(items.length, 4);
  const text = JSON.stringify(items);
  for (const secret of Object.values(at.secrets)) assert(!text.includes(secret.slice(6)));
  assert.doesNotMatch(text, /hash/);
});

Deno.test("A token that was revoked is refused at once, and its streams end", async () => {
  await using at = await serverPlace();
  const stream = await at.ask("viewer", "/v1/events");
  const reader = stream.body!.getReader();
  await reader.read();
  const { items } = await (await at.ask("admin", "/v1/tokens")).json();
  const { id } = items.find(({ name }: { name: string }) => name === "viewer");
  assert.equal((await at.ask("admin", `/v1/tokens/${id}`, { method: "DELETE" })).status, 204);
  for (let part = await reader.read(); !part.done;) part = await reader.read();
  assert.deepEqual(await problem(await at.ask("viewer", "/v1/whoami")), [401, "unauthenticated"]);
});

Deno.test("A one-time link signs one browser in, and its session changes nothing without CSRF", async () => {
  await using at = await serverPlace();
  const admin = at.server.tokens.list().find(({ role }) => role === "admin")!;
  const link = at.server.link(admin.id);
  const first = await fetch(link, { redirect: "manual" });
  assert.equal(first.status, 303);
  const cookie = first.headers.get("set-cookie")!;
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Strict/);
  const session = cookie.split(";")[0]!;
  await first.body?.cancel();
  const again = await fetch(link, { redirect: "manual" });
  assert.equal(again.status, 401);
  await again.body?.cancel();

  const who = await (await at.ask(null, "/v1/whoami", { headers: { cookie: session } })).json();
  assert.equal(who.role, "admin");
  const wish = { name: "eve", role: "admin" };
  const bare = await at.post(null, "/v1/tokens", wish, { headers: { cookie: session } });
  assert.deepEqual(await problem(bare), [403, "csrf_refused"]);
  const headers = { cookie: session, "x-libos-csrf": who.csrf };
  const made = await at.post(null, "/v1/tokens", wish, { headers });
  assert.equal(made.status, 201);
  await made.body?.cancel();
  const end = await at.ask(null, "/v1/session/end", { method: "POST", headers });
  assert.equal(end.status, 204);
  const after = await at.ask(null, "/v1/whoami", { headers: { cookie: session } });
  assert.deepEqual(await problem(after), [401, "unauthenticated"]);
});

Deno.test("A body that is too large, no JSON, or not what the route takes is refused", async () => {
  await using at = await serverPlace();
  const large = "x".repeat(LIMITS.httpBodyBytesMax);
  const post = (body: BodyInit, type = "application/json") =>
    at.ask("admin", "/v1/tokens", { method: "POST", body, headers: { "content-type": type } });
  const BAD: readonly (readonly [string, Promise<Response>, number, string])[] = [
    ["too large", post(JSON.stringify({ name: large })), 413, "body_too_large"],
    [
      "too large, of unknown length",
      post(new Blob([`"${large}"`]).stream() as unknown as BodyInit),
      413,
      "body_too_large",
    ],
    ["no JSON", post("{"), 400, "EINVAL"],
    ["another type", post("name=a", "application/x-www-form-urlencoded"), 400, "EINVAL"],
    ["a field too many", post('{"name":"a","role":"viewer","x":1}'), 400, "EINVAL"],
    ["a wrong role", post('{"name":"a","role":"root"}'), 400, "EINVAL"],
    ["a bad name", post('{"name":"a b","role":"viewer"}'), 400, "EINVAL"],
  ];
  for (const [claim, answer, status, code] of BAD) {
    assert.deepEqual(await problem(await answer), [status, code], claim);
  }
});

Deno.test("The same request under one Idempotency-Key is done once, another one is refused", async () => {
  await using at = await serverPlace();
  const headers = { "idempotency-key": "k1" };
  const wish = { name: "bob", role: "viewer" };
  const answers = await Promise.all(
    [1, 2, 3].map(() => at.post("admin", "/v1/tokens", wish, { headers })),
  );
  const bodies = await Promise.all(answers.map((one) => one.json()));
  assert.deepEqual(bodies[1], bodies[0]);
  assert.deepEqual(bodies[2], bodies[0]);
  const other = await at.post("admin", "/v1/tokens", { ...wish, name: "eve" }, { headers });
  assert.deepEqual(await problem(other), [422, "key_reused"]);
  const { items } = await (await at.ask("admin", "/v1/tokens")).json();
  assert.equal(items.filter(({ name }: { name: string }) => name === "bob").length, 1);
});

Deno.test("Whoever guesses tokens is slowed down, and others are not", async () => {
  // Its time stands: nobody may guess again while the test looks.
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { clock }, serve: { clock } });
  const guess = () =>
    at.ask(null, "/v1/whoami", { headers: { authorization: "Bearer libos_guess" } });
  const codes = new Map<number, number>();
  for (let i = 0; i < LIMITS.httpFailuresPerMinute + 10; i++) {
    const answer = await guess();
    await answer.body?.cancel();
    codes.set(answer.status, (codes.get(answer.status) ?? 0) + 1);
  }
  assert((codes.get(429) ?? 0) > 0, "somebody who guesses is told to wait");
  assert.equal((await guess()).headers.get("retry-after") !== null, true);
});

Deno.test("Too many streams are refused with a time to try again", async () => {
  await using at = await serverPlace();
  const open: Response[] = [];
  for (let i = 0; i < LIMITS.streamsPerPrincipalMax; i++) {
    open.push(await at.ask("viewer", "/v1/events"));
  }
  const one = await at.ask("viewer", "/v1/events");
  assert.equal(one.headers.get("retry-after"), "5");
  assert.deepEqual(await problem(one), [429, "too_many_streams"]);
  const other = await at.ask("admin", "/v1/events");
  assert.equal(other.status, 200);
  for (const each of [...open, other]) await each.body!.cancel();
});

interface Told {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Events of a stream until `enough` says so. */
async function eventsOf(answer: Response, enough: (all: Told[]) => boolean): Promise<Told[]> {
  const all: Told[] = [];
  let text = "";
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (!enough(all)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
      const fields = Object.fromEntries(
        text.slice(0, at).split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)),
      );
      text = text.slice(at + 2);
      if (fields["event"] === undefined) continue;
      all.push({ id: fields["id"]!, event: fields["event"], data: JSON.parse(fields["data"]!) });
    }
  }
  await reader.cancel();
  return all;
}

Deno.test("The stream goes on after the last event that was seen, and says when it cannot", async () => {
  await using at = await serverPlace();
  const live = at.ask("viewer", "/v1/events");
  const first = await live;
  const spawned = at.runtime.spawn(sleeper, { goal: "sleep" });
  const states = (all: Told[]) => all.filter(({ event }) => event === "process.state");
  const all = await eventsOf(first, (seen) => states(seen).length >= 2);
  assert.equal(all[0]!.event, "reset", "a new reader is told where it begins");
  const [born, waiting] = states(all);
  assert.equal((born!.data as { summary: { state: string } }).summary.state, "ready");
  await spawned;

  const headers = { "last-event-id": born!.id };
  const resumed = await at.ask("viewer", "/v1/events", { headers });
  const rest = await eventsOf(resumed, (seen) => states(seen).length >= 1);
  assert.equal(states(rest)[0]!.id, waiting!.id);
  assert(!rest.some(({ event }) => event === "reset"));

  const lost = await at.ask("viewer", "/v1/events", { headers: { "last-event-id": "0000-7" } });
  assert.equal((await eventsOf(lost, (seen) => seen.length >= 1))[0]!.event, "reset");
});

Deno.test("What a token with labels missed is told it though its tree has left memory since", async () => {
  await using at = await serverPlace();
  const confined = { name: "ann", role: "viewer", labels: { team: "a" } } as const;
  const { secret } = at.server.tokens.create(confined);
  const headers = { authorization: `Bearer ${secret}` };
  const states = (all: Told[]) => all.filter(({ event }) => event === "process.state");
  const [start] = await eventsOf(
    await at.ask(null, "/v1/events", { headers }),
    (all) => all.length > 0,
  );
  const mine = await at.runtime.spawn(sleeper, { goal: "mine", labels: { team: "a" } });
  await at.runtime.spawn(sleeper, { goal: "other", labels: { team: "b" } });
  await at.runtime.runUntilIdle();
  const { node } = at.runtime;
  // A tree that was asked for stays for a turn or two.
  for (let i = 0; i < 3; i++) node.leaveIdle({ quiet: 0, quietMs: 0, asking: 0 });
  assert.equal(node.peek("t_1"), undefined);
  const resume = { ...headers, "last-event-id": start!.id };
  const resumed = await at.ask(null, "/v1/events", { headers: resume });
  const all = await eventsOf(resumed, (seen) => states(seen).length >= 2);
  const pids = states(all).map(({ data }) => (data as { readonly pid: string }).pid);
  assert.deepEqual(new Set(pids), new Set([mine.pid]));
});

Deno.test("A process's stream begins at any line of its log, and goes on live", async () => {
  await using at = await serverPlace();
  const process = await at.runtime.spawn(sleeper, { goal: "sleep" });
  await at.runtime.runUntilIdle();
  const stream = await at.ask("viewer", `/v1/processes/${process.pid}/events?since=0`);
  const ended = (seen: Told[]) =>
    seen.some(({ data }) => (data as { summary?: { state?: string } }).summary?.state === "ended");
  const heard = eventsOf(stream, ended);
  await process.signal("kill", "enough");
  const numbers = (await heard).map(({ id }) => Number(id));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), "in the order of the log");
  assert.equal(new Set(numbers).size, numbers.length, "each once");
});

Deno.test("A token with labels sees only what carries them: else the same as what is absent", async () => {
  await using at = await serverPlace();
  const mine = await at.runtime.spawn(sleeper, { goal: "mine", labels: { team: "a" } });
  const theirs = await at.runtime.spawn(sleeper, { goal: "theirs", labels: { team: "b" } });
  await at.runtime.runUntilIdle();
  const { secret } = at.server.tokens.create({ name: "a", role: "viewer", labels: { team: "a" } });
  const headers = { authorization: `Bearer ${secret}` };
  const get = (pid: string) => at.ask(null, `/v1/processes/${pid}/events`, { headers });
  const seen = await get(mine.pid);
  assert.equal(seen.status, 200);
  await seen.body!.cancel();
  const sentences = [];
  for (const pid of [theirs.pid, "p_999"]) {
    const answer = await get(pid);
    assert.equal(answer.status, 404);
    sentences.push((await answer.json()).detail.replaceAll(pid, "PID"));
  }
  assert.equal(sentences[0], sentences[1]);
});

Deno.test("The API describes itself: every route, with its refusals", async () => {
  await using at = await serverPlace();
  const document = await (await at.ask(null, "/openapi.json")).json();
  assert.equal(document.openapi, "3.1.0");
  for (const [path, methods] of Object.entries(document.paths as Record<string, object>)) {
    for (const [method, route] of Object.entries(methods)) {
      assert(route.responses.default !== undefined, `${method} ${path} says how it refuses`);
      assert(route.summary !== undefined, `${method} ${path} says what it does`);
    }
  }
  assert(allow("file.read").effect === "allow");
});

Deno.test("Every route under /v1 is in the document: none is added beside it", async () => {
  await using at = await serverPlace();
  const { paths } = at.server.openapi() as {
    readonly paths: Record<string, Record<string, { readonly responses: Record<string, unknown> }>>;
  };
  for await (const { name } of Deno.readDir(new URL("../server/routes", import.meta.url))) {
    const text = await Deno.readTextFile(new URL(`../server/routes/${name}`, import.meta.url));
    assert.doesNotMatch(text, /\bapp\.(?:all|on)\(/, name);
    const byHand = text.matchAll(/\bapp\.(get|post|put|delete|patch)\(\s*"?([^",\s]*)/g);
    for (const [, method, path] of byHand) {
      assert(paths[path!]?.[method!] !== undefined, `${name}: ${method} ${path}`);
    }
  }
  const end = await at.post("viewer", "/v1/session/end", {});
  assert.deepEqual([end.status, await end.text()], [204, ""]);
  assert(paths["/v1/session/end"]!["post"]!.responses["204"] !== undefined);
  assert(paths["/v1/health"]!["get"] !== undefined);
  assert.equal((await at.ask("viewer", "/v1/whoami")).status, 200, "a token has no session to end");
});
