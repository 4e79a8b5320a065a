/**
 * Programs of the machine in walls of their own: what they see, what they may use, and that nothing
 * of them is left.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { SysError } from "../mod.ts";
import { Programs } from "../providers/confined.ts";
import { AMPLE, oddWord, Place, toEnd, walled, withWord } from "./confined_place.ts";

const FILES = { "a/one.txt": "1", "a/deep/two.txt": "2", "b/three.txt": "3", "keys/k": "key" };
const ALL = [{ path: ".", writes: true }];

walled("A program without a reach sees no file of the workspace", async () => {
  using place = new Place(FILES);
  assert.deepEqual((await place.sh("find . ; cat a/one.txt")).out, ".\n");
});

walled("A program sees the areas of its reach, and nothing beside them", async () => {
  using place = new Place(FILES);
  const { out } = await place.sh("find . -type f; cat a/deep/two.txt", {
    areas: [{ path: "./a" }],
  });
  assert.deepEqual(out.split("\n").sort(), ["./a/deep/two.txt", "./a/one.txt", "2"]);
});

walled("What is only read is not written", async () => {
  using place = new Place(FILES);
  const { err } = await place.sh("echo x > a/one.txt; echo x > a/new; rm a/one.txt; echo x > new", {
    areas: [{ path: "./a" }],
  });
  assert.equal(err.split("\n").filter((line) => /Read-only/.test(line)).length, 3);
  assert.deepEqual([place.text("a/one.txt"), place.text("new")], ["1", null]);
});

walled("What is written lies in the workspace afterwards", async () => {
  using place = new Place(FILES);
  const { code } = await place.sh("echo x > a/new && rm a/one.txt", {
    areas: [{ path: "./a", writes: true }],
  });
  assert.deepEqual([code, place.text("a/new"), place.text("a/one.txt")], [0, "x\n", null]);
});

walled("One file is one file", async () => {
  using place = new Place(FILES);
  const area = { path: "./a/one.txt", kind: "file", writes: true } as const;
  const { out } = await place.sh("find . -type f; echo x > a/one.txt", { areas: [area] });
  assert.deepEqual([out, place.text("a/one.txt")], ["./a/one.txt\n", "x\n"]);
});

const HOLES: readonly (readonly [what: string, hole: string, line: string])[] = [
  ["a folder", "./keys", "cat keys/k"],
  ["a file", "./keys/k", "cat keys/k"],
  ["something deep", "./a/deep", "cat a/deep/two.txt"],
  ["what is moved away", "./a/deep", "mv a c && cat c/deep/two.txt"],
  ["what is linked to", "./keys/k", "ln keys/k k && cat k"],
  ["what is bound elsewhere", "./keys", "mount --bind keys a && cat a/k"],
];

for (const [what, hole, line] of HOLES) {
  for (const writes of [false, true]) {
    const how = writes ? "written" : "read";
    walled(`A hole is covered where the rest is ${how}: ${what}`, async () => {
      using place = new Place(FILES);
      const { out } = await place.sh(line, { areas: [{ path: ".", writes, holes: [hole] }] });
      assert.equal(out, "");
      const beside = await place.sh("cat b/three.txt", {
        areas: [{ path: ".", writes, holes: [hole] }],
      });
      assert.equal(beside.out, "3");
    });
  }
}

walled("What is not there yet and must not be made is not made", async () => {
  using place = new Place(FILES);
  const areas = [{ path: ".", writes: true, holes: ["./.git"] }];
  await place.sh("mkdir -p .git/hooks && echo x > .git/hooks/pre-commit", { areas });
  assert.equal(place.text(".git/hooks/pre-commit"), null);
});

walled("A hole that may be read is read and not written", async () => {
  using place = new Place(FILES);
  const areas = [{ path: "." }, { path: ".", writes: true, holes: ["./keys"] }];
  const { out } = await place.sh("cat keys/k; echo x > keys/k; echo x > b/three.txt", { areas });
  assert.deepEqual([out, place.text("keys/k"), place.text("b/three.txt")], ["key", "key", "x\n"]);
});

walled("No link leads out of the walls", async () => {
  using place = new Place(FILES);
  Deno.symlinkSync(place.secret, `${place.root}/out`);
  Deno.symlinkSync(place.base, `${place.root}/up`);
  const { out } = await place.sh("cat out up/secret.txt ../secret.txt", { areas: ALL });
  assert.equal(out, "");
});

walled("An area that is a link, or below one, is not there", async () => {
  using place = new Place(FILES);
  Deno.symlinkSync(place.base, `${place.root}/up`);
  const { out } = await place.sh("cat up/secret.txt up/work/a/one.txt", {
    areas: [{ path: "./up" }, { path: "./up/work" }],
  });
  assert.equal(out, "");
});

walled("A file with a second name elsewhere is not an area by itself", async () => {
  using place = new Place(FILES);
  Deno.linkSync(place.secret, `${place.root}/a/same`);
  const { out } = await place.sh("cat a/same", { areas: [{ path: "./a/same", kind: "file" }] });
  assert.equal(out, "");
});

walled("A program sees no other process, and can end none", async () => {
  using place = new Place(FILES);
  const { out } = await place.sh(
    `for p in /proc/[0-9]*; do cat $p/comm; done; kill -9 ${Deno.pid} 2>/dev/null || echo no`,
    { areas: ALL },
  );
  assert.deepEqual([...new Set(out.trim().split("\n"))].sort(), ["bwrap", "no", "sh"]);
});

walled("A program is handed nothing but its input and its outputs", async () => {
  using place = new Place();
  // The fourth is the list itself, while it is read.
  assert.equal((await place.sh("ls /proc/self/fd")).out, "0\n1\n2\n3\n");
});

walled("A program has the environment it is given, and no other", async () => {
  using place = new Place();
  const { out } = await toEnd(await place.start("/usr/bin/env", [], { env: { WORD: "a b" } }));
  // The shells before it add what is theirs.
  const names = out.trim().split("\n").filter((line) => !/^(PWD|SHLVL)=/.test(line)).sort();
  assert.deepEqual(names, ["HOME=/tmp", "PATH=/usr/bin:/bin", "WORD=a b"]);
});

for (
  const [name, value] of [
    ["LD_PRELOAD", "x.so"],
    ["BASH_ENV", "x"],
    ["ENV", "x"],
    ["A=B", "x"],
    ["", "x"],
    ["A", "x\0y"],
  ] as const
) {
  Deno.test(`An environment that sets ${JSON.stringify(name)} is refused`, async () => {
    using place = new Place();
    await assert.rejects(
      place.start("/bin/true", [], { env: { [name]: value }, confined: false }),
      (error) => error instanceof SysError && error.code === "EINVAL",
    );
  });
}

walled("A program without a network reaches nobody, this machine least", async () => {
  using place = new Place();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("you came through"),
  );
  const line = `exec 3<>/dev/tcp/127.0.0.1/${server.addr.port} && echo through`;
  const bash = async (net: boolean) =>
    (await toEnd(await place.start("/bin/bash", ["-c", line], { net }))).out;
  assert.deepEqual([await bash(false), await bash(true)], ["", "through\n"]);
  await server.shutdown();
});

walled("A program reads what else it is given of the machine, and does not write it", async () => {
  using place = new Place();
  const { out } = await place.sh(`cat ${place.secret}; echo x > ${place.secret}`, {
    reads: [place.secret],
  });
  assert.deepEqual([out, Deno.readTextFileSync(place.secret)], ["outside", "outside"]);
});

const BOMBS: readonly (readonly [line: string, limits: object, exceeded: string | null])[] = [
  ["while :; do :; done", { cpuMs: 1_000 }, "cpuMs"],
  ["while :; do (while :; do :; done) & sleep 0.02; done", { cpuMs: 1_000 }, "cpuMs"],
  [
    "for i in 1 2 3 4 5 6; do head -c 24000000 /dev/zero | tail & done; wait; sleep 9",
    { memoryBytes: 64 * 2 ** 20 },
    "memoryBytes",
  ],
  ["for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait", { processes: 4 }, null],
];

for (const [line, limits, exceeded] of BOMBS) {
  walled(`A limit is reached and ends it: ${line}`, async () => {
    using place = new Place();
    const said = await place.sh(line, { limits });
    assert.notEqual(said.code, 0);
    if (exceeded !== null) assert.equal(said.exceeded, exceeded);
  });
}

walled("A file is no larger than it may be", async () => {
  using place = new Place();
  const { code } = await place.sh("head -c 1000000 /dev/zero > big", {
    areas: ALL,
    limits: { fileBytes: 65_536 },
  });
  assert.notEqual(code, 0);
  assert.ok(Deno.statSync(`${place.root}/big`).size <= 65_536);
});

walled("What is killed takes along all that it started", async () => {
  using place = new Place();
  const word = oddWord();
  const line = `for i in 1 2 3; do setsid nohup sh -c 'sleep 60' ${word} & done; echo up; wait`;
  const program = await place.start("/bin/sh", ["-c", line]);
  const reader = program.stdout.getReader();
  await reader.read();
  assert.notEqual(withWord(word).length, 0);
  program.kill();
  await program.ended;
  assert.deepEqual(withWord(word), []);
  await reader.cancel();
  await program.stderr.cancel();
  await program.stdin.abort();
});

walled("What a program leaves behind ends with it", async () => {
  using place = new Place();
  const word = oddWord();
  const line = `setsid nohup sh -c 'sleep 60' ${word} >/dev/null 2>&1 </dev/null & echo up`;
  const { out } = await place.sh(line);
  assert.deepEqual([out, withWord(word)], ["up\n", []]);
});

Deno.test("Without walls, too, what a program leaves behind ends with it", async () => {
  using place = new Place();
  const word = oddWord();
  const line = `setsid nohup sh -c 'sleep 60' ${word} >/dev/null 2>&1 </dev/null & echo up`;
  const { out } = await place.sh(line, { confined: false });
  assert.deepEqual([out, withWord(word)], ["up\n", []]);
});

for (const confined of [true, false]) {
  const test = confined ? walled : Deno.test;
  const how = confined ? "in walls" : "without";
  test(`What the kernel was started with is not handed on, ${how}`, async () => {
    using place = new Place();
    const args = [CHILD, place.root, "fds", String(confined)].map((arg) => `'${arg}'`).join(" ");
    const line = `exec 7<"$0" 12<"$0"; exec '${Deno.execPath()}' run -A --no-check ${args}`;
    const { stdout } = await new Deno.Command("/bin/bash", {
      args: ["-c", line, place.secret],
      stderr: "inherit",
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "0\n1\n2\n3\n");
  });
  test(`A kernel that dies takes its programs along, ${confined ? "walled" : "or not"}`, async () => {
    using place = new Place();
    const word = oddWord();
    const kernel = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-prompt", CHILD, place.root, word, String(confined)],
      stdout: "piped",
      stderr: "inherit",
      stdin: "null",
    }).spawn();
    const reader = kernel.stdout.getReader();
    await reader.read();
    assert.notEqual(withWord(word).length, 1);
    kernel.kill("SIGKILL");
    await kernel.status;
    await reader.cancel();
    while (withWord(word).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  });
}

const CHILD = fileURLToPath(new URL("./confined_child.ts", import.meta.url));

Deno.test("Without a jail nothing is started that should have walls", async () => {
  using place = new Place();
  const programs = new Programs({ jailPath: "/nowhere/bwrap" });
  const { works, why } = programs.confinement();
  assert.equal(works, false);
  assert.match(why, /expected bubblewrap/);
  await assert.rejects(
    programs.start({
      program: "/bin/true",
      args: [],
      env: {},
      place: { root: place.root, cwd: ".", reach: { areas: [], net: false } as never },
      confined: true,
      limits: AMPLE,
    }),
    (error) => error instanceof SysError && error.code === "ENOSYS",
  );
});

walled("A program that is not there says so by its end", async () => {
  using place = new Place();
  const { code, err } = await toEnd(await place.start("/nowhere/at-all", []));
  assert.equal(code, 127);
  assert.match(err, /not found|No such file/);
});
