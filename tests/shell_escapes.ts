/**
 * Attempts of programs to do what their process may not, and the table of what holds them.
 *
 * As a program it writes `docs/shell-escapes.md`; `tests/shell_escape_test.ts` holds it to what
 * happens.
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Args } from "../broker/client.ts";
import type { Place } from "./confined_place.ts";
import { NAMES_READ, NAMES_WRITTEN } from "./shell_escapes_names.ts";

/** Where the table is. */
export const TABLE_PATH = fileURLToPath(new URL("../docs/shell-escapes.md", import.meta.url));

/** What there is to take, and what must not be touched. */
export interface Target {
  readonly place: Place;
  /** A port of this machine on which somebody listens. */
  readonly port: number;
  /** The kernel. */
  readonly kernel: number;
  /** A process of this machine that is no business of programs. */
  readonly victim: number;
  /** In the command line of what must not be left. */
  readonly word: string;
}

/** What an attempt said, and where. */
export interface Outcome extends Target {
  readonly out: string;
  readonly isVictimAlive: boolean;
  readonly left: number;
  /** What came in the place of what it said, as that is nobody's; null for nothing. */
  readonly told: string | null;
}

/**
 * What happens: "held" by what is around it; "open": it comes through; "refused" before anything is
 * started; "asked": a person is; "harmless": nobody is asked, as it touches nothing.
 */
export type Cell = "held" | "open" | "refused" | "asked" | "not tried";

/** One attempt. */
export interface Escape {
  readonly class: string;
  readonly name: string;
  /** Programs that it takes. */
  readonly takes?: readonly string[];
  /** A line of bash, or a whole call. */
  readonly does: (at: Target) => string | Args<"shell.run">;
  /** Whether it came through; by default: whether it said what is secret, or "through". */
  readonly cameThrough?: (at: Outcome) => boolean;
  /** Without walls: before anybody was asked, and after a yes. Else it is asked, and comes through. */
  readonly bare?: readonly [unasked: Cell, allowed: Cell];
  /** Whether a control group holds it, with and without walls, where one can be made. */
  readonly isGrouped?: boolean;
}

const HELD_TOO = ["asked", "held"] as const;
const NOT_TRIED = ["asked", "not tried"] as const;
const REFUSED = ["refused", "refused"] as const;
/** One that its part of the table gives a class. */
export type Unclassed = Omit<Escape, "class">;
const classed = (name: string, escapes: readonly Unclassed[]): readonly Escape[] =>
  escapes.map((one) => ({ class: name, ...one }));
const through = (line: string) => `${line} && echo through`;

const READING = classed("reading", [
  { name: "cat by an absolute path", does: ({ place }) => `cat ${place.secret}` },
  { name: "cat by a link that is there", does: () => "cat a/out" },
  {
    name: "cat by a link that it makes",
    does: ({ place }) => `ln -s ${place.secret} a/l; cat a/l`,
  },
  { name: "cat by /proc/self/root", does: ({ place }) => `cat /proc/self/root${place.secret}` },
  {
    name: "cat by /proc/1/root",
    does: ({ place }) => `cat /proc/1/root${place.secret}`,
    bare: NOT_TRIED,
  },
  {
    name: "cat by the kernel's root",
    does: ({ place, kernel }) => `cat /proc/${kernel}/root${place.secret}`,
  },
  {
    name: "cat by the kernel's working directory",
    does: ({ kernel }) => through(`ls /proc/${kernel}/cwd/`),
  },
  {
    name: "a folder of the workspace that its process may not read",
    does: () => "cat b/secret.txt",
  },
  { name: "what a rule denies", does: () => "cat a/keys/k" },
  { name: "what a rule denies, by a second name", does: () => "ln a/keys/k a/k; cat a/k" },
  { name: "what a rule denies, moved", does: () => "mv a/keys a/open; cat a/open/k" },
  { name: "what a rule denies, its parent moved", does: () => "mv a/deep a/flat; cat a/flat/er/k" },
  {
    name: "what a rule denies, uncovered",
    does: () => "umount a/keys; rmdir a/keys; cat a/keys/k",
  },
  { name: "what is asked about", does: () => "cat a/asked/k" },
  ...NAMES_READ,
  {
    name: "an interpreter",
    takes: ["perl"],
    does: ({ place }) => ({
      program: "perl",
      args: ["-e", "open F, shift; print <F>", place.secret],
    }),
  },
  { name: "awk", does: ({ place }) => ({ program: "awk", args: ["{print}", place.secret] }) },
  { name: "a script of the workspace", does: () => ({ program: "./a/run.sh" }) },
  {
    name: "make, under env",
    takes: ["make"],
    does: () => ({ program: "env", args: ["X=1", "make", "-s", "-f", "a/Makefile"] }),
  },
  {
    name: "an alias of git",
    takes: ["git"],
    does: ({ place }) => ({
      program: "git",
      args: ["-c", `alias.x=!cat ${place.secret}`, "x"],
    }),
  },
  {
    name: "find -exec",
    does: ({ place }) => ({
      program: "find",
      args: [place.base, "-name", "secret.txt", "-exec", "cat", "{}", ";"],
    }),
  },
  {
    name: "xargs",
    does: ({ place }) => ({ program: "xargs", args: ["cat"], stdin: place.secret }),
  },
  {
    name: "tar, by what it is to run",
    takes: ["tar"],
    does: ({ place }) => ({
      program: "tar",
      args: [
        "-cf",
        "/dev/null",
        "--checkpoint=1",
        `--checkpoint-action=exec=cat ${place.secret}`,
        "a",
      ],
    }),
  },
  {
    name: "the kernel's environment",
    does: ({ kernel }) => through(`cat /proc/${kernel}/environ >/dev/null`),
  },
  { name: "an environment that it inherits", does: () => "env", bare: HELD_TOO },
  {
    name: "descriptors that it inherits",
    does: () => "for f in 3 4 5 6 7 8 9 12; do cat <&$f; done",
    bare: HELD_TOO,
  },
]);

const WRITING = classed("writing", [
  {
    name: "find -delete outside its areas",
    does: ({ place }) => ({ program: "find", args: [`${place.root}/b`, "-type", "f", "-delete"] }),
    cameThrough: ({ place }) => place.text("b/secret.txt") === null,
  },
  {
    name: "a file beside the workspace",
    does: ({ place }) => `echo x > ${place.base}/new`,
    cameThrough: ({ place }) => place.text("../new") !== null,
  },
  {
    name: "a file beside the workspace, by a link",
    does: ({ place }) => `ln -s ${place.base} a/up; echo x > a/up/new`,
    cameThrough: ({ place }) => place.text("../new") !== null,
  },
  {
    name: "what it may only read",
    does: () => "rm -f c/only.txt",
    cameThrough: ({ place }) => place.text("c/only.txt") === null,
  },
  {
    name: "what is asked about",
    does: () => "mkdir -p a/.git/hooks; echo x > a/.git/hooks/post-commit",
    cameThrough: ({ place }) => place.text("a/.git/hooks/post-commit") !== null,
  },
  {
    name: "a name that must not be there, by moving a folder to it",
    does: () => "mkdir a/git; echo x > a/git/config; mv a/git a/.git",
    cameThrough: ({ place }) => place.text("a/.git/config") !== null,
  },
  ...NAMES_WRITTEN,
  {
    name: "a folder mounted over another",
    takes: ["mount"],
    does: () => through("mount --bind b a"),
    bare: NOT_TRIED,
  },
  {
    name: "more than there is room for in /tmp",
    does: () => through("head -c 80000000 /dev/zero > /tmp/libos-full"),
    bare: NOT_TRIED,
  },
  { name: "a file without end", does: () => through("ulimit -f unlimited"), bare: HELD_TOO },
]);

const PROCESSES = classed("processes", [
  { name: "a signal to the kernel", does: ({ kernel }) => through(`kill -0 ${kernel}`) },
  {
    name: "a kill of another process",
    does: ({ victim }) => ({ program: "kill", args: ["-9", String(victim)] }),
    cameThrough: ({ isVictimAlive }) => !isVictimAlive,
  },
  {
    name: "ptrace of another process",
    takes: ["perl"],
    does: ({ victim }) => {
      const ptrace = Deno.build.arch === "x86_64" ? 101 : 117;
      return {
        program: "perl",
        args: ["-e", `print "through" if syscall(${ptrace}, 16, ${victim}, 0, 0) == 0`],
      };
    },
    bare: NOT_TRIED,
  },
  { name: "a look at other processes", does: ({ kernel }) => through(`ls -d /proc/${kernel}`) },
  {
    name: "a daemon by setsid and nohup",
    does: ({ word }) => `setsid nohup sh -c 'sleep 60; exit' ${word} >/dev/null 2>&1 </dev/null &`,
    cameThrough: ({ left }) => left > 0,
    bare: HELD_TOO,
  },
  {
    name: "a daemon without a mark",
    does: ({ word }) =>
      // It speaks when its environment is empty.
      `coproc setsid env -i sh -c 'echo; exec >/dev/null; sleep 60; exit' ${word} 2>/dev/null; ` +
      'read -r _ <&"${COPROC[0]}"',
    cameThrough: ({ left }) => left > 0,
    isGrouped: true,
  },
  {
    name: "namespaces of its own",
    takes: ["unshare"],
    does: () => through("unshare -Urm true"),
    bare: NOT_TRIED,
  },
]);

const NETWORK = classed("network", [
  {
    name: "/dev/tcp to this machine",
    does: ({ port }) => through(`exec 3<>/dev/tcp/127.0.0.1/${port}`),
  },
  {
    name: "curl to this machine",
    takes: ["curl"],
    does: ({ port }) => ({ program: "curl", args: ["-s", `http://127.0.0.1:${port}/`] }),
  },
  {
    name: "a socket of this machine",
    takes: ["perl"],
    does: ({ place }) => ({
      program: "perl",
      args: ["-e", UNIX, `${place.base}/socket`],
    }),
  },
  {
    name: "a socket of this machine that lies in its areas",
    takes: ["perl"],
    does: ({ place }) => ({
      program: "perl",
      args: ["-e", UNIX, `${place.root}/a/socket`],
    }),
  },
]);

const UNIX = 'use IO::Socket::UNIX; print "through" if IO::Socket::UNIX->new(Peer => shift)';

const BOMBS: readonly Unclassed[] = [
  {
    name: "thousands of processes",
    // Bounded on purpose: for a kernel that runs as root the system counts no processes, and a
    // real one took the whole machine with it before it was noticed.
    does: () => ({
      program: "bash",
      args: ["-c", "for i in {1..3000}; do sleep 60 & done; wait"],
      timeMs: 10_000,
    }),
    cameThrough: ({ left }) => left > 0,
  },
  {
    name: "a bomb of memory",
    takes: ["perl"],
    does: () => ({ program: "perl", args: ["-e", '$x = "x" x (2 ** 31); print "through"'] }),
  },
  {
    name: "a loop without end",
    does: () => ({ program: "bash", args: ["-c", "while :; do :; done"], timeMs: 500 }),
    cameThrough: ({ left }) => left > 0,
  },
  {
    name: "output without end",
    does: () => ({ program: "bash", args: ["-c", "yes through0"], timeMs: 500 }),
    cameThrough: ({ out }) => out.length > 400_000,
  },
];
const LIMITED = classed("limits", BOMBS.map((one) => ({ bare: NOT_TRIED, ...one })));

const NAMES = classed("names", [
  {
    name: "a library loaded before others",
    does: () => ({ program: "true", env: { LD_PRELOAD: "./a/x.so" } }),
    bare: REFUSED,
  },
  {
    name: "a path of its own",
    does: () => ({ program: "true", env: { PATH: "./a" } }),
    bare: REFUSED,
  },
  { name: "an absolute path", does: () => ({ program: "/bin/sh" }), bare: REFUSED },
  { name: "a path out of the workspace", does: () => ({ program: "../sh" }), bare: REFUSED },
  { name: "a link to a program", does: () => ({ program: "./a/link" }), bare: REFUSED },
  {
    name: "a program of the workspace under a name of the system",
    does: () => ({ program: "true", cwd: "./a" }),
    bare: ["held", "held"],
  },
  {
    name: "a line of shell in an argument",
    does: () => ({ program: "echo", args: ["$(cat b/secret.txt)", ";", "cat", "b/secret.txt"] }),
    bare: ["held", "held"],
  },
  { name: "input from a terminal", does: () => "[ -t 0 ] && echo through", bare: HELD_TOO },
  {
    name: "words put into a terminal",
    takes: ["perl"],
    does: () => ({
      program: "perl",
      args: ["-e", 'print "through" if ioctl(STDIN, 0x5412, "x") or open(T, ">", "/dev/tty")'],
    }),
    bare: HELD_TOO,
  },
]);

/** All attempts. */
export const ESCAPES: readonly Escape[] = [
  ...READING,
  ...WRITING,
  ...PROCESSES,
  ...NETWORK,
  ...LIMITED,
  ...NAMES,
];

/** What is expected: in walls; without, before anybody was asked; and after a yes. */
export function expected({ bare }: Escape): readonly [walled: Cell, unasked: Cell, allowed: Cell] {
  if (bare === undefined) return ["held", "asked", "open"];
  return [bare[0] === "refused" ? "refused" : "held", ...bare];
}

/** The table. */
export function tableOf(escapes: readonly Escape[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const head = ["attempt", "in walls", "without walls", "without walls, after a yes"];
  const parts = [...new Set(escapes.map((one) => one.class))].flatMap((name) => [
    "",
    `## ${name[0]!.toUpperCase()}${name.slice(1)}`,
    "",
    row(head),
    row(head.map(() => "---")),
    ...escapes.filter((one) => one.class === name)
      .map((one) => row([one.name + (one.isGrouped ? " ¹" : ""), ...expected(one)])),
  ]);
  return [
    "# Attempts of programs, and what holds them",
    "",
    "Generated by `deno run -A tests/shell_escapes.ts`; `tests/shell_escape_test.ts` holds it to what",
    "happens. Each attempt is made through `shell.run` by a process that may change `./a`, but for",
    "what rules deny or ask about, and read `./c`. **held**: it got nothing and left nothing;",
    "**refused**: nothing was started; **asked**: nothing was started before a person said yes;",
    "**open**: it comes through; **not tried**: it would harm the machine that tries it. What is",
    "open after a yes is what there is to the attempt: the walls hold it, and nothing else does.",
    "¹ Where a control group can be made, it is held after a yes, too.",
    ...parts,
    "",
  ].join("\n");
}

if (import.meta.main) Deno.writeTextFileSync(TABLE_PATH, tableOf(ESCAPES));
