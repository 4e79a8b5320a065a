/**
 * Writes `server/wire.ts`.
 * @module
 */

import { createRuntime } from "../runtime/create.ts";
import { serve } from "./mod.ts";
import { wireTypes } from "./generate_client.ts";

if (import.meta.main) {
  await using runtime = await createRuntime({ store: ":memory:", workspace: null });
  await using server = serve(runtime);
  const { components } = server.openapi() as {
    readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  };
  console.log(wireTypes(components.schemas));
}
