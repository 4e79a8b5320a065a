/**
 * Links: texts to a cage and back, over the pipes of a child or the port of a Worker.
 * @module
 */

import type { Child } from "../kernel/child.ts";
import { LIMITS } from "../kernel/limits.ts";

const HEAD_BYTES = 4;
/** How much is read at a time at most. */
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
  #queue: Uint8Array[] = [];
  #isWriting = false;
  #broken: string | null = null;
  #held = new Uint8Array(0);

  /** Takes the child over. */
  constructor(child: Child) {
    this.#child = child;
    this.ended = this.#end();
  }

  /** Sends a text. */
  send(text: string): void {
    this.#queue.push(this.#framed(text));
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

  #framed(text: string): Uint8Array {
    // Short texts are encoded where they are sent from; long ones are not given three times room.
    const isShort = text.length <= 65_536;
    const body = isShort ? null : this.#encoder.encode(text);
    const frame = new Uint8Array(HEAD_BYTES + (body?.length ?? text.length * 3));
    const length = body?.length ?? this.#encoder.encodeInto(text, frame.subarray(4)).written;
    if (body !== null) frame.set(body, HEAD_BYTES);
    new DataView(frame.buffer).setUint32(0, length);
    return frame.subarray(0, HEAD_BYTES + length);
  }

  async #write(): Promise<void> {
    try {
      // What is sent in the same turn goes out together.
      await null;
      while (this.#queue.length > 0) {
        const frames = this.#queue;
        this.#queue = [];
        await this.#child.write(frames.length === 1 ? frames[0]! : joined(frames));
      }
    } catch {
      // The child is gone, or as good as: `ended` tells.
      this.#queue = [];
      this.#child.kill();
    } finally {
      this.#isWriting = false;
    }
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
    this.#held = this.#held.length === 0 ? new Uint8Array(chunk) : joined([this.#held, chunk]);
    while (this.#held.length >= HEAD_BYTES) {
      const { buffer, byteOffset } = this.#held;
      const length = new DataView(buffer, byteOffset).getUint32(0);
      if (length > LIMITS.cageFrameBytesMax) return this.#break("it sent a frame that is too long");
      if (this.#held.length < HEAD_BYTES + length) return;
      const body = this.#held.subarray(HEAD_BYTES, HEAD_BYTES + length);
      this.#held = this.#held.subarray(HEAD_BYTES + length);
      let text: string;
      try {
        text = this.#decoder.decode(body);
      } catch {
        return this.#break("it sent a frame that is no text");
      }
      this.#listener(text);
    }
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

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
