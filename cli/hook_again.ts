/**
 * `hooks`: what servers and commands were not told yet, and telling them again.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { HookBook, type KeptEntry } from "../providers/hook_book.ts";
import { realClock } from "../providers/clock.ts";
import { entriesFor, happeningsOf, knownHooks } from "../runtime/hook_again.ts";
import type { Happening } from "../runtime/hook_events.ts";
import { hookBookPath } from "../runtime/hooks.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { isFile } from "./files.ts";
import { list, show } from "./output.ts";
import { progressing } from "./progress.ts";
import { dbPath, headsOf, reading, TREE_CONTEXT } from "./store.ts";
import { dateOf, durationOf, short } from "./words.ts";

const SHOWN_MAX = 1_000;

/** `hooks`. */
export const hooks: Command = {
  name: "hooks",
  group: "people",
  usage: "[ls] | resend ID… | resend --since 1h | resend --failed",
  about: "List what hooks were not told yet or that was given up, and tell them again, same ids",
  examples: ["libos hooks", "libos hooks resend --since 1h"],
  options: { since: { type: "string" }, failed: { type: "boolean" } },
  words: [0, 100],
  async run(at) {
    const [verb = "ls", ...ids] = at.words;
    const sinceMs = durationOf(at.flags.text("since"));
    const isFailed = at.flags.on("failed");
    if (verb === "ls" && ids.length === 0) {
      return await booked(at, (book) => ls(at, book.kept(SHOWN_MAX)));
    }
    const ways = [ids.length > 0, sinceMs !== undefined, isFailed].filter((way) => way).length;
    if (verb !== "resend" || ways !== 1) {
      throw new UsageError(`Cannot run "hooks ${verb}": expected ${hooks.usage}`);
    }
    return await booked(at, async (book) => {
      if (isFailed) return again(at, book, book.kept(SHOWN_MAX).filter(isDead));
      const fromMs = sinceMs === undefined ? 0 : realClock.now() - sinceMs;
      const all = (await happenings(at)).filter(({ atMs }) => atMs >= fromMs);
      const meant = ids.length === 0 ? all : ids.map((word) => only(all, word));
      return again(at, book, entriesFor(knownHooks(book), meant));
    });
  },
};

function isDead({ state }: KeptEntry): boolean {
  return state === "dead";
}

async function booked<T>(at: Context, job: (book: HookBook) => T | Promise<T>): Promise<T> {
  const path = hookBookPath(dbPath(at));
  if (!await isFile(at, path)) {
    const expected = "expected one of libos serve with --hook or --hook-command";
    throw new SysError("ENOENT", `Cannot open the book of hooks "${path}": absent, ${expected}`);
  }
  const book = new HookBook(path);
  try {
    return await job(book);
  } finally {
    book.close();
  }
}

/** What all logs have to tell of, oldest first. */
async function happenings(at: Context): Promise<Happening[]> {
  return await progressing(at, "Looking for events", (tell) =>
    reading(at, async (store) => {
      const found: Happening[] = [];
      for (const { tree } of await headsOf(store, true)) {
        tell(tree);
        found.push(...await happeningsOf(store, tree, TREE_CONTEXT));
      }
      return found.sort((a, b) => a.atMs - b.atMs);
    }));
}

/** The event that an id, or a beginning which only one has, means. */
function only(all: readonly Happening[], word: string): Happening {
  const near = all.filter(({ id }) => id === word || id.startsWith(word));
  const [one] = near;
  if (one === undefined || word === "") {
    const expected = "expected the id that a hook was told, as libos-event-id";
    throw new SysError("ENOENT", `Cannot find event "${word}": absent, ${expected}`);
  }
  if (near.length === 1) return one;
  const some = `${near.slice(0, 5).map(({ id }) => id).join(", ")}${near.length > 5 ? ", …" : ""}`;
  const state = `${near.length} begin so, expected one of ${some}`;
  throw new UsageError(`Cannot tell which event "${word}" is: ${state}`);
}

function again(at: Context, book: HookBook, entries: Parameters<HookBook["again"]>[0]): number {
  book.again(entries);
  const ids = [...new Set(entries.map(({ id }) => id))];
  const targets = new Set(entries.map(({ hook }) => hook)).size;
  const none = knownHooks(book).length === 0
    ? "nobody is told: no kernel had hooks here"
    : "nothing to tell again";
  show(at, { events: ids, hooks: targets }, {
    name: ids.join("\n"),
    lines: entries.length === 0 ? [none] : [
      `${ids.length} to be told again, to ${targets} hooks, under the same ids`,
      "The kernel that runs with hooks tells them; without one, the next that does",
    ],
  });
  return EXIT.ok;
}

function ls(at: Context, kept: readonly KeptEntry[]): number {
  list(at, kept, {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "EVENT", of: ({ event }) => event },
      { head: "LINE", of: ({ tree, seq }) => `${tree}#${seq}` },
      { head: "AT", of: ({ atMs }) => dateOf(atMs) },
      { head: "STATE", of: ({ state }) => state === "dead" ? "given up" : "waits" },
      { head: "TRIES", of: ({ attempts }) => String(Math.max(0, attempts)) },
      { head: "WHY", of: ({ error }) => short(error ?? "-", 80) },
    ],
    name: ({ id }) => id,
    json: ({ facts: _, ...rest }) => rest,
    none: "Every hook was told",
  });
  return EXIT.ok;
}
