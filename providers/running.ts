/**
 * A program of the machine that was started: what it says, what it uses, and its end with all that
 * it started.
 *
 * It waits at its door for our word. By then its jail is bound to our life and what was mounted can
 * be compared.
 * @module
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { realClock } from "./clock.ts";
import type { Cover, Place, Walls } from "./confine.ts";
import type { TaskGroup } from "./task_group.ts";
import { cameSince, type Names, statOf, thing } from "./confine_names.ts";
import { type Born, familyOf, lives } from "./family.ts";
import { printable } from "./printable.ts";

/** What a child and all that it starts may use. */
export interface ProgramLimits {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly processes: number;
  /** The largest file that it may write. */
  readonly fileBytes: number;
}

/** What to start. */
export interface ProgramSpec {
  /** An absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly place: Place;
  /** false: without walls, as the machine's owner. */
  readonly confined: boolean;
  /** It asks about each act through a socket, and stays in its working directory. */
  readonly asks?: true;
  readonly limits: ProgramLimits;
}

/** What a child was ended for. */
export type Exceeded = "cpuMs" | "memoryBytes" | "processes";

/** A started program. */
export interface Program {
  readonly pid: number;
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** When it and all that it started are gone. */
  readonly ended: Promise<{
    readonly code: number;
    readonly signal: string | null;
    readonly exceeded: Exceeded | null;
  }>;
  /** Ends it and all that it started. */
  kill(): void;
  /**
   * Throws `EACCES` where something came, while it ran, that it should not have seen: a name that
   * rules take, or something else in the place of what was hidden. It may have read or made that,
   * so what it said is nobody's.
   */
  checkUnseen(): Promise<void>;
}

/** The word that lets a program begin. */
export const GO = "go";
/** Names the children of one call to who looks for what is left of it. */
export const MARK = "LIBOS_CALL";

/** What a program was started with. */
export interface Start {
  readonly spec: ProgramSpec;
  readonly folder: string;
  readonly mark: string;
  /** What rules took by name. */
  readonly names: Names;
  /** null: none. */
  readonly walls: Walls | null;
  /** Bounds how many it is; null: nothing of the system does. */
  readonly group: TaskGroup | null;
}

/** A program on its way, running, or gone. */
export class Running implements Program {
  readonly pid: number;
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly ended: Program["ended"];
  readonly #child: Deno.ChildProcess;
  readonly #at: Start;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #over = new AbortController();
  #hasEnded = false;
  #exceeded: Exceeded | null = null;
  /** The first process in the jail: when it is gone, so is all in there. */
  #first: Born | null = null;

  constructor(child: Deno.ChildProcess, at: Start) {
    this.pid = child.pid;
    this.stdin = child.stdin;
    this.stderr = child.stderr;
    this.#child = child;
    this.#at = at;
    this.#reader = child.stdout.getReader();
    const reader = this.#reader;
    this.stdout = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
    this.ended = this.#end();
  }

  /** Waits until the walls stand, looks at them, and lets the program begin. */
  async begin(): Promise<void> {
    const late = new AbortController();
    void realClock.sleep(LIMITS.confineReadyMsMax, late.signal)
      .then(() => this.kill(), () => {});
    const { value } = await this.#reader.read();
    late.abort();
    if (value === undefined || value.length !== 1) await this.#refuse();
    // By now the jail has read what it was handed.
    if (this.#at.spec.confined) discard(this.#at.folder);
    const [, first] = familyOf(this.pid, 1);
    this.#first = this.#at.spec.confined ? first ?? null : null;
    const { mounts = [], covers = [] } = this.#at.walls ?? {};
    const isRight = mounts.every((one) => this.#inside(one) === one.identity) &&
      covers.every((one) => this.#inside(one) !== one.identity);
    if (!isRight) {
      this.kill();
      await this.ended;
      const sentence = `Cannot confine "${this.#at.spec.program}": a folder changed meanwhile`;
      throw new SysError("EAGAIN", sentence);
    }
    const writer = this.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${GO}\n`)).catch(() => {});
    writer.releaseLock();
    void this.#watch();
  }

  kill(): void {
    if (this.#hasEnded) return;
    try {
      Deno.kill(-this.pid, "SIGKILL");
    } catch {
      // It has ended by itself, and its end is not known yet.
    }
  }

  async #refuse(): Promise<never> {
    this.kill();
    const text = new TextDecoder().decode(await new Response(this.stderr).bytes());
    await this.ended;
    const said = printable(text).trim().slice(0, 512);
    throw new SysError(
      "EIO",
      `Cannot start "${this.#at.spec.program}": ${said || "it ended at once"}`,
    );
  }

  async checkUnseen(): Promise<void> {
    const { spec, walls, names } = this.#at;
    const { root, reach } = spec.place;
    const others = (walls?.covers ?? []).filter(({ at, identity }) => {
      const stat = statOf(at);
      return stat !== null && thing(stat) !== identity;
    }).map(({ at }) => `.${at.slice(root?.length ?? 0)}`);
    const came = [...new Set([...await cameSince(root, reach, names), ...others])];
    if (came.length === 0) return;
    const shown = came.slice(0, SHOWN_MAX).map((path) => JSON.stringify(path)).join(", ");
    const state = `${shown}${came.length > SHOWN_MAX ? ", …" : ""} came or changed while it ran`;
    const expected = "and rules keep programs from such names, expected other names";
    throw new SysError(
      "EACCES",
      `Cannot tell what "${spec.program}" said: ${state}, ${expected}`,
    );
  }

  /** What stands inside, as who looks from outside knows it; null for nothing. */
  #inside({ at }: Cover): string | null {
    if (this.#first === null) return null;
    try {
      return thing(statSync(`/proc/${this.#first.pid}/root${at}`));
    } catch {
      return null;
    }
  }

  /** Ends it when it uses more than it may. */
  async #watch(): Promise<void> {
    const { limits } = this.#at.spec;
    while (!this.#hasEnded) {
      const family = familyOf(this.pid, GENERATIONS_MAX, limits.processes + OURS);
      let cpuMs = 0;
      let memoryBytes = 0;
      for (const one of family) {
        cpuMs += one.cpuMs;
        memoryBytes += one.residentBytes;
      }
      const over: Exceeded | null = family.length > limits.processes + OURS
        ? "processes"
        : memoryBytes > limits.memoryBytes
        ? "memoryBytes"
        : cpuMs > limits.cpuMs
        ? "cpuMs"
        : null;
      if (over !== null) {
        this.#exceeded ??= over;
        this.kill();
      }
      try {
        await realClock.sleep(LIMITS.confineLookMs, this.#over.signal);
      } catch {
        return;
      }
    }
  }

  async #end(): Program["ended"] {
    const { code, signal } = await this.#child.status;
    // Whatever is left of its group goes with it, before its number can be another's.
    this.kill();
    this.#hasEnded = true;
    this.#over.abort();
    const { confined } = this.#at.spec;
    if (!confined) await this.#endMarked();
    const untilMs = realClock.now() + LIMITS.confineGoneMsMax;
    while (this.#first !== null && lives(this.#first) && realClock.now() < untilMs) {
      await realClock.sleep(1);
    }
    await this.#at.group?.close();
    discard(this.#at.folder);
    return { code, signal, exceeded: this.#exceeded };
  }

  /** Ends what left the group and still carries the mark; again, as long as there is more. */
  async #endMarked(): Promise<void> {
    if (Deno.build.os !== "linux") return;
    for (let i = 0; i < MARKED_ROUNDS_MAX; i++) {
      const marked = withMark(`${MARK}=${this.#at.mark}`);
      if (marked.length === 0) return;
      for (const pid of marked) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // Gone already.
        }
      }
      await realClock.sleep(1);
    }
  }
}

/** How far below us anything may stand that counts, and how much of that is the jail's own. */
const GENERATIONS_MAX = 64;
const OURS = 2;
const MARKED_ROUNDS_MAX = 50;
/** How many names an error names. */
const SHOWN_MAX = 8;

/** Processes of the machine with this in their environment, as far as it may be read. */
function withMark(entry: string): readonly number[] {
  const wanted = new TextEncoder().encode(`${entry}\0`);
  return readdirSync("/proc").map(Number).filter((pid) => {
    if (!(pid > 0)) return false;
    try {
      return includes(readFileSync(`/proc/${pid}/environ`), wanted);
    } catch {
      return false;
    }
  });
}

function includes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes).includes(new TextDecoder("latin1").decode(wanted));
}

export function discard(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch {
    // A folder among temporary ones harms nobody.
  }
}
