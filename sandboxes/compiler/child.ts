/**
 * The process in which sources are checked: takes one source a frame, answers one frame each.
 *
 * It runs without any permission but to read the compiler's own folder. What it is given it never
 * runs. At the first thing the compiler throws it says so and ends: a compiler that was interrupted
 * is not used again.
 * @module
 */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { Checked } from "../../broker/sandbox.ts";
import { declarations } from "../../broker/guide.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { Checker, LIBRARY, type Source } from "./checker.ts";
import { fromFrames, toFrame } from "./frames.ts";
import { GLOBALS } from "./globals.ts";
import type { TypeScript } from "./syntax.ts";

// Uses what every check uses, so that the first one finds it ready.
const WARM: Source = {
  source: `export default async ({ path }, os) => {
  const { text } = await os.file.read(path);
  const rows = new Map(text.split("\\n").map((row) => [row, row.length] as const));
  return { total: [...rows.values()].reduce((sum, one) => sum + one, 0) };
};
`,
  inputSchema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  outputSchema: { type: "object", properties: { total: { type: "number" } } },
};

function load(path: string): TypeScript {
  // The compiler takes this for a browser, and makes no file system of its own.
  Object.assign(process, { browser: true });
  return createRequire(path)(path);
}

/** A library file and all that it names, from the compiler's own folder. */
async function libraries(folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const read = async (name: string): Promise<void> => {
    if (found.has(name)) return;
    found.set(name, "");
    const url = pathToFileURL(join(folder, name)).href;
    const module: { default: string } = await import(url, { with: { type: "text" } });
    found.set(name, module.default);
    const named = [...module.default.matchAll(/^\/\/\/ <reference lib="([\w.]+)"/gm)];
    await Promise.all(named.map(([, library]) => read(`lib.${library}.d.ts`)));
  };
  await read(LIBRARY);
  return found;
}

async function serve(path: string): Promise<void> {
  const typescript = load(path);
  const port = declarations() + GLOBALS;
  const checker = new Checker({ typescript, libraries: await libraries(dirname(path)), port });
  const warm = checker.check(WARM);
  if (!warm.ok) throw new Error(warm.problems[0]!.message);
  process.stdout.write(toFrame({ ready: typescript.version }));
  for await (const tool of fromFrames(process.stdin, LIMITS.cageFrameBytesMax)) {
    const checked = attempt(checker, tool as Source);
    process.stdout.write(toFrame(checked ?? { overcome: true }));
    if (checked === undefined) return;
  }
}

/** Undefined when the compiler threw: its stack was used up, or it met a case it did not expect. */
function attempt(checker: Checker, tool: Source): Checked | undefined {
  try {
    return checker.check(tool);
  } catch {
    return undefined;
  }
}

await serve(process.argv[2]!);
