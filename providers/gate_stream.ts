/**
 * An answer on its way through a gate: passed on as it comes, and watched for its end.
 * @module
 */

import { LIMITS } from "../kernel/limits.ts";

/** Bytes as they come over a connection. */
type Bytes = Uint8Array<ArrayBuffer>;

/** An answer that is passed on. */
export interface Watched {
  readonly body: ReadableStream<Bytes>;
  /** When it is over: whether the endpoint is not to blame for it. */
  readonly ended: Promise<boolean>;
  /** The last that came of it. */
  tail(): string;
}

/** Passes an answer on as it comes. It ends with its reader, and when it is silent for too long. */
export function watched(response: Response, signal: AbortSignal): Watched {
  const { promise: ended, resolve } = Promise.withResolvers<boolean>();
  const reader = response.body?.getReader();
  let tail: Bytes = new Uint8Array(0);
  const over = (isWhole: boolean): void => {
    signal.removeEventListener("abort", left);
    resolve(isWhole);
  };
  // Its reader has gone: that says nothing of the endpoint.
  const left = (): void => {
    over(true);
    reader?.cancel().catch(() => {});
  };
  const body = new ReadableStream<Bytes>({
    async pull(controller) {
      try {
        const part = await inTime(reader);
        if (part === undefined) {
          over(true);
          return controller.close();
        }
        tail = lastOf(tail, part);
        controller.enqueue(part);
      } catch (thrown) {
        over(false);
        reader?.cancel().catch(() => {});
        controller.error(thrown);
      }
    },
    cancel: left,
  });
  if (signal.aborted) left();
  else signal.addEventListener("abort", left, { once: true });
  return { body, ended, tail: () => new TextDecoder().decode(tail) };
}

async function inTime(reader: ReadableStreamDefaultReader<Bytes> | undefined): Promise<
  Bytes | undefined
> {
  if (reader === undefined) return undefined;
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("Silent")), LIMITS.gateSilenceMsMax);
  try {
    const { done, value } = await Promise.race([reader.read(), promise]);
    return done ? undefined : value;
  } finally {
    clearTimeout(timer);
  }
}

function lastOf(tail: Bytes, more: Bytes): Bytes {
  const most = LIMITS.gateTailBytesMax;
  if (more.length >= most) return new Uint8Array(more.subarray(more.length - most));
  const kept = tail.subarray(Math.max(0, tail.length + more.length - most));
  const both = new Uint8Array(kept.length + more.length);
  both.set(kept);
  both.set(more, kept.length);
  return both;
}

/** The tokens that the end of an answer says it took; undefined where it says none. */
export function usageIn(tail: string): number | undefined {
  const last = (name: string): number | undefined => {
    const found = [...tail.matchAll(new RegExp(`"${name}"\\s*:\\s*(\\d{1,12})`, "g"))].at(-1);
    return found === undefined ? undefined : Number(found[1]);
  };
  const total = last("total_tokens");
  if (total !== undefined) return total;
  const [read, written] = [last("input_tokens"), last("output_tokens")];
  return read === undefined && written === undefined ? undefined : (read ?? 0) + (written ?? 0);
}
