/**
 * What if a folder is swapped for a link right before one system call, or for good from there on?
 *
 * Every call of RootedFiles is made anew for each of its system calls that walk a path and stand
 * near a change, with the swap before that one: nothing is left to chance.
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { RootedFiles } from "../providers/files.ts";
import { HOST, type Host } from "../providers/files_host.ts";
import { isTempName } from "../providers/files_path.ts";
import { ALL, BYTES, NEW, PUT, SECRET } from "./files_place.ts";

type Call = (files: RootedFiles) => Promise<unknown>;

/** Calls on names which also exist, or could be made, outside. */
const CALLS: Readonly<Record<string, Call>> = {
  "read x": (files) => files.read("notes/x", ALL),
  "digest x": (files) => files.digest("notes/x"),
  "stat x": (files) => files.stat("notes/x"),
  "list": (files) => files.list("notes", { entriesMax: 100 }),
  "replace x": (files) => files.write("notes/x", BYTES, PUT),
  "make n": (files) => files.write("notes/n", BYTES, NEW),
  "mkdir d": (files) => files.mkdir("notes/d"),
  "remove m": (files) => files.remove("notes/m"),
  "move m": (files) => files.move("notes/m", "notes/n"),
  "move m away": (files) => files.move("notes/m", "other/n"),
  "move in": (files) => files.move("other/o", "notes/o"),
  "move f": (files) => files.move("notes/f", "notes/g"),
  "move f in": (files) => files.move("other/f", "notes/g"),
  "remove x": (files) => files.remove("notes/x"),
  "remove e": (files) => files.remove("notes/e"),
  "move x": (files) => files.move("notes/x", "notes/y"),
  "move x away": (files) => files.move("notes/x", "other/y"),
};

interface Place {
  readonly base: string;
  readonly root: string;
  swap(): void;
  back(): void;
}

function place(): Place {
  const base = Deno.realPathSync(Deno.makeTempDirSync());
  const root = `${base}/root`;
  for (const at of ["notes/e", "notes/f", "other/f"]) {
    mkdirSync(`${root}/${at}`, { recursive: true });
  }
  for (const at of ["notes/x", "notes/m", "other/o"]) writeFileSync(`${root}/${at}`, "inside");
  mkdirSync(`${base}/outside/e`, { recursive: true });
  writeFileSync(`${base}/outside/x`, SECRET);
  symlinkSync("../outside", `${root}/link`);
  const rename = (from: string, to: string) => renameSync(`${root}/${from}`, `${root}/${to}`);
  return {
    base,
    root,
    swap: () => (rename("notes", "real"), rename("link", "notes")),
    back: () => (rename("notes", "link"), rename("real", "notes")),
  };
}

/** A host on which `before` runs before each call that walks a path; their names go to `names`. */
function hostWith(before: () => void, names: string[]): Host {
  return new Proxy(HOST, {
    get: (host, name) => (...args: unknown[]) => {
      names.push(String(name));
      before();
      return (Reflect.get(host, name) as (...args: unknown[]) => unknown)(...args);
    },
  });
}

/** All names below a folder, with what is in files; what is empty under a name of ours is left out. */
function contents(folder: string): string[] {
  return readdirSync(folder).sort().flatMap((name) => {
    const path = `${folder}/${name}`;
    const stats = lstatSync(path);
    if (stats.isDirectory()) {
      const inside = contents(path).map((one) => `${name}/${one}`);
      return inside.length === 0 && isTempName(name) ? [] : [`${name}/`, ...inside];
    }
    if (stats.isSymbolicLink() || (isTempName(name) && stats.size === 0)) return [];
    const shown = isTempName(name) ? "OURS" : name;
    return [`${shown}: ${readFileSync(path, "utf8") === SECRET ? "SECRET" : "text"}`];
  });
}

const UNTOUCHED = ["e/", "x: SECRET"];

/**
 * What is left where folders are only checked, for a swap that lasts for one system call: the one
 * that takes a name away, or brings one. The call says that it is in doubt.
 */
const LEFT: Readonly<Record<string, readonly string[]>> = {
  "move in": ["e/", "o: text", "x: SECRET"],
  "move f in": ["e/", "g/", "x: SECRET"],
  "remove x": ["OURS: SECRET", "e/"],
  "remove e": ["x: SECRET"],
  "move x": ["e/", "y: SECRET"],
  "move x away": ["e/", "inside other/y: SECRET"],
};

/** System calls before and after one that changes something, at which a swap is tried. */
const NEAR = 6;
const CHANGES = /^(mkdir|open|link|rename|rmdir|unlink)$/;

/** The numbers of a call's system calls that stand near one which changes something. */
async function momentsOf(call: Call, anchor: boolean): Promise<number[]> {
  const here = place();
  const names: string[] = [];
  const files = await RootedFiles.open(here.root, { anchor, host: hostWith(() => {}, names) });
  names.length = 0;
  await call(files);
  rmSync(here.base, { recursive: true });
  return names.flatMap((_, at) => {
    const near = names.slice(Math.max(0, at - NEAR), at + NEAR + 1);
    return at < 2 * NEAR || near.some((name) => CHANGES.test(name)) ? [at + 1] : [];
  });
}

/** What a call does, for a swap before its system call `at`; empty when all is as it was. */
async function harmOf(
  call: Call,
  { at, isForGood, anchor }: { at: number; isForGood: boolean; anchor: boolean },
): Promise<string[]> {
  const here = place();
  let state = "before";
  let begun = Infinity;
  let count = 0;
  const host = hostWith(() => {
    count += 1;
    if (state === "before" && count === begun + at) {
      here.swap();
      state = "swapped";
    } else if (state === "swapped" && !isForGood) {
      here.back();
      state = "over";
    }
  }, []);
  const files = await RootedFiles.open(here.root, { anchor, host });
  begun = count;
  let said = "done";
  const value = await call(files).catch(({ code }) => void (said = code));
  if (state === "swapped") here.back();
  state = "over";
  const outside = contents(`${here.base}/outside`);
  const inside = contents(here.root).filter((one) => one.includes("SECRET"));
  rmSync(here.base, { recursive: true });
  const told = value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
  if (told.includes(SECRET)) inside.push("told");
  if (outside.join() === UNTOUCHED.join() && inside.length === 0) return [];
  equal(said, "EINDOUBT");
  return [...outside, ...inside.map((one) => `inside ${one}`)];
}

for (const anchor of [true, false]) {
  for (const isForGood of [false, true]) {
    const way = anchor ? "anchored" : "checked";
    const how = isForGood ? "for good" : "for one system call";
    Deno.test(`RootedFiles (${way}) is not led out by a folder swapped ${how}`, async () => {
      for (const [name, call] of Object.entries(CALLS)) {
        const left = anchor || isForGood ? undefined : LEFT[name];
        const harms: string[][] = [];
        for (const at of await momentsOf(call, anchor)) {
          const harm = await harmOf(call, { at, isForGood, anchor });
          if (harm.length > 0) harms.push(harm);
        }
        deepEqual(harms, left === undefined ? [] : [left], name);
      }
    });
  }
}
