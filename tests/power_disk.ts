/**
 * What is left of files after the power went: built from a trace of all that was written, synced,
 * cut, named and unnamed.
 *
 * What was written since the last sync of a file may be there, be gone, or be there in parts, a
 * sector at a time, in any order. Names change in order, and are safe once their folder was synced.
 * A disk that lies forgets what it said it had synced, or never writes one write at all.
 * @module
 */

import type { SeededRandom } from "../testing.ts";

const SECTOR_BYTES = 512;

/** One system call, with paths below the traced folder. */
export type Op =
  | { readonly kind: "write"; readonly path: string; readonly at: number; readonly bytes: Bytes }
  | { readonly kind: "cut"; readonly path: string; readonly size: number }
  | { readonly kind: "sync"; readonly path: string }
  | { readonly kind: "rename"; readonly path: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string };

type Bytes = Uint8Array<ArrayBuffer>;
type Change = Extract<Op, { readonly kind: "write" | "cut" }>;
type Naming = Extract<Op, { readonly kind: "rename" | "remove" }>;

/** What becomes of what was not synced. */
export const LOSSES = ["all", "none", "end", "any"] as const;

/** How the power went. */
export interface Cut {
  /** How many calls were made before. */
  readonly after: number;
  /** What is gone of what was not synced: all, nothing, what came after some write, any sectors. */
  readonly loss: typeof LOSSES[number];
  readonly random: SeededRandom;
  /** From this call on nothing that was said to be synced is. */
  readonly liesFrom?: number;
  /** A write that never comes, or of which half comes, though it was said to be synced. */
  readonly lost?: { readonly op: number; readonly isHalf: boolean };
}

const LINE = /^(\w+)\((.*)\)\s+= \d+$/;
const HEX = /\\x/g;

/** Reads what `strace -y -xx` wrote of one thread. */
export function opsOf(trace: string, folder: string): Op[] {
  const ops: Op[] = [];
  const sizes = new Map<string, number>();
  const held = new Map<string, string>();
  for (const line of trace.split("\n")) {
    const [, call, given] = LINE.exec(line) ?? [];
    if (call === undefined) continue;
    const [first = "", ...rest] = given!.split(", ");
    const fd = /^\d+<(.*)>$/.exec(first)?.[1];
    const path = fd === undefined ? named(first, folder, held) : below(fd, folder);
    if (path === null || /-shm$|\.lock$|\.owner$/.test(path)) continue;
    // A staged file is renamed through its folder's descriptor: its own name tells the folder.
    if (fd !== undefined) held.set(path.slice(path.lastIndexOf("/") + 1), path);
    if (call === "pwrite64" || call === "write") {
      const bytes = Uint8Array.fromHex(rest[0]!.slice(1, -1).replace(HEX, ""));
      const at = call === "write" ? sizes.get(path) ?? 0 : Number(rest[2]);
      sizes.set(path, Math.max(sizes.get(path) ?? 0, at + bytes.length));
      ops.push({ kind: "write", path, at, bytes });
    } else if (call === "ftruncate") ops.push({ kind: "cut", path, size: Number(rest[0]) });
    else if (call === "fsync" || call === "fdatasync") ops.push({ kind: "sync", path });
    else if (call === "unlink") ops.push({ kind: "remove", path });
    else if (call === "rename") {
      const name = textOf(rest[0]!.slice(1, -1));
      const to = path.slice(0, path.lastIndexOf("/")) + name.slice(name.lastIndexOf("/"));
      ops.push({ kind: "rename", path, to });
    }
  }
  return ops;
}

function textOf(hex: string): string {
  return new TextDecoder().decode(Uint8Array.fromHex(hex.replace(HEX, "")));
}

function below(hex: string, folder: string): string | null {
  const path = textOf(hex);
  return path === folder || path.startsWith(`${folder}/`) ? path.slice(folder.length) : null;
}

function named(quoted: string, folder: string, held: ReadonlyMap<string, string>): string | null {
  const text = textOf(quoted.slice(1, -1));
  return held.get(text.slice(text.lastIndexOf("/") + 1)) ??
    (text.startsWith(`${folder}/`) ? text.slice(folder.length) : null);
}

/** A file, whatever names it has. */
interface File {
  readonly safe: Change[];
  unsafe: Change[];
}

/** The files of a folder after the power went, by their paths below it. */
export function filesAfter(ops: readonly Op[], cut: Cut): Map<string, Bytes> {
  const now = new Map<string, File>();
  const safe = new Map<string, File>();
  let naming: Naming[] = [];
  for (const [i, op] of ops.slice(0, cut.after).entries()) {
    if (op.kind === "rename" || op.kind === "remove") {
      rename(now, op);
      naming.push(op);
    } else if (op.kind === "sync") {
      if (i >= (cut.liesFrom ?? Infinity)) continue;
      const file = now.get(op.path);
      if (file === undefined) {
        for (const each of naming) rename(safe, each);
        naming = [];
      } else {
        file.safe.push(...file.unsafe);
        file.unsafe = [];
      }
    } else {
      let file = now.get(op.path);
      if (file === undefined) {
        file = { safe: [], unsafe: [] };
        now.set(op.path, file);
        safe.set(op.path, file);
      }
      file.unsafe.push(...op.kind === "write" && i === cut.lost?.op ? lostOf(op, cut) : [op]);
    }
  }
  const kept = { all: 0, none: naming.length }[cut.loss as string] ??
    cut.random.below(naming.length + 1);
  for (const each of naming.slice(0, kept)) rename(safe, each);
  const files = new Map<string, Bytes>();
  for (const [path, file] of safe) {
    // What was acknowledged was heard by others, and stays so.
    const left = path === "/acks" ? file.unsafe : leftOf(file.unsafe, cut);
    files.set(path, contentOf([...file.safe, ...left]));
  }
  return files;
}

function rename(names: Map<string, File>, op: Naming): void {
  const file = names.get(op.path);
  names.delete(op.path);
  if (op.kind === "rename" && file !== undefined) names.set(op.to, file);
}

function lostOf(op: Extract<Op, { readonly kind: "write" }>, cut: Cut): Change[] {
  if (!cut.lost!.isHalf) return [];
  const half = Math.ceil(op.bytes.length / 2 / SECTOR_BYTES) * SECTOR_BYTES;
  return half < op.bytes.length ? [{ ...op, bytes: op.bytes.slice(0, half) }] : [];
}

/** What comes through of changes that were not synced. */
function leftOf(changes: readonly Change[], { loss, random }: Cut): Change[] {
  if (loss === "all") return [];
  if (loss === "none") return [...changes];
  const end = loss === "end" ? random.below(changes.length + 1) : changes.length;
  const left: Change[] = [];
  for (const [i, change] of changes.entries()) {
    const isWhole = loss === "end" ? i < end : random.below(2) === 0;
    if (isWhole) left.push(change);
    else if (change.kind === "write" && (loss === "any" || i === end)) {
      left.push(...sectorsOf(change, random));
    }
  }
  return left;
}

/** Some sectors of a write, each whole. */
function sectorsOf(
  write: Extract<Op, { readonly kind: "write" }>,
  random: SeededRandom,
): Change[] {
  const sectors: Change[] = [];
  const end = write.at + write.bytes.length;
  for (let at = write.at; at < end;) {
    const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    const bytes = write.bytes.slice(at - write.at, next - write.at);
    if (random.below(2) === 0) sectors.push({ ...write, at, bytes });
    at = next;
  }
  return sectors;
}

function contentOf(changes: readonly Change[]): Bytes {
  let size = 0;
  let bytes = new Uint8Array(0);
  for (const change of changes) {
    const end = change.kind === "cut" ? change.size : change.at + change.bytes.length;
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.max(end, bytes.length * 2));
      larger.set(bytes.subarray(0, size));
      bytes = larger;
    }
    if (change.kind === "write") {
      bytes.set(change.bytes, change.at);
      size = Math.max(size, end);
    } else {
      // What is cut off is zeros when the file grows again.
      bytes.fill(0, change.size, Math.max(size, change.size));
      size = change.size;
    }
  }
  return bytes.slice(0, size);
}
