/**
 * Reading memory for a prompt: conversations, pins and summaries, as of a position of the log.
 *
 * Each look goes through the same authority as any call of the process.
 * @module
 */

import {
  type Compaction,
  type Count,
  estimateTokens,
  foldPins,
  type PinLine,
  type Pins,
} from "../kernel/context.ts";
import { SysError } from "../kernel/errors.ts";
import type { ValueRef } from "../kernel/event.ts";
import type { ObjectId } from "../kernel/ids.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { joinLabels, type Label } from "../kernel/label.ts";
import { LIMITS } from "../kernel/limits.ts";
import { itemsOf, lengthAt } from "../kernel/memory.ts";
import { type Found, lookUp } from "../kernel/names.ts";
import { parseJson } from "../kernel/parse.ts";
import type { ObjectRecord, Version } from "../kernel/state.ts";
import type { Model } from "../kernel/world.ts";
import { judgeCall } from "./authorize.ts";
import type { CallContext } from "./syscall.ts";

/** A model that can say how large prompts may be, or count itself. */
export type CountingModel = Model & {
  /** Counts the tokens of a text. The same text always has the same count. */
  readonly countTokens?: (text: string) => number;
  /** The largest prompt, in tokens. */
  readonly windowTokens?: number;
};

/** Values that are here; a missing one is noted and fetched before the next attempt. */
export type Get = (ref: ValueRef) => Json | undefined;

const PINS = "context/.pins";
const SCALE = "context/.scale";

/** Full name of the list in which a process's pins are kept. */
export function pinsName(pid: string): string {
  return `${pid}/${PINS}`;
}

/** Tries with the values that are in memory, fetches what was missing, and tries again. */
export async function whenHere<T>(at: CallContext, job: (get: Get) => T): Promise<T> {
  const here = new Map<string, Json>();
  for (;;) {
    const missing = new Map<string, ValueRef>();
    const made = job((ref) => {
      const value = at.tree.peek(ref) ?? ("hash" in ref ? here.get(ref.hash) : undefined);
      if (value === undefined && "hash" in ref) missing.set(ref.hash, ref);
      return value;
    });
    if (missing.size === 0) return made;
    await Promise.all([...missing].map(async ([hash, ref]) => {
      here.set(hash, await at.load(ref));
    }));
  }
}

/** Whether the process may read what has a full name, without using anything up. */
export function mayRead(at: CallContext, name: string): boolean {
  const { tree, process, nowMs } = at;
  const args = {
    object: name.startsWith(`${at.pid}/`) ? name.slice(at.pid.length + 1) : `/${name}`,
  };
  const needs = [{ right: "object.read", resource: name }];
  const verdict = judgeCall({
    tree,
    process,
    name: "object.read",
    args,
    needs,
    nowMs,
    label: process.label,
  });
  return verdict.is === "allowed" && verdict.spends.length === 0;
}

/** What a full name meant at a position, unless it was deleted since. */
export function seen(at: CallContext, name: string, asOf: number | null): Found {
  const { state, names } = at.tree;
  const found = lookUp(state, names, name, asOf);
  const { object } = found;
  const isGone = object !== undefined && object.name === name && object.deletedSeq !== null;
  return isGone ? { ...found, object: undefined } : found;
}

/** A version of a value as it was seen; undefined when it is not kept, or a list. */
export function versionOf({ object, asOf }: Found): Version | undefined {
  if (object === undefined || object.list) return undefined;
  return asOf === null
    ? object.versions.at(-1)
    : object.versions.findLast(({ seq }) => seq <= asOf);
}

/** A name as its process writes it. */
export function shownName(pid: string, name: string): string {
  return name.startsWith(`${pid}/`) ? name.slice(pid.length + 1) : `/${name}`;
}

/** A value as text: itself, or as JSON. */
export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : canonical(value ?? null);
}

const ordered = new WeakMap<object, Json>();

/**
 * A value with its keys in canonical order. A value that was just written has them as its writer
 * did, one that was read from the store in canonical order: prompts must not show the difference.
 */
export function inOrder(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  let made = ordered.get(value);
  if (made === undefined) ordered.set(value, made = parseJson(canonical(value)) as Json);
  return made;
}

/** Items of a list as far as they were there, with their positions in the log. */
export function linesOf(
  at: CallContext,
  found: Found,
  get: Get,
): { readonly seq: number; readonly value: Json | undefined }[] {
  const { object } = found;
  if (object === undefined || !object.list) return [];
  return itemsOf(at.tree.state, object, 0, lengthAt(object, found.asOf))
    .map(({ seq, value }) => ({ seq, value: get(value) }));
}

/** How tokens are counted for a process: by the model, or estimated and scaled up. */
export function counterOf(at: CallContext, given: {
  readonly model: CountingModel | undefined;
  readonly asOf: number | null;
  readonly get: Get;
}): Count {
  const { model } = given;
  const count = model?.countTokens?.bind(model) ?? estimateTokens;
  const last = linesOf(at, seen(at, `${at.pid}/${SCALE}`, given.asOf), given.get).at(-1)?.value;
  const percent = typeof last === "number" && last > 100
    ? Math.min(LIMITS.contextScalePercentMax, last)
    : 100;
  return percent === 100 ? count : (text) => Math.ceil(count(text) * percent / 100);
}

/** A conversation as a window sees it. */
export interface Conversation {
  readonly found: Found | null;
  readonly to: number;
  /** The last compaction that counts. */
  readonly mark: Compaction | null;
  /** The position as of which the front of the prompt stands; null for now. */
  readonly frozen: number | null;
  readonly marks: number;
}

/** Looks a conversation up. */
export function conversationOf(at: CallContext, given: {
  readonly context: string | undefined;
  readonly length: number | undefined;
  readonly asOf: number | null;
  readonly get: Get;
}): Conversation {
  const { context, asOf, get } = given;
  if (context === undefined) return { found: null, to: 0, mark: null, frozen: asOf, marks: 0 };
  const now = at.tree.resolve(at.pid, context);
  const found = asOf === null ? now : seen(at, now.name, asOf);
  const { object } = found;
  if (object === undefined) {
    throw new SysError("ENOENT", `Cannot use context "${context}": absent, expected a list`);
  }
  if (!object.list) {
    throw new SysError("EINVAL", `Cannot use context "${context}": no list, expected one`);
  }
  const to = Math.min(given.length ?? Infinity, lengthAt(object, found.asOf));
  const name = `${found.name}/.compactions`;
  const lines = mayRead(at, name) ? linesOf(at, seen(at, name, asOf), get) : [];
  const chain = chainOf(at, object);
  const last = lines.findLast(({ value }) => {
    const line = value as unknown as Compaction | undefined;
    return line !== undefined && chain.has(line.of) && line.to <= to;
  });
  const [first] = itemsOf(at.tree.state, object, 0, 1);
  return {
    found,
    to,
    mark: (last?.value ?? null) as unknown as Compaction | null,
    frozen: last?.seq ?? (to > 0 ? first?.seq : undefined) ?? asOf,
    marks: lines.length,
  };
}

/** A list and those it continues. */
function chainOf(at: CallContext, object: ObjectRecord): Set<ObjectId> {
  const ids = new Set<ObjectId>();
  for (let list: ObjectRecord | undefined = object; list !== undefined && !ids.has(list.id);) {
    ids.add(list.id);
    list = list.prefix === null ? undefined : at.tree.state.objects[list.prefix.object];
  }
  return ids;
}

/** Which objects are pinned at a position. */
export function pinsAt(at: CallContext, asOf: number | null, get: Get): Pins {
  const found = seen(at, pinsName(at.pid), asOf);
  if (!mayRead(at, pinsName(at.pid))) return foldPins([]);
  const lines = linesOf(at, found, get).map(({ value }) => value).filter((line) => line != null);
  return foldPins(lines as unknown as PinLine[]);
}

/** Whether joining `label` into `own` would change it. */
export function raises(own: Label, label: Label): boolean {
  const { sensitivity, trust } = joinLabels(own, label);
  return sensitivity !== own.sensitivity || trust !== own.trust;
}
