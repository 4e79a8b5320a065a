/**
 * Serving a runtime: the HTTP API and the console on a socket.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { listenHttp } from "../providers/http.ts";
import { MemoryShelf, PackageShelf } from "../providers/package_folder.ts";
import { memoryFile, type PrivateFile } from "../providers/private_file.ts";
import { residentBytes } from "../providers/resident.ts";
import { realRandom } from "../providers/random.ts";
import type { AgentImage } from "../runtime/image.ts";
import type { Runtime, SpawnOptions } from "../runtime/runtime.ts";
import type { Finding, House } from "./api.ts";
import { type App, createApp } from "./app.ts";
import { Feed } from "./feed.ts";
import { Glances } from "./glance.ts";
import { Hearing } from "./hearing.ts";
import { ImageBook } from "./image_book.ts";
import { PackageBook } from "./package_book.ts";
import { Reveals } from "./reveal.ts";
import { Streams } from "./stream.ts";
import { Tally } from "./tally.ts";
import { TokenBook } from "./tokens.ts";

/** How to serve. */
export interface ServeOptions {
  /** "127.0.0.1" by default. */
  readonly hostname?: string;
  /** 0, the default, for any that is free. */
  readonly port?: number;
  /** PEM texts. Without them other machines are refused, unless `insecure`. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Whether other machines may be answered in plain text. */
  readonly insecure?: boolean;
  /**
   * Whether a proxy before the server speaks TLS and says so in `X-Forwarded-Proto`: then cookies
   * and links are for TLS only. Without it nobody is believed about that header.
   */
  readonly behindTls?: boolean;
  /** Names by which the server is reached besides its own: `libos.example.com`. */
  readonly hostNames?: readonly string[];
  /** Where tokens are kept; in memory when absent. */
  readonly tokens?: PrivateFile;
  /** Images that may be started by name. */
  readonly images?: readonly AgentImage[];
  /** How the files of images say to start them, by `name@version`: for `defaults` of a spawn. */
  readonly starts?: Readonly<Record<string, Partial<SpawnOptions>>>;
  /** Where it is kept which images people made of processes; in memory when absent. */
  readonly madeImages?: PrivateFile;
  /** The folder where packages are kept; in memory when absent. */
  readonly packages?: string;
  /** The model that images of packages use, in place of the one they were made for. */
  readonly packageModel?: string | undefined;
  /** Whether somebody may approve what agents ask for that they started; false when absent. */
  readonly selfApproval?: boolean;
  /** Shown by `/v1/version`. */
  readonly version?: string;
  /** What works on this machine, for `/v1/doctor`. */
  readonly doctor?: () => Promise<readonly Finding[]>;
  /** Hears of bugs; standard error by default. */
  readonly failed?: (thrown: unknown) => void;
  /** Time, for tests. */
  readonly clock?: Clock;
  /** Chance, for tests. */
  readonly random?: Random;
}

/** A runtime that is served. */
export interface Served extends AsyncDisposable {
  /** `http://127.0.0.1:7777`. */
  readonly url: string;
  /** The port that was taken. */
  readonly port: number;
  /** The tokens, to make and take back. */
  readonly tokens: TokenBook;
  /** The API as OpenAPI 3.1. */
  openapi(): Record<string, unknown>;
  /** An address that signs a browser in, once and soon, as the holder of a token. */
  link(token: string): string;
  /** Ends streams, lets requests under way be answered, and closes. The runtime goes on. */
  close(): Promise<void>;
}

/**
 * Serves a runtime over HTTP.
 *
 * @example
 * ```ts
 * import { createRuntime } from "@agent-libos/core";
 * import { serve } from "@agent-libos/core/server";
 * await using os = await createRuntime({ store: ":memory:", workspace: null });
 * await using server = serve(os);
 * const { secret } = server.tokens.create({ name: "ada", role: "viewer" });
 * const answer = await fetch(`${server.url}/v1/whoami`, {
 *   headers: { authorization: `Bearer ${secret}` },
 * });
 * console.assert((await answer.json()).name === "ada");
 * ```
 */
export function serve(runtime: Runtime, options: ServeOptions = {}): Served {
  const { hostname = "127.0.0.1", tls, insecure = false } = options;
  if (!isLoopback(hostname) && tls === undefined && !insecure) {
    const expected = "expected TLS (--cert, --key), or --insecure behind a proxy that has it";
    throw new SysError("EACCES", `Cannot listen on "${hostname}" in plain text: ${expected}`);
  }
  const house = householdOf(runtime, options);
  const names = new Set((options.hostNames ?? []).map((name) => name.toLowerCase()));
  const listening: { port: number | null } = { port: null };
  const isOurs = (host: string): boolean => {
    if (names.has(host.toLowerCase())) return true;
    const parsed = HOST.test(host) ? URL.parse(`http://${host}`) : null;
    if (parsed === null) return false;
    const { hostname: name, port } = parsed;
    const isPort = Number(port || (tls === undefined ? 80 : 443)) === listening.port;
    // Another port of a name that is ours is another server, unless it was named with its port.
    if (names.has(name)) return isPort || port === "" || port === "443";
    return isPort && (isLoopback(name) || name === hostname);
  };
  const app: App = createApp(house, isOurs);
  const listener = listenHttp((request, from) => app.answer(request, from), {
    hostname,
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(tls === undefined ? {} : { tls }),
  });
  const { url, port } = listener;
  listening.port = port;
  const { hooks } = runtime.watchers;
  if (hooks !== null) hooks.console = url;
  const close = async (): Promise<void> => {
    house.stop();
    await listener.close();
  };
  return {
    url,
    port,
    tokens: house.tokens,
    openapi: () => app.openapi(),
    link: (token) => `${url}/?t=${house.tokens.link(token)}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The API without a socket. */
export interface Unlistened {
  /** By which name it answers. */
  readonly origin: string;
  /** The tokens, to make and take back. */
  readonly tokens: TokenBook;
  /** Answers one request. */
  answer(request: Request): Promise<Response>;
  /** Waits for nobody any longer. The runtime goes on. */
  stop(): void;
}

/** Answers requests of this process, in which nobody else's come. */
export function answerHere(runtime: Runtime, options: ServeOptions = {}): Unlistened {
  const house = householdOf(runtime, options);
  const host = "libos.invalid";
  const app = createApp(house, (name) => name === host);
  return {
    origin: `http://${host}`,
    tokens: house.tokens,
    answer: (request) => app.answer(request, "local"),
    stop: () => house.stop(),
  };
}

function householdOf(runtime: Runtime, options: ServeOptions): Household {
  const { clock = realClock, random = realRandom } = options;
  return new Household(runtime, { ...options, clock, random });
}

/** A name or an address with or without a port, and nothing else: no user, no path. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i;

function isLoopback(name: string): boolean {
  return name === "localhost" || name === "[::1]" || name === "::1" || /^127(\.\d+){3}$/.test(name);
}

class Household implements House {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly random: Random;
  readonly hearing: Hearing;
  readonly feed: Feed;
  readonly tokens: TokenBook;
  readonly streams: Streams;
  readonly glances: Glances;
  readonly reveals: Reveals;
  readonly tally: Tally;
  audited: House["audited"] = null;
  readonly isSelfApproved: boolean;
  readonly isBehindTls: boolean;
  readonly images: ImageBook;
  readonly packages: PackageBook;
  readonly version: string;
  readonly startedMs: number;
  readonly doctor: () => Promise<readonly Finding[]>;
  readonly failed: (thrown: unknown) => void;
  readonly residentBytes = residentBytes;
  readonly #stop = new AbortController();
  readonly stopping = this.#stop.signal;

  constructor(
    runtime: Runtime,
    options: ServeOptions & { readonly clock: Clock; readonly random: Random },
  ) {
    const { clock, random } = options;
    this.runtime = runtime;
    this.clock = clock;
    this.random = random;
    const { node } = runtime;
    const glances = new Glances(node, clock);
    const hearing = new Hearing(node, clock);
    this.glances = glances;
    this.hearing = hearing;
    this.feed = new Feed(node, { hearing, glances, clock, random });
    this.tokens = new TokenBook(options.tokens ?? memoryFile(), clock, random);
    this.isSelfApproved = options.selfApproval ?? false;
    this.isBehindTls = options.behindTls ?? false;
    this.version = options.version ?? "0.1.0";
    this.startedMs = clock.now();
    this.doctor = options.doctor ?? (() => Promise.resolve([]));
    this.failed = options.failed ?? ((thrown) => console.error(thrown));
    const { packages } = options;
    this.packages = new PackageBook(
      packages === undefined ? new MemoryShelf() : new PackageShelf(packages),
    );
    this.images = new ImageBook(runtime, {
      images: options.images ?? [],
      ...(options.starts === undefined ? {} : { starts: options.starts }),
      packages: this.packages,
      model: options.packageModel,
      file: options.madeImages ?? memoryFile(),
      failed: this.failed,
    });
    this.streams = new Streams(this);
    this.reveals = new Reveals(runtime, clock);
    this.tally = new Tally(runtime.node, clock);
    // Processes of images that were made may be waiting for their code.
    void this.images.all().catch(this.failed);
    void this.#readAhead().catch(this.failed);
  }

  /** What lists and plots show first, read before somebody asks. */
  async #readAhead(): Promise<void> {
    const { node } = this.runtime;
    await this.glances.ahead(this.stopping);
    await this.tally.readPast(node, this.stopping);
  }

  /** Waits for nobody any longer. */
  stop(): void {
    this.#stop.abort();
    this.streams.close();
    this.hearing.close();
    this.feed.close();
    this.tally.close();
  }
}
