/**
 * A seeded simulation: hundreds of processes that do random things while their kernel dies at
 * random commits, on a virtual clock.
 *
 * What has to hold whatever happens: state is the fold of the log; an effect is done at most once;
 * no use is spent twice; no question is asked twice; everything ends; one seed gives one log.
 * A failing seed is printed; `LIBOS_SEEDS=100 deno test` tries more of them.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type Sys } from "../mod.ts";
import { MemoryStore, ScriptedPerson, SeededRandom, VirtualClock } from "../testing.ts";
import { sha256 } from "../kernel/json.ts";
import type { Line } from "../kernel/event.ts";
import { codeOf, CountedFiles, foldOf, imageOf, START_MS, type World } from "./world_fixture.ts";
import { Died, MortalWorld } from "./world_fixture_crash.ts";

const TREES = 12;
const STEPS = 6;
const ONCE_MAX = 3;
const LIVES_MAX = 14;

/** What a process does next; its chance comes from its goal, so a second run does the same. */
type Act = (at: {
  readonly sys: Sys;
  readonly chance: SeededRandom;
  /** Unlike any other call's of the whole simulation. */
  readonly mark: string;
  readonly depth: number;
}) => Promise<unknown>;

const ACTS: readonly Act[] = [
  (at) => forkOne(at),
  (at) => forkOne(at),
  (at) => forkOne(at),
  ({ sys, mark }) => sys.file.write({ path: `w/${mark}`, text: mark }),
  ({ sys, mark }) => sys.file.write({ path: `once/${mark}`, text: mark }),
  ({ sys, mark }) => sys.file.write({ path: `asked/${mark}`, text: mark }),
  ({ sys, mark }) => sys.file.write({ path: `denied/${mark}`, text: mark }),
  ({ sys, mark }) => sys.object.create({ name: `o/${mark}`, value: mark.repeat(20) }),
  ({ sys }) => sys.object.create({ name: "list", list: true }),
  ({ sys, mark }) => sys.object.append({ object: "list", item: mark }),
  ({ sys, chance }) => sys.object.list(chance.below(2) === 0 ? {} : { prefix: "/p_1" }),
  ({ sys, chance }) => sys.clock.sleep({ ms: chance.below(500) }),
  ({ sys, chance }) => sys.random.bytes({ length: 1 + chance.below(40) }),
  ({ sys, chance }) => sys.message.receive({ timeoutMs: chance.below(300) }),
  ({ sys, mark }) => sys.human.ask({ prompt: mark }),
  ({ sys, mark }) => sys.human.tell({ message: mark }),
  ({ sys }) => sys.object.find({ query: "a b c" }),
  async ({ sys, mark }) => {
    const [one, two] = await Promise.all([
      sys.file.write({ path: `w/${mark}-a`, text: "a" }),
      sys.file.write({ path: `w/${mark}-b`, text: "b" }),
    ]);
    return one.bytes + two.bytes;
  },
  async ({ sys, chance }) => {
    const { processes } = await sys.process.list({});
    const to = processes[chance.below(processes.length)]!.pid;
    await sys.message.send({ to, data: "hello", interrupt: chance.below(4) === 0 });
  },
  async ({ sys }) => {
    const { capabilities } = await sys.capability.list({});
    const spent = capabilities.find(({ usesLeft }) => usesLeft === 1);
    if (spent !== undefined) await sys.capability.revoke({ capability: spent.id });
  },
  async ({ sys, mark }) => {
    await sys.tool.call({ name: "file_write", input: { path: `w/${mark}-t`, text: mark } });
  },
];

async function forkOne({ sys, mark, depth, chance }: Parameters<Act>[0]): Promise<unknown> {
  if (depth > 2) return;
  const { pid } = await sys.process.fork({
    goal: `${mark}/${depth + 1}`,
    ephemeral: chance.below(2) === 0,
  });
  if (chance.below(2) === 0) return await sys.process.wait({ pids: [pid], timeoutMs: 2_000 });
  const signals = ["pause", "cancel", "kill"] as const;
  if (chance.below(4) === 0) {
    await sys.process.signal({ pid, signal: signals[chance.below(3)]! });
  }
}

const IMAGE = imageOf(() => Promise.resolve(null), { name: "random" });
const RANDOM = {
  ...IMAGE,
  program: async ({ sys, goal, step, pid }: Parameters<NonNullable<typeof IMAGE.program>>[0]) => {
    const chance = new SeededRandom(parseInt(sha256(`${goal}#${step}`).slice(0, 12), 16));
    const depth = Number(goal.split("/").at(-1));
    const count = 2 + chance.below(4);
    for (let i = 0; i < count; i++) {
      const act = ACTS[chance.below(ACTS.length)]!;
      // What is refused is part of the simulation; only a panic or a bug comes through.
      await codeOf(act({ sys, chance, mark: `${pid}-${step}-${i}`, depth }));
    }
    if (step >= STEPS) await sys.process.exit({ result: goal });
  },
};

const GRANTS = [
  allow("file.write", "./w/**"),
  allow("file.write", "./once/**", { uses: ONCE_MAX }),
  ask("file.write", "./asked/**"),
  allow("process.*"),
  allow("human.*"),
  allow("message.interrupt"),
];

interface Outcome {
  readonly logs: readonly string[];
  readonly processes: number;
  readonly deaths: number;
}

/** A person who says yes, no or nothing, depending on what is asked. */
function person(): ScriptedPerson {
  return new ScriptedPerson(({ kind, id }) => {
    const choice = parseInt(sha256(id).slice(0, 2), 16) % 3;
    if (choice === 0) return undefined;
    if (choice === 1) return { outcome: "deny" };
    return kind === "question" ? { outcome: "answer", value: "so" } : { outcome: "approve" };
  });
}

async function simulate(seed: number): Promise<Outcome> {
  const chance = new SeededRandom(seed);
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  const files = new CountedFiles();
  for (let life = 1;; life++) {
    const isLast = life >= LIVES_MAX;
    const plan = {
      at: 1 + chance.below(120),
      when: (["before", "after"] as const)[chance.below(2)]!,
    };
    const diesAfterWrite = 1 + chance.below(40);
    const world = new MortalWorld({
      store,
      clock,
      files,
      life: seed * 1_000 + life,
      plan: isLast ? null : plan,
      ...(isLast ? {} : { diesAfterWrite }),
      options: { images: [RANDOM], approvals: person() },
    });
    try {
      await world.live(() => liveOn(world, seed));
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      await clock.settle();
      continue;
    }
    const outcome = await judge(world, files);
    await world.close();
    return { ...outcome, deaths: life - 1 };
  }
}

async function liveOn(world: World, seed: number): Promise<void> {
  for (let i = 1; i <= TREES; i++) {
    // A key finds a tree only while it lives.
    if (((await world.store.head(`t_${i}`))?.seq ?? 0) > 0) continue;
    await world.os.spawn(RANDOM, {
      goal: `${seed}.${i}/0`,
      idempotencyKey: `${i}`,
      grants: GRANTS,
    });
  }
  await world.os.ps();
  await world.untilDone();
  // A process that was paused, or had its waits taken away, is let go or sent home.
  for (const { pid, state } of await world.os.ps()) {
    if (state === "paused") await (await world.os.get(pid))!.signal("resume").catch(() => {});
    else await (await world.os.get(pid))!.signal("cancel").catch(() => {});
  }
  await world.untilDone();
}

/** Looks at everything that is claimed. */
async function judge(world: World, files: CountedFiles): Promise<Omit<Outcome, "deaths">> {
  const logs: string[] = [];
  let processes = 0;
  for (let i = 1; i <= TREES; i++) {
    const tree = await foldOf(world.store, `t_${i}`);
    for (const { pid, life, journal } of Object.values(tree.state.processes)) {
      processes += 1;
      assert.equal(life.state, "ended", `${pid} did not end`);
      assert.deepEqual(journal, {}, `${pid} has an effect without an outcome`);
    }
    judgeLog(await world.lines(`t_${i}`));
    const done = (what: string) =>
      files.done.filter((each) => new RegExp(`^write ${what}p_${i}[.-]`).test(each));
    // A write is done once for its place; the same place of an aborted life was never heard of.
    assert.ok(done("once/").length <= ONCE_MAX, `t_${i} used ${done("once/")}`);
    assert.deepEqual(done("denied/"), []);
    logs.push((await world.store.head(`t_${i}`))!.head);
  }
  const twice = files.done.filter((what, i) => files.done.indexOf(what) !== i);
  assert.deepEqual(twice, [], "written twice");
  return { logs, processes };
}

function judgeLog(lines: readonly Line[]): void {
  const open = new Map<string, number>();
  const asked = new Set<string>();
  for (const { type, data, seq } of lines) {
    const at = data as unknown as { pid: string; step: number; key: string; id: string };
    const call = `${at.pid}#${at.step}.${at.key}`;
    if (type === "call.intent") {
      assert.ok(!open.has(call), `line ${seq}: a second intent of ${call}`);
      open.set(call, seq);
    }
    if (type === "call.outcome") {
      assert.ok(open.has(call), `line ${seq}: an outcome without an intent of ${call}`);
      open.set(call, -1);
    }
    if (type === "human.asked" || type === "human.answered") {
      const key = `${type} ${at.id}`;
      assert.ok(!asked.has(key), `line ${seq}: ${key} twice`);
      asked.add(key);
    }
  }
  for (const [call, seq] of open) assert.equal(seq, -1, `the intent of ${call} has no outcome`);
}

const SEEDS = Number(Deno.env.get("LIBOS_SEEDS") ?? 6);
const FIRST = Number(Deno.env.get("LIBOS_SEED") ?? 1);

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  Deno.test(`A simulated world keeps its promises through crashes: LIBOS_SEED=${seed}`, async () => {
    const { processes, deaths } = await simulate(seed);
    assert.ok(processes >= 2 * TREES, `only ${processes} processes lived`);
    assert.ok(deaths > 0, "no kernel died");
  });
}

Deno.test("A simulated world gives the same logs for the same seed, and others for another", async () => {
  const [one, same, other] = [
    await simulate(FIRST),
    await simulate(FIRST),
    await simulate(FIRST + 1),
  ];
  assert.deepEqual(one, same);
  assert.notDeepEqual(one.logs, other.logs);
});
