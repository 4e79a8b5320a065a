/**
 * Programs of the machine for processes: found on a safe path, known by what they are, and ended
 * with their call.
 *
 * Invariants:
 *   L1. No name is looked up but in folders that were given beforehand, never in the environment's.
 *   L2. What is started is what was found when the call was judged, or nothing.
 *   L3. When the call is over, by whatever end, so is all that it started.
 * @module
 */

import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { NO_REACH } from "../kernel/reach.ts";
import {
  checkOwnNames,
  type FoundProgram,
  type Shell,
  type ShellEnd,
  type ShellJob,
} from "../kernel/shell.ts";
import { realClock } from "./clock.ts";
import { identityOf } from "./confine.ts";
import { hostPath } from "./confine_names.ts";
import { type Program, Programs } from "./confined.ts";
import { Kept } from "./kept.ts";

/** Where programs are found, those of the system alone by default. */
export interface ShellOptions {
  /** More folders in which names are found, absolute; programs may read all of them. */
  readonly path?: readonly string[];
  /** The jail's program; "bwrap" by default. */
  readonly jailPath?: string;
}

const SAFE_PATH: readonly string[] = ["/usr/local/bin", "/usr/bin", "/bin"];
const SYSTEM = /^\/(usr|bin|lib)(\/|$)/;
const CHUNK_BYTES = 2 ** 20;

/** Programs of this machine, in a workspace. */
export class LocalShell implements Shell {
  readonly #workspace: string | null;
  readonly #path: readonly string[];
  readonly #programs: Programs;
  /** Hashes by what says that a file has not changed. */
  readonly #hashes = new Map<string, string>();
  #root: string | null | undefined;

  /** Touches nothing yet. */
  constructor(workspace: string | null, options: ShellOptions = {}) {
    const wrong = options.path?.find((folder) => !folder.startsWith("/") || folder.includes(":"));
    if (wrong !== undefined) {
      const sentence = `Cannot find programs in "${wrong}": expected an absolute folder`;
      throw new SysError("EINVAL", sentence);
    }
    this.#workspace = workspace;
    this.#path = [...SAFE_PATH, ...options.path ?? []];
    this.#programs = new Programs(options);
  }

  /** Whether programs can be confined here. Tried once. */
  confinement(): { readonly works: boolean; readonly why: string } {
    return this.#programs.confinement();
  }

  /** What stands under a name or a path now. */
  find(program: string): FoundProgram | null {
    const at = this.#locate(program);
    if (at === null) return null;
    try {
      accessSync(at, constants.X_OK);
      const path = realpathSync(at);
      // A path of the workspace is a plain one: what is judged is what is started.
      if (program.includes("/") && path !== at) return null;
      const sha256 = this.#hash(path);
      return sha256 === null ? null : { path, sha256 };
    } catch {
      return null;
    }
  }

  /** Runs a program to its end. */
  async run(job: ShellJob, at: {
    readonly signal: AbortSignal;
    readonly onOutput: (text: string) => void;
  }): Promise<ShellEnd> {
    const now = this.find(job.program);
    if (now?.path !== job.found.path || now.sha256 !== job.found.sha256) {
      const state = "it is not what it was when the call was judged";
      throw new SysError("ESTALE", `Cannot run "${job.program}": ${state}, expected the same`);
    }
    const env = this.#environment(job);
    const root = this.#rootOf();
    if (root !== null && identityOf(root, job.cwd) === null) {
      throw new SysError("ENOENT", `Cannot run in "${job.cwd}": absent, expected a folder`);
    }
    if (at.signal.aborted) {
      throw new SysError("ECANCELED", `Cannot run "${job.program}": its caller was stopped`);
    }
    const program = await this.#programs.start({
      program: this.#locate(job.program)!,
      args: job.args,
      env,
      place: { root, cwd: job.cwd, reach: job.reach ?? NO_REACH, reads: this.#reads(now.path) },
      confined: job.reach !== null,
      limits: {
        cpuMs: Math.min(job.timeMs * 2, LIMITS.shellCpuMsMax),
        memoryBytes: LIMITS.shellMemoryBytesMax,
        processes: LIMITS.shellProcessesMax,
        fileBytes: LIMITS.shellFileBytesMax,
      },
    });
    return await attend(program, job, at);
  }

  /** Where a program is to be started from, or null. */
  #locate(program: string): string | null {
    if (program.includes("/")) {
      const root = this.#rootOf();
      return root === null ? null : hostPath(root, program);
    }
    return this.#path.map((folder) => `${folder}/${program}`).find(isFile) ?? null;
  }

  #environment({ env }: ShellJob): Record<string, string> {
    checkOwnNames(env);
    return { LANG: "C.UTF-8", ...env, PATH: this.#path.join(":") };
  }

  /** Folders of the path that are no part of the system, and where a link in one leads to. */
  #reads(program: string): readonly string[] {
    const inside = (path: string): boolean => {
      const root = this.#rootOf();
      return root !== null && (path === root || path.startsWith(`${root}/`));
    };
    const folders = this.#path.filter((folder) => !SYSTEM.test(folder) && isFolder(folder));
    return SYSTEM.test(program) || inside(program) ? folders : [...folders, program];
  }

  #rootOf(): string | null {
    if (this.#root !== undefined) return this.#root;
    this.#root = this.#workspace === null ? null : realpathSync(this.#workspace);
    return this.#root;
  }

  /** SHA-256 of a file; read again only when the file is another. */
  #hash(path: string): string | null {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    if (size > BigInt(LIMITS.shellProgramBytesMax)) return null;
    const key = `${path} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    const known = this.#hashes.get(key);
    if (known !== undefined) return known;
    const hash = createHash("sha256");
    const file = openSync(path, "r");
    try {
      const chunk = new Uint8Array(CHUNK_BYTES);
      for (let n = readSync(file, chunk); n > 0; n = readSync(file, chunk)) {
        hash.update(chunk.subarray(0, n));
      }
    } finally {
      closeSync(file);
    }
    const sha256 = hash.digest("hex");
    if (this.#hashes.size >= LIMITS.shellProgramsKnownMax) this.#hashes.clear();
    this.#hashes.set(key, sha256);
    return sha256;
  }
}

/** Feeds a program, hears it, and ends it in time (L3). */
async function attend(program: Program, job: ShellJob, at: {
  readonly signal: AbortSignal;
  readonly onOutput: (text: string) => void;
}): Promise<ShellEnd> {
  const over = new AbortController();
  let isLate = false;
  const kill = () => program.kill();
  at.signal.addEventListener("abort", kill, { once: true, signal: over.signal });
  if (at.signal.aborted) kill();
  realClock.sleep(job.timeMs, over.signal).then(() => {
    isLate = true;
    kill();
  }, () => {});
  const [stdout, stderr] = [new Kept(at.onOutput), new Kept(at.onOutput)];
  const deaf = new AbortController();
  try {
    const heard = Promise.all([
      stdout.take(program.stdout, deaf.signal),
      stderr.take(program.stderr, deaf.signal),
      feed(program, job.stdin, deaf.signal),
    ]);
    const { code, signal, exceeded } = await program.ended;
    // What escaped may hold the pipes open for as long as it likes.
    realClock.sleep(LIMITS.shellLingerMs, over.signal).then(() => deaf.abort(), () => {});
    await heard;
    if (at.signal.aborted) {
      const sentence = `Cannot tell what "${job.program}" did: it was stopped while it ran`;
      throw new SysError("EINDOUBT", sentence);
    }
    await program.checkUnseen();
    return {
      code,
      signal,
      stdout: stdout.text(),
      stderr: stderr.text(),
      cut: { stdout: stdout.cut, stderr: stderr.cut },
      exceeded: isLate ? "timeMs" : exceeded,
    };
  } finally {
    over.abort();
    kill();
  }
}

/** Writes what it reads, as far as it reads. */
async function feed(program: Program, text: string, deaf: AbortSignal): Promise<void> {
  const writer = program.stdin.getWriter();
  deaf.addEventListener("abort", () => void writer.abort().catch(() => {}), { once: true });
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It has ended, or reads no more.
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
