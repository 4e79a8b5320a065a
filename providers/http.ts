/**
 * A socket that serves HTTP.
 *
 * Invariants:
 *   S1. Whoever takes all the sockets that there are ends nothing: what is open goes on, and it
 *       listens again when there are some.
 *   S2. Closing takes a time that has an end, whatever those do who are connected.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

/** What answers a request; `from` is the address of whoever sent it. */
export type HttpHandler = (request: Request, from: string) => Response | Promise<Response>;

/** How to listen. */
export interface HttpOptions {
  /** "127.0.0.1" by default: nobody else's machine reaches it. */
  readonly hostname?: string;
  /** 0, the default, for any that is free. */
  readonly port?: number;
  /** PEM texts; without them the socket speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A socket that is served. */
export interface HttpListener {
  /** Where it listens. */
  readonly hostname: string;
  /** The port that was taken. */
  readonly port: number;
  /** `http://127.0.0.1:7777`. */
  readonly url: string;
  /** Takes no more requests; those under way are answered, if they are read in time. */
  close(): Promise<void>;
}

/** Listens and answers. Throws `EEXIST` when the port is taken, `EACCES`, `EINVAL`. */
export function listenHttp(handler: HttpHandler, options: HttpOptions = {}): HttpListener {
  const { hostname = "127.0.0.1", port = 0, tls } = options;
  prepareSignals();
  let server = serve(handler, { hostname, port, ...tls });
  const at = server.addr as Deno.NetAddr;
  const host = at.hostname.includes(":") ? `[${at.hostname}]` : at.hostname;
  const closing = new AbortController();
  void kept(
    () => server.finished,
    () => server = serve(handler, { hostname, port: at.port, ...tls }),
    closing.signal,
  );
  return {
    hostname: at.hostname,
    port: at.port,
    url: `${tls === undefined ? "http" : "https"}://${host}:${at.port}`,
    close: async () => {
      closing.abort();
      await inTime(server.shutdown().catch(() => {}), LIMITS.httpCloseMsMax);
      // Whoever is waited for no longer keeps nobody from ending.
      server.unref();
    },
  };
}

/** S1: a server ends by itself when it cannot take a connection, as when no file can be opened. */
async function kept(
  finished: () => Promise<void>,
  again: () => void,
  closing: AbortSignal,
): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  closing.addEventListener("abort", () => resolve());
  while (!await finished().then(() => true, () => false)) {
    for (let isOpen = false; !isOpen;) {
      await inTime(closed, LIMITS.httpListenAgainMs);
      if (closing.aborted) return;
      try {
        again();
        isOpen = true;
      } catch {
        // Not yet.
      }
    }
  }
}

/**
 * S1: the platform opens what it hears signals by when it is first asked to, by a task of its own
 * as well, and ends where no file can be opened then. So it is asked before anybody can connect.
 */
function prepareSignals(): void {
  const nobody = (): void => {};
  Deno.addSignalListener("SIGINT", nobody);
  Deno.removeSignalListener("SIGINT", nobody);
}

async function inTime(job: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([job, promise]);
  clearTimeout(timer);
}

function serve(
  handler: HttpHandler,
  at: { readonly hostname: string; readonly port: number; readonly cert?: string; key?: string },
): Deno.HttpServer {
  const answer: Deno.ServeHandler = (request, { remoteAddr }) =>
    handler(request, remoteAddr.transport === "tcp" ? remoteAddr.hostname : "local");
  try {
    return Deno.serve({ ...at, onListen: () => {} } as Deno.ServeTcpOptions, answer);
  } catch (thrown) {
    const where = `${at.hostname}:${at.port}`;
    if (thrown instanceof Deno.errors.AddrInUse) {
      const expected = "expected a free one; 0 takes any";
      throw new SysError("EEXIST", `Cannot listen on "${where}": the port is taken, ${expected}`);
    }
    if (
      thrown instanceof Deno.errors.PermissionDenied || thrown instanceof Deno.errors.NotCapable
    ) {
      throw new SysError(
        "EACCES",
        `Cannot listen on "${where}": not permitted, expected --allow-net`,
      );
    }
    if (thrown instanceof Error) {
      throw new SysError("EINVAL", `Cannot listen on "${where}": ${thrown.message}`);
    }
    throw thrown;
  }
}
