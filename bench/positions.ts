/**
 * Positions: what it costs to name one, look at one, go back to one, branch off from one, and run
 * code again, beside the length of the history and the size of memory.
 * @module
 */

import { type Pid, treeOf } from "../kernel/ids.ts";
import type { Tree } from "../kernel/tree.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { treeAt } from "../runtime/history.ts";
import { AgentProcess } from "../runtime/process.ts";
import {
  type Extent,
  infoRow,
  numberRow,
  type Row,
  type Section,
  timed,
  type Times,
  times,
} from "./measure.ts";
import { RawTable } from "./raw.ts";
import { CAPS, freshText, Stage } from "./stage.ts";

const AT_ONCE = 24;
const CALLS_PER_STEP = 500;
const CHECKPOINTS = 400;
const WARM = 20;
const FORKS = 70;
const FORKS_WARM = 10;
const WHOLE_FORKS = 12;
const WARM_FORKS = 10;
const NEAR_RESTORES = 25;
const FLAT_MAX = 1.2;
/** Over one commit, in milliseconds. */
const OVER_MAX = 1;
const LONG_LINES = 100_000;

/** What is asked of the program of a subject, by message. */
interface Work {
  readonly objects?: number;
  readonly sends?: number;
  readonly writes?: number;
  readonly forks?: number;
}

/** One tree on a stage of its own, which works when it is told to, and rests otherwise. */
class Subject implements AsyncDisposable {
  readonly label: string;
  readonly stage: Stage;
  readonly process: AgentProcess;
  readonly forks: number[] = [];
  /** One raw commit before each of them. */
  readonly commits: number[] = [];
  /** Makes one raw commit. */
  commit: () => void = () => {};
  readonly #pid: Pid;

  private constructor(label: string, stage: Stage, pid: Pid) {
    this.label = label;
    this.stage = stage;
    this.#pid = pid;
    this.process = new AgentProcess(stage.node, pid, "bench");
  }

  /** A subject with so many objects, and at least so many lines. */
  static async grown(stage: Stage, objects: number, lines: number): Promise<Subject> {
    const label = `${lines.toLocaleString("en")} lines, ${objects.toLocaleString("en")} objects`;
    let made = 0;
    const pid = await stage.plant("subject", {
      caps: [...CAPS, { right: "object.*", resource: "**" }],
    });
    const subject = new Subject(label, stage, pid);
    stage.teach("subject", async (call) => {
      const { messages } = await call("message.receive", {}) as unknown as {
        readonly messages: readonly { readonly data: Work }[];
      };
      const work = messages[0]!.data;
      await several(work.objects ?? 0, () => {
        const n = made++;
        return call("object.create", { name: `kept/${n}`, mutable: true, value: { n } });
      });
      await several(work.sends ?? 0, () => call("bench.send", { to: "x", text: freshText(64) }));
      await several(work.writes ?? 0, async (i) => {
        const { version } = await call("object.read", { object: `kept/${i}` });
        await call("object.write", { object: `kept/${i}`, value: { i }, from: version });
      });
      for (let i = 0; i < (work.forks ?? 0); i++) {
        subject.commits.push(await timed(subject.commit));
        subject.forks.push(await timed(() => call("process.fork", { goal: `fork ${i}` })));
      }
    });
    await stage.run(pid);
    for (let left = objects; left > 0; left -= CALLS_PER_STEP) {
      await subject.work({ objects: Math.min(left, CALLS_PER_STEP) });
    }
    const tree = await subject.tree();
    while (tree.state.seq < lines) {
      const sends = Math.ceil((lines - tree.state.seq) / 2);
      await subject.work({ sends: Math.min(sends, CALLS_PER_STEP) });
    }
    return subject;
  }

  /** Lets it do something, and rest again. */
  async work(work: Work): Promise<void> {
    await this.process.send({ ...work });
    await this.stage.run(this.#pid);
  }

  /** Its tree in memory. */
  async tree(): Promise<Tree> {
    return await this.stage.node.open(treeOf(this.#pid));
  }

  /** How long treeAt takes, and how many lines it folds onto a snapshot. */
  async looked(seq: number, rounds: number): Promise<{ ms: Times; folded: number }> {
    const { store, context } = this.stage.node.options;
    const id = treeOf(this.#pid);
    const found: number[] = [];
    for (let i = 0; i < rounds; i++) {
      found.push(await timed(() => treeAt(store, id, seq, context)));
    }
    const snapshot = await store.getSnapshot(id, seq);
    return { ms: times(found), folded: seq - (snapshot?.seq ?? 0) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage[Symbol.asyncDispose]();
  }
}

async function several(count: number, job: (i: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - from);
    await Promise.all(Array.from({ length: size }, (_, i) => job(from + i)));
  }
}

/** A time held against one commit of the same rounds; `raw` is null where nothing is synced. */
function overRow(what: string, ours: Times, raw: Times | null): Row {
  const over = ours.median - (raw?.median ?? 0);
  return {
    ...infoRow(what, ours),
    target: `≤ ${OVER_MAX} ms${raw === null ? "" : " + one commit"}`,
    raw: raw === null ? "" : `${raw.median.toFixed(3)} ms`,
    ratio: `${over < 0 ? "" : "+"}${over.toFixed(3)} ms`,
    met: over <= OVER_MAX,
  };
}

function flatRow(what: string, medians: readonly number[]): Row {
  const ratio = Math.max(...medians) / Math.min(...medians);
  return numberRow(what, ratio, { atMost: FLAT_MAX, unit: "× between extremes" });
}

/** Checkpoints of all subjects by turns: the same machine for each. */
async function checkpoints(kind: string, subjects: readonly Subject[], table: RawTable | null) {
  const raw: number[] = [];
  const ours = subjects.map((): number[] => []);
  for (let round = 0; round < CHECKPOINTS; round++) {
    const rawMs = table === null ? 0 : await timed(() => table.insert("one commit"));
    if (round >= WARM) raw.push(rawMs);
    for (const i of subjects.keys()) {
      // Whoever is first after the raw commit changes.
      const at = (round + i) % subjects.length;
      const ms = await timed(() => subjects[at]!.process.checkpoint(`round ${round}`));
      if (round >= WARM) ours[at]!.push(ms);
    }
  }
  const found = ours.map(times);
  const one = table === null ? null : times(raw);
  return [
    ...subjects.map(({ label }, i) => overRow(`checkpoint, ${kind}: ${label}`, found[i]!, one)),
    flatRow(`checkpoint, ${kind}: flat`, found.map(({ median }) => median)),
  ];
}

/** Positions all over a long log. */
async function looks(subject: Subject): Promise<Row[]> {
  const end = (await subject.tree()).state.seq;
  const rows: Row[] = [];
  for (const part of [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1]) {
    const seq = Math.floor(end * part);
    const { ms, folded } = await subject.looked(seq, 5);
    const what = `inspect line ${seq.toLocaleString("en")} of ${end.toLocaleString("en")}`;
    rows.push({ ...infoRow(what, ms), raw: `${folded.toLocaleString("en")} lines folded` });
  }
  return rows;
}

/** What going back came to. */
interface Back {
  readonly ms: number;
  readonly lines: number;
  readonly bytes: number;
  /** The line it went back to. */
  readonly to: number;
}

/** Goes back over so much work: to a checkpoint, or to any other line. */
async function goBack(subject: Subject, work: Work, to: Goal): Promise<Back> {
  const tree = await subject.tree();
  if (to === "a checkpoint") await subject.process.checkpoint("to go back to");
  const from = tree.state.seq;
  let left = work.sends ?? 0;
  for (; left > CALLS_PER_STEP; left -= CALLS_PER_STEP) {
    await subject.work({ sends: CALLS_PER_STEP });
  }
  await subject.work({ ...work, sends: left });
  const lines = tree.state.seq - from;
  let at = 0;
  const ms = await timed(async () => ({ at } = await subject.process.restore(from)));
  let bytes = 0;
  for await (const batch of subject.stage.store.read(tree.state.tree, at)) {
    bytes = batch.lines.join("").length;
    for (const text of batch.payloads.values()) bytes += text.length;
  }
  return { ms, lines, bytes, to: from };
}

type Goal = "a checkpoint" | "a line";

/** Several trees go back by turns, again and again: the same machine for each. */
async function restores(
  subjects: readonly Subject[],
  work: Work,
  rounds: number,
  to: Goal,
): Promise<{ readonly row: Row; readonly median: number }[]> {
  const found = subjects.map((): Back[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const i of subjects.keys()) {
      const at = (round + i) % subjects.length;
      found[at]!.push(await goBack(subjects[at]!, work, to));
    }
  }
  const writes = work.writes === undefined ? "" : `, ${work.writes} objects written`;
  const rows: { readonly row: Row; readonly median: number }[] = [];
  for (const [i, subject] of subjects.entries()) {
    const { lines, bytes, to: line } = found[i]!.at(-1)!;
    const ms = times(found[i]!.map((back) => back.ms));
    const over = `over ${lines.toLocaleString("en")} lines${writes}`;
    // Only now: what folding leaves behind would be collected while the next goes back.
    const looked = await subject.looked(line, 1);
    const row = {
      ...infoRow(`restore to ${to} ${over}: ${subject.label}`, ms),
      raw: `treeAt ${looked.ms.median.toFixed(1)} ms, ${looked.folded} folded`,
      ratio: `line of ${bytes.toLocaleString("en")} bytes`,
    };
    rows.push({ row, median: ms.median });
  }
  return rows;
}

/** Going back to a checkpoint and to a line that is none, over little and over much. */
async function allRestores(subjects: readonly Subject[]): Promise<Row[]> {
  const [, middle, , full] = subjects as [Subject, Subject, Subject, Subject];
  const few = { sends: 5 };
  const near = await restores(subjects, few, NEAR_RESTORES, "a checkpoint");
  const others = [
    ...await restores([full], { ...few, writes: 100 }, 5, "a checkpoint"),
    ...await restores([middle], { sends: 500 }, 5, "a checkpoint"),
    ...await restores([middle], { sends: 5_000 }, 3, "a checkpoint"),
    ...await restores(subjects, few, 5, "a line"),
  ];
  return [
    ...near.map(({ row }) => row),
    flatRow("restore to a checkpoint: flat", near.map(({ median }) => median)),
    ...others.map(({ row }) => row),
  ];
}

/** The two forks, each beside one commit. */
async function forks(subject: Subject, table: RawTable): Promise<Row[]> {
  subject.commit = () => table.insert("one commit");
  const alone = await wholeForks(subject);
  await subject.work({ forks: FORKS });
  const commits = times(subject.commits.slice(FORKS_WARM));
  const many = await wholeForks(subject);
  return [
    overRow(`process.fork: ${subject.label}`, times(subject.forks.slice(FORKS_WARM)), commits),
    overRow(`fork of a tree: ${subject.label}`, alone.whole, alone.raw),
    infoRow("… its first call", alone.first),
    overRow(`… which has ${FORKS + 1} processes`, many.whole, many.raw),
    infoRow("… its first call", many.first),
  ];
}

/** Trees that begin where a subject is now, each beside one commit. */
async function wholeForks(
  subject: Subject,
): Promise<{ readonly whole: Times; readonly raw: Times; readonly first: Times }> {
  const [raw, whole, first]: [number[], number[], number[]] = [[], [], []];
  const { seq } = (await subject.tree()).state;
  for (let i = 0; i < WHOLE_FORKS + WARM_FORKS; i++) {
    raw.push(await timed(subject.commit));
    const forked: AgentProcess[] = [];
    whole.push(await timed(async () => forked.push(await subject.process.fork(seq))));
    first.push(await timed(() => forked[0]!.info()));
    await subject.stage.run();
  }
  const [wholeMs, rawMs, firstMs] = [whole, raw, first].map((ms) => times(ms.slice(WARM_FORKS)));
  return { whole: wholeMs!, raw: rawMs!, first: firstMs! };
}

/** Recorded calls that a replay goes through in a second. */
async function replays(long: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const calls of long ? [1_000, 10_000, 50_000, 200_000] : [1_000, 10_000, 50_000]) {
    await using stage = new Stage(new MemoryStore());
    const pid = await stage.play(async (call, { step }) => {
      for (let i = 0; i < CALLS_PER_STEP; i++) {
        await call("bench.send", { to: "x", text: `step ${step}, call ${i}` });
      }
      if (step * CALLS_PER_STEP >= calls) await call("process.exit", {});
    });
    const process = new AgentProcess(stage.node, pid, "bench");
    const found: number[] = [];
    for (let i = 0; i < 3; i++) {
      found.push(
        await timed(async () => {
          const replayed = await process.replay();
          if (replayed.diverged !== null) throw new Error(replayed.diverged.message);
          if (replayed.calls < calls) {
            throw new Error(`Only ${replayed.calls} calls: ${replayed.ended}`);
          }
        }),
      );
    }
    const rate = calls / times(found).median * 1_000;
    rows.push(
      numberRow(`replay of ${calls.toLocaleString("en")} calls`, rate, { unit: "calls/s" }),
    );
  }
  return rows;
}

const SUBJECTS = [[10, 100], [10, 10_000], [10, LONG_LINES], [10_000, 25_000]] as const;

/** Rows of one kind of store, whose subjects are made by `open`. */
async function onStores(
  kind: string,
  open: (name: string) => Stage | Promise<Stage>,
  job: (subjects: readonly Subject[]) => Promise<Row[]>,
): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const [objects, lines] of SUBJECTS) {
    const stage = await open(`positions_${kind}_${objects}_${lines}`);
    subjects.push(stack.use(await Subject.grown(stage, objects, lines)));
  }
  return await job(subjects);
}

/** Checkpoint, inspect, restore, fork and replay. */
export async function positions({ folder, long }: Extent): Promise<Section> {
  using table = new RawTable(`${folder}/raw_positions.db`);
  const rows = await onStores(
    "memory",
    () => new Stage(new MemoryStore()),
    (subjects) => checkpoints("memory", subjects, null),
  );
  const open = (name: string): Promise<Stage> => Stage.sqlite(`${folder}/${name}.db`).filled();
  rows.push(
    ...await onStores("sqlite", open, async (subjects) => {
      const found = await checkpoints("SQLite", subjects, table);
      found.push(...await looks(subjects[2]!));
      for (const subject of subjects) found.push(...await forks(subject, table));
      found.push(...await allRestores(subjects));
      return found;
    }),
    ...await replays(long),
  );
  return {
    title: "Positions: checkpoint, inspect, fork, restore, replay",
    rows,
    notes: [
      "SQLite is synced, and each write-ahead log was as long as it becomes before anything was " +
      "measured. Checkpoints of all trees take turns, beside one raw commit, and so do restores. " +
      "A fork of a tree and a restore are those of AgentProcess; process.fork is a child of the " +
      "same tree. Restores go back over effects that were sent, 2 lines each: to a checkpoint, which " +
      "the tree in memory knows, or to a line that is none, whose state is folded and compared.",
      "A fork of a tree is one small commit; what the new tree begins with is copied into its own log " +
      "from then on, so that it needs no other. Its first call waits for that: it grows with memory " +
      "and with processes, and not with the history.",
      "Lines folded are those from the last snapshot that is kept before the position: few are " +
      "kept far from the end, so what a look costs there grows with the distance.",
    ],
  };
}
