/**
 * Requests to a server at a URL: to an address that was judged, and no other.
 *
 * Invariants:
 *   W1. A host is judged as for `net.fetch`: one that its mount does not write out as private leads
 *       to public addresses alone, at each request anew.
 *   W2. The connection is made to an address that was judged, and whoever answers there proves to
 *       be the host. No proxy, no cookie, no cache, no redirect.
 * @module
 */

import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { SysError } from "../kernel/errors.ts";
import { isLocalhost, type NetTarget, netTarget } from "../kernel/net.ts";
import { addressKind, isV6 } from "../kernel/net_address.ts";
import { type NetOptions, openNet } from "./net.ts";

/** How servers at URLs are reached: as the net is. */
export type McpNet = Pick<NetOptions, "caCerts" | "resolve">;

/** Sends a request where its host leads. Throws `EACCES` for a private address, `EIO`. */
export async function sendTo(request: Request, given: McpNet = {}): Promise<Response> {
  const { signal, method, headers } = request;
  const target = netTarget("POST", request.url);
  const addresses = await judged(target, given, signal);
  const body = new Uint8Array(await request.arrayBuffer());
  const answer = await answered({
    host: target.host,
    port: target.port,
    path: target.path,
    method,
    headers: { ...Object.fromEntries(headers), "accept-encoding": "identity" },
    agent: false as const,
    signal,
    lookup: lookupOf(addresses),
    ...given.caCerts === undefined ? {} : { ca: [...given.caCerts] },
  }, { isSecure: target.isSecure, body });
  if ((answer.headers["content-encoding"] ?? "identity") !== "identity") {
    answer.destroy();
    throw new SysError("EIO", "Cannot read the answer: packed, expected it as it is");
  }
  return responseOf(answer);
}

/** W1 */
async function judged(
  target: NetTarget,
  { resolve }: McpNet,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const net = openNet(resolve === undefined ? {} : { resolve });
  const addresses = await net.resolve(target, signal);
  if (addresses.length === 0) {
    throw new SysError("EIO", `Cannot reach "${target.origin}": its name leads to no address`);
  }
  // What its mount writes out as private, it means.
  if (target.isPrivate || isLocalhost(target.host)) return addresses;
  const kind = addresses.map(addressKind).find((one) => one !== null);
  if (kind === undefined) return addresses;
  const expected = "expected public ones, or a mount that writes the address out";
  throw new SysError(
    "EACCES",
    `Cannot reach "${target.origin}": an address is ${kind}, ${expected}`,
  );
}

type Found = { readonly address: string; readonly family: number };

/** What the system would be asked, told already. */
function lookupOf(addresses: readonly string[]) {
  const found: Found[] = addresses.map((address) => ({ address, family: isV6(address) ? 6 : 4 }));
  return (
    _host: string,
    { all = false }: { readonly all?: boolean },
    tell: (error: null, address: string | Found[], family?: number) => void,
  ): void => all ? tell(null, found) : tell(null, found[0]!.address, found[0]!.family);
}

function answered(
  options: Record<string, unknown>,
  { isSecure, body }: { readonly isSecure: boolean; readonly body: Uint8Array },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = (isSecure ? tlsRequest : plainRequest)(options as never, resolve);
    asked.on(
      "error",
      (error: Error) => reject(new SysError("EIO", `Cannot reach the server: ${error.message}`)),
    );
    asked.end(body);
  });
}

const EMPTY = new Set([204, 205, 304]);

function responseOf(answer: IncomingMessage): Response {
  const status = answer.statusCode ?? 502;
  const headers = new Headers();
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    headers.append(answer.rawHeaders[i]!, answer.rawHeaders[i + 1]!);
  }
  if (EMPTY.has(status)) {
    answer.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(answer) as never, { status, headers });
}
