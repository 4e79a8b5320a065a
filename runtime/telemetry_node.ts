/**
 * What is measured of a node itself: its trees, its turns, its place among others, its store.
 * @module
 */

import type { SandboxCounts } from "../broker/sandbox.ts";
import { LIMITS } from "../kernel/limits.ts";
import { isReady } from "../kernel/schedule.ts";
import type { Record } from "../providers/telemetry.ts";
import type { ReplicaState } from "../kernel/store.ts";
import type { Node } from "./node.ts";

/** Has something looked at, whenever values are wanted; returns how to stop. */
export type Gauge = (name: string, unit: string, about: string, isTotal?: boolean) => (
  observe: (to: Record) => void,
) => () => void;

/** Looks at a node. */
export function nodeGauges(node: Node, gauge: Gauge): (() => void)[] {
  return [
    gauge("libos.queue.processes", "{process}", "Processes that wait for their turn")((to) =>
      to(node.turns.size, {})
    ),
    gauge("libos.steps", "{step}", "Steps of processes that are durable", true)((to) =>
      to(node.turns.steps, {})
    ),
    gauge("libos.runs", "{process}", "Processes that run now")((to) => to(node.turns.running, {})),
    gauge("libos.node.trees", "{tree}", "Trees in memory, by whether they have something to do")(
      (to) => {
        const { trees, membership, options: { id } } = node;
        const of = { "libos.node.name": membership?.facts.name ?? id };
        const active = trees.filter(({ state }) => isReady(state)).length;
        to(active, { ...of, "libos.state": "active" });
        to(trees.length - active, { ...of, "libos.state": "idle" });
      },
    ),
    gauge("libos.node.trees.broken", "{tree}", "Trees that stopped here since they cannot go on")((
      to,
    ) => to(node.broken.size, {})),
    ...lineGauges(node, gauge),
    ...cageGauges(node, gauge),
    ...replicaGauges(node, gauge),
    ...memberGauges(node, gauge),
  ];
}

/** Of a store with lines to a database. */
function lineGauges({ options: { store } }: Node, gauge: Gauge): (() => void)[] {
  if (store.lines?.() === undefined) return [];
  return [
    gauge("libos.store.statements", "{statement}", "Statements that the database has in hand")(
      (to) => to(store.lines!().statements, {}),
    ),
    gauge("libos.store.statements.waiting", "{statement}", "Statements behind others on a line")(
      (to) => {
        const { statements, connections } = store.lines!();
        to(Math.max(0, statements - connections), {});
      },
    ),
    gauge("libos.store.connections", "{connection}", "Connections by whether a statement has them")(
      (to) => {
        const { statements, connections } = store.lines!();
        const used = Math.min(statements, connections);
        to(used, { "libos.state": "used" });
        to(connections - used, { "libos.state": "free" });
      },
    ),
    gauge("libos.store.connections.max", "{connection}", "Connections to the database at most")(
      (to) => to(store.lines!().connections, {}),
    ),
  ];
}

/** Of the cages in which generated tools run. */
function cageGauges({ options: { world: { workshop } } }: Node, gauge: Gauge): (() => void)[] {
  const sandbox = workshop?.sandbox;
  if (sandbox?.counts === undefined) return [];
  const counts = (): SandboxCounts => sandbox.counts!();
  return [
    gauge("libos.cages", "{cage}", "Cages that run a tool, wait for more of theirs, or for any")(
      (to) => {
        const { cages, warm, busy } = counts();
        to(busy, { "libos.state": "used" });
        to(warm, { "libos.state": "warm" });
        to(Math.max(0, cages - busy - warm), { "libos.state": "kept" });
      },
    ),
    gauge("libos.cages.waiting", "{run}", "Runs of tools that wait for a cage")((to) =>
      to(counts().waiting, {})
    ),
    gauge("libos.cages.max", "{cage}", "Cages at most")((to) => to(LIMITS.cagesMax, {})),
  ];
}

/** Of a store with a replica: nothing is said of an age that nobody knows. */
function replicaGauges({ options: { store } }: Node, gauge: Gauge): (() => void)[] {
  const state = (): ReplicaState | null => store.replica?.() ?? null;
  if (state() === null) return [];
  return [
    gauge("libos.store.replica.used", "", "1 where what is shown is read from the replica")((to) =>
      to(state()!.use === "used" ? 1 : 0, { "libos.replica.use": state()!.use })
    ),
    gauge("libos.store.replica.lag", "s", "How old at most what the replica has is")((to) => {
      const { lagMs } = state()!;
      if (lagMs !== null) to(lagMs / 1_000, {});
    }),
    gauge("libos.store.replica.lag.bytes", "By", "Log of the primary that it has not done")(
      (to) => {
        const { lagBytes } = state()!;
        if (lagBytes !== null) to(lagBytes, {});
      },
    ),
    gauge(
      "libos.store.views",
      "{question}",
      "Questions that are only shown, by who answered",
      true,
    )(
      (to) => {
        for (const [from, count] of Object.entries(state()!.answered)) {
          to(count, { "libos.from": from });
        }
      },
    ),
  ];
}

/** Of a node among others: its trees, its beat, and what changed hands. */
function memberGauges({ membership }: Node, gauge: Gauge): (() => void)[] {
  if (membership === null) return [];
  const of = { "libos.node.name": membership.facts.name };
  return [
    gauge("libos.node.beat.age", "s", "Time since the lease was renewed")((to) =>
      to(membership.beatAgeMs / 1_000, of)
    ),
    gauge("libos.node.lease", "s", "For how long its trees are its own after a beat")((to) =>
      to(membership.facts.leaseMs / 1_000, of)
    ),
    gauge("libos.node.moves", "{tree}", "Trees taken, given back and lost so far", true)((to) => {
      const { taken, given, lost } = membership.moves;
      for (const [way, count] of Object.entries({ taken, given, lost })) {
        to(count, { ...of, "libos.way": way });
      }
    }),
    gauge("libos.node.lapses", "{lapse}", "Times that its lease ran out", true)((to) =>
      to(membership.moves.lapses, of)
    ),
    gauge("libos.node.freed", "{tree}", "Trees freed of nodes that were lost", true)((to) =>
      to(membership.moves.freed, of)
    ),
  ];
}
