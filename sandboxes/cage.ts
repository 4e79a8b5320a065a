/**
 * Cages: somewhere code can be run, again and again for one tenant, until something is odd.
 * @module
 */

import type { CageEnd, CageRun } from "../broker/sandbox.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { given } from "./given.ts";
import type { Surface } from "./guest/os.ts";
import { REALM_TEXT } from "./guest_text.ts";
import type { Link } from "./link.ts";
import { Session } from "./session.ts";

/** How long a cage may take to come to rest after a run, of the time that it is given. */
const REST_MS_MAX = 500;
/** The same from when another run waits for it: a start takes more, and code that is done less. */
const HASTE_MS_MAX = 50;
const NONCE_BYTES = 8;
/** Runs after which a cage is replaced: what a realm leaves behind may add up. */
const RUNS_MAX = 1_000;

/** What a cage is made of. */
export interface CageParts {
  readonly link: Link;
  readonly clock: Clock;
  readonly random: Random;
  readonly surface: Surface;
  /** Memory above which it is not used again. */
  readonly memoryBytesMax: number;
}

/** A cage. Runs one thing at a time. */
export class Cage {
  /** Whom it serves; null before its first run. */
  tenant: string | null = null;
  /** Since when nobody has used it. */
  idleSinceMs: number;
  /** Resolves to whether it has started. */
  readonly ready: Promise<boolean>;
  /** Resolves when it is over and nothing of it is left. */
  readonly ended: Promise<void>;
  readonly #parts: CageParts;
  #hasEnded = false;
  #runs = 0;
  #hear: (text: string) => void = () => this.kill();
  /** Limits how long it may go on taking to come to rest. */
  #hurry: () => void = () => {};

  /** Takes a link over, whose other side has just been started. */
  constructor(parts: CageParts) {
    const { link, surface, clock } = parts;
    this.#parts = parts;
    this.idleSinceMs = clock.now();
    this.ended = link.ended.then(() => {
      this.#hasEnded = true;
    });
    link.hear((text) => this.#hear(text));
    const { calls, positions, ends } = surface;
    const told = JSON.stringify({ calls, positions, ends });
    link.send(JSON.stringify(["boot", told, REALM_TEXT]));
    this.ready = this.#within(LIMITS.cageStartMsMax, (text) => text === '["boot","ready"]');
  }

  /** Whether it can be used no more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Why it is over, for a message. */
  why(): Promise<string> {
    return this.#parts.link.ended.then(({ why }) => why);
  }

  /** Runs a tool. `rested` resolves to whether the cage may be used again. */
  run(run: CageRun): { readonly end: Promise<CageEnd>; readonly rested: Promise<boolean> } {
    this.tenant = run.tenant;
    this.#runs++;
    const nonce = this.#parts.random.bytes(NONCE_BYTES).toHex();
    const session = new Session({ ...this.#parts, nonce }, run);
    this.#hear = (text) => session.hear(text);
    const end = session.run();
    return { end, rested: end.then(() => this.#rest(session, nonce)) };
  }

  /** Says that a run waits for it to come to rest. One that is still at work soon is ended. */
  hurry(): void {
    this.#hurry();
  }

  /** Ends it at once. */
  kill(): void {
    this.#hasEnded = true;
    this.#parts.link.kill();
  }

  /**
   * Asks whether the worker has come to rest. When it answers, nothing of the last run is left to
   * go on: its jobs are done, its timers are the host's, and what it still says goes nowhere.
   */
  async #rest(session: Session, nonce: string): Promise<boolean> {
    const { link, memoryBytesMax } = this.#parts;
    if (!session.isClean || this.#runs >= RUNS_MAX || this.#hasEnded) {
      this.kill();
      return false;
    }
    link.send(`["ping","${nonce}",0]`);
    // A ping of the run itself may still be on its way.
    const stray = new RegExp(`^\\["${nonce}","(?:pong|busy)",[1-9]\\d*\\]$`);
    const isRested = await this.#within(
      REST_MS_MAX,
      (text) => text === `["${nonce}","pong",0]` || (stray.test(text) ? null : false),
    );
    if (!isRested) return false;
    this.#hear = () => this.kill();
    const usage = link.usage();
    if (usage !== null && usage.residentBytes > memoryBytesMax) this.kill();
    return !this.#hasEnded;
  }

  /** Whether the next text is the one; null goes on. Anything else, and being late, is its end. */
  async #within(ms: number, isIt: (text: string) => boolean | null): Promise<boolean> {
    const heard = Promise.withResolvers<boolean>();
    const stop = new AbortController();
    this.#hear = (text) => {
      const is = isIt(text);
      if (is !== null) heard.resolve(is);
    };
    const { clock, link } = this.#parts;
    void link.ended.then(() => heard.resolve(false));
    const { signal } = stop;
    const late = given(link, ms, { clock, signal }).then(() => false, () => false);
    this.#hurry = () => {
      this.#hurry = () => {};
      // Where nobody can tell whether it is at work, it may be the machine that is.
      if (link.usage() === null) return;
      given(link, HASTE_MS_MAX, { clock, signal }).then(() => heard.resolve(false), () => {});
    };
    const answer = await Promise.race([heard.promise, late]);
    this.#hurry = () => {};
    stop.abort("heard");
    if (!answer) this.kill();
    return answer;
  }
}
