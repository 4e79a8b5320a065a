/**
 * The sandbox of child processes: what ends a cage, what a cage may not say, what is started.
 * @module
 */

import assert from "node:assert/strict";
import type { PortAnswer } from "../broker/sandbox.ts";
import type { Children, ChildSpec } from "../kernel/child.ts";
import { LIMITS } from "../kernel/limits.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock, VirtualClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { CHILD_WORKER_TEXT, REALM_TEXT } from "../sandboxes/guest_text.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";
import {
  canJail,
  FakeChildren,
  frame,
  outputOf,
  runOf,
  type RunOptions,
  sandboxOf,
  SURFACE,
  tool,
  WatchedChildren,
} from "./sandbox_fixture.ts";

/** A loop that nothing inside ends. A Worker of this process would go on with it for good. */
const LOOPS:
  readonly (readonly [string, string, keyof NonNullable<RunOptions["limits"]>, RunOptions])[] = [
    ["a loop", tool("while (true);"), "wallMs", { limits: { wallMs: 300 } }],
    ["a loop of promises", tool("while (true) await null"), "wallMs", { limits: { wallMs: 300 } }],
    ["a loop at the top", "while (true); export default 1", "wallMs", { limits: { wallMs: 300 } }],
    ["an accessor of a result", tool("return { get a() { while (true); } }"), "wallMs", {
      limits: { wallMs: 300 },
    }],
    ["a regular expression", tool("return /^(a+)+$/.test('a'.repeat(40) + 'b')"), "wallMs", {
      limits: { wallMs: 300 },
    }],
    ["work behind a call that is out", tool("os.call('never'); while (true);"), "cpuMs", {
      limits: { cpuMs: 200 },
      answers: () => new Promise(() => {}),
    }],
    [
      "memory by arrays",
      tool("const a = []; for (;;) a.push(new Array(1000).fill({}))"),
      "memoryBytes",
      {},
    ],
    [
      "memory by buffers",
      tool("const a = []; for (;;) a.push(new Uint8Array(1e7).fill(1))"),
      "memoryBytes",
      {},
    ],
    [
      "memory by maps",
      tool("const m = new Map(); for (let i = 0;; i++) m.set(i, [i])"),
      "memoryBytes",
      {},
    ],
    ["a flood of calls", tool("for (;;) os.call('x')"), "callsOutstanding", {
      answers: () => new Promise(() => {}),
    }],
    ["a flood of logs", tool("for (;;) console.log('x')"), "logBytes", {}],
  ];

const JAIL = await canJail();

for (const tier of ["process", "jail"] as const) {
  const held = (name: string, fn: (t: Deno.TestContext) => Promise<void>) => {
    const isThere = tier === "process" || JAIL.can;
    const whole = `${name} in tier ${tier}`;
    Deno.test({ name: isThere ? whole : `${whole} (${JAIL.why})`, ignore: !isThere, fn });
  };

  held("A cage that is used again and again does not keep what its runs left behind", async () => {
    const children = new WatchedChildren();
    const sandbox = sandboxOf(tier, { children });
    const code = tool("return input + 1");
    let [before, most] = [0, 0];
    for (let i = 1; i <= 400; i++) {
      assert.equal(outputOf(await sandbox.run(runOf(code, { input: i }))), i + 1);
      const [cage] = children.alive;
      const { residentBytes } = cage!.usage()!;
      if (i === 20) before = residentBytes;
      most = Math.max(most, residentBytes);
    }
    await sandbox.close();
    assert.ok(most - before < 10 * 2 ** 20, `It grew by ${most - before} bytes from ${before}`);
  });

  held("ProcessSandbox.run() ends what does not end, and serves the next", async (t) => {
    const children = new WatchedChildren();
    const sandbox = sandboxOf(tier, { children });
    for (const [what, code, limit, options] of LOOPS) {
      await t.step(what, async () => {
        const end = await sandbox.run(runOf(code, options));
        assert.deepEqual([end.kind, end.kind === "limit" && end.limit], ["limit", limit]);
        assert.equal(outputOf(await sandbox.run(runOf(tool("return 1"), { tenant: "good" }))), 1);
      });
    }
    await sandbox.close();
    assert.equal(children.alive.size, 0);
  });

  held("ProcessSandbox.run() answers when the child is killed", async () => {
    const children = new WatchedChildren();
    const sandbox = sandboxOf(tier, { children });
    const run = runOf(tool("await os.call('x')"), {
      answers: () => {
        for (const child of children.alive) child.kill();
        return new Promise(() => {});
      },
    });
    const end = await sandbox.run(run);
    assert.equal(end.kind, "died");
    await Promise.all([...children.alive].map(({ ended }) => ended));
    assert.equal(outputOf(await sandbox.run(runOf(tool("return 1")))), 1);
    await sandbox.close();
  });

  held("ProcessSandbox.run() replaces a cage that goes on after its answer", async () => {
    const children = new WatchedChildren();
    const sandbox = sandboxOf(tier, { children });
    const code = tool("(async () => { while (true) await null })(); return 1");
    assert.equal(outputOf(await sandbox.run(runOf(code))), 1);
    const [first] = children.alive;
    assert.equal(outputOf(await sandbox.run(runOf(tool("return 2")))), 2);
    await first!.ended;
    await sandbox.close();
  });
}

/** Cages that return nothing; `ran` hears in which of them each run was. */
function quickChildren(ran: (child: number) => void): FakeChildren {
  return new FakeChildren((text, child) => {
    if (text.startsWith('["boot"')) return frame('["boot","ready"]');
    if (!text.startsWith("[")) return null;
    const [kind, nonce, last] = JSON.parse(text);
    if (kind === "ping") return frame(`["${nonce}","pong",${last}]`);
    ran(child);
    return frame(`["${nonce}",0,["returned",null,null]]`);
  });
}

Deno.test("ProcessSandbox.run() uses a tenant's cage again, and for no other", async () => {
  const ran: number[] = [];
  const sandbox = sandboxOf("process", { children: quickChildren((child) => ran.push(child)) });
  const memoryBytes = 200 * 2 ** 20;
  for (const tenant of ["a", "b", "a", "b"]) await sandbox.run(runOf("", { tenant }));
  await sandbox.run(runOf("", { tenant: "a", limits: { memoryBytes } }));
  await sandbox.run(runOf("", { tenant: "a", limits: { memoryBytes } }));
  await sandbox.run(runOf("", { tenant: "a" }));
  const [a, b, ...more] = ran;
  assert.equal(new Set(ran).size, 4);
  // Who asks for more memory than is usual has a cage of its own, once.
  assert.deepEqual([more[0], more[1], more[4]], [a, b, a]);
  await sandbox.close();
});

/** What a cage may not say: after "ready", for the run with this nonce. */
const GARBAGE: readonly (readonly [string, (nonce: string) => Uint8Array])[] = [
  ["no JSON", () => frame("x")],
  ["no frame", () => frame("{}")],
  ["an empty frame", (nonce) => frame(`["${nonce}",0]`)],
  ["another run's nonce", () => frame('["0000000000000000",0,["returned",1,null]]')],
  ["a wrong number", (nonce) => frame(`["${nonce}",1,["returned",1,null]]`)],
  ["an unknown record", (nonce) => frame(`["${nonce}",0,["grant",1]]`)],
  ["a record of a wrong length", (nonce) => frame(`["${nonce}",0,["returned",1]]`)],
  ["a name that is no text", (nonce) => frame(`["${nonce}",0,["call",1,7,{}]]`)],
  ["arguments that are no object", (nonce) => frame(`["${nonce}",0,["call",1,"x",[]]]`)],
  ["a call out of turn", (nonce) => frame(`["${nonce}",0,["call",2,"x",{}]]`)],
  ["a call that ends the step", (nonce) => frame(`["${nonce}",0,["call",1,"process.exit",{}]]`)],
  ["an end that is no such call", (nonce) => frame(`["${nonce}",0,["returned",1,["x",{}]]]`)],
  ["an unknown limit", (nonce) => frame(`["${nonce}",0,["over","toString"]]`)],
  ["an unknown code", (nonce) => frame(`["${nonce}",0,["threw","x","toString"]]`)],
  ["more after the end", (nonce) => frame(`["${nonce}",0,["over","calls"],["log","x"]]`)],
  ["a pong that nobody asked for", (nonce) => frame(`["${nonce}","pong",1]`)],
  ["a frame that is too long", () => new Uint8Array([255, 255, 255, 255])],
  ["bytes that are no text", () => new Uint8Array([0, 0, 0, 2, 0xff, 0xff])],
];

Deno.test("ProcessSandbox.run() believes nothing that is not exactly a frame", async (t) => {
  for (const [what, say] of GARBAGE) {
    await t.step(what, async () => {
      const children = new FakeChildren((text) => {
        if (text.startsWith('["boot"')) return frame('["boot","ready"]');
        const nonce = nonceOf(text);
        return nonce === undefined ? null : say(nonce);
      });
      const sandbox = sandboxOf("process", { children });
      const run = runOf("");
      assert.equal((await sandbox.run(run)).kind, "died");
      assert.deepEqual(run.made, []);
      await sandbox.close();
    });
  }
  await t.step("too deep", async () => {
    const children = new FakeChildren((text) => {
      if (text.startsWith('["boot"')) return frame('["boot","ready"]');
      const nonce = nonceOf(text);
      const deep = "[".repeat(100_000) + "]".repeat(100_000);
      return nonce === undefined ? null : frame(`["${nonce}",0,["returned",${deep},null]]`);
    });
    const sandbox = sandboxOf("process", { children });
    const end = await sandbox.run(runOf(""));
    assert.deepEqual(end, { kind: "limit", limit: "jsonDepth", logs: [] });
    await sandbox.close();
  });
});

Deno.test("ProcessSandbox holds the limits which a cage does not keep", async () => {
  const children = new FakeChildren((text) => {
    if (text.startsWith('["boot"')) return frame('["boot","ready"]');
    const nonce = nonceOf(text);
    const calls = Array.from({ length: 4 }, (_, i) => `["call",${i + 1},"x",{}]`).join();
    return nonce === undefined ? null : frame(`["${nonce}",0,${calls}]`);
  });
  for (
    const [limit, value] of [["calls", 3], ["callsOutstanding", 3], ["argumentBytes", 1]] as const
  ) {
    const sandbox = sandboxOf("process", { children });
    const answers = () => new Promise<PortAnswer>(() => {});
    const end = await sandbox.run(runOf("", { limits: { [limit]: value }, answers }));
    assert.deepEqual(end, { kind: "limit", limit, logs: [] });
    await sandbox.close();
  }
});

Deno.test("ProcessSandbox keeps cages warm when it shall, and closes them", async () => {
  const children = new WatchedChildren();
  const sandbox = sandboxOf("process", { children, warm: true });
  assert.deepEqual(sandbox.counts(), {
    cages: LIMITS.cagesWarmMax,
    warm: LIMITS.cagesWarmMax,
    busy: 0,
    waiting: 0,
  });
  await sandbox.close();
  assert.equal(children.alive.size, 0);
});

Deno.test("ProcessSandbox starts a cage that nobody needs only when it shall be warm", async () => {
  const { cagesWarmMax } = LIMITS;
  for (const [warm, spare] of [[false, 0], [true, cagesWarmMax]] as const) {
    const clock = new VirtualClock();
    const children = quickChildren(() => {});
    const parts = { clock, random: realRandom, surface: SURFACE, warm };
    const sandbox = new ProcessSandbox({ ...parts, children });
    for (const tenant of ["a", "b", "a"]) {
      await sandbox.run(runOf("", { tenant }));
      await clock.advance(1_000);
    }
    assert.deepEqual(sandbox.counts(), { cages: 2 + spare, warm: spare, busy: 0, waiting: 0 });
    await clock.advance(LIMITS.cageIdleMsMax * 2);
    assert.deepEqual(sandbox.counts(), { cages: spare, warm: spare, busy: 0, waiting: 0 });
    await sandbox.close();
  }
});

Deno.test("A cage starts without having a loop compiled while it runs", async () => {
  const asked = Promise.withResolvers<ChildSpec>();
  const refusing: Children = {
    start(spec) {
      asked.resolve(spec);
      throw new Error("It was only asked");
    },
    jail: () => Promise.resolve({ works: false, why: "it is not asked" }),
  };
  const sandbox = sandboxOf("process", { children: refusing });
  await sandbox.run(runOf(""));
  const spec = await asked.promise;
  // Nor does it keep what was compiled, which could only be in its memory.
  assert.equal(spec.args.includes("--no-code-cache"), true);
  const args = spec.args.map((arg) => arg.startsWith("--v8-flags=") ? `${arg},--trace-osr` : arg);
  const child = new RealChildren().start({ ...spec, args });
  const surface = JSON.stringify(SURFACE);
  await child.write(frame(CHILD_WORKER_TEXT));
  await child.write(frame(JSON.stringify(["boot", surface, REALM_TEXT])));
  let said = "";
  for await (const chunk of child.output) {
    const before = said;
    said += new TextDecoder().decode(chunk);
    // What ends it in order: only then is all said that the engine has to say.
    const isReady = (text: string) => text.includes('["boot","ready"]');
    if (isReady(said) && !isReady(before)) await child.write(new Uint8Array(4).fill(255));
  }
  assert.match(said, /\["boot","ready"\]/);
  assert.doesNotMatch(said, /OSR/);
  await sandbox.close();
});

Deno.test("ProcessSandbox with a jail runs nothing where there is none", async () => {
  const children = new RealChildren({ jailPath: "no-such-jail" });
  const { works, why } = await children.jail();
  assert.deepEqual([works, why], [
    false,
    'no "no-such-jail" on the path, expected bubblewrap: apt-get install bubblewrap',
  ]);
  assert.equal((await new RealChildren({ jailPath: "/bin/false" }).jail()).works, false);
  const sandbox = new ProcessSandbox({
    children,
    clock: realClock,
    random: realRandom,
    surface: SURFACE,
    jail: true,
  });
  assert.equal(sandbox.tier, "jail");
  const end = await sandbox.run(runOf(tool("return 1")));
  assert.deepEqual([end.kind, sandbox.counts().cages], ["died", 0]);
  await sandbox.close();
});

Deno.test("RealChildren.start() tells a child's end, its errors made harmless", async () => {
  const children = new RealChildren();
  const url = 'data:application/javascript,console.error("\\u001b[31mred");Deno.exit(3)';
  const child = children.start({
    args: ["run", "--no-config", "--no-prompt", url],
    dataBytesMax: null,
    jail: false,
  });
  const output = Array.fromAsync(child.output);
  assert.deepEqual(await child.ended, { code: 3, errors: "\\u{1b}[31mred" });
  assert.deepEqual(await output, []);
  assert.equal(child.usage(), null);
  child.kill();
  await assert.rejects(child.write(new Uint8Array(1)), { code: "EIO" });
});

/** The nonce of a frame that begins a run. */
function nonceOf(text: string): string | undefined {
  return /^\["run","([0-9a-f]{16})"/.exec(text)?.[1];
}
