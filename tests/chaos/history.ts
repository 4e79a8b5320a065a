/**
 * The history checker: whether each tree's log is a linearizable append register of what clients
 * did and saw.
 *
 * A tree is one register. An act appends itself; a read gives all that was appended so far. The log
 * says in which order acts took effect, and where each read falls between them. That order is one
 * that clients could have seen if nothing in it stands after what began only once it had ended.
 *
 * Invariants of a history that holds:
 *   HC1. An act that was acknowledged is in the log once; one that was refused is not; one of which
 *        its client never heard is there at most once. Nothing is there that nobody did.
 *   HC2. A read saw a beginning of the log as it is at the end.
 *   HC3. What ended before another began stands before it.
 * @module
 */

/** How an invocation ended, as its client heard it: "unknown" is no answer, or one that leaves it. */
export type How = "ok" | "refused" | "unknown";

/** What a client did, and when: positions in the one order of all that clients began and heard. */
export interface Invocation {
  /** No other has it. */
  readonly id: string;
  /** The register: a tree. */
  readonly tree: string;
  readonly kind: "act" | "read";
  readonly began: number;
  /** Infinity while nothing was heard. */
  readonly ended: number;
  readonly how: How;
  /** What a read saw: ids of acts, in order. */
  readonly saw?: readonly string[];
}

/** Something that no store which keeps its word would show. */
export interface Violation {
  readonly tree: string;
  readonly kind: "lost" | "doubled" | "phantom" | "refused" | "reordered" | "stale" | "diverged";
  readonly what: string;
}

/** Notes what clients begin and hear, in one order. */
export class History {
  readonly #all = new Map<string, Invocation>();
  #tick = 0;

  /** A client begins. */
  begin(id: string, tree: string, kind: Invocation["kind"]): void {
    const made = { id, tree, kind, began: this.#tick++, ended: Infinity, how: "unknown" } as const;
    this.#all.set(id, made);
  }

  /** A client hears how it ended; "unknown" leaves it open for ever. */
  end(id: string, how: How, saw?: readonly string[]): void {
    const known = this.#all.get(id)!;
    const ended = how === "unknown" ? Infinity : this.#tick++;
    this.#all.set(id, { ...known, how, ended, ...(saw === undefined ? {} : { saw }) });
  }

  /** All that was begun. */
  get all(): readonly Invocation[] {
    return [...this.#all.values()];
  }
}

/** What is wrong with the log of one tree, given all that clients did with it. */
export function checkTree(
  tree: string,
  invocations: readonly Invocation[],
  log: readonly string[],
): Violation[] {
  const acts = new Map(
    invocations.filter(({ kind }) => kind === "act").map((one) => [one.id, one]),
  );
  const reads = invocations.filter(({ kind, how }) => kind === "read" && how === "ok");
  return [
    ...counted(tree, acts, log),
    ...diverged(tree, reads, log),
    ...disordered(tree, inOrder(acts, reads, log)),
  ];
}

/** HC1. */
function counted(
  tree: string,
  acts: ReadonlyMap<string, Invocation>,
  log: readonly string[],
): Violation[] {
  const found: Violation[] = [];
  const counts = new Map<string, number>();
  for (const id of log) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts) {
    const act = acts.get(id);
    if (act === undefined) found.push({ tree, kind: "phantom", what: `nobody did "${id}"` });
    else if (act.how === "refused") {
      found.push({ tree, kind: "refused", what: `"${id}" was refused, and is in the log` });
    }
    if (count > 1) found.push({ tree, kind: "doubled", what: `"${id}" is there ${count} times` });
  }
  for (const { id, how } of acts.values()) {
    if (how === "ok" && !counts.has(id)) {
      found.push({ tree, kind: "lost", what: `"${id}" was acknowledged, and is not in the log` });
    }
  }
  return found;
}

/** HC2. */
function diverged(
  tree: string,
  reads: readonly Invocation[],
  log: readonly string[],
): Violation[] {
  return reads.filter(({ saw = [] }) => saw.some((id, i) => log[i] !== id)).map(({ id }) => ({
    tree,
    kind: "diverged",
    what: `read "${id}" saw what is not the beginning of the log`,
  }));
}

/** All in the order that the log gives: each read after the last act that it saw. */
function inOrder(
  acts: ReadonlyMap<string, Invocation>,
  reads: readonly Invocation[],
  log: readonly string[],
): Invocation[] {
  const at = (read: Invocation): number => read.saw?.length ?? 0;
  // Reads of the same may have come in any order: the one that began first is the first.
  const waiting = [...reads].sort((a, b) => at(a) - at(b) || a.began - b.began);
  const order: Invocation[] = [];
  for (let i = 0; i <= log.length; i++) {
    while (waiting.length > 0 && at(waiting[0]!) <= i) order.push(waiting.shift()!);
    const act = acts.get(log[i] ?? "");
    if (act !== undefined) order.push(act);
  }
  return [...order, ...waiting];
}

/**
 * HC3: nothing ended before something began that stands before it. One look at the latest beginning
 * so far is enough.
 */
function disordered(tree: string, order: readonly Invocation[]): Violation[] {
  const found: Violation[] = [];
  let latest: Invocation | undefined;
  for (const one of order) {
    if (latest !== undefined && one.ended < latest.began) {
      const isRead = one.kind === "read" || latest.kind === "read";
      found.push({
        tree,
        kind: isRead ? "stale" : "reordered",
        what: `"${one.id}" had ended before "${latest.id}" began, and stands after it`,
      });
    }
    if (latest === undefined || one.began > latest.began) latest = one;
  }
  return found;
}
