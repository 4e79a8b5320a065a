/**
 * The blocks of code of pages and of modules' comments, as the tests of one program: what they
 * import is loaded once for all of them.
 * @module
 */

import { join } from "node:path";

/** A block of code. */
interface Block {
  /** The file that it is in, and the line where it begins. */
  readonly name: string;
  readonly code: string;
}

/** What stands after "```": which language, and whether the block is one to run. */
const RUN = /^(?:ts|typescript|js|javascript)$/;

/** What is claimed by `console.assert`, which only prints, and not where. */
const THROWS = `console.assert = (holds?: boolean, ...said: unknown[]) => {
  if (holds !== true) throw new Error(["Assertion failed", ...said].join(" "));
};
`;

/** The blocks of `text` that are to be run, each where it stands. */
function blocksIn(path: string, text: string): Block[] {
  const blocks: Block[] = [];
  let code: string[] | null = null;
  let isRun = false;
  let from = 0;
  for (const [i, line] of text.split("\n").entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (fence === null) code?.push(line);
    else if (code === null) [code, isRun, from] = [[], RUN.test(fence[1]!.trim()), i + 2];
    else {
      if (isRun) blocks.push({ name: `${path}:${from}`, code: code.join("\n") });
      code = null;
    }
  }
  return blocks;
}

/** What the comments of a module say, on the lines where they say it. */
function comments(text: string): string {
  let isComment = false;
  return text.split("\n").map((line) => {
    if (/^\s*\/\*\*/.test(line)) isComment = true;
    const said = isComment ? line.replace(/^\s*(?:\/\*\*|\*\/|\* ?)/, "") : "";
    if (line.includes("*/")) isComment = false;
    return said;
  }).join("\n");
}

/**
 * Writes a program into a folder, with a test for each block that is to be run in some files.
 * Gives where it is, and the names of its tests.
 */
export async function program(
  root: string,
  files: readonly string[],
  folder: string,
): Promise<{ readonly path: string; readonly names: readonly string[] }> {
  const names: string[] = [];
  const tests: string[] = [];
  for (const file of files) {
    const text = await Deno.readTextFile(join(root, file));
    const said = file.endsWith(".md") ? text : comments(text);
    for (const { name, code } of blocksIn(file, said)) {
      const block = `${names.length}.ts`;
      await Deno.writeTextFile(join(folder, block), `${code}\nexport {};\n`);
      tests.push(
        `Deno.test(${JSON.stringify(name)}, async () => void await import("./${block}"));`,
      );
      names.push(name);
    }
  }
  const path = join(folder, "blocks_test.ts");
  await Deno.writeTextFile(path, `${THROWS}${tests.join("\n")}\n`);
  return { path, names };
}
