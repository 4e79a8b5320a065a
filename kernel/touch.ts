/**
 * Touches: what an effect on files changed, path by path, so that it can be taken back.
 * @module
 */

import type { ValueRef } from "./event.ts";

/** What is at a path: SHA-256 of a file's content, "folder", or null for nothing. */
export type Digest = string | null;

/** What an effect does to one path. Known before it is sent. */
export interface Touched {
  /** As the provider has it: relative to the workspace. */
  readonly path: string;
  /** What is there before. */
  readonly before: Digest;
  /** What is there afterwards. */
  readonly after: Digest;
  /** The file's content before; null when it was no file, or too large to be kept. */
  readonly content: ValueRef | null;
}

/** A path that was touched since some position, as it was then and as it was left. */
export interface Trace {
  /** The path. */
  readonly path: string;
  /** What was there at the position. */
  readonly was: Digest;
  /** What the last effect on it left; null for nothing. */
  readonly left: Digest;
  /** The content at the position, where it was kept. */
  readonly content: ValueRef | null;
}

/** What is left of touches, oldest first: one trace a path, for paths that are not as they were. */
export function tracesOf(touches: Iterable<Touched>): Trace[] {
  const traces = new Map<string, Trace>();
  for (const { path, before, after, content } of touches) {
    const first = traces.get(path);
    traces.set(
      path,
      first === undefined ? { path, was: before, left: after, content } : { ...first, left: after },
    );
  }
  return [...traces.values()].filter(({ was, left }) => was !== left);
}
