/**
 * Objects in messages to models: what a message names is put in where it is sent, and only there,
 * so that conversations and the log hold names and hashes, and no content of media.
 *
 * It reads through the same authority as any call, and looks again right before sending.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { isMediaKind, type Media, mediaText } from "../kernel/media.ts";
import type { Model, ModelMessage, ModelPart } from "../kernel/world.ts";
import { mayRead, seen, versionOf } from "./reading.ts";
import type { CallContext } from "./syscall.ts";

/** What a part turned out to be. */
type Found =
  | { readonly name: string; readonly media: Media }
  | { readonly name: string; readonly text: string }
  | { readonly why: string };

/** What the parts of messages hold, by what names them. */
export type Attached = ReadonlyMap<string, Found>;

/** Whether a model says that it takes a media type. */
export function takes(model: Pick<Model, "takes">, mediaType: string): boolean {
  const top = `${mediaType.slice(0, mediaType.indexOf("/"))}/*`;
  return (model.takes ?? []).some((one) => one === mediaType || one === top || one === "*/*");
}

/** The parts of a message as they stand in memory: whoever wrote it may have written anything. */
function partsOf(message: ModelMessage): readonly ModelPart[] {
  if (message.role !== "user" || !Array.isArray(message.parts)) return [];
  const parts = (message.parts as readonly ModelPart[]).filter((part) =>
    typeof part?.object === "string"
  );
  if (parts.length <= LIMITS.partsPerMessageMax) return parts;
  const found = `${parts.length} objects in one message`;
  const expected = `expected ${LIMITS.partsPerMessageMax} at most`;
  throw new SysError("ELIMIT", `Cannot ask a model: ${found}, ${expected}`, {
    limit: "partsPerMessageMax",
  });
}

function keyOf({ object, version }: ModelPart): string {
  return `${version ?? ""}@${object}`;
}

/** Reads what the messages name, as of a position; what is read joins the caller's label. */
export async function attach(
  at: CallContext,
  messages: readonly ModelMessage[],
  asOf: number | null,
): Promise<Attached> {
  const found = new Map<string, Found>();
  let left: number = LIMITS.modelContextBytesMax;
  for (const part of messages.flatMap(partsOf)) {
    const key = keyOf(part);
    if (found.has(key)) continue;
    const one = await lookAt(at, part, asOf);
    found.set(key, one);
    left -= "media" in one ? one.media.base64.length : 0;
    if (left < 0) {
      const limit = LIMITS.modelContextBytesMax;
      const sentence = `Cannot ask a model: its objects have more than ${limit} bytes`;
      throw new SysError("ELIMIT", `${sentence}, expected less`, { limit: "modelContextBytesMax" });
    }
  }
  return found;
}

async function lookAt(at: CallContext, part: ModelPart, asOf: number | null): Promise<Found> {
  let name: string;
  try {
    ({ name } = at.tree.resolve(at.pid, part.object));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { why: "no name of an object" };
  }
  // Authority before existence: what may not be read and what is not there say the same.
  if (!mayRead(at, name)) return { why: "absent, or not to be read" };
  const there = seen(at, name, asOf);
  const version = part.version === undefined
    ? versionOf(there)
    : there.object?.versions.find((one) => one.version === part.version);
  if (there.object === undefined || version === undefined) {
    return { why: "absent, or not to be read" };
  }
  const value = await at.load(version.value);
  at.taint(version.label);
  if (isMediaKind(there.object.type)) return { name, media: value as unknown as Media };
  return { name, text: asText(value) };
}

function asText(value: Json): string {
  const text = typeof value === "string" ? value : canonical(value);
  const most = LIMITS.toolResultBytesMax;
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()} [cut]`;
}

/** Messages as a model is sent them: with the media that it takes, and words for the others. */
export function withParts(
  at: CallContext,
  messages: readonly ModelMessage[],
  given: {
    readonly attached: Attached;
    readonly model: Pick<Model, "id" | "takes">;
    readonly unsupported: "say" | "refuse";
  },
): readonly ModelMessage[] {
  return messages.map((message) => {
    if (message.role !== "user" || message.parts === undefined) return message;
    const shown: ModelPart[] = [];
    const words: string[] = [];
    for (const part of partsOf(message)) {
      const said = show(at, part, given);
      if (typeof said === "string") words.push(said);
      else shown.push(said);
    }
    const text = [message.text, ...words].filter((one) => one !== "").join("\n\n");
    return { role: "user", text, ...(shown.length === 0 ? {} : { parts: shown }) };
  });
}

/** A part that the model is shown, or what it is told in its place. */
function show(at: CallContext, part: ModelPart, given: {
  readonly attached: Attached;
  readonly model: Pick<Model, "id" | "takes">;
  readonly unsupported: "say" | "refuse";
}): ModelPart | string {
  const { attached, model, unsupported } = given;
  const found = attached.get(keyOf(part)) ?? { why: "absent, or not to be read" };
  if ("why" in found) return `[Object "${part.object}": ${found.why}]`;
  const isGone = !mayRead(at, found.name) || seen(at, found.name, null).object === undefined;
  if (isGone) return `[Object "${part.object}": absent, or not to be read]`;
  if ("text" in found) return `[Object "${part.object}"]\n${found.text}`;
  const { media } = found;
  if (takes(model, media.mediaType)) return { object: part.object, media };
  if (unsupported === "refuse") {
    const expected = `expected one that does, or no "unsupported"`;
    const sentence = `Cannot ask model "${model.id}": it takes no ${media.mediaType}`;
    throw new SysError("EINVAL", `${sentence}, ${expected}`, { object: part.object });
  }
  return `[Object "${part.object}" (${mediaText(media)}): this model takes no ${media.mediaType}]`;
}
