/**
 * What a client is told that sends an order to a node which has not the tree.
 * @module
 */

import assert from "node:assert/strict";
import { createRuntime, defineImage, type Runtime, SysError } from "../mod.ts";
import { treeOf } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import { PostgresStore } from "../postgres.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { rejects } from "./store_fixture.ts";

const ignore = noPostgres() !== undefined;
let server: Server;
let schemas = 0;

Deno.test.beforeAll(async () => {
  if (!ignore) server = await startPostgres(["fsync=off"]);
});
Deno.test.afterAll(async () => {
  if (!ignore) await server.stop();
});

/** Waits for one message, and gives what it said. */
const waiter = defineImage({
  name: "waiter",
  program: async ({ sys }) => {
    const { messages: [first] } = await sys.message.receive({ timeoutMs: 60_000 });
    await sys.process.exit({ result: (first as unknown as { data: string }).data });
  },
});

/** Two nodes, of which the first has a tree with a process that waits. */
async function withTwo(
  body: (nodes: { here: Runtime; there: Runtime; pid: string; store: Store }) => Promise<void>,
): Promise<void> {
  const options = { schema: `libos_order_${Deno.pid}_${schemas += 1}`, connections: 2 };
  const stores = [
    await PostgresStore.open(server.url, options),
    await PostgresStore.open(server.url, options),
  ] as const;
  const made = { workspace: null, images: [waiter], approvals: "queue" } as const;
  {
    await using here = await createRuntime({ ...made, store: stores[0] });
    await using there = await createRuntime({ ...made, store: stores[1] });
    const { pid } = await here.spawn(waiter, { goal: "wait" });
    await here.runUntilIdle();
    await body({ here, there, pid, store: stores[1] });
  }
  for (const store of stores) await store.close();
}

const mail = (pid: string, data: string) => ({
  kind: "message" as const,
  to: pid as `p_${string}`,
  from: "person:far",
  type: "message",
  data,
  interrupt: false,
  replyTo: null,
  label: { sensitivity: "internal", trust: "trusted" } as const,
});

Deno.test({
  name: "X2 Who sends at another node hears when the tree's own one has it in the log",
  ignore,
  fn: () =>
    withTwo(async ({ here, there, pid }) => {
      const ended = (await here.get(pid))!.wait();
      await there.order(treeOf(pid), mail(pid, "from afar"));
      const types: string[] = [];
      for await (const { type } of there.log(treeOf(pid))) types.push(type);
      assert.ok(types.includes("inbox.taken"));
      assert.equal((await ended).result, "from afar");
    }),
});

Deno.test({
  name: "EL1 Who sends at another node hears what the tree's own one refused it with",
  ignore,
  fn: () =>
    withTwo(async ({ there, pid }) => {
      const { message } = await rejects(
        there.order(treeOf(pid), {
          kind: "answer",
          request: "req_9.9",
          answer: { outcome: "approve" },
          by: "far",
        }),
        "ENOENT",
      );
      assert.match(message, /req_9\.9/);
    }),
});

Deno.test({
  name: "EL1 An order whose putting may have happened is looked for, and not said to have failed",
  ignore,
  fn: () =>
    withTwo(async ({ there, pid, store }) => {
      const put = store.putInbox.bind(store);
      // The answer is lost on the way, after the item was put.
      store.putInbox = async (tree, item) => {
        await put(tree, item);
        store.putInbox = put;
        throw new SysError("EIO", "Cannot write: the connection was lost");
      };
      await there.order(treeOf(pid), mail(pid, "put all the same"));
      let taken = 0;
      for await (const { type } of there.log(treeOf(pid))) if (type === "inbox.taken") taken += 1;
      assert.equal(taken, 1);
    }),
});
