/**
 * Birth: new trees, children and forks, each with no more authority than its parent.
 *
 * Invariants:
 *   F1. Every capability of a child is derived from one of its parent's (G3). An image grants
 *       nothing.
 *   F2. A fork copies no value: it sees its parent's memory as it was, copy-on-write.
 *   F3. Who stands apart, and all below it, sees nothing of what is held above it for subtrees.
 * @module
 */

import { afford } from "./budget.ts";
import {
  type Capability,
  ceilingAllows,
  coveringFor,
  derive,
  type HeldCapability,
} from "./capability.ts";
import { checkConstraint } from "./constraint.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { BudgetLimits, EventMap, ImageData } from "./event.ts";
import type { NodeLabels } from "./fleet.ts";
import { inherit, propose, registerFromImage, type ToolDefinition } from "./generated.ts";
import { type Pattern } from "./grammar.ts";
import type { Pid } from "./ids.ts";
import type { Json } from "./json.ts";
import type { Descent } from "./kin_event.ts";
import { BOTTOM, type Label } from "./label.ts";
import { LIMITS } from "./limits.ts";
import type { Marks } from "./mark.ts";
import { parseGrant } from "./path.ts";
import { checkPolicy, parsePolicy } from "./policy.ts";
import { lifeState } from "./process.ts";
import type { Process, State } from "./state.ts";
import type { Tree } from "./tree.ts";

/** An image of a tree and its reference `name@version`. */
export interface FoundImage {
  readonly ref: string;
  readonly image: ImageData;
}

/** An image by `name@version`, hash, or `name`; of a name, the highest version. */
export function findImage(state: State, wanted: string): FoundImage | undefined {
  let found: FoundImage | undefined;
  for (const image of Object.values(state.images)) {
    const ref = `${image.name}@${image.version}`;
    if (wanted !== ref && wanted !== image.name && wanted !== image.hash) continue;
    if (found === undefined || isLater(image, found.image)) found = { ref, image };
  }
  return found;
}

/** By version, number by number, then by hash: never by the order in which they are kept. */
function isLater(a: ImageData, b: ImageData): boolean {
  const [left, right] = [a, b].map(({ version }) => version.split("."));
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const [x = "", y = ""] = [left![i], right![i]];
    if (x === y) continue;
    const [n, m] = [Number(x), Number(y)];
    return Number.isNaN(n) || Number.isNaN(m) ? x > y : n > m;
  }
  return a.hash > b.hash;
}

/** What a child is started with. */
export interface SpawnSpec {
  readonly image: ImageData;
  readonly goal: string;
  readonly input: Json;
  readonly cwd: string;
  /** `right(resource)` each. */
  readonly grants: readonly string[];
  readonly rules: string;
  readonly labels: { readonly [key: string]: string };
  readonly budget: BudgetLimits;
  readonly priority: number;
  /** Generated tools of the parent's table that the child sees. */
  readonly inherit?: readonly string[];
  /** Whether it sees nothing that its ancestors hold for their subtrees. */
  readonly apart?: boolean;
}

/** Decides a child process. */
export function spawn(draft: Draft, parent: Process, spec: SpawnSpec): Pid {
  checkRoom(draft, parent, spec);
  const pid = draft.id("p");
  const grants = handedOver(draft, parent, { pid }, spec);
  draft.add("process.spawned", {
    ...common(spec),
    pid,
    parent: parent.pid,
    mode: "spawn",
    view: null,
    ephemeral: false,
    ...(spec.apart === true ? { apart: true } : {}),
    label: parent.label,
    tools: spec.image.tools,
  });
  for (const cap of [...ownCaps(draft, pid, parent.pid), ...grants]) draft.add("cap.granted", cap);
  const born = { pid, cwd: spec.cwd, tools: spec.image.tools };
  registerFromImage(draft, born, spec.image);
  inherit(draft, parent, born, spec.inherit ?? []);
  return pid;
}

/** What a parent derives for a child: what its spawn names, and the image's model. */
export function handedOver(
  draft: Draft,
  parent: Process,
  to: Receiver,
  spec: SpawnSpec,
): Capability[] {
  return [
    ...spec.grants.map((text) => derivedGrant(draft, parent, to, text)),
    ...modelGrant(draft, parent, { ...to, model: spec.image.model }),
  ];
}

/** Who is given something. */
interface Receiver {
  readonly pid: Pid;
  /** Whether it is another tree: then only what may be used in two is handed on. */
  readonly isAway?: boolean;
}

/** What a fork is started with. */
export interface ForkSpec extends Omit<SpawnSpec, "image"> {
  readonly mode: "copy" | "restricted";
  readonly share: readonly string[];
  readonly ephemeral: boolean;
}

/** Decides a fork (F2). */
export function fork(draft: Draft, parent: Process, spec: ForkSpec): Pid {
  checkRoom(draft, parent, spec);
  const { state, caps } = draft.tree;
  const pid = draft.id("p");
  const facts = { via: "spawn", by: parent.pid, nowMs: draft.nowMs } as const;
  const derived = spec.mode === "restricted"
    ? spec.grants.map((text) => derivedGrant(draft, parent, { pid }, text))
    : [...caps.heldBy([parent.pid])]
      .filter((cap) => inheritable(cap, parent.pid, draft.nowMs))
      .map((cap) => derive(cap, { subject: pid }, { ...facts, id: draft.id("cap") }));
  draft.add("process.spawned", {
    ...common({ ...spec, image: state.images[parent.image]! }),
    pid,
    parent: parent.pid,
    mode: "fork",
    view: { only: spec.mode === "restricted" ? spec.share : null },
    ephemeral: spec.ephemeral,
    label: parent.label,
    tools: parent.tools,
  });
  for (const cap of [...ownCaps(draft, pid, parent.pid), ...derived]) draft.add("cap.granted", cap);
  const born = { pid, cwd: spec.cwd, tools: parent.tools };
  registerFromImage(draft, born, state.images[parent.image]!);
  inherit(draft, parent, born, spec.inherit ?? []);
  return pid;
}

/** One-shots and what is about the parent itself stay with the parent. */
function inheritable(cap: HeldCapability, parent: Pid, nowMs: number): boolean {
  return cap.delegable && cap.depthMax > 0 && cap.usesMax === null && cap.grant === null &&
    (cap.expiresMs === null || cap.expiresMs > nowMs) && cap.depth < LIMITS.capabilityDepthMax &&
    !cap.resource.startsWith(`${parent}/`);
}

/** What every start says. */
export function common(spec: SpawnSpec): Pick<
  EventMap["process.spawned"],
  "image" | "goal" | "input" | "cwd" | "labels" | "rules" | "priority" | "budget"
> {
  const { image, goal, input, cwd, labels, rules, priority } = spec;
  return {
    image: image.hash,
    goal,
    input,
    cwd,
    labels,
    rules,
    priority,
    budget: { ...image.budget, ...spec.budget },
  };
}

/** How many generations a child of a process has above it, over all trees. */
export function depthOf(tree: Tree, parent: Process): number {
  return tree.lineage(parent.pid).length + (tree.state.kin?.above?.depth ?? 0);
}

/** Refuses a child that there is no room for. */
export function checkRoom(draft: Draft, parent: Process, spec: { readonly rules: string }): void {
  const { tree } = draft;
  const depth = depthOf(tree, parent);
  const refused = `Cannot start a child of "${parent.pid}"`;
  if (depth >= LIMITS.processDepthMax) {
    throw new SysError("ELIMIT", `${refused}: depth ${depth}, expected less`, {
      limit: "processDepthMax",
    });
  }
  for (const [i, pid] of tree.lineage(parent.pid).entries()) {
    const { depth: below } = tree.state.processes[pid]!.limits;
    if (below !== undefined && i + 1 > below) {
      throw new SysError("EBUDGET", `${refused}: "${pid}" allows depth ${below} below it`);
    }
  }
  const live = liveCount(tree.state);
  if (live >= LIMITS.processesPerTreeMax) {
    throw new SysError("ELIMIT", `${refused}: ${live} processes live, expected fewer`, {
      limit: "processesPerTreeMax",
    });
  }
  afford(tree.state, parent, { children: 1 }, draft.nowMs);
  checkPolicy(spec.rules, tree.context);
}

/** How many processes live; where fewer were ever born than may live, how many those were. */
function liveCount({ next, processes }: State): number {
  if (next.p < LIMITS.processesPerTreeMax) return next.p;
  return Object.values(processes).filter(({ life }) => lifeState(life) !== "ended").length;
}

/** A capability of the parent's that provably covers a grant, narrowed to it. */
function derivedGrant(draft: Draft, parent: Process, to: Receiver, text: string): Capability {
  const pattern = parseGrant(text, parent.cwd);
  const { tree, nowMs } = draft;
  const { pid: subject, isAway: isFree = false } = to;
  const from = coveringFor(tree.caps, { lineage: tree.reach(parent.pid), pattern, nowMs, isFree });
  if (from === undefined) {
    const shown = `${pattern.right}(${pattern.resource})`;
    const expected = "expected a part of what the parent holds and may hand on" +
      (isFree ? " to another tree: nothing that counts uses or that a person answered" : "");
    throw new SysError(
      "EPERM",
      `Cannot grant ${shown}: no capability of "${parent.pid}" covers it, ${expected}`,
      { right: pattern.right, resource: pattern.resource },
    );
  }
  return derive(from, { subject, ...pattern }, {
    id: draft.id("cap"),
    via: "spawn",
    by: parent.pid,
    nowMs,
  });
}

/** The image's model, where the parent may use it itself: a child that cannot think is no use. */
function modelGrant(
  draft: Draft,
  parent: Process,
  child: Receiver & { readonly model: string | null },
): Capability[] {
  if (child.model === null) return [];
  const pattern = { right: "model.generate", resource: child.model };
  const { tree, nowMs } = draft;
  const isFree = child.isAway === true;
  const from = coveringFor(tree.caps, { lineage: tree.reach(parent.pid), pattern, nowMs, isFree });
  if (from === undefined) return [];
  const facts = { id: draft.id("cap"), via: "spawn", by: parent.pid, nowMs } as const;
  return [derive(from, { subject: child.pid, ...pattern }, facts)];
}

/** What every process has from the start: its own memory, and its own voice. */
function ownCaps(draft: Draft, pid: Pid, by: string): Capability[] {
  return [
    root(draft, { subject: pid, right: "object.*", resource: `${pid}/**` }, { via: "spawn", by }),
  ];
}

/** A capability that stands on its own; only boot code, operators and birth make one. */
export function root(
  draft: Draft,
  given: Pick<Capability, "subject" | "right" | "resource"> & Partial<Capability>,
  source: Pick<Capability, "via" | "by">,
): Capability {
  return {
    parent: null,
    depth: 0,
    constraint: null,
    usesMax: null,
    expiresMs: null,
    bytesMax: null,
    delegable: true,
    depthMax: LIMITS.capabilityDepthMax,
    scope: "process",
    grant: null,
    ...given,
    ...source,
    id: draft.id("cap"),
    atMs: draft.nowMs,
  };
}

/** What a tree is started with. */
export interface TreeSpec extends SpawnSpec {
  readonly key: string | null;
  readonly nonce: string;
  /** Who starts it. */
  readonly owner?: string;
  /** Labels that its node has to have. */
  readonly selector?: NodeLabels;
  readonly policy: string;
  /** Nothing outside it is ever put before a person. */
  readonly ceiling: readonly Pattern[];
  readonly images: readonly ImageData[];
  /** Generated tools that the images name by hash. */
  readonly generated?: readonly ToolDefinition[];
  /** The same, as another tree has them. */
  readonly proposed?: readonly EventMap["tool.proposed"][];
  /** Whose child it is, in another tree. */
  readonly above?: Descent;
  /** What files are marked with there. */
  readonly marks?: Marks;
  /** What its root has seen by then. */
  readonly label?: Label;
  readonly caps: readonly (
    & Pick<Capability, "right" | "resource">
    & Partial<
      Pick<
        Capability,
        "bytesMax" | "constraint" | "delegable" | "depthMax" | "expiresMs" | "usesMax"
      >
    >
  )[];
}

/** Decides a tree's first lines: the root process and its authority. */
export function plant(draft: Draft, spec: TreeSpec): Pid {
  const pid = draft.id("p");
  for (const cap of spec.caps) {
    if (cap.constraint != null) checkConstraint(cap.constraint);
    if (!ceilingAllows(spec.ceiling, cap)) {
      const shown = `${cap.right}(${cap.resource})`;
      throw new SysError("EPERM", `Cannot grant ${shown}: over the tree's ceiling`);
    }
  }
  parsePolicy(spec.rules, draft.tree.context);
  parsePolicy(spec.policy, draft.tree.context);
  const { key, nonce, ceiling, policy } = spec;
  const owner = spec.owner === undefined ? {} : { owner: spec.owner };
  const { selector = {} } = spec;
  const where = {
    ...(Object.keys(selector).length === 0 ? {} : { selector }),
    ...(spec.above === undefined ? {} : { above: spec.above }),
    ...(spec.marks === undefined ? {} : { marks: spec.marks }),
  };
  draft.add("tree.created", { root: pid, key, nonce, ceiling, policy, ...owner, ...where });
  draft.add("policy.loaded", { text: policy, by: "boot" });
  for (const tool of spec.generated ?? []) propose(draft, tool, "image");
  for (const tool of spec.proposed ?? []) draft.add("tool.proposed", tool);
  for (const image of spec.images) draft.add("image.registered", image);
  draft.add("process.spawned", {
    ...common(spec),
    pid,
    parent: null,
    mode: "spawn",
    view: null,
    ephemeral: false,
    label: spec.label ?? BOTTOM,
    tools: spec.image.tools,
  });
  for (const cap of ownCaps(draft, pid, "boot")) draft.add("cap.granted", cap);
  for (const cap of spec.caps) {
    draft.add("cap.granted", root(draft, { ...cap, subject: pid }, { via: "boot", by: "boot" }));
  }
  registerFromImage(draft, { pid, cwd: spec.cwd, tools: spec.image.tools }, spec.image);
  return pid;
}
