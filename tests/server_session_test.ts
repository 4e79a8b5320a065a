/**
 * Sessions and streams: whoever is signed out, taken back or out of date hears nothing more.
 * @module
 */

import assert from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { memoryFile } from "../providers/private_file.ts";
import { TokenBook } from "../server/tokens.ts";
import { realRandom } from "../providers/random.ts";
import { VirtualClock } from "../testing.ts";
import type { Role } from "../server/principal.ts";
import { sleeper } from "./server_attack_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

/** Signs a browser in; the headers of its page. */
async function signedIn(
  at: ServerPlace,
  role: Role,
  more: Record<string, string> = {},
): Promise<{ readonly cookie: string; readonly "x-libos-csrf": string; readonly set: string }> {
  const record = at.server.tokens.list().find((one) => one.role === role)!;
  const link = at.server.link(record.id).replace(/^.*\?/, "/?");
  const answer = await at.ask(null, link, { redirect: "manual", headers: more });
  await answer.body?.cancel();
  const set = answer.headers.get("set-cookie")!;
  const cookie = set.split(";")[0]!;
  const who = await (await at.ask(null, "/v1/whoami", { headers: { cookie } })).json();
  return { cookie, "x-libos-csrf": who.csrf, set };
}

/** A stream of a browser or a token, begun: what it says first was read. */
async function opened(
  at: ServerPlace,
  headers: Record<string, string>,
): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const answer = await at.ask(null, "/v1/events", { headers });
  assert.equal(answer.status, 200);
  const reader = answer.body!.getReader();
  assert.equal((await reader.read()).done, false);
  return reader;
}

/** Reads to the end, which has to come by itself. */
async function toEnd(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += new TextDecoder().decode(value);
  }
}

Deno.test("Signing out ends the browser's streams at once, and no other's", async () => {
  await using at = await serverPlace();
  const { set: _, ...mine } = await signedIn(at, "viewer");
  const { set: __, ...other } = await signedIn(at, "viewer");
  const gone = [await opened(at, mine), await opened(at, mine)];
  const stays = await opened(at, other);
  const token = await opened(at, { authorization: `Bearer ${at.secrets.viewer}` });
  const end = await at.ask(null, "/v1/session/end", { method: "POST", headers: mine });
  assert.equal(end.status, 204);
  assert.deepEqual(await Promise.all(gone.map(toEnd)), ["", ""]);
  assert.equal((await at.ask(null, "/v1/whoami", { headers: mine })).status, 401);
  await at.runtime.spawn(sleeper, { goal: "heard" });
  for (const reader of [stays, token]) {
    assert.equal((await reader.read()).done, false, "the others still hear");
    await reader.cancel();
  }
});

Deno.test("A token that is revoked here ends its streams, those of its browsers too", async () => {
  await using at = await serverPlace();
  const { set: _, ...browser } = await signedIn(at, "viewer");
  const streams = [
    await opened(at, browser),
    await opened(at, { authorization: `Bearer ${at.secrets.viewer}` }),
  ];
  const { id } = at.server.tokens.list().find(({ role }) => role === "viewer")!;
  // Not by the API: the one who embeds the server, or its command line.
  assert(at.server.tokens.revoke(id));
  assert.deepEqual(await Promise.all(streams.map(toEnd)), ["", ""]);
});

Deno.test("A token that another program takes back ends its streams within a second", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const kept = memoryFile();
  await using at = await serverPlace({ runtime: { clock }, serve: { clock, tokens: kept } });
  const stream = await opened(at, { authorization: `Bearer ${at.secrets.viewer}` });
  const elsewhere = new TokenBook(kept, clock, realRandom);
  const { id } = elsewhere.list().find(({ role }) => role === "viewer")!;
  assert(elsewhere.revoke(id));
  await clock.advance(LIMITS.streamLookMs);
  assert.equal(await toEnd(stream), "");
});

Deno.test("A stream ends when its token does, and when its browser's session does", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { clock }, serve: { clock } });
  const short = at.server.tokens.create({ name: "s", role: "viewer", forMs: 5_500 });
  const stream = await opened(at, { authorization: `Bearer ${short.secret}` });
  await clock.advance(5_500);
  assert.equal(await toEnd(stream), "");
  const { set: _, ...browser } = await signedIn(at, "viewer");
  const session = await opened(at, browser);
  await clock.advance(LIMITS.sessionMsMax);
  assert.match(await toEnd(session), /^(: still here\n\n)*$/);
});

Deno.test("A file of tokens that cannot be read ends streams: nobody can tell whose they are", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const kept = memoryFile();
  let isBroken = false;
  const tokens = {
    ...kept,
    stamp: () => isBroken ? "broken" : kept.stamp(),
    read: () => {
      if (isBroken) throw new TypeError("not to be read");
      return kept.read();
    },
  };
  await using at = await serverPlace({
    runtime: { clock },
    serve: { clock, tokens, failed: () => {} },
  });
  const stream = await opened(at, { authorization: `Bearer ${at.secrets.viewer}` });
  isBroken = true;
  await clock.advance(LIMITS.streamLookMs);
  assert.equal(await toEnd(stream), "");
});

Deno.test("A cookie is for TLS only where a declared proxy says TLS, and nobody else is believed", async () => {
  const cases: readonly [boolean, string | null, boolean][] = [
    [true, "https", true],
    [true, "http", false],
    [true, null, false],
    [false, "https", false],
    [false, null, false],
  ];
  for (const [behindTls, said, secure] of cases) {
    await using at = await serverPlace({ serve: { behindTls } });
    const headers: Record<string, string> = said === null ? {} : { "x-forwarded-proto": said };
    const { set } = await signedIn(at, "viewer", headers);
    assert.equal(/;\s*Secure/i.test(set), secure, `${behindTls} ${said}`);
    assert.match(set, /HttpOnly/);
    assert.match(set, /SameSite=Strict/);
    const link = await (await at.post("viewer", "/v1/session/link", {}, { headers })).json();
    assert.equal(new URL(link.url).protocol, secure ? "https:" : "http:");
  }
});
