/**
 * Whole agents over an encrypted store: nothing that they say, read, keep or are asked lies in its
 * files, and seals, proofs, exports, erasing and collecting do what they do on a plain one.
 * @module
 */

import assert from "node:assert/strict";
import {
  allow,
  checkSignature,
  createRuntime,
  defineImage,
  ExportReader,
  exportTree,
  importTree,
  type Runtime,
  SqliteStore,
  verifyProof,
} from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { sha256 } from "../kernel/json.ts";
import { gc } from "../runtime/collect.ts";
import { eraseObject } from "../runtime/retention.ts";
import { found, KEY, OTHER, withFolder } from "./encryption_place.ts";

/** Small ones stand in lines, large ones beside them. */
const small = (what: string): string => `marker-${what}-small`;
const large = (what: string): string => `marker-${what}-large `.repeat(40);
const SOURCE = "// marker-source\nexport default async (input, os) => ({ n: 1 });";

const worker = defineImage({
  name: "worker",
  program: async ({ sys, step }) => {
    if (step > 1) return;
    for (const text of [small("object"), large("object")]) {
      await sys.object.create({
        name: `marker-name-${text.length}`,
        value: { text },
        mutable: true,
      });
    }
    await sys.file.write({ path: "./note.txt", text: large("args") });
    await sys.file.read({ path: "./reply.txt" });
    await sys.tool.propose({
      name: "tool",
      description: "marker-description",
      inputSchema: { type: "object" },
      source: SOURCE,
    });
    await sys.message.send({ to: "p_2", data: { text: large("message"), more: small("message") } });
    const { answer } = await sys.human.ask({ prompt: small("request") });
    await sys.process.exit({ result: { answer, text: large("result") } });
  },
});

const waiter = defineImage({
  name: "waiter",
  program: async ({ sys }) => {
    const { messages } = await sys.message.receive({ filter: { type: "never" } });
    await sys.process.exit({ result: messages[0]?.data ?? null });
  },
});

const talker = defineImage({
  name: "talker",
  instructions: small("instructions"),
  model: scriptedModel([{ tool: "object_list", input: {} }, large("reply")]),
});

/** Makes every kind of content there is, and leaves a request and a message waiting. */
async function work(os: Runtime): Promise<void> {
  const grants = [
    ...["file.*", "object.*"].map((right) => allow(right, "**")),
    ...["message.send", "human.ask"].map((right) => allow(right, "**")),
  ];
  await os.spawn(worker, {
    goal: small("goal"),
    input: { text: large("input") },
    labels: { note: "marker-label" },
    idempotencyKey: "marker-idempotency",
    grants,
  });
  await os.spawn(waiter, { goal: large("waiting") });
  await os.spawn(talker, { goal: "marker-talk" });
  await os.runUntilIdle();
  const asked = os.approvals.list()[0];
  assert(asked !== undefined, "it came as far as to ask");
  await os.approvals.decide(asked.id, { outcome: "answer", value: small("answer") });
  await os.runUntilIdle();
  const { node } = os;
  for (const tree of node.trees) {
    await node.durable(tree);
    const { seq, tree: id } = tree.state;
    await node.options.store.putSnapshot(id, { seq, head: tree.head, state: tree.dump() });
  }
  await node.options.store.putInbox("t_2", { id: "late", body: { text: small("inbox") } });
}

/** Opens a runtime over the store of a folder, with another folder to work in. */
async function runtimeOf(folder: string, isEncrypted: boolean): Promise<Runtime> {
  await Deno.mkdir(`${folder}/files`, { recursive: true });
  await Deno.writeTextFile(`${folder}/files/reply.txt`, large("file"));
  return await createRuntime({
    store: `${folder}/libos.db`,
    workspace: `${folder}/files`,
    approvals: "queue",
    autorun: false,
    jit: { review: "never", warm: false },
    audit: {},
    images: [worker, waiter, talker],
    ...(isEncrypted ? { encryption: KEY } : {}),
  });
}

Deno.test("Nothing that agents say, read, keep or are asked lies in an encrypted store", () =>
  withFolder(async (folder) => {
    const marks = ["marker-", sha256(JSON.stringify({ text: large("object") }))];
    const os = await runtimeOf(folder, true);
    await work(os);
    assert.deepEqual(found(folder, marks), []);
    await os.close();
    assert.deepEqual(found(folder, marks), []);
    // What was written is there for who has the key, after a restart too.
    await using again = await runtimeOf(folder, true);
    const told = await again.get("p_1");
    const { result } = await told!.wait();
    assert.deepEqual(result, { answer: small("answer"), text: large("result") });
    assert.deepEqual((await again.verify()).map(({ broken }) => broken), [null, null, null, null]);
    assert.equal(
      (await again.trees({ all: true }))[0]!.summary.title.includes("marker-goal"),
      true,
    );
    assert.deepEqual(found(folder, marks), []);
  }));

Deno.test("The same search finds what the same agents leave in a plain store", () =>
  withFolder(async (folder) => {
    const os = await runtimeOf(folder, false);
    await work(os);
    const whats = [
      ...["source", "description", "label", "idempotency", "talk", "name", "instructions"],
      ...["goal-small", "input-large", "object-small", "object-large", "args-large", "file-large"],
      ...["message-large", "message-small", "request-small", "answer-small", "inbox-small"],
      ...["waiting-large", "reply-large", "result-large"],
    ];
    for (const what of whats) assert(found(folder, [`marker-${what}`]).length > 0, what);
    assert(found(folder, [sha256(JSON.stringify({ text: large("object") }))]).length > 0);
    await os.close();
  }));

Deno.test("Seals, proofs, exports, erasing and collecting hold on an encrypted store", () =>
  withFolder(async (folder) => {
    const os = await runtimeOf(folder, true);
    await work(os);
    const { head } = await os.seal();
    const trust = { keys: [head.key], check: checkSignature };
    const verdict = verifyProof(await os.prove("t_1", 2), trust);
    assert(verdict.ok && verdict.seq === 2);
    const reader = new ExportReader(trust);
    for await (const record of os.exportAudit()) reader.push(record);
    assert.equal(reader.finish([head]).fault, null);
    // An export is plain, and comes into a store under another key.
    const { store } = os.node.options;
    const records = await Array.fromAsync(exportTree(store, "t_1"));
    assert(records.some((record) => record.includes("marker-object-large")));
    const there = SqliteStore.open(`${folder}/there.db`, { encryption: OTHER });
    assert.equal((await importTree(there, records)).created, true);
    const lines = records.filter((record) => record.startsWith('{"at":'));
    const now = await Array.fromAsync(exportTree(there, "t_1"));
    const came = now.filter((record) => record.startsWith('{"at":')).slice(0, lines.length);
    assert.deepEqual(came, lines);
    assert.deepEqual(await there.check(), []);
    await there.close();
    const name = `p_1/marker-name-${large("object").length}`;
    const by = { by: "marker-dpo", reason: "asked" };
    const erased = await eraseObject(os.node, "t_1", name, { ...by, partly: true });
    assert(erased.bytes > 0);
    const left = await Array.fromAsync(exportTree(store, "t_1"));
    assert(!left.some((record) => record.includes("marker-object-large")));
    const { kept } = await gc(os.node, "ada");
    assert(kept > 0);
    for (const { broken } of await os.verify()) assert.equal(broken, null);
    assert.deepEqual(await store.check(), []);
    await os.close();
    assert.deepEqual(found(folder, ["marker-"]), []);
  }));

Deno.test("createRuntime() refuses encryption where nothing would be encrypted", async () => {
  const store = SqliteStore.open(":memory:");
  for (const given of [":memory:", store]) {
    const made = createRuntime({ store: given, workspace: null, encryption: KEY });
    await assert.rejects(made, /Cannot encrypt store .*, expected a path/);
  }
  await store.close();
});
