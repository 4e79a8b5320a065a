/**
 * A runtime of its own that tells one hook, until it is killed or its input ends.
 *
 * Arguments: the store, the address, and "spawn" to start an agent that asks.
 * @module
 */

import { ask, createRuntime, defineImage } from "../mod.ts";

const [store = "", url = "", spawn = ""] = Deno.args;
const asker = defineImage({
  name: "asker",
  program: async ({ sys }) => {
    await sys.file.write({ path: "./out.md", text: "PRIVATE" });
  },
});
await using os = await createRuntime({
  store,
  workspace: null,
  images: [asker],
  approvals: "queue",
  hooks: [{ url, retryMs: 50, timeoutMs: 60_000 }],
});
if (spawn === "spawn") {
  await os.spawn(asker, { goal: "PRIVATE", grants: [ask("file.write", "./out*")] });
}
for await (const _ of Deno.stdin.readable);
