/**
 * Lives of the two agents under strace, which kills them at a system call or makes it fail; and
 * what is looked at afterwards.
 * @module
 */

import { SqliteStore } from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import { sha256 } from "../kernel/json.ts";
import { RootedFiles } from "../providers/files.ts";
import { stories } from "./crash_rounds.ts";
import { live, openAgents, TREES } from "./fault_agents.ts";
import { comparable } from "./soak_place.ts";
import { checkWorld, foldOf, START_MS } from "./world_fixture.ts";

const CHILD = new URL("./strace_child.ts", import.meta.url).pathname;
/** What writes, syncs, cuts, names and unnames; those that a machine has not are left out. */
export const CALLS = "write,writev,pwrite64,pwritev,fsync,fdatasync,ftruncate," +
  "?rename,?renameat,?renameat2,?unlink,?unlinkat,?link,?linkat";
/** How far the clock is off at each start in turn. A grant that expired would be asked for again. */
const JUMPS_MS = [-7_200_000, 0, 600_000] as const;

/** Why system calls cannot be traced here; null when they can. */
export async function untraceable(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "strace is for Linux";
  try {
    const command = new Deno.Command("strace", { args: ["-qq", "-e", "trace=none", "true"] });
    const { success, stderr } = await command.output();
    return success ? null : new TextDecoder().decode(stderr).trim().slice(0, 100);
  } catch {
    return "strace is not here";
  }
}

/** What happens at the nth system call of a name: death, or an error. */
export interface Injection {
  readonly call: string;
  readonly n: number;
  readonly fault: "KILL" | "EIO" | "ENOSPC";
  /** Also at all that come after it. */
  readonly stays?: boolean;
}

/** A system call of an undisturbed life. */
export interface Point {
  readonly call: string;
  /** Its number among those of its name, from 1. */
  readonly n: number;
  /** Whether it is on the workspace; the others are on the store. */
  readonly isFile: boolean;
}

/** An empty folder with a workspace. */
export async function place(root: string, name: string): Promise<string> {
  const folder = `${root}/${name}`;
  for (const each of ["w", "once", "asked"]) {
    await Deno.mkdir(`${folder}/files/${each}`, { recursive: true });
  }
  return folder;
}

/** How a traced life ended. */
export interface Traced {
  readonly wasKilled: boolean;
  readonly code: number;
  readonly output: string;
}

/** A life under strace, with its own arguments. Names of files are drawn from the life's seed. */
export async function traced(
  folder: string,
  life: number,
  options: { readonly strace: readonly string[]; readonly pages?: number },
): Promise<Traced> {
  const { strace, pages } = options;
  const args = ["run", "-A", "--no-check", `--seed=${life}`, CHILD, folder, String(life)];
  if (pages !== undefined) args.push(String(pages));
  const child = new Deno.Command("strace", {
    args: ["-f", "-qq", ...strace, Deno.execPath(), ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, signal, stdout, stderr } = await child.output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return { wasKilled: signal === "SIGKILL", code, output };
}

/** The system calls of one undisturbed life on its store and workspace, and the names for `-P`. */
export async function pointsOf(root: string): Promise<{
  readonly points: readonly Point[];
  readonly names: readonly string[];
}> {
  const folder = await place(root, "named");
  const trace = `${root}/named.trace`;
  const all = ["-y", "--seccomp-bpf", "-o", trace, "-e", `trace=openat,${CALLS}`];
  await traced(folder, 1, { strace: all });
  const text = await Deno.readTextFile(trace);
  const found = [...text.matchAll(/<([^>]+)>/g)].map(([, opened]) => opened!)
    .filter((name) => name.startsWith(`${folder}/files/`));
  const names = new Set(["/libos.db", "/libos.db-wal", "/libos.db.owner"]);
  for (const name of found) names.add(name.replace(folder, ""));
  const points: Point[] = [];
  const counts = new Map<string, number>();
  const again = await place(root, "counted");
  const strace = ["-y", "--seccomp-bpf", "-o", trace, ...pathsOf(again, [...names])];
  await traced(again, 1, { strace: [...strace, "-e", `trace=${CALLS}`] });
  // Renames name a folder by the number of its descriptor, which is another one each time.
  const renames = text.split("\n").filter((line) => / rename\w*\(.*\.libos-/.test(line));
  for (const line of [...(await Deno.readTextFile(trace)).split("\n"), ...renames]) {
    const call = /^\d+ +(\w+)\(/.exec(line)?.[1];
    if (call === undefined) continue;
    const n = (counts.get(call) ?? 0) + 1;
    counts.set(call, n);
    points.push({ call, n, isFile: !line.includes("libos.db") });
  }
  return { points, names: [...names] };
}

function pathsOf(folder: string, names: readonly string[]): string[] {
  return names.flatMap((name) => ["-P", folder + name]);
}

/** A life in which something happens. */
export async function injected(
  folder: string,
  life: number,
  { names, injection }: { readonly names: readonly string[]; readonly injection: Injection },
): Promise<Traced> {
  const { call, n, fault, stays = false } = injection;
  const what = fault === "KILL" ? "signal=KILL" : `error=${fault}`;
  const when = `inject=${call}:${what}:when=${n}${stays ? "+" : ""}`;
  const paths = call.startsWith("rename") ? [] : pathsOf(folder, names);
  const strace = ["-o", "/dev/null", ...paths, "-e", `trace=${CALLS}`, "-e", when];
  // A signal is not given to calls that only the filter lets through.
  return await traced(folder, life, {
    strace: fault === "KILL" ? strace : ["--seccomp-bpf", ...strace],
  });
}

/** Which file has each name of a workspace: a file that is written again is another one. */
export async function inodesOf(folder: string): Promise<Map<string, number>> {
  const inodes = new Map<string, number>();
  for (const name of ["w", "once", "asked"]) {
    for await (const { name: file } of Deno.readDir(`${folder}/files/${name}`)) {
      if (file.startsWith(".")) continue;
      const path = `${name}/${file}`;
      inodes.set(path, (await Deno.stat(`${folder}/files/${path}`)).ino ?? 0);
    }
  }
  return inodes;
}

/** What came of it, as far as it is compared with a life that nothing happened to. */
export interface Ending {
  readonly states: readonly string[];
  readonly contents: readonly string[];
  readonly results: readonly string[];
  readonly asked: number;
  /** What is wrong with it, whatever others say. */
  readonly faults: readonly string[];
}

/** Lives until both agents have ended, twice; looks at all that is claimed. */
export async function finish(folder: string, life: number): Promise<Ending> {
  const faults: string[] = [];
  let first: string[] = [];
  for (const again of [0, 1]) {
    const store = SqliteStore.open(`${folder}/libos.db`);
    const files = await RootedFiles.open(`${folder}/files`);
    // Each start finds another time.
    const clock = new VirtualClock(START_MS + JUMPS_MS[life % 3]!);
    const os = openAgents({ store, files, clock, life: life + again });
    try {
      const before = await inodesOf(folder);
      const found = await live({ os, store, clock });
      if (found !== null) faults.push(`it did not end: ${found}`);
      await checkWorld({ os, store });
      faults.push(...await store.check());
      faults.push(...await unacknowledged(store, folder));
      for (const { pid } of await os.ps({ all: true })) {
        const { diverged } = await (await os.get(pid))!.replay();
        if (diverged !== null) faults.push(`${pid} was replayed as ${JSON.stringify(diverged)}`);
      }
      const states = await Promise.all(TREES.map(async (id) => (await foldOf(store, id)).state));
      const dumps = states.map((state) => comparable({ ...state, atMs: 0 }));
      if (again === 0) first = dumps;
      else if (dumps.join() !== first.join()) faults.push("a restart changed the state");
      const isQuiet = again === 0 || same(before, await inodesOf(folder));
      if (!isQuiet) faults.push("a restart wrote files");
    } finally {
      await os.close({ drain: false });
    }
  }
  return { ...await endingOf(folder, first), faults };
}

function same(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): boolean {
  return JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());
}

async function endingOf(folder: string, dumps: readonly string[]): Promise<Ending> {
  const told = await stories({ folder, db: `${folder}/libos.db`, report: "" });
  const contents: string[] = [];
  for (const path of [...(await inodesOf(folder)).keys()].sort()) {
    contents.push(`${path} ${await Deno.readTextFile(`${folder}/files/${path}`)}`);
  }
  return {
    states: dumps.map((dump) => dump.replace(/"(\w+Ms)":\d+/g, '"$1":0')),
    contents,
    results: told.flatMap(({ results }) => results),
    asked: told.reduce((sum, { asked }) => sum + asked, 0),
    faults: told.flatMap(({ faults, broken }) => broken === null ? faults : [...faults, broken]),
  };
}

/** What was told to be durable and is not there, as it was. */
export async function unacknowledged(store: SqliteStore, folder: string): Promise<string[]> {
  const hashes = new Map<string, string[]>();
  for (const tree of TREES) {
    const found: string[] = [];
    if (await store.head(tree) !== undefined) {
      for await (const { lines } of store.read(tree, 1)) found.push(...lines.map(sha256));
    }
    hashes.set(tree, found);
  }
  const acks = await Deno.readTextFile(`${folder}/acks`).catch(() => "");
  return acks.split("\n").slice(0, -1).filter((ack) => {
    const [tree, seq, head] = ack.split(" ");
    return hashes.get(tree!)?.[Number(seq) - 1] !== head;
  }).map((ack) => `what was acknowledged is lost: ${ack}`);
}
