/**
 * A secret from whoever calls: typed at a terminal that does not show it, or read from a pipe.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

const ENTER = /[\r\n]/;
const INTERRUPT = "\u0003";
const END = "\u0004";
const ERASE = /[\u007f\b]/;
const ERASE_ALL = "\u0015";

/**
 * Reads a secret from standard input: one line that is not shown where that is a terminal, else all
 * of it, without the end of its line. Throws `ECANCELED` on Ctrl-C, `ELIMIT` for too much.
 */
export async function readSecret(prompt: string): Promise<string> {
  return Deno.stdin.isTerminal() ? await typed(prompt) : await piped();
}

async function typed(prompt: string): Promise<string> {
  const say = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  // Before the prompt: whoever types at once is not shown, either.
  Deno.stdin.setRaw(true);
  try {
    say(prompt);
    let line = "";
    for await (const char of chars()) {
      if (ENTER.test(char) || char === END) return line;
      if (char === INTERRUPT) {
        throw new SysError("ECANCELED", "Cannot read the secret: it was interrupted");
      }
      if (char === ERASE_ALL) line = "";
      else if (ERASE.test(char)) line = line.slice(0, -1);
      else line += char;
      refuseLong(line);
    }
    return line;
  } finally {
    Deno.stdin.setRaw(false);
    say("\r\n");
  }
}

async function* chars(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(256);
  for (;;) {
    const count = await Deno.stdin.read(chunk);
    if (count === null) return;
    yield* decoder.decode(chunk.subarray(0, count), { stream: true });
  }
}

async function piped(): Promise<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(4_096);
  let text = "";
  for (;;) {
    const count = await Deno.stdin.read(chunk);
    if (count === null) break;
    text += decoder.decode(chunk.subarray(0, count), { stream: true });
    refuseLong(text);
  }
  return (text + decoder.decode()).replace(/\r?\n$/, "");
}

function refuseLong(text: string): void {
  // With the end of its line.
  if (text.length <= LIMITS.credentialBytesMax + 2) return;
  const sentence = "Cannot read the secret: it is too long";
  throw new SysError("ELIMIT", `${sentence}, expected ${LIMITS.credentialBytesMax} at most`, {
    limit: "credentialBytesMax",
  });
}
