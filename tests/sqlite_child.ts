/**
 * A kernel's hold on a store, in a process of its own which a test may kill at any instant.
 *
 * `write`: commits to three trees together, for ever, and says the number of lines after each
 * commit. `hold`: opens the store, says so, and waits for the end of its input. A third argument is
 * the key of an encrypted store.
 * @module
 */

import { SqliteStore } from "../providers/sqlite_store.ts";
import { StoreKey } from "../providers/store_key.ts";
import { batchOf } from "./store_fixture.ts";

/** Trees which are always committed together. */
export const CHILD_TREES = ["t_1", "t_2", "t_3"] as const;

/** Line `seq` of a tree: of varying length, so that pages end in all places. */
export function childLine(tree: string, seq: number): string {
  return JSON.stringify({ tree, seq, pad: "x".repeat((seq * 37) % 3_000) });
}

async function write(store: SqliteStore): Promise<void> {
  let epoch = 0;
  while ((await store.list({ limit: 3 })).length < 3) await store.create(null);
  for (const tree of CHILD_TREES) {
    const claim = await store.claim(tree, `pid ${Deno.pid}`, { nowMs: 0, ttlMs: 1, steal: true });
    epoch = claim?.epoch ?? epoch;
  }
  for (let seq = ((await store.head("t_1"))?.seq ?? 0) + 1;; seq++) {
    await store.commit(CHILD_TREES.map((tree) =>
      batchOf(tree, {
        epoch,
        seq,
        lines: [childLine(tree, seq)],
        taken: [`${seq - 1}`],
        puts: [{ tree, item: { id: `${seq}`, body: {} } }],
      })
    ));
    say(`${seq}`);
  }
}

function say(word: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${word}\n`));
}

if (import.meta.main) {
  const [path = "", job = "", digits] = Deno.args;
  const store = SqliteStore.open(
    path,
    digits === undefined ? {} : {
      encryption: StoreKey.of(digits),
    },
  );
  if (job === "write") await write(store);
  say("held");
  await Array.fromAsync(Deno.stdin.readable);
  await store.close();
}
