/**
 * deno run --allow-read=demos/sample demos/hello.ts
 * @module
 */
import { allow, createRuntime, defineImage } from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";

const hello = defineImage({
  name: "hello",
  instructions: "Look around and greet the user.",
  model: scriptedModel([{ tool: "file_list", input: {} }, "Hello, harbour!"]),
});

await using os = await createRuntime({ store: ":memory:", workspace: "demos/sample" });
const process = await os.spawn(hello, {
  goal: "Say hello",
  grants: [allow("file.list", ".")],
});
const { ok, result, spent } = await process.wait();
console.log({ ok, result, toolCalls: spent.toolCalls });
