/**
 * Keys of encrypted stores, as `--store-key` and `LIBOS_KEY` name them.
 * @module
 */

import { resolve } from "node:path";
import { StoreKey } from "../providers/store_key.ts";
import type { Context } from "./command.ts";

/**
 * What a store is to be opened with: the keys of `--store-key FILE`, which may be repeated while a
 * key is changed, else the digits in `LIBOS_KEY`, else nothing.
 */
export function encryptionFor(at: Context): { readonly encryption?: readonly StoreKey[] } {
  const files = at.flags.texts("store-key");
  if (files.length > 0) {
    return { encryption: files.map((file) => StoreKey.load(resolve(at.io.cwd, file))) };
  }
  const digits = at.io.env("LIBOS_KEY");
  if (digits === undefined || digits === "") return {};
  return { encryption: [StoreKey.of(digits, "LIBOS_KEY")] };
}
