/**
 * Approvals: the requests that wait for people, and what people say to them.
 *
 * Invariants:
 *   R1. Who decides is who the token says; nobody decides what their own token asked for.
 *   R2. A decision is bound to the call that was shown: where there is one, its hash is required;
 *       and a yes to those who were shown to ask.
 *   R3. Who sees some labels only decides nothing that reaches further.
 * @module
 */

import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { diffText } from "../../kernel/diff.ts";
import { SysError } from "../../kernel/errors.ts";
import { type CapId, type RequestId, treeOf } from "../../kernel/ids.ts";
import type { RequestRecord } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { PersonAnswer } from "../../kernel/world.ts";
import { latest } from "../../runtime/matches.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import type { Principal } from "../principal.ts";
import { Refusal } from "../problem.ts";
import { decideAllShape, decidedAllShape, decidedShape, decideShape } from "../schema/request.ts";
import { matchesShape, REQUEST_KINDS, requestPage, requestShape } from "../schema/request.ts";
import type { RequestView } from "../schema/request.ts";
import { pageQuery, requestIdShape, treeShape } from "../schema/shape.ts";
import { pageOfTrees } from "../search.ts";
import { seenTree } from "../sight.ts";
import { ownerOf, timeText } from "../view/process.ts";
import { maySay, requestView, similarOf, type Viewer } from "../view/request.ts";
import { body, json, REFUSALS } from "./answer.ts";

type Decision = z.output<typeof decideShape>["decision"];

const params = z.object({ id: requestIdShape });

/** Adds them. */
export function requestRoutes(app: Api, house: House): void {
  listing(app, house);
  showing(app, house);
  deciding(app, house);
  matching(app, house);
}

/** A request of a tree that somebody may see. Throws `ENOENT`. */
async function seenRequest(
  house: House,
  who: Principal,
  id: string,
): Promise<{ readonly tree: Tree; readonly request: RequestRecord | undefined }> {
  const tree = await seenTree(house, who, treeOf(id));
  const known = tree.state.requests;
  const request = Object.hasOwn(known, id) ? known[id as RequestId] : undefined;
  const isAbsent = request === undefined && Number(id.split(".")[1]) >= tree.state.next.req;
  if (isAbsent) {
    throw new SysError("ENOENT", `Cannot find request "${id}": absent, expected one of the list`);
  }
  return { tree, request };
}

function listing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/approvals",
      summary: "Requests, those that wait by default",
      description: "Answered ones are shown as long as their askers have not heard. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: {
        query: pageQuery.extend({
          status: z.enum(["pending", "all"]).default("pending"),
          kind: z.enum(REQUEST_KINDS).optional(),
          risk: requestShape.shape.risk.optional(),
          tree: treeShape.optional(),
        }),
      },
      responses: { 200: json(requestPage, "A page of requests"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { status, kind, risk, tree, ...page } = c.req.valid("query");
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<RequestView>(house, who, {
        view,
        tree,
        all: false,
        asking: status === "pending",
        page,
        idOf: ({ id }) => id,
        of: ({ tree }) =>
          Object.values(tree.state.requests)
            .filter((one) =>
              (status === "all" || one.status === "pending") &&
              (kind === undefined || one.kind === kind) &&
              (risk === undefined || one.risk === risk)
            )
            .map((one) => requestView(tree, one, viewer(house, who))),
      });
      return c.json(found, 200);
    },
  );
}

function showing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/approvals/{id}",
      summary: "One request, with how others like it were answered",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params },
      responses: { 200: json(requestShape, "The request"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { id } = c.req.valid("param");
      const { tree, request } = await seenRequest(house, who, id);
      if (request === undefined) throw over(id);
      const lines = await Array.fromAsync(
        latest(house.runtime.node.options.store, tree.state.tree),
      );
      const similar = similarOf(lines, request);
      return c.json({ ...requestView(tree, request, viewer(house, who)), similar }, 200);
    },
  );
}

function viewer(house: House, who: Principal): Viewer {
  return { ...who, isSelfApproved: house.isSelfApproved };
}

function over(id: string): SysError {
  const state = "answered or withdrawn, and its asker has heard; the log has it";
  return new SysError("ENOENT", `Cannot show request "${id}": ${state}`);
}

function deciding(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/approvals/decide",
      summary:
        "The same answer to several that are alike: one right, one pattern, nothing destructive",
      description: "Each is bound to its own hash and answered by itself. Role: approver.",
      middleware: [need("approver")] as const,
      request: { body: body(decideAllShape) },
      responses: { 200: json(decidedAllShape, "What became of each"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { items, decision } = c.req.valid("json");
      refuseWide(who, decision);
      for (const { id } of items) {
        const { tree } = await seenRequest(house, who, id);
        refuseOwn(house, who, { tree, kind: "permission", outcome: decision.outcome });
      }
      const found = await house.runtime.approvals.decideAll(items, decision as PersonAnswer, {
        actor: who.name,
        strict: !house.isSelfApproved,
      });
      return c.json({
        items: found.map((one) => ({
          id: one.id,
          ok: one.ok,
          code: one.ok ? null : one.code,
          detail: one.ok ? null : one.message,
        })),
      }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/approvals/{id}/decision",
      summary: "Answer a request",
      description:
        "409 `ESTALE`: the call changed, review it again. 409 `ESTATE`: it was decided. " +
        "410: it expired. 403 `own_request`: it is the token's own. Role: approver.",
      middleware: [need("approver")] as const,
      request: { params, body: body(decideShape) },
      responses: { 200: json(decidedShape, "What it did"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { id } = c.req.valid("param");
      return c.json(await decided(house, who, { id, ...c.req.valid("json") }), 200);
    },
  );
}

/**
 * R1: a yes to what the principal's own agents ask for. Their questions it may answer, and it may
 * always say no.
 */
function refuseOwn(house: House, who: Principal, given: {
  readonly tree: Tree;
  readonly kind: RequestRecord["kind"];
  readonly outcome: string;
}): void {
  const { tree, kind, outcome } = given;
  const isFree = outcome === "deny" || kind === "question" || kind === "notice";
  if (house.isSelfApproved || isFree || ownerOf(tree.state) !== who.name) return;
  const expected = "expected somebody else";
  throw new Refusal(
    "own_request",
    `Cannot approve what "${who.name}" itself asked for: ${expected}`,
  );
}

/** R3 */
function refuseWide(who: Principal, decision: Decision): void {
  if (decision.outcome !== "approve" || maySay(who, decision.scope)) return;
  const expected = "expected another scope: the token sees some labels only";
  throw new SysError("EACCES", `Cannot approve for the policy: ${expected}`);
}

async function decided(
  house: House,
  who: Principal,
  given: z.output<typeof decideShape> & { readonly id: string },
): Promise<z.infer<typeof decidedShape>> {
  const { id, decision, argsHash, askers } = given;
  refuseWide(who, decision);
  const { tree, request } = await seenRequest(house, who, id);
  const { outcome } = decision;
  refuseOwn(house, who, { tree, kind: request?.kind ?? "permission", outcome });
  // R2
  if (request?.call != null && argsHash === undefined) {
    const expected = "expected the argsHash of the call that was shown";
    throw new SysError("EINVAL", `Cannot answer request "${id}": no hash, ${expected}`);
  }
  const before = request === undefined ? null : requestView(tree, request, viewer(house, who));
  const policy = tree.state.policy.text;
  await house.runtime.approvals.decide(id, decision as PersonAnswer, {
    actor: who.name,
    strict: !house.isSelfApproved,
    ...(argsHash === undefined ? {} : { argsHash }),
    // A no is for whoever asks.
    ...(outcome === "deny" ? {} : { askers }),
  });
  const { tree: { state } } = await house.glances.of(tree.state.tree);
  const now = state.requests[id as RequestId];
  const view = now === undefined
    ? answered(before!, decision, who)
    : requestView(tree, now, viewer(house, who));
  const granted = Object.values(state.caps).filter(({ grant }) => grant?.request === id);
  const grants = granted.map(({ id }) => id as CapId);
  const ends = granted.map(({ expiresMs }) => expiresMs ?? Infinity);
  const lastMs = Math.max(-Infinity, ...ends);
  const grantsUntil = Number.isFinite(lastMs) ? timeText(lastMs) : null;
  const policyDiff = state.policy.text === policy ? null : diffText(policy, state.policy.text);
  return { request: view, grants, grantsUntil, policyDiff };
}

/** A request that its asker has heard the answer to already. */
function answered(
  view: RequestView,
  decision: Decision,
  who: Principal,
): RequestView {
  const status = decision.outcome === "deny"
    ? "denied"
    : decision.outcome === "answer"
    ? "answered"
    : "approved";
  return { ...view, status, answer: { ...decision }, by: who.name, mayDecide: false };
}

function matching(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/approvals/{id}/matches",
      summary: "What a rule would have matched in the tree's history",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params, query: z.object({ resource: z.string().min(1).max(1_024) }) },
      responses: { 200: json(matchesShape, "What it would have matched"), ...REFUSALS },
    }),
    async (c) => {
      const { id } = c.req.valid("param");
      await seenRequest(house, c.get("who"), id);
      const { resource } = c.req.valid("query");
      const found = await house.runtime.approvals.matches(id, resource);
      return c.json({ ...found, examples: found.examples.map((one) => ({ ...one })) }, 200);
    },
  );
}
