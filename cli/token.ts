/**
 * `token`: who may speak to the server.
 * @module
 */

import { dirname, join } from "node:path";
import { parseJson } from "../kernel/parse.ts";
import { realClock } from "../providers/clock.ts";
import { type PrivateFile, privateFile } from "../providers/private_file.ts";
import { realRandom } from "../providers/random.ts";
import { type Role, TokenBook } from "../server/mod.ts";
import { tokenView } from "../server/view/token.ts";
import type { Command, Context } from "./command.ts";
import { tokenThere } from "./evidence_there.ts";
import { EXIT, UsageError } from "./exit.ts";
import { show } from "./output.ts";
import { dbPath } from "./store.ts";
import { onlyOne } from "./system_there.ts";
import { printTokens } from "./token_text.ts";
import { durationOf, labelsOf } from "./words.ts";

const ROLES: readonly Role[] = ["viewer", "approver", "operator", "admin"];

/** Where the tokens of a store's server are. */
export function tokensPath(at: Context): string {
  return join(dirname(dbPath(at)), "tokens.json");
}

/** Where it is kept which images were made of processes of a store. */
export function imagesPath(at: Context): string {
  return join(dirname(dbPath(at)), "images.json");
}

/** Where a running server says where it is. */
export function serverFile(at: Context): PrivateFile {
  return privateFile(join(dirname(dbPath(at)), "server.json"));
}

/** What a running server says of itself. */
export interface Beside {
  readonly url: string;
  readonly token: string;
  /** Names the token, so that the next server can take it back. */
  readonly id?: string;
}

/** What the file of a running server says; null where there is none, or nothing to read in it. */
export function besideServer(file: PrivateFile): Beside | null {
  const text = file.read()?.trim() ?? "";
  if (text === "") return null;
  try {
    const said = parseJson(text) as Partial<Beside>;
    return typeof said.url === "string" && typeof said.token === "string" ? said as Beside : null;
  } catch {
    return null;
  }
}

/** `token`. */
export const token: Command = {
  name: "token",
  group: "people",
  usage: "create NAME --role R [--label K=V] [--for 30d] | ls | revoke ID",
  about: "Make, list and take back the tokens by which people and programs speak to the server",
  examples: ["libos token create ada --role approver", "libos token ls"],
  options: {
    role: { type: "string" },
    label: { type: "string", multiple: true, short: "l" },
    for: { type: "string" },
  },
  words: [1, 2],
  remote: tokenThere,
  run(at) {
    const book = new TokenBook(privateFile(tokensPath(at)), realClock, realRandom);
    const [verb, word] = at.words;
    if (verb === "create" && word !== undefined) return Promise.resolve(create(at, book, word));
    if (verb === "ls" && word === undefined) return Promise.resolve(ls(at, book));
    if (verb === "revoke" && word !== undefined) return revoke(at, book, word);
    throw new UsageError(`Cannot run "token ${at.words.join(" ")}": expected ${token.usage}`);
  },
};

function create(at: Context, book: TokenBook, name: string): number {
  const role = at.flags.text("role");
  if (!ROLES.some((one) => one === role)) {
    throw new UsageError(`Cannot make a token: expected --role ${ROLES.join(", ")}`);
  }
  const forMs = durationOf(at.flags.text("for"));
  const { record, secret } = book.create({
    name,
    role: role as Role,
    labels: labelsOf(at.flags.texts("label")),
    ...(forMs === undefined ? {} : { forMs }),
  });
  show(at, { id: record.id, name, role, labels: record.labels, secret }, {
    name: secret,
    lines: [
      `${record.id}  ${name}  ${role}`,
      `Token, shown this once: ${secret}`,
      "Use it with: libos --host URL --token TOKEN, or Authorization: Bearer TOKEN",
    ],
  });
  return EXIT.ok;
}

function ls(at: Context, book: TokenBook): number {
  return printTokens(at, book.list().map(tokenView));
}

/** Takes a token back: its id, or a beginning that only one has. */
async function revoke(at: Context, book: TokenBook, word: string): Promise<number> {
  const known = book.list().map(({ id }) => id);
  const id = await onlyOne("token", word, () => Promise.resolve(known));
  book.revoke(id);
  show(at, { id, revoked: true }, { name: id, lines: [`${id} is good for nothing any more`] });
  return EXIT.ok;
}
