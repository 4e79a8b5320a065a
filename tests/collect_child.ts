/**
 * A kernel that collects values and kills its own process at one of its writes.
 *
 * `collect_child.ts DB make [KEY]`: makes trees that leave values to which nothing refers.
 * `collect_child.ts DB collect [KEY] N`: collects them; before write N, from 1, it dies. One that
 * comes to its end prints how many writes it made. KEY encrypts the store; "-" does not.
 * @module
 */

import { createRuntime } from "@agent-libos/core";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { StoreKey } from "../providers/store_key.ts";
import { archiveOf, type Store } from "../kernel/store.ts";
import { gc } from "../runtime/collect.ts";
import { imageOf } from "./world_fixture.ts";

/** How many trees are made, and how many values each leaves that are its own. */
export const TREES = 2;
export const LOOSE = 3;
/** A value that every tree leaves, and one that every tree keeps. */
export const SHARED = "What all of them wrote. ".repeat(20);
export const KEPT = "What stays. ".repeat(40);

/** What only one tree leaves. */
export function looseText(tree: number, i: number): string {
  return `What tree ${tree} wrote ${i}. `.repeat(20);
}

/** Opens a store, encrypted unless the key is "-". */
export function openAt(path: string, key: string): SqliteStore {
  return SqliteStore.open(path, key === "-" ? {} : { encryption: StoreKey.of(key) });
}

const WRITES = ["commit", "putSnapshot", "sweep"];

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

async function make(store: Store): Promise<void> {
  await using os = await createRuntime({ store, workspace: null, autorun: false });
  for (let tree = 1; tree <= TREES; tree++) {
    const image = imageOf(async ({ sys }) => {
      await sys.object.create({ name: "kept", value: KEPT });
      for (let i = 0; i < LOOSE + 1; i++) {
        const value = i === LOOSE ? SHARED : looseText(tree, i);
        const { object } = await sys.object.create({ name: `${i}`, value });
        await sys.object.delete({ object });
      }
    });
    await os.spawn(image, { goal: `${tree}` });
  }
  await os.runUntilIdle();
  for (const tree of os.node.trees) {
    const { seq, tree: id } = tree.state;
    await store.putSnapshot(id, { seq, head: tree.head, state: tree.dump() });
  }
}

async function collect(store: Store, at: number): Promise<number> {
  let writes = 0;
  const watched = fatal<Store>(store, () => {
    writes += 1;
    if (writes === at) Deno.kill(Deno.pid, "SIGKILL");
  });
  const os = await createRuntime({ store: watched, workspace: null, autorun: false });
  await gc(os.node, "ada");
  await os.close();
  return writes;
}

if (import.meta.main) {
  const [path = "", what, key = "-", at] = Deno.args;
  const store = openAt(path, key);
  if (what === "make") await make(store);
  else console.log(await collect(store, Number(at)));
}
