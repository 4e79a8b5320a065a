/**
 * A terminal: lines in from standard input, text out to standard error.
 * @module
 */

import { SysError } from "../kernel/errors.ts";

/** Where a person reads and types. */
export interface Terminal {
  /** The next line without its end; null when there are no more. */
  read(): Promise<string | null>;
  /** Prints. */
  write(text: string): void;
  /** Whether colours are shown. */
  readonly isColoured?: boolean;
  /** Forgets what was typed before it was asked for. */
  discard?(): void;
}

const CHUNK_BYTES = 4_096;
const LINE_LENGTH_MAX = 65_536;

/** The terminal of this process. Throws `EINVAL` when a program, not a person, would answer. */
export function openTerminal(): Terminal {
  if (!Deno.stdin.isTerminal()) {
    throw new SysError("EINVAL", "Cannot open terminal: standard input is none, expected one");
  }
  const terminal = lineTerminal(
    () => readChunk(),
    (text) => writeAll(new TextEncoder().encode(text)),
  );
  return { ...terminal, isColoured: Deno.stderr.isTerminal() && !Deno.noColor };
}

/** Makes lines of chunks. A line that is too long is cut. */
export function lineTerminal(
  next: () => Promise<Uint8Array | null>,
  write: (text: string) => void,
): Terminal {
  const decoder = new TextDecoder();
  let held = "";
  let isEnded = false;
  return {
    async read() {
      while (!held.includes("\n") && !isEnded && held.length < LINE_LENGTH_MAX) {
        const chunk = await next();
        isEnded = chunk === null;
        held += chunk === null ? decoder.decode() : decoder.decode(chunk, { stream: true });
      }
      if (held === "") return null;
      const end = held.indexOf("\n");
      const line = end < 0 ? held : held.slice(0, end);
      held = end < 0 ? "" : held.slice(end + 1);
      return line.replace(/\r$/, "").slice(0, LINE_LENGTH_MAX);
    },
    write,
    discard() {
      held = "";
    },
  };
}

async function readChunk(): Promise<Uint8Array | null> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  const count = await Deno.stdin.read(chunk);
  return count === null ? null : chunk.subarray(0, count);
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
}
