/**
 * How long a child is waited for: by what it was given of the processor, and never without end.
 * @module
 */

import assert from "node:assert/strict";
import { VirtualClock } from "../testing.ts";
import { LIMITS } from "../kernel/limits.ts";
import { TypeScriptCompiler } from "../sandboxes/compiler/compiler.ts";
import { given } from "../sandboxes/given.ts";
import { INPUT, OUTPUT, PlainChildren, problemsOf, TOOL } from "./compiler_place.ts";

/** After how many milliseconds of the clock a child had its time, that has a share of them. */
async function waited(shareOf: (nowMs: number) => number | null, ms: number): Promise<number> {
  const clock = new VirtualClock(0);
  let cpuMs = 0;
  let lastMs = 0;
  const child = {
    usage: () => {
      const share = shareOf(clock.now());
      if (share === null) return null;
      cpuMs += (clock.now() - lastMs) * share;
      lastMs = clock.now();
      return { cpuMs };
    },
  };
  let isOver = false;
  const over = given(child, ms, { clock, signal: new AbortController().signal })
    .then(() => isOver = true);
  while (!isOver) await clock.advance(10);
  await over;
  return clock.now();
}

Deno.test("given() waits by what a child had of the processor, and six times as long at most", async () => {
  for (
    const [name, share, least, most] of [
      ["all of it", 1, 1_000, 1_020],
      ["of four processors", 4, 1_000, 1_020],
      ["half", 0.5, 1_990, 2_060],
      ["a fifth", 0.2, 4_990, 5_060],
      ["nothing", 0, 5_990, 6_060],
      ["nobody can tell", null, 1_000, 1_020],
    ] as const
  ) {
    const ms = await waited(() => share, 1_000);
    assert(ms >= least && ms <= most, `${name}: ${ms}`);
  }
});

Deno.test("given() ends with its signal", async () => {
  const clock = new VirtualClock(0);
  const stop = new AbortController();
  const late = given({ usage: () => null }, 1_000, { clock, signal: stop.signal });
  stop.abort("heard");
  await assert.rejects(late, (reason) => reason === "heard");
});

/** Children that can be stopped, as a machine does that has much else to do; they tell their time. */
class StoppedChildren extends PlainChildren {
  override start(spec: Parameters<PlainChildren["start"]>[0]) {
    return { ...super.start(spec), usage: () => ({ cpuMs: 0, residentBytes: 0 }) };
  }
}

Deno.test("No source is too complex because its machine was busy; one that is, is told so in the end", async () => {
  const children = new StoppedChildren();
  const clock = new VirtualClock();
  let pid = 0;
  const compiler = new TypeScriptCompiler({
    children: {
      jail: () => children.jail(),
      start: (spec) => {
        const child = children.start(spec);
        pid = child.pid;
        return child;
      },
    },
    clock,
  });
  const tool = { source: TOOL, inputSchema: INPUT, outputSchema: OUTPUT };
  await compiler.warm();
  Deno.kill(pid, "SIGSTOP");
  const checked = compiler.check(tool);
  // Its time is over when it is written to, and not before.
  for (let i = 0; i < 3; i++) await clock.advance(LIMITS.toolCheckMsMax);
  Deno.kill(pid, "SIGCONT");
  assert.deepEqual(problemsOf(await checked), []);
  assert.equal(children.specs.length, 1);
  Deno.kill(pid, "SIGSTOP");
  const never = compiler.check(tool);
  let isOver = false;
  void never.then(() => isOver = true);
  while (!isOver) await clock.advance(LIMITS.toolCheckMsMax);
  assert.match(problemsOf(await never)[0]!.message, /too complex/);
  await compiler.close();
  await Promise.all(children.ends);
});
