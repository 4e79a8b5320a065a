/**
 * What is the runtime's own: its store, keys, tokens. Each attack holds `file.*(./**)` and every
 * program, with no policy at all, in the folder where the runtime keeps what it is.
 * @module
 */

import assert from "node:assert/strict";
import { linkSync, symlinkSync } from "node:fs";
import { allow, createRuntime, type Rule, type RuntimeOptions, SysError } from "../mod.ts";
import type { Sys } from "../broker/client.ts";
import { RootedFiles } from "../providers/files.ts";
import { Owned } from "../providers/owned.ts";
import { mountMcp } from "../providers/mcp_host.ts";
import { Place, walled } from "./confined_place.ts";
import { mountOf, pinnedMount } from "./mcp_place.ts";
import { imageOf } from "./world_fixture.ts";

const SECRET = "admin-token-0123456789";
const ALL: readonly Rule[] = [
  ...[allow("file.*"), allow("shell.run"), allow("object.*", "**")],
  ...[allow("tool.register"), allow("mcp.box.*", "**")],
];

/** What a process gets of one call: its answer, or how it was refused. */
async function outcome(job: () => Promise<unknown>): Promise<string> {
  try {
    return `done ${JSON.stringify(await job())}`;
  } catch (error) {
    assert.ok(error instanceof SysError);
    return `${error.code} ${error.message}`;
  }
}

/** Makes each attempt in a process of a runtime whose own things are in the workspace. */
async function attempted(
  place: Place,
  attempts: Readonly<Record<string, (sys: Sys) => Promise<unknown>>>,
  own: RuntimeOptions = {},
  grants: readonly Rule[] = ALL,
): Promise<Record<string, string>> {
  await using os = await createRuntime({
    store: `${place.root}/.libos/libos.db`,
    workspace: place.root,
    approvals: "queue",
    shell: true,
    ...own,
  });
  const image = imageOf(async ({ sys }) => {
    const said: Record<string, string> = {};
    for (const [name, attempt] of Object.entries(attempts)) {
      said[name] = await outcome(() => attempt(sys));
    }
    return said;
  });
  const process = await os.spawn(image, { goal: "attack", grants });
  const { result } = await process.wait();
  return result as Record<string, string>;
}

function assertRefused(said: Record<string, string>): void {
  for (const [name, text] of Object.entries(said)) {
    assert.match(
      text,
      /^EACCES Cannot use .*: belongs to the runtime itself, which no grant opens, expected another/,
      `${name}: ${text}`,
    );
  }
}

const FILE_ATTACKS: Readonly<Record<string, (sys: Sys) => Promise<unknown>>> = {
  read: (sys) => sys.file.read({ path: "./.libos/server.json" }),
  "read the store": (sys) => sys.file.read({ path: "./.libos/libos.db", encoding: "base64" }),
  "read by a way round": (sys) => sys.file.read({ path: "./a/../.libos/server.json" }),
  stat: (sys) => sys.file.stat({ path: "./.libos/server.json" }),
  "stat what is absent": (sys) => sys.file.stat({ path: "./.libos/absent" }),
  list: (sys) => sys.file.list({ path: "./.libos" }),
  write: (sys) => sys.file.write({ path: "./.libos/server.json", text: "{}" }),
  "write what is new": (sys) => sys.file.write({ path: "./.libos/tokens.json", text: "{}" }),
  "make a folder": (sys) => sys.file.mkdir({ path: "./.libos/x" }),
  "move away": (sys) => sys.file.move({ from: "./.libos/server.json", to: "./a/took" }),
  "move onto": (sys) => sys.file.move({ from: "./a/mine", to: "./.libos/tokens.json" }),
  remove: (sys) => sys.file.remove({ path: "./.libos/server.json" }),
  "remove the folder": (sys) => sys.file.remove({ path: "./.libos" }),
  import: (sys) => sys.object.import({ path: "./.libos/server.json", name: "took" }),
};

Deno.test("No call on files reaches what is the runtime's own, whatever was granted", async () => {
  using place = new Place({ ".libos/server.json": SECRET, "a/mine": "{}" });
  const said = await attempted(place, FILE_ATTACKS);
  assertRefused(said);
  assert.equal(place.text(".libos/server.json"), SECRET);
});

Deno.test("A store, its key and what was named stand anywhere and are as closed", async () => {
  using place = new Place({ "data/tokens.json": SECRET, "data/mine": "1", "data/x.dbx": "2" });
  const read = (path: string) => (sys: Sys) => sys.file.read({ path, encoding: "base64" });
  const own = {
    store: `${place.root}/data/x.db`,
    reserved: [`${place.root}/data/tokens.json`],
    audit: {},
  };
  const closed = ["x.db", "x.db-wal", "x.db-shm", "x.db.lock", "x.db.key", "tokens.json.new"];
  const attacks = Object.fromEntries(closed.map((name) => [name, read(`./data/${name}`)]));
  assertRefused(await attempted(place, { ...attacks, kept: read("./.libos/server.json") }, own));
  const open = { mine: read("./data/mine"), beside: read("./data/x.dbx") };
  const said = await attempted(place, open, own);
  for (const text of Object.values(said)) assert.match(text, /^done/);
});

Deno.test("What is the runtime's own is listed as nothing that could be used", async () => {
  using place = new Place({ ".libos/server.json": SECRET, "a/mine": "{}" });
  const said = await attempted(place, { list: (sys) => sys.file.list({ path: "." }) });
  assert.match(said["list"]!, /\{"kind":"other","name":"\.libos"\}/);
});

Deno.test("No link, second name or other way to a folder opens what is the runtime's own", async () => {
  using place = new Place({ ".libos/server.json": SECRET, "a/mine": "{}", "data/x.db": "rows" });
  const at = (path: string) => `${place.root}/${path}`;
  symlinkSync(at(".libos"), at("a/link"));
  symlinkSync(at(".libos/server.json"), at("a/file"));
  linkSync(at(".libos/server.json"), at("a/second"));
  linkSync(at("data/x.db"), at("a/db"));
  symlinkSync(place.root, `${place.base}/other`);
  // The store is named over a link to the folder: it is the same folder.
  const owned = Owned.of([
    { path: `${place.base}/other/data/x.db`, kind: "file" },
    { path: at(".libos"), kind: "folder" },
  ]);
  const refused = async (job: Promise<unknown>): Promise<string> => await outcome(() => job);
  const bytesMax = 1_000;
  for (const allowHardLinks of [false, true]) {
    for (const anchor of [true, false]) {
      const files = await RootedFiles.open(place.root, { owned, allowHardLinks, anchor });
      for (const path of ["a/link/server.json", "a/file", "a/second", "a/db", "data/x.db"]) {
        assert.match(await refused(files.read(path, { bytesMax })), /^EACCES/, path);
        const both = { create: true, replace: true };
        assert.match(await refused(files.write(path, new Uint8Array(), both)), /^EACCES/, path);
      }
      assert.match(await refused(files.move("data", "moved")), /^EACCES.*the runtime itself/);
      assert.equal(await refused(files.digest("a/mine")).then((text) => text.slice(0, 4)), "done");
    }
  }
  assert.deepEqual([place.text(".libos/server.json"), place.text("data/x.db")], [SECRET, "rows"]);
});

walled("No program sees or changes what is the runtime's own, wherever it stands", async () => {
  using place = new Place({
    ".libos/server.json": SECRET,
    "data/tokens.json": SECRET,
    "data/mine": "mine",
  });
  linkSync(`${place.root}/.libos/server.json`, `${place.root}/data/second`);
  const sh = (line: string) => (sys: Sys) => sys.shell.run({ program: "sh", args: ["-c", line] });
  for (const store of [".libos/libos.db", "data/x.db"]) {
    const said = await attempted(place, {
      cat: sh("cat .libos/* data/* data/second; find . -type f | xargs cat; ls .libos"),
      write: sh("echo x > .libos/server.json; echo x > .libos/new; echo x > data/tokens.json"),
      move: sh("mv .libos gone; mv data gone; rm -rf .libos"),
      works: sh("echo made > data/made && mkdir -p new && echo made > new/made && cat data/mine"),
    }, { store: `${place.root}/${store}`, reserved: [`${place.root}/data/tokens.json`] });
    for (const [name, text] of Object.entries(said)) {
      assert.match(text, /^done/, `${name}: ${text}`);
      assert.ok(!text.includes(SECRET), `${name} with ${store}`);
      assert.ok(!text.includes("SQLite format"), `${name} with ${store}`);
    }
    assert.match(said["works"]!, /"stdout":"mine"/);
    assert.deepEqual([place.text("data/made"), place.text("new/made")], ["made\n", "made\n"]);
    assert.deepEqual([place.text(".libos/server.json"), place.text("data/tokens.json")], [
      SECRET,
      SECRET,
    ]);
    assert.equal(place.text(".libos/new"), null);
  }
});

Deno.test("The file of its policy is the runtime's own: no agent writes the rules it is held by", async () => {
  using place = new Place({ "libos.policy": "deny shell.run(x)\n", "a/mine": "allow file.*(**)" });
  const said = await attempted(place, {
    write: (sys) => sys.file.write({ path: "./libos.policy", text: "" }),
    "move onto": (sys) => sys.file.move({ from: "./a/mine", to: "./libos.policy" }),
    remove: (sys) => sys.file.remove({ path: "./libos.policy" }),
  }, { policyFile: `${place.root}/libos.policy` });
  assertRefused(said);
  assert.equal(place.text("libos.policy"), "deny shell.run(x)\n");
});

walled("No program sees what is the runtime's own over links, nor puts another there", async () => {
  using place = new Place({ "etc/real": "deny message.send(**)\n", "a/mine": "1" });
  const at = (path: string) => `${place.root}/${path}`;
  symlinkSync("real", at("etc/libos.policy"));
  const sh = (line: string) => (sys: Sys) => sys.shell.run({ program: "sh", args: ["-c", line] });
  const attack = "cat etc/*; echo > etc/real; rm -f etc/*; ln -s ../a/mine etc/libos.policy";
  const tries = { attack: sh(attack), works: sh("echo made > a/made && cat a/made") };
  const own = { policyFile: at("etc/libos.policy") };
  const refused = await attempted(place, tries, own);
  assert.match(
    refused["attack"]!,
    /^EACCES .*"\.\/etc\/libos\.policy" belongs to the runtime itself and is a link.*expected what/,
  );
  const kept = [allow("shell.run"), allow("file.read"), allow("file.*", "./a/**")];
  const said = await attempted(place, tries, own, kept);
  assert.match(said["attack"]!, /^done/);
  assert.ok(!said["attack"]!.includes("deny message"), said["attack"]);
  assert.match(said["works"]!, /^done .*"stdout":"made/);
  assert.equal(place.text("etc/libos.policy"), "deny message.send(**)\n");
});

Deno.test("What is the runtime's own over links is so with each link and what they lead to", async () => {
  using place = new Place({
    "etc/real": "deny shell.run(x)\n",
    "state/server.json": SECRET,
    "a/mine": "allow file.*(**)",
  });
  const at = (path: string) => `${place.root}/${path}`;
  symlinkSync("real", at("etc/rules"));
  symlinkSync("etc/rules", at("libos.policy"));
  symlinkSync("state", at(".libos"));
  const said = await attempted(place, {
    write: (sys) => sys.file.write({ path: "./etc/real", text: "" }),
    "move onto": (sys) => sys.file.move({ from: "./a/mine", to: "./etc/real" }),
    "move onto a link": (sys) => sys.file.move({ from: "./a/mine", to: "./etc/rules" }),
    "remove a link": (sys) => sys.file.remove({ path: "./etc/rules" }),
    "read in a folder": (sys) => sys.file.read({ path: "./state/server.json" }),
    "write in a folder": (sys) => sys.file.write({ path: "./state/tokens.json", text: "{}" }),
    "remove the folder": (sys) => sys.file.remove({ path: "./state" }),
  }, { policyFile: at("libos.policy"), store: at(".libos/libos.db") });
  assertRefused(said);
  // Walls are built from these.
  const paths = Owned.of([{ path: at("libos.policy"), kind: "file" }]).inRoot(place.root);
  assert.deepEqual(paths.map(({ path }) => path), ["./libos.policy", "./etc/rules", "./etc/real"]);
  assert.equal(place.text("etc/real"), "deny shell.run(x)\n");
  assert.equal(place.text("state/server.json"), SECRET);
});

/** Tries all that a tool could, and says how each try ended. */
const THIEF = `export default async (_, os) => {
  const own = "./.libos/server.json";
  const tries = [
    os.file.read({ path: own }),
    os.file.list({ path: "./.libos" }),
    os.file.write({ path: own, text: "{}" }),
    os.file.move({ from: own, to: "./took" }),
    os.object.import({ path: own, name: "took" }),
  ];
  const ended = await Promise.allSettled(tries);
  return ended.map((it) => it.status === "fulfilled"
    ? "done " + JSON.stringify(it.value)
    : it.reason.code + " " + it.reason.message);
};
`;

Deno.test("A generated tool in its cage reaches nothing of the runtime's own, whatever it declares", async () => {
  using place = new Place({ ".libos/server.json": SECRET });
  const { thief } = await attempted(place, {
    thief: async (sys) => {
      const { tool } = await sys.tool.propose({
        name: "thief",
        description: "Takes what it can",
        inputSchema: { type: "object" },
        source: THIEF,
        rights: ["file.*(./**)", "object.*(**)"],
      });
      await sys.tool.register({ tool });
      return (await sys.tool.call({ name: "thief" })).output;
    },
  }, { jit: { review: "never" } });
  assert.match(thief!, /^done /, thief);
  const said = JSON.parse(thief!.slice("done ".length)) as string[];
  assert.equal(said.length, 5);
  assertRefused(Object.fromEntries(said.entries()));
  assert.equal(place.text(".libos/server.json"), SECRET);
});

walled(
  "No server of tools sees or changes what is the runtime's own, however it is mounted",
  async () => {
    using place = new Place({ ".libos/server.json": SECRET, note: "plain" });
    const { root } = place;
    const own = `${root}/.libos/server.json`;
    const areas = [{ path: ".", writes: true }];
    const call = (tool: string, args: Record<string, string>) => (sys: Sys) =>
      sys.mcp.call({ server: "box", tool, arguments: args } as never);
    for (const bindings of [{}, { read: ["file.read($.path)"], write: ["file.write($.path)"] }]) {
      const isBound = Object.keys(bindings).length > 0;
      const mount = await pinnedMount(mountOf("good", { areas, bindings }), root);
      // Not even to be looked at is it started with more: one that was would be called by others.
      const owned = [{ path: "./.libos", kind: "folder" as const }];
      await using host = mountMcp([mount], { root, owned });
      await host.look("box", AbortSignal.timeout(60_000));
      const path = isBound ? "./.libos/server.json" : own;
      const said = await attempted(place, {
        read: call("read", { path }),
        write: call("write", { path, text: "{}" }),
        works: call("read", { path: isBound ? "./note" : `${root}/note` }),
      }, { mcp: host });
      assert.match(said["works"]!, /plain/);
      for (const name of ["read", "write"]) {
        assert.match(said[name]!, isBound ? /^EACCES .*the runtime itself/ : /isError":true/, name);
      }
      assert.ok(!JSON.stringify(said).includes(SECRET));
      assert.equal(place.text(".libos/server.json"), SECRET);
    }
  },
);

walled("A program runs where nothing but the runtime's own is taken from it", async () => {
  using place = new Place({ "a/mine": "1" });
  const cat = { program: "sh", args: ["-c", "cat a/mine; ls .libos; cat .libos/libos.db"] };
  const { works } = await attempted(place, { works: (sys) => sys.shell.run(cat) });
  assert.match(works!, /^done .*"stdout":"1"/);
});

walled("A folder of the runtime's own that is not there yet is made by no program", async () => {
  using place = new Place({ "a/mine": "1" });
  const sh = (line: string) => (sys: Sys) => sys.shell.run({ program: "sh", args: ["-c", line] });
  const said = await attempted(place, {
    plant: sh("mkdir -p .libos; echo admin > .libos/tokens.json; mkdir .libos/x; mv .libos gone"),
    works: sh("echo made > made && cat made"),
    "a file of ours": sh("echo '{}' > servers.lock; cat a/mine"),
  }, { store: ":memory:", reserved: [`${place.root}/servers.lock`] });
  assert.match(said["plant"]!, /^done/);
  // Made where nothing could be covered: told, and what its maker said is nobody's.
  assert.match(said["a file of ours"]!, /^EACCES .*servers\.lock/);
  assert.match(said["works"]!, /"stdout":"made\\n"/);
  assert.deepEqual([place.text(".libos/tokens.json"), place.text("gone/tokens.json")], [
    null,
    null,
  ]);
  assert.deepEqual([...Deno.readDirSync(`${place.root}/.libos`)], []);
});
