/** Labels: the lattice laws. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BOTTOM,
  joinLabels,
  type Label,
  rankOfSensitivity,
  rankOfTrust,
  SENSITIVITIES,
  TRUSTS,
} from "../kernel/label.ts";

const label: fc.Arbitrary<Label> = fc.record({
  sensitivity: fc.constantFrom(...SENSITIVITIES),
  trust: fc.constantFrom(...TRUSTS),
}, { noNullPrototype: true });

Deno.test("joinLabels() is associative, commutative and idempotent, with BOTTOM neutral", () => {
  fc.assert(fc.property(label, label, label, (a, b, c) => {
    assert.deepEqual(joinLabels(a, joinLabels(b, c)), joinLabels(joinLabels(a, b), c));
    assert.deepEqual(joinLabels(a, b), joinLabels(b, a));
    assert.deepEqual(joinLabels(a, a), a);
    assert.deepEqual(joinLabels(a, BOTTOM), a);
  }));
});

Deno.test("joinLabels() only raises sensitivity and only lowers trust", () => {
  fc.assert(fc.property(label, label, (a, b) => {
    const both = joinLabels(a, b);
    assert.equal(rankOfSensitivity(both), Math.max(rankOfSensitivity(a), rankOfSensitivity(b)));
    assert.equal(rankOfTrust(both), Math.min(rankOfTrust(a), rankOfTrust(b)));
  }));
});
