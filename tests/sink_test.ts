/** Sinks: what their lines say, and that no label which grows ever opens one. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { matchResource, matchRight } from "../kernel/grammar.ts";
import {
  BOTTOM,
  joinLabels,
  type Label,
  PERSON,
  SENSITIVITIES,
  TRUSTS,
  withOrigin,
} from "../kernel/label.ts";
import { formatPolicy, parsePolicy, RISKS } from "../kernel/policy.ts";
import {
  formatSink,
  sinkAgainst,
  sinkReason,
  type SinkRule,
  sinkText,
  takes,
} from "../kernel/sink.ts";

const context = { rights: ["file.read", "file.write", "net.fetch", "model.generate"] };

function read(...lines: string[]): readonly SinkRule[] {
  return parsePolicy(lines.join("\n"), context).sinks;
}

const label: fc.Arbitrary<Label> = fc.record({
  sensitivity: fc.constantFrom(...SENSITIVITIES),
  trust: fc.constantFrom(...TRUSTS),
}, { noNullPrototype: true });
const labeled = fc.tuple(label, fc.option(fc.constantFrom("file:./a", "net:x", "person")))
  .map(([one, origin]) => withOrigin(one, origin));
const rights = fc.constantFrom("file.read", "file.*", "file.w*", "net.fetch", "*");
const resources = fc.constantFrom("**", "./a", "./a/**", "./*/b", "./**/b", "https://x.test/**");
const sink: fc.Arbitrary<SinkRule> = fc.record({
  line: fc.nat(9),
  pattern: fc.record({ right: rights, resource: resources }, { noNullPrototype: true }),
  sensitivityMax: fc.option(fc.constantFrom(...SENSITIVITIES)),
  trustMin: fc.option(fc.constantFrom(...TRUSTS)),
  otherwise: fc.constantFrom("ask" as const, "deny" as const),
  risk: fc.option(fc.constantFrom(...RISKS)),
  reason: fc.constant(null),
}, { noNullPrototype: true });
const sinks = fc.array(sink, { maxLength: 8 });
const use = fc.record({
  right: fc.constantFrom("file.read", "file.write", "net.fetch"),
  resource: fc.constantFrom("./a", "./a/b", "./c/b", "https://x.test/p"),
}, { noNullPrototype: true });

/** How much is left of a use: all of it, what a person releases, nothing. */
function leeway(among: readonly SinkRule[], at: { right: string; resource: string }, seen: Label) {
  const against = sinkAgainst(among, { ...at, label: seen });
  return against === undefined ? 2 : against.otherwise === "ask" ? 1 : 0;
}

Deno.test("A sink is a line: how secret, how trusted, and what becomes of the rest", () => {
  const [all, least] = read(
    "sink net.fetch(https://api.test/**) sensitivity<=internal trust>=user else deny " +
      "risk high because it leaves the house",
    "sink model.generate trust>=trusted # a comment",
  );
  assert.deepEqual(all, {
    line: 1,
    pattern: { right: "net.fetch", resource: "https://api.test/**" },
    sensitivityMax: "internal",
    trustMin: "user",
    otherwise: "deny",
    risk: "high",
    reason: "it leaves the house",
  });
  assert.deepEqual(least, {
    line: 2,
    pattern: { right: "model.generate", resource: "**" },
    sensitivityMax: null,
    trustMin: "trusted",
    otherwise: "ask",
    risk: null,
    reason: null,
  });
  assert.equal(sinkText(least!), "sink model.generate(**) trust>=trusted");
  assert.match(formatSink(all!), / else deny risk high because it leaves the house$/);
  const text = "ask file.write(./a)\nsink file.write(./a) trust>=user\n";
  assert.equal(formatPolicy(parsePolicy(text, context)), text);
});

Deno.test("takes() lets through what is no more secret and no less trusted than it says", () => {
  const [only] = read("sink file.write sensitivity<=internal trust>=user");
  for (const sensitivity of SENSITIVITIES) {
    for (const trust of TRUSTS) {
      const fits = ["public", "internal"].includes(sensitivity) && trust !== "untrusted";
      assert.equal(takes(only!, { sensitivity, trust }), fits, `${sensitivity}, ${trust}`);
    }
  }
});

Deno.test("sinkAgainst() finds what nobody may release first, then by line", () => {
  const among = read(
    "sink file.write sensitivity<=internal",
    "sink file.write(./a/**) sensitivity<=public",
    "sink file.*(./a/b) trust>=user else deny",
  );
  const against = (resource: string, seen: Label): number | undefined =>
    sinkAgainst(among, { right: "file.write", resource, label: seen })?.line;
  assert.equal(against("./x", BOTTOM), undefined);
  assert.equal(against("./x", { sensitivity: "secret", trust: "trusted" }), 1);
  assert.equal(against("./a/b", { sensitivity: "internal", trust: "trusted" }), 2);
  assert.equal(against("./a/b", { sensitivity: "secret", trust: "trusted" }), 1);
  assert.equal(against("./a/b", { sensitivity: "secret", trust: "untrusted" }), 3);
});

Deno.test("sinkAgainst() agrees with a scan: every sink that matches has to take the label", () => {
  fc.assert(fc.property(sinks, use, labeled, (among, at, seen) => {
    const over = among.filter((one) =>
      matchRight(one.pattern.right, at.right) &&
      matchResource(one.pattern.resource, at.resource) && !takes(one, seen)
    );
    const expected = over.length === 0 ? 2 : over.some((one) => one.otherwise === "deny") ? 0 : 1;
    assert.equal(leeway(among, at, seen), expected);
  }));
});

Deno.test("What a process has seen besides never opens a sink", () => {
  fc.assert(fc.property(sinks, use, labeled, labeled, (among, at, seen, more) => {
    assert.ok(leeway(among, at, joinLabels(seen, more)) <= leeway(among, at, seen));
  }));
});

Deno.test("One more sink, or one more rule, never opens another", () => {
  fc.assert(fc.property(sinks, sink, use, labeled, (among, other, at, seen) => {
    assert.ok(leeway([...among, other], at, seen) <= leeway(among, at, seen));
  }));
});

Deno.test("sinkReason() says what the sink takes, what was seen, and from where", () => {
  const [only] = read("sink file.write(./out/**) trust>=trusted because we sign it");
  assert.equal(
    sinkReason(only!, PERSON),
    '"sink file.write(./out/**) trust>=trusted" does not take what was seen ' +
      "(public, user; from person) because we sign it",
  );
});
