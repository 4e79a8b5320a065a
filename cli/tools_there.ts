/**
 * Generated tools, as a server has them: `tools ls | show | source | revoke`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { printable } from "../providers/printable.ts";
import type { Client } from "../server/client.ts";
import type * as wire from "../server/client.ts";
import type { ToolView } from "../server/schema/memory.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { list, painter, show } from "./output.ts";
import { systemOf } from "./system.ts";
import { onlyOne } from "./system_there.ts";
import { isOf } from "./tool_show.ts";
import { dateOf, short } from "./words.ts";

/** `tools ls | show | source | revoke`. */
export async function toolsThere(at: Context, client: Client): Promise<number> {
  const [verb = "ls", word] = at.words;
  const tree = word === undefined || verb !== "ls"
    ? at.flags.text("tree")
    : (await systemOf(at).process(word)).tree;
  const all = await Array.fromAsync(client.all<ToolView>("/v1/tools", { tree }));
  if (verb === "ls") {
    if (word === undefined) return listTools(at, all);
    const { pid } = await systemOf(at).process(word);
    return listTools(at, all.filter((one) => isOf(one, pid)));
  }
  if (word === undefined || !["show", "source", "revoke"].includes(verb)) {
    throw new UsageError(
      `Cannot run "tools ${verb}" on a server: expected ls, show, source, revoke`,
    );
  }
  const hash = namedIn(all, word)?.hash ??
    await onlyOne("tool", word, () => Promise.resolve(all.map(({ hash }) => hash)));
  if (verb === "show") return await showTool(at, client, hash);
  if (verb === "source") return await showSource(at, client, { hash, all });
  const reason = at.flags.text("message") ?? "";
  await client.send("POST", `/v1/tools/${hash}/revoke`, { body: { reason } });
  show(at, { tool: hash, reason, revoked: true }, { name: hash, lines: [`revoked ${word}`] });
  return EXIT.ok;
}

/** Of a name the version in use, or the newest. */
function namedIn(all: readonly ToolView[], word: string): ToolView | undefined {
  const named = all.filter(({ name }) => name === word)
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  return named.findLast(({ holders }) => holders.length > 0) ?? named.at(-1);
}

function listTools(at: Context, all: readonly ToolView[]): number {
  list(at, all, {
    columns: [
      { head: "NAME", of: ({ name }) => name },
      { head: "VERSION", of: ({ hash }) => hash.slice(0, 12) },
      { head: "BY", of: ({ by }) => by },
      {
        head: "STATE",
        of: ({ revoked, holders }) =>
          revoked !== null ? "revoked" : holders.length > 0 ? "registered" : "proposed",
      },
      { head: "RIGHTS", of: ({ declared }) => short(declared.join(", "), 60) || "none" },
      { head: "TREE", wide: true, of: ({ tree }) => tree },
    ],
    name: ({ hash }) => hash,
    none: "No generated tools",
  });
  return EXIT.ok;
}

async function showTool(at: Context, client: Client, hash: string): Promise<number> {
  const tool = await client.get<ToolView>(`/v1/tools/${hash}`);
  const seen = tool.observed.map(({ name, calls, denied }) =>
    `${name} ×${calls} (${denied} denied)`
  );
  show(at, tool, {
    name: hash,
    lines: [
      `${tool.name}  sha256:${hash}`,
      `About:     ${tool.description}`,
      `By:        ${tool.by} in ${tool.tree}, ${dateOf(Date.parse(tool.at))}`,
      `Declared:  ${tool.declared.join(", ") || "nothing"}`,
      `Observed:  ${seen.join(", ") || "no calls"}`,
      `Holders:   ${tool.holders.join(", ") || "none"}`,
      `Reviewed:  ${tool.reviewedBy === null ? "by nobody" : `by ${tool.reviewedBy}`}`,
      ...(tool.revoked === null
        ? []
        : [`Revoked:   by ${tool.revoked.by}: ${tool.revoked.reason}`]),
      `Runs:      ${tool.runs.length} shown, ${
        tool.runs.filter(({ ok }) => ok === false).length
      } failed`,
    ],
  });
  return EXIT.ok;
}

async function showSource(at: Context, client: Client, given: {
  readonly hash: string;
  readonly all: readonly ToolView[];
}): Promise<number> {
  const { hash, all } = given;
  const isDiff = at.flags.on("diff");
  const before = isDiff ? earlier(all, hash) : undefined;
  const found = await client.get<wire.ToolSource>(
    `/v1/tools/${hash}/source`,
    before === undefined ? {} : { against: before },
  );
  if (at.format !== "table" && at.format !== "wide") {
    show(at, found, { name: hash, lines: [] });
    return EXIT.ok;
  }
  const paint = painter(at);
  for (const line of printable(found.diff ?? found.source).trimEnd().split("\n")) {
    const colour = line.startsWith("+") ? "green" : line.startsWith("-") ? "red" : undefined;
    at.io.out(`${isDiff && colour !== undefined ? paint(line, colour) : line}\n`);
  }
  return EXIT.ok;
}

/** The version of that name before one. Throws `ENOENT` where it is the first. */
function earlier(all: readonly ToolView[], hash: string): string {
  const own = all.find((one) => one.hash === hash);
  const before = all
    .filter(({ tree, name, at }) =>
      tree === own?.tree && name === own.name && Date.parse(at) < Date.parse(own.at)
    )
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const found = before.at(-1)?.hash;
  if (found !== undefined) return found;
  const state = `the first version of "${own?.name}" in ${own?.tree}`;
  const sentence = `Cannot compare ${hash.slice(0, 12)}: ${state}, expected a later one`;
  throw new SysError("ENOENT", sentence);
}
