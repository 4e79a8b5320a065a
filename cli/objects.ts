/**
 * Object Memory from outside: `objects ls | cat | history`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { ValueRef } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import type { ObjectRecord } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { objectViews, versionViews } from "../server/view/memory.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { listObjects, listVersions, printValue } from "./object_text.ts";
import { objectsThere } from "./state_there.ts";
import { findObject, findProcess, reading } from "./store.ts";

/** `objects`. */
export const objects: Command = {
  name: "objects",
  group: "state",
  usage: "ls PID | cat OBJECT | history OBJECT",
  about: "Look into Object Memory",
  examples: ["libos objects ls p_1", "libos objects cat /p_1/report"],
  options: {},
  words: [2, 2],
  remote: objectsThere,
  run(at) {
    const [verb, word] = at.words;
    if (verb === "ls") return ls(at, word!);
    if (verb === "cat") return cat(at, word!);
    if (verb === "history") return history(at, word!);
    throw new UsageError(`Cannot run "objects ${verb}": expected ${objects.usage}`);
  },
};

async function ls(at: Context, word: string): Promise<number> {
  const { tree, process: { pid } } = await reading(at, (store) => findProcess(store, word));
  return listObjects(at, pid, objectViews(tree, pid).filter(({ deleted }) => !deleted));
}

async function cat(at: Context, word: string): Promise<number> {
  const value = await reading(at, async (store) => {
    const { tree, object } = await findObject(store, word);
    return object.list ? await itemsOf(store, tree, object) : await latestOf(store, object);
  });
  return printValue(at, value);
}

async function latestOf(store: Store, object: ObjectRecord): Promise<Json> {
  const last = object.versions.at(-1);
  if (last === undefined) {
    throw new SysError("ENOENT", `Cannot show object "${object.id}": no version of it is kept`);
  }
  return await valueOf(store, last.value);
}

/** Items of a list, those of the list it continues first. */
async function itemsOf(store: Store, tree: Tree, object: ObjectRecord): Promise<Json[]> {
  const base = object.prefix === null ? undefined : tree.state.objects[object.prefix.object];
  const before = base === undefined
    ? []
    : (await itemsOf(store, tree, base)).slice(0, object.prefix!.length);
  const own: Json[] = [];
  for (const { value } of object.items) own.push(await valueOf(store, value));
  return [...before, ...own];
}

async function valueOf(store: Store, ref: ValueRef): Promise<Json> {
  if ("value" in ref) return ref.value;
  const text = await store.getBlob(ref.hash);
  if (text === undefined) {
    throw new SysError("EINTEGRITY", `Cannot read value "${ref.hash}": missing from the store`);
  }
  return JSON.parse(text) as Json;
}

async function history(at: Context, word: string): Promise<number> {
  const { object } = await reading(at, (store) => findObject(store, word));
  return listVersions(at, object.id, versionViews(object));
}
