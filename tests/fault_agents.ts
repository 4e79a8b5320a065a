/**
 * Two agents of thirty steps that write to each other, for sweeps of faults: they write files, ask
 * a person, spend a grant of three uses, sleep, and keep notes.
 * @module
 */

import { allow, ask, SysError } from "../mod.ts";
import { ScriptedPerson, SeededRandom, type VirtualClock } from "../testing.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import type { Files } from "../kernel/world.ts";
import type { Auditing } from "../runtime/auditing.ts";
import { Runtime } from "../runtime/runtime.ts";
import { codeOf, imageOf } from "./world_fixture.ts";

const STEPS = 30;
/** How often a file under "once/" may be written, by each. */
export const ONCE_MAX = 3;
/** The trees of both. */
export const TREES: readonly TreeId[] = ["t_1", "t_2"];
const TURNS_MAX = 2_000;

/** Agent "a" writes to agent "b", which waits for what it writes. */
const AGENT = imageOf(() => Promise.resolve(null), { name: "fault-agent", maxSteps: 100 });
/** The image of both. */
export const IMAGE: typeof AGENT = {
  ...AGENT,
  program: async ({ sys, goal, step }: Parameters<NonNullable<typeof AGENT.program>>[0]) => {
    const mark = `${goal}-${step}`;
    if (step === 1) await sys.object.create({ name: "notes", list: true });
    const answered = async (job: Promise<unknown>): Promise<void> => {
      if (await codeOf(job) === "ok") return;
      await sys.object.append({ object: "notes", item: "unanswered" });
    };
    if (step % 6 === 0) await answered(sys.human.ask({ prompt: mark }));
    if (step % 6 === 1) await answered(sys.file.write({ path: `w/${mark}`, text: mark }));
    if (step % 6 === 2) await sys.object.append({ object: "notes", item: mark });
    if (step % 6 === 3) {
      const wrote = await codeOf(sys.file.write({ path: `once/${mark}`, text: mark }));
      await sys.object.append({ object: "notes", item: wrote });
    }
    if (step % 6 === 4) {
      await sys.clock.sleep({ ms: 50 });
      await answered(sys.file.write({ path: `asked/${mark}`, text: mark }));
    }
    if (step % 6 === 5 && goal === "a") await sys.message.send({ to: "p_2", data: mark });
    if (step % 6 === 5 && goal === "b") {
      const { messages } = await sys.message.receive({ max: 1 });
      await sys.object.append({ object: "notes", item: messages[0]!["data"] as never });
    }
    if (step < STEPS) return;
    const { value } = await sys.object.read({ object: "notes" });
    await sys.process.exit({ result: value as never });
  },
};

const GRANTS = [
  allow("file.write", "./w/**"),
  allow("file.write", "./once/**", { uses: ONCE_MAX }),
  ask("file.write", "./asked/**"),
  allow("human.*"),
  allow("message.*"),
];

/** A person who says yes, and "so" when asked a question. */
export function person(): ScriptedPerson {
  return new ScriptedPerson(({ kind }) =>
    kind === "question" ? { outcome: "answer", value: "so" } : { outcome: "approve" }
  );
}

/** A kernel that can run both, over a store and files. */
export function openAgents(place: {
  readonly store: Store;
  readonly files: Files;
  readonly clock: VirtualClock;
  readonly life: number;
  readonly auditing?: Auditing | null;
}): Runtime {
  const { store, files, clock, life, auditing = null } = place;
  const random = new SeededRandom(life);
  const options = { images: [IMAGE], approvals: person(), concurrency: 4, autorun: false };
  const os = new Runtime({
    options: { ...options, random, clock },
    store,
    files,
    workshop: null,
    alone: true,
    auditing,
  });
  os.start();
  return os;
}

/** Runs until both have ended (null), or the node cannot go on: the codes it gave. */
export async function live(
  { os, store, clock }: {
    readonly os: Runtime;
    readonly store: Store;
    readonly clock: VirtualClock;
  },
): Promise<string[] | null> {
  try {
    for (const [i, goal] of ["a", "b"].entries()) {
      if (((await store.head(TREES[i]!))?.seq ?? 0) > 0) continue;
      await os.spawn(IMAGE, { goal, grants: GRANTS, idempotencyKey: goal });
    }
    await os.ps({ all: true });
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      await os.runUntilIdle();
      const broken = [...os.node.broken.values()].map(({ code }) => code);
      if (broken.length > 0) return broken;
      const dueMs = await os.node.nextDueMs();
      if (dueMs !== null) await clock.advance(Math.max(0, dueMs - clock.now()));
      else {
        const alive = await os.ps();
        return alive.length === 0 ? null : ["stuck", JSON.stringify(alive)];
      }
    }
    return ["endless"];
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return [error.code];
  }
}
