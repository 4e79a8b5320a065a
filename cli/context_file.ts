/**
 * Contexts: servers by name, with the tokens to speak to them, in a file that only its owner reads.
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { SysError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/parse.ts";
import { type PrivateFile, privateFile } from "../providers/private_file.ts";
import { suggest } from "../kernel/policy.ts";
import type { Context } from "./command.ts";

/** The name of no server: commands work on the store here. */
export const LOCAL = "local";

const FILE = z.strictObject({
  type: z.literal("libos.contexts/1"),
  current: z.string(),
  contexts: z.record(z.string(), z.strictObject({ url: z.string(), token: z.string() })),
});
/** What is kept. */
export type Contexts = z.infer<typeof FILE>;

const NONE: Contexts = { type: "libos.contexts/1", current: LOCAL, contexts: {} };

/** Where contexts are kept; null where there is no home. */
function contextsPath({ io }: Context): string | null {
  const home = io.env("HOME") ?? io.env("USERPROFILE");
  const config = io.env("XDG_CONFIG_HOME") ?? (home === undefined ? undefined : `${home}/.config`);
  return config === undefined ? null : join(config, "libos", "contexts.json");
}

function contextsFile(at: Context): PrivateFile | null {
  const path = contextsPath(at);
  return path === null ? null : privateFile(path);
}

/** The contexts that are kept. Throws `EINTEGRITY` when the file is something else. */
export function readContexts(at: Context): Contexts {
  return parsed(contextsFile(at)?.read() ?? null);
}

/** Changes the contexts that are kept. */
export function changeContexts(at: Context, change: (kept: Contexts) => Contexts): void {
  const file = contextsFile(at);
  if (file === null) {
    throw new SysError("ENOENT", "Cannot keep a context: no home, expected HOME to be set");
  }
  file.update((text) => `${JSON.stringify(change(parsed(text)), null, 2)}\n`);
}

/** A context by its name. Throws `ENOENT`. */
export function contextNamed(
  { contexts }: Contexts,
  name: string,
): { readonly url: string; readonly token: string } {
  if (Object.hasOwn(contexts, name)) return contexts[name]!;
  const near = suggest(name, Object.keys(contexts));
  const hint = near === undefined ? "" : `, did you mean "${near}"?`;
  const expected = `expected one of libos context ls${hint}`;
  throw new SysError("ENOENT", `Cannot use context "${name}": absent, ${expected}`);
}

function parsed(text: string | null): Contexts {
  if (text === null || text.trim() === "") return NONE;
  try {
    return FILE.parse(parseJson(text));
  } catch {
    const state = "they are not what was written, expected libos.contexts/1";
    throw new SysError("EINTEGRITY", `Cannot read the contexts: ${state}`);
  }
}
