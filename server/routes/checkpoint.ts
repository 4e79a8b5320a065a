/**
 * Checkpoints: naming positions, looking at what going back would do, going back, branching off.
 * @module
 */

import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import type { BranchEdits } from "../../kernel/branch.ts";
import { takeCheckpoint } from "../../kernel/checkpoint.ts";
import { Draft } from "../../kernel/draft.ts";
import { SysError } from "../../kernel/errors.ts";
import { type CheckpointId, type Pid, treeOf } from "../../kernel/ids.ts";
import type { Checkpoint } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import { callText } from "../../runtime/line_text.ts";
import { forkTree } from "../../runtime/branch.ts";
import { pastOf, restoreTree } from "../../runtime/rewind.ts";
import { planUndo } from "../../runtime/undo.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import type { Principal } from "../principal.ts";
import { checkpointPage, checkpointShape, type CheckpointView } from "../schema/memory.ts";
import { forkShape, rollbackPreviewShape, rollbackShape } from "../schema/memory.ts";
import { processShape, treeViewShape } from "../schema/process.ts";
import { pageQuery, pidShape, treeShape } from "../schema/shape.ts";
import { pageOfTrees } from "../search.ts";
import { refuseElsewhere, seenProcess, seenTree } from "../sight.ts";
import { checkpointView } from "../view/memory.ts";
import { processView } from "../view/process.ts";
import { shownTree } from "../view/tree.ts";
import { body, json, REFUSALS } from "./answer.ts";

/** Adds them. */
export function checkpointRoutes(app: Api, house: House): void {
  checkpoints(app, house);
  naming(app, house);
  travel(app, house);
}

/** A checkpoint of a tree that somebody may see. Throws `ENOENT`. */
async function seenCheckpoint(
  house: House,
  who: Principal,
  id: string,
): Promise<{ readonly tree: Tree; readonly view: CheckpointView }> {
  const tree = await seenTree(house, who, treeOf(id));
  const found = tree.state.checkpoints[id as CheckpointId];
  if (found === undefined) {
    throw new SysError(
      "ENOENT",
      `Cannot find checkpoint "${id}": absent, expected one of the list`,
    );
  }
  return { tree, view: checkpointView(tree.state, found) };
}

const ckParams = z.object({ id: z.string().regex(/^ck_[1-9]\d*\.[1-9]\d*$/) });

function checkpoints(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/checkpoints",
      summary: "Named positions of trees",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query: pageQuery.extend({ tree: treeShape.optional() }) },
      responses: { 200: json(checkpointPage, "A page of checkpoints"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, ...page } = c.req.valid("query");
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<CheckpointView>(house, c.get("who"), {
        view,
        tree,
        all: true,
        page,
        idOf: ({ id }) => id,
        of: (hosted) =>
          Object.values(hosted.tree.state.checkpoints)
            .map((one) => checkpointView(hosted.tree.state, one)),
      });
      return c.json(found, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/checkpoints/{id}",
      summary: "One checkpoint",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: ckParams },
      responses: { 200: json(checkpointShape, "The checkpoint"), ...REFUSALS },
    }),
    async (c) => {
      const { view } = await seenCheckpoint(house, c.get("who"), c.req.valid("param").id);
      return c.json(view, 200);
    },
  );
}

function naming(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/processes/{pid}/checkpoints",
      summary: "Give the position of a process's tree a name",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: {
        params: z.object({ pid: pidShape }),
        body: body(z.strictObject({ name: z.string().min(1).max(128) }).openapi("CheckpointName")),
      },
      responses: { 201: json(checkpointShape, "The checkpoint"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { tree } = await seenProcess(house, who, c.req.valid("param").pid as Pid);
      const { name } = c.req.valid("json");
      const taken = await checkpointOf(house, tree, { name, by: who.name });
      return c.json(checkpointView(tree.state, taken), 201);
    },
  );
}

/** Gives the position a tree is at a name; it is durable when this returns. */
export async function checkpointOf(house: House, tree: Tree, given: {
  readonly name: string;
  readonly by: string;
}): Promise<Checkpoint> {
  const { node } = house.runtime;
  refuseElsewhere(house, tree);
  const draft = new Draft(tree, node.options.world.clock.now());
  const id = takeCheckpoint(draft, given);
  tree.commit(draft);
  node.changed(tree);
  await node.durable(tree);
  return tree.state.checkpoints[id]!;
}

function travel(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/checkpoints/{id}/preview",
      summary: "What going back would do, and what it cannot undo",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: ckParams },
      responses: { 200: json(rollbackPreviewShape, "The preview"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, view } = await seenCheckpoint(house, c.get("who"), c.req.valid("param").id);
      return c.json(await previewOf(house, tree, view.seq), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/checkpoints/{id}/rollback",
      summary: "Take the tree back; what was revoked, spent or answered since stays so",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: { params: ckParams, body: body(rollbackShape) },
      responses: { 200: json(treeViewShape, "The tree"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { tree, view } = await seenCheckpoint(house, who, c.req.valid("param").id);
      const { files } = c.req.valid("json");
      const { node } = house.runtime;
      await restoreTree(node, tree.state.tree, { to: view.seq, by: who.name, files });
      return c.json(await shownTree(house, await node.open(tree.state.tree)), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/checkpoints/{id}/fork",
      summary: "Start a new tree from here, with edits; no authority that could be used twice",
      description: "Role: operator; admin for another policy.",
      middleware: [need("operator")] as const,
      request: { params: ckParams, body: body(forkShape) },
      responses: { 201: json(processShape, "The root of the new tree"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { tree, view } = await seenCheckpoint(house, who, c.req.valid("param").id);
      const edits = Object.fromEntries(
        Object.entries(c.req.valid("json")).filter(([, value]) => value !== undefined),
      ) as BranchEdits;
      if (edits.policy !== undefined) await need("admin")(c, async () => {});
      const { node } = house.runtime;
      const pid = await forkTree(node, tree.state.tree, { at: view.seq, by: who.name, edits });
      const hosted = await node.hosted(treeOf(pid));
      c.header("location", `/v1/processes/${pid}`);
      return c.json(processView(hosted, hosted.tree.state.processes[pid]!), 201);
    },
  );
}

async function previewOf(
  house: House,
  tree: Tree,
  to: number,
): Promise<z.infer<typeof rollbackPreviewShape>> {
  const { node } = house.runtime;
  await node.durable(tree);
  const { since } = await pastOf(node, await node.hosted(tree.state.tree), to);
  const { files } = node.options.world;
  const undo = files === null ? [] : await planUndo(files, since.touches);
  return {
    to,
    effects: since.effects.map((effect) => ({
      seq: effect.seq,
      pid: effect.pid,
      name: effect.name,
      what: callText({ ...effect, decision: { needs: [], by: [], effect: "allow" } } as never),
      ok: effect.result?.ok ?? null,
    })),
    messages: since.messages.length,
    files: undo.map(({ path, action, state, why }) => ({
      path,
      does: action,
      conflict: state === "ready" || state === "done" ? null : `${state}${why && `: ${why}`}`,
    })),
  };
}
