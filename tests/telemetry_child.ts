/**
 * Agents in a process of their own, whose telemetry goes wherever its environment says.
 *
 * Arguments: an address to fetch from in the middle of a step, and "content" to tell content, too.
 * @module
 */

import { allow, ask, createRuntime, defineImage, openaiCompatibleModel } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { fakeOpenAi, says } from "./fake_openai_server.ts";

const [address = "", content = ""] = Deno.args;

const child = defineImage({
  name: "child",
  program: async ({ sys }) => {
    await sys.process.exit({ result: "done" });
  },
});

const turns = [
  { tool: "file_write", input: { path: "./out.md", text: "PRIVATE-TEXT" } },
  { tool: "file_read", input: { path: "./no.env" } },
  "PRIVATE-ANSWER",
];
const agent = defineImage({
  name: "agent",
  model: scriptedModel(turns, { id: "acme/small" }),
  instructions: "PRIVATE-PROMPT",
});

const parent = defineImage({
  name: "parent",
  program: async ({ sys }) => {
    await (await fetch(`${address}/inside`)).text();
    const { pid } = await sys.process.spawn({ image: "child", goal: "PRIVATE-GOAL" });
    await sys.process.wait({ pids: [pid] });
    await sys.object.create({ name: "note", type: "text", value: "PRIVATE-VALUE" });
    await sys.file.read({ path: "./nothing" });
  },
});

await using endpoint = fakeOpenAi(() => says("", { pieces: ["one ", "two ", "three"] }));
const streamer = defineImage({
  name: "streamer",
  model: openaiCompatibleModel({ url: endpoint.url, modelId: "m" }),
  instructions: "PRIVATE-PROMPT",
});

const folder = await Deno.makeTempDir({ prefix: "libos-telemetry-" });
try {
  await using os = await createRuntime({
    store: ":memory:",
    workspace: folder,
    approvals: {
      ask: () => Promise.resolve({ outcome: "approve", note: "PRIVATE-NOTE" }),
    },
    audit: {},
    telemetry: content === "content" ? { content: true } : {},
  });
  const first = await os.spawn(agent, {
    goal: "PRIVATE-GOAL",
    grants: [ask("file.write", "./out*")],
  });
  await first.wait();
  const second = await os.spawn(parent, {
    goal: "PRIVATE-GOAL",
    images: [child],
    grants: [allow("process.spawn", "child@*"), allow("file.read", "./nothing")],
  });
  await second.wait();
  await (await os.spawn(streamer, { goal: "PRIVATE-GOAL" })).wait();
  // Until what is observed was exported once.
  await (await fetch(`${address}/until-metrics`)).text();
} finally {
  await Deno.remove(folder, { recursive: true });
}
