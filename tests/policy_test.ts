/** Policy: reading, writing, judging. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { SysError } from "../kernel/errors.ts";
import { matchResource, matchRight } from "../kernel/grammar.ts";
import { BOTTOM, type Label, SENSITIVITIES, TRUSTS } from "../kernel/label.ts";
import {
  COMPARISONS,
  EFFECTS,
  formatPolicy,
  hidden,
  holds,
  judge,
  labelFor,
  parsePolicy,
  type Policy,
  type PolicyRule,
  RISKS,
  suggest,
} from "../kernel/policy.ts";
import type { SinkRule } from "../kernel/sink.ts";

const context = {
  rights: [
    "file.read",
    "file.write",
    "net.fetch",
    "shell.run",
    "mcp.list",
    "mcp.call",
    "clock.now",
  ],
};

function read(...lines: string[]): Policy {
  return parsePolicy(lines.join("\n"), context);
}

function says(policy: Policy, right: string, resource: string, label: Label = BOTTOM): string {
  return judge(policy, { right, resource, label, nowMs: 0, sinceMs: 0 }).effect;
}

Deno.test("parsePolicy() reads every clause", () => {
  const policy = read(
    "# a policy",
    "",
    'ask  file.write(out/**)  when sensitivity>=secret expires 8h risk high because ticket #4 "x"',
    "deny\tnet.fetch(https://x.test/#frag)   # not a fragment",
    "allow mcp.files.read_*(./docs/**) #",
    "label net.fetch(**) sensitivity=internal trust=untrusted # all of it",
  );
  assert.deepEqual(policy.rules, [
    {
      line: 3,
      effect: "ask",
      pattern: { right: "file.write", resource: "./out/**" },
      when: { field: "sensitivity", is: ">=", value: "secret" },
      reason: 'ticket #4 "x"',
      risk: "high",
      expiresMs: 8 * 3_600_000,
    },
    {
      line: 4,
      effect: "deny",
      pattern: { right: "net.fetch", resource: "https://x.test/#frag" },
      when: null,
      reason: null,
      risk: null,
      expiresMs: null,
    },
    {
      line: 5,
      effect: "allow",
      pattern: { right: "mcp.files.read_*", resource: "./docs/**" },
      when: null,
      reason: null,
      risk: null,
      expiresMs: null,
    },
  ]);
  assert.deepEqual(policy.labels, [{
    line: 6,
    pattern: { right: "net.fetch", resource: "**" },
    label: { sensitivity: "internal", trust: "untrusted" },
  }]);
});

const BAD: readonly (readonly [text: string, says: RegExp])[] = [
  ["permit file.read", /"permit", expected "allow"/],
  ["deni file.read", /did you mean "deny"\?/],
  ["allow", /no right/],
  ["allow file.raed(./a)", /no syscall "file\.raed", did you mean "file\.read"\?/],
  ["allow fil.*", /no syscall "fil\.\*"/],
  ["allow mcp.github", /did you mean "mcp\.github\.\*"\?/],
  ["allow file.read(/etc/passwd)", /absolute path/],
  ["allow file.read(../x)", /way out of the workspace/],
  ["allow file.read(./a/**/../../..)", /"\.\." after "\*"/],
  ["allow file.read(./a", /no "\)"/],
  ["allow file.read(./a)x", /right after "\)"/],
  ["allow file.read(./a) please", /"please" after the pattern/],
  ["allow file.read(./a) whn trust=user", /did you mean "when"\?/],
  ["ask file.read when trust>user", /expected a test like/],
  ["ask file.read when trust>=usr", /did you mean "user"\?/],
  ["ask file.read expires 8", /expected a time like "8h"/],
  ["ask file.read expires 400d", /at most 366d/],
  ["ask file.read risk hihg", /did you mean "high"\?/],
  ["ask file.read risk low risk low", /"risk" twice/],
  ["ask file.read because", /expected a reason/],
  ["label file.read trust=user", /half a label/],
  ["label file.read trust=user trust=user", /once each/],
  ["ask file.read\nask file.read risk low", /again, expected once \(line 1\)/],
  ["deny file.read\nallow file.read(./a)", /line 1 denies "file\.read\(\*\*\)"/],
  ["ask file.read(./a/b)\ndeny file.*(./a/**)", /can never match/],
  [`allow file.read(${"a".repeat(1_024)})`, /at most 1024/],
  ["ask clock.now(\u0000)", /control character/],
  ["sinc file.write(./a) trust>=user", /did you mean "sink"\?/],
  ["sink file.wirte(./a) trust>=user", /did you mean "file\.write"\?/],
  ["sink file.write(./a)", /a sink that takes everything, expected "sensitivity<=…" or "trust>=…"/],
  ["sink file.write(./a) trust<=user", /"trust<=user" in a sink.*did you mean "trust>=…"\?/],
  ["sink file.write(./a) sensitivity>=secret", /did you mean "sensitivity<=…"\?/],
  ["sink file.write(./a) sensitivity<=secrt", /did you mean "secret"\?/],
  ["sink file.write(./a) trust>=usr", /did you mean "user"\?/],
  ["sink file.write(./a) trust>=user trust>=user", /again, expected once/],
  ["sink file.write(./a) trust>=user esle deny", /did you mean "else"\?/],
  ["sink file.write(./a) trust>=user else allow", /else "allow", expected one of ask, deny/],
  ["sink file.write(./a) trust>=user risk hihg", /did you mean "high"\?/],
  ["sink file.write(./a) trust>=user\nsink file.write(./a) trust>=user", /again, expected once/],
];

Deno.test("parsePolicy() refuses what could never match, and says why", () => {
  for (const [text, expected] of BAD) {
    assert.throws(() => read(text), (error) => {
      assert(error instanceof SysError && error.code === "EINVAL");
      assert.match(error.message, expected, text);
      return true;
    });
  }
  const many = Array.from({ length: 2_049 }, (_, i) => `ask file.read(./${i})`);
  assert.throws(() => read(...many), /2049 rules, expected at most 2048/);
  assert.throws(() => read("#".repeat(262_145)), /at most 262144/);
});

Deno.test("parsePolicy() reports all errors with their lines", () => {
  assert.throws(() => read("deny file.read", "x", "", "allow file.read", "ask a.b"), (error) => {
    assert(error instanceof SysError);
    const lines = (error.detail?.errors as { line: number }[]).map((one) => one.line);
    assert.deepEqual(lines, [2, 4, 5]);
    assert.match(error.message, /^Cannot load policy: 3 errors, expected none\nline 2: /);
    return true;
  });
});

Deno.test("parsePolicy() keeps an ask beside a deny that does not always apply", () => {
  const policy = read("deny file.read when sensitivity>=secret", "ask file.read", "deny net.*");
  assert.equal(says(policy, "file.read", "./a"), "ask");
  const secret: Label = { sensitivity: "secret", trust: "trusted" };
  assert.equal(says(policy, "file.read", "./a", secret), "deny");
});

Deno.test("judge() lets a deny beat an ask beat an allow, and without a rule allows", () => {
  const policy = read("allow file.*", "ask file.write(./out/**)", "deny file.write(./out/x/**)");
  assert.equal(says(policy, "file.write", "./a"), "allow");
  assert.equal(says(policy, "file.write", "./out/a"), "ask");
  assert.equal(says(policy, "file.write", "./out/x/a"), "deny");
  assert.deepEqual(
    judge(policy, { right: "net.fetch", resource: "x", label: BOTTOM, nowMs: 0, sinceMs: 0 }),
    { effect: "allow" },
  );
});

Deno.test("judge() forgets a rule when its time is over", () => {
  const policy = read("deny net.fetch expires 1s");
  const query = { right: "net.fetch", resource: "x", label: BOTTOM, sinceMs: 5 };
  assert.equal(judge(policy, { ...query, nowMs: 1_004 }).effect, "deny");
  assert.equal(judge(policy, { ...query, nowMs: 1_005 }).effect, "allow");
});

Deno.test("hidden() hides what a bare deny forbids, and nothing else", () => {
  const hides = hidden(read(
    "deny net.*",
    "deny file.write(./**)",
    "deny file.read(./a)",
    "deny shell.run when trust<=untrusted",
    "deny clock.now expires 1h",
    "deny mcp.files.*",
  ));
  for (const right of ["net.fetch", "file.write", "mcp.files.read_text"]) assert(hides(right));
  for (const right of ["file.read", "shell.run", "clock.now", "mcp.git.log"]) assert(!hides(right));
});

Deno.test("labelFor() joins all labels that apply", () => {
  const policy = read(
    "label file.read(./in/**) sensitivity=public trust=untrusted",
    "label file.read(./**/*.key) sensitivity=secret trust=trusted",
  );
  assert.equal(labelFor(policy, "file.read", "./a"), null);
  assert.deepEqual(labelFor(policy, "file.read", "./in/a.key"), {
    sensitivity: "secret",
    trust: "untrusted",
  });
});

Deno.test("suggest() finds the nearest word, or none", () => {
  assert.equal(suggest("file.raed", context.rights), "file.read");
  assert.equal(suggest("clok.now", context.rights), "clock.now");
  assert.equal(suggest("something.else", context.rights), undefined);
});

const rights = fc.constantFrom("file.read", "file.*", "file.w*", "net.fetch", "*", "mcp.x.y");
const resources = fc.constantFrom("**", "./a", "./a/**", "./*/b", "./**/b", "./a/b (1)");
const test = fc.oneof(
  fc.record({
    field: fc.constant("sensitivity" as const),
    is: fc.constantFrom(...COMPARISONS),
    value: fc.constantFrom(...SENSITIVITIES),
  }, { noNullPrototype: true }),
  fc.record({
    field: fc.constant("trust" as const),
    is: fc.constantFrom(...COMPARISONS),
    value: fc.constantFrom(...TRUSTS),
  }, { noNullPrototype: true }),
);
const rule: fc.Arbitrary<PolicyRule> = fc.record({
  line: fc.constant(0),
  effect: fc.constantFrom(...EFFECTS),
  pattern: fc.record({ right: rights, resource: resources }, { noNullPrototype: true }),
  when: fc.option(test),
  reason: fc.option(fc.constantFrom("x", "see #4 (and 5)", "when risk high")),
  risk: fc.option(fc.constantFrom(...RISKS)),
  expiresMs: fc.option(fc.constantFrom(1, 1_500, 60_000, 5_400_000, 86_400_000)),
}, { noNullPrototype: true });
const rules = fc.array(rule, { maxLength: 8 }).map((all) =>
  all.map((one, i) => ({ ...one, line: i + 1 }))
);
const sink: fc.Arbitrary<SinkRule> = fc.record({
  line: fc.constant(0),
  pattern: fc.record({ right: rights, resource: resources }, { noNullPrototype: true }),
  sensitivityMax: fc.option(fc.constantFrom(...SENSITIVITIES)),
  trustMin: fc.option(fc.constantFrom(...TRUSTS)),
  otherwise: fc.constantFrom("ask" as const, "deny" as const),
  reason: fc.option(fc.constantFrom("x", "see #4 (and 5)", "else deny")),
  risk: fc.option(fc.constantFrom(...RISKS)),
}, { noNullPrototype: true })
  .filter(({ sensitivityMax, trustMin }) => sensitivityMax !== null || trustMin !== null);
const label: fc.Arbitrary<Label> = fc.record({
  sensitivity: fc.constantFrom(...SENSITIVITIES),
  trust: fc.constantFrom(...TRUSTS),
});

Deno.test("parsePolicy() reads what formatPolicy() wrote", () => {
  fc.assert(fc.property(rules, fc.array(sink, { maxLength: 4 }), (all, some) => {
    const sinks = some.map((one, i) => ({ ...one, line: all.length + i + 1 }));
    const text = formatPolicy({ text: "", hash: "", rules: all, labels: [], sinks });
    let policy: Policy;
    try {
      policy = parsePolicy(text, context);
    } catch (error) {
      // Only what rules do to each other may be wrong with them.
      assert(error instanceof SysError && !/expected (?!none|once)/.test(error.message));
      return;
    }
    assert.deepEqual(policy.rules, all);
    assert.deepEqual(policy.sinks, sinks);
    assert.equal(formatPolicy(policy), text);
  }));
});

Deno.test("judge() agrees with a scan, whatever the order of the rules", () => {
  const right = fc.constantFrom("file.read", "file.write", "net.fetch", "mcp.x.y");
  const resource = fc.constantFrom("./a", "./a/b", "./c/b", "./d", ".", "./a/b (1)");
  fc.assert(
    fc.property(rules, right, resource, label, fc.nat(100_000), (all, r, on, has, nowMs) => {
      const applies = (one: PolicyRule) =>
        matchRight(one.pattern.right, r) && matchResource(one.pattern.resource, on) &&
        (one.when === null || holds(one.when, has)) &&
        (one.expiresMs === null || nowMs < one.expiresMs);
      const matching = all.filter(applies);
      const query = { right: r, resource: on, label: has, nowMs, sinceMs: 0 };
      const policy = { text: "", hash: "", rules: all, labels: [], sinks: [] };
      const expected = ["deny", "ask", "allow"].find((effect) =>
        matching.some((one) => one.effect === effect)
      );
      const judged = judge(policy, query);
      assert.equal(judged.effect, expected ?? "allow");
      assert.deepEqual(judged.rule, matching.find((one) => one.effect === expected));
      const turned = { ...policy, rules: all.toReversed() };
      assert.deepEqual(judge(turned, query), judged);
    }),
    { numRuns: 3_000 },
  );
});
