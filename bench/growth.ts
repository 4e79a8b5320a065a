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
import { freshText, Stage } from "./stage.ts";

const TEXT_BYTES = 1_024;
const STEPS = 100_000;
const CALLS_PER_STEP = 10;
const NEAR = 100;
/** Payload of a step: arguments, reply, and an item of memory. */
const PAYLOAD_BYTES = 3 * TEXT_BYTES;

interface Grown {
  readonly pid: Pid;
  /** Of each step, in milliseconds. */
  readonly steps: Float64Array;
}

/** Runs a process of many steps; each sends an effect and adds to a list in memory. */
async function grow(stage: Stage, count: number): Promise<Grown> {
  const steps = new Float64Array(count);
  let made = 0;
  const pid = await stage.play(async (call) => {
    if (made === 0) await call("object.create", { name: "list", list: true });
    for (let i = 0; i < CALLS_PER_STEP; i++) {
      const [sent, item] = [freshText(TEXT_BYTES), freshText(TEXT_BYTES)];
      const before = performance.now();
      await call("bench.send", { to: "x", text: sent });
      await call("object.append", { object: "list", item });
      steps[made++] = performance.now() - before;
    }
    if (made >= count) await call("clock.sleep", { ms: 86_400_000 });
  });
  return { pid, steps };
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

function around(steps: Float64Array, n: number): number[] {
  return [...steps.slice(n - NEAR, n + NEAR)];
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
  const small = await disk(folder, 5_000);
  const half = await disk(folder, 10_000);
  {
    await using stage = Stage.sqlite(path, "process");
    const { pid, steps } = await grow(stage, STEPS);
    rows.push(
      ratioRow("step 10,000 beside step 100", times(around(steps, 10_000)), {
        raw: times(around(steps, 100)),
        ratioMax: 1.2,
      }),
      ratioRow("step 100,000 beside step 1,000", times([...steps.slice(-2 * NEAR)]), {
        raw: times(around(steps, 1_000)),
        ratioMax: 1.2,
      }),
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
      "A step is an effect with 1 KB of arguments and 1 KB of reply, and an item of 1 KB added to " +
      "a list. The store does not wait for the disk here, so that no sync hides what grows.",
      "Payload is those 3 KB of random text; the disk is the file after its log was copied in, " +
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
  return [numberRow("verify: chain, fold and snapshot", lines / ms * 1_000, { unit: "events/s" })];
}
