/**
 * Keys that vouch for packages: Ed25519, in the PEM files that `openssl genpkey` writes, too.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { readPrivate, writePrivate } from "./key_file.ts";
import { isWeakKey } from "./weak_key.ts";

const PEM = /-----BEGIN (PRIVATE|PUBLIC) KEY-----([\s\S]+?)-----END \1 KEY-----/;

/** A key that signs. */
export interface PackageKey {
  /** Its public half: 32 bytes in hexadecimal digits. */
  readonly key: string;
  /** Its signature of a text, in hexadecimal digits. */
  sign(text: string): Promise<string>;
}

/** Makes a key and its file; `EEXIST` when the file is there. The public half. */
export async function makePackageKey(path: string): Promise<string> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  writePrivate(path, `-----BEGIN PRIVATE KEY-----\n${der.toBase64()}\n-----END PRIVATE KEY-----\n`);
  return new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)).toHex();
}

/** Loads one. `EACCES` when others may read its file, `EINVAL` when it is no Ed25519 key. */
export async function loadPackageKey(path: string): Promise<PackageKey> {
  const text = readPrivate(path);
  try {
    const der = derOf(text, "PRIVATE");
    const secret = await crypto.subtle.importKey("pkcs8", der, "Ed25519", true, ["sign"]);
    const { x } = await crypto.subtle.exportKey("jwk", secret);
    const key = Uint8Array.fromBase64(x!, { alphabet: "base64url" }).toHex();
    return {
      key,
      sign: async (text) => {
        const bytes = new TextEncoder().encode(text);
        return new Uint8Array(await crypto.subtle.sign("Ed25519", secret, bytes)).toHex();
      },
    };
  } catch {
    const expected = "expected an Ed25519 key in PEM; libos images keygen makes one";
    throw new SysError("EINVAL", `Cannot use key file "${path}": no such key, ${expected}`);
  }
}

/** A public key: 64 hexadecimal digits, or the text of a PEM file. Throws `EINVAL`. */
export async function publicKeyOf(text: string): Promise<string> {
  if (/^[0-9a-f]{64}$/.test(text) && !isWeakKey(text)) return text;
  try {
    const der = derOf(text, "PUBLIC");
    const key = await crypto.subtle.importKey("spki", der, "Ed25519", true, ["verify"]);
    return new Uint8Array(await crypto.subtle.exportKey("raw", key)).toHex();
  } catch {
    const expected = "expected 64 hexadecimal digits, or a public key in PEM";
    throw new SysError("EINVAL", `Cannot use the key: it is no Ed25519 key, ${expected}`);
  }
}

/** Whether a signature is that of a text by a key. */
export async function holdsSignature(
  { key, sig }: { readonly key: string; readonly sig: string },
  text: string,
): Promise<boolean> {
  if (isWeakKey(key)) return false;
  try {
    const raw = Uint8Array.fromHex(key);
    const imported = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
    const bytes = new TextEncoder().encode(text);
    return await crypto.subtle.verify("Ed25519", imported, Uint8Array.fromHex(sig), bytes);
  } catch {
    // Not every 32 bytes are a key.
    return false;
  }
}

function derOf(text: string, kind: "PRIVATE" | "PUBLIC"): Uint8Array<ArrayBuffer> {
  const [, found, body = ""] = PEM.exec(text) ?? [];
  if (found !== kind) throw new TypeError("another PEM");
  return Uint8Array.fromBase64(body.replaceAll(/\s/g, ""));
}
