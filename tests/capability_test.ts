/** Capabilities: authorizing, spending, deriving, revoking. @module */
import assert from "node:assert/strict";
import {
  type Authority,
  type AuthorityQuery,
  authorize,
  bury,
  type Capability,
  CapabilityIndex,
  ceilingAllows,
  coveringFor,
  derive,
  type DeriveRequest,
  explain,
  finiteOf,
  type HeldCapability,
  hold,
  leastGrant,
  restore,
  revoke,
  spend,
} from "../kernel/capability.ts";
import { checkConstraint, satisfies } from "../kernel/constraint.ts";
import { type Errno, SysError } from "../kernel/errors.ts";
import { parsePattern } from "../kernel/grammar.ts";
import type { CapId, Pid } from "../kernel/ids.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { patternCost } from "../kernel/regex.ts";

const P: Pid = "p_1";
const CHILD: Pid = "p_1.2";

class World {
  readonly authority: Authority = { caps: {} };
  readonly index = new CapabilityIndex();
  count = 0;

  root(text: string, more: Partial<Capability> = {}): HeldCapability {
    const cap: Capability = {
      id: this.next(),
      subject: P,
      ...parsePattern(text),
      parent: null,
      depth: 0,
      constraint: null,
      usesMax: null,
      expiresMs: null,
      bytesMax: null,
      delegable: true,
      depthMax: 4,
      scope: "process",
      grant: null,
      via: "boot",
      by: "test",
      atMs: 0,
      ...more,
    };
    return this.hold(cap);
  }

  derive(parent: HeldCapability, request: Partial<DeriveRequest> = {}): HeldCapability {
    const facts = { id: this.next(), via: "delegate", by: P, nowMs: 0 } as const;
    return this.hold(derive(parent, { subject: CHILD, ...request }, facts));
  }

  hold(cap: Capability): HeldCapability {
    hold(this.authority, this.index, cap);
    return this.index.get(cap.id)!;
  }

  next(): CapId {
    return `cap_1.${++this.count}`;
  }
}

function ask(right: string, resource: string, more: Partial<AuthorityQuery> = {}): AuthorityQuery {
  return {
    lineage: [P],
    right,
    resource,
    args: {},
    argsHash: () => "h",
    nowMs: 0,
    needsGrant: false,
    ...more,
  };
}

function chosen(world: World, query: AuthorityQuery): CapId | null {
  const answer = authorize(world.index, query);
  return answer.ok ? answer.cap.id : null;
}

function refuses(code: Errno, run: () => unknown, says?: RegExp): void {
  assert.throws(run, (error) => {
    assert(error instanceof SysError && error.code === code, String(error));
    if (says !== undefined) assert.match(error.message, says);
    return true;
  });
}

Deno.test("authorize() prefers what is held outright, then unlimited, then the oldest", () => {
  const world = new World();
  const grant = { request: "req_1.1", argsHash: null, call: "file.read" } as const;
  const granted = world.root("file.read", { grant });
  const finite = world.root("file.*(./a/**)", { usesMax: 2 });
  const unlimited = world.root("*(**)");
  world.root("file.read(./a/b)");
  assert.equal(chosen(world, ask("file.read", "./a/b")), unlimited.id);
  assert.equal(chosen(world, ask("file.read", "./a/b", { needsGrant: true })), granted.id);
  revoke(world.authority, world.index, unlimited.id);
  revoke(world.authority, world.index, "cap_1.4");
  assert.equal(chosen(world, ask("file.read", "./a/b")), finite.id);
  assert.equal(chosen(world, ask("file.read", "./z")), granted.id);
});

Deno.test("authorize() counts a capability under a finite one as finite", () => {
  const world = new World();
  const top = world.root("file.*", { usesMax: 9, subject: CHILD });
  world.root("file.read", { parent: top.id, depth: 1 });
  const free = world.root("file.read");
  assert.equal(chosen(world, ask("file.read", "./a")), free.id);
});

Deno.test("CapabilityIndex.candidates() leaves out what has no use left", () => {
  const world = new World();
  const used = world.root("file.read", { usesMax: 1 });
  const find = () => world.index.candidates([P], "file.read", "./a").length;
  assert.equal(find(), 1);
  spend(world.index, [used.id]);
  assert.equal(find(), 0);
  assert.deepEqual(
    CapabilityIndex.of(world.authority.caps).candidates([P], "file.read", "./a"),
    [],
  );
  restore(world.index, [used.id]);
  assert.equal(find(), 1);
});

Deno.test("authorize() checks the whole chain", () => {
  const world = new World();
  const schema = { properties: { n: { maximum: 10 } }, required: ["n"] };
  const top = world.root("file.*(./a/**)", { constraint: schema, expiresMs: 100, bytesMax: 50 });
  const middle = world.derive(top, { right: "file.read", constraint: { required: ["m"] } });
  const low = world.derive(middle, { resource: "./a/b" });
  const query = ask("file.read", "./a/b", { lineage: [CHILD], args: { n: 1, m: 1 }, bytes: 50 });
  const answer = authorize(world.index, query);
  assert(answer.ok);
  assert.equal(answer.cap.id, middle.id);
  assert.deepEqual(answer.chain, [middle.id, top.id]);
  assert.equal(answer.bytesMax, 50);
  assert.equal(low.depth, 2);
  for (
    const more of [
      { nowMs: 100 },
      { bytes: 51 },
      { args: { n: 11, m: 1 } },
      { args: { n: 1 } },
      { lineage: [P], args: { n: 11 } },
    ]
  ) {
    assert.equal(chosen(world, { ...query, ...more }), null, JSON.stringify(more));
  }
});

Deno.test("authorize() opens only the call that a grant is bound to", () => {
  const world = new World();
  const grant = { request: "req_1.1", argsHash: "h1", call: "net.fetch" } as const;
  const cap = world.root("net.fetch(u)", { grant, usesMax: 1 });
  const query = ask("net.fetch", "u", { needsGrant: true });
  assert.equal(chosen(world, { ...query, argsHash: () => "h1" }), cap.id);
  assert.equal(chosen(world, { ...query, argsHash: () => "h2" }), null);
  assert.equal(chosen(world, { ...query, argsHash: () => "h2", needsGrant: false }), null);
  const derived = world.derive(cap);
  const other = { ...query, lineage: [CHILD], argsHash: () => "h1" };
  assert.equal(chosen(world, other), null, "a derived one is no grant");
  assert.equal(chosen(world, { ...other, needsGrant: false }), derived.id);
  assert.equal(chosen(world, { ...other, needsGrant: false, argsHash: () => "h2" }), null);
});

Deno.test("authorize() finds the capabilities of ancestors only when they are for subtrees", () => {
  const world = new World();
  world.root("file.read");
  const wide = world.root("file.write", { scope: "subtree" });
  assert.equal(chosen(world, ask("file.read", "./a", { lineage: [CHILD, P] })), null);
  assert.equal(chosen(world, ask("file.write", "./a", { lineage: [CHILD, P] })), wide.id);
  assert.equal(chosen(world, ask("file.write", "./a", { lineage: [CHILD] })), null);
});

Deno.test("spend() spends every finite ancestor, and restore() gives back", () => {
  const world = new World();
  const top = world.root("file.read", { usesMax: 2 });
  const low = world.derive(top, { usesMax: 5 });
  assert.equal(low.usesMax, 2);
  const query = ask("file.read", "./a", { lineage: [CHILD] });
  const answer = authorize(world.index, query);
  assert(answer.ok);
  const finite = finiteOf(world.index, answer.chain);
  assert.deepEqual(finite, [low.id, top.id]);
  spend(world.index, finite);
  spend(world.index, [top.id]);
  assert.equal(world.authority.caps[top.id]?.usesSpent, 2);
  assert.equal(chosen(world, query), null, "the parent has none left");
  assert.equal(chosen(world, ask("file.read", "./a")), null);
  restore(world.index, [top.id]);
  assert.equal(chosen(world, query), low.id);
  revoke(world.authority, world.index, low.id);
  restore(world.index, [low.id]);
  assert.equal(world.index.get(low.id), undefined);
});

Deno.test("bury() drops what is used up and has no children", () => {
  const world = new World();
  const used = world.root("file.read", { usesMax: 1 });
  const parent = world.root("file.read", { usesMax: 1 });
  const child = world.derive(parent);
  const fresh = world.root("file.read", { usesMax: 1 });
  spend(world.index, [used.id, parent.id]);
  const ids = [used.id, parent.id, fresh.id];
  assert.deepEqual(bury(world.authority, world.index, ids), [used.id]);
  assert.deepEqual(Object.keys(world.authority.caps), [parent.id, child.id, fresh.id]);
});

const REFUSED: readonly (readonly [string, Partial<Capability>, Partial<DeriveRequest>, Errno])[] =
  [
    ["wider resource", {}, { resource: "./**" }, "EPERM"],
    ["sibling", {}, { resource: "./src2" }, "EPERM"],
    ["wider right", {}, { right: "file.*" }, "EPERM"],
    ["malformed right", {}, { right: "file" }, "EINVAL"],
    ["not delegable", { delegable: false }, {}, "EPERM"],
    ["no depth left", { depthMax: 0 }, {}, "EPERM"],
    ["at the system's depth", { depth: 16 }, {}, "EPERM"],
    ["expired parent", { expiresMs: 0 }, {}, "EPERM"],
    ["subtree without a delegation left", { depthMax: 1 }, { scope: "subtree" }, "EPERM"],
    ["no uses", {}, { usesMax: 0 }, "EINVAL"],
    ["expired at birth", {}, { expiresMs: 0 }, "EINVAL"],
    ["half a byte", {}, { bytesMax: 0.5 }, "EINVAL"],
    ["negative depth", {}, { depthMax: -1 }, "EINVAL"],
    ["bad constraint", {}, { constraint: { maximun: 3 } }, "EINVAL"],
  ];

Deno.test("derive() refuses to widen", () => {
  for (const [name, parent, request, code] of REFUSED) {
    const world = new World();
    const cap = world.root("file.read(./src/**)", parent);
    assert.throws(
      () => world.derive(cap, request),
      (error) => error instanceof SysError && error.code === code,
      name,
    );
  }
  const world = new World();
  const cap = world.root("file.read(./src/**)");
  refuses("EPERM", () => world.derive(cap, { resource: "./**" }), /within "file\.read\(\.\/src/);
});

Deno.test("derive() takes the lesser of every bound", () => {
  const world = new World();
  const top = world.root("file.*", { usesMax: 5, expiresMs: 50, bytesMax: 10, depthMax: 2 });
  const low = world.derive(top, { usesMax: 9, expiresMs: 99, bytesMax: 99, depthMax: 9 });
  assert.deepEqual(
    [low.usesMax, low.expiresMs, low.bytesMax, low.depthMax, low.delegable, low.depth],
    [5, 50, 10, 1, true, 1],
  );
  const last = world.derive(low);
  assert.equal(last.delegable, false);
  refuses("EPERM", () => world.derive(last), /not delegable/);
});

Deno.test("coveringFor() finds what provably covers a whole pattern and may be handed on", () => {
  const world = new World();
  world.root("file.read(./**)", { delegable: false });
  const cap = world.root("file.*(./src/**)");
  const find = (text: string, nowMs = 0) =>
    coveringFor(world.index, { lineage: [P], pattern: parsePattern(text), nowMs })?.id;
  assert.equal(find("file.read(./src/a/**)"), cap.id);
  assert.equal(find("file.*(./src/**)"), cap.id);
  assert.equal(find("file.read(./**)"), undefined);
  assert.equal(find("*(./src/**)"), undefined);
});

Deno.test("ceilingAllows() covers calls and patterns", () => {
  const ceiling = ["file.*(./src/**)", "net.fetch"].map(parsePattern);
  assert(ceilingAllows(ceiling, { right: "file.read", resource: "./src/a" }));
  assert(ceilingAllows(ceiling, parsePattern("net.fetch(https://x/**)")));
  assert(!ceilingAllows(ceiling, parsePattern("file.read(./**)")));
  assert(!ceilingAllows([], parsePattern("file.read(./a)")));
});

Deno.test("explain() says what would be used, what misses nearly, and what would do", () => {
  const world = new World();
  const top = world.root("file.*(./a/**)");
  world.root("net.fetch");
  world.root("file.read(./b)");
  const used = world.root("file.read(./a/x)", { usesMax: 1 });
  spend(world.index, [used.id]);
  const yes = explain(world.index, ask("file.read", "./a/x"));
  assert.deepEqual(yes, {
    decision: "allow",
    cap: top.id,
    chain: [{ id: top.id, via: "boot", by: "test" }],
    considered: [
      { id: top.id, matched: true, why: "covers the call" },
      { id: used.id, matched: false, why: "no use left" },
      { id: "cap_1.3", matched: false, why: "the resource differs" },
      { id: "cap_1.2", matched: false, why: "the right differs" },
    ],
  });
  const no = explain(world.index, ask("file.read", "./c"));
  assert.equal(no.decision, "none");
  assert.equal(no.suggestion, "file.read(./c) once");
  for (let i = 0; i < 40; i++) world.root("file.read(./c)", { expiresMs: 0 });
  assert.equal(explain(world.index, ask("file.read", "./c")).considered.length, 20);
});

Deno.test("leastGrant() covers the call and no other", () => {
  const { right, resource, constraint } = leastGrant("net.fetch", "u", { n: 1 });
  assert.deepEqual([right, resource], ["net.fetch", "u"]);
  assert(constraint !== null);
  checkConstraint(constraint);
  assert(satisfies(constraint, { n: 1 }) && !satisfies(constraint, { n: 2 }));
  assert.equal(leastGrant("net.fetch", "u", "x".repeat(9_000)).constraint, null);
});

const BAD_SCHEMAS: readonly (readonly [name: string, schema: JsonObject, says: RegExp])[] = [
  ["unknown word", { maximun: 3 }, /did you mean "maximum"\?/],
  ["remote reference", { $ref: "https://x.test/s" }, /"\$ref"/],
  ["local reference", { $defs: {}, $ref: "#" }, /"\$defs"/],
  ["wrong value", { maximum: "3" }, /expected a number/],
  ["no schema", { properties: { a: 3 } }, /expected an object or a boolean/],
  ["bad type", { type: "strnig" }, /expected one or more of/],
  ["reserved name", { required: ["toString"] }, /none of them reserved/],
  ["quadratic word", { uniqueItems: true }, /"uniqueItems"/],
  ["too deep", JSON.parse('{"not":'.repeat(17) + "{}" + "}".repeat(17)), /deeper than 16/],
  ["too long", { const: "x".repeat(8_192) }, /expected at most 8192/],
  ["nested repetition", { pattern: "^(a+)+$" }, /after a group/],
  ["choice in a repetition", { pattern: "^(a|a)*$" }, /after a group/],
  ["back-reference", { pattern: "(a)\\1" }, /back-reference/],
  ["look-ahead", { pattern: "(?=a)b" }, /expected "\(" or "\(\?:"/],
  ["look-behind", { pattern: "(?<=a)b" }, /expected "\(" or "\(\?:"/],
  ["many repetitions", { pattern: "^a*a*a*a*a*$" }, /5 repetitions/],
  ["many options", { pattern: "^a?a?a?a?a?a?a?a?a?$" }, /too many choices/],
  ["no expression", { pattern: "(" }, /no regular expression/],
  ["long expression", { pattern: "a".repeat(257) }, /257 characters/],
  ["pattern below", { items: { anyOf: [{ pattern: "(a*)*" }] } }, /#\/items\/anyOf\/0\/pattern/],
];

Deno.test("checkConstraint() refuses what is malformed, misspelt or costly", () => {
  for (const [name, schema, expected] of BAD_SCHEMAS) {
    assert.throws(() => checkConstraint(schema), (error) => {
      assert(error instanceof SysError && error.code === "EINVAL", name);
      assert.match(error.message, expected, name);
      return true;
    });
    assert(!satisfies(schema, {}) && !satisfies(schema, "a"), `${name}: unchecked, nothing passes`);
  }
});

Deno.test("satisfies() applies constraints and leaves their text alone", () => {
  const rows: readonly (readonly [JsonObject, Json, boolean])[] = [
    [{ properties: { amount: { maximum: 100 } } }, { amount: 100 }, true],
    [{ properties: { amount: { maximum: 100 } } }, { amount: 101 }, false],
    [{ properties: { to: { enum: ["a", "b"] } }, required: ["to"] }, { to: "c" }, false],
    [{ properties: { to: { enum: ["a", "b"] } }, required: ["to"] }, {}, false],
    [{ properties: { argv: { prefixItems: [{ const: "git" }] } } }, { argv: ["git", "x"] }, true],
    [{ properties: { argv: { prefixItems: [{ const: "git" }] } } }, { argv: ["rm"] }, false],
    [{ properties: { p: { pattern: "^[a-z]+@x\\.test$" } } }, { p: "bob@x.test" }, true],
    [{ properties: { p: { pattern: "^[a-z]+@x\\.test$" } } }, { p: "bob@y.test" }, false],
    [{ additionalProperties: false, properties: { a: true } }, { a: 1, b: 2 }, false],
  ];
  for (const [schema, args, expected] of rows) {
    const before = JSON.stringify(schema);
    checkConstraint(schema);
    assert.equal(satisfies(schema, args), expected, before);
    assert.equal(satisfies(schema, args), expected, before);
    assert.equal(JSON.stringify(schema), before);
  }
});

Deno.test("satisfies() refuses text on which a pattern could take too long", () => {
  const schema = { properties: { p: { pattern: "^a*a*a*b$" } } };
  checkConstraint(schema);
  assert(satisfies(schema, { p: "aab" }));
  assert(!satisfies(schema, { p: `${"a".repeat(5_000)}b` }));
  assert(satisfies(schema, { p: "b", other: "a".repeat(1_000_000) }), "not looked at by it");
  assert.deepEqual(patternCost("^a*a*$"), { degree: 2, choices: 1, spins: 1 });
});

Deno.test("authorize() looks at as many nodes among 16,000 capabilities as among 16", () => {
  const visits = [16, 16_000].map((count) => {
    const world = new World();
    for (let i = 0; i < count; i++) world.root(`file.read(./dir${i % 4}/${i}/**)`);
    const wide = world.root("file.*(./**)", { usesMax: 3 });
    const before = world.index.visits;
    assert.notEqual(chosen(world, ask("file.read", "./dir3/3/x/y")), null);
    assert.equal(chosen(world, ask("file.write", "./none")), wide.id);
    return world.index.visits - before;
  });
  assert.equal(visits[0], visits[1]);
});
