/**
 * A runtime under seal: what it seals and when, and what stops it.
 * @module
 */

import assert from "node:assert/strict";
import {
  type Anchor,
  checkSignature,
  createRuntime,
  ExportReader,
  type SignedHead,
  SigningKey,
  SqliteStore,
  verifyProof,
} from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import { canonical, sha256 } from "../kernel/json.ts";
import { realRandom } from "../providers/random.ts";
import { sealAgain } from "../runtime/auditing.ts";
import { image, Place } from "./audit_place.ts";
import { linesOf, rejects } from "./store_fixture.ts";

/** An anchor in memory, which can be made to say something else. */
class HeldAnchor implements Anchor {
  readonly name = "held";
  kept: SignedHead[] = [];
  put(head: SignedHead): Promise<void> {
    if (canonical(this.kept.at(-1) ?? null) !== canonical(head)) this.kept.push(head);
    return Promise.resolve();
  }
  latest(): Promise<SignedHead | undefined> {
    return Promise.resolve(this.kept.at(-1));
  }
  all(): Promise<readonly SignedHead[]> {
    return Promise.resolve(this.kept);
  }
}

Deno.test("createRuntime() seals at the start, while it runs and at the end", async () => {
  await using place = await Place.make();
  const os = await place.open({ every: "10s" });
  const { mode } = await Deno.stat(`${place.db}.key`);
  assert.equal(mode! & 0o777, 0o600);
  assert.deepEqual((await place.heads()).map(({ size }) => size), [1]);
  const process = await os.spawn(image, { goal: "work" });
  await os.runUntilIdle();
  await place.clock.advance(9_000);
  assert.equal((await place.heads()).length, 1);
  await place.clock.advance(1_100);
  await os.seal();
  assert.deepEqual((await place.heads()).map(({ size }) => size), [1, 2]);
  // Nothing new, so no seal.
  await place.clock.advance(60_000);
  assert.equal((await place.heads()).length, 2);
  await process.send("end");
  await process.wait();
  await os.close();
  assert.deepEqual((await place.heads()).map(({ size }) => size), [1, 2, 3]);
  assert.deepEqual(place.faults, []);
});

Deno.test("What a runtime proves and exports, a stranger can check with the key alone", async () => {
  await using place = await Place.make();
  const os = await place.open();
  await os.spawn(image, { goal: "work" });
  await os.runUntilIdle();
  const { head, lines } = await os.seal();
  const trust = { keys: [head.key], check: checkSignature };
  const proof = JSON.parse(JSON.stringify(await os.prove("t_1", 2)));
  const verdict = verifyProof(proof, trust);
  assert(verdict.ok);
  assert.equal(verdict.seq, 2);
  const reader = new ExportReader(trust);
  for await (const record of os.exportAudit()) reader.push(record);
  const report = reader.finish([head]);
  assert.deepEqual([report.fault, report.lines], [null, lines]);
  const events = await Array.fromAsync(os.exportAudit({ tree: "t_1", format: "cloudevents" }));
  assert.equal(events.length, lines);
  const [first] = events.map((event) => JSON.parse(event));
  assert.deepEqual([first.specversion, first.source], ["1.0", `urn:libos:${head.log}:t_1`]);
  const checked = await os.verify();
  assert.deepEqual(checked.map(({ tree, broken }) => [tree, broken]), [["t_1", null], [
    null,
    null,
  ]]);
  assert.equal(checked.at(-1)!.head, head.root);
});

Deno.test("A key that is rotated while a runtime seals is taken up by its next seal", async () => {
  await using place = await Place.make();
  const os = await place.open();
  const first = (await os.seal()).head.key;
  const next = SigningKey.rotate(`${place.db}.key`, place.clock);
  await os.spawn(image, { goal: "work" });
  const { head } = await os.seal();
  assert.equal(head.key, next.keys[1]!.key);
  assert.notEqual(head.key, first);
  assert(verifyProof(await os.prove("t_1", 1), { keys: [first], check: checkSignature }).ok);
});

Deno.test("Two that seal one store at once both succeed, one after the other", async () => {
  await using place = await Place.make();
  const os = await place.open();
  await os.spawn(image, { goal: "work" });
  const store = SqliteStore.open(place.db, { mode: "join" });
  const signer = SigningKey.load(`${place.db}.key`);
  const other = { store, audit: store.audit(), signer, clock: place.clock, check: checkSignature };
  const [one, two] = await Promise.all([os.seal(), sealAgain(() => other)]);
  assert.equal(one.trees + two.trees, 1);
  await store.close();
  assert.deepEqual((await os.verify()).map(({ broken }) => broken), [null, null]);
});

Deno.test("A store that was set back is not run, and its anchor keeps saying so", async () => {
  await using place = await Place.make();
  const anchor = `${place.folder}/heads.jsonl`;
  await (await place.open({ anchor })).close();
  await Deno.copyFile(place.db, `${place.folder}/old.db`);
  const os = await place.open({ anchor });
  await os.spawn(image, { goal: "work" });
  await os.close();
  await Deno.copyFile(`${place.folder}/old.db`, place.db);
  for (let i = 0; i < 2; i++) {
    const error = await rejects(place.open({ anchor }), "EINTEGRITY");
    assert.match(error.message, /has a head of 2 leaves, expected the store to have it too/);
  }
  // Without the anchor nobody can tell, as docs/durability.md says.
  assert.deepEqual((await (await place.open()).verify()).map(({ broken }) => broken), [null]);
});

Deno.test("An anchor that contradicts stops all processes, and nothing is started or sealed", async () => {
  await using place = await Place.make();
  const anchor = new HeldAnchor();
  const os = await place.open({ anchor, every: "1s" });
  const process = await os.spawn(image, { goal: "work" });
  await os.runUntilIdle();
  const { head } = await os.seal();
  anchor.kept = [{ ...head, root: sha256("another") }];
  const stopped = rejects(process.wait(), "EINTEGRITY");
  await process.send("more");
  await os.runUntilIdle();
  const before = (await place.heads()).length;
  await place.clock.advance(2_000);
  await stopped;
  assert.equal(place.faults.length, 1);
  assert.match(place.faults[0]!.message, /held has a head of 2 leaves/);
  await rejects(os.seal(), "EINTEGRITY");
  await rejects(os.spawn(image, { goal: "more" }), "EINTEGRITY");
  const entries = await os.verify();
  assert.match(entries.at(-1)!.broken!, /another|rewritten|signature/);
  await rejects(os.close(), "EINTEGRITY");
  assert.equal((await place.heads()).length, before);
});

Deno.test("A tree whose log was changed stops and is told of once; the others go on", async () => {
  await using place = await Place.make();
  const os = await place.open({ every: "1s" });
  const [bad, good] = [await os.spawn(image, { goal: "a" }), await os.spawn(image, { goal: "b" })];
  await os.runUntilIdle();
  place.sql('UPDATE batches SET body = replace(body, \'"goal":"a"\', \'"goal":"x"\')');
  const { faults, trees } = await os.seal();
  assert.deepEqual(faults.map(({ tree }) => tree), ["t_1"]);
  assert.equal(trees, 1);
  await rejects(bad.wait(), "EINTEGRITY");
  await os.seal();
  assert.equal(place.faults.length, 1);
  assert.match(
    place.faults[0]!.message,
    /^Cannot seal the store: tree "t_1" line \d+: .*, expected/,
  );
  await good.send("end");
  assert.equal((await good.wait()).result, "done");
});

Deno.test("verify() tells of a line that was changed after it was sealed, at its place", async () => {
  await using place = await Place.make();
  const os = await place.open();
  await os.spawn(image, { goal: "a" });
  await os.seal();
  const store = os.node.options.store;
  const seq = (await linesOf(store, "t_1")).findIndex((line) => line.includes('"goal":"a"')) + 1;
  place.sql('UPDATE batches SET body = replace(body, \'"goal":"a"\', \'"goal":"x"\')');
  const [tree, seals] = await os.verify();
  assert.match(tree!.broken!, new RegExp(`line ${seq}|line ${seq + 1}`));
  assert.equal(seals!.broken, null);
  place.sql("DELETE FROM audit_heads");
  assert.match((await os.verify()).at(-1)!.broken!, /no signed head/);
});

Deno.test("verify() of a tree that is absent is refused, not answered with nothing", async () => {
  await using place = await Place.make();
  await using bare = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
  for (const os of [await place.open(), bare]) {
    await os.spawn(image, { goal: "a" });
    await rejects(os.verify({ tree: "t_99" }), "ENOENT");
    assert.equal((await os.verify({ tree: "t_1" }))[0]!.tree, "t_1");
  }
});

Deno.test("A lost key file is not replaced, a readable one not used", async () => {
  await using place = await Place.make();
  await (await place.open()).close();
  const key = `${place.db}.key`;
  await Deno.rename(key, `${key}.away`);
  const lost = await rejects(place.open(), "ENOENT");
  assert.match(
    lost.message,
    /1 leaves are signed already, expected the file of key "[0-9a-f]{64}"/,
  );
  await assert.rejects(Deno.stat(key), Deno.errors.NotFound);
  await Deno.rename(`${key}.away`, key);
  await Deno.chmod(key, 0o644);
  await rejects(place.open(), "EACCES");
  await Deno.chmod(key, 0o600);
  await (await place.open()).close();
});

Deno.test("A key of another history does not seal the store", async () => {
  await using place = await Place.make();
  await (await place.open()).close();
  const keyFile = `${place.folder}/other.key`;
  SigningKey.create(keyFile, { clock: place.clock, random: realRandom });
  const error = await rejects(place.open({ keyFile }), "EINTEGRITY");
  assert.match(error.message, /none of the history/);
});

Deno.test("Without audit nothing is sealed, and stores of one's own say where seals go", async () => {
  await using plain = await createRuntime({ store: ":memory:", workspace: null });
  await rejects(plain.seal(), "ESTATE");
  await rejects(plain.prove("t_1", 1), "ESTATE");
  assert.throws(() => plain.exportAudit(), { code: "ESTATE" });
  const own = Object.assign(Object.create(new MemoryStore()), { name: "own" });
  const store = { ...own, name: "own", close: () => Promise.resolve() };
  await rejects(createRuntime({ store, workspace: null, audit: {} }), "EINVAL");
  await using memory = await createRuntime({ store: ":memory:", workspace: null, audit: {} });
  await memory.spawn(image, { goal: "work" });
  assert.equal((await memory.seal()).head.size, 2);
});
