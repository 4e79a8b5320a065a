/**
 * Effects that are on their way: one sending of each call, which all who wait for it hear of.
 * @module
 */

import type { CallResult } from "../kernel/event.ts";
import type { Process } from "../kernel/state.ts";
import { type Call, callId } from "./call.ts";
import { never } from "./run.ts";
import { Parked } from "./syscall.ts";

/** The effects that are being sent now, by call id. */
export class Sendings extends Map<string, Promise<CallResult>> {
  #isLeft = false;

  /** Nobody waits any longer for what is on its way: how it ends is not written down. */
  leave(): void {
    this.#isLeft = true;
    for (const sent of this.values()) sent.catch(() => {});
    this.clear();
  }

  /** Whether nobody waits any longer. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** Follows one sending of an effect; only one per call is ever on its way. */
  track(call: Call, send: () => Promise<CallResult | Parked>): Promise<CallResult> {
    const id = callId(call);
    const sent = send().then((result) => {
      this.delete(id);
      if (!(result instanceof Parked)) return result;
      call.run.end("parked");
      return never();
    }, (error) => {
      this.delete(id);
      throw error;
    });
    this.set(id, sent);
    return sent;
  }

  /** Resolves when nothing that a process sent is under way any more. */
  async settled(process: Process): Promise<void> {
    for (const [id, sent] of [...this]) {
      if (id.startsWith(`${process.pid}#`)) await sent.catch(() => {});
    }
  }
}
