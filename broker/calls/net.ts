/**
 * The net: one request to one place, judged by method, scheme, host, port and path.
 *
 * A redirect is an answer: who wants to follow it makes another call, which is judged as any.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import { sha256 } from "../../kernel/json.ts";
import type { Label } from "../../kernel/label.ts";
import { LIMITS } from "../../kernel/limits.ts";
import {
  isSafeMethod,
  type Net,
  NET_METHODS,
  type NetAnswer,
  type NetMethod,
  type NetTarget,
  netTarget,
  resourceAt,
} from "../../kernel/net.ts";
import { addressKind } from "../../kernel/net_address.ts";
import { type NetHeader, netHeaders, netPreview, redirectOf } from "../../kernel/net_request.ts";
import { labelFor, type Risk } from "../../kernel/policy.ts";
import { type CallContext, type Need, syscall } from "../syscall.ts";
import { bytesIn } from "./file.ts";

/** What an answer carries when no rule says otherwise: anybody may have written it. */
const NET_LABEL: Label = { sensitivity: "internal", trust: "untrusted" };

const args = z.strictObject({
  url: z.string().min(1).max(LIMITS.netUrlBytesMax).describe("https://example.com/a?b=c"),
  method: z.enum(NET_METHODS).default("GET"),
  headers: z.record(z.string(), z.string()).default({})
    .describe("Not who you are: that is what a credential says"),
  body: z.string().default(""),
  encoding: z.enum(["utf8", "base64"]).default("utf8").describe("Of the body"),
  credential: z.string().min(1).max(64).optional()
    .describe("Name of a credential that is sent along; its secret is never seen"),
  idempotent: z.boolean().default(false)
    .describe("Send a header Idempotency-Key, the same if this is ever sent again"),
  timeoutMs: z.number().int().min(1).max(LIMITS.netTotalMsMax).default(LIMITS.netTotalMsDefault),
  bytesMax: z.number().int().min(1).max(LIMITS.netBodyBytesMax).default(LIMITS.netBodyBytesMax)
    .describe("Most bytes of the answer's body, unpacked"),
});
type Args = z.output<typeof args>;

const reply = z.strictObject({
  url: z.string(),
  status: z.number(),
  headers: z.record(z.string(), z.string()),
  type: z.string().describe("The media type, such as text/html"),
  text: z.string(),
  encoding: z.enum(["utf8", "base64"]).describe("Of the text"),
  bytes: z.number(),
  sha256: z.string(),
  redirect: z.strictObject({
    url: z.string(),
    method: z.enum(NET_METHODS),
    keepsBody: z.boolean().describe("Whether the body is to be sent there, too"),
    isSameOrigin: z.boolean().describe("Else neither credential nor headers are meant for it"),
  }).nullable().describe("Where the answer leads; it was not followed"),
  cut: z.string().nullable().describe("Why the body is not here although it was answered"),
});

interface Prepared {
  readonly net: Net;
  readonly target: NetTarget;
  readonly addresses: readonly string[];
  readonly headers: readonly NetHeader[];
  readonly body: Uint8Array;
}

function netOf({ world }: CallContext): Net {
  if (world.net !== null && world.net !== undefined) return world.net;
  const expected = "expected one that was made with net: openNet()";
  throw new SysError("ENOSYS", `Cannot use the net: this runtime has none, ${expected}`);
}

function needsOf({ url, method, body, encoding, credential }: Args): Need[] {
  const { resource } = netTarget(method, url);
  const fetch: Need = { right: "net.fetch", resource, bytes: bytesIn(body, encoding) };
  if (credential === undefined) return [fetch];
  return [fetch, { right: "credential.use", resource: credential }];
}

function riskOf(method: NetMethod): Risk {
  if (method === "DELETE") return "destructive";
  return isSafeMethod(method) ? "medium" : "high";
}

function bodyOf({ method, body, encoding }: Args): Uint8Array {
  if (body !== "" && isSafeMethod(method)) {
    const sentence = `Cannot fetch with ${method} and a body: nobody reads it`;
    throw new SysError("EINVAL", `${sentence}, expected another method`);
  }
  const bytes = encoding === "utf8" ? new TextEncoder().encode(body) : decoded(body);
  if (bytes.length <= LIMITS.netRequestBytesMax) return bytes;
  const sentence = `Cannot send a body of ${bytes.length} bytes`;
  throw new SysError("ELIMIT", `${sentence}: expected ${LIMITS.netRequestBytesMax} at most`, {
    limit: "netRequestBytesMax",
  });
}

function decoded(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw new SysError("EINVAL", "Cannot send the body: its text is not base64");
  }
}

function headersOf(at: CallContext, given: Args): NetHeader[] {
  const headers = netHeaders(given.headers);
  return given.idempotent ? [...headers, ["idempotency-key", at.idempotencyKey]] : headers;
}

/** Refuses a credential that is not for there, before anything is resolved or written down. */
function checkCredential(net: Net, target: NetTarget, name: string | undefined): void {
  if (name === undefined) return;
  const head = net.credentials.list().find((each) => each.name === name);
  if (head?.origins.includes(target.origin) === true) return;
  const sentence = `Cannot use credential "${name}" for "${target.origin}"`;
  throw new SysError("EACCES", `${sentence}: it is not for there, expected one that is`);
}

/**
 * Refuses a name whose addresses are not all public, unless the caller may ask the same of each
 * address itself. Says the same of a name that has none, so that nothing is told of inner nets.
 */
function checkAddresses(at: CallContext, target: NetTarget, addresses: readonly string[]): void {
  // Its own text says it is private: then it was judged by name, at the door (F2).
  const isNamed = target.isPrivate;
  const isOpen = (address: string): boolean =>
    isNamed || addressKind(address) === null ||
    at.may({ right: "net.fetch", resource: resourceAt(target, address) });
  if (addresses.length > 0 && addresses.every(isOpen)) return;
  const expected = "expected one, or a capability that writes its private ones out";
  throw new SysError(
    "EACCES",
    `Cannot fetch "${target.method} ${target.url}": its host has no public address, ${expected}`,
  );
}

async function prepare(at: CallContext, given: Args): Promise<Prepared> {
  const net = netOf(at);
  const target = netTarget(given.method, given.url);
  const headers = headersOf(at, given);
  const body = bodyOf(given);
  checkCredential(net, target, given.credential);
  const addresses = await net.resolve(target, at.signal);
  checkAddresses(at, target, addresses);
  return { net, target, addresses, headers, body };
}

async function fetchOnce(at: CallContext, given: Args, prepared: Prepared): Promise<unknown> {
  const { net, target, addresses, headers, body } = prepared;
  // Again: what opened a private address may be gone since.
  checkAddresses(at, target, addresses);
  at.taint(labelFor(at.tree.policy, "net.fetch", target.resource) ?? NET_LABEL);
  const { credential, timeoutMs, bytesMax } = given;
  const answer = await net.send({
    target,
    addresses,
    headers,
    body,
    ...(credential === undefined ? {} : { credential }),
    timeoutMs,
    bytesMax,
    signal: at.signal,
  });
  return told(net, target, answer);
}

/** Headers of an answer that are not for a process: a session is a secret, the rest is wiring. */
const NOT_TOLD = new Set([
  "set-cookie",
  "set-cookie2",
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-encoding",
  "content-length",
]);

function told(net: Net, target: NetTarget, answer: NetAnswer): z.output<typeof reply> {
  const headers: { [name: string]: string } = {};
  for (const [name, value] of answer.headers) {
    if (NOT_TOLD.has(name) || !/^[a-z0-9][a-z0-9_-]*$/.test(name)) continue;
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
  }
  const [type = "", ...parameters] = (headers["content-type"] ?? "").toLowerCase().split(";");
  const text = textOf(type.trim(), parameters.join(";"), answer.body);
  return {
    url: target.url,
    status: answer.status,
    headers,
    type: type.trim(),
    // In another encoding a secret looks otherwise than it did in the bytes.
    text: text === null ? answer.body.toBase64() : net.credentials.redact(text),
    encoding: text === null ? "base64" : "utf8",
    bytes: answer.body.length,
    sha256: sha256(answer.body),
    redirect: redirectOf(target, answer.status, headers["location"]),
    cut: answer.cut,
  };
}

const TEXT_TYPE = /^text\/|[/+](json|xml|yaml|javascript|x-ndjson|x-www-form-urlencoded|sql)$/;
// deno-lint-ignore no-control-regex
const BINARY = /[\u0000-\u0008\u000b\u000e-\u001f]/;

/** A body as text; null for what is none, or has what a text has not. */
function textOf(type: string, parameters: string, body: Uint8Array): string | null {
  const charset = /(?:^|;)\s*charset="?([\w.:-]+)/.exec(parameters)?.[1] ?? "utf-8";
  // What says nothing of itself is text if it reads as such.
  if (type !== "" && !TEXT_TYPE.test(type)) return null;
  try {
    const text = new TextDecoder(charset, { fatal: true, ignoreBOM: false }).decode(body);
    // In UTF-8 it may be longer than it came: then a reply could not hold it.
    const isLong = charset !== "utf-8" && 3 * text.length > LIMITS.netBodyBytesMax;
    return isLong || BINARY.test(text) ? null : text;
  } catch {
    return null;
  }
}

/** Calls on the net. */
export const netCalls = {
  "net.fetch": syscall({
    about: "Make one request over the net; redirects are told, not followed",
    effect: "emit",
    risk: "high",
    weigh: ({ method }) => riskOf(method),
    args,
    reply,
    needs: needsOf,
    // deno-lint-ignore require-await -- a preview may have to read; this one need not
    async preview(at, given) {
      return netPreview(netTarget(given.method, given.url), {
        headers: headersOf(at, given),
        body: given.encoding === "utf8" ? given.body : `base64 ${given.body}`,
        bytes: bodyOf(given).length,
        credential: given.credential,
      });
    },
    prepare,
    run: fetchOnce,
    // deno-lint-ignore require-await -- a provider that could be asked would be waited for
    async lost(_at, { method }) {
      // What asks for no change may be asked twice.
      return isSafeMethod(method) ? { state: "not-done" } : { state: "unknown" };
    },
  }),
};
