/**
 * Proofs and exports as somebody checks them who has a JSON reader, SHA-256 and Ed25519, and
 * nothing of ours: what docs/durability.md says of their formats is enough.
 * @module
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify } from "node:crypto";
import { Place } from "./cli_place.ts";

/** What any JSON reader makes of a record; each kind has some of this. */
interface Read {
  readonly type: string;
  readonly tree: string;
  readonly seq: number;
  readonly prev: string | null;
  readonly from: number & Read;
  readonly to: Read;
  readonly head: string & Read;
  readonly lines: string;
  readonly key: string;
  readonly keys: readonly Read[];
  readonly sig: string;
  readonly hash: string;
  readonly size: number;
  readonly root: string;
  readonly line: string;
  readonly leaf: string;
  readonly index: number;
  readonly inStretch: readonly string[];
  readonly inHistory: readonly string[];
  readonly proof: readonly string[];
  readonly payloads: Readonly<Record<string, string>>;
}

const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const leafOf = (text: string): Buffer => sha256(Uint8Array.of(0), text);
const nodeOf = (left: Buffer, right: Buffer): Buffer => sha256(Uint8Array.of(1), left, right);
const bytesOf = (hex: string): Buffer => Buffer.from(hex, "hex");
const readOf = (text: string): Read => JSON.parse(text);

/** RFC 9162, 2.1.1. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!;
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return nodeOf(rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
}

/** RFC 9162, 2.1.3.2. */
function climb(leaf: Buffer, place: number, size: number, path: readonly string[]): string {
  let [at, last, hash] = [place, size - 1, leaf];
  for (const step of path.map(bytesOf)) {
    assert(last > 0, "the path is too long");
    if (at % 2 === 1 || at === last) {
      hash = nodeOf(step, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else hash = nodeOf(hash, step);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  assert.equal(last, 0, "the path is too short");
  return hash.toString("hex");
}

/** RFC 9162, 2.1.4.2, for sizes of which the first is no power of two and not the second. */
function grows(from: Read, to: Read, given: readonly string[]): void {
  const path = given.map(bytesOf);
  let [at, last] = [from.size - 1, to.size - 1];
  while (at % 2 === 1) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  let [old, now] = [path[0]!, path[0]!];
  for (const step of path.slice(1)) {
    if (at % 2 === 1 || at === last) {
      [old, now] = [nodeOf(step, old), nodeOf(step, now)];
      while (at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    } else now = nodeOf(now, step);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  assert.deepEqual([old.toString("hex"), now.toString("hex"), last], [from.root, to.root, 0]);
}

/** A statement has names and numbers alone: its canonical JSON is its fields in order. */
function isSigned(statement: Read, key: string): void {
  const { sig, ...rest } = statement;
  const text = JSON.stringify(Object.fromEntries(Object.entries(rest).sort()));
  const x = bytesOf(key).toString("base64url");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  assert(verify(null, Buffer.from(text), publicKey, bytesOf(sig)), `not signed: ${text}`);
}

/** The latest of a history's keys, the first of which is trusted. */
function latestKey(keys: readonly Read[], trusted: string): string {
  assert.equal(keys[0]!.key, trusted);
  for (const [i, key] of keys.entries()) {
    isSigned(key, key.prev ?? key.key);
    assert.equal(key.prev, keys[i - 1]?.key ?? null);
  }
  return keys.at(-1)!.key;
}

/** Checks a proof, and returns the line that it proves. */
function checkProof(proof: Read, trusted: string): Read {
  const [line, leaf, head] = [readOf(proof.line), readOf(proof.leaf), proof.head];
  const [place, size] = [line.seq - leaf.from - 1, leaf.seq - leaf.from];
  assert.deepEqual([leaf.type, leaf.tree], ["libos.seal/1", line.tree]);
  assert(place >= 0 && place < size);
  assert.equal(climb(sha256(proof.line), place, size, proof.inStretch), leaf.lines);
  assert.equal(climb(leafOf(proof.leaf), proof.index, head.size, proof.inHistory), head.root);
  isSigned(head, latestKey(proof.keys, trusted));
  for (const [hash, text] of Object.entries(proof.payloads)) {
    assert.equal(sha256(text).toString("hex"), hash);
    assert(proof.line.includes(`"$payload":"${hash}"`));
  }
  return line;
}

/** Checks an export, and returns how many lines of each tree it has. */
function checkExport(records: readonly string[], trusted: string): Record<string, number> {
  const leaves: Buffer[] = [];
  const keys: Read[] = [];
  const seals: Read[] = [];
  const logs = new Map<string, Buffer[]>();
  for (const text of records.slice(1)) {
    const read = readOf(text);
    switch (read.type as string) {
      case "libos.leaf/1":
        leaves.push(bytesOf(read.hash));
        break;
      case "libos.key/1":
        keys.push(read);
        leaves.push(leafOf(text));
        break;
      case "libos.seal/1":
        seals.push(read);
        leaves.push(leafOf(text));
        break;
      case "libos.head/1":
        isSigned(read, latestKey(keys, trusted));
        assert.deepEqual([leaves.length, rootOf(leaves).toString("hex")], [read.size, read.root]);
        break;
      case "libos.payload/1":
        break;
      default: {
        const log = logs.get(read.tree) ?? [];
        assert.equal(read.prev, log.at(-1)?.toString("hex") ?? "0".repeat(64));
        logs.set(read.tree, [...log, sha256(text)]);
      }
    }
  }
  const sealed: Record<string, number> = {};
  for (const { tree, from, seq, head, lines } of seals) {
    const log = logs.get(tree)!;
    assert.equal(from, sealed[tree] ?? 0);
    assert.equal(rootOf(log.slice(from, seq)).toString("hex"), lines);
    assert.equal(log[seq - 1]!.toString("hex"), head);
    sealed[tree] = seq;
  }
  for (const [tree, log] of logs) assert.equal(log.length, sealed[tree]);
  return sealed;
}

/** Two trees, sealed in three stretches by two keys. */
async function sealed(): Promise<{ place: Place; trusted: string }> {
  const place = await Place.make();
  for (const argv of [["run", "spender.ts", "Hi"], ["audit", "init"], ["audit", "rotate"]]) {
    assert.equal((await place.libos(...argv)).exit, 0);
  }
  const [first] = await place.json<{ key: string }[]>("audit", "keys");
  await place.libos("run", "spender.ts", "x".repeat(3_000));
  await place.libos("checkpoint", "create", "p_1", "later");
  assert.equal((await place.libos("audit", "seal")).exit, 0);
  return { place, trusted: first!.key };
}

Deno.test("A proof is checked with SHA-256 and Ed25519 alone, as its format says", async () => {
  const { place, trusted } = await sealed();
  await using _ = place;
  for (const event of ["t_1#1", "t_1#7", "t_2#1", "t_2#3", "t_2#5"]) {
    const proof = readOf((await place.libos("audit", "prove", event)).out);
    const line = checkProof(proof, trusted);
    assert.equal(`${line.tree}#${line.seq}`, event);
    const forged = { ...proof, line: proof.line.replace('"seq":', '"seq": ') } as Read;
    assert.throws(() => checkProof(forged, trusted));
  }
  const growth = readOf((await place.libos("audit", "prove", "--since", "3")).out);
  grows(growth.from, growth.to, growth.proof);
});

Deno.test("An export is checked with SHA-256 and Ed25519 alone, as its format says", async () => {
  const { place, trusted } = await sealed();
  await using _ = place;
  const exported = async (...words: string[]) =>
    (await place.libos("audit", "export", ...words)).out.trimEnd().split("\n");
  const records = await exported();
  const lines = checkExport(records, trusted);
  assert.deepEqual(Object.keys(lines), ["t_1", "t_2"]);
  assert.deepEqual(Object.keys(checkExport(await exported("t_2"), trusted)), ["t_2"]);
  const at = records.findIndex((text) => text.includes('"tree":"t_1","type":"process.spawned"'));
  assert.throws(() => checkExport(records.toSpliced(at, 1), trusted));
});
