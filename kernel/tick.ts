/**
 * What time does: timers, waits that end, requests nobody answered.
 * @module
 */

import type { Draft } from "./draft.ts";
import { escalate, expire } from "./human.ts";
import { waitOf, wake } from "./process.ts";
import { due } from "./schedule.ts";

/** Decides what is due at the draft's time; nothing when it is not yet. */
export function tick(draft: Draft): void {
  const { state } = draft.tree;
  const at = due(state);
  if (at === null || at > draft.nowMs) return;
  expire(draft);
  escalate(draft);
  for (const process of Object.values(state.processes)) {
    const on = waitOf(process);
    if (on === null || !("untilMs" in on) || on.untilMs === null) continue;
    if (on.untilMs <= draft.nowMs) wake(draft, process, "clock");
  }
}
