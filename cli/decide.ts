/**
 * Answering requests: `approve`, `edit`, `deny`, `answer`.
 * @module
 */

import { oneLine } from "../providers/printable.ts";
import { type Errno, SysError, toOutcome } from "../kernel/errors.ts";
import { matchRight, type Pattern } from "../kernel/grammar.ts";
import type { Json } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { type PersonAnswer, type Scope, SCOPES } from "../kernel/world.ts";
import { edited } from "../providers/editor.ts";
import { mustBeAlike } from "../runtime/decide.ts";
import type { Command, Context } from "./command.ts";
import { decidedLines, grantsOf } from "./decided.ts";
import { exitOf, UsageError } from "./exit.ts";
import { give, operatorOf } from "./order.ts";
import { list, show } from "./output.ts";
import { systemOf } from "./system.ts";
import { answerText } from "../runtime/line_text.ts";
import type { DecidedAll } from "../server/client.ts";
import type { RequestView } from "../server/schema/request.ts";
import { findRequest, reading } from "./store.ts";
import { countOf, durationOf, patternOf, valueOf } from "./words.ts";

const TOGETHER_MAX = 100;

/** `approve`. */
export const approve: Command = {
  name: "approve",
  group: "people",
  usage: `ID… [--scope ${SCOPES.join("|")}] [--for 15m|never] [--uses N] [--rule R] [-m NOTE]`,
  about: "Say yes to a request, or to several alike with one rule that covers them",
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
  words: [1, TOGETHER_MAX],
  remote: "same",
  async run(at) {
    const { flags, words } = at;
    const rule = flags.text("rule");
    const pattern = rule === undefined ? undefined : patternOf(rule);
    const uses = countOf(flags.text("uses"), "--uses");
    const isTogether = words.length > 1;
    if (isTogether && pattern === undefined) {
      throw new UsageError("Cannot approve several at once: no rule, expected --rule over all");
    }
    const isWide = (pattern !== undefined && !isTogether) || uses !== undefined;
    const scope = scopeOf(flags.text("scope") ?? (isWide ? "process" : "once"));
    if (scope === "once" && isWide) {
      throw new UsageError("Cannot widen an approval for once: expected --scope process or wider");
    }
    const forMs = lengthOf(flags.text("for"), scope);
    const note = flags.text("message");
    return await say(at, {
      outcome: "approve",
      scope,
      ...(forMs === undefined ? {} : { forMs }),
      ...(uses === undefined ? {} : { uses }),
      ...(pattern === undefined ? {} : { resource: pattern.resource }),
      ...(note === undefined ? {} : { note }),
    }, { pattern });
  },
};

/** How long an approval holds; only a rule of the policy may hold for good. */
function lengthOf(word: string | undefined, scope: Scope): number | undefined {
  if (word !== "never") return durationOf(word);
  if (scope === "policy") return undefined;
  throw new UsageError(
    `Cannot approve for ${scope} without an end: expected --for 15m or the like`,
  );
}

/** `edit`. */
export const edit: Command = {
  name: "edit",
  group: "people",
  usage: "ID [--args JSON] [-m NOTE]",
  about: "Say yes to a call with other arguments, written in EDITOR or given; the agent is told",
  examples: [
    "libos edit req_1.1",
    'libos edit req_1.1 --args \'{"path":"./out/b.md","text":"Hi"}\' -m "a.md is taken"',
  ],
  options: { args: { type: "string" }, message: { type: "string", short: "m" } },
  words: [1, 1],
  remote: "same",
  async run(at) {
    const given = at.flags.text("args");
    const note = at.flags.text("message");
    const args = given === undefined ? await editedArgs(at) : jsonOf(given, "--args");
    return await say(at, { outcome: "edit", args, ...(note === undefined ? {} : { note }) });
  },
};

/** The arguments of a request as somebody changed them in their editor. */
async function editedArgs(at: Context): Promise<Json> {
  const { io, words } = at;
  const { id, call } = await systemOf(at).request(words[0]!);
  if (call === null) {
    throw new SysError("EINVAL", `Cannot edit request "${id}": about no call, expected one`);
  }
  if (!io.isInteractive) {
    throw new UsageError("Cannot edit: no terminal, expected --args JSON");
  }
  const before = `${JSON.stringify(call.args, null, 2)}\n`;
  const after = await edited(io.env("VISUAL") ?? io.env("EDITOR") ?? "vi", before);
  if (after === before) {
    const sentence = `Cannot edit request "${id}": nothing was changed`;
    throw new SysError("ECANCELED", `${sentence}, expected libos approve or other arguments`);
  }
  return jsonOf(after, "what was written");
}

function jsonOf(text: string, what: string): Json {
  try {
    return parseJson(text) as Json;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`Cannot use ${what}: ${why}, expected JSON`);
  }
}

/** `deny`. */
export const deny: Command = {
  name: "deny",
  group: "people",
  usage: "ID… -m WHY [--stop]",
  about: "Say no to a request, or to several for one right; the agent is told why, or stopped",
  examples: [
    'libos deny req_1.1 -m "use the cached copy in ./notes"',
    'libos deny req_1.2 --message "not now" --stop',
  ],
  options: { message: { type: "string", short: "m" }, stop: { type: "boolean" } },
  words: [1, TOGETHER_MAX],
  remote: "same",
  async run(at) {
    const reason = at.flags.text("message");
    if (reason === undefined) {
      throw new UsageError('Cannot run "deny": no reason, expected -m WHY');
    }
    const stop = at.flags.on("stop") ? { stop: true } : {};
    return await say(at, { outcome: "deny", reason, ...stop });
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
  remote: "same",
  run(at) {
    const [id, value] = at.words as [string, string];
    const said = { outcome: "answer", value: valueOf(value) } as const;
    return say({ ...at, words: [id] }, said, { word: value });
  },
};

function scopeOf(word: string): Scope {
  if ((SCOPES as readonly string[]).includes(word)) return word as Scope;
  throw new UsageError(`Cannot approve for "${word}": unknown, expected ${SCOPES.join(", ")}`);
}

/** How an answer was said. */
interface Saying {
  readonly pattern?: Pattern | undefined;
  /** An answer as it was written. */
  readonly word?: string;
}

/** Gives an answer to each request that is named, after all were found to be alike. */
async function say(at: Context, said: PersonAnswer, how: Saying = {}): Promise<number> {
  if (at.client !== null) return await sayThere(at, said, how);
  const { pattern, word } = how;
  const found = await reading(
    at,
    (store) => Promise.all(at.words.map((word) => findRequest(store, word))),
  );
  const right = found.find(({ request }) => request?.call != null)?.request?.call?.right;
  if (pattern !== undefined && right !== undefined) mustMatch(pattern, right);
  const [first] = found;
  if (found.length === 1) {
    return await sayTo(at, textFor(first!.request?.schema, said, word), first!);
  }
  mustBeAlike(
    found.flatMap(({ request }) => request?.status === "pending" ? [request] : []),
    said,
  );
  let exit = 0;
  for (const one of found) {
    try {
      await sayTo(at, said, one);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      at.io.err(`${one.id}: ${oneLine(toOutcome(error).message)} [${error.code}]\n`);
      exit = exitOf(error.code);
    }
  }
  return exit;
}

async function sayTo(
  at: Context,
  said: PersonAnswer,
  found: Awaited<ReturnType<typeof findRequest>>,
): Promise<number> {
  const { grants, lines } = await answerHere(at, said, found);
  const { id } = found;
  show(at, { request: id, answer: said, by: operatorOf(at), grants }, { name: id, lines });
  return 0;
}

/** A request, and what somebody was shown of it; as it is now without. */
type Asked = Awaited<ReturnType<typeof findRequest>> & {
  readonly shown?: { readonly argsHash: string | undefined; readonly askers: number };
};

/** Answers a request of the store here; what that granted, and what to tell of it. */
export async function answerHere(
  at: Context,
  said: PersonAnswer,
  found: Asked,
): Promise<{ readonly grants: ReturnType<typeof grantsOf>; readonly lines: string[] }> {
  const { tree, id, request } = found;
  const { argsHash = request?.call?.argsHash, askers = request?.askers.length } = found.shown ?? {};
  const taken = await give(at, tree.state.tree, {
    kind: "answer",
    request: id,
    answer: said,
    ...(argsHash === undefined ? {} : { argsHash }),
    // A no is for whoever asks.
    ...(askers === undefined || said.outcome === "deny" ? {} : { askers }),
    by: operatorOf(at),
  });
  const grants = grantsOf(taken.lines, id);
  return { grants, lines: await decidedLines(at, { tree, said, request, id, taken }) };
}

/** Answers requests of a server. */
async function sayThere(
  at: Context,
  said: PersonAnswer,
  { pattern, word }: Saying,
): Promise<number> {
  const system = systemOf(at);
  const found: RequestView[] = [];
  for (const word of at.words) found.push(await system.request(word));
  const right = found.find(({ call }) => call !== null)?.call?.right;
  if (pattern !== undefined && right !== undefined) mustMatch(pattern, right);
  if (found.length > 1) return await sayToAll(at, said, found);
  const [request] = found;
  const { id } = request!;
  const lines = await system.decide(request!, textFor(request!.schema, said, word));
  show(at, { request: id, answer: said }, { name: id, lines });
  return 0;
}

async function sayToAll(
  at: Context,
  decision: PersonAnswer,
  found: readonly RequestView[],
): Promise<number> {
  const items = found.map(({ id, call, askers }) => {
    return { id, argsHash: call?.argsHash, askers: askers.length };
  });
  const path = "/v1/approvals/decide";
  const body = { items, decision };
  const done = await at.client!.send<DecidedAll>("POST", path, { body });
  list(at, done.items, {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "STATE", of: ({ ok, code }) => ok ? answerText(decision) : `refused [${code}]` },
      { head: "WHY", of: ({ detail }) => detail ?? "-" },
    ],
    name: ({ id }) => id,
    none: "Nothing was answered",
  });
  const failed = done.items.find(({ ok }) => !ok);
  return failed === undefined ? 0 : exitOf(failed.code as Errno);
}

function mustMatch(pattern: Pattern, right: string): void {
  if (matchRight(pattern.right, right)) return;
  const state = `the request is for "${right}"`;
  throw new UsageError(`Cannot approve "${pattern.right}": ${state}, expected the same right`);
}

/** Where a text is wanted, `1.10` is that text and no number. */
function textFor(
  schema: { readonly [key: string]: unknown } | null | undefined,
  said: PersonAnswer,
  word: string | undefined,
): PersonAnswer {
  const wantsText = schema === null || schema?.["type"] === "string";
  return word === undefined || !wantsText ? said : { outcome: "answer", value: word };
}
