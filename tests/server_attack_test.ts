/**
 * Attacks on the server's door, over real sockets: each was tried, and what it met.
 * @module
 */

import assert from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { serve } from "../server/mod.ts";
import { VirtualClock } from "../testing.ts";
import { asked, sent, sleeper } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

Deno.test("A Host is a name with a port: no user, no path, no trailing dot, no other name", async () => {
  await using at = await serverPlace();
  const { port } = at.server;
  for (const host of [`127.0.0.1:${port}`, `LOCALHOST:${port}`, `localhost:${port}`]) {
    assert.match(await sent(at, asked(at, "GET /v1/whoami", { host })), /^HTTP\/1.1 200/, host);
  }
  const BAD = [
    `evil@127.0.0.1:${port}`,
    `127.0.0.1:${port}/x`,
    `127.0.0.1:${port}#x`,
    `127.0.0.1:${port}?x`,
    `127.0.0.1:${port}\\@evil.test`,
    `localhost.:${port}`,
    `localhost.evil.test:${port}`,
    `xn--localhost-:${port}`,
  ];
  for (const host of BAD) {
    const answer = await sent(at, asked(at, "GET /v1/whoami", { host }));
    assert.match(answer, /^HTTP\/1.1 4(21|00)/, host);
    assert.doesNotMatch(answer, /"role"/, host);
  }
});

Deno.test("A whole address in the first line names this server, or nothing is answered", async () => {
  await using at = await serverPlace();
  const { port } = at.server;
  for (const host of ["evil.test", `evil.test:${port}`, `127.0.0.1:${port + 1}`]) {
    for (const line of [`GET http://${host}/v1/whoami`, `POST http://${host}/v1/session/link`]) {
      const answer = await sent(at, asked(at, line));
      assert.match(answer, /^HTTP\/1.1 421[\s\S]*host_refused/, line);
      assert.doesNotMatch(answer, /[?]t=/);
    }
  }
  const own = await sent(at, asked(at, `GET http://127.0.0.1:${port}/v1/whoami`));
  assert.match(own, /^HTTP\/1.1 200/);
});

Deno.test("Forwarding headers change nothing: not the host, not the address, not the redirect", async () => {
  await using at = await serverPlace();
  const lies = {
    "x-forwarded-host": "evil.test",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-proto": "https",
    "forwarded": "host=evil.test;for=10.0.0.1",
    "x-original-url": "/v1/tokens",
    "x-http-method-override": "DELETE",
  };
  assert.match(await sent(at, asked(at, "GET /v1/whoami", lies)), /^HTTP\/1.1 200/);
  const admin = at.server.tokens.list().find(({ role }) => role === "admin")!;
  const { pathname, search } = new URL(at.server.link(admin.id));
  const line = `GET ${pathname}${search}&next=//evil.test&t=2`;
  const answer = await sent(at, asked(at, line, lies));
  assert.match(answer, /^HTTP\/1.1 303[\s\S]*\r\nlocation: \/\r\n/i);
});

Deno.test("Another port of the same machine and a visit from elsewhere reach nothing of the API", async () => {
  await using at = await serverPlace();
  const VISITS: readonly (readonly [string, string, Record<string, string>, number])[] = [
    ["same site, other port", "/v1/whoami", { "sec-fetch-site": "same-site" }, 403],
    [
      "a visit of an address of the API",
      "/v1/whoami",
      { "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate" },
      403,
    ],
    [
      "a visit of the console",
      "/",
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
      200,
    ],
    ["its own page", "/v1/whoami", { "sec-fetch-site": "same-origin" }, 200],
  ];
  for (const [claim, path, headers, status] of VISITS) {
    const answer = await sent(at, asked(at, `GET ${path}`, headers));
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status}`), claim);
  }
});

Deno.test("A name that was allowed is not another port's: its pages are another site's", async () => {
  await using at = await serverPlace({ serve: { hostNames: ["libos.test"] } });
  const headers = { host: "libos.test", origin: "http://libos.test:8081" };
  assert.match(await sent(at, asked(at, "GET /v1/whoami", headers)), /origin_refused/);
  const own = { host: "libos.test", origin: "https://libos.test" };
  assert.match(await sent(at, asked(at, "GET /v1/whoami", own)), /^HTTP\/1.1 200/);
  const port = { host: `libos.test:${at.server.port}` };
  assert.match(await sent(at, asked(at, "GET /v1/whoami", port)), /^HTTP\/1.1 200/);
});

Deno.test("Methods that nobody serves are refused as such, and no bug of the server", async () => {
  const bugs: unknown[] = [];
  await using at = await serverPlace({ serve: { failed: (thrown) => bugs.push(thrown) } });
  for (const method of ["TRACE", "OPTIONS", "PROPFIND", "PATCH", "FOO"]) {
    const answer = await sent(at, asked(at, `${method} /v1/whoami`));
    assert.match(answer, /^HTTP\/1.1 404/, method);
    assert.doesNotMatch(answer, /access-control-allow|"role"/i);
  }
  assert.deepEqual(bugs, []);
});

Deno.test("A path that is written in another way is refused like the one that is meant", async () => {
  await using at = await serverPlace();
  const PATHS = [
    "//v1/tokens",
    "/V1/tokens",
    "/v1%2ftokens",
    "/%761/tokens",
    "/v1/./tokens",
    "/v1/%2e%2e/v1/tokens",
    "/x/../v1/tokens",
    "/v1/tokens/",
    "/v1/tokens%00",
    "/v1/tokens;x",
    "/v1/processes/%zz",
    "/%2e%2e/%2e%2e/etc/passwd",
  ];
  const bare = `host: 127.0.0.1:${at.server.port}\r\nconnection: close\r\n`;
  for (const path of PATHS) {
    const answer = await sent(at, `GET ${path} HTTP/1.1\r\n${bare}\r\n`);
    assert.match(answer, /^HTTP\/1.1 (401|404)/, path);
  }
});

Deno.test("Two hosts, two lengths, a length beside chunks, huge headers: refused, nothing smuggled", async () => {
  await using at = await serverPlace();
  const host = `host: 127.0.0.1:${at.server.port}\r\n`;
  const post = `POST /v1/tokens HTTP/1.1\r\n${host}`;
  const BAD = [
    `GET /v1/health HTTP/1.1\r\n${host}host: evil.test\r\n\r\n`,
    `${post}content-length: 3\r\ncontent-length: 5\r\n\r\n{}   `,
    `${post}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/health`,
    `GET /v1/health HTTP/1.1\r\n${host}${"x: a\r\n".repeat(5_000)}\r\n`,
  ];
  for (const text of BAD) {
    const answer = await sent(at, text);
    assert.match(answer, /^HTTP\/1.1 400/, text.slice(0, 120));
    assert.equal(answer.split("HTTP/1.1").length, 2, "one answer");
  }
  const long = await sent(at, asked(at, `GET /${"a".repeat(LIMITS.httpUrlBytesMax)}`));
  assert.match(long, /^HTTP\/1.1 413/);
});

Deno.test("Nobody's body is waited for: who does not say who it is, is refused at once", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { clock }, serve: { clock } });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: at.server.port });
  const head = `POST /v1/tokens HTTP/1.1\r\nhost: 127.0.0.1:${at.server.port}\r\n` +
    "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n";
  await conn.write(new TextEncoder().encode(head));
  // The clock stands: an answer that waited for the body would never come.
  const buffer = new Uint8Array(4_096);
  const count = await conn.read(buffer);
  assert.match(new TextDecoder().decode(buffer.subarray(0, count ?? 0)), /^HTTP\/1.1 401/);
  conn.close();
});

Deno.test("Ids and cursors that nobody was given find nothing and break nothing", async () => {
  const bugs: unknown[] = [];
  await using at = await serverPlace({ serve: { failed: (thrown) => bugs.push(thrown) } });
  await at.runtime.spawn(sleeper, { goal: "sleep" });
  await at.runtime.runUntilIdle();
  const cursor = (text: string) =>
    new TextEncoder().encode(text).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
  const PATHS = [
    `/v1/processes/p_${"9".repeat(30)}`,
    `/v1/trees/t_${"9".repeat(20)}`,
    `/v1/trees/t_1/state?at=constructor`,
    `/v1/trees/t_1/state?at=999999999`,
    `/v1/trees/t_1/diff?from=__proto__`,
    `/v1/trees/t_1/diff?from=5&to=1`,
    `/v1/trees/t_1/events?after=${cursor("x")}`,
    `/v1/trees/t_1/events?after=${cursor("-5")}`,
    `/v1/trees/t_1/events?after=${cursor("1e400")}`,
    `/v1/trees/t_1/events?from=9007199254740991`,
    `/v1/trees/t_1/events?after=%00`,
    `/v1/processes?after=${cursor("p_" + "9".repeat(40))}`,
    `/v1/processes?after=${cursor("\u202e\u0000")}`,
    `/v1/objects?after=${cursor("constructor")}`,
    `/v1/calls/t_1/1`,
    `/v1/calls/t_1/2/story`,
    `/v1/capabilities/who?rule=${encodeURIComponent("x(".repeat(500))}`,
    `/v1/checkpoints/ck_1.999999`,
    `/v1/approvals/req_1.1/matches?resource=**`,
    `/v1/approvals/req_1.${"9".repeat(20)}`,
    `/v1/audit?tree=__proto__`,
    `/v1/audit?tree=t_1&tree=t_2`,
    `/v1/audit/proof?tree=t_1&seq=1`,
  ];
  for (const path of PATHS) {
    const answer = await at.ask("admin", path);
    const text = await answer.text();
    assert(answer.status < 500, `${path}: ${text}`);
    assert.doesNotMatch(text, /file:\/\/|\.ts:\d|node_modules/, path);
  }
  assert.deepEqual(bugs, []);
});

Deno.test("In plain text only this machine is answered, on whatever name it listens", async () => {
  await using at = await serverPlace();
  for (
    const hostname of ["0.0.0.0", "::", "192.0.2.1", "localhost.evil.test", "::ffff:127.0.0.1"]
  ) {
    assert.throws(() => serve(at.runtime, { hostname }), { code: "EACCES" }, hostname);
  }
});
