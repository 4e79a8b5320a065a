/**
 * Growth: what the ten-thousandth call costs beside the hundredth, and what is left on the disk.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { type Pid, treeOf } from "../kernel/ids.ts";
import { verifyTree } from "../runtime/load.ts";
import {
  type Extent,
  infoRow,
  numberRow,
  ratioRow,
  type Row,
  type Section,
  shown,
  timed,
  times,
} from "./measure.ts";
import { verifyRow } from "./raw.ts";
import { type BenchProgram, freshText, Stage } from "./stage.ts";

const TEXT_BYTES = 1_024;
const STEPS = 100_000;
const CALLS_PER_STEP = 10;
const YOUNG = 100;
const OLD = 10_000;
/** Steps around each of the two that are compared. */
const NEAR = 90;
/** Payload of a step: arguments, reply, and an item of memory. */
const PAYLOAD_BYTES = 3 * TEXT_BYTES;

interface Grown {
  readonly pid: Pid;
  /** Of each step, in milliseconds. */
  readonly steps: Float64Array;
}

/** A program of many steps; each sends an effect and adds to a list in memory. */
function growing(steps: Float64Array, before: (n: number) => void | Promise<void>): BenchProgram {
  let made = 0;
  return async (call) => {
    if (made === 0) await call("object.create", { name: "list", list: true });
    for (let i = 0; i < CALLS_PER_STEP; i++) {
      const [sent, item] = [freshText(TEXT_BYTES), freshText(TEXT_BYTES)];
      await before(made);
      const startMs = performance.now();
      await call("bench.send", { to: "x", text: sent });
      await call("object.append", { object: "list", item });
      steps[made++] = performance.now() - startMs;
    }
    if (made >= steps.length) await call("clock.sleep", { ms: 86_400_000 });
  };
}

async function grow(stage: Stage, count: number): Promise<Grown> {
  const steps = new Float64Array(count);
  const pid = await stage.play(growing(steps, () => {}));
  return { pid, steps };
}

/** Lets two programs go by turns: `pass` resolves when the other has passed, or has left. */
class Baton {
  #waiting: () => void = () => {};
  #alone = false;

  pass(): Promise<void> {
    const other = this.#waiting;
    const passed = this.#alone ? Promise.resolve() : new Promise<void>((resolve) => {
      this.#waiting = resolve;
    });
    other();
    return passed;
  }

  leave(): void {
    this.#alone = true;
    this.#waiting();
  }
}

/** An old process and a young one, a step of one after a step of the other: the same machine. */
async function inTurns(folder: string): Promise<Row> {
  await using stage = Stage.sqlite(`${folder}/turns.db`, "process");
  const baton = new Baton();
  const old = new Float64Array(OLD + NEAR);
  const young = new Float64Array(YOUNG + NEAR);
  const [pid] = [await stage.plant("old"), await stage.plant("young")];
  const turn = (from: number, steps: Float64Array) => (n: number) =>
    n < from ? undefined : n === steps.length - 1 ? baton.leave() : baton.pass();
  stage.teach("young", growing(young, turn(0, young)));
  stage.teach("old", growing(old, turn(OLD - YOUNG, old)));
  await stage.run(pid);
  return ratioRow("step 10,000 beside step 100 of another", times([...old.slice(OLD - NEAR)]), {
    raw: times([...young.slice(YOUNG - NEAR)]),
    ratioMax: 1.2,
  });
}

/** The size of a store's file once all of its log was copied into it. */
function settledBytes(path: string): number {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  return Deno.statSync(path).size;
}

function decileRows(steps: Float64Array): Row[] {
  const size = steps.length / 10;
  return Array.from({ length: 10 }, (_, i) => {
    const part = [...steps.slice(i * size, (i + 1) * size)];
    const mean = part.reduce((sum, each) => sum + each, 0) / part.length;
    const to = ((i + 1) * size).toLocaleString("en");
    return { ...infoRow(`steps to ${to}`, times(part)), raw: `mean ${shown(mean)}` };
  });
}

/** A disk's own ratio: bytes in the file for each byte that was handed in. */
async function disk(folder: string, count: number): Promise<number> {
  const path = `${folder}/disk_${count}.db`;
  {
    await using stage = Stage.sqlite(path, "process");
    await grow(stage, count);
  }
  return settledBytes(path) / (count * PAYLOAD_BYTES);
}

/** Steps as a process grows old, the disk, and checking all of it. */
export async function growth({ folder }: Extent): Promise<Section> {
  const path = `${folder}/growth.db`;
  const rows: Row[] = [];
  rows.push(await inTurns(folder));
  const small = await disk(folder, 5_000);
  const half = await disk(folder, 10_000);
  {
    await using stage = Stage.sqlite(path, "process");
    const { pid, steps } = await grow(stage, STEPS);
    rows.push(
      ...decileRows(steps),
    );
    rows.push(...await verified(stage, pid));
  }
  const whole = settledBytes(path) / (STEPS * PAYLOAD_BYTES);
  rows.push(
    numberRow("disk after 5,000 steps", small, { atMost: 3, unit: "× payload" }),
    numberRow("disk after 10,000 steps", half, { atMost: 3, unit: "× payload" }),
    numberRow("disk after 100,000 steps", whole, { atMost: 3, unit: "× payload" }),
  );
  return {
    title: "Growth: 100,000 steps of one process",
    rows,
    notes: [
      "A step is an effect with 1 KB of arguments and 1 KB of reply, and an item of 1 KB added " +
      "to a list. The store does not wait for the disk here, so that no sync hides what grows. " +
      "For the ratio an old process and a new one take turns, step by step.",
      "Verifying reads the store, checks every hash, reads what the lines say and folds it; raw is " +
      "SHA-256 of the same lines and payloads and nothing else.",
      "Payload is those 3 KB, never the same twice; the disk is the file after its log was copied in, " +
      "with every line, hash, decision, index and the snapshot.",
    ],
  };
}

async function verified(stage: Stage, pid: Pid): Promise<Row[]> {
  const { store, context } = stage.node.options;
  let lines = 0;
  const ms = await timed(async () => {
    const found = await verifyTree(store, treeOf(pid), context);
    if (found.broken !== null) throw new Error(found.broken);
    lines = found.lines;
  });
  const checked = { lines, ms };
  return [
    await verifyRow("verify: chain, fold and snapshot", checked, { store, tree: treeOf(pid) }),
  ];
}
