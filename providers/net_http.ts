/**
 * One request and its answer over one connection, as HTTP/1.1 says it (RFC 9112), and no more:
 * nothing is reused, kept, followed or guessed.
 *
 * Invariants:
 *   H1. Whatever comes, no more is read than the limits say: of the head, of each chunk's line, of
 *       chunks, of the body as it is sent and as it is unpacked.
 *       Reading takes a time that grows with what came, and not with its square.
 *   H2. An answer that could be cut in two ways is refused.
 * @module
 */

import { gunzipSync } from "node:zlib";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { NetHeader } from "../kernel/net_request.ts";

/** A connection, with or without TLS. */
export interface Wire {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
}

/** The head of an answer. */
export interface HttpHead {
  readonly status: number;
  readonly headers: readonly NetHeader[];
}

/** Writes the whole of it. */
export async function writeAll(wire: Wire, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await wire.write(bytes.subarray(at));
}

const UTF8 = new TextDecoder();

/** What comes over a connection, in lines and pieces. */
export class HttpReader {
  readonly #wire: Wire;
  readonly #into = new Uint8Array(16_384);
  #left: Uint8Array<ArrayBufferLike> = new Uint8Array();

  /** Reads from a connection that nobody else reads from. */
  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** What comes next; null at the end. */
  async piece(): Promise<Uint8Array | null> {
    if (this.#left.length > 0) {
      const piece = this.#left;
      this.#left = new Uint8Array();
      return piece;
    }
    const count = await this.#wire.read(this.#into);
    return count === null ? null : this.#into.slice(0, count);
  }

  /** At most so many bytes of what comes next; null at the end. */
  async upTo(bytes: number): Promise<Uint8Array | null> {
    const piece = await this.piece();
    if (piece === null || piece.length <= bytes) return piece;
    this.#left = piece.subarray(bytes);
    return piece.subarray(0, bytes);
  }

  /** What comes before the end mark; `ELIMIT` when that is more than `bytesMax`. */
  async until(mark: string, bytesMax: number, what: string): Promise<string> {
    for (let from = 0;;) {
      const left = this.#left;
      const at = indexOf(left, mark, from);
      if ((at < 0 ? left.length - mark.length : at - 1) >= bytesMax) {
        throw over(`${what} has more than ${bytesMax} bytes`);
      }
      if (at >= 0) {
        this.#left = left.subarray(at + mark.length);
        return UTF8.decode(left.subarray(0, at));
      }
      from = Math.max(0, left.length - mark.length + 1);
      const count = await this.#wire.read(this.#into);
      if (count === null) throw odd(`it ended in ${what}`);
      const more = new Uint8Array(left.length + count);
      more.set(left);
      more.set(this.#into.subarray(0, count), left.length);
      this.#left = more;
    }
  }
}

/** Where a text of ASCII is in bytes, or -1. */
function indexOf(bytes: Uint8Array, text: string, from: number): number {
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let i = 1;
    while (i < text.length && bytes[at + i] === text.charCodeAt(i)) i++;
    if (i === text.length) return at;
  }
  return -1;
}

const STATUS = /^HTTP\/1\.[01] (\d{3})(?: [^\r\n]*)?$/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// deno-lint-ignore no-control-regex
const ODD = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/;
const EARLY_MAX = 8;

/** Reads the head of an answer; those that only say "go on" are passed over. */
export async function readHead(reader: HttpReader): Promise<HttpHead> {
  for (let i = 0; i <= EARLY_MAX; i++) {
    const [first = "", ...fields] =
      (await reader.until("\r\n\r\n", LIMITS.netHeadBytesMax, "its head")).split("\r\n");
    const status = Number(STATUS.exec(first)?.[1] ?? 0);
    if (status < 100 || status > 599) throw odd("its first line is no HTTP/1.1");
    if (status === 101) throw odd("it changes the protocol, which nobody asked for");
    const headers = fields.map(fieldOf);
    if (status >= 200) return { status, headers };
  }
  throw odd(`more than ${EARLY_MAX} heads came before it`);
}

function fieldOf(field: string): NetHeader {
  const end = field.indexOf(":");
  const [name, value] = [field.slice(0, Math.max(0, end)), field.slice(end + 1)];
  if (!NAME.test(name) || ODD.test(value)) throw odd("a header of it is no header");
  return [name.toLowerCase(), trimmed(value)];
}

/** Without the space around it. By hand: an expression would try each space on to the last (H1). */
function trimmed(value: string): string {
  const isSpace = (at: number): boolean => value[at] === " " || value[at] === "\t";
  let [from, to] = [0, value.length];
  while (from < to && isSpace(from)) from += 1;
  while (to > from && isSpace(to - 1)) to -= 1;
  return value.slice(from, to);
}

/** Reads the body that a head announces, and unpacks it. */
export async function readBody(
  reader: HttpReader,
  head: HttpHead,
  given: { readonly method: string; readonly bytesMax: number },
): Promise<Uint8Array> {
  const { bytesMax } = given;
  if (given.method === "HEAD" || head.status === 204 || head.status === 304) {
    return new Uint8Array();
  }
  const encodings = all(head, "transfer-encoding");
  const lengths = [
    ...new Set(all(head, "content-length").flatMap((one) => one.split(",").map(trimmed))),
  ];
  if (encodings.length > 0 && lengths.length > 0) throw odd("it says its length in two ways");
  if (lengths.length > 1) throw odd("it has two lengths");
  const [length] = lengths;
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw odd("its length is no number");
  const packed = new Pieces(bytesMax);
  if (encodings.length > 0) {
    if (encodings.join().toLowerCase() !== "chunked") throw odd("it is cut in an unknown way");
    await readChunks(reader, packed);
  } else {
    await readLength(reader, packed, length === undefined ? null : Number(length));
  }
  return unpack(packed.bytes(), all(head, "content-encoding"), bytesMax);
}

function all(head: HttpHead, name: string): string[] {
  return head.headers.filter((header) => header[0] === name).map(([, value]) => value);
}

/** Pieces of a body, up to a limit, in one place: they may be of one byte each. */
class Pieces {
  readonly #max: number;
  #whole = new Uint8Array();
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** How many more bytes there may be. */
  mayHave(more: number): void {
    if (this.#count + more > this.#max) throw over(`its body has more than ${this.#max} bytes`);
  }

  add(piece: Uint8Array): void {
    this.mayHave(piece.length);
    const count = this.#count + piece.length;
    if (count > this.#whole.length) {
      const larger = new Uint8Array(Math.min(this.#max, Math.max(2 * count, 16_384)));
      larger.set(this.bytes());
      this.#whole = larger;
    }
    this.#whole.set(piece, this.#count);
    this.#count = count;
  }

  bytes(): Uint8Array {
    return this.#whole.subarray(0, this.#count);
  }
}

async function readLength(
  reader: HttpReader,
  into: Pieces,
  length: number | null,
): Promise<void> {
  into.mayHave(length ?? 0);
  for (let left = length ?? Infinity; left > 0;) {
    const piece = await reader.upTo(left);
    if (piece === null && length === null) return;
    if (piece === null) throw odd("it ended in its body");
    into.add(piece);
    left -= piece.length;
  }
}

const CHUNK = /^([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?$/;
const CHUNK_LINE_BYTES_MAX = 1_024;

async function readChunks(reader: HttpReader, into: Pieces): Promise<void> {
  for (let chunks = 0;; chunks++) {
    if (chunks > LIMITS.netChunksMax) throw over(`it has more than ${LIMITS.netChunksMax} chunks`);
    const line = await reader.until("\r\n", CHUNK_LINE_BYTES_MAX, "a chunk's line");
    const size = CHUNK.exec(line)?.[1];
    if (size === undefined) throw odd("a chunk's line is none");
    const length = Number.parseInt(size, 16);
    if (length === 0) break;
    await readLength(reader, into, length);
    if (await reader.until("\r\n", 0, "a chunk") !== "") throw odd("a chunk is too long");
  }
  // Trailers say nothing that anybody was told to hear.
  for (let bytes = 0;;) {
    const line = await reader.until("\r\n", LIMITS.netHeadBytesMax - bytes, "its trailers");
    if (line === "") return;
    bytes += line.length + 2;
  }
}

/** What was asked for. Others bring nothing, and Deno takes half of a brotli for the whole. */
const PACKINGS = ["gzip", "x-gzip"];

/** Unpacks a body, never to more than it may have or than so much can honestly be packed to. */
function unpack(packed: Uint8Array, encodings: readonly string[], bytesMax: number): Uint8Array {
  const encoding = encodings.join(",").trim().toLowerCase();
  if (encoding === "" || encoding === "identity" || packed.length === 0) return packed;
  if (!PACKINGS.includes(encoding)) {
    // Shown whole or not at all: of a secret that was said back and cut, the rest would be told.
    const shown = encoding.length <= 40 ? ` as "${encoding}"` : "";
    throw odd(`it is packed${shown}, which nobody asked for`);
  }
  const byRatio = Math.max(
    LIMITS.netBodyRatioFromBytes,
    packed.length * LIMITS.netBodyRatioMax,
  );
  const most = Math.min(bytesMax, byRatio);
  try {
    const plain = gunzipSync(packed, { maxOutputLength: most });
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_BUFFER_TOO_LARGE") {
      throw odd("its packed body cannot be unpacked");
    }
    throw over(
      most < bytesMax
        ? `its body unpacks to more than ${LIMITS.netBodyRatioMax} times its size`
        : `its body unpacks to more than ${bytesMax} bytes`,
    );
  }
}

/** An answer that is not what HTTP says; its sentence is made whole by who knows the URL. */
function odd(state: string): SysError {
  return new SysError("EIO", state);
}

function over(state: string): SysError {
  return new SysError("ELIMIT", state);
}
