/**
 * G2 and G3: everything that can refuse comes before anything that changes, and authority only
 * narrows.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { allow, ask, deny, type Rule } from "../mod.ts";
import { authorize, type Capability, CapabilityIndex } from "../kernel/capability.ts";
import { Draft } from "../kernel/draft.ts";
import { formatPattern } from "../kernel/grammar.ts";
import { spawn } from "../kernel/spawn.ts";
import type { State } from "../kernel/state.ts";
import { codeOf, errorOf, imageOf, inWorld, START_MS, type World } from "./world_fixture.ts";

/** State without what a refused call is meant to leave: its line, and the count of it. */
function unmoved(world: World): string {
  const state = JSON.parse(world.os.node.trees[0]!.dump()) as State;
  for (const process of Object.values(state.processes)) {
    process.journal = {};
    process.calls = { allowed: 0, asked: 0, denied: 0 };
  }
  return JSON.stringify({ ...state, seq: 0, atMs: 0 });
}

interface Refusal {
  readonly grants?: readonly Rule[];
  readonly rules?: string;
  readonly toolCalls?: number;
  readonly call: readonly [name: string, args: unknown];
  readonly code: string;
}

const WRITE = { path: "a", text: "x" };
const FILES = [allow("file.*", "**")];

/** In the order in which the door refuses; each row would be refused by a later check, too. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  "an unknown name": { call: ["object.burn", { x: 1n }], code: "ENOSYS" },
  "a name of the prototype": { call: ["toString", {}], code: "ENOSYS" },
  "another name of the prototype": { call: ["__proto__", {}], code: "ENOSYS" },
  "a name without a verb": { call: ["object", {}], code: "ENOSYS" },
  "what is no JSON": { call: ["file.write", { path: () => 1 }], code: "EINVAL" },
  "an unknown field": { call: ["file.write", { ...WRITE, mood: 1 }], code: "EINVAL" },
  "a missing field": { call: ["file.write", { path: "a" }], code: "EINVAL" },
  "a path out of the workspace": {
    grants: FILES,
    call: ["file.write", { path: "../a", text: "" }],
    code: "EINVAL",
  },
  "nothing held": { rules: "deny file.write(**)", call: ["file.write", WRITE], code: "EPERM" },
  "another resource held": {
    grants: [allow("file.write", "./b")],
    call: ["file.write", WRITE],
    code: "EPERM",
  },
  "a constraint": {
    grants: [allow("file.write", "**", { constraint: { properties: { text: { const: "y" } } } })],
    call: ["file.write", WRITE],
    code: "EPERM",
  },
  "a rule that denies": {
    grants: FILES,
    rules: "deny file.write(./a) because no\nask file.write(**)",
    call: ["file.write", WRITE],
    code: "EACCES",
  },
  "a spent budget": {
    grants: FILES,
    toolCalls: 0,
    call: ["tool.call", { name: "nothing" }],
    code: "EBUDGET",
  },
  "no such tool": { call: ["tool.call", { name: "nothing" }], code: "ENOSYS" },
  "no such object": {
    grants: [allow("object.*", "**")],
    call: ["object.read", { object: "absent" }],
    code: "ENOENT",
  },
};

for (const [claim, refusal] of Object.entries(REFUSALS)) {
  const { grants = [], rules = "", toolCalls, call, code } = refusal;
  Deno.test(`G2 refuses before change: ${claim} is ${code}`, () =>
    inWorld(async (world) => {
      const found = await world.result(async ({ sys }) => {
        const before = unmoved(world);
        const error = await errorOf(sys(call[0] as never, call[1] as never));
        assert.equal(unmoved(world), before);
        assert.match(error!.message, /^Cannot [a-z]+ .+: .+[^.]$/s);
        return error!.code;
      }, {
        grants: [...grants, ...rules.split("\n").filter(Boolean).map(ruleOf)],
        ...(toolCalls === undefined ? {} : { budget: { toolCalls } }),
      });
      assert.equal(found, code);
      assert.deepEqual(world.files!.done, []);
      assert.equal((await world.events("call.intent")).length, 0);
    }));
}

function ruleOf(text: string): Rule {
  const [, effect, right, resource] = /^(\w+) ([\w.*]+)\((.*?)\)/.exec(text)!;
  return effect === "deny" ? deny(right!, resource) : ask(right!, resource);
}

Deno.test("G2 refuses before change: another call at an answered place is EREPLAY, not EPERM", () =>
  inWorld(async (world) => {
    let life = 0;
    const process = await world.start(imageOf(async ({ sys }) => {
      life += 1;
      if (life === 1) await sys.clock.now();
      else await sys.file.write(WRITE);
      await sys.clock.sleep({ ms: 1 });
    }));
    await world.pass(1);
    const { outcome } = await world.ended(process);
    assert.equal(outcome.kind === "failed" && outcome.code, "EREPLAY");
  }));

/** Takes back whatever root grant opens files, while a provider is at work. */
async function revokeFiles(world: World): Promise<void> {
  const [tree] = world.os.node.trees;
  const cap = Object.values(tree!.state.caps).find(({ right }) => right.startsWith("file."));
  const process = (await world.os.get("p_1"))!;
  await process.revoke(cap!.id, "changed my mind");
}

const WHILE: readonly (readonly [call: string, args: Record<string, unknown>, at: string])[] = [
  ["file.write", WRITE, "digest a"],
  ["file.read", { path: "a" }, "read a"],
  ["object.import", { path: "a", name: "a" }, "read a"],
  ["object.export", { object: "seed", path: "a" }, "digest a"],
];

for (const [name, args, at] of WHILE) {
  Deno.test(`G2 refuses before change: a right revoked while ${name} is prepared refuses it`, () =>
    inWorld(async (world) => {
      world.files!.put("a", "old");
      const code = await world.result(async ({ sys }) => {
        await sys.object.create({ name: "seed", value: "new" });
        world.files!.before = (what) => what === at ? revokeFiles(world) : undefined;
        return await codeOf(sys(name as never, args as never));
      }, { grants: FILES });
      assert.equal(code, "EPERM");
      assert.equal(world.files!.text("a"), "old");
      assert.equal((await world.events("call.intent")).length, 0);
      assert.equal((await world.events("object.created")).length, 1);
      assert.equal((await world.events("call.done")).filter(({ name: n }) => n === name).length, 1);
    }));
}

Deno.test("G2 refuses before change: a rule loaded while a file is read asks before it is told", () =>
  inWorld(async (world) => {
    world.files!.put("a", "old");
    let isLoaded = false;
    world.files!.before = async (what) => {
      if (what !== "read a" || isLoaded) return;
      isLoaded = true;
      await world.os.order("t_1", { kind: "policy", text: "ask file.read(**)", by: "me" });
    };
    const process = await world.start(
      imageOf(async ({ sys }) => (await sys.file.read({ path: "a" })).text),
      { grants: FILES },
    );
    const [request] = world.os.approvals.list();
    assert.equal(request?.call?.name, "file.read");
    await world.os.approvals.decide(request!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "old");
  }));

Deno.test("G2 refuses before change: a one-shot is spent in the commit of its intent", () =>
  inWorld(async (world) => {
    const spent: unknown[] = [];
    world.files!.before = (what) => {
      if (what !== "write a") return;
      const caps = Object.values(world.os.node.trees[0]!.state.caps);
      spent.push(caps.find(({ right }) => right === "file.write")?.usesSpent);
    };
    const codes = await world.result(async ({ sys }) => [
      await codeOf(sys.file.write(WRITE)),
      await codeOf(sys.file.write(WRITE)),
    ], { grants: [allow("file.write", "./a", { uses: 1 })] });
    assert.deepEqual(codes, ["ok", "EPERM"]);
    assert.deepEqual(spent, [1]);
    const [intent] = await world.events("call.intent");
    assert.equal((intent!["spends"] as string[]).length, 1);
  }));

Deno.test("G2 refuses before change: of two writes at once with one use left one is refused", () =>
  inWorld(async (world) => {
    const codes = await world.result(async ({ sys }) =>
      await Promise.all([
        codeOf(sys.file.write(WRITE)),
        codeOf(sys.file.write({ path: "a", text: "y" })),
      ]), { grants: [allow("file.write", "./a", { uses: 1 })] });
    assert.deepEqual((codes as string[]).toSorted(), ["EPERM", "ok"]);
    assert.equal(world.files!.count("write a"), 1);
  }));

Deno.test("G2 refuses before change: reads at once spend one use each, of whichever has one left", () =>
  inWorld(async (world) => {
    world.files!.put("a", "x");
    const codes = await world.result(
      async ({ sys }) =>
        await Promise.all([1, 2, 3].map(() => codeOf(sys.file.read({ path: "a" })))),
      {
        grants: [allow("file.read", "./a", { uses: 1 }), allow("file.read", "./*", { uses: 1 })],
      },
    );
    assert.deepEqual((codes as string[]).toSorted(), ["EPERM", "ok", "ok"]);
  }));

Deno.test("G2 refuses before change: a use is given back when the effect certainly did not happen", () =>
  inWorld(async (world) => {
    const codes = await world.result(async ({ sys }) => [
      await codeOf(sys.file.write({ ...WRITE, mode: "replace" })),
      await codeOf(sys.file.write(WRITE)),
      await codeOf(sys.file.write(WRITE)),
    ], { grants: [allow("file.write", "./a", { uses: 1 })] });
    assert.deepEqual(codes, ["ENOENT", "ok", "EPERM"]);
  }));

const SEGMENT = fc.constantFrom("a", "b", "*", "**", "src", "s*c");
const PLAIN = fc.constantFrom("a", "b", "src", "suc", "c");
const RESOURCE = fc.array(SEGMENT, { minLength: 1, maxLength: 3 }).map((all) => all.join("/"));
const RIGHT = fc.constantFrom("clock.now", "clock.sleep", "clock.*");

Deno.test("G3 authority only narrows: what a child may, its parent may, whatever is granted", () =>
  inWorld(async (world) => {
    await world.start(imageOf(({ sys }) => sys.message.receive({})), {
      grants: [allow("clock.*", "a/**"), allow("clock.now", "**"), allow("clock.sleep", "src/*")],
    });
    const tree = await world.tree();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(RIGHT, RESOURCE), { maxLength: 3 }),
        fc.tuple(
          fc.constantFrom("clock.now", "clock.sleep", "clock.burn"),
          fc.array(PLAIN, { minLength: 1, maxLength: 3 }),
        ),
        (grants, [right, parts]) => {
          const process = tree.state.processes["p_1"]!;
          const draft = new Draft(tree, START_MS);
          const image = Object.values(tree.state.images)[0]!;
          const rest = { input: null, cwd: ".", rules: "", labels: {}, budget: {}, priority: 1 };
          try {
            spawn(draft, process, {
              image,
              goal: "x",
              grants: grants.map(([right, resource]) => formatPattern({ right, resource })),
              ...rest,
            });
          } catch {
            return;
          }
          const resource = parts.join("/");
          const query = { right, resource, args: {}, argsHash: () => "", nowMs: START_MS };
          const given = draft.events.flatMap((event) =>
            event.type === "cap.granted" ? [event.data] : []
          );
          const child = foldCaps(tree.state.caps, given);
          const asked = { ...query, needsGrant: false };
          const may = authorize(child, { ...asked, lineage: [given[0]!.subject] }).ok;
          const could = authorize(tree.caps, { ...asked, lineage: ["p_1"] }).ok;
          assert.ok(!may || could, `the child may ${right}(${resource}) and its parent may not`);
        },
      ),
      { numRuns: 300 },
    );
    await (await world.os.get("p_1"))!.signal("kill");
  }));

/** An index of what is held, and of what would be. */
function foldCaps(held: State["caps"], given: readonly Capability[]): CapabilityIndex {
  const made = given.map((cap) => [cap.id, { ...cap, usesSpent: 0 }] as const);
  return CapabilityIndex.of({ ...held, ...Object.fromEntries(made) });
}
