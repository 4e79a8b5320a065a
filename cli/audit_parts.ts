/**
 * What the commands about seals share: the store with its history, keys, anchors, heads.
 * @module
 */

import { oneLine } from "../providers/printable.ts";
import { resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/parse.ts";
import { HEAD } from "../kernel/seal.ts";
import type { Anchor, SignedHead, Trust } from "../kernel/seal.ts";
import { checkSignature, SigningKey } from "../providers/signing.ts";
import type { SqliteMode } from "../providers/sqlite_store.ts";
import { anchorOf, type AuditOptions } from "../runtime/auditing.ts";
import type { Audited } from "../runtime/seal.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { isFile, readText } from "./files.ts";
import { dbPath, openStore } from "./store.ts";

/** Opens the store, does a job, and closes it. "join" seals beside a running kernel, too. */
export async function auditing<T>(
  at: Context,
  mode: Exclude<SqliteMode, "own">,
  job: (parts: Audited) => Promise<T>,
): Promise<T> {
  const store = await openStore(at, mode);
  try {
    const audit = store.audit?.();
    if (audit === undefined) throw unsealed(store.name);
    return await job({ store, audit });
  } finally {
    await store.close();
  }
}

/** What is said of a store that keeps no seals. */
export function unsealed(name: string): SysError {
  const expected = "expected a file or a database; libos verify checks its chains";
  return new SysError("ENOSYS", `Cannot look at the seals of store "${name}": none, ${expected}`);
}

/** Where the key of the store is. */
export function keyFileOf(at: Context): string {
  const given = at.flags.text("key-file");
  return given === undefined ? `${dbPath(at)}.key` : resolve(at.io.cwd, given);
}

/** What a runtime over the store is to be given: nothing, unless `audit init` made a key. */
export async function auditOptionsOf(at: Context): Promise<{ readonly audit?: AuditOptions }> {
  const keyFile = keyFileOf(at);
  if (!await isFile(at, keyFile)) return {};
  const anchor = anchorWord(at);
  const onFault = ({ message }: SysError): void => at.io.err(`audit: ${oneLine(message)}\n`);
  return { audit: { keyFile, onFault, ...(anchor === undefined ? {} : { anchor }) } };
}

/** The anchor that was named, by `--anchor` or `LIBOS_ANCHOR`. */
export function anchorsOf(at: Context): readonly Anchor[] {
  const word = anchorWord(at);
  return word === undefined ? [] : [anchorOf(word)];
}

function anchorWord(at: Context): string | undefined {
  const word = at.flags.text("anchor") ?? at.io.env("LIBOS_ANCHOR");
  if (word === undefined || word === "") return undefined;
  return isUrl(word) ? word : resolve(at.io.cwd, word);
}

function isUrl(word: string): boolean {
  return /^https?:\/\//.test(word);
}

/**
 * The public keys that are trusted: those of `--trust`, each a key or a file with one a line; else
 * the first of the store's own key file; else none.
 */
async function trustedKeys(at: Context): Promise<readonly string[]> {
  const words = at.flags.texts("trust");
  const keys = await Promise.all(words.map((word) => keysIn(at, word)));
  if (words.length > 0) return keys.flat();
  const path = keyFileOf(at);
  return await isFile(at, path) ? [SigningKey.load(path).keys[0]!.key] : [];
}

async function keysIn(at: Context, word: string): Promise<readonly string[]> {
  if (isKey(word)) return [word];
  const text = await isFile(at, word) ? await readText(at, word) : "";
  const keys = text.split("\n").map((line) => line.trim()).filter(isKey);
  if (keys.length > 0) return keys;
  const expected = "expected 64 hexadecimal digits, or a file with such lines: libos audit keys";
  throw new UsageError(`Cannot trust "${word}": no key, ${expected} -o name`);
}

function isKey(word: string): boolean {
  return /^[0-9a-f]{64}$/.test(word);
}

/** What the reader takes as given. */
export async function trustOf(at: Context): Promise<Trust> {
  return { keys: await trustedKeys(at), check: checkSignature };
}

/** Signed heads that are kept elsewhere, as `--head` names them: files, URLs, or their text. */
export async function keptHeads(at: Context): Promise<readonly SignedHead[]> {
  const found: SignedHead[] = [];
  for (const word of at.flags.texts("head")) {
    if (isUrl(word)) found.push(...await anchorOf(word).all());
    else found.push(...headsIn(word, word.startsWith("{") ? word : await readText(at, word)));
  }
  return found;
}

function headsIn(word: string, text: string): SignedHead[] {
  const whole = headOf(text);
  if (whole !== undefined) return [whole];
  const heads = text.split("\n").filter((line) => line.trim() !== "").map(headOf);
  const known = heads.filter((head) => head !== undefined);
  if (known.length > 0 && known.length === heads.length) return known;
  const expected = "expected what libos audit seal -o json prints, or an anchor's file";
  throw new UsageError(`Cannot compare "${word.slice(0, 80)}": no signed head, ${expected}`);
}

/** A head by itself, or in what `audit seal` printed. */
function headOf(text: string): SignedHead | undefined {
  try {
    const value: unknown = parseJson(text);
    const inner = (value as { readonly head?: unknown } | null)?.head;
    return HEAD.safeParse(inner ?? value).data;
  } catch {
    return undefined;
  }
}

/** A number of things: `1 line`, `2 lines`. */
export function several(count: number, thing: string): string {
  return `${count} ${count === 1 ? thing : `${thing}s`}`;
}
