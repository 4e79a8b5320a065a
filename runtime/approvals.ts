/**
 * Approvals: the queue of requests, and who answers them.
 * @module
 */

import { type RequestId, treeOf } from "../kernel/ids.ts";
import type { Person, PersonAnswer, PersonRequest } from "../kernel/world.ts";
import { QueuePerson, TerminalPerson } from "../providers/person.ts";
import type { Node } from "./node.ts";
import { AskingTrees, pendingRequests } from "./asking.ts";
import { shownRequest } from "./people.ts";

/** Requests to people, and their answers. */
export interface Approvals {
  /**
   * What waits for an answer in trees that are in memory, oldest first. These are all, unless very
   * many wait: see `all`.
   */
  list(): PersonRequest[];
  /** All that waits for an answer: first what `list` says, then the rest, tree by tree. */
  all(): AsyncIterable<PersonRequest>;
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
    all: () => unseen(new AskingTrees(node), list, new Set()),
    async *watch({ signal } = {}) {
      const seen = new Set<string>();
      const asking = new AskingTrees(node);
      let wake: () => void = () => {};
      asking.listen(() => wake());
      const aborted = (): void => wake();
      signal?.addEventListener("abort", aborted);
      try {
        while (signal?.aborted !== true) {
          const changed = new Promise<void>((resolve) => wake = resolve);
          let isNews = false;
          const isOver = (): boolean => signal?.aborted === true;
          for await (const request of unseen(asking, list, seen)) {
            isNews = true;
            yield request;
            if (isOver()) return;
          }
          if (!isNews) await changed;
        }
      } finally {
        asking.close();
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

/** What was not seen, of trees in memory first. */
async function* unseen(
  asking: AskingTrees,
  list: () => PersonRequest[],
  seen: Set<string>,
): AsyncGenerator<PersonRequest> {
  for (const request of list()) {
    if (seen.has(request.id)) continue;
    seen.add(request.id);
    yield request;
  }
  for (;;) {
    const found = await asking.next((id) => !seen.has(id));
    if (found === undefined) return;
    seen.add(found.request.id);
    yield shownRequest(found.tree, found.request);
  }
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
