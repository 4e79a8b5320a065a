/**
 * Durable steps: one effect, whose intent and outcome are each on the disk before the next.
 * @module
 */

import { MemoryStore } from "../providers/memory_store.ts";
import {
  type Extent,
  infoRow,
  numberRow,
  ratioRow,
  type Section,
  timed,
  timeRow,
  times,
} from "./measure.ts";
import { RawTable } from "./raw.ts";
import { freshText, Stage } from "./stage.ts";

const TEXT_BYTES = 1_024;
const ALONE = 600;
/** Enough that our write-ahead log, too, was begun anew. */
const WARM = 600;
const CALLS_PER_STEP = 20;
/** Steps of each tree, when many are ready. */
const ROUNDS = 160;
const REPEATS = 4;

/** Steps of one tree, each next to two raw inserts of the same size. */
async function alone(
  folder: string,
  open: (path: string) => Stage,
): Promise<{ ours: number[]; raw: number[] }> {
  using table = new RawTable(`${folder}/raw_${open.name}.db`);
  await using stage = open(`${folder}/${open.name}.db`);
  const ours: number[] = [];
  const raw: number[] = [];
  let made = 0;
  await stage.play(async (call) => {
    for (let i = 0; i < CALLS_PER_STEP; i++) {
      const [text, args, reply] = [1, 2, 3].map(() => freshText(TEXT_BYTES)) as [
        string,
        string,
        string,
      ];
      const rawMs = await timed(() => {
        table.insert(args);
        table.insert(reply);
      });
      const oursMs = await timed(() => call("bench.send", { to: "x", text }));
      if (++made <= WARM) continue;
      raw.push(rawMs);
      ours.push(oursMs);
    }
    if (made >= ALONE + WARM) await call("process.exit", {});
  });
  return { ours, raw };
}

/** Milliseconds a step with `trees` trees ready, over `rounds` steps of each. */
async function together(stage: Stage, trees: number, rounds: number): Promise<number> {
  const name = `together-${trees}`;
  for (let i = 0; i < trees; i++) await stage.plant(name);
  stage.teach(name, async (call, { step }) => {
    for (let i = 0; i < CALLS_PER_STEP; i++) {
      await call("bench.send", { to: "x", text: freshText(TEXT_BYTES) });
    }
    if (step * CALLS_PER_STEP >= rounds) await call("process.exit", {});
  });
  return await timed(() => stage.run()) / (trees * rounds);
}

async function several(
  place: string | null,
  trees: number,
  open: (path: string) => Stage = Stage.sqlite,
): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i <= REPEATS; i++) {
    await using stage = place === null
      ? new Stage(new MemoryStore())
      : open(`${place}/trees_${trees}_${open.name}_${i}.db`);
    const ms = await together(stage, trees, ROUNDS);
    if (i > 0) found.push(ms);
  }
  return found;
}

/** Durable steps, against the raw cost of the same disk in the same run. */
export async function durable({ folder }: Extent): Promise<Section> {
  const one = await alone(folder, Stage.sqlite);
  const raw = times(one.raw);
  const ours = times(one.ours);
  const secret = await alone(folder, Stage.encrypted);
  const of64 = times(await several(folder, 64));
  const of100 = times(await several(folder, 100));
  const secret100 = times(await several(folder, 100, Stage.encrypted));
  const unsynced = times(await several(null, 100));
  return {
    title: "Durable step: intent and outcome, 1 KB each way, SQLite, synced",
    rows: [
      infoRow("two raw synced inserts of 1 KB", raw),
      ratioRow("one tree", ours, { raw, ratioMax: 1.5 }),
      timeRow("one tree, absolute", ours, 0.3),
      infoRow("one tree, encrypted", times(secret.ours)),
      ratioRow("64 trees ready, a step", of64, { raw, ratioMax: 0.3 }),
      numberRow("100 trees ready", 1_000 / of100.median, { atLeast: 15_000, unit: "steps/s" }),
      numberRow("100 trees ready, encrypted", 1_000 / secret100.median, { unit: "steps/s" }),
      numberRow("100 trees ready, memory store", 1_000 / unsynced.median, { unit: "steps/s" }),
    ],
    notes: [
      "Raw and ours take turns in the same loop for one tree, and both have begun their " +
      "write-ahead logs anew; in a fresh file raw commits cost about half as much again. The " +
      "absolute target is below what two raw inserts cost here, so only the ratio says anything.",
      `The program makes ${CALLS_PER_STEP} calls a step; the line that closes a step is part of ` +
      "the time when many trees are ready.",
    ],
  };
}
