/**
 * A node that runs one agent until it is killed: it writes three files, and stays in the fourth
 * call.
 *
 * Arguments: the database with its schema, and the folder. Prints "stays" when it is there.
 * @module
 */

import { allow, createRuntime, defineImage } from "../mod.ts";

/** Writes three files, sleeps for an hour, says what it read. */
export const steady = defineImage({
  name: "steady",
  program: async ({ sys }) => {
    for (const name of ["a", "b", "c"]) {
      await sys.file.write({ path: `./${name}`, text: name, mode: "create" });
    }
    await sys.clock.sleep({ ms: 3_600_000 });
    const { text } = await sys.file.read({ path: "./c" });
    await sys.process.exit({ result: text });
  },
});

if (import.meta.main) {
  const [store = "", workspace = ""] = Deno.args;
  const os = await createRuntime({ store, workspace, images: [steady], approvals: "deny" });
  const process = await os.spawn(steady, {
    goal: "Stay",
    grants: [allow("file.*", "./**")],
  });
  await os.runUntilIdle();
  console.log(`stays ${process.pid}`);
  for await (const _ of Deno.stdin.readable);
}
