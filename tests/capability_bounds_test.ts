/**
 * Bounds of capabilities as they are given: how many bytes a call may move, and how often a right
 * may be handed on.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld } from "./world_fixture.ts";

const GRANTS = ["process.fork(self)"];

Deno.test("A bound on bytes counts what is moved, and opens nothing that does not say how much", () =>
  inWorld(async (world) => {
    world.files!.put("d/four", "four");
    const said = await world.result(async ({ sys }) => {
      const write = (text: string, encoding: "base64" | "utf8" = "utf8") =>
        codeOf(sys.file.write({ path: "d/a", text, encoding }));
      await sys.object.create({ name: "o", type: "text", value: "an object" });
      return [
        await write("1234"),
        await write("12345"),
        await write("ééé"),
        await write("😀"),
        await write("AAAA", "base64"),
        await write("AAAAAAAA", "base64"),
        await codeOf(sys.file.read({ path: "d/four", bytesMax: 4 })),
        await codeOf(sys.file.read({ path: "d/four" })),
        await codeOf(sys.object.export({ object: "o", path: "d/b" })),
        await codeOf(sys.object.import({ path: "d/four", name: "p" })),
        await codeOf(sys.file.move({ from: "d/four", to: "d/c" })),
      ];
    }, { grants: [allow("file.*", "./d/**", { bytes: 4 })] });
    assert.deepEqual(said, [
      ...["ok", "EPERM", "EPERM", "ok", "ok", "EPERM"],
      ...["ok", "EPERM", "EPERM", "EPERM", "EPERM"],
    ]);
  }));

/** Tries to hand on what it has, and to write. */
const hand: Body = async ({ sys, goal, pid }) => {
  const codes: string[] = [];
  if (goal === "child") await sys.message.receive({});
  const { pid: below } = await sys.process.fork({
    goal: "child",
    mode: "restricted",
    grants: GRANTS,
  });
  const rule = "file.write(./d/**)";
  const error = await errorOf(
    sys.capability.delegate({ to: below, rule, delegable: true, depth: 9, bytes: 9 }),
  );
  codes.push(`${pid} ${error?.code ?? "ok"}`);
  if (error !== undefined) {
    await sys.process.signal({ pid: below, signal: "kill" });
    return codes;
  }
  await sys.message.send({ to: below, data: "go" });
  const { ended } = await sys.process.wait({ pids: [below] });
  return [...codes, ...(ended!.outcome as unknown as { result: string[] }).result];
};

Deno.test("A right is handed on as many times as it says, whatever who hands it on asks for", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(hand), {
      grants: [allow("process.fork", "self"), allow("file.write", "./d/**", { depth: 1 })],
    });
    await world.untilDone();
    const { result } = await world.ended(process);
    assert.deepEqual(result, ["p_1 ok", "p_1.1 EPERM"]);
  }));

Deno.test("What an operator gives has its bounds, and no bound that is none is taken", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.message.receive({});
        const { capabilities } = await sys.capability.list({});
        return capabilities.filter(({ via }) => via === "operator")
          .map((
            { rule, depthLeft, bytesMax },
          ) => [rule, depthLeft, bytesMax]) as unknown as string[];
      }),
      { ceiling: [allow("file.*", "./**")] },
    );
    await process.grant(allow("file.write", "./d/**", { depth: 2, bytes: 10 }));
    await process.send("go");
    await world.untilDone();
    assert.deepEqual((await world.ended(process)).result, [["file.write(./d/**)", 2, 10]]);
    for (const bad of [{ depth: -1 }, { depth: 17 }, { bytes: 0.5 }, { bytes: -1 }]) {
      assert.throws(() => allow("file.write", "./d/**", bad), /expected a whole number from 0/);
    }
  }));
