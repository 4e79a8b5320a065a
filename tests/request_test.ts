/**
 * Requests beside permissions: budgets; those that nobody answers; several at once; suggestions.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage, deny, type PersonAnswer } from "../mod.ts";
import { MemoryStore, scriptedModel, VirtualClock } from "../testing.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { PersonRequest } from "../kernel/world.ts";
import { bestOf } from "../runtime/suggest.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, START_MS, World } from "./world_fixture.ts";

async function decide(world: World, answer: PersonAnswer, actor = "ada"): Promise<string> {
  const [request] = world.os.approvals.list();
  const code = await codeOf(world.os.approvals.decide(request!.id, answer, { actor }));
  await world.os.runUntilIdle();
  return code;
}

// Budgets.

/** Asks for more tool calls and says what it was given, or the code of the refusal. */
const RAISE: Body = async ({ sys }) => {
  try {
    return await sys.budget.raise({ limits: { toolCalls: 20, tokens: 500 }, reason: "more to do" });
  } catch (error) {
    return (error as { code: string }).code;
  }
};

const BUDGET = { toolCalls: 10, tokens: 100 };

Deno.test("A process asks for more to spend, and gets what a person gives", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(RAISE), { budget: BUDGET });
    const [request] = world.os.approvals.list();
    assert.equal(request!.kind, "budget");
    assert.match(request!.preview!, /toolCalls: 0 used of 10, asks for 20/);
    assert.equal(await decide(world, { outcome: "approve", scope: "process" }), "EINVAL");
    assert.equal(await decide(world, { outcome: "approve", note: "ok" }), "ok");
    const { result } = await world.ended(process);
    assert.deepEqual(result, { given: { toolCalls: 20, tokens: 500 }, by: "ada", note: "ok" });
    const { limits } = (await world.tree()).state.processes["p_1"]!;
    assert.deepEqual([limits.toolCalls, limits.tokens], [20, 500]);
  }));

const LESS: readonly (readonly [PersonAnswer, string])[] = [
  [{ outcome: "edit", args: { limits: { toolCalls: 21 } } }, "EPERM"],
  [{ outcome: "edit", args: { limits: { usd: 1 } } }, "EPERM"],
  [{ outcome: "edit", args: { limits: {} } }, "EINVAL"],
  [{ outcome: "edit", args: { limits: { toolCalls: "many" } } }, "EINVAL"],
  [{ outcome: "edit", args: null }, "EINVAL"],
  [{ outcome: "answer", value: "yes" }, "EINVAL"],
];

Deno.test("A person gives less by an edit, and never more than was asked for", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(RAISE), { budget: BUDGET });
    for (const [answer, code] of LESS) {
      assert.equal(await decide(world, answer), code, JSON.stringify(answer));
    }
    assert.equal((await world.tree()).state.processes["p_1"]!.limits.toolCalls, 10);
    const less = { outcome: "edit", args: { limits: { toolCalls: 12 } } } as const;
    assert.equal(await decide(world, less), "ok");
    assert.deepEqual((await world.ended(process)).result, { given: { toolCalls: 12 }, by: "ada" });
    const { limits } = (await world.tree()).state.processes["p_1"]!;
    assert.deepEqual([limits.toolCalls, limits.tokens], [12, 100]);
  }));

Deno.test("A raise goes up through the ancestors, only as far as it has to", () =>
  inWorld(async (world) => {
    const child = imageOf(RAISE, { name: "child" });
    await world.start(
      imageOf(async ({ sys }) => {
        const { pid } = await sys.process.spawn({
          image: "child",
          goal: "-",
          budget: { toolCalls: 5, tokens: 10 },
        });
        await sys.process.wait({ pids: [pid] });
      }),
      {
        images: [child],
        grants: [allow("process.*", "**")],
        budget: { toolCalls: 8, tokens: 900 },
      },
    );
    assert.equal(await decide(world, { outcome: "approve" }), "ok");
    const { processes } = (await world.tree()).state;
    assert.deepEqual([processes["p_1.1"]!.limits.toolCalls, processes["p_1.1"]!.limits.tokens], [
      20,
      500,
    ]);
    assert.deepEqual([processes["p_1"]!.limits.toolCalls, processes["p_1"]!.limits.tokens], [
      20,
      900,
    ]);
  }));

Deno.test("A no, silence, and what is no more raise nothing", () =>
  inWorld(async (world) => {
    for (const answer of [{ outcome: "deny" } as const, null]) {
      const process = await world.start(imageOf(RAISE), { budget: BUDGET });
      if (answer === null) await world.pass(LIMITS.requestExpiryMsDefault);
      else await decide(world, answer);
      assert.equal((await world.ended(process)).result, answer === null ? "EEXPIRED" : "EACCES");
      assert.deepEqual(
        await world.events(
          "budget.limited",
          (await process.info()).pid.replace("p_", "t_") as never,
        ),
        [],
      );
    }
    assert.equal((await world.ended(await world.start(imageOf(RAISE)))).result, "EINVAL");
  }));

Deno.test("A turn that the budget does not bear asks by itself, where the image wants that", () =>
  inWorld(async (world) => {
    const turns = [
      { tool: "object_list", input: {} },
      { tool: "object_list", input: {} },
      "done",
    ];
    const spender = (name: string, onBudget?: "ask") =>
      defineImage({
        name,
        model: scriptedModel(turns, { id: `scripted/${name}` }),
        budget: { modelCalls: 1 },
        ...(onBudget === undefined ? {} : { onBudget }),
      });
    const failing = await world.start(spender("failing"));
    assert.match((await world.ended(failing)).outcome.kind, /failed/);
    const process = await world.start(spender("asking", "ask"));
    for (let i = 0; i < 2; i++) {
      const [request] = world.os.approvals.list();
      assert.equal(request!.kind, "budget");
      assert.equal(await decide(world, { outcome: "approve" }), "ok");
    }
    assert.equal((await world.ended(process)).result, "done");
    const denied = await world.start(spender("denied", "ask"));
    await decide(world, { outcome: "deny", reason: "dear" });
    const { outcome } = await world.ended(denied);
    assert.equal(outcome.kind === "failed" && outcome.code, "EBUDGET");
  }));

// What nobody answers.

const WRITE: Body = ({ sys }) => codeOf(sys.file.write({ path: "d/a.md", text: "" }));
const GRANTS = [ask("file.write", "./d/**")];

Deno.test("A request that nobody answers is said to be so once, over a restart, and expires", async () => {
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  // The store outlives its kernels.
  store.close = () => Promise.resolve();
  const image = imageOf(WRITE);
  const options = { store, clock, images: [image] };
  const first = new World(options);
  await first.start(image, { grants: GRANTS });
  assert.equal(first.os.approvals.list()[0]!.escalatedMs, null);
  await first.os.close();
  const second = new World({ ...options, seed: 2 });
  const heard: string[] = [];
  second.os.node.listen((_, lines) => heard.push(...lines.map(({ type }) => type)));
  await second.os.node.openLive(10);
  await second.pass(LIMITS.escalateMsDefault);
  assert.equal(second.os.approvals.list()[0]!.escalatedMs, START_MS + LIMITS.escalateMsDefault);
  assert.equal(heard.filter((type) => type === "human.escalated").length, 1);
  await second.os.close();
  const third = new World({ ...options, seed: 3 });
  await third.os.node.openLive(10);
  await third.untilDone();
  assert.equal((await third.events("human.escalated")).length, 1);
  assert.equal((await third.ended((await third.os.get("p_1"))!)).result, "EEXPIRED");
  await third.close();
});

Deno.test("escalateMs says when; what is answered, a notice, or over before is not escalated", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.human.tell({ message: "hello" });
        await sys.human.ask({ prompt: "quick?", expiresMs: 1_000 }).catch(() => {});
        return await codeOf(sys.file.write({ path: "d/a", text: "" }));
      }),
      { grants: [...GRANTS, allow("human.*")] },
    );
    await world.pass(1_000);
    await world.pass(59_999);
    assert.equal((await world.events("human.escalated")).length, 0);
    await world.pass(1);
    assert.equal((await world.events("human.escalated")).length, 1);
    await world.os.approvals.decide(
      world.os.approvals.list().find(({ kind }) => kind === "permission")!.id,
      { outcome: "approve" },
    );
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "ok");
  }, { escalateMs: 60_000 }));

Deno.test("An answer after the end is EEXPIRED, also when the asker has heard it", () =>
  inWorld(async (world) => {
    await world.start(imageOf(WRITE), { grants: GRANTS });
    const [request] = world.os.approvals.list();
    await world.pass(LIMITS.requestExpiryMsDefault);
    for (let i = 0; i < 2; i++) {
      const code = await codeOf(world.os.approvals.decide(request!.id, { outcome: "approve" }));
      assert.equal(code, "EEXPIRED");
    }
  }));

Deno.test("A decision on another call than the one that was shown is ESTALE", () =>
  inWorld(async (world) => {
    await world.start(imageOf(WRITE), { grants: GRANTS });
    const [{ id, call }] = world.os.approvals.list() as [PersonRequest];
    const yes = { outcome: "approve" } as const;
    const wrong = { actor: "ada", argsHash: "0".repeat(64) };
    assert.equal(await codeOf(world.os.approvals.decide(id, yes, wrong)), "ESTALE");
    const more = { actor: "ada", askers: 2 };
    assert.equal(await codeOf(world.os.approvals.decide(id, yes, more)), "ESTALE");
    const right = { actor: "ada", askers: 1, argsHash: call!.argsHash };
    assert.equal(await codeOf(world.os.approvals.decide(id, yes, right)), "ok");
    assert.equal(await codeOf(world.os.approvals.decide(id, yes, right)), "ESTATE");
  }));

// Several at once.

/** Children that each want something, and say what came of it. */
async function crowd(world: World, paths: readonly string[]): Promise<void> {
  const child = imageOf(async ({ sys, goal }) => {
    const [verb, path] = goal.split(" ") as [string, string];
    return await codeOf(
      verb === "rm" ? sys.file.remove({ path }) : sys.file.write({ path, text: goal }),
    );
  }, { name: "child" });
  await world.start(
    imageOf(async ({ sys }) => {
      for (const goal of paths) {
        await sys.process.spawn({ image: "child", goal, grants: ["file.*(./d/**)"] });
      }
      await sys.message.receive({});
    }),
    { images: [child], grants: [ask("file.*", "./d/**"), allow("process.*", "**")] },
  );
}

function items(world: World): { id: string; argsHash: string }[] {
  return world.os.approvals.list().map(({ id, call }) => ({ id, argsHash: call!.argsHash }));
}

const ALL = { outcome: "approve", scope: "once", resource: "./d/*.md" } as const;

const UNALIKE: readonly (readonly [string, readonly string[], PersonAnswer])[] = [
  ["for different rights", ["put d/a.md", "rm d/b.md"], ALL],
  ["that destroy", ["rm d/a.md", "rm d/b.md"], ALL],
  ["outside of the pattern", ["put d/a.md", "put d/b.txt"], ALL],
  ["without a pattern", ["put d/a.md", "put d/b.md"], { outcome: "approve" }],
  ["with arguments", ["put d/a.md", "put d/b.md"], { outcome: "edit", args: {} }],
  ["with a value", ["put d/a.md", "put d/b.md"], { outcome: "answer", value: 1 }],
];

for (const [what, paths, answer] of UNALIKE) {
  Deno.test(`Requests ${what} are not answered together, and none of them is`, () =>
    inWorld(async (world) => {
      await crowd(world, paths);
      assert.equal(items(world).length, 2);
      const refused = await errorOf(world.os.approvals.decideAll(items(world), answer));
      assert.equal(refused?.code, "EINVAL");
      assert.equal(world.os.approvals.list().length, 2);
      assert.equal((await world.events("human.answered")).length, 0);
      await (await world.os.get("p_1"))!.signal("kill");
    }));
}

Deno.test("Alike requests are answered together, each bound to its own call", () =>
  inWorld(async (world) => {
    await crowd(world, ["put d/a.md", "put d/b.md", "put d/c.md", "put d/e.md"]);
    const [a, b, c, e] = items(world) as [Item, Item, Item, Item];
    await world.os.approvals.decide(b.id, { outcome: "deny" });
    const stale = { id: c.id, argsHash: a.argsHash };
    const absent = { id: "req_1.99", argsHash: a.argsHash };
    const said = await world.os.approvals.decideAll([a, b, stale, e, absent], ALL, {
      actor: "ada",
    });
    const codes = said.map((one) => one.ok ? "ok" : one.code);
    assert.deepEqual(codes, ["ok", "ESTATE", "ESTALE", "ok", "ENOENT"]);
    await world.os.runUntilIdle();
    assert.deepEqual([...world.files!.contents.keys()].sort(), ["d/a.md", "d/e.md"]);
    const twice = await errorOf(world.os.approvals.decideAll([a, a], ALL));
    assert.equal(twice?.code, "EINVAL");
    await (await world.os.get("p_1"))!.signal("kill");
  }));

type Item = { readonly id: string; readonly argsHash: string };

Deno.test("Many people at once: one decision wins, the others hear that it is over", () =>
  inWorld(async (world) => {
    await world.start(imageOf(WRITE), { grants: GRANTS });
    const [request] = world.os.approvals.list();
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        codeOf(world.os.approvals.decide(
          request!.id,
          i % 2 === 0 ? { outcome: "approve" } : { outcome: "deny" },
          { actor: `person-${i}` },
        ))),
    );
    assert.equal(codes.filter((code) => code === "ok").length, 1);
    assert.equal(codes.filter((code) => code === "ESTATE").length, 19);
    assert.equal((await world.events("human.answered")).length, 1);
  }));

// Suggestions.

const WRITES: Body = async ({ sys }) => {
  for (const path of ["d/a.md", "d/b.md", "d/c.txt", "d/.env", "d/f.md"]) {
    await codeOf(sys.file.write({ path, text: "" }));
  }
};

Deno.test("Suggestions: the call, its resource, its kind beside it; counted over what was", () =>
  inWorld(async (world) => {
    await world.start(imageOf(WRITES), { grants: GRANTS });
    const shown = () =>
      world.os.approvals.list()[0]!.suggestions.map(({ scope, resource, matched }) =>
        `${scope} ${resource} ${matched}`
      );
    assert.deepEqual(shown(), ["once ./d/a.md 0", "process ./d/a.md 0", "process ./d/*.md 0"]);
    assert.equal(bestOf(world.os.approvals.list()[0]!.suggestions)?.scope, "once");
    await decide(world, { outcome: "approve" });
    assert.deepEqual(shown().at(-1), "process ./d/*.md 1");
    assert.equal(bestOf(world.os.approvals.list()[0]!.suggestions)?.resource, "./d/*.md");
    await decide(world, { outcome: "deny" });
    assert.deepEqual(shown().at(-1), "process ./d/*.txt 0");
    await decide(world, { outcome: "deny" });
    assert.deepEqual(
      shown(),
      ["once ./d/.env 0", "process ./d/.env 0"],
      "no pattern for what hides",
    );
    await decide(world, { outcome: "deny" });
    const [request] = world.os.approvals.list();
    const { problem, ...found } = await world.os.approvals.matches(request!.id, "./d/*.md");
    assert.deepEqual(
      [problem, found.matched, found.of, found.asked, found.allowed, found.denied, found.processes],
      [null, 2, 4, 2, 0, 0, 1],
    );
    assert.deepEqual(found.examples.map(({ resource }) => resource), ["./d/b.md", "./d/a.md"]);
    const wider = await world.os.approvals.matches(request!.id, "./**");
    assert.match(wider.problem!, /over the tree's ceiling|wider than/);
    const other = await world.os.approvals.matches(request!.id, "./e/*");
    assert.match(other.problem!, /does not cover/);
    const { tree } = (await world.tree()).state;
    const all = await world.os.approvals.matches({ tree, right: "file.write" }, "**");
    assert.deepEqual([all.matched, all.problem, all.isWhole], [4, null, true]);
    await decide(world, { outcome: "deny" });
  }));

Deno.test("Nothing is suggested that is wider than the asker's own, denied, or destroys", () =>
  inWorld(async (world) => {
    await world.start(imageOf(WRITE), { grants: [ask("file.write", "./d/a.md")] });
    const scopes = () => world.os.approvals.list()[0]!.suggestions.map(({ resource }) => resource);
    assert.deepEqual(scopes(), ["./d/a.md", "./d/a.md"]);
    await decide(world, { outcome: "deny" });
    await world.start(imageOf(({ sys }) => codeOf(sys.file.remove({ path: "d/a" }))), {
      grants: [ask("file.remove", "./d/**"), deny("file.write")],
    });
    const [request] = world.os.approvals.list();
    assert.deepEqual(request!.suggestions.map(({ scope }) => scope), ["once"]);
    assert.deepEqual(request!.scopes, ["once"]);
    await decide(world, { outcome: "deny" });
  }));
