/**
 * Requests as people read and answer them: `approvals`.
 * @module
 */

import { SysError, toOutcome } from "../kernel/errors.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { TerminalPerson } from "../providers/person.ts";
import { oneLine, quoted } from "../providers/printable.ts";
import { answerText } from "../runtime/line_text.ts";
import { ServerRefusal } from "../server/client.ts";
import type { RequestView } from "../server/schema/request.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { list, show } from "./output.ts";
import { expiryText, msOf } from "./process_text.ts";
import { argsText, personRequestOf, requestColumns } from "./request_text.ts";
import { type System, systemOf } from "./system.ts";
import { spanOf } from "./words.ts";

/** `approvals`. */
export const approvals: Command = {
  name: "approvals",
  group: "people",
  usage: "[ls | show ID | watch]",
  about: "List the requests that wait for an answer, show one in full, or answer them as they come",
  examples: ["libos approvals", "libos approvals watch --host http://127.0.0.1:7777"],
  options: {},
  words: [0, 2],
  remote: "same",
  async run(at) {
    const [verb = "ls", id, ...rest] = at.words;
    if (verb === "show" && id !== undefined) return await showOne(at, id);
    if (verb === "watch" && id === undefined) return await watch(at);
    if (verb !== "ls" || id !== undefined || rest.length > 0) {
      throw new UsageError(`Cannot run "approvals ${verb}": expected ${approvals.usage}`);
    }
    list(at, await systemOf(at).requests(), {
      columns: requestColumns(realClock.now()),
      name: ({ id }) => id,
      none: "Nothing waits for an answer",
    });
    return EXIT.ok;
  },
};

async function showOne(at: Context, word: string): Promise<number> {
  const request = await systemOf(at).request(word);
  show(at, request, { name: request.id, lines: requestLines(request) });
  return EXIT.ok;
}

function requestLines(request: RequestView): string[] {
  const { call, tool, because, people, preview, suggestions, choices } = request;
  const said = request.answer === null
    ? ""
    : ` ${answerText(request.answer as unknown as PersonAnswer)} by ${request.by}`;
  const escalated = request.escalatedAt;
  const lines = [
    `Request:  ${request.id}  ${request.kind}, risk ${request.risk}`,
    `Status:   ${request.status}${said}`,
    `Who:      ${request.pid} (${request.lineage.join(" > ")}), ${request.image}`,
    ...(tool === null ? [] : [`Tool:     ${tool.name}@${tool.hash}`]),
    ...(request.who === null ? [] : [`To:       ${request.who}`]),
    `Expires:  ${expiryText(msOf(request.expiresAt), realClock.now())}`,
    ...(escalated === null ? [] : [
      `Waits:    escalated ${spanOf(realClock.now() - msOf(escalated)!)} ago: nobody has answered`,
    ]),
    ...(because === null ? [] : [`Because:  ${because}`]),
    ...(people.needed === 1 ? [] : [`People:   ${peopleText(request)}`]),
  ];
  if (call !== null) {
    lines.push(`What:     ${call.name}: ${call.right}(${call.resource})`);
    lines.push(`Args:     sha256:${call.argsHash}`, ...argsText(request).split("\n"));
  }
  if (preview !== null) lines.push("Preview:", ...bars(preview.body));
  for (const { scope, right, resource, matched } of suggestions) {
    if (scope === "once") continue;
    lines.push(
      `Could be: ${scope} ${right}(${resource}), matches ${matched} of its latest calls`,
    );
  }
  lines.push("Why, as the agent says:", ...bars(request.prompt));
  if (request.status === "pending" && request.lasts.length > 0) {
    lines.push(`Scopes:   ${lastsText(request)}; --for says another time`);
  }
  if (choices.length > 0) lines.push(`Choices:  ${choices.join(", ")}`);
  return lines;
}

/** How far a yes may reach, and how long it holds where nothing is said. */
function lastsText({ lasts }: RequestView): string {
  return lasts.map(({ scope, forMs }) => `${scope} ${forMs === null ? "for good" : spanOf(forMs)}`)
    .join(", ");
}

function peopleText({ people }: RequestView): string {
  const who = people.agreed.length === 0 ? "nobody has" : `${people.agreed.join(", ")} has`;
  return `${people.needed} have to agree; ${who}`;
}

function bars(text: string): string[] {
  return quoted(text, Infinity).text.split("\n");
}

/** Puts requests before whoever sits at the terminal, one after the other, as they come. */
async function watch(at: Context): Promise<number> {
  if (!at.io.isInteractive) {
    const expected = "expected one; libos approvals lists them, libos approve and deny answer";
    throw new UsageError(`Cannot watch requests: no terminal, ${expected}`);
  }
  const system = systemOf(at);
  const person = TerminalPerson.open({
    matches: ({ id }, resource) => system.matches(id, resource),
  });
  const desk = new WatchedDesk(at, system, person);
  const off = at.io.onInterrupt(() => desk.stop());
  try {
    await desk.run();
    return EXIT.interrupted;
  } finally {
    off();
  }
}

/** The requests of a system, before one person. */
class WatchedDesk {
  readonly #at: Context;
  readonly #system: System;
  readonly #person: TerminalPerson;
  readonly #over = new AbortController();
  readonly #seen = new Set<string>();
  #pending: readonly RequestView[] = [];
  #shown: { readonly id: string; readonly withdraw: AbortController } | null = null;
  #changed = Promise.withResolvers<void>();

  constructor(at: Context, system: System, person: TerminalPerson) {
    this.#at = at;
    this.#system = system;
    this.#person = person;
  }

  /** Withdraws what is on the screen, and ends. */
  stop(): void {
    this.#over.abort();
    this.#shown?.withdraw.abort();
    this.#changed.resolve();
  }

  /** Asks until it is stopped. */
  async run(): Promise<void> {
    this.#at.io.err("Requests are shown as they come; Ctrl-C ends\n");
    const listening = this.#listen();
    listening.catch(() => this.stop());
    while (!this.#over.signal.aborted) {
      const next = this.#pending.find(({ id }) => !this.#seen.has(id));
      if (next !== undefined) await this.#ask(next);
      else {
        await this.#changed.promise;
        this.#changed = Promise.withResolvers();
      }
    }
    await listening;
  }

  async #listen(): Promise<void> {
    for await (const _ of this.#system.changes(this.#over.signal)) {
      this.#pending = await this.#system.requests();
      const isGone = !this.#pending.some(({ id }) => id === this.#shown?.id);
      // Answered elsewhere, expired or withdrawn.
      if (isGone) this.#shown?.withdraw.abort();
      this.#changed.resolve();
    }
  }

  async #ask(request: RequestView): Promise<void> {
    const withdraw = new AbortController();
    this.#seen.add(request.id);
    this.#shown = { id: request.id, withdraw };
    const said = await this.#person.ask(personRequestOf(request), withdraw.signal);
    this.#shown = null;
    if (said === undefined) return;
    const isRead = request.kind === "notice" && said.outcome === "answer";
    try {
      const lines = await this.#system.decide(request, isRead ? { outcome: "approve" } : said);
      for (const line of lines) this.#at.io.err(`${oneLine(line)}\n`);
    } catch (thrown) {
      if (!(thrown instanceof SysError) && !(thrown instanceof ServerRefusal)) throw thrown;
      const { message, code } = thrown instanceof SysError ? toOutcome(thrown) : thrown;
      this.#at.io.err(`${oneLine(message)} [${code}]\n`);
      // What did not fit is asked again, while it waits.
      if (["EINVAL", "ESTALE", "EPERM"].includes(code)) this.#seen.delete(request.id);
    }
  }
}
