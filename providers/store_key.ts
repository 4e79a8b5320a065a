/**
 * The key of an encrypted store, from its file or as text.
 *
 * A key file is one line of 64 hexadecimal digits: 32 bytes of chance. A store is not encrypted
 * under it directly, but under a data key of its own, which lies in the store wrapped by this one:
 * so a change of keys wraps one small thing anew, and one key may serve many stores.
 *
 * Invariants:
 *   V1. A key is in its file and in the memory of whoever loaded it, and in no message.
 *   V2. A data key is only ever unwrapped for the store that it was wrapped for.
 * @module
 */

import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { SysError } from "../kernel/errors.ts";
import { readPrivate, writePrivate } from "./key_file.ts";

/** Bytes of a key. */
export const KEY_BYTES = 32;
/** Bytes of a nonce and of a tag of AES-256-GCM. */
export const NONCE_BYTES = 12;
/** See {@linkcode NONCE_BYTES}. */
export const TAG_BYTES = 16;
const ID_DIGITS = 16;

/**
 * The key of an encrypted store. Losing it is losing the store: keep a copy elsewhere, and not
 * beside the store.
 *
 * @example
 * ```ts
 * import { createRuntime, StoreKey } from "@agent-libos/core";
 * const folder = await Deno.makeTempDir();
 * const encryption = StoreKey.create(`${folder}/agents.storekey`);
 * await using os = await createRuntime({
 *   store: `${folder}/libos.db`,
 *   encryption,
 *   workspace: null,
 *   approvals: "queue",
 * });
 * console.assert((await os.trees()).length === 0);
 * ```
 */
export class StoreKey {
  /** Names the key, and tells nothing of it: 16 hexadecimal digits. */
  readonly id: string;
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.id = createHash("sha256").update("libos.storekey/1").update(bytes).digest("hex")
      .slice(0, ID_DIGITS);
  }

  /** A key as 64 hexadecimal digits; `name` says where it came from, for the refusal. */
  static of(digits: string, name = "the key of a store"): StoreKey {
    const text = digits.trim();
    if (/^[0-9a-fA-F]{64}$/.test(text)) return new StoreKey(Uint8Array.fromHex(text));
    const state = `${text.length} characters, expected 64 hexadecimal digits`;
    throw new SysError("EINVAL", `Cannot use ${name}: ${state}; libos store key FILE makes one`);
  }

  /** Loads a key file. `EACCES` when others may read it, `EINVAL` when it is none. */
  static load(path: string): StoreKey {
    return StoreKey.of(readPrivate(path), `key file "${path}"`);
  }

  /** Makes a key file that only its owner can read; `EEXIST` when it is there. */
  static create(path: string): StoreKey {
    // Keys come from the host's chance whatever the world's is: a secret must not repeat.
    const bytes = randomBytes(KEY_BYTES);
    writePrivate(path, `${bytes.toString("hex")}\n`);
    return new StoreKey(bytes);
  }

  /**
   * Encrypts the data key of a store.
   * @internal
   */
  wrap(dataKey: Uint8Array, store: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#wrapper(store), nonce);
    cipher.setAAD(wrapPlace(store));
    const body = cipher.update(dataKey);
    cipher.final();
    return new Uint8Array([...nonce, ...body, ...cipher.getAuthTag()]);
  }

  /**
   * Decrypts the data key of a store; undefined when this is not its key, or it was changed (V2).
   * @internal
   */
  unwrap(wrapped: Uint8Array, store: Uint8Array): Uint8Array | undefined {
    if (wrapped.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) return undefined;
    const nonce = wrapped.subarray(0, NONCE_BYTES);
    const cipher = createDecipheriv("aes-256-gcm", this.#wrapper(store), nonce);
    cipher.setAAD(wrapPlace(store));
    cipher.setAuthTag(wrapped.subarray(-TAG_BYTES));
    const body = cipher.update(wrapped.subarray(NONCE_BYTES, -TAG_BYTES));
    try {
      cipher.final();
    } catch {
      return undefined;
    }
    return new Uint8Array(body);
  }

  /**
   * Encrypts a small text for one use, under a key that is made for this text alone.
   * @internal
   */
  seal(text: string, use: string): Uint8Array {
    const salt = randomBytes(KEY_BYTES);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", derived(this.#bytes, salt, use), nonce);
    cipher.setAAD(new TextEncoder().encode(use));
    const body = cipher.update(text, "utf8");
    cipher.final();
    return new Uint8Array([...salt, ...nonce, ...body, ...cipher.getAuthTag()]);
  }

  /**
   * Decrypts what was sealed for this use; undefined when it was not by this key, or was changed.
   * @internal
   */
  unseal(sealed: Uint8Array, use: string): string | undefined {
    const from = KEY_BYTES + NONCE_BYTES;
    if (sealed.length < from + TAG_BYTES) return undefined;
    const key = derived(this.#bytes, sealed.subarray(0, KEY_BYTES), use);
    const cipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(KEY_BYTES, from));
    cipher.setAAD(new TextEncoder().encode(use));
    cipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    try {
      const body = cipher.update(sealed.subarray(from, -TAG_BYTES));
      cipher.final();
      return new TextDecoder().decode(body);
    } catch {
      return undefined;
    }
  }

  #wrapper(store: Uint8Array): Uint8Array {
    return derived(this.#bytes, store, "libos.wrap/1");
  }
}

/** A key for one use, made of another. */
export function derived(key: Uint8Array, salt: Uint8Array, use: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, salt, use, KEY_BYTES));
}

function wrapPlace(store: Uint8Array): Uint8Array {
  return new TextEncoder().encode(`libos.wrap/1 ${store.toHex()}`);
}
