/**
 * Claims about images as files: built of a folder, looked into, compared, signed, brought, started.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import type { PackageView } from "../server/schema/package.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";
import { fakeOpenAi, says } from "./fake_openai_server.ts";
import { FOLDER, folder, manifest, skillText } from "./package_place.ts";

/** Lays the folder of a package into a place. */
async function lay(
  place: Place,
  name: string,
  more: Readonly<Record<string, string | undefined>> = {},
): Promise<void> {
  for (const { path, bytes } of folder(more)) {
    const file = `${place.folder}/${name}/${path}`;
    await Deno.mkdir(file.replace(/[^/]*$/, ""), { recursive: true });
    await Deno.writeFile(file, bytes);
  }
}

Deno.test("A folder becomes an image that is looked into, compared, kept once and taken away", async () => {
  await using place = await Place.make();
  await lay(place, "one");
  await lay(place, "two", {
    "image.json": manifest({ version: "2", needs: ["file.read(./**)"] }),
    "skills/sums/SKILL.md": skillText("sums", "allowed-tools: Read\u0020(\\u001b)\n"),
  });
  const built = await place.libos("images", "build", "one");
  equal([built.exit, built.err], [0, ""]);
  match(
    built.out,
    /^reporter@1 {2}sha256:[0-9a-f]{64}\nasks for file\.read\(\.\/notes\/\*\*\), skill/,
  );
  equal((await place.libos("images", "build", "one")).out, built.out, "the same again");
  const [hash = ""] = /[0-9a-f]{64}/.exec(built.out) ?? [];
  match(
    (await place.libos("images")).out,
    new RegExp(`^reporter@1 +${hash.slice(0, 12)} .*package`, "m"),
  );
  for (const word of ["reporter", "reporter@1", hash, hash.slice(0, 8)]) {
    const { out } = await place.libos("images", "inspect", word);
    match(out, /^Image: +reporter@1 .*\nAsks for: \(nothing is granted by this\)\n {2}file\.read/);
    match(out, /^Skill: +sums: .*says it uses Bash\(rm:\*\): a claim, which opens nothing/m);
  }
  equal((await place.json<PackageView>("images", "inspect", hash)).needs.length, 2);
  equal((await place.libos("images", "build", "two")).exit, 0);
  const diff = await place.libos("images", "diff", "reporter@1", "reporter@2");
  match(
    diff.out,
    /^\+ need file\.read\(\.\/\*\*\)\n- need file\.read\(\.\/notes\/\*\*\)\n- need skill\.\*\(\*\*\)\n~ skill says/,
  );
  await place.write("one/prompt.md", "Another prompt");
  const taken = await place.libos("images", "build", "one");
  equal(taken.exit, 1);
  match(taken.err, /Cannot keep image "reporter@1": .*libos images rm reporter@1 first \[EEXIST\]/);
  equal((await place.libos("images", "rm", "reporter@1")).exit, 0);
  equal((await place.libos("images", "build", "one")).exit, 0);
  equal((await place.libos("images", "rm", "nobody")).exit, 3);
});

Deno.test("A package travels as a file, and one that was changed is refused with exit 7", async () => {
  await using from = await Place.make();
  await using to = await Place.make();
  await lay(from, "one");
  equal((await from.libos("images", "build", "one", "--to", "r.json")).exit, 0);
  equal((await from.libos("images", "build", "one", "--to", "r.json")).exit, 1, "never replaced");
  const key = (await from.libos("images", "keygen", "key.pem", "-q")).out.trim();
  const other = (await from.libos("images", "keygen", "other.pem", "-q")).out.trim();
  match((await from.libos("images", "verify", "r.json")).out, /whole\nnobody signed it/);
  equal((await from.libos("images", "sign", "r.json")).exit, 2, "no key is named");
  match((await from.libos("images", "sign", "r.json", "--key", "key.pem")).out, /signed by/);
  equal((await from.libos("images", "verify", "r.json", "--signed-by", key)).exit, 0);
  equal((await from.libos("images", "verify", "r.json", "--signed-by", other)).exit, 7);
  await to.write("r.json", await from.read("r.json"));
  await to.write("bad.json", (await from.read("r.json")).replace("Monday", "Sunday"));
  await to.write("late.json", (await from.read("r.json")).replace("package/1", "package/2"));
  const refusals: readonly (readonly [words: string[], exit: number, says: RegExp])[] = [
    [["import", "bad.json"], 7, /another hash than it says.*\[EINTEGRITY\]/],
    [["inspect", "bad.json"], 7, /EINTEGRITY/],
    [["import", "late.json"], 1, /of version 2, expected version 1.*\[ENOSYS\]/],
    [["import", "r.json", "--signed-by", other], 7, /did not sign it.*\[EINTEGRITY\]/],
    [["import", "r.json", "--signed-by", "x"], 1, /no Ed25519 key/],
    [["import", "none.json"], 3, /absent/],
  ];
  for (const [words, exit, says] of refusals) {
    const said = await to.libos("images", ...words);
    equal([said.exit, said.out], [exit, ""], words.join(" "));
    match(said.err, says);
  }
  match((await to.libos("images")).err, /no store|absent/i);
  equal((await to.libos("images", "import", "r.json", "--signed-by", key)).exit, 0);
  match((await to.libos("images", "inspect", "reporter")).out, new RegExp(`^Signed: +${key}`, "m"));
  // Somebody else on this machine, or a disk, changes what is kept.
  const kept = `${to.folder}/.libos/packages`;
  const [{ name }] = [...Deno.readDirSync(kept)] as [Deno.DirEntry];
  const text = await Deno.readTextFile(`${kept}/${name}`);
  await Deno.writeTextFile(`${kept}/${name}`, text.replace("Monday", "Sunday"));
  for (const words of [["images", "inspect", "reporter"], ["run", "reporter", "Go"]]) {
    equal((await to.libos(...words)).exit, 7, words.join(" "));
  }
});

Deno.test("An image that is run says what it asks for, and gets what is granted", async () => {
  await using model = fakeOpenAi([says("Done")]);
  await using place = await Place.make();
  await lay(place, "one");
  equal((await place.libos("images", "build", "one")).exit, 0);
  const words = ["--model", model.url, "--model-id", "m", "--no-wait"];
  const ran = await place.libos("run", "reporter", "Go", "--grant", "skill.list(*)", ...words);
  equal(ran.exit, 0, ran.err);
  match(
    ran.err,
    /^reporter@1 will ask for \(nothing is granted by that; --grant and --ask do\):$/m,
  );
  match(ran.err, /^ {2}file\.read\(\.\/notes\/\*\*\)$/m);
  match(ran.err, /^reporter@1 brings 2 files: libos images seed reporter@1 FOLDER$/m);
  const { out } = await place.libos("tree", "export", "t_1");
  const granted = out.split("\n").filter((line) => line.includes('"type":"cap.granted"'));
  ok(granted.some((line) => line.includes("skill.list")), out);
  ok(!granted.some((line) => line.includes("file.read")), granted.join("\n"));
  await Deno.mkdir(`${place.folder}/there`);
  match((await place.libos("images", "seed", "reporter", "there")).out, /made notes\/mon\.md/);
  equal(await place.read("there/notes/mon.md"), FOLDER["workspace/notes/mon.md"]);
  match((await place.libos("images", "seed", "reporter", "there")).err, /nothing was written/);
});

Deno.test("A package with generated tools runs where they may, and is refused where not", async () => {
  await using place = await Place.make();
  const contract = { inputSchema: { type: "object" }, rights: ["file.read(./notes/**)"] };
  await lay(place, "one", {
    "tools/t.ts": "export default ({ a }: { a?: string }) => ({ b: a.length });",
    "tools/t.tool.json": JSON.stringify(contract),
  });
  const wrong = await place.libos("images", "build", "one");
  equal(wrong.exit, 1);
  match(wrong.err, /Cannot use tool "t" of the package: 1:\d+ .*undefined/);
  await place.write("one/tools/t.ts", "export default () => ({ b: 1 });");
  equal((await place.libos("images", "build", "one", "--to", "t.json")).exit, 0);
  const ran = await place.libos("run", "t.json", "Go");
  equal(ran.exit, 1);
  match(ran.err, /Cannot run image "reporter@1": it brings generated tools \(t\), expected --jit/);
});

Deno.test("A server keeps packages, starts what they hold, and refuses what was changed", async () => {
  await using at = await served((place) => {
    return lay(place, "one").then(() => ["waiter.ts"]);
  });
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  const built = await libos("images", "build", "one");
  equal([built.exit, built.err], [0, ""]);
  match((await libos("images")).out, /^reporter@1 .* package /m);
  equal((await libos("images", "export", "reporter", "out.json")).exit, 0);
  equal((await libos("images", "diff", "reporter", "out.json")).err, "No difference\n");
  await at.place.write("bad.json", (await at.place.read("out.json")).replace("Monday", "Sunday"));
  equal((await libos("images", "import", "bad.json")).exit, 7);
  const [, url, , token] = at.host as [string, string, string, string];
  const bad = await fetch(`${url}/v1/packages`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: await at.place.read("bad.json"),
  });
  equal([bad.ok, (await bad.json()).code], [false, "EINTEGRITY"]);
  await lay(at.place, "waiter", { "image.json": manifest({ name: "waiter" }) });
  match(
    (await libos("images", "build", "waiter")).err,
    /Cannot make image "waiter@1": it is another/,
  );
  const spawned = await libos("spawn", "-d", "reporter", "Go", "-q");
  equal(spawned.exit, 0, spawned.err);
  match((await libos("describe", spawned.out.trim())).out, /reporter@1/);
  equal((await libos("images", "rm", "reporter")).exit, 0);
  equal((await libos("spawn", "-d", "reporter", "Go")).exit, 3);
});

/** What a package might put where somebody works, so that the next command there runs it. */
const PLANTED: readonly string[] = [
  "libos.mcp.lock",
  "LIBOS.MCP.LOCK",
  "libos.policy",
  ".libos/libos.db",
  ".libos/hooks.json",
  "sub/.libos/tokens.json",
];

Deno.test("A package plants no store, no policy and no server of tools where it is seeded", async () => {
  await using place = await Place.make();
  await Deno.mkdir(`${place.folder}/there`);
  for (const [i, path] of PLANTED.entries()) {
    const folder = `p${i}`;
    const image = JSON.stringify({ name: `planter-${i}`, version: "1", needs: [] });
    await lay(place, folder, {
      "image.json": image,
      "prompt.md": "Work",
      "workspace/plain.md": "-",
      [`workspace/${path}`]: "{}",
    });
    equal((await place.libos("images", "build", folder)).exit, 0, path);
    const { exit, err } = await place.libos("images", "seed", `planter-${i}`, "there");
    equal(exit, 4, path);
    match(err, /it would say what runs there, and by which rules.*nothing was written/);
  }
  equal([...Deno.readDirSync(`${place.folder}/there`)].length, 0);
});
