/**
 * Object Memory from outside: `objects ls | cat | history`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Provenance, ValueRef } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import type { ObjectRecord } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { printable } from "../providers/printable.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { list, safeJson } from "./output.ts";
import { objectsThere } from "./state_there.ts";
import { findObject, findProcess, reading } from "./store.ts";
import { dateOf } from "./words.ts";

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
  const { tree, process } = await reading(at, (store) => findProcess(store, word));
  const found = [...tree.listNames(process.pid)].flatMap(({ object, name }) =>
    object === undefined ? [] : [{ ...object, name }]
  );
  list(at, found, {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "NAME", of: ({ name }) => `/${name}` },
      { head: "TYPE", of: ({ type, list }) => list ? `${type}[]` : type },
      { head: "VERSION", of: ({ version }) => String(version) },
      { head: "LABEL", of: ({ label }) => `${label.sensitivity}/${label.trust}` },
      { head: "FROM", of: ({ from }) => from.call },
    ],
    name: ({ id }) => id,
    json: ({ items: _, versions: __, ...rest }) => rest,
    none: `No objects of ${process.pid}`,
  });
  return 0;
}

async function cat(at: Context, word: string): Promise<number> {
  const value = await reading(at, async (store) => {
    const { tree, object } = await findObject(store, word);
    return object.list ? await itemsOf(store, tree, object) : await latestOf(store, object);
  });
  const { io, format } = at;
  if (format === "json") io.out(`${safeJson(value, 2)}\n`);
  else if (format === "jsonl") io.out(`${safeJson(value)}\n`);
  else if (typeof value === "string") io.out(`${printable(value)}\n`);
  else if (Array.isArray(value)) { for (const item of value) io.out(`${safeJson(item)}\n`); }
  else io.out(`${safeJson(value, 2)}\n`);
  return 0;
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

/** One thing that was written into an object. */
interface Kept {
  readonly version: number;
  readonly seq: number;
  readonly value: ValueRef;
  readonly from: Provenance;
  readonly atMs: number | null;
}

async function history(at: Context, word: string): Promise<number> {
  const { object } = await reading(at, (store) => findObject(store, word));
  const shown: Kept[] = object.list
    ? object.items.map((item, i) => ({ ...item, version: i + 1, atMs: null, from: object.from }))
    : object.versions;
  list(at, shown, {
    columns: [
      { head: "VERSION", of: ({ version }) => String(version) },
      { head: "LINE", of: ({ seq }) => `#${seq}` },
      { head: "AT", of: ({ atMs }) => atMs === null ? "-" : dateOf(atMs) },
      { head: "SIZE", of: ({ value }) => sizeText(value) },
      { head: "BY", of: ({ from }) => from.call },
      { head: "SOURCES", of: ({ from }) => from.sources.join(", ") || "-" },
    ],
    name: ({ version }) => `${object.id}@${version}`,
    none: `Nothing was written into ${object.id}`,
  });
  return 0;
}

function sizeText(ref: ValueRef): string {
  return "value" in ref
    ? `${JSON.stringify(ref.value).length} B`
    : `${ref.bytes} B sha256:${ref.hash.slice(0, 8)}`;
}
