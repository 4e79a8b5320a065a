/**
 * A kernel that is killed while a program runs: nothing is run again of which nobody knows how far
 * it came.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createRuntime } from "../mod.ts";
import { Place, walled } from "./confined_place.ts";
import { image } from "./shell_child.ts";

const CHILD = fileURLToPath(new URL("./shell_child.ts", import.meta.url));

walled("What ran when the kernel was killed is asked about, and not run again", async () => {
  using place = new Place();
  const store = `${place.base}/libos.db`;
  const kernel = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-prompt", CHILD, store, place.root, "sh"],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = kernel.stdout.getReader();
  await reader.read();
  kernel.kill("SIGKILL");
  await kernel.status;
  await reader.cancel();
  await using os = await createRuntime({
    store,
    workspace: place.root,
    approvals: "queue",
    shell: true,
    images: [image],
  });
  let asked = os.approvals.list();
  while (asked.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    asked = os.approvals.list();
  }
  assert.deepEqual(asked.map(({ kind }) => kind), ["doubt"]);
});
