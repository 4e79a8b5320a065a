/**
 * The system calls that walk a path: one object, so that what happens between any two of them can
 * be decided.
 *
 * @module
 */

import {
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from "node:fs";

/** The host's system calls that take a path. */
export const HOST = {
  link: linkSync,
  lstat: lstatSync,
  mkdir: mkdirSync,
  names: (path: string): string[] => readdirSync(path),
  open: openSync,
  real: (path: string): string => realpathSync.native(path),
  rename: renameSync,
  rmdir: rmdirSync,
  stat: statSync,
  unlink: unlinkSync,
} as const;
/** The host's system calls that take a path. */
export type Host = typeof HOST;
