/**
 * Generated tools under `kill -9`: real kernels, real cages, a store in a file.
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("generated_kill_child.ts", import.meta.url));
const CALLS = 20;

async function live(folder: string, when: string, call: number) {
  const args = ["run", "-A", "--no-check", "--unstable-worker-options", CHILD, folder, when];
  const env = { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const command = new Deno.Command(Deno.execPath(), { args: [...args, String(call)], env });
  const { signal, stdout, stderr } = await command.output();
  const said = new TextDecoder().decode(stdout);
  return { signal, said, errors: new TextDecoder().decode(stderr) };
}

Deno.test("A tool of twenty calls goes on where it was, killed at each of its calls", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "libos-kill-" });
  try {
    Deno.mkdirSync(`${folder}/work`);
    for (let call = 1; call <= CALLS; call++) {
      const when = call % 2 === 0 ? "after" : "before";
      const { signal, said, errors } = await live(folder, when, call);
      deepEqual([signal, said], ["SIGKILL", ""], `${when} call ${call}: ${errors}`);
    }
    const { said, errors } = await live(folder, "never", 0);
    equal(errors, "");
    const { result } = JSON.parse(said) as { readonly result: unknown };
    deepEqual(result, {
      said: Array.from({ length: CALLS - 1 }, () => "ok"),
      value: Array.from({ length: 9 }, (_, i) => i),
    });
    const files = [...Deno.readDirSync(`${folder}/work`)].map(({ name }) => name).sort();
    deepEqual(files, Array.from({ length: 9 }, (_, i) => `f${i}`));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
