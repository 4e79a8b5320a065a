/**
 * The main isolate of a child: frames from the pipe to the Worker and back, and nothing else. It
 * stays free when the Worker is not, and ends the child when the pipe ends.
 *
 * A frame is four bytes of length, the most significant first, and that many bytes of UTF-8.
 * @module
 */

import { bareGlobals } from "./worker.ts";

/** What is used of the runtime. */
export interface RelayHost {
  readonly stdin: { read(into: Uint8Array): Promise<number | null> };
  readonly stdout: { writeSync(bytes: Uint8Array): number };
  readonly stderr: { writeSync(bytes: Uint8Array): number };
  exit(code: number): never;
}

/** What is used of a Worker. */
interface RelayWorker {
  postMessage(text: string): void;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message: string; preventDefault(): void }) => void) | null;
  onmessageerror: (() => void) | null;
}

/** Runs until the pipe ends. The first frame is the code of the Worker. */
export async function relay(host: RelayHost, bytesMax: number): Promise<void> {
  const { stdin, stdout, stderr, exit } = host;
  const read = stdin.read.bind(stdin);
  const write = stdout.writeSync.bind(stdout);
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
  let out = new Uint8Array(65_536);
  const send = (text: unknown): void => {
    if (typeof text !== "string" || text.length > bytesMax) return fail("A message is no frame");
    if (out.length < text.length * 3 + 4) out = new Uint8Array(text.length * 3 + 4);
    const { written } = encoder.encodeInto(text, out.subarray(4));
    out[0] = written >>> 24;
    out[1] = written >>> 16;
    out[2] = written >>> 8;
    out[3] = written;
    for (let at = 0; at < written + 4;) at += write(out.subarray(at, written + 4));
    if (out.length > 1_048_576) out = new Uint8Array(65_536);
  };
  const start = (code: string): RelayWorker => {
    const url = `data:application/javascript,${encodeURIComponent(code)}`;
    const options = { type: "module", deno: { permissions: "none" } } as const;
    const worker = new Inner(url, options as WorkerOptions) as unknown as RelayWorker;
    worker.onmessage = ({ data }) => send(data);
    worker.onmessageerror = () => fail("The Worker sent what is no text");
    worker.onerror = (event) => {
      event.preventDefault();
      fail(`The Worker ended: ${event.message}`);
    };
    return worker;
  };
  let worker: RelayWorker | null = null;
  try {
    await relayFrames(read, bytesMax, (text) => {
      if (worker === null) worker = start(text);
      else worker.postMessage(text);
    });
  } catch (error) {
    fail(`The pipe broke: ${(error as Error).message}`);
  }
  end(0);
}

/** Reads frames until the pipe ends. Throws at one that is too long. */
export async function relayFrames(
  read: (into: Uint8Array) => Promise<number | null>,
  bytesMax: number,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let held = new Uint8Array(65_536);
  let from = 0;
  let to = 0;
  while (true) {
    const size = to - from < 4 ? 4 : 4 + new DataView(held.buffer).getUint32(from);
    if (size > bytesMax + 4) throw new RangeError("a frame is too long");
    if (to - from >= 4 && to - from >= size) {
      take(decoder.decode(held.subarray(from + 4, from + size)));
      from += size;
      continue;
    }
    // Room for the whole frame, from the start of the buffer.
    const room = held.length < size ? new Uint8Array(size + 65_536) : held;
    if (room !== held || from > 0) room.set(held.subarray(from, to));
    held = room;
    to -= from;
    from = 0;
    const count = await read(held.subarray(to));
    if (count === null) return;
    to += count;
  }
}
