/**
 * Rounds of the crash sweep: run the demo, kill it, run it again until it ends, and look whether
 * anything can be told from a run that nobody killed.
 * @module
 */

import { createRuntime, SqliteStore } from "@agent-libos/core";
import { join } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;
const SAMPLE = join(ROOT, "demos/sample");
const RUNS_MAX = 4;

/** Where and when a run is killed. */
export type Kill =
  | { readonly when: "before" | "after"; readonly commit: number }
  | { readonly afterMs: number };

/** A folder of its own for one round. */
export interface Place {
  readonly folder: string;
  readonly db: string;
  readonly report: string;
}

/** What a tree's log says, as far as rounds are compared. */
export interface Story {
  readonly lines: number;
  readonly isLive: boolean;
  readonly broken: string | null;
  readonly asked: number;
  /** Every call with its result, a line each. */
  readonly results: readonly string[];
  /** What is wrong with it, whatever an uninterrupted run says. */
  readonly faults: readonly string[];
}

/** Copies the sample folder. */
export async function place(root: string, name: string): Promise<Place> {
  const folder = join(root, name, "sample");
  await copy(SAMPLE, folder);
  return { folder, db: join(root, name, "demo.db"), report: join(folder, "libos-audit/report.md") };
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (name === "libos-audit") continue;
    if (isDirectory) await copy(join(from, name), join(to, name));
    else await Deno.copyFile(join(from, name), join(to, name));
  }
}

/** One run of the demo in a process of its own. */
export async function run(at: Place, kill: Kill | null): Promise<{
  readonly wasKilled: boolean;
  readonly code: number;
  readonly output: string;
}> {
  const fatal = kill !== null && "commit" in kill ? [kill.when, String(kill.commit)] : [];
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      join(ROOT, "tests/crash_child.ts"),
      at.folder,
      at.db,
      ...fatal,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const killed = (): void => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It came to its end first.
    }
  };
  const timer = kill !== null && "afterMs" in kill ? setTimeout(killed, kill.afterMs) : undefined;
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return { wasKilled: signal === "SIGKILL", code, output };
}

/** Runs, kills as told, runs again until it ends; what is wrong with it, a sentence each. */
export async function round(at: Place, kills: readonly Kill[], expected: {
  readonly report: string;
  readonly asked: number;
  readonly results: readonly string[];
}): Promise<string[]> {
  const faults: string[] = [];
  let trees = 1;
  let written: number | null = null;
  for (let i = 0;; i++) {
    const before = await stories(at);
    const isOver = before.length > 0 && before.every(({ isLive }) => !isLive);
    // A run that was killed after its last line is over: the next one starts anew.
    if (isOver && i >= kills.length) break;
    if (isOver) trees += 1;
    const wasAnswered = before.some(({ isLive, isAnswered }) => isLive && isAnswered);
    if (i > kills.length + RUNS_MAX) return [...faults, `not ended after ${i} runs`];
    const { wasKilled, code, output } = await run(at, kills[i] ?? null);
    if (!wasKilled && code !== 0) return [...faults, `run ${i + 1} ended with ${code}: ${output}`];
    if (i === 0 && "commit" in kills[0]! && !wasKilled) faults.push("the first run was not killed");
    if (wasAnswered && /no terminal: answering/.test(output)) {
      faults.push(`run ${i + 1} asked again what was answered`);
    }
    const inode = await inodeOf(at, expected.report);
    if (trees === 1 && written !== null && inode !== written) {
      faults.push(`run ${i + 1} wrote the report again`);
    }
    written = inode;
  }
  const told = await stories(at);
  if (told.length > trees) faults.push(`${told.length} trees, expected ${trees} at most`);
  for (const { faults: own, broken, asked } of told) {
    faults.push(...own);
    if (broken !== null) faults.push(broken);
    if (asked !== expected.asked) faults.push(`${asked} questions, expected ${expected.asked}`);
  }
  // A second tree finds the folder of the report made.
  const others = told[0]?.results.filter((result) => !expected.results.includes(result)) ?? [];
  if (others.length > 0) faults.push(`results differ: ${others.join(", ")}`);
  if (await Deno.readTextFile(at.report) !== expected.report) faults.push("another report");
  return faults;
}

/** Which file has the whole report; null when none has. */
async function inodeOf(at: Place, report: string): Promise<number | null> {
  try {
    if (await Deno.readTextFile(at.report) !== report) return null;
    return (await Deno.stat(at.report)).ino;
  } catch {
    return null;
  }
}

/** What the logs of a store say. */
export async function stories(at: Place): Promise<(Story & { readonly isAnswered: boolean })[]> {
  try {
    await Deno.stat(at.db);
  } catch {
    return [];
  }
  const store = SqliteStore.open(at.db);
  await using runtime = await createRuntime({
    store,
    workspace: null,
    autorun: false,
    approvals: "queue",
  });
  const told: (Story & { readonly isAnswered: boolean })[] = [];
  const verified = await runtime.verify();
  for (const { tree, seq, summary } of await runtime.trees({ all: true })) {
    if (seq === 0) continue;
    const broken = verified.find((each) => each.tree === tree)?.broken ?? null;
    const asked = new Map<string, number>();
    const calls = new Map<string, Told>();
    const uses = new Map<string, { max: number; spent: number }>();
    for await (const line of runtime.log(tree)) {
      note(line.type, line.data as never, { asked, calls, uses });
    }
    const results: string[] = [];
    for (const [id, { name, result }] of calls) results.push(`${id} ${name} ${result}`);
    const isLive = summary.live;
    const faults = broken === null ? check({ asked, calls, uses, isLive }) : [];
    const isAnswered = [...asked.values()].some((answers) => answers > 0);
    told.push({ lines: seq, isLive, broken, asked: asked.size, results, faults, isAnswered });
  }
  return told;
}

/** What the log says of one call. */
interface Told {
  readonly events: readonly string[];
  readonly name: string;
  /** "ok", or the code of its refusal; empty until it is known. */
  readonly result: string;
}

interface Noted {
  /** Answers by request. */
  readonly asked: Map<string, number>;
  readonly calls: Map<string, Told>;
  /** Uses of capabilities that have a number of them. */
  readonly uses: Map<string, { max: number; spent: number }>;
}

interface Data {
  readonly id: string;
  readonly pid: string;
  readonly step: number;
  readonly key: string;
  readonly name?: string;
  readonly result?: { readonly ok: boolean; readonly code?: string };
  readonly usesMax: number | null;
  readonly spends?: readonly string[];
  readonly restores?: readonly string[];
}

function note(type: string, data: Data, { asked, calls, uses }: Noted): void {
  if (type === "human.asked") asked.set(data.id, 0);
  if (type === "human.answered") asked.set(data.id, (asked.get(data.id) ?? 9) + 1);
  if (type === "cap.granted" && data.usesMax !== null) {
    uses.set(data.id, { max: data.usesMax, spent: 0 });
  }
  if (!type.startsWith("call.")) return;
  const id = `${data.pid}#${data.step}.${data.key}`;
  const before = calls.get(id) ?? { events: [], name: "", result: "" };
  calls.set(id, {
    events: [...before.events, type],
    name: data.name ?? before.name,
    result: data.result === undefined ? "" : data.result.code ?? "ok",
  });
  for (const cap of data.spends ?? []) uses.get(cap)!.spent += 1;
  for (const cap of data.restores ?? []) uses.get(cap)!.spent -= 1;
}

const LIVES: readonly string[] = ["call.done", "call.intent call.outcome"];

function check({ asked, calls, uses, isLive }: Noted & { readonly isLive: boolean }): string[] {
  const faults: string[] = [];
  for (const [id, { events }] of calls) {
    const life = events.join(" ");
    if (!LIVES.includes(life) && !(isLive && life === "call.intent")) {
      faults.push(`call ${id}: ${life}`);
    }
  }
  for (const [id, answers] of asked) {
    if (answers > 1 || (!isLive && answers === 0)) faults.push(`${id}: ${answers} answers`);
  }
  for (const [id, { max, spent }] of uses) {
    if (spent > max) faults.push(`${id}: ${spent} uses of ${max}`);
  }
  return faults;
}
