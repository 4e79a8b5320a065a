/**
 * The process in which tools are checked: whatever a source does to it, the next one is checked.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Child } from "../kernel/child.ts";
import type { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { VirtualClock } from "../providers/clock.ts";
import { TypeScriptCompiler } from "../sandboxes/compiler/compiler.ts";
import { fromFrames, toFrame } from "../sandboxes/compiler/frames.ts";
import {
  at,
  INPUT,
  OUTPUT,
  PlainChildren,
  problemsOf,
  TOOL,
  withCompiler,
} from "./compiler_place.ts";

// Each level doubles what has to be worked out; sixty of them take minutes.
const BOMB = at(
  Array.from(
    { length: 60 },
    (_, i) =>
      `type P${i}<T, N extends 0[]> = N extends [0, ...infer R extends 0[]] ` +
      `? P${i}<{ a: T }, R> & P${i}<{ b: T }, R> : T; const x${i}: P${i}<1, [${
        "0,".repeat(22)
      }]> = ${i};`,
  )
    .join("\n"),
);
const COMPLEX = [{
  line: 1,
  column: 1,
  message:
    "Cannot check the types: the source is too complex, expected plainer types and expressions",
}];

Deno.test("Types that never end are cut off, and the next tool is checked", async () => {
  await withCompiler(async ({ compiler, children, clock, check }) => {
    await compiler.warm();
    const bomb = check(BOMB);
    const next = check(TOOL);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await clock.advance(LIMITS.toolCheckMsMax);
    assert.deepEqual(problemsOf(await bomb), COMPLEX);
    await children.ends[0];
    assert.ok((await next).ok);
    assert.equal(children.specs.length, 2);
  });
});

Deno.test("A source too deep to parse ends its child only, and the next tool is checked", async () => {
  await withCompiler(async ({ children, check }) => {
    for (const [open, close] of ["()", "[]"].map((pair) => pair.split("") as [string, string])) {
      const deep = at(`const a = ${open.repeat(20_000)}1${close.repeat(20_000)};`);
      assert.deepEqual(problemsOf(await check(deep)), COMPLEX);
      assert.ok((await check(TOOL)).ok);
    }
    assert.equal(children.specs.length, 3);
  });
});

Deno.test("A child that died of what was before it is replaced within the check", async () => {
  const children = new PlainChildren();
  const killed: Child[] = [];
  const compiler = new TypeScriptCompiler({
    children: {
      start(spec) {
        const child = children.start(spec);
        killed.push(child);
        return child;
      },
      jail: () => children.jail(),
    },
    clock: new VirtualClock(),
  });
  const tool = { source: TOOL, inputSchema: INPUT, outputSchema: OUTPUT };
  assert.ok((await compiler.check(tool)).ok);
  killed[0]!.kill();
  assert.ok((await compiler.check(tool)).ok);
  assert.equal(killed.length, 2);
  await compiler.close();
  await Promise.all(children.ends);
});

Deno.test("The child may read the compiler's folder and nothing else", async () => {
  await withCompiler(async ({ compiler, children }) => {
    await compiler.warm();
    const { args, dataBytesMax } = children.specs[0]!;
    const folder = fileURLToPath(new URL(".", import.meta.resolve("typescript")));
    const allowed = args.filter((one) => one.startsWith("--allow"));
    assert.deepEqual(allowed, [`--allow-read=${folder.replace(/\/$/, "")}`]);
    for (const one of ["--no-prompt", "--no-npm", "--no-remote", "--no-config", "--deny-net"]) {
      assert.ok(args.includes(one), one);
    }
    assert.ok(dataBytesMax !== null);
  });
});

Deno.test("A child that nobody needs is let go, and started again for the next check", async () => {
  await withCompiler(async ({ children, clock, check }) => {
    assert.ok((await check(TOOL)).ok);
    await clock.advance(LIMITS.cageIdleMsMax);
    await children.ends[0];
    assert.ok((await check(TOOL)).ok);
    assert.equal(children.specs.length, 2);
  });
});

Deno.test("close() ends the child and what waits for it", async () => {
  await withCompiler(async ({ compiler, children, check }) => {
    await compiler.warm();
    const refused = (one: Promise<unknown>) =>
      assert.rejects(one, (error: SysError) => error.code === "ECANCELED");
    const waiting = [check(BOMB), check(TOOL)].map(refused);
    await new Promise((resolve) => setTimeout(resolve, 50));
    let isOver = false;
    void children.ends[0]!.then(() => isOver = true);
    await compiler.close();
    assert.ok(isOver, "nothing of the child is left when it is closed");
    await Promise.all([...waiting, refused(check(TOOL))]);
    assert.equal(children.specs.length, 1);
  });
});

Deno.test("A child that does not speak frames is not listened to", async () => {
  for (const said of ["hello, I am not the compiler", "\xff\xff\xff\xff", ""]) {
    let kills = 0;
    const child: Child = {
      pid: 1,
      output: new Blob([said]).stream(),
      write: () => Promise.resolve(),
      kill: () => void kills++,
      ended: Promise.resolve({ code: 1, errors: "" }),
      usage: () => null,
    };
    const children = { start: () => child, jail: () => Promise.resolve({ works: false, why: "" }) };
    const compiler = new TypeScriptCompiler({ children, clock: new VirtualClock() });
    await assert.rejects(compiler.warm(), (error: SysError) => error.code === "EIO");
    assert.equal(kills, 1);
    await compiler.close();
  }
});

Deno.test("Frames arrive whole however the pipe cuts them, and a long one is refused", async () => {
  const values = [{ a: "ä" }, null, [1, 2]];
  const bytes = values.flatMap((value) => [...toFrame(value)]);
  async function* cut(size: number) {
    for (let i = 0; i < bytes.length; i += size) {
      await Promise.resolve();
      yield new Uint8Array(bytes.slice(i, i + size));
    }
  }
  for (const size of [1, 3, 5, 1_000]) {
    assert.deepEqual(await Array.fromAsync(fromFrames(cut(size), 100)), values);
  }
  await assert.rejects(
    Array.fromAsync(fromFrames(cut(5), 8)),
    (error: SysError) => error.code === "EIO",
  );
});
