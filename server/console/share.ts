/**
 * One live stream for all tabs that are signed in by the same session: browsers open six
 * connections to a server at most, and a stream takes one for itself.
 *
 * Invariants:
 *   H1. One tab holds the stream: the one that holds the lock. It tells the others by a channel.
 *   H2. Whoever takes over goes on after the last event that it heard. A tab that heard less than
 *       that is told that it missed something; one that heard more is told nothing twice.
 *   H3. A tab that somebody looks at waits a few seconds at most for one that does not answer.
 * @module
 */

import type { StreamEvent } from "../schema/evidence.ts";
import { type Hearer, listen, type LiveState } from "./api.ts";

type Said =
  | { readonly is: "event"; readonly event: StreamEvent }
  | { readonly is: "missed"; readonly cursor: string | null }
  | { readonly is: "state"; readonly state: LiveState; readonly cursor: string | null }
  | { readonly is: "asked" }
  | { readonly is: "over" };

/** How often a tab looks whether it is told anything (H3). */
const LOOK_MS = 3_000;
/** After so many looks in vain another tab takes over; at the first it asks. */
const LOOKS_MAX = 3;

/** Hears of everything that happens, by a stream that tabs of one `name` share. */
export function share(name: string, given: Hearer): void {
  // Neither is there where a page came in plain text from another machine.
  if (!("locks" in navigator) || !("BroadcastChannel" in globalThis)) {
    return void listen(null, given);
  }
  new Tab(name, given);
}

/** Tells all tabs of one `name`, this one too, that nobody is signed in any more. */
export function leave(name: string): void {
  if ("BroadcastChannel" in globalThis) {
    new BroadcastChannel(name).postMessage({ is: "over" } satisfies Said);
  }
  goOut();
}

/** Whatever a page held is gone with it; the next one says how somebody is let in. */
function goOut(): void {
  globalThis.location.replace("/");
}

class Tab {
  readonly #name: string;
  readonly #given: Hearer;
  readonly #channel: BroadcastChannel;
  #cursor: string | null = null;
  #state: LiveState = "joining";
  #close: (() => void) | null = null;
  #looks = 0;

  constructor(name: string, given: Hearer) {
    this.#name = name;
    this.#given = given;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<Said>) => {
      this.#looks = 0;
      if (data.is === "over") return goOut();
      if (data.is === "asked") this.#answer();
      else this.#hear(data);
    };
    this.#channel.postMessage({ is: "asked" } satisfies Said);
    this.#queue(false);
    this.#watch();
  }

  /** Waits for the lock, or takes it from a tab that does not answer. */
  #queue(steal: boolean): void {
    const held = (): Promise<never> => {
      this.#close = listen(this.#cursor, {
        heard: (event) => this.#tell({ is: "event", event }),
        missed: (cursor) => this.#tell({ is: "missed", cursor }),
        state: (state) => this.#tell({ is: "state", state, cursor: this.#cursor }),
      });
      return new Promise(() => {});
    };
    navigator.locks.request(this.#name, { steal }, held).catch(() => {
      // It was taken away: another tab holds the stream now.
      this.#close?.();
      this.#close = null;
      this.#queue(false);
    });
  }

  /** One look after the other: a tab that was held up looks no sooner again (H3). */
  #watch(): void {
    setTimeout(() => {
      this.#look();
      this.#watch();
    }, LOOK_MS);
  }

  #look(): void {
    if (this.#close !== null || document.hidden) this.#looks = 0;
    else if (++this.#looks === 1) this.#channel.postMessage({ is: "asked" } satisfies Said);
    else if (this.#looks === LOOKS_MAX) this.#queue(true);
  }

  #answer(): void {
    if (this.#close === null) return;
    const { state, cursor } = { state: this.#state, cursor: this.#cursor };
    this.#channel.postMessage({ is: "state", state, cursor } satisfies Said);
  }

  #tell(said: Said): void {
    this.#channel.postMessage(said);
    this.#hear(said);
  }

  #hear(said: Said): void {
    if (said.is === "event") {
      const { event } = said;
      // What a model writes carries the number of the event before it.
      if (isAfter(event.id, this.#cursor) || event.kind === "process.text") {
        this.#cursor = event.id;
        this.#given.heard(event);
      }
    } else if (said.is === "missed") {
      this.#cursor = said.cursor ?? this.#cursor;
      this.#given.missed(said.cursor);
    } else if (said.is === "state") {
      this.#state = said.state;
      if (said.cursor !== null && isAfter(said.cursor, this.#cursor)) {
        this.#cursor = said.cursor;
        this.#given.missed(said.cursor);
      }
      this.#given.state(said.state);
    }
  }
}

/** Whether a cursor is beyond another; those of different servers always are. */
function isAfter(one: string, other: string | null): boolean {
  if (other === null) return true;
  const [[boot, number], [otherBoot, otherNumber]] = [one.split("-"), other.split("-")];
  return boot !== otherBoot || Number(number) > Number(otherNumber);
}
