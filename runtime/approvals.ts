/**
 * Approvals: the queue of requests, and who answers them.
 * @module
 */

import type { Errno } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Person, PersonAnswer, PersonRequest } from "../kernel/world.ts";
import { QueuePerson, TerminalPerson } from "../providers/person.ts";
import type { Node } from "./node.ts";
import { AskingTrees, pendingRequests } from "./asking.ts";
import { decide, decideAll, matches } from "./decide.ts";
import type { Matches } from "./matches.ts";
import { shownRequest } from "./people.ts";
import type { RuntimeOptions } from "./runtime_options.ts";

/** Requests to people, and their answers. */
export interface Approvals {
  /**
   * What waits for an answer in trees that are in memory, oldest first. These are all, unless very
   * many wait: see `all`.
   */
  list(): PersonRequest[];
  /** All that waits for an answer: first what `list` says, then the rest, tree by tree. */
  all(): AsyncIterable<PersonRequest>;
  /** Requests as they come, those that wait already first; until the runtime is closed. */
  watch(options?: { readonly signal?: AbortSignal }): AsyncIterable<PersonRequest>;
  /**
   * Answers one. Throws `ESTATE` when it was answered, `EEXPIRED` when nobody did in time, `ESTALE`
   * when the call is not the one that was shown, `EPERM`, `EACCES`, `EINVAL`, `ENOENT`.
   */
  decide(id: string, answer: PersonAnswer, by?: DecidedBy): Promise<void>;
  /**
   * Answers several that are alike, each by an order of its own: what became of each. Throws
   * `EINVAL`, and answers none, unless all are for the same right, none is destructive, and the
   * answer's `resource` is a pattern that all of their resources match; a no needs no pattern.
   *
   * @example
   * ```ts
   * import { ask, createRuntime, defineImage } from "@agent-libos/core";
   * const image = defineImage({
   *   name: "scribe",
   *   program: async ({ sys, goal }) => {
   *     if (goal !== "part") await sys.process.fork({ goal: "part" });
   *     await sys.file.write({ path: `./out/${goal}.md`, text: goal });
   *   },
   * });
   * const folder = await Deno.makeTempDir();
   * await using os = await createRuntime({
   *   store: ":memory:", workspace: folder, approvals: "queue", autorun: false,
   * });
   * const grants = [ask("file.write", "./out/*.md"), ask("process.fork", "**")];
   * await os.spawn(image, { goal: "whole", grants });
   * await os.runUntilIdle();
   * const fork = os.approvals.list()[0]!;
   * await os.approvals.decide(fork.id, { outcome: "approve" });
   * await os.runUntilIdle();
   * const items = os.approvals.list().map(({ id, call }) => ({ id, argsHash: call!.argsHash }));
   * const said = await os.approvals.decideAll(items, {
   *   outcome: "approve", scope: "once", resource: "./out/*.md",
   * });
   * console.assert(said.length === 2 && said.every(({ ok }) => ok));
   * ```
   */
  decideAll(
    items: readonly DecideItem[],
    answer: PersonAnswer,
    by?: Omit<DecidedBy, "argsHash" | "askers">,
  ): Promise<DecidedItem[]>;
  /**
   * What a pattern would have covered of the calls that a tree made on a right: of the request's,
   * or of one that is named. With a request it is also said why the rule would not answer it.
   *
   * @example
   * ```ts
   * import { ask, createRuntime, defineImage } from "@agent-libos/core";
   * const image = defineImage({
   *   name: "writer",
   *   program: async ({ sys }) => {
   *     await sys.file.write({ path: "./out/a.md", text: "" });
   *   },
   * });
   * const folder = await Deno.makeTempDir();
   * await using os = await createRuntime({
   *   store: ":memory:", workspace: folder, approvals: "queue", autorun: false,
   * });
   * await os.spawn(image, { goal: "write", grants: [ask("file.write", "./out/**")] });
   * await os.runUntilIdle();
   * const [request] = os.approvals.list();
   * const found = await os.approvals.matches(request!.id, "./out/*.md");
   * console.assert(found.matched === 0 && found.problem === null);
   * ```
   */
  matches(
    of: string | { readonly tree: TreeId; readonly right: string },
    resource: string,
  ): Promise<Matches>;
}

/** Who decides, and what was shown to them. */
export interface DecidedBy {
  /** Who it is, as the log says. */
  readonly actor: string;
  /** Whether who started the tree is refused with `EPERM`: nobody approves what they asked for. */
  readonly strict?: boolean;
  /** Hash of the call that was shown; another one is refused with `ESTALE`. */
  readonly argsHash?: string;
  /** How many askers were shown; others that joined since make it `ESTALE`. */
  readonly askers?: number;
}

/** One of several that are answered together, and the call that was shown. */
export interface DecideItem {
  /** The request. */
  readonly id: string;
  /** Hash of the call that was shown. */
  readonly argsHash: string;
  /** How many askers were shown; others that joined since make it `ESTALE`, unless it is a no. */
  readonly askers?: number;
}

/** What became of one of several. */
export type DecidedItem =
  | { readonly id: string; readonly ok: true }
  | { readonly id: string; readonly ok: false; readonly code: Errno; readonly message: string };

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
      const over = node.turns.over.signal;
      const until = signal === undefined ? over : AbortSignal.any([signal, over]);
      until.addEventListener("abort", aborted);
      try {
        while (!until.aborted) {
          const changed = new Promise<void>((resolve) => wake = resolve);
          let isNews = false;
          const isOver = (): boolean => until.aborted;
          for await (const request of unseen(asking, list, seen)) {
            isNews = true;
            yield request;
            if (isOver()) return;
          }
          if (!isNews) await changed;
        }
      } catch (error) {
        // What is read while the store closes may find it closed.
        if (!until.aborted) throw error;
      } finally {
        asking.close();
        until.removeEventListener("abort", aborted);
      }
    },
    decide: (id, answer, by) => decide(node, id, { answer, by: by ?? { actor: operator } }),
    decideAll: (items, answer, by) =>
      decideAll(node, items, { answer, by: by ?? { actor: operator } }),
    matches: (of, resource) => matches(node, of, resource),
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
export function personOf(given: NonNullable<RuntimeOptions["approvals"]>): Person | null {
  if (typeof given === "object") return given;
  if (typeof given === "function") {
    return { ask: (request, signal) => Promise.resolve(given(request, signal)) };
  }
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
