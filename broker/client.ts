/**
 * The client: system calls as typed functions, derived from the table.
 *
 * `sys("file.read", { path })` and `sys.file.read({ path })` are the same call.
 * @module
 */

import type { z } from "zod";
import type { SYSCALLS, SyscallName } from "./table.ts";

type Table = typeof SYSCALLS;
/** What a call takes. */
export type Args<N extends SyscallName> = z.input<Table[N]["args"]>;
/** What a call answers. */
export type Reply<N extends SyscallName> = z.output<Table[N]["reply"]>;
type Noun = SyscallName extends `${infer N}.${string}` ? N : never;
type Verb<N extends string> = Extract<SyscallName, `${N}.${string}`> extends `${N}.${infer V}` ? V
  : never;
type Method<N extends SyscallName> = (
  ...args: Record<string, never> extends Args<N> ? [args?: Args<N>] : [args: Args<N>]
) => Promise<Reply<N>>;
type Nouns = {
  readonly [N in Noun]: {
    readonly [V in Verb<N>]: Method<Extract<SyscallName, `${N}.${V}`>>;
  };
};

/** The door, as code sees it. Throws `SysError`. */
export type Sys = Nouns & (<N extends SyscallName>(name: N, args: Args<N>) => Promise<Reply<N>>);

/** A client over a raw door. */
export function clientOver(call: (name: string, args: unknown) => Promise<unknown>): Sys {
  const door = (name: string, args: unknown): Promise<unknown> => call(name, args);
  return new Proxy(door, {
    get(_, noun) {
      if (typeof noun !== "string") return undefined;
      return new Proxy({}, {
        get: (_, verb) =>
          typeof verb === "string"
            ? (args: unknown = {}) => call(`${noun}.${verb}`, args)
            : undefined,
      });
    },
  }) as unknown as Sys;
}
