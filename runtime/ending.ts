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

interface Found {
  /** How it ended, once that is durable; null while it lives. */
  readonly status: ExitStatus | null;
  /** How far its log was read. */
  readonly seq: number;
}

/** How a process ended; undefined where the node has stopped before that. */
async function endedOf(node: Node, pid: Pid): Promise<Found | undefined> {
  // A node that is stopping opens no tree; what it has shows how those end that still run.
  const near = node.turns.isStopping ? node.peek(treeOf(pid)) : undefined;
  if (near === undefined && node.turns.over.signal.aborted) return undefined;
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
async function changedElsewhere(
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

/**
 * What is known of how a process ends: now, and whenever that may be other. It ends once the
 * process has, or with the node; throws by the signal. `wakes` is told how to have it look again.
 */
export async function* endings(node: Node, pid: Pid, options: {
  readonly signal?: AbortSignal | undefined;
  readonly wakes?: (wake: () => void) => void;
} = {}): AsyncGenerator<Found> {
  const { signal } = options;
  signal?.throwIfAborted();
  let wake: () => void = () => {};
  options.wakes?.(() => wake());
  const off = node.listen((tree) => tree === treeOf(pid) ? wake() : undefined);
  const aborted = (): void => wake();
  signal?.addEventListener("abort", aborted);
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => wake = resolve);
      const found = await endedOf(node, pid);
      if (found === undefined) return;
      yield found;
      signal?.throwIfAborted();
      if (found.status !== null || node.turns.over.signal.aborted) return;
      await change(node, pid, found.seq, changed);
      signal?.throwIfAborted();
    }
  } finally {
    off();
    signal?.removeEventListener("abort", aborted);
  }
}

/** Resolves when somebody told that it changed, it did on another node, or nobody tells more. */
async function change(node: Node, pid: Pid, seq: number, changed: Promise<void>): Promise<void> {
  const over = new AbortController();
  const elsewhere = changedElsewhere(node, pid, seq, over.signal);
  const closed = stopped(node, over.signal);
  await Promise.race([changed, elsewhere, closed]).finally(() => over.abort());
}

/** Resolves when a node has stopped; never once `signal` is aborted. */
async function stopped(node: Node, signal: AbortSignal): Promise<void> {
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
