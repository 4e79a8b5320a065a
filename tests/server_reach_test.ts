/**
 * Attacks from inside: by who has a token, and wants to see, keep or use up more than it gives.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { memoryFile, type PrivateFile, privateFile } from "../providers/private_file.ts";
import { VirtualClock } from "../testing.ts";
import { code, confined, sleeper } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

Deno.test("Who guesses does not keep others at the same address out", async () => {
  // Its time stands: nobody may guess again while the test looks.
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { clock }, serve: { clock } });
  for (let i = 0; i < LIMITS.httpFailuresPerMinute + 5; i++) {
    const guess = { authorization: `Bearer libos_${i}` };
    await (await at.ask(null, "/v1/whoami", { headers: guess })).body?.cancel();
  }
  const guess = { authorization: "Bearer libos_more" };
  assert.equal(
    await code(at.ask(null, "/v1/whoami", { headers: guess })),
    "429 too_many_requests",
  );
  assert.equal((await at.ask("viewer", "/v1/health")).status, 200);
  const own = await at.ask("viewer", "/v1/whoami");
  assert.equal(own.status, 200);
  await own.body?.cancel();
});

Deno.test("HEAD of a stream opens none", async () => {
  await using at = await serverPlace();
  for (let i = 0; i <= LIMITS.streamsPerPrincipalMax; i++) {
    assert.equal((await at.ask("viewer", "/v1/events", { method: "HEAD" })).status, 200);
  }
  const stream = await at.ask("viewer", "/v1/events");
  assert.equal(stream.status, 200);
  await stream.body!.cancel();
});

Deno.test("A label that would be lost on the way is refused: the token would see everything", async () => {
  await using at = await serverPlace();
  for (const key of ["__proto__", "\\u005f_proto__"]) {
    const body = `{"name":"eve","role":"viewer","labels":{"${key}":"x"}}`;
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", body, headers };
    assert.equal(await code(at.ask("admin", "/v1/tokens", init)), "400 EINVAL", key);
  }
  const labels = JSON.parse('{"__proto__":"x"}');
  assert.throws(
    () => at.server.tokens.create({ name: "eve", role: "viewer", labels }),
    { code: "EINVAL" },
  );
});

Deno.test("No length of time breaks the list of tokens, and those that are over make room", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const kept = memoryFile();
  await using at = await serverPlace({ runtime: { clock }, serve: { clock, tokens: kept } });
  for (const forMs of [Number.MAX_SAFE_INTEGER, LIMITS.tokenMsMax + 1, 0, -1]) {
    const wish = { name: "eve", role: "viewer", forMs };
    assert.equal(await code(at.post("admin", "/v1/tokens", wish)), "400 EINVAL");
  }
  const { tokens } = at.server;
  assert.throws(() => tokens.create({ name: "a", role: "viewer", forMs: NaN }), { code: "EINVAL" });
  tokens.create({ name: "short", role: "viewer", forMs: 1_000 });
  kept.update((text) => {
    const all = JSON.parse(text!);
    const short = all.tokens.at(-1);
    while (all.tokens.length < LIMITS.tokensMax) all.tokens.push(short);
    return JSON.stringify(all);
  });
  assert.throws(() => tokens.create({ name: "one-more", role: "viewer" }), { code: "ELIMIT" });
  await clock.advance(1_001);
  tokens.create({ name: "one-more", role: "viewer" });
  assert.equal(tokens.list().length, 5);
  assert.equal((await at.ask("admin", "/v1/tokens")).status, 200);
});

Deno.test("An admin of some labels makes, sees and takes back only tokens of those", async () => {
  await using at = await serverPlace();
  const who = await confined(at, "admin");
  const made = await at.post(null, "/v1/tokens", { name: "eve", role: "admin" }, who);
  assert.deepEqual((await made.json()).labels, { team: "a" });
  const labels = { team: "b" };
  const other = await at.post(null, "/v1/tokens", { name: "mal", role: "admin", labels }, who);
  assert.deepEqual((await other.json()).labels, { team: "a" });
  const { items } = await (await at.ask(null, "/v1/tokens", who)).json();
  assert.deepEqual(
    items.map(({ name }: { name: string }) => name).sort(),
    ["a-admin", "eve", "mal"],
  );
  const [first] = at.server.tokens.list();
  const gone = await at.ask(null, `/v1/tokens/${first!.id}`, { method: "DELETE", ...who });
  assert.equal(gone.status, 404);
  assert.equal(at.server.tokens.isGood(first!.id), true);
});

Deno.test("What an agent calls its child lets nobody in, and hides nothing from who sees the root", async () => {
  const child = defineImage({
    name: "child",
    program: async ({ sys }) => {
      await sys.clock.sleep({ ms: 86_400_000 });
    },
  });
  const parent = defineImage({
    name: "parent",
    program: async ({ sys }) => {
      const labels = { team: "a" };
      await sys.process.spawn({ image: "child", goal: "lure", labels });
      await sys.clock.sleep({ ms: 86_400_000 });
    },
  });
  await using at = await serverPlace();
  const spawn = (team: string) =>
    at.runtime.spawn(parent, {
      goal: team,
      labels: { team },
      images: [child],
      grants: [allow("process.spawn", "**")],
    });
  const mine = await spawn("a");
  const theirs = await spawn("b");
  await at.runtime.runUntilIdle();
  const who = await confined(at, "operator");
  const get = async (path: string) => await (await at.ask(null, path, who)).json();
  const { items } = await get("/v1/processes");
  assert.deepEqual(
    items.map(({ pid }: { pid: string }) => pid),
    [mine.pid, `${mine.pid}.1`],
  );
  const lure = `${theirs.pid}.1`;
  assert.equal((await at.ask("viewer", `/v1/processes/${lure}`)).status, 200, "there is a child");
  for (const path of ["", "/timeline", "/events", "/capabilities", "/budget", "/tools"]) {
    assert.equal(await code(at.ask(null, `/v1/processes/${lure}${path}`, who)), "404 ENOENT");
  }
  for (const path of ["signals", "messages", "checkpoints", "capabilities"]) {
    const body = { signal: "kill", data: 1, name: "x", rule: "clock.sleep" };
    const only = {
      signals: { signal: body.signal },
      messages: { data: 1 },
      checkpoints: { name: "x" },
      capabilities: { rule: "process.spawn(**)" },
    }[path]!;
    const answer = at.post(null, `/v1/processes/${lure}/${path}`, only, who);
    assert.equal(await code(answer), "404 ENOENT", path);
  }
  const tree = `t_${theirs.pid.slice(2)}`;
  for (const path of ["", "/policy", "/state", "/events", "/diff?from=1"]) {
    assert.equal(await code(at.ask(null, `/v1/trees/${tree}${path}`, who)), "404 ENOENT", path);
  }
  for (
    const path of [`/v1/calls/${tree}/1`, `/v1/audit?tree=${tree}`, `/v1/calls/${tree}/1/story`]
  ) {
    assert.equal(await code(at.ask(null, path, who)), "404 ENOENT", path);
  }
  for (const path of ["objects", "capabilities", "checkpoints", "tools", "budgets", "effects"]) {
    const text = JSON.stringify(await get(`/v1/${path}?tree=${tree}`));
    assert(!text.includes(theirs.pid) && !text.includes(`"${tree}"`), path);
    const all = JSON.stringify(await get(`/v1/${path}`));
    assert(!all.includes(theirs.pid) && !all.includes(`"${tree}"`), path);
  }
  assert.equal((await get("/v1/nodes")).items[0].trees, 1);
  assert.equal((await get("/v1/overview")).waiting, 2);
  assert.equal((await get("/v1/capabilities/who?rule=clock.sleep")).of, 2);
  const verify = at.post(null, "/v1/audit/verify", {}, who);
  assert.equal(await code(verify), "403 EACCES");
});

Deno.test("Nobody's Idempotency-Keys push out another's, and a query is part of the request", async () => {
  await using at = await serverPlace();
  const headers = { "idempotency-key": "mine" };
  const wish = { name: "bob", role: "viewer" };
  const first = await (await at.post("admin", "/v1/tokens", wish, { headers })).json();
  const { secret } = at.server.tokens.create({ name: "flood", role: "viewer" });
  const flood = (key: string) =>
    at.post(null, "/v1/capabilities/explain", {}, {
      headers: { authorization: `Bearer ${secret}`, "idempotency-key": key },
    });
  for (let i = 0; i < LIMITS.httpKeysKept * 1.5; i++) await (await flood(`k${i}`)).body?.cancel();
  const again = await at.post("admin", "/v1/tokens", wish, { headers });
  assert.equal(again.headers.get("idempotent-replay"), "true");
  assert.deepEqual(await again.json(), first);
  // Another token's key is another key: nothing of the first's answer is told.
  assert.equal(
    await code(at.post("operator", "/v1/tokens", wish, { headers })),
    "403 role_too_low",
  );
  const other = await at.post("admin", "/v1/tokens?x=1", wish, { headers });
  assert.equal(await code(other), "422 key_reused");
});

Deno.test("A stream tells nothing more once its token is over, or was taken back elsewhere", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { clock }, serve: { clock } });
  const { secret, record } = at.server.tokens.create({ name: "s", role: "viewer", forMs: 5_000 });
  const headers = { authorization: `Bearer ${secret}` };
  const stream = await at.ask(null, "/v1/events", { headers });
  assert.equal(at.server.tokens.isGood(record.id), true);
  await clock.advance(5_001);
  await at.runtime.spawn(sleeper, { goal: "not to be told" });
  await at.runtime.runUntilIdle();
  const text = await stream.text();
  assert.doesNotMatch(text, /not to be told/);
});

Deno.test("Whoever missed thousands of events hears each once, and no more at once than it takes", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { clock, autorun: false }, serve: { clock } });
  const process = await at.runtime.spawn(sleeper, { goal: "sleep" });
  await at.runtime.runUntilIdle();
  const COUNT = 3_000;
  for (let i = 0; i < COUNT / 2; i++) {
    await process.signal("pause", "x");
    await process.signal("resume", "x");
  }
  const stream = await at.ask("viewer", `/v1/processes/${process.pid}/events?since=0`);
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while ((text.match(/^event: process.state$/gm) ?? []).length < COUNT) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  assert.doesNotMatch(text, /too slow/);
  const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
  assert.equal(new Set(ids).size, ids.length, "each once");
  assert(ids.length >= COUNT, `${ids.length} of ${COUNT}`);
  await reader.cancel();
});

Deno.test("Whoever waits takes a share, and a server that stops waits for nobody", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const at = await serverPlace({ runtime: { clock }, serve: { clock } });
  const process = await at.runtime.spawn(sleeper, { goal: "sleep" });
  await at.runtime.runUntilIdle();
  const wait = () => at.ask("viewer", `/v1/processes/${process.pid}/wait?timeoutMs=60000`);
  const waits = Array.from({ length: LIMITS.httpWaitsPerPrincipalMax + 1 }, wait);
  const refused = await Promise.race(waits);
  assert.equal(await code(refused), "429 too_many_requests");
  await at[Symbol.asyncDispose]();
  const answers = await Promise.allSettled(waits);
  assert.equal(answers.length, waits.length);
  for (const one of answers) {
    if (one.status === "fulfilled" && !one.value.bodyUsed) await one.value.body?.cancel();
  }
});

Deno.test("Of two who read a policy and change it, one is told that it changed", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  await using at = await serverPlace({ runtime: { clock }, serve: { clock } });
  const process = await at.runtime.spawn(sleeper, { goal: "sleep" });
  await at.runtime.runUntilIdle();
  const path = `/v1/trees/t_${process.pid.slice(2)}/policy`;
  const read = await at.ask("operator", path);
  const headers = { "if-match": read.headers.get("etag")! };
  await read.body?.cancel();
  const put = (text: string) => at.post("admin", path, { text }, { method: "PUT", headers });
  const texts = ["deny file.write(./x/**)\n", "ask file.read(./**)\n"];
  const both = await Promise.all(texts.map(put));
  for (const one of both) await one.body?.cancel();
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412]);
  assert.equal(await code(put("deny file.read(./x/**)\n")), "412 precondition_failed");
});

Deno.test("What is wrong with the file of tokens is not told to who asks", async () => {
  const bugs: unknown[] = [];
  const kept = memoryFile();
  let isBroken = false;
  const tokens: PrivateFile = {
    ...kept,
    stamp: () => isBroken ? "broken" : kept.stamp(),
    read: () => isBroken ? privateFile("/dev/null/tokens.json").read() : kept.read(),
  };
  await using at = await serverPlace({ serve: { tokens, failed: (thrown) => bugs.push(thrown) } });
  isBroken = true;
  const answer = await at.ask("admin", "/v1/whoami");
  assert.equal(answer.status, 503);
  assert.doesNotMatch(await answer.text(), /dev|null|json/);
  assert.equal(bugs.length, 1);
});

Deno.test("The overview counts what failed in the last day, also where the whole tree has ended", async () => {
  await using at = await serverPlace();
  const failing = defineImage({
    name: "failing",
    program: () => Promise.reject(new Error("no use")),
  });
  const failed = async () => (await (await at.ask("viewer", "/v1/overview")).json()).failed;
  assert.equal(await failed(), 0);
  await (await at.runtime.spawn(failing, { goal: "fail" })).wait();
  assert.equal(await failed(), 1);
});
