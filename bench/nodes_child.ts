/**
 * A node of the bench of nodes, in a process of its own.
 *
 * Arguments: what it does ("steps", "alone", "wait" or "beat"), the store's address, its name, its
 * lease in milliseconds and how many trees it plants. It says "ready", and begins when its input
 * says so; times are milliseconds since 1970, the same for all processes of a machine.
 * @module
 */

import { createRuntime, defineImage } from "../mod.ts";
import type { Batch, Store } from "../kernel/store.ts";
import { PostgresStore } from "../postgres.ts";
import { Clockwork } from "../runtime/clockwork.ts";
import { freshText, Stage } from "./stage.ts";

/** Bytes that go out and come back in a step. */
export const STEP_BYTES = 1_024;
const CALLS_PER_STEP = 20;

/** Milliseconds since 1970, with parts of them. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Waits for messages, and tells when each came. */
export const waiter = defineImage({
  name: "waiter",
  version: "1",
  maxSteps: 1_000_000,
  program: async ({ sys }) => {
    const { messages } = await sys.message.receive({ timeoutMs: 60_000 });
    for (const { type } of messages) console.log(`woke ${type} ${nowMs()}`);
  },
});

/** Does a step every so often. */
export const beater = defineImage({
  name: "beater",
  version: "1",
  maxSteps: 1_000_000,
  program: async ({ sys }) => {
    await sys.clock.sleep({ ms: 100 });
  },
});

/** The same store with a transaction for every batch. */
function ungrouped(store: Store): Store {
  const commit = store.commit.bind(store);
  store.commit = async (batches: readonly Batch[]): Promise<void> => {
    await Promise.all(batches.map((batch) => commit([batch])));
  };
  return store;
}

interface Asked {
  readonly store: string;
  readonly name: string;
  readonly leaseMs: number;
  readonly trees: number;
}

/** Makes steps until it is told that it is enough; tells how many it has made whenever asked. */
async function steps(asked: Asked, isGrouped: boolean): Promise<void> {
  const { store: url, name, leaseMs, trees } = asked;
  const opened = await PostgresStore.open(url);
  await using stage = new Stage(isGrouped ? opened : ungrouped(opened), 128, { name, leaseMs });
  await stage.node.membership!.join();
  const clockwork = new Clockwork(stage.node);
  clockwork.start();
  for (let i = 0; i < trees; i++) await stage.plant("steps");
  console.log("ready");
  let made = 0;
  for await (const line of lines()) {
    if (line === "over") Deno.exit();
    if (line === "count") console.log(`made ${made} ${nowMs()}`);
    if (line !== "go") continue;
    stage.teach("steps", async (call) => {
      for (let i = 0; i < CALLS_PER_STEP; i++) {
        await call("bench.send", { to: "x", text: freshText(STEP_BYTES) });
        made += 1;
      }
    });
    await stage.node.pump();
  }
}

/** Has trees that wait, or that do something now and then. */
async function stay(asked: Asked, image: typeof waiter): Promise<void> {
  const { store, name, leaseMs, trees } = asked;
  const options = { workspace: null, images: [image], approvals: "queue" } as const;
  await using os = await createRuntime({ store, ...options, node: { name, leaseMs } });
  const pids: string[] = [];
  for (let i = 0; i < trees; i++) pids.push((await os.spawn(image, { goal: "stay" })).pid);
  await os.runUntilIdle();
  console.log(`ready ${pids.join(" ")}`);
  for await (const line of lines()) if (line === "over") Deno.exit();
}

/** Lines of the input. */
async function* lines(): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}

if (import.meta.main) {
  const [what = "", store = "", name = "", lease = "", trees = ""] = Deno.args;
  const asked = { store, name, leaseMs: Number(lease), trees: Number(trees) };
  if (what === "steps" || what === "alone") await steps(asked, what === "steps");
  else await stay(asked, what === "wait" ? waiter : beater);
}
