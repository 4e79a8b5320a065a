/**
 * Lists over a cold store: what is only shown is not opened.
 * @module
 */

import assert from "node:assert/strict";
import { allow, createRuntime } from "../mod.ts";
import { realClock } from "../providers/clock.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { Glances } from "../server/glance.ts";
import { scratch } from "./scratch.ts";
import { sleeper } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

const TREES = 40;

/** A store with trees that wait, which no runtime has in memory. */
async function cold(): Promise<string> {
  const folder = scratch();
  const store = `${folder}/libos.db`;
  await using os = await createRuntime({ store, workspace: folder, approvals: "queue" });
  for (let i = 0; i < TREES; i++) {
    await os.spawn(sleeper, {
      goal: `sleep ${i}`,
      labels: { part: String(i % 2) },
      grants: [allow("file.read", "./**")],
      budget: { tokens: 1_000 },
    });
  }
  await os.runUntilIdle();
  return store;
}

const LISTS = [
  "/v1/processes",
  "/v1/trees",
  "/v1/overview",
  "/v1/budgets",
  "/v1/capabilities",
  "/v1/objects",
  "/v1/checkpoints",
  "/v1/tools",
  "/v1/effects",
  "/v1/approvals",
  "/v1/capabilities/who?rule=file.read(./a)",
] as const;

Deno.test("Lists of a cold store open no tree: none comes into memory, is claimed or written to", async () => {
  const store = await cold();
  await using at = await serverPlace({ runtime: { store } });
  const { node } = at.runtime;
  const heads = async () => await node.options.store.list({ live: false, limit: 1_000 });
  const before = await heads();
  assert.equal(before.length, TREES);
  assert.equal(node.trees.length, 0);
  for (const path of LISTS) {
    const answer = await at.ask("viewer", path);
    assert.equal(answer.status, 200, path);
    const { items } = await answer.json();
    if (/processes|trees|budgets|capabilities/.test(path)) {
      assert.equal(items.length >= TREES, true, `${path} ${items.length}`);
    }
  }
  assert.equal(node.trees.length, 0);
  assert.deepEqual(await heads(), before);
});

Deno.test("What a list shows of a tree is what the tree shows when it is opened, and what it becomes", async () => {
  const store = await cold();
  await using at = await serverPlace({ runtime: { store } });
  const list = async () =>
    (await (await at.ask("viewer", `/v1/processes?limit=${TREES}`)).json()).items;
  const glanced = await list();
  assert.deepEqual(await list(), glanced);
  for (const { pid, seq: _, ...rest } of glanced.slice(0, 5)) {
    const { seq: __, pid: ___, ...opened } = await (await at.ask("viewer", `/v1/processes/${pid}`))
      .json();
    assert.deepEqual(rest, opened);
  }
  const { pid } = glanced.at(-1);
  const signal = { signal: "pause", reason: "x" };
  await (await at.post("operator", `/v1/processes/${pid}/signals`, signal)).body?.cancel();
  assert.equal((await list()).at(-1).state, "paused");
  const some = await (await at.ask("viewer", "/v1/processes?label=part=1&limit=500")).json();
  assert.equal(some.items.length, TREES / 2);
});

Deno.test("What lists show first is read when the server starts, and nobody who asks waits for it", async () => {
  const store = SqliteStore.open(await cold(), { mode: "own" });
  let reads = 0;
  const read = store.read.bind(store);
  store.read = (tree, from) => {
    reads += 1;
    return read(tree, from);
  };
  await using os = await createRuntime({ store, workspace: null });
  const glances = new Glances(os.node, realClock);
  reads = 0;
  const stop = new AbortController();
  await glances.ahead(stop.signal);
  assert.equal(reads, TREES);
  for (const head of await store.list({ live: true, limit: TREES })) {
    assert((await glances.at(head)) !== undefined);
  }
  assert.equal(reads, TREES, "each was there already");
  stop.abort();
  await new Glances(os.node, realClock).ahead(stop.signal);
  assert.equal(reads, TREES, "a server that stops reads no more");
  assert.equal(os.node.trees.length, 0);
});
