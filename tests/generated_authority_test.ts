/**
 * Generated tools have what they declared *and* what their process holds, and not a bit more (P1).
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, deny, type Json, type Rule } from "../mod.ts";
import { SYSCALLS } from "../broker/table.ts";
import { type FakeBody, type FakeOs, FakeWorkshop, install } from "./fake_sandbox.ts";
import {
  type Body,
  codeOf,
  CountedFiles,
  errorOf,
  imageOf,
  inWorld,
  type World,
} from "./world_fixture.ts";

const ANY = allow("tool.register", "**");
const FILES = [ANY, allow("file.*", "./**")];

/** What a tool is told, call by call: "ok" or the code. */
async function codes(os: FakeOs, ...calls: readonly (readonly [string, Json])[]): Promise<Json> {
  const said: string[] = [];
  for (const [name, args] of calls) said.push(await codeOf(os.call(name, args)));
  return said;
}

/** A workshop with one body, "tool". */
function shopOf(body: FakeBody): FakeWorkshop {
  return FakeWorkshop.of({ tool: body });
}

/** Registers the tool and gives what a call of it gives. */
function calling(rights: readonly string[]): Body {
  return async ({ sys }) => {
    await install(sys, "tool", { rights });
    return (await sys.tool.call({ name: "tool" })).output;
  };
}

interface Case {
  readonly claim: string;
  readonly declares: readonly string[];
  readonly call: readonly [string, Json];
  readonly code: string;
}

const own = (claim: string, declares: string[], call: [string, Json], code = "EPERM"): Case => ({
  claim,
  declares,
  call,
  code,
});

/** The process holds all that is asked for here, except where the last two say otherwise. */
const CASES: readonly Case[] = [
  own("what it declares", ["file.write(./a)"], ["file.write", { path: "a", text: "" }], "ok"),
  own("nothing", [], ["file.write", { path: "a", text: "" }]),
  own("another right", ["file.read(./a)"], ["file.write", { path: "a", text: "" }]),
  own("another file", ["file.write(./b)"], ["file.write", { path: "a", text: "" }]),
  own("a file that is a way round", ["file.write(./b)"], [
    "file.write",
    { path: "b/../a", text: "" },
  ]),
  own("one of two that a call needs", ["file.move(./a)"], ["file.move", { from: "a", to: "b" }]),
  own("its own memory, relative", ["object.create(x/**)"], [
    "object.create",
    { name: "x/y", value: 1 },
  ], "ok"),
  own("its own memory in full", ["object.create(p_1/x)"], [
    "object.create",
    { name: "x", value: 1 },
  ], "ok"),
  own("its own memory, named in full by the call", ["object.create(x)"], [
    "object.create",
    { name: "/p_1/x", value: 1 },
  ], "ok"),
  own("another part of its own memory", ["object.create(y/**)"], [
    "object.create",
    { name: "x", value: 1 },
  ]),
  own("to list a part, and lists all", ["object.list(x/**)"], ["object.list", {}]),
  own("to find in a part, and looks in all", ["object.find(x/**)"], [
    "object.find",
    { query: "x" },
  ]),
  own("no clock, which needs nothing", [], ["clock.now", {}], "ok"),
  own("no chance, which needs nothing", [], ["random.bytes", { length: 4 }], "ok"),
  own("nothing, and chdirs", [], ["process.chdir", { path: "sub" }]),
  own("to chdir", ["process.chdir"], ["process.chdir", { path: "sub" }], "ok"),
  own("nothing, and receives", [], ["message.receive", { timeoutMs: 0 }]),
  own("to receive", ["message.receive(**)"], ["message.receive", { timeoutMs: 0 }], "ok"),
  own("nothing, and lists capabilities", [], ["capability.list", {}]),
  own("nothing, and revokes", [], ["capability.revoke", { capability: "cap_1.1" }]),
  own("nothing, and asks for more", [], ["capability.request", {
    rule: "file.read(**)",
    reason: "x",
  }]),
  own("nothing, and lowers the budget", [], ["budget.limit", { pid: "p_1", limits: {} }]),
  own("nothing, and lists namespaces", [], ["namespace.list", {}]),
  own("nothing, and reads the budget", [], ["budget.inspect", {}]),
  own("nothing, and asks a person", [], ["human.ask", { prompt: "?" }]),
];

for (const { claim, declares, call, code } of CASES) {
  Deno.test(`A tool that declares ${claim} is told ${code}, though its process may do it`, () =>
    inWorld(async (world) => {
      const got = await world.result(calling(declares), {
        grants: [
          ...FILES,
          ...["message.*", "process.*", "capability.*", "budget.*", "human.*", "namespace.*"]
            .map((right) => allow(right, "**")),
          allow("object.*", "p_1/**"),
        ],
      });
      assert.equal(got, code);
    }, { workshop: shopOf((_, os) => codeOf(os.call(...call))) }));
}

Deno.test("A refusal names the tool, the right it lacks, and is a line of the log as a denial", () =>
  inWorld(async (world) => {
    const message = await world.result(calling(["file.read(./a)"]), { grants: FILES });
    assert.equal(
      message,
      'Cannot call "file.read": tool "tool" does not declare file.read(./b), ' +
        "expected a version that does",
    );
    const done = (await world.events("call.done")).find(({ name }) => name === "file.read")!;
    const needs = { needs: [], by: [], effect: "deny" };
    assert.deepEqual(done["decision"], needs);
    assert.equal((done["result"] as { code: string }).code, "EPERM");
  }, {
    workshop: shopOf(async (_, os) =>
      (await errorOf(os.call("file.read", { path: "b" })))!.message
    ),
  }));

Deno.test("What a tool declares gives nothing to a process that does not hold it", () =>
  inWorld(async (world) => {
    const got = await world.result(calling(["file.write(./a)"]), {
      grants: [ANY],
      ceiling: [allow("file.*", "./**"), ANY],
    });
    assert.equal(got, "EPERM");
  }, { workshop: shopOf((_, os) => codeOf(os.call("file.write", { path: "a", text: "" }))) }));

Deno.test("Trusted code is not narrowed by the tool it runs, before, beside or after", () =>
  inWorld(async (world) => {
    const got = await world.result(async ({ sys }) => {
      const write = (path: string) => codeOf(sys.file.write({ path, text: "" }));
      await install(sys, "tool");
      const before = await write("a");
      const [tool, beside] = await Promise.all([sys.tool.call({ name: "tool" }), write("b")]);
      return [before, tool.output, beside, await write("c")];
    }, { grants: FILES });
    assert.deepEqual(got, ["ok", "EPERM", "ok", "ok"]);
  }, { workshop: shopOf((_, os) => codeOf(os.call("file.write", { path: "a", text: "" }))) }));

Deno.test("Two tools at once have each its own rights", () =>
  inWorld(async (world) => {
    const got = await world.result(async ({ sys }) => {
      await install(sys, "left", { source: "tool", rights: ["file.write(./l)"] });
      await install(sys, "right", { source: "tool", rights: ["file.write(./r)"] });
      const both = ["left", "right"].map((name) => sys.tool.call({ name }));
      return (await Promise.all(both)).map(({ output }) => output);
    }, { grants: FILES });
    assert.deepEqual(got, [["ok", "EPERM"], ["EPERM", "ok"]]);
  }, {
    workshop: shopOf((_, os) =>
      codes(os, ["file.write", { path: "l", text: "" }], ["file.write", { path: "r", text: "" }])
    ),
  }));

const CLOSED = Object.entries(SYSCALLS).filter(([, { port }]) => port === "closed")
  .map(([name]) => name);
const CLOSED_ARGS: Readonly<Record<string, Json>> = {
  "budget.raise": { limits: {}, reason: "more" },
  "checkpoint.restore": { to: "draft", reason: "x" },
  "checkpoint.fork": { from: "draft" },
  "label.declassify": { object: "x", version: 1, name: "y", sensitivity: "public", reason: "x" },
  "mcp.call": { server: "s", tool: "t" },
  "mcp.import": { server: "s", uri: "x:y", name: "n" },
  "mcp.list": { server: "s" },
  "mcp.read": { server: "s", uri: "x:y" },
  "program.check": { program: "./p.ts", permission: "read", value: "./x" },
  "model.simulate": { model: "a/b", actions: [{ action: "x" }] },
  "process.detach": { image: "x", goal: "x" },
  "shell.run": { program: "true" },
  "skill.load": { skill: "a" },
  "skill.read": { skill: "a" },
  "skill.unload": { skill: "a" },
  "tool.call": { name: "tool" },
  "tool.propose": { name: "x", description: "x", inputSchema: { type: "object" }, source: "tool" },
  "tool.test": { tool: "0".repeat(64) },
  "tool.register": { tool: "0".repeat(64) },
  "tool.unregister": { name: "tool" },
};

Deno.test("All calls on tools, forks, going back, lowering labels and asking for more to spend are closed to tools", () => {
  assert.deepEqual(CLOSED.toSorted(), [
    "budget.raise",
    "checkpoint.fork",
    "checkpoint.restore",
    "label.declassify",
    "mcp.call",
    "mcp.import",
    "mcp.list",
    "mcp.read",
    "model.simulate",
    "process.detach",
    "process.fork",
    "program.check",
    "shell.run",
    "skill.list",
    "skill.load",
    "skill.read",
    "skill.unload",
    "tool.call",
    "tool.guide",
    "tool.list",
    "tool.propose",
    "tool.register",
    "tool.test",
    "tool.unregister",
  ]);
});

for (const name of CLOSED) {
  Deno.test(`${name} is closed to a tool that declares it and whose process holds it`, () =>
    inWorld(async (world) => {
      const got = await world.result(calling([`${name}(**)`]), {
        grants: [
          allow("tool.*", "**"),
          allow("process.*", "**"),
          allow("checkpoint.*", "**"),
          allow("label.*", "**"),
          allow("mcp.*", "**"),
          allow("shell.*", "**"),
          allow("program.*", "**"),
          allow("model.*", "**"),
          allow("skill.*", "**"),
        ],
      });
      assert.deepEqual(got, [
        "EPERM",
        `Cannot call "${name}" from tool "tool": closed to generated tools`,
      ]);
    }, {
      workshop: shopOf(async (_, os) => {
        const error = await errorOf(os.call(name, CLOSED_ARGS[name] ?? {}));
        return [error?.code ?? "ok", error?.message ?? ""];
      }),
    }));
}

/** Runs a tool whose second write waits until something was done to the process. */
async function midRun(
  world: World,
  files: CountedFiles,
  intervene: () => Promise<void>,
): Promise<Json> {
  let reached: () => void = () => {};
  let goOn: () => void = () => {};
  const isThere = new Promise<void>((resolve) => reached = resolve);
  const released = new Promise<void>((resolve) => goOn = resolve);
  files.before = async (what) => {
    if (what !== "write a") return;
    reached();
    await released;
  };
  const started = world.start(
    imageOf(async ({ sys }) => {
      await install(sys, "tool", { rights: ["file.write(./**)"] });
      const error = await errorOf(sys.tool.call({ name: "tool" }));
      return error === undefined ? "ok" : [error.code, error.message];
    }),
    { grants: FILES },
  );
  await isThere;
  await intervene();
  goOn();
  const process = await started;
  return (await world.ended(process)).result;
}

const STEPS = FakeWorkshop.of({
  tool: async (_, os) => {
    await os.call("file.write", { path: "a", text: "1" });
    await os.call("file.write", { path: "b", text: "2" });
    return null;
  },
}).bodies;

function steps(): FakeWorkshop {
  return Object.assign(new FakeWorkshop(), { bodies: STEPS });
}

Deno.test("Revoking a capability in the middle of a run refuses the next call, and does not undo the last", () => {
  const files = new CountedFiles();
  return inWorld(async (world) => {
    const got = await midRun(world, files, async () => {
      const { caps } = (await world.tree()).state;
      const { id } = Object.values(caps).find(({ right }) => right === "file.*")!;
      await (await world.os.get("p_1"))!.revoke(id);
    });
    assert.equal((got as string[])[0], "EPERM");
    assert.deepEqual([files.text("a"), files.text("b")], ["1", undefined]);
  }, { workshop: steps(), files });
});

Deno.test("A policy loaded in the middle of a run holds from the next call on", () => {
  const files = new CountedFiles();
  return inWorld(async (world) => {
    const got = await midRun(
      world,
      files,
      () => world.os.order("t_1", { kind: "policy", text: "deny file.write(./b)", by: "ops" }),
    );
    assert.equal((got as string[])[0], "EACCES");
    assert.deepEqual([files.text("a"), files.text("b")], ["1", undefined]);
  }, { workshop: steps(), files });
});

Deno.test("Revoking a tool in the middle of a run ends the run, and its caller is told", () => {
  const files = new CountedFiles();
  const workshop = steps();
  return inWorld(async (world) => {
    const got = await midRun(world, files, async () => {
      const [hash] = Object.keys((await world.tree()).state.tools);
      const order = { kind: "revoke-tool", hash: hash!, reason: "bad", by: "ops" } as const;
      await world.os.order("t_1", order);
    });
    assert.deepEqual(got, ["ECANCELED", 'Cannot finish tool "tool": it was taken back']);
    // What was sent comes home, and nothing is sent after it.
    assert.deepEqual([files.text("a"), files.text("b")], ["1", undefined]);
    assert.equal(workshop.running, 0);
  }, { workshop, files });
});

const TAKEN: readonly (readonly [string, Body])[] = [
  ["unregistered", ({ sys }) => sys.tool.unregister({ name: "tool" })],
  ["replaced", ({ sys }) => install(sys, "tool", { source: "other" })],
];

for (const [how, take] of TAKEN) {
  Deno.test(`A run of a tool that its own process ${how} ends with ECANCELED`, () =>
    inWorld(async (world) => {
      const got = await world.result(async (context) => {
        const { sys } = context;
        await install(sys, "tool");
        const running = codeOf(sys.tool.call({ name: "tool" }));
        await sys.clock.now();
        await take(context);
        return await running;
      }, { grants: [ANY] });
      assert.equal(got, "ECANCELED");
    }, {
      workshop: FakeWorkshop.of({
        tool: () => new Promise<Json>(() => {}),
        other: () => 2,
      }),
    }));
}

Deno.test("Unregistering one tool lets another run on", () =>
  inWorld(async (world) => {
    const got = await world.result(async ({ sys }) => {
      await install(sys, "tool", { rights: ["object.create(x)"] });
      await install(sys, "other", { source: "tool", rights: ["object.create(x)"] });
      const running = sys.tool.call({ name: "tool" });
      await sys.clock.now();
      await sys.tool.unregister({ name: "other" });
      return (await running).output;
    }, { grants: [ANY] });
    assert.equal(got, "ok");
  }, { workshop: shopOf((_, os) => codeOf(os.call("object.create", { name: "x", value: 1 }))) }));

const RULES: readonly (readonly [string, readonly Rule[], string | undefined, string])[] = [
  ["a deny of the policy", FILES, "deny file.write(./a)", "EACCES"],
  ["a deny among the grants", [...FILES, deny("file.write", "./a")], undefined, "EACCES"],
  ["an ask that a person denies", [ANY, ask("file.*", "./**")], undefined, "EACCES"],
];

for (const [claim, grants, policy, code] of RULES) {
  Deno.test(`Inside a tool ${claim} refuses with ${code}`, () =>
    inWorld(async (world) => {
      const process = await world.start(imageOf(calling(["file.write(./**)"])), { grants });
      for (const { id } of world.os.approvals.list()) {
        await world.os.approvals.decide(id, { outcome: "deny" });
      }
      await world.os.runUntilIdle();
      assert.equal((await world.ended(process)).result, code);
    }, {
      workshop: shopOf((_, os) => codeOf(os.call("file.write", { path: "a", text: "" }))),
      ...(policy === undefined ? {} : { policy }),
    }));
}
