/**
 * What the command line is given from outside: where it prints, its variables, and interrupts.
 *
 * Tests give their own; everything else of the outside is in `providers/`.
 * @module
 */

import { TerminalPerson } from "../providers/person.ts";
import { readSecret } from "../providers/secret_input.ts";

/** The outside, as commands see it. */
export interface Io {
  /** Prints to standard output, as it is. */
  out(text: string): void;
  /** Prints to standard error, as it is. */
  err(text: string): void;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Whether standard error is a terminal: what is under way may be shown there. */
  readonly isProgressShown: boolean;
  /** Whether somebody is there who can be asked. */
  readonly isInteractive: boolean;
  /** A variable of the environment; undefined when it is absent or must not be read. */
  env(name: string): string | undefined;
  /** A secret from whoever calls, typed where nothing is shown, or from standard input. */
  secret(prompt: string): Promise<string>;
  /** The working directory. */
  readonly cwd: string;
  /** Calls `listener` at each interrupt until the returned function is called. */
  onInterrupt(listener: () => void): () => void;
  /** Ends the process at once. */
  exitNow(code: number): void;
}

/** What asks a program to stop; a terminal that goes away does, too. */
const STOPS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];

/** What a shell says of a program that wrote to a closed pipe: 128 and the number of SIGPIPE. */
const PIPE_CLOSED = 141;

/** The outside of this process. */
export function realIo(): Io {
  return {
    out: (text) => {
      try {
        writeAll(Deno.stdout, text);
      } catch (thrown) {
        // Who read it has read enough, such as `head`: like other tools, it ends with that.
        if (thrown instanceof Deno.errors.BrokenPipe) Deno.exit(PIPE_CLOSED);
        throw thrown;
      }
    },
    err: (text) => writeAll(Deno.stderr, text),
    isTerminal: Deno.stdout.isTerminal(),
    isProgressShown: Deno.stderr.isTerminal(),
    isInteractive: TerminalPerson.isThere(),
    env,
    secret: readSecret,
    cwd: Deno.cwd(),
    onInterrupt(listener) {
      for (const signal of STOPS) Deno.addSignalListener(signal, listener);
      return () => {
        for (const signal of STOPS) Deno.removeSignalListener(signal, listener);
      };
    },
    exitNow: (code) => Deno.exit(code),
  };
}

function env(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotCapable) return undefined;
    throw thrown;
  }
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}
