/**
 * The nodes that share the store of this one: how they stand, and orders to them.
 * @module
 */

import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import type { Fleet, FreeTrees } from "../../kernel/fleet.ts";
import type { TreeId } from "../../kernel/ids.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import type { Principal } from "../principal.ts";
import { isConfined, seesTree } from "../principal.ts";
import { freeShape, nodeShape, replicaShape } from "../schema/process.ts";
import { seenTree } from "../sight.ts";
import { nodeView } from "../view/node.ts";
import { body, json, REFUSALS } from "./answer.ts";

const nodesShape = z.object({
  items: z.array(nodeShape),
  /** Null where one node has the store alone, and for whoever sees only some trees. */
  free: freeShape.nullable(),
  /** The replica that this kernel reads what it shows from; null where it has none. */
  replica: replicaShape.nullable(),
});
const idParam = z.object({ id: z.string().max(64) });
const moveShape = z.object({ tree: z.string().regex(/^t_\d{1,15}$/) }).openapi("NodeMove");

/** What may be ordered of a node, and how it stands then. */
const ORDERS = [
  ["drain", "draining", "Let what runs on a node come to its next wait, and give its trees back"],
  ["cordon", "cordoned", "Let a node take no more trees; it keeps its own"],
  ["uncordon", "active", "Let a node take trees again"],
] as const;

/** Adds them. */
export function nodeRoutes(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/nodes",
      summary: "The kernels that share the store",
      description: "Whoever sees only some trees is shown this kernel alone, with those of them.",
      middleware: [need("viewer")] as const,
      responses: { 200: json(nodesShape, "The nodes"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const fleet = (await shownFrom(house, c)).fleet?.();
      const items = await nodesFor(house, who, fleet);
      if (isConfined(who)) return c.json({ items, free: null, replica: null }, 200);
      const free = await fleet?.free();
      const replica = house.runtime.node.options.store.replica?.() ?? null;
      return c.json({ items, free: free === undefined ? null : shown(free), replica }, 200);
    },
  );
  for (const [verb, state, summary] of ORDERS) {
    app.openapi(
      createRoute({
        method: "post",
        path: `/v1/nodes/{id}/${verb}`,
        summary,
        description: "Role: admin.",
        middleware: [need("admin")] as const,
        request: { params: idParam },
        responses: { 200: json(nodeShape, "The node"), ...REFUSALS },
      }),
      async (c) => {
        const { id } = c.req.valid("param");
        await fleetOf(house, c.get("who")).order(id, state);
        return c.json(await nodeNamed(house, c.get("who"), id), 200);
      },
    );
  }
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/nodes/{id}/trees",
      summary: "Have a tree move to a node",
      description: "It comes to its next wait where it is, and goes on there. Role: admin.",
      middleware: [need("admin")] as const,
      request: { params: idParam, body: body(moveShape) },
      responses: { 200: json(nodeShape, "The node that it moves to"), ...REFUSALS },
    }),
    async (c) => {
      const { id } = c.req.valid("param");
      const tree = c.req.valid("json").tree as TreeId;
      const fleet = fleetOf(house, c.get("who"));
      await seenTree(house, c.get("who"), tree);
      await fleet.move(tree, id);
      return c.json(await nodeNamed(house, c.get("who"), id), 200);
    },
  );
}

function fleetIn({ runtime }: House): Fleet | undefined {
  return runtime.node.options.store.fleet?.();
}

function shown({ first, ...counts }: FreeTrees): z.infer<typeof freeShape> {
  const plain = ({ selector, ...one }: FreeTrees["first"][number]) => {
    return { ...one, selector: selector === null ? null : { ...selector } };
  };
  return { ...counts, first: first.map(plain) };
}

/** The nodes, for who sees all trees. `ENOSYS` where the store has none, `ENOENT` for others. */
function fleetOf(house: House, who: Principal): Fleet {
  if (isConfined(who)) {
    throw new SysError("ENOENT", "Cannot find the node: absent, expected one of the list");
  }
  const { store } = house.runtime.node.options;
  const fleet = fleetIn(house);
  if (fleet === undefined) {
    const sentence = `Cannot order nodes of store "${store.name}": one node has it, expected ` +
      "a database that several share";
    throw new SysError("ENOSYS", sentence);
  }
  return fleet;
}

async function nodesFor(
  house: House,
  who: Principal,
  fleet: Pick<Fleet, "nodes"> | undefined,
): Promise<z.infer<typeof nodeShape>[]> {
  const own = await ownNode(house, who);
  if (fleet === undefined || isConfined(who)) return [own];
  return (await fleet.nodes()).map((one) =>
    one.id === own.id
      ? { ...own, ...nodeView(one), residentBytes: own.residentBytes }
      : nodeView(one)
  );
}

async function nodeNamed(
  house: House,
  who: Principal,
  id: string,
): Promise<z.infer<typeof nodeShape>> {
  const found = (await nodesFor(house, who, fleetIn(house))).find((one) => one.id === id);
  if (found !== undefined) return found;
  throw new SysError("ENOENT", `Cannot find node "${id}": absent, expected one of the list`);
}

async function ownNode(house: House, who: Principal): Promise<z.infer<typeof nodeShape>> {
  const { node } = house.runtime;
  const trees = node.trees.filter(({ state }) => seesTree(who, state));
  const hosted = await Promise.all(trees.map(({ state }) => node.hosted(state.tree)));
  const running = hosted.reduce((sum, { runs }) => sum + runs.size, 0);
  return {
    id: node.options.id,
    name: node.membership?.facts.name ?? node.options.id,
    state: node.membership?.state ?? "active",
    labels: { ...node.membership?.facts.labels },
    version: house.version,
    startedAt: new Date(house.startedMs).toISOString(),
    trees: trees.length,
    running,
    residentBytes: house.residentBytes(),
    fleet: null,
  };
}
