/**
 * Encrypted stores when processes die: while they commit, while they are encrypted, while their key
 * is changed.
 * @module
 */

import assert from "node:assert/strict";
import { encryptStore, rekeyStore, SqliteStore, storeEncryption } from "../mod.ts";
import type { Job } from "./encryption_child.ts";
import { fill, found, KEY, MARKS, open, OTHER, withFolder } from "./encryption_place.ts";
import { CHILD_TREES, childLine } from "./sqlite_child.ts";
import { inboxIds, linesOf, picture } from "./store_fixture.ts";

function start(program: string, args: readonly string[]): Deno.ChildProcess {
  const path = new URL(program, import.meta.url).pathname;
  const words = ["run", "-A", "--no-check", "--no-lock", path, ...args];
  return new Deno.Command(Deno.execPath(), { args: words, stdin: "null", stdout: "piped" }).spawn();
}

/** Kills a child once it has said `words` lines; all that it said. */
async function killAfter(child: Deno.ChildProcess, words: number): Promise<string[]> {
  let said = "";
  let isKilled = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    if (isKilled || said.split("\n").length <= words) continue;
    isKilled = true;
    try {
      child.kill("SIGKILL");
    } catch {
      // It came to its end first.
    }
  }
  await child.status;
  return said.split("\n").slice(0, -1);
}

Deno.test("An encrypted store keeps all it acknowledged when killed, in whole commits", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    await (await open(path, KEY)).close();
    for (const words of [1, 40, 400]) {
      const child = start("./sqlite_child.ts", [path, "write", "5e".repeat(32)]);
      const acknowledged = Number((await killAfter(child, words)).at(-1));
      assert.deepEqual(found(folder, ['"pad"', "xxxxxxxx"]), []);
      const store = await open(path, KEY);
      const [end = 0] = (await store.list({ limit: 10 })).map(({ seq }) => seq);
      assert(end === acknowledged || end === acknowledged + 1, `${end} after ${acknowledged}`);
      for (const tree of CHILD_TREES) {
        const expected = Array.from({ length: end }, (_, i) => childLine(tree, i + 1));
        assert.deepEqual(await linesOf(store, tree), expected);
        assert.deepEqual(await inboxIds(store, tree), [`${end}`]);
      }
      assert.deepEqual(await store.check(), []);
      await store.close();
    }
  }));

/** What a job begins with and is finished by. */
const JOBS: { readonly [J in Job]: (path: string) => void } = {
  encrypt(path) {
    const { key, clean } = storeEncryption(path);
    if (key === null || !clean) encryptStore(path, KEY);
  },
  rekey: (path) => void rekeyStore(path, { from: [KEY], to: OTHER }),
  rewrite: (path) => void rekeyStore(path, { from: [KEY], to: OTHER, rewrite: true }),
};

async function make(path: string, job: Job, lines: number): Promise<unknown> {
  const store = SqliteStore.open(path, job === "encrypt" ? {} : { encryption: KEY });
  await fill(store, lines);
  const before = await picture(store, ["t_1"]);
  await store.close();
  return before;
}

/** The store is wholly as before or as afterwards, and going on ends as without a death. */
async function survived(folder: string, job: Job, before: unknown): Promise<boolean> {
  const path = `${folder}/libos.db`;
  const { key } = storeEncryption(path);
  assert([KEY.id, OTHER.id, null].includes(key) && (key !== null || job === "encrypt"));
  const left = SqliteStore.open(path, key === null ? {} : { encryption: [KEY, OTHER] });
  assert.deepEqual(await picture(left, ["t_1"]), before);
  assert.deepEqual(await left.check(), []);
  await left.close();
  JOBS[job](path);
  const store = await open(path, job === "encrypt" ? KEY : OTHER);
  assert.deepEqual(await picture(store, ["t_1"]), before);
  await store.close();
  assert.equal(storeEncryption(path).clean, true);
  assert.deepEqual(found(folder, MARKS), []);
  return key === (job === "encrypt" ? KEY : OTHER).id;
}

for (const job of ["encrypt", "rekey", "rewrite"] as const) {
  Deno.test(`A death before any statement of "${job}" loses nothing, and it is done again`, () =>
    withFolder(async (folder) => {
      const first = `${folder}/first/libos.db`;
      const path = `${folder}/libos.db`;
      const before = await make(first, job, 3);
      const ends: boolean[] = [];
      for (let at = 1, isOver = false; !isOver; at += job === "rekey" ? 2 : 9) {
        await Deno.copyFile(first, path);
        const child = start("./encryption_child.ts", [path, job, `${at}`]);
        await new Response(child.stdout).text();
        isOver = (await child.status).signal !== "SIGKILL";
        ends.push(await survived(folder, job, before));
      }
      assert(ends.includes(false) && ends.at(-1), "deaths on both sides of the commit");
    }));

  Deno.test(`A kill from outside during "${job}" loses nothing, and it is done again`, () =>
    withFolder(async (folder) => {
      const path = `${folder}/libos.db`;
      const before = await make(path, job, 400);
      await killAfter(start("./encryption_child.ts", [path, job]), 1);
      await survived(folder, job, before);
    }));
}
