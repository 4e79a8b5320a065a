/**
 * G4 and G7: the log is the truth and every change to it is found; one writer at a time.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { allow, createRuntime, SysError } from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { RIGHTS } from "../broker/table.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, type Json, sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Batch, StoredBatch } from "../kernel/store.ts";
import { Tree } from "../kernel/tree.ts";
import { loadTree, readLines, verifyTree } from "../runtime/load.ts";
import { codeOf, errorOf, foldOf, imageOf, World } from "./world_fixture.ts";

const CONTEXT = { rights: RIGHTS };

/** A store that is not closed with its runtime. */
class OpenStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A store whose log can be changed behind the kernel's back. */
class ForgedStore extends OpenStore {
  forge: (batches: StoredBatch[]) => StoredBatch[] = (batches) => batches;

  override async *read(tree: TreeId, fromSeq: number): AsyncIterable<StoredBatch> {
    const batches = await Array.fromAsync(super.read(tree, 1));
    const wanted = this.forge(batches).filter(({ seq, lines }) => seq + lines.length > fromSeq);
    yield* wanted;
  }
}

/** A store with one tree that did a little of everything. */
async function busyStore(): Promise<ForgedStore> {
  const store = new ForgedStore();
  const world = new World({ store });
  const child = imageOf(async ({ sys }) => {
    await sys.object.create({ name: "results/x", value: "x".repeat(500) });
    return "é".repeat(200);
  }, { name: "child" });
  await world.result(async ({ sys }) => {
    await sys.object.create({ name: "list", list: true });
    for (let i = 0; i < 3; i++) await sys.object.append({ object: "list", item: { i } });
    await sys.file.write({ path: "a", text: "t".repeat(600) });
    const { pid } = await sys.process.spawn({ image: "child", goal: "x" });
    await sys.process.wait({ pids: [pid], merge: true });
    await sys.process.fork({ goal: "y", ephemeral: true });
    await codeOf(sys.file.read({ path: "secret" }));
  }, { grants: [allow("file.write", "**"), allow("process.*", "**")], images: [child] });
  await world.os.close();
  return store;
}

/** All lines one a batch, so that a change touches just the line it is about. */
function split(batches: readonly StoredBatch[]): StoredBatch[] {
  return batches.flatMap(({ seq, lines, payloads }) =>
    lines.map((line, i) => ({ seq: seq + i, lines: [line], payloads }))
  );
}

function renumber(batches: readonly StoredBatch[]): StoredBatch[] {
  return batches.map((batch, i) => ({ ...batch, seq: i + 1 }));
}

type Forgery = (batches: StoredBatch[], at: number, chance: number) => StoredBatch[];

/** What can be done to a log; `at` is the index of a line. */
const FORGERIES: Readonly<Record<string, Forgery>> = {
  "a byte flipped": (all, at, chance) => {
    const text = new TextEncoder().encode(all[at]!.lines[0]);
    text[chance % text.length]! ^= 1 << (chance % 7);
    return all.with(at, { ...all[at]!, lines: [new TextDecoder().decode(text)] });
  },
  "a line dropped": (all, at) => renumber(all.toSpliced(at, 1)),
  // What stands behind the head was never committed and is not looked at.
  "a line doubled": (all, at) => {
    const first = Math.min(at, all.length - 2);
    return renumber(all.toSpliced(first, 0, all[first]!));
  },
  "a line of another place put in": (all, at) => {
    const other = all[(at + 3) % all.length]!;
    return renumber(all.toSpliced(at, 0, other));
  },
  "two lines exchanged": (all, at) => {
    const first = Math.min(at, all.length - 2);
    return renumber(all.with(first, all[first + 1]!).with(first + 1, all[first]!));
  },
  "the end cut off": (all, at) => all.slice(0, at),
  "a line that is no JSON": (all, at) => all.with(at, { ...all[at]!, lines: ["{"] }),
  "a line emptied": (all, at) => all.with(at, { ...all[at]!, lines: [""] }),
  "a line of another tree": (all, at) => {
    const text = all[at]!.lines[0]!.replace('"tree":"t_1"', '"tree":"t_2"');
    return all.with(at, { ...all[at]!, lines: [text] });
  },
  "time changed": (all, at) => {
    const text = all[at]!.lines[0]!.replace(/^\{"at":1/, '{"at":2');
    return all.with(at, { ...all[at]!, lines: [text] });
  },
};

for (const [claim, forgery] of Object.entries(FORGERIES)) {
  Deno.test(`G4 the log is the truth: ${claim} is refused with the position`, async () => {
    const store = await busyStore();
    const { length } = split(await Array.fromAsync(store.read("t_1", 1)));
    await fc.assert(
      fc.asyncProperty(fc.nat(length - 1), fc.nat(10_000), async (at, chance) => {
        store.forge = (batches) => forgery(split(batches), at, chance);
        const error = await errorOf(loadTree(store, "t_1", CONTEXT));
        assert.equal(error?.code, "EINTEGRITY");
        const seq = error?.detail?.["seq"] as number;
        assert.ok(seq >= at && seq <= at + 2, `line ${at + 1} was forged, ${seq} was blamed`);
        assert.match(error!.message, new RegExp(`^Cannot read tree "t_1" at line ${seq}: `));
        const verified = await verifyTree(store, "t_1", CONTEXT);
        assert.equal(verified.broken, error!.message);
      }),
      { numRuns: 60 },
    );
    store.forge = (batches) => batches;
    assert.equal((await verifyTree(store, "t_1", CONTEXT)).broken, null);
  });
}

Deno.test("G4 the log is the truth: a payload that was changed or taken away is refused", async () => {
  const store = await busyStore();
  for (const text of [undefined, '"something else"']) {
    store.forge = (batches) =>
      batches.map((batch) => ({
        ...batch,
        payloads: new Map(
          text === undefined ? [] : [...batch.payloads.keys()].map((k) => [k, text]),
        ),
      }));
    const error = await errorOf(loadTree(store, "t_1", CONTEXT));
    assert.equal(error?.code, "EINTEGRITY");
    assert.match(error!.message, /payload "[0-9a-f]{64}": missing or changed/);
  }
});

Deno.test("G4 the log is the truth: a tree whose log was forged stops and its neighbours go on", async () => {
  const store = await busyStore();
  store.forge = (batches) => batches.slice(0, -1);
  const world = new World({ store, seed: 2 });
  assert.equal((await errorOf(world.os.get("p_1")))?.code, "EINTEGRITY");
  assert.equal(world.os.node.broken.get("t_1")?.code, "EINTEGRITY");
  store.forge = (batches) => batches;
  assert.equal((await errorOf(world.os.get("p_1")))?.code, "EINTEGRITY");
  assert.equal((await world.start(imageOf(() => Promise.resolve("fine")))).pid, "p_2");
  assert.equal((await (await world.os.get("p_2"))!.wait()).result, "fine");
  await world.os.close();
});

Deno.test("G4 the log is the truth: a snapshot anywhere gives the same state as the whole log", async () => {
  const store = await busyStore();
  const lines = await Array.fromAsync(readLines(store, "t_1"));
  const whole = (await foldOf(store, "t_1")).dump();
  for (let cut = 0; cut <= lines.length; cut++) {
    const before = Tree.empty("t_1", CONTEXT);
    for (const line of lines.slice(0, cut)) before.replay(line);
    const after = Tree.load(before.dump(), "", CONTEXT);
    for (const line of lines.slice(cut)) after.replay(line);
    assert.equal(after.dump(), whole, `a snapshot at line ${cut} gives another state`);
  }
});

Deno.test("G4 the log is the truth: a forged snapshot is found", async () => {
  const store = new OpenStore();
  const world = new World({ store });
  await world.start(imageOf(({ sys }) => sys.message.receive({})));
  const tree = await world.tree();
  const { seq, head } = (await store.head("t_1"))!;
  const state = tree.dump().replace('"goal":"test"', '"goal":"evil"');
  await store.putSnapshot("t_1", { seq, head, state });
  const [verified] = await world.os.verify();
  assert.equal(verified!.broken, `Snapshot at line ${seq} differs from what the log says`);
  await store.putSnapshot("t_1", { seq, head: "f".repeat(64), state: tree.dump() });
  const error = await errorOf(loadTree(store, "t_1", CONTEXT));
  assert.equal(error?.code, "EINTEGRITY");
  await world.os.close({ drain: false });
});

Deno.test("G4 the log is the truth: canonical JSON agrees with the vectors of RFC 8785", async () => {
  const root = Deno.env.get("LIBOS_TEST_DATA") ??
    new URL("../../shared/data", import.meta.url).pathname;
  const found = await Array.fromAsync(Deno.readDir(`${root}/jcs/input`)).catch(() => []);
  if (found.length === 0) {
    console.log(`skipped: no vectors in "${root}/jcs"; see LIBOS_TEST_DATA`);
    return;
  }
  for (const { name } of found.filter(({ name }) => name.endsWith(".json"))) {
    const input = await Deno.readTextFile(`${root}/jcs/input/${name}`);
    const output = await Deno.readTextFile(`${root}/jcs/output/${name}`);
    assert.equal(canonical(JSON.parse(input)), output.trimEnd(), name);
  }
});

Deno.test("G4 the log is the truth: anyone can check the chain with a JSON reader and a hash", async () => {
  const store = await busyStore();
  let prev = "0".repeat(64);
  for (const { lines: [text] } of split(await Array.fromAsync(store.read("t_1", 1)))) {
    const line = JSON.parse(text!) as Record<string, unknown>;
    assert.equal(line["prev"], prev);
    assert.equal(canonical(line), text);
    prev = sha256(text!);
  }
  assert.equal((await store.head("t_1"))!.head, prev);
});

/** Two nodes over one store; the second takes the first tree over. */
async function twoNodes(): Promise<{ first: World; second: World }> {
  const store = new OpenStore();
  const image = imageOf(async ({ sys }) => {
    const { messages } = await sys.message.receive({});
    await sys.file.write({ path: String(messages[0]!["data"]), text: "" });
  }, { name: "echo" });
  const first = new World({ store });
  for (let i = 0; i < 2; i++) await first.start(image, { grants: [allow("file.write", "**")] });
  const { clock, files } = first;
  const second = new World({ store, clock, files, seed: 2, images: [image] });
  await second.os.node.open("t_1");
  await second.os.node.durable(await second.tree("t_1"));
  return { first, second };
}

Deno.test("G7 one writer: the first node's next commit to a tree that was taken over is refused", async () => {
  const { first, second } = await twoNodes();
  const lines = (await second.lines()).length;
  const error = await errorOf((await first.os.get("p_1"))!.send("first"));
  assert.equal(error?.code, "EFENCED");
  await first.os.runUntilIdle();
  assert.equal(first.os.node.broken.get("t_1")?.code, "EFENCED");
  assert.deepEqual(first.files!.done, []);
  assert.equal((await second.lines()).length, lines);
  await first.os.close();
  await second.os.runUntilIdle();
  await second.close();
});

Deno.test("G7 one writer: a node that lost a tree goes on with its others", async () => {
  const { first, second } = await twoNodes();
  await errorOf((await first.os.get("p_1"))!.send("first"));
  await (await first.os.get("p_2"))!.send("mine");
  await first.os.runUntilIdle();
  assert.deepEqual(first.files!.done, ["write mine"]);
  assert.equal(await codeOf(first.os.node.open("t_1")), "EFENCED");
  await first.os.close();
  await second.os.close();
});

Deno.test("G7 one writer: who waits for a process of a tree that was lost is told", async () => {
  const { first, second } = await twoNodes();
  const waits = errorOf((await first.os.get("p_1"))!.wait());
  await errorOf((await first.os.get("p_1"))!.send("first"));
  assert.equal((await waits)?.code, "EFENCED");
  await first.os.close();
  await second.os.close();
});

Deno.test("G7 one writer: what the lost node put into the inbox has its effect once, at the new one", async () => {
  const { first, second } = await twoNodes();
  await errorOf((await first.os.get("p_1"))!.send("first"));
  await second.os.runUntilIdle();
  assert.deepEqual(second.files!.done, ["write first"]);
  await first.os.close();
  await second.close();
});

Deno.test("G7 one writer: a tree that was lost comes back once its claim is free", async () => {
  const clock = new VirtualClock(1_700_000_000_000);
  const image = imageOf(async ({ sys }) => {
    const heard: Json[] = [];
    while (heard.length < 2) heard.push((await sys.message.receive({})).messages[0]!["data"]!);
    await sys.process.exit({ result: heard });
  }, { name: "two" });
  const options = { store: new OpenStore(), workspace: null, clock, autorun: false };
  await using first = await createRuntime({ ...options, images: [image] });
  const process = await first.spawn(image, { goal: "Hear two" });
  await first.runUntilIdle();
  await clock.advance(LIMITS.leaseMsDefault);
  const second = await createRuntime({ ...options, images: [image] });
  await (await second.get(process.pid))!.send("one");
  assert.equal(await codeOf(process.send("two")), "EFENCED");
  await first.runUntilIdle();
  assert.equal(first.node.peek("t_1"), undefined);
  await second.close();
  await first.runUntilIdle();
  assert.deepEqual((await process.wait()).result, ["one", "two"]);
  assert.equal(first.node.broken.size, 0);
});

/** A store whose inbox is read slowly, and shows what was there when the reading began. */
class SlowInbox extends MemoryStore {
  readonly gates: PromiseWithResolvers<void>[] = [];
  isSlow = false;
  override async getInbox(tree: TreeId): ReturnType<MemoryStore["getInbox"]> {
    const items = await super.getInbox(tree);
    if (!this.isSlow) return items;
    const gate = Promise.withResolvers<void>();
    this.gates.push(gate);
    await gate.promise;
    return items;
  }
}

Deno.test("G7 one writer: an item that two turns read is taken once", async () => {
  const store = new SlowInbox();
  const world = new World({ store });
  await world.start(imageOf(({ sys }) => sys.message.receive({ filter: { type: "never" } })));
  store.isSlow = true;
  const sent = (await world.os.get("p_1"))!.send("hello");
  await world.clock.settle();
  const other = world.os.node.pump();
  await world.clock.settle();
  store.isSlow = false;
  store.gates[0]!.resolve();
  await sent;
  await world.clock.settle();
  for (const gate of store.gates) gate.resolve();
  await other;
  assert.equal((await world.events("message.sent")).length, 1);
  await (await world.os.get("p_1"))!.signal("kill");
  await world.close();
});

Deno.test("G7 one writer: an item with the id of one that waits is no second one", async () => {
  const world = new World();
  await world.start(imageOf(({ sys }) => sys.message.receive({ filter: { type: "never" } })));
  const label = { sensitivity: "public", trust: "user" } as const;
  const body = {
    kind: "message",
    to: "p_1",
    from: "person:x",
    type: "m",
    data: 1,
    interrupt: false,
    replyTo: null,
    label: { ...label },
  };
  for (let i = 0; i < 3; i++) await world.store.putInbox("t_1", { id: "same", body });
  await world.os.runUntilIdle();
  assert.equal((await world.events("message.sent")).length, 1);
  await (await world.os.get("p_1"))!.signal("kill");
  await world.close();
});

Deno.test("G7 one writer: a batch at an old epoch changes nothing in any tree", async () => {
  const { first, second } = await twoNodes();
  const [one, two] = [await first.tree("t_1"), await first.tree("t_2")];
  const before = [await first.store.head("t_1"), await first.store.head("t_2")];
  const batch = (tree: Tree): Batch => ({
    tree: tree.state.tree,
    epoch: tree.state.epoch,
    seq: tree.state.seq + 1,
    lines: ["{}"],
    head: sha256("{}"),
    payloads: new Map(),
    blobs: new Map(),
    taken: [],
    dueMs: null,
    puts: [],
    summary: { live: true, title: "", key: null, ready: false },
  });
  const refused = await errorOf(first.store.commit([batch(two), batch(one)]));
  assert.ok(refused instanceof SysError);
  assert.deepEqual([await first.store.head("t_1"), await first.store.head("t_2")], before);
  await first.os.close();
  await second.os.close();
});
