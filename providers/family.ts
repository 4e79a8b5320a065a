/**
 * Processes of the machine and what they started, as `/proc` tells; nothing where there is none.
 * @module
 */

import { readFileSync } from "node:fs";

/** Clock ticks a second, in which `/proc` counts; 100 on every Linux that Deno runs on. */
const TICKS = 100;
const PAGE_BYTES = 4_096;

/** A process and when it began: its number may be another's later. */
export interface Born {
  readonly pid: number;
  readonly atTick: string;
  /** What it used, with what it waited for. */
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** Whether it is still the same process, and has not ended. */
export function lives({ pid, atTick }: Born): boolean {
  const fields = fieldsOf(pid);
  return fields !== null && fields[19] === atTick && fields[0] !== "Z" && fields[0] !== "X";
}

/** A process and all below it, itself first; no more than one over `most`. */
export function familyOf(pid: number, generations: number, most = Infinity): readonly Born[] {
  const found: Born[] = [];
  const look = (at: number, left: number) => {
    const one = bornOf(at);
    if (one === null) return;
    found.push(one);
    if (left === 0) return;
    for (const child of childrenOf(at)) {
      if (found.length > most) return;
      look(child, left - 1);
    }
  };
  look(pid, generations);
  return found;
}

function bornOf(pid: number): Born | null {
  const fields = fieldsOf(pid);
  if (fields === null) return null;
  const [user = 0, system = 0, usersEnded = 0, systemEnded = 0] = fields.slice(11, 15).map(Number);
  const ticks = user + system + usersEnded + systemEnded;
  return {
    pid,
    atTick: fields[19]!,
    cpuMs: ticks * (1_000 / TICKS),
    residentBytes: Number(fields[21]) * PAGE_BYTES,
  };
}

/** What the system says of a process, after its name; null when it does not. */
function fieldsOf(pid: number): readonly string[] | null {
  try {
    // The name may hold anything, but nothing after its bracket does.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text === "" ? [] : text.split(" ").map(Number);
  } catch {
    return [];
  }
}
