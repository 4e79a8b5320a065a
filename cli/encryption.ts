/**
 * `store`: what the store is encrypted under, encrypting it, and changing its key.
 * @module
 */

import { resolve } from "node:path";
import { encryptStore, rekeyStore, storeEncryption } from "../providers/sqlite_rekey.ts";
import type { EncryptionState } from "../providers/sqlite_vault.ts";
import { StoreKey } from "../providers/store_key.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { show } from "./output.ts";
import { progressing } from "./progress.ts";
import { dbPath } from "./store.ts";
import { encryptionFor } from "./store_key.ts";

/** `store`. */
export const store: Command = {
  name: "store",
  group: "state",
  usage: "status | key FILE | encrypt | rekey --new-key FILE [--rewrite]",
  about: "Say whether the store is encrypted; make a key, encrypt the store, change its key",
  examples: [
    "libos store key agents.storekey",
    "libos store encrypt --store-key agents.storekey",
  ],
  options: { "new-key": { type: "string" }, rewrite: { type: "boolean" } },
  words: [0, 2],
  async run(at) {
    const [verb = "status", word] = at.words;
    if (verb === "key" && word !== undefined) return await make(at, word);
    const job = word === undefined && Object.hasOwn(JOBS, verb) ? JOBS[verb] : undefined;
    if (job === undefined) {
      throw new UsageError(`Cannot run "store ${verb}": expected ${this.usage}`);
    }
    return tell(at, await progressing(at, `Store: ${verb}`, () => Promise.resolve(job(at))));
  },
};

const JOBS: { readonly [verb: string]: (at: Context) => EncryptionState } = {
  status: (at) => storeEncryption(dbPath(at)),
  encrypt(at) {
    const [key, ...more] = encryptionFor(at).encryption ?? [];
    if (key === undefined || more.length > 0) {
      throw new UsageError("Cannot encrypt the store: expected one --store-key FILE, or LIBOS_KEY");
    }
    return encryptStore(dbPath(at), key);
  },
  rekey(at) {
    const file = at.flags.text("new-key");
    if (file === undefined) throw new UsageError("Cannot change the key: expected --new-key FILE");
    return rekeyStore(dbPath(at), {
      from: encryptionFor(at).encryption ?? [],
      to: StoreKey.load(resolve(at.io.cwd, file)),
      rewrite: at.flags.on("rewrite"),
    });
  },
};

function make(at: Context, file: string): Promise<number> {
  const path = resolve(at.io.cwd, file);
  const { id } = StoreKey.create(path);
  show(at, { key: id, file: path }, {
    name: id,
    lines: [
      `made key ${id} in ${path}`,
      "Only you can read it. Keep a copy elsewhere: a store is lost with its key",
    ],
  });
  return Promise.resolve(EXIT.ok);
}

function tell(at: Context, state: EncryptionState): number {
  const path = dbPath(at);
  const lines = state.key === null
    ? [`store ${path}: plain`]
    : [`store ${path}: encrypted`, `key  ${state.key}`, `data ${state.data}`];
  if (!state.clean) {
    lines.push(
      "What was there before may still lie in the file: close all that reads the store, " +
        "and let a kernel open it once more",
    );
  }
  show(at, { store: path, ...state }, { name: state.key ?? "plain", lines });
  return EXIT.ok;
}
