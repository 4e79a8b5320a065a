/**
 * Commands that people look for here, and that a later version will have.
 * @module
 */

import { UsageError } from "./exit.ts";

const LATER: { readonly [command: string]: string } = {
  "tools pin": "pinned tools of MCP servers",
};

/** Refuses a command, or a verb of one, that a later version will have. */
export function refuseLater(...words: readonly (string | undefined)[]): void {
  const name = words.join(" ");
  if (!Object.hasOwn(LATER, name)) return;
  throw new UsageError(
    `Cannot run "${name}": this version has no ${LATER[name]}, a later one will`,
  );
}
