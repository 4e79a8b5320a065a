/**
 * deno run --allow-run --allow-read=demos/sample --allow-write=/tmp demos/hostile.ts
 *
 * A gallery of tools that mean harm: each is run, and said how it was refused or ended. Then a good
 * tool runs in the same kernel, and the log is verified.
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
  type Program,
  type Sys,
  SysError,
} from "@agent-libos/core";
import { oneLine } from "../providers/printable.ts";
import { GOOD, HOSTILE, type HostileTool } from "./hostile_tools.ts";

/** How a tool came out, as its caller saw it. */
interface Ending {
  readonly stage: string;
  readonly said: string;
}

const STAGES = {
  propose: "refused before it ran",
  register: "not registered",
  call: "ended",
} as const;

/** Brings a tool through its life as far as it comes. */
async function live(sys: Sys, name: string, tool: HostileTool): Promise<Ending> {
  const { source, rights = [], calls = 1, wallMs } = tool;
  let stage: keyof typeof STAGES = "propose";
  try {
    const proposal = { name, description: tool.tries, inputSchema: { type: "object" }, source };
    const { tool: version } = await sys.tool.propose({ ...proposal, rights: [...rights] });
    stage = "register";
    await sys.tool.register({
      tool: version,
      limits: wallMs === undefined ? {} : { wallMs },
    });
    stage = "call";
    const outputs: Json[] = [];
    for (let i = 0; i < calls; i++) {
      const { output } = await sys.tool.call({ name, input: {} });
      outputs.push(output as Json);
    }
    return { stage: "answered", said: outputs.map((output) => JSON.stringify(output)).join(", ") };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const { code, message } = error;
    return { stage: STAGES[stage], said: `${code}: ${message.replace(/^Cannot [^:]*: /, "")}` };
  }
}

/** Each step is one tool, so that what one does cannot be another's excuse. */
const gallery: Program = async ({ sys, step }) => {
  const tool = HOSTILE[step - 1];
  const { stage, said } = await live(sys, `tool_${step}`, tool ?? GOOD);
  const number = tool === undefined ? "--" : String(step).padStart(2);
  console.log(`${number}  ${tool === undefined ? "And a good one: " : ""}${(tool ?? GOOD).tries}`);
  console.log(`    ${stage}: ${oneLine(said)}`);
  if (tool === undefined) await sys.process.exit({ result: said });
};

const image = defineImage({ name: "gallery", program: gallery });
await using os = await createRuntime({
  store: ":memory:",
  workspace: decodeURIComponent(new URL("sample", import.meta.url).pathname),
  jit: { isolation: "process", review: "never", memoryMb: 96, timeout: "10s" },
  approvals: "deny",
});
const process = await os.spawn(image, {
  goal: "Run what means harm",
  grants: [
    allow("tool.register", "tool_*"),
    allow("file.read", "./**"),
    allow("file.stat", "./**"),
  ],
});
const { ok, result, outcome } = await process.wait();
const [log] = await os.verify();
const { calls } = await process.info();
console.log(`\n${calls.allowed} calls allowed, ${calls.denied} denied; log of ${log!.lines} lines`);
console.log(log!.broken === null ? "log verified, kernel well" : `log BROKEN: ${log!.broken}`);
if (!ok || result !== "5" || log!.broken !== null) {
  console.error("the good tool did not answer 5:", JSON.stringify(outcome));
  Deno.exit(1);
}
