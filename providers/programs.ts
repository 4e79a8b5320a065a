/**
 * Deno programs as children: in the system's jail, with Deno's permission broker pointed at us.
 *
 * Two walls, for neither does all: the jail does not know which rule wants a person's word, and
 * Deno asks nobody about the modules that a program is made of. So the jail holds what the process
 * may read, and Deno's checks hold all the rest.
 *
 * Invariants:
 *   R1. Without a jail no program is started.
 *   R2. A program that cannot ask us is ended by Deno itself.
 *   R3. It stays in its working directory, so that a path means the same to it and to us.
 *   R4. It asks no name server: it finds the names that it was given, each at a checked address.
 * @module
 */

import { realpathSync } from "node:fs";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type {
  HostLine,
  ProgramEnd,
  ProgramHearing,
  Programs,
  ProgramStart,
} from "../kernel/program.ts";
import { realClock } from "./clock.ts";
import { identityOf, NAMES } from "./confine.ts";
import { hostPath } from "./confine_names.ts";
import type { Program, Programs as Children } from "./confined.ts";
import { answerChecks } from "./program_checks.ts";
import { Kept } from "./program_output.ts";

/** No network for modules, none fetched, none written down; npm packages only as they lie there. */
const FLAGS: readonly string[] = [
  "run",
  "--no-prompt",
  "--no-lock",
  "--no-remote",
  "--cached-only",
  "--no-check",
  "--quiet",
  "--node-modules-dir=manual",
];
const OWN_NAMES = /^(?:DENO_|HOME$|NO_COLOR$)/;
/** What Deno says on standard error before anything else. */
const WARNING = /^.*Permission broker is an experimental feature.*\n/;

/** Starts Deno programs of a workspace. */
export class DenoPrograms implements Programs {
  readonly #root: string;
  readonly #children: Children;
  readonly #deno: string;

  /** For a workspace; `deno` is the program that runs them, ours by default. */
  constructor(given: {
    readonly root: string;
    readonly children: Children;
    readonly deno?: string;
  }) {
    this.#root = given.root;
    this.#children = given.children;
    this.#deno = given.deno ?? Deno.execPath();
  }

  async run(start: ProgramStart, hearing: ProgramHearing): Promise<ProgramEnd> {
    this.#check(start);
    const root = realpathSync(this.#root);
    const folder = Deno.makeTempDirSync({ prefix: "libos-" });
    const socket = `${folder}/checks`;
    // Names lead where they led when they were checked (R4).
    const [hosts, source] = NAMES;
    Deno.writeTextFileSync(`${folder}/${hosts}`, hostsText(start.hosts ?? []));
    Deno.writeTextFileSync(`${folder}/${source}`, "hosts: files\n");
    const listener = Deno.listen({ transport: "unix", path: socket });
    const answering = answerChecks(listener, { root, cwd: start.cwd }, hearing.judge);
    try {
      const program = await this.#start(start, { root, folder, socket });
      return await follow(program, start, hearing);
    } finally {
      listener.close();
      await answering.catch(() => {});
      Deno.removeSync(folder, { recursive: true });
    }
  }

  #check({ path, env }: ProgramStart): void {
    const { works, why } = this.#children.confinement();
    if (!works) {
      throw new SysError("ENOSYS", `Cannot run "${path}": nothing confines it here: ${why}`);
    }
    if (identityOf(realpathSync(this.#root), path) === null) {
      throw new SysError("ENOENT", `Cannot run "${path}": no such file, expected a script`);
    }
    const own = Object.keys(env).find((name) => OWN_NAMES.test(name));
    if (own === undefined) return;
    throw new SysError(
      "EINVAL",
      `Cannot run "${path}" with ${own}: set for it, expected other names`,
    );
  }

  #start(start: ProgramStart, at: {
    readonly root: string;
    readonly folder: string;
    readonly socket: string;
  }): Promise<Program> {
    const deno = realpathSync(this.#deno);
    const heap = Math.floor(LIMITS.programHeapBytesMax / 2 ** 20);
    return this.#children.start({
      program: deno,
      args: [
        ...FLAGS,
        `--v8-flags=--max-old-space-size=${heap}`,
        hostPath(at.root, start.path),
        ...start.args,
      ],
      env: {
        ...start.env,
        HOME: "/tmp",
        NO_COLOR: "1",
        DENO_DIR: "/tmp/deno",
        DENO_NO_UPDATE_CHECK: "1",
        DENO_PERMISSION_BROKER_PATH: at.socket,
      },
      place: {
        ...{ root: at.root, cwd: start.cwd, reach: start.reach, reads: [deno, at.folder] },
        names: at.folder,
      },
      confined: true,
      asks: true,
      limits: {
        cpuMs: start.timeMs,
        memoryBytes: LIMITS.programMemoryBytesMax,
        processes: LIMITS.programProcessesMax,
        fileBytes: LIMITS.fileBytesMax,
      },
    });
  }
}

/** Gives a program its input, keeps what it writes, and ends it when its time is over. */
async function follow(
  program: Program,
  { stdin, timeMs }: ProgramStart,
  { signal, onText }: ProgramHearing,
): Promise<ProgramEnd> {
  const over = new AbortController();
  let isLate = false;
  const end = () => program.kill();
  void realClock.sleep(timeMs, over.signal).then(() => {
    isLate = true;
    end();
  }, () => {});
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  try {
    const kept = [LIMITS.programOutputBytesMax, LIMITS.programOutputBytesMax].map((bytes) =>
      new Kept(bytes)
    );
    const [stdout, stderr] = kept as [Kept, Kept];
    const [ended] = await Promise.all([
      program.ended,
      stdout.take(program.stdout, onText),
      stderr.take(program.stderr, () => {}),
      give(program, stdin),
    ]);
    await program.checkUnseen();
    return {
      code: ended.signal === null ? ended.code : 128 + ended.code % 128,
      exceeded: isLate ? "timeMs" : ended.exceeded,
      stdout: stdout.text(),
      stderr: stderr.text().replace(WARNING, ""),
      bytesCut: stdout.bytesCut + stderr.bytesCut,
    };
  } finally {
    over.abort();
    signal.removeEventListener("abort", end);
  }
}

/** A file of hosts. */
function hostsText(hosts: readonly HostLine[]): string {
  return hosts.map(([name, address]) => `${address} ${name}\n`).join("");
}

/** Writes all of its input; a program that does not read it may end before. */
async function give(program: Program, text: string): Promise<void> {
  const writer = program.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It has ended.
  }
}
