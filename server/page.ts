/**
 * Pages and versions: cursors that say where a list goes on, and tags that say what was read.
 * @module
 */

import type { Context } from "hono";
import { SysError } from "../kernel/errors.ts";
import type { Env } from "./api.ts";
import { Refusal } from "./problem.ts";

/**
 * A page of a list that is sorted by `keyOf`, as text: what follows `after`, which need not be
 * there any more.
 */
export function pageOf<T>(all: readonly T[], given: {
  readonly keyOf: (one: T) => string;
  readonly after?: string | undefined;
  readonly limit: number;
}): { items: T[]; next: string | null } {
  const { keyOf, after, limit } = given;
  const seen = after === undefined ? undefined : cursorOf(after);
  const rest = seen === undefined ? all : all.filter((one) => keyOf(one) > seen);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { items, next: last === undefined || rest.length <= limit ? null : toCursor(keyOf(last)) };
}

/** An id as text that sorts as its numbers do: `p_3.12` comes after `p_3.2`. */
export function sortable(id: string): string {
  return id.replace(/\d+/g, (digits) => digits.padStart(16, "0"));
}

/** A cursor: nobody should read anything out of it. */
export function toCursor(key: string): string {
  return new TextEncoder().encode(key).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The key in a cursor. Throws `EINVAL`. */
export function cursorOf(text: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true })
      .decode(Uint8Array.fromBase64(text, { alphabet: "base64url" }));
  } catch {
    throw new SysError("EINVAL", `Cannot go on after "${text}": expected "next" of a page`);
  }
}

/** Tags an answer with what it was read at; true when the asker has this already. */
export function tagged(c: Context<Env>, tag: string): boolean {
  const etag = `"${tag}"`;
  c.header("etag", etag);
  return c.req.header("if-none-match") === etag;
}

/** Refuses a change of what is not any more as the asker read it, when the asker says so. */
export function refuseStale(c: Context<Env>, tag: string): void {
  const match = c.req.header("if-match");
  if (match === undefined || match === "*" || match === `"${tag}"`) return;
  throw new Refusal(
    "precondition_failed",
    `Cannot change it: it is at "${tag}", expected ${match}`,
  );
}

/** Turns: what is done under one name is done one after another. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs when those before it under this name are over. */
  async take<T>(name: string, run: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(name) ?? Promise.resolve()).then(run);
    const over = mine.then(() => {}, () => {});
    this.#last.set(name, over);
    try {
      return await mine;
    } finally {
      if (this.#last.get(name) === over) this.#last.delete(name);
    }
  }
}
