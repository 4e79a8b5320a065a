/**
 * Who answers the demo's requests: the person at the terminal, or, where there is none, a script
 * that says what it answers.
 *
 * Invariants:
 *   P1. Only requests of the demo's own tree are answered.
 *   P2. Without a terminal nothing is ever waited for.
 * @module
 */

import type { Person, PersonAnswer, PersonRequest } from "@agent-libos/core";
import { TerminalPerson } from "../providers/person.ts";
import { oneLine } from "../providers/printable.ts";
import type { Out } from "./audit_screen.ts";

/** The person at the terminal, or the script. */
export function whoever(out: Out): Person {
  return TerminalPerson.isThere() ? TerminalPerson.open() : scripted(out);
}

/** Approves calls once, refuses questions, and prints both. */
export function scripted(out: Out): Person {
  return {
    ask(request) {
      const { answer, words } = scriptedAnswer(request);
      const what = oneLine(request.prompt).slice(0, 80);
      if (words !== null) out(`  │  no terminal: answering ${what} with "${words}", as scripted`);
      return Promise.resolve(answer);
    },
  };
}

function scriptedAnswer({ kind }: PersonRequest): { answer: PersonAnswer; words: string | null } {
  if (kind === "notice") return { answer: { outcome: "approve" }, words: null };
  if (kind === "permission" || kind === "review") {
    return { answer: { outcome: "approve", scope: "once" }, words: "approve once" };
  }
  const reason = "nobody is at a terminal";
  return { answer: { outcome: "deny", reason }, words: `no answer: ${reason}` };
}

/** A person who is only shown requests of one tree, once it is known. */
export class OnlyTree implements Person {
  readonly #person: Person;
  /** Resolves to the prefix of the tree's ids. */
  readonly #tree = Promise.withResolvers<string>();

  /** Shows `person` nothing until {@linkcode OnlyTree.open}. */
  constructor(person: Person) {
    this.#person = person;
  }

  /** From now on requests of this root process and its descendants are shown. */
  open(root: string): void {
    this.#tree.resolve(root);
  }

  /** Asks, when the request is of the tree. */
  async ask(request: PersonRequest, signal: AbortSignal): Promise<PersonAnswer | undefined> {
    const stopped = new Promise<null>((resolve) => {
      signal.addEventListener("abort", () => resolve(null), { once: true });
    });
    const root = await Promise.race([this.#tree.promise, stopped]);
    if (root === null || request.pid.split(".")[0] !== root) return undefined;
    return await this.#person.ask(request, signal);
  }
}
