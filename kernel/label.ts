/**
 * Labels: how secret a value is and how far it can be trusted.
 *
 * Invariants:
 *   L1. Joining never makes a label less secret or more trusted than either side.
 *   L2. Joining is associative, commutative and idempotent, and `BOTTOM` changes nothing.
 * @module
 */

/** How much harm it does when a value gets out, least first. */
export const SENSITIVITIES = ["public", "internal", "confidential", "secret"] as const;
/** How much harm it does when a value gets out. */
export type Sensitivity = "public" | "internal" | "confidential" | "secret";

/** Who vouches for a value, least trusted first. */
export const TRUSTS = ["untrusted", "user", "trusted"] as const;
/** Who vouches for a value. */
export type Trust = "untrusted" | "user" | "trusted";

/** What every value carries. */
export interface Label {
  /** How much harm it does when the value gets out. */
  readonly sensitivity: Sensitivity;
  /** Who vouches for the value. */
  readonly trust: Trust;
}

/** The label of what nobody has labelled: joining it with another gives that other. */
export const BOTTOM: Label = { sensitivity: "public", trust: "trusted" };

/** The label of something made from both: as secret as the more secret, as trusted as the less. */
export function joinLabels(a: Label, b: Label): Label {
  if (within(b, a)) return a;
  if (within(a, b)) return b;
  return {
    sensitivity: rankOfSensitivity(a) >= rankOfSensitivity(b) ? a.sensitivity : b.sensitivity,
    trust: rankOfTrust(a) <= rankOfTrust(b) ? a.trust : b.trust,
  };
}

/** Position of the label's sensitivity, 0 for "public". */
export function rankOfSensitivity(label: Label): number {
  return SENSITIVITIES.indexOf(label.sensitivity);
}

/** Position of the label's trust, 0 for "untrusted". */
export function rankOfTrust(label: Label): number {
  return TRUSTS.indexOf(label.trust);
}

function within(low: Label, high: Label): boolean {
  return rankOfSensitivity(low) <= rankOfSensitivity(high) &&
    rankOfTrust(low) >= rankOfTrust(high);
}
