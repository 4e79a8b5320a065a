/**
 * deno run --allow-run --allow-read=demos/sample --allow-write=/tmp demos/toolmaker.ts
 *
 * An agent writes the tool it needs: it reads the guide, gets a type wrong and repairs it, tests
 * the tool in a cage, has a person look at it, and calls it. No key, no model, no network: the
 * model is a script. Nothing is kept.
 *
 * Tools take --allow-run without a list, since each cage is a child process, which has to be ended
 * too; each child starts in an empty folder of its own, in /tmp. The tools themselves get nothing
 * of these flags.
 * @module
 */

import {
  allow,
  createRuntime,
  defineImage,
  type Json,
  type ModelRequest,
  type PersonRequest,
} from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";
import { treeOf } from "../kernel/ids.ts";
import { TerminalPerson } from "../providers/person.ts";
import { oneLine, quoted } from "../providers/printable.ts";
import { ToolScreen } from "./tool_screen.ts";

const CONTRACT = {
  name: "csv_sum",
  description: "Sum a column of a CSV file",
  inputSchema: {
    type: "object",
    properties: { path: { type: "string" }, column: { type: "string" } },
    required: ["path", "column"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: { total: { type: "number" }, rows: { type: "integer" } },
    required: ["total", "rows"],
  },
  rights: ["file.read(./*.csv)"],
  tests: [
    {
      name: "sums a column",
      input: { path: "a.csv", column: "n" },
      calls: [{
        name: "file.read",
        args: { path: "a.csv" },
        reply: { text: "k,n\nx,1.5\ny,2\n", bytes: 14, sha256: "" },
      }],
      output: { total: 3.5, rows: 2 },
    },
    {
      name: "says that a file is absent",
      input: { path: "a.csv", column: "n" },
      calls: [{ name: "file.read", error: { code: "ENOENT" } }],
      error: { code: "ENOENT" },
    },
  ],
};

const SOURCE = `export default async ({ path, column }, os) => {
  const { text } = await os.file.read(path);
  const [head = "", ...rows] = text.trim().split(/\\r?\\n/);
  const at = head.split(",").indexOf(column);
  if (at < 0) throw new Error(\`No column "\${column}"\`);
  let total = 0;
  for (const row of rows) total += Number(row.split(",")[at]);
  os.log(path, "has", rows.length, "rows");
  return { total, rows: rows.length };
};
`;
/** What a model would write first: a cell may be missing, and a text is no number. */
const WRONG = SOURCE.replace('Number(row.split(",")[at])', 'row.split(",")[at]');

const model = scriptedModel([
  say("Nothing I have adds up a column. I read how a tool is written.", () => ({
    tool: "tool_guide",
    input: { calls: ["file.read"] },
  })),
  say("I propose one, with tests.", () => ({
    tool: "tool_propose",
    input: { ...CONTRACT, source: WRONG },
  })),
  say("The type checker is right: a cell is text. I repair it.", () => ({
    tool: "tool_propose",
    input: { ...CONTRACT, source: SOURCE },
  })),
  say("It is well typed. I run its tests.", (request) => ({
    tool: "tool_test",
    input: { tool: versionIn(request) },
  })),
  say("They pass. I ask for a place in my tool table.", (request) => ({
    tool: "tool_register",
    input: { tool: versionIn(request) },
  })),
  say("Now the tool is mine.", () => ({
    tool: "csv_sum",
    input: { path: "./q3.csv", column: "revenue" },
  })),
  say("What if it is pointed at a file that I may read, but that it did not declare?", () => ({
    tool: "csv_sum",
    input: { path: "./README.md", column: "revenue" },
  })),
  (request) => {
    const sums = request.messages.flatMap((message) =>
      message.role === "tool" && message.name === "csv_sum" && !message.isError
        ? [message.output as { readonly total: number }]
        : []
    );
    return `The revenue in q3.csv is ${sums[0]?.total ?? "unknown"}.`;
  },
], { id: "scripted/toolmaker" });

function say(
  text: string,
  call: (request: ModelRequest) => { readonly tool: string; readonly input: Json },
) {
  return (request: ModelRequest) => ({ text, calls: [call(request)] });
}

/** The version that the last good proposal was answered with. */
function versionIn({ messages }: ModelRequest): string {
  const answers = messages.flatMap((message) =>
    message.role === "tool" && message.name === "tool_propose" && !message.isError
      ? [message.output as { readonly tool: string }]
      : []
  );
  return answers.at(-1)?.tool ?? "none";
}

/** Shows what a person is shown, and answers as was stated: yes, once. */
const scripted = {
  ask: async (request: PersonRequest) => {
    // The request is a line of the screen first.
    await Promise.resolve();
    console.log(`  │  a person is shown, before saying yes or no to ${request.id}:`);
    console.log(quoted(request.preview ?? request.prompt, 4_000).text.replaceAll(/^/gm, "  │  "));
    console.log('  │  no terminal: answering "approve once", as scripted');
    return { outcome: "approve", scope: "once" } as const;
  },
};

const image = defineImage({ name: "toolmaker", instructions: "Write the tools you need.", model });
await using os = await createRuntime({
  store: ":memory:",
  workspace: decodeURIComponent(new URL("sample", import.meta.url).pathname),
  jit: { isolation: "process", review: "always", memoryMb: 128, timeout: "5s" },
  approvals: TerminalPerson.isThere() ? TerminalPerson.open() : scripted,
});
const screen = new ToolScreen((line) => console.log(line));
os.node.listen((_, lines) => screen.hear(lines));
const process = await os.spawn(image, {
  goal: "What is the revenue in ./q3.csv?",
  grants: [allow("tool.register", "csv_*"), allow("file.read", "./**")],
});
const { ok, result } = await process.wait();

console.log("\nGenerated tools of", process.pid);
for (const { name, origin, sha256, rights } of await process.tools()) {
  if (origin !== "generated") continue;
  console.log(`  ${name}  sha256:${sha256?.slice(0, 12)}…  may use ${rights.join(", ")}`);
}
const [log] = await os.verify();
const proof = log!.broken === null ? "verified" : `BROKEN: ${log!.broken}`;
console.log(`Log of ${treeOf(process.pid)}: ${log!.lines} lines, ${proof}`);
console.log(oneLine(String(result)));
if (!ok || log!.broken !== null) Deno.exit(1);
