/**
 * Credentials of the host: given by code, read from the environment or from a file. Those that the
 * command line keeps are in `credential_file.ts`.
 *
 * A secret is read when it is first sent, and again each time, so that a new one needs no restart.
 * @module
 */

import {
  checkSecret,
  type CredentialHead,
  credentialHead,
  type Credentials,
  Redactor,
} from "../kernel/credential.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { privateFile } from "./private_file.ts";

/** Where a secret is, and where it may be sent. */
export type CredentialSource =
  & {
    /** Names such as "api.github.com"; "http://127.0.0.1:8080" for plain HTTP on this machine. */
    readonly hosts: readonly string[];
    /** "authorization" by default. */
    readonly header?: string;
    /** What stands before the secret: "Bearer ". */
    readonly prefix?: string;
  }
  & (
    | { /** The secret itself. */ readonly value: string }
    | { /** The name of a variable of the environment. */ readonly env: string }
    | { /** A file that only its owner may read. */ readonly file: string }
  );

/** Credentials by the names that calls use. */
export type CredentialSources = { readonly [name: string]: CredentialSource };

/** Opens credentials; their secrets are read when they are used. Throws `EINVAL`. */
export function openCredentials(sources: CredentialSources): Credentials {
  return credentialsWith(sources, new Redactor());
}

/**
 * Opens credentials that share what is searched for with others before and after them.
 * @internal
 */
export function credentialsWith(sources: CredentialSources, redactor: Redactor): Credentials {
  return new HostCredentials(sources, redactor);
}

interface Held {
  readonly head: CredentialHead;
  readonly source: CredentialSource;
}

class HostCredentials implements Credentials {
  readonly #held = new Map<string, Held>();
  readonly #redactor: Redactor;

  constructor(sources: CredentialSources, redactor: Redactor) {
    this.#redactor = redactor;
    const entries = Object.entries(sources);
    if (entries.length > LIMITS.credentialsMax) {
      const sentence = `Cannot keep ${entries.length} credentials`;
      throw new SysError("ELIMIT", `${sentence}: expected ${LIMITS.credentialsMax} at most`, {
        limit: "credentialsMax",
      });
    }
    for (const [name, source] of entries) {
      const head = credentialHead(name, source.hosts, source.header ?? "authorization");
      this.#held.set(name, { head, source });
      // What was given is searched for from the start; what is elsewhere, once it was read.
      if ("value" in source) this.#redactor.add(name, this.#checked(name, source, source.value));
    }
  }

  list(): readonly CredentialHead[] {
    return [...this.#held.values()].map(({ head }) => head);
  }

  // deno-lint-ignore require-await -- the interface allows for secrets that are far away
  async use(name: string, origin: string): Promise<{ header: string; value: string }> {
    const held = this.#held.get(name);
    if (held === undefined) {
      const expected = "expected one that this runtime was given";
      throw new SysError("ENOENT", `Cannot use credential "${name}": absent, ${expected}`);
    }
    const { head, source } = held;
    if (!head.origins.includes(origin)) {
      const sentence = `Cannot use credential "${name}" for "${origin}": it is not for there`;
      throw new SysError("EACCES", `${sentence}, expected ${head.origins.join(" or ")}`);
    }
    const value = this.#checked(name, source, secretOf(name, source));
    this.#redactor.add(name, value);
    return { header: head.header, value };
  }

  redact(text: string): string {
    return this.#redactor.text(text);
  }

  redactBytes(bytes: Uint8Array): Uint8Array {
    return this.#redactor.bytes(bytes);
  }

  #checked(name: string, source: CredentialSource, secret: string): string {
    const value = `${source.prefix ?? ""}${secret}`;
    checkSecret(name, value);
    return value;
  }
}

function secretOf(name: string, source: CredentialSource): string {
  if ("value" in source) return source.value;
  const cannot = `Cannot use credential "${name}"`;
  if ("env" in source) {
    const value = Deno.env.get(source.env);
    if (value !== undefined) return value;
    throw new SysError("EIO", `${cannot}: variable "${source.env}" is not set, expected a secret`);
  }
  const text = privateFile(source.file).read();
  if (text !== null) return text.replace(/\r?\n$/, "");
  throw new SysError("EIO", `${cannot}: no file "${source.file}", expected one with the secret`);
}
