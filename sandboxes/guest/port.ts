/**
 * The one way out of a realm: records of text, gathered and sent when the code comes to rest.
 *
 * Invariants:
 *   Q1. `send` is the only thing of the outer realm that is known here. It is called with strings,
 *       from a name that nothing else can read, and what it throws is dropped.
 *   Q2. Once a limit is reached or the run has ended, nothing more is sent.
 * @module
 */

import { Encoder } from "./encode.ts";
import { isLonger, type Primordials, utf8Length } from "./primordials.ts";

/** The limits that are known inside; the host holds them too. */
export interface GuestLimits {
  readonly argumentBytes: number;
  readonly resultBytes: number;
  readonly logBytes: number;
  readonly jsonDepth: number;
  readonly callsOutstanding: number;
  readonly calls: number;
  readonly timers: number;
}

/** Takes records out: JSON texts with commas between; the last ends the run. */
export type Send = (records: string, isLast: boolean) => void;

/** What waits for an answer. */
interface Waiting {
  readonly isWait: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Made before the run is known; `open` begins it. */
export class Port {
  readonly #P: Primordials;
  readonly #waiting: Map<number, Waiting>;
  readonly #codes: WeakMap<object, string>;
  readonly #tick: Promise<void>;
  #send: Send | null = null;
  #limits!: GuestLimits;
  #out = "";
  #flushing = false;
  #logLeft = 0;
  #calls = 0;
  #outstanding = 0;
  #ended = false;

  constructor(P: Primordials) {
    this.#P = P;
    this.#waiting = new P.Map();
    this.#codes = new P.WeakMap();
    this.#tick = new P.Promise((resolve) => resolve());
    // Without it, `then` would ask the tool's Promise.prototype for a constructor.
    P.defineProperty(this.#tick, "constructor", { __proto__: null, value: undefined } as object);
  }

  /** A new one each time: what is read may call or log, and be read itself meanwhile. */
  get encoder(): Encoder {
    return new Encoder(this.#P);
  }

  get limits(): GuestLimits {
    return this.#limits;
  }

  open(send: Send, limits: GuestLimits): void {
    this.#send = send;
    this.#limits = limits;
    this.#logLeft = limits.logBytes;
  }

  /** Asks the host. Rejects with what it answers, or with why the arguments are no JSON. */
  call(name: string, args: unknown): Promise<unknown> {
    return new this.#P.Promise((resolve, reject) => {
      this.ask(name, this.textOf(name, args), { isWait: false, resolve, reject });
    });
  }

  /** Arguments as text, in bounds. */
  textOf(name: string, args: unknown): string {
    const { jsonDepth, argumentBytes } = this.#limits;
    const { text, why, limit } = this.encoder.encode(args ?? {}, jsonDepth, argumentBytes);
    if (limit !== null) this.over(limit === "depth" ? "jsonDepth" : "argumentBytes");
    if (text === null) {
      throw this.error("EINVAL", `Cannot call "${this.#P.slice(name, 0, 128)}": ${why}`);
    }
    if (isLonger(this.#P, text, argumentBytes)) this.over("argumentBytes");
    if (text[0] !== "{") {
      const why = "its arguments are no record, expected one";
      throw this.error("EINVAL", `Cannot call "${this.#P.slice(name, 0, 128)}": ${why}`);
    }
    return text;
  }

  /** Sends a call, and keeps who waits for it. */
  ask(name: string, args: string, waiting: Waiting): void {
    const { calls, callsOutstanding } = this.#limits;
    if (++this.#calls > calls) this.over("calls");
    if (!waiting.isWait && ++this.#outstanding > callsOutstanding) this.over("callsOutstanding");
    this.#P.mapSet(this.#waiting, this.#calls, waiting);
    this.#post(`["call",${this.#calls},${this.#P.quote(name)},${args}]`);
  }

  /** An answer: `[…, id, true, reply]` or `[…, id, false, code, message]`. */
  answer(id: number, answer: { ok: boolean; reply: unknown; message: string }): void {
    const waiting = this.#P.mapGet(this.#waiting, id) as Waiting | undefined;
    if (waiting === undefined) return;
    this.#P.mapDelete(this.#waiting, id);
    if (!waiting.isWait) this.#outstanding--;
    if (answer.ok) waiting.resolve(answer.reply);
    else waiting.reject(this.error(answer.reply as string, answer.message));
  }

  /** An error as a call answers with; what the tool throws is known by it again. */
  error(code: string, message: string): Error {
    const error = new this.#P.Error(message);
    const P = this.#P;
    P.defineProperty(error, "name", { __proto__: null, value: "SysError" } as object);
    P.defineProperty(error, "code", { __proto__: null, value: code, enumerable: true } as object);
    P.weakSet(this.#codes, error, code);
    return error;
  }

  /** The code of an error that `error` made. */
  codeOf(thrown: unknown): string | null {
    if (typeof thrown !== "object" || thrown === null) return null;
    return (this.#P.weakGet(this.#codes, thrown) as string | undefined) ?? null;
  }

  log(text: string): void {
    const line = this.#P.toWellFormed(this.#P.slice(text, 0, this.#logLeft + 1));
    this.#logLeft -= utf8Length(this.#P, line) + 1;
    if (this.#logLeft < 0) this.over("logBytes");
    this.#post(`["log",${this.#P.quote(line)}]`);
  }

  /**
   * Ends the run with what the tool returned, or with why that is no JSON. To be read, the value
   * may run code of the tool's, which may still say what ends the step.
   */
  returned(value: unknown, os: { readonly ends: string }): void {
    const { jsonDepth, resultBytes } = this.#limits;
    const { text, why, limit } = this.encoder.encode(value, jsonDepth, resultBytes);
    if (limit !== null) this.over(limit === "depth" ? "jsonDepth" : "resultBytes");
    if (text === null) return this.threw(`Cannot return what the tool returned: ${why}`, null);
    if (isLonger(this.#P, text, resultBytes)) this.over("resultBytes");
    this.#end(`["returned",${text},${os.ends}]`);
  }

  /** Ends the run with what was thrown. */
  threw(message: string, code: string | null): void {
    const said = this.#P.toWellFormed(this.#P.slice(message, 0, 4_096));
    this.#end(`["threw",${this.#P.quote(said)},${code === null ? "null" : this.#P.quote(code)}]`);
  }

  /** Ends the run because of a limit, at once: the code may never come to rest. */
  over(limit: keyof GuestLimits): never {
    if (!this.#ended) {
      this.#out += `${this.#out === "" ? "" : ","}["over","${limit}"]`;
      this.#ended = true;
      this.#flush();
    }
    throw new this.#P.Error(`The run is over: it reached the limit "${limit}"`);
  }

  #end(record: string): void {
    this.#post(record);
    this.#ended = true;
    this.#flush();
  }

  #post(record: string): void {
    if (this.#ended) return;
    this.#out += this.#out === "" ? record : `,${record}`;
    // Soon: the host reads a frame in one turn of its own.
    if (this.#out.length > 65_536) return this.#flush();
    if (this.#flushing) return;
    this.#flushing = true;
    this.#P.then(this.#tick, () => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const send = this.#send;
    if (this.#out === "" || send === null) return;
    try {
      send(this.#out, this.#ended);
      this.#out = "";
      if (this.#ended) this.#send = null;
    } catch {
      // The stack was exhausted: the next flush starts from its foot.
    }
  }
}
