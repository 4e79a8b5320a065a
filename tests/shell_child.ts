/**
 * A kernel that runs a program which says that it is up and stays, until it is killed.
 * @module
 */

import { allow, createRuntime, defineImage } from "../mod.ts";

const [store, workspace, program] = Deno.args as [string, string, string];

/** Makes one call; the same in the kernel that comes after. */
export const image = defineImage({
  name: "caller",
  version: "1",
  program: async ({ sys, input }) => {
    const { program, args } = input as { program: string; args: string[] };
    await sys.process.exit({ result: (await sys.shell.run({ program, args })).code });
  },
});

if (import.meta.main) {
  const runtime = await createRuntime({ store, workspace, approvals: "queue", shell: true });
  runtime.node.listenText(() => console.log("up"));
  const args = program === "sh" ? ["-c", "echo up; sleep 60"] : ["60"];
  const grants = [allow("shell.run")];
  const process = await runtime.spawn(image, { goal: "run", input: { program, args }, grants });
  await process.wait();
}
