/**
 * The system as a server tells it.
 * @module
 */

import type { BudgetLimits } from "../kernel/event.ts";
import { SysError } from "../kernel/errors.ts";
import type { Json } from "../kernel/json.ts";
import type { Signal } from "../kernel/process.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { answerText } from "../runtime/line_text.ts";
import type { Client, Decided, Matches } from "../server/client.ts";
import type { CapabilityView } from "../server/schema/authority.ts";
import type { EventView } from "../server/schema/evidence.ts";
import type { Put } from "../kernel/put.ts";
import type { CheckpointView, ObjectView } from "../server/schema/memory.ts";
import type { ProcessView } from "../server/schema/process.ts";
import type { RequestView } from "../server/schema/request.ts";
import { UsageError } from "./exit.ts";
import { matchesText } from "./request_text.ts";
import type { ModelText, ProcessQuery, Sent, Signaled, System } from "./system.ts";
import { timeOf } from "./words.ts";

/** The least time between two looks at what changed: bursts are looked at once. */
const PAUSE_MS = 100;

/** A server. */
export class RemoteSystem implements System {
  readonly #client: Client;

  /** The server that a client speaks to. */
  constructor(client: Client) {
    this.#client = client;
  }

  /** Processes, in order of tree and number. */
  async processes({ all, state, labels, tree }: ProcessQuery): Promise<ProcessView[]> {
    return await this.#client.ps({ all, state, label: labels, tree }) as ProcessView[];
  }

  /** One process. */
  async process(word: string): Promise<ProcessView> {
    const found = await byId(word, PID, (pid) => this.#client.get<ProcessView>(pathOf(pid)));
    if (found !== undefined) return found;
    const pid = await onlyOne("process", word, async () => {
      const all = await this.processes({ all: true });
      return all.map((one) => one.pid);
    });
    return await this.#client.get(pathOf(pid));
  }

  /** What a process holds, itself or by its ancestors. */
  async held(pid: string): Promise<CapabilityView[]> {
    return await Array.fromAsync(this.#client.all<CapabilityView>(`${pathOf(pid)}/capabilities`));
  }

  /** Lines of a tree's log. */
  lines(
    tree: string,
    of: { readonly from: number; readonly pid?: string },
  ): AsyncIterable<EventView> {
    const { from, pid } = of;
    return this.#client.all<EventView>(`/v1/trees/${tree}/events`, { from, pid, limit: 500 });
  }

  /** Yields now and after whatever the stream tells of. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    let wake = Promise.withResolvers<void>();
    const heard = (async () => {
      for await (const { kind } of this.#client.events({ signal: both })) {
        if (kind !== "process.text") wake.resolve();
      }
    })().then(() => wake.resolve(), (thrown) => wake.reject(thrown));
    signal.addEventListener("abort", () => wake.resolve(), { once: true });
    // A failure is told at the next look, whenever that is.
    wake.promise.catch(() => {});
    try {
      while (!signal.aborted) {
        yield;
        await realClock.sleep(PAUSE_MS, signal).catch(() => {});
        await wake.promise;
        wake = Promise.withResolvers();
        wake.promise.catch(() => {});
      }
    } finally {
      stop.abort();
      await heard;
    }
  }

  /** What models answer, as it comes. */
  async *texts(signal: AbortSignal): AsyncGenerator<ModelText> {
    for await (const event of this.#client.events({ signal })) {
      if (event.kind !== "process.text" || event.pid === null) continue;
      yield { pid: event.pid, text: String(event.summary["text"]) };
    }
  }

  /** Sends a signal. */
  async signal(pid: string, signal: Signal, reason: string): Promise<Signaled> {
    const body = { signal, reason };
    const path = `${pathOf(pid)}/signals`;
    return { process: await this.#client.send("POST", path, { body }), isRunning: true };
  }

  /** Sends a message. */
  async send(pid: string, message: Sent): Promise<void> {
    await this.#client.send("POST", `${pathOf(pid)}/messages`, { body: message });
  }

  /** Sets limits. */
  async limit(pid: string, limits: BudgetLimits): Promise<void> {
    await this.#client.send("PUT", `${pathOf(pid)}/budget`, { body: limits });
  }

  /** Gives the position of a process's tree a name. */
  async checkpoint(pid: string, name: string): Promise<CheckpointView> {
    return await this.#client.send("POST", `${pathOf(pid)}/checkpoints`, { body: { name } });
  }

  /** Puts a value into a process's memory. */
  async put(pid: string, put: Omit<Put, "pid" | "by">): Promise<ObjectView> {
    return await this.#client.send("POST", `${pathOf(pid)}/objects`, { body: put });
  }

  /** Requests that wait for an answer, oldest first. */
  async requests(): Promise<RequestView[]> {
    const found = await Array.fromAsync(this.#client.all<RequestView>("/v1/approvals"));
    return found.sort((a, b) => a.createdAt < b.createdAt ? -1 : 1);
  }

  /** One request. */
  async request(word: string): Promise<RequestView> {
    if (REQUEST.test(word)) return await this.#client.get(`/v1/approvals/${word}`);
    const id = await onlyOne("request", word, async () => {
      const all = this.#client.all<RequestView>("/v1/approvals", { status: "all" });
      return (await Array.fromAsync(all)).map((one) => one.id);
    });
    return await this.#client.get(`/v1/approvals/${id}`);
  }

  /** What a rule over a request would have matched. */
  async matches(id: string, resource: string): Promise<string> {
    const path = `/v1/approvals/${id}`;
    const found = await this.#client.get<Matches>(`${path}/matches`, { resource });
    const { call } = await this.#client.get<RequestView>(path);
    return matchesText(found, call?.right ?? "");
  }

  /** Answers a request. */
  async decide({ id, call, askers }: RequestView, answer: PersonAnswer): Promise<string[]> {
    const hash = call === null ? {} : { argsHash: call.argsHash };
    const body = { decision: answer, askers: askers.length, ...hash };
    const done = await this.#client.send<Decided>("POST", `/v1/approvals/${id}/decision`, { body });
    const grants = await Promise.all(done.grants.map((cap) => this.#granted(done, cap)));
    return [
      `${answerText(answer)} ${id}${done.request.by === null ? "" : ` by ${done.request.by}`}`,
      ...(done.request.status === "pending"
        ? ["another person has to agree: nothing is granted yet"]
        : []),
      ...grants,
      ...(done.policyDiff === null ? [] : [
        `policy of ${done.request.tree}:`,
        ...done.policyDiff.trimEnd().split("\n").map((line) => `  ${line}`),
      ]),
    ];
  }

  async #granted({ request, grantsUntil }: Decided, id: string): Promise<string> {
    const held = await this.held(request.pid).catch(() => []);
    const cap = held.find((one) => one.id === id);
    if (cap === undefined) {
      const last = grantsUntil === null ? "" : ` until ${timeOf(Date.parse(grantsUntil))} UTC`;
      return `granted ${id}${last}`;
    }
    const until = cap.expiresAt === null ? "" : ` until ${timeOf(Date.parse(cap.expiresAt))} UTC`;
    const uses = cap.usesMax === null ? "" : `, uses: ${cap.usesMax}`;
    const under = cap.parent === null ? "" : ` (⊂ ${cap.parent})`;
    const what = `${id} allow ${cap.right}(${cap.resource}) to ${cap.subject}`;
    return `granted ${what}${until}${uses}${under}`;
  }

  /** What a process that ended exited with. */
  async result(pid: string): Promise<Json> {
    const { result } = await this.#client.get<{ readonly result: Json }>(
      `${pathOf(pid)}/wait`,
      { timeoutMs: 0 },
    );
    return result;
  }
}

const REQUEST = /^req_[1-9]\d*\.[1-9]\d*$/;
const PID = /^p_[1-9]\d*(\.[1-9]\d*)?$/;

function pathOf(pid: string): string {
  return `/v1/processes/${pid}`;
}

/** The trees that a word names, itself or by one of its processes; all for none. */
export async function treesThere(client: Client, word: string | undefined): Promise<string[]> {
  const all = await Array.fromAsync(client.all<{ readonly tree: string }>("/v1/trees", {
    all: true,
  }));
  const ids = all.map(({ tree }) => tree);
  if (word === undefined) return ids;
  const of = /^p_(\d+)/.exec(word)?.[1];
  return [await onlyOne("tree", of === undefined ? word : `t_${of}`, () => Promise.resolve(ids))];
}

/** What a whole id names; undefined where it is none, or names nothing. */
export async function byId<T>(
  word: string,
  form: RegExp,
  get: (id: string) => Promise<T>,
): Promise<T | undefined> {
  if (!form.test(word)) return undefined;
  try {
    return await get(word);
  } catch (thrown) {
    if (thrown instanceof SysError && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}

/** The id that a prefix names. Throws `ENOENT`, and {@linkcode UsageError} for several. */
export async function onlyOne(
  what: string,
  word: string,
  ids: () => Promise<readonly string[]>,
): Promise<string> {
  const near = (await ids()).filter((id) => id.startsWith(word));
  const exact = near.find((id) => id === word);
  const [only] = near;
  if (exact !== undefined) return exact;
  if (only === undefined || word === "") {
    throw new SysError(
      "ENOENT",
      `Cannot find ${what} "${word}": absent, expected one of the server`,
    );
  }
  if (near.length === 1) return only;
  const some = `${near.slice(0, 5).join(", ")}${near.length > 5 ? ", …" : ""}`;
  const state = `${near.length} begin so, expected one of ${some}`;
  throw new UsageError(`Cannot tell which ${what} "${word}" is: ${state}`);
}
