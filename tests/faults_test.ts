/**
 * Faults of the outside: a full disk, a locked store, a damaged log, a clock that goes backwards.
 * Nothing is lost or half done, and each says what to do.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import {
  createRuntime,
  defineImage,
  type Json,
  type Model,
  type ModelReply,
  SysError,
} from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import type { Store } from "../kernel/store.ts";
import { readLines } from "../runtime/load.ts";

const filler = defineImage({
  name: "filler",
  maxSteps: 10_000,
  program: async ({ sys, step, input }) => {
    if (step > Number(input)) return await sys.process.exit({ result: step }) as never;
    await sys.object.create({
      name: `fill-${step}`,
      type: "text",
      value: `${step} `.repeat(4_000),
    });
  },
});

async function within<T>(job: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    return await job(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("A full disk stops the tree with ENOSPC, and it goes on when there is room", async () => {
  await within(async (folder) => {
    const path = join(folder, "full.db");
    const handle = new DatabaseSync(path);
    const store = SqliteStore.over(handle as never);
    handle.exec("PRAGMA max_page_count = 60");
    const os = await createRuntime({ store, workspace: null, approvals: "queue" });
    const process = await os.spawn(filler, { goal: "Fill", input: 30 });
    const error = await process.wait().then(() => null, (reason) => reason);
    assert.ok(error instanceof SysError);
    assert.equal(error.code, "ENOSPC");
    await os.close({ drain: false });
    await using again = await createRuntime({
      store: path,
      workspace: null,
      approvals: "queue",
      images: [filler],
    });
    const status = await (await again.get(process.pid))!.wait();
    assert.deepEqual([status.ok, status.result], [true, 31]);
    assert.deepEqual((await again.verify()).map(({ broken }) => broken), [null]);
  });
});

Deno.test("A disk that fails while a runtime closes keeps neither store nor trees locked", async () => {
  await within(async (folder) => {
    const path = join(folder, "one.db");
    const store = SqliteStore.open(path);
    const released: string[] = [];
    store.release = (tree) => {
      released.push(tree);
      return Promise.reject(new SysError("EIO", "Cannot release a tree: the disk failed"));
    };
    const os = await createRuntime({ store, workspace: null, approvals: "queue" });
    for (const _ of [1, 2]) await (await os.spawn(filler, { goal: "Fill", input: 0 })).wait();
    const error = await os.close().then(() => null, (reason) => reason);
    assert.ok(error instanceof SysError);
    assert.equal(error.code, "EIO");
    assert.deepEqual(released.sort(), ["t_1", "t_2"]);
    await using again = await createRuntime({ store: path, workspace: null, approvals: "queue" });
    assert.deepEqual((await again.verify()).map(({ broken }) => broken), [null, null]);
  });
});

Deno.test("A second kernel on the same file is refused, and told who has it", async () => {
  await within(async (folder) => {
    const store = join(folder, "one.db");
    await using _os = await createRuntime({ store, workspace: null, approvals: "queue" });
    const error = await createRuntime({ store, workspace: null }).then(() => null, (e) => e);
    assert.ok(error instanceof SysError);
    assert.equal(error.code, "EFENCED");
    assert.match(error.message, /another kernel runs on it \(pid \d+/);
    const reader = SqliteStore.open(store, { mode: "read" });
    assert.deepEqual(await reader.list({ limit: 10 }), []);
    await reader.close();
  });
});

/** A damaged log: what is done to the batches' text, and the line at which it is found. */
const DAMAGE: readonly (readonly [string, string, RegExp])[] = [
  ["a changed byte", "UPDATE batches SET body = replace(body, 'fill-1', 'fill-9')", /line \d+/],
  ["a batch taken out", "DELETE FROM batches WHERE id = 3", /t_1/],
  [
    "a payload changed",
    "UPDATE batches SET payloads = replace(payloads, '1 1 ', '2 2 ') WHERE payloads IS NOT NULL",
    /line \d+/,
  ],
];

for (const [what, sql, where] of DAMAGE) {
  Deno.test(`A log with ${what} is refused with its position, and the tree does not run`, async () => {
    await within(async (folder) => {
      const path = join(folder, "damaged.db");
      const os = await createRuntime({ store: path, workspace: null, approvals: "queue" });
      const process = await os.spawn(filler, { goal: "Fill", input: 3 });
      await process.wait();
      await os.close();
      const db = new DatabaseSync(path);
      db.exec(sql);
      db.close();
      await using again = await createRuntime({
        store: path,
        workspace: null,
        approvals: "queue",
        images: [filler],
      });
      const error = await again.get(process.pid).then(() => null, (e) => e);
      assert.ok(error instanceof SysError, "the tree is not opened");
      assert.equal(error.code, "EINTEGRITY");
      assert.match(error.message, where);
      const [verified] = await again.verify();
      assert.match(verified?.broken ?? "", where);
    });
  });
}

Deno.test("A clock that goes backwards never takes the log's time with it", async () => {
  const clock = new VirtualClock(2_000_000);
  let back = 0;
  const wrong = {
    now: () => clock.now() - back,
    sleep: clock.sleep.bind(clock),
    soon: clock.soon.bind(clock),
  };
  const image = defineImage({
    name: "dated",
    program: async ({ sys, step }) => {
      const { ms } = await sys.clock.now();
      back += 1_000_000;
      if (step < 4) return;
      await sys.process.exit({ result: ms });
    },
  });
  const store: Store = new MemoryStore();
  await using os = await createRuntime({
    store,
    workspace: null,
    approvals: "queue",
    clock: wrong,
    autorun: false,
  });
  const process = await os.spawn(image, { goal: "Tell the time" });
  await os.runUntilIdle();
  const status = await process.wait();
  assert.equal(status.result, 2_000_000);
  const times: number[] = [];
  for await (const { atMs } of readLines(store, "t_1")) times.push(atMs);
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
});

/** Arguments no call takes, with the code that refuses them. */
const ARGUMENTS: readonly (readonly [string, () => unknown, string])[] = [
  ["no object", () => "text", "EINVAL"],
  ["an extra field", () => ({ ms: 1, more: 1 }), "EINVAL"],
  ["a missing field", () => ({}), "EINVAL"],
  ["a wrong type", () => ({ ms: "1" }), "EINVAL"],
  ["NaN", () => ({ ms: NaN }), "EINVAL"],
  ["a huge integer", () => ({ ms: 2 ** 60 }), "EINVAL"],
  ["a bigint", () => ({ ms: 1n }), "EINVAL"],
  ["a cyclic value", () => {
    const value: Record<string, unknown> = {};
    value["ms"] = value;
    return value;
  }, "ELIMIT"],
  ["a deep value", () => {
    let value: unknown = 1;
    for (let i = 0; i < 10_000; i++) value = [value];
    return { ms: value };
  }, "ELIMIT"],
  ["a large value", () => ({ ms: "x".repeat(2 ** 21) }), "ELIMIT"],
  ["a getter", () => ({
    get ms() {
      throw new Error("called");
    },
  }), "EINVAL"],
  ["an instance of a class", () => ({ ms: new Date(0) }), "EINVAL"],
  ["a function", () => ({ ms: () => 1 }), "EINVAL"],
  ["a lone surrogate", () => ({ ms: "\ud800" }), "EINVAL"],
  ["a reserved name", () => JSON.parse('{"__proto__":{"ms":1}}'), "EINVAL"],
];

Deno.test("Arguments that no call takes are refused, each with a code and a sentence", async () => {
  const image = defineImage({
    name: "clumsy",
    program: async ({ sys }) => {
      const codes: Json[] = [];
      for (const [, make] of ARGUMENTS) {
        try {
          await sys("clock.sleep", make() as never);
          codes.push("accepted");
        } catch (error) {
          assert.ok(error instanceof SysError);
          assert.match(error.message, /^Cannot /);
          codes.push(error.code);
        }
      }
      try {
        await sys("clock.rewind" as never, {} as never);
      } catch (error) {
        codes.push((error as SysError).code);
      }
      await sys.process.exit({ result: codes });
    },
  });
  await using os = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const { result } = await (await os.spawn(image, { goal: "Stumble" })).wait();
  assert.deepEqual(result, [...ARGUMENTS.map(([, , code]) => code), "ENOSYS"]);
});

Deno.test("A tree is done once the last effect of its ended processes has come home", async () => {
  const started = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<ModelReply>();
  const slow: Model = {
    id: "test/slow",
    generate() {
      started.resolve();
      return answer.promise;
    },
  };
  const image = defineImage({ name: "slow", model: slow });
  const store = new MemoryStore();
  await using os = await createRuntime({ store, workspace: null, approvals: "queue" });
  const process = await os.spawn(image, { goal: "Wait for the model" });
  await started.promise;
  await process.signal("kill");
  assert.equal((await process.wait()).outcome.kind, "killed");
  answer.resolve({ text: "late", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 });
  await os.runUntilIdle();
  const { summary } = (await store.head("t_1"))!;
  assert.deepEqual([summary.live, summary.ready], [false, false]);
});
