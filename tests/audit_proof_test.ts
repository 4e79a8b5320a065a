/**
 * Seals and proofs: what was written can be shown to a stranger, and what was not cannot.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { canonical, sha256 } from "../kernel/json.ts";
import { Frontier, leafHash } from "../kernel/merkle.ts";
import { type Proof, verifyGrowth, verifyProof } from "../kernel/proof.ts";
import { MemoryAuditStore, readLeaf, signedText } from "../kernel/seal.ts";
import { VirtualClock } from "../providers/clock.ts";
import { SeededRandom } from "../providers/random.ts";
import { checkSignature, FileAnchor, SigningKey } from "../providers/signing.ts";
import { prove, proveGrowth, verifyStore } from "../runtime/audit.ts";
import { seal } from "../runtime/seal.ts";
import { busy, grown, type Place, placeOf, write } from "./audit_fixture.ts";
import { testAuditStore } from "./audit_store_claims.ts";
import { linesOf, rejects } from "./store_fixture.ts";

testAuditStore("MemoryAuditStore", () => new MemoryAuditStore());

Deno.test("seal() adds a leaf for each tree that has grown, and none for the others", async () => {
  const place = await busy();
  const texts = await place.audit.leaves(0, 100);
  const leaves = texts.map((text) => readLeaf(text)!);
  const shape = leaves.map((leaf) =>
    leaf.type === "libos.key/1" ? "key" : `${leaf.tree} ${leaf.from}-${leaf.seq}`
  );
  assert.deepEqual(shape, ["key", "t_1 0-5", "t_1 5-9", "t_2 0-9", "t_3 0-1", "t_2 9-11"]);
  const sizes = (await place.audit.heads(0, 100)).map(({ size }) => size);
  assert.deepEqual(sizes, [2, 4, 5, 6]);
  const { lines, trees, head } = await seal(place);
  assert.deepEqual([lines, trees, head.size], [2, 1, 7]);
  assert.equal((await seal(place)).head.size, 7);
});

Deno.test("Every sealed line has a proof that a stranger can check", async () => {
  const place = await busy();
  for (const tree of ["t_1", "t_2", "t_3"] as const) {
    const texts = await linesOf(place.store, tree);
    const sealed = (await place.audit.latest(tree))!.stretch.seq;
    for (let seq = 1; seq <= sealed; seq++) {
      const proof = JSON.parse(JSON.stringify(await prove(place, tree, seq)));
      const verdict = verifyProof(proof, place.trust);
      assert(verdict.ok, `${tree} ${seq}`);
      assert.deepEqual([verdict.tree, verdict.seq, verdict.head.size], [tree, seq, 6]);
      assert.equal(proof.line, texts[seq - 1]);
      assert.equal(Object.keys(proof.payloads).length, seq % 3 === 0 ? 1 : 0);
    }
    await rejects(prove(place, tree, sealed + 1), "ENOENT");
  }
  await rejects(prove(place, "t_9", 1), "ENOENT");
});

Deno.test("A proof stays short and tells of no other line, however long the stretch", async () => {
  const place = placeOf();
  const tree = await grown(place.store, 2_000);
  await seal(place);
  const proof = await prove(place, tree, 1_234);
  assert.equal(proof.inStretch.length, 11);
  assert(canonical(proof).length < 6_000);
  assert(!canonical(proof).includes("a/1235"));
});

/** All places in a JSON value where something stands that is no object or list. */
function leavesIn(value: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [[...path]];
  return Object.entries(value).flatMap(([key, inner]) => leavesIn(inner, [...path, key]));
}

function changed(value: unknown, path: readonly (string | number)[], chance: number): unknown {
  const [key, ...rest] = path;
  if (key !== undefined) {
    const inner = changed((value as Record<string, unknown>)[key], rest, chance);
    if (Array.isArray(value)) return value.with(Number(key), inner);
    return { ...value as object, [key]: inner };
  }
  if (typeof value === "number") return value + 1 + chance % 3;
  if (typeof value !== "string" || value === "") return "x";
  const units = [...value].map((unit) => unit.charCodeAt(0));
  units[chance % units.length]! ^= 1 << (chance % 7);
  return String.fromCharCode(...units);
}

Deno.test("verifyProof() refuses a proof with any flipped bit, and does not throw", async () => {
  const place = await busy();
  const proof = await prove(place, "t_2", 6);
  const paths = leavesIn(proof);
  fc.assert(
    fc.property(fc.nat(paths.length - 1), fc.nat(100_000), (which, chance) => {
      const forged = changed(proof, paths[which]!, chance);
      assert.equal(verifyProof(forged, place.trust).ok, false, paths[which]!.join("."));
    }),
    { numRuns: 400 },
  );
  for (const nothing of [null, 1, "x", [], {}, { ...proof, more: 1 }]) {
    assert.equal(verifyProof(nothing, place.trust).ok, false);
  }
});

type Doctor = (proof: Proof, other: Place) => Promise<Proof> | Proof;
const REFUSED: readonly (readonly [string, Doctor, string, RegExp])[] = [
  ["no keys", (proof) => ({ ...proof, keys: [] }), "form", /keys/],
  ["a line with more fields", (proof) => ({ ...proof, line: '{"a":1}' }), "line", /no line/],
  [
    "a payload of another",
    (proof) => ({ ...proof, payloads: { [sha256("x")]: "x" } }),
    "payload",
    /names no payload/,
  ],
  [
    "a line of another tree",
    (proof) => ({ ...proof, payloads: {}, line: proof.line.replace('"t_2"', '"t_1"') }),
    "stretch",
    /of tree "t_2"/,
  ],
  [
    "another line of the tree",
    (proof) => ({ ...proof, line: proof.line.replace('"step":6', '"step":7') }),
    "stretch",
    /line 6 of tree "t_2" is not/,
  ],
  [
    "a line beyond the stretch",
    (proof) => ({ ...proof, line: proof.line.replace('"seq":6', '"seq":60') }),
    "stretch",
    /lines 1 to 9/,
  ],
  ["another place", (proof) => ({ ...proof, index: proof.index + 1 }), "history", /leaf 4/],
  [
    "keys of another history",
    async (proof, other) => ({ ...proof, keys: (await prove(other, "t_2", 6)).keys }),
    "signature",
    /none of the history/,
  ],
  [
    "a key that nobody signed",
    (proof, other) => ({ ...proof, keys: [...proof.keys, ...other.signer.keys] }),
    "key",
    /does not name/,
  ],
  ["a whole proof of somebody else", (_, other) => prove(other, "t_2", 6), "trust", /nobody said/],
];

Deno.test("verifyProof() says what is wrong, in the order in which it looks", async () => {
  const place = await busy();
  const other = await busy();
  const proof = await prove(place, "t_2", 6);
  for (const [what, doctor, step, why] of REFUSED) {
    const verdict = verifyProof(await doctor(proof, other), place.trust);
    assert(!verdict.ok, what);
    assert.equal(verdict.step, step, `${what}: ${verdict.why}`);
    assert.match(verdict.why, why, what);
  }
});

Deno.test("proveGrowth() shows that every earlier head is the beginning of the last", async () => {
  const place = await busy();
  for (const { size } of await place.audit.heads(0, 100)) {
    const growth = await proveGrowth(place.audit, size);
    assert(verifyGrowth(growth, place.trust).ok, `${size}`);
    const forged = { ...growth, from: { ...growth.from, root: sha256("x") } };
    assert.equal(verifyGrowth(forged, place.trust).ok, false);
  }
  await rejects(proveGrowth(place.audit, 3), "ENOENT");
});

Deno.test("seal() signs nothing broken, and goes on with the trees that are whole", async () => {
  const place = await busy();
  await write(place.store, "t_3", 3);
  place.store.forge = (tree, batches) =>
    tree === "t_1"
      ? batches.map((batch) => batch.seq === 10 ? { ...batch, lines: ["{}"] } : batch)
      : batches;
  const { faults, trees } = await seal(place);
  assert.deepEqual(faults.map(({ tree, seq }) => [tree, seq]), [["t_1", 10]]);
  assert.equal(trees, 1);
});

Deno.test("Rotation: a new key is signed by the old one, whose heads stay valid", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/audit.key`;
  try {
    const clock = new VirtualClock(1_700_000_000_000);
    const random = new SeededRandom(1);
    const old = SigningKey.create(path, { clock, random });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.throws(() => SigningKey.create(path, { clock, random }), { code: "EEXIST" });
    const place = placeOf(SigningKey.load(path));
    await grown(place.store, 4);
    await seal(place);
    const before = await prove(place, "t_1", 2);
    const next = SigningKey.rotate(path, clock);
    await write(place.store, "t_1", 4);
    const { head } = await seal({ ...place, signer: SigningKey.load(path) });
    assert.equal(head.key, next.keys[1]!.key);
    await write(place.store, "t_1", 1);
    // Who still has the old key cannot go on with the history.
    await rejects(seal({ ...place, signer: old }), "EINTEGRITY");
    assert.deepEqual((await verifyStore(place, place.trust)).faults, []);
    const newTrust = { keys: [next.keys[1]!.key], check: checkSignature };
    assert.deepEqual((await verifyStore(place, newTrust)).faults, []);
    assert(verifyProof(await prove(place, "t_1", 2), newTrust).ok);
    assert(verifyProof(before, place.trust).ok);
    assert(!verifyProof(before, newTrust).ok);
    assert(verifyGrowth(await proveGrowth(place.audit, 2), newTrust).ok);
    await Deno.chmod(path, 0o644);
    assert.throws(() => SigningKey.load(path), { code: "EACCES" });
    await Deno.chmod(path, 0o600);
    const text = await Deno.readTextFile(path);
    for (const broken of ["", "{}", text.slice(0, 200), text.replace(/"at":1/, '"at":2')]) {
      await Deno.writeTextFile(path, broken);
      assert.throws(() => SigningKey.load(path), { code: "EINTEGRITY" });
    }
    assert.throws(() => SigningKey.load(`${path}.no`), { code: "ENOENT" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A head signed by a key that another had followed is refused, however well it fits", async () => {
  const place = placeOf();
  const folder = await Deno.makeTempDir();
  try {
    const { clock } = place;
    const path = `${folder}/audit.key`;
    const old = SigningKey.create(path, { clock, random: new SeededRandom(2) });
    const own = { ...placeOf(old), store: place.store };
    const tree = await grown(own.store, 2);
    await seal(own);
    await write(own.store, tree, 1);
    await seal({ ...own, signer: SigningKey.rotate(path, clock) });
    const { head, peaks } = (await own.audit.last())!;
    const end = (await own.store.head(tree))!.head;
    const leaf = canonical({
      type: "libos.seal/1",
      tree,
      from: 3,
      seq: 4,
      head: end,
      lines: end,
      at: head.at,
    });
    const frontier = Frontier.from(head.size, peaks)!;
    frontier.append(leafHash(leaf));
    const bare = { ...head, size: frontier.size, root: frontier.root(), key: old.keys[0]!.key };
    const stolen = { ...bare, sig: old.sign(signedText(bare)) };
    assert(checkSignature(stolen.key, signedText(stolen), stolen.sig));
    await own.audit.append([leaf], stolen, frontier.peaks);
    const { faults } = await verifyStore(own, own.trust);
    assert.match(faults[0]!.why, /a key that another had followed/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("verifyProof() answers to nonsense of any depth and alphabet", async () => {
  const place = await busy();
  const proof = await prove(place, "t_2", 6);
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  for (const line of [deep, "\ud800", `${proof.line}\ud800`, proof.line.replace("{", "{ ")]) {
    assert.equal(verifyProof({ ...proof, line }, place.trust).ok, false);
    assert.equal(verifyProof({ ...proof, leaf: line }, place.trust).ok, false);
  }
});

Deno.test("An anchor shows a store that was set back, and keeps it from being sealed on", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const anchor = new FileAnchor(`${folder}/heads.jsonl`);
    assert.equal(await anchor.latest(), undefined);
    const place = { ...placeOf(), anchors: [anchor] };
    await grown(place.store, 3);
    await seal(place);
    await write(place.store, "t_1", 3);
    const { head, unanchored } = await seal(place);
    assert.deepEqual([await anchor.latest(), unanchored], [head, []]);
    const report = await verifyStore(place, place.trust);
    assert.deepEqual([report.anchored, report.faults], [2, []]);
    await anchor.put(head);
    assert.equal((await anchor.all()).length, 2);

    const back = { ...placeOf(place.signer), anchors: [anchor] };
    await grown(back.store, 3);
    await seal({ ...back, anchors: [] });
    assert.match((await verifyStore(back, back.trust)).faults[0]!.why, /was cut after 2 leaves/);
    await write(back.store, "t_1", 1);
    await rejects(seal(back), "EINTEGRITY");
    await seal({ ...back, anchors: [] });
    await write(back.store, "t_1", 1);
    await seal({ ...back, anchors: [] });
    assert.match((await verifyStore(back, back.trust)).faults[0]!.why, /was rewritten|no head/);

    // A crash cut the last line short; nobody was told that it was kept.
    await Deno.writeTextFile(`${folder}/heads.jsonl`, canonical(head).slice(0, 99), {
      append: true,
    });
    assert.deepEqual(await anchor.latest(), head);
    await write(place.store, "t_1", 3);
    assert.deepEqual((await seal(place)).unanchored, []);
    assert.equal((await anchor.all()).length, 3);
    await rejects(anchor.put(head), "ESTALE");
    await Deno.writeTextFile(`${folder}/heads.jsonl`, "{}\n", { append: true });
    await rejects(anchor.all(), "EINTEGRITY");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("No signature holds under a key that anybody has the secret of", () => {
  const [zero, one] = ["00".repeat(32), `01${"00".repeat(31)}`];
  // The neutral element signs all texts under itself: R = A, s = 0.
  for (const key of [zero, one, `${one.slice(0, 62)}80`, `ec${"ff".repeat(30)}7f`]) {
    for (const point of [zero, one]) {
      assert.equal(checkSignature(key, "any text", point + zero), false, key);
    }
  }
});
