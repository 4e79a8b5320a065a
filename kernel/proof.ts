/**
 * Proofs: what shows a stranger, without the store, that a line was written and not changed.
 *
 * The proof of one line has no other line in it: the line's hash is in its stretch's Merkle root,
 * the stretch is a leaf of the history, and the history's root is signed. It grows with the
 * logarithm of both lists, so it needs no frequent seals to stay short, and tells nothing about
 * neighbours but how many there are.
 *
 * Nothing here reads a clock, a file or a network, and what comes from outside never makes it
 * throw: the answer says what is wrong and where.
 * @module
 */

import { z } from "zod";
import type { TreeId } from "./ids.ts";
import { canonical, sha256 } from "./json.ts";
import { isHash, leafHash, verifyConsistency, verifyInclusion } from "./merkle.ts";
import { parseJson } from "./parse.ts";
import { HEAD, KEY, KeyChain, readLeaf } from "./seal.ts";
import type { KeyStatement, SignedHead, Stretch, Trust } from "./seal.ts";

/** A proof that one line is in a signed history. Plain JSON. */
export interface Proof {
  /** What it is, and in which version. */
  readonly type: "libos.proof/1";
  /** The text of the line. */
  readonly line: string;
  /** Hash to text of what the line only names; what was taken away is not there. */
  readonly payloads: { readonly [hash: string]: string };
  /** The text of the leaf of the line's stretch. */
  readonly leaf: string;
  /** The place of that leaf; 0 is the first. */
  readonly index: number;
  /** Shows the line in the stretch. */
  readonly inStretch: readonly string[];
  /** Shows the leaf in the history. */
  readonly inHistory: readonly string[];
  /** What is signed. */
  readonly head: SignedHead;
  /** The keys of the history, the oldest first. */
  readonly keys: readonly KeyStatement[];
}

/** A proof that a signed head has all that an earlier one had, in the same places. */
export interface Growth {
  /** What it is, and in which version. */
  readonly type: "libos.growth/1";
  /** The earlier head. */
  readonly from: SignedHead;
  /** The later head. */
  readonly to: SignedHead;
  /** Shows that the one is the beginning of the other. */
  readonly proof: readonly string[];
  /** The keys of the history, the oldest first. */
  readonly keys: readonly KeyStatement[];
}

/** Where checking a proof stopped, in the order in which it goes. */
export type Step =
  | "form"
  | "line"
  | "payload"
  | "stretch"
  | "history"
  | "key"
  | "signature"
  | "trust";

/** What checking a proof found. */
export type Verdict<T> =
  | { readonly ok: true } & T
  | { readonly ok: false; readonly step: Step; readonly why: string };

/** What a proved line says of itself, and how it was proved. */
export interface Proved {
  /** Its tree. */
  readonly tree: TreeId;
  /** Its number in the log of the tree. */
  readonly seq: number;
  /** The stretch that it was sealed with. */
  readonly stretch: Stretch;
  /** What was signed. */
  readonly head: SignedHead;
}

const hashes = z.array(z.custom<string>(isHash, "expected a hash")).max(64);
const PROOF = z.strictObject({
  type: z.literal("libos.proof/1"),
  line: z.string(),
  payloads: z.record(z.string(), z.string()),
  leaf: z.string(),
  index: z.number().int().min(0),
  inStretch: hashes,
  inHistory: hashes,
  head: HEAD,
  keys: z.array(KEY).min(1),
});
const GROWTH = z.strictObject({
  type: z.literal("libos.growth/1"),
  from: HEAD,
  to: HEAD,
  proof: hashes,
  keys: z.array(KEY).min(1),
});
const LINE = z.strictObject({
  at: z.number(),
  data: z.unknown(),
  prev: z.custom<string>(isHash),
  seq: z.number().int().min(1),
  tree: z.string(),
  type: z.string().regex(/^[a-z.]+$/),
});

/**
 * Checks a proof, offline.
 *
 * @example
 * ```ts
 * import { checkSignature, createRuntime, defineImage, verifyProof } from "@agent-libos/core";
 * const image = defineImage({
 *   name: "idle",
 *   program: async ({ sys }) => {
 *     await sys.process.exit({});
 *   },
 * });
 * await using os = await createRuntime({ store: ":memory:", workspace: null, audit: {} });
 * await (await os.spawn(image, { goal: "nothing" })).wait();
 * const { head } = await os.seal();
 * const proof = await os.prove("t_1", 2);
 * const trust = { keys: [head.key], check: checkSignature };
 * console.assert(verifyProof(proof, trust).ok);
 * console.assert(!verifyProof({ ...proof, line: proof.line.replace('":', '" :') }, trust).ok);
 * ```
 */
export function verifyProof(bundle: unknown, trust: Trust): Verdict<Proved> {
  const read = PROOF.safeParse(bundle);
  if (!read.success) return no("form", formOf(read.error));
  const { line: text, payloads, leaf, index, inStretch, inHistory, head, keys } = read.data;
  const line = lineOf(text);
  if (line === undefined) return no("line", "it is no line in canonical JSON");
  const hashes = named(text);
  for (const [hash, payload] of Object.entries(payloads)) {
    const same = payload.isWellFormed() && sha256(payload) === hash;
    if (!same) return no("payload", `the text of payload "${hash}" was changed`);
    if (!hashes.has(hash)) return no("payload", `the line names no payload "${hash}"`);
  }
  const stretch = readLeaf(leaf);
  if (stretch?.type !== "libos.seal/1") return no("stretch", "the leaf seals no stretch");
  const { tree, from, seq } = stretch;
  if (tree !== line.tree) return no("stretch", `it is of tree "${tree}", not of the line's`);
  if (line.seq <= from || line.seq > seq) {
    return no("stretch", `it is lines ${from + 1} to ${seq}, which line ${line.seq} is not`);
  }
  const isInStretch = verifyInclusion({
    index: line.seq - from - 1,
    size: seq - from,
    leaf: sha256(text),
    root: stretch.lines,
    proof: inStretch,
  });
  if (!isInStretch) return no("stretch", `line ${line.seq} of tree "${tree}" is not what it seals`);
  const { size, root } = head;
  const claim = { index, size, leaf: leafHash(leaf), root, proof: inHistory };
  if (!verifyInclusion(claim)) return no("history", `leaf ${index} is not in the root of its head`);
  const refused = untrusted(keys, [head], trust);
  return refused ?? { ok: true, tree, seq: line.seq, stretch, head };
}

/** Checks that a later head has all that an earlier one had, offline. */
export function verifyGrowth(
  bundle: unknown,
  trust: Trust,
): Verdict<{ readonly from: SignedHead; readonly to: SignedHead }> {
  const read = GROWTH.safeParse(bundle);
  if (!read.success) return no("form", formOf(read.error));
  const { from, to, proof, keys } = read.data;
  const grown = verifyConsistency({
    from: from.size,
    fromRoot: from.root,
    size: to.size,
    root: to.root,
    proof,
  });
  if (!grown) return no("history", `${to.size} leaves do not begin with the earlier ${from.size}`);
  return untrusted(keys, [from, to], trust) ?? { ok: true, from, to };
}

/** Checks keys and heads; the last head must be of a trusted key, and vouches for the others. */
function untrusted(
  keys: readonly KeyStatement[],
  heads: readonly SignedHead[],
  trust: Trust,
): Verdict<never> | null {
  const chain = new KeyChain(trust);
  for (const key of keys) {
    const why = chain.add(key);
    if (why !== null) return no("key", why);
  }
  for (const head of heads) {
    const why = chain.refuses(head);
    if (why !== null) return no("signature", `of the head of ${head.size} leaves: ${why}`);
  }
  const { key } = heads.at(-1)!;
  return chain.trusts(key) ? null : no("trust", `nobody said that key "${key}" can be trusted`);
}

function no(step: Step, why: string): { readonly ok: false; step: Step; why: string } {
  return { ok: false, step, why };
}

function formOf(error: z.ZodError): string {
  const issue = error.issues[0]!;
  return `${issue.path.join(".") || "the whole"}: ${issue.message}`;
}

function lineOf(text: string): z.infer<typeof LINE> | undefined {
  try {
    const value: unknown = parseJson(text);
    return canonical(value) === text ? LINE.safeParse(value).data : undefined;
  } catch {
    return undefined;
  }
}

/** The hashes of payloads that a line's text names. */
export function named(line: string): Set<string> {
  const hashes = new Set<string>();
  if (!line.includes('"$payload":"')) return hashes;
  for (const [, hash] of line.matchAll(/"\$payload":"([0-9a-f]{64})"/g)) hashes.add(hash!);
  return hashes;
}
