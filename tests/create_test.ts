/**
 * A runtime that cannot be made leaves nothing open: the next one has the store.
 * @module
 */

import assert from "node:assert/strict";
import { createRuntime, type RuntimeOptions, SqliteStore, SysError } from "../mod.ts";
import { codeOf } from "./world_fixture.ts";

/** Options that are refused at different stages of opening. */
const REFUSED: readonly (readonly [string, RuntimeOptions])[] = [
  ["a hook that tells nobody", { hooks: [{}] }],
  ["a workspace that is absent", { workspace: "./no/such/folder" }],
  ["a policy that cannot be read", { policy: "allow nonsense(" }],
  ["a policy and its file", { policy: "", policyFile: "./policy" }],
  ["payloads kept for a fifth of a day", { retention: { days: 0.2 } }],
  ["a limit of tools that is none", { jit: { timeout: "-5s" as never } }],
  ["less than no step at a time", { concurrency: -1 }],
  ["so many steps as is no number", { concurrency: NaN }],
  ["a key file in no folder", { audit: { keyFile: "/no/such/folder/key" } }],
];

Deno.test("What cannot be opened leaves the store to the next runtime", async () => {
  const folder = await Deno.makeTempDir();
  const usual = { store: `${folder}/libos.db`, workspace: null, approvals: "queue" } as const;
  try {
    for (const [what, options] of REFUSED) {
      const refused = await createRuntime({ ...usual, ...options }).then(
        (os) => os.close().then(() => null),
        (error: unknown) => error,
      );
      assert(refused instanceof SysError, `${what}: ${refused}`);
      assert.notEqual(refused.code, "EFENCED", what);
      await createRuntime(usual).then((os) => os.close());
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A store that was handed in stays open when its runtime cannot be made", async () => {
  const store = SqliteStore.open(":memory:");
  const options = { store, workspace: null, approvals: "queue" } as const;
  assert.equal(await codeOf(createRuntime({ ...options, hooks: [{}] })), "EINVAL");
  assert.deepEqual(await store.list({ limit: 1 }), []);
  await createRuntime(options).then((os) => os.close());
});

Deno.test("A folder that is absent is named to who wants it as workspace", async () => {
  const options = { store: ":memory:", workspace: "./no/such/folder", approvals: "queue" } as const;
  await assert.rejects(createRuntime(options), { message: /"\S*no\/such\/folder": absent/ });
});
