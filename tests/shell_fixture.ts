/**
 * A runtime that runs programs of this machine, in a workspace on the disk.
 * @module
 */

import assert from "node:assert/strict";
import { createRuntime, type Rule, type Runtime, SysError } from "../mod.ts";
import type { Args, Reply } from "../broker/client.ts";
import { imageOf } from "./world_fixture.ts";
import { Place } from "./confined_place.ts";

/** Somewhere that has no jail. */
export const NO_JAIL = "/nowhere/bwrap";

/** What differs. */
export interface Here {
  readonly grants?: readonly Rule[];
  readonly policy?: string;
  readonly walls?: boolean;
  readonly path?: readonly string[];
}

/** How a call ended. */
export type Ran =
  | { readonly ok: true; readonly reply: Reply<"shell.run"> }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** A runtime over a place. */
export async function shellRuntime(place: Place, here: Here = {}): Promise<Runtime> {
  return await createRuntime({
    store: ":memory:",
    workspace: place.root,
    approvals: "queue",
    shell: {
      ...here.walls === false ? { jailPath: NO_JAIL } : {},
      ...here.path === undefined ? {} : { path: here.path },
    },
    ...here.policy === undefined ? {} : { policy: here.policy },
  });
}

/** Makes one call to its end, in a runtime of its own. */
export async function ran(place: Place, call: Args<"shell.run">, here: Here = {}): Promise<Ran> {
  await using os = await shellRuntime(place, here);
  const process = await os.spawn(caller(call), { goal: "run", grants: here.grants ?? [] });
  const { result } = await process.wait();
  return result as unknown as Ran;
}

/** A process that makes one call, and ends with what became of it. */
export function caller(call: Args<"shell.run">): ReturnType<typeof imageOf> {
  return imageOf(async ({ sys }) => {
    try {
      return { ok: true, reply: await sys.shell.run(call) };
    } catch (error) {
      assert.ok(error instanceof SysError);
      return { ok: false, code: error.code, message: error.message };
    }
  });
}
