/**
 * JSON values over a pipe: four bytes of length, the most significant first, then UTF-8.
 * @module
 */

import { SysError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/parse.ts";

const HEAD_BYTES = 4;

/** A value as one frame. */
export function toFrame(value: unknown): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(value));
  const frame = new Uint8Array(HEAD_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, HEAD_BYTES);
  return frame;
}

/** The values in a stream of frames. Throws `EIO` at a frame that is too long or no JSON. */
export async function* fromFrames(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<unknown, void, void> {
  let held = new Uint8Array(0);
  for await (const chunk of chunks) {
    const joined = new Uint8Array(held.length + chunk.length);
    joined.set(held);
    joined.set(chunk, held.length);
    held = joined;
    while (held.length >= HEAD_BYTES) {
      const length = new DataView(held.buffer, held.byteOffset).getUint32(0);
      if (length > bytesMax) throw broken(`${length} bytes, expected ${bytesMax} at most`);
      if (held.length < HEAD_BYTES + length) break;
      yield parsed(held.subarray(HEAD_BYTES, HEAD_BYTES + length));
      held = held.subarray(HEAD_BYTES + length);
    }
  }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw broken("no JSON");
  }
}

function broken(why: string): SysError {
  return new SysError("EIO", `Cannot read a frame: ${why}`);
}
