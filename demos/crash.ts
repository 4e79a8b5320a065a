/**
 * deno run --allow-read=.libos --allow-write=.libos demos/crash.ts
 *
 * A long job that outlives its process: kill -9 it wherever you like, and run it again. It sleeps
 * between its parts; what is done is not done again.
 * @module
 */

import { createRuntime, defineImage, type Program } from "@agent-libos/core";

const PARTS = 5;

/** Does one part after another. It is run again from the top; what was done is answered at once. */
const work: Program = async ({ sys }) => {
  await sys.object.create({ name: "done", list: true });
  for (let part = 1; part <= PARTS; part++) {
    const { ms } = await sys.clock.now();
    await sys.object.append({ object: "done", item: { part, ms } });
    await sys.clock.sleep({ ms: 300 });
  }
  const { value } = await sys.object.read({ object: "done" });
  await sys.process.exit({ result: value });
};

const job = defineImage({ name: "long-job", program: work });
await using os = await createRuntime({ store: "./.libos/crash.db", workspace: null });
const [earlier] = await os.trees();
console.log(
  earlier === undefined ? "starting" : `going on with ${earlier.tree} at line ${earlier.seq}`,
);

const process = await os.spawn(job, { goal: "Five parts", idempotencyKey: "five parts" });
os.node.listen((_tree, lines) => {
  for (const { type, data } of lines) {
    const { item } = data as { item?: { value?: { part?: number } } };
    if (type === "object.appended") console.log(`part ${item?.value?.part} of ${PARTS} done`);
  }
});
const { result } = await process.wait();
const parts = (result as { part: number }[]).map(({ part }) => part);
console.log(`done: ${parts.join(" ")}`);
