/**
 * Anchors out of reach: signed heads kept by a server.
 *
 * The protocol is two requests to one URL, each with canonical JSON:
 *   POST  takes a signed head: 2xx when it is kept for good, 409 when it keeps another one that is
 *         as large or larger.
 *   GET   gives the largest head that it keeps, or 404 (or 204) for none yet.
 * The server need not be able to sign or to check anything; it must not forget.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { canonical } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { HEAD } from "../kernel/seal.ts";
import type { Anchor, SignedHead } from "../kernel/seal.ts";

const WAIT_MS = 10_000;
/** A signed head has some 500 bytes. */
const REPLY_BYTES_MAX = 4_096;

/**
 * Keeps heads at a URL.
 *
 * @example
 * ```ts
 * import { HttpAnchor, type SignedHead } from "@agent-libos/core";
 * let kept: SignedHead | undefined;
 * const options = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
 * await using server = Deno.serve(options, async (request) => {
 *   if (request.method === "POST") kept = await request.json();
 *   return kept === undefined ? new Response(null, { status: 404 }) : Response.json(kept);
 * });
 * const anchor = new HttpAnchor(`http://127.0.0.1:${server.addr.port}/heads`);
 * console.assert(await anchor.latest() === undefined);
 * ```
 */
export class HttpAnchor implements Anchor {
  /** Its URL without what may be secret in it. */
  readonly name: string;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;

  /** `headers` go with each request: an authorization, for example. */
  constructor(url: string, options: { readonly headers?: Readonly<Record<string, string>> } = {}) {
    const parsed = URL.parse(url);
    if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
      throw new SysError("EINVAL", `Cannot anchor at "${url}": no URL, expected http or https`);
    }
    this.#url = parsed;
    this.#headers = { ...options.headers };
    this.name = `${parsed.origin}${parsed.pathname}`;
  }

  /** Keeps a head. `ESTALE` when the server refuses it, `EIO` when it cannot be reached. */
  async put(head: SignedHead): Promise<void> {
    const { status, text } = await this.#ask("anchor at", {
      method: "POST",
      body: canonical(head),
      headers: { ...this.#headers, "content-type": "application/json" },
    });
    if (status >= 200 && status < 300) return;
    const code = status === 409 ? "ESTALE" : "EIO";
    const said = text === "" ? "" : ` (${JSON.stringify(text.slice(0, 120))})`;
    const sentence = `Cannot anchor at ${this.name}: it answered ${status}${said}`;
    throw new SysError(code, `${sentence}, expected it to keep the head of ${head.size} leaves`);
  }

  /** The largest head that the server keeps; `EIO` for an answer that is none. */
  async latest(): Promise<SignedHead | undefined> {
    const { status, text } = await this.#ask("ask", { method: "GET", headers: this.#headers });
    if (status === 404 || status === 204) return undefined;
    if (status !== 200) {
      const sentence = `Cannot ask ${this.name}: it answered ${status}`;
      throw new SysError("EIO", `${sentence}, expected 200, or 404 for no head`);
    }
    const head = headOf(text);
    if (head !== undefined) return head;
    throw new SysError(
      "EIO",
      `Cannot ask ${this.name}: its answer is no signed head, expected one`,
    );
  }

  /** The largest head, which vouches for all before it. */
  async all(): Promise<readonly SignedHead[]> {
    const head = await this.latest();
    return head === undefined ? [] : [head];
  }

  async #ask(
    verb: string,
    request: RequestInit,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), WAIT_MS);
    try {
      const { signal } = late;
      // Elsewhere it might be somebody else who answers.
      const reply = await fetch(this.#url, { ...request, signal, redirect: "error" });
      return { status: reply.status, text: await bounded(reply) };
    } catch (thrown) {
      const why = late.signal.aborted ? `no answer in ${WAIT_MS} ms` : reasonOf(thrown);
      throw new SysError("EIO", `Cannot ${verb} ${this.name}: ${why}, expected an answer`);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function bounded(reply: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of reply.body ?? []) {
    bytes += chunk.length;
    // Leaving the loop cancels the rest.
    if (bytes > REPLY_BYTES_MAX) break;
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.name : "unknown failure";
}

function headOf(text: string): SignedHead | undefined {
  try {
    return HEAD.safeParse(parseJson(text)).data;
  } catch {
    return undefined;
  }
}
