/**
 * Media: images, sound, video and documents as values, and what their bytes say of themselves.
 *
 * Pure, and bounded by the bytes given: headers are read, nothing is decoded.
 *
 * Invariants:
 *   V1. What a value says of itself is what its bytes say: type, size, duration, length, hash.
 *   V2. Bytes whose header is not known are no media, whatever a name or a caller calls them.
 * @module
 */

import { SysError } from "./errors.ts";
import { type Json, type JsonObject, sha256 } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { soundOf } from "./media_sound.ts";

/** What the header of media says. */
export interface MediaFacts {
  /** Like `image/png`. */
  readonly mediaType: string;
  /** In pixels. */
  readonly width?: number;
  /** In pixels. */
  readonly height?: number;
  /** In milliseconds, where the header says it. */
  readonly durationMs?: number;
}

/** Media as a value of an object. */
export interface Media extends MediaFacts {
  /** The content. */
  readonly base64: string;
  /** How many bytes the content has. */
  readonly bytes: number;
  /** SHA-256 of the content, in hex. */
  readonly sha256: string;
}

/** The types of objects that hold media. */
export const MEDIA_KINDS = ["image", "audio", "video", "document"] as const;
/** A type of objects that hold media. */
export type MediaKind = typeof MEDIA_KINDS[number];

/** Whether a type of objects holds media. */
export function isMediaKind(type: string): type is MediaKind {
  return (MEDIA_KINDS as readonly string[]).includes(type);
}

/** The type of objects that a media type belongs in. */
export function kindOf(mediaType: string): MediaKind {
  const top = mediaType.slice(0, mediaType.indexOf("/"));
  return isMediaKind(top) ? top : "document";
}

/** What the bytes are; undefined for what has no header that is known here (V2). */
export function factsOf(bytes: Uint8Array): MediaFacts | undefined {
  return pngOf(bytes) ?? gifOf(bytes) ?? jpegOf(bytes) ?? webpOf(bytes) ?? pdfOf(bytes) ??
    soundOf(bytes);
}

/** The value of bytes; undefined for what has no header that is known here. */
export function mediaOf(bytes: Uint8Array): Media | undefined {
  const facts = factsOf(bytes);
  if (facts === undefined) return undefined;
  if (bytes.length > LIMITS.mediaBytesMax) {
    const sentence = `Cannot keep ${facts.mediaType}: ${bytes.length} bytes`;
    throw new SysError("ELIMIT", `${sentence}, expected ${LIMITS.mediaBytesMax} at most`, {
      limit: "mediaBytesMax",
    });
  }
  return { ...facts, base64: bytes.toBase64(), bytes: bytes.length, sha256: sha256(bytes) };
}

/** What is wrong with a value of one of the media types, or null (V1). */
export function wrongMedia(kind: MediaKind, value: Json): string | null {
  const given = value as unknown as Media;
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(given.base64);
  } catch {
    return 'its "base64" is none';
  }
  const made = mediaOf(bytes);
  if (made === undefined) return "its bytes have no header that is known";
  if (kindOf(made.mediaType) !== kind) return `its bytes are ${made.mediaType}`;
  for (const name of ["mediaType", "bytes", "sha256", "width", "height", "durationMs"] as const) {
    if (given[name] === made[name]) continue;
    return `its "${name}" is ${JSON.stringify(given[name])}, its bytes say ${made[name]}`;
  }
  return null;
}

/** Media in words: `image/png, 3×2, 68 bytes`. */
export function mediaText(media: Omit<Media, "base64">): string {
  const { mediaType, width, height, durationMs, bytes } = media;
  return [
    mediaType,
    ...(width === undefined ? [] : [`${width}×${height}`]),
    ...(durationMs === undefined ? [] : [`${durationMs} ms`]),
    `${bytes} bytes`,
  ].join(", ");
}

const count: JsonObject = { type: "integer", minimum: 0 };

/** The schemas of the media types, and of sequences of actions. */
export const MEDIA_TYPES: { readonly [name: string]: JsonObject } = {
  ...Object.fromEntries(MEDIA_KINDS.map((kind) => [kind, {
    type: "object",
    required: ["mediaType", "base64", "bytes", "sha256"],
    additionalProperties: false,
    properties: {
      mediaType: { type: "string" },
      base64: { type: "string" },
      bytes: count,
      sha256: { type: "string" },
      width: count,
      height: count,
      durationMs: count,
    },
  }])),
  actions: {
    type: "object",
    required: ["actions"],
    additionalProperties: false,
    properties: {
      actions: {
        type: "array",
        items: {
          type: "object",
          required: ["action"],
          additionalProperties: false,
          properties: { action: { type: "string", minLength: 1 }, args: {}, atMs: count },
        },
      },
      durationMs: count,
    },
  },
};

/** ASCII at a place. */
export function ascii(bytes: Uint8Array, from: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(from, from + length));
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function picture(mediaType: string, width: number, height: number): MediaFacts | undefined {
  return width > 0 && height > 0 ? { mediaType, width, height } : undefined;
}

function pngOf(bytes: Uint8Array): MediaFacts | undefined {
  if (bytes.length < 33 || ascii(bytes, 0, 8) !== "\x89PNG\r\n\x1a\n") return undefined;
  if (ascii(bytes, 12, 4) !== "IHDR") return undefined;
  return picture("image/png", view(bytes).getUint32(16), view(bytes).getUint32(20));
}

function gifOf(bytes: Uint8Array): MediaFacts | undefined {
  if (bytes.length < 13 || !/^GIF8[79]a$/.test(ascii(bytes, 0, 6))) return undefined;
  return picture("image/gif", view(bytes).getUint16(6, true), view(bytes).getUint16(8, true));
}

/** Goes from segment to segment to the one which says the size. */
function jpegOf(bytes: Uint8Array): MediaFacts | undefined {
  if (ascii(bytes, 0, 3) !== "\xff\xd8\xff") return undefined;
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    const size = view(bytes);
    if (isFrame) return picture("image/jpeg", size.getUint16(at + 7), size.getUint16(at + 5));
    at += 2 + size.getUint16(at + 2);
  }
  return undefined;
}

function webpOf(bytes: Uint8Array): MediaFacts | undefined {
  if (bytes.length < 30 || ascii(bytes, 0, 4) !== "RIFF" || ascii(bytes, 8, 4) !== "WEBP") {
    return undefined;
  }
  const at = view(bytes);
  const is = (width: number, height: number) => picture("image/webp", width, height);
  switch (ascii(bytes, 12, 4)) {
    case "VP8 ":
      if (ascii(bytes, 23, 3) !== "\x9d\x01\x2a") return undefined;
      return is(at.getUint16(26, true) & 0x3fff, at.getUint16(28, true) & 0x3fff);
    case "VP8L": {
      if (bytes[20] !== 0x2f) return undefined;
      const packed = at.getUint32(21, true);
      return is((packed & 0x3fff) + 1, ((packed >>> 14) & 0x3fff) + 1);
    }
    case "VP8X": {
      const three = (from: number) => at.getUint16(from, true) + bytes[from + 2]! * 65_536;
      return is(three(24) + 1, three(27) + 1);
    }
    default:
      return undefined;
  }
}

function pdfOf(bytes: Uint8Array): MediaFacts | undefined {
  return /^%PDF-\d\.\d/.test(ascii(bytes, 0, 8)) ? { mediaType: "application/pdf" } : undefined;
}
