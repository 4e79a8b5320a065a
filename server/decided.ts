/**
 * What people decided, read from the logs: who said what to which request, and what became of what
 * that gave.
 *
 * Logs are the only place that has it: a request is forgotten when its asker has heard. So they are
 * folded once into a few words a decision, and from then on only what is new in them.
 *
 * Invariants:
 *   H1. It is in the log what is shown; no argument, and no value of an answer, is kept or shown.
 *   H2. One question reads so many lines of so many trees at most, and says how many trees are
 *       left; the next one reads on. Looking opens no tree.
 *   H3. Who sees some labels only hears of no other tree, nor how many there are.
 * @module
 */

import type { CallHead, EventMap, Line } from "../kernel/event.ts";
import type { CapId, RequestId, TreeId } from "../kernel/ids.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { StoreReads, TreeHead } from "../kernel/store.ts";
import type { State } from "../kernel/state.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import { atPace, type Pace, paceOf } from "../runtime/pace.ts";
import type { House } from "./api.ts";
import { linesFrom } from "./lines.ts";
import { Turns } from "./page.ts";
import { type Principal, sees } from "./principal.ts";
import type { DecidedRequestView } from "./schema/decided.ts";
import { timeText } from "./view/process.ts";

const WHAT_MAX = 300;
const HEADS_PAGE = 1_000;
/** Lines that are read between two turns of the event loop. */
const LINES_A_TURN = 256;

type Given = DecidedRequestView["gave"][number];
type Gave = Omit<Given, "state" | "expiresAt"> & {
  readonly expiresMs: number | null;
  ended: Exclude<Given["state"], "holds" | "expired"> | null;
};
type Decided = Omit<DecidedRequestView, "gave" | "at"> & {
  readonly atMs: number;
  readonly gave: Gave[];
};
type Asked = Pick<Decided, "pid" | "kind" | "what" | "risk" | "askedAt">;

/** A tree's decisions, as far as its log was read. */
interface Past {
  readonly tree: TreeId;
  /** Labels of its root, which no event changes. */
  readonly labels: Readonly<Record<string, string>>;
  /** The last line that was read. */
  seq: number;
  readonly asked: Map<RequestId, Asked>;
  readonly agreed: Map<RequestId, string>;
  readonly done: Map<RequestId, Decided>;
  readonly gave: Map<CapId, Gave>;
}

/** What one question may read. */
interface Purse {
  lines: number;
  trees: number;
}

/** What is asked for. */
export interface DecidedQuery {
  /** Where to read. */
  readonly view: StoreReads;
  readonly tree?: string | undefined;
  readonly fits: (one: DecidedRequestView) => boolean;
}

/** What was found. */
export interface Found {
  /** The latest first. */
  readonly items: readonly DecidedRequestView[];
  readonly unread: number;
}

/** Reads and remembers what was decided. */
export class DecidedBook {
  readonly #house: Pick<House, "glances" | "clock">;
  readonly #kept = new Map<TreeId, Past>();
  /** A tree is read by one at a time: what two would fold twice would be counted twice. */
  readonly #turns = new Turns();
  readonly #pace: Pace;
  #count = 0;

  /** Nothing was read yet. */
  constructor(house: Pick<House, "glances" | "clock">) {
    this.#house = house;
    this.#pace = paceOf(house.clock, LINES_A_TURN);
  }

  /** What was decided in trees that somebody may see. */
  async find(who: Principal, { view, tree, fits }: DecidedQuery): Promise<Found> {
    const purse: Purse = { lines: LIMITS.decidedLinesMax, trees: LIMITS.decidedTreesMax };
    const nowMs = this.#house.clock.now();
    const items: DecidedRequestView[] = [];
    let unread = 0;
    for (const head of await headsIn(view, tree as TreeId | undefined)) {
      const past = await this.#turns.take(head.tree, () => this.#read(view, head, purse));
      if (past === undefined) {
        // Whose it is nobody knows yet: of another's there is nothing to hear (H3).
        if (Object.keys(who.labels).length === 0) unread += 1;
        continue;
      }
      if (!sees(who, past.labels)) continue;
      if (past.seq < head.seq) unread += 1;
      for (const one of past.done.values()) {
        const view = viewOf(one, nowMs);
        if (fits(view)) items.push(view);
      }
    }
    items.sort((a, b) => keyOf(a) < keyOf(b) ? 1 : -1);
    return { items, unread };
  }

  /** A tree's past, read on as far as the purse goes; undefined where it does not reach at all. */
  async #read(view: StoreReads, head: TreeHead, purse: Purse): Promise<Past | undefined> {
    let past = this.#kept.get(head.tree);
    if (past?.seq === head.seq) return past;
    if (purse.trees <= 0 || purse.lines <= 0) return past;
    purse.trees -= 1;
    const glance = await this.#house.glances.at(head, view);
    if (glance === undefined) return past;
    const { state } = glance.tree;
    past ??= begun(state);
    // Numbers of requests rise: a tree whose first is not given has none to tell of.
    if (state.next.req === 1) past.seq = head.seq;
    else await this.#readOn(view, past, { head, purse });
    settle(past, state);
    this.#keep(past);
    return past;
  }

  async #readOn(view: StoreReads, past: Past, { head, purse }: {
    readonly head: TreeHead;
    readonly purse: Purse;
  }): Promise<void> {
    const to = Math.min(head.seq, past.seq + purse.lines);
    const before = past.done.size;
    try {
      const lines = linesFrom(view, past.tree, past.seq + 1, to);
      for await (const line of atPace(lines, this.#pace)) {
        hear(past, line);
        past.seq = line.seq;
        purse.lines -= 1;
      }
    } catch (thrown) {
      // A damaged log is told of by those who check it; what stands before the damage is shown.
      if (!(thrown instanceof SysError)) throw thrown;
    } finally {
      this.#count += past.done.size - before;
    }
  }

  #keep(past: Past): void {
    this.#kept.delete(past.tree);
    this.#kept.set(past.tree, past);
    while (this.#kept.size > LIMITS.decidedTreesKept || this.#count > LIMITS.decidedKept) {
      const [oldest] = this.#kept.values();
      if (oldest === undefined || oldest === past) return;
      this.#kept.delete(oldest.tree);
      this.#count -= oldest.done.size;
    }
  }
}

/** By what decisions are sorted: when, and of one moment by their ids. */
export function keyOf({ at, id }: Pick<DecidedRequestView, "at" | "id">): string {
  return `${at} ${id.replace(/\d+/g, (digits) => digits.padStart(16, "0"))}`;
}

function begun({ tree, processes }: State): Past {
  return {
    tree,
    labels: processes[`p_${tree.slice(2)}` as `p_${number}`]?.labels ?? {},
    seq: 0,
    asked: new Map(),
    agreed: new Map(),
    done: new Map(),
    gave: new Map(),
  };
}

/** One line of a log. */
function hear(past: Past, { type, data, seq, atMs }: Line): void {
  switch (type) {
    case "human.asked": {
      const { id, pid, kind, call, prompt, risk } = data as EventMap["human.asked"];
      const whole = call === null ? prompt : `${call.name} ${call.resource}`;
      const what = whole.slice(0, WHAT_MAX);
      past.asked.set(id, { pid, kind, what, risk, askedAt: timeText(atMs) });
      // Some are withdrawn, and never decided.
      if (past.asked.size > LIMITS.decidedKept) past.asked.delete(past.asked.keys().next().value!);
      return;
    }
    case "human.seconded": {
      const { id, by } = data as EventMap["human.seconded"];
      past.agreed.set(id, by);
      return;
    }
    case "human.answered": {
      const { id, answer, by } = data as EventMap["human.answered"];
      return decide(past, id, { seq, atMs, by, ...saidIn(answer) });
    }
    case "human.expired": {
      const { id } = data as EventMap["human.expired"];
      return decide(past, id, { seq, atMs, by: null, ...NOTHING, outcome: "expired" });
    }
    case "policy.amended": {
      const { request, rule } = data as EventMap["policy.amended"];
      const one = past.done.get(request);
      if (one !== undefined) one.rule = rule;
      return;
    }
    case "cap.granted": {
      const { id, subject, grant, usesMax, expiresMs } = data as EventMap["cap.granted"];
      const one = grant === null ? undefined : past.done.get(grant.request);
      if (one === undefined) return;
      const gave: Gave = { id, holder: subject, calls: 0, usesMax, expiresMs, ended: null };
      one.gave.push(gave);
      past.gave.set(id, gave);
      return;
    }
    case "cap.revoked":
      for (const id of (data as EventMap["cap.revoked"]).ids) {
        const gave = past.gave.get(id);
        if (gave !== undefined) gave.ended = "revoked";
      }
      return;
    case "call.done":
    case "call.intent":
      for (const id of new Set((data as CallHead).decision.by.flat())) {
        const gave = past.gave.get(id);
        if (gave !== undefined) gave.calls += 1;
      }
  }
}

type Said = Pick<Decided, "outcome" | "scope" | "pattern" | "note" | "stopped">;
const NOTHING = { scope: null, pattern: null, note: null, stopped: false } as const;

/** An answer, without its values (H1). */
function saidIn(answer: PersonAnswer): Said {
  const { outcome } = answer;
  switch (outcome) {
    case "approve": {
      const { scope = "once", resource = null, note = null } = answer;
      return { ...NOTHING, outcome, scope, pattern: resource, note };
    }
    case "edit":
      return { ...NOTHING, outcome, scope: "once", note: answer.note ?? null };
    case "deny":
      return { ...NOTHING, outcome, note: answer.reason ?? null, stopped: answer.stop === true };
    case "answer":
      return { ...NOTHING, outcome };
  }
}

function decide(
  past: Past,
  id: RequestId,
  said: Said & Pick<Decided, "seq" | "atMs" | "by">,
): void {
  const asked = past.asked.get(id);
  // It was asked in the tree that this one branched off from.
  if (asked === undefined) return;
  past.asked.delete(id);
  const agreed = past.agreed.get(id) ?? null;
  past.agreed.delete(id);
  past.done.set(id, { id, tree: past.tree, ...asked, ...said, agreed, gave: [], rule: null });
  if (past.done.size <= LIMITS.decidedKept) return;
  const [oldest] = past.done.values();
  past.done.delete(oldest!.id as RequestId);
  for (const { id } of oldest!.gave) past.gave.delete(id as CapId);
}

/** What the tree holds by now: uses are given back by calls that failed, and holders end. */
function settle(past: Past, { caps }: State): void {
  for (const [id, gave] of past.gave) {
    const held = Object.hasOwn(caps, id) ? caps[id] : undefined;
    if (gave.ended === "revoked") continue;
    const isSpent = gave.usesMax !== null && (held?.usesSpent ?? gave.calls) >= gave.usesMax;
    gave.ended = isSpent ? "used" : held === undefined ? "gone" : null;
  }
}

function viewOf({ atMs, gave, ...rest }: Decided, nowMs: number): DecidedRequestView {
  return {
    ...rest,
    at: timeText(atMs),
    gave: gave.map(({ expiresMs, ended, ...one }) => ({
      ...one,
      state: ended ?? (expiresMs !== null && expiresMs <= nowMs ? "expired" : "holds"),
      expiresAt: expiresMs === null ? null : timeText(expiresMs),
    })),
  };
}

/** Heads of trees, the youngest tree first: what it has to say is asked for most. */
async function headsIn(view: StoreReads, tree: TreeId | undefined): Promise<TreeHead[]> {
  if (tree !== undefined) {
    const head = await view.head(tree);
    return head === undefined || head.seq === 0 ? [] : [head];
  }
  const all: TreeHead[] = [];
  let after: TreeId | undefined;
  for (;;) {
    const page = await view.list({ limit: HEADS_PAGE, ...(after && { after }) });
    all.push(...page.filter(({ seq }) => seq > 0));
    after = page.at(-1)?.tree;
    if (page.length < HEADS_PAGE) return all.reverse();
  }
}
