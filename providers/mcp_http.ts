/**
 * A server at a URL: its own origin, no other, with bounds on what comes back.
 *
 * Invariants:
 *   U1. Every request goes to the origin that the mount names; a redirect is refused, and so is
 *       whatever a server says about where to sign in.
 *   U2. A credential goes to its own origins alone.
 *   U3. A body is read up to a limit, after it was unpacked.
 * @module
 */

import { StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { Credentials } from "../kernel/credential.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { McpMount } from "../kernel/mcp_lock.ts";
import { type McpNet, sendTo } from "./mcp_wire.ts";

/** A transport to the URL of a mount. Throws `EINVAL` for what is no URL to go to. */
export function httpTransport(
  mount: McpMount,
  credentials: Credentials | null,
  net: McpNet = {},
): StreamableHTTPClientTransport {
  const url = urlOf(mount);
  return new StreamableHTTPClientTransport(url, {
    fetch: (input, init) => ask({ mount, credentials, net }, new Request(input, init)),
    // A stream that broke is asked for again a few times; then the link is over.
    reconnectionOptions: {
      initialReconnectionDelay: LIMITS.mcpRestartMsMin,
      maxReconnectionDelay: LIMITS.mcpRestartMsMax,
      reconnectionDelayGrowFactor: 2,
      maxRetries: 4,
    },
  });
}

/** The URL of a mount. Throws `EINVAL`. */
export function urlOf({ name, url }: Pick<McpMount, "name" | "url">): URL {
  const found = URL.parse(url ?? "");
  const isPlain = found !== null && found.username === "" && found.password === "" &&
    found.hash === "";
  const isSafe = found?.protocol === "https:" ||
    (found?.protocol === "http:" && LOOPBACK.test(found.hostname));
  if (found !== null && isPlain && isSafe) return found;
  const expected = "expected https://…, or http:// on this machine, without a name or password";
  throw new SysError("EINVAL", `Cannot mount server "${name}": an odd URL, ${expected}`);
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/;

interface Asker {
  readonly mount: McpMount;
  readonly credentials: Credentials | null;
  readonly net: McpNet;
}

async function ask({ mount, credentials, net }: Asker, asked: Request): Promise<Response> {
  const { origin } = urlOf(mount);
  // U1
  if (new URL(asked.url).origin !== origin) {
    throw new SysError("EACCES", `Cannot ask another origin for server "${mount.name}"`);
  }
  const headers = new Headers(asked.headers);
  if (mount.credential !== null) {
    if (credentials === null) {
      const sentence = `Cannot use credential "${mount.credential}"`;
      throw new SysError("ENOENT", `${sentence}: this runtime holds none`);
    }
    const { header, value } = await credentials.use(mount.credential, origin);
    headers.set(header, value);
  }
  const response = await sendTo(new Request(asked, { headers, redirect: "manual" }), net);
  if (response.status >= 300 && response.status < 400) {
    await response.body?.cancel();
    throw new SysError("EIO", `Cannot go on with server "${mount.name}": it leads elsewhere`);
  }
  return bounded(response);
}

/** U3 */
function bounded(response: Response): Response {
  let left: number = LIMITS.mcpHttpBodyBytesMax;
  const body = response.body?.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        left -= chunk.length;
        if (left < 0) controller.error(new SysError("ELIMIT", "Cannot read more of a server"));
        else controller.enqueue(chunk);
      },
    }),
  ) ?? null;
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  // An answer that says where to sign in is followed by nobody.
  headers.delete("www-authenticate");
  return new Response(body, { status, statusText, headers });
}
