/**
 * The client: system calls as typed functions, derived from the table.
 *
 * `sys("file.read", { path })` and `sys.file.read({ path })` are the same call.
 * @module
 */

import type { Calls } from "./calls.ts";

/** The name of a call: `noun.verb`. */
export type SyscallName = keyof Calls;

/** What a call takes. */
export type Args<N extends SyscallName> = Calls[N]["args"];
/** What a call answers. */
export type Reply<N extends SyscallName> = Calls[N]["reply"];
/** A noun of the table: "file", "object". */
export type Noun = SyscallName extends `${infer N}.${string}` ? N : never;
/** A verb of a noun. */
export type Verb<N extends string> = Extract<SyscallName, `${N}.${string}`> extends
  `${N}.${infer V}` ? V
  : never;
/** A call as a method. */
export type Method<N extends SyscallName> = (
  ...args: Record<string, never> extends Args<N> ? [args?: Args<N>] : [args: Args<N>]
) => Promise<Reply<N>>;
/** The calls by noun and verb. */
export type Nouns = {
  readonly [N in Noun]: {
    readonly [V in Verb<N>]: Method<Extract<SyscallName, `${N}.${V}`>>;
  };
};

/** The door, as code sees it. Throws `SysError`. */
export type Sys = Nouns & (<N extends SyscallName>(name: N, args: Args<N>) => Promise<Reply<N>>);

function heard(): void {}

/** A client over a raw door. */
export function clientOver(call: (name: string, args: unknown) => Promise<unknown>): Sys {
  const door = (name: string, args: unknown): Promise<unknown> => {
    const answer = call(name, args);
    // A call that nobody has awaited yet may fail: that is its caller's to see, not the node's.
    answer.catch(heard);
    return answer;
  };
  return new Proxy(door, {
    get(_, noun) {
      if (typeof noun !== "string") return undefined;
      return new Proxy({}, {
        get: (_, verb) =>
          typeof verb === "string"
            ? (args: unknown = {}) => door(`${noun}.${verb}`, args)
            : undefined,
      });
    },
  }) as unknown as Sys;
}
