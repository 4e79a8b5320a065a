/**
 * The demo's command line.
 * @module
 */

import { basename } from "node:path";
import { SysError } from "@agent-libos/core";

/** What was asked for. */
export interface AuditArgs {
  readonly folder: string;
  readonly goal: string | null;
  readonly db: string;
  readonly model: { readonly url: string; readonly id: string } | null;
}

/** Shown by `--help`, and after a wrong command line. */
export const USAGE = `Usage: deno task demo [FOLDER] [--db FILE]
       deno task demo -- --model URL --model-id NAME FOLDER "GOAL"

Reads FOLDER with several processes, each of which may read one part of it, and writes a report to
FOLDER/libos-audit/report.md after you allowed it. Without FOLDER it takes a sample.

  --db FILE        where the log is kept (.libos/demo.db)
  --model URL      an OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1
  --model-id NAME  what the endpoint calls the model; a key is taken from LIBOS_MODEL_KEY
  --help           this text`;

const VALUED = ["--db", "--model", "--model-id"];

/** Reads a command line; null when help was asked for. Throws `EINVAL`. */
export function readArgs(args: readonly string[], sample: string): AuditArgs | null {
  const given = new Map<string, string>();
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--help" || arg === "-h") return null;
    if (arg === "--") {
      words.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-")) {
      words.push(arg);
      continue;
    }
    const [flag = "", inline] = arg.split(/=(.*)/s);
    if (!VALUED.includes(flag)) refuse(`unknown flag "${arg}"`);
    const value = inline ?? args[++i];
    if (value === undefined || value === "") refuse(`flag "${flag}" has no value`);
    if (given.has(flag)) refuse(`flag "${flag}" twice`);
    given.set(flag, value!);
  }
  return checked(given, words, sample);
}

function checked(
  given: ReadonlyMap<string, string>,
  words: readonly string[],
  sample: string,
): AuditArgs {
  const url = given.get("--model");
  const id = given.get("--model-id");
  if (words.length > 2) refuse(`${words.length} arguments, expected a folder and a goal in quotes`);
  if (words[0] === "") refuse("the folder is empty text");
  if ((url === undefined) !== (id === undefined)) {
    refuse(
      `--model and --model-id come together, expected ${
        url === undefined ? "--model" : "--model-id"
      } too`,
    );
  }
  if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    refuse(`"${url}" is no HTTP address, expected one such as http://127.0.0.1:11434/v1`);
  }
  const goal = words[1] ?? null;
  if (goal !== null && url === undefined) {
    refuse("a goal needs a model, expected --model URL --model-id NAME");
  }
  return {
    folder: words[0] ?? sample,
    goal,
    db: given.get("--db") ?? ".libos/demo.db",
    model: url === undefined ? null : { url, id: id! },
  };
}

/** The name of a folder, as the report says it. */
export function nameOf(path: string): string {
  return basename(path) || path;
}

function refuse(what: string): never {
  throw new SysError("EINVAL", `Cannot start the demo: ${what}`);
}
