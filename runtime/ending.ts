/**
 * How a process ends, wherever its tree is: here, or on another node, of which nobody tells.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Pid, treeOf } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { processOf } from "../kernel/process.ts";
import { lookAt } from "./look.ts";
import type { Node } from "./node.ts";
import type { ExitStatus } from "./process.ts";

/** How a process ended, once that is durable; null while it lives. And how far its log was read. */
export async function endedOf(node: Node, pid: Pid): Promise<{
  readonly status: ExitStatus | null;
  readonly seq: number;
}> {
  // A node that is stopping opens no tree; what it has shows how those end that still run.
  const near = node.turns.isStopping ? node.peek(treeOf(pid)) : undefined;
  if (near === undefined && node.turns.over.signal.aborted) throw closedOver(pid);
  const tree = near ?? await lookAt(node, treeOf(pid));
  const { seq } = tree.state;
  const { life, spent } = processOf(tree.state, pid);
  if (life.state !== "ended") return { status: null, seq };
  const { outcome } = life;
  if (node.peek(treeOf(pid)) === tree) await node.durable(tree);
  const status = {
    pid,
    ok: outcome.kind === "exited" && outcome.code === 0,
    outcome,
    result: outcome.kind === "exited" ? outcome.result : null,
    spent: { ...spent },
  };
  return { status, seq };
}

/**
 * Resolves when the store has more of a tree than `seq` and it is not in memory here, where others
 * tell of it; never where one node has the store alone, or once `signal` is aborted.
 */
export async function changedElsewhere(
  node: Node,
  pid: Pid,
  seq: number,
  signal: AbortSignal,
): Promise<void> {
  const { store, world: { clock } } = node.options;
  while (node.membership !== null && !signal.aborted) {
    await clock.sleep(LIMITS.elsewhereLookMs, signal).catch(() => {});
    if (signal.aborted || node.peek(treeOf(pid)) !== undefined) continue;
    try {
      if ((await store.head(treeOf(pid)))?.seq !== seq) return;
    } catch (error) {
      // The database is away: whoever waits goes on to wait.
      if (!(error instanceof SysError)) throw error;
    }
  }
  return await new Promise(() => {});
}

/** Resolves when a node has stopped; never once `signal` is aborted. */
export async function stopped(node: Node, signal: AbortSignal): Promise<void> {
  const over = node.turns.over.signal;
  if (over.aborted) return;
  await new Promise<void>((resolve) => {
    over.addEventListener("abort", () => resolve(), { once: true, signal });
  });
}

/** What whoever waits for a process hears when the runtime is closed before it has ended. */
export function closedOver(pid: Pid): SysError {
  const closed = `Cannot wait for process "${pid}": the runtime is closed`;
  return new SysError("ESTATE", `${closed}; it goes on when its store is opened again`);
}
