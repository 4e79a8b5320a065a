/**
 * `credential`: secrets that are sent in an agent's name, and that no agent sees.
 *
 * A secret is never an argument: arguments are in lists of processes and in histories of shells.
 * @module
 */

import { resolve } from "node:path";
import { checkCredentialName } from "../kernel/credential.ts";
import { SysError } from "../kernel/errors.ts";
import type { KeptCredential } from "../providers/credential_file.ts";
import { openCredentials } from "../providers/credentials.ts";
import type { Command, Context } from "./command.ts";
import { CREDENTIAL_OPTIONS, credentialFile } from "./credential_place.ts";
import { EXIT, type ExitCode, UsageError } from "./exit.ts";
import { list, show } from "./output.ts";
import { encryptionFor } from "./store_key.ts";

/** `credential`. */
export const credential: Command = {
  name: "credential",
  group: "authority",
  usage: "add NAME --origin HOST… [--header H] [--prefix P] [--env VAR|--file F] | ls | " +
    "rm NAME | seal",
  about: "Keep secrets that are sent to their own origins in an agent's name, and never shown",
  examples: [
    "libos credential add github --origin api.github.com --prefix 'Bearer ' < token.txt",
    "libos credential ls",
  ],
  options: {
    ...CREDENTIAL_OPTIONS,
    origin: { type: "string", multiple: true },
    header: { type: "string" },
    prefix: { type: "string" },
    env: { type: "string" },
    file: { type: "string" },
    replace: { type: "boolean" },
  },
  words: [1, 3],
  async run(at) {
    const [verb, name, more] = at.words;
    if (more !== undefined) {
      const expected = "expected it typed, on standard input, or --env VAR";
      throw new UsageError(`Cannot take a secret as an argument: others can see it, ${expected}`);
    }
    if (verb === "add" && name !== undefined) return await add(at, name);
    if (verb === "ls" && name === undefined) return ls(at);
    if (verb === "seal" && name === undefined) return seal(at);
    if (verb === "rm" && name !== undefined) return rm(at, name);
    throw new UsageError(`Cannot run "credential ${verb}": expected ${credential.usage}`);
  },
};

async function add(at: Context, name: string): Promise<ExitCode> {
  checkCredentialName(name);
  const { flags } = at;
  const hosts = flags.texts("origin");
  if (hosts.length === 0) {
    throw new UsageError(
      `Cannot keep credential "${name}": nowhere to send it, expected --origin HOST`,
    );
  }
  const [header, prefix] = [flags.text("header") ?? "authorization", flags.text("prefix")];
  const where = { hosts, header, ...(prefix === undefined ? {} : { prefix }) };
  // Refuses odd names, origins and headers before anybody types a secret.
  openCredentials({ [name]: { ...where, env: "-" } });
  const kept = await sourceOf(at, name, where);
  const file = credentialFile(at);
  file.put(name, kept, { replace: flags.on("replace") });
  const origins = originsOf(name, kept);
  show(at, { name, origins, header, secret: placeOf(kept), file: file.path }, {
    name,
    lines: [
      `kept ${name}: ${header} to ${origins.join(", ")}, secret ${placeOf(kept)}`,
      `in ${file.path}, ${file.isSealed() ? "encrypted under the store's key" : "plain"}`,
      `Let an agent use it: libos run … --credential ${name}`,
    ],
  });
  return EXIT.ok;
}

type Where = { readonly hosts: readonly string[]; readonly header: string };

/** The secret, or where it will be read each time. */
async function sourceOf(at: Context, name: string, where: Where): Promise<KeptCredential> {
  const [env, file] = [at.flags.text("env"), at.flags.text("file")];
  if (env !== undefined && file !== undefined) {
    throw new UsageError(`Cannot keep credential "${name}": expected --env or --file, not both`);
  }
  if (env !== undefined) {
    if (/^[A-Za-z_]\w*$/.test(env)) return { ...where, env };
    // It may be the secret itself that stands there.
    const state = "what --env names is no name of a variable";
    throw new UsageError(`Cannot keep credential "${name}": ${state}, expected one such as TOKEN`);
  }
  if (file !== undefined) return { ...where, file: resolve(at.io.cwd, file) };
  const value = await at.io.secret(`Secret for "${name}" (not shown): `);
  if (value !== "") return { ...where, value };
  const state = "nothing was typed or read";
  throw new SysError("EINVAL", `Cannot keep credential "${name}": ${state}, expected its secret`);
}

function ls(at: Context): ExitCode {
  const rows = Object.entries(credentialFile(at).read()).map(([name, kept]) => ({
    name,
    origins: originsOf(name, kept),
    header: kept.header ?? "authorization",
    secret: placeOf(kept),
  }));
  list(at, rows, {
    columns: [
      { head: "NAME", of: ({ name }) => name },
      { head: "ORIGINS", of: ({ origins }) => origins.join(", ") },
      { head: "HEADER", of: ({ header }) => header },
      { head: "SECRET", of: ({ secret }) => secret },
    ],
    name: ({ name }) => name,
    none: "No credential is kept; libos credential add NAME keeps one",
  });
  return EXIT.ok;
}

function rm(at: Context, name: string): ExitCode {
  if (!credentialFile(at).remove(name)) {
    const expected = "expected one of libos credential ls";
    throw new SysError("ENOENT", `Cannot remove credential "${name}": absent, ${expected}`);
  }
  show(at, { name, removed: true }, { name, lines: [`${name} is forgotten`] });
  return EXIT.ok;
}

/** Under the store's key, or the first of several while it is changed. */
function seal(at: Context): ExitCode {
  if (encryptionFor(at).encryption === undefined) {
    throw new UsageError("Cannot encrypt credentials: expected --store-key FILE, or LIBOS_KEY");
  }
  const file = credentialFile(at);
  if (!file.seal()) {
    const expected = "expected libos credential add first";
    throw new SysError("ENOENT", `Cannot encrypt "${file.path}": absent, ${expected}`);
  }
  show(at, { file: file.path, sealed: true }, {
    name: file.path,
    lines: [`${file.path} is encrypted under the store's key`],
  });
  return EXIT.ok;
}

function originsOf(name: string, kept: KeptCredential): readonly string[] {
  const { hosts, header } = kept;
  // Without the secret: what is told of it must not depend on it.
  const heads = openCredentials({
    [name]: { hosts, ...(header === undefined ? {} : { header }), env: "-" },
  }).list();
  return heads[0]!.origins;
}

/** Where the secret is, and never what it is. */
function placeOf(kept: KeptCredential): string {
  if ("env" in kept) return `in variable ${kept.env}`;
  return "file" in kept ? `in file ${kept.file}` : "kept";
}
