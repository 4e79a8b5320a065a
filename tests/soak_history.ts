/**
 * What the log of a session is good for when all is over: the state at any line of it is what the
 * slow way gives, and the same code run again over it makes the same calls.
 * @module
 */

import assert from "node:assert/strict";
import { RIGHTS } from "../broker/table.ts";
import type { Line } from "../kernel/event.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import { Tree } from "../kernel/tree.ts";
import { AgentProcess } from "../runtime/process.ts";
import { treeAt } from "../runtime/history.ts";
import { readLines } from "../runtime/load.ts";
import type { World } from "./world_fixture.ts";

const CONTEXT = { rights: RIGHTS };
/** Positions of each tree that are looked at, spread over its log. */
const POSITIONS = 60;
/** One of so many children has its code run again; every root has. */
const CHILD_EVERY = 20;

/** What was looked at. */
export interface History {
  /** Positions at which the state was compared, and the most processes that it had at one. */
  readonly positions: number;
  readonly processesMax: number;
  /** Calls that code which was run again made as before, in how many processes. */
  readonly replayed: number;
  readonly processes: number;
}

/** Looks at the logs of all trees; throws at the first that is not as it should be. */
export async function historyOf(world: World, store: Store): Promise<History> {
  let history: History = { positions: 0, processesMax: 0, replayed: 0, processes: 0 };
  for (const { tree, seq } of await world.os.trees({ all: true })) {
    if (seq === 0) continue;
    const { at, pids, ends } = await compared(store, tree, seq);
    let { replayed, processes } = history;
    for (const [i, [pid, from]] of pids.entries()) {
      const isRoot = !pid.includes(".");
      if (!isRoot && i % CHILD_EVERY !== 0) continue;
      const process = new AgentProcess(world.os.node, pid, "test");
      // A replay begins where its tree last went back to: each stretch is one of its own.
      for (const until of isRoot ? ends : ends.filter((end) => end > from).slice(0, 1)) {
        const { calls, diverged, ended } = await process.replay({ until });
        assert.equal(diverged, null, `${pid} up to ${until}: ${diverged?.message} ${ended}`);
        replayed += calls;
      }
      processes += 1;
    }
    history = {
      positions: history.positions + at.positions,
      processesMax: Math.max(history.processesMax, at.processesMax),
      replayed,
      processes,
    };
  }
  return history;
}

/** Compares states at some lines with the fold from the first; tells what is in the log. */
async function compared(store: Store, id: TreeId, seq: number): Promise<{
  readonly at: Pick<History, "positions" | "processesMax">;
  /** Processes, and the lines where they began. */
  readonly pids: readonly (readonly [Pid, number])[];
  /** Lines before which the tree did not go back, and the last. */
  readonly ends: readonly number[];
}> {
  const tree = Tree.empty(id, CONTEXT);
  const pids: [Pid, number][] = [];
  const ends: number[] = [];
  let [positions, processesMax] = [0, 0];
  const every = Math.max(1, Math.floor(seq / POSITIONS));
  for await (const line of readLines(store, id)) {
    tree.replay(line);
    note(line, { pids, ends });
    if (line.seq % every !== 0) continue;
    const past = await treeAt(store, id, line.seq, CONTEXT);
    assert.equal(past.tree.dump(), tree.dump(), `line ${line.seq} of ${id}`);
    positions += 1;
    processesMax = Math.max(processesMax, Object.keys(tree.state.processes).length);
  }
  return { at: { positions, processesMax }, pids, ends: [...ends, seq] };
}

function note({ type, data, seq }: Line, to: { pids: [Pid, number][]; ends: number[] }): void {
  const { pid } = data as { readonly pid?: Pid };
  if (type === "process.spawned" && pid !== undefined) to.pids.push([pid, seq]);
  if (type === "tree.restored") to.ends.push(seq - 1);
}
