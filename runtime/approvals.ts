/**
 * Approvals: the queue of requests, and who answers them.
 * @module
 */

import { type RequestId, treeOf } from "../kernel/ids.ts";
import type { Person, PersonAnswer, PersonRequest } from "../kernel/world.ts";
import { QueuePerson, TerminalPerson } from "../providers/person.ts";
import type { Node } from "./node.ts";
import { pendingRequests, shownRequest } from "./people.ts";

/** Requests to people, and their answers. */
export interface Approvals {
  /** What waits for an answer, oldest first. */
  list(): PersonRequest[];
  /** Requests as they come, those that wait already first. */
  watch(options?: { readonly signal?: AbortSignal }): AsyncIterable<PersonRequest>;
  /** Answers one. Throws `ESTATE` when it was answered, `EINVAL`, `EPERM`, `ENOENT`. */
  decide(id: string, answer: PersonAnswer, by?: { readonly actor: string }): Promise<void>;
}

/** Requests and answers over a node. */
export function approvalsOf(node: Node, operator: string): Approvals {
  const list = (): PersonRequest[] =>
    pendingRequests(node.trees).map(({ tree, request }) => shownRequest(tree, request));
  return {
    list,
    async *watch({ signal } = {}) {
      const seen = new Set<string>();
      let wake: () => void = () => {};
      const off = node.listen(() => wake());
      const aborted = (): void => wake();
      signal?.addEventListener("abort", aborted);
      try {
        while (signal?.aborted !== true) {
          const changed = new Promise<void>((resolve) => wake = resolve);
          const fresh = list().filter(({ id }) => !seen.has(id));
          for (const request of fresh) {
            seen.add(request.id);
            yield request;
          }
          if (fresh.length === 0) await changed;
        }
      } finally {
        off();
        signal?.removeEventListener("abort", aborted);
      }
    },
    async decide(id, answer, by) {
      await node.order(treeOf(id), {
        kind: "answer",
        request: id as RequestId,
        answer,
        by: by?.actor ?? operator,
      });
    },
  };
}

/** Who answers, as an embedder names it; null for nobody but the queue. */
export function personOf(given: "queue" | "terminal" | "deny" | Person): Person | null {
  if (typeof given === "object") return given;
  switch (given) {
    case "queue":
      return null;
    case "terminal":
      return TerminalPerson.open();
    case "deny":
      return {
        ask: ({ kind }) =>
          Promise.resolve(
            kind === "notice"
              ? { outcome: "approve" } as const
              : { outcome: "deny", reason: "nobody is there to ask" } as const,
          ),
      };
  }
}

/** A terminal where there is one. */
export function defaultPerson(): Person {
  return TerminalPerson.isThere() ? TerminalPerson.open() : new QueuePerson();
}
