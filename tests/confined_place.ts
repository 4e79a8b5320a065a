/**
 * A workspace on the disk, programs started in it, and whether walls can be had here.
 * @module
 */

import type { Area, Reach } from "../kernel/reach.ts";
import { NO_REACH } from "../kernel/reach.ts";
import { type Program, type ProgramLimits, Programs } from "../providers/confined.ts";
import { processes } from "./escape/watch.ts";

/** What a program may use that only has to do what it does. */
export const AMPLE: ProgramLimits = {
  cpuMs: 20_000,
  memoryBytes: 512 * 2 ** 20,
  processes: 64,
  fileBytes: 64 * 2 ** 20,
};

/** One for all: whether there are walls is tried once. */
export const PROGRAMS: Programs = new Programs();
const { works, why } = PROGRAMS.confinement();

/** A test of what walls do; without any here, it says why it is not run. */
export function walled(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name: works ? name : `${name} (${why})`, ignore: !works, fn });
}

/** How a program ended, and what it said. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly exceeded: string | null;
}

/** What differs from a program that sees nothing. */
export interface In {
  readonly areas?: readonly (Partial<Area> & Pick<Area, "path">)[];
  readonly net?: boolean;
  readonly cwd?: string;
  readonly limits?: Partial<ProgramLimits>;
  readonly env?: Readonly<Record<string, string>>;
  readonly confined?: boolean;
  readonly stdin?: string;
  readonly reads?: readonly string[];
}

/** A workspace with files; beside it a secret. Both are gone afterwards. */
export class Place {
  readonly base: string = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "libos-place-" }));
  readonly root: string = `${this.base}/work`;
  readonly secret: string = `${this.base}/secret.txt`;

  /** Makes it. */
  constructor(files: Readonly<Record<string, string>> = {}) {
    Deno.mkdirSync(this.root);
    Deno.writeTextFileSync(this.secret, "outside");
    for (const [path, text] of Object.entries(files)) this.put(path, text);
  }

  /** Writes a file of the workspace. */
  put(path: string, text: string): void {
    const at = `${this.root}/${path}`;
    Deno.mkdirSync(at.slice(0, at.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(at, text);
  }

  /** A file of the workspace; null when it is not there. */
  text(path: string): string | null {
    try {
      return Deno.readTextFileSync(`${this.root}/${path}`);
    } catch {
      return null;
    }
  }

  /** Starts a program here. */
  async start(program: string, args: readonly string[], how: In = {}): Promise<Program> {
    return await PROGRAMS.start({
      program,
      args,
      env: { PATH: "/usr/bin:/bin", HOME: "/tmp", ...how.env },
      place: {
        root: this.root,
        cwd: how.cwd ?? ".",
        reach: reachTo(how),
        ...how.reads === undefined ? {} : { reads: how.reads },
      },
      confined: how.confined ?? true,
      limits: { ...AMPLE, ...how.limits },
    });
  }

  /** Runs a line of shell here to its end. */
  async sh(line: string, how: In = {}): Promise<Said> {
    return await toEnd(await this.start("/bin/sh", ["-c", line], how), how.stdin);
  }

  /** Removes all of it. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.base, { recursive: true });
  }
}

/** All that a program says until it ends. */
export async function toEnd(program: Program, stdin = ""): Promise<Said> {
  const writer = program.stdin.getWriter();
  const fed = (async () => {
    try {
      await writer.write(new TextEncoder().encode(stdin));
      await writer.close();
    } catch {
      // It has ended without reading.
    }
  })();
  const [out, err, { code, exceeded }] = await Promise.all([
    new Response(program.stdout).text(),
    new Response(program.stderr).text(),
    program.ended,
    fed,
  ]);
  return { code, out, err, exceeded };
}

/** Processes whose command line holds a text. */
export function withWord(word: string): number[] {
  return processes().map(({ pid }) => pid).filter((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(word);
    } catch {
      return false;
    }
  });
}

/** Kills processes, as far as they did not end by themselves, or with another one, meanwhile. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** A word that no other process of the machine has in its command line. */
export function oddWord(): string {
  return `odd${crypto.randomUUID()}`;
}

function reachTo({ areas = [], net = false }: In): Reach {
  const plain = { kind: "folder", writes: false, holes: [], unseen: [] } as const;
  const all = areas.map((area): Area => ({ ...plain, ...area }));
  return { ...NO_REACH, areas: all, net };
}
