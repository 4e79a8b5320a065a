/**
 * Judging a call that stands at the door: what it needs, who may, what it costs.
 * @module
 */

import { afford } from "../kernel/budget.ts";
import { SysError } from "../kernel/errors.ts";
import { joinLabels, type Label } from "../kernel/label.ts";
import type { Tree } from "../kernel/tree.ts";
import { passesOf } from "./ahead.ts";
import { deniedByName, judgeCall, refuseByName, type Verdict } from "./authorize.ts";
import type { Call } from "./call.ts";
import { affordMost } from "./holding.ts";
import { refusedUndeclared, undeclared } from "./port.ts";
import { isFree, type Need, type World } from "./syscall.ts";

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
  const { sends } = call.notes;
  const nowMs = door.now(tree);
  const label = labelOf(call);
  const passes = def.asks === "ahead" ? passesOf(call) : undefined;
  const question = { tree, process, name, args, needs, nowMs, label, sends, passes };
  const denied = isFree(def) ? undefined : deniedByName(question);
  return denied === undefined ? judgeCall(question) : refuseByName(question, denied);
}

/** The join of what its process and the call itself have seen. */
function labelOf({ process, notes }: Call): Label {
  return notes.label === null ? process.label : joinLabels(process.label, notes.label);
}

/** Whether a call's maker may do something besides, without asking anybody or spending a use. */
export function mayAlso(door: { now(tree: Tree): number }, call: Call, need: Need): boolean {
  const { tree, process, name, args } = call;
  if (call.frame !== undefined && undeclared(call.frame, call, [need]) !== null) return false;
  const nowMs = door.now(tree);
  const label = labelOf(call);
  const { sends } = call.notes;
  const judged = judgeCall({ tree, process, name, args, needs: [need], nowMs, label, sends });
  return judged.is === "allowed" && judged.spends.length === 0;
}

/** Refuses with `EBUDGET` what the budget does not bear. */
export function affordCall(door: { now(tree: Tree): number }, call: Call): void {
  const { tree, process, def, args } = call;
  // What touches the world takes time, whatever else it costs.
  const cost = def.cost?.(args) ?? (def.effect === "emit" ? {} : undefined);
  if (cost === undefined) return;
  // Composed calls are booked when they end: those under way are counted here.
  const toolCalls = (cost.toolCalls ?? 0) + call.run.composing;
  const wanted = cost.toolCalls === undefined ? cost : { ...cost, toolCalls };
  afford(tree.state, process, wanted, door.now(tree));
  affordMost(call, call.notes.prepared);
}
