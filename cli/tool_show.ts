/**
 * Looking at generated tools: `tools ls`, `tools show`, `tools source`.
 * @module
 */

import { diffText } from "../kernel/diff.ts";
import { SysError } from "../kernel/errors.ts";
import type { ValueRef } from "../kernel/event.ts";
import type { ToolTest } from "../kernel/generated.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import type { ToolRecord } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import { readLines } from "../runtime/load.ts";
import type { ToolSource } from "../server/client.ts";
import { sortable } from "../server/page.ts";
import type { ToolView } from "../server/schema/memory.ts";
import { RUN_LINES_MAX, toolView } from "../server/view/memory.ts";
import { printable } from "../providers/printable.ts";
import type { Context } from "./command.ts";
import { list, painter, show } from "./output.ts";
import { findProcess, findTree, headsOf, reading, treeIn } from "./store.ts";
import {
  findTool,
  type FoundTool,
  isHeld,
  isKept,
  type Registration,
  storiesOf,
  type ToolStory,
  versionOf,
} from "./tool_known.ts";
import { dateOf, short } from "./words.ts";

const ORIGINS = { proposal: "generated", image: "image", parent: "parent" } as const;

/** A line of `tools ls`: a version in a process's table, or one that is in none. */
interface Row {
  readonly story: ToolStory;
  readonly held: Registration | null;
}

/** Lists versions of the whole store or of one tree, or those of one process. */
export async function listTools(at: Context, word: string | undefined): Promise<number> {
  if (["json", "jsonl", "yaml"].includes(at.format)) return await toolViews(at, word);
  const rows = await reading(at, async (store) => {
    if (word === undefined) {
      const found: Row[] = [];
      for (const tree of await treesOf(at, store)) {
        found.push(...(await storiesOf(store, await treeIn(store, tree))).flatMap(rowsOf));
      }
      return found;
    }
    const { tree, process: { pid } } = await findProcess(store, word);
    const all = (await storiesOf(store, tree)).flatMap(rowsOf);
    return all.filter(({ story, held }) => (held?.pid ?? story.record.by) === pid);
  });
  list(at, rows, {
    columns: [
      { head: "NAME", of: ({ story }) => story.record.name },
      { head: "PROCESS", of: ({ story, held }) => held?.pid ?? story.record.by },
      { head: "VERSION", of: ({ story }) => versionOf(story) },
      { head: "ORIGIN", of: originOf },
      { head: "STATE", of: stateOf },
      { head: "TESTS", of: ({ story }) => testsText(story.record) },
      { head: "RIGHTS", of: (row) => short(rightsOf(row).join(", "), 60) || "none" },
      { head: "TREE", wide: true, of: ({ story }) => story.tree },
      { head: "RUNS", wide: true, of: ({ story }) => runsText(story) },
      { head: "REVIEW", wide: true, of: ({ story }) => reviewText(story) },
    ],
    name: ({ story }) => story.record.hash,
    none: "No generated tools",
  });
  return 0;
}

async function toolViews(at: Context, word: string | undefined): Promise<number> {
  return listViews(
    at,
    await reading(at, async (store) => {
      const found = word === undefined ? null : await findProcess(store, word);
      const trees = found !== null
        ? [found.tree]
        : await Promise.all((await treesOf(at, store)).map((tree) => treeIn(store, tree)));
      return trees
        .flatMap(({ state }) => Object.values(state.tools).map((tool) => toolView(state, tool)))
        .filter((one) => found === null || isOf(one, found.process.pid));
    }),
  );
}

/** The tree that `--tree` names, or all. */
async function treesOf({ flags }: Context, store: Store): Promise<TreeId[]> {
  const named = flags.text("tree");
  if (named !== undefined) return [await findTree(store, named)];
  return (await headsOf(store, true)).map(({ tree }) => tree);
}

function rowsOf(story: ToolStory): Row[] {
  const kept = story.registrations.filter(isKept);
  return kept.length === 0 ? [{ story, held: null }] : kept.map((held) => ({ story, held }));
}

function stateOf({ story, held }: Row): string {
  if (story.record.revoked !== null) return "revoked";
  if (held !== null) return held.ended === null ? "registered" : "registered (ended)";
  const waiting = story.reviews.find(({ status }) => status === "pending");
  return waiting === undefined ? "proposed" : `proposed → ${waiting.id}`;
}

function originOf({ story, held }: Row): string {
  if (held !== null) return ORIGINS[held.from];
  return story.record.by === "image" ? "image" : "generated";
}

function rightsOf({ story, held }: Row): readonly string[] {
  return held?.rights ?? story.record.rights;
}

/** Whether a version is a process's: in its table, or written by it. */
export function isOf({ holders, by }: ToolView, pid: string): boolean {
  return holders.includes(pid) || by === pid;
}

/** Prints versions in the API's shape, in its order. */
function listViews(at: Context, views: readonly ToolView[]): number {
  const key = ({ tree, hash }: ToolView): string => sortable(`${tree} ${hash}`);
  list(at, views.toSorted((a, b) => key(a) < key(b) ? -1 : 1), {
    columns: [],
    name: ({ hash }) => hash,
    none: "No generated tools",
  });
  return 0;
}

function testsText({ testCount, tested }: ToolRecord): string {
  if (tested === null) return testCount === 0 ? "none" : `${testCount} not run`;
  const { passed, failed } = tested;
  return failed === 0 ? `${passed} passed` : `${failed} of ${passed + failed} failed`;
}

function runsText({ runs: { ok, failed } }: ToolStory): string {
  return failed === 0 ? String(ok) : `${ok} ok, ${failed} failed`;
}

const SAID = {
  pending: "not answered yet",
  approve: "approved",
  deny: "denied",
  answer: "answered",
  expired: "expired",
} as const;

/** Who looked at it. */
function reviewText({ registrations, reviews }: ToolStory): string {
  const last = reviews.at(-1);
  if (last !== undefined) {
    const { id, status, by } = last;
    return status === "pending"
      ? `waits for ${id}`
      : `${SAID[status]} by ${by ?? "nobody"} (${id})`;
  }
  return registrations.length === 0 ? "-" : "no person was asked";
}

/** Shows all of a version. */
export async function showTool(at: Context, word: string): Promise<number> {
  const { found, view, tests, source } = await reading(at, async (store) => {
    const found = await findTool(store, word, at.flags.text("tree"));
    const { story: { record }, tree: { state } } = found;
    const from = Math.max(1, state.seq - RUN_LINES_MAX + 1);
    return {
      found,
      view: toolView(state, record, await Array.fromAsync(readLines(store, state.tree, from))),
      tests: await valueOf(store, record.tests) as unknown as readonly ToolTest[],
      source: await valueOf(store, record.source) as string,
    };
  });
  const { story } = found;
  show(at, view, {
    name: view.hash,
    lines: [...headLines(found, source), ...testLines(tests), ...historyLines(story)],
  });
  return 0;
}

function headLines({ story, stories, elsewhere }: FoundTool, source: string): string[] {
  const { record, tree, seq } = story;
  const named = stories.filter((one) => one.record.name === record.name);
  const others = named.filter((one) => one !== story).map(versionOf);
  const lines = [
    `Tool:     ${record.name}  sha256:${record.hash}`,
    `Does:     ${record.description}`,
    `State:    ${rowsOf(story).map((row) => placeText(row)).join(", ")}`,
    `By:       ${record.by} of ${tree}, line ${seq}, ${dateOf(record.atMs)}`,
    `Review:   ${reviewText(story)}`,
    `Runs:     ${runsText(story)}`,
    `Source:   ${source.trimEnd().split("\n").length} lines; libos tools source ${
      versionOf(story)
    }`,
  ];
  if (others.length > 0) lines.push(`Versions: ${others.join(", ")} besides this one`);
  if (elsewhere.length > 0) lines.push(`Also in:  ${elsewhere.join(", ")}; --tree names one`);
  if (record.revoked !== null) {
    const { by, reason } = record.revoked;
    lines.push(`Revoked:  by ${by}${reason === "" ? "" : `: ${reason}`}`);
  }
  lines.push("May use, at most:");
  lines.push(
    ...(record.rights.length === 0 ? ["  nothing but its input"] : record.rights.map(tab)),
  );
  lines.push("Input:", ...schemaLines(record.inputSchema));
  if (record.outputSchema !== null) lines.push("Output:", ...schemaLines(record.outputSchema));
  lines.push(`Tests:    ${testsText(record)}`);
  return lines;
}

function placeText(row: Row): string {
  const place = row.held === null ? "" : ` for ${row.held.pid}`;
  return `${stateOf(row)}${place}`;
}

function tab(text: string): string {
  return `  ${text}`;
}

function schemaLines(schema: Json): string[] {
  return JSON.stringify(schema, null, 2).split("\n").map(tab);
}

function testLines(tests: readonly ToolTest[]): string[] {
  return tests.map(({ name, input, calls, output, error }) => {
    const made = calls.length === 0 ? "" : `, calls ${calls.map((call) => call.name).join(", ")}`;
    const end = error === undefined
      ? output === undefined ? "" : ` → ${short(canonical(output), 60)}`
      : ` → ${error.code}`;
    return `  ${name}: ${short(canonical(input), 60)}${made}${end}`;
  });
}

function historyLines({ registrations, reviews }: ToolStory): string[] {
  const lines: (readonly [seq: number, text: string])[] = [
    ...reviews.map(({ id, pid, seq, status, by }) =>
      [
        seq,
        `${pid} asked to register it (${id}): ${SAID[status]}${by === null ? "" : ` by ${by}`}`,
      ] as const
    ),
    ...registrations.map(({ pid, seq, from, reviewed, ended }) => {
      const how = `${ORIGINS[from]}${reviewed ? ", reviewed" : ""}`;
      return [seq, `registered for ${pid} (${how})${ended === null ? "" : `; ${ended}`}`] as const;
    }),
  ];
  if (lines.length === 0) return [];
  lines.sort(([a], [b]) => a - b);
  return ["History:", ...lines.map(([seq, text]) => `  #${seq}  ${text}`)];
}

/** Prints the source, or what is different from the version of that name before it. */
export async function printSource(at: Context, word: string): Promise<number> {
  const { story, before, source, was } = await reading(at, async (store) => {
    const { story, stories } = await findTool(store, word, at.flags.text("tree"));
    const { name } = story.record;
    const before = stories.findLast((one) => one.record.name === name && one.seq < story.seq);
    const was = before === undefined ? null : await valueOf(store, before.record.source) as string;
    return { story, before, source: await valueOf(store, story.record.source) as string, was };
  });
  const { name, hash } = story.record;
  if (!at.flags.on("diff")) return print(at, { hash, name, source, diff: null }, source);
  if (before === undefined || was === null) {
    const state = `the first version of "${name}" in ${story.tree}`;
    throw new SysError(
      "ENOENT",
      `Cannot compare ${versionOf(story)}: ${state}, expected a later one`,
    );
  }
  const diff = changesOf(before, story, diffText(was, source));
  const paint = painter(at);
  const coloured = printable(diff.join("\n")).split("\n").map((line) =>
    line.startsWith("+") ? paint(line, "green") : line.startsWith("-") ? paint(line, "red") : line
  );
  return print(at, { hash, name, source, diff: diffText(was, source) }, coloured.join("\n"), true);
}

function changesOf(before: ToolStory, story: ToolStory, source: string): string[] {
  const [old, now] = [before.record, story.record];
  const mark = isHeld(story) ? " (registered)" : "";
  const changed = (["description", "inputSchema", "outputSchema"] as const)
    .filter((key) => canonical(old[key]) !== canonical(now[key]))
    .flatMap((key) => [`- ${key} ${canonical(old[key])}`, `+ ${key} ${canonical(now[key])}`]);
  return [
    `${now.name} ${versionOf(before)} → ${versionOf(story)}${mark}`,
    ...changed,
    ...old.rights.filter((right) => !now.rights.includes(right)).map((right) => `- right ${right}`),
    ...now.rights.filter((right) => !old.rights.includes(right)).map((right) => `+ right ${right}`),
    source === "" ? "  the source is the same" : source,
  ];
}

function print(at: Context, value: ToolSource, text: string, isPainted = false): number {
  const { io, format } = at;
  if (format !== "table" && format !== "wide") show(at, value, { name: value.hash, lines: [] });
  else io.out(`${(isPainted ? text : printable(text)).replace(/\n$/, "")}\n`);
  return 0;
}

async function valueOf(store: Store, ref: ValueRef): Promise<Json> {
  if ("value" in ref) return ref.value;
  const text = await store.getBlob(ref.hash);
  if (text === undefined) {
    throw new SysError("EINTEGRITY", `Cannot read value "${ref.hash}": missing from the store`);
  }
  return parseJson(text) as Json;
}
