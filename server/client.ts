/**
 * A client of the HTTP API: what an operator's own program speaks to a runtime with.
 *
 * @example
 * ```ts
 * import { createRuntime } from "@agent-libos/core";
 * import { connect } from "@agent-libos/core/client";
 * import { serve } from "@agent-libos/core/server";
 * await using os = await createRuntime({ store: ":memory:", workspace: null });
 * await using server = serve(os);
 * const { secret } = server.tokens.create({ name: "ada", role: "operator" });
 * const client = connect(server.url, { token: secret });
 * console.assert((await client.whoami()).name === "ada");
 * ```
 * @module
 */

import { type Errno, ERRORS, SysError } from "../kernel/errors.ts";
import { sendHttp } from "../providers/http_client.ts";
import { eventsOf, textOf } from "./answer_stream.ts";
import type * as wire from "./wire.ts";

export type * from "./wire.ts";

/** How to speak to a server. */
export interface ConnectOptions {
  /** A token of it: `libos token create NAME --role R`. */
  readonly token: string;
}

/** A refusal that only a server makes: `unauthenticated`, `role_too_low`, `own_request`, … */
export class ServerRefusal extends Error {
  /** Always "ServerRefusal". */
  override readonly name = "ServerRefusal";
  /** Which refusal. */
  readonly code: string;
  /** The HTTP status. */
  readonly status: number;
  /** Seconds after which to try again; null where that is not said. */
  readonly retryAfter: number | null;

  /** Made by the client. */
  constructor(problem: wire.Problem, retryAfter: number | null) {
    super(problem.detail);
    this.code = problem.code;
    this.status = problem.status;
    this.retryAfter = retryAfter;
  }
}

/** Parts of an address after "?"; what is undefined is left out. */
export type Query = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

/** A page of a list. */
export interface PageOf<T> {
  /** What is on it. */
  readonly items: readonly T[];
  /** Where the next one begins; null at the end. */
  readonly next: string | null;
}

/**
 * Speaks to a server. Nothing is sent before the first request.
 *
 * @example
 * ```ts
 * import { connect } from "@agent-libos/core";
 * const client = connect("http://127.0.0.1:7777", { token: "libos_…" });
 * console.assert(client.url === "http://127.0.0.1:7777");
 * ```
 */
export function connect(url: string, options: ConnectOptions): Client {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    const expected = 'expected one like "http://127.0.0.1:7777"';
    throw new SysError("EINVAL", `Cannot connect to "${url}": no address, ${expected}`);
  }
  return new Client(parsed.origin, options);
}

/** A server, spoken to by a token. Every method throws `SysError` or {@linkcode ServerRefusal}. */
export class Client {
  /** `http://127.0.0.1:7777`. */
  readonly url: string;
  readonly #token: string;

  /** Use {@linkcode connect}. */
  constructor(url: string, options: ConnectOptions) {
    this.url = url;
    this.#token = options.token;
  }

  /** Who the server says this is. */
  async whoami(): Promise<wire.Who> {
    return await this.get("/v1/whoami");
  }

  /** Processes; `all` shows those that ended too. */
  async ps(query: Query = {}): Promise<wire.Process[]> {
    const all = this.all<wire.Process>("/v1/processes", { limit: 500, ...query });
    return await Array.fromAsync(all);
  }

  /** One process. */
  async process(pid: string): Promise<wire.Process> {
    return await this.get(`/v1/processes/${pid}`);
  }

  /** Starts a tree; with a key, a second call returns the live process of the first. */
  async spawn(
    wish: Omit<wire.Spawn, "grants"> & { readonly grants?: readonly string[] },
    options: { readonly idempotencyKey?: string } = {},
  ): Promise<wire.Process> {
    const { idempotencyKey: key } = options;
    const headers = key === undefined ? {} : { "idempotency-key": key };
    return await this.send("POST", "/v1/processes", { body: wish, headers });
  }

  /** Images that the server can start. */
  async images(): Promise<wire.Image[]> {
    return [...(await this.get<{ readonly items: readonly wire.Image[] }>("/v1/images")).items];
  }

  /**
   * Makes an image of what a process is now: its instructions, tools and generated tools, by hash.
   * The same again changes nothing; `EEXIST` when another image has that name and version.
   */
  async commit(pid: string, name: string, version = "1"): Promise<wire.Image> {
    return await this.send("POST", "/v1/images", { body: { pid, name, version } });
  }

  /** Packages that the server keeps. */
  async packages(): Promise<wire.PackageLabel[]> {
    const found = await this.get<{ readonly items: readonly wire.PackageLabel[] }>("/v1/packages");
    return [...found.items];
  }

  /** What is in a package: what its agents will ask for first. */
  async package(word: string): Promise<wire.Package> {
    return await this.get(`/v1/packages/${encodeURIComponent(word)}`);
  }

  /** The file of a package, as JSON; its hash says whether it is whole. */
  async packageFile(word: string): Promise<wire.PackageFile> {
    return await this.get(`/v1/packages/${encodeURIComponent(word)}/file`);
  }

  /** What differs between two packages that the server keeps. */
  async packageChanges(from: string, to: string): Promise<wire.PackageChange[]> {
    const path = `/v1/packages/${encodeURIComponent(to)}/changes`;
    const found = await this.get<{ readonly items: readonly wire.PackageChange[] }>(path, { from });
    return [...found.items];
  }

  /** Brings a package's file. `EEXIST` when another has its name and version. */
  async keepPackage(file: wire.PackageFile): Promise<wire.Package> {
    return await this.send("POST", "/v1/packages", { body: file });
  }

  /** Takes a package away; processes of it go on. */
  async removePackage(word: string): Promise<wire.PackageLabel> {
    return await this.send("DELETE", `/v1/packages/${encodeURIComponent(word)}`);
  }

  /** Sends a signal to a process and all below it. */
  async signal(
    pid: string,
    signal: wire.Signal["signal"],
    reason = "",
  ): Promise<wire.Process> {
    return await this.send("POST", `/v1/processes/${pid}/signals`, { body: { signal, reason } });
  }

  /** Sends a process a message. */
  async message(
    pid: string,
    data: unknown,
    options: { readonly type?: string; readonly interrupt?: boolean } = {},
  ): Promise<wire.Process> {
    const body = { data, ...options };
    return await this.send("POST", `/v1/processes/${pid}/messages`, { body });
  }

  /** Resolves when a process has ended, however it ended. */
  async wait(
    pid: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<wire.WaitResult> {
    for (;;) {
      const path = `/v1/processes/${pid}/wait?timeoutMs=30000`;
      const found = await this.send<wire.WaitResult>("GET", path, options);
      if (found.ended) return found;
      options.signal?.throwIfAborted();
    }
  }

  /** What a process holds. */
  async capabilities(pid: string): Promise<wire.Capability[]> {
    return [...(await this.get<wire.CapabilityPage>(`/v1/processes/${pid}/capabilities`)).items];
  }

  /** Gives a process a right, inside its tree's ceiling. */
  async grant(pid: string, grant: wire.Grant): Promise<wire.Capability> {
    return await this.send("POST", `/v1/processes/${pid}/capabilities`, { body: grant });
  }

  /** Takes a capability back, with all that was derived from it. */
  async revoke(capability: string, reason = ""): Promise<void> {
    const query = reason === "" ? "" : `?reason=${encodeURIComponent(reason)}`;
    await this.send("DELETE", `/v1/capabilities/${capability}${query}`);
  }

  /** Whether a process could do something, why, and the least that would let it. */
  async explain(pid: string, rule: string): Promise<wire.Explanation> {
    return await this.send("POST", "/v1/capabilities/explain", { body: { pid, rule } });
  }

  /** Requests that wait for an answer, in order of tree and number. */
  async approvals(query: Query = {}): Promise<wire.Request[]> {
    return await Array.fromAsync(this.all<wire.Request>("/v1/approvals", query));
  }

  /**
   * Answers a request as the holder of the token. `shown` is the request that was looked at: when
   * its call is another one by now, the answer is refused with `ESTALE`.
   */
  async decide(
    shown: Pick<wire.Request, "id" | "call"> & Partial<Pick<wire.Request, "askers">>,
    decision: wire.Decide["decision"],
  ): Promise<wire.Decided> {
    const argsHash = shown.call?.argsHash;
    const askers = shown.askers?.length ?? 1;
    const body = { decision, askers, ...(argsHash === undefined ? {} : { argsHash }) };
    return await this.send("POST", `/v1/approvals/${shown.id}/decision`, { body });
  }

  /**
   * Who decided what, and what became of it: a page, the latest first. `unread` trees are left for
   * the next question.
   */
  async decisions(query: Query = {}): Promise<wire.DecidedPage> {
    return await this.get("/v1/decisions", query);
  }

  /** Checks every chain, the seals and the anchor. */
  async verifyAudit(): Promise<wire.Verified> {
    return await this.send("POST", "/v1/audit/verify");
  }

  /** Checks one tree; the seals with it, where there are any. */
  async verifyTree(tree: string): Promise<wire.Checked[]> {
    return [...(await this.send<wire.CheckedList>("POST", `/v1/trees/${tree}/verify`)).items];
  }

  /**
   * A tree as text that another server or store takes in; with `move` it ends here first. Throws
   * `EIO` where the text breaks off.
   */
  async *exportTree(
    tree: string,
    options: { readonly move?: boolean } = {},
  ): AsyncGenerator<string> {
    const [method, verb] = options.move === true ? ["POST", "move"] : ["GET", "export"];
    const answer = await this.#ask(`/v1/trees/${tree}/${verb}`, { method });
    yield* textOf(answer);
  }

  /** Takes a tree in that was exported, and replaces none. `head` is the hash of its last line. */
  async importTree(
    text: ReadableStream<Uint8Array>,
    options: { readonly head?: string } = {},
  ): Promise<wire.Imported> {
    const answer = await this.#ask(`/v1/trees${queryText({ head: options.head })}`, {
      method: "POST",
      stream: text,
      headers: { "content-type": "application/jsonl" },
    });
    return await answer.json();
  }

  /** Calls of a process, and of all below it, that a policy would have refused or asked about. */
  async testPolicy(
    pid: string,
    trial: wire.PolicyTrial,
  ): Promise<wire.PolicyTested["items"]> {
    const path = `/v1/processes/${pid}/policy/test`;
    return (await this.send<wire.PolicyTested>("POST", path, { body: trial })).items;
  }

  /** Replaces a tree's policy. */
  async loadPolicy(tree: string, text: string): Promise<void> {
    await this.send("PUT", `/v1/trees/${tree}/policy`, { body: { text } });
  }

  /** Reads any path of the API. */
  async get<T>(path: string, query: Query = {}): Promise<T> {
    return await this.send("GET", `${path}${queryText(query)}`);
  }

  /** All of a list, page by page. */
  async *all<T>(path: string, query: Query = {}): AsyncGenerator<T> {
    let after: string | null | undefined;
    do {
      const page: PageOf<T> = await this.get(path, {
        ...query,
        ...(after === undefined ? {} : { after: after ?? undefined }),
      });
      yield* page.items;
      after = page.next;
    } while (after !== null);
  }

  /** Sends any request of the API. */
  async send<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, options: {
    readonly body?: unknown;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
  } = {}): Promise<T> {
    const answer = await this.#ask(path, { method, ...options });
    return answer.status === 204 ? undefined as T : await answer.json() as T;
  }

  /**
   * What happens, live: everywhere, or to one process from a line of its log on. It connects again
   * by itself and goes on after the last event; one of kind "reset" says that some were missed.
   */
  async *events(
    options: {
      readonly pid?: string;
      readonly since?: string;
      readonly signal?: AbortSignal;
    } = {},
  ): AsyncGenerator<wire.StreamEvent | { readonly kind: "reset"; readonly id: string }> {
    const { pid, signal } = options;
    const path = pid === undefined ? "/v1/events" : `/v1/processes/${pid}/events`;
    let { since } = options;
    while (signal?.aborted !== true) {
      const headers = { accept: "text/event-stream" };
      const answer = await this.#ask(`${path}${queryText({ since })}`, {
        method: "GET",
        headers,
        ...(signal === undefined ? {} : { signal }),
      });
      for await (const event of eventsOf(answer)) {
        since = event.id;
        yield event;
      }
    }
  }

  async #ask(path: string, init: {
    readonly method: string;
    readonly body?: unknown;
    readonly stream?: ReadableStream<Uint8Array>;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
  }): Promise<Response> {
    const { method, body, stream, headers, signal } = init;
    const answer = await sendHttp(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(stream === undefined ? {} : { body: stream as BodyInit }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.ok) return answer;
    throw await refusalOf(answer);
  }
}

function queryText(query: Query): string {
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of [value ?? []].flat()) said.append(key, String(one));
  }
  return said.size === 0 ? "" : `?${said}`;
}

async function refusalOf(answer: Response): Promise<Error> {
  const text = await answer.text();
  try {
    const problem = JSON.parse(text) as wire.Problem;
    if (Object.hasOwn(ERRORS, problem.code)) {
      return new SysError(problem.code as Errno, problem.detail, problem.more);
    }
    const after = answer.headers.get("retry-after");
    return new ServerRefusal(problem, after === null ? null : Number(after));
  } catch {
    const expected = "expected a server of Agent libOS";
    return new SysError("EIO", `Cannot read the answer: ${answer.status}, ${expected}`);
  }
}
