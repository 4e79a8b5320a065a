/**
 * The coordinator's script: turns that decide from the conversation alone, as a model would.
 *
 * It lists the folder, shares it out to readers, waits for them, reads what they left, writes the
 * report, and says how that went.
 *
 * Invariants:
 *   C1. A turn depends on the messages before it only, so that a run which was killed goes on.
 *   C2. A reader is granted one part of the folder, never the whole, unless it cannot be shared
 *       out.
 * @module
 */

import type { Json, Model, ModelRequest } from "@agent-libos/core";
import { type ScriptedCall, scriptedModel, type ScriptedTurn } from "@agent-libos/core/testing";
import { type Findings, SKIPPED, type Task } from "./audit_reader.ts";
import { report, type Share } from "./audit_report.ts";

/** Where the report goes, inside the folder. */
export const REPORT = "./libos-audit/report.md";
/** More readers than these are never started. */
export const READERS_MAX = 8;

interface Result {
  readonly name: string;
  readonly output: Json;
  readonly isError: boolean;
}

interface Group {
  readonly title: string;
  readonly task: Task;
  readonly grants: readonly string[];
}

/** The scripted model for a folder of this name. */
export function auditModel(folder: string, id: string): Model {
  return scriptedModel([
    say("First I look at what is there.", () => [{ tool: "file_list", input: { path: "." } }]),
    say("Each part gets a reader that may read that part and nothing else.", startReaders),
    say("I wait for them and take over what they found.", awaitReaders),
    say("Now I read their findings.", readFindings),
    say("The report is composed; writing it is for a person to allow.", (request) => [
      { tool: "file_write", input: { path: REPORT, text: report(folder, sharesOf(request)) } },
    ]),
    conclude,
  ], { id });
}

function say(
  text: string,
  calls: (request: ModelRequest) => readonly ScriptedCall[],
): ScriptedTurn {
  return (request) => {
    const asked = calls(request);
    // A turn without calls would end the run, and there is always something to look at.
    return { text, calls: asked.length > 0 ? asked : [{ tool: "budget_inspect" }] };
  };
}

function startReaders(request: ModelRequest): ScriptedCall[] {
  return groupsOf(request).map(({ title, task, grants }) => ({
    tool: "process_spawn",
    input: {
      image: "reader",
      goal: `Read ${title}`,
      input: task as unknown as Json,
      grants: [...grants],
      budget: { children: 0 },
    },
  }));
}

function awaitReaders(request: ModelRequest): ScriptedCall[] {
  return spawned(request).flatMap(({ pid }) =>
    pid === null ? [] : [{ tool: "process_wait", input: { pids: [pid], merge: true } }]
  );
}

function readFindings(request: ModelRequest): ScriptedCall[] {
  const names = resultsOf(request, "process_wait").flatMap(({ output }) =>
    field(output, "merged") as string[] | undefined ?? []
  );
  const entries = entriesOf(request);
  const isThere = entries !== null && entries.some(({ name }) => name === "libos-audit");
  return [
    ...names.map((object) => ({ tool: "object_read", input: { object } })),
    ...(isThere ? [] : [{ tool: "file_mkdir", input: { path: "./libos-audit" } }]),
  ];
}

function conclude(request: ModelRequest): ScriptedTurn {
  const written = resultsOf(request, "file_write")[0];
  if (written?.isError !== false) {
    return `The report was not written: ${field(written?.output, "message") ?? "no answer"}`;
  }
  return `The report is in ${REPORT}.`;
}

/** How the folder is shared out: its files to one reader, each folder to another. */
function groupsOf(request: ModelRequest): Group[] {
  const entries = entriesOf(request);
  if (entries === null) return [group("the folder", { name: "all", folders: ["."], deep: true })];
  const wanted = entries.filter(({ name }) => !SKIPPED.has(name));
  const folders = wanted.filter(({ kind }) => kind === "directory").map(({ name }) => `./${name}`);
  const groups: Group[] = [];
  if (folders.length < wanted.length) {
    groups.push(group("the top of the folder", { name: "top", folders: ["."], deep: false }));
  }
  const alone = folders.slice(0, folders.length > READERS_MAX - 1 ? READERS_MAX - 2 : undefined);
  for (const [i, folder] of alone.entries()) {
    groups.push(group(folder, { name: `part-${i + 1}`, folders: [folder], deep: true }));
  }
  const rest = folders.slice(alone.length);
  if (rest.length > 0) {
    const title = `${rest.length} more folders`;
    groups.push(group(title, { name: "rest", folders: rest.slice(0, 40), deep: true }));
  }
  return groups;
}

function group(title: string, task: Task): Group {
  const grants = task.folders.flatMap((folder) => {
    const part = task.deep ? `${folder}/**` : `${folder}/*`;
    return [`file.read(${part})`, `file.stat(${part})`, `file.list(${task.deep ? part : folder})`];
  });
  return { title, task, grants };
}

/** The entries of the folder; null when there are too many to share out. */
function entriesOf(request: ModelRequest): readonly { name: string; kind: string }[] | null {
  const listed = resultsOf(request, "file_list")[0]?.output;
  return field(listed, "entries") as { name: string; kind: string }[] | undefined ?? null;
}

function spawned(request: ModelRequest): { pid: string | null; why: string }[] {
  return resultsOf(request, "process_spawn").map(({ output }) => ({
    pid: field(output, "pid") as string | undefined ?? null,
    why: String(field(output, "message") ?? ""),
  }));
}

function sharesOf(request: ModelRequest): Share[] {
  const waits = resultsOf(request, "process_wait");
  const reads = resultsOf(request, "object_read");
  let wait = 0;
  let read = 0;
  const starts = spawned(request);
  return groupsOf(request).map(({ title }, i) => {
    const { pid, why } = starts[i] ?? { pid: null, why: "it was not started" };
    if (pid === null) return { title, findings: null, why };
    const merged = field(waits[wait++]?.output, "merged") as string[] | undefined ?? [];
    if (merged.length === 0) return { title, findings: null, why: `reader ${pid} failed` };
    const value = field(reads[read++]?.output, "value") as Findings | undefined;
    return { title, findings: value ?? null, why: "the findings are too large" };
  });
}

function resultsOf({ messages }: ModelRequest, name: string): Result[] {
  return messages.flatMap((message) =>
    message.role === "tool" && message.name === name ? [message] : []
  );
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
