/**
 * The SQLite store when processes die, and when several want the same file.
 * @module
 */

import assert from "node:assert/strict";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { CHILD_TREES, childLine } from "./sqlite_child.ts";
import { batchOf, inboxIds, item, linesOf, rejects } from "./store_fixture.ts";

/** Runs `job` with a path in a folder which is gone afterwards. */
async function withPath(job: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await job(`${folder}/libos.db`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function open(path: string, mode: "own" | "join" | "read" = "own"): Promise<SqliteStore> {
  return new Promise((resolve) => resolve(SqliteStore.open(path, { mode })));
}

function childArgs(path: string, job: "write" | "hold"): string[] {
  const program = new URL("./sqlite_child.ts", import.meta.url).pathname;
  return ["run", "-A", "--no-check", "--no-lock", program, path, job];
}

function startChild(path: string, job: "write" | "hold"): Deno.ChildProcess {
  const args = childArgs(path, job);
  return new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
}

/** Kills a child once it has said `words`, and gives back all that it said until its end. */
async function killAfter(child: Deno.ChildProcess, words: number): Promise<string[]> {
  let said = "";
  let isKilled = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    if (isKilled || said.split("\n").length <= words) continue;
    isKilled = true;
    child.kill("SIGKILL");
  }
  await child.stdin.close().catch(() => {});
  assert.equal((await child.status).signal, "SIGKILL");
  return said.split("\n").slice(0, -1);
}

Deno.test("SqliteStore keeps all it acknowledged when killed, in whole commits", async () => {
  await withPath(async (path) => {
    for (const words of [1, 2, 40, 700]) {
      const said = await killAfter(startChild(path, "write"), words);
      const acknowledged = Number(said.at(-1));
      const store = await open(path);
      const ends = (await store.list({ limit: 10 })).map(({ seq }) => seq);
      const [end = 0] = ends;
      assert.deepEqual(ends, [end, end, end]);
      assert(end === acknowledged || end === acknowledged + 1, `${end} after ${acknowledged}`);
      for (const tree of CHILD_TREES) {
        const expected = Array.from({ length: end }, (_, i) => childLine(tree, i + 1));
        assert.deepEqual(await linesOf(store, tree), expected);
        assert.deepEqual(await inboxIds(store, tree), [`${end}`]);
      }
      assert.deepEqual(await store.check(), []);
      await store.close();
    }
  });
});

Deno.test("SqliteStore.open() refuses a second kernel until the first is killed", async () => {
  await withPath(async (path) => {
    const child = startChild(path, "hold");
    const output = child.stdout.getReader();
    assert.equal(new TextDecoder().decode((await output.read()).value), "held\n");
    const error = await rejects(open(path), "EFENCED");
    assert.match(
      error.message,
      new RegExp(`another kernel runs on it \\(pid ${child.pid} on .+\\)`),
    );
    child.kill("SIGKILL");
    await child.stdin.close().catch(() => {});
    await child.status;
    await output.cancel();
    const store = await open(path);
    await store.close();
  });
});

Deno.test("SqliteStore.open() refuses a second kernel by any name of the file", async () => {
  await withPath(async (path) => {
    const store = await open(path);
    await Deno.symlink(path, `${path}.link`);
    for (const name of [path, `${path}.link`]) {
      const error = await rejects(open(name), "EFENCED");
      assert.match(error.message, new RegExp(`pid ${Deno.pid} on `));
      assert.match(error.message, /mode "read"$/);
    }
    // What was refused has not freed the lock of the one that holds it.
    const args = childArgs(path, "hold");
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    assert.notEqual(code, 0);
    assert.match(new TextDecoder().decode(stderr), /another kernel runs on it/);
    await store.close();
    await (await open(path)).close();
  });
});

Deno.test("SqliteStore with mode read sees what another commits, and changes nothing", async () => {
  await withPath(async (path) => {
    const owner = await open(path);
    const { tree } = await owner.create(null);
    const reader = await open(path, "read");
    const version = await reader.version();
    await owner.commit([batchOf(tree, { lines: ["1", "2"] })]);
    assert.deepEqual(await linesOf(reader, tree), ["1", "2"]);
    assert.notEqual(await reader.version(), version);
    const changes = [
      () => reader.create(null),
      () => reader.commit([batchOf(tree, { seq: 3 })]),
      () => reader.claim(tree, "a", { nowMs: 0, ttlMs: 1 }),
      () => reader.release(tree, "a", 0),
      () => reader.putSnapshot(tree, { seq: 1, head: "", state: "" }),
      () => reader.putInbox(tree, item("a")),
    ];
    for (const change of changes) await rejects(change(), "EFENCED");
    await owner.close();
    assert.deepEqual(await linesOf(reader, tree), ["1", "2"]);
    await reader.close();
    const later = await open(path, "read");
    assert.deepEqual(await linesOf(later, tree), ["1", "2"]);
    assert.deepEqual(await later.check(), []);
    await later.close();
  });
});

Deno.test("SqliteStore reads on while another commits between two batches", async () => {
  await withPath(async (path) => {
    const owner = await open(path);
    const { tree } = await owner.create(null);
    for (let seq = 1; seq <= 600; seq++) await owner.commit([batchOf(tree, { seq, lines: ["1"] })]);
    const reader = await open(path, "read");
    let lines = 0;
    for await (const batch of reader.read(tree, 1)) {
      lines += batch.lines.length;
      if (lines % 50 === 0) await owner.commit([batchOf(tree, { seq: 600 + lines / 50 })]);
    }
    assert.equal(lines, 600);
    assert.equal((await reader.head(tree))?.seq, 612);
    await reader.close();
    await owner.close();
  });
});

Deno.test("SqliteStore with mode join puts items beside a kernel, and no more", async () => {
  await withPath(async (path) => {
    const owner = await open(path);
    const { tree } = await owner.create(null);
    const version = await owner.version();
    const guest = await open(path, "join");
    await guest.putInbox(tree, item("a"));
    assert.notEqual(await owner.version(), version);
    assert.deepEqual(await owner.getInbox(tree), [item("a")]);
    assert.deepEqual(await owner.due(0, 10), [tree]);
    for (
      const change of [
        () => guest.create(null),
        () => guest.commit([batchOf(tree)]),
        () => guest.claim(tree, "a", { nowMs: 0, ttlMs: 1, steal: true }),
        () => guest.release(tree, "a", 0),
        () => guest.putSnapshot(tree, { seq: 0, head: "", state: "" }),
      ]
    ) await rejects(change(), "EFENCED");
    await owner.close();
    await guest.putInbox(tree, item("b"));
    await guest.close();
    const again = await open(path);
    assert.deepEqual(await inboxIds(again, tree), ["a", "b"]);
    await again.close();
  });
});
