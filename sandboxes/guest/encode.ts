/**
 * Values of a tool as JSON text: plain data as it is, anything else refused with a sentence.
 * @module
 */

import type { Primordials } from "./primordials.ts";

/** A value as text, or why it is none. */
export type Encoded =
  | { readonly text: string; readonly why: null; readonly limit: null }
  | { readonly text: null; readonly why: string; readonly limit: null }
  | { readonly text: null; readonly why: string; readonly limit: "depth" | "bytes" };

/** Makes JSON text inside the realm. */
export class Encoder {
  readonly #P: Primordials;
  #depthMax = 0;
  #left = 0;
  #limit: "depth" | "bytes" | null = null;
  #why = "";
  /** What holds the value that is being written, outermost first. */
  #holders: object[] = [];
  /** Thrown to leave the walk. */
  readonly #stop = { __proto__: null };

  constructor(P: Primordials) {
    this.#P = P;
  }

  /** Walks the value. Accessors and `toJSON` of the tool run here; what they throw goes through. */
  encode(value: unknown, depthMax: number, bytesMax: number): Encoded {
    this.#depthMax = depthMax;
    // Lengths are counted in UTF-16 units: an exact count is made of what is sent.
    this.#left = bytesMax;
    this.#limit = null;
    this.#holders = [];
    try {
      return { text: this.#write(value, 0, ""), why: null, limit: null };
    } catch (thrown) {
      if (thrown !== this.#stop) throw thrown;
      return { text: null, why: this.#why, limit: this.#limit } as Encoded;
    }
  }

  #write(value: unknown, depth: number, path: string): string {
    switch (typeof value) {
      case "string":
        return this.#text(value, path);
      case "number":
        if (!this.#P.isFinite(value)) this.#refuse(path, `${value}, expected a finite number`);
        return this.#spend(value === 0 ? "0" : this.#P.String(value));
      case "boolean":
        return this.#spend(value ? "true" : "false");
      case "undefined":
        return this.#spend("null");
      case "object":
        if (value === null) return this.#spend("null");
        return this.#object(value, depth, path);
      default:
        return this.#refuse(path, `a ${typeof value}, expected plain JSON data`);
    }
  }

  #text(value: string, path: string): string {
    if (!this.#P.isWellFormed(value)) {
      this.#refuse(path, "a lone surrogate, expected Unicode text");
    }
    if (value.length > this.#left) this.#reach("bytes");
    return this.#spend(this.#P.quote(value));
  }

  #object(value: object, depth: number, path: string): string {
    if (depth >= this.#depthMax) this.#tooDeep(value);
    this.#holders[depth] = value;
    if (this.#P.isArray(value)) return this.#array(value, depth, path);
    const proto = this.#P.getPrototypeOf(value);
    if (proto === null || proto === this.#P.objectProto) return this.#fields(value, depth, path);
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON !== "function") {
      this.#refuse(path, "an instance of a class, expected plain JSON data");
    }
    const said = this.#P.apply(toJSON as () => unknown, value, [path]);
    if (said === value) this.#refuse(path, "cyclic, expected plain JSON data");
    return this.#write(said, depth + 1, path);
  }

  #array(value: readonly unknown[], depth: number, path: string): string {
    let out = this.#spend("[]") && "[";
    for (let i = 0; i < value.length; i++) {
      if (i > 0) out += this.#spend(",");
      out += this.#write(value[i], depth + 1, `${path}[${i}]`);
    }
    return out + "]";
  }

  #fields(value: object, depth: number, path: string): string {
    let out = this.#spend("{}") && "{";
    const keys = this.#P.keys(value);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const field = (value as Record<string, unknown>)[key];
      if (field === undefined) continue;
      const at = path === "" ? key : `${path}.${key}`;
      if (out !== "{") out += this.#spend(",");
      out += this.#text(key, at) + this.#spend(":");
      out += this.#write(field, depth + 1, at);
    }
    return out + "}";
  }

  #spend(text: string): string {
    this.#left -= text.length;
    if (this.#left < 0) this.#reach("bytes");
    return text;
  }

  #tooDeep(value: object): never {
    for (let i = 0; i < this.#depthMax; i++) {
      if (this.#holders[i] === value) this.#refuse("", "cyclic, expected plain JSON data");
    }
    return this.#reach("depth");
  }

  #reach(limit: "depth" | "bytes"): never {
    this.#limit = limit;
    this.#why = limit === "depth" ? "it is too deep" : "it is too large";
    throw this.#stop;
  }

  #refuse(path: string, found: string): never {
    const where = path === "" ? "" : `at "${this.#P.slice(path, 0, 128)}" is `;
    this.#why = where === "" ? `it is ${found}` : `${where}${found}`;
    throw this.#stop;
  }
}
