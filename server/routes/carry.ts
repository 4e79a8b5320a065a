/**
 * Trees carried from store to store: one leaves as lines of JSON, and one comes as such.
 *
 * Invariants:
 *   C1. Who takes a tree along is in its log before they have a line of it.
 *   C2. A tree that comes is checked whole before anything of it is stored, and replaces none.
 *   C3. Whoever sees some labels only brings no tree: its number would tell of others.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import type { TreeId } from "../../kernel/ids.ts";
import { exportTree, type Imported, importTree, moveTree } from "../../runtime/portable.ts";
import type { Api, House } from "../api.ts";
import { isStillIn, need } from "../auth.ts";
import { bodyLines, Held } from "../guard.ts";
import { isConfined } from "../principal.ts";
import { BrokenBody } from "../problem.ts";
import { importedShape } from "../schema/process.ts";
import { hashShape, treeShape } from "../schema/shape.ts";
import { seenTree } from "../sight.ts";
import { json, jsonLines, LINES, linesBody, REFUSALS } from "./answer.ts";

const params = z.object({ tree: treeShape });

/** Adds them. */
export function carryRoutes(app: Api, house: House): void {
  leaving(app, house);
  coming(app, house);
}

function leaving(app: Api, house: House): void {
  const route = {
    request: { params },
    responses: { 200: jsonLines("A record a line, the last one says that it is whole") },
  };
  app.openapi(
    createRoute({
      ...route,
      method: "get",
      path: "/v1/trees/{tree}/export",
      summary: "A tree as lines of JSON that another store takes in, with all its values",
      description: "Role: operator; the tree's log says who took it along.",
      middleware: [need("operator")] as const,
      responses: { ...route.responses, ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { state: { tree } } = await seenTree(house, who, c.req.valid("param").tree as TreeId);
      const headers = { "content-type": LINES };
      if (c.req.method === "HEAD") return new Response(null, { headers });
      const records = exportTree(house.runtime.node.options.store, tree);
      const begin = () => house.reveals.note(tree, { what: "an export", by: who.name });
      const mayGoOn = () => isStillIn(c, house);
      return new Response(await linesBody(records, { begin, mayGoOn }), { headers });
    },
  );
  app.openapi(
    createRoute({
      ...route,
      method: "post",
      path: "/v1/trees/{tree}/move",
      summary: "End a tree here, so that it goes on elsewhere, and export it",
      description: "Should the answer be cut, an export gives it again. Role: admin.",
      middleware: [need("admin")] as const,
      responses: { ...route.responses, ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { state: { tree } } = await seenTree(house, who, c.req.valid("param").tree as TreeId);
      const records = moveTree(house.runtime.node, tree, { to: "an export", by: who.name });
      const mayGoOn = () => isStillIn(c, house);
      const body = await linesBody(records, { begin: () => Promise.resolve(), mayGoOn });
      return new Response(body, { headers: { "content-type": LINES } });
    },
  );
}

const query = z.object({
  head: hashShape.optional().openapi({
    description: "Hash of its last line, as it is known from elsewhere",
  }),
});

function coming(app: Api, house: House): void {
  const imports = new Held("imports", 1);
  // Registered by hand: what is a schema's is taken for one value, and read whole.
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/v1/trees",
    summary: "Take a tree in that was exported, under its number, with the authority it has",
    description: "It is checked whole before anything is stored; nothing is replaced: EEXIST " +
      "where its number is another tree's. The same again changes nothing. Role: admin.",
    request: {
      query,
      body: { content: { [LINES]: { schema: z.string() } }, required: true },
    },
    responses: { 200: json(importedShape, "What came of it"), ...REFUSALS },
  });
  app.post("/v1/trees", need("admin"), async (c) => {
    const who = c.get("who");
    if (isConfined(who)) {
      throw new SysError("EACCES", "Cannot import a tree: the token sees some labels only");
    }
    const { body } = c.req.raw;
    if (body === null || c.req.header("content-type") !== LINES) {
      throw new SysError("EINVAL", `Cannot read the body: expected lines of ${LINES}`);
    }
    const { success, data } = query.safeParse(c.req.query());
    if (!success) {
      throw new SysError("EINVAL", 'Cannot take the query: expected "head", 64 digits of a hash');
    }
    const given = { by: who.name, ...(data.head === undefined ? {} : { head: data.head }) };
    try {
      return c.json(await imports.hold("", () => taken(house, body, given)), 200);
    } catch (thrown) {
      const isBody = thrown instanceof SysError && thrown.code === "EINTEGRITY";
      throw isBody ? new BrokenBody(thrown) : thrown;
    }
  });
}

async function taken(house: House, body: ReadableStream<Uint8Array>, given: {
  readonly by: string;
  readonly head?: string;
}): Promise<Imported> {
  const { node } = house.runtime;
  const lines = bodyLines(body, house.clock);
  // Whoever still sends hears an answer only once it has sent all.
  const rest = { [Symbol.asyncIterator]: () => ({ next: () => lines.next() }) };
  try {
    const made = await importTree(node.options.store, rest, given);
    if (made.created) await node.open(made.tree);
    return made;
  } finally {
    while (!(await lines.next().catch(() => ({ done: true }))).done);
  }
}
