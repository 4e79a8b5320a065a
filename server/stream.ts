/**
 * Streams: server-sent events, over the feed or over one tree's log.
 *
 * Invariants:
 *   S1. At most so many streams are open, in all and for one principal; more are told so.
 *   S2. A reader who is too slow is cut off with a reset, and holds no more than its queue; what it
 *       missed is read again only as fast as it takes it.
 *   S3. A stream ends with its token, and shows only what its principal may see.
 * @module
 */

import type { Context } from "hono";
import type { Line } from "../kernel/event.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { readLines } from "../runtime/load.ts";
import type { Env, House } from "./api.ts";
import { isConfined, type Principal, sees } from "./principal.ts";
import { Refusal } from "./problem.ts";
import type { StreamEvent } from "./schema/evidence.ts";
import { told } from "./told.ts";

/** The streams of a server. */
export class Streams {
  readonly #house: House;
  readonly #open = new Map<string, Set<Stream>>();
  #count = 0;

  /** None is open yet. */
  constructor(house: House) {
    this.#house = house;
  }

  /** How many are open. */
  get count(): number {
    return this.#count;
  }

  /** Opens one that `begin` fills; refuses when too many are open (S1). */
  open(c: Context<Env>, begin: (stream: Stream) => void | Promise<void>): Response {
    const who = c.get("who");
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
    this.#open.set(who.token, mine);
    const stream = new Stream(this.#house, who, () => {
      if (!mine.delete(stream)) return;
      this.#count -= 1;
      if (mine.size === 0) this.#open.delete(who.token);
    });
    mine.add(stream);
    this.#count += 1;
    void Promise.resolve(begin(stream)).catch(() => stream.close());
    return new Response(stream.body, { headers });
  }

  /** Ends those of a token that was taken back (S3). */
  endAll(token: string): void {
    for (const one of [...this.#open.get(token) ?? []]) one.close();
  }

  /** Ends all of them. */
  close(): void {
    for (const streams of [...this.#open.values()]) for (const one of [...streams]) one.close();
  }
}

const encoder = new TextEncoder();

/** One open stream. */
export class Stream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #house: House;
  readonly #who: Principal;
  readonly #over: () => void;
  readonly #stop = new AbortController();
  readonly #offs: (() => void)[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #goOn: (() => void) | null = null;
  #ownTree: TreeId | null = null;
  #reads = 0;
  #lookedMs = 0;

  /** `over` is called once, when it ends. */
  constructor(house: House, who: Principal, over: () => void) {
    this.#house = house;
    this.#who = who;
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

  /** Whether its token is good; it is looked at once in a while (S3). */
  #isGood(): boolean {
    const { clock, tokens } = this.#house;
    const nowMs = clock.now();
    if (Math.abs(nowMs - this.#lookedMs) < LIMITS.streamLookMs) return true;
    this.#lookedMs = nowMs;
    return tokens.isGood(this.#who.token);
  }

  /** Sends an event, if its principal may see it. */
  send(event: StreamEvent): void {
    if (this.isOver || !this.#sees(event)) return;
    if (!this.#isGood()) return this.close();
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
    const { clock, tokens } = this.#house;
    try {
      for (;;) {
        const before = this.#reads;
        await clock.sleep(LIMITS.streamBeatMs, this.#stop.signal);
        if (!tokens.isGood(this.#who.token)) return this.close();
        if (this.#goOn !== null && this.#reads === before) return this.#tooSlow();
        this.#write(": still here\n\n");
      }
    } catch {
      // It ended.
    }
  }

  #sees({ tree, pid }: StreamEvent): boolean {
    if (!isConfined(this.#who)) return true;
    if (tree === null && pid === null) return false;
    const id = (tree ?? treeOf(pid!)) as TreeId;
    return this.#ownTree === id || this.seesTree(id);
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

/** Sends what happens everywhere, from a cursor on, or from now. */
export async function streamAll(
  house: House,
  stream: Stream,
  cursor: string | undefined,
): Promise<void> {
  const { feed } = house;
  let last = cursor;
  if (last === undefined) stream.reset(feed.cursor, "from now on");
  while (last !== undefined) {
    const missed = feed.since(last);
    if (missed === undefined) stream.reset(feed.cursor, "the cursor is not in the window");
    if (missed === undefined || missed.length === 0) break;
    for (const event of missed) {
      stream.send(event);
      last = event.id;
      if (stream.isBusy) await stream.room();
      if (stream.isOver) return;
    }
  }
  stream.whenOver(feed.listen((event) => stream.send(event)));
}

/** Sends what happens to one process, by the numbers of its tree's lines. */
export async function streamProcess(house: House, stream: Stream, given: {
  readonly pid: Pid;
  readonly after: number;
}): Promise<void> {
  const { node } = house.runtime;
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
  stream.whenOver(node.listen((id, lines) => {
    if (id !== tree) return;
    newest = Math.max(newest, lines.at(-1)?.seq ?? 0);
    if (isLive) { for (const line of lines) hear(line); }
  }));
  const { state } = await node.open(tree);
  if (stream.seesTree(tree)) stream.about(tree);
  if (state.seq - last > LIMITS.feedEventsKept || last > state.seq) {
    last = state.seq;
    stream.reset(String(last), "the cursor is not in the window");
  }
  do {
    for await (const line of readLines(node.options.store, tree, last + 1)) {
      hear(line);
      if (stream.isBusy) await stream.room();
      if (stream.isOver) return;
    }
  } while (newest > last);
  isLive = true;
  stream.whenOver(node.listenText((pid, text) => {
    if (pid !== given.pid) return;
    const at = new Date(house.clock.now()).toISOString();
    const id = String(last);
    stream.send({ id, kind: "process.text", tree, pid, seq: null, at, summary: { text } });
  }));
}
