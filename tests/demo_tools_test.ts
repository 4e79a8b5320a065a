/**
 * The demos of generated tools, as people run them: with exactly the flags that their headers say.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Place } from "./cli_place.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The flags of the command at the top of a demo. */
function flagsOf(name: string): string[] {
  const text = Deno.readTextFileSync(`${ROOT}/demos/${name}.ts`);
  const line = /^\/\*\*\n \* deno run (.*)\n/.exec(text)?.[1];
  assert(line !== undefined, `demos/${name}.ts says no command at its top`);
  const words = line.split(" ");
  assert.equal(words.at(-1), `demos/${name}.ts`);
  return words.slice(0, -1);
}

async function run(name: string, flags: readonly string[]): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", ...flags, `demos/${name}.ts`],
    cwd: ROOT,
    // The headers name the folder that is the usual one.
    env: { NO_COLOR: "1", TMPDIR: "/tmp" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

const TOOLMAKER: readonly RegExp[] = [
  /▸ p_1 {2}"What is the revenue in \.\/q3\.csv\?"/,
  /tool\.guide +\d+ characters/,
  /tool\.propose csv_sum +EINVAL\n.*csv_sum\.ts:7:27 Type 'string' is not assignable to type 'number'/,
  /tool\.propose csv_sum +version [0-9a-f]{12}…/,
  /tool\.test +2 passed, 0 failed/,
  /tool\.register\(csv_sum\) +ask → req_1\.1/,
  /a person is shown[^]*it may use, at most:\n.*file\.read\(\.\/\*\.csv\)[^]*source, 11 lines:\n.*export default async/,
  /no terminal: answering "approve once", as scripted/,
  /csv_sum \{"column":"revenue","path":"\.\/q3\.csv"\}\n.*file\.read \.\/q3\.csv +allow cap_1\.\d/,
  /log: \.\/q3\.csv has 5 rows\n.*\{"rows":5,"total":52048\.25\}/,
  /file\.read \.\/README\.md +DENY\n.*EPERM .*does not declare file\.read\(\.\/README\.md\)/,
  /csv_sum {2}sha256:[0-9a-f]{12}… {2}may use file\.read\(\.\/\*\.csv\)/,
  /Log of t_1: \d+ lines, verified\nThe revenue in q3\.csv is 52048\.25\.\n$/,
];

Deno.test("The tool maker repairs, tests, registers and calls its tool, with the flags of its header", async () => {
  const { code, out, err } = await run("toolmaker", flagsOf("toolmaker"));
  assert.equal(code, 0, out + err);
  for (const line of TOOLMAKER) assert.match(out, line);
  // What was registered is what was tested and what the person saw.
  const versions = new Set([...out.matchAll(/version ([0-9a-f]{12})/g)].map(([, hash]) => hash));
  assert.equal(versions.size, 1, out);
});

Deno.test("The tool maker needs each flag of its header", async () => {
  const flags = flagsOf("toolmaker");
  for (const left of flags) {
    const { code, out } = await run("toolmaker", flags.filter((flag) => flag !== left));
    assert.notEqual(code, 0, `runs without ${left}\n${out}`);
  }
});

/** What each tool of the gallery tries → how it must come out. */
const GALLERY: readonly (readonly [tries: string, ended: RegExp])[] = [
  ["import a module that reads files", /^refused before it ran: EINVAL: 1:\d+ Cannot import/],
  ["import one when it runs", /^refused before it ran: EINVAL: 2:\d+ Cannot import/],
  ["fetch an address", /^ended: EIO: TypeError/],
  ["read a file with Deno itself", /^ended: EIO: TypeError/],
  ["climb out by a chain of constructors", /^ended: EIO: (EvalError|TypeError)/],
  [
    "poison prototypes, so that everybody's JSON is its own",
    /^(answered: \{"rows":5\}|ended: EIO)/,
  ],
  ["never end", /^ended: ELIMIT: it reached the limit (wallMs|cpuMs)/],
  ["hold the processor where no code of its own runs", /^ended: ELIMIT: .* (wallMs|cpuMs)/],
  ["fill the memory", /^ended: ELIMIT: it reached the limit memoryBytes/],
  ["flood the log", /^ended: ELIMIT: it reached the limit logBytes/],
  ["flood the kernel with calls", /^ended: ELIMIT: it reached the limit callsOutstanding/],
  ["forge the message that its answer would come in", /^ended: EIO: TypeError/],
  ["read what its caller may read, but it did not declare", /^ended: EPERM: .*does not declare/],
  ["declare more than its author could ever have", /^refused before it ran: EPERM: .*ceiling/],
  ["let itself into the tool table", /^ended: EPERM: .*closed to generated tools/],
  ["remember one call in the next", /^answered: 1, 1$/],
];

Deno.test("Each hostile tool is refused or ended, and the kernel serves a good one right after", async () => {
  const { code, out, err } = await run("hostile", flagsOf("hostile"));
  assert.equal(code, 0, out + err);
  const shown = [...out.matchAll(/^ *(?:\d+|--) {2}(.*)\n {4}(.*)$/gm)].map((
    [, what, end],
  ) => [what, end]);
  assert.deepEqual(shown.slice(0, -1).map(([what]) => what), GALLERY.map(([tries]) => tries));
  for (const [i, [tries, ended]] of GALLERY.entries()) assert.match(shown[i]![1]!, ended, tries);
  assert.deepEqual(shown.at(-1), ["And a good one: count the rows of q3.csv", "answered: 5"]);
  assert.match(out, /log of \d+ lines\nlog verified, kernel well\n$/);
  assert.doesNotMatch(out, /root:/);
});

/** A text without what differs between two runs: times, versions, paths. */
function steady(text: string): string {
  return text.replaceAll(/ *\d+ ms/g, " N ms")
    .replaceAll(/\b[0-9a-f]{12,64}\b/g, "VERSION")
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "DATE")
    .replaceAll(/\d\d:\d\d:\d\d UTC/g, "TIME UTC")
    .replaceAll(/in \d+m\d*s?/g, "in SPAN");
}

Deno.test("docs/generated-tools.md shows what its commands print", async () => {
  await using place = await Place.make();
  const page = await Deno.readTextFile(`${ROOT}/docs/generated-tools.md`);
  await Deno.mkdir(`${place.folder}/data`);
  await Deno.copyFile(`${ROOT}/demos/sample/q3.csv`, `${place.folder}/data/q3.csv`);
  await place.write("secrets.env", "key\nnone\n");
  const blocks = [...page.matchAll(/```(?:ts ignore|json)\n([^]*?)```/g)].map(([, text]) => text!);
  const files = ["csv_sum.ts", "csv_sum.tool.json", "wrong.ts", "maker.ts"];
  assert.equal(blocks.length, files.length);
  for (const [i, file] of files.entries()) await place.write(file, blocks[i]!);
  const shown = [...page.matchAll(/```console\n([^]*?)```/g)].map(([, text]) => text!).join("");
  for (const part of shown.split(/^\$ libos /m).slice(1)) {
    const [line = "", ...said] = part.split("\n");
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
    const { out, err } = await place.libos(...words);
    assert.equal(steady(out + err), steady(said.join("\n")), line);
  }
});
