/**
 * The example programs: each runs with exactly the flags that its header says, prints what it should,
 * and fails when any one of those flags is missing.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Example → what it prints. */
const EXAMPLES: Readonly<Record<string, readonly RegExp[]>> = {
  hello: [/ok: true/, /Hello, harbour!/, /toolCalls: 1/],
  approval: [
    /permission: file\.write\(\.\/week-38\.md\)/,
    /args .*"path":"\.\/week-38\.md"/,
    /notice: published week-38/,
    /Published the report\./,
    /# Week 38/,
  ],
  crash: [/starting/, /part 1 of 5 done\n[^]*part 5 of 5 done/, /done: 1 2 3 4 5/],
  fork: [/p_1\.3 /, /deepest: \{"name":"from\/p_1\.2\/valley","x":2\.35/],
};

/** Demos that other files run with their flags, by the file. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  audit: "demo_test.ts",
  rollback: "demo_rollback_test.ts",
  toolmaker: "demo_tools_test.ts",
  hostile: "demo_tools_test.ts",
};

Deno.test("Every demo that says how it is run is run so by a test", () => {
  const found = [...Deno.readDirSync(`${ROOT}/demos`)].flatMap(({ name, isFile }) => {
    const text = isFile ? Deno.readTextFileSync(`${ROOT}/demos/${name}`) : "";
    return /^\/\*\*[^]*?\n \* deno (?:run|task) /.test(text) ? [name.replace(".ts", "")] : [];
  });
  const known = new Set([...Object.keys(EXAMPLES), ...Object.keys(ELSEWHERE)]);
  assert.deepEqual(found.filter((name) => !known.has(name)), []);
  for (const [name, file] of Object.entries(ELSEWHERE)) {
    const text = Deno.readTextFileSync(`${ROOT}/tests/${file}`);
    assert(new RegExp(`\\b${name === "audit" ? "demo" : name}\\b`).test(text), name);
  }
});

interface Ran {
  readonly code: number;
  readonly output: string;
}

/** The flags of the command at the top of an example. */
function flagsOf(name: string): string[] {
  const text = Deno.readTextFileSync(`${ROOT}/demos/${name}.ts`);
  const line = /^\/\*\*\n \* deno run (.*)\n/.exec(text)?.[1];
  assert(line !== undefined, `demos/${name}.ts says no command at its top`);
  const words = line.split(" ");
  assert.equal(words.at(-1), `demos/${name}.ts`);
  return words.slice(0, -1);
}

/** Runs an example in a folder of its own, where the repository's folders seem to be. */
async function run(name: string, flags: readonly string[], cwd: string): Promise<Ran> {
  const { code, stdout, stderr } = await start(name, flags, cwd).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

function start(name: string, flags: readonly string[], cwd: string): Deno.ChildProcess {
  const shared = ["run", "--no-prompt", "--no-check", `--config=${ROOT}/deno.json`];
  return new Deno.Command(Deno.execPath(), {
    args: [...shared, ...flags, `${ROOT}/demos/${name}.ts`],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function inFolder(job: (cwd: string) => Promise<void>): Promise<void> {
  const cwd = await Deno.makeTempDir();
  try {
    for (const folder of ["demos/sample/notes"]) {
      await Deno.mkdir(`${cwd}/${folder}`, { recursive: true });
    }
    await job(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

for (const [name, printed] of Object.entries(EXAMPLES)) {
  const flags = flagsOf(name);
  Deno.test(`Example ${name} runs with the flags it says: ${flags.join(" ") || "none"}`, () =>
    inFolder(async (cwd) => {
      const { code, output } = await run(name, flags, cwd);
      assert.equal(code, 0, output);
      for (const part of printed) assert.match(output, part);
    }));
  for (const dropped of flags) {
    Deno.test(`Example ${name} fails without ${dropped}`, () =>
      inFolder(async (cwd) => {
        const { code, output } = await run(name, flags.filter((flag) => flag !== dropped), cwd);
        assert.notEqual(code, 0, output);
      }));
  }
}

Deno.test("Example hello has at most 20 lines", () => {
  const lines = Deno.readTextFileSync(`${ROOT}/demos/hello.ts`).trimEnd().split("\n");
  assert(lines.length <= 20, `${lines.length} lines`);
});

/** Starts the example, and kills it at its second part; whether it had not come to its end. */
async function killedAmid(flags: readonly string[], cwd: string): Promise<boolean> {
  const child = start("crash", flags, cwd);
  const decoder = new TextDecoder();
  let first = "";
  let isKilled = false;
  for await (const chunk of child.stdout) {
    first += decoder.decode(chunk, { stream: true });
    if (isKilled || !first.includes("part 2")) continue;
    isKilled = true;
    try {
      child.kill("SIGKILL");
    } catch {
      // It came to its end first: who reads is slower than it is.
    }
  }
  await child.stderr.cancel();
  return (await child.status).signal === "SIGKILL";
}

Deno.test("Example crash goes on where it was killed, and does no part twice", async () => {
  const flags = flagsOf("crash");
  let isDone = false;
  while (!isDone) {
    await inFolder(async (cwd) => {
      if (!await killedAmid(flags, cwd)) return;
      const { code, output } = await run("crash", flags, cwd);
      assert.equal(code, 0, output);
      assert.match(output, /going on with t_1 at line \d+/);
      assert.doesNotMatch(output, /part [12] of/);
      assert.match(output, /done: 1 2 3 4 5\n/);
      isDone = true;
    });
  }
});
