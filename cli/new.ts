/**
 * `new agent | tool NAME`: a file to begin with, which runs as it is.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { makeText } from "./files.ts";
import { show } from "./output.ts";
import { newTool } from "./tool_new.ts";

/** `new`. */
export const make: Command = {
  name: "new",
  group: "start",
  usage: "agent NAME | tool NAME",
  about: "Make a first agent, or a first tool with its contract and tests, in this folder",
  examples: ["libos new agent scout", "libos new tool count_lines"],
  options: {},
  words: [2, 2],
  remote: "none",
  run(at) {
    const [what, name] = at.words as [string, string];
    if (what === "agent") return newAgent(at, name);
    if (what === "tool") return newTool(at, name);
    throw new UsageError(`Cannot make "${what}": unknown, expected ${make.usage}`);
  },
};

/** A first agent: a file that runs as it is. */
export function agentSource(name: string): string {
  return `/**
 * libos run ${name}.ts
 *
 * The model is a script, so that it runs without a key. Take that line away, and name a model:
 * libos run ${name}.ts --model http://127.0.0.1:11434/v1 --model-id NAME
 */
import { allow, ask, defineImage } from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";

const image = defineImage({
  name: ${JSON.stringify(name)},
  instructions: "Look around in the folder, and write down what you found.",
  model: scriptedModel([
    { tool: "file_list", input: { path: "." } },
    { tool: "file_write", input: { path: "./${name}.md", text: "I looked around.\\n" } },
    "What I found is in ${name}.md",
  ]),
});

// What is granted is allowed; what is asked is put before you; all else is refused.
const grants = [allow("file.list", "./**"), ask("file.write", "./${name}.md")];

export default { image, spawn: { goal: "Look around", grants } };
`;
}

async function newAgent(at: Context, name: string): Promise<number> {
  if (!/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/.test(name)) {
    const expected = "expected letters, digits, _ and - after a letter";
    throw new UsageError(`Cannot make agent "${name}": ${expected}`);
  }
  const file = `${name}.ts`;
  if (!await makeText(at, file, agentSource(name))) {
    const state = `"${file}" exists, expected another name`;
    throw new SysError("EEXIST", `Cannot make agent "${name}": ${state}`);
  }
  show(at, { name, made: [file] }, {
    name: file,
    lines: [`made ${file}`, `Next: libos run ${file}`],
  });
  return EXIT.ok;
}
