/**
 * Context: what a prompt is made of, under a budget of tokens. Pure: the same material and budget
 * give the same messages.
 *
 * A prompt is, in this order: instructions; what is pinned, as of the last compaction; the summary
 * of older turns; turns; and a last message with what changed since, open requests, and what was
 * recalled. All before that last message stays the same from call to call until a compaction.
 *
 * Invariants:
 *   W1. Everything pinned is in every prompt, word for word, or the prompt is refused.
 *   W2. No prompt has more tokens than its window, as they are counted here.
 *   W3. A turn that calls tools and the results of its calls stand together or not at all.
 * @module
 */

import { SysError } from "./errors.ts";
import { canonical, type Json } from "./json.ts";
import type { Label } from "./label.ts";
import type { ObjectId, RequestId } from "./ids.ts";
import type { ModelMessage } from "./world.ts";

/** Why an object is pinned. */
export const PIN_KINDS = ["goal", "constraint", "decision", "negative", "fact"] as const;
/** Why an object is pinned. */
export type PinKind = typeof PIN_KINDS[number];

/** A line of the list in which a process's pins are kept. Names are as the process writes them. */
export type PinLine =
  | {
    readonly pin: string;
    readonly id: ObjectId;
    readonly kind: PinKind;
    readonly supersedes?: string;
  }
  | { readonly unpin: string };

/** What is pinned, and by what those that no longer hold were superseded. */
export interface Pins {
  readonly held: ReadonlyMap<string, { readonly id: ObjectId; readonly kind: PinKind }>;
  readonly superseded: ReadonlyMap<string, string>;
}

/** What the lines come to: the last word on each name counts. */
export function foldPins(lines: readonly PinLine[]): Pins {
  const held = new Map<string, { id: ObjectId; kind: PinKind }>();
  const superseded = new Map<string, string>();
  for (const line of lines) {
    if ("unpin" in line) {
      held.delete(line.unpin);
      continue;
    }
    held.set(line.pin, { id: line.id, kind: line.kind });
    superseded.delete(line.pin);
    if (line.supersedes === undefined || line.supersedes === line.pin) continue;
    held.delete(line.supersedes);
    superseded.set(line.supersedes, line.pin);
  }
  return { held, superseded };
}

/** How far a conversation was compacted: a line of the list beside it. */
export interface Compaction {
  /** The conversation it is about: a later one of the same name is another. */
  readonly of: ObjectId;
  /** Turns before this position are summarized. */
  readonly to: number;
  /** Full name of the summary. */
  readonly summary: string | null;
}

/** Something that an object says in a prompt. */
export interface Entry {
  /** Its object's full name. */
  readonly name: string;
  readonly id: ObjectId;
  readonly version: number;
  /** How it is headed: `constraint "limits" (version 2)`. */
  readonly head: string;
  readonly text: string;
  readonly label: Label;
}

/** How many tokens a text has. */
export type Count = (text: string) => number;

/** Parts of a prompt, in order. */
export interface Parts {
  readonly system: readonly ModelMessage[];
  readonly head: readonly Entry[];
  readonly summary: Entry | null;
  readonly turns: readonly ModelMessage[];
  readonly since: readonly Entry[];
  /** Sentences on what the head says and no longer holds. */
  readonly gone: readonly string[];
  readonly requests: readonly { readonly id: RequestId; readonly text: string }[];
  readonly recalled: readonly Entry[];
  /** What the caller adds itself. */
  readonly given: readonly ModelMessage[];
}

const MESSAGE_TOKENS = 4;
const HEAD = "[Pinned: this holds over anything else that is said.]";
const SUMMARY = "[Summary of the turns before, which are no longer shown.]";
const TAIL = "[Added by the kernel, as of now; nobody said this.]";

/** A stated estimate, on the safe side for ordinary text: one token for every three bytes. */
export function estimateTokens(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Half of a pair is two bytes of four.
    bytes += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 2 : 3;
  }
  return Math.ceil(bytes / 3);
}

/** A stated estimate of what an image or a sound costs: what a large picture does. */
const PART_TOKENS = 1_600;

/** Tokens of a message, with what surrounds it. */
export function tokensOf(message: ModelMessage, count: Count): number {
  if (message.role === "tool") {
    return MESSAGE_TOKENS + count(`${message.id}${message.name}${canonical(message.output)}`);
  }
  const calls = message.role === "assistant" ? message.calls ?? [] : [];
  const parts = message.role === "user" ? message.parts?.length ?? 0 : 0;
  const text = count(message.text ?? "") + parts * PART_TOKENS;
  return calls.reduce((sum, call) => sum + count(canonical(call)) + 1, MESSAGE_TOKENS + text);
}

/** Tokens of messages. */
export function totalOf(messages: readonly ModelMessage[], count: Count): number {
  return messages.reduce((sum, message) => sum + tokensOf(message, count), 0);
}

/** The messages of a prompt. */
export function compose(parts: Parts): ModelMessage[] {
  const { system, head, summary, turns, given } = parts;
  const tail = tailOf(parts);
  return [
    ...system,
    ...(head.length === 0 ? [] : [said(headOf(head))]),
    ...(summary === null ? [] : [said(`${SUMMARY}\n${summary.text}`)]),
    ...turns,
    ...(tail.length === 0 ? [] : [said([TAIL, ...tail].join("\n\n"))]),
    ...given,
  ];
}

function said(text: string): ModelMessage {
  return { role: "user", text };
}

/** A goal alone is said as it is. */
function headOf(head: readonly Entry[]): string {
  const [only] = head;
  if (head.length === 1 && only!.head.startsWith("goal ") && only!.version === 1) return only!.text;
  return [HEAD, ...head.map(written)].join("\n\n");
}

function written({ head, text }: Entry): string {
  return `${head}:\n${text}`;
}

function tailOf({ since, gone, requests, recalled }: Parts): string[] {
  const pinned = [...since.map(written), ...gone];
  return [
    ...(pinned.length === 0 ? [] : ["Pinned since; this holds over what stands above.", ...pinned]),
    ...(requests.length === 0
      ? []
      : ["Open requests to people:", ...requests.map(({ text }) => text)]),
    ...(recalled.length === 0
      ? []
      : ["Recalled from memory; it may be out of date.", ...recalled.map(written)]),
  ];
}

/** Turns that stand or fall together: from (inclusive) to (exclusive) (W3). */
export interface Group {
  readonly from: number;
  readonly to: number;
}

/** Groups of a conversation; results without their call are in none. */
export function groupsOf(turns: readonly ModelMessage[]): Group[] {
  const groups: { from: number; to: number }[] = [];
  const open = new Set<string>();
  for (const [i, turn] of turns.entries()) {
    const last = groups.at(-1);
    const answers = turn.role === "tool" && last !== undefined && last.to === i &&
      turns[last.from]!.role === "assistant";
    if (answers || (turn.role !== "assistant" && open.size > 0 && last !== undefined)) {
      if (turn.role === "tool") open.delete(turn.id);
      last!.to = i + 1;
      continue;
    }
    if (turn.role === "tool") continue;
    open.clear();
    if (turn.role === "assistant") { for (const { id } of turn.calls ?? []) open.add(id); }
    groups.push({ from: i, to: i + 1 });
  }
  return groups;
}

/** A message of at most `max` tokens: what is too long is cut in its middle, and says so. */
export function shorten(message: ModelMessage, max: number, count: Count): ModelMessage {
  if (tokensOf(message, count) <= max) return message;
  if (message.role === "user" && (message.parts?.length ?? 0) > 0) {
    const names = message.parts!.map(({ object }) => `"${object}"`).join(", ");
    const text = `${message.text}\n[No room to show: ${names}]`;
    return shorten({ role: "user", text }, max, count);
  }
  let low = 0;
  let high = canonical(message as unknown as Json).length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (tokensOf(clipped(message, middle), count) <= max) low = middle;
    else high = middle - 1;
  }
  return clipped(message, low);
}

function clipped(message: ModelMessage, kept: number): ModelMessage {
  if (message.role === "tool") return { ...message, output: clipValue(message.output, kept) };
  const text = clip(message.text ?? "", kept);
  if (message.role !== "assistant") return { ...message, text };
  const calls = message.calls.map((call) => ({
    ...call,
    ...(call.input === undefined ? {} : { input: clipValue(call.input, kept) }),
    ...(call.raw === undefined ? {} : { raw: clip(call.raw, kept) }),
  }));
  return { ...message, text, calls };
}

function clipValue(value: Json, kept: number): Json {
  const text = typeof value === "string" ? value : canonical(value);
  if (text.length <= kept) return value;
  return { truncated: true, characters: text.length, text: clip(text, kept) };
}

/** A text of `kept` characters of it, two thirds from its beginning, and a mark between. */
export function clip(text: string, kept: number): string {
  if (text.length <= kept) return text;
  const front = Math.ceil(kept * 2 / 3);
  const mark = `[… ${text.length - kept} of ${text.length} characters are not shown …]`;
  const back = text.slice(text.length - (kept - front));
  return `${text.slice(0, front).toWellFormed()}${mark}${back.toWellFormed()}`;
}

/** What is planned from. */
export interface Material extends Omit<Parts, "recalled"> {
  /** What is pinned, as it is now: takes the place of `head` where that has no room. */
  readonly fresh: readonly Entry[];
  readonly model: string;
  readonly window: number;
  readonly count: Count;
  /** Tokens of the tools. */
  readonly tools: number;
}

/** A plan: all parts but what is recalled. */
export interface Plan {
  readonly parts: Omit<Parts, "recalled">;
  /** How many of the given turns are not shown. */
  readonly skipped: number;
  /** How many messages were cut. */
  readonly cut: number;
  readonly pinned: number;
  /** Tokens that are left for what is recalled. */
  readonly room: number;
  readonly summaryLeft: boolean;
  /** Where the next compaction would cut, when it is time for one. */
  readonly due: number | null;
}

/** Fits turns and summary around what is pinned (W1, W2, W3). */
export function plan(material: Material): Plan {
  const { window, count, turns } = material;
  const { parts, used, pinned } = frame(material);
  const groups = groupsOf(turns);
  const lastGroup = groups.at(-1);
  const least = lastGroup === undefined ? 0 : 16 * (lastGroup.to - lastGroup.from);
  if (used + least > window) throw overfull(material, used, pinned);
  const free = window - used;
  let cut = 0;
  const shown = groups.map(({ from, to }, i) => {
    const quarter = Math.floor(window / 4);
    const most = Math.floor(
      (i === groups.length - 1 ? Math.min(quarter, free) : quarter) / (to - from),
    );
    const messages = turns.slice(from, to).map((turn) => shorten(turn, most, count));
    cut += messages.filter((message, k) => message !== turns[from + k]).length;
    return { from, to, messages, tokens: totalOf(messages, count) };
  });
  const newest = shown.at(-1)?.tokens ?? 0;
  if (newest > free) throw overfull(material, used, pinned);
  const summary = material.summary === null ? 0 : totalOf(compose(onlySummary(material)), count);
  const keeps = material.summary !== null && summary + newest <= free;
  const room = free - (keeps ? summary : 0);
  const sizes = shown.map(({ tokens }) => tokens);
  const from = cutAt(sizes, room, Math.max(1, Math.floor(window / 8)));
  const kept = shown.slice(from);
  const rest = room - kept.reduce((sum, { tokens }) => sum + tokens, 0);
  const held = (keeps ? summary : 0) + sizes.reduce((sum, size) => sum + size, 0);
  return {
    parts: {
      ...parts,
      summary: keeps ? material.summary : null,
      turns: kept.flatMap(({ messages }) => messages),
    },
    skipped: kept[0]?.from ?? turns.length,
    cut,
    pinned,
    room: rest,
    summaryLeft: material.summary !== null && !keeps,
    due: held > 0.6 * free ? dueAt(shown, 0.25 * free) : null,
  };
}

/** The parts that are there in any case, and what they take. */
function frame(material: Material): {
  readonly parts: Omit<Parts, "recalled">;
  readonly used: number;
  readonly pinned: number;
} {
  const { system, given, head, since, gone, requests, fresh, window, count, tools } = material;
  const base = { system, given, summary: null, turns: [], recalled: [], requests };
  const bare = totalOf(compose({ ...base, head: [], since: [], gone: [], requests: [] }), count);
  for (const tried of [{ head, since, gone }, { head: fresh, since: [], gone: [] }]) {
    const parts = { ...base, ...tried };
    const used = tools + totalOf(compose(parts), count);
    const isLast = tried.head === fresh || since.length + gone.length === 0;
    if (used <= window || isLast) return { parts, used, pinned: used - bare - tools };
  }
  throw new Error("unreachable");
}

function onlySummary({ summary }: Material): Parts {
  return {
    system: [],
    head: [],
    summary,
    turns: [],
    since: [],
    gone: [],
    requests: [],
    recalled: [],
    given: [],
  };
}

/**
 * From which group on they have room. It moves in strides, so that the prompt's front stays the
 * same for many turns even where nobody compacts.
 */
function cutAt(sizes: readonly number[], room: number, stride: number): number {
  let left = sizes.reduce((sum, size) => sum + size, 0);
  let before = 0;
  let mark = 0;
  for (const [i, size] of sizes.entries()) {
    if (before >= mark) {
      if (left <= room) return i;
      mark = (Math.floor(before / stride) + 1) * stride;
    }
    before += size;
    left -= size;
  }
  return Math.max(0, sizes.length - 1);
}

/** Before which turn to cut, so that at most `keep` tokens stay; null when nothing would go. */
function dueAt(
  shown: readonly { readonly from: number; readonly tokens: number }[],
  keep: number,
): number | null {
  let kept = 0;
  for (let i = shown.length - 1; i > 0; i--) {
    kept += shown[i]!.tokens;
    if (kept + shown[i - 1]!.tokens > keep) return shown[i]!.from;
  }
  return null;
}

function overfull(material: Material, used: number, pinned: number): SysError {
  const { model, window, tools } = material;
  const rest = used - pinned - tools;
  const sentence = `Cannot ask model "${model}": what is pinned takes ${pinned} tokens, tools ` +
    `${tools} and instructions ${rest}, which leaves no room in a window of ${window}`;
  const expected = "expected less pinned (context.unpin), fewer tools or a larger window";
  return new SysError("ELIMIT", `${sentence}, ${expected}`, { limit: "window", pinned, tools });
}
