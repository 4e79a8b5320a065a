/**
 * deno run --allow-read=.libos --allow-write=.libos demos/approval.ts
 *
 * Human approval: a tool writes a file after somebody allowed exactly that.
 * @module
 */

import { allow, ask, createRuntime, defineImage, defineTool } from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";
import { z } from "zod";

const publish = defineTool({
  name: "publish_report",
  description: "Write the weekly report and tell the team.",
  inputSchema: z.object({ title: z.string(), body: z.string() }),
  uses: ["file.write", "human.tell"],
  async execute({ title, body }, { sys }) {
    // Waits here, for days if need be, until somebody answers.
    await sys.file.write({ path: `./${title}.md`, text: body });
    await sys.human.tell({ message: `published ${title}` });
    return { ok: true };
  },
});

const reporter = defineImage({
  name: "reporter",
  instructions: "Summarise what you know in a weekly report.",
  // With a real model: openaiCompatibleModel({ url, modelId }).
  model: scriptedModel([
    { tool: "publish_report", input: { title: "week-38", body: "# Week 38\n\nAll quiet.\n" } },
    "Published the report.",
  ]),
  tools: [publish],
});

const workspace = "./.libos/approval";
await Deno.mkdir(workspace, { recursive: true });
await using os = await createRuntime({ store: ":memory:", workspace, approvals: "queue" });
const process = await os.spawn(reporter, {
  goal: "Publish this week's report",
  grants: [ask("file.write", "./*.md"), allow("human.tell", "owner")],
  budget: { tokens: 200_000, wallClock: "10m" },
});

const done = new AbortController();
const ended = process.wait().finally(() => done.abort());
for await (const request of os.approvals.watch({ signal: done.signal })) {
  console.log(`${request.kind}: ${request.prompt}`);
  if (request.call !== undefined) console.log(`  args ${JSON.stringify(request.call.args)}`);
  await os.approvals.decide(request.id, { outcome: "approve", scope: "once" }, { actor: "ada" });
}
console.log((await ended).result);
console.log(await Deno.readTextFile(`${workspace}/week-38.md`));
