/**
 * A generator of hostile values, texts and frames, the same for the same seed.
 * @module
 */

import { PORT_CALLS } from "../../broker/port_surface.ts";
import { SeededRandom } from "../../providers/random.ts";

/** A frame as it should be: four bytes of length, then UTF-8. */
export function plain(text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, 4);
  return frame;
}

/** Texts of the frames in `bytes`, and the bytes that are no whole frame yet. */
export function framesIn(bytes: Uint8Array): { texts: string[]; rest: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length && at + 4 + view.getUint32(at) <= bytes.length) {
    const end = at + 4 + view.getUint32(at);
    texts.push(new TextDecoder().decode(bytes.subarray(at + 4, end)));
    at = end;
  }
  return { texts, rest: bytes.slice(at) };
}

/** Two runs of bytes as one. */
export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/** A generator of hostile text and bytes. */
export class Mutator {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  below(n: number): number {
    return this.#random.below(n);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  value(depth = 0): unknown {
    const kind = this.below(depth > 10 ? 7 : 12);
    switch (kind) {
      case 0:
        return null;
      case 1:
        return this.pick([0, -0, 1, -1, 2 ** 53, 1e308, 0.5, 2 ** 31, 1, 2, 3]);
      case 2:
        return this.pick([
          "",
          "a\nb",
          "\ud800",
          "call",
          "\u2028",
          "x".repeat(this.below(3_000)),
          "__proto__",
        ]);
      case 3:
        return this.pick([true, false]);
      case 4:
        return {};
      case 5:
        return [];
      case 6:
        return JSON.parse('{"__proto__":{"x":1},"toString":null,"valueOf":null,"constructor":1}');
      default:
        return kind % 2 === 0
          ? Array.from({ length: this.below(4) }, () => this.value(depth + 1))
          : Object.fromEntries(
            Array.from({ length: this.below(4) }, () => [
              this.pick(["a", "then", "toString", "length", "constructor", "kind", "0"]),
              this.value(depth + 1),
            ]),
          );
    }
  }

  /** A record that has the shape of one; whether it is in its limits is another matter. */
  honest(call: number, isLast: boolean): unknown {
    const name = this.pick(["object.read", "clock.wait", "file.read", "no.such"]);
    const ends = this.pick([null, null, ["process.exit", {}], [name, { a: this.value() }]]);
    const kind = this.below(isLast ? 16 : 13);
    if (kind < 10) {
      return ["call", this.below(40) > 0 ? call : call + 1, name, { a: this.value(6) }];
    }
    if (kind < 13) return ["log", this.pick(["x", "\n".repeat(900), "", "x".repeat(900)])];
    if (kind < 15) {
      return ["returned", this.below(3) > 0 ? this.value() : "x".repeat(this.below(4_000)), ends];
    }
    return this.pick([["threw", "x", null], ["over", "calls"], ["threw", "x", "EIO"]]);
  }

  /** A record, often nearly right. */
  record(call: number): unknown {
    const name = () =>
      this.pick([...PORT_CALLS, "toString", "__proto__", "clock.wait", "x".repeat(200)]);
    const id = () => this.below(4) > 0 ? call : this.pick([call + 1, 0, -1, 1, call - 1, 1e300]);
    switch (this.below(9)) {
      case 0:
      case 1:
      case 2:
        return ["call", id(), name(), this.below(3) > 0 ? { a: this.value() } : this.value()];
      case 3:
        return ["log", this.below(3) > 0 ? this.pick(["x", "\n".repeat(900), ""]) : this.value()];
      case 4:
        return ["over", this.pick(["calls", "wallMs", "toString", "__proto__", "x"])];
      case 5:
        return ["returned", this.value(), this.below(2) ? null : [name(), { a: this.value() }]];
      case 6:
        return [
          "threw",
          this.pick(["x", "x".repeat(9_000)]),
          this.pick([null, "EIO", "toString", 1]),
        ];
      case 7:
        return [this.value(), this.value(), this.value()];
      default:
        return this.value();
    }
  }

  /** A text changed in a few places. */
  bend(text: string): string {
    switch (this.below(8)) {
      case 0:
        return text.slice(0, this.below(text.length + 1));
      case 1:
        return text + this.pick(["]", "[", "\u0000", text, " "]);
      case 2: {
        const at = this.below(text.length + 1);
        return text.slice(0, at) + this.pick(['"', "[", "]", "{", ",", "\\", "9", "\ud800"]) +
          text.slice(at + 1);
      }
      case 3:
        return "[".repeat(this.below(5_000)) + text;
      case 4:
        return text.replace(
          /\d+/,
          () => this.pick(["0", "1e9", "-1", "01", "99999999999999999999"]),
        );
      default:
        return text;
    }
  }

  /** A frame of bytes, sometimes no frame. */
  framed(text: string): Uint8Array {
    const body = new TextEncoder().encode(text);
    const frame = new Uint8Array(4 + body.length);
    frame.set(body, 4);
    const lie = this.below(60);
    const length = lie === 0
      ? 2 ** 32 - 1
      : lie === 1
      ? body.length + 1
      : lie === 2
      ? 0
      : body.length;
    new DataView(frame.buffer).setUint32(0, length);
    if (this.below(40) === 0) frame[this.below(frame.length)]! ^= 1 << this.below(8);
    return frame;
  }
}
