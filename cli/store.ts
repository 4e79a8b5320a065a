/**
 * The store as commands see it: read beside a running kernel, and ids of things in it.
 *
 * Every id may be shortened to a prefix that only one thing has.
 * @module
 */

import { basename, dirname, resolve } from "node:path";
import { POLICIES } from "../broker/forms.ts";
import { SysError } from "../kernel/errors.ts";
import type { CapId, ObjectId, Pid, RequestId, TreeId } from "../kernel/ids.ts";
import { processOf } from "../kernel/process.ts";
import type { ObjectRecord, Process, RequestRecord } from "../kernel/state.ts";
import type { Store, TreeHead } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { type SqliteMode, SqliteStore } from "../providers/sqlite_store.ts";
import { loadTree } from "../runtime/load.ts";
import { openStore as openAny } from "../runtime/open_store.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { encryptionFor } from "./store_key.ts";

/** What trees are read against. */
export const TREE_CONTEXT = POLICIES;
/** Trees that are looked through for a prefix. */
const TREES_SEARCHED_MAX = 200;

/**
 * Where the store is; of a database, where that would be which stands beside a store: tokens, books
 * and packages of this machine, in a folder that no other store has.
 */
export function dbPath(at: Context): string {
  const said = dbSaid(at);
  return resolve(at.io.cwd, isAddress(said) ? `.libos/${folderOf(said)}/libos.db` : said);
}

/** What the store is opened by: its path, or the address of its database. */
export function storeOf(at: Context): string {
  const said = dbSaid(at);
  return isAddress(said) ? said : dbPath(at);
}

/**
 * The replica that is named, for what is only shown. A usage error where the store is a file.
 */
export function replicaFor(at: Context): { readonly readUrl?: string } {
  const said = at.flags.text("read-db");
  const readUrl = said ?? at.io.env("LIBOS_READ_DB");
  if (readUrl === undefined || (said === undefined && !isDatabase(at))) return {};
  if (isDatabase(at) && isAddress(readUrl)) return { readUrl };
  const state = isDatabase(at) ? "it is no address" : "the store is a file";
  throw new UsageError(`Cannot read a replica: ${state}, expected postgres://… for both`);
}

/** What people are told of where the store is: no password. */
export function storeName(at: Context): string {
  const said = dbSaid(at);
  return isAddress(said) ? `postgres ${new URL(said).host}${new URL(said).pathname}` : dbPath(at);
}

/** Whether the store is a database, which other nodes may share. */
export function isDatabase(at: Context): boolean {
  return isAddress(dbSaid(at));
}

function dbSaid({ flags, io }: Context): string {
  return flags.text("db") ?? io.env("LIBOS_DB") ?? ".libos/libos.db";
}

function isAddress(said: string): boolean {
  return /^postgres(ql)?:\/\//.test(said) && URL.canParse(said);
}

function folderOf(said: string): string {
  const { host, pathname, searchParams } = new URL(said);
  const words = ["postgres", host, pathname.slice(1), searchParams.get("schema") ?? "libos"];
  return words.map((word) => word.replaceAll(/[^\w.]/g, "_")).join("-");
}

/**
 * What a kernel of a command is to others that share the store: it works on what the command is
 * about, and takes nothing else.
 */
export function momentary(at: Context): { readonly node?: { readonly capacity: 0 } } {
  return isDatabase(at) ? { node: { capacity: 0 } } : {};
}

/** The folder agents work in: the one that holds `.libos`, unless another was named. */
export function workspaceOf(at: Context): string {
  const given = at.flags.text("workspace");
  if (given !== undefined) return resolve(at.io.cwd, given);
  if (isDatabase(at)) return at.io.cwd;
  const folder = dirname(dbPath(at));
  return basename(folder) === ".libos" ? dirname(folder) : at.io.cwd;
}

/** Opens the store for reading, does a job, and closes it. */
export async function reading<T>(at: Context, job: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(at, "read");
  try {
    return await job(store);
  } finally {
    await store.close();
  }
}

/** Opens the store that is there, with its key. */
export async function openStore(
  at: Context,
  mode: Exclude<SqliteMode, "own">,
): Promise<Store> {
  if (isDatabase(at)) return await openAny({ store: storeOf(at), ...encryptionFor(at) });
  const path = dbPath(at);
  try {
    return SqliteStore.open(path, { mode, ...encryptionFor(at) });
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "ENOENT") throw error;
    const expected = "expected a store; libos run and libos init make one";
    throw new SysError("ENOENT", `Cannot open store "${path}": absent, ${expected}`);
  }
}

/** Trees in order of number; those that ended too, when `all`. */
export async function headsOf(store: Store, all: boolean): Promise<TreeHead[]> {
  const found: TreeHead[] = [];
  let after: TreeId | undefined;
  for (;;) {
    const page = await store.list({
      live: !all,
      limit: 500,
      ...(after === undefined ? {} : { after }),
    });
    found.push(...page.filter(({ seq }) => seq > 0));
    if (page.length < 500) return found;
    after = page.at(-1)!.tree;
  }
}

/** A tree as the store has it now. */
export async function treeIn(store: Store, id: TreeId): Promise<Tree> {
  return (await loadTree(store, id, TREE_CONTEXT)).tree;
}

/** The process a word names. */
export async function findProcess(
  store: Store,
  word: string,
): Promise<{ readonly tree: Tree; readonly process: Process }> {
  const { tree, id } = await find(store, { kind: "p", what: "process" }, {
    word,
    ids: ({ state }) => Object.keys(state.processes),
  });
  return { tree, process: processOf(tree.state, id as Pid) };
}

/** The request a word names; undefined in place of its record when it is no longer kept. */
export async function findRequest(store: Store, word: string): Promise<{
  readonly tree: Tree;
  readonly id: RequestId;
  readonly request: RequestRecord | undefined;
}> {
  const { tree, id } = await find(store, { kind: "req", what: "request" }, {
    word,
    ids: ({ state }) => Object.keys(state.requests),
  });
  return { tree, id: id as RequestId, request: tree.state.requests[id as RequestId] };
}

/** The capability a word names. */
export async function findCapability(
  store: Store,
  word: string,
): Promise<{ readonly tree: Tree; readonly id: CapId }> {
  const { tree, id } = await find(store, { kind: "cap", what: "capability" }, {
    word,
    ids: ({ state }) => Object.keys(state.caps),
  });
  return { tree, id: id as CapId };
}

/** The object a word names. */
export async function findObject(
  store: Store,
  word: string,
): Promise<{ readonly tree: Tree; readonly object: ObjectRecord }> {
  const named = /^\/(p_\d+(?:\.\d+)?)\/(.+)$/.exec(word);
  if (named !== null) {
    const { tree } = await findProcess(store, named[1]!);
    const { object } = tree.lookUp(word.slice(1));
    if (object === undefined) throw absent("object", word);
    return { tree, object };
  }
  const { tree, id } = await find(store, { kind: "obj", what: "object" }, {
    word,
    ids: ({ state }) => Object.keys(state.objects),
  });
  const object = tree.state.objects[id as ObjectId];
  if (object === undefined) throw absent("object", word);
  return { tree, object };
}

/** The tree a word names, itself or by one of its processes; the only one when there is no word. */
export async function findTree(store: Store, word: string | undefined): Promise<TreeId> {
  const heads = await headsOf(store, true);
  if (word === undefined) {
    const [only] = heads;
    if (only === undefined) throw absent("tree", "any");
    if (heads.length === 1) return only.tree;
    throw ambiguous("tree", "any", heads.map(({ tree }) => tree));
  }
  const number = /^(?:t|p)_(\d+)/.exec(word)?.[1];
  const exact = heads.find(({ tree }) => tree === `t_${number}`);
  if (exact !== undefined) return exact.tree;
  const near = heads.filter(({ tree }) => word !== "" && tree.startsWith(word));
  if (near.length > 1) throw ambiguous("tree", word, near.map(({ tree }) => tree));
  if (near.length === 0) throw absent("tree", word);
  return near[0]!.tree;
}

interface Wanted {
  readonly word: string;
  ids(tree: Tree): readonly string[];
}

/** What an id or a prefix names. A whole id of a tree that is there need not be kept any more. */
async function find(
  store: Store,
  { kind, what }: { readonly kind: string; readonly what: string },
  { word, ids }: Wanted,
): Promise<{ readonly tree: Tree; readonly id: string }> {
  const match = new RegExp(`^${kind}_(\\d*)(\\.\\d*)?$`).exec(word);
  if (match === null) {
    const expected = `expected one like "${kind}_1${kind === "p" ? "" : ".1"}"`;
    throw new SysError("ENOENT", `Cannot find ${what} "${word}": no id of one, ${expected}`);
  }
  const own = await store.head(`t_${Number(match[1])}`);
  if (own !== undefined && own.seq > 0) {
    const tree = await treeIn(store, own.tree);
    const known = ids(tree);
    if (known.includes(word)) return { tree, id: word };
    const below = known.filter((id) => id.startsWith(match[2] === undefined ? `${word}.` : word));
    const [only] = below;
    if (below.length > 1) throw ambiguous(what, word, below);
    if (only !== undefined) return { tree, id: only };
    if (kind !== "p" && /\.\d+$/.test(word)) return { tree, id: word };
  }
  if (match[2] !== undefined) throw absent(what, word);
  return await findAnywhere(store, what, { word, ids });
}

/** Looks through the trees whose number begins as the word's does. */
async function findAnywhere(
  store: Store,
  what: string,
  { word, ids }: Wanted,
): Promise<{ readonly tree: Tree; readonly id: string }> {
  const digits = word.replace(/^\w+_/, "");
  const heads = (await headsOf(store, true)).filter(({ tree }) => tree.startsWith(`t_${digits}`));
  if (heads.length > TREES_SEARCHED_MAX) {
    throw ambiguous(what, word, heads.map(({ tree }) => tree));
  }
  const found: { readonly tree: Tree; readonly id: string }[] = [];
  for (const { tree: id } of heads) {
    const tree = await treeIn(store, id);
    found.push(
      ...ids(tree).filter((one) => one.startsWith(word)).map((one) => ({ tree, id: one })),
    );
  }
  const [only] = found;
  if (found.length > 1) throw ambiguous(what, word, found.map(({ id }) => id));
  if (only === undefined) throw absent(what, word);
  return only;
}

function absent(what: string, word: string): SysError {
  return new SysError("ENOENT", `Cannot find ${what} "${word}": absent, expected one of the store`);
}

function ambiguous(what: string, word: string, found: readonly string[]): UsageError {
  const some = `${found.slice(0, 5).join(", ")}${found.length > 5 ? ", …" : ""}`;
  const state = `${found.length} begin so, expected one of ${some}`;
  return new UsageError(`Cannot tell which ${what} "${word}" is: ${state}`);
}
