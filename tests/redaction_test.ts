/**
 * Retention as a job: payloads that go when their time is over, whatever dies meanwhile, and at no
 * cost for trees of which nothing is due.
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SqliteStore, SysError } from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { RIGHTS } from "../broker/table.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Archive, Store } from "../kernel/store.ts";
import { verifyTree } from "../runtime/load.ts";
import { redactDue, Redactions } from "../runtime/redaction.ts";
import { CALLS, DUE_MS, TREES } from "./redaction_child.ts";
import { type Body, codeOf, imageOf, inWorld, START_MS, World } from "./world_fixture.ts";

const DAY = 86_400_000;
const LONG = "What stands beside its line. ".repeat(20);

/** Leaves three payloads. */
const WRITER: Body = async ({ sys }) => {
  for (const name of ["a", "b", "c"]) await sys.object.create({ name, value: LONG + name });
};

/** A store that outlives its runtimes. */
class LastingStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

async function payloadsOf(store: Store, id: TreeId = "t_1"): Promise<number> {
  let count = 0;
  for await (const { payloads } of store.read(id, 1)) count += payloads.size;
  return count;
}

async function order(world: World, days: number | null, id: TreeId = "t_1"): Promise<string> {
  return await codeOf(world.os.order(id, { kind: "retain", days, by: "ada" }));
}

Deno.test("Payloads go when their time is over, as the options of the runtime say", () =>
  inWorld(async (world) => {
    await world.run(WRITER);
    assert.deepEqual(await world.events("retention.set"), [
      { days: 30, by: "runtime", isDefault: true },
    ]);
    await world.clock.advance(30 * DAY - 1);
    assert.deepEqual(await redactDue(world.os.node), []);
    await world.clock.advance(2 * DAY);
    const [done, ...others] = await redactDue(world.os.node);
    assert.deepEqual([others, done!.tree, done!.count], [[], "t_1", 3]);
    assert.equal(await payloadsOf(world.store), 0);
    assert.deepEqual(await redactDue(world.os.node), []);
    const [verified] = await world.os.verify();
    assert.deepEqual([verified!.broken, verified!.erased], [null, 3]);
    assert.equal((await world.events("payloads.redacted")).length, 1);
    assert.equal((await world.events("retention.passed")).length, 1);
    // Nothing is due of it ever again.
    await world.clock.advance(365 * DAY);
    assert.deepEqual(await redactDue(world.os.node), []);
  }, { retention: { days: 30 } }));

Deno.test("An order for one tree stands against any default, and forever is one", () =>
  inWorld(async (world) => {
    for (let i = 0; i < 3; i++) await world.run(WRITER, i === 2 ? { retainDays: 5 } : {});
    assert.equal(await order(world, null, "t_1"), "ok");
    assert.equal(await order(world, 2, "t_2"), "ok");
    await world.clock.advance(4 * DAY);
    assert.deepEqual((await redactDue(world.os.node)).map(({ tree }) => tree), ["t_2"]);
    await world.clock.advance(400 * DAY);
    assert.deepEqual((await redactDue(world.os.node)).map(({ tree }) => tree), ["t_3"]);
    assert.equal(await payloadsOf(world.store), 3);
  }, { retention: { days: 30 } }));

Deno.test("Another default takes the place of a default, and of no order", () =>
  inWorld(async (first) => {
    await first.run(WRITER);
    await first.run(WRITER);
    assert.equal(await order(first, 30, "t_2"), "ok");
    const { store, clock } = first;
    await first.os.close();
    const second = new World({ store, clock, retention: { days: 7 } });
    await second.tree("t_1");
    await second.tree("t_2");
    const told = async (id: TreeId) =>
      (await second.events("retention.set", id)).map(({ days, by }) => `${days} by ${by}`);
    assert.deepEqual(await told("t_1"), ["30 by runtime", "7 by runtime"]);
    assert.deepEqual(await told("t_2"), ["30 by runtime", "30 by ada"]);
    await second.close();
  }, { store: new LastingStore(), retention: { days: 30 } }));

Deno.test("Nobody keeps payloads for less than the least, or for no number of days", () =>
  inWorld(async (world) => {
    await world.run(WRITER);
    for (const days of [0, 2.9, -1, Infinity]) {
      assert.equal(await order(world, days), "EINVAL", `${days}`);
    }
    assert.equal(await codeOf(world.run(WRITER, { retainDays: 1 })), "EINVAL");
    assert.throws(() => new World({ retention: { days: 0.5 } }), { code: "EINVAL" });
    assert.equal(await order(world, 3), "ok");
    assert.deepEqual((await world.events("retention.set")).length, 1);
  }, { retention: { daysMin: 3 } }));

Deno.test("What a step may be run again with stays, and goes when the step is over", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(async ({ sys }) => {
      const { object } = await sys.object.create({ name: "a", value: LONG });
      await sys.message.receive({});
      const { value } = await sys.object.read({ object });
      return String(value).length;
    }));
    await world.clock.advance(40 * DAY);
    const [first] = await redactDue(world.os.node);
    assert.deepEqual([first!.count, first!.stays], [0, 1]);
    // As long as nothing happens nothing is looked at.
    await world.clock.advance(40 * DAY);
    assert.deepEqual(await redactDue(world.os.node), []);
    await process.send("go");
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, LONG.length);
    const [second] = await redactDue(world.os.node);
    assert.deepEqual([second!.count, second!.stays], [1, 0]);
  }, { retention: { days: 30 } }));

Deno.test("A fork keeps its payloads as long as the tree it came from", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(({ sys }) => sys.message.receive({})));
    assert.equal(await order(world, 9), "ok");
    const { seq } = (await world.lines()).at(-1)!;
    await process.fork(seq);
    assert.deepEqual(await world.events("retention.set", "t_2"), [
      { days: 9, by: "ada", isDefault: false },
    ]);
  }));

/** A store that tells which trees were read. */
class ReadStore extends LastingStore {
  readonly reads: TreeId[] = [];
  lists = 0;

  override read(tree: TreeId, fromSeq: number): ReturnType<Store["read"]> {
    this.reads.push(tree);
    return super.read(tree, fromSeq);
  }

  override list(options: Parameters<Store["list"]>[0]): ReturnType<Store["list"]> {
    this.lists += 1;
    return super.list(options);
  }
}

Deno.test("Only trees of which something is due are read, however many others there are", async () => {
  const store = new ReadStore();
  await inWorld(async (world) => {
    for (let i = 0; i < 40; i++) await world.run(WRITER);
    assert.equal(await order(world, 2, "t_7"), "ok");
    assert.equal(await order(world, 3, "t_30"), "ok");
    await world.clock.advance(10 * DAY);
    const { clock } = world;
    await world.os.close();
    // Another kernel, much later.
    const later = new World({ store, clock });
    const redactions = new Redactions(later.os.node);
    store.reads.length = store.lists = 0;
    await redactions.turn();
    assert.deepEqual([...new Set(store.reads)].sort(), ["t_30", "t_7"]);
    assert.equal(store.lists, 0);
    await later.close();
  }, { store, retention: { days: 100 } });
});

Deno.test("A running kernel redacts by its clock, and one that is opened after the time does", async () => {
  const store = new LastingStore();
  const first = new World({ store, retention: { days: 1 } });
  await first.run(WRITER);
  await first.close();
  const clock = new VirtualClock(START_MS + 3 * DAY);
  const second = new World({ store, clock, autorun: true });
  assert.equal(await payloadsOf(store), 3);
  for (let i = 0; i < 100 && await payloadsOf(store) > 0; i++) await clock.advance(200);
  assert.equal(await payloadsOf(store), 0);
  await second.close();
});

Deno.test("A tree that cannot be passed over holds up no other, and is tried again", () => {
  let isFailing = true;
  class Failing extends MemoryStore {
    override archive(): Archive {
      const archive = super.archive();
      const { redact } = archive;
      archive.redact = (tree, pick) =>
        isFailing && tree === "t_1"
          ? Promise.reject(new SysError("EIO", "Cannot take content out: the test says so"))
          : redact.call(archive, tree, pick);
      return archive;
    }
  }
  const store = new Failing();
  return inWorld(async (world) => {
    await world.run(WRITER);
    await world.run(WRITER);
    await world.clock.advance(3 * DAY);
    const redactions = new Redactions(world.os.node);
    await redactions.turn();
    assert.deepEqual([await payloadsOf(store, "t_1"), await payloadsOf(store, "t_2")], [3, 0]);
    isFailing = false;
    await redactions.turn();
    assert.equal(await payloadsOf(store, "t_1"), 3);
    await world.clock.advance(LIMITS.retentionRetryMs);
    await redactions.turn();
    assert.equal(await payloadsOf(store, "t_1"), 0);
  }, { store, retention: { days: 1 } });
});

/** Runs the child; what it printed, or null when it was killed. */
async function child(...args: string[]): Promise<string | null> {
  const script = join(fileURLToPath(new URL(".", import.meta.url)), "redaction_child.ts");
  const { success, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, ...args],
    stdin: "null",
  }).output();
  if (signal === "SIGKILL") return null;
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

/** What is wrong with a store, and how many payloads it has. */
async function looked(path: string): Promise<{ wrong: unknown[]; left: number; erased: number }> {
  const store = SqliteStore.open(path, { mode: "read" });
  try {
    const wrong: unknown[] = [...await store.check()];
    let [left, erased] = [0, 0];
    for (let i = 1; i <= TREES; i++) {
      const id: TreeId = `t_${i}`;
      const found = await verifyTree(store, id, { rights: RIGHTS });
      if (found.broken !== null) wrong.push(found.broken);
      erased += found.erased;
      left += await payloadsOf(store, id);
    }
    return { wrong, left, erased };
  } finally {
    await store.close();
  }
}

Deno.test("A pass that is killed at any of its writes leaves valid logs, and is finished later", async () => {
  const folder = await Deno.makeTempDir({ prefix: "libos-redact-" });
  try {
    const made = join(folder, "made.db");
    assert.equal(await child(made, "make"), "");
    assert.deepEqual(await looked(made), { wrong: [], left: TREES * CALLS, erased: 0 });
    const whole = join(folder, "whole.db");
    await Deno.copyFile(made, whole);
    const writes = Number(await child(whole, "pass", "0"));
    assert(writes >= 5 * TREES, `${writes} writes`);
    for (let at = 1; at <= writes; at++) {
      const path = join(folder, `${at}.db`);
      await Deno.copyFile(made, path);
      assert.equal(await child(path, "pass", `${at}`), null);
      const { wrong } = await looked(path);
      assert.deepEqual(wrong, [], `killed before write ${at}`);
      const store = SqliteStore.open(path);
      await inWorld(async (world) => {
        await redactDue(world.os.node);
      }, { store, clock: new VirtualClock(DUE_MS) });
      const done = { wrong: [], left: 0, erased: TREES * CALLS };
      assert.deepEqual(await looked(path), done, `killed before write ${at}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
