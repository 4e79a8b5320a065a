/**
 * Mounted servers: started when they are first needed, once for each reach, and ended when nobody
 * needs them.
 *
 * Invariants:
 *   H1. A process is served by a server that sees no more than it may: processes share one only
 *       where they may see the same.
 *   H2. What is called is what was pinned, as the server says it after it last said that something
 *       changed.
 *   H3. A server that fails again and again is left alone for longer and longer.
 * @module
 */

import { type Credentials, redacted } from "../kernel/credential.ts";
import { SysError } from "../kernel/errors.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type {
  Mcp,
  McpAnswer,
  McpCall,
  McpReadable,
  McpReading,
  McpServer,
  McpTool,
} from "../kernel/mcp.ts";
import { commandOf, comparedTools, type McpMount } from "../kernel/mcp_lock.ts";
import { sharedReach } from "../kernel/mcp_reach.ts";
import type { Owned } from "../kernel/owned.ts";
import type { Reach } from "../kernel/reach.ts";
import type { Clock } from "../kernel/world.ts";
import { realClock } from "./clock.ts";
import { Programs } from "./confined.ts";
import { confinementOf, type McpChild, startMcpChild } from "./mcp_child.ts";
import type { NetOptions } from "./net.ts";
import type { McpLink } from "./mcp_link.ts";
import { McpPipe } from "./mcp_pipe.ts";
import { fault, Seat } from "./mcp_seat.ts";

/** What servers are mounted with. */
export interface McpOptions {
  /** The workspace: an absolute path without links; null for none. */
  readonly root: string | null;
  /** What of the workspace no server sees, besides what its callers may not. */
  readonly owned?: readonly Owned[];
  /** Secrets for servers at URLs. */
  readonly credentials?: Credentials | null;
  /** How servers at URLs are reached. */
  readonly net?: Pick<NetOptions, "caCerts" | "resolve">;
  /** Time, for rests between starts. */
  readonly clock?: Clock;
  /** The runtime's own environment, of which servers are given what their mounts name. */
  env?(name: string): string | undefined;
}

/**
 * Mounts servers for the option `mcp` of `createRuntime`; starts none of them before a process that
 * may needs it. Mounts come from `libos.mcp.lock`, which `libos mcp add` writes. Throws `EINVAL`,
 * and `EINTEGRITY` for a pin that is not of its definition.
 *
 * @example
 * ```ts
 * import { createRuntime, mountMcp, parseLock } from "@agent-libos/core";
 * const lock = '{"version":1,"servers":{}}';
 * await using mcp = mountMcp(parseLock(lock), { root: null });
 * await using os = await createRuntime({ store: ":memory:", workspace: null, mcp });
 * console.assert(mcp.servers().length === 0 && os.approvals.list().length === 0);
 * ```
 */
export function mountMcp(mounts: readonly McpMount[], options: McpOptions): McpHost {
  return new McpHost(mounts, options);
}

/** One running server. */
interface Instance {
  readonly key: string;
  readonly seat: Seat;
  readonly link: McpLink;
  readonly why: () => Promise<string>;
  /** Throws `EACCES` where something came that it should not have seen. */
  readonly checkUnseen: () => Promise<void>;
  tools: readonly McpTool[];
  /** What is looked at now, after something changed. */
  looking: Promise<void> | null;
  inFlight: number;
  usedMs: number;
}

/** Mounted servers. */
export class McpHost implements Mcp {
  readonly #seats: ReadonlyMap<string, Seat>;
  readonly #options: McpOptions;
  readonly #programs: Programs;
  readonly #clock: Clock;
  readonly #instances = new Map<string, Promise<Instance>>();
  readonly #up = new Map<string, Instance>();
  #isClosed = false;

  /** Use {@linkcode mountMcp}. */
  constructor(mounts: readonly McpMount[], options: McpOptions) {
    this.#seats = new Map(mounts.map((mount) => [mount.name, new Seat(mount)]));
    this.#options = options;
    this.#programs = new Programs();
    this.#clock = options.clock ?? realClock;
  }

  servers(): readonly McpServer[] {
    return [...this.#seats.values()].map((seat) => this.#shown(seat));
  }

  server(name: string): McpServer | undefined {
    const seat = this.#seats.get(name);
    return seat === undefined ? undefined : this.#shown(seat);
  }

  /** The mount behind a server. */
  mount(name: string): McpMount | undefined {
    return this.#seats.get(name)?.mount;
  }

  async ready(name: string, reach: Reach, signal: AbortSignal): Promise<McpServer> {
    const instance = await this.#instance(name, reach, signal);
    return { ...this.#shown(instance.seat), tools: instance.tools };
  }

  /** The same, with all that its mount may see: for who mounts it. */
  async look(name: string, signal: AbortSignal): Promise<McpServer> {
    const { reach } = this.#seat(name);
    const { areas } = reach;
    return await this.ready(name, { ...reach, areas }, signal);
  }

  async call(call: McpCall, signal: AbortSignal): Promise<McpAnswer> {
    const instance = await this.#instance(call.server, call.reach, signal);
    const tool = instance.tools.find(({ definition }) => definition.name === call.tool);
    if (tool?.state !== "pinned" || tool.pin !== call.pin) {
      const why = tool?.why ?? "the server does not offer it";
      const sentence = `Cannot call tool "${call.tool}" of MCP server "${call.server}": ${why}`;
      throw new SysError("EACCES", `${sentence}, expected what was pinned`);
    }
    const answer = await this.#using(instance, () => instance.link.call(call, signal));
    instance.seat.faults = 0;
    return this.#redacted(answer);
  }

  async readables(
    name: string,
    reach: Reach,
    signal: AbortSignal,
  ): Promise<readonly McpReadable[]> {
    const instance = await this.#instance(name, reach, signal);
    return this.#redacted(await this.#using(instance, () => instance.link.readables()));
  }

  async read(what: McpReading, signal: AbortSignal): Promise<readonly Json[]> {
    const instance = await this.#instance(what.server, what.reach, signal);
    const contents = await this.#using(instance, () => instance.link.read(what, signal));
    return this.#redacted(contents);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const all = [...this.#instances.values()];
    this.#instances.clear();
    this.#up.clear();
    await Promise.all(
      all.map(async (one) => await (await one).link.close()).map((end) => end.catch(() => {})),
    );
  }

  /** {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #seat(name: string): Seat {
    const seat = this.#seats.get(name);
    if (seat !== undefined) return seat;
    const mounted = [...this.#seats.keys()].join(", ") || "none";
    const sentence = `Cannot use MCP server "${name}": not mounted`;
    throw new SysError("ENOENT", `${sentence}, expected one of: ${mounted}`);
  }

  #shown(seat: Seat): McpServer {
    const { mount, bindings, reach, tools, version, protocol, why } = seat;
    const isUp = [...this.#up.values()].some((one) => one.seat === seat);
    return {
      name: mount.name,
      command: commandOf(mount),
      confinement: confinementOf(mount, reach),
      isTrusted: mount.trusted,
      root: mount.command === null ? null : this.#options.root,
      bindings,
      state: isUp ? "up" : why === "" ? "idle" : "down",
      why: isUp ? "" : why,
      version,
      protocol,
      tools,
    };
  }

  /** The server for a reach, up, with what it offers looked at (H1, H2). */
  async #instance(name: string, reach: Reach, signal: AbortSignal): Promise<Instance> {
    const seat = this.#seat(name);
    const { label } = reach;
    const owned = [...this.#options.owned ?? [], ...reach.owned ?? []];
    const own = seat.mount.confined && seat.mount.command !== null
      ? { ...sharedReach(seat.reach, reach), owned }
      : { ...seat.reach, label };
    // One that was started for who may see more is no other's.
    const seen = { areas: own.areas, owned: own.owned ?? [], net: own.net };
    const key = `${name} ${canonical(seen as unknown as Json)}`;
    let instance = await orAborted(this.#begun(key, seat, own), signal);
    if (!await instance.checkUnseen().then(() => true, () => false)) {
      // One that starts now does not see it.
      this.#drop(instance);
      instance = await orAborted(this.#begun(key, seat, own), signal);
    }
    instance.usedMs = this.#clock.now();
    if (instance.link.isStale) {
      instance.looking ??= this.#look(instance).finally(() => instance.looking = null);
      await orAborted(instance.looking, signal);
    }
    return instance;
  }

  #begun(key: string, seat: Seat, reach: Reach): Promise<Instance> {
    const known = this.#up.get(key);
    if (known !== undefined && known.link.isClosed) this.#drop(known);
    const begun = this.#instances.get(key);
    if (begun !== undefined) return begun;
    if (this.#isClosed) {
      return Promise.reject(new SysError("ECANCELED", "Cannot start a server: closed"));
    }
    const waitMs = seat.restMs - this.#clock.now();
    if (waitMs > 0) {
      // H1: why may tell of what that one saw.
      const why = seat.whose === key ? seat.why : "it failed";
      const sentence = `Cannot start MCP server "${seat.mount.name}": ${why}`;
      return Promise.reject(
        new SysError("EAGAIN", `${sentence}; it is tried again in ${waitMs} ms`, {
          retryAfterMs: waitMs,
        }),
      );
    }
    this.#makeRoom();
    const made = this.#start(key, seat, reach).catch((error) => {
      if (!(error instanceof SysError)) throw error;
      throw new SysError(error.code, this.#redacted(error.message), error.detail);
    });
    this.#instances.set(key, made);
    made.then((instance) => {
      if (this.#instances.get(key) === made) this.#up.set(key, instance);
      else void instance.link.close();
    }, (error) => {
      this.#instances.delete(key);
      fault(seat, this.#clock.now(), { key, why: (error as Error).message });
    });
    return made;
  }

  async #start(key: string, seat: Seat, reach: Reach): Promise<Instance> {
    const { mount } = seat;
    const { root, credentials = null, env = () => undefined } = this.#options;
    // The protocol's code is loaded by who uses it.
    const { McpLink } = await import("./mcp_link.ts");
    if (mount.command === null) {
      const { httpTransport } = await import("./mcp_http.ts");
      const link = await McpLink.open(httpTransport(mount, credentials, this.#options.net), {
        http: true,
        legacy: false,
        clean: (text) => this.#redacted(text),
      });
      const why = () => Promise.resolve("the link is over");
      return opened({ key, seat, link, why, checkUnseen: () => Promise.resolve() });
    }
    const place = { programs: this.#programs, root, reach, env };
    let link: McpLink | null = null;
    let pipe: McpPipe | null = null;
    let child: McpChild | null = null;
    // A server of before may end itself when it is asked in a way it does not know.
    for (const legacy of [false, true]) {
      child = await startMcpChild(mount, place);
      pipe = new McpPipe(child);
      try {
        link = await McpLink.open(pipe, { http: false, legacy });
        break;
      } catch (error) {
        await pipe.close();
        if (!legacy) continue;
        const sentence = `Cannot start MCP server "${mount.name}": ${(error as Error).message}`;
        throw new SysError("EIO", `${sentence}; ${await pipe.why()}`);
      }
    }
    const checkUnseen = () => child!.checkUnseen();
    return opened({ key, seat, link: link!, why: () => pipe!.why(), checkUnseen });
  }

  /** Holds what a server offers against its pins. */
  async #look(instance: Instance): Promise<void> {
    const { seat, link } = instance;
    // What says a secret back is neither pinned nor listed with it.
    const tools = this.#redacted(await this.#using(instance, () => link.tools()));
    const version = this.#redacted(link.version);
    instance.tools = comparedTools(seat.mount, { version, tools });
    seat.tools = instance.tools;
    seat.version = version;
    seat.protocol = this.#redacted(link.protocol);
  }

  /** A job of a server; ends it where what it said is nobody's. */
  async #using<T>(instance: Instance, job: () => Promise<T>): Promise<T> {
    const said = await this.#counted(instance, job);
    try {
      await instance.checkUnseen();
    } catch (error) {
      this.#drop(instance);
      throw error;
    }
    return said;
  }

  async #counted<T>(instance: Instance, job: () => Promise<T>): Promise<T> {
    const { seat, link } = instance;
    if (instance.inFlight >= LIMITS.mcpCallsInFlightMax) {
      const sentence = `Cannot use MCP server "${seat.mount.name}": ${instance.inFlight} calls`;
      throw new SysError("EAGAIN", `${sentence} are under way, expected fewer`, {
        limit: "mcpCallsInFlightMax",
      });
    }
    instance.inFlight += 1;
    try {
      return await job();
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const { code } = error;
      const said = this.#redacted(error.message);
      if (!link.isClosed) throw new SysError(code, said, error.detail);
      const why = await instance.why();
      this.#drop(instance);
      fault(seat, this.#clock.now(), { key: instance.key, why });
      throw new SysError(code, `${said}; ${why}`);
    } finally {
      instance.inFlight -= 1;
    }
  }

  /** What came back, without the secrets that were sent there. */
  #redacted<T>(value: T): T {
    return redacted(this.#options.credentials ?? null, value as Json) as T;
  }

  #drop(instance: Instance): void {
    if (this.#up.get(instance.key) !== instance) return;
    this.#up.delete(instance.key);
    this.#instances.delete(instance.key);
    void instance.link.close();
  }

  /** Ends the one that was used least recently, where there are as many as there may be. */
  #makeRoom(): void {
    if (this.#instances.size < LIMITS.mcpInstancesMax) return;
    const idle = [...this.#up.values()].filter(({ inFlight }) => inFlight === 0)
      .sort((a, b) => a.usedMs - b.usedMs)[0];
    if (idle !== undefined) return this.#drop(idle);
    const most = LIMITS.mcpInstancesMax;
    throw new SysError("EAGAIN", `Cannot start another MCP server: ${most} are busy`, {
      limit: "mcpInstancesMax",
    });
  }
}

function opened(
  given: Pick<Instance, "key" | "seat" | "link" | "why" | "checkUnseen">,
): Instance {
  return { ...given, tools: [], looking: null, inFlight: 0, usedMs: 0 };
}

/** The job's end, or a refusal as soon as nobody wants it any more; the job goes on. */
async function orAborted<T>(job: Promise<T>, signal: AbortSignal): Promise<T> {
  const over = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void => reject(new SysError("ECANCELED", "Cannot wait for a server: stopped"));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true, signal: over.signal });
  });
  stopped.catch(() => {});
  try {
    return await Promise.race([job, stopped]);
  } finally {
    over.abort();
  }
}
