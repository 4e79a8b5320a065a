/**
 * Claims about the smaller commands: what they make, count, compare and put, here and on a server.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { agentSource } from "../cli/new.ts";
import { commandWords } from "../cli/top.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";

Deno.test("new agent makes a file that runs, asks and is never written over", async () => {
  await using place = await Place.make();
  const made = await place.libos("new", "agent", "scout");
  equal([made.exit, made.out], [0, "made scout.ts\nNext: libos run scout.ts\n"]);
  // tests/docs_test.ts looks at its types.
  equal(await place.read("scout.ts"), agentSource("scout"));
  equal((await place.libos("run", "scout.ts", "--no-wait")).exit, 5);
  equal((await place.libos("approve", "req_1.1")).exit, 0);
  const ran = await place.libos("run", "scout.ts", "--resume", "-q");
  equal([ran.exit, ran.out], [0, "What I found is in scout.md\n"]);
  equal(await place.read("scout.md"), "I looked around.\n");
  const again = await place.libos("new", "agent", "scout");
  equal(again.exit, 1);
  match(again.err, /Cannot make agent "scout": "scout\.ts" exists, expected another name/);
  equal((await place.libos("new", "tool", "lines")).exit, 0);
  match(await place.read("lines.tool.json"), /"name": "lines"/);
});

const LATER: readonly (readonly [argv: string, says: RegExp])[] = [
  ["tools pin x", /Cannot run "tools pin": this version has no pinned tools of MCP servers/],
];

Deno.test("A command of a later version says so in one sentence, and exits 2", async () => {
  await using place = await Place.make();
  for (const [argv, says] of LATER) {
    for (const host of [[], ["--host", "http://127.0.0.1:1", "--token", "x"]]) {
      const { exit, out, err } = await place.libos(...argv.split(" "), ...host);
      equal([exit, out], [2, ""], argv);
      match(err, says);
      equal(err.split("\n").length, 3, "a sentence, and where to look");
    }
  }
});

const WRONG: readonly (readonly [argv: string, exit: number, says: RegExp])[] = [
  ["new boat x", 2, /Cannot make "boat": unknown, expected agent NAME \| tool NAME/],
  ["new agent 9x", 2, /expected letters, digits, _ and - after a letter/],
  ["cost --by colour", 2, /expected process, tree, model, day/],
  ["cost --since soon", 2, /Cannot use duration "soon"/],
  ["cost p_9", 3, /Cannot find tree "p_9"/],
  ["objects diff obj_1.99", 3, /Cannot find object "obj_1\.99"/],
  ["objects put p_1 x", 2, /Cannot run "objects put"/],
  ["objects put p_1 x {", 1, /Cannot find|Cannot put/],
  ["objects put p_1 x { --json", 2, /Cannot put the value: .*expected JSON with --json/],
  ["objects put p_1 x @nosuch", 3, /Cannot read "nosuch": absent/],
  ["objects put p_9 x y", 3, /Cannot find process "p_9"/],
  ["objects put p_1 ../x y", 1, /Cannot use object name "\.\.\/x"/],
  ["policy test libos.policy", 2, /Cannot run "policy test"/],
  ["policy show p_1 more", 2, /too many words/],
  ["budget p_1 get", 2, /Cannot run "budget"/],
];

Deno.test("What is wrong with the smaller commands is said with its exit code", async (test) => {
  await using place = await Place.make();
  equal((await place.libos("run", "greeter.ts", "Say hi", "--no-wait")).exit, 5);
  for (const [argv, exit, says] of WRONG.filter(([argv]) => argv !== "objects put p_1 x {")) {
    await test.step(`libos ${argv}`, async () => {
      const said = await place.libos(...argv.split(" "));
      match(said.err, says);
      equal([said.exit, said.out], [exit, ""]);
    });
  }
});

const SPENDER = `import { defineImage } from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";
const list = { tool: "object_list", input: {} };
export default defineImage({ name: "dear", model: scriptedModel([list, list, "Done"]) });
`;

Deno.test("cost adds up what models took, by process, tree, model and day, on a server too", async () => {
  await using at = await served(async (place) => {
    await place.write("dear.ts", SPENDER);
    for (const goal of ["One", "Two"]) equal((await place.libos("run", "dear.ts", goal)).exit, 0);
    return ["dear.ts"];
  });
  type Row = { readonly key: string; readonly modelCalls: number; readonly tokens: number };
  const cost = (...argv: string[]) => at.place.json<Row[]>("cost", ...argv);
  const all = await at.place.json<{ pid: string; spent: { tokens: number } }[]>("ps", "-a");
  const spent = new Map(all.map(({ pid, spent }) => [pid, spent.tokens]));
  for (const host of [[], at.host]) {
    const byProcess = await cost(...host);
    equal(byProcess.map(({ key }) => key).sort(), ["p_1", "p_2"]);
    for (const { key, tokens, modelCalls } of byProcess) {
      equal([tokens, modelCalls], [spent.get(key), 3]);
    }
    const sum = byProcess.reduce((so, { tokens }) => so + tokens, 0);
    for (const by of ["model", "day"]) {
      const [row, ...more] = await cost("--by", by, ...host);
      equal([row!.tokens, row!.modelCalls, more], [sum, 6, []], by);
    }
    equal((await cost("t_2", "--by", "tree", ...host)).map(({ key }) => key), ["t_2"]);
    equal(await cost("--since", "1ms", ...host), []);
  }
  match((await at.place.libos("cost")).out, /^PROCESS +CALLS +TOKENS +COST\np_[12] +3 +/);
});

Deno.test("Objects are put into a process's memory and compared, here and on a server", async () => {
  await using at = await served();
  await at.place.write("notes.txt", "line one\nline two\n");
  let n = 0;
  for (const host of [[], at.host]) {
    const libos = (...argv: string[]) => at.place.libos(...argv, ...host);
    const name = `notes/n${n++}`;
    const made = await libos("objects", "put", "p_1", name, "@notes.txt");
    equal(made.exit, 0, made.err);
    match(made.out, new RegExp(`^obj_1\\.\\d+ /p_1/${name} has version 1 now\n$`));
    equal((await libos("objects", "put", "p_1", name, "line one\nline 2\n")).exit, 0);
    const { out } = await libos("objects", "diff", `/p_1/${name}`);
    match(out, /- line two\n\+ line 2/);
    equal(
      (await libos("objects", "diff", `/p_1/${name}`, "2", "1")).out.includes("+ line two"),
      true,
    );
    equal((await libos("objects", "diff", `/p_1/${name}`, "1", "9")).exit, 3);
    const stale = await libos("objects", "put", "p_1", name, "other", "--from", "1");
    equal(stale.exit, 1);
    match(stale.err, /at version 2, expected 1 \[ESTALE\]/);
    equal((await libos("objects", "put", "p_1", name, "again", "--from", "0")).exit, 1);
    equal((await libos("objects", "put", "p_1", `${name}/j`, '{"a":[1]}', "--json")).exit, 0);
    equal(JSON.parse((await libos("objects", "cat", `/p_1/${name}/j`, "-o", "json")).out), {
      a: [1],
    });
    const [first] = await at.place.json<{ from: { call: string }; label: { trust: string } }[]>(
      ...["objects", "history", `/p_1/${name}`],
      ...host,
    );
    match(first!.from.call, /^person:/);
    // What its process has seen is on it, too.
    equal(first!.label.trust, "untrusted");
  }
  equal((await at.place.libos("verify")).exit, 0);
});

Deno.test("Budgets of all are listed, decisions of a server too, and a policy is tried on the past", async () => {
  await using at = await served();
  for (const argv of [["budget"], ["audit", "ls"], ["audit", "ls", "--decision", "deny"]]) {
    const here = await at.place.libos(...argv, "-o", "json");
    const there = await at.place.libos(...argv, "-o", "json", ...at.host);
    equal([there.exit, there.out], [here.exit, here.out]);
    ok(JSON.parse(here.out).length > 0);
  }
  await at.place.write("strict.policy", "deny file.list\n");
  const said = await at.place.libos("policy", "test", "strict.policy", "p_1");
  equal(said.exit, 7);
  match(said.out, /file\.list/);
  await at.place.write("mild.policy", "deny file.remove\n");
  equal((await at.place.libos("policy", "test", "mild.policy", "p_1")).exit, 0);
  equal((await at.place.libos("events", "p_1", "--since", "1ms")).out, "");
  ok((await at.place.libos("events", "p_1", "--since", "1h", ...at.host)).out.length > 0);
});

Deno.test("Ids are taken by their beginning wherever one is wanted, on a server too", async () => {
  await using at = await served();
  const made = await at.place.json<{ id: string }>("token", "create", "eve", "--role", "viewer");
  const lines = await at.place.json<{ seq: number; type: string }[]>("events", "p_1");
  const { seq } = lines.find(({ type }) => type === "call.done")!;
  for (const host of [[], at.host]) {
    const libos = (...argv: string[]) => at.place.libos(...argv, ...host);
    for (
      const argv of [
        ["describe", "p_"],
        ["events", "t_"],
        ["policy", "show", "t_"],
        ["explain", String(seq), "--tree", "t_"],
        ["cost", "t_"],
        ["audit", "ls", "t_"],
        ["approvals", "show", "req_1"],
        ["caps", "ls", "p_"],
      ]
    ) {
      const { exit, err } = await libos(...argv);
      equal(exit, 0, `${argv.join(" ")} ${host.length} ${err}`);
    }
  }
  const near = made.id.slice(0, -1);
  equal((await at.place.libos("token", "revoke", near, "-q")).out, `${made.id}\n`);
});

Deno.test("Budget, time and interruption have their exit codes", async () => {
  await using place = await Place.make();
  const spent = await place.libos("run", "spender.ts", "Spend", "--budget", "modelCalls=1");
  equal(spent.exit, 6, spent.out + spent.err);
  equal((await place.libos("wait", "p_1")).exit, 6);
  const late = await place.libos("run", "waiter.ts", "Wait", "--timeout", "100ms");
  equal(late.exit, 124);
  const waited = await place.libos("wait", "p_2", "--timeout", "10ms");
  equal(waited.exit, 124);
  match(waited.err, /^p_2 is \S+ still, after 10ms\n$/);
  const running = place.start("run", "waiter.ts", "Wait again");
  await running.shows("▸ p_3");
  running.interrupt();
  equal((await running.said).exit, 130);
});

Deno.test("A command line inside top has its words, its process, and an end", () => {
  equal(commandWords("caps ls %", "p_7"), ["caps", "ls", "p_7"]);
  equal(commandWords(`libos can % 'file.read(./a b)' "x y"`, "p_7"), [
    ...["can", "p_7", "file.read(./a b)", "x y"],
  ]);
  for (const line of ["top", "logs -f p_1", "ps -tw", "attach p_1", "-q attach p_1", "spawn a b"]) {
    try {
      commandWords(line, null);
    } catch (thrown) {
      match(String(thrown), /it does not end by itself, or wants the screen/);
      continue;
    }
    throw new Error(`not refused: ${line}`);
  }
});
