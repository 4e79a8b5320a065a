/**
 * Search: pages of what trees have in them, read no further than the page needs.
 *
 * Invariants:
 *   S1. A page looks at the trees that it shows something of, at those before its cursor never, and
 *       opens none.
 *   S2. What its reader may not see is not in it, nor counted.
 *   S3. A tree that cannot be shown, as one that somebody forged, is left out and hides no other.
 * @module
 */

import type { StoreReads, TreeHead } from "../kernel/store.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { residents } from "../kernel/process.ts";
import type { Process } from "../kernel/state.ts";
import { SysError } from "../kernel/errors.ts";
import type { House } from "./api.ts";
import type { Glance } from "./glance.ts";
import { cursorOf, sortable, toCursor } from "./page.ts";
import { type Principal, seesTree } from "./principal.ts";
import type { ProcessView } from "./schema/process.ts";
import { processView } from "./view/process.ts";

const PAGE = 200;

/** What trees to go through. */
export interface TreeQuery {
  /** Where to read: the store itself where something is to be done with what is found. */
  readonly view: StoreReads;
  readonly tree?: string | undefined;
  /** Ended trees too. */
  readonly all: boolean;
  /** Only those with requests that wait for a person. */
  readonly asking?: boolean;
  /** Trees up to this one are left out. */
  readonly after?: TreeId | undefined;
}

/** Trees whose root somebody may see, in order of number, without opening any. */
export async function* seenTrees(
  house: House,
  who: Principal,
  query: TreeQuery,
): AsyncGenerator<Glance> {
  const { view } = query;
  const at = (head: TreeHead | undefined): Promise<Glance | undefined> =>
    house.glances.at(head, view);
  if (query.tree !== undefined) {
    const found = await at(await view.head(query.tree as TreeId));
    if (found !== undefined && seesTree(who, found.tree.state)) yield found;
    return;
  }
  let { after } = query;
  for (;;) {
    const page = await view.list({
      live: !query.all,
      ...(query.asking === true ? { live: true, asking: true } : {}),
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    for (const head of page) {
      const found = await at(head);
      if (found !== undefined && seesTree(who, found.tree.state)) yield found;
    }
    after = page.at(-1)?.tree;
    if (page.length < PAGE) return;
  }
}

/**
 * A page of things of trees, in order of id: each tree's are sorted, and trees come in order of
 * number.
 */
export async function pageOfTrees<T>(
  house: House,
  who: Principal,
  given: TreeQuery & {
    readonly page: { readonly after?: string | undefined; readonly limit: number };
    idOf(one: T): string;
    of(seen: Glance): readonly T[] | Promise<readonly T[]>;
  },
): Promise<{ items: T[]; next: string | null }> {
  const { page, idOf } = given;
  const seen = page.after === undefined ? null : cursorOf(page.after);
  const last = seen === null ? null : Number(/^\D*0*(\d+)/.exec(seen)?.[1] ?? 0);
  const items: T[] = [];
  const query = last === null || last < 2 ? given : { ...given, after: `t_${last - 1}` as TreeId };
  for await (const hosted of seenTrees(house, who, query)) {
    const all = await shownOf(
      house,
      async () => [...await given.of(hosted)].map((one) => ({ one, key: sortable(idOf(one)) })),
    );
    const found = all.filter(({ key }) => seen === null || key > seen)
      .sort((a, b) => a.key < b.key ? -1 : 1);
    items.push(...found.map(({ one }) => one));
    if (items.length > page.limit) break;
  }
  const shown = items.slice(0, page.limit);
  const end = shown.at(-1);
  const next = items.length > page.limit && end !== undefined
    ? toCursor(sortable(idOf(end)))
    : null;
  return { items: shown, next };
}

/** What there is to show of a tree; nothing, where that is not what a kernel wrote (S3). */
async function shownOf<T>(
  house: House,
  of: () => Promise<readonly T[]>,
): Promise<readonly T[]> {
  try {
    return await of();
  } catch (thrown) {
    if (!(thrown instanceof TypeError || thrown instanceof RangeError)) throw thrown;
    house.failed(thrown);
    return [];
  }
}

/** Those of these processes that somebody may see, without looking at any other tree. */
export async function processesNamed(
  house: House,
  who: Principal,
  { view, pids }: { readonly view: StoreReads; readonly pids: readonly Pid[] },
): Promise<ProcessView[]> {
  const found: ProcessView[] = [];
  for (const [tree, own] of Map.groupBy(new Set(pids), treeOf)) {
    const seen = await house.glances.at(await view.head(tree), view);
    if (seen === undefined || !seesTree(who, seen.tree.state)) continue;
    const { processes } = seen.tree.state;
    for (const pid of own) {
      if (Object.hasOwn(processes, pid)) found.push(processView(seen, processes[pid]!));
    }
  }
  return found;
}

/** A page of processes. */
export async function processesOf(
  house: House,
  who: Principal,
  query: {
    readonly view: StoreReads;
    readonly all: "true" | "false";
    readonly state?: string | undefined;
    readonly label?: string | string[] | undefined;
    readonly tree?: string | undefined;
    readonly image?: string | undefined;
    readonly after?: string | undefined;
    readonly limit: number;
  },
): Promise<{ items: ProcessView[]; next: string | null }> {
  const wanted = labelsOf(query.label);
  const isAll = query.all === "true" || query.state?.startsWith("ended") === true;
  const fits = (process: Process, view: ProcessView): boolean =>
    (isAll || view.state !== "ended") &&
    wanted.every(([key, value]) => process.labels[key] === value) &&
    (query.image === undefined || view.image === query.image ||
      view.image.startsWith(`${query.image}@`)) &&
    (query.state === undefined || isState(view, query.state));
  return await pageOfTrees<ProcessView>(house, who, {
    view: query.view,
    tree: query.tree,
    all: isAll,
    page: query,
    idOf: ({ pid }) => pid,
    of: (hosted) =>
      residents(hosted.tree.state).flatMap((process) => {
        const view = processView(hosted, process);
        return fits(process, view) ? [view] : [];
      }),
  });
}

function isState(view: ProcessView, wanted: string): boolean {
  const [state, reason] = wanted.split("/");
  return view.state === state && (reason === undefined || view.waiting?.reason === reason);
}

function labelsOf(given: string | string[] | undefined): [string, string][] {
  return [given ?? []].flat().map((text) => {
    const at = text.indexOf("=");
    if (at < 1) throw new SysError("EINVAL", `Cannot filter by label "${text}": expected k=v`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}
