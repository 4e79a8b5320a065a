/**
 * Code that answers requests, given as a function.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, createRuntime, defineImage, type Runtime } from "../mod.ts";

type Approvals = NonNullable<Parameters<typeof createRuntime>[0]>["approvals"];

const image = defineImage({
  name: "asker",
  program: async ({ sys }) => {
    const { ms } = await sys.clock.now({});
    const { answer } = await sys.human.ask({ prompt: "Which?" });
    await sys.object.create({ name: "asked", value: ms });
    await sys.process.exit({ result: answer });
  },
});
const GRANTS = [allow("human.ask", "**"), ask("object.create", "**")];

function runtime(approvals: Approvals): Promise<Runtime> {
  return createRuntime({ store: ":memory:", workspace: null, approvals: approvals! });
}

Deno.test("A function answers requests, at once or later, in the operator's name", async () => {
  const asked: string[] = [];
  await using os = await runtime(({ kind, prompt }) => {
    asked.push(kind);
    if (kind === "question") return { outcome: "answer", value: `not ${prompt}` };
    return Promise.resolve({ outcome: "approve" });
  });
  const process = await os.spawn(image, { goal: "ask", grants: GRANTS });
  assert.equal((await process.wait()).result, "not Which?");
  assert.deepEqual(asked, ["question", "permission"]);
});

Deno.test("What a function or a person cannot answer stays in the queue, and nothing ends", async () => {
  const fails = (): never => {
    throw new Error("no idea");
  };
  for (const approvals of [fails, () => undefined, { ask: fails }]) {
    await using os = await runtime(approvals);
    const process = await os.spawn(image, { goal: "ask", grants: GRANTS });
    const over = new AbortController();
    const ended = process.wait().finally(() => over.abort());
    for await (const { id, kind } of os.approvals.watch({ signal: over.signal })) {
      const answer = kind === "question"
        ? { outcome: "answer", value: 7 } as const
        : { outcome: "approve" } as const;
      await os.approvals.decide(id, answer);
    }
    assert.equal((await ended).result, 7);
  }
});
