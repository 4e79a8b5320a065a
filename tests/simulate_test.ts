/**
 * Simulators: asking what an action would do, without doing it.
 * @module
 */

import assert from "node:assert/strict";
import { allow, modelSimulator, type SimulationRequest, type Simulator, SysError } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import type { Json } from "../kernel/json.ts";
import { PNG } from "./media_samples.ts";
import { codeOf, CountedFiles, inWorld } from "./world_fixture.ts";

const GRANTS = [allow("model.simulate", "test/*"), allow("file.read", "./**")];

/** A world in which every door is locked. */
class Doors implements Simulator {
  readonly id = "test/doors";
  readonly takes: readonly string[] = ["image/*"];
  readonly asked: SimulationRequest[] = [];

  simulate(request: SimulationRequest): ReturnType<Simulator["simulate"]> {
    this.asked.push(request);
    const outcome = `${request.actions.map(({ action }) => action).join(", ")}: the door is locked`;
    return Promise.resolve({ outcome, value: { open: false }, likelihood: 0.9, inputTokens: 7 });
  }
}

const push = { model: "test/doors", actions: [{ action: "push", args: { door: 1 } }] };

Deno.test("An agent asks what an action would do, and nothing is done", () => {
  const doors = new Doors();
  const files = new CountedFiles();
  files.contents.set("room.png", PNG);
  return inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      await sys.object.import({ path: "room.png", name: "room" });
      const first = await sys.model.simulate({ ...push, state: "A room", objects: ["room"] });
      const { spent } = await sys.budget.inspect({});
      return [first, (spent as { tokens: number }).tokens] as unknown as Json;
    }, { grants: GRANTS });
    assert.deepEqual(said, [{
      outcome: "push: the door is locked",
      value: { open: false },
      likelihood: 0.9,
      simulated: true,
    }, 7]);
    const [{ state, actions }] = doors.asked as [SimulationRequest];
    assert.deepEqual(actions, push.actions);
    const parts = state.role === "user" ? state.parts : undefined;
    assert.equal(parts?.[0]?.media?.width, 1);
    assert.deepEqual(files.done, ["read room.png"]);
  }, { simulators: [doors], files });
});

Deno.test("Simulating needs its own right, opens no other, and is refused where nobody simulates", () => {
  const doors = new Doors();
  return inWorld(async (world) => {
    const body = (model: string) => ({ ...push, model });
    const codes = await world.result(async ({ sys }) => [
      await codeOf(sys.model.simulate(body("other/doors"))),
      await codeOf(sys.model.simulate(body("test/none"))),
      await codeOf(sys.model.simulate(push)),
      await codeOf(sys.model.generate({ model: "test/doors", messages: [] })),
      await codeOf(sys.model.simulate({ ...push, objects: ["/p_9/secret"] })),
    ], { grants: GRANTS });
    assert.deepEqual(codes, ["EPERM", "ENOSYS", "ok", "EPERM", "EPERM"]);
    assert.equal(doors.asked.length, 1);
  }, { simulators: [doors] });
});

Deno.test("A simulator that fails, or answers nonsense, is refused by its code", () => {
  let answer: unknown = null;
  const odd: Simulator = {
    id: "test/doors",
    simulate: () =>
      answer === null
        ? Promise.reject(new SysError("EAGAIN", "Cannot simulate: busy"))
        : Promise.resolve(answer as never),
  };
  return inWorld(async (world) => {
    const codes = await world.result(async ({ sys }) => {
      const said = [await codeOf(sys.model.simulate(push))];
      for (answer of [{}, { outcome: 7 }, { outcome: "x", value: () => 1 }]) {
        said.push(await codeOf(sys.model.simulate(push)));
      }
      answer = { outcome: "ok", likelihood: 7 };
      const last = await sys.model.simulate(push);
      return [...said, Object.hasOwn(last, "likelihood") ? "claims" : "silent"];
    }, { grants: GRANTS });
    assert.deepEqual((codes as string[]).slice(0, 3), ["EAGAIN", "EIO", "EIO"]);
    assert.notEqual((codes as string[])[3], "ok");
    assert.equal((codes as string[])[4], "silent");
  }, { simulators: [odd] });
});

Deno.test("modelSimulator() takes words for an outcome where a model answers no JSON", async () => {
  const state = { role: "user" as const, text: "A cup" };
  const request = { state, actions: [{ action: "push" }], idempotencyKey: "1" };
  const { signal } = new AbortController();
  const rows = [
    ["It falls", { outcome: "It falls" }],
    ['Well: {"outcome":"It falls","value":[1]} so', { outcome: "It falls", value: [1] }],
    ['{"outcome": 7}', { outcome: '{"outcome": 7}' }],
    ["{broken", { outcome: "{broken" }],
  ] as const;
  for (const [text, expected] of rows) {
    const made = await modelSimulator(scriptedModel([text])).simulate(request, { signal });
    const { inputTokens: _i, outputTokens: _o, ...said } = made;
    assert.deepEqual(said, expected);
  }
});
