/**
 * Telemetry on the command line: the environment that turns Deno's exporter on turns ours on, too.
 * @module
 */

import type { RuntimeOptions } from "../runtime/runtime_options.ts";
import type { Context } from "./command.ts";

/** The options of a runtime: none unless `OTEL_DENO=true`; content with `LIBOS_OTEL_CONTENT=1`. */
export function telemetryFor({ io }: Context): Pick<RuntimeOptions, "telemetry"> {
  if (io.env("OTEL_DENO") !== "true") return {};
  return { telemetry: { content: io.env("LIBOS_OTEL_CONTENT") === "1" } };
}
