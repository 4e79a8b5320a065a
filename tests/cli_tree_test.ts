/**
 * Claims about the command line: trees carried away, values collected, content erased.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { createRuntime } from "../mod.ts";
import { realClock } from "../providers/clock.ts";
import { VirtualClock } from "../testing.ts";
import { Place } from "./cli_place.ts";
import { edited, told } from "./cli_time_place.ts";
import { imageOf } from "./world_fixture.ts";

Deno.test("A tree is exported to a file and imported into another store, which runs it on", async () => {
  await using place = await edited();
  const { out, exit } = await place.libos("tree", "export", "t_1");
  equal(exit, 0);
  ok(out.endsWith("\n") && out.split("\n").length > 10);
  await place.write("t_1.jsonl", out);
  const made = await place.libos("tree", "import", "t_1.jsonl", "--db", "other.db");
  match(made.out, /^t_1 is here now: \d+ lines, \d+ values?\n/);
  const again = await place.libos("tree", "import", "t_1.jsonl", "--db", "other.db");
  match(again.out, /was here already, and nothing was changed/);
  const [one, other] = [
    (await place.libos("tree", "ls", "-o", "json")).out,
    (await place.libos("tree", "ls", "-o", "json", "--db", "other.db")).out,
  ].map((text) => (JSON.parse(text) as { readonly title: string; readonly seq: number }[])[0]!);
  // The importer's line says that it arrived.
  ok(other!.seq >= one!.seq);
  match((await place.libos("verify", "--db", "other.db")).out, /OK/);
  match((await place.libos("checkpoint", "ls", "--db", "other.db")).out, /draft/);
});

Deno.test("A changed, cut or absent export is refused, and nothing is made of it", async () => {
  await using place = await edited();
  const { out } = await place.libos("tree", "export", "t_1");
  const changed = out.replace('"goal":"Edit"', '"goal":"Evil"');
  for (
    const [name, text] of [["changed", changed], ["cut", out.slice(0, out.length / 2)]] as const
  ) {
    await place.write(`${name}.jsonl`, text);
    const said = await place.libos("tree", "import", `${name}.jsonl`, "--db", `${name}.db`);
    equal(said.exit, 7, said.err);
    match((await place.libos("tree", "ls", "--db", `${name}.db`)).err, /No trees/);
  }
  await place.write("words.md", "# No tree\n");
  const words = await place.libos("tree", "import", "words.md", "--db", "words.db");
  match(words.err, /Cannot import a tree, record 1: a record is no JSON/);
  equal((await place.libos("tree", "import", "nowhere.jsonl", "--db", "new.db")).exit, 3);
  equal((await place.libos("tree", "export", "t_9")).exit, 3);
  equal((await place.libos("tree", "burn", "t_1")).exit, 2);
});

Deno.test("A moved tree ends here, and asks to be told so", async () => {
  await using place = await edited();
  const refused = await place.libos("tree", "export", "t_1", "--move");
  equal(refused.exit, 2);
  match(refused.err, /its processes end here for good, expected -y/);
  const { out } = await place.libos("tree", "export", "t_1", "--move", "-y");
  await place.write("t_1.jsonl", out);
  match((await place.libos("ps", "-a")).out, /p_1.*(killed|canceled|ended)/);
  // How it ended is said once.
  match((await place.libos("describe", "p_1")).out, /^State: +(?!.*killed.*killed)killed by /m);
  match((await place.libos("tree", "import", "t_1.jsonl", "--db", "other.db")).out, /is here now/);
  match((await place.libos("ps", "--db", "other.db")).out, /p_1/);
});

Deno.test("gc says what it removed; erase says why, and wants to be told twice", async () => {
  await using place = await edited();
  await told(place, `docs/c.txt=${"secret ".repeat(60)}`);
  match((await place.libos("gc")).out, /^Removed \d+ values? of \d+ bytes; kept \d+\n$/);
  equal((await place.json<{ kept: number; trees: string[] }>("gc")).trees, []);
  equal((await place.libos("erase", "/p_1/last", "-m", "asked")).exit, 2);
  equal((await place.libos("erase", "/p_1/last", "-y")).exit, 2);
  equal((await place.libos("erase", "/p_1/nothing", "-m", "asked", "-y")).exit, 3);
  await told(place, "x=end");
  const erased = await place.libos("erase", "/p_1/last", "-m", "asked", "--partly", "-y");
  equal(erased.exit, 0, erased.err);
  match(erased.out, /^Erased \d+ values? of p_1\/last/);
  match((await place.libos("verify")).out, /OK/);
});

Deno.test("What gc and erase removed stands in the events and the audit of the tree that had it", async () => {
  await using place = await Place.make();
  const os = await createRuntime({ store: place.db, workspace: null, autorun: false });
  const image = imageOf(async ({ sys }) => {
    const { object } = await sys.object.create({ name: "a", value: "a".repeat(900) });
    await sys.object.delete({ object });
    await sys.object.create({ name: "b", value: "b".repeat(900) });
  });
  for (const goal of ["1", "2"]) await os.spawn(image, { goal });
  await os.runUntilIdle();
  const { store } = os.node.options;
  for (const tree of os.node.trees) {
    await os.node.durable(tree);
    const { seq, tree: id } = tree.state;
    await store.putSnapshot(id, { seq, head: tree.head, state: tree.dump() });
  }
  await os.close();
  const made = await place.json<Record<string, unknown>>("gc");
  equal(made, { count: 1, bytes: 902, kept: 1, trees: ["t_1", "t_2"] });
  for (const tree of ["t_1", "t_2"]) {
    const { out } = await place.libos("events", tree);
    match(out, /"type":"values.collected".*"by":"ada","bytes":902,"hashes":\["[0-9a-f]{64}"\]/);
    const said = / ada +collect 1 values of 902 bytes that nothing refers to, by ada +allow/;
    match((await place.libos("audit", "ls", tree)).out, said);
  }
  equal((await place.libos("erase", "/p_1/b", "-m", "asked", "-y")).exit, 0);
  match((await place.libos("audit", "ls", "t_1")).out, / ada +erase content of \d+ hashes by ada/);
  match((await place.libos("verify")).out, /t_1 .* OK, \d+ .*erased.*\nt_2 .* OK, .*\n/);
});

Deno.test("tree retain says how long payloads are kept, plans a pass, and makes it", async () => {
  await using place = await Place.make();
  const days = 86_400_000;
  const os = await createRuntime({
    store: place.db,
    workspace: null,
    autorun: false,
    clock: new VirtualClock(realClock.now() - 9 * days),
  });
  const image = imageOf(async ({ sys }) => {
    for (const name of ["a", "b"]) await sys.object.create({ name, value: name.repeat(900) });
  });
  for (const goal of ["1", "2"]) await os.spawn(image, { goal });
  await os.runUntilIdle();
  await os.close();
  const rows = async () =>
    (await place.json<Record<string, unknown>[]>("tree", "retain"))
      .map(({ tree, days, by, payloads }) => [tree, days, by, payloads]);
  equal(await rows(), [["t_1", null, null, 2], ["t_2", null, null, 2]]);
  match((await place.libos("tree", "retain", "t_1", "5", "--dry-run")).out, /t_1 +#\d+ +2 +19\d\d/);
  match((await place.libos("tree", "retain", "t_1", "10", "--dry-run")).out, /t_1 +#0 +0 +0 /);
  equal((await place.libos("tree", "retain", "t_1", "0.5")).exit, 1);
  equal((await place.libos("tree", "retain", "t_1", "soon")).exit, 2);
  equal((await place.libos("tree", "retain", "t_9", "5")).exit, 3);
  match((await place.libos("tree", "retain", "--now")).err, /Nothing is due/);
  equal(await rows(), [["t_1", null, null, 2], ["t_2", null, null, 2]]);
  const kept = await place.libos("tree", "retain", "t_1", "5");
  match(kept.out, /^t_1 keeps its payloads for 5 days; looked at next /);
  match(kept.out, /libos tree retain --now takes away what is due/);
  match((await place.libos("verify")).out, /t_1 .* OK\n/);
  match((await place.libos("tree", "retain", "--now")).out, /t_1 +#\d+ +2 +19\d\d/);
  equal(await rows(), [["t_1", 5, "ada", 0], ["t_2", null, null, 2]]);
  match((await place.libos("verify")).out, /t_1 .* OK, 2 payloads erased as the log says\n/);
  const found = await place.json<{ ok: boolean; erased: number }[]>("verify");
  equal(found.map(({ ok, erased }) => [ok, erased]), [[true, 2], [true, 0]]);
  match((await place.libos("tree", "retain", "--all", "forever")).out, /t_2 keeps .* as the log$/m);
  equal((await rows()).map(([, days]) => days), [null, null]);
});
