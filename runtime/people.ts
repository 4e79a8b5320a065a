/**
 * People: brings pending requests to whoever answers them, and answers back to the tree.
 *
 * One request is shown at a time. An answer goes through the tree's durable inbox, so that a crash
 * after it was given never asks again.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type RequestId, type TreeId, treeOf } from "../kernel/ids.ts";
import type { RequestRule } from "../kernel/event.ts";
import type { RequestRecord } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Person, PersonAnswer, PersonRequest } from "../kernel/world.ts";
import { AskingTrees, type Pending, pendingRequests } from "./asking.ts";
import type { Node } from "./node.ts";
import { scopesOf, suggestionsFor } from "./suggest.ts";

export { pendingRequests };

/** A request as people see it. */
export function shownRequest(tree: Tree, request: RequestRecord): PersonRequest {
  const { call, rule } = request;
  return {
    id: request.id,
    kind: request.kind,
    pid: request.pid,
    lineage: tree.lineage(request.pid).toReversed(),
    askers: request.askers.map(({ pid }) => pid),
    ...(request.who === undefined ? {} : { who: request.who }),
    ...(request.tool === undefined ? {} : { tool: request.tool }),
    prompt: request.prompt,
    ...(call === null ? {} : {
      call: {
        name: call.name,
        right: call.right,
        resource: call.resource,
        args: call.args,
        argsHash: call.argsHash,
      },
    }),
    ...(request.schema === null ? {} : { schema: request.schema }),
    ...(request.choices.length === 0 ? {} : { choices: request.choices }),
    risk: request.risk,
    ...(request.preview === null ? {} : { preview: request.preview }),
    createdMs: request.createdMs,
    expiresMs: request.expiresMs,
    escalatedMs: request.escalatedMs ?? null,
    ...(rule === undefined ? {} : { because: ruleLine(rule) }),
    people: {
      needed: request.people ?? 1,
      agreed: request.first === undefined ? [] : [request.first.by],
    },
    scopes: scopesOf(request),
    suggestions: suggestionsFor(tree, request),
  };
}

function ruleLine({ text, source }: RequestRule): string {
  return `${text} of ${source === "policy" ? "the policy" : source}`;
}

const MISFITS_MAX = 3;

/** Puts requests before a person. */
export class Desk {
  readonly #node: Node;
  readonly #person: Person;
  readonly #by: string;
  readonly #stop = new AbortController();
  /** What was shown, by tree, as long as it waits for an answer. */
  readonly #seen = new Map<TreeId, Set<RequestId>>();
  readonly #misfits = new Map<RequestId, number>();
  readonly #asking: AskingTrees;
  #busy: Promise<void> | null = null;
  #again = false;

  /** A desk where `person`, known to the log as `by`, sits. */
  constructor(node: Node, person: Person, by: string) {
    this.#node = node;
    this.#person = person;
    this.#by = by;
    this.#asking = new AskingTrees(node);
  }

  /** Starts; requests that are pending already are shown first. */
  start(): void {
    this.#asking.listen((tree) => {
      this.#forget(tree);
      this.look();
    });
    this.look();
  }

  /** How many requests were shown and are not over, as far as is known. */
  get shown(): number {
    let count = 0;
    for (const ids of this.#seen.values()) count += ids.size;
    return count;
  }

  /** Looks for requests that nobody was shown. */
  look(): void {
    if (this.#stop.signal.aborted) return;
    this.#again = true;
    this.#busy ??= this.#serve().finally(() => {
      this.#busy = null;
      // Somebody asked after the last look, and before it was over.
      if (this.#again) this.look();
    });
  }

  /** Stops; a question on the screen is withdrawn. */
  async stop(): Promise<void> {
    this.#asking.close();
    this.#stop.abort();
    await this.#busy;
  }

  /** Resolves when every pending request was put before the person. */
  async settled(): Promise<void> {
    while (this.#busy !== null) await this.#busy;
  }

  async #serve(): Promise<void> {
    for (;;) {
      this.#again = false;
      const next = await this.#next();
      if (next === undefined || this.#stop.signal.aborted) return;
      const { tree } = next.tree.state;
      this.#seen.set(tree, (this.#seen.get(tree) ?? new Set()).add(next.request.id));
      const shown = shownRequest(next.tree, next.request);
      const answer = await this.#asked(shown);
      if (answer !== undefined) await this.#answer(shown, answer);
    }
  }

  /** Somebody who cannot answer has not answered: the request stays in the queue. */
  async #asked(shown: PersonRequest): Promise<PersonAnswer | undefined> {
    try {
      return await this.#person.ask(shown, this.#stop.signal);
    } catch {
      return undefined;
    }
  }

  /** What nobody was shown, of trees in memory first. */
  async #next(): Promise<Pending | undefined> {
    const isNew = (id: RequestId): boolean => this.#seen.get(treeOf(id))?.has(id) !== true;
    const found = pendingRequests(this.#node.trees).find(({ request }) => isNew(request.id));
    if (found !== undefined) return found;
    try {
      return await this.#asking.next(isNew);
    } catch (error) {
      // The store is busy or in trouble: the next look tries again.
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }

  /** An answer that did not fit is asked for again, a few times. */
  #showAgain(id: RequestId): void {
    const shown = (this.#misfits.get(id) ?? 0) + 1;
    this.#misfits.set(id, shown);
    if (shown >= MISFITS_MAX) return;
    this.#seen.get(treeOf(id))?.delete(id);
    this.#asking.again(treeOf(id));
  }

  /** Forgets what is over: nobody would be shown it. */
  #forget(id: TreeId): void {
    const ids = this.#seen.get(id);
    const tree = this.#node.peek(id);
    if (ids === undefined || tree === undefined) return;
    for (const request of ids) {
      if (tree.state.requests[request]?.status === "pending") continue;
      ids.delete(request);
      this.#misfits.delete(request);
    }
    if (ids.size === 0) this.#seen.delete(id);
  }

  async #answer(shown: PersonRequest, answer: PersonAnswer): Promise<void> {
    const fitting = shown.kind === "notice" && answer.outcome === "answer"
      ? { outcome: "approve" } as const
      : answer;
    try {
      await this.#node.order(treeOf(shown.id), {
        kind: "answer",
        request: shown.id,
        answer: fitting,
        ...(shown.call === undefined ? {} : { argsHash: shown.call.argsHash }),
        ...(shown.askers === undefined ? {} : { askers: shown.askers.length }),
        by: this.#by,
      });
    } catch (error) {
      // Answered elsewhere, expired or withdrawn meanwhile: then there is nothing to say.
      if (!(error instanceof SysError)) throw error;
      const mayFit = error.retry || error.code === "EINVAL" || error.code === "ESTALE";
      if (mayFit) this.#showAgain(shown.id);
    }
  }
}
