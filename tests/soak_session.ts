/**
 * A long session for the soak test: a desk that works in rounds a driver gives it, and a talker
 * that reads pages through the model loop, on a virtual clock.
 *
 * All chance comes from the marks of rounds, so that a kernel that died does the same again.
 * @module
 */

import { allow, ask, defineImage, defineTool, SysError } from "../mod.ts";
import { scriptedModel, ScriptedPerson, type ScriptedTurn, SeededRandom } from "../testing.ts";
import { z } from "zod";
import type { Json } from "../kernel/json.ts";
import { canonical, sha256 } from "../kernel/json.ts";
import type { Model, ModelRequest } from "../kernel/world.ts";
import type { StepContext } from "../runtime/program.ts";
import { filler } from "./context_fixture.ts";

/** How long a session is. */
export interface SessionSize {
  readonly seed: number;
  readonly rounds: number;
  readonly pages: number;
  /** How long it takes when nothing happens; six hours by default. */
  readonly ms?: number;
}

/** The virtual length of a session. */
export const SESSION_MS = 6 * 3_600_000;
/** How often a file under "once/" may be written, by the desk and all that it starts. */
export const ONCE_MAX = 25;
const WINDOW = 3_000;

/** What a driver does with the desk, in order; each is known afterwards by its mark. */
export type Op =
  | { readonly op: "send"; readonly mark: string; readonly kind: "work" | "end" }
  | { readonly op: "checkpoint"; readonly mark: string }
  | { readonly op: "restore"; readonly mark: string }
  | { readonly op: "fork"; readonly mark: string; readonly at: string };

/** The ops of a session: work, with drafts that are thrown away and branches. */
export function opsOf({ rounds }: SessionSize): Op[] {
  const ops: Op[] = [];
  for (let i = 1; i <= rounds; i++) {
    const isDraft = i % 8 === 4;
    if (isDraft) ops.push({ op: "checkpoint", mark: `c${i}` });
    ops.push({ op: "send", mark: `${isDraft ? "d" : "r"}${i}`, kind: "work" });
    if (isDraft) ops.push({ op: "restore", mark: `c${i}` });
    if (i % 24 === 12) ops.push({ op: "fork", mark: `f${i}`, at: `c${i}` });
  }
  ops.push({ op: "send", mark: "end", kind: "end" });
  return ops;
}

/** Chance that a text gives again. */
export function chanceOf(text: string): SeededRandom {
  return new SeededRandom(parseInt(sha256(text).slice(0, 12), 16));
}

type Tool = (name: string, input: Record<string, unknown>) => Promise<string>;

/** Calls tools as a model would; what is refused is told by its code. */
function toolOf({ sys }: StepContext): Tool {
  return async (name, input) => {
    try {
      const { output } = await sys.tool.call({ name, input: input as never });
      return canonical(output as Json);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return error.code;
    }
  };
}

interface At {
  readonly tool: Tool;
  readonly context: StepContext;
  readonly mark: string;
  readonly chance: SeededRandom;
}

const ACTS: readonly ((at: At) => Promise<unknown>)[] = [
  ({ tool, mark }) => tool("file_write", { path: `w/${mark}`, text: mark.repeat(9) }),
  ({ tool, mark }) => tool("file_write", { path: `asked/${mark}`, text: mark }),
  ({ tool, mark }) => tool("file_write", { path: `denied/${mark}`, text: mark }),
  ({ tool, mark }) => tool("file_write", { path: `once/${mark}`, text: mark }),
  async ({ tool, mark }) => {
    await tool("file_write", { path: `w/${mark}`, text: mark });
    await tool("file_remove", { path: `w/${mark}` });
  },
  async ({ tool, mark }) => {
    await tool("object_create", { name: `o/${mark}`, value: mark.repeat(60), mutable: true });
    await tool("object_write", { object: `o/${mark}`, value: mark.repeat(70), from: 1 });
    await tool("object_read", { object: `o/${mark}` });
    await tool("object_delete", { object: `o/${mark}` });
  },
  ({ tool }) => tool("file_read", { path: "w/ledger" }),
  ({ tool, mark }) => tool("human_ask", { prompt: `May ${mark} go on?` }),
  ({ tool }) => tool("message_receive", { filter: { type: "never" }, timeoutMs: 500 }),
  ({ tool }) => tool("random_bytes", { length: 16 }),
  ({ context, chance }) => context.sys.clock.sleep({ ms: 10 * (1 + chance.below(20)) }),
];

async function act(at: At, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await ACTS[at.chance.below(ACTS.length)]!({ ...at, mark: `${at.mark}-${i}` });
  }
}

/** The work of one round: acts, a child, the ledger. */
async function round(context: StepContext, mark: string, size: SessionSize): Promise<void> {
  const tool = toolOf(context);
  const { sys } = context;
  const chance = chanceOf(`${size.seed} ${mark}`);
  const at = { tool, context, mark, chance };
  await act(at, 5);
  const goal = `child ${mark}`;
  const { pid } = await sys.process.fork({ goal, ephemeral: chance.below(2) === 0 });
  await sys.process.wait({ pids: [pid], merge: true });
  const seen = await tool("file_read", { path: "w/ledger" });
  await tool("file_write", { path: "w/ledger", text: `${mark} after ${sha256(seen).slice(0, 8)}` });
  await tool("object_append", { object: "ledger", item: mark });
  // A branch has a number that a crash may change: the talker does not hear of it.
  if (!mark.startsWith("f")) {
    await tool("message_send", { to: "p_2", data: `Round ${mark} is over.` });
    await tool("clock_sleep", { ms: 10 * Math.floor((size.ms ?? SESSION_MS) / size.rounds / 10) });
  }
}

async function child(context: StepContext, size: SessionSize): Promise<void> {
  const mark = `${context.goal.slice("child ".length)}-child`;
  const tool = toolOf(context);
  await act({ tool, context, mark, chance: chanceOf(`${size.seed} ${mark}`) }, 2);
  await tool("object_create", { name: `results/${mark}`, value: mark });
  await context.sys.process.exit({ result: mark });
}

/** Works in rounds until it is told to end; its report is what was not taken back. */
export function deskOf(size: SessionSize): ReturnType<typeof defineImage> {
  return defineImage({
    name: "desk",
    maxSteps: 100_000,
    program: async (context) => {
      const { sys, goal, step } = context;
      if (goal.startsWith("child ")) return await child(context, size);
      if (step === 1) {
        await sys.object.create({ name: "ledger", list: true });
        return;
      }
      const { messages } = await sys.message.receive({ max: 1, filter: { type: "message" } });
      const said = messages[0]!["data"] as unknown as string;
      const [kind, mark] = said.split(" ");
      if (kind === "work") return await round(context, mark!, size);
      if (kind === "branch") await round(context, mark!, size);
      const { value } = await sys.object.read({ object: "ledger" });
      const text = (value as unknown as string[]).join("\n");
      await sys.file.write({ path: `w/report-${mark}`, text });
      await sys.process.exit({ result: sha256(text) });
    },
  });
}

/** What the desk may do. */
export const DESK_GRANTS = [
  allow("file.*", "./w/**"),
  allow("file.write", "./once/**", { uses: ONCE_MAX }),
  ask("file.write", "./asked/**"),
  allow("process.*"),
  allow("human.*"),
  allow("message.*"),
];

const page = defineTool({
  name: "page",
  description: "A page",
  inputSchema: z.object({ n: z.number() }),
  execute: ({ n }) => ({ n, text: filler(n, 40) }),
});

/** Reads a page a turn, keeps it and sleeps; where it is, the last page in its prompt says. */
export function talkerOf(size: SessionSize): ReturnType<typeof defineImage> {
  const { pages } = size;
  const gapMs = gapOf(size);
  const turn = ({ messages }: ModelRequest): ScriptedTurn => {
    const last = messages.findLast((message) => message.role === "tool" && message.name === "page");
    const [said] = messages.slice(-1);
    if (said?.role === "user" && said.text.startsWith("Summarize the conversation")) {
      return "Pages were read.";
    }
    const n = last?.role === "tool" ? (last.output as { readonly n: number }).n : 0;
    if (n >= pages) return `Read ${n} pages`;
    return [
      { tool: "page", input: { n: n + 1 } },
      { tool: "file_write", input: { path: `w/page-${n + 1}`, text: filler(n + 1, 20) } },
      { tool: "clock_sleep", input: { ms: n === 0 ? gapMs + 3 : gapMs } },
    ];
  };
  return talkerBy(scriptedModel(Array.from({ length: 1_000 }, () => turn)));
}

/** How long the talker sleeps between pages. */
export function gapOf({ pages, ms = SESSION_MS }: SessionSize): number {
  return 10 * Math.floor(ms / pages / 10);
}

/** The talker, by a model that does what the scripted one does. */
export function talkerBy(inner: Model): ReturnType<typeof defineImage> {
  const model: Model & { readonly windowTokens: number } = { ...inner, windowTokens: WINDOW };
  const libc = ["file_write", "clock_sleep"];
  return defineImage({ name: "talker", model, libc, tools: [page], maxSteps: 100_000 });
}

/** What the talker may do. */
export const TALKER_GRANTS = [allow("file.write", "./w/**")];

/** A person who says yes or no by what is asked, never by its id. */
export function person(): ScriptedPerson {
  return new ScriptedPerson(({ kind, prompt, call }) => {
    if (kind === "question") return { outcome: "answer", value: sha256(prompt).slice(0, 4) };
    const path = canonical(call?.args ?? null);
    return sha256(path).charCodeAt(0) % 3 === 0 ? { outcome: "deny" } : { outcome: "approve" };
  });
}
