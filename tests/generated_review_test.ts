/**
 * Generated tools before people: when one is asked, what is shown, and what an answer opens.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type Json, type PersonAnswer, type Rule } from "../mod.ts";
import { REVIEWS } from "../broker/sandbox.ts";
import { LIMITS } from "../kernel/limits.ts";
import { contract, FakeWorkshop, install } from "./fake_sandbox.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, World } from "./world_fixture.ts";

const ANY = allow("tool.register", "**");
const BODIES = { one: () => 1, two: () => 2, "a\nb\nc": () => 1, "a\nB\nc": () => 1 };

interface Reviewed {
  readonly result: Json;
  readonly previews: readonly string[];
}

/** Runs a program whose requests are answered in order, the last answer for all that follow. */
async function reviewed(review: (typeof REVIEWS)[number], body: Body, given: {
  readonly answers?: readonly PersonAnswer[];
  readonly grants?: readonly Rule[];
  readonly policy?: string;
} = {}): Promise<Reviewed> {
  const previews: string[] = [];
  const { answers = [{ outcome: "approve" }], grants = [ANY, allow("file.*", "**")] } = given;
  const world = new World({
    workshop: FakeWorkshop.of(BODIES, review),
    ...(given.policy === undefined ? {} : { policy: given.policy }),
  });
  const process = await world.start(imageOf(body), { grants });
  for (;;) {
    const [request] = world.os.approvals.list();
    if (request === undefined) break;
    const answer = answers[Math.min(previews.length, answers.length - 1)]!;
    previews.push(request.preview ?? "");
    await world.os.approvals.decide(request.id, answer);
    await world.os.runUntilIdle();
  }
  const { result, outcome } = await world.ended(process);
  assert.equal(outcome.kind, "exited", JSON.stringify(outcome));
  await world.close();
  return { result, previews };
}

const READS = { rights: ["file.read(a)"] };
const MORE = { rights: ["file.read(a)", "file.read(b)"] };

/** How often a person is asked for each registration, one after another. */
const ASKED: readonly (readonly [string, Record<(typeof REVIEWS)[number], number>, Body])[] = [
  ["nothing but its input", { always: 1, "new-rights": 0, never: 0 }, async ({ sys }) => {
    await install(sys, "one");
  }],
  ["a right that nobody approved", { always: 1, "new-rights": 1, never: 0 }, async ({ sys }) => {
    await install(sys, "one", READS);
  }],
  ["the same version again", { always: 2, "new-rights": 1, never: 0 }, async ({ sys }) => {
    await install(sys, "one", READS);
    await install(sys, "one", READS);
  }],
  ["another version with the rights", { always: 2, "new-rights": 1, never: 0 }, async ({ sys }) => {
    await install(sys, "one", READS);
    await install(sys, "one", { ...READS, source: "two" });
  }],
  ["another tool with the rights", { always: 2, "new-rights": 1, never: 0 }, async ({ sys }) => {
    await install(sys, "one", READS);
    await install(sys, "two", READS);
  }],
  ["a version with one right more", { always: 2, "new-rights": 2, never: 0 }, async ({ sys }) => {
    await install(sys, "one", READS);
    await install(sys, "one", MORE);
  }],
  ["a version with one right less", { always: 2, "new-rights": 1, never: 0 }, async ({ sys }) => {
    await install(sys, "one", MORE);
    await install(sys, "one", READS);
  }],
  ["the same words somewhere else", { always: 2, "new-rights": 2, never: 0 }, async ({ sys }) => {
    await install(sys, "one", READS);
    await sys.process.chdir({ path: "sub" });
    await install(sys, "one", READS);
  }],
];

for (const [claim, times, body] of ASKED) {
  for (const review of REVIEWS) {
    Deno.test(`Review "${review}" asks ${times[review]} times about ${claim}`, async () => {
      const { previews } = await reviewed(review, body);
      assert.equal(previews.length, times[review]);
    });
  }
}

for (const review of REVIEWS) {
  Deno.test(`Review "${review}" lets nobody register who does not hold tool.register`, async () => {
    const { result, previews } = await reviewed(review, async ({ sys }) => [
      await codeOf(install(sys, "one")),
      await codeOf(install(sys, "two")),
    ], { grants: [allow("tool.register", "two")] });
    assert.deepEqual(result, ["EPERM", "ok"]);
    assert.equal(previews.length, review === "always" ? 1 : 0);
  });

  Deno.test(`Review "${review}" does not undo a rule that says deny`, async () => {
    const { result, previews } = await reviewed(
      review,
      ({ sys }) => codeOf(install(sys, "one")),
      { policy: 'deny tool.register(one) because "not here"' },
    );
    assert.deepEqual([result, previews.length], ["EACCES", 0]);
  });

  Deno.test(`Review "${review}" asks once where a rule says ask`, async () => {
    const { result, previews } = await reviewed(
      review,
      ({ sys }) => codeOf(install(sys, "one", READS)),
      { grants: [ask("tool.register", "**"), allow("file.*", "**")] },
    );
    assert.deepEqual([result, previews.length], ["ok", 1]);
  });
}

Deno.test("A no is told with its reason, and leaves the table as it was", async () => {
  const { result } = await reviewed("always", async ({ sys }) => {
    await install(sys, "one");
    const error = await errorOf(install(sys, "one", { source: "two" }));
    return [error!.code, error!.message, (await sys.tool.call({ name: "one" })).output];
  }, { answers: [{ outcome: "approve" }, { outcome: "deny", reason: "too clever" }] });
  assert.deepEqual(result, [
    "EACCES",
    'Cannot call "tool.register": operator refused it: too clever',
    1,
  ]);
});

Deno.test("A yes is for the very version that was shown, and for one registration", async () => {
  const { result, previews } = await reviewed("always", async ({ sys }) => {
    const codes = [await codeOf(install(sys, "one"))];
    codes.push(await codeOf(install(sys, "one", { source: "two" })));
    codes.push(await codeOf(install(sys, "one")));
    return codes;
  }, { answers: [{ outcome: "approve" }, { outcome: "deny" }] });
  assert.deepEqual(result, ["ok", "EACCES", "EACCES"]);
  assert.equal(previews.length, 3);
});

Deno.test("A yes for other limits is another yes", async () => {
  const { result, previews } = await reviewed("always", async ({ sys }) => {
    const { tool } = await sys.tool.propose(contract("one"));
    return [
      await codeOf(sys.tool.register({ tool })),
      await codeOf(sys.tool.register({ tool, limits: { wallMs: 20_000 } })),
    ];
  }, {
    grants: [ANY, allow("tool.limit", "one/*")],
    answers: [{ outcome: "approve" }, { outcome: "deny" }],
  });
  assert.deepEqual(result, ["ok", "EACCES"]);
  assert.ok(!previews[0]!.includes("limits above"));
  assert.ok(previews[1]!.includes("limits above the usual: wallMs 20000"));
});

Deno.test("A yes for the process opens this name to all its versions until it expires, and no other", async () => {
  const { result, previews } = await reviewed("always", async ({ sys }) => {
    await install(sys, "one");
    await install(sys, "one", { source: "two" });
    const other = await codeOf(install(sys, "two"));
    await sys.clock.sleep({ ms: 0 });
    return other;
  }, {
    answers: [{ outcome: "approve", scope: "process", forMs: 60_000 }, { outcome: "deny" }],
  });
  assert.deepEqual([result, previews.length], ["EACCES", 2]);
});

Deno.test("A yes given to a wait that was broken off is not used for wider rights after a chdir", async () => {
  const world = new World({ workshop: FakeWorkshop.of(BODIES, "always") });
  const process = await world.start(
    imageOf(async ({ sys }) => {
      const { tool } = await sys.tool.propose(contract("one", { rights: ["file.read(./**)"] }));
      await sys.process.chdir({ path: "scratch" });
      const first = await codeOf(sys.tool.register({ tool }));
      await sys.message.receive({ filter: { type: "go" } });
      await sys.process.chdir({ path: ".." });
      return [first, await codeOf(sys.tool.register({ tool }))];
    }),
    { grants: [ANY, allow("file.read", "./**")] },
  );
  const [shown] = world.os.approvals.list();
  assert.ok(shown!.preview!.includes("  file.read(./scratch/**)"), shown!.preview);
  await process.send("wake up", { interrupt: true });
  await world.os.runUntilIdle();
  const left = world.os.approvals.list();
  if (left.length > 0) await world.os.approvals.decide(shown!.id, { outcome: "approve" });
  await process.send("go", { type: "go" });
  await world.os.runUntilIdle();
  for (const { id, preview } of world.os.approvals.list()) {
    assert.ok(preview!.includes("  file.read(./**)"), preview);
    await world.os.approvals.decide(id, { outcome: "deny" });
  }
  await world.os.runUntilIdle();
  assert.deepEqual((await world.ended(process)).result, ["ECANCELED", "EACCES"]);
  await world.close();
});

Deno.test("A yes to a tool in one folder is no yes to it in another, though the arguments are the same", () =>
  inWorld(async (world) => {
    const child = imageOf(({ sys, input }) => sys.tool.register({ tool: input as string }), {
      name: "child",
    });
    const process = await world.start(
      imageOf(async ({ sys }) => {
        const { tool } = await sys.tool.propose(contract("one", { rights: ["file.read(./**)"] }));
        const grants = ["tool.register(**)"];
        await sys.process.spawn({ image: "child", goal: "x", cwd: "sub", input: tool, grants });
        return await codeOf(sys.tool.register({ tool }));
      }),
      { grants: [ANY, allow("process.*", "**"), allow("file.read", "./**")], images: [child] },
    );
    const requests = world.os.approvals.list();
    assert.equal(requests.length, 2);
    for (const { id, pid, preview } of requests) {
      const isParent = pid === "p_1";
      assert.ok(preview!.includes(isParent ? "  file.read(./**)" : "  file.read(./sub/**)"));
      const outcome = isParent ? "deny" : "approve";
      await world.os.approvals.decide(id, { outcome });
    }
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "EACCES");
  }, { workshop: FakeWorkshop.of(BODIES, "always") }));

Deno.test("A person is shown the rights as they hold, the tests, the source, and the reason for asking", async () => {
  const { previews } = await reviewed("new-rights", async ({ sys }) => {
    await sys.process.chdir({ path: "sub" });
    const given = {
      description: "Counts",
      source: "a\nb\nc",
      rights: ["file.read(x)", "object.read(notes/**)"],
      tests: [{ name: "t", input: {}, output: 1 }],
    };
    const { tool } = await sys.tool.propose(contract("count", given));
    await sys.tool.test({ tool });
    await sys.tool.register({ tool });
  });
  const [because, title, ...rest] = previews[0]!.split("\n");
  assert.match(because!, /^because nobody has approved file.read\(.\/sub\/x\), object.read\(p_1\//);
  assert.match(title!, /^generated tool "count", version [0-9a-f]{12}$/);
  assert.deepEqual(rest, [
    'what it says it does: "Counts"',
    "it may use, at most:",
    "  file.read(./sub/x)",
    "  object.read(p_1/notes/**)",
    "tests: 1 passed, 0 failed",
    '  "t": {"calls":[],"input":{},"output":1}',
    "source, 3 lines:",
    "a",
    "b",
    "c",
  ]);
});

Deno.test("A person is shown what a new version changes in rights and source", async () => {
  const { previews } = await reviewed("always", async ({ sys }) => {
    await install(sys, "count", { source: "a\nb\nc", rights: ["file.read(x)"] });
    await install(sys, "count", { source: "a\nB\nc", rights: ["file.write(x)"] });
  });
  assert.ok(!previews[0]!.includes("changes from"));
  const lines = previews[1]!.split("\n");
  const from = lines.findIndex((line) => line.startsWith("changes from version "));
  assert.deepEqual(lines.slice(from + 1), [
    "- right file.read(x)",
    "+ right file.write(x)",
    "  a",
    "- b",
    "+ B",
    "  c",
    "source, 3 lines:",
    "a",
    "B",
    "c",
  ]);
});

Deno.test("A person reads what the tests give and expect; a long one is cut, and says how long it is", async () => {
  const long = "x".repeat(2 * LIMITS.toolTestShownCharsMax);
  const tests = [
    { name: "counts\u2028tests: 9 passed", input: { path: "a" }, output: 1 },
    { name: "long", input: { long }, output: 1 },
  ];
  const { previews } = await reviewed("always", async ({ sys }) => {
    const { tool } = await sys.tool.propose(contract("count", { source: "a\nb\nc", tests }));
    await sys.tool.test({ tool });
    await sys.tool.register({ tool });
  });
  const lines = previews[0]!.split(/[\n\u2028]/);
  const from = lines.findIndex((line) => line.startsWith("tests: "));
  const [, first, second] = lines.slice(from);
  assert.equal(
    first,
    '  "counts tests: 9 passed": {"calls":[],"input":{"path":"a"},"output":1}',
  );
  assert.match(second!, /^ {2}"long": .*x… \(\d+ characters\)$/);
  assert.ok(second!.length < LIMITS.toolTestShownCharsMax + 100);
});

const FORGED = ["\n", "\r\n", "\u0085", "\u2028", "\u2029", "\u000b"];

for (const end of FORGED) {
  Deno.test(`A description cannot add lines to the preview by ${JSON.stringify(end)}`, async () => {
    const description = ["Adds", "it may use: nothing but its input", "tests: 9 passed"].join(end);
    const { previews } = await reviewed(
      "always",
      ({ sys }) => install(sys, "one", { description, ...READS }),
    );
    // deno-lint-ignore no-control-regex
    const lines = previews[0]!.split(/[\n\r\u0085\u2028\u2029\u000b]/);
    assert.deepEqual(lines.filter((line) => /^(it may use|tests)/.test(line)), [
      "it may use, at most:",
      "tests: none",
    ]);
  });
}

Deno.test("A child's registration is reviewed for the child, whatever its parent was allowed", () =>
  inWorld(async (world) => {
    const child = imageOf(({ sys, input }) => sys.tool.register({ tool: input as string }), {
      name: "child",
    });
    await world.start(
      imageOf(async ({ sys }) => {
        const tool = await install(sys, "one", { rights: ["object.read(x)"] });
        await sys.tool.register({ tool });
        const grants = ["tool.register(**)"];
        await sys.process.spawn({ image: "child", goal: "x", input: tool, grants });
        await sys.message.receive({});
      }),
      { grants: [ANY, allow("process.spawn", "**")], images: [child] },
    );
    const shown: string[] = [];
    for (;;) {
      const [request] = world.os.approvals.list();
      if (request === undefined) break;
      shown.push(`${request.pid} ${/object.read\(.*?\)/.exec(request.preview!)![0]}`);
      await world.os.approvals.decide(request.id, { outcome: "approve" });
      await world.os.runUntilIdle();
    }
    assert.deepEqual(shown, ["p_1 object.read(p_1/x)", "p_1.1 object.read(p_1.1/x)"]);
    await (await world.os.get("p_1"))!.signal("kill");
  }, { workshop: FakeWorkshop.of(BODIES, "new-rights") }));

Deno.test("Nobody is asked about a registration that would be refused anyway", async () => {
  const { result, previews } = await reviewed("always", async ({ sys }) => [
    await codeOf(sys.tool.register({ tool: "0".repeat(64) })),
    await codeOf(install(sys, "one", { tests: [{ name: "t", input: {} }] })),
  ]);
  assert.deepEqual([result, previews.length], [["ENOENT", "ESTATE"], 0]);
});

Deno.test("A right that was asked for by itself is no review: the source was not shown", async () => {
  const shop = FakeWorkshop.of({ echo: (input) => input }, "always");
  await inWorld(async (world) => {
    const agent = await world.start(
      imageOf(async ({ sys }) => {
        await sys.capability.request({ rule: "tool.register(echo)", reason: "to make it" });
        const { tool } = await sys.tool.propose({
          name: "echo",
          description: "Say it again",
          inputSchema: { type: "object" },
          source: "echo",
        });
        return await sys.tool.register({ tool });
      }),
      { ceiling: [allow("tool.register", "*")] },
    );
    const [right] = world.os.approvals.list();
    await world.os.approvals.decide(right!.id, { outcome: "approve", scope: "process" });
    await world.os.runUntilIdle();
    const [review] = world.os.approvals.list();
    assert.equal(review!.kind, "review");
    assert.match(review!.preview!, /generated tool "echo"/);
    assert.deepEqual(review!.scopes, ["once", "process", "subtree", "tree"]);
    for (const scope of ["image", "policy"] as const) {
      const wide = world.os.approvals.decide(review!.id, { outcome: "approve", scope });
      assert.equal(await codeOf(wide), "EINVAL");
    }
    const edit = world.os.approvals.decide(review!.id, { outcome: "edit", args: {} });
    assert.equal(await codeOf(edit), "EINVAL");
    await world.os.approvals.decide(review!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    assert.equal((await world.ended(agent)).ok, true);
  }, { workshop: shop });
});
