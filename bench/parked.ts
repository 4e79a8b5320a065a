/**
 * Parked trees: very many that wait for a person, and how soon one of them goes on.
 * @module
 */

import { type Pid, type RequestId, treeOf } from "../kernel/ids.ts";
import { Clockwork } from "../runtime/clockwork.ts";
import {
  type Extent,
  infoRow,
  numberRow,
  type Row,
  type Section,
  timed,
  timeRow,
  times,
} from "./measure.ts";
import { Stage } from "./stage.ts";

const WAKES = 60;
const PLANT_AT_ONCE = 256;
const MIB = 2 ** 20;

function resident(): number {
  return Deno.memoryUsage().rss / MIB;
}

/** Plants trees which ask a person and wait. */
async function park(stage: Stage, count: number): Promise<Pid[]> {
  const pids: Pid[] = [];
  while (pids.length < count) {
    const some = Math.min(PLANT_AT_ONCE, count - pids.length);
    pids.push(...await Promise.all(Array.from({ length: some }, () => stage.plant("asker"))));
    await stage.run();
  }
  return pids;
}

async function measure(folder: string, count: number): Promise<Row[]> {
  const before = resident();
  await using stage = Stage.sqlite(`${folder}/parked_${count}.db`);
  let heard: () => void = () => {};
  stage.teach("asker", async (call) => {
    const { answer } = await call("human.ask", { prompt: "Shall I go on?", choices: ["yes"] });
    if (answer === "yes") heard();
    await call("process.exit", {});
  });
  let pids: Pid[] = [];
  const parkMs = await timed(async () => pids = await park(stage, count));
  const after = resident();
  const clockwork = new Clockwork(stage.node);
  clockwork.start();
  const wakes: number[] = [];
  for (let i = 0; i < WAKES; i++) {
    const pid = pids[Math.floor(count * i / WAKES)]!;
    const number = pid.slice(2);
    const woken = new Promise<void>((resolve) => heard = resolve);
    wakes.push(
      await timed(async () => {
        await stage.node.order(treeOf(pid), {
          kind: "answer",
          request: `req_${number}.1` as RequestId,
          answer: { outcome: "answer", value: "yes" },
          by: "bench",
        });
        await woken;
      }),
    );
  }
  await clockwork.stop();
  const label = count.toLocaleString("en");
  return [
    timeRow(`${label} parked: wake one`, times(wakes), 10),
    numberRow(`${label} parked: resident memory added`, after - before, {
      atMost: 200 * count / 100_000,
      unit: "MB",
    }),
    infoRow(`${label} parked: to start and park each`, times([parkMs / count])),
  ];
}

/** Measures in a process of its own, whose memory nothing else has used. */
async function apart(folder: string, count: number): Promise<Row[]> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, folder, `${count}`],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("The process that parks trees failed");
  return JSON.parse(new TextDecoder().decode(stdout)) as Row[];
}

/** Trees that wait for people. */
export async function parked({ folder, long }: Extent): Promise<Section> {
  const rows = await apart(folder, 10_000);
  if (long) rows.push(...await apart(folder, 100_000));
  return {
    title: "Trees parked for a person, SQLite, synced",
    rows,
    notes: [
      "To wake: an answer is put into the durable inbox, taken, committed, and the program has " +
      "gone on past its call. Clockwork runs beside it, as in a runtime. Trees do not leave " +
      "memory while they wait yet, so resident memory misses its target. 100,000 trees: --long.",
    ],
  };
}

if (import.meta.main) {
  const [folder = "", count = ""] = Deno.args;
  console.log(JSON.stringify(await measure(folder, Number(count))));
}
