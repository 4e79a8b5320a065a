/**
 * What is kept of what a program says: all of it, or its beginning and its end.
 * @module
 */

import { LIMITS } from "../kernel/limits.ts";

const HALF = LIMITS.shellOutputBytesMax / 2;

/** Bytes of one output. */
export class Kept {
  /** Bytes that were left out. */
  cut = 0;
  readonly #head: Uint8Array[] = [];
  #tail: Uint8Array[] = [];
  #headBytes = 0;
  #tailBytes = 0;
  readonly #decoder = new TextDecoder();
  readonly #hear: (text: string) => void;

  /** `hear` gets the beginning as it comes. */
  constructor(hear: (text: string) => void) {
    this.#hear = hear;
  }

  /** Reads to the end, or until nobody listens any more. */
  async take(stream: ReadableStream<Uint8Array>, deaf: AbortSignal): Promise<void> {
    const reader = stream.getReader();
    deaf.addEventListener("abort", () => void reader.cancel().catch(() => {}), { once: true });
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#add(value);
    }
  }

  /** What was kept, with a line where something was left out. */
  text(): string {
    if (this.cut === 0) return decoded([...this.#head, ...this.#tail]);
    return `${decoded(this.#head)}\n[${this.cut} bytes left out]\n${decoded(this.#tail)}`;
  }

  #add(chunk: Uint8Array): void {
    const room = HALF - this.#headBytes;
    const first = chunk.subarray(0, Math.max(0, room));
    if (first.length > 0) {
      this.#head.push(first);
      this.#headBytes += first.length;
      const text = this.#decoder.decode(first, { stream: true });
      if (text !== "") this.#hear(text);
    }
    const rest = chunk.subarray(first.length);
    if (rest.length === 0) return;
    this.#tail.push(rest);
    this.#tailBytes += rest.length;
    this.#drop();
  }

  /** Leaves out what is before the last half. */
  #drop(): void {
    while (this.#tailBytes > HALF) {
      const [first] = this.#tail;
      const excess = Math.min(this.#tailBytes - HALF, first!.length);
      if (excess === first!.length) this.#tail.shift();
      else this.#tail[0] = first!.subarray(excess);
      this.#tailBytes -= excess;
      this.cut += excess;
    }
  }
}

function decoded(chunks: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode();
}
