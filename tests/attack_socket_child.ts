/**
 * A server that has few files to open, for tests that take them all.
 *
 * Prints where it listens; answers what it is asked until it is killed.
 * @module
 */

import { createRuntime } from "../mod.ts";
import { serve } from "../server/mod.ts";

if (import.meta.main) {
  const runtime = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const server = serve(runtime);
  const { secret } = server.tokens.create({ name: "ada", role: "viewer" });
  console.log(JSON.stringify({ port: server.port, secret }));
}
