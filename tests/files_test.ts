/**
 * RootedFiles does what Files says, in both ways of holding folders and with scoped permissions.
 * @module
 */

import { deepEqual, equal, rejects } from "node:assert/strict";
import { SysError } from "../kernel/errors.ts";
import { sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { RootedFiles, type RootedFilesOptions } from "../providers/files.ts";
import { isExact, isTempName, spellingsOf, tempName } from "../providers/files_path.ts";

const text = (value: string) => new TextEncoder().encode(value);
const NEW = { create: true, replace: false };
const PUT = { create: true, replace: true };
const OLD = { create: false, replace: true };
const ALL = { bytesMax: LIMITS.fileBytesMax };
const MANY = { entriesMax: 100 };

interface Place {
  readonly root: string;
  readonly files: RootedFiles;
}

/** One test for each way of holding folders. */
function testFiles(claim: string, body: (place: Place) => Promise<void>): void {
  for (const anchor of [true, false]) {
    const way = anchor ? "anchored" : "checked";
    Deno.test(`RootedFiles (${way}) ${claim}`, () => withRoot({ anchor }, body));
  }
}

async function withRoot(
  options: RootedFilesOptions,
  body: (place: Place) => Promise<void>,
): Promise<void> {
  const root = await Deno.realPath(await Deno.makeTempDir());
  try {
    await body({ root, files: await RootedFiles.open(root, options) });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function refuses(code: string, call: Promise<unknown>, sentence?: RegExp): Promise<void> {
  await rejects(call, (thrown) => {
    if (!(thrown instanceof SysError)) throw thrown;
    equal(thrown.code, code, thrown.message);
    if (sentence !== undefined) equal(sentence.test(thrown.message), true, thrown.message);
    return true;
  });
}

testFiles("reads back what was written, also nothing and a lot", async ({ files }) => {
  const big = new Uint8Array(LIMITS.fileBytesMax).fill(7);
  for (const bytes of [text(""), text("a"), text("äöü\n"), big]) {
    await files.write("x", bytes, PUT);
    deepEqual(await files.read("x", ALL), bytes);
    equal(await files.digest("x"), sha256(bytes));
  }
});

testFiles("honours create and replace", async ({ files }) => {
  await refuses("ENOENT", files.write("a", text("1"), OLD));
  await files.write("a", text("1"), NEW);
  await refuses("EEXIST", files.write("a", text("2"), NEW));
  deepEqual(await files.read("a", ALL), text("1"));
  await files.write("a", text("3"), OLD);
  await files.write("a", text("4"), PUT);
  deepEqual(await files.read("a", ALL), text("4"));
  await refuses("EEXIST", files.write("a", text("5"), { create: false, replace: false }));
});

testFiles("lets one of many creators win", async ({ files, root }) => {
  const tries = Array.from({ length: 20 }, (_, i) => files.write("one", text(`${i}`), NEW));
  const done = await Promise.allSettled(tries);
  equal(done.filter((each) => each.status === "fulfilled").length, 1);
  deepEqual([...Deno.readDirSync(root)].map((entry) => entry.name), ["one"]);
});

testFiles("keeps the mode of a replaced file and leaves no other name", async ({ files, root }) => {
  await files.write("a", text("1"), NEW);
  await Deno.chmod(`${root}/a`, 0o640);
  await files.write("a", text("2"), OLD);
  const stats = await Deno.stat(`${root}/a`);
  equal((stats.mode ?? 0) & 0o777, 0o640);
  equal(stats.nlink, 1);
});

testFiles("never changes a file in place", async ({ files, root }) => {
  await files.write("a", text("old"), NEW);
  using held = await Deno.open(`${root}/a`);
  await files.write("a", text("new"), OLD);
  const bytes = new Uint8Array(9);
  equal(await held.read(bytes), 3);
  deepEqual(bytes.subarray(0, 3), text("old"));
});

testFiles("refuses to read more than bytesMax", async ({ files }) => {
  await files.write("a", text("12345"), NEW);
  await refuses("ELIMIT", files.read("a", { bytesMax: 4 }));
  deepEqual(await files.read("a", { bytesMax: 5 }), text("12345"));
});

testFiles("lists by UTF-16 code units, bounded", async ({ files }) => {
  for (const name of ["b", "a", "Z", "é", "😀", "\uffee"]) await files.write(name, text(""), NEW);
  await files.mkdir("dir");
  const entries = await files.list("", MANY);
  deepEqual(entries.map((entry) => entry.name), ["Z", "a", "b", "dir", "é", "😀", "\uffee"]);
  equal(entries.find((entry) => entry.name === "dir")?.kind, "directory");
  equal((await files.list("", { entriesMax: 7 })).length, 7);
  await refuses("ELIMIT", files.list("", { entriesMax: 6 }));
});

testFiles("says what is there", async ({ files, root }) => {
  await files.mkdir("d");
  await files.write("d/a", text("123"), NEW);
  equal((await files.stat(""))?.kind, "directory");
  equal((await files.stat("d"))?.kind, "directory");
  equal((await files.stat("d"))?.bytes, 0);
  const stats = await files.stat("d/a");
  equal(stats?.kind, "file");
  equal(stats?.bytes, 3);
  equal(stats?.modifiedMs, Math.floor((await Deno.stat(`${root}/d/a`)).mtime?.getTime() ?? 0));
  equal(await files.stat("none"), undefined);
  equal(await files.stat("none/deeper"), undefined);
  equal(await files.stat("d/a/below"), undefined);
});

testFiles("tells a missing file by digest null", async ({ files }) => {
  await files.mkdir("d");
  equal(await files.digest("none"), null);
  equal(await files.digest("none/deeper"), null);
  equal(await files.digest("d"), null);
});

testFiles("makes folders one by one", async ({ files }) => {
  await refuses("ENOENT", files.mkdir("a/b"));
  await files.mkdir("a");
  await refuses("EEXIST", files.mkdir("a"));
  await files.mkdir("a/b");
  await files.write("a/b/c", text("x"), NEW);
  deepEqual(await files.list("a/b", MANY), [{ name: "c", kind: "file" }]);
});

testFiles("moves files and folders and never replaces", async ({ files }) => {
  await files.mkdir("a");
  await files.mkdir("b");
  await files.write("a/x", text("x"), NEW);
  await files.write("b/y", text("y"), NEW);
  await refuses("EEXIST", files.move("a/x", "b/y"));
  await refuses("EEXIST", files.move("a/x", "a/x"));
  await refuses("EEXIST", files.move("a", "b"));
  await refuses("EINVAL", files.move("a", "a/sub"));
  await refuses("ENOENT", files.move("a/none", "b/z"));
  await refuses("ENOENT", files.move("a/x", "none/z"));
  await files.move("a/x", "b/x");
  await files.move("b", "c");
  deepEqual(await files.read("c/x", ALL), text("x"));
  deepEqual(await files.read("c/y", ALL), text("y"));
  equal(await files.stat("a/x"), undefined);
  equal(await files.stat("a/sub"), undefined);
});

testFiles("removes files and empty folders only", async ({ files }) => {
  await files.mkdir("a");
  await files.write("a/x", text("x"), NEW);
  await refuses("EINVAL", files.remove("a"), /not empty/);
  await files.remove("a/x");
  await files.remove("a");
  await refuses("ENOENT", files.remove("a"));
  await refuses("EINVAL", files.remove(""));
});

testFiles("says in its sentences what was named and never where the root is", async (place) => {
  const { files, root } = place;
  await files.mkdir("d");
  const calls = [files.read("d", ALL), files.read("n", ALL), files.write("d", text(""), PUT)];
  for (const call of [...calls, files.list("n", MANY), files.read("d/x/y", ALL)]) {
    await rejects(call, (thrown: Error) => {
      equal(/^Cannot \w+ "[dn].*": /.test(thrown.message), true, thrown.message);
      return !thrown.message.includes(root);
    });
  }
});

testFiles("sweeps what crashed writers left, and nothing else", async ({ files, root }) => {
  const [fresh, old, published] = [tempName(), tempName(), tempName()];
  await files.mkdir("d");
  for (const name of [fresh, old, published]) Deno.writeTextFileSync(`${root}/d/${name}`, "x");
  Deno.utimeSync(`${root}/d/${old}`, 0, 0);
  Deno.linkSync(`${root}/d/${published}`, `${root}/d/real`);
  deepEqual(await files.list("d", MANY), [{ name: "real", kind: "file" }]);
  const again = await RootedFiles.open(root, { anchor: files.isAnchored });
  const left = [...Deno.readDirSync(`${root}/d`)].map((entry) => entry.name).sort();
  deepEqual(left, [fresh, "real"].sort());
  deepEqual(await again.read("d/real", ALL), text("x"));
});

Deno.test("RootedFiles.open() refuses what is no folder", async () => {
  await withRoot({}, async ({ root }) => {
    await refuses("ENOENT", RootedFiles.open(`${root}/none`));
    Deno.writeTextFileSync(`${root}/file`, "");
    await refuses("EINVAL", RootedFiles.open(`${root}/file`));
  });
});

Deno.test("RootedFiles refuses a full disk with ENOSPC and keeps the old content", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const mount = async (...args: string[]) =>
    (await new Deno.Command(args[0] ?? "", { args: args.slice(1), stderr: "null" }).output())
      .success;
  await withRoot({}, async ({ root, files }) => {
    await files.mkdir("small");
    // Only where the test may mount; elsewhere there is no disk to fill.
    const isMounted = Deno.uid() === 0 &&
      await mount("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", `${root}/small`);
    if (!isMounted) return;
    try {
      await files.write("small/a", text("old"), NEW);
      await refuses("ENOSPC", files.write("small/a", new Uint8Array(200_000), PUT));
      deepEqual(await files.read("small/a", ALL), text("old"));
      deepEqual([...Deno.readDirSync(`${root}/small`)].map((entry) => entry.name), ["a"]);
      await files.write("b", text("b"), NEW);
      await refuses("EINVAL", files.move("b", "small/b"), /another file system/);
      deepEqual((await files.list("small", MANY)).map((entry) => entry.name), ["a"]);
    } finally {
      await mount("umount", `${root}/small`);
    }
  });
});

Deno.test("RootedFiles needs read and write for the root and no more", async () => {
  await withRoot({}, async ({ root }) => {
    const full = await scoped(root, [`--allow-read=${root}`, `--allow-write=${root}`]);
    deepEqual(full, { written: "ok", read: "ok", listed: "ok", moved: "ok", removed: "ok" });
    const readOnly = await scoped(root, [`--allow-read=${root}`]);
    equal(readOnly["written"], "EACCES --allow-write");
    const nothing = await scoped(root, []);
    equal(nothing["opened"], "EACCES --allow-read");
  });
});

Deno.test("isExact() takes only the stored spelling where spellings fold", () => {
  const stored = ["secrets.env", "café"];
  const fold = (name: string) => name.normalize("NFC").toLowerCase();
  const folding = {
    identity: (name: string) => stored.find((each) => fold(each) === fold(name)),
    realName: (name: string) => name,
    names: () => stored,
  };
  equal(isExact("secrets.env", folding), true);
  equal(isExact("SECRETS.ENV", folding), false);
  equal(isExact("Secrets.env", folding), false);
  equal(isExact("café", folding), true);
  equal(isExact("cafe\u0301", folding), false);
  const telling = { ...folding, realName: (name: string) => fold(name) };
  equal(isExact("SECRETS.ENV", telling), false);
  const strict = { ...folding, identity: (name: string) => stored.find((each) => each === name) };
  equal(isExact("secrets.env", strict), true);
});

Deno.test("tempName() makes names that isTempName() tells and nobody repeats", () => {
  const names = new Set(Array.from({ length: 1_000 }, tempName));
  equal(names.size, 1_000);
  equal([...names].every(isTempName), true);
  equal(isTempName(".libos-config"), false);
  deepEqual(spellingsOf("123"), []);
});

/** Runs the calls in a process with these permissions; says how each went. */
async function scoped(root: string, flags: string[]): Promise<Record<string, string>> {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(script, SCRIPT);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-config", "--no-lock", ...flags, script, root],
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(script);
  }
}

const SCRIPT = `
import { RootedFiles } from "${new URL("../providers/files.ts", import.meta.url)}";
const said = {};
const told = async (name, job) => {
  try {
    await job();
    said[name] = "ok";
  } catch (e) {
    said[name] = e.code + " " + (/--allow-[a-z]+/.exec(e.message)?.[0] ?? e.message);
  }
};
let files;
try {
  files = await RootedFiles.open(Deno.args[0]);
} catch (e) {
  said.opened = e.code + " " + /--allow-[a-z]+/.exec(e.message)?.[0];
}
if (files) {
  const put = { create: true, replace: true };
  await told("written", () => files.write("s", new Uint8Array(3), put));
  await told("read", () => files.read("s", { bytesMax: 9 }));
  await told("listed", () => files.list("", { entriesMax: 9 }));
  await told("moved", () => files.move("s", "t"));
  await told("removed", () => files.remove("t"));
}
console.log(JSON.stringify(said));
`;
