/**
 * What a person puts into a process's memory: a new object, or a new version of one.
 *
 * Invariants:
 *   P1. It is decided as a write of the process itself would be: types, limits, budget and labels
 *       hold, and its provenance says who it was.
 * @module
 */

import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { Pid } from "./ids.ts";
import type { Json } from "./json.ts";
import { PERSON } from "./label.ts";
import { append, create, versionAt, write, type Writing } from "./memory.ts";
import { fullName } from "./names.ts";
import { processOf } from "./process.ts";

/** A value for a process, by name. */
export interface Put {
  readonly pid: Pid;
  /** As its process says it: `notes/today`. */
  readonly name: string;
  /** Of a new object; "json" by default. */
  readonly type?: string | undefined;
  readonly value: Json;
  /** The version it is based on; else whatever is there. 0: none is to be there. */
  readonly from?: number | undefined;
  readonly by: string;
}

/** Decides it. Throws `ESTATE`, `ESTALE`, `EINVAL`, `EBUDGET`. */
export function put(draft: Draft, { pid, name, type, value, from, by }: Put): void {
  const process = processOf(draft.tree.state, pid);
  if (process.life.state === "ended") {
    const sentence = `Cannot put "${name}" into "${pid}": it has ended, expected a live process`;
    throw new SysError("ESTATE", sentence);
  }
  const whole = fullName(pid, name);
  const found = draft.tree.lookUp(whole);
  const writing: Writing = {
    process,
    call: `person:${by}`,
    sources: [],
    label: PERSON,
  };
  const { object } = found;
  if (object === undefined || from === 0) {
    create(draft, writing, {
      name: whole,
      type: type ?? "json",
      mutable: true,
      list: false,
      value,
    });
  } else if (object.list) append(draft, writing, { found, item: value });
  else write(draft, writing, { found, value, from: from ?? versionAt(object, found.asOf).version });
}
