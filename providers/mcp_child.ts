/**
 * The program of an MCP server: started behind walls, with an environment of its own, and gone when
 * its runtime is.
 *
 * Invariants:
 *   C1. Behind the walls are the system's programs, the folders its mount names as its code, and
 *       the parts of the workspace in its reach; no home, no other process.
 *   C2. Its environment has what its mount names, and a path and home of its own; nothing else.
 *   C3. What it writes to its errors is bounded, and harmless on a screen.
 * @module
 */

import { realpathSync } from "node:fs";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { McpMount } from "../kernel/mcp_lock.ts";
import { describeReach, type Reach } from "../kernel/reach.ts";
import type { Program, Programs } from "./confined.ts";
import { programAt } from "./jail.ts";
import { printable } from "./printable.ts";

/** A program under way. */
export interface McpChild {
  readonly output: ReadableStream<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
  /** Ends it, with all that it started. */
  kill(): void;
  /** Throws `EACCES` where something came that it should not have seen. */
  checkUnseen(): Promise<void>;
  /** Why it ended, and what it wrote last to its errors; told when it has. */
  readonly ended: Promise<string>;
}

/** Where a program is started. */
export interface McpPlace {
  readonly programs: Programs;
  /** The workspace, absolute and without links; null for none. */
  readonly root: string | null;
  readonly reach: Reach;
  /** A variable of the runtime's own environment. */
  env(name: string): string | undefined;
}

const PATH = "/usr/local/bin:/usr/bin:/bin";

/** What holds a program, in words for a list. */
export function confinementOf(mount: McpMount, reach: Reach): string {
  if (mount.command === null) return "elsewhere: sees nothing here but what it is sent";
  return mount.confined
    ? `confined: ${describeReach(reach)}`
    : "unconfined: can do all that its owner can";
}

/** Starts a server's program. Throws `ENOSYS` where there are no walls, `EIO` where it fails. */
export async function startMcpChild(mount: McpMount, place: McpPlace): Promise<McpChild> {
  const [name = "", ...args] = mount.command ?? [];
  const path = programAt(name);
  if (path === null) {
    const sentence = `Cannot start "${printable(name)}": no such program`;
    throw new SysError("EIO", `${sentence}, expected one on the path`);
  }
  // A link leads to where there is nothing, behind the walls.
  const program = realpathSync(path);
  const { root, reach } = place;
  const started = await place.programs.start({
    program,
    args,
    env: environmentOf(mount, place),
    place: { root, cwd: ".", reach, reads: readsOf(program, mount, place) },
    confined: mount.confined,
    limits: {
      cpuMs: LIMITS.mcpCpuMsMax,
      memoryBytes: LIMITS.mcpMemoryBytesMax,
      processes: LIMITS.mcpProcessesMax,
      fileBytes: LIMITS.mcpFileBytesMax,
    },
  });
  return new RunningChild(started);
}

function environmentOf(mount: McpMount, place: McpPlace): Record<string, string> {
  const named = mount.env.map((name) => {
    const value = place.env(name);
    if (value !== undefined) return [name, value] as const;
    throw new SysError("EIO", `Cannot start "${mount.name}": ${name} is not set, expected a value`);
  });
  return { PATH, HOME: "/tmp", LANG: "C.UTF-8", ...Object.fromEntries(named) };
}

/** What of the machine its code is in, besides what every program sees; none of it is ours. */
function readsOf(program: string, mount: McpMount, place: McpPlace): readonly string[] {
  const code = mount.code.map(folderAt);
  if (mount.confined) { for (const path of code) refuseOwned(path, place); }
  const all = [...program.startsWith("/usr/") ? [] : [program], ...code];
  return all.filter((path) => !path.startsWith("/usr/"));
}

/** Walls show a folder of code as it is. Throws `EACCES` where what is the runtime's is in it. */
function refuseOwned(code: string, { root, reach }: McpPlace): void {
  const above = (one: string, other: string): boolean => `${other}/`.startsWith(`${one}/`);
  const found = (reach.owned ?? []).map(({ path }) => `${root}/${path.slice(2)}`)
    .find((own) => above(code, own) || above(own, code));
  if (found === undefined) return;
  const sentence = `Cannot start a server: its code is in "${printable(code)}"`;
  const expected = "expected a folder without it";
  const why = `where "${printable(found)}" is the runtime's own`;
  throw new SysError("EACCES", `${sentence}, ${why}, ${expected}`);
}

function folderAt(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw new SysError("EIO", `Cannot start a server: "${printable(path)}" is not there`);
  }
}

class RunningChild implements McpChild {
  readonly output: ReadableStream<Uint8Array>;
  readonly ended: Promise<string>;
  readonly #program: Program;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(program: Program) {
    this.output = program.stdout;
    this.#program = program;
    this.#writer = program.stdin.getWriter();
    this.#writer.closed.catch(() => {});
    this.ended = this.#end();
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes);
  }

  kill(): void {
    this.#program.kill();
  }

  async checkUnseen(): Promise<void> {
    await this.#program.checkUnseen();
  }

  async #end(): Promise<string> {
    const errors = lastOf(this.#program.stderr);
    const { code, exceeded } = await this.#program.ended;
    await this.#writer.abort().catch(() => {});
    const why = exceeded === null ? `it ended with ${code}` : `it used too much: ${exceeded}`;
    const said = await errors;
    return said === "" ? why : `${why}: ${said}`;
  }
}

/** The end of a stream as harmless text. It is read to its end, so that nobody waits to write. */
async function lastOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let last = new Uint8Array(0);
  try {
    for await (const chunk of stream) {
      const whole = new Uint8Array(last.length + chunk.length);
      whole.set(last);
      whole.set(chunk, last.length);
      last = whole.slice(-LIMITS.mcpErrorBytesMax);
    }
  } catch {
    // What was read before it broke is what there is.
  }
  return printable(new TextDecoder().decode(last)).trim().slice(-LIMITS.mcpErrorBytesMax);
}
