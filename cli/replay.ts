/**
 * A history once more: `replay`, with the code of today or under another policy. Nothing is sent.
 * @module
 */

import { modelLoop } from "../agents/model_loop.ts";
import { SYSCALLS } from "../broker/table.ts";
import type { AnySyscall } from "../broker/syscall.ts";
import type { Tool } from "../broker/tool.ts";
import { SysError } from "../kernel/errors.ts";
import type { CallHead, ImageData } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { parsePolicy } from "../kernel/policy.ts";
import type { Process } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import type { AgentImage } from "../runtime/image.ts";
import { readLines } from "../runtime/load.ts";
import type { Program } from "../runtime/program.ts";
import { type ReplayCode, type Replayed, replayProcess } from "../runtime/replay.ts";
import { type Otherwise, whatIfOf } from "../runtime/what_if.ts";
import { libc } from "../tools/libc.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { readText } from "./files.ts";
import { startableOf } from "./image_file.ts";
import { list, show } from "./output.ts";
import { progressing } from "./progress.ts";
import { findProcess, reading, TREE_CONTEXT } from "./store.ts";
import { countOf, short } from "./words.ts";

/** `replay`. */
export const replay: Command = {
  name: "replay",
  group: "evidence",
  usage: "PID [--until N] [--image FILE] | PID --policy FILE [--until N]",
  about: "Run a process's code again over its log, or hold a policy against it; exit 7 on a " +
    "difference",
  examples: ["libos replay p_1 --image ./hello.ts", "libos replay p_1 --policy stricter.policy"],
  options: { until: { type: "string" }, image: { type: "string" } },
  words: [1, 1],
  async run(at) {
    const { flags } = at;
    const until = countOf(flags.text("until"), "--until");
    const policy = flags.text("policy");
    if (policy === undefined) return await again(at, until);
    if (flags.text("image") !== undefined) {
      const expected = "expected --image to run code again, or --policy";
      throw new UsageError(`Cannot replay with both an image and a policy: ${expected}`);
    }
    return await under(at, await readText(at, policy), until);
  },
};

/** Code that can be run again here. */
interface Known {
  readonly images: readonly AgentImage[];
  readonly programs: ReadonlyMap<string, Program>;
  readonly tools: ReadonlyMap<string, Tool>;
}

async function known(at: Context): Promise<Known> {
  const file = at.flags.text("image");
  const given = file === undefined ? undefined : await startableOf(at, file);
  const images = given === undefined ? [] : [given.image, ...given.spawn.images ?? []];
  const own = images.flatMap(({ tools }) => tools);
  return {
    images,
    programs: new Map([
      ["model-loop", modelLoop],
      ...images.flatMap(({ data, program }) =>
        program === undefined ? [] : [[data.program, program] as const]
      ),
    ]),
    tools: new Map([...libc(SYSCALLS), ...own].map((tool) => [tool.name, tool])),
  };
}

async function again(at: Context, until: number | undefined): Promise<number> {
  const code = await known(at);
  const calls: Readonly<Record<string, AnySyscall>> = SYSCALLS;
  const replayCode: ReplayCode = {
    context: TREE_CONTEXT,
    program: (name) => code.programs.get(name),
    tool: (name) => code.tools.get(name),
    call: (name) => Object.hasOwn(calls, name) ? calls[name] : undefined,
  };
  const { tree, process, made, unrun } = await progressing(
    at,
    "Running again",
    () =>
      reading(at, async (store) => {
        const { tree, process } = await findProcess(store, at.words[0]!);
        const id = tree.state.tree;
        const lines = readLines(store, id);
        const made = await replayProcess(lines, process.pid, replayCode, until);
        return { tree, process, made, unrun: await unrunTools(store, { tree, process, code }) };
      }),
  );
  refuseUnknown(made, code);
  const other = otherImage(tree, process, code);
  const found = { ...made, same: made.diverged === null, tree: tree.state.tree, unrun, other };
  show(at, found, { name: made.pid, lines: replayedLines(found) });
  return made.diverged === null ? EXIT.ok : EXIT.integrity;
}

/** A program that is not here was not run: that is neither the same nor a difference. */
function refuseUnknown({ pid, ended, steps, calls }: Replayed, code: Known): void {
  const program = /^program "(.*)" is not here$/.exec(ended)?.[1];
  if (program === undefined) return;
  const names = [...code.programs.keys()].map((name) => `"${name}"`).join(", ");
  const so = steps === 0 ? "" : ` after ${steps} steps and ${calls} calls that were the same`;
  const expected = `expected one of ${names}; --image FILE brings others, as libos run takes it`;
  throw new SysError(
    "ENOENT",
    `Cannot replay "${pid}"${so}: program "${program}" is not known here, ${expected}`,
  );
}

/** An image of the same name as that of the log, which is another one. */
function otherImage({ state }: Tree, process: Process, { images }: Known): string | null {
  const image: ImageData | undefined = state.images[process.image];
  const same = images.find(({ data }) =>
    data.name === image?.name && data.version === image.version
  );
  if (image === undefined || same === undefined || same.sha256 === image.hash) return null;
  const is = `${same.ref} is sha256:${same.sha256.slice(0, 12)} here`;
  return `${is}, and sha256:${image.hash.slice(0, 12)} in the log`;
}

/** Tools the process called whose code is not run again: they are answered from the log. */
async function unrunTools(store: Store, { tree, process, code }: {
  readonly tree: Tree;
  readonly process: Process;
  readonly code: Known;
}): Promise<string[]> {
  const found = new Set<string>();
  for await (const { type, data } of readLines(store, tree.state.tree)) {
    if (type !== "call.done" && type !== "call.intent") continue;
    const { pid, name, args } = data as CallHead;
    if (pid !== process.pid || name !== "tool.call") continue;
    const tool = (args as { readonly name: string }).name;
    if (!code.tools.has(tool)) found.add(tool);
  }
  return [...found].sort();
}

function replayedLines({ pid, tree, steps, calls, diverged, ended, unrun, other }: Replayed & {
  readonly tree: TreeId;
  readonly unrun: readonly string[];
  readonly other: string | null;
}): string[] {
  const so = `${countText(steps, "step")} and ${countText(calls, "call")}`;
  const notes = [
    ...(unrun.length === 0 ? [] : [`  answered from the log, not run: ${unrun.join(", ")}`]),
    ...(other === null ? [] : [`  ${other}`]),
  ];
  if (diverged === null) {
    const until = ended === "" ? "to its end" : `as far as that goes: ${ended}`;
    return [`${pid} does the same: ${so}, ${until}`, ...notes];
  }
  const { step, key, seq, message } = diverged;
  const line = seq === null ? "" : `, line ${seq}`;
  return [
    `${pid} differs in step ${step}${key === "" ? "" : `, call ${key}`}${line}`,
    `  ${message}`,
    `  the same until there: ${so}`,
    ...notes,
    ...(key === "" || seq === null ? [] : [`  see: libos explain ${seq} --tree ${tree}`]),
  ];
}

function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** What a policy would have refused or asked about, of a process and all below it. */
async function under(at: Context, text: string, until: number | undefined): Promise<number> {
  parsePolicy(text, TREE_CONTEXT);
  const rows = await reading(at, async (store) => {
    const { tree, process: { pid } } = await findProcess(store, at.words[0]!);
    const lines = readLines(store, tree.state.tree);
    return await whatIfOf(lines, { pid, until }, { text, context: TREE_CONTEXT });
  });
  return listOtherwise(at, rows);
}

/** Prints what a policy would have done otherwise: exit 7 where there is something. */
export function listOtherwise(at: Context, rows: readonly Otherwise[]): number {
  list(at, rows, {
    columns: [
      { head: "LINE", of: ({ seq }: Otherwise) => `#${seq}` },
      { head: "CALL", of: ({ call }) => call },
      { head: "NEEDS", of: ({ right, resource }) => short(`${right}(${resource})`, 60) },
      { head: "WAS", of: ({ was }) => was },
      { head: "WOULD", of: ({ would }) => would === "deny" ? "DENY" : would },
      { head: "RULE", of: ({ rule }) => rule },
    ],
    name: ({ call }) => call,
    none: "The policy would have refused and asked nothing more",
  });
  return rows.length === 0 ? EXIT.ok : EXIT.integrity;
}
