/**
 * The model loop under a window: it pins its goal, compacts by itself, and counts more carefully
 * where a provider counts more.
 * @module
 */

import assert from "node:assert/strict";
import { defineTool } from "../mod.ts";
import { totalOf } from "../kernel/context.ts";
import type { Model, ModelReply, ModelRequest } from "../kernel/world.ts";
import { z } from "zod";
import { countChars, filler, promptText } from "./context_fixture.ts";
import { inWorld } from "./world_fixture.ts";
import { defineImage } from "../mod.ts";

const GOAL = "Read all forty pages, then say the result.";
const WINDOW = 8_000;

const page = defineTool({
  name: "page",
  description: "A page",
  inputSchema: z.object({ n: z.number() }),
  execute: ({ n }) => ({ text: filler(n, 80) }),
});

interface Looped extends Model {
  readonly requests: ModelRequest[];
  readonly countTokens: (text: string) => number;
  readonly windowTokens: number;
}

/** Reads forty pages by tool calls; sums up as `sum` says. */
function reader(sum: () => string, inputTokens = 1): Looped {
  const requests: ModelRequest[] = [];
  let pages = 0;
  return {
    id: "test/reader",
    countTokens: countChars,
    windowTokens: WINDOW,
    requests,
    generate(request) {
      requests.push(request);
      const base = { text: "", calls: [], finish: "stop", inputTokens, outputTokens: 1 } as const;
      if (promptText(request.messages).includes("Summarize the conversation")) {
        return Promise.resolve({ ...base, text: sum() });
      }
      const calls = [{ id: `call-${pages}`, name: "page", input: { n: pages } }];
      pages += 1;
      const reply: ModelReply = pages > 40 ? { ...base, text: "done" } : { ...base, calls };
      return Promise.resolve(reply);
    },
  };
}

const SUMS: readonly (readonly [string, () => string, RegExp])[] = [
  ["by the model", () => "Pages were read.", /Pages were read\./],
  ["without the model when it says nothing", () => "", /turn \d+, tool/],
  ["without the model when it fails", () => {
    throw new Error("no");
  }, /turn \d+, tool/],
];

for (const [how, sum, expected] of SUMS) {
  Deno.test(`The model loop compacts ${how}, and keeps its goal and its calls whole`, () =>
    inWorld(async (world) => {
      const model = reader(sum);
      const image = defineImage({ name: "reader", model, libc: [], tools: [page] });
      const process = await world.start(image, { goal: GOAL });
      const status = await world.ended(process);
      assert.equal(status.result, "done", JSON.stringify(status.outcome));
      const turns = model.requests.filter(({ tools }) => tools.length > 0);
      assert.ok(model.requests.length > turns.length, "it was compacted");
      for (const { messages, tools } of model.requests) {
        assert.ok(promptText(messages).includes(GOAL));
        const size = tools.length === 0 ? 0 : countChars(JSON.stringify(tools));
        assert.ok(totalOf(messages, countChars) + size <= WINDOW);
        for (const [i, message] of messages.entries()) {
          if (message.role === "assistant") {
            const next = messages[i + 1];
            assert.ok(next?.role === "tool" && next.id === message.calls[0]!.id);
          } else if (message.role === "tool") assert.equal(messages[i - 1]!.role, "assistant");
        }
      }
      assert.match(promptText(turns.at(-1)!.messages), expected);
    }));
}

Deno.test("The model loop counts more carefully once a provider has counted more", () =>
  inWorld(async (world) => {
    const model = reader(() => "Read.", 9_000);
    const image = defineImage({ name: "counter", model, libc: [], tools: [page] });
    const process = await world.start(image, { goal: GOAL });
    await world.ended(process);
    const sizes = model.requests.map(({ messages }) => totalOf(messages, countChars));
    assert.ok(Math.max(...sizes.slice(2)) <= WINDOW / 2, `${sizes}`);
  }));
