/**
 * Recovery: what a kernel that was killed costs its successor, beside the length of what was before
 * and the number of effects that were under way.
 * @module
 */

import { LIMITS } from "../kernel/limits.ts";
import { verifyTree } from "../runtime/load.ts";
import {
  type Extent,
  infoRow,
  ratioRow,
  type Row,
  type Section,
  timed,
  timeRow,
  times,
} from "./measure.ts";
import { verifyRow } from "./raw.ts";
import { type Filling, PENDING } from "./recovery_child.ts";
import { Stage } from "./stage.ts";

const CHILD = new URL("./recovery_child.ts", import.meta.url).pathname;
/** The first has its whole chain checked when it is opened; the others are too long for that. */
const LENGTHS = [1_000, 9_500, 12_000, 100_000];
const STARTS = 7;
const SETTLES = 5;
const PAST = 100_000;
const PAST_LONG = 1_000_000;
const RATIO_MAX = 1.2;

/** Starts a child, hears its first line, and kills it while it works. */
async function killed(args: readonly string[]): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    if (said.includes("\n")) break;
  }
  child.kill("SIGKILL");
  await child.status;
  if (!said.includes("\n")) throw new Error(`A child ended early: ${args.join(" ")}`);
  return said.split("\n", 1)[0]!;
}

/** Cold starts at several lengths, by turns, and how fast all of each is checked. */
async function colds(folder: string): Promise<Row[]> {
  const pathOf = (lines: number): string => `${folder}/cold_${lines}.db`;
  for (const lines of LENGTHS) await killed([pathOf(lines), "grow", `${lines}`]);
  const found = LENGTHS.map(() => ({ first: [] as number[], new: [] as number[], tail: 0 }));
  for (let round = 0; round < STARTS; round++) {
    for (const [i, lines] of LENGTHS.entries()) {
      const said = JSON.parse(await killed([pathOf(lines), "answer"])) as {
        readonly firstMs: number;
        readonly newMs: number;
        readonly tail: number;
      };
      found[i]!.first.push(said.firstMs);
      found[i]!.new.push(said.newMs);
      found[i]!.tail = said.tail;
    }
  }
  const rows: Row[] = [];
  for (const [i, lines] of LENGTHS.entries()) {
    const { first, new: fresh, tail } = found[i]!;
    const what = `cold start, ${lines.toLocaleString("en")} lines`;
    const raw = `${tail} lines after snapshot`;
    rows.push({ ...timeRow(`${what}: first call`, times(first), 150), raw });
    rows.push(timeRow(`${what}: first new durable call`, times(fresh), 150));
    rows.push(await verified(pathOf(lines), what));
  }
  return rows;
}

async function verified(path: string, what: string): Promise<Row> {
  await using stage = Stage.sqlite(path);
  const { store, context } = stage.node.options;
  const { tree } = (await store.list({ limit: 1 }))[0]!;
  let lines = 0;
  const ms: number[] = [];
  for (let i = 0; i < 3; i++) {
    ms.push(
      await timed(async () => {
        const found = await verifyTree(store, tree, context);
        if (found.broken !== null) throw new Error(found.broken);
        lines = found.lines;
      }),
    );
  }
  return await verifyRow(`${what}: verify`, { lines, ms: times(ms).median }, { store, tree });
}

/**
 * A store as a killed kernel left it, of which each round takes a copy, on the disk like the store:
 * else the first commit would wait for the copy, which is the longer the more past it has.
 */
async function copied(path: string, to: string): Promise<void> {
  for (const end of ["", "-wal"]) {
    try {
      await Deno.copyFile(`${path}${end}`, `${to}${end}`);
      using file = await Deno.open(`${to}${end}`, { write: true });
      await file.sync();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function argsOf({ past, isElsewhere }: Filling): string[] {
  return [`${past}`, isElsewhere ? "elsewhere" : "same"];
}

/** The same effects under way, with and without a past: settled by turns. */
async function settled(folder: string, past: number): Promise<Row[]> {
  const fillings: readonly Filling[] = [
    { past: 0, isElsewhere: false },
    { past, isElsewhere: true },
    { past, isElsewhere: false },
  ];
  const pathOf = (i: number): string => `${folder}/settle_${past}_${i}.db`;
  for (const [i, filling] of fillings.entries()) {
    await killed([pathOf(i), "hang", ...argsOf(filling)]);
  }
  const found = fillings.map((): number[] => []);
  const opens = fillings.map((): number[] => []);
  const copy = `${folder}/settle_copy.db`;
  for (let round = 0; round < SETTLES; round++) {
    for (const [i, filling] of fillings.entries()) {
      await copied(pathOf(i), copy);
      const { settledMs, openMs } = JSON.parse(
        await killed([copy, "settle", ...argsOf(filling)]),
      ) as { readonly settledMs: number; readonly openMs: number };
      found[i]!.push(settledMs);
      opens[i]!.push(openMs);
      for (const end of ["", "-wal", "-shm"]) await Deno.remove(`${copy}${end}`).catch(() => {});
    }
  }
  const [none, other, same] = found.map(times);
  const label = past.toLocaleString("en");
  const against = { raw: none!, ratioMax: RATIO_MAX };
  return [
    infoRow(`${PENDING.toLocaleString("en")} under way, no past`, none!),
    ratioRow(`… and ${label} effects in trees that ended`, other!, against),
    ratioRow(`… and ${label} effects in the same trees`, same!, against),
    ...["no past", "in trees that ended", "in the same trees"].map((what, i) =>
      infoRow(`of which opening the store: ${what}`, times(opens[i]!))
    ),
  ];
}

/** Cold starts, and settling what was under way. */
export async function recovery({ folder, long }: Extent): Promise<Section> {
  const rows = await colds(folder);
  rows.push(...await settled(folder, PAST));
  if (long) rows.push(...await settled(folder, PAST_LONG));
  return {
    title: "Recovery after SIGKILL, SQLite, synced",
    rows,
    notes: [
      "Times are from when the modules of a child are loaded; every child is killed. Logs up to " +
      `${LIMITS.verifyAtOpenLinesMax.toLocaleString("en")} lines have their whole chain checked ` +
      "when they are opened. Beside verifying, raw is SHA-256 of the same lines and payloads.",
      `Under way are ${
        PENDING.toLocaleString("en")
      } effects of 40 trees, whose provider says that ` +
      "they were done; raw is the same without a past. Each round settles a fresh copy.",
    ],
  };
}
