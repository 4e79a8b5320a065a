/**
 * A change of keys in a process of its own: dies by SIGKILL before its n-th statement, or says
 * "begun" and is killed from outside. Arguments: the path, the job, the number (0: never).
 * @module
 */

import { DatabaseSync, StatementSync } from "node:sqlite";
import { encryptStore, rekeyStore } from "../providers/sqlite_rekey.ts";
import { KEY, OTHER } from "./encryption_place.ts";

/** What can be done to a store. */
export type Job = "encrypt" | "rekey" | "rewrite";

function dieAt(count: number): void {
  let left = count;
  const counted = (prototype: object, names: readonly string[]): void => {
    for (const name of names) {
      const own = Reflect.get(prototype, name) as (...args: unknown[]) => unknown;
      Reflect.set(prototype, name, function (this: unknown, ...args: unknown[]): unknown {
        left -= 1;
        if (left === 0) Deno.kill(Deno.pid, "SIGKILL");
        return own.apply(this, args);
      });
    }
  };
  counted(DatabaseSync.prototype, ["exec"]);
  counted(StatementSync.prototype, ["run", "get", "all"]);
}

if (import.meta.main) {
  const [path = "", job = "", count = "0"] = Deno.args;
  if (count !== "0") dieAt(Number(count));
  Deno.stdout.writeSync(new TextEncoder().encode("begun\n"));
  if (job === "encrypt") encryptStore(path, KEY);
  else rekeyStore(path, { from: [KEY], to: OTHER, rewrite: job === "rewrite" });
}
