/**
 * The power goes: what two agents wrote to a store and a workspace is traced, and the files are
 * built as a disk may have them after each call: what was not synced is there, gone, or torn.
 *
 * Nothing acknowledged is lost, and the agents end as if nothing had happened. A disk that lies
 * about what it synced, or loses one write, leaves an earlier state that verifies, or is told of.
 *
 * A sample by default; `deno task sweep` takes every call, or a piece (`sweep.ts`). LIBOS_SEED
 * repeats an earlier run.
 * @module
 */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { createRuntime, SqliteStore, SysError } from "../mod.ts";
import { SeededRandom, VirtualClock } from "../testing.ts";
import type { TreeId } from "../kernel/ids.ts";
import { RootedFiles } from "../providers/files.ts";
import { live, openAgents, TREES } from "./fault_agents.ts";
import { type Cut, filesAfter, LOSSES, type Op, opsOf } from "./power_disk.ts";
import { CALLS, type Ending, finish, place, traced, untraceable } from "./strace_place.ts";
import { sealing } from "./strace_child.ts";
import { unacknowledged } from "./strace_place.ts";
import { linesOf } from "./store_fixture.ts";
import { chanceAt, covered, SEED, SWEEP, taken } from "./sweep.ts";
import { START_MS } from "./world_fixture.ts";

const STRIDE = SWEEP ?? { every: 331, from: null };
/** Pages of log that are copied into the database at a time: few, so that it happens often. */
const PAGES = 40;

/** What a life did, and what came of it. */
interface Recorded {
  readonly sealed: ReturnType<typeof sealing>;
  readonly ops: readonly Op[];
  readonly whole: Ending;
  readonly lines: ReadonlyMap<TreeId, readonly string[]>;
}

async function record(root: string): Promise<Recorded> {
  const folder = await place(root, "recorded");
  const strace = ["-ff", "-y", "-xx", "-s", "10000000", "--seccomp-bpf", "-o", `${root}/trace`];
  const { code, output } = await traced(folder, 1, {
    strace: [...strace, "-e", `trace=${CALLS}`],
    pages: PAGES,
  });
  assert.equal(code, 0, output);
  const threads: number[] = [];
  for await (const { name } of Deno.readDir(root)) {
    if (name.startsWith("trace.")) threads.push(Number(name.slice("trace.".length)));
  }
  // The first thread does all of it.
  const trace = await Deno.readTextFile(`${root}/trace.${Math.min(...threads)}`);
  const ops = opsOf(trace, folder);
  const random = new SeededRandom(1);
  for (const [path, bytes] of filesAfter(ops, { after: ops.length, loss: "none", random })) {
    assert.deepEqual(await Deno.readFile(folder + path), bytes, path);
  }
  const store = SqliteStore.open(`${folder}/libos.db`);
  const lines = new Map<TreeId, readonly string[]>();
  for (const tree of TREES) lines.set(tree, await linesOf(store, tree));
  await store.close();
  return { ops, whole: await finish(folder, 1), lines, sealed: sealing(folder) };
}

async function lay(root: string, files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const folder = await place(root, "cut");
  for (const [path, bytes] of files) {
    await Deno.mkdir(dirname(folder + path), { recursive: true });
    await Deno.writeFile(folder + path, bytes);
  }
  return folder;
}

/** Opens what is left and checks it, without running anything. */
async function check(folder: string): Promise<string[]> {
  const store = SqliteStore.open(`${folder}/libos.db`);
  const clock = new VirtualClock(START_MS);
  const files = await RootedFiles.open(`${folder}/files`);
  const os = openAgents({ store, files, clock, life: 2 });
  try {
    const faults = [...await store.check(), ...await unacknowledged(store, folder)];
    for (const { broken } of await os.verify()) if (broken !== null) faults.push(broken);
    return faults;
  } finally {
    await os.close({ drain: false });
  }
}

/** How a lie of the disk came out. */
type Outcome = "nothing" | "earlier" | "told at once";

/** A disk that lied is refused, or shows what was there at some time before. */
async function judgeLie(folder: string, { lines, whole }: Recorded): Promise<Outcome> {
  let store: SqliteStore;
  try {
    store = SqliteStore.open(`${folder}/libos.db`);
  } catch (error) {
    return toldAtOnce(error);
  }
  const clock = new VirtualClock(START_MS);
  const os = openAgents({
    store,
    files: await RootedFiles.open(`${folder}/files`),
    clock,
    life: 2,
  });
  try {
    const damage = await store.check().catch(messageOf);
    let isWhole = true;
    let isChanged = false;
    for (const tree of TREES) {
      const found = await linesOf(store, tree).catch((error) => error);
      if (found instanceof SysError) {
        if (found.code === "ENOENT") isWhole = false;
        else if (found.code === "EINTEGRITY") return "told at once";
        else throw found;
        continue;
      }
      if (damage.length > 0) continue;
      const written = lines.get(tree)!;
      if (found.some((line: string, i: number) => line !== written[i])) isChanged = true;
      if (found.length < written.length) isWhole = false;
    }
    if (damage.length === 0) {
      const broken = (await os.verify()).filter((tree) => tree.broken !== null);
      assert.equal(broken.length > 0, isChanged, JSON.stringify(broken));
    }
    const found = await live({ os, store, clock });
    if (found?.includes("EINTEGRITY")) return "told at once";
    assert.deepEqual(damage, [], "it ran on what is damaged");
    assert.ok(!isChanged, "it ran on lines that never were");
    assert.equal(found, null, "it did not go on");
    assert.deepEqual(await store.check(), [], "it was damaged by going on");
    return isWhole && whole.faults.length === 0 ? "nothing" : "earlier";
  } catch (error) {
    return toldAtOnce(error);
  } finally {
    await os.close({ drain: false }).catch(() => {});
  }
}

function toldAtOnce(error: unknown): Outcome {
  if (error instanceof SysError && error.code === "EINTEGRITY") return "told at once";
  throw error;
}

function messageOf(error: unknown): readonly string[] {
  return [error instanceof Error ? error.message : String(error)];
}

const reason = await untraceable();
const here = reason === null ? "" : ` (not here: ${reason})`;
const given = { ignore: reason !== null };

async function within(job: (root: string, recorded: Recorded) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await job(root, await record(root));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/**
 * Disks after one call, and whether the agents go on from it to their end; the others are opened and
 * checked. Where nothing is gone the kernel alone has died: that is tried after each call, and one
 * loss that is drawn.
 */
function* cutsAt(at: number): Generator<{ readonly cut: Cut; readonly isRun: boolean }> {
  const random = chanceAt(at);
  const drawn = random.below(LOSSES.length);
  for (const [i, loss] of LOSSES.entries()) {
    yield { cut: { after: at + 1, loss, random }, isRun: loss === "none" || i === drawn };
  }
}

/** What is wrong after the power went there, a sentence each. */
async function judgeCut(
  root: string,
  { ops, whole }: Recorded,
  { cut, isRun }: { readonly cut: Cut; readonly isRun: boolean },
): Promise<string[]> {
  const { after, loss } = cut;
  const faults: string[] = [];
  const folder = await lay(root, filesAfter(ops, cut));
  try {
    faults.push(...await check(folder));
    if (isRun) {
      const { faults: found, ...ending } = await finish(folder, 2);
      const { faults: _none, ...expected } = whole;
      faults.push(...found);
      if (JSON.stringify(ending) !== JSON.stringify(expected)) faults.push("it ended differently");
    }
  } catch (error) {
    faults.push(error instanceof Error ? error.stack! : String(error));
  }
  await Deno.remove(folder, { recursive: true });
  return faults.map((fault) => `after ${after}, ${loss}: ${fault}`);
}

Deno.test(`Nothing acknowledged is lost when the power goes${here}`, given, async (t) => {
  await within(async (root, recorded) => {
    const { ops } = recorded;
    assert.ok(ops.length > 1_000, `${ops.length} calls`);
    const positions = taken(ops.length, STRIDE);
    const faults: string[] = [];
    let [disks, ran] = [0, 0];
    await t.step(covered(positions, ops.length, "calls"), async () => {
      for (const [i, at] of positions.entries()) {
        for (const one of cutsAt(at)) {
          disks += 1;
          if (one.isRun) ran += 1;
          faults.push(...await judgeCut(root, recorded, one));
        }
        if (i % 100 === 99) console.log(`${i + 1} of ${positions.length} calls: ${faults}`);
      }
      console.log(`${disks} disks, from ${ran} of which the agents went on: ${faults}`);
      assert.deepEqual(faults, [], `LIBOS_SEED=${SEED}`);
    });
  });
});

/** Lies at each call: it all goes back to here, or this one write is lost or half lost. */
function* lies(ops: readonly Op[], positions: readonly number[]): Generator<Cut> {
  for (const i of positions) {
    const random = chanceAt(i);
    const later = Math.min(ops.length, i + 1 + random.below(200));
    for (const loss of ["all", "any"] as const) {
      yield { after: later, loss, random, liesFrom: i };
    }
    if (ops[i]!.kind !== "write" || !ops[i]!.path.startsWith("/libos.db")) continue;
    for (const isHalf of [false, true]) {
      yield { after: later, loss: "none", random, lost: { op: i, isHalf } };
    }
  }
}

Deno.test(`A disk that lies leaves an earlier state, or is told of${here}`, given, async (t) => {
  await within(async (root, recorded) => {
    const faults: string[] = [];
    const outcomes = new Map<string, number>();
    const positions = taken(recorded.ops.length, STRIDE);
    await t.step(covered(positions, recorded.ops.length, "calls"), async () => {
      for (const cut of lies(recorded.ops, positions)) {
        const folder = await lay(root, filesAfter(recorded.ops, cut));
        const { random: _, ...what } = cut;
        try {
          const outcome = await judgeLie(folder, recorded);
          const kind = cut.lost === undefined ? "lying sync" : "lost write";
          outcomes.set(`${kind}: ${outcome}`, (outcomes.get(`${kind}: ${outcome}`) ?? 0) + 1);
        } catch (error) {
          faults.push(`${JSON.stringify(what)}: ${error instanceof Error ? error.stack : error}`);
        }
        await Deno.remove(folder, { recursive: true });
      }
      console.log(JSON.stringify(Object.fromEntries(outcomes)));
      assert.deepEqual(faults, [], `LIBOS_SEED=${SEED}`);
    });
  });
});

Deno.test(`An anchor shows that a disk forgot all from some time on${here}`, given, async () => {
  await within(async (root, { ops, sealed }) => {
    const random = new SeededRandom(SEED);
    const acks = ops.findIndex(({ path }) => path === "/acks");
    for (const part of [0, 0.3, 0.6, 0.9]) {
      const liesFrom = acks + Math.floor(part * (ops.length - acks));
      const cut: Cut = { after: ops.length, loss: "all", random, liesFrom };
      const folder = await lay(root, filesAfter(ops, cut));
      // What was acknowledged is gone, and the store alone cannot know.
      assert.match((await check(folder)).join("\n"), /^(what was acknowledged is lost: .+\n?)+$/);
      const given = { store: `${folder}/libos.db`, workspace: null, approvals: "queue" } as const;
      const error = await createRuntime({ ...given, audit: sealed }).then(() => null, (e) => e);
      assert.ok(error instanceof SysError, `LIBOS_SEED=${SEED}`);
      assert.equal(error.code, "EINTEGRITY");
      assert.match(error.message, /has a head of \d+ leaves/);
      await Deno.remove(folder, { recursive: true });
    }
  });
});
