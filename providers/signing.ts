/**
 * Signing: the key file of a history, Ed25519, and a file that keeps signed heads.
 *
 * The key file is JSON: `{type, log, keys, secret}`, where `secret` is the 32-byte seed of the last
 * of `keys`. Only its owner may read it. Older secrets are not kept: what they signed stays valid,
 * and nothing more can be signed with them. One key file serves one store; a second store under it
 * would look like a rewritten first one.
 *
 * Invariants:
 *   G1. The file is whole whenever it is there: it is written beside its place, synced and renamed.
 *   G2. A secret is in the file and in the memory of whoever loaded it, and in no message.
 * @module
 */

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { z } from "zod";
import { SysError } from "../kernel/errors.ts";
import { canonical } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { HEAD, KEY, KeyChain, signedText } from "../kernel/seal.ts";
import type { Anchor, KeyStatement, SignedHead, Signer } from "../kernel/seal.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { fileFailure, readPrivate, syncFolder, writeAll, writePrivate } from "./key_file.ts";
import { isWeakKey } from "./weak_key.ts";

const FILE = z.strictObject({
  type: z.literal("libos.keyfile/1"),
  log: z.string().regex(/^[0-9a-f]{32}$/),
  keys: z.array(KEY).min(1),
  secret: z.string().regex(/^[0-9a-f]{64}$/),
});
type KeyFile = z.infer<typeof FILE>;

const LOG_BYTES = 16;
const PUBLIC_KEYS_MAX = 64;
/** Enough for the last heads of a file. */
const TAIL_BYTES = 16_384;
/** Imported keys, since a history has many signatures of few keys. */
const publicKeys = new Map<string, KeyObject>();

/**
 * Whether `sig` is the signature of `text` by `key`; both in hexadecimal digits.
 *
 * @example
 * ```ts
 * import { checkSignature } from "@agent-libos/core";
 * console.assert(!checkSignature("not a key", "text", "not a signature"));
 * ```
 */
export function checkSignature(key: string, text: string, sig: string): boolean {
  if (!/^[0-9a-f]{64}$/.test(key) || !/^[0-9a-f]{128}$/.test(sig)) return false;
  if (isWeakKey(key)) return false;
  try {
    const signature = Uint8Array.fromHex(sig);
    return verify(null, new TextEncoder().encode(text), publicKey(key), signature);
  } catch {
    // Not every 32 bytes are a point of the curve.
    return false;
  }
}

function publicKey(key: string): KeyObject {
  const known = publicKeys.get(key);
  if (known !== undefined) return known;
  const x = base64(key);
  const made = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  if (publicKeys.size >= PUBLIC_KEYS_MAX) publicKeys.clear();
  publicKeys.set(key, made);
  return made;
}

/**
 * An Ed25519 key that signs a history, from its file or in memory only. A runtime makes and loads
 * the one of its store by itself.
 *
 * @example
 * ```ts
 * import { checkSignature, SigningKey } from "@agent-libos/core";
 * import { SeededRandom, VirtualClock } from "@agent-libos/core/testing";
 * const key = SigningKey.inMemory({ clock: new VirtualClock(), random: new SeededRandom(1) });
 * console.assert(checkSignature(key.keys[0]!.key, "text", key.sign("text")));
 * ```
 */
export class SigningKey implements Signer {
  readonly log: string;
  readonly keys: readonly KeyStatement[];
  readonly #secret: KeyObject;

  private constructor(file: KeyFile) {
    this.log = file.log;
    this.keys = file.keys;
    this.#secret = secretKey(file);
  }

  /** Makes the first key of a new history; `EEXIST` when the file is there. */
  static create(
    path: string,
    world: { readonly clock: Clock; readonly random: Random },
  ): SigningKey {
    const file = firstKey(world);
    writePrivate(path, `${canonical(file)}\n`);
    return new SigningKey(file);
  }

  /** A key without a file, which ends with the process. */
  static inMemory(world: { readonly clock: Clock; readonly random: Random }): SigningKey {
    return new SigningKey(firstKey(world));
  }

  /** Loads a key file. `EACCES` when others may read it, `EINTEGRITY` when it is not whole. */
  static load(path: string): SigningKey {
    return new SigningKey(readFile(path));
  }

  /**
   * Makes a new key, signed by the last one, whose secret is then gone from the file. The next seal
   * with the new one brings it into force; a signer that still has the old one is refused after.
   */
  static rotate(path: string, clock: Clock): SigningKey {
    const old = readFile(path);
    const { key, secret } = newPair();
    const statement = {
      type: "libos.key/1",
      log: old.log,
      key,
      prev: old.keys.at(-1)!.key,
      at: clock.now(),
    } as const;
    const sig = signed(secretKey(old), signedText(statement));
    const file: KeyFile = { ...old, keys: [...old.keys, { ...statement, sig }], secret };
    replace(path, file);
    return new SigningKey(file);
  }

  /** The last key's signature of a text. */
  sign(text: string): string {
    return signed(this.#secret, text);
  }
}

function firstKey(world: { readonly clock: Clock; readonly random: Random }): KeyFile {
  const { key, secret } = newPair();
  const log = world.random.bytes(LOG_BYTES).toHex();
  const statement = { type: "libos.key/1", log, key, prev: null, at: world.clock.now() } as const;
  const bare: KeyFile = { type: "libos.keyfile/1", log, keys: [{ ...statement, sig: "" }], secret };
  const sig = signed(secretKey(bare), signedText(statement));
  return { ...bare, keys: [{ ...statement, sig }] };
}

function secretKey({ keys, secret }: KeyFile): KeyObject {
  const jwk = { kty: "OKP", crv: "Ed25519", d: base64(secret), x: base64(keys.at(-1)!.key) };
  return createPrivateKey({ key: jwk, format: "jwk" });
}

function signed(secret: KeyObject, text: string): string {
  return sign(null, new TextEncoder().encode(text), secret).toString("hex");
}

/** Keys come from the host's chance whatever the world's is: a secret must not repeat. */
function newPair(): { readonly key: string; readonly secret: string } {
  const { x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const hex = (text: string | undefined) =>
    Uint8Array.fromBase64(text ?? "", { alphabet: "base64url" }).toHex();
  return { key: hex(x), secret: hex(d) };
}

function base64(hex: string): string {
  return Uint8Array.fromHex(hex).toBase64({ alphabet: "base64url", omitPadding: true });
}

function readFile(path: string): KeyFile {
  const file = whole(readPrivate(path));
  if (file !== undefined) return file;
  throw new SysError(
    "EINTEGRITY",
    `Cannot use key file "${path}": malformed, or its keys do not follow each other, ` +
      `expected the file as it was written`,
  );
}

function whole(text: string): KeyFile | undefined {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return undefined;
  }
  const file = FILE.safeParse(value).data;
  if (file === undefined) return undefined;
  const chain = new KeyChain({ keys: [], check: checkSignature });
  if (file.keys.some((key) => key.log !== file.log || chain.add(key) !== null)) return undefined;
  try {
    const probe = `libos: ${file.log}`;
    return checkSignature(chain.last!.key, probe, signed(secretKey(file), probe))
      ? file
      : undefined;
  } catch {
    return undefined;
  }
}

function replace(path: string, file: KeyFile): void {
  const beside = `${path}.new`;
  try {
    // What lies there is of a rotation that did not end.
    Deno.removeSync(beside);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) {
      throw fileFailure(thrown, `rotate key file "${path}"`);
    }
  }
  writePrivate(beside, `${canonical(file)}\n`);
  try {
    Deno.renameSync(beside, path);
    syncFolder(path);
  } catch (thrown) {
    throw fileFailure(thrown, `rotate key file "${path}"`);
  }
}

/**
 * Keeps heads in a file, one a line, synced before `put` answers. It is an anchor as far as who
 * can change the store cannot change the file: another user's, another machine's, or one that the
 * file system only lets grow (`chattr +a`).
 *
 * @example
 * ```ts
 * import { createRuntime, FileAnchor } from "@agent-libos/core";
 * const path = await Deno.makeTempFile();
 * const anchor = new FileAnchor(path);
 * await using os = await createRuntime({ store: ":memory:", workspace: null, audit: { anchor } });
 * const { head } = await os.seal();
 * console.assert((await anchor.latest())?.root === head.root);
 * ```
 */
export class FileAnchor implements Anchor {
  readonly name: string;
  readonly #path: string;

  /** Keeps heads in the file at `path`, which is made when the first is put. */
  constructor(path: string) {
    this.#path = path;
    this.name = `file "${path}"`;
  }

  /** Keeps a head. `ESTALE` for one that another head, as large or larger, contradicts. */
  async put(head: SignedHead): Promise<void> {
    const last = await this.latest();
    if (last !== undefined && canonical(last) === canonical(head)) return;
    if (last !== undefined && (last.log !== head.log || last.size >= head.size)) {
      throw new SysError(
        "ESTALE",
        `Cannot anchor a head of ${head.size} leaves in ${this.name}: it has one of ` +
          `${last.size} of history "${last.log}", expected less of the same`,
      );
    }
    try {
      using file = Deno.openSync(this.#path, { append: true, create: true, mode: 0o644 });
      // Closes a line that a crash cut, if there is one; an empty line is none.
      writeAll(file, `\n${canonical(head)}\n`);
      if (last === undefined) syncFolder(this.#path);
    } catch (thrown) {
      throw fileFailure(thrown, `write to ${this.name}`);
    }
  }

  /** The last head. */
  latest(): Promise<SignedHead | undefined> {
    return new Promise((resolve) => resolve(this.#heads(TAIL_BYTES).at(-1)));
  }

  /** All heads; `EINTEGRITY` for a file with anything else in it. */
  all(): Promise<readonly SignedHead[]> {
    return new Promise((resolve) => resolve(this.#heads(Infinity)));
  }

  /** The heads in the last bytes of the file. */
  #heads(bytesMax: number): SignedHead[] {
    const { text, isCut } = this.#read(bytesMax);
    const lines = text.split("\n").slice(isCut ? 1 : 0, -1);
    // A head has one "}", at its end: a line without was cut by a crash and never answered for.
    return lines.filter((line) => line.endsWith("}")).map((line) => {
      const head = headOf(line);
      if (head !== undefined) return head;
      const sentence = `Cannot read ${this.name}: "${line.slice(0, 80)}" is no signed head`;
      throw new SysError("EINTEGRITY", `${sentence}, expected the file as it was written`);
    });
  }

  #read(bytesMax: number): { readonly text: string; readonly isCut: boolean } {
    try {
      using file = Deno.openSync(this.#path, { read: true });
      const start = Math.max(0, file.statSync().size - bytesMax);
      file.seekSync(start, Deno.SeekMode.Start);
      return { text: readAll(file), isCut: start > 0 };
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return { text: "", isCut: false };
      throw fileFailure(thrown, `read ${this.name}`);
    }
  }
}

function readAll(file: Deno.FsFile): string {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(TAIL_BYTES);
  let text = "";
  for (let read = file.readSync(chunk); read !== null; read = file.readSync(chunk)) {
    text += decoder.decode(chunk.subarray(0, read), { stream: true });
  }
  return text + decoder.decode();
}

function headOf(line: string): SignedHead | undefined {
  try {
    return HEAD.safeParse(parseJson(line)).data;
  } catch {
    return undefined;
  }
}
