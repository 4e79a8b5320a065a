/**
 * `AbortController` and `AbortSignal` of a realm.
 * @module
 */

/** What a listener is told. */
interface AbortEvent {
  readonly type: "abort";
  readonly target: GuestAbortSignal;
}
type Listener = ((event: AbortEvent) => void) | { handleEvent(event: AbortEvent): void };

/** An `AbortSignal`. */
export class GuestAbortSignal {
  #aborted = false;
  #reason: unknown = undefined;
  #listeners = new Map<Listener, boolean>();
  onabort: ((event: AbortEvent) => void) | null = null;

  /** Aborts a signal: its own class and its controller's only know how. */
  static trip: (signal: GuestAbortSignal, reason: unknown) => void;

  static {
    this.trip = (signal, reason) => signal.#trip(reason);
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  addEventListener(
    type: string,
    listener: Listener,
    options?: { once?: boolean } | boolean,
  ): void {
    if (type !== "abort" || this.#aborted || this.#listeners.has(listener)) return;
    this.#listeners.set(listener, typeof options === "object" && options?.once === true);
  }

  removeEventListener(type: string, listener: Listener): void {
    if (type === "abort") this.#listeners.delete(listener);
  }

  #trip(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const event: AbortEvent = { type: "abort", target: this };
    const listeners = [...this.#listeners.keys()];
    this.#listeners.clear();
    this.onabort?.(event);
    for (const listener of listeners) {
      if (typeof listener === "function") listener.call(this, event);
      else listener.handleEvent(event);
    }
  }
}

/** An `AbortController`. */
export class GuestAbortController {
  readonly signal: GuestAbortSignal = new GuestAbortSignal();

  abort(reason: unknown = abortReason("AbortError", "The operation was aborted")): void {
    tripOf(this.signal, reason);
  }
}

/** Gives the two their statics and their names, and keeps `trip` from tools. */
export function abortOf(
  set: (job: () => void, ms: number) => void,
): { AbortSignal: unknown; AbortController: unknown } {
  const statics = {
    abort(reason: unknown = abortReason("AbortError", "The operation was aborted")) {
      const signal = new GuestAbortSignal();
      tripOf(signal, reason);
      return signal;
    },
    timeout(ms: number) {
      const signal = new GuestAbortSignal();
      set(() => tripOf(signal, abortReason("TimeoutError", "The time is over")), ms);
      return signal;
    },
    any(signals: Iterable<GuestAbortSignal>) {
      const any = new GuestAbortSignal();
      for (const signal of signals) {
        if (signal.aborted) tripOf(any, signal.reason);
        else signal.addEventListener("abort", () => tripOf(any, signal.reason), { once: true });
      }
      return any;
    },
  };
  return {
    AbortSignal: Object.assign(GuestAbortSignal, statics),
    AbortController: GuestAbortController,
  };
}

/** Aborts a signal. */
export function tripOf(signal: GuestAbortSignal, reason: unknown): void {
  GuestAbortSignal.trip(signal, reason);
}

/** An error with the name that platforms use. */
export function abortReason(name: string, message: string): Error {
  const reason = new Error(message);
  Object.defineProperty(reason, "name", { value: name, configurable: true, writable: true });
  return reason;
}
