/**
 * Tokens as they are printed.
 * @module
 */

import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { list } from "./output.ts";
import type { Token } from "../server/client.ts";
import { dateOf } from "./words.ts";

/** Prints tokens, without their secrets. */
export function printTokens(at: Context, tokens: readonly Token[]): number {
  list(at, tokens, {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "NAME", of: ({ name }) => name },
      { head: "ROLE", of: ({ role }) => role },
      {
        head: "LABELS",
        of: ({ labels }) => Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(),
      },
      { head: "CREATED", of: ({ createdAt }) => dateOf(Date.parse(createdAt)) },
      {
        head: "EXPIRES",
        of: ({ expiresAt }) => expiresAt === null ? "-" : dateOf(Date.parse(expiresAt)),
      },
    ],
    name: ({ id }) => id,
    none: "No tokens; libos token create NAME --role viewer makes one",
  });
  return EXIT.ok;
}
