/**
 * What if another process swaps folders and files while RootedFiles uses them?
 *
 * The number of rounds is bounded; what the other process does in them is chance. That it does
 * reach the instant between a check and a use is shown by a reader without any defence. What is left
 * where folders are only checked is a matter of one system call, which `files_instant_test.ts` meets
 * each time: no name that is taken away here, where it is chance, is also one outside.
 * @module
 */

import { equal } from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import type { RootedFiles } from "../providers/files.ts";
import { ALL, attacked, BYTES, NEW, PUT, SECRET } from "./files_place.ts";

const ROUNDS = 3_000;

for (const anchor of [true, false]) {
  const way = anchor ? "anchored" : "checked";

  Deno.test(`RootedFiles (${way}) is not led out by a folder swapped in a race`, async () => {
    await attacked(anchor, async (place) => {
      await using _swapper = await swapping(place.root);
      for (let round = 0; round < ROUNDS; round++) {
        await hammer(place.files, round, anchor ? "x" : "m");
      }
    });
  });

  Deno.test(`RootedFiles (${way}) does not read a file swapped for a link or a pipe`, async () => {
    await attacked(anchor, async ({ root, files }) => {
      await new Deno.Command("mkfifo", { args: [`${root}/pipe`] }).output();
      symlinkSync("../outside/x", `${root}/to-secret`);
      symlinkSync("forbidden.env", `${root}/to-forbidden`);
      writeFileSync(`${root}/plain`, "plain");
      await using _swapper = await cycling(root);
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = await files.read("x", ALL).catch(() => undefined);
        if (bytes !== undefined) equal(new TextDecoder().decode(bytes), "plain");
      }
    });
  });
}

Deno.test("A reader that only looks before it opens is led out by the same swapping", async () => {
  await attacked(true, async ({ root }) => {
    await using _swapper = await swapping(root);
    let text = "";
    for (let round = 0; round < 1_000_000 && text !== SECRET; round++) {
      try {
        const isPlain = Deno.lstatSync(`${root}/notes`).isDirectory;
        text = isPlain ? Deno.readTextFileSync(`${root}/notes/x`) : "";
      } catch {
        // Not there at this instant.
      }
    }
    equal(text, SECRET);
  });
});

Deno.test("RootedFiles with scoped permissions is not led out by a swapped folder", async () => {
  await attacked(false, async ({ root }) => {
    await using _swapper = await swapping(root);
    const flags = ["--no-prompt", `--allow-read=${root}`, `--allow-write=${root}`];
    await using victim = await started(VICTIM, [...flags], root);
    equal(await victim.line(), "anchored false");
    equal(await victim.line(), "done");
  });
});

/** One round of every call on names which also exist, or could be made, beside the root. */
async function hammer(files: RootedFiles, round: number, moved: "x" | "m"): Promise<void> {
  const calls = [
    () => files.read("notes/x", ALL),
    () => files.write("notes/x", BYTES, PUT),
    () => files.write(`notes/n${round % 7}`, BYTES, NEW),
    () => files.mkdir("notes/d"),
    () => files.remove("notes/d"),
    () => files.write(`notes/${moved}`, BYTES, PUT),
    () => files.move(`notes/${moved}`, "notes/y"),
    () => files.remove(`notes/n${round % 7}`),
    () => files.remove("notes/y"),
  ];
  const value = await calls[round % calls.length]?.().catch(() => undefined);
  if (value instanceof Uint8Array) equal(new TextDecoder().decode(value).includes(SECRET), false);
}

/** A process that swaps `notes` for a link to the outside and back, as fast as it can. */
function swapping(root: string): Promise<Child> {
  return started(SWAPPER, ["-A"], root).then(ready);
}

/** A process that makes `x` a file, a link out, a link in, a pipe, and so on. */
function cycling(root: string): Promise<Child> {
  return started(CYCLER, ["-A"], root).then(ready);
}

async function ready(child: Child): Promise<Child> {
  equal(await child.line(), "ready");
  return child;
}

interface Child extends AsyncDisposable {
  line(): Promise<string | undefined>;
}

async function started(script: string, flags: string[], root: string): Promise<Child> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, script);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", "--no-lock", ...flags, path, root],
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  return {
    async line() {
      while (!held.includes("\n")) {
        const { value, done } = await lines.read();
        if (done) return undefined;
        held += value;
      }
      const end = held.indexOf("\n");
      const line = held.slice(0, end);
      held = held.slice(end + 1);
      return line;
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await lines.cancel();
      await child.status;
      await Deno.remove(path);
    },
  };
}

const SWAPPER = `
const root = Deno.args[0];
Deno.symlinkSync("../outside", root + "/link");
console.log("ready");
for (let i = 0; i < 5_000_000; i++) {
  try {
    Deno.renameSync(root + "/notes", root + "/real");
    Deno.renameSync(root + "/link", root + "/notes");
    Deno.renameSync(root + "/notes", root + "/link");
    Deno.renameSync(root + "/real", root + "/notes");
  } catch {
    // The victim was in the way.
  }
}
`;

const CYCLER = `
const root = Deno.args[0];
console.log("ready");
for (let i = 0; i < 5_000_000; i++) {
  for (const name of ["plain", "to-secret", "to-forbidden", "pipe"]) {
    Deno.renameSync(root + "/" + name, root + "/x");
    Deno.renameSync(root + "/x", root + "/" + name);
  }
}
`;

const VICTIM = `
import { RootedFiles } from "${new URL("../providers/files.ts", import.meta.url)}";
const SECRET = ${JSON.stringify(SECRET)}, ALL = { bytesMax: 1000 };
const BYTES = new Uint8Array(5);
const PUT = ${JSON.stringify(PUT)}, NEW = ${JSON.stringify(NEW)};
const equal = (one, other) => {
  if (one !== other) throw new Error("not equal");
};
${hammer.toString()}
const files = await RootedFiles.open(Deno.args[0]);
console.log("anchored " + files.isAnchored);
for (let round = 0; round < ${ROUNDS}; round++) await hammer(files, round, "m");
console.log("done");
`;
