/**
 * Requests as people read them, from the API's shapes.
 * @module
 */

import { canonical, type Json, type JsonObject } from "../kernel/json.ts";
import type { PersonRequest } from "../kernel/world.ts";
import { quoted } from "../providers/printable.ts";
import { bestOf } from "../runtime/suggest.ts";
import type { RequestView } from "../server/schema/request.ts";
import type { Column } from "./output.ts";
import { expiryText, msOf } from "./process_text.ts";
import { short, spanOf } from "./words.ts";

/** The columns of `approvals`. */
export function requestColumns(nowMs: number): Column<RequestView>[] {
  return [
    { head: "ID", of: ({ id }) => id },
    { head: "AGE", of: (request) => ageText(request, nowMs) },
    { head: "RISK", of: ({ risk }) => risk },
    { head: "KIND", of: ({ kind }) => kind },
    { head: "PID", of: ({ pid }) => pid },
    { head: "WHAT", of: whatText },
    { head: "SUGGESTED", of: suggestedText },
    { head: "EXPIRES", of: ({ expiresAt }) => expiryText(msOf(expiresAt), nowMs) },
    { head: "TOOL", wide: true, of: ({ tool }) => tool?.name ?? "-" },
    { head: "TO", wide: true, of: ({ who }) => who ?? "-" },
    { head: "LINEAGE", wide: true, of: ({ lineage }) => lineage.join(" > ") },
  ];
}

/** How long it waits; with a mark when it was said that nobody answers. */
function ageText({ createdAt, escalatedAt }: RequestView, nowMs: number): string {
  return `${spanOf(nowMs - Date.parse(createdAt))}${escalatedAt === null ? "" : "!"}`;
}

/** What to approve it with: the narrowest that would have covered the most. */
function suggestedText({ suggestions, people }: RequestView): string {
  const best = bestOf(suggestions);
  const both = people.needed > 1 ? ` (${people.agreed.length}/${people.needed} agreed)` : "";
  if (best === undefined) return `-${both}`;
  const rule = `${best.right}(${best.resource})`;
  return `${best.scope === "once" ? "once" : `${best.scope}: ${rule}`}${both}`;
}

/** What is asked for: `file.write ./out/report.md (+42 −0)`. */
export function whatText({ call, prompt, preview }: RequestView): string {
  if (call === null) return short(prompt.replaceAll(/\s+/g, " "), 60);
  const size = preview?.kind === "diff" ? ` (+${preview.added} −${preview.removed})` : "";
  return `${call.name} ${call.resource}${size}`;
}

/** How much of the past a rule would have covered. */
export function matchesText(
  { matched, of, asked }: { readonly matched: number; readonly of: number; readonly asked: number },
  right: string,
): string {
  return `would have matched ${matched} of the last ${of} ${right} calls, ` +
    `${asked} of them asked about; it can not be handed on`;
}

/** A request as somebody at a terminal is shown it. */
export function personRequestOf(view: RequestView): PersonRequest {
  const { call, tool, schema, choices, preview, who, because } = view;
  return {
    id: view.id as PersonRequest["id"],
    kind: view.kind,
    pid: view.pid,
    lineage: view.lineage,
    askers: view.askers,
    prompt: view.prompt,
    risk: view.risk,
    ...(who === null ? {} : { who }),
    ...(call === null ? {} : { call: { ...call, args: call.args as Json } }),
    ...(tool === null ? {} : { tool }),
    ...(schema === null ? {} : { schema: schema as JsonObject }),
    ...(choices.length === 0 ? {} : { choices }),
    ...(preview === null ? {} : { preview: preview.body }),
    ...(because === null ? {} : { because }),
    createdMs: Date.parse(view.createdAt),
    expiresMs: msOf(view.expiresAt),
    escalatedMs: msOf(view.escalatedAt),
    people: view.people,
    scopes: view.scopes,
    suggestions: view.suggestions,
  } as PersonRequest;
}

/** The arguments of a call as text. */
export function argsText({ call }: RequestView): string {
  return quoted(canonical((call?.args ?? null) as Json), Infinity).text;
}
