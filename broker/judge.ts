/**
 * Judging a call that stands at the door: what it needs, who may, what it costs.
 * @module
 */

import { afford } from "../kernel/budget.ts";
import { SysError } from "../kernel/errors.ts";
import { joinLabels } from "../kernel/label.ts";
import type { Tree } from "../kernel/tree.ts";
import { passesOf } from "./ahead.ts";
import { judgeCall, type Verdict } from "./authorize.ts";
import type { Call } from "./call.ts";
import { affordMost } from "./holding.ts";
import { refusedUndeclared, undeclared } from "./port.ts";
import type { Need, World } from "./syscall.ts";

/** Judges a call as things stand now. */
export function judgeAtDoor(door: {
  readonly world: World;
  now(tree: Tree): number;
}, call: Call): Verdict {
  const { tree, process, name, args, def } = call;
  let needs: readonly Need[];
  try {
    needs = def.needs(args, { tree, process, cwd: call.cwd, world: door.world });
    const missing = call.frame === undefined ? null : undeclared(call.frame, call, needs);
    if (missing !== null) throw refusedUndeclared(call.frame!, call, missing);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { is: "refused", decision: { needs: [], by: [], effect: "deny" }, error };
  }
  call.notes.needs = needs;
  const { label: seen, sends } = call.notes;
  const label = seen === null ? process.label : joinLabels(process.label, seen);
  const nowMs = door.now(tree);
  const passes = def.asks === "ahead" ? passesOf(call) : undefined;
  return judgeCall({ tree, process, name, args, needs, nowMs, label, sends, passes });
}

/** Refuses with `EBUDGET` what the budget does not bear. */
export function affordCall(door: { now(tree: Tree): number }, call: Call): void {
  const { tree, process, def, args } = call;
  const cost = def.cost?.(args);
  if (cost === undefined) return;
  // Composed calls are booked when they end: those under way are counted here.
  const toolCalls = (cost.toolCalls ?? 0) + call.run.composing;
  const wanted = cost.toolCalls === undefined ? cost : { ...cost, toolCalls };
  afford(tree.state, process, wanted, door.now(tree));
  affordMost(call, call.notes.prepared);
}
