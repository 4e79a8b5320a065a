/**
 * A node of a chaos run as the driver holds it: its process, its line to the database, and what it
 * is asked.
 * @module
 */

import { TcpProxy } from "../tcp_proxy.ts";
import type { Answered, Asking } from "./node.ts";

const CHILD = new URL("./node.ts", import.meta.url).pathname;

/** What all nodes of a run share. */
export interface Fleet {
  /** The database, without its schema. */
  readonly url: string;
  readonly schema: string;
  readonly leaseMs: number;
}

/** What came back: a value, a code, or nothing since the node is gone. */
export type Heard =
  | { readonly how: "value"; readonly value: unknown }
  | { readonly how: "code"; readonly code: string }
  | { readonly how: "gone" };

/** A node, which may be dead or stopped. */
export class Member implements AsyncDisposable {
  readonly name: string;
  readonly line: TcpProxy;
  readonly #fleet: Fleet;
  #child: Deno.ChildProcess | null = null;
  #input: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #heard: Promise<void> = Promise.resolve();
  readonly #waiting = new Map<number, (heard: Heard) => void>();
  #asked = 0;
  /** The id that the store knows it by; null while it is not there. */
  id: string | null = null;
  /** How often it was started. */
  lives = 0;
  isStopped = false;
  /** What its processes said of trouble. */
  said = "";

  /** A node that was not started yet. */
  constructor(name: string, fleet: Fleet) {
    this.name = name;
    this.#fleet = fleet;
    this.line = new TcpProxy(Number(new URL(fleet.url).port));
  }

  /** Whether it could answer. */
  get isUp(): boolean {
    return this.id !== null && !this.isStopped;
  }

  /** Whether its process is there. */
  get isAlive(): boolean {
    return this.#child !== null;
  }

  /** Starts a process of it; resolves when it runs, or did not come to run. */
  async start(): Promise<void> {
    this.lives += 1;
    const at = new URL(this.#fleet.url);
    at.port = `${this.line.port}`;
    at.searchParams.set("schema", this.#fleet.schema);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", CHILD, at.href, this.name, `${this.#fleet.leaseMs}`],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
    }).spawn();
    this.#child = child;
    this.#input = child.stdin.getWriter();
    const running = Promise.withResolvers<void>();
    this.#waiting.set(0, (heard) => {
      if (heard.how === "value") this.id = String(heard.value);
      running.resolve();
    });
    this.#heard = Promise.all([this.#hear(child), this.#complain(child)]).then(async () => {
      await child.status;
      if (this.#child === child) this.#gone();
    });
    await running.promise;
  }

  async #hear(child: Deno.ChildProcess): Promise<void> {
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop()!;
      for (const line of lines) {
        const { n, value, code } = JSON.parse(line) as Answered;
        const wait = this.#waiting.get(n);
        this.#waiting.delete(n);
        wait?.(code === undefined ? { how: "value", value } : { how: "code", code });
      }
    }
  }

  async #complain(child: Deno.ChildProcess): Promise<void> {
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      this.said = (this.said + chunk).slice(-8_192);
    }
  }

  #gone(): void {
    this.#child = null;
    this.#input = null;
    this.id = null;
    this.isStopped = false;
    for (const wait of this.#waiting.values()) wait({ how: "gone" });
    this.#waiting.clear();
  }

  /** Asks it; "gone" when it died before it answered. */
  async ask(asking: Asking): Promise<Heard> {
    const input = this.#input;
    if (input === null) return { how: "gone" };
    const n = this.#asked += 1;
    const heard = new Promise<Heard>((resolve) => this.#waiting.set(n, resolve));
    input.write(new TextEncoder().encode(`${JSON.stringify({ n, asking })}\n`)).catch(() => {});
    return await heard;
  }

  /** Kills its process, wherever it is. */
  async kill(): Promise<void> {
    if (this.#child === null) return;
    this.#signal("SIGKILL");
    this.#input?.close().catch(() => {});
    await this.#heard;
  }

  /** Takes it off the processor. */
  stop(): void {
    if (this.#child === null) return;
    this.isStopped = true;
    this.#signal("SIGSTOP");
  }

  /** Puts it back. */
  go(): void {
    if (this.#child === null || !this.isStopped) return;
    this.isStopped = false;
    this.#signal("SIGCONT");
  }

  /** A process that has ended by itself, and was not heard to have, takes no signal. */
  #signal(signal: Deno.Signal): void {
    try {
      this.#child?.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.line[Symbol.asyncDispose]();
  }
}
