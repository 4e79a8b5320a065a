/**
 * A database that is away: nothing is acknowledged, no effect is sent, and what is under way goes
 * on by itself when it is back.
 * @module
 */

import assert from "node:assert/strict";
import { allow, createRuntime, defineImage } from "../mod.ts";
import { PostgresStore } from "../postgres.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { batchOf, newTree, rejects } from "./store_fixture.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const ignore = noPostgres() !== undefined || Deno.env.get("LIBOS_TEST_PG") !== undefined;
/** After so long a database that is there has answered, on a machine that is busy, too. */
const AWAY_MS = 1_500;
let server: Server;
let schemas = 0;

Deno.test.beforeAll(async () => {
  if (!ignore) server = await startPostgres(["fsync=off"]);
});
Deno.test.afterAll(async () => {
  if (!ignore) await server.stop();
});

interface Line {
  readonly url: string;
  readonly proxy: TcpProxy;
}

async function withLine(body: (line: Line) => Promise<void>): Promise<void> {
  await using proxy = new TcpProxy(Number(new URL(server.url).port));
  const at = new URL(server.url);
  at.port = `${proxy.port}`;
  await body({ url: `${at.href}?schema=libos_away_${schemas += 1}`, proxy });
}

/** How a database goes away, and comes back. */
interface Away {
  readonly name: string;
  readonly goes: (proxy: TcpProxy) => Promise<void>;
  readonly comes: (proxy: TcpProxy) => Promise<void>;
}

const AWAY: readonly Away[] = [
  {
    name: "the server is killed and started again",
    goes: () => server.kill(),
    comes: () => server.start(),
  },
  {
    name: "lines are cut",
    goes: (proxy) => {
      proxy.isDown = true;
      proxy.cut();
      return Promise.resolve();
    },
    comes: (proxy) => {
      proxy.isDown = false;
      return Promise.resolve();
    },
  },
  {
    name: "lines fall silent and stay so, new ones pass",
    goes: (proxy) => {
      proxy.isStalled = true;
      return Promise.resolve();
    },
    comes: (proxy) => {
      proxy.isStalled = false;
      return Promise.resolve();
    },
  },
];

for (const { name, goes, comes } of AWAY) {
  Deno.test({
    name: `While the database is away (${name}) no effect is sent, and then all go on`,
    ignore,
    fn: () =>
      withLine(async ({ url, proxy }) => {
        const store = await PostgresStore.open(url, { awayMs: AWAY_MS });
        const workspace = await Deno.makeTempDir();
        const gate = Promise.withResolvers<void>();
        const writer = defineImage({
          name: "writer",
          program: async ({ sys }) => {
            await sys.file.write({ path: "./before", text: "", mode: "create" });
            await gate.promise;
            await sys.file.write({ path: "./after", text: "", mode: "create" });
            await sys.process.exit({ result: "written" });
          },
        });
        const there = () => [...Deno.readDirSync(workspace)].map((entry) => entry.name).sort();
        const grants = [allow("file.*", "./**")];
        const asked = { goal: "Write", grants };
        const os = await createRuntime({ store, workspace, approvals: "deny" });
        const before = Promise.withResolvers<void>();
        os.node.listen((_, lines) => {
          if (lines.some(({ type }) => type === "call.outcome")) before.resolve();
        });
        const process = await os.spawn(writer, asked);
        await before.promise;
        await goes(proxy);
        gate.resolve();
        // Each waits until it is told so: long enough for an effect that was not held back.
        await rejects(os.spawn(writer, asked), "EIO");
        // What was sent over a line that broke may have been put.
        await rejects(os.order(process.pid.replace("p", "t") as "t_1", SIGNAL), "EINDOUBT");
        assert.deepEqual(there(), ["before"]);
        const ended = process.wait();
        await comes(proxy);
        assert.equal((await ended).result, "written");
        assert.deepEqual(there(), ["after", "before"]);
        // Who looks waits for as long as it takes.
        await using calm = await createRuntime({
          ...{ store: `${server.url}${new URL(url).search}`, workspace: null },
          ...{ approvals: "deny", autorun: false },
        });
        const lines = await Array.fromAsync(calm.log("t_1"));
        assert.deepEqual(
          lines.filter(({ type }) => /^call\.(intent|outcome)$/.test(type)).map(({ type }) => type),
          ["call.intent", "call.outcome", "call.intent", "call.outcome"],
        );
        assert.deepEqual((await calm.verify()).map(({ broken }) => broken), [null]);
        await os.close();
        await store.close();
        await Deno.remove(workspace, { recursive: true });
      }),
  });
}

// Whether it was put or not: what is not paused is not resumed.
const SIGNAL = { kind: "signal", pid: "p_1", signal: "resume", reason: "", by: "test" } as const;

Deno.test({
  name: "A node hears of others again after its line was cut, and after one that fell silent",
  ignore,
  fn: () =>
    withLine(async ({ url, proxy }) => {
      const options = { connections: 1, awayMs: AWAY_MS };
      const direct = new URL(server.url);
      direct.search = new URL(url).search;
      const other = await PostgresStore.open(direct.href, options);
      const one = await PostgresStore.open(url, options);
      const tree = await newTree(other);
      const changes = async (from: number): Promise<number> => {
        for (;;) {
          const version = await one.version().catch(() => from);
          if (version !== from) return version;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      };
      let version = await one.version();
      for (const way of ["cut", "silent"] as const) {
        if (way === "cut") proxy.cut();
        else {
          proxy.isStalled = true;
          await rejects(one.head(tree), "EIO");
          proxy.isStalled = false;
        }
        // Being back is a reason to look by itself.
        version = await changes(version);
        assert.equal(await one.version(), version);
        await other.putInbox(tree, { id: way, body: {} });
        version = await changes(version);
      }
      await one.close();
      await other.close();
    }),
});

Deno.test({
  name: "A store that is closed while the database is away ends, and its commit is told",
  ignore,
  fn: () =>
    withLine(async ({ url, proxy }) => {
      const store = await PostgresStore.open(url, { connections: 1, awayMs: AWAY_MS });
      const tree = await newTree(store);
      proxy.isDown = true;
      proxy.cut();
      const told = rejects(store.commit([batchOf(tree)]), "EIO");
      await rejects(store.head(tree), "EIO");
      store.hurry();
      await told;
      await store.close();
    }),
});

Deno.test({
  name: "A statement whose line is silent while whoever comes is refused is told, and ends nothing",
  ignore,
  fn: () =>
    withLine(async ({ url, proxy }) => {
      const store = await PostgresStore.open(url, { connections: 1, awayMs: AWAY_MS });
      const tree = await newTree(store);
      proxy.isStalled = true;
      proxy.shut();
      // The first is under way when it is given up: taking it back needs a line, and gets none.
      await rejects(store.head(tree), "EIO");
      await rejects(store.head(tree), "EIO");
      await store.close();
    }),
});
