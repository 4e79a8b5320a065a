/**
 * People: requests, their answers and their scopes; and what happens when nobody answers.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type PersonAnswer } from "../mod.ts";
import { ScriptedPerson } from "../testing.ts";
import { LIMITS } from "../kernel/limits.ts";
import { Desk } from "../runtime/people.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const GRANTS = [ask("file.write", "./d/**"), allow("process.fork"), allow("human.*")];

/** Writes for every message, and says what came of each. */
const ON_DEMAND: Body = async ({ sys }) => {
  const said: string[] = [];
  for (;;) {
    const { messages: [message] } = await sys.message.receive({});
    const path = String(message!["data"]);
    if (path === "stop") return said;
    said.push(await codeOf(sys.file.write({ path, text: "" })));
  }
};

async function tell(world: World, pid: string, data: string): Promise<void> {
  await (await world.os.get(pid))!.send(data);
  await world.os.runUntilIdle();
}

/** Approves whatever waits; how many that were. */
async function approve(
  world: World,
  answer: PersonAnswer = { outcome: "approve" },
): Promise<number> {
  const waiting = world.os.approvals.list();
  for (const { id } of waiting) await world.os.approvals.decide(id, answer);
  await world.os.runUntilIdle();
  return waiting.length;
}

interface Scoped {
  readonly answer: PersonAnswer & { outcome: "approve" };
  /** Whether another write of the asker, of its child and of its parent asks again. */
  readonly asks: { readonly same: boolean; readonly child: boolean; readonly parent: boolean };
}

const SCOPED: Readonly<Record<string, Scoped>> = {
  once: {
    answer: { outcome: "approve", scope: "once" },
    asks: { same: true, child: true, parent: true },
  },
  process: {
    answer: { outcome: "approve", scope: "process", resource: "./d/*" },
    asks: { same: false, child: true, parent: true },
  },
  subtree: {
    answer: { outcome: "approve", scope: "subtree", resource: "./d/*" },
    asks: { same: false, child: false, parent: true },
  },
  tree: {
    answer: { outcome: "approve", scope: "tree", resource: "./d/*" },
    asks: { same: false, child: false, parent: false },
  },
};

/** A process, its child and its grandchild, all of which write on demand. */
async function family(world: World): Promise<void> {
  await world.start(
    imageOf(async (context) => {
      const { sys, goal } = context;
      if (goal !== "3") await sys.process.fork({ goal: goal === "1" ? "2" : "3" });
      return await ON_DEMAND(context);
    }),
    { goal: "1", grants: GRANTS },
  );
}

for (const [scope, { answer, asks }] of Object.entries(SCOPED)) {
  Deno.test(`An approval for scope ${scope} reaches just as far as it says, and as long`, () =>
    inWorld(async (world) => {
      await family(world);
      await tell(world, "p_1.1", "d/a");
      assert.equal(await approve(world, { ...answer, forMs: 1_000 }), 1);
      const askedAgain = async (pid: string, path: string): Promise<boolean> => {
        await tell(world, pid, path);
        return await approve(world, { outcome: "deny" }) > 0;
      };
      assert.equal(await askedAgain("p_1.1", "d/b"), asks.same);
      assert.equal(await askedAgain("p_1.2", "d/b"), asks.child);
      assert.equal(await askedAgain("p_1", "d/b"), asks.parent);
      await world.pass(1_000);
      for (const pid of ["p_1.1", "p_1.2", "p_1"]) assert.ok(await askedAgain(pid, "d/c"));
      await (await world.os.get("p_1"))!.signal("kill");
    }));
}

Deno.test("An approval once that was not used expires", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.capability.request({ rule: "file.write(./d/a)", reason: "later" });
        await sys.clock.sleep({ ms: LIMITS.grantExpiryMsDefault });
        return await codeOf(sys.file.write({ path: "d/a", text: "" }));
      }),
      { ceiling: [allow("file.write", "./d/**")] },
    );
    await approve(world);
    await world.pass(LIMITS.grantExpiryMsDefault);
    assert.equal((await world.ended(process)).result, "EPERM");
  }));

Deno.test("An approval for some uses is good for so many", () =>
  inWorld(async (world) => {
    await family(world);
    await tell(world, "p_1", "d/a");
    await approve(world, { outcome: "approve", scope: "process", resource: "./d/**", uses: 2 });
    await tell(world, "p_1", "d/b");
    assert.equal(world.os.approvals.list().length, 0);
    await tell(world, "p_1", "d/c");
    assert.equal(await approve(world), 1);
    await (await world.os.get("p_1"))!.signal("kill");
  }));

const BAD: readonly (readonly [claim: string, answer: PersonAnswer, code: string])[] = [
  ["an answer to a permission", { outcome: "answer", value: "yes" }, "EINVAL"],
  ["another resource", { outcome: "approve", scope: "process", resource: "./e" }, "EINVAL"],
  ["over the ceiling", { outcome: "approve", scope: "process", resource: "./**" }, "EPERM"],
  ["no time", { outcome: "approve", forMs: 0 }, "EINVAL"],
  ["too much time", { outcome: "approve", forMs: LIMITS.grantExpiryMsMax + 1 }, "EINVAL"],
  ["half a use", { outcome: "approve", scope: "process", uses: 0.5 }, "EINVAL"],
  ["an unknown scope", { outcome: "approve", scope: "world" } as never, "EINVAL"],
];

for (const [claim, answer, code] of BAD) {
  Deno.test(`An answer that does not fit is refused and the request waits on: ${claim}`, () =>
    inWorld(async (world) => {
      await world.start(imageOf(({ sys }) => sys.file.write({ path: "d/a", text: "" })), {
        grants: GRANTS,
      });
      const [request] = world.os.approvals.list();
      const error = await errorOf(world.os.approvals.decide(request!.id, answer));
      assert.equal(error?.code, code);
      assert.equal(world.os.approvals.list().length, 1);
      assert.equal((await world.events("inbox.refused")).length, 1);
      await approve(world);
      assert.equal(world.files!.count("write d/a"), 1);
    }));
}

Deno.test("A destructive call is approved once or not at all", () =>
  inWorld(async (world) => {
    world.files!.put("d/a", "x");
    await world.start(imageOf(({ sys }) => sys.file.remove({ path: "d/a" })), {
      grants: [ask("file.remove", "./d/**")],
    });
    const [request] = world.os.approvals.list();
    assert.equal(request!.risk, "destructive");
    const wide = { outcome: "approve", scope: "process" } as const;
    assert.equal(await codeOf(world.os.approvals.decide(request!.id, wide)), "EACCES");
    await approve(world);
    assert.equal(world.files!.count("remove d/a"), 1);
  }));

Deno.test("A second answer is refused, as is one to a request that never was", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(({ sys }) => codeOf(sys.file.write({ path: "d/a", text: "" }))),
      { grants: GRANTS },
    );
    const [request] = world.os.approvals.list();
    const decide = (id: string) =>
      codeOf(world.os.approvals.decide(id, { outcome: "deny", reason: "no" }));
    const codes = await Promise.all([decide(request!.id), decide(request!.id)]);
    assert.deepEqual(codes, ["ok", "ESTATE"]);
    await world.os.runUntilIdle();
    assert.equal(await decide(request!.id), "ESTATE");
    assert.equal(await decide("req_1.99"), "ENOENT");
    assert.equal((await world.ended(process)).result, "EACCES");
    assert.equal((await world.events("human.answered")).length, 1);
  }));

Deno.test("An answer to another call than the one shown is refused with ESTALE", () =>
  inWorld(async (world) => {
    await world.start(imageOf(({ sys }) => sys.file.write({ path: "d/a", text: "" })), {
      grants: GRANTS,
    });
    const [request] = world.os.approvals.list();
    const order = (argsHash: string) =>
      codeOf(world.os.order("t_1", {
        kind: "answer",
        request: request!.id,
        answer: { outcome: "approve" },
        argsHash,
        by: "me",
      }));
    assert.equal(await order("0".repeat(64)), "ESTALE");
    assert.equal(await order(request!.call!.argsHash), "ok");
    await world.os.runUntilIdle();
    assert.equal(world.files!.count("write d/a"), 1);
  }));

Deno.test("Nobody answers: the call is refused with EEXPIRED when its time is up, and no sooner", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(({ sys }) => codeOf(sys.file.write({ path: "d/a", text: "" }))),
      { grants: GRANTS },
    );
    await world.pass(LIMITS.requestExpiryMsDefault - 1);
    assert.equal(world.os.approvals.list().length, 1);
    await world.pass(1);
    assert.equal((await world.ended(process)).result, "EEXPIRED");
    assert.deepEqual(world.os.approvals.list(), []);
  }));

Deno.test("The same call of several processes is one request, and its answer is for all of them", () =>
  inWorld(async (world) => {
    await family(world);
    for (const pid of ["p_1", "p_1.1", "p_1.2"]) await tell(world, pid, "d/same");
    assert.equal(world.os.approvals.list().length, 1);
    assert.equal(await approve(world), 1);
    assert.equal(world.files!.count("write d/same"), 3);
    assert.equal((await world.events("human.joined")).length, 2);
    await (await world.os.get("p_1"))!.signal("kill");
  }));

Deno.test("A request that nobody waits for any more is withdrawn", () =>
  inWorld(async (world) => {
    await family(world);
    for (const pid of ["p_1.1", "p_1.2"]) await tell(world, pid, "d/same");
    await (await world.os.get("p_1.2"))!.signal("kill");
    assert.equal(world.os.approvals.list().length, 1);
    await (await world.os.get("p_1.1"))!.signal("kill");
    assert.equal(world.os.approvals.list().length, 0);
    await (await world.os.get("p_1"))!.signal("kill");
  }));

interface Question {
  readonly args: Record<string, unknown>;
  readonly bad: readonly unknown[];
  readonly good: unknown;
}

const QUESTIONS: Readonly<Record<string, Question>> = {
  "any answer": { args: {}, bad: [], good: { any: ["thing"] } },
  "one of some choices": { args: { choices: ["a", "b"] }, bad: ["c", ""], good: "b" },
  "an answer by schema": {
    args: { schema: { type: "object", required: ["n"], properties: { n: { type: "number" } } } },
    bad: [1, {}, { n: "1" }],
    good: { n: 1 },
  },
};

for (const [claim, { args, bad, good }] of Object.entries(QUESTIONS)) {
  Deno.test(`human.ask takes ${claim}`, () =>
    inWorld(async (world) => {
      const process = await world.start(
        imageOf(({ sys }) => sys.human.ask({ prompt: "?", ...args })),
        { grants: GRANTS },
      );
      const [request] = world.os.approvals.list();
      for (const value of bad) {
        const answer = { outcome: "answer", value: value as never } as const;
        assert.equal(await codeOf(world.os.approvals.decide(request!.id, answer)), "EINVAL");
      }
      await approve(world, { outcome: "answer", value: good as never });
      assert.deepEqual((await world.ended(process)).result, { answer: good, by: "operator" });
    }));
}

Deno.test("The log says who was asked, and who answered", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(({ sys }) => sys.human.ask({ prompt: "How much?", who: "treasurer" })),
      { grants: GRANTS },
    );
    const [request] = world.os.approvals.list();
    assert.equal(request!.who, "treasurer");
    await world.os.approvals.decide(request!.id, { outcome: "answer", value: 7 }, { actor: "bob" });
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, { answer: 7, by: "bob" });
    assert.deepEqual((await world.events("human.asked")).map(({ who }) => who), ["treasurer"]);
    assert.deepEqual((await world.events("human.answered")).map(({ by }) => by), ["bob"]);
  }));

Deno.test("human.tell waits for nobody, and is taken off when it was seen", () =>
  inWorld(async (world) => {
    await world.result(({ sys }) => sys.human.tell({ message: "done" }), { grants: GRANTS });
    assert.equal(world.os.approvals.list().length, 0);
  }));

Deno.test("A person at the desk is asked one thing at a time, and each thing once", () => {
  const person = new ScriptedPerson(({ kind }) =>
    kind === "permission" ? { outcome: "approve" } : { outcome: "answer", value: "so" }
  );
  return inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      await sys.file.write({ path: "d/a", text: "1" });
      const { answer } = await sys.human.ask({ prompt: "how?" });
      await sys.human.tell({ message: "thanks" });
      await sys.file.write({ path: "d/a", text: "2" });
      return answer;
    }, { grants: GRANTS });
    assert.equal(said, "so");
    const kinds = person.asked.map(({ kind }) => kind);
    assert.deepEqual(kinds, ["permission", "question", "notice", "permission"]);
  }, { approvals: person });
});

Deno.test("A desk remembers no request that was answered, has expired or lost its asker", async () => {
  const deaf = new ScriptedPerson(({ prompt }) =>
    prompt.startsWith("loud") ? { outcome: "answer", value: "yes" } : undefined as never
  );
  await inWorld(async (world) => {
    const desk = new Desk(world.os.node, deaf, "operator");
    desk.start();
    const settled = async (): Promise<number> => {
      await world.os.runUntilIdle();
      await desk.settled();
      await world.os.runUntilIdle();
      return desk.shown;
    };
    const asker = imageOf(async ({ sys, goal }) => {
      for (let i = 1; i <= 5; i++) await codeOf(sys.human.ask({ prompt: `${goal} ${i}` }));
    });
    await world.start(asker, { goal: "loud", grants: [allow("human.*")] });
    assert.equal(await settled(), 0);
    const quiet = await world.start(asker, { goal: "quiet", grants: [allow("human.*")] });
    assert.equal(await settled(), 1);
    await world.pass(3_600_001);
    assert.equal(await settled(), 1, "the next one waits");
    await quiet.signal("kill");
    assert.equal(await settled(), 0);
    assert.equal(deaf.asked.length, 7);
    await desk.stop();
  });
});
