/**
 * Claims about hooks: real receivers, real commands, kills in between.
 * @module
 */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  allow,
  ask,
  createRuntime,
  defineImage,
  type Hook,
  type Runtime,
  type RuntimeOptions,
} from "../mod.ts";
import { serve } from "../server/mod.ts";
import { HookBook } from "../providers/hook_book.ts";
import { hookBookPath } from "../runtime/hooks.ts";
import { Place } from "./cli_place.ts";
import { Receiver } from "./hook_receiver.ts";

const CHILD = fileURLToPath(new URL("hooks_child.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));
const SECRET = "a secret of enough characters";

const ok = (): Response => new Response(null, { status: 204 });

const asker = defineImage({
  name: "asker",
  program: async ({ sys }) => {
    await sys.file.write({ path: "./out.md", text: "PRIVATE-TEXT" });
  },
});
const failing = defineImage({
  name: "failing",
  program: async ({ sys }) => {
    await sys.file.read({ path: "./absent" });
  },
});
const child = defineImage({
  name: "child",
  program: async ({ sys }) => {
    await sys.process.exit({ result: 1 });
  },
});
const spender = defineImage({
  name: "spender",
  program: async ({ sys }) => {
    for (let i = 0; i < 5; i++) await sys.process.spawn({ image: "child", goal: "x" });
    await sys.process.exit({ result: 1 });
  },
});

async function runtime(hook: Hook, more: RuntimeOptions = {}): Promise<Runtime> {
  return await createRuntime({
    store: ":memory:",
    workspace: null,
    approvals: "queue",
    hooks: [hook],
    ...more,
  });
}

/** Starts an agent that asks a person. */
async function asks(os: Runtime): Promise<void> {
  await os.spawn(asker, { goal: "PRIVATE-GOAL", grants: [ask("file.write", "./out*")] });
}

Deno.test("A request is told with what it is about, signed, and without its content", async () => {
  await using receiver = new Receiver(ok);
  await using os = await runtime({ url: receiver.url, secret: SECRET });
  await using server = serve(os);
  await asks(os);
  const [{ headers, text, body } = assert.fail()] = await receiver.upTo(1);
  const { id, event, process, request, console: link } = body;
  assert.equal(event, "request.created");
  assert.equal(process, "p_1");
  assert.deepEqual(request, {
    id: "req_1.1",
    kind: "permission",
    risk: (request as { risk: string }).risk,
    right: "file.write",
    resource: "./out.md",
  });
  assert.equal(link, `${server.url}/approvals/req_1.1`);
  assert.equal(/PRIVATE/.exec(text)?.[0], undefined);
  assert.equal(headers.get("libos-event-id"), id);
  assert.equal(headers.get("libos-event"), event);
  // As a receiver checks it.
  const [, seconds, hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers.get("libos-signature")!)!;
  const expected = createHmac("sha256", SECRET).update(`${seconds}.${text}`).digest("hex");
  assert.equal(hex, expected);
  assert(Math.abs(Date.now() / 1_000 - Number(seconds)) < 300);
});

Deno.test("What fails is told, and what was not asked for is not", async () => {
  await using receiver = new Receiver(ok);
  await using os = await runtime({ url: receiver.url, on: ["process.failed"] });
  await asks(os);
  await os.spawn(failing, { goal: "x", grants: [allow("file.read", "./absent")] });
  const [{ body } = assert.fail()] = await receiver.upTo(1);
  assert.equal(body["event"], "process.failed");
  assert.equal(body["process"], "p_2");
  assert.equal(typeof (body["failure"] as { code: unknown }).code, "string");
});

Deno.test("A limit that is used up to four fifths is told once, to hooks and on the feed", async () => {
  await using receiver = new Receiver(ok);
  await using os = await runtime({ url: receiver.url });
  await using server = serve(os);
  const { secret } = server.tokens.create({ name: "a", role: "admin" });
  const stream = await fetch(`${server.url}/v1/events`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  const process = await os.spawn(spender, {
    goal: "x",
    budget: { children: 5 },
    images: [child],
    grants: [allow("process.spawn", "child@*")],
  });
  await process.wait();
  await os.spawn(failing, { goal: "x", grants: [allow("file.read", "./absent")] });
  const got = await receiver.upTo(2);
  const told = got.map(({ body }) => body).filter(({ event }) => event === "budget.80");
  assert.deepEqual(told.map(({ process, budget }) => [process, budget]), [
    ["p_1", { limit: "children", spent: 4, max: 5 }],
  ]);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream.body!) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("event: budget.warning")) break;
  }
  assert.match(text, /budget\.warning/);
});

Deno.test("A hook that fails is tried again, with the same id and a signature of now", async () => {
  await using receiver = new Receiver((nth) => new Response("no", { status: nth < 3 ? 500 : 200 }));
  await using os = await runtime({ url: receiver.url, secret: SECRET, retryMs: 10 });
  await asks(os);
  const got = await receiver.upTo(3);
  assert.equal(new Set(got.map(({ body }) => body["id"])).size, 1);
  for (const { headers, text } of got) {
    const [, t, hex] = /^t=(\d+),v1=(\w+)$/.exec(headers.get("libos-signature")!)!;
    assert.equal(hex, createHmac("sha256", SECRET).update(`${t}.${text}`).digest("hex"));
  }
});

Deno.test("A receiver that never answers is given up in time, and asked again", async () => {
  const late = Promise.withResolvers<Response>();
  await using receiver = new Receiver((nth) => nth === 1 ? late.promise : ok());
  await using os = await runtime({ url: receiver.url, timeoutMs: 50, retryMs: 10 });
  await asks(os);
  await receiver.upTo(2);
  late.resolve(ok());
});

Deno.test("A receiver that is not there yet is told when it is", async () => {
  const first = new Receiver(ok);
  const { port, url } = first;
  await first[Symbol.asyncDispose]();
  await using os = await runtime({ url, retryMs: 10, attempts: 100 });
  await asks(os);
  await using receiver = new Receiver(ok, port);
  const [{ body } = assert.fail()] = await receiver.upTo(1);
  assert.equal(body["event"], "request.created");
});

Deno.test("No redirect is followed; what is given up is told of, without the address", async () => {
  await using other = new Receiver(ok);
  await using receiver = new Receiver(() => Response.redirect(other.url, 307));
  const given = Promise.withResolvers<string>();
  const path = await Deno.makeTempFile({ prefix: "libos-hooks-" });
  try {
    {
      await using os = await runtime({ url: receiver.url, attempts: 2, retryMs: 10 }, {
        hookOptions: { file: path, onFault: ({ message }) => given.resolve(message) },
      });
      await asks(os);
      const message = await given.promise;
      assert.match(message, /given up after 2.*answered 307/);
      assert.equal(message.includes("PRIVATE-KEY"), false);
    }
    assert.equal(receiver.got.length, 2);
    assert.equal(other.got.length, 0);
    const book = new HookBook(path);
    assert.deepEqual(book.counts(), { due: 0, dead: 1 });
    assert.equal(book.dead(1)[0]!.event, "request.created");
    book.close();
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  } finally {
    for (const end of ["", "-wal", "-shm"]) {
      await Deno.remove(`${path}${end}`).catch(() => {});
    }
  }
});

Deno.test("An event that a killed kernel had not told is told by the next, under the same id", async () => {
  const folder = await Deno.makeTempDir({ prefix: "libos-hooks-" });
  const held = Promise.withResolvers<Response>();
  const receiver = new Receiver((nth) => nth === 1 ? held.promise : ok());
  try {
    const store = `${folder}/libos.db`;
    const start = (...more: string[]): Deno.ChildProcess =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--config", CONFIG, CHILD, store, receiver.url, ...more],
        stdin: "piped",
        stdout: "null",
        stderr: "null",
      }).spawn();
    const first = start("spawn");
    await receiver.upTo(1);
    first.kill("SIGKILL");
    await first.status;
    await first.stdin.abort().catch(() => {});
    const second = start();
    const [one, two] = await receiver.upTo(2);
    assert.equal(two!.body["id"], one!.body["id"]);
    assert.deepEqual(two!.body["request"], one!.body["request"]);
    // It is told when its answer is written down: ended before, the third would tell it again.
    const book = new HookBook(hookBookPath(store));
    while (book.counts().due > 0) await new Promise((next) => setTimeout(next, 5));
    book.close();
    await second.stdin.close();
    assert.equal((await second.status).code, 0);
    // It was told: a third tells nothing.
    const third = start();
    await third.stdin.close();
    assert.equal((await third.status).code, 0);
    assert.equal(receiver.got.length, 2);
  } finally {
    held.resolve(ok());
    await receiver[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A line that no kernel looked at for hooks is found at the next start", async () => {
  const folder = await Deno.makeTempDir({ prefix: "libos-hooks-" });
  const store = `${folder}/libos.db`;
  try {
    await using receiver = new Receiver(ok);
    const hook = { url: receiver.url };
    await (await runtime(hook, { store, images: [asker] })).close();
    {
      await using os = await createRuntime({ store, workspace: null, approvals: "queue" });
      await asks(os);
      await os.runUntilIdle();
    }
    assert.equal(receiver.got.length, 0);
    await using _ = await runtime(hook, { store, images: [asker] });
    const [{ body } = assert.fail()] = await receiver.upTo(1);
    assert.equal(body["event"], "request.created");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A command has the event on its input and nothing of our environment", async () => {
  const folder = await Deno.makeTempDir({ prefix: "libos-hooks-" });
  Deno.env.set("LIBOS_TEST_KEY", "PRIVATE-KEY");
  try {
    const script = `cat > "$0/in.new"; env > "$0/env"; mv "$0/in.new" "$0/in"`;
    const watcher = Deno.watchFs(folder);
    await using os = await runtime({ command: ["/bin/sh", "-c", script, folder] });
    await asks(os);
    for await (const { paths } of watcher) {
      if (paths.some((path) => path.endsWith("/in"))) break;
    }
    const body = JSON.parse(await Deno.readTextFile(`${folder}/in`));
    assert.equal(body.event, "request.created");
    const env = await Deno.readTextFile(`${folder}/env`);
    assert.match(env, new RegExp(`^LIBOS_EVENT_ID=${body.id}$`, "m"));
    assert.equal(env.includes("PRIVATE"), false);
    assert.equal(/^HOME=/m.test(env), false);
  } finally {
    Deno.env.delete("LIBOS_TEST_KEY");
    await Deno.remove(folder, { recursive: true });
  }
});

/** The letter of what a process does now; "gone" when there is none. */
function stateOf(pid: string): Promise<string> {
  return Deno.readTextFile(`/proc/${pid}/stat`).then(
    (stat) => stat[stat.lastIndexOf(")") + 2]!,
    () => "gone",
  );
}

Deno.test("A command that does not end is ended in time, with all that it started", async () => {
  const folder = await Deno.makeTempDir({ prefix: "libos-hooks-" });
  try {
    const given = Promise.withResolvers<string>();
    const script = `sleep 600 & echo $! > "$0/pid"; wait`;
    const command = ["/bin/sh", "-c", script, folder];
    await using os = await runtime({ command, timeoutMs: 2_000, attempts: 1 }, {
      hookOptions: { onFault: ({ message }) => given.resolve(message) },
    });
    await asks(os);
    assert.match(await given.promise, /not over in 2000 ms/);
    const pid = (await Deno.readTextFile(`${folder}/pid`)).trim();
    // Ended; at most its number is still there until somebody collects it. One that sleeps was not
    // told to end; one that was told runs once more, to its end.
    let state = await stateOf(pid);
    while (state === "R") state = await stateOf(pid);
    assert(["gone", "Z", "X"].includes(state), state);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Hooks that cannot be meant are refused before anything runs", async () => {
  const refused: readonly Hook[] = [
    {},
    { url: "http://127.0.0.1:1", command: ["x"] },
    { url: "ftp://127.0.0.1/" },
    { url: "http://user:pass@127.0.0.1/" },
    { url: "http://127.0.0.1/", secret: "short" },
    { command: [] },
  ];
  for (const hook of refused) {
    await assert.rejects(runtime(hook), { code: "EINVAL" }, JSON.stringify(hook));
  }
  // One of them would be told nothing, or all in the other's way.
  const url = "http://127.0.0.1/";
  const twice = [{ url, on: ["process.failed"] }, { url, on: ["request.created"] }] as const;
  const options = { store: ":memory:", workspace: null, approvals: "queue" } as const;
  await assert.rejects(createRuntime({ ...options, hooks: twice }), { code: "EINVAL" });
});

Deno.test("libos serve tells hooks of its options and of hooks.json; doctor says what waits", async () => {
  await using place = await Place.make();
  await using one = new Receiver(ok);
  await using two = new Receiver(ok);
  await Deno.mkdir(`${place.folder}/.libos`, { recursive: true });
  await Deno.writeTextFile(`${place.folder}/secret`, `${SECRET}\n`, { mode: 0o600 });
  const file = `${place.folder}/.libos/hooks.json`;
  await Deno.writeTextFile(file, JSON.stringify([{ url: two.url, on: ["request.created"] }]), {
    mode: 0o600,
  });
  const options = ["--port", "0", "--hook", one.url, "--hook-secret-file", "secret"];
  const first = place.start("serve", "greeter.ts", ...options);
  await first.shows("Serving");
  first.interrupt();
  await first.said;
  await place.libos("run", "greeter.ts", "Hi", "--no-wait");
  const serving = place.start("serve", "greeter.ts", ...options);
  const [{ headers, body } = assert.fail()] = await one.upTo(1);
  assert.equal(body["event"], "request.created");
  assert.notEqual(headers.get("libos-signature"), null);
  const [{ headers: unsigned } = assert.fail()] = await two.upTo(1);
  assert.equal(unsigned.get("libos-signature"), null);
  serving.interrupt();
  assert.equal((await serving.said).exit, 0);
  const { out } = await place.libos("doctor", "-o", "jsonl");
  assert.match(out, /"what":"hooks".*0 were given up|"hooks"/);
  await Deno.chmod(file, 0o644);
  const refused = await place.libos("serve", "--port", "0");
  assert.match(refused.err, /others may read it/);
});
