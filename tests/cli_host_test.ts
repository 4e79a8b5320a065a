/**
 * Claims about the command line that speaks to a server: the same words, the same answers.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { parse } from "yaml";
import { COMMANDS } from "../cli/main.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";

/** Commands that say the same of a store and of the server on it. */
const ALIKE: readonly (readonly string[])[] = [
  ["ps", "-o", "name"],
  ["ps", "-a", "-t", "-o", "name"],
  ["ps", "--state", "waiting/person", "-o", "name"],
  ["ps", "--state", "waiting/child", "-o", "name"],
  ["ps", "-l", "team=ops", "-o", "name"],
  ["ps", "-o", "json"],
  ["logs", "p_1"],
  ["logs", "p_1", "--tree", "-o", "jsonl"],
  ["logs", "p_1", "--since", "5"],
  ["caps", "ls", "p_1"],
  ["caps", "ls", "p_1", "-o", "json"],
  ["budget", "p_1"],
  ["policy", "show", "p_1"],
  ["tools", "ls"],
];

Deno.test("Commands say the same of a store and of the server that runs on it", async (test) => {
  await using at = await served();
  // What the server wrote at its start is durable once an order after it is.
  equal((await at.place.libos("send", "p_1", "hello", ...at.host)).exit, 0);
  for (const argv of ALIKE) {
    await test.step(`libos ${argv.join(" ")}`, async () => {
      const here = await at.place.libos(...argv);
      const there = await at.place.libos(...argv, ...at.host);
      equal([there.exit, there.out, there.err], [here.exit, here.out, here.err]);
      equal(there.exit, 0, there.err);
    });
  }
  const yaml = await at.place.libos("ps", "-o", "yaml", ...at.host);
  equal(parse(yaml.out), await at.place.json("ps"));
});

Deno.test("A process is started, talked to and waited for through a server", async () => {
  await using at = await served();
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  const { out } = await libos("spawn", "-d", "waiter", "Wait for a word", "--label", "team=ops");
  equal(out, "p_2\n");
  match((await libos("describe", "p_2")).out, /^Goal: +Wait for a word$/m);
  equal((await libos("ps", "-l", "team=ops", "-o", "name")).out, "p_2\n");
  equal((await libos("pause", "p_2")).out, "p_2 is paused\n");
  match((await libos("resume", "p_2")).out, /^p_2 is (ready|running|waiting\/message)\n$/);
  match((await libos("budget", "p_2", "set", "tokens=5000")).out, /tokens 0\/5000/);
  const waiting = at.place.start("wait", "p_2", ...at.host);
  equal((await libos("send", "p_2", '{"a":1}', "--json")).out, "sent to p_2\n");
  const ended = await waiting.said;
  equal([ended.exit, ended.err], [0, ""]);
  match(ended.out, /^p_2 exited 0\nresult\n {2}│ \{"a":1\}\n$/);
  equal((await libos("wait", "p_2", "-q")).out, '{"a":1}\n');
  equal((await libos("describe", "p_9")).exit, 3);
  equal((await libos("kill", "p_1", "-s", "nosuch")).exit, 2);
});

Deno.test("State and evidence are read and changed through a server", async () => {
  await using at = await served();
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  const made = await libos("checkpoint", "create", "p_1", "draft");
  match(made.out, /^ck_1\.\d+ "draft" is line \d+ of p_1\n$/, made.err);
  match((await libos("checkpoint", "ls")).out, /draft/);
  match((await libos("rollback", "p_1", "draft", "--preview")).out, /would go back to ck_1/);
  equal((await libos("rollback", "p_1", "draft")).exit, 2);
  match((await libos("fork", "p_1", "draft", "--goal", "Say bye")).out, /^p_2 is a fork of p_1/);
  const can = await libos("can", "p_1", "file.read(./secret.env)");
  equal(can.exit, 4);
  match(can.out, /^DENY {2}file\.read/);
  match((await libos("explain", "p_1#1.1")).out, /file\.list.*\n {2}decision/);
  match((await libos("verify")).out, /^\d+ trees, \d+ lines, chain OK\n$/);
  match((await libos("audit", "verify")).out, /chain OK/);
  const audited = await libos("audit", "ls", "t_1");
  equal([audited.exit, audited.out], [0, (await at.place.libos("audit", "ls", "t_1")).out]);
  match((await libos("overview")).out, /requests wait for you/);
  const found = (await libos("doctor")).out;
  for (const line of [/deno +ok/, /net +ok/, /credentials +/]) {
    match(found, line);
  }
  const lines = await libos("events", "p_1", "-o", "jsonl");
  ok(lines.out.split("\n").some((line) => line.includes('"human.asked"')));
  const granted = await libos("caps", "grant", "p_1", "file.list(.)", "--uses", "1", "-q");
  match(granted.out, /^cap_1\.\d+\n$/, granted.err);
  match((await libos("caps", "revoke", granted.out.trim())).out, /^revoked cap_1\.\d+\n$/);
});

Deno.test("A token that may not is told so; a server that is gone is told, too", async () => {
  await using at = await served();
  const [, url] = at.host as [string, string];
  const made = await at.place.libos("token", "create", "eve", "--role", "viewer", "-o", "name");
  const eve = ["--host", url, "--token", made.out.trim()];
  equal((await at.place.libos("ps", "-q", ...eve)).out, "p_1\n");
  const refused = await at.place.libos("kill", "p_1", ...eve, "-o", "json");
  equal([refused.exit, JSON.parse(refused.err).code], [4, "role_too_low"]);
  equal((await at.place.libos("ps", "--host", url, "--token", "libos_wrong")).exit, 4);
  equal((await at.place.libos("ps", "--host", url)).exit, 0, "the token of the server here");
  const gone = await at.place.libos("ps", "--host", "http://127.0.0.1:1", "--token", "x");
  match(gone.err, /Cannot reach "http:\/\/127\.0\.0\.1:1".*\[EIO\]/);
});

Deno.test("A context is kept for its owner alone, and used until another is", async () => {
  await using at = await served();
  const { place } = at;
  place.variables["XDG_CONFIG_HOME"] = `${place.folder}/config`;
  equal((await place.libos("context", "add", "team", ...at.host)).exit, 0);
  const { mode } = await Deno.stat(`${place.folder}/config/libos/contexts.json`);
  equal(mode! & 0o777, 0o600);
  equal((await place.libos("ps", "-q", "--db", "absent.db")).exit, 3);
  equal((await place.libos("ps", "-q", "--context", "team")).out, "p_1\n");
  equal((await place.libos("context", "use", "team")).exit, 0);
  match((await place.libos("context", "ls")).out, /^\* +team +http/m);
  const refused = await place.libos("gc");
  equal(refused.exit, 2);
  match(refused.err, /Cannot run "gc" on http.*works on a store of this machine/);
  match((await place.libos("context", "use", "teem")).err, /did you mean "team"/);
  equal((await place.libos("context", "rm", "team")).exit, 0);
  match((await place.libos("context", "ls")).out, /^\* +local/m);
});

Deno.test("Every command that only a store knows says so to whoever names a server", async () => {
  await using place = await Place.make();
  const host = ["--host", "http://127.0.0.1:1", "--token", "x"];
  for (const { name, remote, words: [least] } of COMMANDS.values()) {
    if (remote !== undefined) continue;
    const words = Array.from({ length: least }, () => "p_1");
    const { exit, err } = await place.libos(name, ...words, ...host);
    equal(exit, 2, name);
    match(err, /it works on a store of this machine|Cannot run/, name);
  }
  equal((await place.libos("spawn", "-d", "waiter", "Wait")).exit, 3);
});
