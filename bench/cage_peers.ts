/**
 * What cages are held against: the same small tool, with fewer walls or none.
 * @module
 */

import vm from "node:vm";
import { CAGE_LIMITS } from "../kernel/limits.ts";
import type { VmModule } from "../sandboxes/guest/worker.ts";
import { moduleUrl } from "../sandboxes/guest_text.ts";
import { argumentsOf } from "../sandboxes/process_sandbox.ts";
import { ADD } from "./cage_stand.ts";

const INPUT = JSON.stringify({ n: 1 });
const TOOL = ADD.replace("export default", "const tool =");
const WORKER = `${TOOL}\nonmessage = ({ data }) => ` +
  "postMessage(JSON.stringify(tool(JSON.parse(data))));";
const CHILD = `${TOOL}\nconst into = new Uint8Array(65536);
for (let count; (count = await Deno.stdin.read(into)) !== null;) {
  const text = new TextDecoder().decode(into.subarray(0, count));
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(tool(JSON.parse(text)))));
}`;
const NO_RIGHTS = { type: "module", deno: { permissions: "none" } } as WorkerOptions;
const CHILD_ARGS = ["run", "--no-prompt", "--no-config", "--no-lock", "--no-remote", "--no-check"];

/** A Worker of this process, without permissions. */
export class BareWorker implements Disposable {
  readonly #worker = new Worker(moduleUrl(WORKER), NO_RIGHTS);

  /** Calls the tool; the first time it has to start. */
  call(): Promise<unknown> {
    return new Promise((resolve) => {
      this.#worker.onmessage = ({ data }) => resolve(JSON.parse(data));
      this.#worker.postMessage(INPUT);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** A child which runs the module, with pipes. */
function childOf(text: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [...CHILD_ARGS, moduleUrl(text)],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

/** A child of this process that runs the tool in its main isolate. */
export class BareChild implements AsyncDisposable {
  readonly #child = childOf(CHILD);
  readonly #writer = this.#child.stdin.getWriter();
  readonly #reader = this.#child.stdout.getReader();

  /** Calls the tool; the first time it has to start. */
  async call(): Promise<unknown> {
    await this.#writer.write(new TextEncoder().encode(INPUT));
    const { value } = await this.#reader.read();
    return JSON.parse(new TextDecoder().decode(value));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#writer.abort().catch(() => {});
    await this.#reader.cancel().catch(() => {});
  }
}

/** The tool in a fresh context of this isolate. */
export async function inVm(): Promise<unknown> {
  const { createContext, SourceTextModule, constants } = vm as unknown as VmModule;
  const context = createContext(constants.DONT_CONTEXTIFY, {
    codeGeneration: { strings: false, wasm: false },
  });
  const module = new SourceTextModule(ADD, { context, identifier: "tool" });
  await module.link(() => {
    throw new TypeError("It imports nothing");
  });
  await module.evaluate();
  const { default: tool } = module.namespace as { default(input: unknown): unknown };
  return tool(JSON.parse(INPUT));
}

const ECHO_WORKER = `{ type: "module", deno: { permissions: "none" } }`;
const ECHO = `const worker = new Worker(${
  JSON.stringify(moduleUrl("onmessage = ({ data }) => postMessage(data);"))
}, ${ECHO_WORKER});
const into = new Uint8Array(65536), out = new Uint8Array(65536);
const encoder = new TextEncoder(), decoder = new TextDecoder();
worker.onmessage = ({ data }) => {
  const { written } = encoder.encodeInto(data, out.subarray(4));
  new DataView(out.buffer).setUint32(0, written);
  Deno.stdout.writeSync(out.subarray(0, written + 4));
};
for (let held = 0, count; (count = await Deno.stdin.read(into.subarray(held))) !== null;) {
  held += count;
  const size = held < 4 ? Infinity : 4 + new DataView(into.buffer).getUint32(0);
  if (held < size) continue;
  worker.postMessage(decoder.decode(into.subarray(4, size)));
  held = 0;
}`;
const WRITER = `const out = new Uint8Array(65536), encoder = new TextEncoder();
onmessage = ({ data }) => {
  const { written } = encoder.encodeInto(data, out.subarray(4));
  new DataView(out.buffer).setUint32(0, written);
  Deno.stdout.writeSync(out.subarray(0, written + 4));
};
postMessage("ready");`;
const SHORT_ECHO = `const worker = new Worker(${JSON.stringify(moduleUrl(WRITER))}, ${ECHO_WORKER});
await new Promise((resolve) => worker.onmessage = resolve);
const into = new Uint8Array(65536), decoder = new TextDecoder();
for (let held = 0, count; (count = Deno.stdin.readSync(into.subarray(held))) !== null;) {
  held += count;
  const size = held < 4 ? Infinity : 4 + new DataView(into.buffer).getUint32(0);
  if (held < size) continue;
  worker.postMessage(decoder.decode(into.subarray(4, size)));
  held = 0;
}`;

/** How a bare echo carries texts: by two loops of events, or as short as a cage's relay does. */
const ECHOES = { plain: ECHO, short: SHORT_ECHO };

/**
 * A Worker in a child that sends back each text as it is: a frame on the pipe, and no checks. It is
 * started as a cage is.
 */
export class BareEcho implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();

  /** Starts it. */
  constructor(way: keyof typeof ECHOES) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...argumentsOf(CAGE_LIMITS.memoryBytes, ECHOES[way])],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.getReader();
  }

  /** Sends a text and waits until it is back. */
  async echo(text: string): Promise<string> {
    const frame = new Uint8Array(4 + text.length * 3);
    const { written } = this.#encoder.encodeInto(text, frame.subarray(4));
    new DataView(frame.buffer).setUint32(0, written);
    const writing = this.#writer.write(frame.subarray(0, 4 + written));
    let held = new Uint8Array(0);
    while (held.length < 4 + written) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("The echo ended");
      const more = new Uint8Array(held.length + value.length);
      more.set(held);
      more.set(value, held.length);
      held = more;
    }
    await writing;
    return this.#decoder.decode(held.subarray(4));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#writer.abort().catch(() => {});
    await this.#reader.cancel().catch(() => {});
  }
}
