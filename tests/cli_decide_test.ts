/**
 * Claims about the command line: answers with other arguments, for the policy, and several at once.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import { edited } from "../providers/editor.ts";
import { Place } from "./cli_place.ts";

const AGENT = `import { allow, ask, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "crowd",
  program: async ({ sys, goal }) => {
    if (goal === "all") {
      for (const goal of ["a.md", "b.md", "c.txt"]) await sys.process.fork({ goal });
      await sys.message.receive({});
    }
    await sys.file.write({ path: "./out/" + goal, text: goal });
  },
});
export default {
  image,
  spawn: { goal: "all", grants: [allow("file.write", "./out/**"), allow("process.fork", "**")] },
};
`;

/** A place where three processes wait for a person, by a rule of the policy. */
async function waiting(): Promise<Place> {
  const place = await Place.make();
  await Deno.mkdir(`${place.folder}/out`);
  await place.write("crowd.ts", AGENT);
  await place.write("libos.policy", "ask file.write(./out/**)\n");
  equal((await place.libos("run", "crowd.ts", "--no-wait")).exit, 5);
  return place;
}

Deno.test("edit approves a call with other arguments, and refuses what is no JSON or no edit", async () => {
  await using place = await waiting();
  equal((await place.libos("edit", "req_1.1", "--args", "{")).exit, 2);
  equal((await place.libos("edit", "req_1.1")).exit, 2);
  const wide = await place.libos("edit", "req_1.1", "--args", '{"path":"./x","text":""}');
  equal(wide.exit, 4);
  match(wide.err, /wider than what was asked under.*\[EPERM\]/);
  const args = '{"path":"./out/z.md","text":"better"}';
  const said = await place.libos("edit", "req_1.1", "--args", args, "-m", "a is taken");
  equal(said.exit, 0);
  match(said.out, /approved with other arguments .*z\.md.* req_1\.1 by ada/);
  match(said.out, /granted cap_1\.\d+ allow file\.write\(\.\/out\/z\.md\) to p_1\.1 .*uses: 1/);
  match((await place.libos("edit", "req_1.1", "--args", args)).err, /approved already \[ESTATE\]/);
});

Deno.test("Several requests are approved by one rule over all of them, or none is", async () => {
  await using place = await waiting();
  const ids = ["req_1.1", "req_1.2", "req_1.3"];
  equal((await place.libos("approve", ...ids)).exit, 2);
  const outside = await place.libos("approve", ...ids, "--rule", "file.write(./out/*.md)");
  equal(outside.exit, 1);
  match(outside.err, /does not match \.\/out\/c\.txt of "req_1\.3" \[EINVAL\]/);
  equal((await place.libos("approvals", "-o", "name")).out.trim().split("\n"), ids);
  const said = await place.libos(
    "approve",
    "req_1.1",
    "req_1.2",
    "--rule",
    "file.write(./out/*.md)",
  );
  equal(said.exit, 0);
  equal(said.out.match(/granted .* uses: 1/g)?.length, 2);
  const denied = await place.libos("deny", "req_1.3", "-m", "enough", "--stop");
  match(denied.out, /denied and stopped: enough req_1\.3 by ada/);
  const process = await place.json<{ pid: string; state: string }[]>("ps", "-a");
  equal(process.find(({ pid }) => pid === "p_1.3")?.state, "ended");
});

Deno.test("approve for the policy prints the difference, and puts the rule into its file", async () => {
  await using place = await waiting();
  const listed = await place.libos("approvals");
  match(listed.out, /SUGGESTED/);
  match(listed.out, /req_1\.1 .* file\.write \.\/out\/a\.md \(\+1 −0\) +once /);
  const shown = await place.libos("approvals", "show", "req_1.1");
  match(shown.out, /Because: +ask file\.write\(\.\/out\/\*\*\) of the policy/);
  match(shown.out, /^Scopes: +once 15m, process 15m, .*image 8h, policy for good; --for says/m);
  match(shown.out, /Could be: process file\.write\(\.\/out\/\*\.md\)/);
  equal((await place.libos("approve", "req_1.1", "--scope", "process", "--for", "never")).exit, 2);
  const rule = ["--rule", "file.write(./out/*.md)", "--scope", "policy", "--for", "never"];
  const said = await place.libos("approve", "req_1.1", ...rule);
  equal(said.exit, 0);
  const line = "allow file.write(./out/*.md) unasked because ada approved req_1.1";
  match(said.out, /policy of t_1:/);
  match(said.out, /would have matched 0 of the last 0 file\.write calls/);
  equal(said.out.split(line).length, 3, said.out);
  equal(await place.read("libos.policy"), `ask file.write(./out/**)\n${line}\n`);
  match((await place.libos("policy", "show")).out, /unasked because ada/);
  const scoped = ["--scope", "image", "--rule", "file.write(./out/*)"];
  const image = await place.libos("approve", "req_1.3", ...scoped);
  match(image.out, /granted cap_1\.\d+ allow file\.write\(\.\/out\/\*\) to processes of its image/);
});

Deno.test("An editor changes a text of ours, and one that is absent or fails changes nothing", async () => {
  const place = await Place.make();
  try {
    const script = `${place.folder}/editor.sh`;
    await Deno.writeTextFile(script, '#!/bin/sh\nsed -i s/one/two/ "$1"\n', { mode: 0o700 });
    equal(await edited(script, "one\n"), "two\n");
    const fails = await edited("false", "one").catch(({ code }) => code);
    const absent = await edited(`${place.folder}/nothing`, "one").catch(({ code }) => code);
    equal([fails, absent], ["ECANCELED", "ENOENT"]);
  } finally {
    await place[Symbol.asyncDispose]();
  }
});
