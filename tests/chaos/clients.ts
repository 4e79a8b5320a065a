/**
 * The clients of a chaos run: they send, signal, answer and read at whatever node is there, and
 * note what they began and what they heard.
 * @module
 */

import type { Pid, TreeId } from "../../kernel/ids.ts";
import { SysError } from "../../kernel/errors.ts";
import type { Store } from "../../kernel/store.ts";
import { realClock } from "../../providers/clock.ts";
import { readLines } from "../../runtime/load.ts";
import type { SeededRandom } from "../../testing.ts";
import { LAST } from "./agents.ts";
import type { History, How } from "./history.ts";
import type { Heard, Member } from "./member.ts";
import type { Asking } from "./node.ts";

/** Codes by which a node says that nothing was done, and nothing will be. */
const REFUSALS = [
  "EINVAL",
  "ENOENT",
  "ESTATE",
  "EEXIST",
  "ELIMIT",
  "EPERM",
  "ESTALE",
  "EIO",
  "EAGAIN",
];
/** Who is asked and does not answer is asked no more; what it does later is still noted. */
const PATIENCE_MS = 5_000;
/** Every so many turns all that live still are told again that it was the last. */
const TELLS_AGAIN = 20;

/** A request that waits for a person. */
interface Pending {
  readonly tree: TreeId;
  readonly request: string;
  readonly value: string;
}

/** What clients work on. */
export interface Scene {
  readonly members: readonly Member[];
  readonly trees: readonly TreeId[];
  /** The database by a line of its own: who judges is not cut off. */
  readonly store: Store;
  readonly history: History;
  readonly random: SeededRandom;
  /** Between two acts of one client, in milliseconds, at most. */
  readonly gapMs: number;
}

/** Clients of one run. */
export class Clients {
  readonly #scene: Scene;
  #ids = 0;
  /** Requests that a client is answering. */
  readonly #answering = new Set<string>();
  readonly #late: Promise<unknown>[] = [];
  /** Commits of a past epoch that were tried, and how many were taken. */
  readonly forged = { tried: 0, taken: 0 };

  /** Nobody acts yet. */
  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** One client acts until it is told that it is enough. */
  async act(signal: AbortSignal): Promise<void> {
    const { trees, random, gapMs } = this.#scene;
    while (!signal.aborted) {
      const tree = trees[random.below(trees.length)]!;
      const pid = `p_${tree.slice(2)}` as Pid;
      const roll = random.below(100);
      if (roll < 45) await this.#do(tree, (by) => ({ do: "message", pid, type: "note", by }));
      else if (roll < 55) await this.#pause(tree, pid);
      else if (roll < 65) await this.#forge(tree);
      else await this.#read(tree);
      await realClock.sleep(random.below(gapMs), signal).catch(() => {});
    }
  }

  /** Who is paused is let go on, by as many as it takes until one is heard. */
  async #pause(tree: TreeId, pid: Pid): Promise<void> {
    await this.#do(tree, (by) => ({ do: "signal", pid, signal: "pause", by }));
    await this.#do(tree, (by) => ({ do: "signal", pid, signal: "resume", by }));
  }

  /** A person answers what is asked, until told that it is enough. */
  async answer(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const asked = await pending(this.#scene.store);
        await Promise.all(asked.map((one) => this.#answer(one)));
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
      }
      await realClock.sleep(this.#scene.gapMs, signal).catch(() => {});
    }
  }

  async #answer({ tree, request, value }: Pending): Promise<void> {
    if (this.#answering.has(request)) return;
    this.#answering.add(request);
    await this.#do(tree, (by) => ({ do: "answer", tree, request, value, by }));
    this.#answering.delete(request);
  }

  /**
   * Ends what lives still: lets it go on, answers it, tells it that this was the last. Gives up
   * when for so long no tree has ended, however slow the machine is; what is left then.
   */
  async end(stallMs: number, tell: (what: string) => void): Promise<readonly TreeId[]> {
    const { store, gapMs } = this.#scene;
    let [least, endedMs] = [Infinity, realClock.now()];
    const told = new Set<TreeId>();
    for (let turn = 1;; turn++) {
      const live = await store.list({ live: true, limit: 10_000 });
      if (live.length < least) {
        [least, endedMs] = [live.length, realClock.now()];
        tell(`${least} trees left`);
      }
      const isStalled = realClock.now() - endedMs > stallMs;
      if (live.length === 0 || isStalled) return live.map(({ tree }) => tree);
      await Promise.all((await pending(store)).map((one) => this.#answer(one)));
      // Who was told, and was stopped by a signal that came late, is told again.
      if (turn % TELLS_AGAIN === 0) told.clear();
      const deaf = live.map(({ tree }) => tree).filter((tree) => !told.has(tree));
      await inTurns(deaf, 32, async (tree) => {
        const pid = `p_${tree.slice(2)}` as Pid;
        await this.#do(tree, (by) => ({ do: "signal", pid, signal: "resume", by }));
        const how = await this.#do(tree, (by) => ({ do: "message", pid, type: LAST, by }));
        if (how === "ok") told.add(tree);
      });
      await realClock.sleep(gapMs);
    }
  }

  /** Resolves when everybody who was asked has answered, or is dead. */
  async settled(): Promise<void> {
    await Promise.all(this.#late);
  }

  async #do(tree: TreeId, asking: (by: string) => Asking): Promise<How> {
    const id = `c${this.#ids += 1}`;
    this.#scene.history.begin(id, tree, "act");
    return await this.#noted(id, await this.#near(tree), asking(id));
  }

  async #read(tree: TreeId): Promise<void> {
    const id = `r${this.#ids += 1}`;
    this.#scene.history.begin(id, tree, "read");
    await this.#noted(id, await this.#near(tree), { do: "read", tree });
  }

  /** What is not heard in time is unknown to who asked, and noted when it comes. */
  async #noted(id: string, member: Member, asking: Asking): Promise<How> {
    const note = (heard: Heard): How => {
      const how: How = heard.how === "value"
        ? "ok"
        : heard.how === "code" && REFUSALS.includes(heard.code)
        ? "refused"
        : "unknown";
      const saw = heard.how === "value" && asking.do === "read"
        ? heard.value as string[]
        : undefined;
      this.#scene.history.end(id, how, saw);
      return how;
    };
    const heard = member.ask(asking).then(note);
    this.#late.push(heard);
    const patience = new AbortController();
    const gone = realClock.sleep(PATIENCE_MS, patience.signal).then((): How => "unknown");
    gone.catch(() => {});
    const how = await Promise.race([heard, gone]);
    patience.abort();
    return how;
  }

  /** A node to ask: the tree's own one as often as any other. */
  async #near(tree: TreeId): Promise<Member> {
    const { members, store, random } = this.#scene;
    const any = members[random.below(members.length)]!;
    if (random.below(2) === 0) return any;
    const head = await store.head(tree).catch(() => undefined);
    return members.find(({ id, isUp }) => isUp && id === head?.owner) ?? any;
  }

  /** Tries to write as an owner of before would. */
  async #forge(tree: TreeId): Promise<void> {
    const { store } = this.#scene;
    try {
      const head = await store.head(tree);
      if (head === undefined || head.epoch === 0) return;
      this.forged.tried += 1;
      await store.commit([{
        tree,
        epoch: head.epoch - 1,
        seq: head.seq + 1,
        lines: ['"forged"'],
        head: "0".repeat(64),
        payloads: new Map(),
        blobs: new Map(),
        taken: [],
        dueMs: null,
        puts: [],
        summary: head.summary,
      }]);
      this.forged.taken += 1;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }
}

/** What waits for a person: a doubt about what is keyed is retried, of the rest nobody knows. */
async function pending(store: Store): Promise<Pending[]> {
  const found: Pending[] = [];
  for (const { tree } of await store.list({ live: true, asking: true, limit: 10_000 })) {
    const open = new Map<string, Pending>();
    for await (const { type, data } of readLines(store, tree)) {
      const { id, kind, preview } = data as { id: string; kind: string; preview: string | null };
      if (type === "human.asked") {
        const value = kind !== "doubt"
          ? "yes"
          : preview?.includes("/keyed") === true
          ? "retry"
          : "";
        open.set(id, { tree, request: id, value });
      } else if (type.startsWith("human.")) open.delete(id);
    }
    found.push(...open.values());
  }
  return found;
}

/** Does a job for each, so many at once. */
async function inTurns<T>(all: readonly T[], lanes: number, job: (one: T) => Promise<void>) {
  const left = [...all];
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await job(one);
  }));
}
