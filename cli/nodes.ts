/**
 * `nodes`: the kernels that share a store, and orders to them.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { fits, type Fleet, labelText, type NodeLabels } from "../kernel/fleet.ts";
import type { Store } from "../kernel/store.ts";
import { realClock } from "../providers/clock.ts";
import type { RuntimeOptions } from "../runtime/runtime_options.ts";
import type { Client, Node as NodeView } from "../server/client.ts";
import type { ProcessView } from "../server/schema/process.ts";
import { nodeView } from "../server/view/node.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { list } from "./output.ts";
import { findTree, isDatabase, reading, storeName } from "./store.ts";
import { treesThere } from "./system_there.ts";
import { countOf, durationOf, labelsOf } from "./words.ts";

const USAGE = "ls | drain NODE [--timeout T] | cordon NODE | uncordon NODE | move TREE --to NODE";
const POLL_MS = 200;
const DRAIN_MS = 300_000;
const STATES = { drain: "draining", cordon: "cordoned", uncordon: "active" } as const;

/** `nodes`. */
export const nodes: Command = {
  name: "nodes",
  group: "state",
  usage: USAGE,
  about: "Show the nodes that share a database, drain or cordon one, or move a tree",
  examples: [
    "libos nodes ls --db postgres://libos@db.internal/agents",
    "libos nodes drain node-a1b2c3d4e5f6 --timeout 5m",
  ],
  options: { to: { type: "string" }, timeout: { type: "string" } },
  words: [0, 2],
  remote: (at, client) => run(at, there(client)),
  run: async (at) => {
    if (!isDatabase(at)) {
      const expected = "expected --db postgres://…, or --host of a server on one";
      throw new UsageError(`Cannot show the nodes of ${storeName(at)}: one has it, ${expected}`);
    }
    return await reading(at, async (store) => {
      const fleet = store.fleet?.();
      if (fleet === undefined) throw new UsageError(`Cannot show nodes: ${store.name} has none`);
      return await run(at, here(fleet, (word) => findTree(store, word)));
    });
  },
};

/** The nodes, here or there. */
interface Nodes {
  all(): Promise<readonly NodeView[]>;
  order(id: string, verb: keyof typeof STATES): Promise<void>;
  move(tree: string, id: string): Promise<void>;
}

function here(fleet: Fleet, findTree: (word: string) => Promise<`t_${number}`>): Nodes {
  return {
    all: async () => (await fleet.nodes()).map(nodeView),
    order: (id, verb) => fleet.order(id, STATES[verb]),
    move: async (word, id) => await fleet.move(await findTree(word), id),
  };
}

function there(client: Client): Nodes {
  return {
    all: async () => (await client.get<{ readonly items: NodeView[] }>("/v1/nodes")).items,
    order: async (id, verb) => {
      await client.send("POST", `/v1/nodes/${encodeURIComponent(id)}/${verb}`);
    },
    move: async (word, id) => {
      const [tree] = await treesThere(client, word);
      await client.send("POST", `/v1/nodes/${encodeURIComponent(id)}/trees`, { body: { tree } });
    },
  };
}

async function run(at: Context, nodes: Nodes): Promise<number> {
  const [verb = "ls", word] = at.words;
  const to = at.flags.text("to");
  if (verb === "ls" && word === undefined) return print(at, await nodes.all());
  if (verb === "move" && word !== undefined && to !== undefined) {
    const { id } = await named(nodes, to);
    await nodes.move(word, id);
    return await printOne(at, nodes, id);
  }
  if (!Object.hasOwn(STATES, verb) || word === undefined) {
    throw new UsageError(`Cannot run "nodes ${verb}": expected ${USAGE}`);
  }
  const { id } = await named(nodes, word);
  await nodes.order(id, verb as keyof typeof STATES);
  if (verb === "drain") await drained(nodes, id, durationOf(at.flags.text("timeout")) ?? DRAIN_MS);
  return await printOne(at, nodes, id);
}

/** The node that a word names: its id, its name, or the beginning of its id. */
async function named(nodes: Nodes, word: string): Promise<NodeView> {
  const all = await nodes.all();
  const running = all.filter(({ state }) => state !== "gone");
  const exact = all.filter(({ id }) => id === word);
  const byName = running.filter(({ name }) => name === word);
  const near = running.filter(({ id }) => id.startsWith(word));
  const found = [exact, byName, near].find((some) => some.length > 0) ?? [];
  const [only] = found;
  if (found.length > 1) {
    const ids = found.slice(0, 5).map(({ id }) => id).join(", ");
    throw new UsageError(`Cannot tell which node "${word}" is: expected one of ${ids}`);
  }
  if (only !== undefined) return only;
  const expected = "expected one of libos nodes ls";
  throw new SysError("ENOENT", `Cannot find node "${word}": absent, ${expected}`);
}

/** Waits until a node has no tree any more. */
async function drained(nodes: Nodes, id: string, forMs: number): Promise<void> {
  const untilMs = realClock.now() + forMs;
  for (;;) {
    const node = (await nodes.all()).find((one) => one.id === id);
    if (node === undefined || node.state === "gone" || node.trees === 0) return;
    if (realClock.now() >= untilMs) {
      const state = `${node.trees} trees are there still, expected none`;
      throw new SysError(
        "ETIMEDOUT",
        `Cannot wait for node "${id}" to drain: ${state}; it goes on to drain`,
      );
    }
    await realClock.sleep(POLL_MS);
  }
}

async function printOne(at: Context, nodes: Nodes, id: string): Promise<number> {
  return print(at, (await nodes.all()).filter((one) => one.id === id));
}

function print(at: Context, rows: readonly NodeView[]): number {
  list(at, rows, {
    columns: [
      { head: "NODE", of: ({ id }) => id },
      { head: "NAME", of: ({ name }) => name },
      { head: "STATE", of: ({ state }) => state },
      { head: "TREES", of: ({ trees }) => String(trees) },
      { head: "ACTIVE", of: ({ running }) => String(running) },
      { head: "CAPACITY", of: ({ fleet }) => String(fleet?.capacity ?? "-") },
      { head: "BEAT", of: ({ fleet }) => fleet === null ? "-" : ago(fleet.beatAgeMs) },
      { head: "VERSION", of: ({ version }) => version },
      { head: "LABELS", of: ({ labels }) => labelText(labels) },
      { head: "CLOCK", wide: true, of: ({ fleet }) => fleet === null ? "-" : `${fleet.skewMs} ms` },
      { head: "TAKEN", wide: true, of: ({ fleet }) => String(fleet?.taken ?? "-") },
      { head: "FREED", wide: true, of: ({ fleet }) => String(fleet?.freed ?? "-") },
      { head: "LAPSES", wide: true, of: ({ fleet }) => String(fleet?.lapses ?? "-") },
    ],
    name: ({ id }) => id,
    none: "No node runs; libos serve starts one",
  });
  return EXIT.ok;
}

function ago(ms: number): string {
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)}s` : `${Math.round(ms / 1_000)}s`;
}

/** What the nodes that take trees of a store have; undefined where one has it alone. */
export async function nodesOf(store: Store): Promise<readonly NodeLabels[] | undefined> {
  const all = await store.fleet?.().nodes();
  return all?.filter(({ state }) => state === "active").map(({ labels, has }) => ({
    ...labels,
    ...has,
  }));
}

/** A process as lists show it: what is ready waits, where no node has what its tree asks for. */
export function placed(
  view: ProcessView,
  selector: NodeLabels | undefined,
  nodes: readonly NodeLabels[] | undefined,
): ProcessView {
  if (selector === undefined || nodes === undefined || view.state !== "ready") return view;
  if (nodes.some((labels) => fits(labels, selector))) return view;
  const waiting = { reason: "node", on: labelText(selector), since: view.startedAt } as const;
  return { ...view, state: "waiting", waiting };
}

/** What a node of a database says of itself to the others. */
export const NODE_OPTIONS = {
  node: { type: "string" },
  "node-label": { type: "string", multiple: true },
  "node-capacity": { type: "string" },
  "node-lease": { type: "string" },
  "own-workspace": { type: "boolean" },
} as const;

/** The node that options describe; its name is the machine's unless another is given. */
export function nodeFor(at: Context): Pick<RuntimeOptions, "node"> {
  const { flags } = at;
  const said = Object.keys(NODE_OPTIONS).some((name) =>
    flags.text(name) !== undefined || flags.on(name) || flags.texts(name).length > 0
  );
  if (!isDatabase(at)) {
    if (!said) return {};
    throw new UsageError("Cannot be a node: one has a file alone, expected --db postgres://…");
  }
  const capacity = countOf(flags.text("node-capacity"), "--node-capacity");
  const leaseMs = durationOf(flags.text("node-lease"));
  return {
    node: {
      name: flags.text("node") ?? Deno.hostname(),
      labels: labelsOf(flags.texts("node-label")),
      ...(flags.on("own-workspace") ? { ownWorkspace: true } : {}),
      ...(capacity === undefined ? {} : { capacity }),
      ...(leaseMs === undefined ? {} : { leaseMs }),
    },
  };
}
