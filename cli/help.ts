/**
 * Help: the overview of commands, and a page for each.
 * @module
 */

import type { Command } from "./command.ts";
import { aligned } from "./output.ts";

const GLOBALS = `Options of every command:
  --db PATH           the store; LIBOS_DB, else ./.libos/libos.db
  --host URL          a server in its place; LIBOS_HOST, or a --context NAME (libos context)
  --token TOKEN       what opens the server; LIBOS_TOKEN
  --store-key FILE    the key of an encrypted store; else the digits in LIBOS_KEY
  -o, --output FORM   table, wide, json, jsonl, yaml or name
  -q, --quiet         names only
  --no-headers        tables without their first row
  --workspace DIR     the folder agents work in; else the one that holds .libos
  --policy FILE       rules for trees that are started; else ./libos.policy, if there is one
  -h, --help          this
`;

const CODES =
  "Exit codes: 0 ok · 1 error · 2 usage · 3 not found · 4 denied · 5 waits for a person · " +
  "6 budget\n            7 integrity · 124 timeout · 130 interrupted\n";

/** All commands by group. */
export function overview(commands: readonly Command[]): string {
  const groups = [...new Set(commands.map(({ group }) => group))];
  const parts = groups.map((group) => {
    const rows = commands.filter((one) => one.group === group)
      .map(({ name, about }) => [`  ${name}`, about]);
    return `${group}\n${aligned(rows).join("\n")}\n`;
  });
  const usage = "Usage: libos COMMAND [arguments] [options]\n       libos COMMAND --help\n";
  return `${usage}\n${parts.join("\n")}\n${GLOBALS}\n${CODES}`;
}

/** The page of one command, with its examples. */
export function helpOf(command: Command): string {
  const { name, usage, about, examples, options } = command;
  const own = Object.entries(options).map(([option, { type, short }]) => {
    const letter = short === undefined ? "" : `-${short}, `;
    return `${letter}--${option}${type === "string" ? " VALUE" : ""}`;
  });
  const listed = own.length === 0 ? "" : `Options: ${own.join("  ")}\n\n`;
  const shown = examples.map((example) => `  ${example}\n`).join("");
  return `Usage: libos ${name} ${usage}`.trimEnd() +
    `\n\n${about}.\n\n${listed}Examples:\n${shown}\n${GLOBALS}`;
}
