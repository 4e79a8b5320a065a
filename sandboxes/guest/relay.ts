/**
 * The two ends of a child's pipes: its main isolate carries frames from the pipe to the Worker, and
 * nothing else; the Worker writes its own to the pipe.
 *
 * The main isolate waits in the system's read, so no turn of a loop stands between the pipe and the
 * Worker. It ends the child when the pipe ends, whatever the Worker is doing; and a Worker that
 * says more than the host reads waits, where a queue between isolates would grow.
 *
 * A frame is four bytes of length, the most significant first, and that many bytes of UTF-8.
 * @module
 */

import { bareGlobals } from "./worker.ts";

/** What is used of the runtime. */
export interface RelayHost {
  readonly stdin: { readSync(into: Uint8Array): number | null };
  readonly stderr: { writeSync(bytes: Uint8Array): number };
  exit(code: number): never;
}

/** What is used of a Worker. */
interface RelayWorker {
  postMessage(text: string): void;
  onmessage: (() => void) | null;
  onerror: ((event: { readonly message: string; preventDefault(): void }) => void) | null;
}

/** Runs until the pipe ends. The first frame is told to the Worker, whose module is `entry`. */
export async function relay(host: RelayHost, bytesMax: number, entry: string): Promise<void> {
  const { stdin, stderr, exit } = host;
  const read = stdin.readSync.bind(stdin);
  const say = stderr.writeSync.bind(stderr);
  const end = exit.bind(host);
  const encoder = new TextEncoder();
  const Inner = Worker;
  const kept = bareGlobals();
  for (const key of Object.getOwnPropertyNames(globalThis)) {
    if (!kept.has(key) && key !== "TextDecoder") Reflect.deleteProperty(globalThis, key);
  }
  const fail = (why: string): never => {
    say(encoder.encode(why.slice(0, 1_024)));
    return end(70);
  };
  const start = async (code: string): Promise<RelayWorker> => {
    const url = `data:application/javascript,${encodeURIComponent(entry)}`;
    const options = { type: "module", deno: { permissions: "none" } } as const;
    const worker = new Inner(url, options as WorkerOptions) as unknown as RelayWorker;
    await new Promise<void>((resolve) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => {
        event.preventDefault();
        fail(`The Worker ended: ${event.message}`);
      };
      worker.postMessage(code);
    });
    return worker;
  };
  const next = frameReader(read, bytesMax);
  try {
    const code = next();
    if (code === null) return end(0);
    const worker = await start(code);
    for (let text = next(); text !== null; text = next()) worker.postMessage(text);
  } catch (error) {
    fail(`The pipe broke: ${(error as Error).message}`);
  }
  end(0);
}

/** How the Worker of a child sends. For what is too long the host ends the child, as it is told. */
export function frameWriter(
  host: { readonly stdout: { writeSync(bytes: Uint8Array): number } },
  bytesMax: number,
): (text: string) => void {
  const write = host.stdout.writeSync.bind(host.stdout);
  const encoder = new TextEncoder();
  const into = encoder.encodeInto.bind(encoder);
  let out = new Uint8Array(65_536);
  return (text) => {
    if (text.length > bytesMax) return void write(out.fill(255, 0, 4).subarray(0, 4));
    if (out.length < text.length * 3 + 4) out = new Uint8Array(text.length * 3 + 4);
    const { written } = into(text, out.subarray(4));
    out[0] = written >>> 24;
    out[1] = written >>> 16;
    out[2] = written >>> 8;
    out[3] = written;
    for (let at = 0; at < written + 4;) at += write(out.subarray(at, written + 4));
    if (out.length > 1_048_576) out = new Uint8Array(65_536);
  };
}

/** Reads frames; null when the pipe has ended. Throws at one that is too long. */
export function frameReader(
  read: (into: Uint8Array) => number | null,
  bytesMax: number,
): () => string | null {
  const decoder = new TextDecoder();
  let held = new Uint8Array(65_536);
  let from = 0;
  let to = 0;
  return () => {
    while (true) {
      const size = to - from < 4 ? 4 : 4 + new DataView(held.buffer).getUint32(from);
      if (size > bytesMax + 4) throw new RangeError("a frame is too long");
      if (to - from >= 4 && to - from >= size) {
        const text = decoder.decode(held.subarray(from + 4, from + size));
        from += size;
        return text;
      }
      // Room for the whole frame, from the start of the buffer; what a long one took is given back.
      const isMore = held.length < size || (to === from && held.length > 1_048_576);
      const room = isMore ? new Uint8Array(size + 65_536) : held;
      if (room !== held || from > 0) room.set(held.subarray(from, to));
      held = room;
      to -= from;
      from = 0;
      const count = read(held.subarray(to));
      if (count === null) return null;
      to += count;
    }
  };
}
