/**
 * State, as a server has it: `objects`, `checkpoint`, `rollback`, `fork`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { oneLine } from "../providers/printable.ts";
import { openTerminal } from "../providers/terminal.ts";
import type { Client } from "../server/client.ts";
import type * as wire from "../server/client.ts";
import type { StateView } from "../server/schema/evidence.ts";
import type { ChangesView, ObjectView, VersionView } from "../server/schema/memory.ts";
import { editsOf } from "./branch_edits.ts";
import { listChanges, listCheckpoints, showState } from "./checkpoint_text.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { listObjects, listVersions, printDiff, printValue } from "./object_text.ts";
import { type Versions, versionsOf } from "./object_text.ts";
import { aligned, show } from "./output.ts";
import { systemOf } from "./system.ts";
import { onlyOne, treesThere } from "./system_there.ts";

/** `objects ls | cat | history | diff`. */
export async function objectsThere(at: Context, client: Client): Promise<number> {
  const [verb, word, from, to] = at.words as [string, string, string?, string?];
  if (verb === "diff") {
    return await diff(at, client, await objectOf(at, client, word), { from, to });
  }
  if (from !== undefined) throw new UsageError(`Cannot run "objects ${verb}": too many words`);
  if (verb === "ls") return await ls(at, client, word);
  if (verb === "cat") return await showObject(at, client, await objectOf(at, client, word));
  if (verb === "history") return await history(at, client, await objectOf(at, client, word));
  throw new UsageError(`Cannot run "objects ${verb}": expected ls, cat, history, diff or put`);
}

async function ls(at: Context, client: Client, word: string): Promise<number> {
  const { pid } = await systemOf(at).process(word);
  const found = await Array.fromAsync(client.all<ObjectView>("/v1/objects", { pid }));
  return listObjects(at, pid, found);
}

/** The object that an id, a prefix of one, or a name like `/p_1/report` means. */
async function objectOf(at: Context, client: Client, word: string): Promise<wire.Object> {
  const named = /^\/(p_\d+(?:\.\d+)?)\/(.+)$/.exec(word);
  if (named !== null) {
    const { pid } = await systemOf(at).process(named[1]!);
    for await (const one of client.all<wire.Object>("/v1/objects", { pid })) {
      if (one.name === word.slice(1)) return one;
    }
    throw new SysError("ENOENT", `Cannot find object "${word}": absent, expected one of ${pid}`);
  }
  const id = await onlyOne("object", word, async () => {
    const all = await Array.fromAsync(client.all<wire.Object>("/v1/objects"));
    return all.map((one) => one.id);
  });
  return await client.get(`/v1/objects/${id}`);
}

async function showObject(at: Context, client: Client, object: wire.Object): Promise<number> {
  const of = object.list ? object.items : object.version;
  const values: unknown[] = [];
  for (let n = object.list ? 1 : of; n <= of; n++) {
    values.push(await valueAt(client, object.id, n));
  }
  return printValue(at, object.list ? values : values[0]);
}

async function valueAt(client: Client, id: string, n: number): Promise<unknown> {
  const path = `/v1/objects/${id}/versions/${n}`;
  const shown = await client.get<wire.ObjectVersion>(path, { reveal: true });
  if (!shown.erased) return shown.value;
  throw new SysError("ENOENT", `Cannot show "${id}@${n}": its content was taken away`);
}

async function diff(
  at: Context,
  client: Client,
  { id, list }: wire.Object,
  wanted: Versions,
): Promise<number> {
  const { items } = await client.get<{ readonly items: readonly VersionView[] }>(
    `/v1/objects/${id}/versions`,
  );
  const { from, to } = versionsOf(id, list ? [] : items.map(({ version }) => version), wanted);
  const before = await valueAt(client, id, from);
  return printDiff(at, { id, from, to, before, after: await valueAt(client, id, to) });
}

async function history(at: Context, client: Client, { id }: wire.Object): Promise<number> {
  const { items } = await client.get<{ readonly items: readonly VersionView[] }>(
    `/v1/objects/${id}/versions`,
  );
  return listVersions(at, id, items);
}

/** `checkpoint ls | inspect | diff`. */
export async function checkpointThere(at: Context, client: Client): Promise<number> {
  const [verb = "ls", word, first, second, ...rest] = at.words;
  if (verb === "ls" && first === undefined) {
    return listCheckpoints(
      at,
      await checkpoints(client, word === undefined ? undefined : await treeOf(client, word)),
    );
  }
  if (word !== undefined && first !== undefined && rest.length === 0) {
    const tree = await treeOf(client, word);
    const named = (position: string): Promise<string> => positionOf(client, tree, position);
    if (verb === "inspect" && second === undefined) {
      const query = { at: await named(first) };
      return showState(at, await client.get<StateView>(`/v1/trees/${tree}/state`, query));
    }
    if (verb === "diff") {
      const to = second === undefined ? undefined : await named(second);
      const query = { from: await named(first), to };
      const { items } = await client.get<ChangesView>(`/v1/trees/${tree}/diff`, query);
      return listChanges(at, items);
    }
  }
  throw new UsageError(`Cannot run "checkpoint ${verb}": expected ls, create, inspect or diff`);
}

/** The tree that a word names, itself or by one of its processes. */
async function treeOf(client: Client, word: string): Promise<string> {
  return (await treesThere(client, word))[0]!;
}

/** A line, the name of a checkpoint, or the id of one whose beginning was given. */
async function positionOf(client: Client, tree: string, word: string): Promise<string> {
  const wanted = word.replace(/^#(?=\d+$)/, "");
  if (/^\d+$/.test(wanted)) return wanted;
  const all = await checkpoints(client, tree);
  if (all.some(({ name }) => name === wanted) || !/^ck_/.test(wanted)) return wanted;
  return await onlyOne("checkpoint", wanted, () => Promise.resolve(all.map(({ id }) => id)));
}

async function checkpoints(client: Client, tree?: string): Promise<wire.Checkpoint[]> {
  return await Array.fromAsync(client.all<wire.Checkpoint>("/v1/checkpoints", { tree }));
}

/** The checkpoint of a process's tree that a name, an id or a prefix of one means. */
async function checkpointOf(
  at: Context,
  client: Client,
): Promise<{ readonly pid: string; readonly checkpoint: wire.Checkpoint }> {
  const [word, wanted] = at.words as [string, string];
  const { pid, tree } = await systemOf(at).process(word);
  const all = await checkpoints(client, tree);
  const named = all.findLast(({ name }) => name === wanted);
  if (named !== undefined) return { pid, checkpoint: named };
  if (/^#?\d+$/.test(wanted)) {
    const expected = "expected a checkpoint: a server goes back to those only";
    throw new UsageError(`Cannot use line ${wanted}: ${expected}`);
  }
  const id = await onlyOne("checkpoint", wanted, () => Promise.resolve(all.map(({ id }) => id)));
  return { pid, checkpoint: all.find((one) => one.id === id)! };
}

/** `rollback`. */
export async function rollbackThere(at: Context, client: Client): Promise<number> {
  const { pid, checkpoint } = await checkpointOf(at, client);
  const path = `/v1/checkpoints/${checkpoint.id}`;
  const plan = await client.get<wire.RollbackPreview>(`${path}/preview`);
  const where = `${checkpoint.id} ${JSON.stringify(checkpoint.name)}, line ${plan.to}`;
  const lines = [
    `${pid}, with all of ${checkpoint.tree}, would go back to ${where}`,
    "What was spent, revoked and answered since stays so.",
    ...planLines(plan),
  ];
  if (at.flags.on("preview")) {
    show(at, plan, { name: pid, lines });
    return EXIT.ok;
  }
  if (!at.flags.on("yes")) {
    if (!at.io.isInteractive) {
      const expected = "expected -y; --preview tells what it would do";
      throw new UsageError(`Cannot take "${pid}" back: nobody is there to be asked, ${expected}`);
    }
    if (!await isWanted(lines, `Take ${checkpoint.tree} back to line ${plan.to}?`)) {
      at.io.err("Nothing was done\n");
      return EXIT.error;
    }
  }
  const body = { files: at.flags.on("files") };
  const tree = await client.send("POST", `${path}/rollback`, { body });
  show(at, tree, { name: pid, lines: [`${pid} is back at ${where}`, ...planLines(plan)] });
  return EXIT.ok;
}

function planLines({ effects, messages, files }: wire.RollbackPreview): string[] {
  const did = effects.map(({ seq, pid, what, ok }) => [
    `  #${seq}`,
    pid,
    what,
    ok === null ? "in doubt" : ok ? "" : "failed",
  ]);
  const put = files.map(({ path, does, conflict }) => [`  ${does}`, `./${path}`, conflict ?? ""]);
  return [
    ...(did.length === 0 ? [] : ["Outside, this stands", ...aligned(did)]),
    ...(messages === 0 ? [] : [`${messages} messages are not delivered again`]),
    ...(put.length === 0 ? [] : ["Files that --files puts back", ...aligned(put)]),
  ];
}

async function isWanted(lines: readonly string[], question: string): Promise<boolean> {
  const terminal = openTerminal();
  terminal.write(lines.map((line) => `${oneLine(line)}\n`).join(""));
  terminal.discard?.();
  terminal.write(`${oneLine(question)} [yes] or nothing > `);
  const said = (await terminal.read())?.trim().toLowerCase();
  return said === "y" || said === "yes";
}

/** `fork`. */
export async function forkThere(at: Context, client: Client): Promise<number> {
  const body = await editsOf(at);
  const { pid, checkpoint } = await checkpointOf(at, client);
  const path = `/v1/checkpoints/${checkpoint.id}/fork`;
  const made = await client.send<wire.Process>("POST", path, { body });
  show(at, made, {
    name: made.pid,
    lines: [
      `${made.pid} is a fork of ${pid} at ${checkpoint.id} ${JSON.stringify(checkpoint.name)}`,
      "It shares the workspace, and has no finite uses and no approvals of the other",
    ],
  });
  return EXIT.ok;
}
