/**
 * Claims about the command line: wrong usage, help, and files it reads.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { COMMANDS } from "../cli/main.ts";
import { Place } from "./cli_place.ts";

/** Arguments, exit code, and what is said. */
type Row = readonly [argv: string, exit: number, says: RegExp];

const REFUSALS: readonly Row[] = [
  ["", 0, /^Usage: libos COMMAND/],
  ["--quiet", 2, /Usage: libos COMMAND/],
  ["help", 0, /people\n {2}approvals/],
  ["help approve", 0, /Usage: libos approve ID/],
  ["help nosuch", 2, /no such command/],
  ["aprove req_1.1", 2, /did you mean "approve"/],
  ["ps extra", 2, /1 arguments, expected/],
  ["ps --nosuch", 2, /Cannot run "ps": Unknown option '--nosuch'\n/],
  ["ps --stat ready", 2, /Unknown option '--stat', did you mean "--state"\?/],
  ["overview p_1", 2, /1 arguments, expected none\n/],
  ["gc", 3, /Cannot open store ".*": absent, expected a store/],
  ["skills ls --skills nosuch", 3, /Cannot find skills in ".*nosuch": absent, expected a folder/],
  ["ps -o toml", 2, /Cannot print "toml": unknown, expected table/],
  ["ps --state waitng", 2, /Cannot list state "waitng": unknown, expected ready, running/],
  ["ps --state waiting/persn", 2, /unknown, expected .*waiting\/person/],
  ["ps --db .", 1, /Cannot open store ".*": a folder, expected a file/],
  ["images build nosuch", 3, /Cannot open ".*nosuch": absent/],
  ["ps", 3, /Cannot open store ".*": absent, expected a store/],
  ["describe", 2, /0 arguments, expected PID/],
  ["logs p_1 --since none", 2, /Cannot use --since "none"/],
  ["approvals show", 2, /Cannot run "approvals show"/],
  ["approvals nosuch", 2, /Cannot run "approvals nosuch"/],
  ["approve", 2, /0 arguments, expected ID/],
  ["approve req_1.1 --for soon", 2, /Cannot use duration "soon"/],
  ["approve req_1.1 --uses 0", 2, /expected a whole number from 1/],
  ["approve req_1.1 --scope world", 2, /Cannot approve for "world": unknown, expected once/],
  ["approve req_1.1 --scope once --uses 3", 2, /expected --scope process or wider/],
  ["approve req_1.1 --rule x", 2, /column 1 has no verb/],
  ["deny req_1.1", 2, /no reason, expected -m WHY/],
  ["answer req_1.1", 2, /1 arguments, expected ID VALUE/],
  ["kill", 2, /0 arguments, expected PID/],
  ["send p_1", 2, /1 arguments, expected PID TEXT/],
  ["caps ls", 2, /1 arguments/],
  ["caps give p_1", 2, /Cannot run "caps give"/],
  ["can p_1", 2, /1 arguments/],
  ["can p_1 file.raed(./x)", 2, /no syscall "file.raed", did you mean "file.read"/],
  ["can p_1 file", 2, /column 1 has no verb/],
  ["explain seventeen", 2, /expected the number of a line, or a call/],
  ["policy check", 2, /Cannot run "policy check"/],
  ["policy check nosuch.policy", 3, /Cannot read "nosuch.policy": absent, expected a file/],
  ["budget p_1 get x", 2, /Cannot run "budget"/],
  ["objects burn obj_1.1", 2, /Cannot run "objects burn"/],
  ["audit burn", 2, /Cannot run "audit burn"/],
  ["audit --decision maybe", 2, /expected allow, ask or deny/],
  ["run", 2, /0 arguments/],
  ["run nosuch.ts go", 3, /Cannot run "nosuch.ts": no such file/],
  ["run nothing.ts go", 2, /it exports no image/],
  ["run notes.md go", 1, /Cannot load "notes.md": Expected a JavaScript or TypeScript module/],
  ["run cut.ts go", 1, /Cannot load "cut.ts": SyntaxError: [^]*cut.ts:1:/],
  [
    "run boom.ts go",
    1,
    /Cannot load "boom.ts": boom, at file:.*boom.ts:1:7\nexpected a TypeScript/,
  ],
  ["run greeter.ts", 2, /no goal, expected one, or --resume/],
  ["run greeter.ts go --no-wait --grant file.wriet(./x)", 2, /did you mean "file.write"/],
  ["run greeter.ts go --grant x", 2, /column 1 has no verb/],
  ["run greeter.ts go --budget token=5", 2, /did you mean "tokens"/],
  ["run greeter.ts go --budget tokens=many", 2, /Cannot limit tokens to "many"/],
  ["run greeter.ts go --timeout soon", 2, /Cannot use duration "soon"/],
  ["run agent go", 2, /no model, expected --model URL and --model-id NAME/],
  ["run agent go --model http://127.0.0.1:1/v1", 2, /half of it is named/],
  ["run greeter.ts --resume", 3, /none is live/],
];

Deno.test("main() refuses wrong usage with its exit code and one sentence", async (test) => {
  await using place = await Place.make();
  await place.write("notes.md", "# Notes\n");
  await place.write("cut.ts", "const x = ;\n");
  await place.write("boom.ts", 'throw new Error("boom");\n');
  for (const [argv, exit, says] of REFUSALS) {
    await test.step(`libos ${argv}`, async () => {
      const said = await place.libos(...argv.split(" ").filter((word) => word !== ""));
      match(said.out + said.err, says);
      equal(said.exit, exit);
    });
  }
});

Deno.test("main() says errors as RFC 9457 objects when JSON was asked for", async () => {
  await using place = await Place.make();
  const wrong = await place.libos("approve", "-o", "json");
  equal(wrong.out, "");
  const { code, status, type } = JSON.parse(wrong.err);
  equal([code, status, type], ["usage", 400, "urn:agent-libos:error:usage"]);
  const absent = await place.libos("--output=jsonl", "ps");
  const problem = JSON.parse(absent.err);
  equal([absent.exit, problem.code, problem.status], [3, "ENOENT", 404]);
  equal(Object.keys(problem).sort(), ["code", "detail", "status", "title", "type"]);
});

Deno.test("main() takes the options of every command before its name too", async () => {
  await using place = await Place.make();
  const said = await place.libos("--db", "elsewhere.db", "-o", "json", "ps");
  match(said.err, /elsewhere\.db/);
  equal(said.exit, 3);
});

Deno.test("Every command has a page with its usage and two examples of itself", async () => {
  await using place = await Place.make();
  for (const { name } of COMMANDS.values()) {
    const { exit, out } = await place.libos(name, "--help");
    equal(exit, 0);
    match(out, new RegExp(`^Usage: libos ${name}`));
    const examples = out.split("Examples:\n")[1]!.split("\n\n")[0]!.split("\n");
    equal(examples.length, 2, name);
    ok(examples.every((line) => line.startsWith(`  libos ${name}`)), name);
  }
});

Deno.test("policy check tells the line and what was meant", async () => {
  await using place = await Place.make();
  await place.write("bad.policy", "# mine\ndeny file.raed(./x)\nallow file.read(./**)\n");
  const bad = await place.libos("policy", "check", "bad.policy");
  match(bad.out, /bad\.policy:2: no syscall "file\.raed", did you mean "file\.read"\?/);
  equal(bad.exit, 1);
  await place.write("good.policy", "deny   file.read(./x)   because  secret\n");
  equal((await place.libos("policy", "check", "good.policy")).exit, 0);
  const { out } = await place.libos("policy", "fmt", "good.policy");
  equal(out, "deny file.read(./x) because secret\n");
});

Deno.test("init makes a store, its key, a sound policy and an agent, and replaces nothing", async () => {
  await using place = await Place.make();
  await place.write("hello.ts", await place.read("greeter.ts"));
  const first = await place.libos("init");
  match(
    first.out,
    /key .*libos\.db\.key: seals the log.*\nmade {2}libos\.policy, libos\.mcp\.lock\nkept {2}hello\.ts/,
  );
  equal(await place.read("hello.ts"), await place.read("greeter.ts"));
  equal((await Deno.stat(`${place.db}.key`)).mode! & 0o777, 0o600);
  match((await place.libos("verify")).out, /\(seals\) .*OK, sealed/);
  await place.write("libos.policy", "deny file.remove\n");
  const [key, before] = [await place.read(".libos/libos.db.key"), await Deno.readFile(place.db)];
  const again = await place.libos("init");
  equal(again.exit, 1);
  match(again.err, /Cannot make ".*libos\.db": a store is there, and nothing was changed/);
  equal(await place.read("libos.policy"), "deny file.remove\n");
  equal(await place.read(".libos/libos.db.key"), key);
  equal(await Deno.readFile(place.db), before);
  await Deno.remove(`${place.folder}/hello.ts`);
  await Deno.remove(`${place.folder}/libos.policy`);
  match((await place.libos("init", "--db", "o.db")).out, /made {2}libos\.policy, hello\.ts/);
  equal((await place.libos("policy", "check", "libos.policy")).exit, 0);
  const grants = ["--grant", "file.list(.)", "--grant", "file.write(./out.md)"];
  equal((await place.libos("run", "hello.ts", "Look", ...grants)).exit, 0);
  equal((await place.libos("doctor")).exit, 0);
});

Deno.test("init makes the store of a file that was left before it became one", async () => {
  await using place = await Place.make();
  await Deno.mkdir(`${place.folder}/.libos`);
  await place.write(".libos/libos.db", "");
  const { exit, out, err } = await place.libos("init");
  equal(exit, 0, err);
  match(out, /^store .*libos\.db\nkey/);
  match((await place.libos("verify")).out, /\(seals\) .*OK, sealed/);
});

Deno.test("doctor tells of a store whose lock cannot be taken, and keeps none", async () => {
  await using place = await Place.make();
  equal((await place.libos("init")).exit, 0);
  // Nobody writes a file where a folder is; a folder that can only be read refuses as well.
  await Deno.mkdir(`${place.db}.owner`);
  const { exit, out } = await place.libos("doctor", "--store");
  match(out, /^lock +note +none can be taken: .*\nstore +ok .*\nchain +ok /m);
  equal(exit, 0);
  await Deno.remove(`${place.db}.owner`);
  match((await place.libos("doctor", "--store")).out, /^lock +ok +free/m);
});

Deno.test("Who is read no more, as by head, ends like other tools and says nothing", async () => {
  const main = new URL("../cli/main.ts", import.meta.url).pathname;
  // The pipe has no reader any more before the first word is printed.
  const child = new Deno.Command("bash", {
    args: ["-c", 'exec 3> >(exec true); wait $!; "$0" "$@" >&3', Deno.execPath()]
      .concat(["run", "-A", "--no-check", main, "help"]),
    stdout: "null",
    stderr: "piped",
  });
  const { code, stderr } = await child.output();
  equal(new TextDecoder().decode(stderr), "");
  equal(code, 141);
});
