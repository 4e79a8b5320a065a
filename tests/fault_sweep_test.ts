/**
 * The fault sweep: two agents of thirty steps that write to each other, over a disk which does
 * something wrong at each of their commits in turn: once, twice in a row, and during recovery.
 *
 * Some commits by default; `deno task sweep` takes all of them, or a piece (`sweep.ts`).
 * @module
 */

import assert from "node:assert/strict";
import { SeededRandom, VirtualClock } from "../testing.ts";
import type { TreeId } from "../kernel/ids.ts";
import { IMAGE, live, ONCE_MAX, person, TREES } from "./fault_agents.ts";
import { Disk, type Fault, type FaultKind, FAULTS, FaultStore } from "./fault_store.ts";
import { comparable } from "./soak_place.ts";
import { checkWorld, CountedFiles, foldOf, START_MS, World } from "./world_fixture.ts";
import { MortalFiles } from "./world_fixture_crash.ts";
import { covered, SWEEP, taken } from "./sweep.ts";

/** Of a sample: every so many-th commit, and inbox item. */
const STRIDE = { commits: 41, items: 9 };
const LIVES_MAX = 8;
/** Codes by which a kernel says that its log is not what it was told. */
const DETECTED = ["ESTALE", "EFENCED", "EINTEGRITY"];

class JumpingClock extends VirtualClock {
  skewMs = 0;

  override now(): number {
    return super.now() + this.skewMs;
  }
}

interface Place {
  readonly disk: Disk;
  readonly files: CountedFiles;
  readonly clock: JumpingClock;
}

interface Life {
  readonly world: World;
  readonly store: FaultStore;
}

function openLife({ disk, files, clock }: Place, life: number, fault: Fault | null): Life {
  const store = new FaultStore(disk, fault, (ms) => clock.skewMs += ms);
  const world = new World({
    store,
    clock,
    files: new MortalFiles(files, store),
    random: new SeededRandom(life),
    images: [IMAGE],
    approvals: person(),
    concurrency: 4,
  });
  return { world, store };
}

interface Ending {
  readonly results: readonly unknown[];
  readonly contents: readonly unknown[];
  readonly commits: number;
  readonly items: number;
}

interface Endured extends Ending {
  /** How often files were written, by path. */
  readonly writes: ReadonlyMap<string, number>;
  readonly struck: number;
  /** Whether the disk's damage was found, which ends it. */
  readonly isDamaged: boolean;
  readonly lives: number;
  /** Acknowledged batches that were lost, all told. */
  readonly lost: number;
}

/** Lives until both agents have ended, through the faults; looks at all that is claimed. */
async function endure(faults: readonly Fault[]): Promise<Endured> {
  const place = { disk: new Disk(), files: new CountedFiles(), clock: new JumpingClock(START_MS) };
  const { disk, files } = place;
  let [struck, lost, commits, items] = [0, 0, 0, 0];
  for (let life = 1; life <= LIVES_MAX; life++) {
    const fault = faults[life - 1] ?? null;
    const one = openLife(place, life, fault);
    const found = await Promise.race([
      live({ os: one.world.os, store: one.store, clock: place.clock }),
      one.store.died.then(() => ["died"]),
    ]);
    commits += one.store.writes;
    items += one.store.items;
    if (one.store.hasStruck) struck += 1;
    const rules = FAULTS[(one.store.hasStruck ? fault : faults[life - 2])?.kind ?? "crash-after"];
    const isDamaged = faults.some(({ kind }) => FAULTS[kind].damages) && struck > 0;
    if (found === null && isDamaged) {
      const told = (await one.world.os.verify()).map(({ broken }) => broken ?? "");
      assert.match(told.join(), /line \d+/, "the damage was not found");
    } else if (found === null) {
      // Nobody can tell that the very last of a tree was lost, until it is opened again.
      if ((await disk.lost()).beyond === 0) await checkWorld(one.world);
      await one.store.crash();
      await place.clock.settle();
      const gone = await judgeDisk(disk, rules.loses);
      lost += gone;
      // The last of it was a lie: what is left goes on.
      if (gone > 0) continue;
      const ending = { ...await endingOf(place), commits, items };
      await judgeRestart(place);
      return { ...ending, writes: writesOf(files), struck, lost, lives: life, isDamaged: false };
    }
    const isSaid = found === null || found.includes("EINTEGRITY");
    const isLost = found?.some((code) => code === "stuck" || code === "endless");
    assert.ok(isLost !== true, `${found}`);
    assert.ok(!isSaid || isDamaged, `EINTEGRITY without damage: ${found}`);
    if (isSaid) {
      const writes = writesOf(files);
      const nothing = { results: [], contents: [], writes, commits, items };
      return { ...nothing, struck, lost, lives: life, isDamaged };
    }
    await one.store.crash();
    await place.clock.settle();
    lost += await judgeDisk(disk, rules.loses);
    if (found!.some((code) => DETECTED.includes(code))) {
      const isExpected = rules.loses || fault?.kind.startsWith("torn-") ||
        fault?.kind === "eio-after";
      assert.ok(isExpected, `${found} without a loss`);
    }
  }
  throw new assert.AssertionError({ message: `not ended after ${LIVES_MAX} lives` });
}

function writesOf(files: CountedFiles): ReadonlyMap<string, number> {
  return new Map([...files.contents.keys()].map((path) => [path, files.count(`write ${path}`)]));
}

/** What was acknowledged is there, or was lost as a whole end: never something else (K2). */
async function judgeDisk(disk: Disk, mayLose: boolean): Promise<number> {
  const { beyond, other } = await disk.lost();
  assert.equal(other, 0, "a line that was acknowledged is another one");
  assert.ok(mayLose || beyond === 0, `${beyond} acknowledged batches are lost`);
  // What the disk lost is known to be lost.
  if (beyond > 0) {
    const ends = new Map<TreeId, number>();
    for (const { tree, seq } of await disk.store.list({ limit: 10 })) ends.set(tree, seq);
    disk.acknowledged = disk.acknowledged.filter(({ tree, seq }) => seq <= (ends.get(tree) ?? 0));
  }
  return beyond;
}

async function endingOf({ disk, files }: Place): Promise<Pick<Ending, "results" | "contents">> {
  const results: unknown[] = [];
  for (const id of TREES) {
    const { state } = await foldOf(disk.store, id);
    for (const { pid, life, journal } of Object.values(state.processes)) {
      assert.deepEqual(journal, {}, `${pid} has an effect without an outcome`);
      results.push(life.state === "ended" ? life.outcome : life);
    }
  }
  const contents = [...files.contents.keys()].sort().map((path) => [path, files.text(path)]);
  return { results, contents };
}

/** A restart of what has ended changes nothing, nor does a second one. */
async function judgeRestart(place: Place): Promise<void> {
  const before = await dumpsOf(place);
  const done = place.files.done.length;
  for (const life of [101, 102]) {
    const { world, store } = openLife(place, life, null);
    assert.deepEqual(await world.os.ps(), []);
    for (const id of TREES) await world.tree(id);
    await world.os.runUntilIdle();
    await checkWorld(world);
    await store.crash();
    assert.deepEqual(await dumpsOf(place), before);
  }
  assert.equal(place.files.done.length, done, "a restart did something");
}

async function dumpsOf({ disk }: Place): Promise<string[]> {
  return await Promise.all(TREES.map(async (id) => {
    const { state } = await foldOf(disk.store, id);
    // A restart is seen by the time and the owner of its line alone.
    return comparable({ ...state, atMs: 0 });
  }));
}

const KINDS = Object.keys(FAULTS) as FaultKind[];
const whole = await endure([]);

function judge(endured: Endured, faults: readonly Fault[]): void {
  const told = JSON.stringify(faults);
  // What a disk forgets that said it was kept is done again: once a loss.
  const loses = faults.some(({ kind }) => FAULTS[kind].loses);
  const timesMax = loses && endured.lost > 0 ? 1 + faults.length : 1;
  for (const [path, times] of endured.writes) {
    assert.ok(times <= timesMax, `${told}: ${path} was written ${times} times`);
  }
  const once = [...endured.writes.keys()].filter((path) => path.startsWith("once/a"));
  assert.ok(once.length <= ONCE_MAX, `${told}: ${once.length} uses of ${ONCE_MAX}`);
  if (endured.isDamaged) return;
  if (faults.some(({ kind }) => kind === "clock-late")) return judgeLate(endured, told);
  assert.deepEqual(endured.results, whole.results, told);
  assert.deepEqual(endured.contents, whole.contents, told);
}

/** What a person did not answer in time was not done; all else is as it would have been. */
function judgeLate({ results, contents, struck }: Endured, told: string): void {
  const isLate = (item: unknown): boolean => item === "unanswered";
  const lists = results.map((outcome) => (outcome as { result: unknown[] }).result);
  const late = lists.flat().filter(isLate).length;
  assert.ok(late <= TREES.length * struck, `${told}: ${late} requests were over`);
  const answered = results.map((outcome, i) => ({
    ...outcome as object,
    result: lists[i]!.filter((item) => !isLate(item)),
  }));
  assert.deepEqual(answered, whole.results, told);
  const there = new Set(contents.map((file) => JSON.stringify(file)));
  const left = whole.contents.map((file) => JSON.stringify(file)).filter((f) => !there.has(f));
  assert.ok(left.length <= late, `${told}: ${left} are not there, ${late} requests were over`);
  assert.equal(there.size, whole.contents.length - left.length, told);
}

for (const [i, kind] of KINDS.entries()) {
  Deno.test(`Two agents end as they should over a disk with the fault "${kind}"`, async () => {
    assert.ok(whole.commits > 40, `${whole.commits} commits`);
    let [struck, lost, damaged] = [0, 0, 0];
    const unit = kind.startsWith("inbox-") ? "items" : "commits";
    const every = STRIDE[unit];
    const positions = taken(whole[unit], SWEEP ?? { every, from: i % every });
    if (SWEEP !== null) console.log(`${kind}: ${covered(positions, whole[unit], unit)}`);
    for (const at of positions.map((position) => position + 1)) {
      const again: Fault = { kind, at: 1 + at % 5 };
      for (const faults of [[{ kind, at }], [{ kind, at }, again]]) {
        const told = `${kind} at ${faults.map((fault) => fault.at).join(", then at ")}`;
        const endured = await endure(faults).catch((error) => {
          throw new Error(`${told}: ${error instanceof Error ? error.message : error}`, {
            cause: error,
          });
        });
        struck += endured.struck;
        lost += endured.lost;
        if (endured.isDamaged) damaged += 1;
        judge(endured, faults);
      }
    }
    // A piece may have none of those that show it.
    if (SWEEP !== null && SWEEP.every > 1) return;
    assert.ok(struck > 0, "it never struck");
    const { loses, damages } = FAULTS[kind];
    assert.equal(lost > 0, loses && !damages, `${lost} acknowledged batches were lost`);
    assert.equal(damaged > 0, damages, `${damaged} damaged disks were told of`);
  });
}
