/**
 * Answering requests: `approvals`, `approve`, `deny`, `answer`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { EventMap, Line } from "../kernel/event.ts";
import { matchRight, type Pattern } from "../kernel/grammar.ts";
import { canonical } from "../kernel/json.ts";
import type { RequestRecord } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import { type PersonAnswer, type PersonRequest, type Scope, SCOPES } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { quoted } from "../providers/printable.ts";
import { pendingRequests, shownRequest } from "../runtime/people.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { answerText } from "../runtime/line_text.ts";
import { give, operatorOf, type Taken } from "./order.ts";
import { list, show } from "./output.ts";
import { expiryText } from "./processes.ts";
import { findRequest, headsOf, reading, treeIn } from "./store.ts";
import { countOf, durationOf, patternOf, short, spanOf, timeOf, valueOf } from "./words.ts";

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
        { head: "AGE", of: ({ createdMs }) => spanOf(nowMs - createdMs) },
        { head: "RISK", of: ({ risk }) => risk },
        { head: "KIND", of: ({ kind }) => kind },
        { head: "PID", of: ({ pid }) => pid },
        { head: "WHAT", of: whatText },
        { head: "EXPIRES", of: ({ expiresMs }) => expiryText(expiresMs, nowMs) },
        { head: "TO", wide: true, of: ({ who }) => who ?? "-" },
        { head: "LINEAGE", wide: true, of: ({ lineage }) => lineage.join(" > ") },
      ],
      name: ({ id }) => id,
      none: "Nothing waits for an answer",
    });
    return 0;
  },
};

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
    ...(shown.who === undefined ? [] : [`To:       ${shown.who}`]),
    `Expires:  ${expiryText(shown.expiresMs, realClock.now())}`,
  ];
  if (call !== undefined) {
    lines.push(`What:     ${call.name}: ${call.right}(${call.resource})`);
    lines.push(`Args:     sha256:${call.argsHash}`, ...bars(canonical(call.args)));
  }
  if (shown.preview !== undefined) lines.push("Preview:", ...bars(shown.preview));
  lines.push("Why, as the agent says:", ...bars(shown.prompt));
  if (request.choices.length > 0) lines.push(`Choices:  ${request.choices.join(", ")}`);
  return lines;
}

function bars(text: string): string[] {
  return quoted(text, Infinity).text.split("\n");
}

/** `approve`. */
export const approve: Command = {
  name: "approve",
  group: "people",
  usage: "ID [--scope once|process|subtree|tree] [--for 15m] [--uses N] [--rule R] [-m NOTE]",
  about: "Say yes to a request",
  examples: [
    "libos approve req_1.1",
    "libos approve req_1.1 --scope process --for 15m --rule 'file.write(./out/*.md)'",
  ],
  options: {
    scope: { type: "string" },
    for: { type: "string" },
    uses: { type: "string" },
    rule: { type: "string" },
    message: { type: "string", short: "m" },
  },
  words: [1, 1],
  async run(at) {
    const { flags } = at;
    const rule = flags.text("rule");
    const pattern = rule === undefined ? undefined : patternOf(rule);
    const uses = countOf(flags.text("uses"), "--uses");
    const forMs = durationOf(flags.text("for"));
    const note = flags.text("message");
    const wider = pattern !== undefined || uses !== undefined ? "process" : "once";
    const scope = scopeOf(flags.text("scope") ?? wider);
    if (scope === "once" && wider !== "once") {
      throw new UsageError("Cannot widen an approval for once: expected --scope process or wider");
    }
    return await say(at, {
      outcome: "approve",
      scope,
      ...(forMs === undefined ? {} : { forMs }),
      ...(uses === undefined ? {} : { uses }),
      ...(pattern === undefined ? {} : { resource: pattern.resource }),
      ...(note === undefined ? {} : { note }),
    }, pattern);
  },
};

/** `deny`. */
export const deny: Command = {
  name: "deny",
  group: "people",
  usage: "ID -m WHY",
  about: "Say no to a request; the agent is told why",
  examples: [
    'libos deny req_1.1 -m "use the cached copy in ./notes"',
    'libos deny req_1.2 --message "not now"',
  ],
  options: { message: { type: "string", short: "m" } },
  words: [1, 1],
  async run(at) {
    const reason = at.flags.text("message");
    if (reason === undefined) {
      throw new UsageError('Cannot run "deny": no reason, expected -m WHY');
    }
    return await say(at, { outcome: "deny", reason });
  },
};

/** `answer`. */
export const answer: Command = {
  name: "answer",
  group: "people",
  usage: "ID VALUE",
  about: "Answer a question: JSON, or a text as it is",
  examples: ["libos answer req_1.2 blue", "libos answer req_1.2 '{\"port\":8080}'"],
  options: {},
  words: [2, 2],
  run(at) {
    return say(at, { outcome: "answer", value: valueOf(at.words[1]!) });
  },
};

function scopeOf(word: string): Scope {
  if ((SCOPES as readonly string[]).includes(word)) return word as Scope;
  throw new UsageError(`Cannot approve for "${word}": unknown, expected ${SCOPES.join(", ")}`);
}

async function say(at: Context, said: PersonAnswer, pattern?: Pattern): Promise<number> {
  const { tree, id, request } = await reading(at, (store) => findRequest(store, at.words[0]!));
  const right = request?.call?.right;
  if (pattern !== undefined && right !== undefined && !matchRight(pattern.right, right)) {
    const state = `the request is for "${right}"`;
    throw new UsageError(`Cannot approve "${pattern.right}": ${state}, expected the same right`);
  }
  const taken = await give(at, tree.state.tree, {
    kind: "answer",
    request: id,
    answer: textFor(request, said),
    ...(request?.call == null ? {} : { argsHash: request.call.argsHash }),
    by: operatorOf(at),
  });
  show(at, { request: id, answer: said, by: operatorOf(at), grants: grantsOf(taken.lines, id) }, {
    name: id,
    lines: saidLines(at, { tree, said, id, taken }),
  });
  return 0;
}

/** Where a text is wanted, `42` is that text and no number. */
function textFor(request: RequestRecord | undefined, said: PersonAnswer): PersonAnswer {
  if (said.outcome !== "answer" || typeof said.value === "string") return said;
  const type = request?.schema?.["type"];
  const wantsText = request !== undefined && (request.schema === null || type === "string");
  return wantsText ? { outcome: "answer", value: canonical(said.value) } : said;
}

function grantsOf(lines: readonly Line[], id: string): EventMap["cap.granted"][] {
  return lines.filter(({ type }) => type === "cap.granted")
    .map(({ data }) => data as EventMap["cap.granted"])
    .filter(({ grant }) => grant?.request === id);
}

function saidLines(at: Context, { tree, said, id, taken }: {
  readonly tree: Tree;
  readonly said: PersonAnswer;
  readonly id: string;
  readonly taken: Taken;
}): string[] {
  const lines = [`${answerText(said)} ${id} by ${operatorOf(at)}`];
  for (const cap of grantsOf(taken.lines, id)) {
    const until = cap.expiresMs === null ? "" : ` until ${timeOf(cap.expiresMs)} UTC`;
    const uses = cap.usesMax === null ? "" : `, uses: ${cap.usesMax}`;
    const under = cap.parent === null ? "" : ` (⊂ ${cap.parent})`;
    const what = `${cap.id} allow ${cap.right}(${cap.resource}) to ${cap.subject}`;
    lines.push(`granted ${what}${until}${uses}${under}`);
  }
  if (!taken.isRunning) lines.push(goOnText(tree));
  return lines;
}

/** What to do when no kernel runs. */
export function goOnText({ state }: Tree): string {
  const pid = `p_${state.tree.slice(2)}`;
  const jit = Object.keys(state.tools).length === 0 ? "" : " --jit";
  return `No kernel runs on this store: libos run FILE ${pid} --resume${jit} goes on`;
}
