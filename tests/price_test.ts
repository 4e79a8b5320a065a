/**
 * Prices: what a turn costs, what is held for it before it is sent, and models that stand in for
 * each other.
 * @module
 */

import assert from "node:assert/strict";
import { allow, fallbackModel, type Model, pricedModel, type Pricing, SysError } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { affordBeside, leftOf } from "../kernel/budget.ts";
import type { Pid } from "../kernel/ids.ts";
import type { Process, State } from "../kernel/state.ts";
import { checkPrices, priceIn, priceOf } from "../kernel/price.ts";
import type { Json } from "../kernel/json.ts";
import { codeOf, errorOf, inWorld } from "./world_fixture.ts";
import { refusal, request } from "./conversation_suite.ts";

const GRANTS = [allow("model.generate", "test/*"), allow("process.*")];
const PRICING: Pricing = { inputUsd: 0, outputUsd: 1_000 };
const { signal } = new AbortController();

/** A model at a thousandth of a dollar a token written, which waits for a word to answer. */
class Priced implements Model {
  readonly id = "test/priced";
  readonly pricing: Pricing = PRICING;
  /** The bounds that it was given. */
  readonly bounds: (number | undefined)[] = [];
  /** Runs while a turn is under way. */
  meanwhile: () => Promise<void> = () => Promise.resolve();
  readonly writes: number;
  constructor(writes = 10) {
    this.writes = writes;
  }

  async generate({ maxOutputTokens }: Parameters<Model["generate"]>[0]) {
    this.bounds.push(maxOutputTokens);
    await this.meanwhile();
    const outputTokens = this.writes;
    const usd = outputTokens / 1_000;
    return { text: "ok", calls: [], finish: "stop" as const, inputTokens: 0, outputTokens, usd };
  }
}

const turn = (more: Record<string, Json> = {}) => ({
  model: "test/priced",
  messages: [{ role: "user" as const, text: "Go" }],
  tools: false,
  ...more,
});

Deno.test("What a turn may cost at most is refused before it is sent, and says what is asked for", () => {
  const model = new Priced();
  return inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      const error = await errorOf(sys.model.generate(turn({ maxOutputTokens: 300 })));
      return [
        error!.code,
        error!.message,
        await codeOf(sys.model.generate(turn({ maxOutputTokens: 200 }))),
      ];
    }, { budget: { usd: 0.25 }, grants: GRANTS }) as string[];
    assert.deepEqual([said[0], said[2]], ["EBUDGET", "ok"]);
    assert.match(said[1]!, /0 of 0.25 used, 0.3 asked for/);
    assert.deepEqual(model.bounds, [200]);
  }, { models: [model] });
});

Deno.test("What is left of a hold is free again when the cost is known", () => {
  const model = new Priced();
  return inWorld(async (world) => {
    const spent = await world.result(async ({ sys }) => {
      for (let n = 0; n < 5; n++) await sys.model.generate(turn({ maxOutputTokens: 200 }));
      const { spent } = await sys.budget.inspect({});
      return (spent as { usd: number }).usd;
    }, { budget: { usd: 0.25 }, grants: GRANTS }) as number;
    assert.ok(Math.abs(spent - 0.05) < 1e-9);
  }, { models: [model] });
});

Deno.test("Turns at once do not spend the same money", () => {
  const model = new Priced(200);
  return inWorld(async (world) => {
    const codes = await world.result(
      ({ sys }) =>
        Promise.all(
          [1, 2, 3].map(() => codeOf(sys.model.generate(turn({ maxOutputTokens: 200 })))),
        ),
      { budget: { usd: 0.45 }, grants: GRANTS },
    ) as string[];
    assert.deepEqual(codes.toSorted(), ["EBUDGET", "ok", "ok"]);
  }, { models: [model] });
});

Deno.test("What is held for a process counts for all above it, and for none beside it", () => {
  const make = (pid: string, parent: string | null, usd: number) => (
    { pid, parent, limits: { usd }, spent: { usd: 0.1 } } as unknown as Process
  );
  const processes = {
    p_1: make("p_1", null, 1),
    "p_1.1": make("p_1.1", "p_1", 0.5),
    "p_1.2": make("p_1.2", "p_1", 0.5),
  };
  const state = { processes } as unknown as State;
  const held = [{ pid: "p_1.1" as Pid, usd: 0.4 }];
  const left = (pid: keyof typeof processes) => leftOf(state, processes[pid], held);
  assert.deepEqual([left("p_1"), left("p_1.1"), left("p_1.2")], [0.5, 0, 0.4]);
  affordBeside(state, processes["p_1.2"], { usd: 0.4, held });
  assert.throws(() => affordBeside(state, processes["p_1.1"], { usd: 0.1, held }), {
    code: "EBUDGET",
    detail: { pid: "p_1.1", kind: "usd" },
  });
  const more = [...held, { pid: "p_1.2" as Pid, usd: 0.3 }];
  assert.throws(() => affordBeside(state, processes["p_1"], { usd: 0.3, held: more }), {
    code: "EBUDGET",
    message: /0.1 of 1 used, 0.7 held for calls under way, 0.3 asked for/,
  });
});

Deno.test("A turn without a bound gets one, so that a budget in money is never exceeded", () => {
  const model = new Priced(100_000);
  // A model that keeps to its bound, and writes as much as it may.
  const greedy: Model = {
    id: model.id,
    pricing: PRICING,
    generate(request) {
      model.bounds.push(request.maxOutputTokens);
      const outputTokens = request.maxOutputTokens ?? 100_000;
      const usd = outputTokens / 1_000;
      const reply = { text: "ok", calls: [], finish: "length" as const, inputTokens: 0 };
      return Promise.resolve({ ...reply, outputTokens, usd });
    },
  };
  return inWorld(async (world) => {
    const result = await world.result(async ({ sys }) => {
      const codes: string[] = [];
      for (let n = 0; n < 12; n++) codes.push(await codeOf(sys.model.generate(turn())));
      const { spent } = await sys.budget.inspect({});
      return [codes, (spent as { usd: number }).usd] as unknown as Json;
    }, { budget: { usd: 1 }, grants: GRANTS }) as [string[], number];
    const [codes, usd] = result;
    assert.equal(codes[0], "ok");
    assert.equal(codes.at(-1), "EBUDGET");
    assert.ok(usd <= 1 && usd > 0.9, `${usd} spent of 1`);
    assert.deepEqual(model.bounds.slice(0, 3), [500, 250, 125]);
  }, { models: [greedy] });
});

Deno.test("Without a limit in money nothing is held and nothing is bound", () => {
  const model = new Priced();
  return inWorld(async (world) => {
    await world.result(({ sys }) => codeOf(sys.model.generate(turn())), {
      budget: { tokens: 1_000 },
      grants: GRANTS,
    });
    assert.deepEqual(model.bounds, [undefined]);
  }, { models: [model] });
});

Deno.test("A failed turn gives back what was held for it", () => {
  const failing: Model = {
    id: "test/priced",
    pricing: PRICING,
    generate: () => Promise.reject(new SysError("EINVAL", "Cannot do that")),
  };
  return inWorld(async (world) => {
    const codes = await world.result(async ({ sys }) => {
      const once = () => codeOf(sys.model.generate(turn({ maxOutputTokens: 200 })));
      return [await once(), await once(), await once()];
    }, { budget: { usd: 0.25 }, grants: GRANTS });
    assert.deepEqual(codes, ["EINVAL", "EINVAL", "EINVAL"]);
  }, { models: [failing] });
});

Deno.test("fallbackModel() asks the next where one is busy or broken, and says who answered", async () => {
  for (const error of ["EAGAIN", "EIO", "ETIMEDOUT"] as const) {
    const first = scriptedModel([{ error }], { id: "a/1" });
    const second = scriptedModel(["Hello"], { id: "b/2" });
    const reply = await fallbackModel([first, second]).generate(request(), { signal });
    assert.deepEqual([reply.text, reply.answeredBy], ["Hello", "b/2"]);
  }
  const well = fallbackModel([scriptedModel(["Hi"], { id: "a/1" }), scriptedModel([])]);
  assert.equal((await well.generate(request(), { signal })).answeredBy, undefined);
});

Deno.test("fallbackModel() does not pass on what is wrong with the request or the key", async () => {
  for (const error of ["EINVAL", "EACCES", "ELIMIT"] as const) {
    const model = fallbackModel([scriptedModel([{ error }]), scriptedModel(["Hello"])]);
    assert.equal((await refusal(model.generate(request(), { signal }))).code, error);
  }
});

Deno.test("fallbackModel() tells of all that were tried, and asks nobody after words were heard", async () => {
  const dead = (id: string) => scriptedModel([{ error: "EIO" }], { id });
  const all = await refusal(
    fallbackModel([dead("a/1"), dead("b/2")]).generate(request(), { signal }),
  );
  assert.deepEqual(all.detail?.["tried"], [
    { model: "a/1", code: "EIO" },
    { model: "b/2", code: "EIO" },
  ]);
  const chatty: Model = {
    id: "a/1",
    generate(_, { onText }) {
      onText?.("Hel");
      return Promise.reject(new SysError("EIO", "Cannot go on: cut"));
    },
  };
  const heard: string[] = [];
  const model = fallbackModel([chatty, scriptedModel(["Hello"], { id: "b/2" })]);
  const onText = (chunk: string) => void heard.push(chunk);
  assert.equal((await refusal(model.generate(request(), { signal, onText }))).code, "EIO");
  assert.deepEqual(heard, ["Hel"]);
});

Deno.test("fallbackModel() takes what all take, at the highest price of each", () => {
  const make = (id: string, pricing: Pricing, takes: string[]): Model => (
    { ...scriptedModel([]), id, pricing, takes }
  );
  const model = fallbackModel([
    make("a/1", { inputUsd: 1, outputUsd: 9 }, ["image/*", "audio/wav"]),
    make("b/2", { inputUsd: 2, outputUsd: 4, cachedInputUsd: 1 }, ["image/*"]),
  ]);
  assert.deepEqual(model.takes, ["image/*"]);
  assert.deepEqual(
    model.pricing,
    { inputUsd: 2, outputUsd: 9, cachedInputUsd: 1, cacheWriteUsd: 2 },
  );
  assert.throws(() => fallbackModel([]), { code: "EINVAL" });
});

Deno.test("Prices are found by model, then by provider, and a table that is none is refused", () => {
  const prices = {
    "a/1": { inputUsd: 1, outputUsd: 2, cachedInputUsd: 0.5, cacheWriteUsd: 4 },
    "a/*": { inputUsd: 3, outputUsd: 4 },
  };
  assert.equal(priceIn(checkPrices(prices), "a/1")?.inputUsd, 1);
  assert.equal(priceIn(prices, "a/2")?.inputUsd, 3);
  assert.equal(priceIn(prices, "b/1"), undefined);
  assert.equal(priceIn(prices, "constructor"), undefined);
  const used = { inputTokens: 10, outputTokens: 1, cachedTokens: 4, cacheWriteTokens: 2 };
  assert.equal(priceOf(used, prices["a/1"]), (4 * 1 + 4 * 0.5 + 2 * 4 + 2) / 1e6);
  for (
    const wrong of [
      null,
      [],
      { a: 1 },
      { a: {} },
      { a: { inputUsd: 1 } },
      {
        a: { inputUsd: -1, outputUsd: 1 },
      },
      { a: { inputUsd: 1, outputUsd: NaN } },
      { a: { inputUsd: 1, outputUsd: 1, x: 1 } },
    ]
  ) assert.throws(() => checkPrices(wrong), { code: "EINVAL" }, JSON.stringify(wrong));
  const model = scriptedModel([]);
  assert.equal(pricedModel(model, prices), model);
});
