/**
 * Servers of one machine that answer as they are told, byte by byte, and what they were asked.
 * @module
 */

import { allow, type Net, type NetOptions, openNet, type Rule } from "../mod.ts";
import type { Json } from "../kernel/json.ts";
import { type Body, inWorld } from "./world_fixture.ts";

/** What a server does with a request: gives all that it answers, or writes it by itself. */
export type Answering = (
  request: string,
  conn: Deno.Conn,
) => string | Uint8Array | void | Promise<string | Uint8Array | void>;

/** A server on this machine. */
export class Site implements AsyncDisposable {
  /** Every request that came, whole. */
  readonly seen: string[] = [];
  /** Connections, with or without a request. */
  connections = 0;
  readonly #listener: Deno.Listener;
  readonly #answering: Answering;
  readonly #open = new Set<Deno.Conn>();
  readonly #done: Promise<void>;

  /** Listens at once. */
  constructor(
    answering: Answering,
    at: { hostname?: string; port?: number; isSecure?: boolean } = {},
  ) {
    const place = { hostname: at.hostname ?? "127.0.0.1", port: at.port ?? 0 };
    this.#answering = answering;
    this.#listener = at.isSecure === true
      ? Deno.listenTls({ ...place, cert: SITE_CERT, key: SITE_KEY })
      : Deno.listen(place);
    this.#done = this.#listen();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** `http://127.0.0.1:PORT`. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async #listen(): Promise<void> {
    const all: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) all.push(this.#serve(conn));
    } catch {
      // Closed.
    }
    await Promise.all(all);
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    this.connections += 1;
    this.#open.add(conn);
    try {
      const request = await readRequest(conn);
      this.seen.push(request);
      const answer = await this.#answering(request, conn);
      const bytes = typeof answer === "string" ? new TextEncoder().encode(answer) : answer;
      if (bytes !== undefined) {
        for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
      }
    } catch {
      // Who asked has hung up.
    } finally {
      this.#open.delete(conn);
      close(conn);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) close(conn);
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

async function readRequest(conn: Deno.Conn): Promise<string> {
  let text = "";
  const into = new Uint8Array(65_536);
  for (;;) {
    const count = await conn.read(into);
    if (count === null) return text;
    text += String.fromCharCode(...into.subarray(0, count));
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) continue;
    const length = Number(/\r\ncontent-length: (\d+)/.exec(text.slice(0, end))?.[1] ?? 0);
    if (text.length >= end + 4 + length) return text;
  }
}

/** An answer with a body of a known length. */
export function answer(
  status: number,
  body: string | Uint8Array = "",
  headers: readonly string[] = [],
): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const lines = [`HTTP/1.1 ${status} x`, `content-length: ${bytes.length}`, ...headers, "", ""];
  const head = new TextEncoder().encode(lines.join("\r\n"));
  const whole = new Uint8Array(head.length + bytes.length);
  whole.set(head);
  whole.set(bytes, head.length);
  return whole;
}

/** Net whose names lead where they are said to. */
export function netOf(
  names: { readonly [name: string]: readonly string[] } = {},
  options: NetOptions = {},
): Net {
  return openNet({ resolve: (name) => Promise.resolve(names[name] ?? []), ...options });
}

/** What a program gives that runs with a net and these grants; errors are their code. */
export async function fetching(
  net: Net,
  grants: readonly (string | Rule)[],
  body: Body,
): Promise<Json> {
  let result: Json = null;
  const rules = grants.map((one) => typeof one === "string" ? ruleOf(one) : one);
  await inWorld(async (world) => {
    result = await world.result(body, { grants: rules });
  }, { net });
  return result;
}

function ruleOf(text: string): Rule {
  const open = text.indexOf("(");
  return allow(text.slice(0, open), text.slice(open + 1, -1));
}

/** What a promise fails with: its code and its sentence. */
export function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "did not fail",
    (error) => `${(error as { code?: string }).code}: ${(error as Error).message}`,
  );
}

/** Signed "site.test" and 127.0.0.1, for tests alone. */
export const TEST_CA = `-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUCuFyk3OAvgl5kG81eSy2NAh0soAwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjExNzI2MjhaGA8yMTI2MTAyODE3
MjYyOFowEjEQMA4GA1UEAwwHVGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABFCK2L2NhuMe49fsk7FlHqGuI3+i8Qm4GjWzi0hloz3PYyaU1K5StZ0vkBxP
IfCQgvopE9TX7RchxtnbXBahIQ2jUzBRMB0GA1UdDgQWBBTxLJLBSiOenoWuGDvg
maM71C0kQDAfBgNVHSMEGDAWgBTxLJLBSiOenoWuGDvgmaM71C0kQDAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQC+e2pDEwOphBy6JBnl5u4nI0A0
/BEdsezKFq8ODb674gIgYQDinBpFOLdVg55R557TFi1AmprZAshIS8Y2tVQNIcI=
-----END CERTIFICATE-----
`;

export const SITE_CERT = `-----BEGIN CERTIFICATE-----
MIIBnjCCAUOgAwIBAgIUXXKSeDcxN4eH0qlqmq08wuOsNmUwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjExNzI2MjhaGA8yMTI2MTAyODE3
MjYyOFowFDESMBAGA1UEAwwJc2l0ZS50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEMQCs9DVvBThJs8KV0HO0EPsfQsDcq3dKZKyxvTk4LYhEtZL70KaB+5FC
nQOFtZKfv+fK/MwJCK3ijOVp5A4dp6NzMHEwGgYDVR0RBBMwEYIJc2l0ZS50ZXN0
hwR/AAABMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBQx8VU/vpfU/cgo
q3ForTjMCLz4LDAfBgNVHSMEGDAWgBTxLJLBSiOenoWuGDvgmaM71C0kQDAKBggq
hkjOPQQDAgNJADBGAiEAtQn6mJpdzvZ4DRYr2dxLAOherPnKhHcMYn9JJHtElnoC
IQD2V35jIOs9NArUqCd2oajHg95E/qwrAUIZrYf8XOqaVQ==
-----END CERTIFICATE-----
`;

// Secret to nobody: the name is of no net.
export const SITE_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJq7hOJbS37KvNPlI
pgLjIazr6oL163U1nHuSHMll+7mhRANCAAQxAKz0NW8FOEmzwpXQc7QQ+x9CwNyr
d0pkrLG9OTgtiES1kvvQpoH7kUKdA4W1kp+/58r8zAkIreKM5WnkDh2n
-----END PRIVATE KEY-----
`;
