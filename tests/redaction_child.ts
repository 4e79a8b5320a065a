/**
 * A kernel that takes payloads away and kills its own process at one of its writes.
 *
 * `redaction_child.ts DB make`: makes trees whose payloads are kept for a day, lets them end, and
 * says so. `redaction_child.ts DB pass N`: some days later, passes over what is due; before write
 * N, from 1, it dies. One that comes to its end prints how many writes it made.
 * @module
 */

import { createRuntime } from "@agent-libos/core";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { archiveOf, type Store } from "../kernel/store.ts";
import { redactDue } from "../runtime/redaction.ts";
import { VirtualClock } from "../testing.ts";
import { imageOf } from "./world_fixture.ts";

/** When the trees were made, and when their payloads are due. */
export const MADE_MS = 1_700_000_000_000;
export const DUE_MS = MADE_MS + 3 * 86_400_000;
/** What is in no store after a pass. */
export const TOLD = "What was told to an agent once. ".repeat(40);
/** How many trees are made, and how many payloads each has. */
export const TREES = 2;
export const CALLS = 5;

const WRITES = ["commit", "putSnapshot", "redact", "removeSnapshots"];

/** A store or archive that dies before one of its writes. */
function fatal<T extends object>(target: T, reached: () => void): T {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (name === "archive") return fatal(archiveOf(target as unknown as Store), reached);
        if (WRITES.includes(String(name))) reached();
        return value.apply(target, args);
      };
    },
  });
}

async function make(path: string): Promise<void> {
  await using os = await createRuntime({
    store: path,
    workspace: null,
    clock: new VirtualClock(MADE_MS),
    autorun: false,
    retention: { days: 1 },
  });
  const image = imageOf(async ({ sys }) => {
    for (let i = 0; i < CALLS; i++) await sys.object.create({ name: `${i}`, value: TOLD + i });
    await sys.message.receive({});
  });
  const processes = await Promise.all(
    Array.from({ length: TREES }, (_, i) => os.spawn(image, { goal: `${i}` })),
  );
  await os.runUntilIdle();
  // Of the middle of a step: they hold what it was given.
  for (const tree of os.node.trees) {
    const { seq, tree: id } = tree.state;
    await os.node.options.store.putSnapshot(id, { seq, head: tree.head, state: tree.dump() });
  }
  for (const process of processes) await process.send("go on");
  await os.runUntilIdle();
}

async function pass(path: string, at: number): Promise<number> {
  let writes = 0;
  const store = fatal<Store>(SqliteStore.open(path), () => {
    writes += 1;
    if (writes === at) Deno.kill(Deno.pid, "SIGKILL");
  });
  const os = await createRuntime({
    store,
    workspace: null,
    clock: new VirtualClock(DUE_MS),
    autorun: false,
  });
  await redactDue(os.node);
  await os.close();
  return writes;
}

if (import.meta.main) {
  const [path = "", what, at] = Deno.args;
  if (what === "make") await make(path);
  else console.log(await pass(path, Number(at)));
}
