/**
 * A kernel whose agents wait at a gate, in a process of its own which a test kills.
 *
 * It starts one agent for each goal, each when the one before has asked its model, and says so;
 * without goals it goes on with those that are there, and says when all have ended.
 * @module
 */

import {
  createRuntime,
  defineImage,
  Gate,
  gated,
  type Model,
  openaiCompatibleModel,
} from "../mod.ts";

if (import.meta.main) {
  const [store = "", url = "", ...goals] = Deno.args;
  const gate = new Gate({ concurrency: 1, concurrencyMax: 1 });
  const inner = gated(openaiCompatibleModel({ url, modelId: "m" }), gate);
  let asked = Promise.withResolvers<void>();
  const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  const model: Model = {
    id: inner.id,
    generate(request, asking) {
      const reply = inner.generate(request, asking);
      asked.resolve();
      return reply;
    },
  };
  const image = defineImage({ name: "asker", model, instructions: "Answer." });
  const os = await createRuntime({ store, workspace: null, images: [image] });
  for (const goal of goals) {
    asked = Promise.withResolvers();
    await os.spawn(image, { goal });
    await asked.promise;
    say(goal);
  }
  if (goals.length > 0) await new Promise(() => {});
  const pids = (await os.trees()).map(({ tree }) => `p_${tree.slice(2)}`);
  for (const pid of pids) say(`${(await (await os.get(pid))!.wait()).ok}`);
  await os.close();
}
