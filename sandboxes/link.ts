/**
 * Links: texts to a cage and back, over the pipes of a child or the port of a Worker.
 * @module
 */

import type { Child } from "../kernel/child.ts";
import { LIMITS } from "../kernel/limits.ts";

const HEAD_BYTES = 4;
const NOTHING = new Uint8Array(0);
/** How much is read, and as a rule written, at a time at most. */
const ROOM_BYTES = 65_536;
/** How much of what a dead child wrote is shown to models. */
const SAID_CHARS_MAX = 256;

/** Why a link is over. */
export interface LinkEnd {
  /** A sentence without a full stop, safe to show. */
  readonly why: string;
  /** Whether it ran out of memory. */
  readonly isMemory: boolean;
}

/** A way to a cage. */
export interface Link {
  /** Sends a text after all that were sent before; dropped when the cage is gone. */
  send(text: string): void;
  /** Tells each text that arrives, one at a time and in order, until the link is over. */
  hear(listener: (text: string) => void): void;
  /** What the cage uses now; null where nobody can tell. */
  usage(): { readonly cpuMs: number; readonly residentBytes: number } | null;
  /** Ends the cage at once. Never throws. */
  kill(): void;
  /** Resolves when it is over, whoever ended it. */
  readonly ended: Promise<LinkEnd>;
}

/** A link over the pipes of a child: four bytes of length, then UTF-8. */
export class PipeLink implements Link {
  readonly ended: Promise<LinkEnd>;
  readonly #child: Child;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #listener: (text: string) => void = () => {};
  #queue: string[] = [];
  /** Where frames are made; what was written from it is with the system before the next. */
  readonly #room = new Uint8Array(ROOM_BYTES);
  #isWriting = false;
  #broken: string | null = null;
  #held: Uint8Array = NOTHING;

  /** Takes the child over. */
  constructor(child: Child) {
    this.#child = child;
    this.ended = this.#end();
  }

  /** Sends a text. */
  send(text: string): void {
    this.#queue.push(text);
    if (this.#isWriting) return;
    this.#isWriting = true;
    void this.#write();
  }

  /** Tells what arrives. */
  hear(listener: (text: string) => void): void {
    this.#listener = listener;
  }

  /** What the child uses. */
  usage(): { readonly cpuMs: number; readonly residentBytes: number } | null {
    return this.#child.usage();
  }

  /** Ends the child. */
  kill(): void {
    this.#child.kill();
  }

  async #write(): Promise<void> {
    try {
      // What is sent in the same turn goes out together.
      await null;
      while (this.#queue.length > 0) await this.#child.write(this.#frames());
    } catch {
      // The child is gone, or as good as: `ended` tells.
      this.#queue = [];
      this.#child.kill();
    } finally {
      this.#isWriting = false;
    }
  }

  /** Takes as many texts from the queue as there is room for, or one that is long. */
  #frames(): Uint8Array {
    let bytes = 0;
    let count = 0;
    for (const text of this.#queue) {
      if (HEAD_BYTES + text.length * 3 > ROOM_BYTES - bytes) break;
      const into = this.#room.subarray(bytes + HEAD_BYTES);
      bytes += headed(this.#room, bytes, this.#encoder.encodeInto(text, into).written);
      count++;
    }
    const texts = this.#queue.splice(0, Math.max(1, count));
    if (count > 0) return this.#room.subarray(0, bytes);
    const body = this.#encoder.encode(texts[0]);
    const frame = new Uint8Array(HEAD_BYTES + body.length);
    frame.set(body, HEAD_BYTES);
    headed(frame, 0, body.length);
    return frame;
  }

  async #end(): Promise<LinkEnd> {
    try {
      const next = readerOf(this.#child.output);
      for (let chunk = await next(); chunk !== undefined; chunk = await next()) this.#take(chunk);
    } catch {
      this.#broken ??= "its pipe broke";
    }
    this.#child.kill();
    const { code, errors } = await this.#child.ended;
    const isMemory = /out of memory|allocation failed/i.test(errors);
    const [line = ""] = errors.split("\n");
    const said = line === "" ? "" : `, saying "${line.slice(0, SAID_CHARS_MAX)}"`;
    return { why: this.#broken ?? `it ended with code ${code}${said}`, isMemory };
  }

  #take(chunk: Uint8Array): void {
    if (this.#broken !== null) return;
    const bytes = this.#held.length === 0 ? chunk : joined([this.#held, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
      if (length > LIMITS.cageFrameBytesMax) return this.#break("it sent a frame that is too long");
      const end = at + HEAD_BYTES + length;
      if (bytes.length < end) break;
      let text: string;
      try {
        text = this.#decoder.decode(bytes.subarray(at + HEAD_BYTES, end));
      } catch {
        return this.#break("it sent a frame that is no text");
      }
      at = end;
      this.#listener(text);
    }
    // What is read next takes the place of this chunk.
    if (bytes === chunk || at > 0) this.#held = at < bytes.length ? bytes.slice(at) : NOTHING;
    else this.#held = bytes;
  }

  #break(why: string): void {
    this.#broken = why;
    this.#child.kill();
  }
}

/**
 * How to read a stream; what was read stands until the next read. A pipe is read into the same room
 * each time: one that is given none makes as much anew for each frame, however short.
 */
function readerOf(output: ReadableStream<Uint8Array>): () => Promise<Uint8Array | undefined> {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = output.getReader({ mode: "byob" });
  } catch {
    // No stream of bytes: its chunks are somebody's own.
    const chunks = output.getReader();
    return async () => (await chunks.read()).value;
  }
  let room = new ArrayBuffer(ROOM_BYTES);
  return async () => {
    const { done, value } = await reader.read(new Uint8Array(room));
    if (done) return undefined;
    room = value.buffer;
    return value;
  };
}

/** Writes the head of a frame whose body is behind it, and tells the length of both. */
function headed(room: Uint8Array, at: number, length: number): number {
  new DataView(room.buffer, room.byteOffset + at).setUint32(0, length);
  return HEAD_BYTES + length;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
