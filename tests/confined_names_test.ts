/**
 * What rules take by name is not there for programs in walls: not under that name, not under
 * another, and not after they moved what is around it.
 * @module
 */

import assert from "node:assert/strict";
import { SysError } from "../mod.ts";
import { NO_REACH } from "../kernel/reach.ts";
import { namesIn } from "../providers/confine_names.ts";
import { type In, Place, toEnd, walled } from "./confined_place.ts";

const ENV = "./**/*.env";
const ALL = `${ENV} ./**/*.key ./**/secrets/**`;
const SECRET = "hush";

/** A workspace with secrets in it, and what else attempts take. */
function placeWithNames(): Place {
  const place = new Place({
    ".env": SECRET,
    "a/x.env": SECRET,
    "a/plain.txt": "plain",
    "conf/deep/a.key": SECRET,
    "conf/deep/b.txt": "plain",
    "secrets/deep/k": SECRET,
    "odd/**/x.env": SECRET,
    "shut/x.env": SECRET,
    "b/three.txt": "3",
  });
  const at = place.root;
  Deno.symlinkSync("a/x.env", `${at}/link`);
  Deno.symlinkSync("a", `${at}/folder`);
  Deno.linkSync(`${at}/.env`, `${at}/b/same`);
  Deno.linkSync(`${at}/secrets/deep/k`, `${at}/b/deepsame`);
  Deno.chmodSync(`${at}/shut`, 0);
  return place;
}

const HIDDEN: readonly (readonly [what: string, unseen: string, line: string])[] = [
  ["by its name", ENV, "cat .env a/x.env"],
  ["by a search", ALL, "grep -rs hush . ; find . -type f -exec cat {} +"],
  ["as a copy", ENV, "cp -r . /tmp/all; cat /tmp/all/.env /tmp/all/a/x.env"],
  ["in an archive", ALL, "tar cf - . | cat"],
  ["by a link", ENV, "cat link"],
  ["by a link to its folder", ENV, "cat folder/x.env"],
  ["by a link that it makes", ENV, "ln -s ../.env b/l; cat b/l"],
  ["by a second name", ENV, "cat b/same"],
  ["by a second name that it makes", ENV, "ln .env y; ln a/x.env a/y; cat y a/y"],
  ["by a second name of what is deep", "./**/secrets/**", "cat b/deepsame"],
  ["moved", ENV, "mv .env y; mv a/x.env a/y; cat y a/y"],
  ["its folder moved", "./conf/deep/*.key", "mv conf/deep conf/open; cat conf/open/*"],
  ["the folder above moved", "./conf/**/*.key", "mv conf open; cat open/deep/*"],
  ["its folder changed for another", "./conf/*/*.key", "mv conf c; mkdir conf; cat c/deep/a.key"],
  ["a folder so named", "./**/secrets/**", "cat secrets/deep/k; mv secrets s; cat s/deep/k"],
  ["uncovered", ENV, "umount .env; rm -f .env; cat .env"],
  ["by the root of a process", ENV, "cat /proc/self/root$PWD/.env /proc/self/cwd/.env"],
  ["in a folder called **", "./odd/*/x.env", "cat odd/*/x.env"],
  ["in a folder that nobody may open", ENV, "chmod 700 shut; cat shut/x.env"],
];

const LEFT = [".env", "a/x.env", "conf/deep/a.key", "secrets/deep/k"];

walled("What is hidden by name is not read where the rest is read", async () => {
  using place = placeWithNames();
  const unseen = [...new Set(HIDDEN.flatMap(([, patterns]) => patterns.split(" ")))];
  const lines = HIDDEN.map(([what, , line]) => `echo; echo '${what}'; (${line})`).join("\n");
  const { out } = await place.sh(`${lines}\ncat b/three.txt`, { areas: [{ path: ".", unseen }] });
  assert.equal(out.includes(SECRET), false, out);
  assert.match(out, /3$/);
});

for (const [what, unseen, line] of HIDDEN) {
  walled(`What is hidden by name is not read where the rest is written: ${what}`, async () => {
    using place = placeWithNames();
    const areas = [{ path: ".", writes: true, unseen: unseen.split(" ") }];
    const { out } = await place.sh(`(${line}); echo; cat b/three.txt`, { areas });
    assert.equal(out.includes(SECRET), false, out);
    assert.match(out, /3$/);
    // What attempts do to what lies around it leaves it where it was.
    assert.deepEqual(LEFT.map((path) => place.text(path)), LEFT.map(() => SECRET));
  });
}

walled("What is hidden by name is not written, removed or moved over", async () => {
  using place = placeWithNames();
  const areas = [{ path: ".", writes: true, unseen: [ENV] }];
  await place.sh("echo x > .env; rm -f a/x.env; mv b/three.txt a/x.env; rm -rf a", { areas });
  assert.deepEqual([place.text(".env"), place.text("a/x.env")], [SECRET, SECRET]);
});

walled("Beside what is hidden by name all can be made, changed and moved", async () => {
  using place = placeWithNames();
  const areas = [{ path: ".", writes: true, unseen: [ENV, "./conf/**/*.key"] }];
  const line = "echo n > new && echo n > a/new && mv a/plain.txt a/moved && mkdir a/dir && " +
    "mv conf/deep/b.txt b/ && rm b/three.txt && echo done";
  assert.equal((await place.sh(line, { areas })).out, "done\n");
  const paths = ["new", "a/new", "a/moved", "b/b.txt", "b/three.txt"];
  assert.deepEqual(paths.map((path) => place.text(path)), ["n\n", "n\n", "plain", "plain", null]);
});

walled("A hole and names are hidden together, whatever of both is there", async () => {
  for (const hole of ["./conf", "./conf/deep", "./absent", "./a/absent"]) {
    for (const writes of [false, true]) {
      using place = placeWithNames();
      const areas = [{ path: ".", writes, holes: [hole], unseen: [ENV] }];
      const line = "cat .env a/x.env link; mkdir -p absent a/absent; cat a/plain.txt b/three.txt";
      assert.equal((await place.sh(line, { areas })).out, "plain3", hole);
      assert.equal(place.text(`${hole}/x`), null);
    }
  }
});

walled("Names that may be read and not changed are read and not changed", async () => {
  using place = new Place({ "a/x.lock": "1", "a/x.txt": "1" });
  const areas = [{ path: "." }, { path: ".", writes: true, unseen: ["./**/*.lock"] }];
  const line = "echo 2 > a/x.lock; rm -f a/x.lock; mv a/x.txt a/x.lock; cat a/x.lock; echo 2 > a/y";
  const { out } = await place.sh(line, { areas });
  assert.deepEqual([out, place.text("a/x.lock"), place.text("a/y")], ["1", "1", "2\n"]);
});

walled("A piece that may be seen is seen in a folder where its name is hidden", async () => {
  using place = new Place({ "a/x.env": "1", "a/b/y.env": "2", "a/c.env/z": "3" });
  const areas = [{ path: ".", unseen: [ENV] }, { path: "./a/b" }, {
    path: "./a/c.env/z",
    kind: "file" as const,
  }];
  const { out } = await place.sh("cat a/x.env a/b/y.env a/c.env/z", { areas });
  assert.equal(out, "23");
});

walled("A name is hidden as it is written, and in the form of patterns", async () => {
  using place = new Place({ "x.ENV": "seen ", "e\u0301.txt": SECRET, "\u00e9/y": "seen" });
  const areas = [{ path: ".", unseen: [ENV, "./\u00e9.txt"] }];
  assert.equal((await place.sh("cat x.ENV *.txt */y", { areas })).out, "seen seen");
});

for (const [what, made] of [["file", "f\\377.env"], ["folder", "d\\377/x.env"]] as const) {
  walled(
    `A ${what} whose name is no text is not there for anybody where rules take names`,
    async () => {
      using place = new Place();
      // Only a shell writes such a name.
      const line = `n=$(printf '${made}'); mkdir -p "$(dirname "$n")"; echo hush > "$n"`;
      const { success } = await new Deno.Command("/bin/sh", { args: ["-c", line], cwd: place.root })
        .output();
      assert.ok(success);
      await assert.rejects(
        place.sh("cat *", { areas: [{ path: ".", unseen: [ENV] }] }),
        (error) =>
          error instanceof SysError && error.code === "EACCES" && /UTF-8/.test(error.message),
      );
    },
  );
}

/** Starts a line that waits for a word, does something meanwhile, and looks what came. */
async function meanwhile(place: Place, line: string, how: In, job: () => void): Promise<string> {
  const program = await place.start("/bin/sh", ["-c", `read -r w; ${line}`], how);
  job();
  const { out } = await toEnd(program, "go\n");
  try {
    await program.checkUnseen();
    return out;
  } catch (error) {
    assert.ok(error instanceof SysError);
    return `${error.code} ${error.message}`;
  }
}

const CAME: readonly (readonly [
  what: string,
  line: string,
  job: (at: string) => void,
  said: RegExp,
])[] = [
  ["nothing came", "echo hi", () => {}, /^hi$/m],
  ["what has another name came", "echo hi > b/n", (at) => Deno.mkdirSync(`${at}/c`), /^$/],
  [
    "it makes such a name",
    "echo x > a/new.env",
    () => {},
    /^EACCES .*"\.\/a\/new\.env" came or changed/,
  ],
  [
    "it moves something to such a name",
    "mkdir d && mv d d.env",
    () => {},
    /^EACCES .*"\.\/d\.env" came/,
  ],
  [
    "somebody else makes one",
    "cat a/new.env",
    (at) => Deno.writeTextFileSync(`${at}/a/new.env`, "late"),
    /^EACCES .*"\.\/a\/new\.env" came/,
  ],
  [
    "somebody else changes one for another",
    "cat .env",
    (at) => {
      Deno.writeTextFileSync(`${at}/temporary`, "late");
      Deno.renameSync(`${at}/temporary`, `${at}/.env`);
    },
    /^EACCES .*"\.\/\.env" came/,
  ],
  [
    "somebody else changes a hole for another",
    "cat hole",
    (at) => {
      Deno.writeTextFileSync(`${at}/temporary`, "late");
      Deno.renameSync(`${at}/temporary`, `${at}/hole`);
    },
    /^EACCES .*"\.\/hole" came/,
  ],
  ["somebody else removes one", "cat .env", (at) => Deno.removeSync(`${at}/.env`), /^$/],
  ["it removes a link so named", "rm l.env", () => {}, /^EACCES .*"\.\/l\.env" came or changed/],
];

for (const [what, line, job, said] of CAME) {
  walled(
    `What a program says is nobody's where a hidden name came while it ran: ${what}`,
    async () => {
      using place = new Place({ ".env": SECRET, "a/x": "1", "b/x": "1", "hole": SECRET });
      Deno.symlinkSync("b/x", `${place.root}/l.env`);
      const areas = [{ path: ".", writes: true, holes: ["./hole"], unseen: [ENV] }];
      assert.match(await meanwhile(place, line, { areas }, () => job(place.root)), said);
    },
  );
}

walled("A folder mounted in the workspace shows no hidden name again", async (t) => {
  using place = new Place({ "conf/a.key": SECRET, "open/x": "" });
  const mounting = ["mount", "--bind", `${place.root}/conf`, `${place.root}/open`] as const;
  const bound = await new Deno.Command(mounting[0], { args: mounting.slice(1), stderr: "null" })
    .output().catch(() => ({ success: false }));
  if (!bound.success) return void await t.step({ name: "not mountable", ignore: true, fn() {} });
  try {
    const { out } = await place.sh("cat conf/a.key open/a.key; ls open", {
      areas: [{ path: ".", unseen: ["./conf/*.key"] }],
    });
    assert.equal(out, "a.key\n");
  } finally {
    await new Deno.Command("umount", { args: [`${place.root}/open`] }).output();
  }
});

walled("More hidden names than can be covered start nothing", async () => {
  using place = new Place();
  for (let i = 0; i < 520; i++) Deno.writeTextFileSync(`${place.root}/${i}.env`, SECRET);
  await assert.rejects(
    place.sh("true", { areas: [{ path: ".", unseen: [ENV] }] }),
    (error) => error instanceof SysError && error.code === "ELIMIT" && /mounts/.test(error.message),
  );
});

Deno.test("More entries than may be looked through are an error that says what to do", async () => {
  using place = new Place({ "a/1": "", "a/2": "", "b/.env": "" });
  const area = { path: ".", kind: "folder", writes: false, holes: [], unseen: [ENV] } as const;
  const reach = { ...NO_REACH, areas: [area] };
  const names = await namesIn(place.root, reach, 5);
  assert.deepEqual(names.get(area)!.map(({ path, kind }) => [path, kind]), [["./b/.env", "file"]]);
  await assert.rejects(
    namesIn(place.root, reach, 4),
    (error) =>
      error instanceof SysError && error.code === "ELIMIT" &&
      /4 entries.*expected grants of smaller folders/.test(error.message),
  );
});
