/**
 * Context: what stays in every prompt, and how a conversation is made shorter.
 *
 * All of it lies in the process's own Object Memory and is reached through the rights on that.
 * Names with a part that begins with a dot are the kernel's: `context/.pins` has the pins,
 * `⟨conversation⟩/.compactions` how far it was compacted, `⟨conversation⟩/.summaries/n` by what.
 *
 * Invariants:
 *   K1. A compaction deletes nothing: turns stay where they are, and can be recalled.
 *   K2. A summary carries the labels of all that it was made from, and links to it.
 *   K3. A compaction is one commit: after a crash it was made or was not.
 * @module
 */

import { z } from "zod";
import {
  type Compaction,
  compose,
  type Count,
  type Group,
  groupsOf,
  PIN_KINDS,
  type PinLine,
  tokensOf,
} from "../../kernel/context.ts";
import { digest } from "../../kernel/digest.ts";
import { SysError } from "../../kernel/errors.ts";
import type { ObjectId } from "../../kernel/ids.ts";
import type { Json } from "../../kernel/json.ts";
import { joinLabels, type Label } from "../../kernel/label.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { isMediaKind } from "../../kernel/media.ts";
import {
  append,
  create,
  existing,
  itemsOf,
  lengthAt,
  link,
  type Writing,
} from "../../kernel/memory.ts";
import type { ModelMessage } from "../../kernel/world.ts";
import { assemble, taintWith } from "../assemble.ts";
import {
  type Conversation,
  conversationOf,
  counterOf,
  type Get,
  mayRead,
  pinsAt,
  pinsName,
  seen,
  shownName,
  versionOf,
  whenHere,
} from "../reading.ts";
import { turnText } from "../recall.ts";
import { jsonShape, objectShape } from "../shapes.ts";
import {
  type CallContext,
  type DecideContext,
  type Need,
  type NeedContext,
  syscall,
} from "../syscall.ts";
import { contextNeeds, windowArgs } from "../window.ts";
import { systemOf, toolsOf } from "./model.ts";

function onPins({ process }: NeedContext): Need[] {
  const resource = pinsName(process.pid);
  return ["object.read", "object.create", "object.append"].map((right) => ({ right, resource }));
}

function on(right: string, ref: string, { tree, process }: NeedContext): Need {
  return { right, resource: tree.resolve(process.pid, ref).name, shown: ref };
}

/** Everything below a name. */
const ALL = "**";

/** Calls on what prompts are made of. */
export const contextCalls = {
  "context.pin": syscall({
    about: "Keep an object's newest value, word for word, in every prompt that has a window",
    effect: "mutate",
    args: z.strictObject({
      object: objectShape,
      kind: z.enum(PIN_KINDS).describe("negative: what is not so, or must not be done"),
      supersedes: objectShape.optional().describe("A pinned object which no longer holds"),
    }),
    reply: z.strictObject({ pins: z.number() }),
    needs: ({ object, supersedes }, at) => [
      on("object.read", object, at),
      ...(supersedes === undefined ? [] : [on("object.link", object, at)]),
      ...onPins(at),
    ],
    prepare: (at) => heldPins(at),
    run(at, { object: ref, kind, supersedes }, held) {
      const found = at.tree.resolve(at.pid, ref);
      const object = existing(found, "pin");
      const refused = `Cannot pin object "${ref}"`;
      if (object.list) throw new SysError("EINVAL", `${refused}: a list, expected a value`);
      if (isMediaKind(object.type)) {
        const expected = "expected words; name it in a message to show it";
        throw new SysError("EINVAL", `${refused}: ${object.type}, ${expected}`);
      }
      const name = shownName(at.pid, found.name);
      if (!held.has(name) && held.size >= LIMITS.contextPinsMax) {
        throw new SysError("ELIMIT", `${refused}: ${held.size} are pinned, expected fewer`, {
          limit: "contextPinsMax",
        });
      }
      const old = supersedes === undefined ? undefined : at.tree.resolve(at.pid, supersedes);
      if (old !== undefined && old.name !== found.name && old.object !== undefined) {
        link(at.draft, writing(at), { found, relation: "supersedes", to: old });
      }
      at.taint(object.label);
      const line: PinLine = {
        pin: name,
        id: object.id,
        kind,
        ...(old === undefined ? {} : { supersedes: shownName(at.pid, old.name) }),
      };
      addLine(at, pinsName(at.pid), line as unknown as Json, writing(at));
      const without = old !== undefined && held.has(shownName(at.pid, old.name)) ? 1 : 0;
      return { pins: held.size + (held.has(name) ? 0 : 1) - without };
    },
  }),
  "context.unpin": syscall({
    about: "Let an object that was pinned leave the prompts",
    effect: "mutate",
    args: z.strictObject({ object: objectShape }),
    reply: z.strictObject({ pins: z.number() }),
    needs: (_args, at) => onPins(at),
    prepare: (at) => heldPins(at),
    run(at, { object: ref }, held) {
      const name = shownName(at.pid, at.tree.resolve(at.pid, ref).name);
      if (!held.has(name)) {
        const expected = "expected one of context.inspect";
        throw new SysError("ENOENT", `Cannot unpin object "${ref}": not pinned, ${expected}`);
      }
      addLine(at, pinsName(at.pid), { unpin: name }, writing(at));
      return { pins: held.size - 1 };
    },
  }),
  "context.inspect": syscall({
    about: "Tell what the next prompt would be made of, without asking a model",
    effect: "observe",
    args: z.strictObject({
      model: z.string().min(1).max(256).default("none").describe("Whose way of counting is used"),
      context: objectShape.optional(),
      length: z.number().int().min(0).optional(),
      ...windowArgs,
      window: windowArgs.window.unwrap().default(LIMITS.contextWindowTokensDefault),
      instructions: z.boolean().default(false),
      tools: z.boolean().default(false),
      messages: z.boolean().default(false).describe("Whether the messages are shown themselves"),
    }),
    reply: z.strictObject({
      manifest: z.looseObject({ tokens: z.number() }),
      pins: z.array(z.looseObject({ object: z.string(), kind: z.string() })),
      messages: z.array(jsonShape).optional(),
    }),
    needs: ({ context }, at) => contextNeeds(context, at),
    async run(at, args) {
      const prompt = await assemble(at, {
        ...args,
        context: args.context,
        length: args.length,
        query: args.query,
        system: systemOf(at, args.instructions),
        given: [],
        tools: args.tools ? toolsOf(at) : [],
        counting: at.world.model(args.model),
      });
      taintWith(at, prompt);
      const held = await whenHere(at, (get) => pinsAt(at, null, get).held);
      return {
        manifest: prompt.manifest,
        pins: [...held].map(([object, { kind }]) => ({ object, kind })),
        ...(args.messages ? { messages: compose(prompt.parts) } : {}),
      };
    },
  }),
  "context.compact": syscall({
    about: "Let a summary stand for the older turns of a conversation, in prompts with a window",
    effect: "mutate",
    args: z.strictObject({
      context: objectShape.default("context"),
      to: z.number().int().min(0).optional().describe("One past the last turn to summarize"),
      summary: z.string().max(262_144).optional().describe("Sentences are picked when absent"),
      window: windowArgs.window.unwrap().default(LIMITS.contextWindowTokensDefault),
      model: z.string().min(1).max(256).default("none").describe("Whose way of counting is used"),
    }),
    reply: z.strictObject({
      summary: z.string().nullable(),
      from: z.number(),
      to: z.number(),
      tokens: z.number(),
    }),
    needs({ context }, at) {
      const { name } = at.tree.resolve(at.process.pid, context);
      return [
        { right: "object.read", resource: name, shown: context },
        { right: "object.read", resource: `${name}/.summaries/${ALL}`, shown: `${context}/${ALL}` },
        {
          right: "object.create",
          resource: `${name}/.summaries/${ALL}`,
          shown: `${context}/${ALL}`,
        },
        { right: "object.create", resource: `${name}/.compactions`, shown: `${context}/${ALL}` },
        { right: "object.append", resource: `${name}/.compactions`, shown: `${context}/${ALL}` },
      ];
    },
    prepare: (at, args) => whenHere(at, (get) => compaction(at, args, get)),
    run: (at, args, made) => compact(at, args.context, made),
  }),
};

function writing(at: CallContext, given: {
  readonly sources?: readonly string[];
  readonly label?: Label;
} = {}): Writing {
  const { sources = [], label = null } = given;
  return { process: at.process, call: at.call, sources, label };
}

async function heldPins(at: CallContext): Promise<ReadonlySet<string>> {
  return await whenHere(at, (get) => new Set(pinsAt(at, null, get).held.keys()));
}

/** Adds a line to a list of the kernel's, which is made with its first line. */
function addLine(at: DecideContext, name: string, line: Json, how: Writing): void {
  const found = at.tree.lookUp(name);
  if (found.object !== undefined) {
    append(at.draft, how, { found, item: line });
    return;
  }
  const made = create(at.draft, how, { name, type: "json", mutable: false, list: true });
  const item = at.draft.value(line, LIMITS.objectBytesMax, "the line");
  const label = how.label === null ? at.process.label : joinLabels(at.process.label, how.label);
  const from = { pid: at.pid, call: at.call, sources: how.sources };
  at.draft.add("object.appended", { id: made.object, version: 1, item, label, from });
}

/** A compaction that was worked out. */
interface Made {
  readonly marks: number;
  readonly from: number;
  readonly to: number;
  readonly tokens: number;
  /** null when nothing is summarized that was not before. */
  readonly text: string | null;
  readonly before: string | null;
  readonly label: Label;
}

function compaction(at: CallContext, args: {
  readonly context: string;
  readonly to?: number | undefined;
  readonly summary?: string | undefined;
  readonly window: number;
  readonly model: string;
}, get: Get): Made {
  const asOf = null;
  const model = at.world.model(args.model);
  const talk = conversationOf(at, { context: args.context, length: undefined, asOf, get });
  const count = counterOf(at, { model, asOf, get });
  const from = talk.mark?.to ?? 0;
  const object = talk.found!.object!;
  const items = itemsOf(at.tree.state, object, from, talk.to).map(({ value }) => get(value));
  const turns = items.filter((turn) => turn !== undefined) as unknown as ModelMessage[];
  const groups = groupsOf(turns);
  const wanted = args.to === undefined
    ? keepingQuarter(turns, groups, args.window, count)
    : groups.findLast((group) => group.from <= args.to! - from)?.from ?? 0;
  const isAll = args.to !== undefined && args.to - from >= turns.length;
  const to = from + (isAll ? turns.length : wanted);
  const before = previous(at, talk, get);
  const most = Math.max(16, Math.floor(args.window / 8));
  const label = before === null ? object.label : joinLabels(object.label, before.label);
  const base = { marks: talk.marks, from, to, before: before?.name ?? null, label };
  if (to === from) return { ...base, text: null, tokens: before === null ? 0 : count(before.text) };
  const said = [
    ...(before === null ? [] : [{ by: "before", text: before.text }]),
    ...turns.slice(0, to - from)
      .map((turn, i) => ({ by: `turn ${from + i}, ${turn.role}`, text: turnText(turn) })),
  ];
  const text = bounded(args.summary?.trim() || digest(said, most, count), most, count);
  return { ...base, text, tokens: count(text) };
}

/** Before which turn to cut so that a quarter of a window stays. */
function keepingQuarter(
  turns: readonly ModelMessage[],
  groups: readonly Group[],
  window: number,
  count: Count,
): number {
  let kept = 0;
  for (const { from, to } of groups.toReversed()) {
    kept += turns.slice(from, to).reduce((sum, turn) => sum + tokensOf(turn, count), 0);
    if (kept > window / 4) return groups.find((group) => group.from >= to)?.from ?? from;
  }
  return 0;
}

function previous(at: CallContext, { mark }: Conversation, get: Get): {
  readonly name: string;
  readonly text: string;
  readonly label: Label;
} | null {
  if (mark?.summary == null || !mayRead(at, mark.summary)) return null;
  const version = versionOf(seen(at, mark.summary, null));
  if (version === undefined) return null;
  const value = get(version.value) as { readonly text?: string } | undefined;
  return { name: mark.summary, text: value?.text ?? "", label: version.label };
}

/** The beginning of a text, as far as it fits. */
function bounded(text: string, most: number, count: Count): string {
  let kept = text;
  while (count(kept) > most) kept = kept.slice(0, Math.floor(kept.length * 0.9)).toWellFormed();
  return kept;
}

/** Decides a compaction: the summary, its links, and the line that makes it count (K3). */
function compact(at: DecideContext, context: string, made: Made): {
  readonly summary: string | null;
  readonly from: number;
  readonly to: number;
  readonly tokens: number;
} {
  const found = at.tree.resolve(at.pid, context);
  const object = existing(found, "compact");
  const marks = at.tree.lookUp(`${found.name}/.compactions`);
  const count = marks.object === undefined ? 0 : lengthAt(marks.object, marks.asOf);
  const { from, to, tokens, label, before } = made;
  if (count !== made.marks) {
    const sentence = `Cannot compact context "${context}": it was compacted meanwhile`;
    throw new SysError("ESTALE", `${sentence}, expected another try`);
  }
  const sources = [`${object.id}@${to}`, ...(before === null ? [] : [before])];
  const how = writing(at, { sources, label });
  let summary = before;
  if (made.text !== null) {
    summary = `${found.name}/.summaries/${count + 1}`;
    const value = { from, to, text: made.text };
    const { object: id } = create(at.draft, how, {
      name: summary,
      type: "json",
      mutable: false,
      list: false,
      value,
    });
    const old = before === null ? undefined : at.tree.lookUp(before).object;
    for (const replaced of [object.id, ...(old === undefined ? [] : [old.id])]) {
      linkTo(at, { id, to: replaced, how });
    }
  }
  const line: Compaction = { of: object.id, to, summary };
  addLine(at, `${found.name}/.compactions`, line as unknown as Json, how);
  at.taint(label);
  return { summary: summary === null ? null : shownName(at.pid, summary), from, to, tokens };
}

function linkTo(at: DecideContext, given: {
  readonly id: ObjectId;
  readonly to: ObjectId;
  readonly how: Writing;
}): void {
  const { id, to, how } = given;
  const from = { pid: at.pid, call: at.call, sources: how.sources };
  at.draft.add("object.linked", { id, relation: "summarizes", to, from });
}
