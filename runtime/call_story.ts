/**
 * The story of one call, told from the log: what was asked, by what it was let through, who
 * answered, how it ended, and where that stands in the chain.
 *
 * Two passes: the first finds which call is meant, the second folds the log up to the decision, so
 * that capabilities are seen as they were then, spent and revoked ones too.
 * @module
 */

import { explainCall } from "../broker/calls/capability.ts";
import { SysError } from "../kernel/errors.ts";
import type { CallHead, CallResult, EventMap, Line } from "../kernel/event.ts";
import type { CapId, Pid, RequestId, TreeId } from "../kernel/ids.ts";
import { ChainReader, GENESIS } from "../kernel/log.ts";
import type { Considered, HeldCapability } from "../kernel/capability.ts";
import type { StoreReads } from "../kernel/store.ts";
import { Tree } from "../kernel/tree.ts";
import { headOf } from "./load.ts";
import { POLICIES } from "../broker/forms.ts";

/** What would become of a call, and why. */
export interface Explained {
  /** What is decided; "none" where no capability covers it, which is a no. */
  readonly decision: "allow" | "ask" | "deny" | "none";
  /** The right that the call takes. */
  readonly right: string;
  /** What it takes it on, as it is spelled when it is judged. */
  readonly resource: string;
  /** The capability that covers it. */
  readonly cap?: CapId;
  /** That capability and those it comes from, up to the first grant. */
  readonly chain: readonly { readonly id: CapId; readonly via: string; readonly by: string }[];
  /** The capabilities that were looked at. */
  readonly considered: readonly Considered[];
  /** The least grant that would let it, where one is missing. */
  readonly suggestion?: string;
  /** The rule of the policy that decides. */
  readonly rule?: string;
  /** The line of the policy that has the rule. */
  readonly line?: number;
  /** The caller's label, where a sink does not take it. */
  readonly seen?: string;
}

/** Which call: its process, step and place. */
export interface CallPlace {
  readonly pid: Pid;
  readonly step: number;
  readonly key: string;
}

/** A request that the call waited for. */
export interface Asked {
  readonly id: RequestId;
  readonly seq: number;
  readonly kind: string;
  /** Whom the asker named; null where the kernel asked. */
  readonly who: string | null;
  readonly answer: EventMap["human.answered"] | null;
  readonly answeredSeq: number | null;
  readonly isExpired: boolean;
}

/** The story of a call. */
export interface CallStory {
  readonly tree: TreeId;
  readonly place: CallPlace;
  /** The line with the decision; null while a person thinks. */
  readonly decided: {
    readonly seq: number;
    readonly hash: string;
    readonly prev: string;
    readonly atMs: number;
    readonly head: CallHead;
  } | null;
  /** The capability that covered each need and its chain up to the root, as they were then. */
  readonly chains: readonly (readonly HeldCapability[])[];
  /** For refusals: what was held then, and what would have done. */
  readonly explained: Explained | null;
  readonly asked: readonly Asked[];
  readonly outcome: {
    readonly seq: number;
    readonly result: CallResult;
    readonly via: string;
    readonly atMs: number;
  } | null;
}

/** A line and its hash. */
interface Chained {
  readonly line: Line;
  readonly hash: string;
}

async function* chained(store: StoreReads, id: TreeId): AsyncGenerator<Chained> {
  const head = await headOf(store, id);
  const reader = new ChainReader(id, 0, GENESIS);
  for await (const batch of store.read(id, 1)) {
    if (batch.seq > head.seq) break;
    for (const line of reader.read(batch)) yield { line, hash: reader.head };
  }
  reader.finish(head.seq, head.head);
}

/** Applies a line; one that makes no sense was changed, which only the line after it would show. */
function replay(tree: Tree, line: Line): void {
  try {
    tree.replay(line);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const sentence = `Cannot read tree "${line.tree}" at line ${line.seq}: ${why}`;
    throw new SysError("EINTEGRITY", `${sentence}, expected a line that applies`);
  }
}

/** The call that line `seq` is about. Throws `ENOENT` when it is about none. */
export async function placeAt(store: StoreReads, id: TreeId, seq: number): Promise<CallPlace> {
  const tree = Tree.empty(id, POLICIES);
  for await (const { line } of chained(store, id)) {
    if (line.seq < seq) {
      replay(tree, line);
      continue;
    }
    const { data, type } = line;
    const { pid, step, key } = data as Partial<CallPlace>;
    if (pid !== undefined && key !== undefined) {
      return { pid, key, step: step ?? tree.state.processes[pid]?.step ?? 0 };
    }
    const state = `a line of "${type}", expected one of a call`;
    throw new SysError("ENOENT", `Cannot explain line ${seq} of "${id}": ${state}`);
  }
  throw new SysError("ENOENT", `Cannot explain line ${seq} of "${id}": absent, expected a line`);
}

/** Tells a call's story. Throws `ENOENT` when the log knows of no such call. */
export async function storyOf(store: StoreReads, id: TreeId, place: CallPlace): Promise<CallStory> {
  const tree = Tree.empty(id, POLICIES);
  const asked = new Map<RequestId, Asked>();
  let decided: CallStory["decided"] = null;
  let outcome: CallStory["outcome"] = null;
  let chains: HeldCapability[][] = [];
  let explained: Explained | null = null;
  for await (const { line, hash } of chained(store, id)) {
    hear(asked, line, { place, step: tree.state.processes[place.pid]?.step });
    if (isOf(line, place)) {
      if (line.type === "call.outcome") {
        const { result, via } = line.data as EventMap["call.outcome"];
        outcome = { seq: line.seq, result, via, atMs: line.atMs };
      } else if (line.type === "call.done" || line.type === "call.intent") {
        const head = line.data as CallHead & { readonly result?: CallResult };
        const { seq, atMs, prev } = line;
        decided = { seq, hash, prev, atMs, head };
        chains = head.decision.by.map((ids) => ids.flatMap((one) => copyOf(tree, one)));
        if (head.decision.effect === "deny") explained = whyNot(tree, head, atMs);
        if (head.result !== undefined) {
          outcome = { seq, result: head.result, via: "call", atMs };
        }
      }
    }
    replay(tree, line);
  }
  if (decided === null && asked.size === 0) {
    const call = `${place.pid}#${place.step}.${place.key}`;
    throw new SysError("ENOENT", `Cannot explain call "${call}": absent, expected one of the log`);
  }
  return { tree: id, place, decided, chains, explained, asked: [...asked.values()], outcome };
}

function isOf({ data }: Line, place: CallPlace): boolean {
  const { pid, step, key } = data as Partial<CallPlace>;
  return pid === place.pid && step === place.step && key === place.key;
}

/** Keeps the requests that the call waited for, and their answers. */
function hear(asked: Map<RequestId, Asked>, { type, data, seq }: Line, at: {
  readonly place: CallPlace;
  readonly step: number | undefined;
}): void {
  const { id } = data as { readonly id: RequestId };
  const known = asked.get(id);
  if (type === "human.asked" || type === "human.joined") {
    const { pid, key } = data as EventMap["human.joined"];
    if (pid !== at.place.pid || key !== at.place.key || at.step !== at.place.step) return;
    const { kind = "permission", who = null } = data as Partial<EventMap["human.asked"]>;
    asked.set(id, { id, seq, kind, who, answer: null, answeredSeq: null, isExpired: false });
  } else if (known !== undefined && type === "human.answered") {
    asked.set(id, { ...known, answer: data as EventMap["human.answered"], answeredSeq: seq });
  } else if (known !== undefined && type === "human.expired") {
    asked.set(id, { ...known, isExpired: true });
  }
}

function copyOf(tree: Tree, id: CapId): HeldCapability[] {
  const cap = tree.cap(id);
  return cap === undefined ? [] : [{ ...cap }];
}

/** What the process held when it was refused. */
function whyNot(tree: Tree, { pid, decision }: CallHead, nowMs: number): Explained | null {
  const [need] = decision.needs;
  const process = tree.state.processes[pid];
  if (need === undefined || process === undefined) return null;
  try {
    const rule = `${need.right}(${need.resource})`;
    return explainCall({ tree, process, pid, nowMs }, rule, {}) as unknown as Explained;
  } catch (error) {
    // The resource of a real call need not be a pattern that the grammar can write.
    if (error instanceof SysError && error.code === "EINVAL") return null;
    throw error;
  }
}
