/**
 * A hostile body: what a tool might do that wants out, and what would show that it got out.
 * @module
 */

import type { CageLimits } from "../../broker/sandbox.ts";
import type { Json } from "../../kernel/json.ts";

/** A tool that wants out. It tells by what it returns, throws, logs or asks for. */
export interface Hostile {
  /** One of `CLASSES`. */
  readonly class: HostileClass;
  /** A claim about the attempt: "reads a file by a literal import". Unique in the suite. */
  readonly name: string;
  /**
   * JavaScript of the module as the cage gets it: the compiler is not in the way, since a wall that
   * only the compiler makes is no wall. It returns `{ escaped: true, … }` when it got what it wanted.
   * `__FOLDER__` in it is a folder with a `secret.txt`, `__URL__` a server, `__PID__` the kernel.
   */
  readonly source: string;
  /** How often it is called in the same cage, one after another; 1 by default. */
  readonly calls?: number;
  /** Given to it. */
  readonly input?: Json;
  /** Run right after it in the same place, and must not be told anything by it. */
  readonly witness?: string;
  /** Limits that are not as the harness has them. */
  readonly limits?: Partial<CageLimits>;
}

/** What attempts are about. */
export const CLASSES = [
  "imports",
  "realm walking",
  "prototype poisoning",
  "thenables and getters",
  "async stack tricks",
  "error realms",
  "globals and permissions",
  "signals and process",
  "unicode and source tricks",
  "processor time",
  "memory",
  "floods",
  "forged frames",
  "late messages",
  "persistence between calls",
  "side channels between tools",
  "hostile values",
  "authority through the port",
] as const;

/** What an attempt is about. */
export type HostileClass = (typeof CLASSES)[number];
