/**
 * What of a runtime's options its node is made of.
 * @module
 */

import { POLICIES } from "../broker/forms.ts";
import type { World } from "../broker/syscall.ts";
import { SysError } from "../kernel/errors.ts";
import { type NodeLabels, refuseLabels } from "../kernel/fleet.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Store } from "../kernel/store.ts";
import type { TreeContext } from "../kernel/tree.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { Membership } from "./membership.ts";
import type { Node } from "./node.ts";
import type { NodeSpec, RuntimeOptions } from "./runtime_options.ts";

/** The version of this program: nodes of one store tell each other theirs. */
export const VERSION = "0.1.0";

/** What trees have to know of this runtime. */
export function simulating({ simulators }: RuntimeOptions): Pick<World, "simulator"> {
  if (simulators === undefined) return {};
  return { simulator: (id) => simulators.find((one) => one.id === id) };
}

/** What trees are read and written against. */
export function contextOf(options: RuntimeOptions): TreeContext {
  const { escalateMs, destructiveApprovers, onBudget } = options;
  return {
    ...POLICIES,
    ...(escalateMs === undefined ? {} : { escalateMs }),
    ...(destructiveApprovers === undefined ? {} : { destructiveApprovers }),
    ...(onBudget === undefined ? {} : { onBudget }),
  };
}

/**
 * The node's place among those that share its store; nothing where the store has no nodes. `EINVAL`
 * for what no node can be.
 */
export function membershipOf(
  spec: NodeSpec = {},
  store: Store,
  { id, clock, random }: {
    readonly id: string;
    readonly clock: Clock;
    readonly random: Random;
  },
): { readonly membership?: Membership; readonly ownWorkspace?: boolean } {
  const { name = id, labels = {}, capacity = LIMITS.nodeCapacityDefault, ownWorkspace } = spec;
  const { leaseMs = LIMITS.leaseMsDefault } = spec;
  const fleet = store.fleet?.();
  if (fleet === undefined) return {};
  const isNumber = Number.isInteger(capacity) && capacity >= 0 && Number.isInteger(leaseMs) &&
    leaseMs >= LIMITS.leaseMsMin;
  if (!isNumber || (ownWorkspace === true && spec.name === undefined)) {
    const expected = `expected a capacity from 0, a lease from ${LIMITS.leaseMsMin} ms, ` +
      "and a name where its folder is its own";
    throw new SysError("EINVAL", `Cannot be node "${name}": ${expected}`);
  }
  refuseLabels(`node "${name}"`, { ...labels, node: name });
  const facts = { id, name, labels, version: VERSION, capacity, leaseMs };
  return {
    membership: new Membership({ fleet, facts, clock, random }),
    ...(ownWorkspace === undefined ? {} : { ownWorkspace }),
  };
}

/** The labels that a tree started here asks for; those said last hold. */
export function selectorOf(
  node: Node,
  ...wanted: readonly (NodeLabels | undefined)[]
): NodeLabels {
  const { membership, options: { ownWorkspace } } = node;
  const own: NodeLabels = membership !== null && ownWorkspace === true
    ? { node: membership.facts.name }
    : {};
  const selector: NodeLabels = Object.assign({}, own, ...wanted);
  refuseLabels("a tree", selector);
  return selector;
}
