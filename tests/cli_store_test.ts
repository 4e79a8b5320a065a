/**
 * Claims about `libos store`: keys are made, stores encrypted and rekeyed, and every command then
 * wants the key.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import { storeEncryption } from "../mod.ts";
import { Place } from "./cli_place.ts";
import { found } from "./encryption_place.ts";

const MARK = "marker-goal";
const RUN = ["run", "greeter.ts", MARK, "--no-wait"] as const;

Deno.test("libos store encrypts what is there, and every command then wants its key", async () => {
  await using place = await Place.make();
  const waits = await place.libos(...RUN);
  equal(waits.exit, 5, waits.err);
  match((await place.libos("store", "status")).out, /: plain$/m);
  equal(found(`${place.folder}/.libos`, [MARK]).length > 0, true);

  const none = await place.libos("store", "encrypt");
  equal([none.exit, /expected one --store-key FILE, or LIBOS_KEY/.test(none.err)], [2, true]);
  const made = await place.libos("store", "key", "one.key");
  match(made.out, /^made key [0-9a-f]{16} in .+one\.key\nOnly you can read it/);
  equal((await place.libos("store", "key", "one.key")).exit, 1);
  const key = ["--store-key", "one.key"];
  const plain = await place.libos("ps", ...key);
  equal([plain.exit, /it is plain, expected an encrypted one/.test(plain.err)], [1, true]);

  const done = await place.libos("store", "encrypt", ...key);
  match(done.out, /: encrypted\nkey {2}[0-9a-f]{16}\ndata [0-9a-f]{16}\n$/, done.err);
  equal(found(`${place.folder}/.libos`, [MARK]), []);

  const refusals = [["ps"], ["verify"], ["approve", "req_1.1"], ["gc"], [...RUN], [
    "audit",
    "init",
  ]];
  for (const command of refusals) {
    const { exit, err } = await place.libos(...command);
    equal(exit, 4, err);
    match(err, /Cannot open store .+ encrypted under key "[0-9a-f]{16}", and no key was given/);
  }
  match((await place.libos("doctor")).out, /encrypted under key/);
  equal((await place.libos("ps", ...key)).exit, 0);
  place.variables["LIBOS_KEY"] = await place.read("one.key");
  for (const command of [["verify"], ["approve", "req_1.1"], ["audit", "init"], ["gc"]]) {
    const { exit, err } = await place.libos(...command);
    equal(exit, 0, err);
  }
  equal((await place.libos("run", "greeter.ts", "--resume")).exit, 0);
  equal(await place.read("out.md"), MARK);
  equal(found(`${place.folder}/.libos`, [MARK]), []);
  const half = await place.libos("ps", "--store-key", "absent.key");
  equal(half.exit, 3, half.err);
  place.variables["LIBOS_KEY"] = "abc";
  match(
    (await place.libos("ps")).err,
    /Cannot use LIBOS_KEY: 3 characters, expected 64 hexadecimal/,
  );
});

Deno.test("libos store rekey changes the key, and the old one opens nothing any more", async () => {
  await using place = await Place.make();
  for (const name of ["one", "two", "three"]) await place.libos("store", "key", `${name}.key`);
  const [one, two, three] = ["one", "two", "three"].map((name) => ["--store-key", `${name}.key`]);
  equal((await place.libos("init", ...one!)).exit, 0);
  equal((await place.libos(...RUN, ...one!)).exit, 5);
  const first = storeEncryption(place.db);
  equal((await place.libos("store", "rekey", ...one!)).exit, 2);
  equal((await place.libos("store", "rekey", ...two!, "--new-key", "three.key")).exit, 4);
  const args = ["store", "rekey", ...one!, "--new-key", "two.key"];
  equal((await place.libos(...args)).exit, 0);
  // A change that was cut short is asked for again, and both keys may be given until it is done.
  equal((await place.libos(...args)).exit, 0);
  equal(storeEncryption(place.db).data, first.data);
  equal((await place.libos("ps", ...one!)).exit, 4);
  equal((await place.libos("ps", ...one!, ...two!)).exit, 0);
  const all = await place.libos("store", "rekey", ...two!, "--new-key", "three.key", "--rewrite");
  equal(all.exit, 0, all.err);
  equal(storeEncryption(place.db).data !== first.data, true);
  equal((await place.libos("ps", ...two!)).exit, 4);
  equal((await place.libos("verify", ...three!)).exit, 0);
  equal((await place.libos("store", "status")).exit, 0);
  equal(found(`${place.folder}/.libos`, [MARK]), []);
  equal((await place.libos("store", "status", "--db", "absent.db")).exit, 3);
  equal((await place.libos("store", "burn")).exit, 2);
});

Deno.test("libos store leaves a store alone that a kernel runs on", async () => {
  await using place = await Place.make();
  await place.libos("store", "key", "one.key");
  const running = place.spawn(
    ...["run", "waiter.ts", "wait", "--store-key", "one.key", "--timeout", "1m"],
  );
  await running.shows("waiter");
  for (const more of [[], ["--rewrite"]]) {
    const args = ["store", "rekey", "--store-key", "one.key", "--new-key", "one.key", ...more];
    const { exit, err } = await place.libos(...args);
    equal(exit, 1, err);
    match(err, /Cannot run "store": a kernel runs on the store \(pid \d+ on .+\), expected none/);
  }
  equal((await place.libos("ps", "--store-key", "one.key")).exit, 0);
  equal((await place.libos("send", "p_1", "hello", "--store-key", "one.key")).exit, 0);
  equal((await running.said()).exit, 0);
});
