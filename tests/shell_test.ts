/**
 * Programs of the machine as calls: what they get, what comes back, who is asked, and their ends.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, createRuntime, deny } from "../mod.ts";
import type { Line } from "../kernel/event.ts";
import { treeOf } from "../kernel/ids.ts";
import { readLines } from "../runtime/load.ts";
import { killAll, oddWord, Place, walled, withWord } from "./confined_place.ts";
import { caller, type Ran, ran, shellRuntime } from "./shell_fixture.ts";

const RUN = allow("shell.run");

function reply(end: Ran) {
  assert.ok(end.ok, end.ok ? "" : `${end.code}: ${end.message}`);
  return end.reply;
}

function refusal(end: Ran): string {
  assert.equal(end.ok, false);
  return end.ok ? "" : `${end.code} ${end.message}`;
}

walled(
  "A program gets its arguments as they are, its input, and answers with what it said",
  async () => {
    using place = new Place();
    const grants = [RUN];
    const echoed = reply(
      await ran(place, { program: "printf", args: ["%s|", "a b", "$HOME", "*"] }, {
        grants,
      }),
    );
    assert.deepEqual([echoed.code, echoed.stdout, echoed.stderr], [0, "a b|$HOME|*|", ""]);
    assert.deepEqual([echoed.confined, echoed.signal, echoed.exceeded], [true, null, null]);
    assert.match(echoed.program.path, /^\/usr\/bin\/printf$/);
    assert.match(echoed.program.sha256, /^[0-9a-f]{64}$/);
    assert.equal(
      reply(await ran(place, { program: "cat", stdin: "typed" }, { grants })).stdout,
      "typed",
    );
    assert.equal(reply(await ran(place, { program: "false" }, { grants })).code, 1);
  },
);

walled("A program sees of the workspace what its process may read at any time", async () => {
  using place = new Place({ "a/one.txt": "1", "b/two.txt": "2" });
  const grants = [RUN, allow("file.*", "./a/**")];
  const { stdout } = reply(
    await ran(place, { program: "find", args: [".", "-type", "f"] }, { grants }),
  );
  assert.equal(stdout, "./a/one.txt\n");
  const copied = await ran(place, { program: "cp", args: ["a/one.txt", "a/copy"] }, { grants });
  assert.deepEqual([reply(copied).code, place.text("a/copy")], [0, "1"]);
});

walled("Where a rule says deny or ask, a program sees nothing", async () => {
  using place = new Place({ "a/one.txt": "1", "a/keys/k": "key", "a/.git/config": "x" });
  const grants = [RUN, allow("file.*"), ask("file.write", "./a/.git/**")];
  const policy = "deny file.read(./a/keys/**)";
  const { stdout, stderr } = reply(
    await ran(place, {
      program: "sh",
      args: ["-c", "cat a/keys/k a/one.txt; echo x > a/.git/config"],
    }, {
      grants,
      policy,
    }),
  );
  assert.equal(stdout, "1");
  assert.match(stderr, /keys\/k/);
  assert.equal(place.text("a/.git/config"), "x");
});

Deno.test("A program that the caller has no right to is not run", async () => {
  using place = new Place();
  assert.match(
    refusal(await ran(place, { program: "true" }, { grants: [allow("shell.run", "git")] })),
    /^EPERM/,
  );
  assert.match(
    refusal(await ran(place, { program: "true" }, { grants: [RUN, deny("shell.run", "true")] })),
    /^EACCES/,
  );
});

walled("A capability may say which arguments it is for", async () => {
  using place = new Place();
  const only = {
    properties: { args: { type: "array", items: { enum: ["-u", "+%Z"] } } },
    required: ["args"],
  };
  const grants = [allow("shell.run", "date", { constraint: only })];
  assert.equal(
    reply(await ran(place, { program: "date", args: ["-u", "+%Z"] }, { grants })).stdout,
    "UTC\n",
  );
  assert.match(refusal(await ran(place, { program: "date", args: ["+%s"] }, { grants })), /^EPERM/);
});

const REFUSED: readonly (readonly [what: string, call: Parameters<typeof ran>[1], code: RegExp])[] =
  [
    ["an absolute path", { program: "/bin/true" }, /^EINVAL/],
    ["a path out of the workspace", { program: "../true" }, /^EINVAL/],
    ["a program that is not there", { program: "nobody-has-it" }, /^ENOENT/],
    ["a file that is no program", { program: "./a.txt" }, /^ENOENT/],
    ["a link to a program", { program: "./link" }, /^ENOENT/],
    ["a working directory that is not there", { program: "true", cwd: "./none" }, /^ENOENT/],
    ["a NUL in an argument", { program: "echo", args: ["a\0b"] }, /^EINVAL/],
    ["a loader's name", { program: "true", env: { LD_PRELOAD: "./x.so" } }, /^EINVAL/],
    ["another path", { program: "true", env: { PATH: "." } }, /^EINVAL/],
    ["no time", { program: "true", timeMs: 0 }, /^EINVAL/],
  ];

for (const [what, call, code] of REFUSED) {
  walled(`Nothing is started for ${what}`, async () => {
    using place = new Place({ "a.txt": "x" });
    Deno.symlinkSync("/bin/true", `${place.root}/link`);
    assert.match(refusal(await ran(place, call, { grants: [RUN, allow("file.*")] })), code);
  });
}

walled("What the process may not see it cannot stand in, nor start", async () => {
  using place = new Place({ "a/x": "", "b/run.sh": "#!/bin/sh\necho in b\n" });
  Deno.chmodSync(`${place.root}/b/run.sh`, 0o755);
  const grants = [RUN, allow("file.*", "./a/**")];
  assert.match(refusal(await ran(place, { program: "pwd", cwd: "./b" }, { grants })), /^EACCES/);
  assert.match(refusal(await ran(place, { program: "./b/run.sh" }, { grants })), /^EACCES/);
  const both = [...grants, allow("file.*", "./b/**")];
  assert.equal(
    reply(await ran(place, { program: "./b/run.sh" }, { grants: both })).stdout,
    "in b\n",
  );
});

walled("A program that a link on the path leads to runs, and shows nothing beside it", async () => {
  using place = new Place();
  const [folder, bin] = [`${place.base}/real`, `${place.base}/bin`];
  for (const path of [folder, bin]) Deno.mkdirSync(path);
  Deno.writeTextFileSync(`${folder}/tool`, `#!/bin/sh\necho here; ls ${folder}\n`, { mode: 0o755 });
  Deno.writeTextFileSync(`${folder}/beside`, "hush");
  Deno.symlinkSync(`${folder}/tool`, `${bin}/linked`);
  const end = reply(await ran(place, { program: "linked" }, { grants: [RUN], path: [bin] }));
  assert.deepEqual([end.stdout, end.stderr], ["here\ntool\n", ""]);
});

Deno.test("A runtime that was not told to runs no programs, and says how", async () => {
  using place = new Place();
  await using os = await createRuntime({
    store: ":memory:",
    workspace: place.root,
    approvals: "queue",
  });
  const process = await os.spawn(caller({ program: "true" }), { goal: "run", grants: [RUN] });
  const { result } = await process.wait();
  assert.match(refusal(result as unknown as Ran), /^ENOSYS .*shell: true/);
});

walled("What is too much is left out in the middle, and it is said how much", async () => {
  using place = new Place();
  const line = "echo first; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last";
  const { stdout, cut } = reply(
    await ran(place, { program: "sh", args: ["-c", line] }, { grants: [RUN] }),
  );
  assert.ok(stdout.startsWith("first\nxxx") && stdout.endsWith("xxx\nlast\n"));
  assert.ok(stdout.includes(`[${cut.stdout} bytes left out]`));
  assert.ok(cut.stdout > 700_000 && stdout.length < 300_000);
});

walled("A program that takes too long is ended, and what it said is kept", async () => {
  using place = new Place({ "a/x": "" });
  const args = ["-c", "echo begun; echo > a/said; sleep 60"];
  const grants = [RUN, allow("file.*", "./a/**")];
  for (let timeMs = 300;; timeMs *= 2) {
    const { stdout, exceeded } = reply(
      await ran(place, { program: "sh", args, timeMs }, { grants }),
    );
    assert.equal(exceeded, "timeMs");
    // On a machine that has much else to do it is ended before it says anything.
    if (place.text("a/said") === null) continue;
    assert.equal(stdout, "begun\n");
    break;
  }
});

Deno.test("Who escapes without walls does not hold the call", async () => {
  using place = new Place();
  await using os = await shellRuntime(place, { walls: false });
  const word = oddWord();
  const line = `setsid env -i sh -c 'sleep 3' ${word} & echo gone`;
  const process = await os.spawn(caller({ program: "sh", args: ["-c", line] }), {
    goal: "run",
    grants: [RUN],
  });
  const [request] = await requests(os);
  await os.approvals.decide(request!.id, { outcome: "approve" });
  const { result } = await process.wait();
  assert.equal(reply(result as unknown as Ran).stdout, "gone\n");
  killAll(withWord(word));
});

async function requests(os: Awaited<ReturnType<typeof shellRuntime>>) {
  for (;;) {
    const found = os.approvals.list();
    if (found.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

walled("Killing a process kills what it runs", async () => {
  using place = new Place();
  await using os = await shellRuntime(place);
  const word = oddWord();
  const line = `setsid sh -c 'sleep 60; exit' ${word} & echo up; wait`;
  const process = await os.spawn(caller({ program: "sh", args: ["-c", line] }), {
    goal: "run",
    grants: [RUN],
  });
  const heard = Promise.withResolvers<string>();
  const stop = os.node.listenText((_pid, chunk) => heard.resolve(chunk));
  assert.equal(await heard.promise, "up\n");
  stop();
  assert.notEqual(withWord(word).length, 0);
  await process.signal("kill");
  await process.wait();
  while (withWord(word).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

Deno.test("Without walls what could do harm asks, with the program, its hash and that nothing confines it", async () => {
  using place = new Place({ "a.txt": "text" });
  await using os = await shellRuntime(place, { walls: false });
  const process = await os.spawn(caller({ program: "cat", args: ["a.txt"] }), {
    goal: "run",
    grants: [RUN],
  });
  const [request] = await requests(os);
  assert.equal(request!.kind, "permission");
  assert.equal(request!.risk, "medium");
  assert.match(request!.preview ?? "", /nothing confines programs here/);
  assert.match(request!.preview ?? "", /^unconfined: no "\/nowhere\/bwrap"/m);
  assert.match(request!.preview ?? "", /^program \/usr\/bin\/cat$/m);
  assert.match(request!.preview ?? "", /^sha256 {2}[0-9a-f]{64}$/m);
  await os.approvals.decide(request!.id, { outcome: "approve" });
  const { result } = await process.wait();
  const { stdout, confined } = reply(result as unknown as Ran);
  assert.deepEqual([stdout, confined], ["text", false]);
});

Deno.test("Without walls what touches no file asks nobody", async () => {
  using place = new Place();
  const { stdout, confined } = reply(
    await ran(place, { program: "echo", args: ["hi"] }, { grants: [RUN], walls: false }),
  );
  assert.deepEqual([stdout, confined], ["hi\n", false]);
});

Deno.test("A yes to one program is none to another under its name", async () => {
  using place = new Place({ "run.sh": "#!/bin/sh\necho one\n" });
  Deno.chmodSync(`${place.root}/run.sh`, 0o755);
  await using os = await shellRuntime(place, { walls: false });
  const process = await os.spawn(caller({ program: "./run.sh" }), { goal: "run", grants: [RUN] });
  const [first] = await requests(os);
  place.put("run.sh", "#!/bin/sh\necho two\n");
  await os.approvals.decide(first!.id, { outcome: "approve" });
  let second = (await requests(os))[0]!;
  while (second.id === first!.id) second = (await requests(os))[0]!;
  assert.notEqual(second.preview, first!.preview);
  await os.approvals.decide(second.id, { outcome: "approve" });
  const { result } = await process.wait();
  assert.equal(reply(result as unknown as Ran).stdout, "two\n");
});

walled(
  "What a program says is labelled: as secret as what it saw, and vouched for by nobody",
  async () => {
    using place = new Place({ "a/x": "" });
    await using os = await shellRuntime(place, {
      policy: "label file.read(./a/**) sensitivity=secret trust=trusted",
    });
    const process = await os.spawn(caller({ program: "true" }), {
      goal: "run",
      grants: [RUN, allow("file.*", "./a/**")],
    });
    await process.wait();
    const lines: Line[] = [];
    for await (const line of readLines(os.node.options.store, treeOf(process.pid))) {
      lines.push(line);
    }
    const outcome = lines.find((line) => line.type === "call.outcome");
    assert.deepEqual((outcome?.data as { label?: unknown }).label, {
      sensitivity: "secret",
      trust: "untrusted",
      origin: ["shell:true"],
    });
  },
);
