/**
 * A whole screen: frames on a terminal's other page, and keys as they are pressed.
 *
 * Invariants:
 *   S1. However the program ends, the terminal is left as it was found.
 *   S2. Only rows that changed are written, between marks that keep a terminal from showing halves.
 *   S3. Nothing is written that was not made safe by whoever made the frame.
 * @module
 */

import { SysError } from "../kernel/errors.ts";

/** A key: a character, or a name such as `up`, `enter`, `esc`, `f5`, `ctrl-c`. */
export type Key = string;

/** A screen that is shown until it is closed. */
export interface Screen extends Disposable {
  /** Columns and rows. */
  size(): { readonly columns: number; readonly rows: number };
  /** Shows rows of text, one below the other. */
  draw(rows: readonly string[]): void;
  /** Keys, until the input ends. */
  keys(): AsyncIterable<Key>;
  /** Calls `listener` when the size changes. */
  onResize(listener: () => void): () => void;
}

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const CHUNK_BYTES = 1_024;

/** Shows a screen on the terminal of this process. Throws `EINVAL` where there is none. */
export function openScreen(): Screen {
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) {
    throw new SysError("EINVAL", "Cannot show a screen: input or output is no terminal");
  }
  let isOpen = true;
  let shown: readonly string[] = [];
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    globalThis.removeEventListener("unload", close);
    Deno.stdin.setRaw(false);
    write(LEAVE);
  };
  globalThis.addEventListener("unload", close);
  Deno.stdin.setRaw(true);
  write(ENTER);
  return {
    size: sizeOf,
    draw(rows) {
      if (!isOpen) return;
      write(changesOf(shown, rows));
      shown = [...rows];
    },
    keys: () => keysFrom(readChunk),
    onResize: (listener) =>
      onResize(() => {
        // All is written anew: what the terminal kept of the old size is not known.
        shown = [];
        if (isOpen) write("\x1b[2J");
        listener();
      }),
    [Symbol.dispose]: close,
  };
}

/** The keys of a terminal one at a time, without a page of their own; disposing gives it back. */
export function openKeys(): Disposable & { keys(): AsyncIterable<Key> } {
  const close = (): void => Deno.stdin.setRaw(false);
  globalThis.addEventListener("unload", close, { once: true });
  Deno.stdin.setRaw(true);
  return { keys: () => keysFrom(readChunk), [Symbol.dispose]: close };
}

/** What turns one frame into another (S2). */
export function changesOf(before: readonly string[], after: readonly string[]): string {
  const parts: string[] = [];
  for (let row = 0; row < Math.max(before.length, after.length); row++) {
    if (before[row] === after[row]) continue;
    parts.push(`\x1b[${row + 1};1H${after[row] ?? ""}\x1b[K`);
  }
  return parts.length === 0 ? "" : `\x1b[?2026h${parts.join("")}\x1b[?2026l`;
}

const NAMED: { readonly [sequence: string]: Key } = {
  "\x1b[A": "up",
  "\x1b[B": "down",
  "\x1b[C": "right",
  "\x1b[D": "left",
  "\x1bOA": "up",
  "\x1bOB": "down",
  "\x1b[5~": "pageup",
  "\x1b[6~": "pagedown",
  "\x1b[H": "home",
  "\x1b[F": "end",
  "\x1b[15~": "f5",
  "\x1b[20~": "f9",
  "\r": "enter",
  "\n": "enter",
  "\t": "tab",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x03": "ctrl-c",
  "\x04": "ctrl-d",
  "\x15": "ctrl-u",
};

/** The keys of what a terminal sent; a sequence that is not known is no key. */
export function keysOf(text: string): Key[] {
  const keys: Key[] = [];
  // Sequences of one letter, of numbers and a letter, and single characters.
  // deno-lint-ignore no-control-regex
  for (const [part] of text.matchAll(/\x1b(?:O[A-Z]|\[[\d;?]*[~A-Za-z])|[\s\S]/gu)) {
    const named = Object.hasOwn(NAMED, part) ? NAMED[part] : undefined;
    if (named !== undefined) keys.push(named);
    else if (part === "\x1b") keys.push("esc");
    else if (part >= " " && !part.startsWith("\x1b")) keys.push(part);
  }
  return keys;
}

async function* keysFrom(read: () => Promise<Uint8Array | null>): AsyncGenerator<Key> {
  const decoder = new TextDecoder();
  for (let chunk = await read(); chunk !== null; chunk = await read()) {
    yield* keysOf(decoder.decode(chunk, { stream: true }));
  }
}

async function readChunk(): Promise<Uint8Array | null> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  const count = await Deno.stdin.read(chunk);
  return count === null ? null : chunk.subarray(0, count);
}

function sizeOf(): { readonly columns: number; readonly rows: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80, rows: 24 };
  }
}

function onResize(listener: () => void): () => void {
  if (Deno.build.os === "windows") return () => {};
  Deno.addSignalListener("SIGWINCH", listener);
  return () => Deno.removeSignalListener("SIGWINCH", listener);
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}
