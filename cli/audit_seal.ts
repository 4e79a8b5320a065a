/**
 * `audit init | seal | keys | rotate`: the key of a store, and what it has signed.
 * @module
 */

import { dirname } from "node:path";
import { oneLine } from "../providers/printable.ts";
import { SysError } from "../kernel/errors.ts";
import { readLeaf } from "../kernel/seal.ts";
import type { AuditStore, KeyStatement } from "../kernel/seal.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { checkSignature, SigningKey } from "../providers/signing.ts";
import { faultText, openKey, sealAgain } from "../runtime/auditing.ts";
import type { Audited, Sealed } from "../runtime/seal.ts";
import { anchorsOf, auditing, keyFileOf, several } from "./audit_parts.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { isFile } from "./files.ts";
import { list, show } from "./output.ts";
import { isDatabase } from "./store.ts";
import { dateOf } from "./words.ts";

const WORLD = { clock: realClock, random: realRandom };

/** Makes the key and the first seal. */
export async function initAudit(at: Context): Promise<number> {
  const path = keyFileOf(at);
  const made = !await isFile(at, path);
  const sealed = await sealedFirst(at);
  const { key } = sealed.head;
  const where = `${path}: only you can read it, keep a copy elsewhere`;
  return tell(at, sealed, {
    more: { keyFile: path, key, made },
    lines: [`${made ? "made   " : "found  "} key ${key}`, `        in ${where}`],
  });
}

/** Makes the key, where there is none, and seals. */
export async function sealedFirst(at: Context): Promise<Sealed> {
  return await auditing(at, "join", async (parts) => {
    const path = keyFileOf(at);
    // What stands beside a database has a folder of its own, which nothing made so far.
    if (isDatabase(at)) await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await openKey(path, parts.audit, WORLD);
    return await sealedWith(at, parts);
  });
}

/** Seals what was written. */
export async function sealNow(at: Context): Promise<number> {
  const sealed = await auditing(at, "join", (parts) => sealedWith(at, parts));
  return tell(at, sealed, { more: {}, lines: [] });
}

/** Makes a new key, which the old one signs, and brings it into force. */
export async function rotateKey(at: Context): Promise<number> {
  const path = keyFileOf(at);
  const sealed = await auditing(at, "join", async (parts) => {
    // What the old key is there to say, it says first; a store that it cannot seal is refused.
    await sealedWith(at, parts);
    SigningKey.rotate(path, realClock);
    return await sealedWith(at, parts);
  });
  const { key } = sealed.head;
  return tell(at, sealed, {
    more: { keyFile: path, key },
    lines: [`made    key ${key}, signed by the one before`],
  });
}

async function sealedWith(at: Context, parts: Audited): Promise<Sealed> {
  const path = keyFileOf(at);
  if (!await isFile(at, path)) {
    const expected = "expected the key of the store; libos audit init makes it";
    throw new SysError("ENOENT", `Cannot use key file "${path}": absent, ${expected}`);
  }
  return await sealAgain(() => ({
    ...parts,
    signer: SigningKey.load(path),
    clock: realClock,
    check: checkSignature,
    anchors: anchorsOf(at),
  }));
}

function tell(at: Context, sealed: Sealed, said: {
  readonly more: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
}): number {
  const { head, trees, lines, faults, unanchored } = sealed;
  const what = trees === 0
    ? "nothing new"
    : `${several(lines, "line")} of ${several(trees, "tree")}`;
  show(at, { ...said.more, ...sealed }, {
    name: head.root,
    lines: [
      ...said.lines,
      `sealed  ${what}, ${dateOf(head.at)}`,
      `head    ${head.size} leaves, root ${head.root}`,
    ],
  });
  for (const fault of faults) at.io.err(`NOT SEALED: ${oneLine(faultText(fault))}\n`);
  for (const why of unanchored) at.io.err(`not anchored: ${oneLine(why)}\n`);
  if (faults.length > 0) return EXIT.integrity;
  return unanchored.length > 0 ? EXIT.error : EXIT.ok;
}

/** A key, and what it is now. */
interface KnownKey extends KeyStatement {
  readonly state: "former" | "in force" | "with the next seal";
}

/** Lists the public keys of the store, the oldest first. */
export async function keysOf(at: Context): Promise<number> {
  const path = keyFileOf(at);
  const own = await isFile(at, path) ? SigningKey.load(path).keys : [];
  const signed = await auditing(at, "read", ({ audit }) => keysIn(audit));
  const coming = own.filter(({ key }) => !signed.some((one) => one.key === key));
  const known: KnownKey[] = [
    ...signed.map((one, i) => ({
      ...one,
      state: i + 1 < signed.length ? "former" as const : "in force" as const,
    })),
    ...coming.map((one) => ({ ...one, state: "with the next seal" as const })),
  ];
  list(at, known, {
    columns: [
      { head: "KEY", of: ({ key }) => key },
      { head: "MADE", of: ({ at }) => dateOf(at) },
      { head: "STATE", of: ({ state }) => state },
    ],
    name: ({ key }) => key,
    none: "No key yet: libos audit init makes one",
  });
  return EXIT.ok;
}

async function keysIn(audit: AuditStore): Promise<KeyStatement[]> {
  const keys: KeyStatement[] = [];
  for (let from = 0;;) {
    const page = await audit.leaves(from, 512);
    if (page.length === 0) return keys;
    for (const text of page) {
      const leaf = text.endsWith('"type":"libos.key/1"}') ? readLeaf(text) : undefined;
      if (leaf?.type === "libos.key/1") keys.push(leaf);
    }
    from += page.length;
  }
}
