/**
 * A reply is the same to the last character whether it is given for the first time or out of the
 * log: code that turns it into text makes the same call again.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { canonical, type Json, plain } from "../kernel/json.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { type Body, imageOf, World } from "./world_fixture.ts";

/** A disk, which outlives its kernels. */
class Disk extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

const BOUNDS = { depthMax: 64, bytesMax: 1_000_000 };

Deno.test("A step that turns replies into text goes on after a restart as it began", async () => {
  const store = new Disk();
  const clock = new VirtualClock(1);
  const body: Body = async ({ sys }) => {
    await sys.object.create({ name: "note", value: { z: 1, a: { y: [{ d: 1, c: 2 }], b: 3 } } });
    const text = JSON.stringify(await sys.object.read({ object: "note" }));
    await sys.object.create({ name: "text", value: text });
    await sys.clock.sleep({ ms: 1_000 });
    return text;
  };
  const image = imageOf(body);
  const first = new World({ store, clock });
  const { pid } = await first.start(image);
  await first.os.close();
  const second = new World({ store, clock });
  second.os.register(image);
  await second.untilDone();
  const process = await second.os.get(pid);
  const { outcome, result } = await second.ended(process!);
  assert.equal(outcome.kind, "exited", JSON.stringify(outcome));
  assert.ok(String(result).includes('{"a":{"b":3,"y":[{"c":2,"d":1}]},"z":1}'), String(result));
  await second.close();
});

Deno.test("plain() gives keys in the order in which they are read back from canonical text", () => {
  const key = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.integer({ min: -3, max: 120 }).map(String),
    fc.constantFrom("", "constructor", "toString", "é", "\u{1F600}", "\uFB33", "length"),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 0 }),
      fc.array(tie("tree"), { maxLength: 4 }),
      fc.dictionary(key, tie("tree"), { maxKeys: 24, noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      let copied: Json;
      try {
        copied = plain(value, BOUNDS, "a value");
      } catch {
        return fc.pre(false);
      }
      const text = canonical(copied);
      assert.equal(JSON.stringify(copied), JSON.stringify(JSON.parse(text)));
      assert.equal(canonical(value), text);
    }),
    { numRuns: 500 },
  );
});
