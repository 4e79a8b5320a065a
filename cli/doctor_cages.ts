/**
 * Where generated tools can run here: each tier of isolation, tried with a tool.
 * @module
 */

import type { Workshop } from "../broker/sandbox.ts";
import { realClock } from "../providers/clock.ts";
import { RealChildren } from "../providers/children.ts";
import { openWorkshop } from "../runtime/workshop.ts";

/** One thing that was looked at. */
export interface Finding {
  readonly what: string;
  readonly state: "ok" | "note" | "bad";
  readonly detail: string;
}

const TOOL = {
  source: "export default () => 1 + 1;",
  inputSchema: { type: "object" },
  outputSchema: null,
};
const RUN = "--allow-run without a list: each cage is a child process, which has to be ended too";

/** What was found of the compiler and of each tier. */
export async function cageFindings(): Promise<Finding[]> {
  const { state } = await Deno.permissions.query({ name: "run" });
  if (state === "denied" || state === "prompt") {
    const detail = `may not start child processes, expected ${RUN}`;
    return [{ what: "tools: process", state: "note", detail }, workerFinding()];
  }
  const jail = await new RealChildren().jail();
  return [...await tried(jail.works), jailFinding(jail), workerFinding()];
}

/** Compiles a tool and runs it, as agents' tools are. */
async function tried(isJailed: boolean): Promise<Finding[]> {
  let workshop: Workshop | null = null;
  try {
    workshop = await openWorkshop({ jit: { isolation: "process" } });
    const startedMs = realClock.now();
    const checked = await workshop!.compiler.check(TOOL);
    const checkedMs = realClock.now();
    if (!checked.ok) throw new Error(checked.problems[0]?.message);
    const end = await ran(workshop!, checked.code);
    const walls = isJailed ? "a locked child process inside the jail" : "a locked child process";
    const ms = realClock.now() - checkedMs;
    return [
      {
        what: "tools: compiler",
        state: "ok",
        detail: `checked a tool in ${checkedMs - startedMs} ms`,
      },
      end === null
        ? { what: "tools: process", state: "ok", detail: `ran one in ${ms} ms, in ${walls}` }
        : { what: "tools: process", state: "bad", detail: end },
    ];
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return [{ what: "tools: process", state: "bad", detail }];
  } finally {
    await Promise.all([workshop?.sandbox.close(), workshop?.compiler.close()]);
  }
}

/** Runs a tool that answers 2; null when it did, else what it did. */
async function ran({ sandbox, limits }: Workshop, code: string): Promise<string | null> {
  const end = await sandbox.run({
    tenant: "doctor",
    name: "doctor",
    code,
    input: {},
    nowMs: 0,
    seed: "0".repeat(32),
    limits,
    signal: new AbortController().signal,
    call: () => Promise.resolve({ ok: true, reply: null, atMs: 0 }),
  });
  if (end.kind === "returned" && end.output === 2) return null;
  return "message" in end ? end.message : `it ${end.kind}`;
}

function jailFinding({ works, why }: { readonly works: boolean; readonly why: string }): Finding {
  const detail = works
    ? `${why}: no file, no network, no other process, no powers`
    : `${why}; until then tools run without this wall`;
  return { what: "tools: jail", state: works ? "ok" : "note", detail };
}

/** Nothing tells beforehand whether the flag was given, and without it the process would end. */
function workerFinding(): Finding {
  const detail = "not tried: weaker than the others, and takes deno run --unstable-worker-options";
  return { what: "tools: worker", state: "note", detail };
}
