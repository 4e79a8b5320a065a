/**
 * The lock which makes one kernel the owner of a store's file.
 *
 * It is a lock of the operating system on `⟨path⟩.lock`, held by SQLite, so it dies with the
 * process however that ends. The file stays: to remove it would let two kernels lock two files
 * of one name. `⟨path⟩.owner` says who holds it, for people; nothing trusts it.
 *
 * Invariants:
 *   K1. At most one process holds the lock of a path, under whatever name it reached the file.
 *   K2. A process that is gone holds no lock.
 * @module
 */

import { basename, dirname, join } from "node:path";
import { hostname } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { SysError } from "../kernel/errors.ts";
import { sqliteFailure } from "./sqlite_handle.ts";

/** A held lock. */
export class StoreLock {
  readonly #held: DatabaseSync;
  readonly #owner: string;

  private constructor(held: DatabaseSync, owner: string) {
    this.#held = held;
    this.#owner = owner;
  }

  /** Takes the lock of the store at `path`, or refuses with `EFENCED` at once. */
  static take(path: string): StoreLock {
    const real = realPath(path);
    const owner = `${real}.owner`;
    makeFile(`${real}.lock`);
    const held = new DatabaseSync(`${real}.lock`);
    try {
      held.exec("PRAGMA busy_timeout = 0");
      // Nothing is ever written into it, so that no journal needs to lie beside it.
      held.exec("PRAGMA journal_mode = MEMORY");
      held.exec("BEGIN EXCLUSIVE");
    } catch (thrown) {
      held.close();
      const failure = sqliteFailure(thrown, `lock store "${path}"`);
      if (!(failure instanceof SysError) || failure.code !== "EAGAIN") throw failure;
      throw new SysError(
        "EFENCED",
        `Cannot open store "${path}": another kernel runs on it (${readOwner(owner)}), ` +
          `expected it to be stopped; read with mode "read"`,
      );
    }
    try {
      makeFile(owner);
      Deno.writeTextFileSync(owner, `pid ${Deno.pid} on ${machine()}`);
    } catch (thrown) {
      // Who was refused, such as by a full disk, may try again.
      held.close();
      throw thrown;
    }
    return new StoreLock(held, owner);
  }

  /** Gives the lock up. */
  release(): void {
    try {
      Deno.removeSync(this.#owner);
    } catch {
      // Somebody tidied up; the name was for people only.
    }
    this.#held.close();
  }
}

/** Makes an empty file which only this user can read, unless there is one. */
export function makeFile(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
  }
}

/** The one name of a file which may not be there yet, whatever links lead to it. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return join(Deno.realPathSync(dirname(path)), basename(path));
  }
}

function readOwner(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "pid unknown";
  }
}

function machine(): string {
  try {
    return hostname();
  } catch {
    // The name of the machine needs a permission of its own.
    return "this machine";
  }
}
