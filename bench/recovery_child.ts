/**
 * A kernel for the recovery bench. `hang`: works off a past, sends effects that never answer, says
 * so, and is killed. `settle`: opens the same store, whose provider says that all of them were
 * done, and says how long that took. `grow` and `answer`: a log of some length, and a first call.
 * @module
 */

import { z } from "zod";
import { type AnySyscall, syscall } from "../broker/syscall.ts";
import { treeOf } from "../kernel/ids.ts";
import { type BenchProgram, Stage } from "./stage.ts";

/** What one store is filled with. */
export interface Filling {
  /** Effects that were done, in all. */
  readonly past: number;
  /** Whether they are of the trees that wait, or of others, which ended. */
  readonly isElsewhere: boolean;
}

const TREES = 40;
const PENDING_PER_TREE = 25;
/** Effects under way when the kernel dies. */
export const PENDING = TREES * PENDING_PER_TREE;
const CALLS_PER_STEP = 500;
const CALLS_PER_STEP_COLD = 20;
const OBJECTS_COLD = 10;

function say(word: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(word)}\n`));
}

/** Keeps the process alive until it is killed. */
function forever(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 86_400_000));
}

/** An effect of which the provider knows later that it was done. */
function mail(on: { send(): Promise<void>; asked(): void }): AnySyscall {
  return syscall({
    about: "An effect that may hang, and of which its provider knows",
    effect: "emit",
    args: z.strictObject({ to: z.string(), hangs: z.boolean() }),
    reply: z.strictObject({ sent: z.boolean() }),
    needs: ({ to }) => [{ right: "bench.send", resource: to }],
    run: async (_, { hangs }) => {
      if (hangs) await on.send();
      return { sent: true };
    },
    lost: () => {
      on.asked();
      return Promise.resolve({ state: "done", reply: { sent: true } });
    },
  });
}

/** So many steps of effects, and then `last`. */
function working(steps: number, last: BenchProgram): BenchProgram {
  return async (call, step) => {
    if (step.step > steps) return await last(call, step);
    for (let i = 0; i < CALLS_PER_STEP; i += PENDING_PER_TREE) {
      const some = Array.from({ length: PENDING_PER_TREE }, (_, k) => i + k);
      await Promise.all(some.map((k) => call("bench.mail", { to: `past/${k}`, hangs: false })));
    }
  };
}

/** Teaches a stage the two programs; `told` hears of every tree that came to its end. */
function teach(stage: Stage, { past, isElsewhere }: Filling, told: () => void): void {
  const steps = Math.ceil(past / TREES / CALLS_PER_STEP);
  const pending: BenchProgram = async (call, { step }) => {
    if (step === (isElsewhere ? 1 : steps + 1)) {
      const some = Array.from({ length: PENDING_PER_TREE }, (_, k) => k);
      await Promise.all(some.map((k) => call("bench.mail", { to: `new/${k}`, hangs: true })));
    }
    told();
    await call("clock.sleep", { ms: 86_400_000 });
  };
  stage.teach("pending", working(isElsewhere ? 0 : steps, pending));
  stage.teach("past", working(steps, (call) => call("process.exit", {}).then(() => {})));
}

function stageOf(path: string, isFast: boolean, on: Parameters<typeof mail>[0]): Stage {
  const stage = Stage.sqlite(path, isFast ? "process" : "power");
  // A stage knows two calls of the bench; this one is of no other section.
  (stage.node.broker.table as Map<string, AnySyscall>).set("bench.mail", mail(on));
  return stage;
}

async function hang(path: string, filling: Filling): Promise<void> {
  let out = 0;
  await using stage = stageOf(path, true, {
    send: () => {
      if (++out === PENDING) say(out);
      return forever();
    },
    asked: () => {},
  });
  teach(stage, filling, () => {});
  if (filling.isElsewhere) {
    for (let i = 0; i < TREES; i++) await stage.plant("past");
    await stage.run();
  }
  for (let i = 0; i < TREES; i++) await stage.plant("pending");
  await stage.run();
}

async function settle(path: string, filling: Filling): Promise<void> {
  const startMs = performance.now();
  let [asked, told] = [0, 0];
  const stage = stageOf(path, false, {
    send: () => Promise.reject(new Error("An effect was sent twice")),
    asked: () => void asked++,
  });
  const openMs = performance.now() - startMs;
  let settledMs = 0;
  teach(stage, filling, () => {
    if (++told === TREES) settledMs = performance.now() - startMs;
  });
  await stage.run();
  if (asked !== PENDING) throw new Error(`${asked} effects were settled, expected ${PENDING}`);
  say({ openMs, settledMs });
  await stage[Symbol.asyncDispose]();
}

/** Grows a log to so many lines, or says when its first calls were answered; then works on. */
async function cold(path: string, lines: number): Promise<void> {
  const loadedMs = performance.now();
  const isGrowing = lines > 0;
  await using stage = Stage.sqlite(path, isGrowing ? "process" : "power");
  let told = false;
  stage.teach("cold", async (call, { pid, step }) => {
    const { state } = await stage.node.open(treeOf(pid));
    if (step === 1) {
      for (let i = 0; i < OBJECTS_COLD; i++) {
        await call("object.create", { name: `kept/${i}`, value: { i } });
      }
    }
    let firstMs: number | null = null;
    for (let i = 0; i < CALLS_PER_STEP_COLD; i++) {
      const { seq } = state;
      await call("bench.send", { to: "x", text: `call ${step}.${i}` });
      firstMs ??= performance.now() - loadedMs;
      if (isGrowing || told || state.seq === seq) continue;
      told = true;
      const newMs = performance.now() - loadedMs;
      const snapshot = await stage.store.getSnapshot(treeOf(pid));
      say({ firstMs, newMs, tail: seq - (snapshot?.seq ?? 0) });
    }
    if (isGrowing && state.seq >= lines && !told) {
      told = true;
      say(state.seq);
      // What follows would be another length.
      await forever();
    }
  });
  if (isGrowing) await stage.plant("cold");
  await stage.run();
}

if (import.meta.main) {
  const [path = "", job = "", given = "0", where = ""] = Deno.args;
  const filling = { past: Number(given), isElsewhere: where === "elsewhere" };
  if (job === "hang") await hang(path, filling);
  if (job === "settle") await settle(path, filling);
  if (job === "grow" || job === "answer") await cold(path, Number(given));
}
