/**
 * Scopes: for all of an image, and for the policy; two people; nobody for themselves.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, createRuntime, deny, type PersonAnswer } from "../mod.ts";
import { formatPolicy, parsePolicy } from "../kernel/policy.ts";
import { RIGHTS } from "../broker/table.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, type World } from "./world_fixture.ts";

/** Writes for every message, and says what came of each. */
const ON_DEMAND: Body = async ({ sys, goal }) => {
  if (goal.startsWith("start ")) {
    for (const image of goal.split(" ").slice(1)) {
      await sys.process.spawn({ image, goal: "wait", grants: ["file.*(./d/**)"] });
    }
  }
  const said: string[] = [];
  for (;;) {
    const { messages: [message] } = await sys.message.receive({});
    const path = String(message!["data"]);
    if (path === "stop") return said;
    if (path.startsWith("spawn ")) {
      await sys.process.spawn({ image: path.slice(6), goal: "wait", grants: ["file.*(./d/**)"] });
      continue;
    }
    const isGone = path.startsWith("-");
    said.push(
      await codeOf(
        isGone ? sys.file.remove({ path: path.slice(1) }) : sys.file.write({ path, text: "" }),
      ),
    );
  }
};

async function tell(world: World, pid: string, data: string): Promise<void> {
  await (await world.os.get(pid))!.send(data);
  await world.os.runUntilIdle();
}

async function decide(world: World, answer: PersonAnswer, actor = "ada"): Promise<string> {
  const [request] = world.os.approvals.list();
  const code = await codeOf(world.os.approvals.decide(request!.id, answer, { actor }));
  await world.os.runUntilIdle();
  return code;
}

/** Whether a write is asked about; if so it is refused. */
async function asks(world: World, pid: string, path: string): Promise<boolean> {
  await tell(world, pid, path);
  const isAsked = world.os.approvals.list().length > 0;
  if (isAsked) await decide(world, { outcome: "deny" });
  return isAsked;
}

/** A root and its children: p_1.1 and p_1.2 of one image, p_1.3 of another. */
async function family(world: World): Promise<void> {
  const twin = imageOf(ON_DEMAND, { name: "twin" });
  const other = imageOf(ON_DEMAND, { name: "other" });
  const root = imageOf(ON_DEMAND, { name: "root" });
  await world.start(root, {
    goal: "start twin@1 twin@1 other@1",
    images: [twin, other],
    grants: [ask("file.*", "./d/**"), allow("process.*", "**")],
  });
}

Deno.test("An approval for an image reaches its processes, those to come too, and no others", () =>
  inWorld(async (world) => {
    await family(world);
    await tell(world, "p_1.1", "d/a");
    const answer = { outcome: "approve", scope: "image", resource: "./d/*" } as const;
    assert.equal(await decide(world, answer), "ok");
    await tell(world, "p_1", "spawn twin@1");
    for (const pid of ["p_1.1", "p_1.2", "p_1.4"]) assert.ok(!await asks(world, pid, "d/b"), pid);
    for (const pid of ["p_1", "p_1.3"]) assert.ok(await asks(world, pid, "d/b"), pid);
    assert.ok(await asks(world, "p_1.1", "d/e/f"), "wider than the pattern");
    await tell(world, "p_1.1", "stop");
    assert.ok(!await asks(world, "p_1.2", "d/c"), "it outlives who asked");
    await world.pass(8 * 3_600_000);
    assert.ok(await asks(world, "p_1.2", "d/c"), "and ends by itself");
    await (await world.os.get("p_1"))!.signal("kill");
  }));

Deno.test("An approval for an image opens nothing to a process that becomes another", () =>
  inWorld(async (world) => {
    const turned = imageOf(({ sys }) => codeOf(sys.file.write({ path: "d/b", text: "" })), {
      name: "turned",
    });
    const image = imageOf(async ({ sys }) => {
      await sys.file.write({ path: "d/a", text: "" });
      await sys.process.exec({ image: "turned" });
    });
    const process = await world.start(image, {
      images: [turned],
      grants: [ask("file.write", "./d/**"), allow("process.*", "**")],
    });
    await decide(world, { outcome: "approve", scope: "image", resource: "./d/*" });
    assert.equal(world.os.approvals.list().length, 1);
    await decide(world, { outcome: "deny" });
    assert.equal((await world.ended(process)).result, "EACCES");
  }));

const POLICY = `ask file.write(./d/**)
deny file.write(./d/secret/**) because it is one
ask file.remove(**) people 2 risk destructive
`;

/** A root that holds everything outright, under the policy above. */
async function ruled(world: World): Promise<void> {
  await world.start(imageOf(ON_DEMAND), { grants: [allow("file.*", "./**")] });
}

Deno.test("An approval for the policy puts the narrowest rule in, and the like is asked no more", () =>
  inWorld(async (world) => {
    await ruled(world);
    await tell(world, "p_1", "d/a.md");
    assert.deepEqual(world.os.approvals.list()[0]!.scopes.at(-1), "policy");
    assert.equal(await decide(world, { outcome: "approve", scope: "policy" }), "ok");
    const { text } = (await world.tree()).state.policy;
    const line = "allow file.write(./d/a.md) unasked because ada approved req_1.1\n";
    assert.equal(text, `${POLICY}${line}`);
    assert.ok(!await asks(world, "p_1", "d/a.md"));
    assert.ok(await asks(world, "p_1", "d/b.md"));
    await tell(world, "p_1", "d/b.md");
    assert.equal(
      await decide(world, { outcome: "approve", scope: "policy", resource: "./d/*.md" }),
      "ok",
    );
    assert.ok(!await asks(world, "p_1", "d/c.md"));
    assert.ok(await asks(world, "p_1", "d/c.txt"));
    await (await world.os.get("p_1"))!.signal("kill");
  }, { policy: POLICY }));

Deno.test("A rule that an answer made ends when it was said to, and so do all others", () =>
  inWorld(async (world) => {
    await ruled(world);
    await world.pass(3_600_000);
    await tell(world, "p_1", "d/a");
    await decide(world, { outcome: "approve", scope: "policy", forMs: 3_600_000 });
    assert.ok(!await asks(world, "p_1", "d/a"));
    await world.pass(3_000_000);
    // Another one does not make it live longer.
    await tell(world, "p_1", "d/b");
    await decide(world, { outcome: "approve", scope: "policy" });
    await world.pass(600_000);
    assert.ok(await asks(world, "p_1", "d/a"));
    assert.ok(!await asks(world, "p_1", "d/b"));
    await tell(world, "p_1", "d/a");
    assert.equal(await decide(world, { outcome: "approve", scope: "policy" }), "ok");
    assert.ok(!await asks(world, "p_1", "d/a"), "given anew, it takes its own place");
    await (await world.os.get("p_1"))!.signal("kill");
  }, { policy: POLICY }));

Deno.test("Deny beats a rule that an answer made, and an answer against a deny is refused", () =>
  inWorld(async (world) => {
    await ruled(world);
    await tell(world, "p_1", "d/a");
    const wide = { outcome: "approve", scope: "policy", resource: "./d/**" } as const;
    assert.equal(await decide(world, wide), "ok");
    await tell(world, "p_1", "d/secret/a");
    await tell(world, "p_1", "stop");
    const { result } = await world.ended((await world.os.get("p_1"))!);
    assert.deepEqual(result, ["ok", "EACCES"]);
  }, { policy: POLICY }));

Deno.test("What a deny covers by now cannot be put into the policy: EPERM, naming the rule", () =>
  inWorld(async (world) => {
    await ruled(world);
    await tell(world, "p_1", "d/a");
    const text = "ask file.write(./d/**)\ndeny file.write(./d/a)\n";
    await world.os.order("t_1", { kind: "policy", text, by: "ada" });
    const [request] = world.os.approvals.list();
    const refused = await errorOf(
      world.os.approvals.decide(request!.id, { outcome: "approve", scope: "policy" }),
    );
    assert.equal(refused?.code, "EPERM");
    assert.match(refused.message, /rule "deny file\.write\(\.\/d\/a\)"/);
    assert.equal((await world.tree()).state.policy.text, text);
    await decide(world, { outcome: "deny" });
    await (await world.os.get("p_1"))!.signal("kill");
  }, { policy: POLICY }));

Deno.test("A rule of a process, or a right that was asked for, is none of the policy's", () =>
  inWorld(async (world) => {
    await world.start(
      imageOf(async ({ sys }) => {
        await codeOf(sys.file.write({ path: "d/a", text: "" }));
        await codeOf(sys.capability.request({ rule: "file.read(./x)", reason: "-" }));
      }),
      { grants: [ask("file.write", "./d/**")], ceiling: [allow("file.read", "./x")] },
    );
    for (let i = 0; i < 2; i++) {
      assert.ok(!world.os.approvals.list()[0]!.scopes.includes("policy"));
      assert.equal(await decide(world, { outcome: "approve", scope: "policy" }), "EINVAL");
      await decide(world, { outcome: "deny" });
    }
  }));

Deno.test("An unasked rule of a child's own rules answers no rule of the policy", () =>
  inWorld(async (world) => {
    const child = imageOf(({ sys }) => codeOf(sys.file.write({ path: "d/a", text: "" })), {
      name: "child",
    });
    await world.start(
      imageOf(async ({ sys }) => {
        const rules = "allow file.write(./d/**) unasked";
        const { pid } = await sys.process.spawn({
          image: "child",
          goal: "-",
          rules,
          grants: ["file.write(./d/**)"],
        });
        await sys.process.wait({ pids: [pid] });
      }),
      { images: [child], grants: [allow("file.*", "./**"), allow("process.*", "**")] },
    );
    assert.equal(world.os.approvals.list().length, 1);
    await decide(world, { outcome: "deny" });
  }, { policy: POLICY }));

Deno.test("What takes two people is pending until another one says the same", () =>
  inWorld(async (world) => {
    await ruled(world);
    world.files!.put("d/a", "");
    await tell(world, "p_1", "-d/a");
    const [request] = world.os.approvals.list();
    assert.deepEqual(request!.people, { needed: 2, agreed: [] });
    assert.equal(request!.risk, "destructive");
    assert.equal(await decide(world, { outcome: "approve" }, "ada"), "ok");
    assert.equal(world.files!.contents.size, 1);
    assert.deepEqual(world.os.approvals.list()[0]!.people, { needed: 2, agreed: ["ada"] });
    assert.equal(await decide(world, { outcome: "approve" }, "ada"), "ESTATE");
    const edit = { outcome: "edit", args: { path: "d/b" } } as const;
    assert.equal(await decide(world, edit, "bob"), "ok");
    assert.deepEqual(
      world.os.approvals.list()[0]!.people.agreed,
      ["bob"],
      "another answer is a first",
    );
    assert.equal(await decide(world, edit, "bob"), "ESTATE");
    assert.equal(await decide(world, { outcome: "approve" }, "ada"), "ok");
    assert.equal(await decide(world, { outcome: "approve", note: "fine" }, "eve"), "ok");
    assert.equal(world.files!.contents.size, 0);
    assert.equal((await world.events("human.seconded")).length, 3);
    const [answered] = await world.events("human.answered");
    assert.equal(answered!["by"], "eve");
    await (await world.os.get("p_1"))!.signal("kill");
  }, { policy: POLICY }));

Deno.test("A no needs one person, also when another has agreed", () =>
  inWorld(async (world) => {
    await ruled(world);
    await tell(world, "p_1", "-d/a");
    assert.equal(await decide(world, { outcome: "approve" }, "ada"), "ok");
    assert.equal(await decide(world, { outcome: "deny" }, "ada"), "ok");
    assert.equal(world.os.approvals.list().length, 0);
    await tell(world, "p_1", "stop");
    const { result } = await world.ended((await world.os.get("p_1"))!);
    assert.deepEqual(result, ["EACCES"]);
  }, { policy: POLICY }));

Deno.test("An edit into what takes two people takes two", () =>
  inWorld(async (world) => {
    await world.start(
      imageOf(({ sys }) => codeOf(sys.file.write({ path: "d/a", text: "" }))),
      { grants: [allow("file.*", "./**")] },
    );
    const edit = { outcome: "edit", args: { path: "prod/a", text: "" } } as const;
    assert.equal(await decide(world, edit, "ada"), "ok");
    assert.equal(world.files!.contents.size, 0);
    assert.equal(await decide(world, edit, "bob"), "ok");
    assert.ok(world.files!.contents.has("prod/a"));
  }, { policy: "ask file.write(./d/**)\nask file.write(./prod/**) people 2" }));

Deno.test("destructiveApprovers: 2 asks two for what destroys, whatever rules say", () =>
  inWorld(async (world) => {
    await world.start(
      imageOf(async ({ sys }) => [
        await codeOf(sys.file.write({ path: "d/a", text: "" })),
        await codeOf(sys.file.remove({ path: "d/a" })),
      ]),
      { grants: [ask("file.*", "./**")] },
    );
    assert.equal(world.os.approvals.list()[0]!.people.needed, 1);
    await decide(world, { outcome: "approve" }, "ada");
    assert.equal(world.os.approvals.list()[0]!.people.needed, 2);
    await decide(world, { outcome: "approve" }, "ada");
    assert.ok(world.files!.contents.has("d/a"));
    await decide(world, { outcome: "approve" }, "bob");
    assert.ok(!world.files!.contents.has("d/a"));
  }, { destructiveApprovers: 2 }));

Deno.test("Who started a tree approves nothing of it where answers are strict, and may say no", () =>
  inWorld(async (world) => {
    const image = imageOf(async ({ sys }) => [
      await codeOf(sys.file.write({ path: "d/a", text: "" })),
      (await sys.human.ask({ prompt: "Which?" })).answer,
    ]);
    const grants = [ask("file.write", "./d/**"), allow("human.ask", "**")];
    const process = await world.start(image, { grants, by: "ada" });
    assert.equal((await world.tree()).state.owner, "ada");
    const strictly = async (answer: PersonAnswer, actor: string): Promise<string> => {
      const [request] = world.os.approvals.list();
      const by = { actor, strict: true };
      const code = await codeOf(world.os.approvals.decide(request!.id, answer, by));
      await world.os.runUntilIdle();
      return code;
    };
    for (const scope of ["once", "process", "image"] as const) {
      assert.equal(await strictly({ outcome: "approve", scope }, "ada"), "EPERM");
    }
    assert.equal(
      await strictly({ outcome: "edit", args: { path: "d/b", text: "" } }, "ada"),
      "EPERM",
    );
    assert.equal(await strictly({ outcome: "deny" }, "ada"), "ok");
    assert.equal(await strictly({ outcome: "answer", value: "this" }, "ada"), "ok");
    assert.deepEqual((await world.ended(process)).result, ["EACCES", "this"]);
  }));

Deno.test("Policies write and read people and unasked, and refuse them where they mean nothing", () => {
  const context = { rights: RIGHTS };
  const text = "ask file.remove(./**) risk high people 2 because two see more\n" +
    "allow file.write(./a) unasked expires 1h\n";
  assert.equal(formatPolicy(parsePolicy(text, context)), text);
  for (
    const wrong of [
      "allow file.write(./a) people 2",
      "deny file.write(./a) unasked",
      "ask file.write(./a) unasked",
      "ask file.write(./a) people 3",
      "ask file.write(./a) people",
    ]
  ) assert.throws(() => parsePolicy(wrong, context), { code: "EINVAL" }, wrong);
});

Deno.test("A rule made for good stands in the policy's file too; one that ends does not", async () => {
  const folder = await Deno.makeTempDir();
  const policyFile = `${folder}/libos.policy`;
  await Deno.writeTextFile(policyFile, "ask file.write(./d/**)");
  try {
    const os = await createRuntime({
      store: ":memory:",
      workspace: folder,
      approvals: "queue",
      autorun: false,
      policyFile,
    });
    const image = imageOf(async ({ sys }) => {
      for (const path of ["d/a", "d/b"]) await codeOf(sys.file.write({ path, text: "" }));
    });
    await os.spawn(image, { goal: "-", grants: [allow("file.write", "./d/**")] });
    for (const forMs of [undefined, 60_000]) {
      await os.runUntilIdle();
      const [request] = os.approvals.list();
      const said = { outcome: "approve", scope: "policy" } as const;
      await os.approvals.decide(request!.id, forMs === undefined ? said : { ...said, forMs });
    }
    await os.runUntilIdle();
    await os.close();
    const text = await Deno.readTextFile(policyFile);
    assert.equal(
      text,
      "ask file.write(./d/**)\nallow file.write(./d/a) unasked because operator approved req_1.1\n",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A deny among the rules of a process refuses an answer for the policy as well", () =>
  inWorld(async (world) => {
    const grants = [allow("file.*", "./**"), deny("file.write", "./d/x/**")];
    await world.start(imageOf(ON_DEMAND), { grants });
    await tell(world, "p_1", "d/a");
    const wide = { outcome: "approve", scope: "policy", resource: "./d/x/**" } as const;
    assert.equal(await decide(world, wide), "EINVAL");
    await decide(world, { outcome: "deny" });
    await (await world.os.get("p_1"))!.signal("kill");
  }, { policy: POLICY }));
