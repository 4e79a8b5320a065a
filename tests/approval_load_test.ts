/**
 * Approval load: how many requests a task makes when each is approved once, and when suggestions
 * are taken; on the workloads of the demos. The figures stand in docs/approvals.md.
 * @module
 */

import assert from "node:assert/strict";
import {
  type AgentImage,
  ask,
  createRuntime,
  defineImage,
  defineTool,
  type PersonAnswer,
  type PersonRequest,
  type SpawnOptions,
} from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { z } from "zod";
import { GRANTS, images, POLICY } from "../demos/audit_images.ts";
import { auditModel } from "../demos/audit_script.ts";
import { bestOf } from "../runtime/suggest.ts";

interface Task {
  readonly image: AgentImage;
  readonly spawn: SpawnOptions;
  readonly policy: string;
}

/** The audit of the sample folder, under the demo's policy with some rules more. */
function audit(rules: string): Task {
  const model = auditModel("sample", "scripted/audit");
  const { lead, reader } = images(model, { version: "1", isScripted: true });
  const spawn = { goal: "Audit the folder", grants: GRANTS, images: [reader] };
  return { image: lead, spawn, policy: `${POLICY}${rules}` };
}

/** The reporter of the approval demo, over some weeks. */
function reports(weeks: number): Task {
  const publish = defineTool({
    name: "publish_report",
    description: "Write the weekly report.",
    inputSchema: z.object({ title: z.string(), body: z.string() }),
    uses: ["file.write"],
    async execute({ title, body }, { sys }) {
      await sys.file.write({ path: `./${title}.md`, text: body });
      return { ok: true };
    },
  });
  const turns = Array.from({ length: weeks }, (_, i) => ({
    tool: "publish_report",
    input: { title: `week-${i + 1}`, body: "All quiet." },
  }));
  const image = defineImage({
    name: "reporter",
    model: scriptedModel([...turns, "Published."]),
    tools: [publish],
  });
  return { image, spawn: { goal: "Publish", grants: [ask("file.write", "./*.md")] }, policy: "" };
}

const TASKS = {
  audit: audit(""),
  "audit, each read asked about": audit("ask file.read(./**)\nask file.list(./**)\n"),
  "twelve weekly reports": reports(12),
} as const;

const ONCE: PersonAnswer = { outcome: "approve", scope: "once" };

/** Takes the narrowest rule that would have answered the most requests so far. */
function suggested({ suggestions }: PersonRequest): PersonAnswer {
  const best = bestOf(suggestions);
  if (best === undefined || best.scope === "once") return ONCE;
  return { outcome: "approve", scope: best.scope, resource: best.resource };
}

/** Runs a task to its end in a copy of the sample; how many requests it took, and its result. */
async function load(
  { image, spawn, policy }: Task,
  answer: (request: PersonRequest) => PersonAnswer,
): Promise<{ readonly requests: number; readonly result: unknown }> {
  const workspace = await Deno.makeTempDir({ prefix: "approval-load-" });
  try {
    await copy(new URL("../demos/sample/", import.meta.url).pathname, workspace);
    let requests = 0;
    await using os = await createRuntime({
      store: ":memory:",
      workspace,
      policy,
      approvals: {
        ask(request) {
          requests += 1;
          return Promise.resolve(answer(request));
        },
      },
    });
    const process = await os.spawn(image, spawn);
    const { ok, result } = await process.wait();
    assert.ok(ok);
    return { requests, result };
  } finally {
    await Deno.remove(workspace, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (name === ".libos") continue;
    if (isDirectory) await copy(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Takes the widest rule that is suggested, at the first request. */
function widest({ suggestions }: PersonRequest): PersonAnswer {
  const last = suggestions.at(-1);
  if (last === undefined || last.scope === "once") return ONCE;
  return { outcome: "approve", scope: last.scope, resource: last.resource };
}

/** Requests per task: each approved once, the marked suggestion taken, the widest taken. */
const FIGURES: { readonly [T in keyof typeof TASKS]: readonly [number, number, number] } = {
  audit: [1, 1, 1],
  "audit, each read asked about": [15, 15, 14],
  "twelve weekly reports": [12, 2, 1],
};

for (const [name, task] of Object.entries(TASKS) as [keyof typeof TASKS, Task][]) {
  const figures = FIGURES[name];
  Deno.test(`${name}: ${figures.join(", ")} requests, as suggestions are taken`, async () => {
    const loads = [
      await load(task, () => ONCE),
      await load(task, suggested),
      await load(task, widest),
    ];
    assert.deepEqual(loads.map(({ requests }) => requests), figures);
    for (const { result } of loads) assert.deepEqual(result, loads[0]!.result);
    const docs = await Deno.readTextFile(new URL("../docs/approvals.md", import.meta.url));
    assert.match(docs, new RegExp(`\\| ${name} +\\| ${figures.join(" +\\| ")} +\\|`));
  });
}
