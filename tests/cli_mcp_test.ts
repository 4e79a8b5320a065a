/**
 * `libos mcp`: servers are mounted, listed, compared, trusted and let go.
 * @module
 */

import { deepEqual as equal, match } from "node:assert/strict";
import { Place } from "./cli_place.ts";
import { walled } from "./confined_place.ts";
import { CHILD, DENO } from "./mcp_place.ts";
import { elsewhere } from "./mcp_url_place.ts";

const AGENT = `import { allow, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "caller",
  program: async ({ sys }) => {
    const call = { server: "box", tool: "echo", arguments: { text: "through" } };
    const { content } = await sys.mcp.call(call);
    await sys.process.exit({ result: content[0].text });
  },
});
export default { image, spawn: { goal: "Call", grants: [allow("mcp.box.echo")] } };
`;

const add = (mode: string): readonly string[] => [
  ...["mcp", "add", "box", "--code", CHILD, "--bind", "read=file.read($.path)", "--read", "."],
  ...["--", ...DENO, CHILD, mode],
];

walled("A server is mounted with its pins, called by an agent, and let go", async () => {
  await using place = await Place.make();
  const made = await place.libos(...add("good"));
  equal(made.exit, 0, made.err);
  match(made.out, /^6 tools found · confined: reads \.\/\*\*; no network\n/);
  match(made.out, /hidden characters in 0 tools/);
  match(await place.read("libos.mcp.lock"), /"read": \[\n +"file\.read\(\$\.path\)"/);
  equal((await place.libos(...add("good"))).exit, 1);
  match((await place.libos("mcp", "ls")).out, /box +6 +confined/);
  match((await place.libos("mcp", "ls", "box")).out, /write +\w{12} +destructive +The tool write/);
  match((await place.libos("mcp", "diff", "box")).err, /All 6 tools are what was pinned/);
  match((await place.libos("doctor")).out, /mcp +ok +box/);
  await place.write("caller.ts", AGENT);
  const ran = await place.libos("run", "./caller.ts", "-q");
  equal([ran.exit, ran.out, ran.err], [0, "through\n", ""]);
  equal((await place.libos("mcp", "rm", "box")).exit, 0);
  equal((await place.libos("mcp", "diff", "box")).exit, 3);
  match((await place.libos("mcp", "ls")).err, /No servers of tools/);
});

const THIEF = `import { allow, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "thief",
  program: async ({ sys }) => {
    const said = [];
    for (const path of ["./libos.mcp.lock", "./libos.mcp.lock.new", "./libos.policy"]) {
      const wrote = sys.file.write({ path, text: "{}" });
      said.push(await wrote.then(() => "written", ({ code }) => code));
    }
    await sys.process.exit({ result: said });
  },
});
export default { image, spawn: { goal: "Take", grants: [allow("file.*")] } };
`;

Deno.test("No agent writes the lock or the policy that the next is held by, there or not", async () => {
  await using place = await Place.make();
  await place.write("thief.ts", THIEF);
  const { result } = await place.json<{ result: string[] }>("run", "./thief.ts");
  equal(result, ["EACCES", "EACCES", "EACCES"]);
});

walled("No folder of code shows a server what is the runtime's own", async () => {
  await using place = await Place.make();
  for (const code of [".", ".."]) {
    const { exit, err } = await place.libos(
      "mcp",
      "add",
      "box",
      "--code",
      code,
      "--",
      ...DENO,
      CHILD,
    );
    equal(exit, 4, err);
    match(
      err,
      /Cannot start a server: its code is in ".*", where ".*" is the runtime's own/,
    );
  }
});

walled(
  "A tool that changed is shown with what changed, exits 7, and is blocked until trusted",
  async () => {
    await using place = await Place.make();
    equal((await place.libos(...add("hidden"))).exit, 0);
    const lock = await place.read("libos.mcp.lock");
    await place.write("libos.mcp.lock", lock.replace("Plain", "Other"));
    const edited = await place.libos("mcp", "ls");
    equal(edited.exit, 7);
    match(edited.err, /the pin of "echo" is wrong/);
    await place.write("libos.mcp.lock", lock);
    const same = await place.libos("mcp", "diff", "box");
    match(same.out, /e\\u\{200b\}cho +refused/);
    equal(same.exit, 0);
    equal((await place.libos("mcp", "trust", "box/echo")).exit, 0);
    equal((await place.libos("mcp", "trust", "box/nothing")).exit, 3);
  },
);

walled("Nothing is mounted unconfined unless somebody says so twice", async () => {
  await using place = await Place.make();
  const [mcp = "", verb = "", name = "", ...rest] = add("good");
  const bare = await place.libos(mcp, verb, name, "--unconfined", ...rest);
  equal(bare.exit, 2);
  match(bare.err, /can do all that you can/);
  const meant = await place.libos(mcp, verb, name, "--unconfined", "-y", ...rest);
  equal(meant.exit, 0, meant.err);
  match(meant.out, /unconfined/);
  match((await place.libos("doctor")).out, /mcp +note +box; unconfined: box/);
});

Deno.test("A server at a URL is mounted with a credential, which nobody is shown", async () => {
  await using place = await Place.make();
  await using there = elsewhere({ says: ({ headers }) => ` ${headers.get("authorization")}` });
  place.variables["HOME"] = `${place.folder}/home`;
  await Deno.mkdir(`${place.folder}/home`);
  await place.write("home/key", "s3cret-of-the-shop-0123456789");
  await Deno.chmod(`${place.folder}/home/key`, 0o600);
  const kept = ["credential", "add", "shop", "--origin", there.origin, "--file", "home/key"];
  equal((await place.libos(...kept, "--prefix", "Bearer ")).exit, 0);
  const url = ["mcp", "add", "box", "--url", there.origin];
  match((await place.libos(...url, "--credential", "other")).err, /other/);
  const added = await place.libos(...url, "--credential", "shop");
  equal(added.exit, 0, added.err);
  match(added.out, /^2 tools found · elsewhere: sees nothing here but what it is sent\n/);
  match(added.out, /protocol 2026-07-28/);
  const sent = there.requests.map(({ headers }) => headers.get("authorization"));
  equal([...new Set(sent)], ["Bearer s3cret-of-the-shop-0123456789"]);
  const shown = [
    added.out,
    (await place.libos("mcp", "ls", "box")).out,
    await place.read("libos.mcp.lock"),
  ].join();
  match(shown, /Says it again/);
  equal(shown.includes("s3cret"), false);
});
