/**
 * How long payloads are kept: `tree retain`.
 * @module
 */

import { LIMITS } from "../kernel/limits.ts";
import { redactMs, refuseDays } from "../kernel/retention.ts";
import type { State } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import { realClock } from "../providers/clock.ts";
import { planRedaction, redactDue, type Redacted } from "../runtime/redaction.ts";
import type { Client, Kept, RetentionPlan } from "../server/client.ts";
import { several } from "./audit_parts.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { daysText } from "../runtime/line_text.ts";
import { give, operatorOf } from "./order.ts";
import { list, show } from "./output.ts";
import { owning } from "./position.ts";
import { findTree, headsOf, reading, treeIn } from "./store.ts";
import { treesThere } from "./system_there.ts";
import { dateOf } from "./words.ts";

/** What follows `tree`. */
export const RETAIN_USAGE = "retain [TREE|--all] [DAYS|forever] [--dry-run|--now]";
/** What `tree retain` takes besides. */
export const RETAIN_OPTIONS = {
  all: { type: "boolean" },
  "dry-run": { type: "boolean" },
  now: { type: "boolean" },
} as const;

/** What is known of one tree. */
interface Row {
  readonly tree: string;
  readonly days: number | null;
  readonly by: string | null;
  /** Payloads that may go some time, and those that the state needs. */
  readonly payloads: number;
  readonly bytes: number;
  readonly stays: number;
  /** When it is looked at next; null for never. */
  readonly nextMs: number | null;
}

/** What would go of one tree, or went. */
type Going = Omit<Redacted, "tree"> & { readonly tree: string };

/** Where payloads are kept: a store here, or a server's. */
interface Keeping {
  /** How it is with a tree, or with all. */
  rows(word: string | undefined): Promise<readonly Row[]>;
  /** What would go, if payloads were kept so many days; undefined: as each log says. */
  plans(word: string | undefined, days: number | null | undefined): Promise<readonly Going[]>;
  /** Orders how long they are kept; whether a kernel takes away what is due. */
  order(word: string | undefined, days: number | null): Promise<{
    readonly made: readonly Pick<Row, "tree" | "days" | "nextMs">[];
    readonly isRunning: boolean;
  }>;
  /** Takes away what is due; null where others do that by themselves. */
  readonly pass: (() => Promise<readonly Going[]>) | null;
}

/** Shows how long payloads are kept, says so of trees, or takes away what is due. */
export async function retain(at: Context, kept: Keeping): Promise<number> {
  const [, first, second] = at.words;
  const { flags } = at;
  if (flags.on("now")) {
    if (first === undefined && !flags.on("dry-run")) return await passNow(at, kept);
    throw new UsageError('Cannot run "tree retain --now": expected nothing else; it takes no tree');
  }
  const [word, days] = flags.on("all") ? [undefined, first] : [first, second];
  if (flags.on("all") && second !== undefined) {
    throw new UsageError('Cannot run "tree retain --all": a tree and all, expected one of them');
  }
  if (flags.on("dry-run")) {
    const plans = await kept.plans(word, days === undefined ? days : daysOf(days));
    const none = "Nothing would go: payloads are kept forever";
    list(at, plans, { columns: COLUMNS, name: ({ tree }) => tree, none });
    return EXIT.ok;
  }
  if (days === undefined) return showRows(at, await kept.rows(word));
  return await said(at, kept, word, daysOf(days));
}

/** The store here. */
export function keptHere(at: Context): Keeping {
  return {
    rows: (word) =>
      reading(at, async (store) => {
        const nowMs = realClock.now();
        const rows: Row[] = [];
        for (const state of await statesOf(store, word)) {
          const { tree, count, bytes, stays } = await planRedaction(store, state, {
            nowMs,
            days: 0,
          });
          const { days = null, by = null } = state.retention ?? {};
          rows.push({ tree, days, by, payloads: count, bytes, stays, nextMs: redactMs(state) });
        }
        return rows;
      }),
    plans: (word, days) =>
      reading(at, async (store) => {
        const nowMs = realClock.now();
        const plans: Redacted[] = [];
        for (const state of await statesOf(store, word)) {
          const kept = days === undefined ? state.retention?.days ?? null : days;
          refuseDays(`tree "${state.tree}"`, kept);
          if (kept !== null) plans.push(await planRedaction(store, state, { nowMs, days: kept }));
        }
        return plans;
      }),
    order: (word, days) => ordered(at, word, days),
    pass: () => owning(at, "take payloads away", ({ node }) => redactDue(node)),
  };
}

/** A server's store. */
export function keptThere(client: Client): Keeping {
  const each = async <T>(
    word: string | undefined,
    ask: (path: string) => Promise<T>,
  ): Promise<T[]> => {
    const found: T[] = [];
    for (const tree of await treesThere(client, word)) {
      found.push(await ask(`/v1/trees/${tree}/retention`));
    }
    return found;
  };
  return {
    rows: (word) => each(word, (path) => client.get<Row>(path)),
    async plans(word, days) {
      if (days === null) return [];
      const query = { days };
      return (await each(word, (path) => client.get<RetentionPlan>(`${path}/plan`, query)))
        .flatMap(({ items }) => items);
    },
    async order(word, days) {
      const body = { days };
      return {
        made: await each(word, (path) => client.send<Kept>("PUT", path, { body })),
        isRunning: true,
      };
    },
    pass: null,
  };
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

function showRows(at: Context, rows: readonly Row[]): number {
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

const COLUMNS = [
  { head: "TREE", of: ({ tree }: Going) => tree },
  { head: "UP TO", of: ({ to }: Going) => `#${to}` },
  { head: "PAYLOADS", of: ({ count }: Going) => String(count) },
  { head: "BYTES", of: ({ bytes }: Going) => String(bytes) },
  { head: "IN USE", of: ({ stays }: Going) => String(stays) },
];

/** Orders how long payloads are kept; a kernel that runs takes the order. */
async function ordered(
  at: Context,
  word: string | undefined,
  days: number | null,
): ReturnType<Keeping["order"]> {
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
  return { made, isRunning };
}

async function said(
  at: Context,
  kept: Keeping,
  word: string | undefined,
  days: number | null,
): Promise<number> {
  const { made, isRunning } = await kept.order(word, days);
  const hint = isRunning || days === null
    ? []
    : ["No kernel runs on this store: libos tree retain --now takes away what is due"];
  show(at, made, {
    name: made.map(({ tree }) => tree).join("\n"),
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
async function passNow(at: Context, { pass }: Keeping): Promise<number> {
  if (pass === null) {
    const why = "a server takes away what is due by itself";
    throw new UsageError(`Cannot run "tree retain --now" on a server: ${why}, expected no --now`);
  }
  list(at, await pass(), {
    columns: COLUMNS,
    name: ({ tree }) => tree,
    none: `Nothing is due; a tree is looked at ${LIMITS.retentionDaysMin} day after the last time`,
  });
  return EXIT.ok;
}
