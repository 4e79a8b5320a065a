/**
 * Deno programs: each of their permission checks is a call of the process, judged by what it may.
 * @module
 */

import assert from "node:assert/strict";
import {
  type AgentProcess,
  allow,
  ask,
  createRuntime,
  defineImage,
  type Reply as Replies,
  type Rule,
  type Runtime,
} from "../mod.ts";
import { NO_REACH } from "../kernel/reach.ts";
import { Programs } from "../providers/confined.ts";
import { DenoPrograms } from "../providers/programs.ts";
import { ATTACKS, CHANGES, type Files, READS, rights, SECRET, tries } from "./program_attacks.ts";

const { works, why } = new Programs().confinement();
/** Without bubblewrap no program is run, which has a test of its own. */
const ignore = !works;
if (ignore) console.error(`tests of programs are skipped: ${why}`);

type Reply = Replies<"program.run">;

const RUNS = [allow("program.run", "./**"), ...rights(READS, "./**")];

const RUNS_MAX = 8;

interface Case {
  readonly files: Files;
  readonly grants?: readonly Rule[];
  readonly policy?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly stdin?: string;
  readonly timeMs?: number;
}

interface World {
  readonly root: string;
  readonly os: Runtime;
  readonly process: AgentProcess;
  /** Runs `main.ts`, in a process of its own unless one is running. */
  run(): Promise<Reply>;
}

async function inPlace(given: Case, job: (world: World) => Promise<void>): Promise<void> {
  const root = Deno.realPathSync(Deno.makeTempDirSync());
  try {
    for (const [path, text] of Object.entries(given.files)) {
      Deno.mkdirSync(`${root}/${path.slice(0, path.lastIndexOf("/") + 1)}`, { recursive: true });
      Deno.writeTextFileSync(`${root}/${path}`, text);
    }
    const waiting: ((reply: Reply | Error) => void)[] = [];
    // One place for each run that was asked for, whoever comes first.
    const turns = Array.from({ length: RUNS_MAX }, () => Promise.withResolvers<void>());
    let [asked, begun] = [0, 0];
    const image = defineImage({
      name: "runner",
      program: async ({ sys }) => {
        for (;;) {
          await turns[begun++]!.promise;
          const { env = {}, args = [], stdin = "", timeMs = 60_000 } = given;
          const reply = await sys.program.run({
            path: "main.ts",
            env: { ...env },
            args: [...args],
            stdin,
            timeMs,
          }).catch((error: Error) => error);
          waiting.shift()!(reply);
        }
      },
    });
    await using os = await createRuntime({
      store: ":memory:",
      workspace: root,
      approvals: "queue",
      programs: true,
      policy: given.policy ?? "",
    });
    const process = await os.spawn(image, { goal: "run", grants: [...given.grants ?? RUNS] });
    const run = () =>
      new Promise<Reply>((resolve, reject) => {
        waiting.push((reply) => reply instanceof Error ? reject(reply) : resolve(reply));
        turns[asked++]!.resolve();
      });
    try {
      await job({ root, os, process, run });
    } finally {
      await process.signal("kill");
    }
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

/** What a program said, as the value it said. */
function said(reply: Reply): unknown {
  assert.notEqual(reply.stdout, "", JSON.stringify(reply));
  return JSON.parse(reply.stdout);
}

function told(reply: Reply): string {
  return (said(reply) as { readonly error: string }).error;
}

function check(name: string, given: Case, job: (world: World) => Promise<void>): void {
  Deno.test({ name, ignore, fn: () => inPlace(given, job) });
}

check("A script reads what its process may, with its arguments, input and environment", {
  files: {
    ...tries(`const input = await new Response(Deno.stdin.readable).text();
      return [Deno.readTextFileSync("a.txt"), Deno.args, input, Deno.env.toObject()];`),
    "a.txt": "hello",
  },
  args: ["x", "y"],
  env: { WORD: "w" },
  stdin: "in",
}, async ({ root, run }) => {
  const reply = await run();
  assert.deepEqual(reply, { ...reply, code: 0, exceeded: null, stderr: "", bytesCut: 0 });
  const [text, args, input, env] = said(reply) as [string, string[], string, object];
  assert.deepEqual([text, args, input], ["hello", ["x", "y"], "in"]);
  // Some shells set these by themselves before they become the program.
  const shells = ["PATH", "PWD", "SHLVL", "_"];
  const names = Object.keys(env).filter((name) => !shells.includes(name) && !/^DENO_/.test(name));
  assert.deepEqual(names.sort(), ["HOME", "NO_COLOR", "WORD"], "what it was given, and no more");
  assert.deepEqual([reply.allowed, reply.denied], [1, 0]);
  assert.ok(Deno.statSync(`${root}/a.txt`).isFile);
});

check("Under a rule about names a script sees all but what is so named, and makes none", {
  files: {
    ...tries(`const seen = [(await import("./other.ts")).default];
      const open = (job) => { try { return job(); } catch (error) { return error.name; } };
      const late = await import("./data.env.ts").catch((error) => error.name);
      Deno.writeTextFileSync("out.txt", "x");
      return [...seen, late, open(() => Deno.readTextFileSync("data.env.ts")),
        open(() => Deno.writeTextFileSync("new.env.ts", "x"))];`),
    "other.ts": "export default 1;",
    "data.env.ts": "export default 'hush';",
  },
  policy: "deny file.*(./**/*.env.ts)",
  grants: [...RUNS, ...rights(CHANGES, "./**")],
}, async ({ run, root }) => {
  assert.deepEqual(said(await run()), [1, "TypeError", "NotCapable", "NotCapable"]);
  assert.equal(Deno.readTextFileSync(`${root}/out.txt`), "x");
});

check("A rule on changes of names leaves a script all others to write", {
  files: {
    ...tries(`const write = (path) => {
        try { Deno.writeTextFileSync(path, "2"); return null; } catch (error) { return error.name; }
      };
      return [write("a.lock"), write("b.lock"), write("a.txt"), Deno.readTextFileSync("a.lock")];`),
    "a.lock": "1",
  },
  policy: "deny file.write(./**/*.lock)",
  grants: [...RUNS, ...rights(CHANGES, "./**")],
}, async ({ run }) => assert.deepEqual(said(await run()), ["NotCapable", "NotCapable", null, "1"]));

check("An npm tool runs as it lies in node_modules", {
  files: {
    "main.ts": `import "./node_modules/tool/cli.js";`,
    "node_modules/tool/package.json": `{"name":"tool","main":"cli.js"}`,
    "node_modules/tool/cli.js":
      `console.log(JSON.stringify(require("part")(require("fs").readFileSync("a.txt", "utf8"))))`,
    "node_modules/part/package.json": `{"name":"part","main":"i.js"}`,
    "node_modules/part/i.js": `module.exports = (text) => text.toUpperCase()`,
    "a.txt": "hello",
  },
}, async ({ run }) => assert.equal(said(await run()), "HELLO"));

for (const attack of ATTACKS) {
  check(`A program gets nothing when it ${attack.name}`, {
    files: {
      ...tries(attack.body),
      "a.txt": "a",
      "k.txt": "k",
      "own/o.txt": "o",
      "kept/k.txt": SECRET,
      ...attack.files,
    },
    grants: [...RUNS, ...attack.grants ?? []],
    policy: attack.policy ?? "",
  }, async ({ root, run }) => {
    Deno.symlinkSync("kept/k.txt", `${root}/link`);
    Deno.symlinkSync("kept", `${root}/linked`);
    const reply = await run();
    assert.match(told(reply), attack.says);
    assert.ok(!JSON.stringify(reply).includes(SECRET), "and hears no word of the secret");
    assert.equal(Deno.readTextFileSync(`${root}/a.txt`), "a");
    assert.equal(Deno.readTextFileSync(`${root}/own/o.txt`), "o");
  });
}

check("A script changes what its process may change, on the disk", {
  files: {
    ...tries(`Deno.mkdirSync("own/d"); Deno.writeTextFileSync("own/d/n.txt", "new");
      Deno.renameSync("own/d/n.txt", "own/m.txt"); Deno.removeSync("own/o.txt"); return "done";`),
    "own/o.txt": "o",
  },
  grants: [...RUNS, ...rights(CHANGES, "./own/**")],
}, async ({ root, run }) => {
  assert.equal(said(await run()), "done");
  assert.deepEqual([...Deno.readDirSync(`${root}/own`)].map(({ name }) => name).sort(), [
    "d",
    "m.txt",
  ]);
  assert.equal(Deno.readTextFileSync(`${root}/own/m.txt`), "new");
});

const ASKS_TO_WRITE: Case = {
  files: { ...tries(`Deno.writeTextFileSync("own/n.txt", "new"); return "done";`), "own/o": "" },
  grants: [...RUNS, ...rights(CHANGES, "./own/**"), ask("file.write", "./own/**")],
};

check("What wants a person's word is refused, and let through in the next run alone", {
  ...ASKS_TO_WRITE,
}, async ({ os, root, run }) => {
  const first = await run();
  const [request] = os.approvals.list();
  assert.match(told(first), /is denied, request "req_\S+" is pending, run again/);
  assert.deepEqual(first.pending, [request!.id]);
  const again = await run();
  assert.deepEqual(again.pending, first.pending, "and nobody is asked twice");
  assert.equal(os.approvals.list().length, 1);
  await os.approvals.decide(request!.id, { outcome: "approve" });
  assert.equal(said(await run()), "done");
  assert.equal(Deno.readTextFileSync(`${root}/own/n.txt`), "new");
  const after = await run();
  assert.match(told(after), /is pending, run again/);
  assert.notDeepEqual(after.pending, first.pending);
});

check("A no stays a no, with its reason", ASKS_TO_WRITE, async ({ os, root, run }) => {
  await run();
  const [request] = os.approvals.list();
  await os.approvals.decide(request!.id, { outcome: "deny", reason: "not now" });
  const reply = await run();
  assert.match(told(reply), /refused it: not now/);
  assert.deepEqual([reply.pending, os.approvals.list()], [[], []]);
  assert.throws(() => Deno.statSync(`${root}/own/n.txt`));
});

check("What a program asks for cannot be changed into something else", ASKS_TO_WRITE, async (
  { os, run },
) => {
  await run();
  const [request] = os.approvals.list();
  const args = { program: "./main.ts", permission: "write", value: "./own/other" };
  await assert.rejects(
    os.approvals.decide(request!.id, { outcome: "edit", args }),
    { code: "EINVAL" },
  );
});

check("A file that wants a person's word is there for the run it was given to, and no other", {
  files: {
    ...tries(`const text = Deno.readTextFileSync("kept/k.txt");
      return text + Deno.readTextFileSync("kept/k.txt");`),
    "kept/k.txt": "k",
  },
  policy: "ask file.read(./kept/**)",
}, async ({ os, run }) => {
  assert.match(told(await run()), /is pending, run again/);
  await os.approvals.decide(os.approvals.list()[0]!.id, { outcome: "approve" });
  assert.equal(said(await run()), "kk", "both times in one run");
  assert.match(told(await run()), /is pending, run again/);
});

check("What is taken back in the middle of a run is refused from then on", {
  files: {
    ...tries(`for (let n = 0;; n++) {
      Deno.readTextFileSync("a.txt");
      if (n === 1) Deno.writeTextFileSync("own/begun", "");
    }`),
    "a.txt": "a",
    "own/o.txt": "o",
  },
  grants: [...RUNS, ...rights(CHANGES, "./own/**")],
}, async ({ os, root, process, run }) => {
  const watcher = Deno.watchFs(`${root}/own`);
  const reply = run();
  for await (const { paths } of watcher) if (paths.some((path) => path.endsWith("/begun"))) break;
  const [tree] = os.node.trees;
  for (const { id, right } of [...tree!.caps.heldBy([process.pid])]) {
    if (right === "file.read") await process.revoke(id);
  }
  assert.match(told(await reply), /no capability of .* covers file\.read/);
});

Deno.test({
  name: "A program that has no end is ended when its time is over",
  ignore,
  fn: async () => {
    const main = `console.log("begun"); Deno.writeTextFileSync("own/said", ""); for (;;);`;
    const files = { "main.ts": main, "own/o.txt": "o" };
    const grants = [...RUNS, ...rights(CHANGES, "./own/**")];
    let hasSaid = false;
    for (let timeMs = 1_000; !hasSaid; timeMs *= 2) {
      await inPlace({ files, grants, timeMs }, async ({ root, run }) => {
        const { exceeded, stdout, code } = await run();
        assert.equal(code, 137);
        assert.ok(exceeded === "timeMs" || exceeded === "cpuMs");
        // On a machine that has much else to do it is ended before it says anything.
        hasSaid = [...Deno.readDirSync(`${root}/own`)].length === 2;
        if (hasSaid) assert.equal(stdout, "begun\n");
      });
    }
  },
});

check("Of a flood the beginning and the end are kept, and it is said how much is not", {
  files: {
    "main.ts": `console.log("first"); const line = "x".repeat(1_000);
      for (let i = 0; i < 5_000; i++) console.log(line); console.log("last");`,
  },
}, async ({ run }) => {
  const { stdout, bytesCut, code } = await run();
  assert.equal(code, 0);
  assert.match(stdout, /^first\n[^]*\n… \d+ bytes left out …\n[^]*last\n$/);
  assert.ok(bytesCut > 4_000_000 && stdout.length < 70_000);
});

check("A program that wants all memory ends alone", {
  files: { "main.ts": `const all = []; for (;;) all.push(new Uint8Array(1e8).fill(1));` },
}, async ({ run }) => {
  const { code, exceeded } = await run();
  assert.ok(code !== 0 || exceeded === "memoryBytes");
});

for (
  const [name, env] of [
    ["the way to ask us", { DENO_PERMISSION_BROKER_PATH: "/tmp/other" }],
    ["its modules' folder", { DENO_DIR: "/tmp/other" }],
    ["the loader of the machine", { LD_PRELOAD: "x.so" }],
  ] as const
) {
  check(`No environment changes ${name}`, { files: tries(`return 1`), env }, async ({ run }) => {
    await assert.rejects(run(), { code: "EINVAL" });
  });
}

check("A script that is not there, or is a link, is absent", {
  files: { "other.ts": "" },
}, async ({ root, run }) => {
  await assert.rejects(run(), { code: "ENOENT" });
  Deno.symlinkSync("other.ts", `${root}/main.ts`);
  await assert.rejects(run(), { code: "ENOENT" });
});

Deno.test("Without a jail no program is run", async () => {
  const programs = new DenoPrograms({
    root: ".",
    children: new Programs({ jailPath: "no-such-jail" }),
  });
  const start = {
    path: "./mod.ts",
    args: [],
    cwd: ".",
    stdin: "",
    env: {},
    reach: NO_REACH,
    timeMs: 1_000,
  };
  const hearing = {
    signal: new AbortController().signal,
    judge: () => Promise.resolve(null),
    onText: () => {},
  };
  await assert.rejects(programs.run(start, hearing), { code: "ENOSYS" });
});
