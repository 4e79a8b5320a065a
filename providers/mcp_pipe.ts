/**
 * A server's pipe: JSON a line in both directions, and bounds on whatever comes out of it.
 *
 * Invariants:
 *   P1. A frame, a run of frames that answer nothing, and a run of lines that are no frames have
 *       limits; what passes one is ended.
 *   P2. An answer to what was not asked is dropped, and counted.
 * @module
 */

import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { McpChild } from "./mcp_child.ts";

/** A transport over the pipes of a child. */
export class McpPipe implements Transport {
  /**
   * By these two names the protocol's client knows a pipe: one whose server is slow to answer its
   * first question is spoken to as one of before, where a server elsewhere is given up.
   */
  readonly pid = null;
  readonly stderr = null;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: <T extends JSONRPCMessage>(message: T) => void;
  readonly #child: McpChild;
  /** Requests that nothing has answered yet. */
  readonly #asked = new Set<string | number>();
  /** Frames, and bytes of them, since something that was asked was answered. */
  #idleFrames = 0;
  #idleBytes = 0;
  #isClosed = false;
  #fault = "";

  /** Over a child that was just started. */
  constructor(child: McpChild) {
    this.#child = child;
  }

  /** Why there is nothing to be had any more; told when it has ended. */
  async why(): Promise<string> {
    const ended = await this.#child.ended;
    return this.#fault === "" ? ended : this.#fault;
  }

  /** Begins to read. */
  start(): Promise<void> {
    this.#read().catch(() => {}).finally(() => this.#closed());
    return Promise.resolve();
  }

  /** Writes one frame. Throws `EIO` when the child is gone. */
  async send(message: JSONRPCMessage): Promise<void> {
    if ("id" in message && "method" in message) this.#asked.add(message.id);
    // Nobody waits for it any more: should it come, it answers nothing.
    if ("method" in message && message.method === "notifications/cancelled") {
      this.#asked.delete((message.params as { readonly requestId: string | number }).requestId);
    }
    try {
      await this.#child.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
    } catch {
      throw new SysError("EIO", "Cannot write to the server: it is gone");
    }
  }

  /** Ends the child. */
  async close(): Promise<void> {
    this.#child.kill();
    await this.#child.ended;
    this.#closed();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#child.kill();
    this.onclose?.();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.output) {
      rest += decoder.decode(chunk, { stream: true });
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        if (!this.#take(line)) return;
      }
      if (rest.length > LIMITS.mcpFrameBytesMax) {
        this.#end("a frame is too large");
        return;
      }
    }
  }

  /** Hands one line on; false when that was one too many. */
  #take(line: string): boolean {
    if (line.length > LIMITS.mcpFrameBytesMax) return this.#end("a frame is too large");
    this.#idleFrames += 1;
    this.#idleBytes += line.length;
    const message = frameOf(line);
    if (message !== null && "id" in message && !("method" in message)) {
      // P2: what nobody asked for answers nothing.
      if (this.#asked.delete(message.id as string | number)) {
        this.#idleFrames = 0;
        this.#idleBytes = 0;
        this.onmessage?.(message);
      }
    } else if (message !== null) this.onmessage?.(message);
    if (this.#idleFrames > LIMITS.mcpIdleFramesMax || this.#idleBytes > LIMITS.mcpIdleBytesMax) {
      return this.#end("it says too much that answers nothing");
    }
    return true;
  }

  #end(why: string): false {
    this.#fault = why;
    this.#child.kill();
    return false;
  }
}

/** A line as a frame; null when it is none. */
function frameOf(line: string): JSONRPCMessage | null {
  if (!line.startsWith("{")) return null;
  try {
    const value = parseJson(line) as unknown;
    if (typeof value !== "object" || value === null) return null;
    return (value as { jsonrpc?: unknown }).jsonrpc === "2.0" ? value as JSONRPCMessage : null;
  } catch {
    return null;
  }
}
