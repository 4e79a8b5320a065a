/**
 * Merkle trees: the vectors of RFC 6962 and RFC 9162, and what holds for lists of any size.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { sha256 } from "../kernel/json.ts";
import {
  EMPTY_ROOT,
  Frontier,
  leafHash,
  MerkleTree,
  nodeHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from "../kernel/merkle.ts";

const DATA = Deno.env.get("LIBOS_TEST_DATA") ??
  new URL("../../shared/data", import.meta.url).pathname;

interface Vector {
  readonly desc: string;
  readonly wantErr: boolean;
  readonly proof: readonly string[] | null;
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
}

function vectors(kind: string): { name: string; vector: Vector }[] {
  const found: { name: string; vector: Vector }[] = [];
  const walk = (folder: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      const path = `${folder}/${name}`;
      if (isDirectory) walk(path);
      else found.push({ name: path, vector: JSON.parse(Deno.readTextFileSync(path)) });
    }
  };
  try {
    walk(`${DATA}/rfc6962/${kind}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(`skipped: no vectors in "${DATA}/rfc6962/${kind}"; see LIBOS_TEST_DATA`);
  }
  return found;
}

const hex = (base64: string): string => Uint8Array.fromBase64(base64).toHex();
const hexes = (proof: readonly string[] | null): string[] => (proof ?? []).map(hex);

Deno.test("verifyInclusion() agrees with the vectors of RFC 6962, good and bad", () => {
  for (const { name, vector } of vectors("inclusion")) {
    const answer = verifyInclusion({
      index: vector.leafIdx,
      size: vector.treeSize,
      leaf: hex(vector.leafHash),
      root: hex(vector.root),
      proof: hexes(vector.proof),
    });
    assert.equal(answer, !vector.wantErr, `${name}: ${vector.desc}`);
  }
});

Deno.test("verifyConsistency() agrees with the vectors of RFC 6962, good and bad", () => {
  for (const { name, vector } of vectors("consistency")) {
    const answer = verifyConsistency({
      from: vector.size1,
      fromRoot: hex(vector.root1),
      size: vector.size2,
      root: hex(vector.root2),
      proof: hexes(vector.proof),
    });
    assert.equal(answer, !vector.wantErr, `${name}: ${vector.desc}`);
  }
});

/** The leaves and roots which the reference implementations of RFC 6962 are tested with. */
const REFERENCE: readonly (readonly [string, string])[] = [
  ["", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"],
  ["00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
  ["10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"],
  ["2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
  ["3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"],
  ["40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"],
  ["5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"],
  [
    "606162636465666768696a6b6c6d6e6f",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ],
];

Deno.test("MerkleTree and Frontier have the roots of RFC 6962's reference lists", () => {
  const tree = new MerkleTree();
  const frontier = new Frontier();
  assert.equal(tree.root(), EMPTY_ROOT);
  for (const [leaf, root] of REFERENCE) {
    tree.append(leafHash(Uint8Array.fromHex(leaf)));
    frontier.append(leafHash(Uint8Array.fromHex(leaf)));
    assert.equal(tree.root(), root);
    assert.equal(frontier.root(), root);
  }
});

/** The definition of RFC 9162 §2.1.1, as it stands there. */
function naiveRoot(leaves: readonly string[]): string {
  if (leaves.length === 0) return sha256("");
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)));
}

const leavesOf = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => leafHash(`leaf ${i}`));

Deno.test("Every prefix of a list has the root of its definition, from both", () => {
  const leaves = leavesOf(70);
  const tree = new MerkleTree(leaves);
  for (let size = 0; size <= leaves.length; size++) {
    const expected = naiveRoot(leaves.slice(0, size));
    assert.equal(tree.root(size), expected);
    assert.equal(rootOf(leaves.slice(0, size)), expected);
  }
});

Deno.test("Every leaf of every prefix is included, and every pair of prefixes is consistent", () => {
  const leaves = leavesOf(34);
  const tree = new MerkleTree(leaves);
  for (let size = 1; size <= leaves.length; size++) {
    const root = tree.root(size);
    for (let at = 0; at < size; at++) {
      const claim = { index: at, size, leaf: leaves[at]!, root, proof: tree.inclusion(at, size) };
      assert(verifyInclusion(claim), `leaf ${at} of ${size}`);
      const from = at + 1;
      const proof = tree.consistency(from, size);
      assert(
        verifyConsistency({ from, fromRoot: tree.root(from), size, root, proof }),
        `${from} to ${size}`,
      );
    }
  }
});

Deno.test("A frontier goes on from its state as if it had never stopped", () => {
  fc.assert(fc.property(fc.nat(300), fc.nat(300), (first, more) => {
    const leaves = leavesOf(first + more);
    const whole = new Frontier();
    for (const leaf of leaves.slice(0, first)) whole.append(leaf);
    const resumed = Frontier.from(whole.size, whole.peaks)!;
    for (const leaf of leaves.slice(first)) resumed.append(leaf);
    assert.equal(resumed.root(), rootOf(leaves));
    assert(resumed.peaks.length <= Math.log2(resumed.size + 1) + 1);
  }));
});

/** One hexadecimal digit changed in one bit. */
function flipped(hash: string, bit: number): string {
  const bytes = Uint8Array.fromHex(hash);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  return bytes.toHex();
}

const place = fc.integer({ min: 2, max: 200 }).chain((size) =>
  fc.record({ size: fc.constant(size), at: fc.nat(size - 1), bit: fc.nat(255), pick: fc.nat(63) })
);

Deno.test("No proof of inclusion survives a flipped bit or another place", () => {
  fc.assert(fc.property(place, ({ size, at, bit, pick }) => {
    const tree = new MerkleTree(leavesOf(size));
    const proof = tree.inclusion(at);
    const leaf = leafHash(`leaf ${at}`);
    const claim = { index: at, size, leaf, root: tree.root(), proof };
    assert(verifyInclusion(claim));
    assert(!verifyInclusion({ ...claim, leaf: flipped(leaf, bit) }));
    assert(!verifyInclusion({ ...claim, root: flipped(claim.root, bit) }));
    const i = pick % proof.length;
    assert(!verifyInclusion({ ...claim, proof: proof.with(i, flipped(proof[i]!, bit)) }));
    assert(!verifyInclusion({ ...claim, proof: proof.toSpliced(i, 1) }));
    assert(!verifyInclusion({ ...claim, proof: proof.toSpliced(i, 0, proof[i]!) }));
    assert(!verifyInclusion({ ...claim, index: (at + 1 + pick % (size - 1)) % size }));
  }));
});

Deno.test("No proof of consistency survives a flipped bit or another length", () => {
  fc.assert(fc.property(place, ({ size, at, bit, pick }) => {
    const tree = new MerkleTree(leavesOf(size));
    const from = Math.max(1, at);
    const proof = tree.consistency(from);
    const claim = { from, fromRoot: tree.root(from), size, root: tree.root(), proof };
    assert(verifyConsistency(claim));
    assert(!verifyConsistency({ ...claim, fromRoot: flipped(claim.fromRoot, bit) }));
    assert(!verifyConsistency({ ...claim, root: flipped(claim.root, bit) }));
    const i = pick % proof.length;
    assert(!verifyConsistency({ ...claim, proof: proof.with(i, flipped(proof[i]!, bit)) }));
    assert(!verifyConsistency({ ...claim, proof: proof.toSpliced(i, 1) }));
    assert(!verifyConsistency({ ...claim, proof: proof.toSpliced(i, 0, proof[i]!) }));
  }));
});

const NONSENSE: readonly unknown[] = [
  undefined,
  null,
  -1,
  0.5,
  2 ** 60,
  "x",
  "é".repeat(64),
  [""],
  [null],
  {},
  Array(65).fill("0".repeat(64)),
];

Deno.test("Verifying answers false to what is no proof, and does not throw", () => {
  const tree = new MerkleTree(leavesOf(5));
  const inclusion = {
    index: 2,
    size: 5,
    leaf: leafHash("leaf 2"),
    root: tree.root(),
    proof: tree.inclusion(2),
  };
  const consistency = {
    from: 3,
    fromRoot: tree.root(3),
    size: 5,
    root: tree.root(),
    proof: tree.consistency(3),
  };
  for (const value of NONSENSE) {
    for (const field of Object.keys(inclusion)) {
      assert.equal(verifyInclusion({ ...inclusion, [field]: value }), false, `${field} ${value}`);
    }
    for (const field of Object.keys(consistency)) {
      assert.equal(verifyConsistency({ ...consistency, [field]: value }), false, field);
    }
  }
});
