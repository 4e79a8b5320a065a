/**
 * What a tool in a real cage may do, from `tool.propose` to the log: no more than it declared and its
 * process holds, whatever happens meanwhile, and once, however often the runtime is killed.
 *
 * This file is a program too: `authority_test.ts FOLDER MODE N` is one life of a runtime that kills
 * itself at the Nth call which its caged tool makes.
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  allow,
  createRuntime,
  defineImage,
  type Json,
  type Rule,
  type Runtime,
  type Sys,
} from "../../mod.ts";
import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../../broker/port_surface.ts";
import type { Sandbox } from "../../broker/sandbox.ts";
import { RealChildren } from "../../providers/children.ts";
import { realClock } from "../../providers/clock.ts";
import { realRandom } from "../../providers/random.ts";
import { TypeScriptCompiler } from "../../sandboxes/compiler/compiler.ts";
import { ProcessSandbox } from "../../sandboxes/process_sandbox.ts";

const SELF = fileURLToPath(import.meta.url);
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
const SOON_MS = 20_000;

/** Lets a tool try things, and gives what came of each: "ok", or the code of its refusal. */
const TRY = `
const tried = async (jobs: (() => Promise<unknown>)[]): Promise<Json> => {
  const codes: string[] = [];
  for (const job of jobs) {
    try { await job(); codes.push("ok"); } catch (error) {
      codes.push((error as { code?: string }).code ?? String(error));
    }
  }
  return codes;
};
type Call = (name: string, args: unknown) => Promise<Json>;
`;
const FILES = [allow("file.*", "./**")];

/** Proposes and registers a tool, and calls it. */
async function calling(sys: Sys, source: string, rights: readonly string[] = []): Promise<Json> {
  const name = "work";
  const inputSchema = { type: "object" };
  const about = { name, description: "It works", inputSchema, source: TRY + source };
  const { tool } = await sys.tool.propose({ ...about, rights: [...rights] });
  await sys.tool.register({ tool });
  return (await sys.tool.call({ name })).output as Json;
}

/** A runtime over a new folder. */
async function inFolder(job: (os: Runtime, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "libos-authority-" });
  try {
    await using os = await createRuntime({
      store: ":memory:",
      workspace: folder,
      approvals: "deny",
      jit: { isolation: "process", review: "never" },
    });
    await job(os, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

let programs = 0;
/** Runs a program to its end in a process that holds `grants`; gives its result. */
async function result(
  os: Runtime,
  program: (sys: Sys) => Promise<Json>,
  grants: readonly Rule[],
): Promise<Json> {
  const image = defineImage({
    name: `program-${++programs}`,
    program: async ({ sys }) => {
      await sys.process.exit({ result: await program(sys) });
    },
  });
  const process = await os.spawn(image, {
    goal: "try",
    grants: [...grants, allow("tool.register", "**")],
  });
  const status = await process.wait();
  assert.equal(status.outcome.kind, "exited", JSON.stringify(status.outcome));
  for (const { broken } of await os.verify()) assert.equal(broken, null);
  return status.result;
}

async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + SOON_MS;
  while (!await is()) {
    assert.ok(performance.now() < endMs, `It takes too long: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => null)) !== null;
}

Deno.test("A caged tool that declares less than it uses is refused with EPERM in the call", () =>
  inFolder(async (os, folder) => {
    const source = `export default (_: unknown, os: Os) => tried([
  () => os.file.write("in/a", "1"),
  () => os.file.write("out/a", "1"),
  () => os.file.write("in/../out/a", "1"),
  () => os.file.read("in/a"),
  () => os.object.create("a", { value: 1 }),
  () => os.capability.request({ rule: "file.read(./**)", reason: "more" }),
  () => os.clock.now(),
]);`;
    await Deno.mkdir(join(folder, "in"));
    await Deno.mkdir(join(folder, "out"));
    const got = await result(
      os,
      (sys) => calling(sys, source, ["file.write(./in/**)"]),
      [...FILES, allow("object.*", "**"), allow("capability.*", "**")],
    );
    assert.deepEqual(got, ["ok", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "ok"]);
    assert.ok(!await isThere(join(folder, "out/a")));
  }));

Deno.test("What is revoked while a caged tool runs is refused in its next call", () =>
  inFolder(async (os, folder) => {
    const source = `export default async (_: unknown, os: Os) => {
  await os.file.write("first", "1");
  for (;;) {
    await os.clock.wait(10);
    if ((await os.file.list(".")).entries.some(({ name }) => name === "go")) break;
  }
  return tried([() => os.file.write("second", "2"), () => os.file.read("first")]);
};`;
    const done = result(
      os,
      (sys) => calling(sys, source, ["write", "read", "list"].map((verb) => `file.${verb}(./**)`)),
      ["write", "read", "list"].map((verb) => allow(`file.${verb}`, "./**")),
    );
    done.catch(() => {});
    await until(() => isThere(join(folder, "first")), "the first write");
    const [process] = await os.ps();
    const held = os.node.trees[0]!.state.caps;
    const { id } = Object.values(held).find(({ right }) => right === "file.write")!;
    await (await os.get(process!.pid))!.revoke(id);
    await Deno.writeTextFile(join(folder, "go"), "");
    assert.deepEqual(await done, ["EPERM", "ok"]);
    assert.ok(!await isThere(join(folder, "second")));
  }));

Deno.test("Tools, other processes and what is closed are out of a caged tool's reach", () =>
  inFolder(async (os) => {
    const image = defineImage({
      name: "keeper",
      program: async ({ sys }) => {
        await sys.object.create({ name: "secret", value: "secret" });
        await sys.message.receive({});
      },
    });
    const keeper = await os.spawn(image, {
      goal: "keep",
      grants: [allow("object.*", "**"), allow("message.*", "**")],
    });
    await until(async () => (await keeper.info()).waiting !== null, "the other waits");
    const source = `export default (_: unknown, os: Os) => {
  const call = os.call as unknown as Call;
  const other = ${JSON.stringify(keeper.pid)};
  const polluted = JSON.parse('{"name":"a","value":1,"__proto__":{"mutable":true}}');
  return tried([
    ...["tool.list", "tool.guide", "process.fork"].map((name) => () => call(name, {})),
    () => call("tool.call", { name: "work" }),
    () => call("tool.register", { tool: "${"0".repeat(64)}" }),
    ...["object.read ", "Object.read", "toString", "__proto__", "constructor", ""]
      .map((name) => () => call(name, {})),
    () => os.object.read("/" + other + "/secret"),
    () => os.object.write("/" + other + "/secret", { value: 1, from: 1 }),
    () => os.process.signal(other as never, "kill"),
    () => os.process.inspect(other as never),
    () => os.file.read("../../../../etc/passwd"),
    () => os.file.read("/etc/passwd"),
    () => call("object.create", polluted),
  ]);
};`;
    const rights = ["object.*(**)", "tool.*(**)", "process.*(**)", "file.*(./**)"];
    const got = await result(
      os,
      (sys) => calling(sys, source, rights),
      [...FILES, ...["tool.*", "process.*", "object.*"].map((right) => allow(right, "**"))],
    );
    const codes = got as string[];
    assert.deepEqual(codes.slice(0, 5), Array(5).fill("EPERM"), "calls on tools are closed");
    assert.deepEqual(codes.slice(5, 11), Array(6).fill("ENOSYS"), "only names are names");
    assert.deepEqual(codes.slice(11, 13), ["EPERM", "EPERM"], "objects are their process's");
    assert.deepEqual(codes.slice(13, 15), ["ENOENT", "ENOENT"], "another tree is not there");
    assert.deepEqual(
      codes.slice(15),
      ["EINVAL", "EINVAL", "EINVAL"],
      "odd paths and keys are none",
    );
    assert.equal((Object.prototype as { mutable?: unknown }).mutable, undefined);
    assert.ok((await keeper.info()).waiting !== null, "the other process was reached");
  }));

Deno.test("A caged tool that exits goes on until it returns, and nothing is heard after that", () =>
  inFolder(async (os, folder) => {
    const source = `export default async (_: unknown, os: Os) => {
  await os.process.exit({ result: "by the tool" });
  await os.file.write("after", "1");
  void (async () => {
    for (let i = 0; i < 100; i++) await null;
    await os.file.write("late", "1");
  })();
  setTimeout(() => void os.file.write("later", "1"), 5);
  return tried([() => os.process.exit({ result: "again" })]);
};`;
    const got = await result(os, async (sys) => {
      await calling(sys, source, ["file.write(./**)", "process.exit"]);
      return "by the program";
    }, [...FILES, allow("process.exit", "**")]);
    assert.equal(got, "by the tool");
    assert.ok(await isThere(join(folder, "after")));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(!await isThere(join(folder, "late")), "a call was heard after the end");
    assert.ok(!await isThere(join(folder, "later")), "a timer was heard after the end");
  }));

/** Twenty calls: clock, chance, effects outside and inside, and reading them back. */
const TWENTY = `export default async (_: unknown, os: Os) => {
  const { ms } = await os.clock.now();
  const { base64 } = await os.random.bytes({ length: 8 });
  const said: Json[] = [];
  for (let i = 0; i < 5; i++) {
    const text = [i, ms, base64, os.random()].join(" ");
    await os.file.write("f" + i, text, { mode: "create" });
    await os.object.append("log", { item: { i } });
    said.push((await os.file.read("f" + i)).text === text ? text : "another");
  }
  const log = (await os.object.read("log")).value;
  await os.clock.wait(1);
  return { said, log, later: (await os.clock.now()).ms >= ms };
};`;
const CALLS = 20;
const BUSY = `export default async (_: unknown, os: Os) => { await os.clock.now(); for (;;); };`;

/** When a life ends: before its fatal call is made, when it has been answered, or soon after. */
type Mode = "before" | "after" | "busy";

function fatal(sandbox: Sandbox, mode: Mode, number: number): Sandbox {
  let made = 0;
  const die = () => Deno.kill(Deno.pid, "SIGKILL");
  return {
    tier: sandbox.tier,
    close: () => sandbox.close(),
    run: (run) =>
      sandbox.run({
        ...run,
        async call(name, args) {
          const isFatal = ++made === number;
          if (isFatal && mode === "before") die();
          const answer = await run.call(name, args);
          if (isFatal && mode === "after") die();
          if (isFatal) setTimeout(die, 200);
          return answer;
        },
      }),
  };
}

/** One life of a runtime; prints the result when it comes to its end. */
async function live(folder: string, mode: Mode, number: number): Promise<void> {
  const parts = { children: new RealChildren(), clock: realClock, random: realRandom };
  const surface = { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS };
  const image = defineImage({
    name: "worker",
    program: async ({ sys }) => {
      await sys.object.create({ name: "log", list: true });
      const rights = ["file.*(./**)", "object.*(log)"];
      const output = await calling(sys, mode === "busy" ? BUSY : TWENTY, rights);
      await sys.process.exit({ result: output });
    },
  });
  const os = await createRuntime({
    store: join(folder, "kernel.db"),
    workspace: join(folder, "work"),
    images: [image],
    approvals: "deny",
    jit: {
      review: "never",
      workshop: {
        sandbox: fatal(new ProcessSandbox({ ...parts, surface }), mode, number),
        compiler: new TypeScriptCompiler(parts),
      },
    },
  });
  const process = await os.spawn(image, {
    goal: "work",
    grants: [...FILES, allow("object.*", "**"), allow("tool.register", "**")],
    idempotencyKey: "work",
  });
  const status = await process.wait();
  for (const { broken } of await os.verify()) assert.equal(broken, null);
  await os.close();
  console.log(JSON.stringify(status));
}

/** A life in a process of its own; what it printed, or null when it was killed. */
async function lived(folder: string, mode: Mode, number: number): Promise<string | null> {
  const { signal, code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `--config=${CONFIG}`, SELF, folder, mode, String(number)],
    env: { TMPDIR: join(folder, "tmp") },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (signal === "SIGKILL") return null;
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

/** Processes that stand in a folder below this one: cages, whoever their parent is now. */
function cagesOf(folder: string): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      return Deno.readLinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

/** Which files there are, and which of their kind: one that is written again is another. */
function filesOf(folder: string): Map<string, string> {
  const files = [...Deno.readDirSync(join(folder, "work"))].map(({ name }) => {
    const { ino, mtime } = Deno.statSync(join(folder, "work", name));
    return [name, `${ino} ${mtime?.getTime()}`] as const;
  });
  return new Map(files);
}

async function inLives(job: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "libos-lives-" });
  try {
    for (const name of ["tmp", "work"]) await Deno.mkdir(join(folder, name));
    await job(folder);
    await until(() => cagesOf(folder).length === 0, "its cages are gone");
  } finally {
    for (const pid of cagesOf(folder)) Deno.kill(pid, "SIGKILL");
    await Deno.remove(folder, { recursive: true });
  }
}

async function livesOf(mode: "before" | "after"): Promise<void> {
  await inLives(async (folder) => {
    const first = new Map<string, string>();
    for (let number = 1; number <= CALLS; number++) {
      assert.equal(await lived(folder, mode, number), null, `life ${number} was not killed`);
      for (const [name, kind] of filesOf(folder)) {
        if (!first.has(name)) first.set(name, kind);
      }
    }
    const status = JSON.parse((await lived(folder, mode, 0))!);
    assert.equal(status.outcome.kind, "exited", JSON.stringify(status));
    const { said, log, later } = status.result;
    const texts = said.map((_: unknown, i: number) =>
      Deno.readTextFileSync(join(folder, "work", `f${i}`))
    );
    assert.deepEqual(said, texts, "what it says is not what it did");
    assert.equal(new Set(texts.map((text: string) => text.split(" ")[1])).size, 1);
    assert.deepEqual(log, [0, 1, 2, 3, 4].map((i) => ({ i })), "an item was added twice");
    assert.ok(later);
    assert.deepEqual(filesOf(folder), first, "a file was written again");
  });
}

Deno.test({
  name: "A caged tool that is killed before or after each of its 20 calls does each effect once",
  ignore: Deno.build.os !== "linux",
  // Side by side: a life waits for most of its time.
  fn: () => Promise.all([livesOf("before"), livesOf("after")]).then(() => {}),
});

Deno.test({
  name: "A cage that is busy ends with its killed runtime",
  ignore: Deno.build.os !== "linux",
  fn: () => inLives(async (folder) => assert.equal(await lived(folder, "busy", 1), null)),
});

if (import.meta.main && Deno.args.length === 3) {
  await live(Deno.args[0]!, Deno.args[1] as Mode, Number(Deno.args[2]));
}
