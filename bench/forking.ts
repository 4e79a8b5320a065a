/**
 * Fork: what a child with all of its parent's memory costs, whatever the memory holds.
 * @module
 */

import { type Extent, type Row, type Section, times } from "./measure.ts";
import { RawTable } from "./raw.ts";
import { Stage } from "./stage.ts";

const SIZES = [10, 1_000, 50_000];
const FORKS = 60;
const FORKS_WARM = 10;
const AT_ONCE = 24;
const OBJECTS_PER_STEP = 2_400;

async function measure(folder: string, objects: number): Promise<Row> {
  using table = new RawTable(`${folder}/raw_fork_${objects}.db`);
  await using stage = await Stage.sqlite(`${folder}/fork_${objects}.db`).filled();
  const forks: number[] = [];
  const raw: number[] = [];
  let made = 0;
  await stage.play(async (call, { pid }) => {
    // A fork runs the same program: it has nothing to do.
    if (pid.includes(".")) await call("clock.sleep", { ms: 86_400_000 });
    const until = Math.min(objects, made + OBJECTS_PER_STEP);
    while (made < until) {
      const some = Array.from({ length: Math.min(AT_ONCE, until - made) }, () => made++);
      await Promise.all(
        some.map((n) => call("object.create", { name: `kept/${n}`, value: { n } })),
      );
    }
    if (made < objects) return;
    for (let i = 0; i < FORKS + FORKS_WARM; i++) {
      const start = performance.now();
      table.insert("one commit");
      const between = performance.now();
      await call("process.fork", { goal: `fork ${i}` });
      if (i < FORKS_WARM) continue;
      raw.push(between - start);
      forks.push(performance.now() - between);
    }
    await call("process.exit", {});
  });
  const ours = times(forks);
  const one = times(raw);
  const over = ours.median - one.median;
  return {
    what: `${objects.toLocaleString("en")} objects`,
    target: "≤ 1 ms + one commit",
    measured: `${ours.median.toFixed(3)} ms`,
    p95: `${ours.p95.toFixed(3)} ms`,
    raw: `${one.median.toFixed(3)} ms`,
    ratio: `+${over.toFixed(3)} ms`,
    met: over <= 1,
  };
}

/** Forks of processes with more and more memory. */
export async function forking({ folder }: Extent): Promise<Section> {
  const rows: Row[] = [];
  for (const size of SIZES) rows.push(await measure(folder, size));
  return {
    title: "Fork, SQLite, synced",
    rows,
    notes: [
      "Raw is one synced commit in the same loop; its write-ahead log and ours are as long as they " +
      "become. Each object is a call, so the largest has over 100,000 lines of history.",
    ],
  };
}
