/**
 * A bound on how many tasks a program and all that it starts are at once, kept by the system: a
 * control group with `pids.max`.
 *
 * The system's own limit for processes does not hold for root, and who looks on looks fifty times a
 * second. Where no such group can be made, those two are what there is.
 *
 * Invariants:
 *   T1. Whatever was started in a group is in it, whatever it calls itself, until it is gone.
 *   T2. A group that is closed is empty and gone; what a dead kernel left is removed by the next.
 * @module
 */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { realClock } from "./clock.ts";

const NAME = /^libos-(\d+)-/;
/** What a shell can be told without quoting. */
const PLAIN = /^[\w./:@-]+$/;
const ROUNDS_MAX = 200;

/** A group that is there, and empty until a program joins it. */
export class TaskGroup {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes one for at most `tasksMax` processes and threads; null where that cannot be. */
  static make(name: string, tasksMax: number): TaskGroup | null {
    const above = placeOfGroups();
    if (above === null) return null;
    const folder = `${above}/libos-${Deno.pid}-${name}`;
    if (!PLAIN.test(folder)) return null;
    try {
      sweep(above);
      mkdirSync(folder);
    } catch {
      return null;
    }
    try {
      writeFileSync(`${folder}/pids.max`, String(tasksMax));
      return new TaskGroup(folder);
    } catch {
      remove(folder);
      return null;
    }
  }

  /** What a shell says to be in the group, with all that it becomes and starts. */
  get joining(): string {
    return `echo $$ >${this.#folder}/cgroup.procs || exit 125\n`;
  }

  /** How many tasks are in it. */
  get tasks(): number {
    return Number(readFileSync(`${this.#folder}/pids.current`, "utf8"));
  }

  /** Ends what is left in it, and removes it. */
  async close(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX && !remove(this.#folder); round++) {
      for (const pid of membersOf(this.#folder)) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // Gone already.
        }
      }
      await realClock.sleep(5);
    }
  }
}

/** Our own group, below which others can be made; of the first or the second version. */
function placeOfGroups(): string | null {
  if (Deno.build.os !== "linux") return null;
  try {
    const own = readFileSync("/proc/self/cgroup", "utf8").split("\n").map((line) => {
      const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return { controllers: controllers.split(","), path };
    });
    for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
      const [before = "", after = ""] = line.split(" - ");
      const [, , , root = "", at = ""] = before.split(" ");
      const [type, , options = ""] = after.split(" ");
      const isFirst = type === "cgroup" && options.split(",").includes("pids");
      if (!isFirst && type !== "cgroup2") continue;
      const wanted = isFirst ? "pids" : "";
      const path = own.find(({ controllers }) => controllers.includes(wanted))?.path;
      if (path === undefined) continue;
      const below = root === "/" ? path : path.startsWith(root) ? path.slice(root.length) : "";
      const folder = `${at}${below === "/" ? "" : below}`;
      if (isFirst || hasPids(folder)) return folder;
    }
  } catch {
    // Not to be looked at: then there is none for us.
  }
  return null;
}

/** Whether groups below one of the second version count tasks. */
function hasPids(folder: string): boolean {
  const given = readFileSync(`${folder}/cgroup.subtree_control`, "utf8");
  return given.trim().split(" ").includes("pids");
}

/** T2 */
function sweep(above: string): void {
  for (const name of readdirSync(above)) {
    const owner = NAME.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) remove(`${above}/${name}`);
  }
}

function remove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}

function membersOf(folder: string): readonly number[] {
  try {
    return readFileSync(`${folder}/cgroup.procs`, "utf8").split("\n").map(Number)
      .filter((pid) => pid > 0);
  } catch {
    return [];
  }
}
