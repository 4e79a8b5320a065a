/** Labels: the lattice laws. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../kernel/limits.ts";
import {
  BOTTOM,
  formatLabel,
  joinLabels,
  type Label,
  MORE,
  originOf,
  rankOfSensitivity,
  rankOfTrust,
  SENSITIVITIES,
  TRUSTS,
  withOrigin,
} from "../kernel/label.ts";

const origin = fc.uniqueArray(fc.nat(40), { minLength: 1, maxLength: 20 })
  .map((folders) => folders.map((n) => `file:./${n}`))
  .map((all) => all.reduce((label, one) => joinLabels(label, from(one)), BOTTOM).origin!);

const label: fc.Arbitrary<Label> = fc.record({
  sensitivity: fc.constantFrom(...SENSITIVITIES),
  trust: fc.constantFrom(...TRUSTS),
  origin: fc.option(origin, { nil: undefined }),
}, { noNullPrototype: true }).map(({ origin, ...rest }) =>
  origin === undefined ? rest : { ...rest, origin }
);

function from(origin: string): Label {
  return withOrigin(BOTTOM, origin);
}

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

Deno.test("joinLabels() loses no origin: each is named, or said to be among others", () => {
  fc.assert(fc.property(label, label, (a, b) => {
    const both = joinLabels(a, b).origin ?? [];
    const named = both.filter((one) => one !== MORE);
    assert.ok(named.length <= LIMITS.labelOriginsMax);
    assert.deepEqual(named, named.toSorted());
    if (both.includes(MORE)) return;
    for (const one of [...a.origin ?? [], ...b.origin ?? []]) assert.ok(both.includes(one), one);
  }));
});

Deno.test("originOf() names a folder, a host, a server and a person, and nothing inside", () => {
  const origins: readonly [string, string, string | null][] = [
    ["file.read", "./hr/pay.csv", "file:./hr"],
    ["file.read", "./README.md", "file:."],
    ["file.list", "./hr", "file:./hr"],
    ["net.fetch", "https://api.example.com/v1/x", "net:api.example.com"],
    ["net.fetch", "POST https://api.example.com:8443/v1", "net:api.example.com:8443"],
    ["mcp.github.create_issue", "**", "mcp:github"],
    ["mcp.read", "github/repo://a/b", "mcp:github"],
    ["mcp.list", "github", "mcp:github"],
    ["shell.run", "git", "shell:git"],
    ["human.ask", "owner", "person"],
    ["object.read", "p_1/notes", null],
    ["message.receive", "p_1", null],
  ];
  for (const [right, resource, origin] of origins) {
    assert.equal(originOf(right, resource), origin, right);
  }
});

Deno.test("formatLabel() says how secret, how trusted and from where", () => {
  const seen = { sensitivity: "secret", trust: "user", origin: ["file:./hr", "person"] } as const;
  assert.equal(formatLabel(seen), "secret, user; from file:./hr, person");
  assert.equal(formatLabel(BOTTOM), "public, trusted");
});
