/**
 * The system as the store here has it, beside a kernel that may run on it.
 * @module
 */

import type { BudgetLimits, EventMap } from "../kernel/event.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { SysError } from "../kernel/errors.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import type { Json } from "../kernel/json.ts";
import { residents, type Signal } from "../kernel/process.ts";
import type { Process } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { realClock } from "../providers/clock.ts";
import { readLines } from "../runtime/load.ts";
import { latest, matchesIn } from "../runtime/matches.ts";
import { pendingRequests } from "../runtime/people.ts";
import { pidOf } from "../runtime/line_text.ts";
import type { CapabilityView } from "../server/schema/authority.ts";
import type { EventView } from "../server/schema/evidence.ts";
import { PERSON } from "../kernel/label.ts";
import { asked } from "../kernel/needs.ts";
import { fullName } from "../kernel/names.ts";
import type { Put } from "../kernel/put.ts";
import type { CheckpointView, ObjectView } from "../server/schema/memory.ts";
import type { ProcessView } from "../server/schema/process.ts";
import type { RequestView } from "../server/schema/request.ts";
import { capabilityViews } from "../server/view/authority.ts";
import { eventView } from "../server/view/event.ts";
import { checkpointView, objectView } from "../server/view/memory.ts";
import { processView } from "../server/view/process.ts";
import { requestView, similarOf, type Viewer } from "../server/view/request.ts";
import type { Context } from "./command.ts";
import { nodesOf, placed } from "./nodes.ts";
import { UsageError } from "./exit.ts";
import { answerHere } from "./decide.ts";
import { give, operatorOf } from "./order.ts";
import { findProcess, findRequest, headsOf, openStore, reading, treeIn } from "./store.ts";
import { matchesText } from "./request_text.ts";
import type { ModelText, ProcessQuery, Sent, Signaled, System } from "./system.ts";

const POLL_MS = 100;

/** The store of this machine. */
export class LocalSystem implements System {
  readonly #at: Context;

  /** The store that the options name. */
  constructor(at: Context) {
    this.#at = at;
  }

  /** Processes, in order of tree and number. */
  async processes(query: ProcessQuery): Promise<ProcessView[]> {
    const isAll = query.all || query.state?.startsWith("ended") === true;
    const labels = (query.labels ?? []).map(labelOf);
    return await this.#reading(async (store) => {
      const found: ProcessView[] = [];
      const trees = query.tree === undefined
        ? (await headsOf(store, isAll)).map(({ tree }) => tree)
        : [query.tree as TreeId];
      const nodes = await nodesOf(store);
      for (const id of trees) {
        const tree = await treeIn(store, id);
        for (const process of residents(tree.state)) {
          const view = placed(viewOf(tree, process), asked(tree.state), nodes);
          const isWanted = (isAll || view.state !== "ended") &&
            labels.every(([key, value]) => view.labels[key] === value) &&
            (query.state === undefined || isState(view, query.state));
          if (isWanted) found.push(view);
        }
      }
      return found;
    });
  }

  /** One process. */
  async process(word: string): Promise<ProcessView> {
    return await this.#reading(async (store) => {
      const { tree, process } = await findProcess(store, word);
      return placed(viewOf(tree, process), asked(tree.state), await nodesOf(store));
    });
  }

  /** What a process holds, itself or by its ancestors. */
  async held(pid: string): Promise<CapabilityView[]> {
    const { tree } = await this.#reading((store) => findProcess(store, pid));
    const ids = new Set([...tree.caps.heldBy(tree.reach(pid as Pid))].map(({ id }) => id));
    return capabilityViews(tree).filter(({ id }) => ids.has(id as `cap_${string}`));
  }

  /** Lines of a tree's log. */
  async *lines(
    tree: string,
    { from, pid }: { readonly from: number; readonly pid?: string },
  ): AsyncGenerator<EventView> {
    const store = await openStore(this.#at, "read");
    try {
      for await (const line of readLines(store, tree as TreeId, from)) {
        if (pid === undefined || pidOf(line) === pid) yield eventView(line, false);
      }
    } finally {
      await store.close();
    }
  }

  /** Yields now and after each change of the store. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    const store = await openStore(this.#at, "read");
    try {
      for (let seen = -1; !signal.aborted;) {
        const version = await store.version();
        if (version !== seen) yield;
        seen = version;
        await realClock.sleep(POLL_MS, signal).catch(() => {});
      }
    } finally {
      await store.close();
    }
  }

  /** Nobody tells: what a model answers is in the log only when it is whole. */
  async *texts(): AsyncGenerator<ModelText> {}

  /** Sends a signal. */
  async signal(pid: string, signal: Signal, reason: string): Promise<Signaled> {
    const { isRunning } = await give(this.#at, treeOf(pid), {
      kind: "signal",
      pid: pid as Pid,
      signal,
      reason,
      by: operatorOf(this.#at),
    });
    return { process: await this.process(pid), isRunning };
  }

  /** Sends a message. */
  async send(pid: string, { type, data, interrupt }: Sent): Promise<void> {
    await give(this.#at, treeOf(pid), {
      kind: "message",
      to: pid as Pid,
      from: `person:${operatorOf(this.#at)}`,
      type,
      data,
      interrupt,
      replyTo: null,
      label: { ...PERSON },
    });
  }

  /** Sets limits. */
  async limit(pid: string, limits: BudgetLimits): Promise<void> {
    const order = { kind: "budget", pid: pid as Pid, limits, by: operatorOf(this.#at) } as const;
    await give(this.#at, treeOf(pid), order);
  }

  /** Gives the position of a process's tree a name. */
  async checkpoint(pid: string, name: string): Promise<CheckpointView> {
    const by = operatorOf(this.#at);
    const { lines } = await give(this.#at, treeOf(pid), { kind: "checkpoint", name, by });
    const taken = lines.findLast(({ type, data }) =>
      type === "checkpoint.taken" && (data as EventMap["checkpoint.taken"]).name === name
    );
    const { id } = taken!.data as EventMap["checkpoint.taken"];
    const { state } = await this.#reading((store) => treeIn(store, treeOf(pid)));
    return checkpointView(state, state.checkpoints[id]!);
  }

  /** Puts a value into a process's memory. */
  async put(pid: string, put: Omit<Put, "pid" | "by">): Promise<ObjectView> {
    const order = { kind: "put", pid: pid as Pid, ...put, by: operatorOf(this.#at) } as const;
    await give(this.#at, treeOf(pid), order);
    const tree = await this.#reading((store) => treeIn(store, treeOf(pid)));
    return objectView(tree.state, tree.lookUp(fullName(pid as Pid, put.name)).object!);
  }

  /** Requests that wait for an answer, oldest first. */
  async requests(): Promise<RequestView[]> {
    return await this.#reading(async (store) => {
      const found: RequestView[] = [];
      for (const { tree } of await headsOf(store, false)) {
        const loaded = await treeIn(store, tree);
        for (const one of pendingRequests([loaded])) {
          found.push(requestView(one.tree, one.request, this.#who()));
        }
      }
      return found.sort((a, b) => a.createdAt < b.createdAt ? -1 : 1);
    });
  }

  /** One request. */
  async request(word: string): Promise<RequestView> {
    const { id, found } = await this.#reading(async (store) => {
      const { tree, id, request } = await findRequest(store, word);
      if (request === undefined) return { id, found: undefined };
      const lines = await Array.fromAsync(latest(store, tree.state.tree));
      const similar = similarOf(lines, request);
      return { id, found: { ...requestView(tree, request, this.#who()), similar } };
    });
    if (found !== undefined) return found;
    const state = "answered or withdrawn, expected one that is kept";
    throw new SysError("ENOENT", `Cannot show request "${id}": ${state}; see libos audit`);
  }

  /** What a rule over a request would have matched. */
  async matches(id: string, resource: string): Promise<string> {
    return await this.#reading(async (store) => {
      const { tree, request } = await findRequest(store, id);
      const right = request?.call?.right ?? "";
      return matchesText(await matchesIn(store, tree.state.tree, { right, resource }), right);
    });
  }

  /** Answers a request. */
  async decide({ id, call, askers }: RequestView, answer: PersonAnswer): Promise<string[]> {
    const found = await this.#reading((store) => findRequest(store, id));
    const shown = { argsHash: call?.argsHash, askers: askers.length };
    return (await answerHere(this.#at, answer, { ...found, shown })).lines;
  }

  #who(): Viewer {
    const name = operatorOf(this.#at);
    return { name, role: "admin", labels: {}, token: "", isSelfApproved: true };
  }

  /** What a process that ended exited with. */
  async result(pid: string): Promise<Json> {
    return await this.#reading(async (store) => {
      const { process: { life } } = await findProcess(store, pid);
      if (life.state !== "ended" || life.outcome.kind !== "exited") return null;
      return life.outcome.result;
    });
  }

  #reading<T>(job: (store: Store) => Promise<T>): Promise<T> {
    return reading(this.#at, job);
  }
}

function viewOf(tree: Tree, process: Process): ProcessView {
  return processView({ tree, runs: new Map() }, process);
}

/** Whether a process is in a state: `waiting`, or `waiting/person`. */
function isState(view: ProcessView, wanted: string): boolean {
  const [state, reason] = wanted.split("/");
  return view.state === state && (reason === undefined || view.waiting?.reason === reason);
}

function labelOf(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`Cannot filter by label "${text}": expected k=v`);
  return [text.slice(0, at), text.slice(at + 1)];
}
