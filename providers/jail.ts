/**
 * The operating system's jail around a child: bubblewrap, with as little in it as the runtime
 * needs.
 *
 * Inside are the runtime, the libraries that it is linked against, and what a child's spec names,
 * read-only. No other file, nowhere to write, no `/proc`, no device; no network, no other process,
 * no second process of its own; no powers, and no way to get any. It dies with who started it.
 * @module
 */

import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { jailFilter } from "./jail_filter.ts";
import { printable } from "./printable.ts";

/** Where the runtime is inside. */
export const JAILED_DENO = "/deno";
/** The filter of system calls comes as this descriptor. */
const FILTER_FD = 3;
/** What there is of a map of memory comes as this one. */
const MAP_FD = 4;
/**
 * A map that says nothing: whatever is not at the very bottom is the stack. Compiling a file, the
 * runtime asks the C library how far its stack goes, and that reads this.
 */
const MAP = "0-10000 ---p 0 00:00 0\n10000-ffffffffffffffff rw-p 0 00:00 0 [stack]\n";

/** Where the libraries may be, when the loader does not tell. */
const LIBRARY_FOLDERS = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"];
/** Where programs are, when nobody says. */
const USUAL_PATH = "/usr/local/bin:/usr/bin:/bin";
/** Nobody, to the program; to the host it is who started it, with no powers. */
const NOBODY = "65534";
/** What no jail is without, the network's wall included. */
export const WALLS: readonly string[] = [
  "--unshare-user",
  "--unshare-pid",
  "--unshare-net",
  "--unshare-ipc",
  "--unshare-uts",
  "--unshare-cgroup-try",
  "--uid",
  NOBODY,
  "--gid",
  NOBODY,
  "--hostname",
  "cage",
  "--die-with-parent",
  "--new-session",
  "--cap-drop",
  "ALL",
  "--seccomp",
  String(FILTER_FD),
  "--clearenv",
];
/** After these nothing is added. */
const CLOSED: readonly string[] = ["--remount-ro", "/", "--chdir", "/", "--"];

/** A jail that can be tried. */
export interface Jail {
  /** The jail's program and its arguments; the child's program follows. */
  command(reads: readonly string[]): readonly string[];
  /** What it is handed. */
  handed(reads: readonly string[]): readonly Handed[];
}

/** Bytes that a jail's program reads from a descriptor. */
export interface Handed {
  readonly fd: number;
  readonly bytes: Uint8Array;
}

/** Finds the jail's program and what the runtime needs. A text says what is missing. */
export async function findJail(
  jailPath: string,
  denoPath: string,
  environment: Readonly<Record<string, string>>,
): Promise<Jail | string> {
  if (Deno.build.os !== "linux") return `no jail on ${Deno.build.os}, expected Linux`;
  const program = programAt(jailPath);
  if (program === null) {
    return `no "${jailPath}" on the path, expected bubblewrap: apt-get install bubblewrap`;
  }
  const filter = jailFilter(Deno.build.arch);
  if (filter === null) return `no filter of system calls for ${Deno.build.arch}`;
  const libraries = await librariesOf(denoPath);
  const inside = insideOf(denoPath, libraries, environment);
  return {
    command: (reads) => [program, ...WALLS, ...inside, ...bound(reads), ...CLOSED],
    handed: ({ length }) => {
      const map = { fd: MAP_FD, bytes: new TextEncoder().encode(MAP) };
      return [{ fd: FILTER_FD, bytes: filter }, ...length > 0 ? [map] : []];
    },
  };
}

/** Why a jail that is there does not work, and what would make it, as far as the system tells. */
export function refusalOf(jailPath: string, said: string): string {
  const settings: readonly (readonly [name: string, bad: string, good: string])[] = [
    ["user/max_user_namespaces", "0", "user.max_user_namespaces=10000"],
    ["kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"],
    ["kernel/apparmor_restrict_unprivileged_userns", "1", ""],
  ];
  const [, , good] = settings.find(([name, bad]) => setting(name) === bad) ??
    (/max_\S*namespaces/.test(said) ? settings[0]! : []);
  let fix = "user namespaces; in a container, start it with --security-opt seccomp=unconfined";
  if (good === "") fix = `an AppArmor profile that gives ${jailPath} the rule "userns"`;
  else if (good !== undefined) fix = `user namespaces: sysctl -w ${good}`;
  return `"${jailPath}" refused, saying "${said}", expected ${fix}`;
}

/** Nothing of the system but what the runtime is linked against. */
function insideOf(
  denoPath: string,
  libraries: readonly string[],
  environment: Readonly<Record<string, string>>,
): readonly string[] {
  const known = libraries.length > 0;
  const binds = known
    ? libraries.flatMap((path) => ["--ro-bind", path, path])
    : LIBRARY_FOLDERS.flatMap((path) => ["--ro-bind-try", path, path]);
  const folders = new Set(libraries.map((path) => path.slice(0, path.lastIndexOf("/"))));
  // The loader's own list of where libraries are stays outside.
  const search = known ? { LD_LIBRARY_PATH: [...folders].join(":") } : {};
  return [
    ...Object.entries({ ...environment, ...search })
      .flatMap(([name, value]) => ["--setenv", name, value]),
    "--ro-bind",
    denoPath,
    JAILED_DENO,
    ...binds,
    // The runtime asks where it is; this is all that there is of `/proc`.
    "--symlink",
    JAILED_DENO,
    "/proc/self/exe",
  ];
}

/** Files from outside, and what it takes to compile them. */
function bound(reads: readonly string[]): readonly string[] {
  if (reads.length === 0) return [];
  const files = reads.flatMap((path) => ["--ro-bind", path, path]);
  return [...files, "--ro-bind-data", String(MAP_FD), "/proc/self/maps"];
}

/** What a program is linked against, as its loader says; none where the loader does not tell. */
async function librariesOf(program: string): Promise<readonly string[]> {
  try {
    const { stdout } = await new Deno.Command(program, {
      args: ["--version"],
      clearEnv: true,
      env: { LD_TRACE_LOADED_OBJECTS: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).output();
    const lines = new TextDecoder().decode(stdout).matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x/gm);
    return [...new Set([...lines].map(([, path]) => path!))];
  } catch {
    return [];
  }
}

/** Where a program is that may be started; null for none. */
export function programAt(name: string): string | null {
  if (name.includes("/")) return isProgram(name) ? name : null;
  let path = USUAL_PATH;
  try {
    path = Deno.env.get("PATH") ?? USUAL_PATH;
  } catch {
    // Who may not read the environment has the usual places.
  }
  const places = path.split(":").filter((folder) => folder.startsWith("/"));
  return places.map((folder) => `${folder}/${name}`).find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** A setting of the system; null where there is none, or none that may be read. */
function setting(name: string): string | null {
  try {
    return printable(readFileSync(`/proc/sys/${name}`, "utf8").trim());
  } catch {
    return null;
  }
}
