/**
 * Checks of programs as calls: what becomes of them when their process waits, dies or comes again.
 * The program itself stands in here; real ones are run in `program_test.ts`.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type Reply } from "../mod.ts";
import type { Check, ProgramHearing, Programs } from "../kernel/program.ts";
import { type Body, imageOf, World } from "./world_fixture.ts";

const FILES = ["file.read", "file.write", "file.mkdir", "file.move", "file.remove"];
const GRANTS = [allow("program.run", "./**"), ...FILES.map((right) => allow(right, "./**"))];
const ASKING = [...GRANTS, ask("file.remove", "./out/**")];
const RUN: Body = async ({ sys }) => {
  const { stdout, pending } = await sys.program.run({ path: "main.ts" });
  return { stdout, pending };
};

/** A program that does what `script` says, and is asked about each of its checks. */
function programOf(script: (hearing: ProgramHearing) => Promise<string>): Programs {
  return {
    run: async (_start, hearing) => ({
      code: 0,
      exceeded: null,
      stdout: await script(hearing),
      stderr: "",
      bytesCut: 0,
    }),
  };
}

function reads(value: string): Check {
  return { permission: "read", value };
}

const NEVER = new Promise<never>(() => {});

Deno.test("A program that a person says to run again asks anew, in whatever order", async () => {
  const begun = Promise.withResolvers<void>();
  const first = new World({
    runs: programOf(async ({ judge }) => {
      assert.equal(await judge(reads("./a")), null);
      // A request is durable before the program hears of it, and with it all that came before.
      assert.match(await judge({ permission: "write", value: "./out/x" }) ?? "", /is pending/);
      begun.resolve();
      return await NEVER;
    }),
  });
  const image = imageOf(RUN);
  await first.os.spawn(image, { goal: "test", grants: ASKING });
  void first.os.runUntilIdle();
  await begun.promise;
  // The first kernel is dead from here on.
  const { store, clock, files } = first;
  const world = new World({
    store,
    clock,
    files,
    seed: 2,
    images: [image],
    runs: programOf(async ({ judge }) => {
      return JSON.stringify([await judge(reads("./b")), await judge(reads("./a"))]);
    }),
  });
  const [process] = await world.os.ps();
  await world.os.runUntilIdle();
  const request = world.os.approvals.list().find(({ kind }) => kind === "doubt");
  await world.os.approvals.decide(request!.id, { outcome: "answer", value: "retry" });
  await world.os.runUntilIdle();
  const { result } = await (await world.os.get(process!.pid))!.wait();
  assert.deepEqual(result, { stdout: "[null,null]", pending: [] });
  const checks = (await world.events("call.done")).filter(({ name }) => name === "program.check");
  const seen = checks.map(({ args }) => (args as { readonly value: string }).value);
  assert.deepEqual(seen, ["./main.ts", "./a", "./out/x", "./main.ts", "./b", "./a"]);
  await world.close();
});

Deno.test("A program whose process begins to wait is refused what it asks from then on", async () => {
  const [begun, waits] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const world = new World({
    runs: programOf(async ({ judge }) => {
      begun.resolve();
      await waits.promise;
      return String(await judge(reads("./a")));
    }),
  });
  const body: Body = async ({ sys }) => {
    const [run] = await Promise.all([
      sys.program.run({ path: "main.ts" }),
      begun.promise.then(() => sys.human.ask({ prompt: "well?" })),
    ]);
    return run.stdout;
  };
  const grants = [...GRANTS, allow("human.ask", "owner")];
  const process = await world.os.spawn(imageOf(body), { goal: "test", grants });
  const idle = world.os.runUntilIdle();
  // As many turns of the loop as it takes to ask.
  while (world.os.approvals.list().length === 0) await new Promise((next) => setTimeout(next));
  waits.resolve();
  await idle;
  const [request] = world.os.approvals.list();
  await world.os.approvals.decide(request!.id, { outcome: "answer", value: "yes" });
  await world.os.runUntilIdle();
  assert.match(String((await process.wait()).result), /the process of this program waits/);
  await world.close();
});

Deno.test("Each check of a program is a line of the log, refused ones with what was missing", async () => {
  const asked: readonly Check[] = [
    reads("./a"),
    { permission: "write", value: "./out/x" },
    { permission: "run", value: null },
    { permission: "net", value: "127.0.0.1:1" },
    { permission: "env", value: "HOME" },
  ];
  const world = new World({
    runs: programOf(async ({ judge }) => {
      const said = [];
      for (const check of asked) said.push(await judge(check));
      return JSON.stringify(said.map((reason) => reason === null));
    }),
  });
  const result = await world.result(RUN, { grants: ASKING }) as unknown as Reply<"program.run">;
  assert.equal(result.stdout, "[true,false,false,false,true]");
  assert.equal(result.pending.length, 1);
  const lines = (await world.events("call.done")).filter(({ name }) => name === "program.check");
  const effects = lines.map(({ decision }) => (decision as { readonly effect: string }).effect);
  assert.deepEqual(effects, ["allow", "allow", "ask", "deny", "deny"]);
  await world.close();
});

Deno.test("A program does not begin when its process waits already", async () => {
  const world = new World({ runs: programOf(() => Promise.resolve("it ran")) });
  const body: Body = async ({ sys }) => {
    const [run] = await Promise.all([
      sys.program.run({ path: "main.ts" }).catch((error: Error) => error.message),
      sys.human.ask({ prompt: "well?" }),
    ]);
    return run;
  };
  const grants = [...GRANTS, allow("human.ask", "owner")];
  const process = await world.start(imageOf(body), { grants });
  const [request] = world.os.approvals.list();
  await world.os.approvals.decide(request!.id, { outcome: "answer", value: "yes" });
  await world.os.runUntilIdle();
  assert.match(String((await process.wait()).result), /the process of this program waits/);
  await world.close();
});

Deno.test("What a program could have read it carries from its start, also what it only imports", async () => {
  const world = new World({
    policy: "label file.read(./kept/**) sensitivity=secret trust=user\n" +
      "deny file.write(./out/**) when sensitivity>=secret because it is secret",
    runs: programOf(async ({ judge }) => {
      return String(await judge({ permission: "write", value: "./out/x" }));
    }),
  });
  const grants = [...GRANTS, allow("file.list", "./**"), allow("file.stat", "./**")];
  const { stdout } = await world.result(RUN, { grants }) as unknown as Reply<"program.run">;
  assert.match(stdout, /because it is secret/);
  await world.close();
});
