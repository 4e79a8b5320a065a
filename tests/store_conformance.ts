/**
 * The suite which every store passes, whatever its kind: one claim a test, and a random model.
 *
 * Every store keeps every claim.
 * @module
 */

import type { Store } from "../kernel/store.ts";
import type { StoreTestOptions } from "./store_fixture.ts";
import { ARCHIVE_CLAIMS } from "./store_archive_claims.ts";
import { LOG_CLAIMS } from "./store_log_claims.ts";
import { testStoreModel } from "./store_model.ts";
import { TREE_CLAIMS } from "./store_tree_claims.ts";

/** Registers a test for each claim, each with a new, empty store from `open`. */
export function testStore(
  name: string,
  open: () => Promise<Store> | Store,
  options: StoreTestOptions = {},
): void {
  for (const [claim, run] of Object.entries({ ...LOG_CLAIMS, ...TREE_CLAIMS, ...ARCHIVE_CLAIMS })) {
    Deno.test(`${name} ${claim}`, async () => {
      const store = await open();
      try {
        await run(store, options);
      } finally {
        await store.close();
      }
    });
  }
  testStoreModel(name, open, options.reopen);
}
