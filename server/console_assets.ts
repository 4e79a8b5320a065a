/**
 * The files of the console. Generated: see `deno task console:build`.
 * @module
 */

/** Files by path. */
export const ASSETS: Readonly<Record<string, { readonly type: string; readonly text: string }>> = {
  "/index.html": {
    type: "text/html; charset=utf-8",
    text: "<!doctype html><title>Agent libOS</title><p>The API is at /openapi.json",
  },
};
