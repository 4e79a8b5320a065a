/**
 * Timelines over a real socket, page by page: each bar once, none without its end, however long.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Store } from "../kernel/store.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { linesFrom } from "../server/lines.ts";
import type { BarView } from "../server/schema/evidence.ts";
import { VirtualClock } from "../testing.ts";
import { scratch } from "./scratch.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

const STEPS = 40;

const child = defineImage({
  name: "child",
  program: async ({ sys }) => {
    for (let i = 0; i < STEPS; i++) await sys.clock.now();
    await sys.process.exit({});
  },
});
const parent = defineImage({
  name: "parent",
  program: async ({ sys }) => {
    const { pid } = await sys.process.spawn({ image: "child", goal: "count" });
    for (let i = 0; i < STEPS; i++) await sys.clock.now();
    await sys.file.write({ path: "./a.txt", text: "a" });
    await sys.process.wait({ pids: [pid] });
    await sys.clock.sleep({ ms: 86_400_000 });
  },
});
/** As many calls as a step may make, or so. */
const noise = defineImage({
  name: "noise",
  program: async ({ sys }) => {
    for (let i = 0; i < 4_000; i++) await sys.clock.now();
    await sys.process.exit({});
  },
});
/** One that made a few calls, and others that fill the log behind it. */
const filler = defineImage({
  name: "filler",
  program: async ({ sys }) => {
    const images = ["child", ...Array(LIMITS.timelineLinesMax / 4_000 + 1).fill("noise")];
    for (const image of images) {
      const { pid } = await sys.process.spawn({ image, goal: "count" });
      await sys.process.wait({ pids: [pid] });
    }
    await sys.process.exit({});
  },
});

async function started() {
  const workspace = scratch();
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const at = await serverPlace({
    runtime: { workspace, clock, autorun: false },
    serve: { clock },
  });
  await at.runtime.spawn(parent, {
    goal: "count",
    images: [child],
    grants: [allow("process.spawn", "**"), ask("file.write", "./**")],
  });
  await at.runtime.runUntilIdle();
  return { at, clock };
}

/** All pages, and how many there were. */
async function paged(
  at: ServerPlace,
  pid: string,
  limit: number,
): Promise<{ items: BarView[]; pages: number }> {
  const items: BarView[] = [];
  let after: string | null = null;
  let pages = 0;
  do {
    const query: string = after === null ? "" : `&after=${after}`;
    const answer = await at.ask("viewer", `/v1/processes/${pid}/timeline?limit=${limit}${query}`);
    assert.equal(answer.status, 200);
    const page = await answer.json();
    assert(page.items.length <= limit);
    items.push(...page.items);
    after = page.next;
    pages += 1;
  } while (after !== null);
  return { items, pages };
}

Deno.test("A timeline comes page by page, the latest first: each bar once, as on one page", async () => {
  const { at } = await started();
  await using _ = at;
  const { items: whole } = await paged(at, "p_1", 500);
  assert.equal(whole.filter(({ name }) => name === "clock.now").length, STEPS);
  const seqs = whole.map(({ seq }) => seq);
  assert.deepEqual(seqs, [...seqs].sort((a, b) => b - a));
  for (const limit of [1, 7, 499]) {
    const { items, pages } = await paged(at, "p_1", limit);
    assert.deepEqual(items, whole, `limit ${limit}`);
    assert(pages >= Math.ceil(whole.length / limit));
  }
});

Deno.test("A bar ends where it ended, though that is on a later page, and is open while it is", async () => {
  const { at } = await started();
  await using _ = at;
  const bars = async () => (await paged(at, "p_1", 1)).items;
  const of = (all: BarView[], lane: string) => all.find((one) => one.lane === lane)!;
  const before = await bars();
  assert.deepEqual([of(before, "people").to, of(before, "people").decision], [null, "ask"]);
  // The child began first of all, and ended long after.
  assert.equal(of(before, "children").ok, true);
  const { items: [request] } = await (await at.ask("approver", "/v1/approvals")).json();
  const no = { decision: { outcome: "deny", reason: "no" }, argsHash: request.call.argsHash };
  await (await at.post("approver", `/v1/approvals/${request.id}/decision`, no)).body?.cancel();
  await at.runtime.runUntilIdle();
  const after = of(await bars(), "people");
  assert.deepEqual([after.ok, after.decision], [false, "deny"]);
  assert.notEqual(after.to, null);
});

Deno.test("A page reads so many lines at most, and goes on where they ended", async () => {
  await using at = await serverPlace();
  const grants = [allow("process.spawn", "**")];
  const root = await at.runtime.spawn(filler, { goal: "fill", images: [child, noise], grants });
  const ended = await root.wait();
  assert(ended.ok, JSON.stringify(ended));
  const first = await (await at.ask("viewer", "/v1/processes/p_1.1/timeline?limit=100")).json();
  assert.deepEqual(first.items, []);
  assert.notEqual(first.next, null);
  const { items } = await paged(at, "p_1.1", 100);
  assert.equal(items.filter(({ name }) => name === "clock.now").length, STEPS);
});

Deno.test("A cursor that is none is refused", async () => {
  const { at } = await started();
  await using _ = at;
  for (const after of ["x", "%21", "bm8", "LTE"]) {
    const answer = await at.ask("viewer", `/v1/processes/p_1/timeline?after=${after}`);
    assert.equal(answer.status, 400, after);
    await answer.body?.cancel();
  }
});

Deno.test("Lines from the middle of a log are the same as of the whole of it, and hold together", async () => {
  const store = new MemoryStore();
  await using at = await serverPlace({ runtime: { store } });
  const process = await at.runtime.spawn(child, { goal: "count" });
  await process.wait();
  const whole = await Array.fromAsync(at.runtime.log("t_1"));
  const { length } = whole;
  for (const [from, to] of [[1, length], [2, 2], [7, 19], [length, length], [length + 1, 99_999]]) {
    const lines = await Array.fromAsync(linesFrom(store, "t_1", from!, to));
    assert.deepEqual(lines, whole.slice(from! - 1, to));
  }
  const broken = {
    head: (tree: "t_1") => store.head(tree),
    async *read(tree: "t_1", from: number) {
      for await (const batch of store.read(tree, from)) {
        yield {
          ...batch,
          lines: batch.lines.map((text) => text.replace("clock.now", "clock.not")),
        };
      }
    },
  } as unknown as Store;
  await assert.rejects(Array.fromAsync(linesFrom(broken, "t_1", 7)), { code: "EINTEGRITY" });
});
