/**
 * A command as one record, and what it is given when it runs.
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { near } from "../kernel/suggest.ts";
import type { Client } from "../server/client.ts";
import { UsageError } from "./exit.ts";
import type { Io } from "./io.ts";

/** Options as `node:util` reads them. */
export type Options = NonNullable<ParseArgsConfig["options"]>;

/** One command. */
export interface Command {
  /** What it is called by. */
  readonly name: string;
  /** Where the overview shows it. */
  readonly group: "start" | "processes" | "people" | "authority" | "tools" | "state" | "evidence";
  /** What follows the name: `ID [--scope S]`. */
  readonly usage: string;
  /** One sentence. */
  readonly about: string;
  /** Two that can be typed as they are. */
  readonly examples: readonly [string, string];
  /** Besides those that every command takes. */
  readonly options: Options;
  /** The fewest and the most words besides options. */
  readonly words: readonly [number, number];
  /** Its arguments are for a program of its own, and are handed on as they are. */
  readonly isRaw?: true;
  /**
   * What it does when it speaks to a server: `run` again ("same"), nothing else than here, since it
   * touches no store ("none"), or something of its own. "prefer" and "only" are `run` through the
   * server that runs on the store, where one does; "only" cannot do without. Absent: it is refused.
   */
  readonly remote?:
    | "same"
    | "none"
    | "prefer"
    | "only"
    | ((at: Context, client: Client) => Promise<number>);
  /** Whether these words work on a store of this machine alone, whatever `remote` says. */
  isHereOnly?(words: readonly string[]): boolean;
  /** Refuses words before anything is opened or reached. */
  refuse?(words: readonly string[]): void;
  /** Does it; the exit code, or whatever went wrong is thrown. */
  run(at: Context): Promise<number>;
}

/** What every command takes. */
export const GLOBAL_OPTIONS = {
  db: { type: "string" },
  host: { type: "string" },
  token: { type: "string" },
  context: { type: "string" },
  "store-key": { type: "string", multiple: true },
  output: { type: "string", short: "o" },
  quiet: { type: "boolean", short: "q" },
  "no-headers": { type: "boolean" },
  yes: { type: "boolean", short: "y" },
  workspace: { type: "string" },
  policy: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const satisfies Options;

/** How a command prints. */
export const FORMATS = ["table", "wide", "json", "jsonl", "yaml", "name"] as const;
/** How a command prints. */
export type Format = (typeof FORMATS)[number];

/** What a running command has. */
export interface Context {
  /** The command that runs. */
  readonly command: Command;
  /** Where it prints. */
  readonly io: Io;
  /** What is no option, in order. */
  readonly words: readonly string[];
  /** The options. */
  readonly flags: Flags;
  /** How it prints. */
  readonly format: Format;
  /** The server that is spoken to; null where the store here is. */
  readonly client: Client | null;
}

/** The options that were given. */
export class Flags {
  readonly #values: Readonly<Record<string, unknown>>;

  /** Over what was read. */
  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** These, and others in their place or besides. */
  with(values: Readonly<Record<string, unknown>>): Flags {
    return new Flags({ ...this.#values, ...values });
  }

  /** The text of an option; undefined when it was not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  /** Every text of an option that may be repeated. */
  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Whether a switch was given. */
  on(name: string): boolean {
    return this.#values[name] === true;
  }
}

/** Reads the arguments of a command; throws {@linkcode UsageError}. */
export function contextOf(command: Command, argv: readonly string[], io: Io): Context {
  const { values, positionals } = command.isRaw === true && !argv.includes("--help")
    ? { values: {}, positionals: argv }
    : read(command, argv);
  const flags = new Flags(values);
  const format = flags.text("output") ?? "table";
  if (!isFormat(format)) {
    throw new UsageError(`Cannot print "${format}": unknown, expected ${FORMATS.join(", ")}`);
  }
  const [least, most] = command.words;
  const isWrong = positionals.length < least || positionals.length > most;
  if (isWrong && !flags.on("help")) {
    const found = `${positionals.length} arguments`;
    const expected = command.usage === "" ? "none" : command.usage;
    throw new UsageError(`Cannot run "${command.name}": ${found}, expected ${expected}`);
  }
  return { command, io, words: positionals, flags, format, client: null };
}

function read(
  command: Command,
  argv: readonly string[],
): { readonly values: Record<string, unknown>; readonly positionals: readonly string[] } {
  try {
    return parseArgs({
      args: [...argv],
      options: { ...GLOBAL_OPTIONS, ...command.options },
      allowPositionals: true,
      strict: true,
    });
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    throw new UsageError(`Cannot run "${command.name}": ${saidOf(command, thrown.message)}`);
  }
}

/** What is wrong with options: of an unknown one its name, and which may be meant. */
function saidOf({ options }: Command, message: string): string {
  const [said, word] = /^Unknown option '([^']+)'/.exec(message) ?? [message.split("\n")[0]!];
  if (word === undefined) return said;
  const known = Object.keys({ ...GLOBAL_OPTIONS, ...options }).map((name) => `--${name}`);
  return said + near(word, known);
}

function isFormat(text: string): text is Format {
  return (FORMATS as readonly string[]).includes(text);
}
