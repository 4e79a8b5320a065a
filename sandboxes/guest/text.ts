/**
 * Text and bytes of a realm: UTF-8, base64.
 * @module
 */

/** A `TextEncoder`. */
export class GuestTextEncoder {
  get encoding(): string {
    return "utf-8";
  }

  encode(text: unknown = ""): Uint8Array {
    const from = String(text).toWellFormed();
    // Three bytes a unit is the most.
    const bytes = new Uint8Array(from.length * 3);
    const { written } = this.encodeInto(from, bytes);
    return bytes.slice(0, written);
  }

  encodeInto(text: string, bytes: Uint8Array): { read: number; written: number } {
    const from = String(text).toWellFormed();
    let at = 0;
    let i = 0;
    while (i < from.length) {
      const code = from.codePointAt(i)!;
      const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (at + size > bytes.length) break;
      if (size === 1) bytes[at] = code;
      else {
        for (let k = size - 1, rest = code; k > 0; k--, rest >>>= 6) {
          bytes[at + k] = rest & 63 | 128;
        }
        bytes[at] = code >>> 6 * (size - 1) | 0xf00 >>> size & 0xff;
      }
      at += size;
      i += size === 4 ? 2 : 1;
    }
    return { read: i, written: at };
  }
}

/** A `TextDecoder` for UTF-8. */
export class GuestTextDecoder {
  readonly #fatal: boolean;
  readonly #keepsMark: boolean;
  #held: number[] = [];
  /** Whether this is the start of the text, where a mark may stand. */
  #isFirst = true;

  constructor(label: unknown = "utf-8", options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    if (!/^\s*(utf-?8|unicode-1-1-utf-8|utf8)\s*$/i.test(String(label))) {
      throw new RangeError(`Cannot decode "${label}": expected "utf-8"`);
    }
    this.#fatal = options.fatal === true;
    this.#keepsMark = options.ignoreBOM === true;
  }

  get encoding(): string {
    return "utf-8";
  }

  get fatal(): boolean {
    return this.#fatal;
  }

  get ignoreBOM(): boolean {
    return this.#keepsMark;
  }

  decode(given?: ArrayBuffer | ArrayBufferView, options: { stream?: boolean } = {}): string {
    let bytes = bytesIn(given);
    if (this.#held.length > 0) {
      const whole = new Uint8Array(this.#held.length + bytes.length);
      whole.set(this.#held);
      whole.set(bytes, this.#held.length);
      bytes = whole;
      this.#held = [];
    }
    let end = bytes.length;
    if (options.stream === true) {
      end -= openTail(bytes);
      this.#held = [...bytes.subarray(end)];
    }
    const text = utf8Text(bytes.subarray(0, end), this.#fatal);
    const hasMark = this.#isFirst && text.charCodeAt(0) === 0xfeff;
    this.#isFirst = options.stream !== true || (this.#isFirst && text === "");
    return hasMark && !this.#keepsMark ? text.slice(1) : text;
  }
}

/** The bytes of a buffer or a view of one. */
export function bytesIn(given?: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (given === undefined) return new Uint8Array(0);
  if (ArrayBuffer.isView(given)) {
    return new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  }
  return new Uint8Array(given);
}

/** How many bytes at the end begin a character that is not whole. */
export function openTail(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
  }
  return 0;
}

/** Decodes UTF-8; what is wrong becomes U+FFFD as the encoding standard says, or throws. */
export function utf8Text(bytes: Uint8Array, fatal: boolean): string {
  let out = "";
  let units: number[] = [];
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i++]!;
    let code = lead;
    if (lead >= 0x80) {
      const size = lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : 3;
      let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      let left = lead < 0xc2 || lead > 0xf4 ? -1 : size;
      code = lead & (0x3f >> size);
      for (; left > 0 && bytes[i]! >= low && bytes[i]! <= high; left--, low = 0x80, high = 0xbf) {
        code = code << 6 | bytes[i++]! & 63;
      }
      if (left !== 0) {
        if (fatal) throw new TypeError("Cannot decode the bytes: no UTF-8");
        code = 0xfffd;
      }
    }
    if (code > 0xffff) units.push((code - 0x10000 >> 10) + 0xd800, (code & 0x3ff) + 0xdc00);
    else units.push(code);
    if (units.length >= 4_096) {
      out += String.fromCharCode.apply(null, units);
      units = [];
    }
  }
  return out + String.fromCharCode.apply(null, units);
}

/** `btoa`. */
export function toBase64(binary: unknown): string {
  const text = String(binary);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) throw new TypeError("Cannot encode the text: a character beyond U+00FF");
    bytes[i] = code;
  }
  return bytes.toBase64();
}

/** `atob`. */
export function fromBase64(base64: unknown): string {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(String(base64));
  } catch {
    throw new TypeError("Cannot decode the text: no base64");
  }
  let out = "";
  for (let i = 0; i < bytes.length; i += 4_096) {
    out += String.fromCharCode.apply(null, [...bytes.subarray(i, i + 4_096)]);
  }
  return out;
}
