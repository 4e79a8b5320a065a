/**
 * What a program writes, kept in a bounded way: its beginning and its end.
 * @module
 */

/** Reads a stream to its end and keeps at most `bytesMax` of it. */
export class Kept {
  readonly #half: number;
  readonly #first: Uint8Array[] = [];
  readonly #last: Uint8Array[] = [];
  #firstBytes = 0;
  #lastBytes = 0;
  /** How many bytes were left out. */
  bytesCut = 0;

  /** Keeps half of `bytesMax` from the beginning and half from the end. */
  constructor(bytesMax: number) {
    this.#half = Math.floor(bytesMax / 2);
  }

  /** Keeps what comes, and hands each piece on as text. */
  async take(stream: ReadableStream<Uint8Array>, onText: (chunk: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      if (text !== "") onText(text);
      this.#add(chunk);
    }
  }

  /** What was kept, with a mark where something was left out. */
  text(): string {
    const read = (parts: readonly Uint8Array[]): string => {
      const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        joined.set(part, at);
        at += part.length;
      }
      return new TextDecoder().decode(joined);
    };
    if (this.bytesCut === 0) return read([...this.#first, ...this.#last]);
    return `${read(this.#first)}\n… ${this.bytesCut} bytes left out …\n${read(this.#last)}`;
  }

  #add(chunk: Uint8Array): void {
    const room = this.#half - this.#firstBytes;
    const head = chunk.subarray(0, room);
    if (head.length > 0) {
      this.#first.push(head.slice());
      this.#firstBytes += head.length;
    }
    const tail = chunk.subarray(head.length);
    if (tail.length === 0) return;
    this.#last.push(tail.slice());
    this.#lastBytes += tail.length;
    while (this.#lastBytes > this.#half) {
      const over = this.#lastBytes - this.#half;
      const oldest = this.#last[0]!;
      if (oldest.length <= over) this.#last.shift();
      else this.#last[0] = oldest.subarray(over);
      const cut = Math.min(oldest.length, over);
      this.#lastBytes -= cut;
      this.bytesCut += cut;
    }
  }
}
