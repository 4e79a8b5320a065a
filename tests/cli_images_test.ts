/**
 * Claims about `libos images`: an image made of a process, here and through a server.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import type { ImageView } from "../server/schema/memory.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";

Deno.test("An image is made of a process of the store, and a server brings it", async () => {
  await using at = await served(async (place) => {
    equal((await place.libos("run", "greeter.ts", "Say hi", "--no-wait")).exit, 5);
    match((await place.libos("images")).err, /^No images; libos images commit PID NAME/);
    const made = await place.libos("images", "commit", "p_1", "host@2");
    equal([made.exit, made.err], [0, ""]);
    match(
      made.out,
      /^host@2 {2}sha256:[0-9a-f]{64}\nmade of p_1 at line \d+; \d+ tools\nlibos serve/,
    );
    const again = await place.libos("images", "commit", "p_1", "host@2");
    equal(again.out, made.out, "the same again changes nothing");
    equal(
      (await place.json<unknown[]>("checkpoint", "ls")).length,
      2,
      "it, and one before a question",
    );
    match(
      (await place.libos("images", "inspect", "host")).out,
      /^Made of: +p_1 at ck_1\.\d+ .* by ada/m,
    );
    const none = await place.libos(
      "images",
      "diff",
      "host",
      made.out.split("sha256:")[1]!.slice(0, 9),
    );
    equal([none.exit, none.out, none.err], [0, "", "No difference\n"]);
    match(
      (await place.libos("images", "diff", "host", "nobody")).err,
      /Cannot find image "nobody"/,
    );
    const code = await place.libos("run", "host@2", "Say hi");
    equal(code.exit, 1);
    match(code.err, /Cannot make an image with program "greeter@1": its code is not known here/);
    return ["greeter.ts", "waiter.ts"];
  });
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  match((await libos("images")).out, /^host@2 .* p_1 /m);
  const there = await libos("images", "commit", "p_1", "host@3");
  match(there.out, /^host@3 {2}sha256:[0-9a-f]{64}\nmade of p_1 at line \d+; \d+ tools\nstart it/);
  const [one, two] = (await at.place.json<ImageView[]>("images", ...at.host))
    .filter(({ made }) => made !== null);
  equal([one!.ref, two!.ref, one!.made!.by], ["host@2", "host@3", "ada"]);
  equal((await libos("spawn", "-d", "host@2", "Say ho", "-q")).exit, 0);
  match((await libos("describe", "p_2")).out, /host@2/);

  equal((await libos("spawn", "-d", "waiter", "Wait", "-q")).exit, 0);
  const taken = await libos("images", "commit", "p_3", "host@2");
  equal(taken.exit, 1);
  match(taken.err, /^error: Cannot make image "host@2": it is another one/);
  equal((await libos("images", "commit", "p_9", "x")).exit, 3);
  // Of another process: another program, and what its first was asked to do.
  equal((await libos("images", "commit", "p_3", "still@1")).exit, 0);
  const diff = await libos("images", "diff", "host@2", "still");
  match(diff.out, /^~ program\n {4}- greeter@1\n {4}\+ waiter@1$/m);
  match(diff.out, /^~ name\n {4}- host@2\n {4}\+ still@1$/m);
  const { changes, from } = await at.place.json<{ changes: unknown[]; from: string }>(
    ...["images", "diff", "host@2", "still", ...at.host],
  );
  equal([changes.length > 1, /^[0-9a-f]{64}$/.test(from)], [true, true]);
  const [, url] = at.host as [string, string];
  const eve = await libos("token", "create", "eve", "--role", "viewer", "-o", "name");
  const host = ["--host", url, "--token", eve.out.trim()];
  const refused = await at.place.libos("images", "commit", "p_1", "x", ...host);
  equal(refused.exit, 4);
});

const WRONG: readonly (readonly [words: readonly string[], says: RegExp])[] = [
  [
    ["commit"],
    /expected images \[ls \| inspect NAME\|HASH\|FILE \| commit PID NAME\[@VERSION\] \|/,
  ],
  [["commit", "p_1"], /expected images \[ls/],
  [["commit", "p_1", "Upper"], /Cannot make image "Upper": expected NAME or NAME@VERSION/],
  [["commit", "p_1", "a@"], /Cannot make image "a@": expected/],
  [["commit", "p_1", "a\u001b[31m"], /Cannot make image "a\\u\{1b\}\[31m": expected/],
  [["inspect"], /Cannot run "images inspect"/],
  [["inspect", "a", "b"], /Cannot run "images inspect"/],
];

Deno.test("Images that are named wrongly are refused in a sentence", async () => {
  await using place = await Place.make();
  equal((await place.libos("images")).exit, 3, "there is no store");
  equal((await place.libos("init")).exit, 0);
  for (const [words, says] of WRONG) {
    const { exit, out, err } = await place.libos("images", ...words);
    equal([exit, out], [2, ""], words.join(" "));
    match(err, says);
  }
  const absent = await place.libos("images", "inspect", "nobody");
  equal(absent.exit, 3);
  match(absent.err, /Cannot find image "nobody": absent, expected one of libos images/);
});
