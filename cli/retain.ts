/**
 * How long payloads are kept: `tree retain`.
 * @module
 */

import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { redactMs, refuseDays } from "../kernel/retention.ts";
import type { State } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import { realClock } from "../providers/clock.ts";
import { planRedaction, redactDue, type Redacted } from "../runtime/redaction.ts";
import { several } from "./audit_parts.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { daysText } from "../runtime/line_text.ts";
import { give, operatorOf } from "./order.ts";
import { list, show } from "./output.ts";
import { owning } from "./position.ts";
import { findTree, headsOf, reading, treeIn } from "./store.ts";
import { dateOf } from "./words.ts";

/** What follows `tree`. */
export const RETAIN_USAGE = "retain [TREE|--all] [DAYS|forever] [--dry-run|--now]";
/** What `tree retain` takes besides. */
export const RETAIN_OPTIONS = {
  all: { type: "boolean" },
  "dry-run": { type: "boolean" },
  now: { type: "boolean" },
} as const;

/** Shows how long payloads are kept, says so of trees, or takes away what is due. */
export async function retain(at: Context): Promise<number> {
  const [, first, second] = at.words;
  const { flags } = at;
  if (flags.on("now")) {
    if (first === undefined && !flags.on("dry-run")) return await passNow(at);
    throw new UsageError('Cannot run "tree retain --now": expected nothing else; it takes no tree');
  }
  const [word, days] = flags.on("all") ? [undefined, first] : [first, second];
  if (flags.on("all") && second !== undefined) {
    throw new UsageError('Cannot run "tree retain --all": a tree and all, expected one of them');
  }
  if (flags.on("dry-run")) return await planned(at, word, days === undefined ? days : daysOf(days));
  if (days === undefined) return await shown(at, word);
  return await said(at, word, daysOf(days));
}

function daysOf(word: string): number | null {
  if (word === "forever") return null;
  const days = Number(word);
  if (word.trim() !== "" && Number.isFinite(days)) return days;
  throw new UsageError(`Cannot keep payloads for "${word}": expected days, or "forever"`);
}

async function statesOf(store: Store, word: string | undefined): Promise<State[]> {
  const ids = word === undefined
    ? (await headsOf(store, true)).filter(({ seq }) => seq > 0).map(({ tree }) => tree)
    : [await findTree(store, word)];
  const states: State[] = [];
  for (const id of ids) states.push((await treeIn(store, id)).state);
  return states;
}

/** What is known of one tree. */
interface Row {
  readonly tree: TreeId;
  readonly days: number | null;
  readonly by: string | null;
  /** Payloads that may go some time, and those that the state needs. */
  readonly payloads: number;
  readonly bytes: number;
  readonly stays: number;
  /** When it is looked at next; null for never. */
  readonly nextMs: number | null;
}

async function shown(at: Context, word: string | undefined): Promise<number> {
  const nowMs = realClock.now();
  const rows = await reading(at, async (store) => {
    const rows: Row[] = [];
    for (const state of await statesOf(store, word)) {
      const { tree, count, bytes, stays } = await planRedaction(store, state, { nowMs, days: 0 });
      const { days = null, by = null } = state.retention ?? {};
      rows.push({ tree, days, by, payloads: count, bytes, stays, nextMs: redactMs(state) });
    }
    return rows;
  });
  list(at, rows, {
    columns: [
      { head: "TREE", of: ({ tree }) => tree },
      { head: "KEPT", of: ({ days }) => days === null ? "forever" : several(days, "day") },
      { head: "BY", of: ({ by }) => by ?? "-" },
      { head: "PAYLOADS", of: ({ payloads }) => String(payloads) },
      { head: "BYTES", of: ({ bytes }) => String(bytes) },
      { head: "IN USE", of: ({ stays }) => String(stays) },
      { head: "NEXT", of: ({ nextMs }) => nextMs === null ? "-" : dateOf(nextMs) },
    ],
    name: ({ tree }) => tree,
    none: "No trees; libos run starts one",
  });
  return EXIT.ok;
}

/** Says what would go now. Without days: what is due as each tree's log says. */
async function planned(
  at: Context,
  word: string | undefined,
  days: number | null | undefined,
): Promise<number> {
  const nowMs = realClock.now();
  const plans = await reading(at, async (store) => {
    const plans: Redacted[] = [];
    for (const state of await statesOf(store, word)) {
      const kept = days === undefined ? state.retention?.days ?? null : days;
      refuseDays(`tree "${state.tree}"`, kept);
      if (kept !== null) plans.push(await planRedaction(store, state, { nowMs, days: kept }));
    }
    return plans;
  });
  const none = "Nothing would go: payloads are kept forever";
  list(at, plans, { columns: COLUMNS, name: ({ tree }) => tree, none });
  return EXIT.ok;
}

const COLUMNS = [
  { head: "TREE", of: ({ tree }: Redacted) => tree },
  { head: "UP TO", of: ({ to }: Redacted) => `#${to}` },
  { head: "PAYLOADS", of: ({ count }: Redacted) => String(count) },
  { head: "BYTES", of: ({ bytes }: Redacted) => String(bytes) },
  { head: "IN USE", of: ({ stays }: Redacted) => String(stays) },
];

/** Orders how long payloads are kept; a kernel that runs takes the order. */
async function said(at: Context, word: string | undefined, days: number | null): Promise<number> {
  const ids = await reading(at, async (store) => {
    const found = await statesOf(store, word);
    return found.map(({ tree }) => tree);
  });
  let isRunning = true;
  for (const id of ids) {
    const taken = await give(at, id, { kind: "retain", days, by: operatorOf(at) });
    isRunning &&= taken.isRunning;
  }
  const made = await reading(at, async (store) => {
    const states = await Promise.all(ids.map(async (id) => (await treeIn(store, id)).state));
    return states.map((state) => ({ tree: state.tree, days, nextMs: redactMs(state) }));
  });
  const hint = isRunning || days === null
    ? []
    : ["No kernel runs on this store: libos tree retain --now takes away what is due"];
  show(at, made, {
    name: ids.join("\n"),
    lines: [
      ...made.map(({ tree, nextMs }) =>
        `${tree} keeps its payloads ${daysText(days)}` +
        (nextMs === null ? "" : `; looked at next ${dateOf(Math.max(nextMs, realClock.now()))}`)
      ),
      ...hint,
    ],
  });
  return EXIT.ok;
}

/** Takes away what is due, as the store's only kernel. */
async function passNow(at: Context): Promise<number> {
  const done = await owning(at, "take payloads away", ({ node }) => redactDue(node));
  list(at, done, {
    columns: COLUMNS,
    name: ({ tree }) => tree,
    none: `Nothing is due; a tree is looked at ${LIMITS.retentionDaysMin} day after the last time`,
  });
  return EXIT.ok;
}
