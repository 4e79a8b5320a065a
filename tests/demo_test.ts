/**
 * The demo as people run it: `deno task demo`, with the flags of deno.json, in processes of its own.
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { asks, fakeOpenAi, type Planner, reportPlanner, says } from "./fake_openai_server.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SECRET = "sample-9f41c7d2-never-read-this";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command of the task, with whole paths. */
function command(args: readonly string[]): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json")));
  const words = String(tasks["demo"]).split(" ");
  assert.deepEqual(words.slice(0, 2), ["deno", "run"]);
  assert(!words.includes("-A") && words.includes("--no-prompt"), "The demo asks for its rights");
  const file = words.at(-1)!;
  return ["run", `--config=${ROOT}/deno.json`, ...words.slice(2, -1), join(ROOT, file), ...args];
}

function start(args: readonly string[], cwd: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: command(args),
    cwd,
    env: { LIBOS_MODEL_KEY: "", NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function demo(args: readonly string[], cwd: string): Promise<Ran> {
  const { code, stdout, stderr } = await start(args, cwd).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** A folder to run in, with a copy of the sample and some others; gone afterwards. */
async function inFolder(job: (cwd: string) => Promise<void>): Promise<void> {
  const cwd = await Deno.makeTempDir();
  try {
    await copy(join(ROOT, "demos/sample"), join(cwd, "sample"));
    await job(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (name === "libos-audit") continue;
    if (isDirectory) await copy(join(from, name), join(to, name));
    else await Deno.copyFile(join(from, name), join(to, name));
  }
}

/** Runs it, and tells how much of the processor's time it took, whatever else the machine does. */
async function timed(args: readonly string[], cwd: string): Promise<Ran & { seconds: number }> {
  const file = join(cwd, "times");
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [
      "-c",
      '"$@"; code=$?; times > "$0"; exit $code',
      file,
      Deno.execPath(),
      ...command(args),
    ],
    cwd,
    env: { LIBOS_MODEL_KEY: "", NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  // What the shell took itself, and in the second line its children.
  const [, children = ""] = (await Deno.readTextFile(file)).split("\n");
  await Deno.remove(file);
  const seconds = [...children.matchAll(/(\d+)m(\d+\.\d+)s/g)]
    .reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr), seconds };
}

Deno.test("The demo runs without arguments, in three seconds, and ends with what to do next", () =>
  inFolder(async (cwd) => {
    const { code, out, err, seconds } = await timed([], cwd);
    assert.equal(code, 0, err);
    assert(seconds > 0 && seconds < 10, `a demo takes seconds: ${seconds}`);
    assert.match(out, /^Agent libOS · store sqlite .*demo\.db · model scripted/);
    assert.match(out, /p_1\.1 +file\.read +\.\/secrets\.env +DENY +deny file\.read/);
    assert.match(out, /no terminal: answering .* with "approve once", as scripted/);
    const [sums, next] = out.trimEnd().split("\n").slice(-2);
    assert.match(
      sums!,
      /^5 processes · \d+ calls \(\d+ allowed, 1 asked, 2 denied\) · 1 approval · \d+ tokens · log verified \(\d+ lines, head [0-9a-f]+…\)$/,
    );
    assert.match(next!, /^Next: cat .*report\.md · deno task libos --db \.libos\/demo\.db ps -a$/);
    assert.doesNotMatch(out, new RegExp(String.fromCharCode(27)));
  }));

Deno.test("The report says what is really in the folder, and no secret is kept anywhere", () =>
  inFolder(async (cwd) => {
    await Deno.writeTextFile(join(cwd, "sample/notes/new.md"), "# Fresh\n\nTODO: look here\n");
    const { code, err } = await demo(["sample"], cwd);
    assert.equal(code, 0, err);
    const report = await Deno.readTextFile(join(cwd, "sample/libos-audit/report.md"));
    for (
      const part of [
        '`./notes/new.md`: 3 lines, "Fresh"',
        "`./notes/new.md:3` TODO: look here",
        "| `./q3.csv` | revenue | 52048.25 |",
        "| `./data/tickets.csv` | hours | 10.75 |",
        "`./src/lib/dates.py`",
        "`./logo.png`: binary, 463 B",
        '`./secrets.env`: rule "deny file.read(./**/*.env)"',
        "`./secrets.env`: no capability covers it",
      ]
    ) assert(report.includes(part), `${part} in\n${report}`);
    for (const path of [".libos/demo.db", ".libos/demo.db-wal", "sample/libos-audit/report.md"]) {
      const bytes = await Deno.readFile(join(cwd, path)).catch(() => new Uint8Array());
      assert(!new TextDecoder("latin1").decode(bytes).includes(SECRET), `${path} has the secret`);
    }
  }));

Deno.test("A second run after the end starts anew, and comes to the same report", () =>
  inFolder(async (cwd) => {
    await demo(["sample"], cwd);
    const first = await Deno.readTextFile(join(cwd, "sample/libos-audit/report.md"));
    const { code, out } = await demo(["sample"], cwd);
    assert.equal(code, 0);
    assert.match(out, /▸ p_2 coordinator/);
    assert.doesNotMatch(out, /going on/);
    assert.equal(await Deno.readTextFile(join(cwd, "sample/libos-audit/report.md")), first);
  }));

Deno.test("Any folder will do: hidden, binary, huge and oddly named things", () =>
  inFolder(async (cwd) => {
    const odd = join(cwd, "odd folder");
    for (const name of ["a (1)", "b*c", "ü", "deep/er/est", ".git", "many", "crowd"]) {
      await Deno.mkdir(join(odd, name), { recursive: true });
      await Deno.writeTextFile(join(odd, name, "x y.txt"), `in ${name}\n`);
    }
    await Deno.writeTextFile(join(odd, "many\u001b[2J.txt"), "control\n");
    await Deno.writeFile(join(odd, "big.bin"), new Uint8Array(500_000));
    await Deno.symlink("/etc/passwd", join(odd, "link"));
    for (let i = 0; i < 300; i++) await Deno.writeTextFile(join(odd, `crowd/f${i}.txt`), `${i}\n`);
    const { code, out, err } = await demo([odd], cwd);
    assert.equal(code, 0, out + err);
    assert.doesNotMatch(out, new RegExp(`${String.fromCharCode(27)}\\[2J`));
    assert.match(
      out,
      /file\.list +\.\/b\*c +DENY +EINVAL Cannot use path "\.\/b\*c": "\*" in a name/,
    );
    assert.match(out, /Next: cat '.*odd folder\/libos-audit\/report\.md' ·/);
    const report = await Deno.readTextFile(join(odd, "libos-audit/report.md"));
    for (const part of ["./a (1)/x y.txt", "./ü/x y.txt", "./deep/er/est/x y.txt", "too large"]) {
      assert(report.includes(part), `${part} in\n${report}`);
    }
    assert.match(report, /26\d more files left out/);
    assert.doesNotMatch(report, /root:|\.git\//);
  }));

Deno.test("What cannot be started is said in one sentence, with an exit code", () =>
  inFolder(async (cwd) => {
    await Deno.mkdir(join(cwd, "empty"));
    const url = "http://127.0.0.1:9/v1";
    const table: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["nowhere"], 3, /Cannot audit "nowhere": absent, expected the path of a folder/],
      [["sample/README.md"], 2, /a file, expected a folder/],
      [["empty"], 1, /the folder is empty, expected files in it/],
      [[""], 2, /the folder is empty text/],
      [["--frobnicate"], 2, /unknown flag "--frobnicate"/],
      [["--db"], 2, /flag "--db" has no value/],
      [["--db", "a", "--db", "b"], 2, /flag "--db" twice/],
      [["--db", "sample"], 2, /Cannot open store "sample": a folder, expected a file/],
      [["sample", "a", "goal"], 2, /3 arguments/],
      [["sample", "a goal"], 2, /a goal needs a model/],
      [["--model", url], 2, /--model and --model-id come together/],
      [["--model-id", "m"], 2, /--model and --model-id come together/],
      [["--model", "nonsense", "--model-id", "m"], 2, /no HTTP address/],
    ];
    const rows = table.map(async ([args, code, sentence]) => {
      const ran = await demo(args, cwd);
      assert.equal(ran.code, code, `${args.join(" ")}: ${ran.out}${ran.err}`);
      assert.match(ran.err, sentence);
      assert.doesNotMatch(ran.err, /\n +at |Uncaught/);
    });
    await Promise.all(rows);
  }));

Deno.test("A model that cannot be reached ends the run with its sentence", () =>
  inFolder(async (cwd) => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const args = ["--model", `http://127.0.0.1:${port}/v1`, "--model-id", "m", "sample", "Look"];
    const { code, err, out } = await demo(args, cwd);
    assert.equal(code, 1, out);
    assert.match(err, /Cannot finish the run: Cannot generate with model "openai-compatible\/m"/);
    assert.doesNotMatch(err, /\n +at |Uncaught/);
  }));

/** Makes the folder of the report first, then does as the planner of reports. */
const planner: Planner = (messages, tools, body) => {
  const isMade = messages.some(({ tool_calls }) =>
    tool_calls?.some((call) => call.function.name === "file_mkdir")
  );
  if (!isMade) return asks({ name: "file_mkdir", args: { path: "./libos-audit" } });
  const next = reportPlanner({ folder: ".", report: "./libos-audit/report.md" })(
    messages,
    tools,
    body,
  );
  const [call] = next.kind === "answer" ? next.calls ?? [] : [];
  if (call?.name !== "file_write") return next;
  const { path, text } = call.args as { path: string; text: string };
  return asks({ name: call.name, args: { path, text } });
};

Deno.test("A model behind an endpoint follows any goal, with the same refusals", () =>
  inFolder(async (cwd) => {
    await using server = fakeOpenAi(planner);
    const args = ["--", "--model", server.url, "--model-id", "m", "sample", "Count the characters"];
    const { code, out, err } = await demo(args, cwd);
    assert.equal(code, 0, out + err);
    assert.match(out, /model openai-compatible\/m/);
    assert.match(out, /▸ p_1 coordinator {2}"Count the characters"/);
    assert.match(out, /file\.read +\.\/secrets\.env +DENY/);
    assert.match(out, /file\.write +\.\/libos-audit\/report\.md +done/);
    const report = await Deno.readTextFile(join(cwd, "sample/libos-audit/report.md"));
    assert.match(report, /README\.md: \d+ characters/);
    assert(server.requests.length >= 4);
    assert(!JSON.stringify(server.requests).includes(SECRET), "A secret went to the model");
  }));

Deno.test("A model's readers get a part of the folder, and their words come back", () =>
  inFolder(async (cwd) => {
    const grants = ["file.list(./notes/**)", "file.read(./notes/**)"];
    await using server = fakeOpenAi((messages) => {
      const isReader = !JSON.stringify(messages[0]).includes("You lead");
      const turns = messages.filter(({ role }) => role === "assistant").length;
      const last = String(messages.at(-1)?.content);
      if (isReader) {
        if (turns === 0) return asks({ name: "file_read", args: { path: "./notes/monday.md" } });
        if (turns === 1) return asks({ name: "file_read", args: { path: "./q3.csv" } });
        return says(/no capability/.test(last) ? "Notes about the pier, q3 refused." : "Odd.");
      }
      const spawn = { image: "reader", goal: "Read the notes", grants };
      if (turns === 0) return asks({ name: "process_spawn", args: spawn });
      const pid = /p_\d+\.\d+/.exec(last)?.[0] ?? "p_9";
      if (turns === 1) return asks({ name: "process_wait", args: { pids: [pid] } });
      return says(`The reader says: ${/Notes about[^"\\]*/.exec(last)?.[0]}`);
    });
    const args = ["--model", server.url, "--model-id", "m", "sample", "Ask a reader"];
    const { code, out, err } = await demo(args, cwd);
    assert.equal(code, 0, out + err);
    assert.match(out, /exited +The reader says: Notes about the pier, q3 refused\./);
    assert.match(out, /p_1\.1 +file\.read +\.\/q3\.csv +DENY +no capability covers it/);
  }));

/** Whether a pseudo terminal can be had here. */
const hasTerminal = await new Deno.Command("script", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

/** Runs the demo at a pseudo terminal, and types `words` one after the other when asked. */
async function atTerminal(words: readonly string[], cwd: string): Promise<Ran> {
  const line = [Deno.execPath(), ...command(["sample"])].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-qec", line, "/dev/null"],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const decoder = new TextDecoder();
  let out = "";
  let asked = 0;
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true });
    while (asked < words.length && out.split("> ").length > asked + 1) {
      await writer.write(new TextEncoder().encode(`${words[asked++]}\n`));
    }
  }
  const err = await new Response(child.stderr).text();
  await writer.close().catch(() => {});
  return { code: (await child.status).code, out, err };
}

const TERMINAL: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["yes", ["y"], 0, /person +approve once, by operator[^]*file\.write .* done/],
  ["no", ["n", "not today"], 4, /The report was not written: .*operator refused it: not today/],
  ["a look, then yes", ["v", "y"], 0, /"mode": "either"[^]*approve once/],
];
for (const [answer, words, code, shown] of TERMINAL) {
  const name = `A person at a terminal is asked, and answers ${answer}`;
  Deno.test({
    name,
    // Only util-linux has a "script" that gives the exit code of what it ran.
    ignore: !hasTerminal,
    fn: () =>
      inFolder(async (cwd) => {
        const ran = await atTerminal(words, cwd);
        assert.equal(ran.code, code, ran.out + ran.err);
        assert.match(ran.out, shown);
        assert.doesNotMatch(ran.out, /no terminal/);
      }),
  });
}

Deno.test("A second demo at the same time is told of the first", () =>
  inFolder(async (cwd) => {
    await using server = fakeOpenAi([{ kind: "hang" }]);
    const args = ["--model", server.url, "--model-id", "m", "sample", "Wait"];
    const first = start(args, cwd);
    await server.nextRequest();
    const { code, err } = await demo(["sample"], cwd);
    first.kill("SIGKILL");
    await first.output();
    assert.equal(code, 1);
    assert.match(err, /Cannot open store .*another kernel runs on it/);
    assert.match(err, /Try: wait for the other demo, or give --db another file/);
  }));

Deno.test("Ctrl-C drains and says how to go on; the same command then goes on", () =>
  inFolder(async (cwd) => {
    const opened = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    let turns = 0;
    await using server = fakeOpenAi(() => {
      turns += 1;
      if (turns > 1) return says("All is well.");
      const gate = (event: number): Promise<void> | void => {
        reached.resolve();
        if (event === 1) return opened.promise;
      };
      const calls = [{ name: "file_list", args: { path: "." } }];
      return { kind: "answer", text: "", calls, gate };
    });
    const args = ["--model", server.url, "--model-id", "m", "sample", "Look around"];
    const child = start(args, cwd);
    await reached.promise;
    child.kill("SIGINT");
    let out = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      out += chunk;
      // Not before the signal was heard.
      if (out.includes("stopping")) opened.resolve();
    }
    await child.stderr.cancel();
    assert.equal((await child.status).code, 130, out);
    assert.match(out, /stopping: what is under way comes to its end; Ctrl-C again stops at once/);
    assert.match(out, /stopped: run the same command again to go on with tree t_1/);
    const again = await demo(args, cwd);
    assert.equal(again.code, 0, again.out + again.err);
    assert.match(again.out, /going on with tree t_1 at line \d+/);
    assert.match(again.out, /exited +All is well\./);
    assert.equal(turns, 2);
  }));

Deno.test("A second Ctrl-C stops at once", () =>
  inFolder(async (cwd) => {
    await using server = fakeOpenAi([{ kind: "hang" }]);
    const child = start(["--model", server.url, "--model-id", "m", "sample", "Wait"], cwd);
    await server.nextRequest();
    child.kill("SIGINT");
    const decoder = new TextDecoder();
    let said = "";
    let isToldTwice = false;
    for await (const chunk of child.stdout) {
      said += decoder.decode(chunk, { stream: true });
      if (isToldTwice || !said.includes("stopping")) continue;
      isToldTwice = true;
      child.kill("SIGINT");
    }
    await child.stderr.cancel();
    assert.equal((await child.status).code, 130);
  }));
