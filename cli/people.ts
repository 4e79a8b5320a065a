/**
 * Requests as people read them: `approvals`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { canonical } from "../kernel/json.ts";
import type { RequestRecord } from "../kernel/state.ts";
import type { PersonRequest } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { quoted } from "../providers/printable.ts";
import { pendingRequests, shownRequest } from "../runtime/people.ts";
import { bestOf } from "../runtime/suggest.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { answerText } from "../runtime/line_text.ts";
import { list, show } from "./output.ts";
import { expiryText } from "./process_text.ts";
import { findRequest, headsOf, reading, treeIn } from "./store.ts";
import { short, spanOf } from "../runtime/wording.ts";

/** `approvals`. */
export const approvals: Command = {
  name: "approvals",
  group: "people",
  usage: "[ls | show ID]",
  about: "List the requests that wait for an answer, or show one in full",
  examples: ["libos approvals", "libos approvals show req_1.1"],
  options: {},
  words: [0, 2],
  async run(at) {
    const [verb = "ls", id, ...rest] = at.words;
    if (verb === "show" && id !== undefined) return await showOne(at, id);
    if (verb !== "ls" || id !== undefined || rest.length > 0) {
      throw new UsageError(`Cannot run "approvals ${verb}": expected ${approvals.usage}`);
    }
    const requests = await reading(at, async (store) => {
      const found: PersonRequest[] = [];
      for (const { tree } of await headsOf(store, false)) {
        const loaded = await treeIn(store, tree);
        for (const one of pendingRequests([loaded])) {
          found.push(shownRequest(one.tree, one.request));
        }
      }
      return found.sort((a, b) => a.createdMs - b.createdMs);
    });
    const nowMs = realClock.now();
    list(at, requests, {
      columns: [
        { head: "ID", of: ({ id }) => id },
        { head: "AGE", of: (request) => ageText(request, nowMs) },
        { head: "RISK", of: ({ risk }) => risk },
        { head: "KIND", of: ({ kind }) => kind },
        { head: "PID", of: ({ pid }) => pid },
        { head: "WHAT", of: whatText },
        { head: "SUGGESTED", of: suggestedText },
        { head: "EXPIRES", of: ({ expiresMs }) => expiryText(expiresMs, nowMs) },
        { head: "TOOL", wide: true, of: ({ tool }) => tool?.name ?? "-" },
        { head: "TO", wide: true, of: ({ who }) => who ?? "-" },
        { head: "LINEAGE", wide: true, of: ({ lineage }) => lineage.join(" > ") },
      ],
      name: ({ id }) => id,
      none: "Nothing waits for an answer",
    });
    return 0;
  },
};

/** How long it waits; with a mark when it was said that nobody answers. */
function ageText({ createdMs, escalatedMs }: PersonRequest, nowMs: number): string {
  return `${spanOf(nowMs - createdMs)}${escalatedMs === null ? "" : "!"}`;
}

/** What to approve it with: the narrowest that would have covered the most. */
function suggestedText({ suggestions, people }: PersonRequest): string {
  const best = bestOf(suggestions);
  const both = people.needed > 1 ? ` (${people.agreed.length}/${people.needed} agreed)` : "";
  if (best === undefined) return `-${both}`;
  const rule = `${best.right}(${best.resource})`;
  return `${best.scope === "once" ? "once" : `${best.scope}: ${rule}`}${both}`;
}

function whatText({ call, prompt }: PersonRequest): string {
  return call === undefined ? short(prompt, 60) : `${call.name} ${call.resource}`;
}

async function showOne(at: Context, word: string): Promise<number> {
  const { tree, id, request } = await reading(at, (store) => findRequest(store, word));
  if (request === undefined) {
    const state = "answered or withdrawn, expected one that is kept";
    throw new SysError("ENOENT", `Cannot show request "${id}": ${state}; see libos audit`);
  }
  const shown = shownRequest(tree, request);
  show(at, { ...shown, status: request.status, answer: request.answer, by: request.by }, {
    name: id,
    lines: requestLines(shown, request),
  });
  return 0;
}

function requestLines(shown: PersonRequest, request: RequestRecord): string[] {
  const { call } = shown;
  const said = request.answer === null ? "" : ` ${answerText(request.answer)} by ${request.by}`;
  const lines = [
    `Request:  ${shown.id}  ${shown.kind}, risk ${shown.risk}`,
    `Status:   ${request.status}${said}`,
    `Who:      ${shown.pid} (${shown.lineage.join(" > ")})`,
    ...(shown.tool === undefined ? [] : [`Tool:     ${shown.tool.name}@${shown.tool.hash}`]),
    ...(shown.who === undefined ? [] : [`To:       ${shown.who}`]),
    `Expires:  ${expiryText(shown.expiresMs, realClock.now())}`,
    ...(shown.escalatedMs === null ? [] : [`Waits:    escalated ${escalatedText(shown)}`]),
    ...(shown.because === undefined ? [] : [`Because:  ${shown.because}`]),
    ...(shown.people.needed === 1 ? [] : [`People:   ${peopleText(shown)}`]),
  ];
  if (call !== undefined) {
    lines.push(`What:     ${call.name}: ${call.right}(${call.resource})`);
    lines.push(`Args:     sha256:${call.argsHash}`, ...bars(canonical(call.args)));
  }
  if (shown.preview !== undefined) lines.push("Preview:", ...bars(shown.preview));
  for (const { scope, right, resource, matched } of shown.suggestions) {
    if (scope === "once") continue;
    const past = `matches ${matched} of its latest calls`;
    lines.push(`Could be: ${scope} ${right}(${resource}), ${past}`);
  }
  lines.push("Why, as the agent says:", ...bars(shown.prompt));
  if (request.choices.length > 0) lines.push(`Choices:  ${request.choices.join(", ")}`);
  return lines;
}

function escalatedText({ escalatedMs }: PersonRequest): string {
  return `${spanOf(realClock.now() - escalatedMs!)} ago: nobody has answered`;
}

function peopleText({ people }: PersonRequest): string {
  const who = people.agreed.length === 0 ? "nobody has" : `${people.agreed.join(", ")} has`;
  return `${people.needed} have to agree; ${who}`;
}

function bars(text: string): string[] {
  return quoted(text, Infinity).text.split("\n");
}
