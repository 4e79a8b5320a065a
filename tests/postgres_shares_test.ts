/**
 * Limits hold over all nodes of a database: rates, quotas, and requests that are made once.
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import { createRuntime, defineImage, Gate, gated, type Runtime } from "../mod.ts";
import type { SharedEntering, Shares } from "../kernel/shares.ts";
import type { Model } from "../kernel/world.ts";
import { PostgresStore } from "../postgres.ts";
import { memoryFile } from "../providers/private_file.ts";
import { quotaed } from "../providers/quota.ts";
import { serve, type Served } from "../server/mod.ts";
import { scriptedModel } from "../testing.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { rejects } from "./store_fixture.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const ignore = noPostgres() !== undefined;
const SCHEMA = `libos_shares_${Deno.pid}`;
let server: Server;
let stores: readonly PostgresStore[];

Deno.test.beforeAll(async () => {
  if (ignore) return;
  server = await startPostgres(["fsync=off"]);
  const open = () => PostgresStore.open(server.url, { schema: SCHEMA });
  stores = [await open(), await open()];
});
Deno.test.afterAll(async () => {
  if (ignore) return;
  for (const store of stores) await store.close();
  await server.stop();
});

const both = (): readonly [Shares, Shares] => [stores[0]!.shares(), stores[1]!.shares()];
const HOUR = 3_600_000;
const entering = (gate: string, more: Partial<SharedEntering> = {}): SharedEntering => ({
  ...{ gate, permit: crypto.randomUUID(), tokens: 1, windowMs: HOUR, leaseMs: HOUR },
  ...{ requestsMax: null, tokensMax: null, outMax: null, ...more },
});

/** How many of forty calls at once, half on each node, are let through. */
async function through(more: Partial<SharedEntering>, gate: string): Promise<number> {
  const calls = Array.from({ length: 40 }, (_, i) => both()[i % 2]!.enter(entering(gate, more)));
  return (await Promise.all(calls)).filter((waitMs) => waitMs === 0).length;
}

Deno.test({
  name: "L1 Two nodes together let no more through than the rate, the tokens and the width say",
  ignore,
  fn: async () => {
    assert.equal(await through({ requestsMax: 25 }, "requests"), 25);
    assert.equal(await through({ tokensMax: 100, tokens: 9 }, "tokens"), 11);
    assert.equal(await through({ outMax: 7 }, "width"), 7);
    assert.equal(await through({}, "free"), 40);
    // One that is larger than the limit goes alone.
    assert.equal(await through({ tokensMax: 5, tokens: 9 }, "large"), 1);
  },
});

Deno.test({
  name: "L1 What leaves makes room in width and none in the rate; a hold holds all nodes",
  ignore,
  fn: async () => {
    const [one, other] = both();
    const first = entering("leaving", { outMax: 1, requestsMax: 3 });
    assert.equal(await one.enter(first), 0);
    const second = entering("leaving", { outMax: 1, requestsMax: 3 });
    assert(await other.enter(second) > 0);
    await one.leave("leaving", first.permit, { tokens: 0, heldMs: 0, windowMs: HOUR });
    assert.equal(await other.enter(second), 0);
    await other.leave("leaving", second.permit, { tokens: 0, heldMs: HOUR, windowMs: HOUR });
    const waitMs = await one.enter(entering("leaving", { requestsMax: 3 }));
    assert(waitMs > HOUR / 2 && waitMs <= HOUR, `${waitMs}`);
    // What a call took beyond what it was let in for counts.
    const third = entering("beyond", { tokensMax: 100 });
    assert.equal(await one.enter(third), 0);
    await one.leave("beyond", third.permit, { tokens: 99, heldMs: 0, windowMs: HOUR });
    assert(await other.enter(entering("beyond", { tokensMax: 100 })) > 0);
  },
});

Deno.test({
  name: "L1 A permit of a node that died is out for its lease, and one that is renewed for longer",
  ignore,
  fn: async () => {
    const [one, other] = both();
    const dead = entering("dead", { outMax: 1, leaseMs: 1 });
    assert.equal(await one.enter(dead), 0);
    const next = entering("dead", { outMax: 1, leaseMs: 1 });
    while (await other.enter(next) !== 0);
    await other.renew("dead", next.permit, { leaseMs: HOUR, windowMs: HOUR });
    const sql = postgres(server.url, { max: 1 });
    const [row] = await sql.unsafe(
      `SELECT until > (extract(epoch FROM now()) + 1800) * 1000 AS is_long FROM ${SCHEMA}.gate_out
       WHERE permit = '${next.permit}'`,
    );
    // Either it was renewed in time, or it is out no more.
    assert.notEqual(row?.is_long, false);
    await sql.end();
  },
});

/** A model that counts how often it was asked. */
function counting(usd = 0): Model & { asked: number } {
  const reply = { text: "", calls: [], finish: "stop" as const, inputTokens: 60, outputTokens: 40 };
  const model = {
    id: "test/counting",
    asked: 0,
    generate: () => {
      model.asked += 1;
      return Promise.resolve({ ...reply, usd });
    },
  };
  return model;
}

const REQUEST = { model: "test/counting", messages: [], tools: [], idempotencyKey: "k" } as const;
const signal = (): AbortSignal => new AbortController().signal;

Deno.test({
  name:
    "L1 L4 Gates of one name on two nodes send what one would, and nothing without the database",
  ignore,
  fn: async () => {
    await using proxy = new TcpProxy(Number(new URL(server.url).port));
    const at = new URL(server.url);
    at.port = `${proxy.port}`;
    const options = { schema: SCHEMA, awayMs: 1_500, isPatient: false };
    const far = await PostgresStore.open(at.href, options);
    const model = counting();
    const rate = { requestsPerMinute: 5, minuteMs: HOUR, waitMs: 60_000, tries: 1 };
    const gates = [stores[0]!, far].map((store) =>
      new Gate({ ...rate, shared: { name: "far", shares: store.shares() } })
    );
    const ask = (gate: Gate) => gated(model, gate).generate(REQUEST, { signal: signal() });
    const ended = await Promise.allSettled([...gates, ...gates, ...gates, ...gates].map(ask));
    const refused = ended.filter((end) => end.status === "rejected");
    assert.equal(model.asked, 5);
    assert.deepEqual(refused.map(({ reason }) => reason.code), ["EAGAIN", "EAGAIN", "EAGAIN"]);
    proxy.isDown = true;
    proxy.cut();
    const open = new Gate({ shared: { name: "open", shares: far.shares() }, tries: 1 });
    await rejects(ask(open), "EIO");
    assert.equal(model.asked, 5);
    await far.close();
  },
});

Deno.test({
  name: "L2 A quota is spent by all nodes, of a team's trees alone, and never beyond",
  ignore,
  fn: async () => {
    const model = counting(0.3);
    const quotas = [
      { name: "all", per: "day", tokens: 100_000 },
      { name: "red", per: "day", usd: 1, labels: { team: "red" } },
    ] as const;
    const nodes = both().map((shares) => quotaed(model, quotas, shares));
    const ask = (node: Model, team: string) =>
      node.generate(REQUEST, {
        signal: signal(),
        asker: { tree: "t_1", pid: "p_1", priority: 1, labels: { team } },
      });
    for (const node of [...nodes, ...nodes]) await ask(node, "red");
    const { message } = await rejects(ask(nodes[1]!, "red"), "EBUDGET");
    assert.match(message, /quota "red": 1\.2 of 1 used until .*T00:00:00\.000Z/);
    assert.equal(model.asked, 4);
    await ask(nodes[0]!, "blue");
    const sql = postgres(server.url, { max: 1 });
    const rows = await sql.unsafe(`SELECT quota, kind, amount FROM ${SCHEMA}.quotas ORDER BY 1`);
    assert.deepEqual(rows.map(({ quota, kind, amount }) => [quota, kind, amount]), [
      ['"all"', "tokens", 500],
      ['"red"', "usd", 1.2],
    ]);
    await sql.end();
  },
});

Deno.test({
  name: "L2 What is spent together is spent whole or not at all, and given back where nothing was",
  ignore,
  fn: async () => {
    const [one, other] = both();
    const of = (quota: string, amount: number) => ({
      ...{ quota, kind: "tokens", periodMs: 86_400_000, max: 10, amount },
    });
    const back = await one.spend([of("a", 4), of("b", 4)]);
    await rejects(other.spend([of("a", 4), of("b", 7)]), "EBUDGET");
    await (await other.spend([of("a", 6), of("b", 6)]))([0, 0]);
    await rejects(one.spend([of("a", 1)]), "EBUDGET");
    await back([-4, -4]);
    await one.spend([of("a", 4)]);
    const many = Array.from({ length: 30 }, (_, i) => both()[i % 2]!.spend([of("c", 1)]));
    const ends = await Promise.allSettled(many);
    assert.equal(ends.filter(({ status }) => status === "fulfilled").length, 10);
  },
});

Deno.test("Quotas are refused where one node has the store, and where they say nothing", async () => {
  const open = (quotas: never) => createRuntime({ store: ":memory:", workspace: null, quotas });
  const { message } = await rejects(open([{ name: "a", per: "day", usd: 1 }] as never), "EINVAL");
  assert.match(message, /one node's, expected a database/);
  for (const wrong of [{ per: "day" }, { per: "week", usd: 1 }, { per: "day", usd: NaN }]) {
    await rejects(open([{ name: "a", ...wrong }] as never), "EINVAL");
  }
});

interface Node extends AsyncDisposable {
  readonly os: Runtime;
  readonly at: Served;
}

const quiet = defineImage({
  name: "quiet",
  model: scriptedModel(["Done", "Done", "Done"]),
  instructions: "",
});

/** Two servers over one database, with one book of tokens. */
async function twoServers(): Promise<{ readonly nodes: readonly Node[]; readonly secret: string }> {
  const tokens = memoryFile();
  const nodes = await Promise.all([0, 1].map(async (): Promise<Node> => {
    const store = `${server.url}?schema=${SCHEMA}`;
    const os = await createRuntime({ store, workspace: null, approvals: "queue", images: [quiet] });
    const at = serve(os, { tokens, images: [quiet] });
    return {
      os,
      at,
      async [Symbol.asyncDispose]() {
        await at.close();
        await os.close();
      },
    };
  }));
  const { secret } = nodes[0]!.at.tokens.create({ name: "ada", role: "operator" });
  return { nodes, secret };
}

Deno.test({
  name: "L3 One request under one key is made once, on whichever of two servers, and told alike",
  ignore,
  fn: async () => {
    const { nodes, secret } = await twoServers();
    await using _one = nodes[0]!;
    await using _other = nodes[1]!;
    const post = (i: number, key: string, goal = "Be quiet") =>
      fetch(`${nodes[i % 2]!.at.url}/v1/processes`, {
        method: "POST",
        body: JSON.stringify({ image: "quiet", goal }),
        headers: {
          authorization: `Bearer ${secret}`,
          "content-type": "application/json",
          "idempotency-key": key,
        },
      });
    const answers = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => post(i, "many")));
    assert.deepEqual(answers.map(({ status }) => status), new Array(6).fill(201));
    const pids = await Promise.all(answers.map(async (one) => (await one.json()).pid));
    assert.equal(new Set(pids).size, 1);
    const replayed = answers.filter(({ headers }) => headers.has("idempotent-replay"));
    assert.equal(replayed.length, 5);
    const other = await post(1, "many", "Another goal");
    assert.equal((await other.json()).code, "key_reused");
    // What is kept tells nobody who reads the database.
    const sql = postgres(server.url, { max: 1 });
    const kept = JSON.stringify(await sql.unsafe(`SELECT * FROM ${SCHEMA}.answers`));
    assert.doesNotMatch(kept, /many|p_\d|quiet/);
    // Whoever made it is gone: nobody makes it again, and it is said so.
    await sql.unsafe(`UPDATE ${SCHEMA}.answers SET answer = NULL, lease = 0`);
    const lost = await post(0, "many");
    assert.equal((await lost.json()).code, "EINDOUBT");
    assert.equal((await nodes[0]!.os.trees({ all: true })).length, 1);
    await sql.end();
  },
});
