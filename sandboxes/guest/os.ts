/**
 * `os`, as a tool sees it: the calls by name and by noun, its log, its clock and its chance.
 * @module
 */

import type { Port } from "./port.ts";
import type { Primordials } from "./primordials.ts";
import type { GuestChance, GuestClock } from "./time.ts";

/** What there is to call: names, which arguments go by position, and which calls end the step. */
export interface Surface {
  readonly calls: readonly string[];
  readonly positions: { readonly [call: string]: readonly string[] };
  readonly ends: readonly string[];
}

/** Makes `os`. Its objects are frozen and inherit nothing. */
export class Os {
  readonly #P: Primordials;
  readonly #port: Port;
  readonly #surface: Surface;
  #ends: string | null = null;

  constructor(P: Primordials, port: Port, surface: Surface) {
    this.#P = P;
    this.#port = port;
    this.#surface = surface;
  }

  /** The call that ends the step, as text; "null" for none. */
  get ends(): string {
    return this.#ends ?? "null";
  }

  /** The object which tools are given. */
  make(clock: GuestClock, chance: GuestChance, signal: unknown): object {
    const P = this.#P;
    const root: Record<string, unknown> = {
      __proto__: null,
      call: (name: unknown, args?: unknown) => this.#call(name, args),
      log: (...values: unknown[]) => this.log(values),
      now: () => clock.now(),
      random: () => chance.float(),
      signal,
    } as never;
    const nouns: Record<string, unknown>[] = [];
    for (let i = 0; i < this.#surface.calls.length; i++) {
      this.#place(root, this.#surface.calls[i]!, nouns);
    }
    for (let i = 0; i < nouns.length; i++) P.freeze(nouns[i]);
    return P.freeze(root);
  }

  /** Writes values to the log, as `console.log` would. */
  log(values: readonly unknown[]): void {
    let line = "";
    for (let i = 0; i < values.length; i++) line += (i === 0 ? "" : " ") + this.#shown(values[i]);
    this.#port.log(line);
  }

  #place(root: Record<string, unknown>, call: string, nouns: Record<string, unknown>[]): void {
    const P = this.#P;
    let at = root;
    let from = 0;
    for (let dot = P.indexOf(call, "."); dot >= 0; dot = P.indexOf(call, ".", from)) {
      const noun = P.slice(call, from, dot);
      if (typeof at[noun] === "undefined") {
        at[noun] = { __proto__: null };
        nouns[nouns.length] = at[noun] as Record<string, unknown>;
      }
      at = at[noun] as Record<string, unknown>;
      from = dot + 1;
    }
    const positions = this.#surface.positions[call] ?? [];
    at[P.slice(call, from)] = (...given: unknown[]) => this.#sugar(call, positions, given);
  }

  /** Arguments by position, then those by name. */
  #sugar(call: string, positions: readonly string[], given: unknown[]): Promise<unknown> {
    const args: Record<string, unknown> = { __proto__: null } as never;
    const last = given[given.length - 1];
    const named = this.#isPlain(last) ? last as Record<string, unknown> : null;
    const count = given.length - (named === null ? 0 : 1);
    if (count > positions.length) {
      const most = `${positions.length} at most by position, others by name`;
      return this.#refuse(call, `${count} arguments, expected ${most}`);
    }
    for (let i = 0; i < count; i++) args[positions[i]!] = given[i];
    if (named !== null) {
      const keys = this.#P.keys(named);
      for (let i = 0; i < keys.length; i++) args[keys[i]!] = named[keys[i]!];
    }
    return this.#call(call, args);
  }

  #call(name: unknown, args: unknown): Promise<unknown> {
    if (typeof name !== "string") return this.#refuse("?", "its name is no text");
    // The host takes a cage that says such a name for broken.
    if (name.length > 128 || !this.#P.isWellFormed(name)) {
      return this.#refuse("?", "its name is no name, expected 128 characters of Unicode at most");
    }
    for (let i = 0; i < this.#surface.ends.length; i++) {
      if (this.#surface.ends[i] === name) return this.#end(name, args);
    }
    return this.#port.call(name, args);
  }

  /** Keeps the call for when the tool has returned. */
  #end(name: string, args: unknown): Promise<null> {
    return new this.#P.Promise((resolve, reject) => {
      const text = this.#port.textOf(name, args);
      if (this.#ends !== null) {
        return reject(this.#port.error("ESTATE", `Cannot call "${name}": the step ends already`));
      }
      this.#ends = `[${this.#P.quote(name)},${text}]`;
      resolve(null);
    });
  }

  #refuse(call: string, why: string): Promise<never> {
    return new this.#P.Promise((_, reject) => {
      reject(this.#port.error("EINVAL", `Cannot call "${this.#P.slice(call, 0, 128)}": ${why}`));
    });
  }

  #isPlain(value: unknown): boolean {
    if (typeof value !== "object" || value === null || this.#P.isArray(value)) return false;
    const proto = this.#P.getPrototypeOf(value);
    return proto === null || proto === this.#P.objectProto;
  }

  #shown(value: unknown): string {
    if (typeof value === "string") return value;
    try {
      if (value instanceof this.#P.Error) return this.#P.String(value);
      if (typeof value !== "object" || value === null) return this.#P.String(value);
      const { text } = this.#port.encoder.encode(value, 16, this.#port.limits.logBytes);
      return text ?? this.#P.String(value);
    } catch {
      return "[a value that cannot be shown]";
    }
  }
}
