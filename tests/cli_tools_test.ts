/**
 * Claims about `libos tools`: writing, testing and trying a tool by hand, and those of a store.
 * @module
 */

import { deepStrictEqual as equal, doesNotMatch, match } from "node:assert/strict";
import { Place } from "./cli_place.ts";

const CSV = "month,revenue\n2026-07,10\n2026-08,32.5\n";
const INPUT = JSON.stringify({ path: "./data/q3.csv", column: "revenue" });

const SUM = `export default async ({ path, column }, os) => {
  const { text } = await os.file.read(path);
  const [head = "", ...rows] = text.trim().split("\\n");
  const at = head.split(",").indexOf(column);
  let total = 0;
  for (const row of rows) total += Number(row.split(",")[at]);
  os.log("rows", rows.length);
  return { total };
};
`;

const CONTRACT = {
  description: "Sum a column of a CSV file",
  inputSchema: {
    type: "object",
    properties: { path: { type: "string" }, column: { type: "string" } },
    required: ["path", "column"],
  },
  outputSchema: { type: "object", properties: { total: { type: "number" } }, required: ["total"] },
  rights: ["file.read(./data/**)"],
  tests: [{
    name: "sums",
    input: { path: "a.csv", column: "n" },
    calls: [{ name: "file.read", reply: { text: "n\n1\n2\n", bytes: 6, sha256: "" } }],
    output: { total: 3 },
  }],
};

/** A folder with a tool and a file for it. */
async function withTool(): Promise<Place> {
  const place = await Place.make();
  await Deno.mkdir(`${place.folder}/data`);
  await place.write("data/q3.csv", CSV);
  await place.write("csv_sum.ts", SUM);
  await place.write("csv_sum.tool.json", JSON.stringify(CONTRACT));
  return place;
}

Deno.test("tools new makes a tool that passes its tests and runs, and never writes over one", async () => {
  await using place = await Place.make();
  const made = await place.libos("tools", "new", "lines");
  equal(made.exit, 0, made.err);
  match(made.out, /made lines\.ts, lines\.tool\.json\nNext: libos tools test lines\.ts\n/);
  const tested = await place.libos("tools", "test", "lines.ts");
  equal(tested.exit, 0, tested.out + tested.err);
  match(tested.out, /ok +counts .*\n.*\n.*ok +says what is absent .*\n2 passed, 0 failed\n$/);
  // The command that was suggested, as it was suggested.
  const [, grant, input] = /--grant '(.*?)' --input '(.*?)'/.exec(made.out)!;
  const ran = await place.libos("tools", "run", "lines.ts", "--grant", grant!, "--input", input!);
  equal(ran.exit, 0, ran.out + ran.err);
  match(ran.out, /"lines": 7/);
  const again = await place.libos("tools", "new", "lines");
  equal(again.exit, 1);
  match(again.err, /Cannot make tool "lines": "lines\.ts" exists, expected another name/);
});

Deno.test("tools test says where types are wrong as FILE:line:column, and ends with 1", async () => {
  await using place = await withTool();
  await place.write("csv_sum.ts", SUM.replace("os.file.read(path)", "os.file.red(path)"));
  const { exit, out } = await place.libos("tools", "test", "csv_sum.ts");
  equal(exit, 1);
  match(out, /^csv_sum\.ts:2:34 .*did you mean "read"/);
  match(out, /\n {6}const \{ text \} = await os\.file\.red\(path\);\n {37}\^\n/);
  match(out, /1 problem in csv_sum\.ts; its tests were not run/);
  const { out: json } = await place.libos("tools", "test", "csv_sum.ts", "-o", "json");
  const { problems, version } = JSON.parse(json);
  equal([problems[0].line, problems[0].column, version], [2, 34, null]);
});

Deno.test("tools test says why a test failed, with what the tool logged", async () => {
  await using place = await withTool();
  const wrong = { ...CONTRACT.tests[0]!, name: "is odd", output: { total: 4 } };
  const tests = [...CONTRACT.tests, wrong];
  await place.write("csv_sum.tool.json", JSON.stringify({ ...CONTRACT, tests }));
  const { exit, out } = await place.libos("tools", "test", "csv_sum.ts");
  equal(exit, 1);
  match(out, /^csv_sum [0-9a-f]{12} {2}types are right; may use file\.read\(\.\/data\/\*\*\)\n/);
  match(out, /FAILED is odd .*\n +it returned \{"total":3\}, expected \{"total":4\}\n +│ rows 2\n/);
  match(out, /1 passed, 1 failed\n$/);
});

Deno.test("tools run shows each call with its decision, then the log and the output", async () => {
  await using place = await withTool();
  const grant = ["--grant", "file.read(./data/**)"];
  const ran = await place.libos("tools", "run", "csv_sum.ts", ...grant, "--input", INPUT);
  equal(ran.exit, 0, ran.out + ran.err);
  match(ran.out, /^csv_sum {2}may use, at most: file\.read\(\.\/data\/\*\*\)\n/);
  match(ran.out, /\n {2}1 {2}file\.read \.\/data\/q3\.csv +allow cap_1\.\d+ +\d+ ms\n/);
  match(
    ran.out,
    /\nlog\n {2}│ rows 2\noutput\n[^]*"total": 42\.5[^]*\n1 call \(1 allowed, 0 denied\)/,
  );
  await place.write("input.json", INPUT);
  const quiet = ["tools", "run", "csv_sum.ts", ...grant, "--input", "@input.json", "-q"];
  equal((await place.libos(...quiet)).out, '{\n  "total": 42.5\n}\n');
});

Deno.test("tools run tells which grant would let a refused call through", async () => {
  await using place = await withTool();
  const run = ["tools", "run", "csv_sum.ts", "--input", INPUT];
  const none = await place.libos(...run);
  equal(none.exit, 4);
  match(none.out, /1 {2}file\.read \.\/data\/q3\.csv +DENY EPERM/);
  match(none.out, /would be allowed with: --grant 'file\.read\(\.\/data\/q3\.csv\)'/);
  match(none.err, /^error: Cannot finish tool "csv_sum": .* \[EPERM\]/);
  equal((await place.libos(...run, "--grant", "file.read(./data/q3.csv)")).exit, 0);
  // What the contract does not declare is not had by being granted.
  await place.write("csv_sum.tool.json", JSON.stringify({ ...CONTRACT, rights: [] }));
  const undeclared = await place.libos(...run, "--grant", "file.read(./**)");
  equal(undeclared.exit, 4);
  match(undeclared.out, /add "file\.read\(\.\/data\/q3\.csv\)" to "rights" of csv_sum\.tool\.json/);
  // Without a contract it declares what is granted.
  await Deno.remove(`${place.folder}/csv_sum.tool.json`);
  await place.write(
    "csv_sum.ts",
    SUM.replace("({ path, column }, os)", "(input, os)")
      .replace(
        "const {",
        "const { path, column } = input as { path: string; column: string };\n  const {",
      ),
  );
  equal((await place.libos(...run, "--grant", "file.read(./data/**)")).exit, 0);
});

Deno.test("tools run asks where a person is, and refuses where nobody is", async () => {
  await using place = await withTool();
  const run = ["tools", "run", "csv_sum.ts", "--input", INPUT, "--ask", "file.read(./data/**)"];
  const { exit, out } = await place.libos(...run);
  equal(exit, 4);
  match(out, /ask → req_1\.1\n.*req_1\.1 denied: nobody is there to ask/);
  match(out, /to be asked, run it at a terminal; or --grant 'file\.read\(\.\/data\/q3\.csv\)'/);
  await place.write("libos.policy", "deny file.read(./data/**)\n");
  const denied = await place.libos(...run.slice(0, 5), "--grant", "file.read(./**)");
  equal(denied.exit, 4);
  match(denied.out, /DENY EACCES/);
});

Deno.test("tools run -o json prints one object, whatever became of the tool", async () => {
  await using place = await withTool();
  const run = ["tools", "run", "csv_sum.ts", "--input", INPUT, "-o", "json"];
  const good = JSON.parse((await place.libos(...run, "--grant", "file.read(./**)")).out);
  equal([good.ok, good.output, good.logs], [true, { total: 42.5 }, ["rows 2"]]);
  equal(good.calls.map(({ name, decision, ok }: Record<string, unknown>) => [name, decision, ok]), [
    ["file.read", "allow", true],
  ]);
  const bad = JSON.parse((await place.libos(...run)).out);
  equal([bad.ok, bad.output, bad.error.code], [false, null, "EPERM"]);
  equal(bad.calls[0].hint, "it would be allowed with: --grant 'file.read(./data/q3.csv)'");
});

Deno.test("tools run ends what does not end, and says what is wrong with an input", async () => {
  await using place = await withTool();
  await place.write("loop.ts", 'export default (_, os) => { os.log("round"); while (true); };\n');
  const late = await place.libos("tools", "run", "loop.ts", "--timeout", "500ms");
  equal(late.exit, 1);
  match(late.err, /it reached the limit wallMs \[ELIMIT\]\nMore time: --timeout 30s/);
  const missing = await place.libos("tools", "run", "csv_sum.ts");
  match(
    missing.err,
    /required property "\w+".* \[EINVAL\]\nTry: --input '\{"path":"…","column":"…"\}'/,
  );
  await place.write("bad.ts", "export default (_, os) => os.nothing;\n");
  const bad = await place.libos("tools", "run", "bad.ts");
  equal(bad.exit, 1);
  match(bad.err, /^bad\.ts:1:\d+ /);
});

const REFUSALS: readonly (readonly [argv: string, exit: number, says: RegExp])[] = [
  ["tools burn", 2, /Cannot run "tools burn": no such verb, expected ls, show/],
  ["tools show", 2, /expected tools show NAME\|VERSION/],
  ["tools ls p_1", 3, /absent, expected a store/],
  ["tools show nosuch", 3, /absent, expected a store/],
  ["tools deny csv_sum", 3, /absent, expected a store/],
  ["tools new 9lives", 2, /expected letters, digits and _ after a letter/],
  ["tools test nosuch.ts", 3, /Cannot read "nosuch\.ts": absent/],
  ["tools test data/q3.csv", 2, /no TypeScript, expected a file such as csv_sum\.ts/],
  ["tools test bare.ts", 3, /no contract, expected bare\.tool\.json beside it/],
  ["tools test torn.ts", 1, /Cannot read "torn\.tool\.json": no JSON/],
  ["tools test odd.ts", 1, /Cannot read "odd\.tool\.json": .*column 1 has no verb/],
  ["tools run misspelt.ts", 1, /misspelt\.tool\.json": .*no syscall "file\.raed", did you mean/],
  ["tools run csv_sum.ts --grant x", 2, /column 1 has no verb/],
  ["tools run csv_sum.ts --input {", 2, /Cannot use --input: .*expected JSON, or @FILE/],
  ["tools run csv_sum.ts --input @nosuch", 3, /Cannot read "nosuch"/],
  ["tools run csv_sum.ts --isolation tank", 2, /expected process, jail, worker/],
  ["tools run csv_sum.ts --timeout soon", 2, /Cannot use duration "soon"/],
  ["run greeter.ts go --review never", 2, /agents make no tools here, expected --jit too/],
  ["run greeter.ts go --jit --review some", 2, /expected always, new-rights, never/],
];

Deno.test("tools refuses wrong usage with its exit code and one sentence", async (test) => {
  await using place = await withTool();
  await place.write("bare.ts", SUM);
  for (const name of ["torn", "odd", "misspelt"]) await place.write(`${name}.ts`, SUM);
  await place.write("torn.tool.json", "{");
  await place.write("odd.tool.json", JSON.stringify({ ...CONTRACT, rights: ["file"] }));
  const raed = { ...CONTRACT, rights: ["file.raed(./data/**)"] };
  await place.write("misspelt.tool.json", JSON.stringify(raed));
  for (const [argv, exit, says] of REFUSALS) {
    await test.step(`libos ${argv}`, async () => {
      const said = await place.libos(...argv.split(" "));
      match(said.out + said.err, says);
      equal(said.exit, exit);
    });
  }
});

const MAKER = `import { allow, defineImage } from "@agent-libos/core";
const second = ${JSON.stringify(SUM)};
const first = second.replace("let total = 0", "let total = 1");
const contract = ${JSON.stringify({ ...CONTRACT, name: "csv_sum", tests: [] })};
const image = defineImage({
  name: "maker",
  program: async ({ sys }) => {
    for (const source of [first, second]) {
      const { tool } = await sys.tool.propose({ ...contract, source });
      await sys.tool.register({ tool });
    }
    const input = ${INPUT};
    const { output } = await sys.tool.call({ name: "csv_sum", input });
    await sys.file.write({ path: "./done.md", text: String(output.total) });
    await sys.message.receive({});
    await sys.process.exit({ result: output });
  },
});
const write = allow("file.write", "./done.md");
const grants = [allow("tool.register", "*"), allow("file.read", "./**"), write];
export default { image, spawn: { goal: "Make one", grants } };
`;

Deno.test("tools lists, shows, compares, lets in and takes back what an agent wrote", async () => {
  await using place = await withTool();
  await place.write("maker.ts", MAKER);
  const go = ["run", "maker.ts", "p_1", "--jit", "--resume", "--no-wait"];
  const first = await place.libos("run", "maker.ts", "--jit", "--no-wait");
  equal(first.exit, 5, first.out + first.err);
  match(
    (await place.libos("tools")).out,
    /csv_sum +p_1 +[0-9a-f]{12} +generated +proposed → req_1\.1 +none +file\.read\(\.\/data\/\*\*\)/,
  );
  const yes = await place.libos("tools", "approve", "csv_sum");
  match(yes.out, /approved \(once\) req_1\.1 by ada[^]*libos run FILE p_1 --resume --jit goes on/);
  equal((await place.libos(...go)).exit, 5);
  await place.libos("tools", "approve", "req_1.2");
  const running = place.start(...go.slice(0, 5));
  await running.shows("file.write ./done.md");
  running.interrupt();
  match((await running.said).out, /tool csv_sum [0-9a-f]{12} registered/);
  equal(await place.read("done.md"), "42.5");
  const rows = await place.json<{ hash: string; holders: string[] }[]>("tools", "ls");
  const [now, old] = rows.toSorted((a, b) => b.holders.length - a.holders.length)
    .map(({ hash }) => hash);
  equal(rows.map(({ holders }) => holders).sort(), [[], ["p_1"]]);
  const { runs } = await place.json<{ runs: { ok: boolean }[] }>("tools", "show", now!);
  equal(runs.map(({ ok }) => ok), [true]);
  match((await place.libos("tools", "ls")).out, /csv_sum .* proposed [^]*csv_sum .* registered /);
  const shown = await place.libos("tools", "show", "csv_sum");
  match(shown.out, new RegExp(`sha256:${now}`));
  match(
    shown.out,
    /Review: +approved by ada \(req_1\.2\)[^]*registered for p_1 \(generated, reviewed\)/,
  );
  equal((await place.libos("tools", "source", old!.slice(0, 12))).out, SUM.replace("= 0", "= 1"));
  const diff = (await place.libos("tools", "source", "csv_sum", "--diff")).out;
  match(diff, /\n- {3}let total = 1;\n\+ {3}let total = 0;\n/);
  const revoked = await place.libos("tools", "revoke", "csv_sum", "-m", "it guesses");
  match(revoked.out, /revoked csv_sum [0-9a-f]{12} in t_1 by ada: it guesses\ntaken from p_1/);
  match((await place.libos("tools", "ls")).out, new RegExp(`${now!.slice(0, 12)} .* revoked `));
  equal((await place.libos("tools", "revoke", now!)).exit, 1);
  match((await place.libos("tools", "ls", "--tree", "t_1")).out, new RegExp(now!.slice(0, 12)));
  for (const form of ["table", "json"]) {
    const none = await place.libos("tools", "ls", "--tree", "t_9", "-o", form);
    equal([none.exit, none.out], [3, ""]);
    match(none.err, /Cannot find tree \\?"t_9\\?": absent/);
  }
  const absent = await place.libos("tools", "show", "nosuch");
  equal(absent.exit, 3);
  match(absent.err, /Cannot find tool "nosuch": absent, expected a name/);
});

Deno.test("tools deny tells the agent why its tool is not let in", async () => {
  await using place = await withTool();
  await place.write("maker.ts", MAKER);
  await place.libos("run", "maker.ts", "--jit", "--no-wait");
  match((await place.libos("tools", "deny", "csv_sum")).err, /no reason, expected -m WHY/);
  equal((await place.libos("tools", "deny", "csv_sum", "-m", "too wide")).exit, 0);
  const { exit, out } = await place.libos("run", "maker.ts", "p_1", "--jit", "--resume");
  equal(exit, 4);
  match(out, /ada refused it: too wide/);
  const none = await place.libos("tools", "approve", "csv_sum");
  equal(none.exit, 3);
  match(none.err, /no request to register it waits/);
});

Deno.test("run says which option lets agents make tools", async () => {
  await using place = await withTool();
  await place.write("maker.ts", MAKER);
  const { exit, err } = await place.libos("run", "maker.ts");
  equal(exit, 1);
  match(err, /Try: libos run with --jit/);
});

Deno.test("doctor tries each tier of isolation that can be tried", async () => {
  await using place = await Place.make();
  const { out } = await place.libos("doctor");
  match(out, /tools: compiler +ok +checked a tool in \d+ ms/);
  match(out, /tools: process +ok +ran one in \d+ ms/);
  match(out, /tools: jail +(ok|note) +/);
  match(out, /tools: worker +note +not tried.*--unstable-worker-options/);
  doesNotMatch(out, /undefined/);
});
