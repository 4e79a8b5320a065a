/**
 * Branches that are carried to another store: they need no other tree there, and a forged one that
 * would grow there, that is made of a third tree or that could use authority twice is refused.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import { RIGHTS } from "../broker/table.ts";
import { Draft } from "../kernel/draft.ts";
import type { EventMap, EventType } from "../kernel/event.ts";
import { payloadRecord } from "../kernel/export.ts";
import { canonical, type Json, sha256 } from "../kernel/json.ts";
import { encodeLine, GENESIS } from "../kernel/log.ts";
import { parseJson } from "../kernel/parse.ts";
import { diffStates, type StatePatch } from "../kernel/patch.ts";
import { renamed } from "../kernel/rename.ts";
import { emptyState } from "../kernel/state.ts";
import { Tree } from "../kernel/tree.ts";
import { readLines, verifyTree } from "../runtime/load.ts";
import { exportTree, importTree } from "../runtime/portable.ts";
import { errorOf, imageOf, inWorld, World } from "./world_fixture.ts";

const LONG = "x".repeat(600);
const CONTEXT = { rights: RIGHTS };

/** Keeps two values, and tells how long they are when it is asked. */
const KEEPER = imageOf(async ({ sys }) => {
  const { object: large } = await sys.object.create({ name: "large", value: LONG });
  const { object: small } = await sys.object.create({ name: "small", value: "small" });
  await sys.message.receive({});
  const read = await Promise.all([large, small].map((object) => sys.object.read({ object })));
  return read.map(({ value }) => (value as string).length);
}, { name: "keeper" });

/** The records of a branch, in a world of its own, whose origin is "t_1". */
async function carried(): Promise<string[]> {
  let records: string[] = [];
  await inWorld(async (world) => {
    const agent = await world.start(KEEPER, { grants: [allow("object.*", "**")] });
    const branch = await agent.fork((await world.tree()).state.seq, { message: LONG });
    await world.os.runUntilIdle();
    assert.equal((await branch.info()).state, "ended");
    const again = await agent.fork((await world.tree()).state.seq, { goal: LONG });
    await again.info();
    records = await Array.fromAsync(exportTree(world.store, "t_3"));
  });
  return records;
}

type Fields = Record<string, unknown>;
interface Written {
  readonly type: EventType;
  /** 1 when absent. */
  readonly atMs?: number;
  data: Fields;
}

/** The same stream with other lines: chained, hashed and counted anew, as a forger would. */
function forged(records: readonly string[], forge: (lines: Written[]) => Written[]): string[] {
  const parsed = records.map((record) => parseJson(record) as Fields);
  const texts = new Map<string, string>();
  for (const { type, text } of parsed) {
    if (type === "libos.payload/1") texts.set(sha256(text as string), text as string);
  }
  const restored = (value: unknown): unknown => {
    const hash = (value as { readonly $payload?: string } | null)?.$payload;
    return hash === undefined ? value : parseJson(texts.get(hash)!);
  };
  const lines = parsed.filter(({ prev }) => prev !== undefined).map(({ type, data }) => ({
    type: type as EventType,
    data: Object.fromEntries(
      Object.entries(data as Fields).map(([name, value]) => [name, restored(value)]),
    ),
  }));
  const made: string[] = [];
  let [prev, seq] = [GENESIS, 0];
  for (const { type, data, atMs = 1 } of forge(lines)) {
    const payloads = new Map<string, string>();
    const line = { tree: "t_3", seq: ++seq, atMs, type, data, prev } as const;
    const { text, hash } = encodeLine(
      line as unknown as Parameters<typeof encodeLine>[0],
      payloads,
    );
    made.push(text, ...[...payloads.values()].map(payloadRecord));
    prev = hash;
  }
  const start = canonical({ head: prev, seq, tree: "t_3", type: "libos.tree/1" });
  const blobs = records.filter((record) => record.endsWith('"type":"libos.blob/1"}'))
    .filter((record) =>
      made.join().includes(sha256(parsed[records.indexOf(record)]!["text"] as string))
    );
  const all = [start, ...made, ...blobs];
  const digest = all.reduce((sum, record) => sha256(sum + record), "");
  return [...all, canonical({ digest, records: all.length, type: "libos.end/1" })];
}

Deno.test("A branch that is carried elsewhere without its origin is verified there, and runs", async () => {
  const records = await carried();
  const target = new World({ seed: 9 });
  const { created } = await importTree(target.store, records);
  assert.equal(created, true);
  assert.equal((await verifyTree(target.store, "t_3", CONTEXT)).broken, null);
  target.os.register(KEEPER);
  const branch = (await target.os.get("p_3"))!;
  await branch.send("go on");
  await target.os.runUntilIdle();
  assert.deepEqual((await target.ended(branch)).result, [LONG.length, 5]);
  await target.close();
});

/** Changes what entries of a collection begin as. */
function changed(name: string, change: (key: string, value: Fields) => [string, Fields] | null) {
  return (lines: Written[]): Written[] => {
    for (const { type, data } of lines) {
      if (type !== "tree.grown") continue;
      const patch = data["patch"] as { set: [string, string, Fields][] };
      let isDone = false;
      patch.set = patch.set.map(([of, key, value]) => {
        if (of !== name || isDone) return [of, key, value];
        const made = change(key, value);
        if (made === null) return [of, key, value];
        isDone = true;
        return [of, ...made];
      });
      assert(isDone, name);
    }
    return lines;
  };
}

/** Goes back, as a patch says, at its end. */
function back(patch: Partial<StatePatch>) {
  const data = { to: 3, by: "ann", patch: { set: [], drop: [], fields: {}, ...patch } };
  return (lines: Written[]): Written[] => [...lines, { type: "tree.restored", data }];
}

const isGrown = ({ type }: Written): boolean => type === "tree.grown";
const FORGERIES: readonly [string, (lines: Written[]) => Written[], RegExp][] = [
  ["has yet to grow", (lines) => lines.filter((line) => !isGrown(line)), /yet to grow/],
  [
    "is said to be whole nowhere",
    (lines) => lines.map((line) => ({ ...line, data: { ...line.data, isWhole: false } })),
    /yet to grow/,
  ],
  ["grows twice", (lines) => [...lines, lines.find(isGrown)!], /whole/],
  [
    "has an object of a third tree",
    changed("objects", (key, value) => [key.replace("_3", "_7"), value]),
    /of another tree/,
  ],
  [
    "has an object that a process of a third tree owns",
    changed("objects", (key, value) => [key, { ...value, owner: "p_7" }]),
    /belongs to another tree/,
  ],
  [
    "has a capability of a third tree",
    changed("caps", (key, value) => [key, { ...value, subject: "p_7" }]),
    /held by another tree/,
  ],
  [
    "has a capability under another name",
    changed("caps", (key, value) => [key, { ...value, id: "cap_3.999" }]),
    /held by another tree/,
  ],
  [
    "has a use that its origin has, too",
    changed("caps", (key, value) => [key, { ...value, usesMax: 5 }]),
    /used twice/,
  ],
  [
    "has a person's grant that its origin has, too",
    changed("caps", (key, value) => [key, { ...value, grant: { by: "ann" } }]),
    /used twice/,
  ],
  [
    "has an id that is none",
    changed("caps", (key, value) => [key, { ...value, subject: "nobody" }]),
    /held by another tree/,
  ],
  ["has a capability that is nothing", changed("caps", (key) => [key, null!]), /null/],
  ["has an object that is nothing", changed("objects", (key) => [key, {}]), /undefined/],
  [
    "reaches out of its state",
    back({ set: [["constructor" as "caps", "reached", true]] }),
    /"constructor", which is no collection/,
  ],
  [
    "takes away what is not of its state",
    back({ drop: [["constructor" as "caps", "reached"]] }),
    /"constructor", which is no collection/,
  ],
  ["was written at no time", (lines) => [{ ...lines[0]!, atMs: 1e300 }, ...lines.slice(1)], /time/],
  [
    "waits until no time",
    (lines) => {
      const on = { reason: "message", key: "9", filter: {}, untilMs: 2 ** 53 };
      const data = { pid: "p_3", name: "message.receive", argsHash: "", on };
      return [...lines, { type: "process.waiting", data }];
    },
    /at no time/,
  ],
  [
    "is of an epoch that is none",
    (lines) => [{ ...lines[0]!, data: { node: "a", epoch: 2 ** 53 } }, ...lines.slice(1)],
    /at no time/,
  ],
  ["takes another number", back({ fields: { tree: "t_7" } as never }), /"tree" of a tree/],
  [
    "has a process that no tree has",
    (lines) => [...lines, { type: "process.stepped", data: { pid: "constructor", step: 2 } }],
    /not there/,
  ],
];

for (const [name, forge, why] of FORGERIES) {
  Deno.test(`A stream of a branch that ${name} is refused, and nothing is there`, async () => {
    const records = await carried();
    assert.equal(
      (await importTree(new MemoryStore(), forged(records, (lines) => lines))).tree,
      "t_3",
    );
    const target = new MemoryStore();
    // There is a tree of the number that it came from: nothing is ever taken from that.
    await target.create(null);
    const error = await errorOf(importTree(target, forged(records, forge)));
    assert.equal(error?.code, "EINTEGRITY", error?.message);
    assert.match(error!.message, why);
    assert.equal(await target.head("t_3"), undefined);
    for (const name of ["reached", "step"]) assert(!Object.hasOwn(Object, name), name);
  });
}

Deno.test("A piece whose text is not what its line names is refused", async () => {
  const records = await carried();
  const at = records.findIndex((record) =>
    record.includes('\\"large\\"') || record.includes("/large")
  );
  assert(at > 0);
  const other = records.with(at, records[at]!.replace("/large", "/larger"));
  assert.equal((await errorOf(importTree(new MemoryStore(), other)))?.code, "EINTEGRITY");
});

Deno.test("Logs of before, in which a branch begins whole, are read, verified and carried as they are", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(KEEPER, { grants: [allow("object.*", "**")] });
    const tree = await world.tree();
    await agent.checkpoint("here");
    await world.os.node.durable(tree);
    const { store } = world;
    const { tree: id } = await store.create(null);
    assert.equal(id, "t_2");
    const patch: StatePatch = diffStates(emptyState(id), {
      ...renamed(tree.state, id),
      checkpoints: {},
    });
    const made: EventMap["tree.forked"] = {
      from: "t_1",
      seq: tree.state.seq,
      head: tree.head,
      nonce: "0",
      by: "operator",
      patch: parseJson(canonical(patch as unknown as Json)) as StatePatch,
    };
    const old = Tree.empty(id, CONTEXT);
    const draft = new Draft(old, world.clock.now());
    draft.add("tree.opened", { node: "before", epoch: 1 });
    draft.add("tree.forked", made);
    old.commit(draft);
    const claim = (await store.claim(id, "before", { nowMs: 1, ttlMs: 1 }))!;
    old.state.epoch = claim.epoch;
    await store.commit([{ ...old.takeBatch()!.batch, epoch: claim.epoch }]);
    assert.equal((await verifyTree(store, id, CONTEXT)).broken, null);
    const records = await Array.fromAsync(exportTree(store, id));
    const elsewhere = new MemoryStore();
    assert.equal((await importTree(elsewhere, records)).lines, 2);
    assert.equal((await Array.fromAsync(readLines(elsewhere, id))).length, 3);
    const branch = (await world.os.get("p_2"))!;
    await branch.send("go on");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(branch)).result, [LONG.length, 5]);
  });
});
