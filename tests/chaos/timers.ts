/**
 * The judge of timers: whether each fired in its time, by the database's clock.
 *
 * The database itself notes when each line was committed and when a tree changed hands; who watches
 * asks each node, through its line to the database, whether it answers. A timer that is due may be
 * late for as long as those who had to fire it did not answer, and a bounded time beyond:
 *
 * Invariants of timers that hold:
 *   CT1. None fires before it is due: by no more than an answer takes where its node answered all
 *        along, and by a lease at most.
 *   CT2. None stays due for longer than `bound` with a node that has its tree and answers all the
 *        while, nor with nobody while some node answers all the while.
 *   CT3. None stays due for longer than a lease and `bound` with a node that does not answer, while
 *        another one does all the while.
 * @module
 */

/** A stretch of time by the database's clock, in milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A wait that time ends. */
export interface Timer {
  readonly pid: string;
  readonly dueMs: number;
  /** When it was over, by the clock or otherwise; Infinity when it never was. */
  readonly endedMs: number;
  readonly byClock: boolean;
}

/** Who had a tree from when on; null: nobody. */
export interface Held {
  readonly fromMs: number;
  readonly owner: string | null;
}

/** What timers are judged by. */
export interface Watched {
  /** The owners of the timer's tree, in order of time. */
  readonly held: readonly Held[];
  /** When each node answered all the while, in order of time. */
  readonly steady: ReadonlyMap<string, readonly Span[]>;
  readonly leaseMs: number;
  readonly boundMs: number;
}

/** How early a timer may fire whose node answered all along: its share of a lease. */
const EARLY_SHARE = 6;
/** In so much of a lease a node that answers has heard the time at a beat. */
const HEARD_SHARE = 0.6;
/** Who answers all along was asked no longer ago. */
const ASKED_MS = 1_000;

/** What is wrong with a timer; nothing when it holds. */
export function timerFaults(timer: Timer, watched: Watched): string[] {
  const { pid, dueMs, endedMs, byClock } = timer;
  const { leaseMs } = watched;
  const found: string[] = [];
  const owner = watched.held.findLast(({ fromMs }) => fromMs <= endedMs)?.owner ?? null;
  const wasSteady = spansOf(watched, owner).some(({ fromMs, toMs }) =>
    fromMs <= endedMs - HEARD_SHARE * leaseMs && toMs >= endedMs - ASKED_MS
  );
  const earlyMs = wasSteady ? leaseMs / EARLY_SHARE : leaseMs;
  if (byClock && endedMs < dueMs - earlyMs) {
    found.push(`timer of ${pid} fired ${Math.round(dueMs - endedMs)} ms before its time`);
  }
  for (const { span, owner } of ownersWithin(watched.held, { fromMs: dueMs, toMs: endedMs })) {
    const fault = lateWith(owner, span, watched);
    if (fault !== null) found.push(`timer of ${pid} was due, and ${fault}`);
  }
  return found;
}

/** CT2 and CT3: what is wrong with the time in which one owner had a timer that was due. */
function lateWith(owner: string | null, span: Span, watched: Watched): string | null {
  const { leaseMs, boundMs, steady } = watched;
  const own = spansOf(watched, owner).map((one) => longest([one], span)).reduce(max, 0);
  if (owner !== null && own > boundMs) {
    return `its node ${owner} answered for ${Math.round(own)} ms`;
  }
  const gaps = owner === null ? [span] : without(span, spansOf(watched, owner));
  const others = [...steady].filter(([id]) => id !== owner).map(([, spans]) => spans);
  const most = gaps.flatMap((gap) => others.map((spans) => longest(spans, gap))).reduce(max, 0);
  if (most <= boundMs + (owner === null ? 0 : leaseMs)) return null;
  const who = owner === null ? "nobody had its tree" : `its node ${owner} did not answer`;
  return `${who}, though another answered for ${Math.round(most)} ms`;
}

function spansOf({ steady }: Watched, owner: string | null): readonly Span[] {
  return owner === null ? [] : steady.get(owner) ?? [];
}

const max = (a: number, b: number): number => Math.max(a, b);

/** The longest of some spans, as far as it lies within one. */
function longest(spans: readonly Span[], within: Span): number {
  return spans.map(({ fromMs, toMs }) =>
    Math.min(toMs, within.toMs) - Math.max(fromMs, within.fromMs)
  ).reduce(max, 0);
}

/** What is left of a span without others. */
function without(span: Span, others: readonly Span[]): Span[] {
  const left: Span[] = [];
  let { fromMs } = span;
  for (const other of others) {
    if (other.toMs <= fromMs || other.fromMs >= span.toMs) continue;
    if (other.fromMs > fromMs) left.push({ fromMs, toMs: other.fromMs });
    fromMs = Math.max(fromMs, other.toMs);
  }
  if (fromMs < span.toMs) left.push({ fromMs, toMs: span.toMs });
  return left;
}

/** Who had a tree in a span, and in which part of it. */
function ownersWithin(held: readonly Held[], within: Span): {
  readonly span: Span;
  readonly owner: string | null;
}[] {
  return held.map(({ fromMs, owner }, i) => ({
    owner,
    span: {
      fromMs: Math.max(fromMs, within.fromMs),
      toMs: Math.min(held[i + 1]?.fromMs ?? Infinity, within.toMs),
    },
  })).filter(({ span }) => span.toMs > span.fromMs);
}

/** The waits of one tree that time ends, by its lines and when each was committed. */
export class Timers {
  readonly all: Timer[] = [];
  readonly #open = new Map<string, number>();

  /** A line, in order. */
  hear(type: string, given: unknown, atMs: number): void {
    const { pid, on, by } = given as {
      readonly pid: string;
      readonly on?: { readonly reason: string; readonly untilMs?: number | null };
      readonly by?: string;
    };
    const dueMs = this.#open.get(pid);
    if (type === "process.waiting") {
      if (typeof on?.untilMs === "number") this.#open.set(pid, on.untilMs);
    } else if ((type === "process.woken" || type === "process.ended") && dueMs !== undefined) {
      this.#open.delete(pid);
      this.all.push({
        pid,
        dueMs,
        endedMs: atMs,
        byClock: type.endsWith("woken") && by === "clock",
      });
    }
  }

  /** No line comes any more. */
  end(): void {
    for (const [pid, dueMs] of this.#open) {
      this.all.push({ pid, dueMs, endedMs: Infinity, byClock: false });
    }
    this.#open.clear();
  }
}
