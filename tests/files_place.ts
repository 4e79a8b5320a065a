/**
 * A root under attack: a folder with a forbidden file in it and a secret beside it.
 *
 * Invariants:
 *   A1. After each attack the secret and the forbidden file are as they were, and nothing new lies
 *       beside the root; where folders are only checked, at most an empty file or folder of our own
 *       name.
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { RootedFiles } from "../providers/files.ts";
import { isTempName } from "../providers/files_path.ts";

export const SECRET = "the secret beside the root";
export const FORBIDDEN = "the forbidden file in the root";
export const ALL = { bytesMax: 1_000 };
export const PUT = { create: true, replace: true };
export const NEW = { create: true, replace: false };
export const BYTES = new TextEncoder().encode("written by the attack");

/** Where an attack runs. */
export interface Place {
  /** Holds all that follows. */
  readonly base: string;
  readonly root: string;
  readonly outside: string;
  readonly files: RootedFiles;
}

/** Runs an attack and finds all that it must not touch as it was. */
export async function attacked(
  anchor: boolean,
  body: (place: Place) => Promise<void>,
): Promise<void> {
  const base = await Deno.realPath(await Deno.makeTempDir());
  const [root, outside] = [`${base}/root`, `${base}/outside`];
  mkdirSync(`${root}/notes`, { recursive: true });
  mkdirSync(outside);
  writeFileSync(`${outside}/x`, SECRET);
  writeFileSync(`${root}/forbidden.env`, FORBIDDEN);
  writeFileSync(`${root}/notes/a`, "allowed");
  try {
    await body({ base, root, outside, files: await RootedFiles.open(root, { anchor }) });
    const beside = [...Deno.readDirSync(outside)].map((entry) => entry.name);
    deepEqual(beside.filter((name) => anchor || !isEmptyTemp(outside, name)), ["x"]);
    equal(readFileSync(`${outside}/x`, "utf8"), SECRET);
    const inside = Deno.lstatSync(root).isSymlink ? `${base}/moved` : root;
    const moved = Deno.statSync(inside).isDirectory ? inside : `${base}/moved`;
    for (const at of [moved, `${base}/moved`]) {
      const path = `${at}/forbidden.env`;
      if (exists(path)) equal(readFileSync(path, "utf8"), FORBIDDEN);
    }
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

function isEmptyTemp(folder: string, name: string): boolean {
  if (!isTempName(name)) return false;
  const { isDirectory, size } = Deno.lstatSync(`${folder}/${name}`);
  return isDirectory ? [...Deno.readDirSync(`${folder}/${name}`)].length === 0 : size === 0;
}

function exists(path: string): boolean {
  try {
    return Deno.lstatSync(path) !== undefined;
  } catch {
    return false;
  }
}
