/**
 * Requests to people as the API shows them.
 * @module
 */

import type { EventMap, Line } from "../../kernel/event.ts";
import { lasting } from "../../kernel/grant.ts";
import type { Json } from "../../kernel/json.ts";
import type { RequestRecord } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { PersonRequest, Scope } from "../../kernel/world.ts";
import { shownRequest } from "../../runtime/people.ts";
import { isConfined, type Principal, reaches } from "../principal.ts";
import type { RequestView } from "../schema/request.ts";
import { ownerOf, timeText } from "./process.ts";

/** Who looks at a request. */
export interface Viewer extends Principal {
  /** Whether they may approve what they started themselves. */
  readonly isSelfApproved: boolean;
}

/**
 * A request, for somebody who may see it. Whoever may answer reads all of it: it was written for
 * them, and what they say is in the log. Others see what it is about, and no values.
 */
export function requestView(tree: Tree, request: RequestRecord, who: Viewer): RequestView {
  const view = wholeRequest(tree, request, who);
  if (view.revealed) return view;
  const { call, answer } = view;
  return {
    ...view,
    call: call === null ? null : { ...call, args: null },
    preview: null,
    answer: answer === null ? null : withoutValues(answer as Record<string, Json>),
  };
}

function withoutValues({ args: _, value: __, ...rest }: Record<string, Json>): Json {
  return rest;
}

function wholeRequest(tree: Tree, request: RequestRecord, who: Viewer): RequestView {
  const shown = shownRequest(tree, request);
  const { state } = tree;
  const process = state.processes[request.pid];
  const image = state.images[process?.image ?? ""];
  const owner = ownerOf(state);
  const { call } = shown;
  const scopes = shown.scopes.filter((scope) => maySay(who, scope));
  return {
    id: shown.id,
    kind: shown.kind,
    status: request.status,
    tree: state.tree,
    pid: shown.pid,
    image: `${image?.name}@${image?.version}`,
    goal: process?.goal ?? "",
    lineage: [...shown.lineage],
    askers: [...shown.askers ?? []],
    who: shown.who ?? null,
    prompt: shown.prompt,
    call: call === undefined ? null : { ...call },
    revealed: reaches(who.role, "approver"),
    tool: shown.tool ?? null,
    schema: shown.schema === undefined ? null : { ...shown.schema },
    choices: [...shown.choices ?? []],
    risk: shown.risk,
    because: becauseOf(request, shown),
    preview: previewOf(shown),
    suggestions: shown.suggestions.filter(({ scope }) => maySay(who, scope))
      .map((one) => ({ ...one })),
    scopes,
    lasts: scopes.map((scope) => ({ scope, forMs: lasting(scope) })),
    people: { needed: shown.people.needed, agreed: [...shown.people.agreed] },
    similar: null,
    createdAt: timeText(shown.createdMs),
    expiresAt: shown.expiresMs === null ? null : timeText(shown.expiresMs),
    escalatedAt: shown.escalatedMs === null ? null : timeText(shown.escalatedMs),
    answer: request.answer === null ? null : { ...request.answer },
    by: request.by,
    owner,
    mayDecide: request.status === "pending" && reaches(who.role, "approver") &&
      (who.isSelfApproved || owner !== who.name || request.kind === "question"),
  };
}

/** A rule of the policy reaches trees that are not seen: it comes to be in their common file. */
export function maySay(who: Principal, scope: Scope | undefined): boolean {
  return scope !== "policy" || !isConfined(who);
}

/** The rule that says ask, with its reason; or why the call itself wants a person. */
function becauseOf({ rule }: RequestRecord, shown: PersonRequest): string | null {
  const [first = ""] = shown.preview?.split("\n", 1) ?? [];
  const { because } = shown;
  if (rule === undefined || because === undefined) {
    return first.startsWith("because ") ? first.slice("because ".length) : null;
  }
  const source = because.slice(rule.text.length);
  const known = `because of rule "${rule.text}"${source}: `;
  return first.startsWith(known) ? `${because}: ${first.slice(known.length)}` : because;
}

/** What there is to see, without the line that says why a person is asked. */
function previewOf({ preview, kind }: PersonRequest): RequestView["preview"] {
  if (preview === undefined) return null;
  const body = preview.split("\n").filter((line, i) => i > 0 || !line.startsWith("because "))
    .join("\n");
  if (body.trim() === "") return null;
  if (kind === "review") return { kind: "source", body };
  const lines = body.split("\n");
  const added = lines.filter((line) => line.startsWith("+")).length;
  const removed = lines.filter((line) => line.startsWith("-")).length;
  if (added + removed > 0 && lines.every((line) => /^[-+ @]|^$/.test(line))) {
    return { kind: "diff", body, added, removed };
  }
  return { kind: /^https?:\/\//.test(body) ? "url" : "text", body };
}

/** How others for the same right were answered, as the lines tell. */
export function similarOf(
  lines: readonly Line[],
  request: RequestRecord,
): { approved: number; denied: number } {
  const alike = new Set<string>();
  const found = { approved: 0, denied: 0 };
  for (const { type, data } of lines) {
    if (type === "human.asked") {
      const { id, call } = data as EventMap["human.asked"];
      if (call !== null && call.right === request.call?.right && id !== request.id) alike.add(id);
    } else if (type === "human.answered") {
      const { id, answer } = data as EventMap["human.answered"];
      if (!alike.has(id)) continue;
      if (answer.outcome === "deny") found.denied += 1;
      else found.approved += 1;
    }
  }
  return found;
}
