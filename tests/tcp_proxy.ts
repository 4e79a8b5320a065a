/**
 * A line between a client and a server on this machine, which a test can cut.
 * @module
 */

/** Passes bytes on, until it is told to lose them. */
export class TcpProxy implements AsyncDisposable {
  readonly #to: number;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #done: Promise<void>;
  #losing: (() => void) | null = null;
  /** Whether whoever comes is sent away. */
  isDown = false;
  /** Whether lines are silent: they stay open, and nothing that comes then ever gets through. */
  isStalled = false;
  /** Resolves when bytes go on; null while they do. */
  #held: PromiseWithResolvers<void> | null = null;

  /** A line to a port of this machine. */
  constructor(to: number) {
    this.#to = to;
    this.#done = this.#listen();
  }

  /** Where the line begins. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** The server hears what comes next, and its first answer is lost with the line; resolves then. */
  loseAnswer(): Promise<void> {
    return new Promise((resolve) => this.#losing = resolve);
  }

  /** Cuts all lines at once. */
  cut(): void {
    for (const conn of this.#open) close(conn);
    this.#open.clear();
  }

  /** Whoever comes from now on is refused; lines that are open stay so. */
  shut(): void {
    try {
      this.#listener.close();
    } catch {
      // Closed already.
    }
  }

  /** Bytes are held back from now on: all of them come late, and none is lost. */
  hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  /** What was held back goes on. */
  flow(): void {
    this.#held?.resolve();
    this.#held = null;
  }

  async #listen(): Promise<void> {
    const all: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) {
        if (this.isDown) close(conn);
        else all.push(this.#join(conn));
      }
    } catch {
      // Closed.
    }
    await Promise.all(all);
  }

  async #join(client: Deno.Conn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#to })
      .catch(() => undefined);
    if (server === undefined) return close(client);
    const pair = [client, server];
    for (const conn of pair) this.#open.add(conn);
    await Promise.all([this.#pass(client, server, false), this.#pass(server, client, true)]);
    for (const conn of pair) {
      close(conn);
      this.#open.delete(conn);
    }
  }

  async #pass(from: Deno.Conn, to: Deno.Conn, isAnswer: boolean): Promise<void> {
    const bytes = new Uint8Array(65_536);
    try {
      for (;;) {
        const count = await from.read(bytes);
        if (count === null) break;
        if (this.isStalled) {
          // Read until it is cut, so that whoever writes sees nothing of it.
          while (await from.read(bytes) !== null);
          break;
        }
        await this.#held?.promise;
        if (isAnswer && this.#losing !== null) {
          this.#losing();
          this.#losing = null;
          break;
        }
        for (let at = 0; at < count;) at += await to.write(bytes.subarray(at, count));
      }
    } catch {
      // Cut at the other end.
    }
    close(from);
    close(to);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.shut();
    this.cut();
    this.flow();
    await this.#done;
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed already.
  }
}
