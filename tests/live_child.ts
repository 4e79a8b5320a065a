/**
 * A node of its own process, which starts a tree for each line that it is given: the value of the
 * label `team`, and a goal.
 *
 * Arguments: the database with its schema. Prints the pid of each once it waits or has ended.
 * @module
 */

import { createRuntime } from "../mod.ts";
import { brief, waiter } from "./fleet_place.ts";

if (import.meta.main) {
  await using os = await createRuntime({
    store: Deno.args[0]!,
    workspace: null,
    images: [brief, waiter],
    approvals: "deny",
    autorun: false,
  });
  console.log("ready");
  let text = "";
  for await (const part of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += part;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n")) {
      const [team = "", goal = ""] = text.slice(0, at).split(" ");
      text = text.slice(at + 1);
      const image = goal === "wait" ? waiter : brief;
      const { pid } = await os.spawn(image, { goal, labels: { team } });
      await os.runUntilIdle();
      console.log(pid);
    }
  }
}
