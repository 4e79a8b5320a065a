/**
 * Programs of the machine as children: confined where the system has a jail, and mortal everywhere.
 *
 * A small shell stands before each program: it sets the system's limits, says that it is there, and
 * becomes the program when it is told to. By then the jail is bound to our life and what it mounted
 * was compared, so a kernel that dies at any moment leaves nothing behind.
 *
 * Invariants:
 *   N1. Who asks for walls gets them or an error, never a child without.
 *   N2. The program begins after its walls were looked at, and never without us.
 *   N3. When it ends, or `kill` is called, or we die, all that it started dies with it. Without
 *       walls that holds for its group, and for what still carries its mark in its environment.
 *   N4. What one child and all that it started use together is bounded, as far as the system tells;
 *       how many they are, by the system itself where it lets us make a group of tasks.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { NO_REACH } from "../kernel/reach.ts";
import { checkEnvironment } from "../kernel/shell.ts";
import { USERS, USERS_FD, type Walls, wallsOf } from "./confine.ts";
import { hostPath, makeOwned, type Names, namesIn } from "./confine_names.ts";
import { programAt, refusalOf } from "./jail.ts";
import { confineFilter } from "./jail_filter.ts";
import { printable } from "./printable.ts";
import { TaskGroup } from "./task_group.ts";
import { discard, GO, MARK, type Program, type ProgramSpec, Running } from "./running.ts";

export type { Exceeded, Program, ProgramLimits, ProgramSpec } from "./running.ts";

const FILTER_FD = 3;
/** Both as the shell opens them, in the folder where they lie. */
const HANDED = `${FILTER_FD}<${FILTER_FD} ${USERS_FD}<${USERS_FD}`;
/** The first that is there starts programs; the second closes no descriptor above 9. */
const SHELLS: readonly string[] = ["/bin/bash", "/bin/sh"];
const NICE: readonly string[] = ["/usr/bin/nice", "/bin/nice"];
const FILES_OPEN_MAX = 1_024;
/** Threads count as well; and who looks on should be the one to end it, and to say why. */
const TASKS_PER_PROCESS = 4;
/** From here on the system counts the processes of a jail apart from those of its owner. */
const COUNTS_APART = [5, 14] as const;

/** Whether children can be confined here, and why not. */
export interface Confinement {
  readonly works: boolean;
  readonly why: string;
}

/** Starts programs of the machine. */
export class Programs {
  readonly #jailPath: string;
  #confinement: Confinement | null = null;
  #proc = true;

  /** Touches nothing yet. `jailPath` is the jail's program, "bwrap" by default. */
  constructor(options: { readonly jailPath?: string } = {}) {
    this.#jailPath = options.jailPath ?? "bwrap";
  }

  /** Whether children can be confined here. Tried once, in some milliseconds. */
  confinement(): Confinement {
    this.#confinement ??= this.#try();
    return this.#confinement;
  }

  /** Starts a program. Throws `EIO` when it does not start, `ENOSYS` where there are no walls. */
  async start(spec: ProgramSpec): Promise<Program> {
    checkEnvironment(spec.env);
    if (!mayStart()) throw new SysError("ENOSYS", `Cannot start "${spec.program}": ${MAY_NOT}`);
    const { works, why } = spec.confined ? this.confinement() : { works: true, why: "" };
    if (!works) throw new SysError("ENOSYS", `Cannot confine "${spec.program}": ${why}`);
    const { root, reach } = spec.place;
    if (spec.confined) makeOwned(root, reach);
    const names: Names = spec.confined ? await namesIn(root, reach) : new Map();
    const folder = Deno.makeTempDirSync({ prefix: "libos-" });
    const mark = folder.slice(folder.lastIndexOf("/") + 1);
    const { processes } = spec.limits;
    const group = TaskGroup.make(mark, LIMITS.confineTasksMin + processes * TASKS_PER_PROCESS);
    try {
      const { command, walls } = this.#command(spec, folder, { names, group });
      const child = new Deno.Command(SHELLS.find((path) => programAt(path) !== null)!, {
        args: [...command],
        cwd: folder,
        clearEnv: true,
        env: spec.confined ? { ...spec.env } : { HOME: folder, ...spec.env, [MARK]: mark },
        detached: true,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const program = new Running(child, { spec, folder, mark, names, walls, group });
      await program.begin();
      return program;
    } catch (error) {
      discard(folder);
      await group?.close();
      if (error instanceof SysError) throw error;
      throw new SysError("EIO", `Cannot start "${spec.program}": ${(error as Error).message}`);
    }
  }

  /** Arguments for the shell which becomes the jail, or the program itself. */
  #command(spec: ProgramSpec, folder: string, { names, group }: {
    readonly names: Names;
    readonly group: TaskGroup | null;
  }): {
    readonly command: readonly string[];
    readonly walls: Walls | null;
  } {
    const inner = ["/bin/sh", "-c", entry(spec), spec.program, ...spec.args];
    const join = group?.joining ?? "";
    if (!spec.confined) {
      const { root, cwd } = spec.place;
      const at = root === null ? folder : hostPath(root, cwd);
      return {
        command: ["-c", `${join}${closing(2)}cd "$0" && exec "$@"`, at, ...inner],
        walls: null,
      };
    }
    const walls = wallsOf(spec.place, this.#proc, names);
    Deno.writeFileSync(
      `${folder}/${FILTER_FD}`,
      confineFilter(Deno.build.arch, spec.asks === true)!,
    );
    Deno.writeTextFileSync(`${folder}/${USERS_FD}`, USERS);
    const line = `${join}exec ${HANDED} && { ${closing(USERS_FD)}exec "$0" "$@"; }`;
    const jail = programAt(this.#jailPath)!;
    return { command: ["-c", line, jail, ...walls.args, ...inner], walls };
  }

  #try(): Confinement {
    const no = (why: string): Confinement => ({ works: false, why });
    if (!mayStart()) return no(MAY_NOT);
    if (Deno.build.os !== "linux") return no(`no jail on ${Deno.build.os}, expected Linux`);
    const found = programAt(this.#jailPath);
    if (found === null) {
      return no(
        `no "${this.#jailPath}" on the path, expected bubblewrap: apt-get install bubblewrap`,
      );
    }
    const filter = confineFilter(Deno.build.arch, false);
    if (filter === null) return no(`no filter of system calls for ${Deno.build.arch}`);
    let said = "";
    for (const proc of [true, false]) {
      said = this.#tryWith(found, proc);
      if (said === "") {
        this.#proc = proc;
        const without = proc ? "" : ", without a /proc";
        return { works: true, why: `bubblewrap works${without}` };
      }
    }
    return no(refusalOf(this.#jailPath, said.slice(0, 512)));
  }

  /** Starts nothing in a jail; what it said against that, or nothing. */
  #tryWith(jail: string, proc: boolean): string {
    const folder = Deno.makeTempDirSync({ prefix: "libos-" });
    try {
      const { args } = wallsOf({ root: null, cwd: ".", reach: NO_REACH }, proc);
      Deno.writeFileSync(`${folder}/${FILTER_FD}`, confineFilter(Deno.build.arch, false)!);
      Deno.writeTextFileSync(`${folder}/${USERS_FD}`, USERS);
      const { success, stdout, stderr } = new Deno.Command("/bin/sh", {
        args: ["-c", `exec ${HANDED} && exec "$0" "$@"`, jail, ...args, "/bin/sh", "-c", "echo in"],
        cwd: folder,
        clearEnv: true,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).outputSync();
      // A program that starts nothing may end well, too.
      if (success && new TextDecoder().decode(stdout) === "in\n") return "";
      return printable(new TextDecoder().decode(stderr)).trim() || "nothing";
    } catch (error) {
      return (error as Error).message;
    } finally {
      discard(folder);
    }
  }
}

const MAY_NOT = "children cannot be started without --allow-run for all";

/** To end a child takes the whole permission, whatever a flag with names starts. */
function mayStart(): boolean {
  return Deno.permissions.querySync({ name: "run" }).state === "granted";
}

/** What puts a program behind the kernel in line: many of them must not hold it up. */
function behind(): string {
  const nice = NICE.find((path) => programAt(path) !== null);
  return nice === undefined ? "" : `${nice} -n ${LIMITS.confineNice} `;
}

/**
 * Closes what we were started with ourselves and what else came along, above the last that stays. A
 * shell that cannot starts nothing, rather than hand it on.
 */
function closing(last: number): string {
  const open = Deno.build.os === "linux" ? "/proc/self/fd" : "/dev/fd";
  return `for f in ${open}/*; do
n=\${f##*/}
if [ "$n" -gt ${last} ] && [ -e "$f" ]; then
( eval "exec $n>&-" ) 2>/dev/null || { echo "descriptor $n cannot be closed" >&2; exit 125; }
eval "exec $n>&-"
fi
done
`;
}

/** What stands before the program: limits, a word that it is there, and a wait for ours. */
function entry({ limits, confined }: ProgramSpec): string {
  // One more than it may: who looks on ends it first, and says why.
  const seconds = Math.ceil(limits.cpuMs / 1_000) + 1;
  const kilobytes = Math.ceil(limits.memoryBytes / 1_024);
  const set = [
    "ulimit -c 0",
    `ulimit -n ${FILES_OPEN_MAX}`,
    `ulimit -f ${Math.ceil(limits.fileBytes / 512)}`,
    `ulimit -t ${seconds}`,
    ...Deno.build.os === "linux" ? [`ulimit -d ${kilobytes}`] : [],
    // Called -p by some shells and -u by others.
    ...confined && countsApart()
      ? [`{ ulimit -p ${limits.processes} || ulimit -u ${limits.processes}; } 2>/dev/null`]
      : [],
  ].map((one) => `${one} || exit 125`);
  // Without walls somebody has to look whether we still live: nothing else tells the group.
  const watch = confined
    ? ""
    : `( while kill -0 ${Deno.pid}; do sleep 1; done; kill -9 0 ) </dev/null >/dev/null 2>&1 &\n`;
  return `${
    set.join("\n")
  }\n${watch}echo\nread -r word && [ "$word" = ${GO} ] && exec ${behind()}"$0" "$@"`;
}

/** Whether the system counts what a program starts; it does not for root, nor before Linux 5.14. */
export function systemCountsProcesses(): boolean {
  try {
    return Deno.build.os === "linux" && countsApart() && Deno.uid() !== 0;
  } catch {
    // Who we are takes a permission to know.
    return false;
  }
}

function countsApart(): boolean {
  const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
  return major > COUNTS_APART[0] || (major === COUNTS_APART[0] && minor >= COUNTS_APART[1]);
}
