/**
 * Somebody whom hooks tell, for tests: it answers as it is told to, and remembers.
 * @module
 */

/** A request that came. */
export interface Got {
  readonly headers: Headers;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** A receiver: answers what `answer` says, and remembers. */
export class Receiver implements AsyncDisposable {
  readonly got: Got[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #heard = Promise.withResolvers<void>();

  /** Listens on any port, or on this one. */
  constructor(answer: (nth: number, got: Got) => Response | Promise<Response>, port = 0) {
    const options = { port, hostname: "127.0.0.1", onListen: () => {} };
    this.#server = Deno.serve(options, async (request) => {
      const text = await request.text();
      const got = { headers: request.headers, text, body: JSON.parse(text) };
      this.got.push(got);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
      return await answer(this.got.length, got);
    });
  }

  /** Where hooks are told; none may say it. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/hook?key=PRIVATE-KEY`;
  }

  /** Where it listens. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** Waits until `count` requests have come. */
  async upTo(count: number): Promise<readonly Got[]> {
    while (this.got.length < count) await this.#heard.promise;
    return this.got;
  }

  /** Listens no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
