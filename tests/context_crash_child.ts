/**
 * A kernel with a long conversation, in a process of its own which a test kills at a model call.
 *
 * It says the hash of every prompt it sends, and hangs in call number `hang` (0: never).
 * @module
 */

import { sha256 } from "../kernel/json.ts";
import { createRuntime } from "../mod.ts";
import { KeepingModel, play } from "./context_fixture.ts";
import { imageOf } from "./world_fixture.ts";

if (import.meta.main) {
  const [store = "", hang = "0"] = Deno.args;
  const model = new KeepingModel();
  const generate = model.generate.bind(model);
  let calls = 0;
  model.generate = async (request) => {
    calls += 1;
    const prompt = sha256(JSON.stringify(request.messages));
    Deno.stdout.writeSync(new TextEncoder().encode(`${request.idempotencyKey} ${prompt}\n`));
    return calls === Number(hang) ? await new Promise(() => {}) : await generate(request);
  };
  const image = imageOf(async ({ sys }) => {
    await play(sys, model.id, { turns: 60, part: 0.3, pins: 8, needles: 6, compact: true });
  }, { model });
  const options = { store, workspace: null, approvals: "queue", images: [image] } as const;
  const os = await createRuntime(options);
  const old = await os.get("p_1");
  const process = old ?? await os.spawn(image, { goal: "talk" });
  await process.wait();
  await os.close();
}
