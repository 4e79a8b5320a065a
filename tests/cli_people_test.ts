/**
 * Claims about the command line: people who answer, orders, and what is told afterwards.
 * @module
 */

import { deepStrictEqual as equal, doesNotMatch, match, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { realClock } from "../providers/clock.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { Place } from "./cli_place.ts";

interface Shown {
  readonly pid: string;
  readonly state: string;
  readonly step: number;
}

/** A place where the greeter waits for a person. */
async function parked(): Promise<Place> {
  const place = await Place.make();
  const said = await place.libos("run", "greeter.ts", "Say hi", "--no-wait");
  equal(said.exit, 5);
  match(said.out, /▸ p_1 greeter {2}"Say hi"/);
  match(said.out, /├─ p_1 greeter +file\.list \. +allow cap_1\.2/);
  match(said.out, /├─ p_1 greeter +file\.read \.\/secret\.env +DENY/);
  match(said.out, /├─ p_1 greeter +file\.write \.\/out\.md +ask → req_1\.1/);
  match(said.out, /answer with: libos approve req_1\.1/);
  match(said.err, /Go on with: libos run greeter\.ts p_1 --resume/);
  return place;
}

Deno.test("An agent parks on a person, is approved once, and goes on when run again", async () => {
  await using place = await parked();
  const [process] = await place.json<Shown[]>("ps");
  equal([process?.pid, process?.state], ["p_1", "waiting"]);
  equal((await place.libos("approvals", "-o", "name")).out, "req_1.1\n");
  match((await place.libos("approvals", "show", "req_1")).out, /What: +file\.write/);
  const approved = await place.libos("approve", "req_1", "-m", "fine");
  equal(approved.exit, 0);
  match(approved.out, /approved \(once\) req_1\.1 by ada/);
  match(
    approved.out,
    /granted cap_1\.\d+ allow file\.write\(\.\/out\.md\) to p_1 until .*, uses: 1/,
  );
  match(approved.out, /No kernel runs on this store/);
  const again = await place.libos("approve", "req_1.1");
  equal(again.exit, 1);
  match(again.err, /Cannot answer request "req_1\.1": approved already \[ESTATE\]/);
  equal((await place.libos("approve", "req_1.9")).exit, 3);
  equal((await place.libos("approve", "req_7.1")).exit, 3);
  const later = await place.libos("run", "greeter.ts", "--resume");
  equal(later.exit, 0);
  match(later.out, /└─ p_1 exited 0/);
  match(later.out, /chain OK \(\d+ lines\)/);
  equal(await place.read("out.md"), "Say hi");
});

Deno.test("Orders where no kernel runs take effect, and no process takes a step", async () => {
  await using place = await Place.make();
  equal((await place.libos("run", "asker.ts", "--no-wait")).exit, 5);
  const before = await callsOf(place);
  match((await place.libos("approvals", "show", "req_1.1")).out, /^To: +owner$/m);
  match((await place.libos("approvals", "-o", "wide")).out, / TO .*\n.* owner /);
  match((await place.libos("answer", "req_1.1", "42")).out, /answered 42 req_1\.1 by ada/);
  equal((await place.libos("pause", "p_1")).out, "p_1 is paused\n");
  match((await place.libos("pause", "p_1")).err, /Cannot pause process "p_1": paused/);
  match((await place.libos("resume", "p_1")).out, /p_1 is ready/);
  equal((await place.libos("send", "p_1", "be quick")).out, "sent to p_1\n");
  match((await place.libos("budget", "p_1", "set", "tokens=50000", "wall=1h")).out, /\/50000/);
  match(
    (await place.libos("caps", "grant", "p_1", "file.read(./x)")).err,
    /over the tree's ceiling/,
  );
  const granted = await place.libos("caps", "grant", "p_1", "human.ask(x)", "--uses", "2", "-q");
  match(granted.out, /^cap_1\.\d+\n$/);
  match((await place.libos("caps", "revoke", granted.out.trim())).out, /^revoked cap_1/);
  equal(await callsOf(place), before);
  const { exit, out } = await place.libos("run", "asker.ts", "p_1", "--resume", "-q");
  equal([exit, out], [0, "It is so\n"]);
  const [asked] = (await place.json<{ readonly seq: number; readonly type: string }[]>(
    "events",
    "p_1",
  )).filter(({ type }) => type === "human.asked");
  const told = await place.libos("explain", String(asked!.seq), "--tree", "t_1");
  match(told.out, /asked +req_1\.1 \(question to owner\) answered 42 by ada/);
  equal((await place.libos("kill", "p_1")).exit, 1);
});

async function callsOf(place: Place): Promise<number> {
  const lines = await place.json<{ type: string }[]>("events", "p_1");
  return lines.filter(({ type }) => type.startsWith("call.")).length;
}

Deno.test("deny tells the agent why, and a wider approval needs the ceiling", async () => {
  await using place = await parked();
  const over = await place.libos("approve", "req_1.1", "--rule", "file.write(./**)");
  equal(over.exit, 4);
  match(
    over.err,
    /over the tree's ceiling, expected what the tree was started with, or a new tree \[EPERM\]/,
  );
  equal((await place.libos("approve", "req_1.1", "--rule", "file.read(./**)")).exit, 2);
  equal((await place.libos("deny", "req_1.1", "-m", "not here")).exit, 0);
  const later = await place.libos("run", "greeter.ts", "--resume");
  equal(later.exit, 4);
  match(later.out, /p_1 failed: Cannot call "file\.write": ada refused it: not here \[EACCES\]/);
});

Deno.test("An order whose kernel goes away is taken by who gave it", async () => {
  await using place = await parked();
  const other = SqliteStore.open(place.db);
  const approving = place.start("approve", "req_1.1");
  while ((await other.getInbox("t_1")).length === 0) await realClock.sleep(5);
  await other.close();
  const { exit, out } = await approving.said;
  equal(exit, 0);
  match(out, /approved \(once\) req_1\.1 by ada\ngranted cap_1\.4[^]*No kernel runs/);
});

Deno.test("An approval for a process covers later calls of its pattern", async () => {
  await using place = await parked();
  const scope = ["--scope", "process", "--for", "15m", "--uses", "3"];
  const said = await place.libos("approve", "req_1.1", ...scope, "--rule", "file.write(./out*)");
  match(said.out, /granted cap_1\.4 allow file\.write\(\.\/out\*\) to p_1 until .*, uses: 3/);
  equal((await place.libos("can", "p_1", "file.write(./out2.md)")).exit, 0);
});

Deno.test("can says what decides, and what would allow it", async () => {
  await using place = await parked();
  const may = await place.libos("can", "p_1", "file.list", ".");
  match(may.out, /^ALLOW {2}file\.list\(\.\) for p_1 {2}by cap_1\.2/);
  equal(may.exit, 0);
  const none = await place.libos("can", "p_1", "net.fetch", "https://x.test/");
  match(none.out, /^DENY .* no capability covers it/);
  match(
    none.out,
    /to allow +libos run … --grant 'net\.fetch\(https:\/\/x\.test\/\)', in a new tree/,
  );
  equal(none.exit, 4);
  const asks = await place.json<{ decision: string; rule: string }>(
    "can",
    "p_1",
    "file.write(./out)",
  );
  equal([asks.decision, asks.rule], ["ask", "ask file.write(./out*)"]);
  // What the tree was started with can be granted again.
  await place.libos("caps", "revoke", "cap_1.2");
  const lost = await place.libos("can", "p_1", "file.list", ".");
  match(lost.out, /to allow +libos caps grant p_1 'file\.list\(\.\)' --uses 1/);
  equal((await place.libos("caps", "grant", "p_1", "file.list(.)", "--uses", "1")).exit, 0);
});

Deno.test("explain tells a call's decision, its chain, who approved it, and its line", async () => {
  await using place = await parked();
  const waits = await place.libos("explain", "p_1#1.3");
  match(waits.out, /decision {2}none yet: a person is asked\n {2}asked +req_1\.1/);
  await place.libos("approve", "req_1.1");
  await place.libos("run", "greeter.ts", "--resume");
  const { exit, out } = await place.libos("explain", "p_1#1.3");
  equal(exit, 0);
  match(out, /^#\d+ file\.write {2}by p_1, step 1, call 3/);
  match(
    out,
    /chain +cap_1\.4 file\.write\(\.\/out\.md\) \(approval of req_1\.1 by ada\) ⊂ cap_1\.3/,
  );
  match(out, /⊂ cap_1\.3 file\.write\(\.\/out\*\) \(boot by boot\)/);
  match(out, /asked +req_1\.1 approved \(once\) by ada/);
  match(out, /effect +ok/);
  const [, seq, hash] = /line +t_1 #(\d+) sha256:([0-9a-f]{64})/.exec(out)!;
  const lines = await place.json<{ seq: number; prev: string }[]>("events", "p_1");
  equal(lines.find((line) => line.seq === Number(seq) + 1)?.prev, hash);
  equal((await place.libos("explain", seq!, "--tree", "t_1")).out, out);
  const denied = await place.libos("explain", "p_1#1.2");
  match(denied.out, /decision +DENY/);
  match(denied.out, /considered +cap_1\.\d +- +the right differs/);
  match(denied.out, /to allow +libos run … --grant 'file\.read\(\.\/secret\.env\)', in a new tree/);
});

Deno.test("verify finds a changed byte and its place where the tree refuses to run", async () => {
  await using place = await parked();
  equal((await place.libos("verify")).exit, 0);
  using db = new DatabaseSync(place.db);
  db.exec("UPDATE batches SET body = replace(body, 'Say hi', 'Say ho')");
  const said = await place.libos("verify");
  equal(said.exit, 7);
  match(said.out, /BROKEN: Cannot read tree "t_1" at line \d+: the line before was changed/);
  const found = await place.libos("audit", "verify", "-o", "json");
  const [{ ok: isSound, line }] = JSON.parse(found.out);
  equal([found.exit, isSound, typeof line], [7, false, "number"]);
  equal((await place.libos("pause", "p_1")).exit, 7);
  equal((await place.libos("doctor")).exit, 7);
});

const READS: readonly (readonly string[])[] = [
  ["ps", "-a"],
  ["ps", "-t"],
  ["describe", "p_1"],
  ["logs", "p_1"],
  ["events"],
  ["events", "p_1", "--since", "3"],
  ["approvals"],
  ["approvals", "show", "req_1.1"],
  ["caps", "ls", "p_1"],
  ["caps", "tree", "p_1"],
  ["can", "p_1", "file.list(.)"],
  ["explain", "p_1#1.1"],
  ["policy", "show"],
  ["policy", "unused"],
  ["budget", "p_1"],
  ["objects", "ls", "p_1"],
  ["audit"],
  ["audit", "--decision", "deny"],
  ["verify"],
  ["doctor"],
];

// deno-lint-ignore no-control-regex
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

Deno.test("What agents wrote never acts on a terminal, and JSON gives it back", async () => {
  await using place = await Place.make();
  const goal = "Say\u001b[31m \u202ehi\u009b";
  await place.libos("run", "greeter.ts", goal, "--no-wait");
  for (const argv of READS) {
    for (const format of ["table", "wide", "json", "jsonl", "name"]) {
      const { exit, out, err } = await place.libos(...argv, "-o", format);
      equal(exit, 0, `${argv.join(" ")}: ${err}`);
      doesNotMatch(out + err, UNSAFE, argv.join(" "));
      if (format === "json" && argv[0] !== "logs") JSON.parse(out);
      if (format === "jsonl") {
        for (const line of out.trim().split("\n")) line && JSON.parse(line);
      }
    }
  }
  const [process] = await place.json<{ goal: string }[]>("ps");
  equal(process?.goal, goal);
  match((await place.libos("ps")).out, /Say\\u\{1b\}\[31m \\u\{202e\}hi\\u\{9b\}/);
});

Deno.test("policy load reaches a live tree, and unused says what never decided", async () => {
  await using place = await parked();
  await place.write("more.policy", "deny file.write(./out.md)\ndeny file.remove\n");
  match((await place.libos("policy", "load", "more.policy")).out, /loaded 2 rules into t_1/);
  equal((await place.libos("can", "p_1", "file.write(./out.md)")).exit, 4);
  equal((await place.json<unknown[]>("policy", "unused")).length, 2);
  await place.libos("approve", "req_1.1");
  equal((await place.libos("run", "greeter.ts", "--resume")).exit, 4);
  const left = await place.json<{ rule: string }[]>("policy", "unused");
  ok(left.every(({ rule }) => rule.startsWith("deny file.remove")));
  equal(left.length, 1);
});

Deno.test("Where a text is wanted, an answer is what was written, and no number", async () => {
  await using place = await Place.make();
  const version = `import { allow, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "version",
  program: async ({ sys }) => {
    const { answer: text } = await sys.human.ask({ prompt: "Which version?" });
    const schema = { type: "number" };
    const { answer: count } = await sys.human.ask({ prompt: "How many?", schema });
    await sys.process.exit({ result: { text, count } });
  },
});
export default { image, spawn: { goal: "Ask", grants: [allow("human.ask", "**")] } };
`;
  await place.write("version.ts", version);
  equal((await place.libos("run", "version.ts", "--no-wait")).exit, 5);
  const wrong = await place.libos("approve", "req_1.1");
  equal(wrong.exit, 1);
  match(wrong.err, /a question, expected an answer to it, by .* libos answer, or deny/);
  match((await place.libos("answer", "req_1.1", "1.10")).out, /answered 1\.10 req_1\.1/);
  equal((await place.libos("run", "version.ts", "--resume", "--no-wait")).exit, 5);
  equal((await place.libos("answer", "req_1.2", "1.10")).exit, 0);
  const ended = await place.libos("run", "version.ts", "--resume", "--no-wait", "-o", "json");
  match(ended.out, /"text": "1\.10"/);
  match(ended.out, /"count": 1\.1,/);
});
