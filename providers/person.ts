/**
 * People who answer requests: at a terminal, by a script, or not now.
 *
 * Invariants:
 *   H1. A line answers the request which is on the screen: what was typed before it, or for a
 *       request that was withdrawn, is thrown away.
 *   H2. Nothing counts as yes but what was asked for: an empty line, an unknown word, the end of
 *       the input and an aborted signal never approve.
 *   H3. Nothing wider than once is given by one key: which calls and how long is asked, what it
 *       would have matched is shown, and a second key says yes.
 *   H4. A call is approved by someone who could see all of it: arguments that were cut must be
 *       viewed first, and a destructive call takes the whole word, once.
 *   H5. What agents wrote is shown by `printable` and behind a bar.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Person, PersonAnswer, PersonRequest, Scope } from "../kernel/world.ts";
import { edited } from "./editor.ts";
import {
  isCut,
  jsonOf,
  KEYS_TEXT,
  lengthOf,
  meaningOf,
  requestText,
  wholeText,
  wishesOf,
  wishOf,
} from "./person_text.ts";
import { oneLine } from "./printable.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

const TRIES_MAX = 100;
const MINUTES = LIMITS.grantExpiryMsDefault / 60_000;
/** How far the keys reach that reach further than once. */
const WIDER: { readonly [key: string]: Scope } = { p: "process", t: "subtree", P: "policy" };
const WITHDRAWN = Symbol("withdrawn");
/** Kinds that want a yes or no. */
const WANTS_WORD: readonly PersonRequest["kind"][] = ["permission", "review", "budget"];

/** What somebody at a terminal is given besides it. */
export interface TerminalPersonOptions {
  /** What a rule would have matched, in a sentence; what a request says of itself when absent. */
  matches?(request: PersonRequest, resource: string): Promise<string>;
  /** Lets a text be changed in an editor; a line of JSON is asked for when absent. */
  edit?(text: string): Promise<string>;
}

/** Someone at a terminal. Requests that come together are asked one after the other. */
export class TerminalPerson implements Person {
  readonly #terminal: Terminal;
  readonly #options: TerminalPersonOptions;
  #turn: Promise<unknown> = Promise.resolve();
  /** A line that is being typed; it outlives the request it was read for. */
  #typing: Promise<string | null> | undefined;

  /** Reads from and writes to `terminal`. */
  constructor(terminal: Terminal, options: TerminalPersonOptions = {}) {
    this.#terminal = terminal;
    this.#options = options;
  }

  /** At the terminal of this process, with the editor that its environment names. */
  static open(options: TerminalPersonOptions = {}): TerminalPerson {
    const editor = editorNamed();
    const edit = editor === undefined ? {} : { edit: (text: string) => edited(editor, text) };
    return new TerminalPerson(openTerminal(), { ...edit, ...options });
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
    this.#terminal.write(requestText(request, this.#isColoured));
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
    const menu = menuOf(request);
    let isSeen = !isCut(request);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const line = await this.#line(menu, signal);
      if (line === null) return undefined;
      const key = keyOf(line);
      if (key === "n" || key === "N") return await this.#deny(signal, key === "N");
      if (key === "?") this.#terminal.write(KEYS_TEXT);
      if (key === "v") {
        this.#terminal.write(wholeText(request, this.#isColoured));
        isSeen = true;
      }
      if (!mayBe(request, key)) continue;
      if (!isSeen) {
        this.#terminal.write("  Not all was shown yet: view it with v first\n");
        continue;
      }
      if (key === "y" || key === "yes") return { outcome: "approve", scope: "once" };
      const answer = key === "e"
        ? await this.#edit(request, signal)
        : await this.#widen(request, WIDER[key]!, signal);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** Asks which calls and for how long, shows what that comes to, and asks once more (H3). */
  async #widen(
    request: PersonRequest,
    scope: Scope,
    signal: AbortSignal,
  ): Promise<PersonAnswer | undefined> {
    const { right, resource: own } = request.call!;
    const wishes = wishesOf(request);
    wishes.forEach(({ resource, matched }, i) => {
      const past = matched === null ? "" : `  would have matched ${matched} of its latest calls`;
      this.#terminal.write(`  ${i + 1}) ${oneLine(`${right}(${resource})`)}${past}\n`);
    });
    const said = await this.#line("which, or a pattern of your own (Enter for 1) > ", signal);
    const resource = said === null ? undefined : wishOf(said, request);
    if (resource === undefined) {
      this.#terminal.write("  That does not cover the call: nothing was given\n");
      return undefined;
    }
    const usual = scope === "policy" ? "for good" : `${MINUTES}m`;
    const word = await this.#line(`for how long, like 15m or 8h (Enter for ${usual}) > `, signal);
    const forMs = word === null ? undefined : lengthOf(word, scope);
    if (forMs === undefined) {
      this.#terminal.write("  That is no length of time to give it for: nothing was given\n");
      return undefined;
    }
    const long = forMs === null ? "for good" : `for ${Math.round(forMs / 1_000)} s`;
    const whom = scope === "policy"
      ? "every process of its tree, as a rule of the policy"
      : scope === "subtree"
      ? `${request.pid} and all below it`
      : request.pid;
    const rule = oneLine(`${right}(${resource})`);
    this.#terminal.write(`  would allow ${rule} to ${oneLine(whom)} ${long}\n`);
    const past = await this.#options.matches?.(request, resource).catch(() => undefined);
    if (past !== undefined) this.#terminal.write(`  ${oneLine(past)}\n`);
    const yes = await this.#line("[y] give it  [Enter] back > ", signal);
    if (yes === null || keyOf(yes) !== "y") return undefined;
    return {
      outcome: "approve",
      scope,
      ...(forMs === null ? {} : { forMs }),
      ...(resource === own ? {} : { resource }),
    };
  }

  /** The call with other arguments; undefined where they stay as they are. */
  async #edit(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined> {
    const before = JSON.stringify(request.call?.args ?? null, null, 2);
    const { edit } = this.#options;
    const after = edit === undefined
      ? await this.#line("arguments as JSON, on one line (Enter for back) > ", signal)
      : await edit(`${before}\n`).catch((thrown) => {
        if (!(thrown instanceof SysError)) throw thrown;
        this.#terminal.write(`  ${oneLine(thrown.message)}\n`);
        return "";
      });
    if (after === null || after.trim() === "" || after.trim() === before) return undefined;
    const args = jsonOf(after, "the arguments");
    if (args !== undefined) return { outcome: "edit", args };
    this.#terminal.write("  That is no JSON: nothing was given\n");
    return undefined;
  }

  async #deny(signal: AbortSignal, stop = false): Promise<PersonAnswer> {
    const reason = (await this.#line("reason (may be empty) > ", signal))?.trim() ?? "";
    return {
      outcome: "deny",
      ...(reason === "" ? {} : { reason }),
      ...(stop ? { stop } : {}),
    };
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

  get #isColoured(): boolean {
    return this.#terminal.isColoured === true;
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

/** The keys that a request may be answered with; only a whole word destroys. */
function menuOf(request: PersonRequest): string {
  const isDestructive = request.risk === "destructive";
  const parts = [
    isDestructive ? "[yes] once" : "[y] once",
    mayBe(request, "p") ? `[p] this process, ${MINUTES}m` : "",
    mayBe(request, "t") ? `[t] this subtree, ${MINUTES}m` : "",
    mayBe(request, "P") ? "[P] policy…" : "",
    mayBe(request, "e") ? "[e] edit" : "",
    isCut(request) ? "[v] view all" : "[v] view",
    "[n] deny",
    "[N] deny+stop",
    "? > ",
  ];
  return parts.filter((part) => part !== "").join("  ");
}

/** Whether a key gives something, and may. */
function mayBe(request: PersonRequest, key: string): boolean {
  const isDestructive = request.risk === "destructive";
  if (key === "yes") return true;
  if (key === "y") return !isDestructive;
  if (key === "e") {
    return !isDestructive && request.call !== undefined && request.kind !== "review";
  }
  const scope = Object.hasOwn(WIDER, key) ? WIDER[key]! : undefined;
  return scope !== undefined && !isDestructive && request.call !== undefined &&
    request.scopes.includes(scope);
}

/** The key that a line is: great and small letters differ where both are keys. */
function keyOf(line: string): string {
  const word = line.trim();
  if (word === "N" || word === "P") return word;
  const small = word.toLowerCase();
  return small === "no" ? "n" : small;
}

/** The editor of the environment, where that may be read without asking anybody. */
function editorNamed(): string | undefined {
  const named = ["VISUAL", "EDITOR"].flatMap((variable) => {
    const { state } = Deno.permissions.querySync({ name: "env", variable });
    return state === "granted" ? [Deno.env.get(variable) ?? ""] : [];
  });
  return named.find((name) => name !== "");
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(WITHDRAWN);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
