/**
 * The text of a line: what stands in it and what stands beside it; and copies that nobody changes.
 * @module
 */

import assert from "node:assert/strict";
import type { Line } from "../kernel/event.ts";
import { canonical, type Json, plain, sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { decodeLine, encodeLine, MARK } from "../kernel/log.ts";

const LARGE = { z: "x".repeat(LIMITS.inlineBytesMax), a: [1, 2] };
/** Values at each side of what is large enough to stand beside a line, and whether it does. */
const VALUES: readonly (readonly [Json, boolean])[] = [
  [null, false],
  [7, false],
  [{}, false],
  ["x".repeat(LIMITS.inlineBytesMax / 2 - 1), false],
  // Quoted it is longer than what is large; its own length counts.
  ['"'.repeat(LIMITS.inlineBytesMax / 2 - 1), false],
  ["x".repeat(LIMITS.inlineBytesMax - 2), false],
  ["x".repeat(LIMITS.inlineBytesMax - 1), true],
  [MARK, false],
  [`${MARK}${"x".repeat(LIMITS.inlineBytesMax / 2)}`, true],
  [{ [MARK]: "not ours" }, true],
  [["x".repeat(LIMITS.inlineBytesMax - 4)], false],
  [["x".repeat(LIMITS.inlineBytesMax - 3)], true],
  [LARGE, true],
];

function lineOf(args: Json, reply: Json): Line {
  const data = {
    pid: "p_1",
    step: 1,
    key: "1",
    name: "object.read",
    args,
    decision: { needs: [], by: [], effect: "allow" },
    result: { ok: true, reply },
    label: undefined,
  };
  const type = "call.done";
  return { tree: "t_1", seq: 5, atMs: 9, prev: "0".repeat(64), type, data } as unknown as Line;
}

function inLine(value: Json, isBeside: boolean): Json {
  const text = canonical(value);
  return isBeside ? { [MARK]: sha256(text), bytes: text.length } : value;
}

Deno.test("encodeLine() writes canonical JSON in which what is large is named by its hash", () => {
  for (const [args, argsBeside] of VALUES) {
    for (const [reply, replyBeside] of VALUES) {
      const line = lineOf(args, reply);
      const payloads = new Map<string, string>();
      const { text, hash } = encodeLine(line, payloads);
      const { label: _, ...data } = line.data as unknown as Record<string, Json>;
      const written = {
        at: line.atMs,
        data: {
          ...data,
          args: inLine(args, argsBeside),
          result: { ok: true, reply: inLine(reply, replyBeside) },
        },
        prev: line.prev,
        seq: line.seq,
        tree: line.tree,
        type: line.type,
      };
      assert.equal(text, canonical(written));
      assert.equal(hash, sha256(text));
      const beside = [argsBeside ? args : null, replyBeside ? reply : null]
        .filter((value) => value !== null).map((value) => canonical(value));
      assert.deepEqual(new Set(payloads.values()), new Set(beside));
      for (const [name, payload] of payloads) assert.equal(name, sha256(payload));
      assert.deepEqual(decodeLine(text, payloads).data, {
        ...data,
        args,
        result: { ok: true, reply },
      });
    }
  }
});

Deno.test("plain() gives a copy that is frozen all the way down", () => {
  const given = { list: [{ at: 1 }], deep: { text: "a" } };
  const copied = plain(given, { depthMax: 8, bytesMax: 1_000 }, "a value") as typeof given;
  assert.deepEqual(copied, given);
  for (const part of [copied, copied.list, copied.list[0], copied.deep]) {
    assert.ok(Object.isFrozen(part));
  }
  assert.ok(!Object.isFrozen(given) && !Object.isFrozen(given.list[0]));
});
