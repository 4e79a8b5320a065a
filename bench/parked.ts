/**
 * Parked trees: very many that wait for a person, and how soon one of them goes on.
 * @module
 */

import { type Pid, type RequestId, treeOf } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
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

/** A stage whose trees ask, and `heard` of those that were answered. */
function askers(path: string, heard: () => void): Stage {
  const stage = Stage.sqlite(path);
  stage.teach("asker", async (call) => {
    const { answer } = await call("human.ask", { prompt: "Shall I go on?", choices: ["yes"] });
    if (answer === "yes") heard();
    await call("process.exit", {});
  });
  return stage;
}

/** Parks trees in a new store: what that costs, and what it leaves in memory. */
async function parkThem(path: string, count: number): Promise<Row[]> {
  const before = resident();
  await using stage = askers(path, () => {});
  const parkMs = await timed(() => park(stage, count));
  const label = count.toLocaleString("en");
  return [
    infoRow(`${label} parked: to start and park each`, times([parkMs / count])),
    numberRow(`${label} parked: memory added where they were parked`, resident() - before, {
      unit: "MB",
    }),
    numberRow(`${label} parked: trees in memory where they were parked`, stage.node.trees.length, {
      unit: "",
    }),
  ];
}

/** Wakes some trees of a store where they wait, in a kernel that did not see them being parked. */
async function wakeSome(path: string, count: number): Promise<Row[]> {
  let heard: () => void = () => {};
  const startedMs = performance.now();
  await using stage = askers(path, () => heard());
  const clockwork = new Clockwork(stage.node);
  await stage.node.openLive(LIMITS.treesOpenedAtStartMax);
  const startMs = performance.now() - startedMs;
  clockwork.start();
  const waiting = resident();
  const wakes: number[] = [];
  for (let i = 0; i < WAKES; i++) {
    // The first ones are kept in memory.
    const kept = LIMITS.treesAskingKept;
    const number = kept + 1 + Math.floor((count - kept) * (i + 0.5) / WAKES);
    const woken = new Promise<void>((resolve) => heard = resolve);
    wakes.push(
      await timed(async () => {
        await stage.node.order(treeOf(`p_${number}`), {
          kind: "answer",
          request: `req_${number}.1` as RequestId,
          answer: { outcome: "answer", value: "yes" },
          by: "bench",
        });
        await woken;
      }),
    );
  }
  const label = count.toLocaleString("en");
  const rows = [
    timeRow(`${label} parked: wake one, out of memory`, times(wakes), 10),
    numberRow(`${label} parked: resident memory while they wait`, waiting, {
      atMost: 200,
      unit: "MB",
    }),
    numberRow(`${label} parked: resident memory after some woke`, resident(), {
      atMost: 200,
      unit: "MB",
    }),
    infoRow(`${label} parked: to open the store`, times([startMs])),
  ];
  await clockwork.stop();
  return rows;
}

const PARTS = { park: parkThem, wake: wakeSome } as const;

/** Measures in processes of their own, whose memory nothing else has used. */
async function apart(folder: string, count: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const part of Object.keys(PARTS)) {
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        import.meta.filename!,
        part,
        `${folder}/parked_${count}.db`,
        `${count}`,
      ],
      stderr: "inherit",
    }).output();
    if (!success) throw new Error(`The process that was to ${part} trees failed`);
    rows.push(...JSON.parse(new TextDecoder().decode(stdout)) as Row[]);
  }
  return rows;
}

/** Trees that wait for people. */
export async function parked({ folder, long }: Extent): Promise<Section> {
  const rows = await apart(folder, 10_000);
  if (long) rows.push(...await apart(folder, 100_000));
  return {
    title: "Trees parked for a person, SQLite, synced",
    rows,
    notes: [
      "To wake: an answer is put into the durable inbox, its tree comes back into memory, the " +
      "answer is taken, committed, and the program has gone on past its call. Clockwork runs " +
      "beside it, as in a runtime. Memory is that of the whole process, Deno included, in a kernel " +
      "that was started on the store; where they were parked it is mostly room that V8 has taken " +
      "and not given back. 100,000 trees: --long.",
    ],
  };
}

if (import.meta.main) {
  const [part = "", path = "", count = ""] = Deno.args;
  console.log(JSON.stringify(await PARTS[part as keyof typeof PARTS](path, Number(count))));
}
