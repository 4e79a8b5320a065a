/**
 * A server that has few files to open, for tests that take them all.
 *
 * Prints where it listens; answers what it is asked until it is killed. With the word "taken" it
 * takes them all itself first, for some turns of its loop.
 * @module
 */

import { createRuntime } from "../mod.ts";
import { serve } from "../server/mod.ts";

if (import.meta.main) {
  const runtime = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const server = serve(runtime);
  const { secret } = server.tokens.create({ name: "ada", role: "viewer" });
  if (Deno.args[0] === "taken") {
    const files = allFiles();
    for (let turn = 0; turn < 100; turn++) await new Promise((turned) => setTimeout(turned, 1));
    for (const file of files) file.close();
  }
  console.log(JSON.stringify({ port: server.port, secret }));
}

function allFiles(): Deno.FsFile[] {
  const files: Deno.FsFile[] = [];
  try {
    for (;;) files.push(Deno.openSync("/dev/null"));
  } catch {
    return files;
  }
}
