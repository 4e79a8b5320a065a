/**
 * When a cage is at rest: how long it may be at work when it has answered, by what it was given of
 * the processor and whether somebody waits; and that what it hears waits for the jobs before it.
 * @module
 */

import assert from "node:assert/strict";
import type { Child } from "../kernel/child.ts";
import { realRandom } from "../providers/random.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";
import { oneByOne } from "../sandboxes/guest/worker.ts";
import { VirtualClock } from "../testing.ts";
import { FakeChildren, frame, runOf, SURFACE } from "./sandbox_fixture.ts";

/** A sandbox whose cages are played. */
interface Stage {
  readonly clock: VirtualClock;
  readonly sandbox: ProcessSandbox;
  /** Which cage had each run. */
  readonly ran: number[];
  /** Has the first say that it has come to rest. */
  rest(): void;
}

/** Children that have so much of the processor; the first says what it is told to, too. */
class BusyChildren extends FakeChildren {
  readonly #usage: Child["usage"];
  say: ((bytes: Uint8Array) => void) | null = null;

  constructor(says: (text: string, child: number) => Uint8Array | null, usage: Child["usage"]) {
    super(says);
    this.#usage = usage;
  }

  override start(): Child {
    const child = { ...super.start(), usage: this.#usage };
    if (this.say !== null) return child;
    const more = new TransformStream<Uint8Array, Uint8Array>({
      start: (pipe) => void (this.say = (bytes) => pipe.enqueue(bytes)),
    });
    return { ...child, output: child.output.pipeThrough(more) };
  }
}

/** With a share of the processor for each; null where nobody can tell. */
function stageOf(share: number | null): Stage {
  const clock = new VirtualClock(0);
  const ran: number[] = [];
  let pong: Uint8Array = new Uint8Array();
  const says = (text: string, child: number): Uint8Array | null => {
    if (text.startsWith('["boot"')) return frame('["boot","ready"]');
    if (!text.startsWith("[")) return null;
    const [kind, nonce, last] = JSON.parse(text);
    if (kind === "run") ran.push(child);
    if (kind === "run") return frame(`["${nonce}",0,["returned",null,null]]`);
    pong = frame(`["${nonce}","pong",${last}]`);
    return child === 1 ? null : pong;
  };
  const usage = () => share === null ? null : { cpuMs: clock.now() * share, residentBytes: 0 };
  const children = new BusyChildren(says, usage);
  const parts = { clock, random: realRandom, surface: SURFACE, children };
  return { clock, sandbox: new ProcessSandbox(parts), ran, rest: () => children.say!(pong) };
}

/** Waits for something, while the clock goes on; tells how far it has come. */
async function over(clock: VirtualClock, what: Promise<unknown>): Promise<number> {
  let isOver = false;
  const done = what.then(() => isOver = true);
  while (!isOver) await clock.advance(10);
  await done;
  return clock.now();
}

Deno.test("A cage at work after its answer is ended soon when its tenant has another run", async () => {
  const { clock, sandbox, ran } = stageOf(1);
  await sandbox.run(runOf("", { tenant: "a" }));
  const ms = await over(clock, sandbox.run(runOf("", { tenant: "a" })));
  assert.deepEqual(ran, [1, 2]);
  assert(ms >= 50 && ms <= 100, `after ${ms} ms`);
  await sandbox.close();
});

Deno.test("A cage that is not given the processor is waited for, and used again", async () => {
  for (const [share, restMs] of [[0.1, 250], [null, 400]] as const) {
    const { clock, sandbox, ran, rest } = stageOf(share);
    await sandbox.run(runOf("", { tenant: "a" }));
    const again = sandbox.run(runOf("", { tenant: "a" }));
    while (clock.now() < restMs) await clock.advance(10);
    assert.deepEqual(ran, [1], `at a share of ${share}`);
    rest();
    await over(clock, again);
    assert.deepEqual(ran, [1, 1], `at a share of ${share}`);
    await sandbox.close();
  }
});

Deno.test("A cage at work after its answer has half a second when nobody waits for it", async () => {
  const { clock, sandbox, ran, rest } = stageOf(1);
  await sandbox.run(runOf("", { tenant: "a" }));
  while (clock.now() < 400) await clock.advance(10);
  rest();
  await over(clock, sandbox.run(runOf("", { tenant: "a" })));
  assert.deepEqual(ran, [1, 1]);
  await over(clock, sandbox.run(runOf("", { tenant: "b" })));
  assert.deepEqual(ran, [1, 1, 2]);
  await sandbox.close();
});

Deno.test("oneByOne() tells at once what comes when nothing is under way, and all from the foot of the stack", async () => {
  const order: string[] = [];
  const turns: (() => void)[] = [];
  const jobs = () => new Promise((resolve) => setTimeout(resolve, 0));
  const told = oneByOne((turn) => void turns.push(turn), (text) => {
    const isOnTop = new Error().stack!.includes("arrives");
    order.push(isOnTop ? `${text} on a stack` : text);
    void Promise.resolve().then(() => {}).then(() => order.push(`job of ${text}`));
  });
  const arrives = (text: string) => told(text);
  arrives("a");
  arrives("b");
  void Promise.resolve().then(() => arrives("c"));
  for (const name of ["a", "b", "c"]) {
    await jobs();
    assert.deepEqual(order.splice(0), [name, `job of ${name}`]);
    assert.equal(turns.length, 1);
    (function arrives() {
      turns.shift()!();
    })();
  }
  await jobs();
  assert.deepEqual([order, turns], [[], []]);
  arrives("d");
  await jobs();
  assert.deepEqual(order, ["d", "job of d"]);
});
