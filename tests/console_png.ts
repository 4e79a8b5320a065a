/**
 * Pictures of few colours: a PNG with 256 at most, which takes a third of what a browser writes.
 *
 * Invariants:
 *   P1. The most frequent colours are kept as they are, bright ones before grey ones; a rare one
 *       becomes the nearest of them.
 * @module
 */

import { Buffer } from "node:buffer";
import { crc32, deflateSync, inflateSync } from "node:zlib";

const COLOURS = 256;
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** The same picture with a palette. Takes what Chromium writes: 8 bits, RGB or RGBA. */
export function withPalette(png: Uint8Array): Uint8Array {
  const { width, height, pixels } = decoded(Buffer.from(png));
  const counts = new Map<number, number>();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts].sort((a, b) => weightOf(b) - weightOf(a)).slice(0, COLOURS).map((
    [colour],
  ) => colour);
  const indexes = new Map([...counts.keys()].map((colour) => [colour, nearest(palette, colour)]));
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rows[y * (width + 1) + 1 + x] = indexes.get(pixels[y * width + x]!)!;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((one) => [one >> 16, (one >> 8) & 255, one & 255]));
  const data = deflateSync(rows, { level: 9 });
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", head),
    chunk("PLTE", colours),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Of text there is a lot of grey; a badge has few pixels, and a colour that says something. */
function weightOf([colour, count]: readonly [number, number]): number {
  const parts = [colour >> 16, (colour >> 8) & 255, colour & 255];
  return count * (1 + (Math.max(...parts) - Math.min(...parts)) / 8);
}

function nearest(palette: readonly number[], colour: number): number {
  let [best, least] = [0, Infinity];
  for (const [i, one] of palette.entries()) {
    const [red, green, blue] = [16, 8, 0].map((by) => (one >> by & 255) - (colour >> by & 255));
    const far = red! ** 2 + green! ** 2 + blue! ** 2;
    if (far < least) [best, least] = [i, far];
    if (far === 0) break;
  }
  return best;
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  out.set(body, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/** Pixels as numbers, 0xrrggbb. */
function decoded(png: Buffer): { width: number; height: number; pixels: Uint32Array } {
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") {
      parts.push(png.subarray(at + 8, at + 8 + length));
    }
    at += length + 12;
  }
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const bytes = png[25] === 6 ? 4 : 3;
  const raw = inflateSync(Buffer.concat(parts));
  const pixels = new Uint32Array(width * height);
  let before = Buffer.alloc(width * bytes);
  for (let y = 0; y < height; y++) {
    const start = y * (width * bytes + 1);
    const row = Buffer.from(raw.subarray(start + 1, start + 1 + width * bytes));
    unfilter(row, before, { kind: raw[start]!, bytes });
    for (let x = 0; x < width; x++) {
      const at = x * bytes;
      pixels[y * width + x] = (row[at]! << 16) | (row[at + 1]! << 8) | row[at + 2]!;
    }
    before = row;
  }
  return { width, height, pixels };
}

/** Undoes one row's filter (PNG, section 9). */
function unfilter(
  row: Buffer,
  above: Buffer,
  { kind, bytes }: { readonly kind: number; readonly bytes: number },
): void {
  for (let i = 0; i < row.length; i++) {
    const [a, b] = [i < bytes ? 0 : row[i - bytes]!, above[i]!];
    const c = i < bytes ? 0 : above[i - bytes]!;
    const guess = [0, a, b, (a + b) >> 1, kind === 4 ? paeth(a, b, c) : 0][kind]!;
    row[i] = (row[i]! + guess) & 255;
  }
}

function paeth(a: number, b: number, c: number): number {
  const [toA, toB, toC] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return toA <= toB && toA <= toC ? a : toB <= toC ? b : c;
}
