/**
 * Where the command line keeps credentials, and what `run`, `serve`, `mcp` and `doctor` make of
 * them.
 *
 * They are kept with the configuration of a person, and not beside a store: what agents may read
 * is below a workspace.
 * @module
 */

import { join, relative, resolve } from "node:path";
import type { Credentials } from "../kernel/credential.ts";
import { SysError } from "../kernel/errors.ts";
import { oneLine } from "../providers/printable.ts";
import type { Rule } from "../runtime/rule.ts";
import { CredentialFile, keptCredentials } from "../providers/credential_file.ts";
import type { Command, Context } from "./command.ts";
import type { Finding } from "./doctor_cages.ts";
import { UsageError } from "./exit.ts";
import { workspaceOf } from "./store.ts";
import { encryptionFor } from "./store_key.ts";

/** Options of commands that use credentials. */
export const CREDENTIAL_OPTIONS: Command["options"] = {
  credentials: { type: "string" },
};

/** Where credentials are kept; null where there is no home and nothing was said. */
export function credentialsPath({ flags, io }: Context): string | null {
  const said = flags.text("credentials") ?? io.env("LIBOS_CREDENTIALS");
  if (said !== undefined && said !== "") return resolve(io.cwd, said);
  const home = io.env("HOME") ?? io.env("USERPROFILE");
  const config = io.env("XDG_CONFIG_HOME") ?? (home === undefined ? undefined : `${home}/.config`);
  return config === undefined ? null : join(config, "libos", "credentials.json");
}

/** The file of credentials. Throws `ENOENT` where nobody says where it is. */
export function credentialFile(at: Context): CredentialFile {
  const path = credentialsPath(at);
  if (path !== null) return new CredentialFile(path, encryptionFor(at).encryption ?? []);
  const expected = "expected HOME, LIBOS_CREDENTIALS or --credentials FILE";
  throw new SysError("ENOENT", `Cannot keep credentials: no home, ${expected}`);
}

/** What a runtime or a host of servers is given; nothing where nobody says where they are. */
export function credentialsFor(at: Context): { readonly credentials?: Credentials } {
  return credentialsPath(at) === null ? {} : { credentials: keptCredentials(credentialFile(at)) };
}

/** Says before agents start what they would otherwise hear one by one. */
export function warnOfCredentials(at: Context): void {
  for (const { state, detail } of credentialFindings(at)) {
    if (state === "bad") at.io.err(`Credentials: ${oneLine(detail)}\n`);
  }
}

/** Rights to use credentials, by their names or by an origin that they are sent to. */
export function credentialRules(at: Context, words: readonly string[]): Rule[] {
  if (words.length === 0) return [];
  const heads = keptCredentials(credentialFile(at)).list();
  const names = words.flatMap((word) => {
    const origin = word.includes("://") ? URL.parse(word)?.origin : undefined;
    const found = heads.filter(({ name, origins }) =>
      origin === undefined ? name === word : origins.includes(origin)
    );
    if (found.length > 0) return found.map(({ name }) => name);
    const known = heads.map(({ name }) => name).join(", ") || "none";
    const expected = `there are: ${known}; libos credential add makes one`;
    throw new SysError("ENOENT", `Cannot use credential "${word}": absent, ${expected}`);
  });
  return [...new Set(names)].map((name) => ({
    effect: "allow",
    right: "credential.use",
    resource: name,
  }));
}

/** What is found of the file of credentials. */
export function credentialFindings(at: Context): Finding[] {
  const what = "credentials";
  try {
    const path = credentialsPath(at);
    if (path === null) return [{ what, state: "note", detail: "none: no HOME to keep them in" }];
    const file = credentialFile(at);
    const kept = Object.entries(file.read());
    if (kept.length === 0) {
      return [{ what, state: "ok", detail: "none; libos credential add NAME keeps one" }];
    }
    const empty = kept.flatMap(([name, source]) =>
      "env" in source && (at.io.env(source.env) ?? "") === ""
        ? [`"${name}" needs variable ${source.env}, which is not set`]
        : []
    );
    if (empty.length > 0) return [{ what, state: "bad", detail: empty.join("; ") }];
    const isSealed = file.isSealed();
    const detail = `${kept.length} in ${path}, ${isSealed ? "encrypted" : "plain"}`;
    const inside = relative(workspaceOf(at), path);
    if (!isSealed && !inside.startsWith("..")) {
      const fix = "agents may read there: keep it elsewhere, or deny it";
      return [{ what, state: "note", detail: `${detail}; in the workspace, where ${fix}` }];
    }
    return [{ what, state: "ok", detail }];
  } catch (error) {
    if (!(error instanceof SysError) && !(error instanceof UsageError)) throw error;
    const fix = /mode 0600/.test(error.message) ? `: chmod 600 "${credentialsPath(at)}"` : "";
    return [{ what, state: "bad", detail: `${error.message}${fix}` }];
  }
}

const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"];

/** What is found of the net. */
export async function netFinding(at: Context): Promise<Finding> {
  const { state } = await Deno.permissions.query({ name: "net" });
  if (state !== "granted") {
    const detail =
      `--allow-net is ${state}: Deno lets agents reach what its flags name, or nothing`;
    return { what: "net", state: "note", detail };
  }
  const set = PROXIES.filter((name) => (at.io.env(name) ?? "") !== "");
  const proxies = set.length === 0 ? "" : `; ${set.join(", ")} is not used`;
  const detail = `run and serve reach it for who holds net.fetch; private hosts by name${proxies}`;
  return { what: "net", state: "ok", detail };
}
