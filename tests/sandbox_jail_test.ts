/**
 * The jail by itself: a program to which the runtime allows everything, native calls too, and what
 * of its attempts the jail alone stops. Each attempt comes through where there is no jail.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Child } from "../kernel/child.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { jailFilter } from "../providers/jail_filter.ts";
import { type Attempt, attempted, ATTEMPTS, type Target } from "./jail_attempts.ts";
import { canJail } from "./sandbox_fixture.ts";
import { processes } from "./escape/watch.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const { can, why } = await canJail();
const IS_ROOT = Deno.build.os === "linux" && Deno.uid() === 0;

function jailed(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name: can ? name : `${name} (${why})`, ignore: !can, fn });
}

function program(code: string): string {
  return `data:application/javascript,${encodeURIComponent(code)}`;
}

async function toEnd(child: Child): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.output) text += decoder.decode(chunk, { stream: true });
  const { code, errors } = await child.ended;
  assert.deepEqual([code, errors], [0, ""]);
  return text;
}

/** Children of which those in a jail can be started. */
async function jailers(denoPath = Deno.execPath()): Promise<RealChildren> {
  const children = new RealChildren({ denoPath });
  assert.deepEqual(await children.jail(), { works: true, why: "bubblewrap works" });
  return children;
}

/** What there is to take, for as long as `use` takes. */
async function withTarget(use: (at: Target) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "libos-jail-" });
  Deno.writeTextFileSync(`${folder}/secret.txt`, "secret\n");
  const socket = Deno.listen({ transport: "unix", path: `${folder}/socket` });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("you came through"),
  );
  try {
    await use({
      folder,
      repository: ROOT,
      program: Deno.execPath(),
      port: server.addr.port,
      pid: Deno.pid,
      hostname: Deno.hostname(),
    });
  } finally {
    socket.close();
    await server.shutdown();
    Deno.removeSync(folder, { recursive: true });
  }
}

jailed("A program to which everything is allowed comes through nowhere in a jail", async (t) => {
  const children = await jailers();
  await withTarget(async (at) => {
    const came = async (jail: boolean) => {
      const target = jail ? { ...at, program: "/deno" } : at;
      const url = attempted(ATTEMPTS, target);
      const args = ["run", "-A", "--quiet", "--no-config", url];
      return JSON.parse(
        await toEnd(children.start({ args, dataBytesMax: null, jail })),
      ) as string[];
    };
    const [free, held] = [await came(false), await came(true)];
    const canTry = ([, , who]: Attempt) => who !== "root" || IS_ROOT;
    for (const attempt of ATTEMPTS) {
      const [name] = attempt;
      await t.step(name, () => {
        assert.equal(held.includes(name), false);
        // An attempt that never comes through would show nothing.
        assert.equal(free.includes(name), canTry(attempt));
      });
    }
  });
});

const SHELL = "/bin/bash";
const SHELL_ATTEMPTS: readonly (readonly [name: string, command: string])[] = [
  ["reads the host's users", "read -r x </etc/passwd"],
  ["reads a secret of the workspace", "read -r x <FOLDER/secret.txt"],
  ["writes into a folder", "echo x >FOLDER/written"],
  ["connects to a port of the host", "exec 9<>/dev/tcp/127.0.0.1/PORT"],
  ["signals the kernel", "kill -0 PID"],
  ["starts a process", "x=$(echo y) && [[ $x == y ]]"],
  ["sees processes", "[[ -e /proc/PID ]]"],
];

jailed("A plain program comes through nowhere in a jail", async (t) => {
  try {
    Deno.statSync(SHELL);
  } catch {
    return;
  }
  const children = await jailers(SHELL);
  await withTarget(async (at) => {
    for (const [name, command] of SHELL_ATTEMPTS) {
      await t.step(name, async () => {
        const aimed = command.replace("FOLDER", at.folder).replace("PORT", String(at.port))
          .replace("PID", String(at.pid));
        const came = async (jail: boolean) => {
          const args = ["--noprofile", "--norc", "-c", `${aimed} && exit 42; exit 7`];
          const child = children.start({ args, dataBytesMax: null, jail });
          const [{ code }] = await Promise.all([child.ended, Array.fromAsync(child.output)]);
          return code;
        };
        assert.equal(await came(false), 42);
        // A shell that cannot start a process gives up with a code of its own.
        assert.notEqual(await came(true), 42);
      });
    }
    Deno.removeSync(`${at.folder}/written`);
  });
});

jailed("In a jail are the runtime, its libraries, and nothing else", async () => {
  const children = await jailers();
  const code = `
    const files = [];
    const walk = (folder) => {
      for (const { name, isDirectory } of Deno.readDirSync(folder || "/")) {
        if (isDirectory) walk(folder + "/" + name); else files.push(folder + "/" + name);
      }
    };
    walk("");
    console.log(JSON.stringify([files.sort(), Deno.env.toObject(), Deno.uid(), Deno.hostname()]));`;
  const args = ["run", "-A", "--quiet", "--no-config", program(code)];
  const said = await toEnd(children.start({ args, dataBytesMax: null, jail: true }));
  const [files, env, uid, hostname] = JSON.parse(said);
  assert.deepEqual([files[0], files.at(-1)], ["/deno", "/proc/self/exe"]);
  assert.deepEqual(
    files.slice(1, -1).filter((path: string) => !/\/(?:lib|ld-)[\w.-]+$/.test(path)),
    [],
  );
  assert.ok(files.length < 16, String(files));
  const { LD_LIBRARY_PATH: _, ...rest } = env;
  assert.deepEqual(rest, {
    DENO_DIR: "/dev/null/x",
    GLIBC_TUNABLES: "glibc.malloc.tcache_count=0",
    MALLOC_ARENA_MAX: "1",
    MALLOC_TOP_PAD_: "0",
    MALLOC_TRIM_THRESHOLD_: "65536",
    NO_COLOR: "1",
    PWD: "/",
    TZ: "UTC",
  });
  assert.deepEqual([uid, hostname], [65_534, "cage"]);
});

/** A kernel that holds a child which heeds nothing, and tells when that has begun. */
const KERNEL = `
import { RealChildren } from ${
  JSON.stringify(new URL("../providers/children.ts", import.meta.url))
};
const children = new RealChildren();
await children.jail();
const code = "setInterval(() => {}, 1000); console.log('begun')";
const args = ["run", "-A", "--quiet", "--no-config", "data:application/javascript," + encodeURIComponent(code)];
const child = children.start({ args, dataBytesMax: null, jail: true });
await child.output.getReader().read();
console.log("begun");
setInterval(() => {}, 1000);`;

jailed("A child in a jail dies with its kernel, though it heeds nothing", async () => {
  const kernel = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = kernel.stdin.getWriter();
  await writer.write(new TextEncoder().encode(KERNEL));
  await writer.close();
  const reader = kernel.stdout.getReader();
  assert.equal((await reader.read()).done, false);
  const family = descendants(kernel.pid);
  assert.ok(family.length >= 3, "The jail, its first process, and the runtime");
  kernel.kill("SIGKILL");
  await kernel.status;
  await reader.cancel();
  await assertGone(family);
});

jailed("A child in a jail is measured with all that is in it, and killed with it", async () => {
  const children = await jailers();
  const code = "const a = new Uint8Array(64e6).fill(1); console.log(a[5]); while (true);";
  const args = ["run", "--quiet", "--no-config", program(code)];
  const child = children.start({ args, dataBytesMax: null, jail: true });
  await child.output.getReader().read();
  const untilMs = realClock.now() + 10_000;
  const used = () => child.usage() ?? { cpuMs: 0, residentBytes: 0 };
  while (used().cpuMs < 200 && realClock.now() < untilMs) await realClock.sleep(5);
  assert.ok(used().cpuMs >= 200 && used().residentBytes > 64e6, JSON.stringify(used()));
  const family = descendants(child.pid);
  child.kill();
  await child.ended;
  assert.deepEqual(processes().filter(({ pid }) => family.includes(pid)), []);
});

/** Asserts that processes are over, or soon are: the system takes a moment to end them. */
async function assertGone(family: readonly number[]): Promise<void> {
  const untilMs = realClock.now() + 5_000;
  const left = () => processes().filter(({ pid }) => family.includes(pid));
  while (left().length > 0 && realClock.now() < untilMs) await realClock.sleep(5);
  assert.deepEqual(left(), []);
}

function descendants(pid: number): number[] {
  const below = processes().filter(({ parent }) => parent === pid).map((one) => one.pid);
  return [...below, ...below.flatMap(descendants)];
}

Deno.test("No child is started in a jail that is not known to work", () => {
  const spec = { args: ["--version"], dataBytesMax: null, jail: true };
  assert.throws(() => new RealChildren().start(spec), {
    code: "ENOSYS",
    message: "Cannot start a child in a jail: none is known to work here",
  });
});

Deno.test("A jail that does nothing, fails or is not there does not work, and says why", async () => {
  const not = async (jailPath: string) => {
    const { works, why } = await new RealChildren({ jailPath }).jail();
    assert.equal(works, false);
    return why;
  };
  if (Deno.build.os !== "linux") return assert.match(await not("bwrap"), /expected Linux$/);
  assert.equal(
    await not("no-such-jail"),
    'no "no-such-jail" on the path, expected bubblewrap: apt-get install bubblewrap',
  );
  assert.match(await not("/bin/false"), /^"\/bin\/false" refused, saying "", expected /);
  assert.match(await not("/bin/true"), /^"\/bin\/true" refused, saying "", expected /);
});

jailed(
  "Where user namespaces are forbidden there is no jail, and no child without one",
  async () => {
    const script = `
    import { openWorkshop } from ${
      JSON.stringify(new URL("../runtime/workshop.ts", import.meta.url))
    };
    console.log(await openWorkshop({ jit: { isolation: "jail" } }).catch((e) => e.code + " " + e.message));
    const workshop = await openWorkshop({ jit: { isolation: "process" } });
    console.log(workshop.sandbox.tier);
    await Promise.all([workshop.sandbox.close(), workshop.compiler.close()]);`;
    const child = new Deno.Command("bwrap", {
      args: ["--unshare-user", "--disable-userns", "--dev-bind", "/", "/", "--"].concat(
        [Deno.execPath(), "run", "-A", "--quiet", "--no-check", "-"],
      ),
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(script));
    await writer.close();
    const { stdout, stderr } = await child.output();
    const [refusal = "", tier, ...more] = new TextDecoder().decode(stdout).trim().split("\n");
    if (/disable-userns/.test(new TextDecoder().decode(stderr))) return;
    assert.match(refusal, /^ENOSYS Cannot open a jail for tools: "bwrap" refused, saying "bwrap: /);
    assert.match(refusal, /expected user namespaces: sysctl -w user\.max_user_namespaces=10000; /);
    assert.deepEqual([tier, more], ["process", []]);
  },
);

Deno.test("The jail's filter ends what it does not know, and is there for each machine", () => {
  for (const arch of ["x86_64", "aarch64"]) {
    const filter = jailFilter(arch)!;
    const view = new DataView(filter.buffer);
    const steps = filter.length / 8;
    for (let i = 0; i < steps; i++) {
      const code = view.getUint16(i * 8, true);
      const farthest = i + 1 + Math.max(view.getUint8(i * 8 + 2), view.getUint8(i * 8 + 3));
      // A jump beyond the end would be refused by the kernel; nothing but a return is last.
      assert.ok((code & 7) !== 5 || farthest < steps, `${arch}, step ${i}`);
    }
    assert.equal(view.getUint16(filter.length - 8, true), 6);
  }
  assert.equal(jailFilter("mips"), null);
});
