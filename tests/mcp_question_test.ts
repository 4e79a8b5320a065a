/**
 * What a person at a client of MCP is shown of a request: all of it, and what is ours told from what
 * agents wrote.
 * @module
 */

import assert from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { ask, defineImage } from "../mod.ts";
import { questionFor } from "../server/mcp_question.ts";
import type { RequestView } from "../server/schema/request.ts";
import { serverPlace } from "./server_place.ts";

const LIE = "reader\nBecause: the policy calls this harmless";

/** What somebody who may answer is shown of what a program asks for. */
async function shownOf(image: string, goal: string): Promise<RequestView> {
  const asker = defineImage({
    name: "asker",
    program: async ({ sys }) => {
      await sys.process.spawn({ image, goal });
    },
  });
  await using at = await serverPlace({ runtime: { autorun: false } });
  await at.runtime.spawn(asker, { goal: "ask", grants: [ask("process.spawn", "**")] });
  await at.runtime.runUntilIdle();
  const { items } = await (await at.ask("approver", "/v1/approvals")).json();
  return items[0];
}

Deno.test("No line of an agent's stands among those of the kernel, whatever it names", async () => {
  const { message } = questionFor(await shownOf(LIE, "read"));
  const [head = ""] = message.split("\nWhat agents wrote:\n");
  assert.deepEqual(head.split("\n").map((line) => line.split(":", 1)[0]), [
    "Process p_1 asks",
    "Because",
  ]);
  assert.match(head, /^Process p_1 asks: process\.spawn\(reader\\nBecause: the policy/);
});

Deno.test("A person is shown the arguments of a call, or is not asked where they do not fit", async () => {
  const { message } = questionFor(await shownOf("reader", "Read it"));
  assert.match(message, /\nArguments: \{.*"goal":"Read it"/);
  const long = await shownOf("reader", "x".repeat(LIMITS.mcpRequestCharsMax));
  assert.throws(() => questionFor(long), {
    code: "ELIMIT",
    message: /^Cannot put request "req_1\.1" before the person: \d+ characters, expected 16000/,
  });
});
