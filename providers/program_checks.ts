/**
 * The other end of Deno's permission broker: one line of JSON for each thing that a program wants,
 * one line in answer.
 *
 * The program's thread stands still until it is answered; a broker that is gone ends the program.
 *
 * Invariants:
 *   B1. What cannot be read is refused, and ends the conversation.
 *   B2. A path is judged as the thing it leads to: one over a link is refused, since what a link
 *       leads to may change between the answer and the act.
 * @module
 */

import { lstatSync } from "node:fs";
import { z } from "zod";
import { SysError, toOutcome } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import { resolvePath } from "../kernel/path.ts";
import { type Check, PERMISSIONS } from "../kernel/program.ts";
import { isAtOrBelow } from "../kernel/reach.ts";

const MESSAGE = z.object({
  v: z.literal(1),
  id: z.number(),
  permission: z.enum(PERMISSIONS),
  value: z.string().nullable(),
});

/** What Deno calls the folder for temporary files, and where that is in the jail. */
const TEMPORARY = "<TMP>";
const OWN_FOLDER = "/tmp";
const OWN_FILES: readonly string[] = ["/dev/null", "/dev/zero", "/dev/urandom"];

/** Where the program stands. */
export interface CheckPlace {
  /** The workspace: an absolute path without links. */
  readonly root: string;
  /** The working directory, canonical; the program cannot leave it. */
  readonly cwd: string;
}

/** Answers the program's questions until `listener` is closed. */
export async function answerChecks(
  listener: Deno.Listener,
  place: CheckPlace,
  judge: (check: Check) => Promise<string | null>,
): Promise<void> {
  for await (const connection of listener) {
    void converse(connection, place, judge).catch(() => {}).finally(() => {
      try {
        connection.close();
      } catch {
        // The program closed it.
      }
    });
  }
}

async function converse(
  connection: Deno.Conn,
  place: CheckPlace,
  judge: (check: Check) => Promise<string | null>,
): Promise<void> {
  const writer = connection.writable.getWriter();
  for await (const line of linesOf(connection.readable)) {
    const { id, ...check } = MESSAGE.parse(parseJson(line));
    const reason = await answer(check, place, judge);
    const said = reason === null ? { id, result: "allow" } : { id, result: "deny", reason };
    await writer.write(new TextEncoder().encode(`${JSON.stringify(said)}\n`));
  }
}

async function answer(
  { permission, value }: Check,
  place: CheckPlace,
  judge: (check: Check) => Promise<string | null>,
): Promise<string | null> {
  try {
    if (value === null || (permission !== "read" && permission !== "write")) {
      return await judge({ permission, value });
    }
    const path = pathOf(value, place);
    return path === null ? null : await judge({ permission, value: path });
  } catch (error) {
    return toOutcome(error).message;
  }
}

/**
 * The canonical path of what a program names; null for what is its own in the jail. Throws `EACCES`
 * for what is neither, and for a way over a link (B2).
 */
export function pathOf(value: string, { root, cwd }: CheckPlace): string | null {
  if (value === TEMPORARY) return null;
  const from = cwd === "." ? root : `${root}${cwd.slice(1)}`;
  const names = (value.startsWith("/") ? value : `${from}/${value}`).split("/");
  const path: string[] = [];
  for (const name of names) {
    if (name === "" || name === ".") continue;
    if (name === "..") path.pop();
    else path.push(name);
    if (isAtOrBelow(`/${path.join("/")}`, root)) refuseLink(value, `/${path.join("/")}`);
  }
  const plain = `/${path.join("/")}`;
  if (isAtOrBelow(plain, root)) return resolvePath(".", `.${plain.slice(root.length)}`);
  if (isAtOrBelow(plain, OWN_FOLDER) || OWN_FILES.includes(plain)) return null;
  const expected = "expected a path in the workspace";
  throw new SysError("EACCES", `Cannot use "${value}": not in the workspace, ${expected}`);
}

function refuseLink(value: string, path: string): void {
  let isLink = false;
  try {
    isLink = lstatSync(path).isSymbolicLink();
  } catch {
    // Nothing there: whoever opens it finds nothing, or makes a file.
  }
  if (!isLink) return;
  throw new SysError(
    "EACCES",
    `Cannot use "${value}": it leads over a link, expected a plain path`,
  );
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
    if (rest.length > LIMITS.programCheckCharsMax) {
      throw new SysError("ELIMIT", "Cannot read a check");
    }
  }
}
