/**
 * What programs try, in walls and without: the table says what becomes of it.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, deny, type Runtime } from "../mod.ts";
import type { Args } from "../broker/client.ts";
import { formatted } from "../docs/generate.ts";
import { TaskGroup } from "../providers/task_group.ts";
import { killAll, oddWord, Place, walled, withWord } from "./confined_place.ts";
import {
  type Cell,
  type Escape,
  ESCAPES,
  expected,
  TABLE_PATH,
  tableOf,
  type Target,
} from "./shell_escapes.ts";
import { caller, type Ran, shellRuntime } from "./shell_fixture.ts";

const GRANTS = [
  allow("shell.run"),
  allow("file.*", "./a/**"),
  ...["file.read", "file.list", "file.stat"].map((right) => allow(right, "./c/**")),
  deny("file.*", "./a/keys/**"),
  deny("file.*", "./a/deep/er/**"),
  ask("file.*", "./a/asked/**"),
  ask("file.write", "./a/.git/**"),
  deny("file.*", "./**/*.env"),
  deny("file.*", "./a/conf/in/*"),
  allow("file.*", "./d/**"),
  deny("file.write", "./d/**/*.lock"),
  allow("file.*", "./e/**"),
];

/** A workspace with what there is to take, for as long as `use` takes. */
async function withTarget(use: (at: Target) => Promise<void>): Promise<void> {
  using place = new Place({
    "a/x.txt": "x",
    "a/keys/k": "outside",
    "a/deep/er/k": "outside",
    "a/asked/k": "outside",
    "b/secret.txt": "outside",
    "c/only.txt": "read",
    "a/x.env": "outside",
    "a/deep/y.env": "outside",
    "a/conf/in/k": "outside",
    "d/x.txt": "x",
    "e/x.txt": "x",
  });
  Deno.symlinkSync("x.env", `${place.root}/a/byname`);
  Deno.linkSync(`${place.root}/a/x.env`, `${place.root}/a/second`);
  place.put("a/run.sh", `#!/bin/sh\ncat ${place.secret}\n`);
  place.put("a/true", "#!/bin/sh\necho through\n");
  place.put("a/Makefile", `all:\n\t@cat ${place.secret}\n`);
  Deno.chmodSync(`${place.root}/a/run.sh`, 0o755);
  Deno.chmodSync(`${place.root}/a/true`, 0o755);
  Deno.symlinkSync(place.secret, `${place.root}/a/out`);
  Deno.symlinkSync("/bin/true", `${place.root}/a/link`);
  const sockets = [`${place.base}/socket`, `${place.root}/a/socket`]
    .map((path) => Deno.listen({ transport: "unix", path }));
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("through"),
  );
  const victim = new Deno.Command("sleep", { args: ["600"] }).spawn();
  const word = oddWord();
  try {
    const { port } = server.addr;
    await use({ place, port, kernel: Deno.pid, victim: victim.pid, word });
  } finally {
    killAll(withWord(word));
    try {
      victim.kill("SIGKILL");
    } catch {
      // An attempt did.
    }
    await victim.status;
    for (const socket of sockets) socket.close();
    await server.shutdown();
  }
}

function callOf(escape: Escape, at: Target): Args<"shell.run"> {
  const does = escape.does(at);
  return typeof does === "string" ? { program: "bash", args: ["-c", does] } : does;
}

/** What became of an attempt that ended. */
function judged(escape: Escape, at: Target, end: Ran): Cell {
  const told = !end.ok && /came or changed while it ran/.test(end.message) ? end.message : null;
  if (told === null && !end.ok && ["EINVAL", "ENOENT", "EACCES"].includes(end.code)) {
    return "refused";
  }
  assert.ok(end.ok || told !== null, end.ok ? "" : end.message);
  const out = end.ok ? end.reply.stdout : "";
  const left = withWord(at.word).length;
  const isVictimAlive = isAlive(at.victim);
  const cameThrough = escape.cameThrough?.({ ...at, out, left, isVictimAlive, told }) ??
    /outside|through/.test(out.replaceAll("b/secret.txt", ""));
  return cameThrough ? "open" : "held";
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

/** Makes an attempt without walls: what was before anybody was asked, and after a yes. */
async function bare(escape: Escape, at: Target): Promise<readonly [Cell, Cell]> {
  await using os = await shellRuntime(at.place, { walls: false });
  const process = await os.spawn(caller(callOf(escape, at)), { goal: "try", grants: GRANTS });
  const ended = process.wait();
  const asked = await Promise.race([request(os), ended.then(() => null)]);
  if (asked === null) {
    const cell = judged(escape, at, (await ended).result as unknown as Ran);
    return [cell, cell];
  }
  if (expected(escape)[2] === "not tried") {
    await os.approvals.decide(asked, { outcome: "deny" });
    await ended;
    return ["asked", "not tried"];
  }
  await os.approvals.decide(asked, { outcome: "approve" });
  return ["asked", judged(escape, at, (await ended).result as unknown as Ran)];
}

async function request(os: Runtime): Promise<string> {
  for (;;) {
    const [first] = os.approvals.list();
    if (first !== undefined) return first.id;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const tried = TaskGroup.make("tried", 8);
await tried?.close();
const canGroup = tried !== null;

for (const escape of ESCAPES) {
  const missing = (escape.takes ?? []).find((name) =>
    !["/usr/bin", "/bin"].some((folder) => withProgram(`${folder}/${name}`))
  );
  const name = `${escape.class}: ${escape.name}`;
  if (missing !== undefined) {
    Deno.test({ name: `${name} (no "${missing}" here)`, ignore: true, fn: () => {} });
    continue;
  }
  walled(`In walls, ${name} is ${expected(escape)[0]}`, async () => {
    await withTarget(async (at) => {
      await using os = await shellRuntime(at.place);
      const process = await os.spawn(caller(callOf(escape, at)), { goal: "try", grants: GRANTS });
      const { result } = await process.wait();
      assert.equal(judged(escape, at, result as unknown as Ran), expected(escape)[0]);
      assert.ok(isAlive(at.victim));
      assert.equal(withWord(at.word).length, 0);
    });
  });
  Deno.test({
    name: `Without walls, ${name} is ${expected(escape).slice(1).join(", then ")}` +
      (canGroup && escape.isGrouped ? " but for its control group" : ""),
    // What there is to take is that of Linux.
    ignore: Deno.build.os !== "linux",
    fn: () =>
      withTarget(async (at) => {
        const [unasked, allowed] = expected(escape).slice(1);
        const isHeld = canGroup && escape.isGrouped;
        assert.deepEqual(await bare(escape, at), [unasked, isHeld ? "held" : allowed]);
      }),
  });
}

function withProgram(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

Deno.test("The page of attempts says what was tried here", async () => {
  assert.equal(Deno.readTextFileSync(TABLE_PATH), await formatted(tableOf(ESCAPES)));
});
