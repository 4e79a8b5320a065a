/**
 * Assembly: what a prompt is made of, read out of a process's memory.
 *
 * It reads through the same authority as any call: what its process may not read, it leaves out,
 * and looks again right before the prompt is sent.
 *
 * Invariants:
 *   P1. The messages are a function of the state at `manifest.seq`, the arguments and the counter:
 *       after a crash the same manifest gives the same bytes.
 *   P2. Nothing deleted, and nothing its process may not read, is in what is sent.
 *   P3. What nobody asked for never raises the label of the conversation.
 * @module
 */

import {
  type Compaction,
  compose,
  type Count,
  type Entry,
  type Parts,
  type PinKind,
  type Pins,
  type Plan,
  plan,
  totalOf,
} from "../kernel/context.ts";
import { SysError } from "../kernel/errors.ts";
import type { Pid, RequestId } from "../kernel/ids.ts";
import { itemsOf } from "../kernel/memory.ts";
import { fullName } from "../kernel/names.ts";
import type { ModelMessage, ModelTool } from "../kernel/world.ts";
import {
  conversationOf,
  counterOf,
  type CountingModel,
  type Get,
  inOrder,
  mayRead,
  pinsAt,
  raises,
  seen,
  shownName,
  textOf,
  versionOf,
  whenHere,
} from "./reading.ts";
import { recall } from "./recall.ts";
import type { CallContext } from "./syscall.ts";
import { momentOf } from "../kernel/state.ts";

/** What is wanted of a prompt. */
export interface Wanted {
  readonly context: string | undefined;
  readonly length: number | undefined;
  readonly window: number;
  /** How many passages to recall at most; a few when absent. */
  readonly recall?: number | undefined;
  /** What to recall; the last turns when absent. */
  readonly query: string | undefined;
  readonly system: readonly ModelMessage[];
  readonly given: readonly ModelMessage[];
  readonly tools: readonly ModelTool[];
  readonly model: string;
  readonly counting: CountingModel | undefined;
  /** A prompt that was planned before: it is made again. */
  readonly again?: Manifest | undefined;
}

/** What was included and what was not: positions and counts, no copies. */
export interface Manifest {
  /** The position of the log as of which memory was read. */
  readonly seq: number;
  readonly window: number;
  /** Tokens of the whole prompt, as they are counted here. */
  readonly tokens: number;
  readonly pinned: {
    /** How many stand in front, as of the last compaction, and how many after the turns. */
    readonly head: number;
    readonly since: number;
    readonly tokens: number;
  };
  readonly requests: readonly RequestId[];
  readonly summary: string | null;
  /** Turns from (inclusive) to (exclusive). */
  readonly turns: readonly [number, number];
  /** What was recalled: `name@version`, `list#item`, `+piece` after either. */
  readonly recalled: readonly string[];
  /** How many were left out, by reason. */
  readonly left: { readonly [reason: string]: number };
  /** Names of pinned objects which could not be shown. */
  readonly lost: readonly string[];
  /** How far the conversation should be compacted now; absent while there is room. */
  readonly compact?: number;
}

/** A prompt before it is sent. */
export interface Prompt {
  readonly parts: Parts;
  readonly tools: readonly ModelTool[];
  readonly manifest: Manifest;
}

/** Makes the prompt. */
export async function assemble(at: CallContext, wanted: Wanted): Promise<Prompt> {
  return await whenHere(at, (get) => attempt(at, wanted, get));
}

interface Shown {
  readonly entries: readonly (Entry & { readonly kind: PinKind })[];
  readonly lost: readonly string[];
}

/** What the pins say as of a position; only what is there now, too, and may be read now. */
function pinned(at: CallContext, pins: Pins, asOf: number | null, get: Get): Shown {
  const entries: (Entry & { kind: PinKind })[] = [];
  const lost: string[] = [];
  for (const [shown, { kind }] of pins.held) {
    const name = fullName(at.pid, shown);
    const found = seen(at, name, asOf);
    const version = versionOf(found);
    if (!mayRead(at, name)) lost.push(`${shown}: denied`);
    else if (version === undefined || seen(at, name, null).object === undefined) {
      lost.push(`${shown}: absent`);
    } else {
      const { version: number, label, value } = version;
      const text = textOf(get(value));
      const head = headOf(kind, shown, number);
      entries.push({ name, id: found.object!.id, version: number, head, text, label, kind });
    }
  }
  return { entries, lost };
}

function headOf(kind: PinKind, shown: string, version: number): string {
  return `${kind} "${shown}"${version === 1 ? "" : ` (version ${version})`}`;
}

/** What changed since the front of the prompt was made. */
function changes(at: CallContext, given: {
  readonly head: Shown;
  readonly now: Shown;
  readonly pins: Pins;
}): { readonly since: Entry[]; readonly gone: string[] } {
  const before = new Map(given.head.entries.map((entry) => [entry.name, entry]));
  const since = given.now.entries.flatMap((entry) => {
    const old = before.get(entry.name);
    if (old === undefined) return [entry];
    if (old.id === entry.id && old.version === entry.version && old.kind === entry.kind) return [];
    const which = old.version === entry.version ? "what" : `version ${old.version}, which`;
    return [{
      ...entry,
      head: `${entry.head}, supersedes ${which} stands above and no longer holds`,
    }];
  });
  const held = new Set(given.now.entries.map(({ name }) => name));
  const gone = given.head.entries.filter(({ name }) => !held.has(name)).map(({ name, head }) => {
    const by = given.pins.superseded.get(shownName(at.pid, name));
    return by === undefined
      ? `${head} above is no longer pinned.`
      : `${head} above no longer holds: superseded by "${by}".`;
  });
  return { since, gone };
}

/** Requests of the process, and of those below it, that nobody has answered. */
function openRequests(at: CallContext, again: Manifest | undefined): Parts["requests"] {
  const { state } = at.tree;
  const counts = (pid: Pid): boolean => {
    const asker = state.processes[pid];
    if (asker === undefined || !at.tree.lineage(pid).includes(at.pid)) return false;
    return pid === at.pid || !raises(at.process.label, asker.label);
  };
  return Object.values(state.requests)
    .filter(({ id, status, kind, askers }) =>
      again !== undefined
        ? again.requests.includes(id)
        : status === "pending" && kind !== "notice" && askers.some(({ pid }) => counts(pid))
    )
    .sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1))
    .map(({ id, pid, kind, prompt }) => ({
      id,
      text: `${id} of ${pid} (${kind}, not answered yet): ${prompt}`,
    }));
}

function summaryOf(at: CallContext, mark: Compaction | null, given: {
  readonly asOf: number | null;
  readonly get: Get;
}): Entry | null {
  if (mark?.summary == null || !mayRead(at, mark.summary)) return null;
  const found = seen(at, mark.summary, given.asOf);
  const version = versionOf(found);
  if (version === undefined) return null;
  const value = given.get(version.value) as { readonly text?: string } | undefined;
  const { label } = version;
  const text = value?.text ?? "";
  return { name: found.name, id: found.object!.id, version: 1, head: "summary", text, label };
}

function attempt(at: CallContext, wanted: Wanted, get: Get): Prompt {
  const { again } = wanted;
  const asOf = again?.seq ?? null;
  const seq = asOf ?? momentOf(at.tree.state);
  const { context, length } = wanted;
  const talk = conversationOf(at, { context, length, asOf, get });
  const count = counterOf(at, { model: wanted.counting, asOf, get });
  const pins = pinsAt(at, asOf, get);
  const now = pinned(at, pins, asOf, get);
  const head = pinned(at, pinsAt(at, talk.frozen, get), talk.frozen, get);
  const from = talk.mark?.to ?? 0;
  const turns = talk.found === null
    ? []
    : itemsOf(at.tree.state, talk.found.object!, from, talk.to).map(({ value }) => get(value));
  const window = Math.min(wanted.window, wanted.counting?.windowTokens ?? Infinity);
  const planned = plan({
    ...changes(at, { head, now, pins }),
    head: head.entries,
    fresh: now.entries,
    system: wanted.system,
    given: wanted.given,
    summary: summaryOf(at, talk.mark, { asOf, get }),
    turns: turns.filter((turn) => turn !== undefined).map(inOrder) as unknown as ModelMessage[],
    requests: openRequests(at, again),
    model: wanted.model,
    window,
    count,
    tools: wanted.tools.length === 0 ? 0 : count(JSON.stringify(wanted.tools)),
  });
  const shownFrom = from + planned.skipped;
  const found = recall(at, get, { wanted, talk, shownFrom, planned, pins, count });
  const used = { seq, window, shownFrom, to: talk.to, lost: now.lost, from };
  return finish(at, wanted, { planned, recalled: found, count, used });
}

/** Counts the whole once more, and drops what was recalled until it fits. */
function finish(at: CallContext, wanted: Wanted, made: {
  readonly planned: Plan;
  readonly recalled: ReturnType<typeof recall>;
  readonly count: Count;
  readonly used: {
    readonly seq: number;
    readonly window: number;
    readonly shownFrom: number;
    readonly from: number;
    readonly to: number;
    readonly lost: readonly string[];
  };
}): Prompt {
  const { planned, count, used } = made;
  const { window } = used;
  const entries = [...made.recalled.entries];
  const refs = [...made.recalled.refs];
  const left: Record<string, number> = { ...made.recalled.left };
  const tools = wanted.tools.length === 0 ? 0 : count(JSON.stringify(wanted.tools));
  const size = (): number =>
    tools + totalOf(compose({ ...planned.parts, recalled: entries }), count);
  while (size() > window && entries.length > 0) {
    entries.pop();
    refs.pop();
    left["budget"] = (left["budget"] ?? 0) + 1;
  }
  const tokens = size();
  if (tokens > window) {
    const sentence = `Cannot ask model "${wanted.model}": ${tokens} tokens are needed at least`;
    throw new SysError("ELIMIT", `${sentence}, expected ${window}`, { limit: "window" });
  }
  if (used.from > 0) left["summarized"] = used.from;
  if (planned.skipped > 0) left["skipped"] = planned.skipped;
  if (planned.cut > 0) left["cut"] = planned.cut;
  if (planned.summaryLeft) left["summary"] = 1;
  const { parts } = planned;
  const due = planned.due === null ? null : used.from + planned.due;
  return {
    parts: { ...parts, recalled: entries },
    tools: wanted.tools,
    manifest: {
      seq: used.seq,
      window,
      tokens,
      pinned: { head: parts.head.length, since: parts.since.length, tokens: planned.pinned },
      requests: parts.requests.map(({ id }) => id),
      summary: parts.summary === null ? null : shownName(at.pid, parts.summary.name),
      turns: [used.shownFrom, used.to],
      recalled: refs,
      left,
      lost: used.lost,
      ...(due === null ? {} : { compact: due }),
    },
  };
}

/** Everything in a prompt that came from an object of its own. */
function entriesOf({ head, since, recalled, summary }: Parts): Entry[] {
  return [...head, ...since, ...recalled, ...(summary === null ? [] : [summary])];
}

/** Joins the labels of all that is in a prompt into the caller's. */
export function taintWith(at: CallContext, { parts }: Prompt): void {
  for (const { label } of entriesOf(parts)) at.taint(label);
}

/** The messages as they may be sent now: without what was deleted or revoked meanwhile (P2). */
export function current(at: CallContext, prompt: Prompt): {
  readonly messages: readonly ModelMessage[];
  readonly withdrawn: number;
} {
  const { parts } = prompt;
  const gone = new Set(
    entriesOf(parts).filter(({ name }) =>
      !mayRead(at, name) || seen(at, name, null).object === undefined
    ),
  );
  const stays = (entry: Entry): boolean => !gone.has(entry);
  const messages = compose({
    ...parts,
    head: parts.head.filter(stays),
    since: parts.since.filter(stays),
    recalled: parts.recalled.filter(stays),
    summary: parts.summary !== null && stays(parts.summary) ? parts.summary : null,
  });
  return { messages, withdrawn: gone.size };
}
