/**
 * Object Memory from outside: `objects ls | cat | history | diff | put`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { ValueRef } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import type { ObjectRecord } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { objectViews, versionViews } from "../server/view/memory.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { readText } from "./files.ts";
import { listObjects, listVersions, printDiff, printValue } from "./object_text.ts";
import { type Versions, versionsOf } from "./object_text.ts";
import { show } from "./output.ts";
import { systemOf } from "./system.ts";
import { countOf } from "./words.ts";
import { objectsThere } from "./state_there.ts";
import { findObject, findProcess, reading } from "./store.ts";

/** `objects`. */
export const objects: Command = {
  name: "objects",
  group: "state",
  usage: "ls PID | cat OBJECT | history OBJECT | diff OBJECT [FROM [TO]] | " +
    "put PID NAME VALUE|@FILE [--type T] [--from N] [--json]",
  about: "Look into Object Memory, compare versions, and put something into it",
  examples: ["libos objects diff /p_1/report", "libos objects put p_1 notes/today @./notes.txt"],
  options: { type: { type: "string" }, from: { type: "string" }, json: { type: "boolean" } },
  words: [2, 4],
  remote: (at, client) => at.words[0] === "put" ? objects.run(at) : objectsThere(at, client),
  run(at) {
    const [verb, word, first, second] = at.words;
    if (verb === "put" && second !== undefined) return put(at);
    if (verb === "diff") return diff(at, word!, { from: first, to: second });
    if (first === undefined) {
      if (verb === "ls") return ls(at, word!);
      if (verb === "cat") return cat(at, word!);
      if (verb === "history") return history(at, word!);
    }
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
  return parseJson(text) as Json;
}

async function history(at: Context, word: string): Promise<number> {
  const { tree, object } = await reading(at, (store) => findObject(store, word));
  return listVersions(at, object.id, versionViews(tree.state, object));
}

/** Compares two versions of an object: the last two, unless others are named. */
async function diff(at: Context, word: string, wanted: Versions): Promise<number> {
  const { id, from, to, before, after } = await reading(at, async (store) => {
    const { object } = await findObject(store, word);
    const known = object.versions.map(({ version }) => version);
    const { from, to } = versionsOf(object.id, known, wanted);
    const valueAt = async (n: number): Promise<Json> =>
      await valueOf(store, object.versions.find(({ version }) => version === n)!.value);
    return { id: object.id, from, to, before: await valueAt(from), after: await valueAt(to) };
  });
  return printDiff(at, { id, from, to, before, after });
}

/** Puts a value into a process's memory: a text, or JSON with `--json`. */
async function put(at: Context): Promise<number> {
  const [, word, name, given] = at.words as [string, string, string, string];
  const from = at.flags.text("from");
  const base = from === "0" ? 0 : countOf(from, "--from");
  const text = given.startsWith("@") ? await readText(at, given.slice(1)) : given;
  const isJson = at.flags.on("json");
  const value = isJson ? jsonOf(text) : text;
  const system = systemOf(at);
  const { pid } = await system.process(word);
  const made = await system.put(pid, {
    name,
    type: at.flags.text("type") ?? (isJson ? "json" : "text"),
    value,
    ...(base === undefined ? {} : { from: base }),
  });
  const what = made.list ? `${made.items} items` : `version ${made.version}`;
  show(at, made, { name: made.id, lines: [`${made.id} /${made.name} has ${what} now`] });
  return 0;
}

function jsonOf(text: string): Json {
  try {
    return parseJson(text) as Json;
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new UsageError(`Cannot put the value: ${why}, expected JSON with --json`);
  }
}
