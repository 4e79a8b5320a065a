/**
 * The file in which the command line keeps credentials, and credentials that are read from it.
 *
 * Invariants:
 *   W1. Only its owner reads it, it is whole whenever it is there, and with a key it is encrypted.
 *   W2. What fails tells nothing of what the file holds.
 * @module
 */

import { z } from "zod";
import { type CredentialHead, type Credentials, Redactor } from "../kernel/credential.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import { type CredentialSource, credentialsWith, openCredentials } from "./credentials.ts";
import { type PrivateFile, privateFile } from "./private_file.ts";
import type { StoreKey } from "./store_key.ts";

/** A credential as the command line keeps it: the secret, or where it is. */
export type KeptCredential = CredentialSource;

const where = {
  hosts: z.array(z.string()).min(1),
  header: z.string().exactOptional(),
  prefix: z.string().exactOptional(),
};
const credentials = z.record(
  z.string(),
  z.union([
    z.strictObject({ ...where, value: z.string() }),
    z.strictObject({ ...where, env: z.string() }),
    z.strictObject({ ...where, file: z.string() }),
  ]),
);
const FILE = z.union([
  z.strictObject({ version: z.literal(1), credentials }),
  z.strictObject({ version: z.literal(1), key: z.string(), sealed: z.string() }),
]);
/** What a file is sealed for, so that nothing else opens as one. */
const USE = "libos.credentials/1";

/** What is kept, by name. */
export type KeptCredentials = { readonly [name: string]: KeptCredential };

/** The file in which the command line keeps credentials, readable by its owner only. */
export class CredentialFile {
  /** Where it is. */
  readonly path: string;
  readonly #file: PrivateFile;
  readonly #keys: readonly StoreKey[];

  /**
   * The file at a path; it need not be there. The first key is the one that it is written under,
   * the others are such as it may have been written under before.
   */
  constructor(path: string, keys: readonly StoreKey[] = []) {
    this.path = path;
    this.#file = privateFile(path);
    this.#keys = keys;
  }

  /** Changes whenever the content may have. */
  stamp(): string {
    return this.#file.stamp();
  }

  /**
   * What is kept. Throws `EACCES` when others may read the file or none of the keys opens it,
   * `EINTEGRITY` when it is not what was written.
   */
  read(): KeptCredentials {
    return this.#parse(this.#file.read()).kept;
  }

  /** Whether the file is there and encrypted. */
  isSealed(): boolean {
    return this.#parse(this.#file.read()).isSealed;
  }

  /** Keeps one. Throws `EEXIST` where there is one of that name, unless it is to be replaced. */
  put(name: string, kept: KeptCredential, how: { readonly replace?: boolean } = {}): void {
    openCredentials({ [name]: kept });
    this.#file.update((text) => {
      const all = this.#parse(text).kept;
      if (how.replace !== true && Object.hasOwn(all, name)) {
        const expected = "expected another name, or to replace it";
        throw new SysError("EEXIST", `Cannot keep credential "${name}": it is there, ${expected}`);
      }
      const more = { ...all, [name]: kept };
      openCredentials(more);
      return this.#format(more);
    });
  }

  /** Writes the file anew, under the first key; false when there is none. */
  seal(): boolean {
    if (this.stamp() === "") return false;
    this.#file.update((text) => this.#format(this.#parse(text).kept));
    return true;
  }

  /** Forgets one; false when there was none. */
  remove(name: string): boolean {
    let was = false;
    this.#file.update((text) => {
      const { [name]: gone, ...rest } = this.#parse(text).kept;
      was = gone !== undefined;
      return this.#format(rest);
    });
    return was;
  }

  #parse(text: string | null): { readonly kept: KeptCredentials; readonly isSealed: boolean } {
    if (text === null) return { kept: {}, isSealed: false };
    const read = FILE.safeParse(json(text));
    if (!read.success) throw this.#odd();
    if ("credentials" in read.data) return { kept: read.data.credentials, isSealed: false };
    const { key: id, sealed } = read.data;
    const key = this.#keys.find((each) => each.id === id);
    if (key === undefined) {
      const state = `encrypted under key ${id.slice(0, 16)}`;
      const expected = "expected that key by --store-key or LIBOS_KEY";
      throw new SysError("EACCES", `Cannot read "${this.path}": ${state}, ${expected}`);
    }
    const plain = key.unseal(bytesOf(sealed), USE);
    const kept = credentials.safeParse(json(plain ?? ""));
    if (!kept.success) throw this.#odd();
    return { kept: kept.data, isSealed: true };
  }

  #odd(): SysError {
    const state = "not what was written there, expected credentials";
    return new SysError("EINTEGRITY", `Cannot read "${this.path}": ${state}`);
  }

  #format(kept: KeptCredentials): string {
    const [key] = this.#keys;
    const whole = key === undefined
      ? { version: 1, credentials: kept }
      : { version: 1, key: key.id, sealed: key.seal(JSON.stringify(kept), USE).toBase64() };
    const text = `${JSON.stringify(whole, null, 2)}\n`;
    if (text.length <= LIMITS.credentialFileBytesMax) return text;
    const sentence = `Cannot keep ${text.length} bytes of credentials`;
    throw new SysError("ELIMIT", `${sentence}: expected ${LIMITS.credentialFileBytesMax} at most`, {
      limit: "credentialFileBytesMax",
    });
  }
}

/**
 * The credentials of a file, as it is whenever one is used: what is added, changed or taken away
 * holds from then on. What was once read is searched for as long as this lives.
 */
export function keptCredentials(file: CredentialFile): Credentials {
  return new FileCredentials(file);
}

class FileCredentials implements Credentials {
  readonly #file: CredentialFile;
  readonly #redactor = new Redactor();
  #read: { readonly stamp: string; readonly credentials: Credentials } | null = null;

  constructor(file: CredentialFile) {
    this.#file = file;
  }

  list(): readonly CredentialHead[] {
    return this.#now().list();
  }

  async use(name: string, origin: string): Promise<{ header: string; value: string }> {
    return await this.#now().use(name, origin);
  }

  redact(text: string): string {
    return this.#redactor.text(text);
  }

  redactBytes(bytes: Uint8Array): Uint8Array {
    return this.#redactor.bytes(bytes);
  }

  #now(): Credentials {
    try {
      const stamp = this.#file.stamp();
      if (this.#read?.stamp !== stamp) {
        const credentials = credentialsWith(this.#file.read(), this.#redactor);
        this.#read = { stamp, credentials };
      }
      return this.#read.credentials;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      // Agents hear this: not where the file is, and whose.
      const expected = "expected what libos doctor says of them";
      throw new SysError(
        error.code,
        `Cannot use credentials: their file cannot be read, ${expected}`,
      );
    }
  }
}

function json(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function bytesOf(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return new Uint8Array();
  }
}
