/**
 * A step: one turn of a process's program, and what is written down when it is over.
 * @module
 */

import type { Broker } from "../broker/broker.ts";
import { madeItsLastCall } from "../broker/call.ts";
import { clientOver } from "../broker/client.ts";
import type { Run } from "../broker/run.ts";
import type { World } from "../broker/syscall.ts";
import { Draft } from "../kernel/draft.ts";
import { Panic, toOutcome } from "../kernel/errors.ts";
import type { EndOutcome } from "../kernel/event.ts";
import type { Pid } from "../kernel/ids.ts";
import { end } from "../kernel/process.ts";
import type { Process } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Clock } from "../kernel/world.ts";
import type { Program } from "./program.ts";

/** The name of the program that a process's image asks for. */
export function programOf(tree: Tree, process: Process): string {
  return tree.state.images[process.image]?.program ?? "";
}

/** Whether this node has the code and the model that a process runs on. */
export function canRun(
  having: { program(name: string): Program | undefined; readonly world: World },
  tree: Tree,
  pid: Pid,
): boolean {
  const process = tree.state.processes[pid]!;
  const model = tree.state.images[process.image]?.model ?? null;
  return having.program(programOf(tree, process)) !== undefined &&
    (model === null || having.world.model(model) !== undefined);
}

/** Runs one step; true when something was written down at its end. Throws what stops the tree. */
export async function runStep(run: Run, process: Process, given: {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly program: Program;
}): Promise<boolean> {
  const { broker, clock, program } = given;
  const { tree } = run;
  const image = tree.state.images[process.image]!;
  const context = {
    pid: process.pid,
    step: process.step,
    goal: process.goal,
    input: process.input,
    instructions: image.instructions,
    model: image.model,
    sys: clientOver((name, args) => broker.call(run, "", name, args)),
    signal: run.signal,
  };
  let failed: EndOutcome | null = null;
  try {
    const made = madeItsLastCall(broker.table, process)
      ? Promise.resolve()
      // A step is over when the effects it did not wait for have come home, too.
      : program(context).then(() => broker.sending.settled(process));
    const how = await Promise.race([made.then(() => "returned"), run.ended]);
    if (how === "parked" || how === "stopped") return false;
  } catch (error) {
    if (error instanceof Panic) throw error;
    if (!run.alive) return false;
    const { code, message } = toOutcome(error);
    failed = { kind: "failed", code, message };
  }
  run.end("over");
  return close(process, new Draft(tree, clock.now()), { failed, stepsMax: image.stepsMax });
}

/** Writes down that a step is over, or that the process failed. */
function close(process: Process, draft: Draft, how: {
  readonly failed: EndOutcome | null;
  readonly stepsMax: number;
}): boolean {
  if (process.life.state !== "ready") return true;
  const message = `Cannot go on: ${process.step} steps made, expected ${how.stepsMax} at most`;
  const failed = how.failed ??
    (process.step < how.stepsMax ? null : { kind: "failed", code: "ELIMIT", message } as const);
  if (failed !== null) end(draft, process, failed);
  else draft.add("process.stepped", { pid: process.pid, step: process.step + 1 });
  draft.tree.commit(draft);
  return true;
}
