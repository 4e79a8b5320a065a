/**
 * One run in a cage, from the side of the host: the same for all tiers.
 *
 * Invariants:
 *   S1. A run ends once, by its deadline, whatever the cage does or does not do.
 *   S2. Every limit is held here. The cage holds some too, to tell the code; it is not believed.
 *   S3. A frame is exactly what was expected next, or the cage is not used again.
 *   S4. Answers go out in the order in which the calls settled.
 * @module
 */

import { spoken } from "../kernel/errors.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../kernel/world.ts";
import type { CageEnd, CageLimits, CageRun, PortAnswer } from "../broker/sandbox.ts";
import type { Link, LinkEnd } from "./link.ts";
import { type CageRecord, depthOf, recordsOf } from "./record.ts";
import type { Surface } from "./guest/os.ts";

/** How often a run is looked at; less often while it only waits for answers. */
const WATCH_MS = 50;
const WATCH_MS_MAX = 800;
/** Levels which a frame puts around what the code gave. */
const FRAME_DEPTH = 3;
/** The call that timers make. While only such are out, the code holds the turn. */
const WAIT = "clock.wait";

/** A way for a run to end, before its logs are known. */
type End = CageEnd extends infer E ? E extends CageEnd ? Omit<E, "logs"> : never : never;

/** What a session is made of. */
export interface SessionParts {
  readonly link: Link;
  readonly clock: Clock;
  readonly surface: Surface;
  /** 16 hexadecimal digits: no other run of this cage has had them. */
  readonly nonce: string;
}

/** One run. */
export class Session {
  readonly #parts: SessionParts;
  readonly #run: CageRun;
  readonly #limits: CageLimits;
  readonly #over = Promise.withResolvers<CageEnd>();
  readonly #watching = new AbortController();
  readonly #logs: string[] = [];
  readonly #stop = () => this.#finish({ kind: "stopped" });
  #hasEnded = false;
  #isOdd = false;
  #seq = 0;
  #logBytes = 0;
  #calls = 0;
  /** Calls and waits that are out. */
  #out = 0;
  #waits = 0;
  #answers = 0;
  #heldMs = 0;
  #sinceMs: number;
  #cpuMsBefore: number;
  /** The ping that has no pong yet, and how many answers were out before it. */
  #ping: { readonly number: number; readonly answers: number } | null = null;
  #pings = 0;

  /** Does nothing yet. */
  constructor(parts: SessionParts, run: CageRun) {
    this.#parts = parts;
    this.#run = run;
    this.#limits = run.limits;
    this.#sinceMs = parts.clock.now();
    this.#cpuMsBefore = parts.link.usage()?.cpuMs ?? 0;
  }

  /** Begins, and tells how it ended. Never rejects. */
  run(): Promise<CageEnd> {
    const { link, nonce } = this.#parts;
    const { code, input, nowMs, seed, limits, signal } = this.#run;
    const text = `["run","${nonce}",${JSON.stringify({ code, input, nowMs, seed, limits })}]`;
    signal.addEventListener("abort", this.#stop, { once: true });
    void link.ended.then((end) => this.#died(end));
    if (signal.aborted) this.#finish({ kind: "stopped" });
    else if (isLonger(text, LIMITS.cageFrameBytesMax)) this.#reach("argumentBytes");
    else {
      link.send(text);
      void this.#watch();
    }
    return this.#over.promise;
  }

  /** Whether the cage may serve again, as far as this run could see. */
  get isClean(): boolean {
    return this.#hasEnded && !this.#isOdd;
  }

  /** Hears what the cage says. */
  hear(text: string): void {
    const pong = this.#pongOf(text);
    if (pong !== null) return this.#ponged(pong.number, pong.isAtRest);
    if (this.#hasEnded) {
      this.#isOdd = true;
      return;
    }
    // Frames without end keep the clock's turns from coming.
    this.#hold();
    if (this.#heldMs >= this.#limits.wallMs) return this.#reach("wallMs");
    if (
      text.length > this.#limits.jsonDepth && depthOf(text) > this.#limits.jsonDepth + FRAME_DEPTH
    ) {
      return this.#reach("jsonDepth");
    }
    const records = recordsOf(text, this.#parts.nonce, this.#seq++);
    if (records === null) return this.#odd("it said what no cage says");
    for (const record of records) {
      this.#take(record, text);
      if (this.#hasEnded) return;
    }
  }

  #take(record: CageRecord, frame: string): void {
    switch (record.kind) {
      case "call":
        return this.#call(record, frame);
      case "log":
        return this.#log(record.text);
      case "over":
        if (!Object.hasOwn(this.#limits, record.limit)) return this.#odd("it named no limit");
        return this.#reach(record.limit as keyof CageLimits);
      case "threw":
        return this.#finish(record);
      case "returned": {
        if (this.#isLong(frame, record.output, "resultBytes")) return this.#reach("resultBytes");
        const { ends, output } = record;
        if (ends !== null) {
          if (!this.#parts.surface.ends.includes(ends.name)) return this.#odd("its end is no call");
          if (this.#isLong(frame, ends.args, "argumentBytes")) return this.#reach("argumentBytes");
        }
        return this.#finish({ kind: "returned", output, ends });
      }
    }
  }

  #log(text: string): void {
    this.#logBytes += bytesOf(text) + 1;
    if (this.#logBytes > this.#limits.logBytes) return this.#reach("logBytes");
    // One by one: as arguments of one call, so many lines would exhaust the stack.
    for (const line of text.split("\n")) this.#logs.push(line);
  }

  #call(call: { readonly id: number; name: string; args: JsonObject }, frame: string): void {
    const { id, name, args } = call;
    if (id !== ++this.#calls) return this.#odd("it numbered its calls wrongly");
    if (this.#parts.surface.ends.includes(name)) return this.#odd("it made a call that is the end");
    if (this.#calls > this.#limits.calls) return this.#reach("calls");
    if (this.#isLong(frame, args, "argumentBytes")) return this.#reach("argumentBytes");
    const isWait = name === WAIT;
    if (isWait && ++this.#waits > this.#limits.timers) return this.#reach("timers");
    if (!isWait) {
      if (this.#out >= this.#limits.callsOutstanding) return this.#reach("callsOutstanding");
      this.#hold();
      this.#out++;
    }
    void this.#ask(name, args).then((answer) => this.#answer(id, isWait, answer));
  }

  async #ask(name: string, args: Json): Promise<PortAnswer> {
    try {
      return await this.#run.call(name, args);
    } catch (error) {
      const message = `Cannot finish the call: ${spoken(error)}`;
      return { ok: false, code: "EIO", message, atMs: this.#parts.clock.now() };
    }
  }

  #answer(id: number, isWait: boolean, answer: PortAnswer): void {
    if (this.#hasEnded) return;
    const said = answer.ok
      ? `true,${JSON.stringify(answer.reply)}`
      : `false,${JSON.stringify(answer.code)},${JSON.stringify(answer.message)}`;
    if (isLonger(said, this.#limits.replyBytes)) return this.#reach("replyBytes");
    this.#hold();
    if (isWait) this.#waits--;
    else this.#out--;
    this.#answers++;
    const { link, nonce } = this.#parts;
    link.send(`["answer","${nonce}",${answer.atMs},${id},${said}]`);
  }

  /** Counts the time since the last look, if the code has held the turn. */
  #hold(): void {
    const nowMs = this.#parts.clock.now();
    // A clock may be set back.
    if (this.#out === 0) this.#heldMs += Math.max(0, nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }

  async #watch(): Promise<void> {
    const { clock } = this.#parts;
    let ms = WATCH_MS;
    while (!this.#hasEnded) {
      const isHeld = this.#out === 0;
      ms = isHeld ? WATCH_MS : Math.min(ms * 2, WATCH_MS_MAX);
      const leftMs = isHeld ? Math.max(1, this.#limits.wallMs - this.#heldMs) : ms;
      try {
        await clock.sleep(Math.min(ms, leftMs), this.#watching.signal);
      } catch {
        return;
      }
      if (!this.#hasEnded) this.#look(isHeld, ms);
    }
  }

  #look(wasHeld: boolean, ms: number): void {
    const { link } = this.#parts;
    this.#hold();
    const usage = link.usage();
    // Where nobody can tell what it uses, a cage that does not answer is at work.
    if (usage === null && !wasHeld && this.#ping !== null) this.#heldMs += ms;
    if (this.#heldMs >= this.#limits.wallMs) return this.#reach("wallMs");
    if (usage !== null) {
      if (usage.cpuMs - this.#cpuMsBefore > this.#limits.cpuMs) return this.#reach("cpuMs");
      if (usage.residentBytes > this.#limits.memoryBytes) return this.#reach("memoryBytes");
    }
    if (this.#ping === null) {
      this.#ping = { number: ++this.#pings, answers: this.#answers };
      link.send(`["ping","${this.#parts.nonce}",${this.#pings}]`);
    }
  }

  #pongOf(text: string): { readonly number: number; readonly isAtRest: boolean } | null {
    const { nonce } = this.#parts;
    const isPong = text.startsWith(`["${nonce}","pong",`);
    if (!isPong && !text.startsWith(`["${nonce}","busy",`)) return null;
    return { number: Number(text.slice(nonce.length + 11, -1)), isAtRest: isPong };
  }

  #ponged(pong: number, isAtRest: boolean): void {
    const ping = this.#ping;
    this.#ping = null;
    if (ping === null || pong !== ping.number) return this.#odd("it answered what nobody asked");
    // It has come to rest, and nothing is on its way to it.
    if (!isAtRest || ping.answers !== this.#answers || this.#hasEnded) return;
    if (this.#out > 0 || this.#waits > 0) this.#run.rested?.();
    else {
      const message = "It waits for something that cannot come: no call or timer of it is out";
      this.#finish({ kind: "threw", message, code: null });
    }
  }

  #isLong(frame: string, value: Json, limit: "argumentBytes" | "resultBytes"): boolean {
    // The frame holds the value: most are short, and need not be measured.
    if (frame.length * 3 <= this.#limits[limit]) return false;
    return isLonger(JSON.stringify(value), this.#limits[limit]);
  }

  #died({ why, isMemory }: LinkEnd): void {
    this.#isOdd = true;
    if (isMemory) return this.#reach("memoryBytes");
    const message = `Cannot go on with tool "${this.#run.name}": its cage died, ${why}`;
    this.#finish({ kind: "died", message });
  }

  #reach(limit: keyof CageLimits): void {
    this.#isOdd = true;
    this.#finish({ kind: "limit", limit });
  }

  #odd(why: string): void {
    this.#isOdd = true;
    const message = `Cannot go on with tool "${this.#run.name}": its cage is not in order, ${why}`;
    this.#finish({ kind: "died", message });
  }

  #finish(end: End): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (end.kind === "stopped") this.#isOdd = true;
    this.#watching.abort("over");
    this.#run.signal.removeEventListener("abort", this.#stop);
    this.#over.resolve({ ...end, logs: this.#logs } as CageEnd);
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Whether a text has more than `bytesMax` bytes; short ones are not counted. */
function isLonger(text: string, bytesMax: number): boolean {
  if (text.length * 3 <= bytesMax) return false;
  return text.length > bytesMax || bytesOf(text) > bytesMax;
}
