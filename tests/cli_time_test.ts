/**
 * Claims about the command line: checkpoints, going back, branching off.
 * @module
 */

import { deepStrictEqual as equal, doesNotMatch, match, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { Place } from "./cli_place.ts";
import { edited, ran, told } from "./cli_time_place.ts";

interface Change {
  readonly part: string;
  readonly change: string;
  readonly was: string | null;
  readonly is: string | null;
}

Deno.test("Checkpoints are made, listed, inspected and compared; ids by unique prefix", async () => {
  await using place = await edited();
  match(
    (await place.libos("checkpoint", "inspect", "p_1", "ck_1")).out,
    /^t_1 at line \d+, ck_1\.1 "draft"/,
  );
  match((await place.libos("checkpoint", "inspect", "t_1", "#2")).out, /^t_1 at line 2 /);
  equal((await place.libos("checkpoint", "diff", "p_1", "draft")).err, "Nothing differs\n");
  await told(place, "docs/b.txt=-");
  const ids = (await place.libos("checkpoint", "-o", "name")).out;
  equal(ids, "ck_1.1\nck_1.2\n");
  match(
    (await place.libos("checkpoint", "inspect", "p_1", "ck_1")).err,
    /2 begin so, expected one of/,
  );
  const changes = await place.json<Change[]>("checkpoint", "diff", "p_1", "draft", "ck_1.2");
  const [process] = changes.filter(({ part }) => part === "processes");
  equal([process?.was, process?.change], ['waiting, step 2, "Edit"', "changed"]);
  const { out } = await place.libos("checkpoint", "diff", "p_1", "draft");
  match(out, /^PART +ID +CHANGE +WAS +IS\n/);
  match(out, /processes +p_1 +changed +waiting, step 2, "Edit" +waiting, step 3, "Edit"/);
});

const REFUSALS: readonly (readonly [argv: string, exit: number, says: RegExp])[] = [
  ["checkpoint burn p_1", 2, /Cannot run "checkpoint burn": expected ls/],
  ["checkpoint create p_1", 2, /Cannot run "checkpoint create"/],
  ["checkpoint create p_1 12", 2, /no number: that is a line/],
  ["checkpoint ls p_7", 3, /Cannot find process "p_7"/],
  ["checkpoint inspect p_1 nowhere", 3, /Cannot find checkpoint "nowhere"/],
  ["checkpoint inspect p_1 9999", 3, /it has lines 1 to/],
  ["rollback p_1", 2, /1 arguments, expected PID AT/],
  ["rollback p_1 draft", 2, /nobody is there to be asked, expected -y; --preview tells/],
  ["rollback p_1 nowhere -y", 3, /Cannot find checkpoint "nowhere"/],
  ["fork p_1 nowhere", 3, /Cannot find checkpoint "nowhere"/],
  ["fork p_1 draft --policy nosuch.policy", 3, /Cannot read "nosuch.policy"/],
  ["fork p_1 draft --model other/one", 4, /with model "other\/one": not its own, it may use none/],
  ["fork p_1 draft --model=", 2, /with model "": expected "provider\/model"/],
  ["fork p_1 draft --model small", 2, /with model "small": expected "provider\/model"/],
  ["fork p_1 1", 1, /its root does not live there/],
  ["replay p_1", 3, /program "editor@1" is not known here, expected one of "model-loop"; --image/],
  ["replay p_1 --until none", 2, /Cannot use --until "none"/],
  ["replay p_1 --image editor.ts --policy x", 2, /both an image and a policy/],
  ["suggest p_7", 3, /Cannot find process "p_7"/],
  ["effects t_7", 3, /Cannot find tree "t_7"/],
];

Deno.test("What is wrong is refused with its exit code, and changes nothing", async () => {
  await using place = await edited();
  const before = (await place.libos("events", "p_1")).out;
  for (const [argv, exit, says] of REFUSALS) {
    const said = await place.libos(...argv.split(" "));
    equal([argv, said.exit], [argv, exit], said.err);
    match(said.err, says);
  }
  // A fork that was refused opened the tree, and that is all.
  const rest = (await place.libos("events", "p_1")).out.slice(before.length).trim().split("\n");
  ok(rest.every((line) => line === "" || line.includes('"tree.opened"')), rest.join("\n"));
  equal((await place.json<unknown[]>("ps", "-a")).length, 1);
});

Deno.test("A preview changes nothing; going back puts files back, but not those of others", async () => {
  await using place = await edited();
  await told(place, "docs/a.txt=two", "docs/b.txt=-", "docs/c.txt=three", "docs/d.txt=four");
  await place.write("docs/c.txt", "mine now");
  const lines = (await place.libos("events", "p_1")).out;
  const preview = await place.libos("rollback", "p_1", "draft", "--preview", "--files");
  equal(preview.exit, 0);
  match(preview.out, /^p_1, with all of t_1, would go back to line \d+, ck_1\.1 "draft"/);
  match(preview.out, /processes +p_1 +waiting, step 6, "Edit" → waiting, step 2, "Edit"/);
  match(preview.out, /Outside, this stands\n +#\d+ +p_1 +file\.write +\.\/docs\/c\.txt +ok\n/);
  match(preview.out, /not delivered again\n +msg_1\.2 +person:ada to p_1 +"docs\/a\.txt=two"/);
  match(preview.out, /conflict +remove +\.\/docs\/c\.txt +it is [0-9a-f]{12} now/);
  match(preview.out, /ready +write +\.\/docs\/b\.txt/);
  equal((await place.libos("events", "p_1")).out, lines);
  const plain = await place.libos("rollback", "p_1", "draft", "--preview");
  match(plain.out, /Files that --files would put back/);
  equal(plain.out.match(/^ +#\d+ +p_1 +file/gm)?.length, 4);
  const done = await place.libos("rollback", "p_1", "draft", "--files", "-y");
  equal(done.exit, 1, "a file could not be put back");
  match(done.out, /^p_1 is back at line \d+, ck_1\.1 "draft"; line \d+ says so\n/);
  match(done.out, /done +write +\.\/docs\/b\.txt/);
  match(done.out, /conflict +remove +\.\/docs\/c\.txt/);
  match(done.out, /No kernel runs on this store: libos run FILE p_1 --resume goes on/);
  equal(await place.read("docs/a.txt"), "Edit: one");
  equal(await place.read("docs/b.txt"), "of a person");
  equal(await place.read("docs/c.txt"), "mine now");
  const [back] = await place.json<{ step: number; state: string }[]>("ps");
  equal([back?.step, back?.state], [2, "waiting"]);
  equal((await place.libos("verify")).exit, 0);
  await told(place, "x=end");
  const [ended] = await place.json<{ outcome: { kind: string } }[]>("ps", "-a");
  equal(ended?.outcome.kind, "exited");
});

Deno.test("Going back tells as JSON what it did, and exits 0 when all was done", async () => {
  await using place = await edited();
  await told(place, "docs/a.txt=two");
  const made = await place.json<Record<string, unknown>>(
    "rollback",
    "p_1",
    "ck_1.1",
    "-y",
    "--files",
  );
  const { pid, tree, checkpoint, files, effects } = made as {
    readonly [key: string]: unknown;
    readonly files: readonly unknown[];
    readonly effects: readonly { readonly call: string }[];
  };
  equal([pid, tree, (checkpoint as { name: string }).name], ["p_1", "t_1", "draft"]);
  equal(files, [{ path: "docs/a.txt", action: "write", state: "done", why: "" }]);
  equal(effects.map(({ call }) => call), ["p_1#2.2"]);
  equal((await place.libos("rollback", "p_1", "draft", "-y")).exit, 0);
  const again = await place.libos("rollback", "p_1", "draft", "--preview", "--files");
  equal(again.out.includes("Outside, this stands"), false, "what was put back stands no more");
});

Deno.test("While a kernel runs, going back is refused and says what to do; looking is not", async () => {
  await using place = await edited();
  const other = SqliteStore.open(place.db);
  try {
    for (const argv of ["rollback p_1 draft -y", "fork p_1 draft"]) {
      const { exit, err } = await place.libos(...argv.split(" "));
      equal(exit, 1);
      match(
        err,
        /Cannot .* "p_1".*: a kernel runs on the store \(pid \d+ on .*\), expected none; stop it/,
      );
    }
    for (
      const argv of [
        "rollback p_1 draft --preview",
        "checkpoint ls",
        "checkpoint diff p_1 draft",
        "effects",
        "suggest p_1",
        "replay p_1 --image editor.ts",
      ]
    ) equal((await place.libos(...argv.split(" "))).exit, 0, argv);
  } finally {
    await other.close();
  }
});

Deno.test("A kernel that runs takes a checkpoint for who asks for one, and goes on", async () => {
  await using place = await Place.make();
  const running = place.spawn("run", "waiter.ts", "Wait");
  await running.shows('▸ p_1 waiter  "Wait"');
  const made = await place.libos("checkpoint", "create", "p_1", "live");
  equal([made.exit, made.err], [0, ""]);
  const [found, ...others] = await place.json<
    { id: string; name: string; by: string; seq: number }[]
  >(
    "checkpoint",
    "ls",
  );
  equal([others.length, found!.name, found!.by], [0, "live", "ada"]);
  equal(made.out, `${found!.id} "live" is line ${found!.seq} of p_1\n`);
  match((await place.libos("checkpoint", "inspect", "p_1", "live")).out, /p_1 +waiting/);
  equal((await place.libos("send", "p_1", "go on")).exit, 0);
  equal((await running.said()).exit, 0);
});

Deno.test("A fork goes another way from there, and says how it is run", async () => {
  await using place = await edited();
  await told(place, "docs/a.txt=two");
  await place.write("strict.policy", "deny file.write(./docs/a.txt)\n");
  const edits = ["--goal", "Other", "--message", "docs/f.txt=five", "--policy", "strict.policy"];
  const said = await place.libos("fork", "p_1", "draft", ...edits);
  equal(said.exit, 0, said.err);
  match(said.out, /^p_2 is a fork of p_1 at line \d+, ck_1\.1 "draft"\n/);
  match(said.out, /Run it with: libos run FILE p_2 --resume\n$/);
  await ran(place, "p_2", ["editor.ts", "p_2", "--resume"]);
  equal(await place.read("docs/f.txt"), "Other: five");
  equal(await place.read("docs/a.txt"), "Edit: two");
  match((await place.libos("policy", "show", "t_2")).out, /deny file\.write/);
  const json = await place.json<{ pid: string; from: { pid: string } }>("fork", "p_1", "12");
  equal([json.pid, json.from.pid], ["p_3", "p_1"]);
});

Deno.test("A new goal that holds from the next step only is said to", async () => {
  await using place = await edited();
  const intent = (await place.json<{ seq: number }[]>("effects", "p_1"))[0]!;
  const { out } = await place.libos("fork", "p_1", String(intent.seq + 1), "--goal", "Other");
  match(out, /Its new goal holds from step 2 on: step 1 is in hand/);
});

const hasTerminal = await new Deno.Command("script", { args: ["-qec", "true", "/dev/null"] })
  .output().then(({ success }) => success, () => false);

for (const [word, exit] of [["yes", 0], ["no", 1], ["", 1]] as const) {
  Deno.test({
    name: `At a terminal the plan is shown and ${JSON.stringify(word)} is an answer`,
    ignore: !hasTerminal,
    async fn() {
      await using place = await edited();
      await told(place, "docs/a.txt=two");
      const { code, out } = await atTerminal(place, ["rollback", "p_1", "draft", "--files"], word);
      equal(code, exit, out);
      match(out, /would go back to line[^]*Take t_1 back to line \d+\? \[yes\] or nothing > /);
      equal(await place.read("docs/a.txt"), exit === 0 ? "Edit: one" : "Edit: two");
      if (exit === 0) match(out, /p_1 is back at line/);
      else match(out, /Nothing was done/);
      doesNotMatch(out, /error:/);
    },
  });
}

/** Runs a command at a pseudo terminal and types a line when it is asked. */
async function atTerminal(
  place: Place,
  argv: readonly string[],
  word: string,
): Promise<{ readonly code: number; readonly out: string }> {
  const [config, entry] = ["deno.json", "cli/main.ts"].map((file) =>
    fileURLToPath(new URL(`../${file}`, import.meta.url))
  );
  const flags = ["run", "-A", "--no-check", "--config", config!, entry!];
  const line = [Deno.execPath(), ...flags, ...argv].map((each) => `'${each}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-qec", line, "/dev/null"],
    cwd: place.folder,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const decoder = new TextDecoder();
  let out = "";
  let isAsked = false;
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true });
    if (isAsked || !out.includes("nothing > ")) continue;
    isAsked = true;
    await writer.write(new TextEncoder().encode(`${word}\n`));
  }
  await writer.close().catch(() => {});
  return { code: (await child.status).code, out };
}
