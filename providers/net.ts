/**
 * Requests over the net: the name is resolved once, every address is checked by who asks, and the
 * connection is made to one of the addresses that were checked.
 *
 * No proxy is used, whatever the environment says, and nothing is kept between requests: no
 * connection, no cookie, no cache. A redirect is an answer as any other.
 * @module
 */

import { lookup } from "node:dns/promises";
import type { Credentials } from "../kernel/credential.ts";
import { spoken, SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import {
  isLocalhost,
  isSafeMethod,
  type Net,
  type NetAnswer,
  type NetAsked,
  type NetTarget,
} from "../kernel/net.ts";
import { canonicalAddress } from "../kernel/net_address.ts";
import type { NetHeader } from "../kernel/net_request.ts";
import type { Clock } from "../kernel/world.ts";
import { realClock } from "./clock.ts";
import { openCredentials } from "./credentials.ts";
import { type HttpHead, HttpReader, readBody, readHead, type Wire, writeAll } from "./net_http.ts";

/** How the net is reached. */
export interface NetOptions {
  /** What may be sent in an agent's name; nothing by default. */
  readonly credentials?: Credentials;
  /** Certificates to trust besides those of the machine, as PEM. */
  readonly caCerts?: readonly string[];
  /** The addresses of a name, in place of the machine's resolver; empty when there are none. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  /** Time, for tests. */
  readonly clock?: Clock;
}

/**
 * Opens the net. Nothing is touched before the first request.
 *
 * @example
 * ```ts
 * import { createRuntime, openNet } from "@agent-libos/core";
 * await using os = await createRuntime({ store: ":memory:", workspace: null, net: openNet() });
 * console.assert(os.approvals.list().length === 0);
 * ```
 */
export function openNet(options: NetOptions = {}): Net {
  return new HostNet(options);
}

const ADDRESSES_TRIED_MAX = 4;

class HostNet implements Net {
  readonly credentials: Credentials;
  readonly #options: NetOptions;
  readonly #clock: Clock;

  constructor(options: NetOptions) {
    this.credentials = options.credentials ?? openCredentials({});
    this.#clock = options.clock ?? realClock;
    this.#options = options;
  }

  async resolve(target: NetTarget, signal: AbortSignal): Promise<readonly string[]> {
    if (target.address !== null) return [target.address];
    if (isLocalhost(target.host)) return ["127.0.0.1", "::1"];
    const stop = new Stop(target, signal, this.#clock);
    stop.after(LIMITS.netResolveMsMax, "its name was not resolved");
    try {
      const found = await stop.race((this.#options.resolve ?? addressesOf)(target.host));
      const addresses = new Set(found.map((each) => canonicalAddress(each) ?? unknown(target)));
      if (addresses.size <= LIMITS.netAddressesMax) return [...addresses];
      throw new SysError("ELIMIT", `${cannot(target)}: its name has ${addresses.size} addresses`, {
        limit: "netAddressesMax",
      });
    } catch (error) {
      if (error instanceof SysError) throw error;
      throw new SysError("EIO", `${cannot(target)}: its name cannot be resolved now`);
    } finally {
      stop.done();
    }
  }

  async send(asked: NetAsked): Promise<NetAnswer> {
    const { target } = asked;
    const stop = new Stop(target, asked.signal, this.#clock);
    stop.after(asked.timeoutMs, "it took too long");
    // What is known of the request when something fails: G5 turns on it.
    const at = { isSent: false };
    try {
      const held = asked.credential === undefined
        ? null
        : await this.credentials.use(asked.credential, target.origin);
      const bytes = requestBytes(asked, held);
      using wire = await this.#connect(asked, stop);
      at.isSent = true;
      return this.#clean(await converse(wire.wire, { asked, bytes, stop }));
    } catch (error) {
      throw this.#fault(target, stop.why(error), at.isSent);
    } finally {
      stop.done();
    }
  }

  async #connect(asked: NetAsked, stop: Stop): Promise<OpenWire> {
    const { target } = asked;
    const cancel = stop.after(LIMITS.netConnectMsMax, "nobody answers there");
    let last: unknown = new SysError("EIO", "it has no address");
    for (const address of asked.addresses.slice(0, ADDRESSES_TRIED_MAX)) {
      try {
        const wire = new OpenWire(
          await Deno.connect({ hostname: address, port: target.port, signal: stop.signal }),
          stop,
        );
        if (target.isSecure) await wire.secure(target.host, this.#options.caCerts);
        cancel();
        return wire;
      } catch (error) {
        if (stop.signal.aborted) throw error;
        last = error;
      }
    }
    throw last;
  }

  /** The answer without secrets, in case they were said back. */
  #clean(answer: NetAnswer): NetAnswer {
    const headers = answer.headers.map(([name, value]): NetHeader => [
      this.credentials.redact(name),
      this.credentials.redact(value),
    ]);
    return { ...answer, headers, body: this.credentials.redactBytes(answer.body) };
  }

  /** A failure as who asked hears it; what may have been done is in doubt. */
  #fault(target: NetTarget, error: unknown, isSent: boolean): SysError {
    const said = error instanceof SysError ? error.message : reasonOf(error);
    const whole = said.startsWith("Cannot ") ? said : `${cannot(target)}: ${said}`;
    const message = this.credentials.redact(whole);
    if (isSent && !isSafeMethod(target.method)) {
      return new SysError("EINDOUBT", `${message}; it was sent, and may have been done`);
    }
    if (error instanceof SysError) return new SysError(error.code, message, error.detail);
    return new SysError(error instanceof Deno.errors.NotCapable ? "EACCES" : "EIO", message);
  }
}

function cannot({ method, url }: NetTarget): string {
  return `Cannot fetch "${method} ${url}"`;
}

function unknown(target: NetTarget): never {
  throw new SysError("EIO", `${cannot(target)}: its name leads to no address`);
}

/** What an error of the machine says, without addresses: a name's are not the caller's to know. */
function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) {
    return "Deno may not connect to its address, expected --allow-net";
  }
  if (error instanceof Deno.errors.ConnectionRefused) return "nobody listens there";
  if (error instanceof Deno.errors.InvalidData) return `no TLS with it: ${spoken(error)}`;
  if (error instanceof Deno.errors.UnexpectedEof) return "it hung up";
  return `the connection failed (${error instanceof Error ? error.name : "unknown"})`;
}

/** The addresses that the machine's resolver has for a name, its own file of hosts included. */
async function addressesOf(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === "ENOTFOUND" || code === "ENODATA") return [];
    throw error;
  }
}

/** What ends a request before its answer: the caller, or time. */
class Stop {
  readonly #target: NetTarget;
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #timers = new Set<AbortController>();
  readonly #outer: AbortSignal;
  readonly #canceled = (): void => {
    this.#controller.abort(new SysError("ECANCELED", `${cannot(this.#target)}: it was stopped`));
  };

  constructor(target: NetTarget, outer: AbortSignal, clock: Clock) {
    this.#target = target;
    this.#outer = outer;
    this.#clock = clock;
    if (outer.aborted) this.#canceled();
    else outer.addEventListener("abort", this.#canceled);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it after a time, unless what is returned is called before. */
  after(ms: number, state: string): () => void {
    const timer = new AbortController();
    this.#clock.sleep(ms, timer.signal).then(() => {
      const sentence = `${cannot(this.#target)}: ${state} in ${ms} ms`;
      this.#controller.abort(new SysError("ETIMEDOUT", sentence));
    }, () => {});
    this.#timers.add(timer);
    return () => timer.abort();
  }

  /** The promise's outcome, or why it was ended. */
  async race<T>(promise: Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    let stop = (): void => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = () => reject(this.signal.reason);
      this.signal.addEventListener("abort", stop);
    });
    try {
      return await Promise.race([promise, stopped]);
    } finally {
      this.signal.removeEventListener("abort", stop);
    }
  }

  /** Why it ended: what was thrown, or what made it be thrown. */
  why(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error;
  }

  done(): void {
    for (const timer of this.#timers) timer.abort();
    this.#outer.removeEventListener("abort", this.#canceled);
  }
}

/** A connection that is closed when it is left, or when the request is ended. */
class OpenWire implements Disposable {
  #conn: Deno.TcpConn | Deno.TlsConn;
  readonly #stop: Stop;
  readonly #close = (): void => {
    try {
      this.#conn.close();
    } catch {
      // Closed already.
    }
  };

  constructor(conn: Deno.TcpConn, stop: Stop) {
    this.#conn = conn;
    this.#stop = stop;
    stop.signal.addEventListener("abort", this.#close);
    if (stop.signal.aborted) this.#close();
  }

  get wire(): Wire {
    return this.#conn;
  }

  /** Puts TLS on it: the other side proves that it is `host`. */
  async secure(host: string, caCerts: readonly string[] = []): Promise<void> {
    try {
      const tls = await Deno.startTls(this.#conn as Deno.TcpConn, {
        hostname: host,
        caCerts: [...caCerts],
        alpnProtocols: ["http/1.1"],
      });
      this.#conn = tls;
      if (this.#stop.signal.aborted) this.#close();
      await tls.handshake();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#stop.signal.removeEventListener("abort", this.#close);
    this.#close();
  }
}

interface Conversation {
  readonly asked: NetAsked;
  readonly bytes: Uint8Array;
  readonly stop: Stop;
}

async function converse(wire: Wire, { asked, bytes, stop }: Conversation): Promise<NetAnswer> {
  const { target } = asked;
  // A server may answer before it has read all, and then hang up on the rest.
  const writing = writeAll(wire, bytes).then(() => null, (error: unknown) => error);
  const cancel = stop.after(LIMITS.netHeadMsMax, "it did not begin to answer");
  const reader = new HttpReader(wire);
  let head: HttpHead;
  try {
    head = await readHead(reader);
  } catch (error) {
    throw stop.signal.aborted ? error : await Promise.race([writing, null]) ?? error;
  }
  cancel();
  const { status, headers } = head;
  const given = { method: target.method, bytesMax: asked.bytesMax };
  try {
    return { status, headers, body: await readBody(reader, head, given), cut: null };
  } catch (error) {
    // Who asked for a change hears that it was answered, and with what.
    if (isSafeMethod(target.method)) throw error;
    const why = stop.why(error);
    const cut = why instanceof SysError ? why.message : reasonOf(why);
    return { status, headers, body: new Uint8Array(), cut };
  }
}

function requestBytes(
  { target, headers, body }: NetAsked,
  held: { readonly header: string; readonly value: string } | null,
): Uint8Array {
  const lines = [
    `${target.method} ${target.path} HTTP/1.1`,
    `host: ${new URL(target.origin).host}`,
    "connection: close",
    "accept-encoding: gzip",
    ...(headers.some(([name]) => name === "user-agent") ? [] : ["user-agent: agent-libos"]),
    ...(headers.some(([name]) => name === "accept") ? [] : ["accept: */*"]),
    ...headers.filter(([name]) => name !== held?.header).map(([name, value]) =>
      `${name}: ${value}`
    ),
    ...(held === null ? [] : [`${held.header}: ${held.value}`]),
    ...(body.length > 0 || !isSafeMethod(target.method) ? [`content-length: ${body.length}`] : []),
    "",
    "",
  ];
  const head = new TextEncoder().encode(lines.join("\r\n"));
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}
