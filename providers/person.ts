/**
 * People who answer requests: at a terminal, by a script, or not now.
 *
 * Invariants:
 *   H1. A line answers the request which is on the screen: what was typed before it, or for a
 *       request that was withdrawn, is thrown away.
 *   H2. Nothing counts as yes but what was asked for: an empty line, an unknown word, the end of
 *       the input and an aborted signal never approve.
 *   H3. A call is approved by someone who could see all of it: arguments that were cut must be
 *       viewed first, and a destructive call takes the whole word, once.
 *   H4. What agents wrote is shown by `printable` and behind a bar.
 * @module
 */

import { canonical, type Json, plain } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkAgainst } from "../kernel/schema.ts";
import type { Person, PersonAnswer, PersonRequest } from "../kernel/world.ts";
import { oneLine, quoted } from "./printable.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

const SHOWN_LENGTH_MAX = 2_000;
const TRIES_MAX = 100;
const MINUTES = LIMITS.grantExpiryMsDefault / 60_000;
const WITHDRAWN = Symbol("withdrawn");
/** Kinds that want a yes or no. */
const WANTS_WORD: readonly PersonRequest["kind"][] = ["permission", "review", "budget"];

/** Someone at a terminal. Requests that come together are asked one after the other. */
export class TerminalPerson implements Person {
  readonly #terminal: Terminal;
  #turn: Promise<unknown> = Promise.resolve();
  /** A line that is being typed; it outlives the request it was read for. */
  #typing: Promise<string | null> | undefined;

  /** Reads from and writes to `terminal`. */
  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** At the terminal of this process. */
  static open(): TerminalPerson {
    return new TerminalPerson(openTerminal());
  }

  /** Whether somebody can be asked: input and messages are both a terminal. */
  static isThere(): boolean {
    return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  }

  /** Shows the request and waits for its answer; undefined at the end of the input or on abort. */
  ask(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined> {
    const asked = this.#turn.then(() => this.#ask(request, signal));
    this.#turn = asked.catch(() => undefined);
    if (signal.aborted) return Promise.resolve(undefined);
    return unlessAborted(asked, signal).catch((thrown) => {
      if (thrown !== WITHDRAWN) throw thrown;
      return undefined;
    });
  }

  async #ask(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined> {
    if (signal.aborted) return undefined;
    this.#show(request);
    if (request.kind === "notice") return { outcome: "answer", value: null };
    try {
      if (!await this.#clear(signal)) return undefined;
      const answer = WANTS_WORD.includes(request.kind)
        ? await this.#permit(request, signal)
        : await this.#question(request, signal);
      return signal.aborted ? undefined : answer;
    } catch (thrown) {
      if (thrown !== WITHDRAWN) throw thrown;
      this.#terminal.write(`\n  ${oneLine(request.id)} was withdrawn\n`);
      return undefined;
    }
  }

  async #permit(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined> {
    const isDestructive = request.risk === "destructive";
    const menu = isDestructive
      ? "[yes] once  [n] deny  [v] view all > "
      : `[y] once  [p] this process  [t] this subtree (${MINUTES} min)  [n] deny  [v] view all > `;
    let isSeen = !isCut(request);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const line = await this.#line(menu, signal);
      if (line === null) return undefined;
      const word = line.trim().toLowerCase();
      if (word === "n" || word === "no") return await this.#deny(signal);
      if (word === "v") {
        this.#showAll(request);
        isSeen = true;
        continue;
      }
      const answer = approval(word, isDestructive);
      if (answer === undefined) continue;
      if (isSeen) return answer;
      this.#terminal.write("  Not all was shown yet: view it with v first\n");
    }
    return undefined;
  }

  async #deny(signal: AbortSignal): Promise<PersonAnswer> {
    const reason = (await this.#line("reason (may be empty) > ", signal))?.trim() ?? "";
    return reason === "" ? { outcome: "deny" } : { outcome: "deny", reason };
  }

  async #question(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const line = await this.#line("answer, /later or /deny > ", signal);
      if (line === null || line.trim() === "/later") return undefined;
      if (line.trim() === "/deny") return await this.#deny(signal);
      const meant = meaningOf(line, request);
      if ("value" in meant) return { outcome: "answer", value: meant.value };
      this.#terminal.write(`  Expected ${meant.expected}\n`);
    }
    return undefined;
  }

  #show(request: PersonRequest): void {
    const { call, tool } = request;
    const lineage = request.lineage.length === 0 ? "" : ` (${request.lineage.join(" > ")})`;
    const lines = [
      "",
      `── ${request.kind} ${oneLine(request.id)} ── risk: ${request.risk} ──`,
      `who   ${oneLine(request.pid + lineage)}`,
      ...(tool === undefined ? [] : [`tool  ${oneLine(`${tool.name}@${tool.hash}`)}`]),
      ...(request.who === undefined ? [] : [`to    ${oneLine(request.who)}`]),
    ];
    if (call !== undefined) {
      lines.push(`what  ${oneLine(call.name)}: ${oneLine(call.right)} ${oneLine(call.resource)}`);
      lines.push(`args  ${oneLine(call.argsHash)}`);
      lines.push(quoted(canonical(call.args), SHOWN_LENGTH_MAX).text);
    }
    if (request.preview !== undefined) {
      lines.push("preview", quoted(request.preview, SHOWN_LENGTH_MAX).text);
    }
    lines.push("why", quoted(request.prompt, LIMITS.requestPromptBytesMax).text);
    request.choices?.forEach((choice, i) => lines.push(`  ${i + 1}) ${oneLine(choice)}`));
    if (request.schema !== undefined) {
      lines.push("as", quoted(canonical(request.schema), SHOWN_LENGTH_MAX).text);
    }
    this.#terminal.write(lines.join("\n") + "\n");
  }

  #showAll(request: PersonRequest): void {
    const args = JSON.stringify(request.call?.args ?? null, null, 2);
    const lines = ["args", quoted(args, Infinity).text];
    if (request.preview !== undefined) {
      lines.push("preview", quoted(request.preview, Infinity).text);
    }
    this.#terminal.write(lines.join("\n") + "\n");
  }

  /** Throws away what was typed too early; false at the end of the input. */
  async #clear(signal: AbortSignal): Promise<boolean> {
    this.#terminal.discard?.();
    if (this.#typing === undefined) return true;
    return await this.#line("press Enter to go on\n", signal) !== null;
  }

  async #line(prompt: string, signal: AbortSignal): Promise<string | null> {
    if (signal.aborted) throw WITHDRAWN;
    this.#terminal.write(prompt);
    this.#typing ??= this.#terminal.read();
    try {
      const line = await unlessAborted(this.#typing, signal);
      this.#typing = undefined;
      return line;
    } catch (thrown) {
      if (thrown !== WITHDRAWN) this.#typing = undefined;
      throw thrown;
    }
  }
}

/**
 * Answers which were written down before; remembers what it was asked.
 *
 * @example
 * ```ts
 * import { allow, createRuntime, defineImage } from "@agent-libos/core";
 * import { ScriptedPerson } from "@agent-libos/core/testing";
 * const image = defineImage({
 *   name: "asker",
 *   program: async ({ sys }) => {
 *     const { answer } = await sys.human.ask({ prompt: "Red or blue?" });
 *     await sys.process.exit({ result: answer });
 *   },
 * });
 * const approvals = new ScriptedPerson([{ outcome: "answer", value: "blue" }]);
 * await using os = await createRuntime({ store: ":memory:", workspace: null, approvals });
 * const process = await os.spawn(image, { goal: "ask", grants: [allow("human.ask", "owner")] });
 * console.assert((await process.wait()).result === "blue" && approvals.asked.length === 1);
 * ```
 */
export class ScriptedPerson implements Person {
  /** Every request so far, oldest first. */
  readonly asked: PersonRequest[] = [];
  readonly #answer: (request: PersonRequest) => PersonAnswer | undefined;

  /** Answers in the order of the list, then no more; or as the function says. */
  constructor(
    answers:
      | readonly (PersonAnswer | undefined)[]
      | ((request: PersonRequest) => PersonAnswer | undefined),
  ) {
    this.#answer = typeof answers === "function" ? answers : () => answers[this.asked.length - 1];
  }

  /** The next answer; undefined when there is none. */
  ask(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    this.asked.push(request);
    return new Promise((resolve) => resolve(this.#answer(request)));
  }
}

/** Nobody is here: every request stays in the queue. */
export class QueuePerson implements Person {
  /** Always undefined. */
  ask(): Promise<PersonAnswer | undefined> {
    return Promise.resolve(undefined);
  }
}

function isCut({ call, preview }: PersonRequest): boolean {
  const isArgsCut = call !== undefined && canonical(call.args).length > SHOWN_LENGTH_MAX;
  return isArgsCut || (preview !== undefined && preview.length > SHOWN_LENGTH_MAX);
}

function approval(word: string, isDestructive: boolean): PersonAnswer | undefined {
  if (word === "yes") return { outcome: "approve", scope: "once" };
  if (isDestructive) return undefined;
  const forMs = LIMITS.grantExpiryMsDefault;
  if (word === "y") return { outcome: "approve", scope: "once" };
  if (word === "p") return { outcome: "approve", scope: "process", forMs };
  if (word === "t") return { outcome: "approve", scope: "subtree", forMs };
  return undefined;
}

/** The value that a line stands for, or what was expected instead. */
type Meaning = { readonly value: Json } | { readonly expected: string };

function meaningOf(line: string, { choices, schema }: PersonRequest): Meaning {
  if (choices !== undefined) {
    const value = choices.includes(line) ? line : choices[Number(line.trim() || NaN) - 1];
    if (value !== undefined && (schema === undefined || checkAgainst(schema, value) === null)) {
      return { value };
    }
    if (schema === undefined || schema["type"] === "string") {
      return { expected: `a number from 1 to ${choices.length}` };
    }
  }
  if (schema === undefined || schema["type"] === "string") {
    return line.trim() === "" ? { expected: "a line" } : { value: line };
  }
  try {
    const bounds = { depthMax: LIMITS.jsonDepthMax, bytesMax: LIMITS.callArgumentBytesMax };
    const value = plain(JSON.parse(line), bounds, "the answer");
    return checkAgainst(schema, value) === null ? { value } : { expected: "what is said above" };
  } catch {
    return { expected: "JSON" };
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(WITHDRAWN);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
