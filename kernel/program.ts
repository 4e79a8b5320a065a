/**
 * Programs: whole Deno programs, each of whose permission checks is a call of its process.
 *
 * Invariants:
 *   O1. A check is judged by the rights of the call that would do the same; where it could be
 *       several calls, by all of them.
 *   O2. What names no single thing ("all files", "any program") is refused, whoever asks.
 * @module
 */

import { CONNECT, connectPlace } from "./net.ts";
import type { Reach } from "./reach.ts";

/** What a program can want from Deno. */
export const PERMISSIONS = ["read", "write", "net", "env", "sys", "run", "import", "ffi"] as const;
/** What a program can want from Deno. */
export type Permission = "read" | "write" | "net" | "env" | "sys" | "run" | "import" | "ffi";

/** One thing that a running program wants. */
export interface Check {
  /** What kind of thing. */
  readonly permission: Permission;
  /** Which: a canonical path, a host with its port, a name; null for all of that kind. */
  readonly value: string | null;
}

/** A name and an address that it leads to. */
export type HostLine = readonly [name: string, address: string];

/** What a program is started with. */
export interface ProgramStart {
  /** The script, canonical. */
  readonly path: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** The working directory, canonical. */
  readonly cwd: string;
  /** What it reads on its standard input. */
  readonly stdin: string;
  /** Its environment, besides the few names that Deno itself needs. */
  readonly env: Readonly<Record<string, string>>;
  /** What of the workspace it may see at all, and whether it has a network. */
  readonly reach: Reach;
  /** The names that it finds, each with an address that was checked; it finds no others. */
  readonly hosts?: readonly HostLine[];
  /** How long it may run, in milliseconds. */
  readonly timeMs: number;
}

/** How a program ended. */
export interface ProgramEnd {
  /** Its exit code; 128 and the signal's number where a signal ended it. */
  readonly code: number;
  /** The limit that ended it before its time, or null. */
  readonly exceeded: string | null;
  /** What it wrote; the middle is left out where that was more than is kept. */
  readonly stdout: string;
  /** The same of its standard error. */
  readonly stderr: string;
  /** How many bytes of both were left out. */
  readonly bytesCut: number;
}

/** Who hears of a running program. */
export interface ProgramHearing {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Judges a check: null lets the program do that, a sentence says why not. */
  judge(check: Check): Promise<string | null>;
  /** Text that it writes, as it comes. */
  onText(chunk: string): void;
}

/**
 * Starts Deno programs. Errors: `ENOENT` (no script), `ENOSYS` (nothing here confines them),
 * `ELIMIT`, `EAGAIN`, `EIO`.
 */
export interface Programs {
  /** Runs one to its end. */
  run(start: ProgramStart, hearing: ProgramHearing): Promise<ProgramEnd>;
}

/** A right on a thing that a check needs. */
export interface CheckNeed {
  readonly right: string;
  readonly resource: string;
}

/** Calls that change what is at a path: Deno does not say which of them is meant (O1). */
export const CHANGES = ["file.write", "file.mkdir", "file.move", "file.remove"] as const;

/** The rights that a check needs; a sentence where nobody may do that (O2). */
export function needsOfCheck({ permission, value }: Check): readonly CheckNeed[] | string {
  switch (permission) {
    case "env":
      // It holds what the call gave it, and no more.
      return [];
    case "ffi":
      return "a program loads no library of the machine";
    case "run":
      return "a program starts no other; the process itself may, with shell.run";
    case "read":
    case "write":
      if (value === null) return `it wants to ${permission} any file, expected one at a time`;
      if (permission === "read") return [{ right: "file.read", resource: value }];
      return CHANGES.map((right) => ({ right, resource: value }));
    case "import":
      return "a program brings its modules with it, and imports none from elsewhere";
    case "net": {
      if (value === null) return "it wants all of the net, expected one place at a time";
      const place = connectPlace(value);
      if (place === null) return `no capability covers "${value}", expected host:port`;
      return [{ right: CONNECT, resource: place }];
    }
    case "sys":
      if (value === null) return 'it wants all there is of "sys", expected one at a time';
      return [{ right: "program.sys", resource: value }];
  }
}
