/**
 * What if a path, a name, a link or another process lies to RootedFiles?
 *
 * Each attack runs on a real folder with a secret beside the root and a forbidden file in it.
 * @module
 */

import { equal } from "node:assert/strict";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import type { Errno } from "../kernel/errors.ts";
import { RootedFiles } from "../providers/files.ts";
import { tempName } from "../providers/files_path.ts";
import { ALL, attacked, BYTES, NEW, type Place, PUT, SECRET } from "./files_place.ts";

type Attack = readonly [claim: string, expected: Errno, run: (place: Place) => Promise<unknown>];

const readPath = (path: string) => ({ files }: Place) => files.read(path, ALL);
const writePath = (path: string) => ({ files }: Place) => files.write(path, BYTES, PUT);

/** Puts a link at `at` in the root, then runs the call. */
function withLink(at: string, to: string, run: (place: Place) => Promise<unknown>) {
  return (place: Place) => {
    symlinkSync(to.replace("OUTSIDE", place.outside), `${place.root}/${at}`);
    return run(place);
  };
}

function withHardLink(run: (place: Place) => Promise<unknown>, target = "forbidden.env") {
  return (place: Place) => {
    linkSync(`${place.root}/${target}`, `${place.root}/notes/alias`);
    return run(place);
  };
}

async function withPipe(place: Place, run: () => Promise<unknown>): Promise<unknown> {
  await new Deno.Command("mkfifo", { args: [`${place.root}/pipe`] }).output();
  return await run();
}

function withNewRoot(run: (place: Place) => Promise<unknown>, link: boolean) {
  return (place: Place) => {
    Deno.renameSync(place.root, `${place.base}/moved`);
    if (link) symlinkSync(place.outside, place.root);
    else {
      mkdirSync(place.root);
      writeFileSync(`${place.root}/x`, SECRET);
    }
    return run(place);
  };
}

const NAMED: readonly Attack[] = [
  ["a parent segment", "EINVAL", readPath("../outside/x")],
  ["a parent segment after a folder", "EINVAL", readPath("notes/../../outside/x")],
  ["a parent segment that stays inside", "EINVAL", readPath("notes/../forbidden.env")],
  ["a parent segment at the end", "EINVAL", readPath("notes/..")],
  ["only a parent segment", "EINVAL", ({ files }) => files.list("..", { entriesMax: 9 })],
  ["a dot segment", "EINVAL", readPath("./forbidden.env")],
  ["a dot at the end", "EINVAL", readPath("notes/.")],
  ["an absolute path", "EINVAL", readPath("/etc/passwd")],
  ["an absolute path that exists in the root", "EINVAL", readPath("/notes/a")],
  ["a double slash", "EINVAL", readPath("notes//a")],
  ["a slash at the end", "EINVAL", readPath("notes/")],
  ["only a slash", "EINVAL", readPath("/")],
  ["a NUL", "EINVAL", readPath("notes/a\0.txt")],
  ["a NUL that cuts a parent segment", "EINVAL", readPath("..\0/x")],
  ["a line feed", "EINVAL", writePath("notes/a\nb")],
  ["an escape sequence", "EINVAL", writePath("notes/\x1b[2J")],
  ["a C1 control", "EINVAL", writePath("notes/\x9b2J")],
  ["a bidi override", "EINVAL", writePath("notes/\u202egpj.exe")],
  ["a line separator", "EINVAL", writePath("notes/a\u2028b")],
  ["a lone surrogate", "EINVAL", writePath("notes/\ud800")],
  ["backslashes as separators", "EINVAL", readPath("..\\outside\\x")],
  ["a backslash in a name", "EINVAL", writePath("notes\\a")],
  ["a drive path", "EINVAL", readPath("C:\\x")],
  ["a percent-encoded parent", "ENOENT", readPath("%2e%2e/outside/x")],
  ["a fullwidth parent", "ENOENT", readPath("．．/outside/x")],
  ["three dots", "ENOENT", readPath(".../outside/x")],
  ["a path that is too long", "EINVAL", writePath("a/".repeat(3_000) + "a")],
  ["a path that is too deep", "EINVAL", writePath("a/".repeat(100) + "a")],
  ["a name that is too long", "EINVAL", writePath("é".repeat(200))],
  ["a decomposed new name", "EINVAL", writePath("notes/cafe\u0301")],
  ["a decomposed new folder", "EINVAL", ({ files }) => files.mkdir("cafe\u0301")],
  ["a decomposed target of a move", "EINVAL", ({ files }) => files.move("notes/a", "e\u0301")],
  ["another case", "ENOENT", readPath("FORBIDDEN.ENV")],
  ["a file as a folder", "ENOENT", readPath("forbidden.env/x")],
  ["a name of our temporary files", "EINVAL", writePath(`notes/${tempName()}`)],
  ["such a name in capitals", "EINVAL", writePath(`notes/${tempName().toUpperCase()}`)],
  ["a move to such a name", "EINVAL", ({ files }) => files.move("notes/a", tempName())],
  ["removing the root", "EINVAL", ({ files }) => files.remove("")],
  ["writing the root", "EINVAL", writePath("")],
  ["moving the root", "EINVAL", ({ files }) => files.move("", "notes/r")],
  ["moving onto the root", "EINVAL", ({ files }) => files.move("notes/a", "")],
  ["moving out by the target", "EINVAL", ({ files }) => files.move("notes/a", "../outside/y")],
];

const LINKED: readonly Attack[] = [
  ["a link to a file outside", "EACCES", withLink("l", "../outside/x", readPath("l"))],
  ["an absolute link outside", "EACCES", withLink("l", "OUTSIDE/x", readPath("l"))],
  ["a link to a folder outside", "EACCES", withLink("l", "../outside", readPath("l/x"))],
  [
    "listing through a link",
    "EACCES",
    withLink("l", "../outside", ({ files }) => {
      return files.list("l", { entriesMax: 9 });
    }),
  ],
  ["an alias in the root", "EACCES", withLink("notes/l", "../forbidden.env", readPath("notes/l"))],
  ["an alias of a folder in the root", "EACCES", withLink("l", "notes", readPath("l/a"))],
  ["a link to a link", "EACCES", (place) => {
    symlinkSync("two", `${place.root}/one`);
    return withLink("two", "../outside/x", readPath("one"))(place);
  }],
  ["a link in the middle", "EACCES", withLink("notes/l", "../..", readPath("notes/l/outside/x"))],
  ["a link to itself", "EACCES", withLink("l", "l", readPath("l"))],
  ["a link to /proc/self", "EACCES", withLink("l", "/proc/self", readPath("l/environ"))],
  ["writing through a link", "EACCES", withLink("l", "../outside/x", writePath("l"))],
  ["writing through a dangling link", "EACCES", withLink("l", "../outside/new", writePath("l"))],
  [
    "making through a dangling link",
    "EACCES",
    withLink("l", "../outside/new", ({ files }) => {
      return files.write("l", BYTES, NEW);
    }),
  ],
  ["writing below a link", "EACCES", withLink("l", "../outside", writePath("l/new"))],
  [
    "a folder below a link",
    "EACCES",
    withLink("l", "../outside", ({ files }) => {
      return files.mkdir("l/new");
    }),
  ],
  [
    "a folder at a dangling link",
    "EEXIST",
    withLink("l", "../outside/new", ({ files }) => {
      return files.mkdir("l");
    }),
  ],
  [
    "removing below a link",
    "EACCES",
    withLink("l", "../outside", ({ files }) => {
      return files.remove("l/x");
    }),
  ],
  ["removing a link", "EACCES", withLink("l", "../outside/x", ({ files }) => files.remove("l"))],
  [
    "moving out below a link",
    "EACCES",
    withLink("l", "../outside", ({ files }) => {
      return files.move("notes/a", "l/y");
    }),
  ],
  [
    "moving in from below a link",
    "EACCES",
    withLink("l", "../outside", ({ files }) => {
      return files.move("l/x", "notes/x");
    }),
  ],
  ["moving a link", "EACCES", withLink("l", "../outside/x", ({ files }) => files.move("l", "m"))],
  [
    "moving onto a dangling link",
    "EEXIST",
    withLink("l", "../outside/new", ({ files }) => {
      return files.move("notes/a", "l");
    }),
  ],
  [
    "the digest of a secret",
    "EACCES",
    withLink("l", "../outside/x", ({ files }) => {
      return files.digest("l");
    }),
  ],
  [
    "the size of a secret",
    "EACCES",
    withLink("l", "../outside", ({ files }) => {
      return files.stat("l/x");
    }),
  ],
  ["reading a hard link", "EACCES", withHardLink(readPath("notes/alias"))],
  ["writing a hard link", "EACCES", withHardLink(writePath("notes/alias"))],
  ["reading the other name of it", "EACCES", withHardLink(readPath("forbidden.env"))],
  [
    "the digest of a hard link",
    "EACCES",
    withHardLink(({ files }) => {
      return files.digest("notes/alias");
    }),
  ],
  ["moving a hard link", "EACCES", withHardLink(({ files }) => files.move("notes/alias", "m"))],
  ["a hard link to outside", "EACCES", withHardLink(readPath("notes/alias"), "../outside/x")],
  ["a pipe, which would hang a reader", "EACCES", (place) => {
    return withPipe(place, () => place.files.read("pipe", ALL));
  }],
  ["writing a pipe", "EACCES", (place) => {
    return withPipe(place, () => place.files.write("pipe", BYTES, PUT));
  }],
  ["removing a pipe", "EACCES", (place) => {
    return withPipe(place, () => place.files.remove("pipe"));
  }],
  ["another folder in place of the root", "EACCES", withNewRoot(readPath("x"), false)],
  ["a link in place of the root", "EACCES", withNewRoot(readPath("x"), true)],
  ["writing into another root", "EACCES", withNewRoot(writePath("new"), true)],
];

for (const anchor of [true, false]) {
  const way = anchor ? "anchored" : "checked";
  for (const [claim, expected, run] of [...NAMED, ...LINKED]) {
    Deno.test(`RootedFiles (${way}) refuses ${claim} with ${expected}`, async () => {
      await attacked(anchor, async (place) => {
        const outcome = await run(place).then(
          (value) => ({ code: "nothing", text: JSON.stringify(value) }),
          (thrown) => ({ code: thrown.code, text: String(thrown.message) }),
        );
        equal(outcome.code, expected, outcome.text);
        equal(outcome.text.includes(place.base), false, "The sentence tells where the root is");
      });
    });
  }

  Deno.test(`RootedFiles (${way}) shows links, pipes and odd names as "other"`, async () => {
    await attacked(anchor, async ({ files, root }) => {
      symlinkSync("../outside/x", `${root}/link`);
      symlinkSync("../outside", `${root}/link-to-folder`);
      writeFileSync(`${root}/odd\n`, "");
      const entries = await files.list("", { entriesMax: 9 });
      const kinds = Object.fromEntries(entries.map((entry) => [entry.name, entry.kind]));
      equal(kinds["link"], "other");
      equal(kinds["link-to-folder"], "other");
      equal(kinds["odd\n"], "other");
      equal(kinds["notes"], "directory");
      equal((await files.stat("link"))?.kind, "other");
    });
  });
}

Deno.test("RootedFiles uses hard links only where it was told to", async () => {
  await attacked(true, async ({ root }) => {
    writeFileSync(`${root}/one`, "two names");
    linkSync(`${root}/one`, `${root}/two`);
    const files = await RootedFiles.open(root, { allowHardLinks: true });
    equal(new TextDecoder().decode(await files.read("two", ALL)), "two names");
  });
});
