/**
 * Claims about `libos audit` and `libos verify`: sealing, proving, handing out, and checking.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { auditOptionsOf } from "../cli/audit_parts.ts";
import { contextOf } from "../cli/command.ts";
import { audit } from "../cli/audit.ts";
import { realIo } from "../cli/io.ts";
import { createRuntime } from "../mod.ts";
import { Place, type Said } from "./cli_place.ts";

/** A folder where an agent ran and its log was sealed. */
async function sealed(): Promise<Place> {
  const place = await Place.make();
  await place.libos("run", "spender.ts", "Hi");
  equal((await place.libos("audit", "init")).exit, 0);
  return place;
}

/** Changes the store behind everybody's back. */
function change(place: Place, sql: string): void {
  const db = new DatabaseSync(place.db);
  db.exec(sql);
  db.close();
}

async function keyOf(place: Place): Promise<string> {
  return (await place.libos("audit", "keys", "-o", "name")).out.trim().split("\n").at(-1)!;
}

/** Puts what a command prints into a file. */
async function into(place: Place, file: string, ...argv: string[]): Promise<void> {
  const { exit, out, err } = await place.libos(...argv);
  equal(exit, 0, err);
  await place.write(file, out);
}

Deno.test("audit init makes a key that only its owner reads, seals, and can be run again", async () => {
  await using place = await Place.make();
  const absent = await place.libos("audit", "init");
  equal(absent.exit, 3);
  match(absent.err, /libos run and libos init make one/);
  await place.libos("run", "spender.ts", "Hi");
  const early = await place.libos("audit", "seal");
  equal(early.exit, 3);
  match(early.err, /libos audit init makes it/);
  equal((await place.libos("audit", "prove", "t_1#2")).exit, 3);
  equal((await place.libos("audit", "export")).exit, 3);
  match((await place.libos("audit", "keys")).err, /No key yet/);
  const made = await place.libos("audit", "init");
  match(
    made.out,
    /^made {4}key [0-9a-f]{64}\n.*libos\.db\.key: only you.*\nsealed {2}\d+ lines of 1 tree/,
  );
  const { mode } = await Deno.stat(`${place.db}.key`);
  equal(mode! & 0o777, 0o600);
  const again = await place.json<{ made: boolean; lines: number }>("audit", "init");
  equal([again.made, again.lines], [false, 0]);
});

Deno.test("audit seal and verify agree on what is sealed, beside a kernel too", async () => {
  await using place = await sealed();
  const [tree, seals] = await place.json<Record<string, unknown>[]>("verify");
  equal([tree!["tree"], tree!["ok"], seals!["tree"], seals!["ok"]], ["t_1", true, null, true]);
  const os = await createRuntime({ store: place.db, workspace: null, approvals: "queue" });
  const { lines } = await place.json<{ lines: number }>("audit", "seal");
  const { lines: more } = await place.json<{ lines: number }>("audit", "seal");
  equal(more, 0);
  ok(lines >= 0);
  await os.close();
  match((await place.libos("verify")).out, /\(seals\).*OK, sealed \S+, \d+ lines? since/);
  match((await place.libos("audit", "verify", "t_1")).out, /t_1.*OK\n\(seals\)/);
});

Deno.test("A proof and an export are checked without a store, by who has the key", async () => {
  await using place = await sealed();
  await using elsewhere = await Place.make();
  const key = await keyOf(place);
  await into(place, "proof.json", "audit", "prove", "t_1#2");
  await into(place, "call.json", "audit", "prove", "p_1#1.1", "-o", "jsonl");
  await into(place, "log.jsonl", "audit", "export");
  await into(place, "one.jsonl", "audit", "export", "t_1");
  await into(place, "keys", "audit", "keys", "-o", "name");
  for (const file of ["proof.json", "call.json", "log.jsonl", "one.jsonl", "keys"]) {
    await elsewhere.write(file, await place.read(file));
  }
  const verify = (file: string, ...more: string[]): Promise<Said> =>
    elsewhere.libos("verify", file, ...more);
  const unknown = await verify("proof.json");
  equal(unknown.exit, 2);
  match(unknown.err, /nobody said which key to trust/);
  match((await verify("proof.json", "--trust", key)).out, /^OK\nline {4}t_1#2 /);
  match((await verify("call.json", "--trust", "keys")).out, /^OK\nline {4}t_1#\d+ call\.done/);
  match((await verify("log.jsonl", "--trust", key)).out, /^OK\nlines {3}\d+ as sealed/);
  equal((await verify("one.jsonl", "--trust", key)).exit, 0);
  const stranger = await verify("proof.json", "--trust", "0".repeat(64), "-o", "json");
  equal(stranger.exit, 7);
  equal(JSON.parse(stranger.out).step, "trust");
  equal((await verify("log.jsonl", "--trust", "0".repeat(64))).exit, 7);
  match((await verify("log.jsonl", "--trust", "greeter.ts")).err, /no key, expected 64/);
});

/** A change to a file that was handed out. */
const CHANGES: readonly (readonly [string, (lines: string[]) => string[], RegExp])[] = [
  [
    "a flipped letter",
    (lines) => lines.map((line) => line.replace('"goal":"Hi"', '"goal":"Ho"')),
    /^BROKEN: tree "t_1" line \d+: it was changed/,
  ],
  ["a dropped line", (lines) => lines.toSpliced(6, 1), /^BROKEN: tree "t_1" line \d+/],
  ["a doubled line", (lines) => lines.toSpliced(6, 0, lines[6]!), /^BROKEN: tree "t_1" line \d+/],
  ["swapped lines", (lines) => lines.toSpliced(6, 2, lines[7]!, lines[6]!), /line \d+ of tree/],
  ["a cut end", (lines) => lines.slice(0, -3), /the log ends before it, expected \d+ lines/],
  [
    "another root",
    (lines) => lines.map((line) => line.replace(/"root":"./, '"root":"x')),
    /BROKEN/,
  ],
];

for (const [what, forged, why] of CHANGES) {
  Deno.test(`verify ends with 7 for an export with ${what}`, async () => {
    await using place = await sealed();
    await into(place, "log.jsonl", "audit", "export");
    const lines = (await place.read("log.jsonl")).trimEnd().split("\n");
    await place.write("forged.jsonl", `${forged(lines).join("\n")}\n`);
    const { exit, out } = await place.libos("verify", "forged.jsonl");
    match(out, why);
    equal(exit, 7);
  });
}

Deno.test("verify reads bytes as they are, and says what is no proof", async () => {
  await using place = await sealed();
  await into(place, "log.jsonl", "audit", "export");
  const bytes = new TextEncoder().encode(await place.read("log.jsonl"));
  bytes[bytes.length - 40] = 0xff;
  await Deno.writeFile(`${place.folder}/bad.jsonl`, bytes);
  const bad = await place.libos("verify", "bad.jsonl");
  equal(bad.exit, 7);
  match(bad.out, /not UTF-8/);
  bytes[0] = 0xff;
  await Deno.writeFile(`${place.folder}/bad.jsonl`, bytes);
  for (const file of ["bad.jsonl", "greeter.ts"]) {
    const { exit, err } = await place.libos("verify", file);
    equal(exit, 2);
    match(err, /no proof or export/);
  }
  await into(place, "proof.json", "audit", "prove", "2");
  const proof = (await place.read("proof.json")).replace('"index": 1', '"index": 0');
  await place.write("proof.json", proof);
  const { exit, out } = await place.libos("verify", "proof.json");
  equal(exit, 7);
  match(out, /^BROKEN: history: leaf 0 is not in the root/);
});

/** What is done to the store, and what `verify` says. */
const DAMAGE: readonly (readonly [string, string, RegExp])[] = [
  [
    "a flipped letter",
    'UPDATE batches SET body = replace(body, \'"goal":"Hi"\', \'"goal":"Ho"\')',
    /t_1 .*BROKEN/,
  ],
  ["a lost tree", "DELETE FROM batches; DELETE FROM trees", /t_1 .*was sealed and is not there/],
  ["lost seals", "DELETE FROM audit_leaves; DELETE FROM audit_heads", /no signed head/],
  [
    "a changed leaf",
    "UPDATE audit_leaves SET body = replace(body, '\"at\":', '\"at\":1')",
    /BROKEN/,
  ],
];

for (const [what, sql, why] of DAMAGE) {
  Deno.test(`verify ends with 7 for a store with ${what}`, async () => {
    await using place = await sealed();
    change(place, sql);
    const { exit, out } = await place.libos("verify");
    match(out, why);
    equal(exit, 7);
  });
}

Deno.test("A store set back to an earlier seal is found with a head that was kept, and not sealed on", async () => {
  await using place = await sealed();
  const db = await Deno.readFile(place.db);
  await place.libos("run", "spender.ts", "Again");
  await place.write("empty.jsonl", "");
  for (const nothing of ["heads.jsonl", "empty.jsonl"]) {
    const { exit, err } = await place.libos("verify", "--anchor", nothing);
    equal(exit, 3);
    match(err, /it keeps no head, expected one/);
  }
  await place.libos("audit", "seal", "--anchor", "heads.jsonl");
  await into(place, "head.json", "audit", "seal", "-o", "json");
  match(
    (await place.libos("verify", "--head", "head.json")).out,
    /, 1 head kept elsewhere compared/,
  );
  await Deno.writeFile(place.db, db);
  equal((await place.libos("verify")).exit, 0);
  for (const flags of [["--head", "head.json"], ["--anchor", "heads.jsonl"]]) {
    const { exit, out } = await place.libos("verify", ...flags);
    equal(exit, 7);
    match(out, /the history was cut after 2 leaves/);
  }
  await place.libos("run", "spender.ts", "Again");
  const { exit, err } = await place.libos("audit", "seal", "--anchor", "heads.jsonl");
  equal(exit, 7);
  match(err, /has a head of 3 leaves, expected the store to have it too/);
  match((await place.libos("verify", "--head", "greeter.ts")).err, /no signed head/);
});

Deno.test("rotate brings a new key into force, and growth is proved over it", async () => {
  await using place = await sealed();
  const old = await keyOf(place);
  await into(place, "before.json", "audit", "prove", "t_1#2");
  equal((await place.libos("audit", "rotate")).exit, 0);
  const keys = await place.json<{ key: string; state: string }[]>("audit", "keys");
  equal(keys.map(({ state }) => state), ["former", "in force"]);
  equal(keys[0]!.key, old);
  await into(place, "growth.json", "audit", "prove", "--since", "2");
  for (const file of ["before.json", "growth.json"]) {
    equal((await place.libos("verify", file, "--trust", old)).exit, 0, file);
  }
  match((await place.libos("verify", "growth.json")).out, /grown {3}from 2 to 3 leaves/);
  await Deno.remove(`${place.db}.key`);
  const lost = await place.libos("audit", "init");
  equal(lost.exit, 3);
  match(lost.err, /are signed already, expected the file of key/);
});

Deno.test("CloudEvents are printed safely, exact records not on a terminal", async () => {
  await using place = await sealed();
  const { out } = await place.libos("audit", "export", "t_1", "--format", "cloudevents");
  const events = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  ok(events.every(({ specversion, source }) => specversion === "1.0" && source.endsWith(":t_1")));
  ok(!out.includes("\u202e"));
  const io = { ...realIo(), cwd: place.folder, isTerminal: true, out: () => {}, err: () => {} };
  const at = contextOf(audit, ["export"], io);
  await audit.run(at).then(() => ok(false), (error) => match(error.message, /expected > FILE/));
  match((await place.libos("audit", "export", "--format", "xml")).err, /expected jsonl or cloud/);
  match((await place.libos("audit", "prove")).err, /expected a line like/);
  match((await place.libos("audit", "prove", "x")).err, /expected a line like/);
  equal((await place.libos("audit", "prove", "t_1#999")).exit, 3);
  match((await place.libos("audit", "init", "now")).err, /expected audit init/);
});

Deno.test("auditOptionsOf() asks for audit only where audit init was run", async () => {
  await using place = await Place.make();
  const io = { ...realIo(), cwd: place.folder, env: () => undefined };
  const at = contextOf(audit, ["--anchor", "heads.jsonl"], io);
  equal(await auditOptionsOf(at), {});
  await place.libos("run", "spender.ts", "Hi");
  await place.libos("audit", "init");
  const options = (await auditOptionsOf(at)).audit!;
  equal([options.keyFile, options.anchor], [`${place.db}.key`, `${place.folder}/heads.jsonl`]);
});
