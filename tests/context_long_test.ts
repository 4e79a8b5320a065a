/**
 * Long conversations under a window: nothing pinned is lost, nothing is over budget, what is asked
 * for is recalled, and the front of the prompt stays the same.
 * @module
 */

import assert from "node:assert/strict";
import { totalOf } from "../kernel/context.ts";
import {
  commonFront,
  constraint,
  countChars,
  type Heard,
  KeepingModel,
  needle,
  play,
  promptText,
} from "./context_fixture.ts";
import { imageOf, inWorld } from "./world_fixture.ts";

for (const compact of [true, false]) {
  for (const turns of [50, 500]) {
    const how = compact ? "compacted" : "never compacted";
    Deno.test(`All pins are in every prompt over ${turns} turns, ${how}, at a 25 % window`, () =>
      inWorld(async (world) => {
        const model = new KeepingModel();
        let heard: Heard | undefined;
        const process = await world.start(imageOf(async ({ sys }) => {
          heard = await play(sys, model.id, { turns, part: 0.25, pins: 20, needles: 0, compact });
        }, { model }));
        assert.equal((await world.ended(process)).ok, true);
        const { window, manifests, compactions } = heard!;
        assert.equal(model.prompts.length, turns / 2);
        for (const messages of model.prompts) {
          const text = promptText(messages);
          for (let n = 0; n < 20; n++) assert.ok(text.includes(constraint(n).text), `pin ${n}`);
          assert.ok(totalOf(messages, countChars) <= window);
        }
        for (const [i, manifest] of manifests.entries()) {
          assert.equal(manifest["tokens"], totalOf(model.prompts[i]!, countChars));
          assert.ok(JSON.stringify(manifest).length < 1_024, "a manifest is small");
        }
        assert.equal(compactions > 0, compact);
        // The front is new only after a compaction, or when it moves on by a stride.
        let breaks = 0;
        for (const [i, messages] of model.prompts.entries()) {
          const before = model.prompts[i - 1];
          if (before === undefined) continue;
          const stable = before.length - (isTail(before) ? 1 : 0);
          if (commonFront(before, messages) < stable) breaks += 1;
        }
        assert.ok(breaks <= (compact ? compactions : 8 * 4), `${breaks} of ${turns / 2} are new`);
      }));
  }
}

function isTail(messages: KeepingModel["prompts"][number]): boolean {
  return promptText(messages.slice(-1)).startsWith("[Added by the kernel");
}

Deno.test("Needles in turns that left the window are recalled when they are asked for", () =>
  inWorld(async (world) => {
    const model = new KeepingModel();
    const needles = 40;
    let found = 0;
    let tokens = 0;
    let whole = 0;
    const process = await world.start(imageOf(async ({ sys }) => {
      const talk = { turns: 400, part: 0.25, pins: 20, needles, compact: true };
      const heard = await play(sys, model.id, talk);
      whole = heard.whole;
      for (let n = 0; n < needles; n++) {
        const { ask, answer } = needle(n);
        await sys.object.append({ object: "context", item: { role: "user", text: ask } as never });
        const asked = { model: model.id, context: "context", window: heard.window, tools: false };
        await sys.model.generate(asked);
        const last = model.prompts.at(-1)!;
        tokens += totalOf(last, countChars) / needles;
        if (promptText(last).includes(answer)) found += 1;
      }
    }, { model }));
    assert.equal((await world.ended(process)).ok, true);
    assert.ok(found / needles >= 0.95, `${found} of ${needles}`);
    assert.ok(tokens <= whole * 0.25, `${tokens} of ${whole}`);
  }));
