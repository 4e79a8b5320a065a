/**
 * Rules that nothing can be about, calls that need no right, and what explain says of both.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, deny } from "../mod.ts";
import { FORMS, FREE, POLICIES } from "../broker/forms.ts";
import { SYSCALLS } from "../broker/table.ts";
import { SysError } from "../kernel/errors.ts";
import { checkPolicy, parsePolicy } from "../kernel/policy.ts";
import { codeOf, errorOf, imageOf, inWorld, World } from "./world_fixture.ts";

const NEVER: readonly (readonly [rule: string, says: RegExp])[] = [
  ["ask clock.sleep", /no call needs the right "clock\.sleep"/],
  ["allow random.bytes", /no call needs/],
  ["deny process.exit(1)", /no call needs/],
  ["deny capability.request expires 8h", /no call needs/],
  ["ask clock.*", /no call needs the right "clock\.\*"/],
  ["ask object.import", /expected what it needs instead/],
  ["ask mcp.call(github/*)", /no call needs the right "mcp\.call"/],
  [
    "deny process.spawn(reader)",
    /nothing that "process\.spawn" is on looks like "reader", expected/,
  ],
  ["deny process.exec(reader)", /looks like "reader"/],
  ["deny process.fork(p_1)", /expected "self"/],
  ["deny process.signal(reader)", /expected "p_\*"/],
  ["ask message.send(bob)", /expected "p_\*"/],
  ["deny net.fetch(example.com)", /expected "https:\/\/\*\*"/],
  ["deny net.fetch(ftp://x/**)", /expected "https:\/\/\*\*"/],
  ["deny object.read(/p_1/x)", /looks like "\/p_1\/x"/],
  ["deny object.read(./x)", /looks like "\.\/x"/],
  ["sink process.spawn(reader) trust>=user", /looks like "reader"/],
];

const MAY: readonly string[] = [
  "deny clock.sleep",
  "deny process.*",
  "ask *",
  "deny object.import",
  "deny mcp.call",
  "ask mcp.*(docs/**)",
  "ask mcp.github.create_issue",
  "deny process.spawn(reader@*)",
  "deny process.spawn(lab/reader@1.2)",
  "deny process.spawn(*)",
  "deny process.signal(p_1.2)",
  "ask process.*(p_1)",
  "deny net.fetch(https://x.test/**)",
  "deny net.fetch(GET *://x.test/a)",
  "deny net.fetch(POST https://**)",
  "deny object.read(p_7/notes/**)",
  "deny object.read(shared/**)",
  "ask object.*(**/draft)",
  "deny human.ask(nobody)",
  "deny file.read(**/*.env)",
];

Deno.test("A policy that is given has no rule that no call could ever be judged by", () => {
  for (const [text, says] of NEVER) {
    assert.throws(() => checkPolicy(text, POLICIES), (error) => {
      assert(error instanceof SysError && error.code === "EINVAL");
      assert.match(error.message, /line 1: ".*" can never match, since/);
      assert.match(error.message, says);
      return true;
    }, text);
    // A tree that was given it before goes on.
    assert.equal(parsePolicy(text, POLICIES).text, text);
  }
  for (const text of MAY) assert.equal(checkPolicy(text, POLICIES).text, text);
});

Deno.test("Whatever gives rules refuses those that could never match", () => {
  assert.throws(() => new World({ policy: "deny process.spawn(reader)" }), /can never match/);
  return inWorld(async (world) => {
    const image = imageOf(async ({ sys }) => [
      await codeOf(sys.process.fork({ rules: "ask clock.sleep" })),
      await codeOf(sys.process.fork({ rules: "deny clock.sleep" })),
    ]);
    for (const rule of [ask("clock.sleep"), ask("process.spawn", "x"), deny("process.fork", "x")]) {
      const error = await errorOf(world.os.spawn(image, { goal: "-", grants: [rule] }));
      assert.equal(error?.code, "EINVAL");
      assert.match(error.message, /^Cannot use rule/);
    }
    const process = await world.start(image, { grants: [allow("process.fork")] });
    const loaded = await errorOf(world.os.order("t_1", {
      kind: "policy",
      text: "ask net.fetch(x.test)",
      by: "operator",
    }));
    assert.equal(loaded?.code, "EINVAL");
    assert.deepEqual((await world.ended(process)).result, ["EINVAL", "ok"]);
  });
});

Deno.test("The forms of resources speak of calls there are, and each call has a right or needs none", async () => {
  for (const name of Object.keys(FORMS)) {
    assert(Object.hasOwn(SYSCALLS, name) || name === "message.interrupt", name);
  }
  let source = "";
  for (const { name } of Deno.readDirSync(new URL("../broker/calls", import.meta.url))) {
    source += await Deno.readTextFile(new URL(`../broker/calls/${name}`, import.meta.url));
  }
  for (const name of Object.keys(SYSCALLS)) {
    const said = source.split(`"${name}"`).length - 1;
    const isNeeded = FORMS[name]?.length !== 0;
    // Each is named once where it is declared.
    if (isNeeded) assert(said > 1, `"${name}" is needed by no call and has a form`);
    if (FREE.has(name)) assert.deepEqual(FORMS[name], []);
  }
});

Deno.test("A bare deny of a call's name refuses it, whatever it needs", () =>
  inWorld(async (world) => {
    world.files!.put("a", "text");
    const said = await world.result(async ({ sys, goal, pid }) => {
      if (goal === "child") return null;
      const child = await sys.process.fork({ goal: "child" });
      const first = await errorOf(sys.object.import({ path: "a", name: "a" }));
      return [
        first?.message,
        await codeOf(sys.file.read({ path: "a" })),
        await codeOf(sys.message.send({ to: child.pid, data: 1 })),
        await codeOf(sys.process.signal({ pid: child.pid, signal: "kill" })),
        await codeOf(sys.process.inspect({ pid })),
      ];
    }, { grants: [allow("*")] });
    assert.deepEqual(said, [
      'Cannot call "object.import": rule "deny object.import(**)" refuses object.import(**) ' +
      "because files stay files",
      "ok",
      "EACCES",
      "EACCES",
      "ok",
    ]);
  }, {
    policy: "deny object.import because files stay files\ndeny message.send\ndeny process.signal",
  }));

Deno.test("explain says of what needs no right that it is allowed, as it is", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys, goal, pid }) => {
      const may = async (rule: string) => (await sys.capability.explain({ rule })).decision;
      if (goal === "child") {
        return [await may("message.send(p_1)"), await may("process.signal(p_1)")];
      }
      const child = await sys.process.fork({ goal: "child" });
      const { ended } = await sys.process.wait({ pids: [child.pid] });
      return [
        await may("clock.now"),
        await may("process.exit(x)"),
        await may(`process.inspect(${child.pid})`),
        await may(`process.inspect(${pid})`),
        await may("process.inspect(p_2)"),
        await may(`process.signal(${child.pid})`),
        (ended!.outcome as unknown as { result: unknown }).result,
      ];
    }, { grants: [allow("process.fork")] });
    assert.deepEqual(said, ["allow", "allow", "allow", "allow", "none", "none", ["allow", "none"]]);
  }, { policy: "deny process.signal" }));

Deno.test("explain knows what a person has granted where a rule says ask", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        const before = await sys.capability.explain({ rule: "file.write(./d/a)" });
        await sys.file.write({ path: "d/a", text: "" });
        const after = await sys.capability.explain({ rule: "file.write(./d/b)" });
        const beside = await sys.capability.explain({ rule: "file.write(./e)" });
        return [before.decision, after.decision, after["rule"], beside.decision];
      }),
      { grants: [ask("file.write", "./**")] },
    );
    const [request] = world.os.approvals.list();
    await world.os.approvals.decide(request!.id, {
      outcome: "approve",
      scope: "process",
      resource: "./d/**",
    });
    await world.os.runUntilIdle();
    const { result } = await world.ended(process);
    assert.deepEqual(result, ["ask", "allow", "ask file.write(./**)", "ask"]);
  }));
