/**
 * Hooks on the command line: those of the options, and those of `hooks.json` beside the store.
 * @module
 */

import { parseJson } from "../kernel/parse.ts";
import { oneLine } from "../providers/printable.ts";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { HookBook } from "../providers/hook_book.ts";
import { privateFile } from "../providers/private_file.ts";
import { type Hook, hookBookPath } from "../runtime/hooks.ts";
import { HOOK_EVENTS } from "../runtime/hook_events.ts";
import type { RuntimeOptions } from "../runtime/runtime_options.ts";
import type { Command, Context } from "./command.ts";
import type { Finding } from "./doctor_cages.ts";
import { UsageError } from "./exit.ts";
import { isFile } from "./files.ts";
import { dbPath } from "./store.ts";

/** Options of commands that tell hooks. */
export const HOOK_OPTIONS: Command["options"] = {
  hook: { type: "string", multiple: true },
  "hook-secret-file": { type: "string" },
  "hook-command": { type: "string", multiple: true },
  "hook-on": { type: "string", multiple: true },
};

const command = z.array(z.string()).min(1);
const events = z.array(z.enum(HOOK_EVENTS)).min(1);
const hooksFile = z.array(z.strictObject({
  on: events.optional(),
  url: z.string().optional(),
  secretFile: z.string().optional(),
  command: command.optional(),
  timeoutMs: z.number().int().min(1).optional(),
  attempts: z.number().int().min(1).optional(),
}));

/** The hooks of a runtime; none unless options or the file name some. */
export async function hooksFor(
  at: Context,
): Promise<Pick<RuntimeOptions, "hooks" | "hookOptions">> {
  const hooks = [...ofOptions(at), ...await ofFile(at)];
  if (hooks.length === 0) return {};
  return { hooks, hookOptions: { onFault: ({ message }) => at.io.err(`${oneLine(message)}\n`) } };
}

/** What the book of hooks says; nothing where no hook ever was. */
export async function hookFindings(at: Context): Promise<Finding[]> {
  const path = hookBookPath(dbPath(at));
  if (!await isFile(at, path)) return [];
  const book = new HookBook(path);
  try {
    const { due, dead } = book.counts();
    const [last] = book.dead(1);
    const detail = `${due} wait, ${dead} were given up`;
    return last === undefined
      ? [{ what: "hooks", state: "ok", detail }]
      : [{ what: "hooks", state: "note", detail: `${detail}, last ${last.event}: ${last.error}` }];
  } finally {
    book.close();
  }
}

function ofOptions(at: Context): Hook[] {
  const { flags } = at;
  const on = flags.texts("hook-on");
  const odd = on.find((event) => !events.safeParse([event]).success);
  if (odd !== undefined) {
    throw new UsageError(`Cannot hook "${odd}": unknown, expected ${HOOK_EVENTS.join(", ")}`);
  }
  const which = on.length === 0 ? {} : { on: events.parse(on) };
  const file = flags.text("hook-secret-file");
  const signed = file === undefined ? {} : { secret: secretIn(at, file) };
  return [
    ...flags.texts("hook").map((url) => ({ url, ...signed, ...which })),
    ...flags.texts("hook-command").map((text) => ({ command: commandOf(text), ...which })),
  ];
}

async function ofFile(at: Context): Promise<Hook[]> {
  const path = join(dirname(dbPath(at)), "hooks.json");
  if (!await isFile(at, path)) return [];
  // Addresses of webhooks are secrets, too.
  const read = hooksFile.safeParse(json(privateFile(path).read() ?? "[]"));
  if (!read.success) {
    const [issue] = read.error.issues;
    const where = issue?.path.join(".") ?? "";
    throw new UsageError(`Cannot use "${path}": ${where} ${issue?.message ?? "it is no JSON"}`);
  }
  return read.data.map(({ secretFile, ...hook }) =>
    ({
      ...hook,
      ...(secretFile === undefined
        ? {}
        : { secret: secretIn(at, resolve(dirname(path), secretFile)) }),
    }) as Hook
  );
}

function secretIn(at: Context, file: string): string {
  const path = resolve(at.io.cwd, file);
  const text = privateFile(path).read()?.trim();
  if (text === undefined || text === "") {
    throw new UsageError(`Cannot use "${path}": no secret in it, expected one of 16 characters`);
  }
  return text;
}

function commandOf(text: string): readonly string[] {
  const read = command.safeParse(json(text));
  if (read.success) return read.data;
  const expected = `expected JSON: '["notify", "--quiet"]'`;
  throw new UsageError(`Cannot run hook command ${JSON.stringify(text)}: ${expected}`);
}

function json(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
