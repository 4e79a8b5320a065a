/**
 * What a program tries that no permission of the runtime holds: everything is allowed to it, native
 * calls too, as if a fault in the engine had led there. Only the system's jail is left.
 * @module
 */

/** An attempt: an expression that is true when it came through; it may throw. */
export type Attempt = readonly [name: string, expression: string, who?: "root"];

/** What attempts are aimed at, as `at` in them. */
export interface Target {
  /** A folder with `secret.txt`, and `socket` on which somebody listens. */
  readonly folder: string;
  readonly repository: string;
  /** Where the runtime is. */
  readonly program: string;
  /** A port of this machine on which somebody listens. */
  readonly port: number;
  /** The kernel's process. */
  readonly pid: number;
  readonly hostname: string;
}

/** The program that makes all attempts, and writes the names of those that came through. */
export function attempted(attempts: readonly Attempt[], at: Target): string {
  const tries = attempts.map(([name, expression]) =>
    `try { if (await (async () => (${expression}))()) through.push(${
      JSON.stringify(name)
    }) } catch {}`
  );
  return `data:application/javascript,${
    encodeURIComponent(
      `const at = ${JSON.stringify(at)}, through = [];\n${NATIVE}\n${tries.join("\n")}
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(through)));
Deno.exit(0);`,
    )
  }`;
}

const NATIVE = `
const number = "i32", long = "i64";
const native = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" },
  kill: { parameters: [number, number], result: number },
  prctl: { parameters: [number, long, long, long, long], result: number },
  ptrace: { parameters: [number, number, long, long], result: long },
  setuid: { parameters: [number], result: number },
  socket: { parameters: [number, number, number], result: number },
  syscall: { parameters: [long, long, long, long], result: long },
  unshare: { parameters: [number], result: number },
}).symbols;
const [CLONE, KEYCTL] = Deno.build.arch === "x86_64" ? [56n, 250n] : [220n, 219n];
// What is called in a way that cannot be is invalid, where the call as such is not forbidden.
const isAllowed = (...call) => {
  if (native.syscall(...call) >= 0n) return true;
  return new Deno.UnsafePointerView(native.__errno_location()).getInt32() !== 1;
};
const isWritable = (folder) => {
  const path = folder + "/libos-attempt";
  Deno.writeTextFileSync(path, "x");
  Deno.removeSync(path);
  return true;
};
const anywhere = (folder, depth) => {
  try { if (isWritable(folder)) return true; } catch {}
  if (depth === 0) return false;
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    try { if (isDirectory && anywhere(folder + "/" + name, depth - 1)) return true; } catch {}
  }
  return false;
};`;

export const ATTEMPTS: readonly Attempt[] = [
  ["reads the host's users", `Deno.readTextFileSync("/etc/passwd") !== ""`],
  ["reads a secret of the workspace", `Deno.readTextFileSync(at.folder + "/secret.txt") !== ""`],
  ["lists the repository", `[...Deno.readDirSync(at.repository)].length > 0`],
  ["sees programs of the host", `Deno.statSync("/bin/sh").isFile`],
  ["sees other libraries of the host", `Deno.statSync("/usr/lib/os-release").isFile`],
  ["sees devices", `[...Deno.readDirSync("/dev")].length > 0`],
  ["sees processes", `[...Deno.readDirSync("/proc")].some(({ name }) => Number(name) > 0)`],
  [
    "reads the kernel's environment",
    `Deno.readTextFileSync("/proc/" + at.pid + "/environ") !== ""`,
  ],
  [
    "may set the host's kernel",
    `Deno.openSync("/proc/sys/kernel/core_pattern", { write: true })`,
    "root",
  ],
  ["writes into its folder", `isWritable(Deno.cwd())`],
  ["writes into the folder of temporary files", `isWritable("/tmp")`],
  ["writes into shared memory", `isWritable("/dev/shm")`],
  ["writes anywhere", `anywhere("", 2)`],
  [
    "connects to a port of the host",
    `await Deno.connect({ hostname: "127.0.0.1", port: at.port })`,
  ],
  ["fetches from the host", `(await fetch("http://127.0.0.1:" + at.port)).ok`],
  [
    "connects to a socket of the host",
    `await Deno.connect({ transport: "unix", path: at.folder + "/socket" })`,
  ],
  ["listens on a port", `Deno.listen({ hostname: "127.0.0.1", port: 0 })`],
  ["sees the host's addresses", `Deno.networkInterfaces().length > 0`],
  ["opens a socket to the kernel of the host", `native.socket(16, 3, 0) >= 0`],
  ["opens a socket of this machine alone", `native.socket(1, 1, 0) >= 0`],
  ["signals the kernel", `native.kill(at.pid, 0) === 0`],
  ["signals whatever there is", `native.kill(-1, 0) === 0`],
  [
    "starts a program",
    `new Deno.Command(at.program, { args: ["--version"] }).outputSync().success`,
  ],
  ["starts a process", `isAllowed(CLONE, 0x800n, 0n, 0n)`],
  ["makes a user namespace, with powers in it", `isAllowed(CLONE, 0x10000200n, 0n, 0n)`],
  ["makes calls that no filter sees", `isAllowed(425n, 1n, 0n, 0n)`],
  ["makes a view of the files of its own", `native.unshare(0x20000) === 0`, "root"],
  ["becomes root", `native.setuid(0) === 0`, "root"],
  ["may gain powers by a program that gives them", `native.prctl(39, 0n, 0n, 0n, 0n) === 0`],
  ["could hold powers over the host", `native.prctl(23, 21n, 0n, 0n, 0n) === 1`],
  ["reaches keys of who started it", `native.syscall(KEYCTL, 0n, -3n, 1n) >= 0n`],
  ["is traced", `native.ptrace(0, 0, 0n, 0n) === 0n`],
  ["knows the host's name", `Deno.hostname() === at.hostname`],
];
