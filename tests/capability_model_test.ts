/** Capabilities against a plain model: random families, calls, uses and revocations. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Authority,
  type AuthorityQuery,
  authorize,
  type Capability,
  CapabilityIndex,
  derive,
  type DeriveRequest,
  finiteOf,
  type HeldCapability,
  hold,
  restore,
  revoke,
  spend,
} from "../kernel/capability.ts";
import { satisfies } from "../kernel/constraint.ts";
import { SysError } from "../kernel/errors.ts";
import { matchResource, matchRight } from "../kernel/grammar.ts";
import type { CapId, Pid } from "../kernel/ids.ts";

const PIDS: readonly Pid[] = ["p_1", "p_1.1", "p_1.2"];
const plainRecord = { noNullPrototype: true } as const;

const rights = fc.constantFrom("*", "file.*", "file.read", "file.r*", "net.fetch");
const resources = fc.constantFrom("**", "./**", "./a/**", "./a", "./a/*", "./**/x", "./a/x*");
const constraints = fc.constantFrom(
  null,
  { properties: { n: { maximum: 5 } } },
  { required: ["n"] },
  { properties: { n: { minimum: 3 } } },
);
const bounds = {
  right: rights,
  resource: resources,
  subject: fc.constantFrom(...PIDS),
  constraint: constraints,
  usesMax: fc.option(fc.integer({ min: 1, max: 3 })),
  expiresMs: fc.option(fc.constantFrom(10, 20, 30)),
  bytesMax: fc.option(fc.constantFrom(10, 20)),
  scope: fc.constantFrom("process" as const, "subtree" as const),
};
const grants = fc.option(
  fc.record({
    request: fc.constant("req_1.1" as const),
    argsHash: fc.constantFrom(null, "h1", "h2"),
    call: fc.constant("x"),
  }, plainRecord),
  { freq: 2 },
);
const queries: fc.Arbitrary<AuthorityQuery> = fc.record({
  lineage: fc.constantFrom<readonly Pid[]>(["p_1"], ["p_1.1", "p_1"], ["p_1.2", "p_1.1", "p_1"]),
  right: fc.constantFrom("file.read", "file.write", "net.fetch"),
  resource: fc.constantFrom(".", "./a", "./a/x", "./a/b/x", "./ab", "./a/xy"),
  args: fc.constantFrom({}, { n: 1 }, { n: 4 }, { n: 9 }),
  argsHash: fc.constantFrom("h1", "h2").map((hash) => () => hash),
  nowMs: fc.constantFrom(0, 10, 25),
  needsGrant: fc.boolean(),
  bytes: fc.constantFrom(0, 15, 25, undefined),
}, plainRecord);

type Step =
  | { readonly do: "give"; readonly cap: Partial<Capability>; readonly under: number | null }
  | { readonly do: "derive"; readonly from: number; readonly request: DeriveRequest }
  | { readonly do: "use" | "restore"; readonly query: AuthorityQuery }
  | { readonly do: "revoke"; readonly which: number };

const which = fc.nat(30);
const use = fc.record({
  do: fc.constantFrom("use" as const, "restore" as const),
  query: queries,
}, plainRecord);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("give" as const),
      under: fc.option(which),
      cap: fc.record({ ...bounds, grant: grants }, plainRecord),
    }, plainRecord),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("derive" as const),
      from: which,
      request: fc.record(bounds, { ...plainRecord, requiredKeys: ["subject"] }),
    }, plainRecord),
  },
  { weight: 4, arbitrary: use },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke" as const), which }, plainRecord) },
);

/** A family of capabilities grown by random steps, with its index kept along. */
class Family {
  readonly authority: Authority = { caps: {} };
  readonly index = new CapabilityIndex();
  count = 0;

  held(): HeldCapability[] {
    return Object.values(this.authority.caps);
  }

  take(step: Step): void {
    switch (step.do) {
      case "give":
        return this.#give(step.cap, step.under);
      case "derive":
        return this.#derive(step.from, step.request);
      case "use":
      case "restore":
        return this.#use(step.query, step.do === "restore");
      case "revoke":
        return this.#revoke(step.which);
    }
  }

  // What a person grants hangs under another capability without having been derived from it.
  #give(more: Partial<Capability>, under: number | null): void {
    const parent = under === null ? null : this.held()[under]?.id ?? null;
    hold(this.authority, this.index, {
      id: `cap_1.${++this.count}`,
      subject: "p_1",
      right: "*",
      resource: "**",
      parent,
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
      by: "",
      atMs: 0,
      ...more,
    });
  }

  #derive(from: number, request: DeriveRequest): void {
    const parent = this.held()[from];
    if (parent === undefined) return;
    const id: CapId = `cap_1.${++this.count}`;
    try {
      const cap = derive(parent, request, { id, via: "delegate", by: "", nowMs: 0 });
      hold(this.authority, this.index, cap);
    } catch (error) {
      assert(error instanceof SysError && error.code === "EPERM");
    }
  }

  #use(query: AuthorityQuery, undo: boolean): void {
    const answer = authorize(this.index, query);
    if (!answer.ok) return;
    const finite = finiteOf(this.index, answer.chain);
    spend(this.index, finite);
    if (undo) restore(this.index, finite);
    for (const id of finite) {
      const cap = this.index.get(id)!;
      assert(cap.usesSpent <= cap.usesMax!, "More uses than there were");
    }
  }

  #revoke(which: number): void {
    const cap = this.held()[which];
    if (cap === undefined) return;
    const gone = new Set(revoke(this.authority, this.index, cap.id));
    for (const one of this.held()) {
      assert(!gone.has(one.id));
      assert(one.parent === null || !gone.has(one.parent), "A child outlived its parent");
    }
  }
}

function chainOf(authority: Authority, cap: HeldCapability): HeldCapability[] | null {
  if (cap.parent === null) return [cap];
  const parent = authority.caps[cap.parent];
  const rest = parent === undefined ? null : chainOf(authority, parent);
  return rest === null ? null : [cap, ...rest];
}

function opens(cap: HeldCapability, query: AuthorityQuery): boolean {
  return matchRight(cap.right, query.right) && matchResource(cap.resource, query.resource) &&
    (cap.expiresMs === null || query.nowMs < cap.expiresMs) &&
    (cap.usesMax === null || cap.usesSpent < cap.usesMax) &&
    (cap.grant === null || cap.grant.argsHash === null ||
      cap.grant.argsHash === query.argsHash()) &&
    (cap.bytesMax === null || (query.bytes ?? Infinity) <= cap.bytesMax) &&
    (cap.constraint === null || satisfies(cap.constraint, query.args));
}

/** The rule of choice, by looking at everything. */
function scan(authority: Authority, query: AuthorityQuery): CapId | null {
  const fit = Object.values(authority.caps).flatMap((cap) => {
    const place = query.lineage.indexOf(cap.subject);
    if (place < 0 || (place > 0 && cap.scope !== "subtree")) return [];
    if (query.needsGrant && cap.grant === null) return [];
    const chain = chainOf(authority, cap);
    if (chain === null || !chain.every((one) => opens(one, query))) return [];
    const finite = chain.some((one) => one.usesMax !== null);
    const number = Number(cap.id.split(".")[1]);
    return [{ id: cap.id, key: [cap.grant !== null, cap.usesMax !== null, finite, number] }];
  });
  fit.sort((a, b) => {
    for (const [i, key] of a.key.entries()) {
      const difference = Number(key) - Number(b.key[i]);
      if (difference !== 0) return difference;
    }
    return 0;
  });
  return fit[0]?.id ?? null;
}

const steps = fc.array(step, { minLength: 1, maxLength: 40 });

Deno.test("authorize() chooses what a scan of everything would choose", () => {
  fc.assert(
    fc.property(steps, fc.array(queries, { minLength: 1, maxLength: 5 }), (all, asked) => {
      const family = new Family();
      for (const one of all) family.take(one);
      const rebuilt = CapabilityIndex.of(structuredClone(family.authority.caps));
      for (const query of asked) {
        const answer = authorize(family.index, query);
        assert.equal(answer.ok ? answer.cap.id : null, scan(family.authority, query));
        const again = authorize(rebuilt, query);
        assert.deepEqual(again, answer, "An index rebuilt from the state answers alike");
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("derive() never amplifies: what opens with a child opens with each ancestor", () => {
  fc.assert(
    fc.property(steps, queries, (all, query) => {
      const family = new Family();
      for (const one of all) family.take(one);
      for (const cap of family.held()) {
        const alone = { ...query, lineage: [cap.subject], needsGrant: false };
        const answer = authorize(family.index, alone);
        if (!answer.ok) continue;
        for (const id of answer.chain) {
          const ancestor = family.authority.caps[id]!;
          const own = authorize(family.index, { ...alone, lineage: [ancestor.subject] });
          assert(own.ok, "An ancestor does not open what its child opens");
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("revoke() dominates: nothing derived from what was revoked opens anything", () => {
  fc.assert(
    fc.property(steps, which, queries, (all, pick, query) => {
      const family = new Family();
      for (const one of all) family.take(one);
      const cap = family.held()[pick % Math.max(1, family.held().length)];
      if (cap === undefined) return;
      const below = family.held().filter((one) =>
        chainOf(family.authority, one)?.some((up) => up.id === cap.id)
      ).map((one) => one.id);
      const gone = revoke(family.authority, family.index, cap.id);
      assert.deepEqual(gone.toSorted(), below.toSorted());
      const answer = authorize(family.index, query);
      if (answer.ok) assert(!answer.chain.some((id) => gone.includes(id)));
      assert.equal(answer.ok ? answer.cap.id : null, scan(family.authority, query));
    }),
    { numRuns: 1_000 },
  );
});
