/**
 * Claims about the command line beside a kernel that owns the store: each command that wants it for
 * itself says whose it is and what to do, and changes nothing.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import { COMMANDS } from "../cli/main.ts";
import { besideServer } from "../cli/token.ts";
import { privateFile } from "../server/mod.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";

/** What wants the store for itself, and whether a server does it too. */
const OWNING: readonly (readonly [string, boolean])[] = [
  ["rollback p_1 1 -y", true],
  ["rollback p_1 1 --files -y", true],
  ["fork p_1 1", true],
  ["gc", false],
  ["erase /p_1/notes -m asked -y", false],
  ["tree export t_1 --move -y", true],
  ["tree import t_1.jsonl", true],
  ["tree retain --now", false],
  ["run waiter.ts Wait", false],
  ["serve waiter.ts --port 0", false],
  ["store encrypt --store-key one.key", false],
  ["store rekey --store-key one.key --new-key one.key", false],
];

/** A place where an object is there to be erased, and a key. */
async function prepared(place: Place): Promise<void> {
  await place.write(
    "noter.ts",
    `import { defineImage } from "@agent-libos/core";
export default defineImage({ name: "noter", program: async ({ sys }) => {
  await sys.object.create({ name: "notes", value: "n".repeat(900) });
  await sys.process.exit({});
} });
`,
  );
  equal((await place.libos("run", "noter.ts", "Note")).exit, 0);
  equal((await place.libos("store", "key", "one.key")).exit, 0);
  await place.write("t_1.jsonl", (await place.libos("tree", "export", "t_1")).out);
}

/** The log of every tree, as a text. */
async function logs(place: Place): Promise<string> {
  return (await Promise.all(["t_1", "t_2"].map((tree) => place.libos("events", tree))))
    .map(({ out }) => out).join("");
}

Deno.test("Beside a kernel without a server, each command says whose the store is, and how to go on", async () => {
  await using place = await Place.make();
  await prepared(place);
  const running = place.spawn("run", "waiter.ts", "Wait");
  await running.shows('▸ p_2 waiter  "Wait"');
  const [, pid] = /pid (\d+)/.exec(await place.read(".libos/libos.db.owner"))!;
  const before = await logs(place);
  for (const [argv, isThere] of OWNING) {
    const { exit, out, err } = await place.libos(...argv.split(" "));
    equal([argv, exit, out], [argv, 1, ""], err);
    const stop = `stop it first \\(Ctrl-C where it runs, or kill ${pid}\\)`;
    const serve = isThere ? ", or run it as libos serve and say --host URL" : "";
    const whose = `a kernel runs on the store \\(pid ${pid} on .+\\), expected none`;
    match(err, new RegExp(`^error: Cannot .+: ${whose}; ${stop}${serve} \\[EFENCED\\]\n$`), argv);
  }
  const { err } = await place.libos("gc", "-o", "json");
  const { code, detail, status } = JSON.parse(err);
  equal([code, status], ["EFENCED", 409]);
  match(detail, /^Cannot collect values: a kernel runs/);
  equal(await logs(place), before);
  equal((await place.libos("send", "p_2", "go")).exit, 0);
  equal((await running.said()).exit, 0);
  // What was said is what helps.
  equal((await place.libos("gc")).exit, 0);
});

Deno.test("Beside a server, each command names its address, or says that it has to stop", async () => {
  await using at = await served();
  const { place } = at;
  await place.write("t_1.jsonl", "");
  await place.libos("store", "key", "one.key");
  const { url } = besideServer(privateFile(`${place.folder}/.libos/server.json`))!;
  const before = await logs(place);
  for (const [argv, isThere] of OWNING) {
    if (argv.startsWith("erase")) continue;
    const { exit, err } = await place.libos(...argv.split(" "));
    equal([argv, exit], [argv, 1], err);
    const stop = "stop the server first \\(Ctrl-C where it runs, or kill \\d+\\)";
    const spawn = argv.startsWith("run") ? ", or start an agent there with libos spawn" : "";
    const way = isThere ? `it serves: say --host ${url}` : `${stop}${spawn}`;
    match(err, new RegExp(`\\(pid \\d+ on .+\\), expected none; ${way} \\[EFENCED\\]\n$`), argv);
  }
  equal(await logs(place), before);
  // What was said is what helps: going back and branching off, beside the kernel.
  equal((await place.libos("checkpoint", "create", "p_1", "here")).exit, 0);
  const host = ["--host", url];
  const fork = await place.libos("fork", "p_1", "here", ...host);
  match(fork.out, /^p_2 is a fork of p_1 at ck_1\.\d+ "here"/, fork.err);
  const back = await place.libos("rollback", "p_1", "here", "-y", ...host);
  match(back.out, /^p_1 is back at ck_1\.\d+ "here"/, back.err);
});

Deno.test("No command that was not asked here wants the store for itself", async () => {
  await using place = await Place.make();
  await prepared(place);
  const running = place.spawn("run", "waiter.ts", "Wait");
  await running.shows('▸ p_2 waiter  "Wait"');
  const asked = new Set(OWNING.map(([argv]) => argv.split(" ")[0]));
  // These go on until they are stopped, want a request, try cages, or are about no store.
  const other = [
    "doctor",
    "top",
    "attach",
    "wait",
    "logs",
    "demo",
    "approve",
    "edit",
    "deny",
    "answer",
  ];
  for (const { name, words: [least] } of COMMANDS.values()) {
    if (asked.has(name) || other.includes(name)) continue;
    const words = Array.from({ length: least }, (_, i) => i === 0 ? "p_1" : "x");
    const { err } = await place.libos(name, ...words);
    equal(/EFENCED/.test(err), false, `${name}: ${err}`);
  }
  running.interrupt();
  await running.said();
});
