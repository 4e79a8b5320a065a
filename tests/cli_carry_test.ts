/**
 * Claims about trees and policies through a server: the same words and exit codes as of a store.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";

Deno.test("A tree is exported from a server, checked here, and imported again, in the words of a store", async () => {
  await using at = await served();
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  const { exit, out } = await libos("tree", "export", "p_1");
  equal(exit, 0);
  match(out, /^\{"head":"[0-9a-f]{64}","seq":\d+,"tree":"t_1","type":"libos.tree\/1"\}\n/);
  await at.place.write("t_1.jsonl", out);
  // What was taken along is here already, byte for byte.
  const again = await libos("tree", "import", "t_1.jsonl");
  equal([again.exit, again.err], [0, ""]);
  match(again.out, /^t_1 was here already, and nothing was changed/);
  await using elsewhere = await Place.make();
  await elsewhere.write("t_1.jsonl", out);
  for (const one of [at.place, elsewhere]) {
    await one.write("two.jsonl", out.replaceAll("t_1", "t_2").slice(0, -20));
  }
  const local = await elsewhere.libos("tree", "import", "t_1.jsonl");
  match(local.out, /^t_1 is here now: \d+ lines/);
  for (
    const [argv, code] of [
      [["tree", "import", "nosuch.jsonl"], 3],
      [["tree", "import", "t_1.jsonl", "--head", "0".repeat(64)], 7],
      [["tree", "import", "two.jsonl"], 7],
      [["tree", "export", "t_99"], 3],
      [["tree", "export", "t_1", "--move"], 2],
      [["tree", "retain", "t_1", "soon"], 2],
      [["tree", "burn", "t_1"], 2],
      [["policy", "load", "nosuch.policy"], 3],
      [["policy", "test", "nosuch.policy", "p_1"], 3],
      [["verify", "t_99"], 3],
    ] as const
  ) {
    const there = await libos(...argv);
    // A store that a server runs on takes nothing in but through it.
    const here = await (argv[1] === "import" ? elsewhere : at.place).libos(...argv);
    const said = here.err.replaceAll(elsewhere.folder, at.place.folder)
      .replace("one of the store", "one of the server");
    equal([there.exit, there.out, there.err], [here.exit, here.out, said]);
    equal(there.exit, code, argv.join(" "));
  }
  equal((await libos("tree", "retain", "--now")).exit, 2);
});

Deno.test("A policy is tested, loaded and seen through a server, and payloads are kept as it is told", async () => {
  await using at = await served();
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  await at.place.write("stricter.policy", "deny human.*(**)\ndeny file.*(**)\n");
  await at.place.write("wrong.policy", "deny file.reed(./a)\n");
  for (const argv of [["test", "wrong.policy", "p_1"], ["load", "wrong.policy"]]) {
    const there = await libos("policy", ...argv);
    const here = await at.place.libos("policy", ...argv);
    equal([there.exit, there.err], [here.exit, here.err]);
    match(there.err, /file\.reed/);
  }
  const loaded = await libos("policy", "load", "stricter.policy");
  equal([loaded.exit, loaded.out], [0, "loaded 2 rules into t_1\n"]);
  match((await libos("policy", "show", "t_1")).out, /deny file\.\*/);
  const kept = await libos("tree", "retain", "t_1", "30");
  equal(kept.exit, 0);
  match(kept.out, /^t_1 keeps its payloads for 30 days/);
  const [row] = await at.place.json<[{ days: number; by: string }]>("tree", "retain", ...at.host);
  equal(row.days, 30);
  ok(row.by.length > 0);
});
