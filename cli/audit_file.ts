/**
 * Checking what was handed out: a proof, a proof of growth, or an export. No store is needed.
 * @module
 */

import { resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { ExportReader } from "../kernel/export.ts";
import { parseJson } from "../kernel/parse.ts";
import { verifyGrowth, verifyProof } from "../kernel/proof.ts";
import type { SignedHead, Trust } from "../kernel/seal.ts";
import { faultText } from "../runtime/auditing.ts";
import { keptHeads, several, trustOf } from "./audit_parts.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { show } from "./output.ts";
import { dateOf } from "./words.ts";

/** A proof has one line and what it names; an export is never read as a whole. */
const PROOF_CHARS_MAX = 64 * 2 ** 20;
/** More than the first record of an export has. */
const START_BYTES = 1_024;

/** What a file is, what was found, and what to say of it. */
interface Found {
  readonly type: string;
  readonly why: string | null;
  readonly head: SignedHead | null;
  readonly lines: readonly string[];
  readonly more: Readonly<Record<string, unknown>>;
}

/** Checks a file. */
export async function verifyFile(at: Context, file: string): Promise<number> {
  const trust = await trustOf(at);
  if (trust.keys.length === 0) {
    const expected = "expected --trust KEY; libos audit keys shows it where it was sealed";
    throw new UsageError(`Cannot verify "${file}": nobody said which key to trust, ${expected}`);
  }
  const heads = await keptHeads(at);
  const found = await isExport(at, file)
    ? await readExport(at, file, { trust, heads })
    : checkProof(file, await textOf(at, file), { trust, heads });
  const { type, why, head, lines, more } = found;
  const signed = head === null
    ? []
    : [`signed  ${dateOf(head.at)}, head of ${head.size} leaves, by key ${head.key}`];
  show(at, { ok: why === null, type, why, head, ...more }, {
    name: why === null ? "OK" : "BROKEN",
    lines: why === null ? ["OK", ...lines, ...signed] : [`BROKEN: ${why}`],
  });
  return why === null ? EXIT.ok : EXIT.integrity;
}

interface Given {
  readonly trust: Trust;
  readonly heads: readonly SignedHead[];
}

/** Whether a file begins as an export does. */
async function isExport({ io }: Context, file: string): Promise<boolean> {
  using opened = await Deno.open(resolve(io.cwd, file));
  const chunk = new Uint8Array(START_BYTES);
  const read = await opened.read(chunk) ?? 0;
  const start = new TextDecoder().decode(chunk.subarray(0, read));
  return /^\{[^\n]*"type":"libos\.export\/1"/.test(start);
}

async function readExport(at: Context, file: string, { trust, heads }: Given): Promise<Found> {
  const reader = new ExportReader(trust);
  let unread: string | null = null;
  try {
    for await (const record of records(at, file)) reader.push(record);
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    unread = "it is not UTF-8 text";
  }
  const report = reader.finish(heads);
  const { fault, lines, payloads, payloadsMissing, head } = report;
  const missing = payloadsMissing === 0 ? "" : `, ${payloadsMissing} more taken away`;
  return {
    type: "libos.export/1",
    why: unread ?? (fault === null ? null : faultText(fault)),
    head,
    lines: [`lines   ${lines} as sealed, ${several(payloads, "payload")}${missing}`],
    more: { fault, lines, payloads, payloadsMissing },
  };
}

function checkProof(file: string, text: string, { trust, heads }: Given): Found {
  const bundle = parsed(text);
  const type = (bundle as { readonly type?: unknown } | null)?.type;
  if (type === "libos.growth/1") {
    const verdict = verifyGrowth(bundle, trust);
    if (!verdict.ok) return refused(type, verdict);
    const { from, to } = verdict;
    const told = `grown   from ${from.size} to ${to.size} leaves, and nothing before changed`;
    const why = contradiction([from, to], heads);
    return { type, why, head: to, lines: [told], more: { from } };
  }
  if (type !== "libos.proof/1") {
    const expected = "expected what libos audit prove or libos audit export printed";
    throw new UsageError(`Cannot verify "${file}": no proof or export, ${expected}`);
  }
  const verdict = verifyProof(bundle, trust);
  if (!verdict.ok) return refused(type, verdict);
  const { tree, seq, head } = verdict;
  const { line } = bundle as { readonly line: string };
  const { type: event, at } = parseJson(line) as { readonly type: string; readonly at: number };
  const told = [`line    ${tree}#${seq} ${event}, written ${dateOf(at)}`];
  return { type, why: contradiction([head], heads), head, lines: told, more: { tree, seq, line } };
}

function refused(
  type: string,
  { step, why }: { readonly step: string; readonly why: string },
): Found {
  return { type, why: `${step}: ${why}`, head: null, lines: [], more: { step } };
}

/** Whether a head from elsewhere says something else; those of other sizes cannot be compared. */
function contradiction(
  heads: readonly SignedHead[],
  kept: readonly SignedHead[],
): string | null {
  for (const { size, root, log } of heads) {
    const other = kept.find((one) => one.log !== log || (one.size === size && one.root !== root));
    if (other === undefined) continue;
    return `the head of ${other.size} leaves that is known from elsewhere is of another history`;
  }
  return null;
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}

async function textOf(at: Context, file: string): Promise<string> {
  let text = "";
  try {
    for await (const record of records(at, file)) {
      text += `${record}\n`;
      if (text.length <= PROOF_CHARS_MAX) continue;
      throw new SysError("ELIMIT", `Cannot verify "${file}": too long, expected a proof`);
    }
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    return "";
  }
  return text;
}

/** The lines of a file. Throws a `TypeError` where it is no UTF-8, since it could be read twice. */
async function* records({ io }: Context, file: string): AsyncGenerator<string> {
  using opened = await Deno.open(resolve(io.cwd, file));
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const chunk = new Uint8Array(65_536);
  let rest = "";
  for (let read = await opened.read(chunk); read !== null; read = await opened.read(chunk)) {
    const lines = (rest + decoder.decode(chunk.subarray(0, read), { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
