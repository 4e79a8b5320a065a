/**
 * Claims about programs in a folder with the rules that `libos init` writes: they work on all that
 * lies there, and find no secret.
 * @module
 */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { Place } from "./cli_place.ts";
import { bounds, programFinding } from "../cli/doctor_programs.ts";
import { walled } from "./confined_place.ts";

/** Runs what its goal says, one after another. */
const RUNNER = `import { allow, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "runner",
  program: async ({ sys, goal }) => {
    const ends = [];
    for (const [program, ...args] of JSON.parse(goal)) {
      const env = { NO_COLOR: "1" };
      ends.push(await sys.shell.run({ program, args, env, timeMs: 600_000 }).then(
        ({ code, stdout, stderr, confined }) => ({ code, stdout, stderr, confined }),
        ({ code, message }) => ({ code, stdout: "", stderr: message, confined: true }),
      ));
    }
    await sys.process.exit({ result: ends });
  },
});
export default { image, spawn: { grants: [allow("file.*", "./**"), allow("shell.run", "**")] } };
`;

interface End {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
  readonly confined: boolean;
}

/** What there is to compile, without the library of the language, which takes long to read. */
const GLOBALS = [
  "Array<T>",
  "Boolean",
  "CallableFunction",
  "Function",
  "IArguments",
  "NewableFunction",
  "Number",
  "Object",
  "RegExp",
  "String",
].map((name) => `interface ${name} {}\n`).join("");

const FILES: Readonly<Record<string, string>> = {
  "runner.ts": RUNNER,
  ".gitignore": "*.env\n.libos\nnode_modules\ndist\n",
  ".env": "KEY=hush\n",
  "sub/prod.env": "KEY=hush\n",
  "src/sum.ts": "export const sum = (a: number, b: number): number => a + b;\n",
  "src/globals.d.ts": GLOBALS,
  "src/sum_test.ts": `import { sum } from "./sum.ts";
Deno.test("sums", () => {
  if (sum(1, 2) !== 3) throw new Error("wrong");
});
`,
  "tsconfig.json": JSON.stringify({
    compilerOptions: { rootDir: "src", outDir: "dist", noLib: true, types: [] },
    include: ["src/sum.ts", "src/globals.d.ts"],
  }),
};

const CALLS: readonly (readonly [call: readonly string[], ok: (end: End) => boolean])[] = [
  [["cat", "src/sum.ts"], ({ stdout }) => stdout === FILES["src/sum.ts"]],
  [["cat", ".env"], ({ code, stderr }) => code === 1 && /Permission denied/.test(stderr)],
  [["grep", "-rl", "sum", "src"], ({ stdout }) => /src\/sum\.ts/.test(stdout)],
  [["grep", "-rsl", "KEY=", "."], ({ stdout }) => stdout === ""],
  [
    ["sh", "-c", "echo x > new.txt && mv new.txt kept.txt && cat kept.txt"],
    ({ stdout }) => stdout === "x\n",
  ],
  [
    ["sh", "-c", "echo x > .env; rm -f sub/prod.env; mkdir -p .libos; echo x > .libos/x"],
    () => true,
  ],
  [
    ["git", "status", "--porcelain"],
    ({ code, stdout }) => code === 0 && /\?\? src\//.test(stdout) && !/env/.test(stdout),
  ],
  [["git", "add", "src"], ({ code }) => code === 0],
  [
    ["deno", "test", "--no-check", "src"],
    ({ code, stdout }) => code === 0 && /1 passed/.test(stdout),
  ],
  [["npx", "tsc"], ({ code }) => code === 0],
  [["cat", "dist/sum.js"], ({ stdout }) => /const sum/.test(stdout)],
  // Last, as what it says is nobody's.
  [
    ["sh", "-c", "echo x > made.env"],
    ({ code, stderr }) => code === "EACCES" && /"\.\/made\.env" came or changed/.test(stderr),
  ],
];

function isHere(program: string): boolean {
  return ["/usr/local/bin", "/usr/bin", "/bin"].some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

/** Whether a call can be made here; one that reads what another made, only where that can. */
function canRun([program, argument]: readonly string[]): boolean {
  if (argument === "dist/sum.js") return isHere("npx");
  return isHere(program!);
}

async function compilerIn(place: Place): Promise<void> {
  const from = dirname(dirname(createRequire(import.meta.url).resolve("typescript")));
  const to = `${place.folder}/node_modules/typescript`;
  for (const folder of ["lib", "bin", "../.bin"]) {
    await Deno.mkdir(`${to}/${folder}`, { recursive: true });
  }
  for (const file of ["package.json", "lib/tsc.js", "lib/_tsc.js", "bin/tsc"]) {
    await Deno.copyFile(`${from}/${file}`, `${to}/${file}`);
  }
  await Deno.chmod(`${to}/bin/tsc`, 0o755);
  await Deno.symlink("../typescript/bin/tsc", `${to}/../.bin/tsc`);
}

walled(
  "Under the rules of libos init programs work on the folder, and read no secret",
  async (t) => {
    await using place = await Place.make();
    for (const folder of ["src", "sub"]) await Deno.mkdir(`${place.folder}/${folder}`);
    for (const [file, text] of Object.entries(FILES)) await place.write(file, text);
    await compilerIn(place);
    assert.equal((await place.libos("init")).exit, 0);
    if (isHere("git")) {
      await new Deno.Command("git", { args: ["init", "-q"], cwd: place.folder }).output();
    }
    const there = CALLS.filter(([call]) => canRun(call));
    const goal = JSON.stringify(there.map(([call]) => call));
    const { result } = await place.json<{ result: End[] }>("run", "runner.ts", goal);
    for (const [i, [call, ok]] of there.entries()) {
      const end = result[i]!;
      await t.step(call.join(" "), () => {
        assert.ok(ok(end), JSON.stringify(end));
        assert.ok(end.confined);
        assert.equal(/hush/.test(end.stdout + end.stderr), false);
      });
    }
    for (const [call] of CALLS.filter(([call]) => !canRun(call))) {
      await t.step({ name: `${call.join(" ")} (not here)`, ignore: true, fn() {} });
    }
    assert.deepEqual([await place.read(".env"), await place.read("sub/prod.env")], [
      "KEY=hush\n",
      "KEY=hush\n",
    ]);
    assert.equal(await place.read("libos.mcp.lock"), '{\n  "servers": {},\n  "version": 1\n}\n');
  },
);

walled("doctor says what holds programs, and what nothing holds", () => {
  const { state, detail } = programFinding();
  assert.equal(state, "ok");
  assert.match(
    detail,
    /but for names that rules take.*Bounded: time.*Not bounded: all that they/,
  );
  const isRoot = Deno.uid() === 0;
  if (isRoot) assert.match(detail, /processes by looking on/);
  assert.match(bounds(true), /processes by the system/);
  return Promise.resolve();
});
