/**
 * Child processes of the host: each with nothing of ours but two pipes, and mortal.
 *
 * Invariants:
 *   H1. A child starts with an empty environment, in an empty folder, in a group of its own.
 *   H2. Who asks for a jail gets one or an error, never a child without one.
 *   H3. `kill` reaches the child and all of its group, and never a process that came after it.
 * @module
 */

import { readFileSync } from "node:fs";
import type { Child, Children, ChildSpec } from "../kernel/child.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { realClock } from "./clock.ts";
import { findJail, type Handed, type Jail, JAILED_DENO, refusalOf } from "./jail.ts";
import { printable } from "./printable.ts";

/** What a child finds in its environment. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  // A folder that cannot be made: nothing is cached on disk.
  DENO_DIR: "/dev/null/x",
  NO_COLOR: "1",
  TZ: "UTC",
  // What was allocated once and is free is given back, and not kept by each thread.
  GLIBC_TUNABLES: "glibc.malloc.tcache_count=0",
  MALLOC_ARENA_MAX: "1",
  MALLOC_TRIM_THRESHOLD_: "65536",
  MALLOC_TOP_PAD_: "0",
};
const FILE_BLOCKS_MAX = 2_048;
const FILES_OPEN_MAX = 64;
/** Clock ticks a second, in which `/proc` counts; 100 on every Linux that Deno runs on. */
const TICKS = 100;
const PAGE_BYTES = 4_096;
/** How far below a jail the child stands. */
const GENERATIONS_MAX = 4;
/** How often, and after how long each time, it is looked whether a killed jail is empty. */
const GONE_TRIES_MAX = 1_000;
const GONE_MS = 2;

/** Options of the host's children. */
export interface RealChildrenOptions {
  /** The runtime to start. @default the one that runs us */
  readonly denoPath?: string;
  /** The jail's program. @default "bwrap" */
  readonly jailPath?: string;
}

/** The host's children. */
export class RealChildren implements Children {
  readonly #denoPath: string;
  readonly #jailPath: string;
  #jail: Promise<{ readonly works: boolean; readonly why: string }> | null = null;
  /** The jail that was found to work. */
  #found: Jail | null = null;

  /** Starts nothing. */
  constructor(options: RealChildrenOptions = {}) {
    this.#denoPath = options.denoPath ?? Deno.execPath();
    this.#jailPath = options.jailPath ?? "bwrap";
  }

  /** Why children cannot be held here; null when they can. */
  refusal(): string | null {
    // To end a child takes the whole permission, whatever a flag with names starts.
    const { state } = Deno.permissions.querySync({ name: "run" });
    return state === "granted" ? null : "children cannot be ended without --allow-run for all";
  }

  /** Starts a child. Throws `EIO` when the system does not, `ENOSYS` for a jail not yet tried. */
  start(spec: ChildSpec): Child {
    if (!spec.jail) return this.#start(spec, null);
    if (this.#found !== null) return this.#start(spec, this.#found);
    throw new SysError("ENOSYS", "Cannot start a child in a jail: none is known to work here");
  }

  /** Whether a jail can be put around a child here. Tried once. */
  jail(): Promise<{ readonly works: boolean; readonly why: string }> {
    this.#jail ??= this.#tryJail();
    return this.#jail;
  }

  #start(spec: ChildSpec, jail: Jail | null): Child {
    const { reads = [] } = spec;
    const program = jail === null ? [this.#denoPath] : [...jail.command(reads), JAILED_DENO];
    const handed = jail?.handed(reads) ?? [];
    const [command, ...args] = limited(spec, handed, [...program, ...spec.args]);
    let folder = "";
    try {
      folder = Deno.makeTempDirSync({ prefix: "libos-" });
      // Read before the child is there, and not seen by it.
      for (const { fd, bytes } of handed) Deno.writeFileSync(`${folder}/${fd}`, bytes);
      const child = new Deno.Command(command!, {
        args,
        cwd: folder,
        clearEnv: true,
        env: ENVIRONMENT,
        detached: Deno.build.os !== "windows",
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      return new RealChild(child, folder, jail !== null);
    } catch (error) {
      if (folder !== "") discard(folder);
      throw new SysError("EIO", `Cannot start a child: ${(error as Error).message}`);
    }
  }

  async #tryJail(): Promise<{ readonly works: boolean; readonly why: string }> {
    const found = await findJail(this.#jailPath, this.#denoPath, ENVIRONMENT);
    if (typeof found === "string") return { works: false, why: found };
    try {
      const spec = { args: ["--version"], dataBytesMax: null, jail: true };
      const child = this.#start(spec, found);
      const [said, { code, errors }] = await Promise.all([firstOf(child.output), child.ended]);
      // A program that starts nothing may end well, too.
      if (code !== 0 || said === "") {
        return { works: false, why: refusalOf(this.#jailPath, errors.slice(0, 512)) };
      }
    } catch (error) {
      return { works: false, why: (error as Error).message };
    }
    this.#found = found;
    return { works: true, why: "bubblewrap works" };
  }
}

/** One child. */
class RealChild implements Child {
  readonly pid: number;
  readonly output: ReadableStream<Uint8Array>;
  readonly ended: Promise<{ readonly code: number; readonly errors: string }>;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #isJailed: boolean;
  #hasEnded = false;
  /** What was in the jail when it was killed. */
  #inside: readonly Born[] | null = null;

  constructor(child: Deno.ChildProcess, folder: string, isJailed: boolean) {
    this.pid = child.pid;
    this.output = child.stdout;
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    // Told by each write; nobody waits for this.
    this.#writer.closed.catch(() => {});
    this.#isJailed = isJailed;
    this.ended = this.#end(folder);
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#writer.write(bytes);
    } catch {
      throw new SysError("EIO", `Cannot write to child ${this.pid}: it is gone`);
    }
  }

  kill(): void {
    if (this.#hasEnded) return;
    // What is in a jail dies with it, a moment later.
    if (this.#isJailed) this.#inside ??= familyOf(this.pid, GENERATIONS_MAX);
    try {
      if (Deno.build.os === "windows") this.#child.kill("SIGKILL");
      else Deno.kill(-this.pid, "SIGKILL");
    } catch {
      // It has ended by itself, and its end is not known yet.
    }
  }

  usage(): { readonly cpuMs: number; readonly residentBytes: number } | null {
    if (this.#hasEnded) return null;
    return this.#isJailed ? familyUsage(this.pid, GENERATIONS_MAX) : usageOf(this.pid);
  }

  async #end(folder: string): Promise<{ readonly code: number; readonly errors: string }> {
    const errors = lastOf(this.#child.stderr);
    const { code } = await this.#child.status;
    // Whatever it left in its group goes with it, before its number can be another's.
    this.kill();
    this.#hasEnded = true;
    for (let i = 0; i < GONE_TRIES_MAX && this.#inside?.some(lives) === true; i++) {
      await realClock.sleep(GONE_MS);
    }
    await this.#writer.abort().catch(() => {});
    discard(folder);
    return { code, errors: await errors };
  }
}

/** The command, with the system's limits set by a shell that becomes it. */
function limited(
  spec: ChildSpec,
  handed: readonly Handed[],
  command: readonly string[],
): readonly string[] {
  if (Deno.build.os === "windows") return command;
  const limits = ["ulimit -c 0", `ulimit -f ${FILE_BLOCKS_MAX}`, `ulimit -n ${FILES_OPEN_MAX}`];
  // Elsewhere the shell knows no such limit, or the system does not keep it.
  if (spec.dataBytesMax !== null && Deno.build.os === "linux") {
    limits.push(`ulimit -d ${Math.ceil(spec.dataBytesMax / 1_024)}`);
  }
  // Read by whoever holds them open; nothing of them is left in the folder.
  for (const { fd } of handed) limits.push(`exec ${fd}<${fd}`, `rm ${fd}`);
  return ["/bin/sh", "-c", `${limits.join(" && ")} && exec "$0" "$@"`, ...command];
}

/** What a stream says first, as harmless text. It is read to its end. */
async function firstOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let first = "";
  for await (const chunk of stream) first ||= shown(chunk.subarray(0, 64));
  return first;
}

/** The end of a stream as harmless text. It is read to its end, so that nobody waits to write. */
async function lastOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let last = new Uint8Array(0);
  try {
    for await (const chunk of stream) {
      const whole = new Uint8Array(last.length + chunk.length);
      whole.set(last);
      whole.set(chunk, last.length);
      last = whole.slice(-LIMITS.cageErrorBytesMax);
    }
  } catch {
    // What was read before it broke is what there is.
  }
  return shown(last);
}

function shown(bytes: Uint8Array): string {
  return printable(new TextDecoder().decode(bytes)).trim().slice(-LIMITS.cageErrorBytesMax);
}

function discard(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch {
    // An empty folder among temporary ones harms nobody.
  }
}

/** A process and when it began: its number may be another's later. */
interface Born {
  readonly pid: number;
  readonly atTick: string;
}

function lives({ pid, atTick }: Born): boolean {
  const fields = statOf(pid);
  return fields !== null && fields[19] === atTick && fields[0] !== "Z" && fields[0] !== "X";
}

function familyOf(pid: number, generations: number): readonly Born[] {
  const atTick = statOf(pid)?.[19];
  if (atTick === undefined) return [];
  const below = generations === 0 ? [] : childrenOf(pid) ?? [];
  return [{ pid, atTick }, ...below.flatMap((one) => familyOf(one, generations - 1))];
}

/** What the system says of a process, after its name; null when it does not. */
function statOf(pid: number): readonly string[] | null {
  try {
    // The name may hold anything, but nothing after its bracket does.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

function childrenOf(pid: number): readonly number[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text === "" ? [] : text.split(" ").map(Number);
  } catch {
    return null;
  }
}

function usageOf(pid: number): { readonly cpuMs: number; readonly residentBytes: number } | null {
  const fields = statOf(pid);
  if (fields === null) return null;
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpuMs: ticks * (1_000 / TICKS), residentBytes: Number(fields[21]) * PAGE_BYTES };
}

/** What a process and its descendants use together; null when that cannot be told. */
function familyUsage(pid: number, generations: number): ReturnType<typeof usageOf> {
  const own = usageOf(pid);
  if (own === null || generations === 0) return own;
  const children = childrenOf(pid);
  // A part would pass for the whole: a jail's own program uses next to nothing.
  if (children === null) return null;
  let { cpuMs, residentBytes } = own;
  for (const child of children) {
    // One that has ended in between uses nothing.
    const usage = familyUsage(child, generations - 1);
    cpuMs += usage?.cpuMs ?? 0;
    residentBytes += usage?.residentBytes ?? 0;
  }
  return { cpuMs, residentBytes };
}
