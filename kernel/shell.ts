/**
 * Programs of the machine: what a call of one looks like, and how much harm it could do.
 *
 * There is no shell: a program and its arguments, each as it is.
 *
 * Invariants:
 *   S1. A weight says no less than what a call can do: what the table does not know is held to be
 *       able to do anything.
 *   S2. The same call has the same weight everywhere, whatever is installed.
 * @module
 */

import { SysError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import { resolvePath } from "./path.ts";
import type { Risk } from "./policy.ts";
import type { Reach } from "./reach.ts";

/** A program as it was found. */
export interface FoundProgram {
  /** Where it really is, behind all links. */
  readonly path: string;
  /** SHA-256 of what is there. */
  readonly sha256: string;
}

/** What is to be run. */
export interface ShellJob {
  /** A name of the safe path, or a canonical path of the workspace. */
  readonly program: string;
  readonly args: readonly string[];
  /** A canonical path of the workspace. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeMs: number;
  /** What it sees; null: it is not confined. */
  readonly reach: Reach | null;
  /** What has to be found under its name: what was shown and judged. */
  readonly found: FoundProgram;
}

/** What became of it. */
export interface ShellEnd {
  /** What it ended with; 128 and more where a signal ended it. */
  readonly code: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Bytes of each that were left out in the middle. */
  readonly cut: { readonly stdout: number; readonly stderr: number };
  /** The limit for which it was ended; null for none. */
  readonly exceeded: "timeMs" | "cpuMs" | "memoryBytes" | "processes" | null;
}

/** Runs programs of the machine. Errors: `ENOENT EACCES EINVAL ESTALE ENOSYS EIO EINDOUBT`. */
export interface Shell {
  /** Whether programs can be confined here, and why not. */
  confinement(): { readonly works: boolean; readonly why: string };
  /** What stands under a name or a path now; null for nothing that may be run. */
  find(program: string): FoundProgram | null;
  /** Runs to the end, or until the signal is aborted: then all of it is killed, `EINDOUBT`. */
  run(job: ShellJob, at: {
    readonly signal: AbortSignal;
    readonly onOutput: (text: string) => void;
  }): Promise<ShellEnd>;
}

/** What a call could do at worst, least first. */
export const CLASSES = ["harmless", "reads", "changes", "anything", "destroys"] as const;
/** What a call could do at worst. */
export type RunClass = (typeof CLASSES)[number];

/** How much harm a call could do. */
export interface Weight {
  readonly class: RunClass;
  readonly risk: Risk;
  /** Why, as the end of "because". */
  readonly why: string;
}

const RISK: Readonly<Record<RunClass, Risk>> = {
  harmless: "low",
  reads: "medium",
  changes: "high",
  anything: "high",
  destroys: "destructive",
};

/** What is known of a program. */
interface Known {
  readonly class: RunClass;
  /** All of its options that leave it in its class; any by default. Any other: anything. */
  readonly options?: RegExp;
  /** Arguments that make it worse, each alone. */
  readonly worse?: readonly (readonly [RegExp, RunClass, why: string])[];
  /** How many words beside options leave it in its class. */
  readonly wordsMax?: number;
}

const ACTIONS: Known["worse"] = [
  [/^-delete$/, "destroys", "-delete removes what it finds"],
  [/^-(exec|execdir|ok|okdir)$/, "anything", "it starts other programs"],
  [/^-(fprint|fprint0|fprintf|fls)$/, "changes", "it writes files"],
];

/** What programs do that are no more than what they say. All else: anything. */
const KNOWN: Readonly<Record<string, Known>> = {
  ...every("true false echo printf seq basename dirname expr factor pwd sleep yes", {
    class: "harmless",
  }),
  ...every("uname nproc arch tr", { class: "harmless" }),
  date: {
    class: "harmless",
    options: /^(-u|-R|-I\w*|--utc|--iso-8601(=\w+)?|--rfc-3339=\w+)$/,
    worse: [[/^[^+-]/, "anything", "it may set the clock"]],
  },
  ...every("cat tac head tail wc nl od cut comm cmp diff fold expand paste join rev", {
    class: "reads",
  }),
  ...every("ls stat du df realpath readlink test [ grep egrep fgrep which", {
    class: "reads",
  }),
  tree: {
    class: "reads",
    // Letters of options may stand together.
    worse: [[/^(-[A-Za-z]*[oR]|--output)/, "changes", "it writes what it found into files"]],
  },
  ...every("md5sum sha1sum sha224sum sha256sum sha384sum sha512sum cksum b2sum", {
    class: "reads",
  }),
  ...every("id whoami groups ps uptime printenv", { class: "reads" }),
  sort: {
    class: "reads",
    options: /^(-[bcdfghimnrRsuVzM]+|-[kt].*|--(reverse|unique|numeric-sort|version-sort|stable))$/,
  },
  uniq: { class: "reads", options: /^-(c|d|D|i|u|z)+$/, wordsMax: 1 },
  file: { class: "reads", options: /^(-[bihkLnNprsz0]+|--mime(-type|-encoding)?|--brief)$/ },
  find: { class: "reads", worse: ACTIONS },
  ...every("mkdir touch cp mv ln tee mktemp chmod csplit", { class: "changes" }),
  ...every("install split", {
    class: "changes",
    // Any beginning of the option means the whole.
    worse: [[/^--(f|strip-)/, "anything", "it starts the program that an option names"]],
  }),
  ...every("gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd", { class: "changes" }),
  ...every("rm rmdir unlink shred dd truncate mkfs wipefs fdisk sfdisk parted mkswap", {
    class: "destroys",
  }),
  ...every("kill pkill killall shutdown reboot halt poweroff chown chattr", {
    class: "destroys",
  }),
};

/** Names under which what destroys may be started by others, and what it says to them. */
const DESTROYING = new Set([
  ...Object.entries(KNOWN).filter(([, known]) => known.class === "destroys").map(([name]) => name),
  "-delete",
  "--delete",
  "--hard",
  "--force",
  "--mirror",
  "--prune",
  "prune",
  "clean",
  "distclean",
]);

/** Why others can do anything, where more can be said than that nobody knows. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^git$/, "hooks, aliases and settings of a repository start programs"],
  [
    /^(env|xargs|nice|nohup|setsid|timeout|time|stdbuf|sudo|su|doas|watch|parallel|chroot|flock)$/,
    "it starts the program that it is told",
  ],
  [/^(ba|da|z|fi|k|c|tc|a)?sh$|^busybox$/, "a shell runs whatever its text says"],
  [
    /^(python|pypy|perl|ruby|node|deno|bun|php|lua|awk|gawk|mawk|sed|jq|bc|tclsh|Rscript)/,
    "an interpreter runs whatever its text says",
  ],
  [
    /^(make|gmake|cmake|ninja|npm|npx|pnpm|yarn|pip|pipx|uv|cargo|go|mvn|gradle|tox|pytest)/,
    "it runs what files of the workspace say",
  ],
  [/^patch$/, "a patch may be a script of ed, which starts programs"],
  [/^(curl|wget|ssh|scp|sftp|rsync|nc|ncat|telnet|ftp|socat)$/, "it speaks to other machines"],
];

/** Names in an environment that change nothing but how something is said. */
const QUIET = /^(LANG|LC_[A-Z]+|TZ|TERM|NO_COLOR|COLUMNS|LINES|CI)$/;
/** Names whose meaning is the loader's or the shell's: they would change our own programs. */
const LOADERS = new RegExp(
  "^(?:(?:LD|DYLD|BASH)_.*|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|NLSPATH|ENV|PS4|IFS|SHELLOPTS|" +
    "BASHOPTS|CDPATH|POSIXLY_CORRECT)$",
);
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const NAME = /^[A-Za-z0-9_[][A-Za-z0-9_.+-]*$/;

/** Throws `EINVAL` for names of an environment that would change the programs around the child. */
export function checkEnvironment(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    const wrong = !VARIABLE.test(name) || LOADERS.test(name)
      ? "a name that is not for programs alone"
      : value.includes("\0")
      ? "a NUL in its value"
      : null;
    if (wrong === null) continue;
    throw new SysError("EINVAL", `Cannot set ${JSON.stringify(name)} for a program: ${wrong}`);
  }
}

/** Throws `EINVAL` for an environment that a caller may not give to a program. */
export function checkOwnNames(env: Readonly<Record<string, string>>): void {
  checkEnvironment(env);
  const fixed = ["PATH", "HOME", "TMPDIR"].find((name) => Object.hasOwn(env, name));
  if (fixed === undefined) return;
  throw new SysError(
    "EINVAL",
    `Cannot set "${fixed}" for a program: set already, expected another`,
  );
}

/** The resource of a program: a name as it is, or the canonical path of a file. */
export function programResource(cwd: string, program: string): string {
  if (!program.includes("/")) {
    if (NAME.test(program) && program.length <= LIMITS.shellProgramCharsMax) return program;
    throw new SysError("EINVAL", `Cannot run ${JSON.stringify(program)}: no name of a program`);
  }
  if (program.startsWith("/")) {
    const expected = "expected a name, or a path in the workspace";
    throw new SysError("EINVAL", `Cannot run "${program}": an absolute path, ${expected}`);
  }
  return resolvePath(cwd, program);
}

/** How much harm a call could do, from what it says alone. Pure. */
export function weigh(call: {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}): Weight {
  const { program, args, env = {} } = call;
  const own = Object.hasOwn(KNOWN, program) ? weighKnown(KNOWN[program]!, args) : unknown(program);
  const loud = Object.keys(env).find((name) => !QUIET.test(name));
  const inside = own[0] === "anything"
    ? args.map(destroyingWord).find((word) => word !== null)
    : null;
  let [worst, why] = own;
  if (loud !== undefined && isWorse("anything", worst)) {
    [worst, why] = ["anything", `${loud} may change what it does`];
  }
  if (inside !== undefined && inside !== null) {
    [worst, why] = ["destroys", `it is told "${inside}"`];
  }
  return { class: worst, risk: RISK[worst], why };
}

type Found = readonly [RunClass, why: string];

function weighKnown(known: Known, args: readonly string[]): Found {
  let worst: Found = [known.class, SAYS[known.class]];
  let words = 0;
  let areOptions = true;
  for (const arg of args) {
    for (const [shape, than, why] of known.worse ?? []) {
      if (shape.test(arg) && isWorse(than, worst[0])) worst = [than, why];
    }
    if (arg === "--") areOptions = false;
    else if (!areOptions || !arg.startsWith("-") || arg === "-") words += 1;
    else if (known.options?.test(arg) === false && isWorse("anything", worst[0])) {
      worst = ["anything", `nobody knows what "${arg.slice(0, 64)}" makes of it`];
    }
  }
  if (words > (known.wordsMax ?? Infinity) && isWorse("changes", worst[0])) {
    return ["changes", "it writes what is named last"];
  }
  return worst;
}

const SAYS: Readonly<Record<RunClass, string>> = {
  harmless: "it touches no file",
  reads: "it reads what it is told",
  changes: "it changes files",
  anything: "nobody knows what it does",
  destroys: "what it takes away does not come back",
};

function unknown(program: string): Found {
  if (program.includes("/")) return ["anything", "a program of the workspace may do anything"];
  const reason = REASONS.find(([shape]) => shape.test(program));
  return ["anything", reason?.[1] ?? SAYS.anything];
}

/** The first word in an argument that destroys when it is started; null for none. */
function destroyingWord(arg: string): string | null {
  const words = arg.split(/[\s;|&()`"'<>$={}/]+/);
  return words.find((word) => DESTROYING.has(word)) ?? null;
}

function isWorse(than: RunClass, what: RunClass): boolean {
  return CLASSES.indexOf(than) > CLASSES.indexOf(what);
}

function every(names: string, known: Known): Record<string, Known> {
  return Object.fromEntries(names.split(" ").map((name) => [name, known]));
}
