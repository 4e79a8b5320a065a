/**
 * A node that runs a parent until it is killed: its child is to run on a node of another place.
 *
 * Arguments: the database with its schema. Prints the parent's pid when it waits for the child.
 * @module
 */

import { allow, createRuntime, defineImage } from "../mod.ts";

/** Waits to be told, then ends with what it was told and where its parent is. */
export const distant = defineImage({
  name: "distant",
  program: async ({ sys }) => {
    const { messages: [message] } = await sys.message.receive({});
    const { parent } = await sys.process.inspect({});
    await sys.message.send({ to: parent as "p_1", data: "on my way" });
    await sys.process.exit({ result: [message?.data ?? null, parent as string] });
  },
});

/** Detaches a child to the other place, tells it something, and waits for it. */
export const near = defineImage({
  name: "near",
  program: async ({ sys }) => {
    const nodeSelector = { place: "far" };
    const { pid } = await sys.process.detach({ image: "distant", goal: "go", nodeSelector });
    const { messages: [go] } = await sys.message.receive({ filter: { from: "person:test" } });
    await sys.message.send({ to: pid, data: go?.data ?? null });
    const { messages: [word] } = await sys.message.receive({ filter: { from: pid } });
    const { ended } = await sys.process.wait({ pids: [pid] });
    await sys.process.exit({ result: [pid, word?.data ?? null, ended?.outcome as never] });
  },
});

if (import.meta.main) {
  const [store = ""] = Deno.args;
  const images = [near, distant];
  const node = { name: "near" };
  const os = await createRuntime({ store, workspace: null, images, node, approvals: "deny" });
  const process = await os.spawn(near, {
    goal: "Wait",
    grants: [allow("process.detach"), allow("message.send")],
    images: [distant],
  });
  await os.runUntilIdle();
  console.log(`waits ${process.pid}`);
  for await (const _ of Deno.stdin.readable);
}
