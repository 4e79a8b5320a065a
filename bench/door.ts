/**
 * The door: what a call costs when nothing waits for a disk.
 * @module
 */

import { MemoryStore } from "../providers/memory_store.ts";
import { type Row, type Section, timeRow, times } from "./measure.ts";
import { type Call, Stage } from "./stage.ts";

const CALLS_PER_STEP = 200;
const STEPS = 200;
const STEPS_WARM = 150;
/** The least that the clock tells apart well is a group of calls. */
const GROUP = 8;

interface Kind {
  readonly what: string;
  readonly targetMs: number;
  readonly call: (call: Call, n: number) => Promise<unknown>;
}

const KINDS: readonly Kind[] = [
  { what: "clock.now", targetMs: 0.010, call: (call) => call("clock.now", {}) },
  {
    what: "object.read, small",
    targetMs: 0.010,
    call: (call) => call("object.read", { object: "note" }),
  },
  {
    what: "checked by capability",
    targetMs: 0.010,
    call: (call) => call("bench.look", { at: "place/one" }),
  },
  {
    what: "object.append, a mutate",
    targetMs: 0.030,
    call: (call, n) => call("object.append", { object: "list", item: { n } }),
  },
];

/** Times of one kind of call: as its caller waits, and with all that the store does for it. */
async function measure(kind: Kind): Promise<readonly Row[]> {
  await using stage = new Stage(new MemoryStore());
  const waits: number[] = [];
  const whole: number[] = [];
  let started = 0;
  await stage.play(async (call, { step }) => {
    if (step === 1) {
      await call("object.create", { name: "note", value: { text: "small" } });
      await call("object.create", { name: "list", list: true });
    }
    const nowMs = performance.now();
    if (step > STEPS_WARM + 1) whole.push((nowMs - started) / CALLS_PER_STEP);
    started = nowMs;
    for (let n = 0; n < CALLS_PER_STEP; n += GROUP) {
      const before = performance.now();
      for (let i = 0; i < GROUP; i++) await kind.call(call, n + i);
      if (step > STEPS_WARM) waits.push((performance.now() - before) / GROUP);
    }
    if (step === STEPS + STEPS_WARM) await call("process.exit", {});
  });
  return [
    timeRow(`${kind.what}: as its caller waits`, times(waits), kind.targetMs),
    timeRow(`${kind.what}: with all its share of a step`, times(whole), kind.targetMs),
  ];
}

/** What calls cost on the memory store. */
export async function door(): Promise<Section> {
  const rows: Row[] = [];
  for (const kind of KINDS) rows.push(...await measure(kind));
  return {
    title: "The whole door, memory store",
    rows,
    notes: [
      `Means of ${GROUP} calls, and of steps of ${CALLS_PER_STEP} calls: the second shares out ` +
      "the step's canonical JSON, SHA-256, commit, garbage collection and end over its calls. " +
      "A mutate waits for its own commit, so that its first figure has all but the last two.",
    ],
  };
}
