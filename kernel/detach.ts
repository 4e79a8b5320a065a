/**
 * Detached children: each is the root of a tree of its own, with its own log, on whatever node.
 *
 * Invariants:
 *   DT1. The parent's tree says in one commit that the child is there, what it may do, and that its
 *        tree is to begin so. The child's tree begins once, and never without that line.
 *   DT2. No capability of the child covers more than one of its parent's, with all that this was
 *        derived from: nothing that counts uses, and no person's answer, goes to another tree.
 *   DT3. Of what limits the parent, the child is given a part that the parent has no more.
 *   DT4. Ceiling, policy, rules and labels of nodes of the child's tree are its parent's, or more.
 * @module
 */

import { type Held, leftOf, SPENT_KINDS } from "./budget.ts";
import type { Capability } from "./capability.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { BudgetLimits, EventMap, ImageData, Spending, SpentKind } from "./event.ts";
import { type NodeLabels, refuseLabels } from "./fleet.ts";
import { matchResource, matchRight } from "./grammar.ts";
import type { CapId, Pid, TreeId } from "./ids.ts";
import { canonical, sha256 } from "./json.ts";
import { rootOf } from "./kin.ts";
import type { Birth, Descent } from "./kin_event.ts";
import { LIMITS } from "./limits.ts";
import { parsePolicy } from "./policy.ts";
import { checkRoom, common, depthOf, handedOver, plant, type SpawnSpec } from "./spawn.ts";
import type { Process, State } from "./state.ts";

/** What a detached child is started with. */
export interface DetachSpec extends SpawnSpec {
  /** The tree that it will be: one that nobody began yet. */
  readonly tree: TreeId;
  /** Labels that its node has to have, besides those that its parent's has to have. */
  readonly selector: NodeLabels;
  /** How many trees it may have below itself at the same time. */
  readonly trees: number;
  /** Money that is held for calls under way. */
  readonly under: readonly Held[];
}

/** Decides a detached child. */
export function detach(draft: Draft, parent: Process, spec: DetachSpec): Pid {
  checkRoom(draft, parent, spec);
  refuseTools(parent, spec);
  const { tree: { state }, nowMs } = draft;
  const pid = rootOf(spec.tree);
  const caps = handedOver(draft, parent, { pid, isAway: true }, spec);
  refuseTrees(state, parent, spec.trees);
  const selector = placed(state, spec.selector);
  const wanted = { ...spec.image.budget, ...spec.budget };
  const { budget, held } = share(state, parent, { wanted, under: spec.under, nowMs });
  const away = { tree: spec.tree, held, trees: spec.trees };
  draft.add("process.spawned", {
    ...common(spec),
    ...{ pid, budget, away, parent: parent.pid, mode: "detached", view: null, ephemeral: false },
    label: parent.label,
    tools: spec.image.tools,
  });
  for (const cap of caps) draft.add("cap.granted", cap);
  const say = birthOf(draft, parent, { ...spec, selector, budget, caps });
  const bytes = canonical(say).length;
  if (bytes > LIMITS.birthBytesMax) {
    const sentence = `Cannot detach a child of "${parent.pid}": it would begin with ${bytes} bytes`;
    throw new SysError("ELIMIT", `${sentence}, expected at most ${LIMITS.birthBytesMax}`, {
      limit: "birthBytesMax",
    });
  }
  draft.add("kin.told", { to: spec.tree, say });
  return pid;
}

function refuseTools({ pid }: Process, { inherit = [] }: DetachSpec): void {
  if (inherit.length === 0) return;
  const expected = "expected it in the child's image, or a child of the own tree";
  throw new SysError("EINVAL", `Cannot hand on tools of "${pid}" to another tree: ${expected}`);
}

/** G10: trees below a tree are given out from above, so that they are bounded over all of them. */
function refuseTrees(state: State, { pid }: Process, wanted: number): void {
  const { above, away = {} } = state.kin ?? {};
  const most = above?.trees ?? LIMITS.treesBelowMax;
  const taken = Object.values(away).reduce((sum, { trees }) => sum + 1 + trees, 0);
  if (taken + 1 + wanted <= most) return;
  const asked = `1 and ${wanted} below it wanted, ${taken} of ${most} taken`;
  const expected = "expected fewer; a child may have as many as its spawn says in trees";
  throw new SysError("ELIMIT", `Cannot detach a child of "${pid}": ${asked}, ${expected}`, {
    limit: "treesBelowMax",
  });
}

/** DT4: a tree that has to be in one place has its children there. */
function placed({ selector = {} }: State, wanted: NodeLabels): NodeLabels {
  refuseLabels("a child", wanted);
  for (const [key, value] of Object.entries(selector)) {
    if (!Object.hasOwn(wanted, key) || wanted[key] === value) continue;
    const sentence = `Cannot place a child on ${key}=${wanted[key]}: its parent's tree is bound`;
    throw new SysError("EPERM", `${sentence} to ${key}=${value}, expected the same`);
  }
  return { ...wanted, ...selector };
}

/** DT3. */
function share(state: State, parent: Process, given: {
  readonly wanted: BudgetLimits;
  readonly under: readonly Held[];
  readonly nowMs: number;
}): { readonly budget: BudgetLimits; readonly held: Spending } {
  const budget: { -readonly [K in keyof BudgetLimits]: BudgetLimits[K] } = { ...given.wanted };
  const held: { [K in SpentKind]?: number } = {};
  const refused = `Cannot detach a child of "${parent.pid}"`;
  for (const kind of SPENT_KINDS) {
    const left = kind === "usd"
      ? leftOf(state, parent, given.under)
      : leastLeft(state, parent, ({ limits, spent }) => {
        const limit = limits[kind];
        // It is itself one of them.
        return limit === undefined ? undefined : limit - spent[kind] - Number(kind === "children");
      });
    if (left === undefined) continue;
    const asked = budget[kind] ?? (kind === "children" ? 0 : undefined);
    if (asked === undefined || asked > left) {
      const expected = `expected at most ${
        Math.max(0, left)
      } in its budget, set aside until it ends`;
      const found = `"${kind}" of its parent is limited and ${asked ?? "no part"} is asked for`;
      throw new SysError("EBUDGET", `${refused}: ${found}, ${expected}`, { kind, pid: parent.pid });
    }
    budget[kind] = held[kind] = asked;
  }
  const { nowMs } = given;
  const ms = leastLeft(
    state,
    parent,
    ({ limits: { wallMs }, startedMs }) =>
      wallMs === undefined ? undefined : wallMs - (nowMs - startedMs),
  );
  const depth = leastLeft(
    state,
    parent,
    ({ limits }, i) => limits.depth === undefined ? undefined : limits.depth - i - 1,
  );
  if (ms !== undefined) budget.wallMs = Math.min(ms, budget.wallMs ?? ms);
  if (depth !== undefined) budget.depth = Math.min(depth, budget.depth ?? depth);
  return { budget, held };
}

/** The least that a process or one above it has left; undefined where none has a limit. */
function leastLeft(
  state: State,
  process: Process,
  left: (at: Process, generation: number) => number | undefined,
): number | undefined {
  let least: number | undefined;
  let at: Process | undefined = process;
  for (let i = 0; at !== undefined; i++) {
    const found = left(at, i);
    if (found !== undefined) least = Math.min(least ?? Infinity, found);
    at = at.parent === null ? undefined : state.processes[at.parent];
  }
  return least;
}

function birthOf(
  draft: Draft,
  parent: Process,
  given: DetachSpec & {
    readonly budget: BudgetLimits;
    readonly caps: readonly Capability[];
  },
): Birth {
  const { tree } = draft;
  const { state } = tree;
  const { days, by, isDefault } = state.retention ?? {};
  const images = imagesFor(state, given);
  const named = images.flatMap(({ generated = [] }) => generated).map(({ hash }) => hash);
  const { goal, input, cwd, labels, priority, budget, selector, trees, image } = given;
  // The root's rules first, as they are judged.
  const rules = [...tree.lineage(parent.pid).map((pid) => state.processes[pid]!.rules).reverse()];
  return {
    kind: "birth",
    parent: parent.pid,
    depth: depthOf(tree, parent),
    nonce: sha256(canonical([state.nonce, given.tree])).slice(0, 32),
    owner: state.owner ?? null,
    ceiling: state.ceiling,
    policy: state.policy.text,
    images,
    generated: [...new Set(named)].flatMap((hash) => proposalOf(state, hash)),
    caps: withAncestors(draft, given.caps),
    rules: [...rules, given.rules].filter((text) => text !== "").join("\n"),
    ...{ goal, input, cwd, priority, budget, selector, trees, image: image.hash },
    // Who sees the parent's tree sees the child's, and nobody else does.
    labels: { ...labels, ...state.processes[rootOf(state.tree)]?.labels },
    label: parent.label,
    marks: state.marks ?? null,
    retention: days === undefined ? null : { days, by: by!, isDefault: isDefault! },
  };
}

/** The child's image, and those that its capabilities let it start or become. */
function imagesFor(state: State, { image, caps }: {
  readonly image: ImageData;
  readonly caps: readonly Capability[];
}): ImageData[] {
  const opens = ({ name, version }: ImageData): boolean =>
    caps.some(({ right, resource }) =>
      (matchRight(right, "process.spawn") || matchRight(right, "process.exec")) &&
      matchResource(resource, `${name}@${version}`)
    );
  const others = Object.values(state.images).filter((one) => one.hash !== image.hash);
  return [...others.filter(opens), image];
}

function proposalOf(state: State, hash: string): EventMap["tool.proposed"][] {
  const known = Object.hasOwn(state.tools, hash) ? state.tools[hash]! : undefined;
  if (known === undefined || known.revoked !== null) return [];
  const { also: _, atMs: __, tested: ___, revoked: ____, ...proposed } = known;
  return [{ ...proposed, by: "image" }];
}

/** Capabilities with all that they were derived from, what is derived after that it is from. */
function withAncestors(draft: Draft, caps: readonly Capability[]): Capability[] {
  const found = new Map<CapId, Capability>();
  const add = (cap: Capability): void => {
    if (found.has(cap.id)) return;
    if (cap.parent !== null) add(draft.tree.cap(cap.parent)!);
    const { usesSpent: _, ...given } = cap as Capability & { readonly usesSpent?: number };
    found.set(cap.id, given);
  };
  caps.forEach(add);
  return [...found.values()];
}

/** Decides the first lines of a detached child's tree: it becomes what its parent's tree says. */
export function bear(draft: Draft, birth: Birth, from: {
  readonly tree: TreeId;
  readonly seq: number;
  readonly hash: string;
}): void {
  const { state } = draft.tree;
  if (Object.keys(state.processes).length > 0) {
    throw new SysError("ESTATE", `Cannot begin tree "${state.tree}": it has begun`);
  }
  const { parent, depth, trees, owner, nonce, policy, ceiling, selector, images } = birth;
  const above: Descent = { ...from, pid: parent, depth, trees };
  parsePolicy(policy, draft.tree.context);
  plant(draft, {
    ...{ above, nonce, policy, ceiling, selector, images, key: null, caps: [], grants: [] },
    ...(owner === null ? {} : { owner }),
    ...(birth.marks === null ? {} : { marks: birth.marks }),
    proposed: birth.generated,
    label: birth.label,
    image: images.find(({ hash }) => hash === birth.image)!,
    goal: birth.goal,
    input: birth.input,
    cwd: birth.cwd,
    rules: birth.rules,
    labels: birth.labels,
    budget: birth.budget,
    priority: birth.priority,
  });
  const names = new Map<CapId, CapId>();
  for (const { id, of: _, ...cap } of birth.caps) {
    const own = draft.id("cap");
    names.set(id, own);
    const under = cap.parent === null ? null : names.get(cap.parent)!;
    draft.add("cap.granted", { ...cap, id: own, of: id, parent: under });
  }
  if (birth.retention !== null) draft.add("retention.set", birth.retention);
}
