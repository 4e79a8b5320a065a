/**
 * Streams: server-sent events, over the feed or over one tree's log.
 *
 * Invariants:
 *   S1. At most so many streams are open, in all and for one principal; more are told so.
 *   S2. A reader who is too slow is cut off with a reset, and holds no more than its queue; what it
 *       missed is read again only as fast as it takes it.
 *   S3. A stream ends with its token and its session, at once: when they are taken back, signed out
 *       or out of date; what another program took back is seen within `LIMITS.streamLookMs`. It
 *       shows only what its principal may see.
 * @module
 */

import type { Context } from "hono";
import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Env, House } from "./api.ts";
import { linesFrom } from "./lines.ts";
import { isConfined, type Principal, reaches, sees } from "./principal.ts";
import { Refusal } from "./problem.ts";
import type { StreamEvent } from "./schema/evidence.ts";
import { told } from "./told.ts";
import type { Standing } from "./tokens.ts";

/** The streams of a server. */
export class Streams {
  readonly #house: House;
  readonly #open = new Map<string, Set<Stream>>();
  #count = 0;
  #isLooking = false;
  readonly #off: () => void;

  /** None is open yet. */
  constructor(house: House) {
    this.#house = house;
    this.#off = house.tokens.listen(() => this.#endOver());
  }

  /** How many are open. */
  get count(): number {
    return this.#count;
  }

  /** Opens one that `begin` fills; refuses when too many are open (S1). */
  open(c: Context<Env>, begin: (stream: Stream) => void | Promise<void>): Response {
    const who = c.get("who");
    const standing = { token: who.token, session: c.get("session") };
    const headers = {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    };
    // Nobody would ever end what has no body.
    if (c.req.method === "HEAD") return new Response(null, { headers });
    const mine = this.#open.get(who.token) ?? new Set();
    const isFull = this.#count >= LIMITS.streamsMax;
    if (isFull || mine.size >= LIMITS.streamsPerPrincipalMax) {
      const most = isFull ? `${LIMITS.streamsMax} in all` : `${LIMITS.streamsPerPrincipalMax} each`;
      const sentence = `Cannot open a stream: too many are, expected ${most} at most`;
      throw new Refusal("too_many_streams", sentence, { "retry-after": "5" });
    }
    const untilMs = this.#house.tokens.goodUntil(standing);
    if (untilMs === undefined) {
      throw new Refusal("unauthenticated", "Cannot open a stream: signed out meanwhile");
    }
    this.#open.set(who.token, mine);
    const stream = new Stream(this.#house, { who, standing, untilMs }, () => {
      if (!mine.delete(stream)) return;
      this.#count -= 1;
      if (mine.size === 0) this.#open.delete(who.token);
    });
    mine.add(stream);
    this.#count += 1;
    void this.#look();
    void Promise.resolve(begin(stream)).catch(() => stream.close());
    return new Response(stream.body, { headers });
  }

  /** Ends all of them. */
  close(): void {
    this.#off();
    for (const one of this.#all()) one.close();
  }

  #all(): Stream[] {
    return [...this.#open.values()].flatMap((streams) => [...streams]);
  }

  /** Ends those whose token or session is over (S3). */
  #endOver(): void {
    for (const one of this.#all()) if (!one.isGood()) one.close();
  }

  /** Looks whether another program took tokens back, as long as a stream is open. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { clock, stopping } = this.#house;
    try {
      while (this.#count > 0) {
        await clock.sleep(LIMITS.streamLookMs, stopping);
        this.#endOver();
      }
    } catch {
      // The server stops.
    } finally {
      this.#isLooking = false;
    }
  }
}

const encoder = new TextEncoder();

/** Who reads a stream, by what they were let in, and when that ends by itself. */
interface Reader {
  readonly who: Principal;
  readonly standing: Standing;
  readonly untilMs: number;
}

/** One open stream. */
export class Stream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #house: House;
  readonly #who: Principal;
  readonly #standing: Standing;
  readonly #untilMs: number;
  readonly #over: () => void;
  readonly #stop = new AbortController();
  readonly #offs: (() => void)[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #goOn: (() => void) | null = null;
  #ownTree: TreeId | null = null;
  #reads = 0;

  /** `over` is called once, when it ends. */
  constructor(house: House, { who, standing, untilMs }: Reader, over: () => void) {
    this.#house = house;
    this.#who = who;
    this.#standing = standing;
    this.#untilMs = untilMs;
    this.#over = over;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#reads += 1;
        this.#resume();
      },
      cancel: () => this.close(),
    }, { highWaterMark: LIMITS.streamQueueBytesMax, size: ({ byteLength }) => byteLength });
    void this.#beat();
    void this.#expire();
  }

  /** Whether it ended. */
  get isOver(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Calls `off` when it ends. */
  whenOver(off: () => void): void {
    if (this.isOver) off();
    else this.#offs.push(off);
  }

  /** Whether as much waits to be read as what is read again may fill. */
  get isBusy(): boolean {
    return !this.isOver && (this.#controller?.desiredSize ?? 0) < LIMITS.streamQueueBytesMax / 2;
  }

  /** Resolves when it is read on, or over. */
  async room(): Promise<void> {
    while (this.isBusy) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#goOn = resolve;
      await promise;
    }
  }

  #resume(): void {
    const go = this.#goOn;
    this.#goOn = null;
    go?.();
  }

  /** Whether its token and its session are good; not where nobody can tell (S3). */
  isGood(): boolean {
    try {
      return this.#house.tokens.goodUntil(this.#standing) !== undefined;
    } catch {
      return false;
    }
  }

  /** Looks again and again until it ends; a store that is away is looked at later. */
  async often(look: () => Promise<void>): Promise<void> {
    while (!this.isOver) {
      await this.#house.clock.sleep(LIMITS.elsewhereLookMs, this.#stop.signal).catch(() => {});
      if (!this.isOver) await look().catch(unlessAway);
    }
  }

  /** Sends an event, if its principal may see it. */
  send(event: StreamEvent): void {
    if (this.isOver || !this.#sees(event)) return;
    if (this.#untilMs <= this.#house.clock.now()) return this.close();
    this.#write(`id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`);
  }

  /** Says that events were missed: whoever reads has to read everything again. */
  reset(cursor: string, why: string): void {
    this.#write(`id: ${cursor}\nevent: reset\ndata: ${JSON.stringify({ why, cursor })}\n\n`);
  }

  /** Ends it. */
  close(): void {
    if (this.isOver) return;
    this.#stop.abort();
    this.#resume();
    for (const off of this.#offs) off();
    this.#over();
    try {
      this.#controller?.close();
    } catch {
      // Whoever read it is gone already.
    }
  }

  #write(text: string): void {
    if (this.isOver || this.#controller === null) return;
    if ((this.#controller.desiredSize ?? 0) <= 0) return this.#tooSlow();
    this.#controller.enqueue(encoder.encode(text));
  }

  /** S2 */
  #tooSlow(): void {
    const data = JSON.stringify({ why: "too slow", cursor: null });
    this.#controller?.enqueue(encoder.encode(`event: reset\ndata: ${data}\n\n`));
    this.close();
  }

  async #beat(): Promise<void> {
    const { clock } = this.#house;
    try {
      for (;;) {
        const before = this.#reads;
        await clock.sleep(LIMITS.streamBeatMs, this.#stop.signal);
        if (this.#goOn !== null && this.#reads === before) return this.#tooSlow();
        this.#write(": still here\n\n");
      }
    } catch {
      // It ended.
    }
  }

  /** Ends it when its token or its session does. */
  async #expire(): Promise<void> {
    const { clock } = this.#house;
    if (this.#untilMs === Infinity) return;
    try {
      await clock.sleep(Math.max(0, this.#untilMs - clock.now()), this.#stop.signal);
      this.close();
    } catch {
      // It ended.
    }
  }

  #sees({ tree, pid, kind }: StreamEvent): boolean {
    // What a model writes is a value, too.
    if (kind === "process.text" && !reaches(this.#who.role, "operator")) return false;
    if (!isConfined(this.#who)) return true;
    if (tree === null && pid === null) return false;
    const id = (tree ?? treeOf(pid!)) as TreeId;
    return this.#ownTree === id || this.seesTree(id);
  }

  /** Whether its principal sees some trees only. */
  get isConfined(): boolean {
    return isConfined(this.#who);
  }

  /** Whether its principal sees a tree that is in memory or was told of lately. */
  seesTree(id: TreeId): boolean {
    const labels = this.#house.feed.labelsOf(id);
    return labels !== undefined && sees(this.#who, labels);
  }

  /** It is about one tree, which its principal was seen to see: that may leave memory meanwhile. */
  about(id: TreeId): void {
    this.#ownTree = id;
  }
}

function unlessAway(thrown: unknown): void {
  if (!(thrown instanceof SysError) || thrown.code !== "EIO") throw thrown;
}

/** Sends what happens everywhere, from a cursor on, or from now. */
export async function streamAll(
  house: House,
  stream: Stream,
  cursor: string | undefined,
): Promise<void> {
  const { feed, hearing } = house;
  stream.whenOver(hearing.follow());
  if (stream.isConfined) stream.whenOver(feed.forSome());
  await hearing.began;
  if (stream.isOver) return;
  let last = cursor;
  if (last === undefined) stream.reset(feed.cursor, "from now on");
  while (last !== undefined) {
    const missed = feed.since(last);
    if (missed === undefined) stream.reset(feed.cursor, "the cursor is not in the window");
    if (missed === undefined || missed.length === 0) break;
    if (stream.isConfined) await feed.learn(treesIn(missed));
    for (const event of missed) {
      stream.send(event);
      last = event.id;
      if (stream.isBusy) await stream.room();
      if (stream.isOver) return;
    }
  }
  stream.whenOver(feed.listen((event) => stream.send(event)));
}

function treesIn(events: readonly StreamEvent[]): ReadonlySet<TreeId> {
  return new Set(events.flatMap(({ tree }) => tree === null ? [] : [tree as TreeId]));
}

/** Sends what happens to one process, by the numbers of its tree's lines. */
export async function streamProcess(house: House, stream: Stream, given: {
  readonly pid: Pid;
  readonly after: number;
}): Promise<void> {
  const { runtime: { node }, hearing } = house;
  const tree = treeOf(given.pid);
  let last = given.after;
  let newest = 0;
  const hear = (line: Line): void => {
    if (line.seq <= last) return;
    last = line.seq;
    const event = told(line);
    if (event === undefined || (event.pid !== given.pid && event.pid !== null)) return;
    stream.send({ id: String(line.seq), ...event });
  };
  let isLive = false;
  stream.whenOver(hearing.follow());
  stream.whenOver(hearing.listen((id, lines) => {
    if (id !== tree) return;
    newest = Math.max(newest, lines.at(-1)?.seq ?? 0);
    // What stands before them is read first.
    if (isLive && (lines[0]?.seq ?? 0) <= last + 1) { for (const line of lines) hear(line); }
  }));
  await hearing.began;
  const { tree: { state } } = await house.glances.of(tree);
  if (stream.seesTree(tree)) stream.about(tree);
  if (state.seq - last > LIMITS.feedEventsKept || last > state.seq) {
    last = state.seq;
    stream.reset(String(last), "the cursor is not in the window");
  }
  const read = async (): Promise<void> => {
    for await (const line of linesFrom(node.options.store, tree, last + 1)) {
      hear(line);
      if (stream.isBusy) await stream.room();
      if (stream.isOver) return;
    }
  };
  do await read(); while (newest > last && !stream.isOver);
  if (stream.isOver) return;
  isLive = true;
  stream.whenOver(node.listenText((pid, text) => {
    if (pid !== given.pid) return;
    const at = new Date(house.clock.now()).toISOString();
    const id = String(last);
    stream.send({ id, kind: "process.text", tree, pid, seq: null, at, summary: { text } });
  }));
  if (node.membership === null) return;
  await stream.often(async () => {
    if (newest > last) await read();
  });
}
