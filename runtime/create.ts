/**
 * Making a runtime: all that it needs is opened, or nothing stays open.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { Programs } from "../providers/confined.ts";
import { RootedFiles } from "../providers/files.ts";
import { DenoPrograms } from "../providers/programs.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { FolderSkills } from "../providers/skills.ts";
import { LocalShell } from "../providers/shell.ts";
import { openAuditing } from "./auditing.ts";
import { closeAll } from "./closing.ts";
import { checkRuntime } from "./given_runtime.ts";
import { openStore } from "./open_store.ts";
import { ownedBy } from "./owned.ts";
import { openRuleBook } from "./rule_book.ts";
import { Runtime } from "./runtime.ts";
import type { RuntimeOptions } from "./runtime_options.ts";
import { openWatchers } from "./watchers.ts";
import { openWorkshop } from "./workshop.ts";

/** What starts Deno programs; touches nothing before it is asked to. */
function programsOf({ programs, workspace }: RuntimeOptions): DenoPrograms | undefined {
  if (programs !== true || workspace === null) return undefined;
  return new DenoPrograms({ root: workspace ?? ".", children: new Programs() });
}

type Closes = (() => Promise<unknown>)[];

/**
 * Makes a runtime and starts it. Without options: the store "./.libos/libos.db", the current
 * folder as workspace, a terminal for approvals when there is one, no network.
 *
 * @example
 * ```ts
 * import { createRuntime, defineImage } from "@agent-libos/core";
 * const image = defineImage({
 *   name: "adder",
 *   program: async ({ sys }) => {
 *     await sys.process.exit({ result: 1 + 1 });
 *   },
 * });
 * await using os = await createRuntime({ store: ":memory:", workspace: null });
 * const process = await os.spawn(image, { goal: "add" });
 * const { result } = await process.wait();
 * console.assert(result === 2);
 * ```
 */
export async function createRuntime(given: RuntimeOptions = {}): Promise<Runtime> {
  checkRuntime(given);
  const { concurrency = 1 } = given;
  // With none at a time it only takes orders.
  if (!(concurrency >= 0)) {
    throw new SysError("EINVAL", `Cannot run ${concurrency} steps at a time: expected a number`);
  }
  const book = given.policyFile === undefined ? null : await openRuleBook(given);
  const options = book === null ? given : { ...given, policy: book.text };
  const opened: Closes = [];
  try {
    return await open(options, book, opened);
  } catch (error) {
    // What was refused leaves nothing open, least of all the store with its lock.
    await closeAll(opened.reverse()).catch(() => {});
    throw error;
  }
}

async function open(
  options: RuntimeOptions,
  book: Awaited<ReturnType<typeof openRuleBook>> | null,
  opened: Closes,
): Promise<Runtime> {
  const files = options.workspace === null
    ? null
    : await RootedFiles.open(options.workspace ?? ".", { owned: ownedBy(options) });
  const shell = openShell(options);
  const store = await openStore(options);
  // A store that was handed in is its owner's to close.
  if (typeof options.store !== "object") opened.push(() => store.close());
  // One that owns a SQLite file is its only kernel: the file's lock, or its embedder, says so.
  const alone = store.isShared !== true &&
    (typeof options.store !== "object" || store instanceof SqliteStore);
  const auditing = await openAuditing(store, options);
  const watchers = await openWatchers(options, store);
  opened.push(() => watchers.close(store));
  const workshop = await openWorkshop(options, watchers.cageStarted);
  opened.push(async () => {
    await Promise.all([workshop?.sandbox.close(), workshop?.compiler.close()]);
  });
  const programs = programsOf(options);
  const skills = options.skills === undefined ? null : await FolderSkills.open(options.skills);
  const outside = { shell, programs, workshop, skills };
  const parts = { options, ...outside, store, files, alone, auditing, watchers, book };
  const runtime = new Runtime(parts);
  opened.push(() => runtime.node.stop({ drain: false }));
  await runtime.node.membership?.join();
  await watchers.start(runtime.node);
  await runtime.node.openLive(LIMITS.treesOpenedAtStartMax);
  runtime.start();
  return runtime;
}

/** Programs of the machine, where they are wanted; nothing is looked at yet. */
function openShell({ shell, workspace }: RuntimeOptions): LocalShell | null {
  if (shell === undefined || shell === false) return null;
  return new LocalShell(workspace === undefined ? "." : workspace, shell === true ? {} : shell);
}
