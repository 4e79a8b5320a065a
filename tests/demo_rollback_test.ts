/**
 * The demo of going back, with exactly the flags that its header says.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The flags of the command at the top of the demo. */
function flags(): string[] {
  const text = Deno.readTextFileSync(`${ROOT}/demos/rollback.ts`);
  const line = /^\/\*\*\n \* deno run (.*)\n/.exec(text)?.[1];
  assert(line !== undefined, "demos/rollback.ts says no command at its top");
  const words = line.split(" ");
  assert.equal(words.at(-1), "demos/rollback.ts");
  return words.slice(0, -1);
}

async function run(given: readonly string[]): Promise<{ code: number; out: string }> {
  const cwd = await Deno.makeTempDir();
  try {
    const shared = ["run", "--no-prompt", "--no-check", `--config=${ROOT}/deno.json`];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...shared, ...given, `${ROOT}/demos/rollback.ts`],
      cwd,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout) + decoder.decode(stderr) };
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

const PRINTED: readonly RegExp[] = [
  /-- draft\n {3}poem\.txt +The sea is calm\n {3}title\.txt +Dover Beach\n-- gone wrong/,
  /junk\.txt +oops\n {3}mine\.txt +Hands off\n {3}poem\.txt +The sea is calm \/ lorem ipsum\n/,
  /would remove junk\.txt: ready\n {3}would write poem\.txt: ready\n {3}would write title\.txt: ready/,
  /back at line \d+; 3 effects were sent since/,
  /files too\n {3}mine\.txt +Hands off\n {3}poem\.txt +The sea is calm\n {3}title\.txt +Dover Beach\n/,
  /poem\.txt +The sea is calm \/ to-night\n {3}shout\.txt TO-NIGHT\n/,
  /-- 2 logs, OK\n$/,
];

Deno.test("The demo of going back runs with the flags of its header", async () => {
  const { code, out } = await run(flags());
  assert.equal(code, 0, out);
  for (const part of PRINTED) assert.match(out, part);
});

Deno.test("The demo of going back needs each flag of its header", async () => {
  for (const left of flags()) {
    const { code, out } = await run(flags().filter((flag) => flag !== left));
    assert.notEqual(code, 0, `runs without ${left}\n${out}`);
  }
});
