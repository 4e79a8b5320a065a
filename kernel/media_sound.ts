/**
 * Headers of sound and video: WAV, MP3 and MP4.
 *
 * Nothing is decoded. Each walk goes forward by at least a byte, and ends with the bytes.
 * @module
 */

import type { MediaFacts } from "./media.ts";

/** What the bytes are; undefined for what is none of these. */
export function soundOf(bytes: Uint8Array): MediaFacts | undefined {
  return wavOf(bytes) ?? mp4Of(bytes) ?? mp3Of(bytes);
}

function text(bytes: Uint8Array, from: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(from, from + length));
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function wavOf(bytes: Uint8Array): MediaFacts | undefined {
  if (bytes.length < 44 || text(bytes, 0, 4) !== "RIFF" || text(bytes, 8, 4) !== "WAVE") {
    return undefined;
  }
  const at = view(bytes);
  let bytesPerSecond = 0;
  for (let chunk = 12; chunk + 8 <= bytes.length;) {
    const size = at.getUint32(chunk + 4, true);
    const name = text(bytes, chunk, 4);
    if (name === "fmt " && chunk + 24 <= bytes.length) {
      bytesPerSecond = at.getUint32(chunk + 16, true);
    }
    if (name === "data") {
      if (bytesPerSecond === 0) return undefined;
      const here = Math.min(size, bytes.length - chunk - 8);
      return { mediaType: "audio/wav", durationMs: Math.round(here * 1_000 / bytesPerSecond) };
    }
    chunk += 8 + size + size % 2;
  }
  return undefined;
}

/** Kilobits a second of layer III, by the index in the header: version 1, then versions 2. */
const KILOBITS = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;
const HERTZ = [44_100, 48_000, 32_000] as const;

interface Frame {
  readonly bytes: number;
  readonly samples: number;
  readonly hertz: number;
  readonly kilobits: number;
}

/** A frame of layer III; undefined where none begins. */
function frameAt(bytes: Uint8Array, at: number): Frame | undefined {
  if (at + 4 > bytes.length || bytes[at] !== 0xff) return undefined;
  const [, second, third] = bytes.subarray(at, at + 4) as unknown as [number, number, number];
  const version = (second >> 3) & 3;
  const isSync = (second & 0xe0) === 0xe0 && version !== 1 && ((second >> 1) & 3) === 1;
  const kilobits = KILOBITS[version === 3 ? 0 : 1][third >> 4];
  const base = HERTZ[(third >> 2) & 3];
  if (!isSync || kilobits === undefined || kilobits === 0 || base === undefined) return undefined;
  const hertz = base / (version === 3 ? 1 : version === 2 ? 2 : 4);
  const samples = version === 3 ? 1_152 : 576;
  const length = Math.floor(samples / 8 * kilobits * 1_000 / hertz) + ((third >> 1) & 1);
  return { bytes: length, samples, hertz, kilobits };
}

function mp3Of(bytes: Uint8Array): MediaFacts | undefined {
  let start = 0;
  if (bytes.length > 10 && text(bytes, 0, 3) === "ID3") {
    const [a, b, c, d] = bytes.subarray(6, 10) as unknown as [number, number, number, number];
    start = 10 + (a << 21) + (b << 14) + (c << 7) + d;
  }
  const first = frameAt(bytes, start);
  if (first === undefined) return undefined;
  const next = start + first.bytes;
  // One header is four bytes that chance may make; what follows it has to be another, or the end.
  if (next !== bytes.length && frameAt(bytes, next) === undefined) return undefined;
  const head = text(bytes, start, Math.min(first.bytes, 64));
  const told = Math.max(head.indexOf("Xing"), head.indexOf("Info"));
  const known = told > 0 && start + told + 12 <= bytes.length &&
    (view(bytes).getUint32(start + told + 4) & 1) === 1;
  const seconds = known
    ? view(bytes).getUint32(start + told + 8) * first.samples / first.hertz
    : (bytes.length - start) * 8 / (first.kilobits * 1_000);
  return { mediaType: "audio/mpeg", durationMs: Math.round(seconds * 1_000) };
}

interface Box {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Boxes that stand side by side. */
function* boxes(bytes: Uint8Array, from: number, to: number): Generator<Box> {
  const at = view(bytes);
  while (from + 8 <= to) {
    const short = at.getUint32(from);
    const isLong = short === 1;
    if (isLong && from + 16 > to) return;
    const size = isLong ? Number(at.getBigUint64(from + 8)) : short === 0 ? to - from : short;
    const head = isLong ? 16 : 8;
    if (size < head) return;
    const end = Math.min(to, from + size);
    yield { name: text(bytes, from + 4, 4), from: from + head, to: end };
    from = end;
  }
}

function mp4Of(bytes: Uint8Array): MediaFacts | undefined {
  if (bytes.length < 16 || text(bytes, 4, 4) !== "ftyp") return undefined;
  const movie = [...boxes(bytes, 0, bytes.length)].find(({ name }) => name === "moov");
  const inside = movie === undefined ? [] : [...boxes(bytes, movie.from, movie.to)];
  const head = inside.find(({ name }) => name === "mvhd");
  const size = inside.filter(({ name }) => name === "trak")
    .map((track) => sizeOf(bytes, track)).find((found) => found !== undefined);
  const isSound = size === undefined;
  return {
    mediaType: isSound && movie !== undefined ? "audio/mp4" : "video/mp4",
    ...size,
    ...(head === undefined ? {} : lengthOf(bytes, head)),
  };
}

function lengthOf(bytes: Uint8Array, { from, to }: Box): { readonly durationMs?: number } {
  const at = view(bytes);
  const isLong = bytes[from] === 1;
  if (from + (isLong ? 32 : 20) > to) return {};
  const scale = at.getUint32(from + (isLong ? 20 : 12));
  const ticks = isLong ? Number(at.getBigUint64(from + 24)) : at.getUint32(from + 16);
  const durationMs = Math.round(ticks * 1_000 / scale);
  return scale > 0 && Number.isSafeInteger(durationMs) ? { durationMs } : {};
}

/** What a track is shown in; undefined for one without a picture. */
function sizeOf(bytes: Uint8Array, track: Box): {
  readonly width: number;
  readonly height: number;
} | undefined {
  const head = [...boxes(bytes, track.from, track.to)].find(({ name }) => name === "tkhd");
  if (head === undefined || head.to - head.from < 84) return undefined;
  // Both are the last fields: whole pixels in the upper half of each.
  const width = view(bytes).getUint16(head.to - 8);
  const height = view(bytes).getUint16(head.to - 4);
  return width > 0 && height > 0 ? { width, height } : undefined;
}
