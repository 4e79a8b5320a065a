/**
 * Small files of each kind, made here byte by byte.
 * @module
 */

type Piece = string | number | readonly number[] | Uint8Array;

function bytes(...parts: Piece[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => {
    if (typeof part === "string") return [...part].map((char) => char.charCodeAt(0));
    return typeof part === "number" ? [part] : [...part];
  }));
}

const u32 = (value: number) => [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];
const le32 = (value: number) => u32(value).reverse();
const u16 = (value: number) => [value >>> 8, value & 255];

/** A red dot: one pixel, as an encoder wrote it. */
export const PNG: Uint8Array = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==",
);
/** One pixel. */
export const GIF: Uint8Array = Uint8Array.fromBase64(
  "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
);
/** Two pixels by three, after a segment that holds what looks like another size. */
export const JPEG: Uint8Array = bytes(
  [0xff, 0xd8],
  [0xff, 0xe0, 0, 16],
  "JFIF\0",
  [1, 1, 0, 0xff, 0xc0, 0, 17, 8, 0],
  [0xff, 0xff],
  [0xff, 0xc0, 0, 17, 8, ...u16(3), ...u16(2), 3, 1, 17, 0, 2, 17, 1, 3, 17, 1],
  [0xff, 0xd9],
);
/** One pixel, without loss, as an encoder wrote it. */
export const WEBP: Uint8Array = Uint8Array.fromBase64(
  "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==",
);
/** 5 by 4, with the extended header. */
export const WEBP_X: Uint8Array = bytes(
  "RIFF",
  le32(22),
  "WEBPVP8X",
  le32(10),
  [0, 0, 0, 0],
  [4, 0, 0],
  [3, 0, 0],
);

/** A quarter of a second of silence at 8,000 bytes a second. */
export const WAV: Uint8Array = bytes(
  "RIFF",
  le32(36 + 2_000),
  "WAVEfmt ",
  le32(16),
  [1, 0, 1, 0],
  le32(8_000),
  le32(8_000),
  [1, 0, 8, 0],
  "data",
  le32(2_000),
  new Uint8Array(2_000),
);

/** A frame of layer III: 128 kbit/s, 44.1 kHz, 417 bytes. */
const FRAME = bytes([0xff, 0xfb, 0x90, 0], new Uint8Array(413));
/** Four frames after a tag: 104 ms. */
export const MP3: Uint8Array = bytes(
  "ID3",
  [4, 0, 0, 0, 0, 0, 5],
  "title",
  FRAME,
  FRAME,
  FRAME,
  FRAME,
);

function box(name: string, ...inside: Piece[]): Uint8Array {
  const content = bytes(...inside);
  return bytes(u32(content.length + 8), name, content);
}

const zeros = (length: number) => new Uint8Array(length);
const mvhd = box("mvhd", zeros(12), u32(1_000), u32(1_500), zeros(80));
const track = (width: number, height: number) =>
  box("trak", box("tkhd", zeros(76), u32(width << 16), u32(height << 16)));
const ftyp = box("ftyp", "isom", zeros(4), "isommp42");
/** A second and a half of 64 by 48, with sound before it. */
export const MP4: Uint8Array = bytes(
  ftyp,
  box("free"),
  box("moov", mvhd, track(0, 0), track(64, 48)),
);
/** The same length without a picture. */
export const M4A: Uint8Array = bytes(ftyp, box("moov", mvhd, track(0, 0)));
/** A document, as far as its first line. */
export const PDF: Uint8Array = bytes("%PDF-1.7\n%%EOF\n");
