/**
 * Attacks on the file of tokens and on one-time links.
 * @module
 */

import assert from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { realClock } from "../providers/clock.ts";
import { privateFile } from "../providers/private_file.ts";
import { realRandom } from "../providers/random.ts";
import { defineImage } from "../mod.ts";
import { serve, TokenBook } from "../server/mod.ts";
import { VirtualClock } from "../testing.ts";
import { serverPlace } from "./server_place.ts";

async function inFolder(job: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await job(`${folder}/tokens.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const bookAt = (path: string) => new TokenBook(privateFile(path), realClock, realRandom);

Deno.test("A file that was changed in place is read again, whatever its size and time say", () =>
  inFolder(async (path) => {
    const book = bookAt(path);
    const { record, secret } = book.create({ name: "ada", role: "admin" });
    assert.equal(book.check(secret)?.role, "admin");
    const { mtime } = await Deno.stat(path);
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text.replace(record.hash, "0".repeat(64)));
    await Deno.utime(path, mtime!, mtime!);
    assert.equal(book.check(secret), undefined);
  }));

Deno.test("What is no file, or not for its owner only, gives nobody a token and holds nobody up", () =>
  inFolder(async (path) => {
    const { secret } = bookAt(path).create({ name: "ada", role: "admin" });
    const text = await Deno.readTextFile(path);
    const outside = `${path}.elsewhere`;
    const BAD: readonly (readonly [string, () => unknown])[] = [
      ["a pipe", () => new Deno.Command("mkfifo", { args: ["-m", "600", path] }).output()],
      ["a folder", () => Deno.mkdir(path, { mode: 0o700 })],
      ["readable by others", () => Deno.writeTextFile(path, text, { mode: 0o644 })],
      ["a link to what others may read", async () => {
        await Deno.writeTextFile(outside, text, { mode: 0o644 });
        await Deno.symlink(outside, path);
      }],
    ];
    for (const [claim, make] of BAD) {
      await Deno.remove(path);
      await make();
      const refused = { code: /^(EACCES|EIO)$/ };
      assert.throws(() => bookAt(path).check(secret), refused, claim);
      assert.throws(() => bookAt(path).create({ name: "eve", role: "admin" }), refused, claim);
    }
    assert.equal(await Deno.readTextFile(outside), text);
  }));

Deno.test("Of programs that make and take back tokens at once, none undoes another's work", () =>
  inFolder(async (path) => {
    const book = bookAt(path);
    const gone = Array.from({ length: 24 }, () => book.create({ name: "old", role: "viewer" }));
    const program = `
      import { realClock } from "${new URL("../providers/clock.ts", import.meta.url)}";
      import { privateFile } from "${new URL("../providers/private_file.ts", import.meta.url)}";
      import { realRandom } from "${new URL("../providers/random.ts", import.meta.url)}";
      import { TokenBook } from "${new URL("../server/mod.ts", import.meta.url)}";
      const [name, ...ids] = Deno.args;
      const book = new TokenBook(privateFile(${JSON.stringify(path)}), realClock, realRandom);
      for (const id of ids) {
        book.create({ name, role: "viewer" });
        if (!book.revoke(id)) throw new Error(id);
      }
    `;
    const at = `${path}.ts`;
    await Deno.writeTextFile(at, program);
    const config = new URL("../deno.json", import.meta.url).pathname;
    const codes = await Promise.all([0, 1, 2].map(async (i) => {
      const ids = gone.slice(i * 8, i * 8 + 8).map(({ record }) => record.id);
      const args = ["run", "-A", "--no-check", "--config", config, at, `new${i}`, ...ids];
      const { code, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
      return code === 0 ? 0 : new TextDecoder().decode(stderr);
    }));
    assert.deepEqual(codes, [0, 0, 0]);
    const names = book.list().map(({ name }) => name).sort();
    assert.deepEqual(names, [0, 1, 2].flatMap((i) => Array(8).fill(`new${i}`)));
  }));

Deno.test("A link opens one session, however many follow it at once", async () => {
  await using at = await serverPlace();
  const admin = at.server.tokens.list().find(({ role }) => role === "admin")!;
  const link = at.server.link(admin.id);
  const head = await fetch(link, { method: "HEAD", redirect: "manual" });
  assert.equal(head.headers.get("set-cookie"), null, "a look opens none");
  const answers = await Promise.all(Array.from({ length: 20 }, async () => {
    const answer = await fetch(link, { redirect: "manual" });
    await answer.body?.cancel();
    return answer;
  }));
  assert.equal(answers.filter(({ status }) => status === 303).length, 1);
  assert.equal(answers.filter((one) => one.headers.has("set-cookie")).length, 1);
  assert.equal(answers.find(({ status }) => status === 303)!.headers.get("location"), "/");
  assert(answers.every((one) => one.headers.get("referrer-policy") === "no-referrer"));
});

Deno.test("A link is nobody's after its time, after a restart, and when its token went", async () => {
  await inFolder(async (path) => {
    const clock = new VirtualClock(Date.UTC(2030, 0, 1));
    const tokens = privateFile(path);
    const told: string[] = [];
    const failed = (thrown: unknown) => void told.push(String(thrown));
    await using at = await serverPlace({ runtime: { clock }, serve: { clock, tokens, failed } });
    const admin = at.server.tokens.list().find(({ role }) => role === "admin")!;
    const follow = async (link: string, headers = {}) => {
      const answer = await fetch(link, { redirect: "manual", headers });
      return { status: answer.status, text: await answer.text() };
    };
    const late = at.server.link(admin.id);
    await clock.advance(LIMITS.sessionLinkMsMax);
    assert.equal((await follow(late)).status, 401);
    const restarted = at.server.link(admin.id);
    await using second = serve(at.runtime, { clock, tokens, failed });
    assert.equal((await follow(restarted.replace(at.server.url, second.url))).status, 401);
    assert.equal((await follow(restarted)).status, 303);
    const unread = at.server.link(admin.id);
    await Deno.chmod(path, 0o644);
    const { status, text } = await follow(unread);
    assert.equal(status, 503);
    assert(!text.includes(path) && told.some((one) => one.includes(path)));
    await Deno.chmod(path, 0o600);
    const taken = at.server.link(admin.id);
    at.server.tokens.revoke(admin.id);
    assert.equal((await follow(taken)).status, 401);
    const secrets = [late, restarted, unread, taken].map((one) => new URL(one).search.slice(3));
    assert(secrets.every((secret) => !told.join().includes(secret)));
  });
});

Deno.test("Who signs in on and on ends sessions of its own, and nobody else's", async () => {
  await using at = await serverPlace();
  const { tokens: book } = at.server;
  const of = (name: string) => book.create({ name, role: "viewer" }).record.id;
  const open = (token: string) => book.follow(book.link(token))!;
  const ada = open(of("ada"));
  const eve = of("eve");
  const [first, ...more] = Array.from({ length: LIMITS.sessionsMax }, () => open(eve));
  assert.equal(book.session(ada)?.who.name, "ada");
  assert.equal(book.session(first!), undefined);
  assert.equal(book.session(more[0]!)?.who.name, "eve");
});

const waiter = defineImage({
  name: "waiter",
  program: async ({ sys }) => {
    await sys.message.receive({});
    await sys.process.exit({ result: "what it found" });
  },
});

Deno.test("A wait that began before its token was taken back tells nothing", async () => {
  await using at = await serverPlace();
  const process = await at.runtime.spawn(waiter, { goal: "wait" });
  const { secret, record } = at.server.tokens.create({ name: "gone", role: "operator" });
  const headers = { authorization: `Bearer ${secret}` };
  const wait = () => at.ask(null, `/v1/processes/${process.pid}/wait?timeoutMs=60000`, { headers });
  const waits = Array.from({ length: LIMITS.httpWaitsPerPrincipalMax + 1 }, wait);
  // As many as there may be wait now: one more was refused.
  assert.equal((await Promise.race(waits)).status, 429);
  at.server.tokens.revoke(record.id);
  await process.send("go on");
  const answers = await Promise.all(waits);
  const texts = await Promise.all(answers.map((one) => one.text()));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))].sort(), [401, 429]);
  assert.ok(texts.every((text) => !text.includes("what it found")));
});

const writer = defineImage({
  name: "writer",
  program: async ({ sys }) => {
    const value = "x".repeat(900_000);
    for (let i = 0; i < 24; i++) await sys.object.create({ name: `o${i}`, type: "text", value });
    await sys.process.exit({});
  },
});

Deno.test("An export is cut off when its token is taken back", async () => {
  await using at = await serverPlace();
  const process = await at.runtime.spawn(writer, { goal: "write" });
  await process.wait();
  const { secret, record } = at.server.tokens.create({ name: "gone", role: "operator" });
  const headers = { authorization: `Bearer ${secret}` };
  const answer = await at.ask(null, "/v1/trees/t_1/export", { headers });
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value!;
  at.server.tokens.revoke(record.id);
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  const whole = await (await at.ask("operator", "/v1/trees/t_1/export")).text();
  const last = (lines: string): string => lines.trimEnd().split("\n").at(-1)!;
  assert.ok(text.length < whole.length / 2, `${text.length} of ${whole.length}`);
  assert.notEqual(JSON.parse(last(text)).type, JSON.parse(last(whole)).type);
});
