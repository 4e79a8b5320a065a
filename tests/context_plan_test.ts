/**
 * Planning a prompt: properties over random conversations, and what is searched and picked.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  compose,
  type Entry,
  estimateTokens,
  foldPins,
  groupsOf,
  plan,
  shorten,
  tokensOf,
  totalOf,
} from "../kernel/context.ts";
import { digest } from "../kernel/digest.ts";
import { BOTTOM } from "../kernel/label.ts";
import { SysError } from "../kernel/errors.ts";
import { Recall, wordsOf } from "../kernel/recall.ts";
import type { ModelMessage } from "../kernel/world.ts";
import { countChars, filler } from "./context_fixture.ts";

const entry = (text: string, i: number): Entry => ({
  name: `p_1/${i}`,
  id: `obj_1.${i}`,
  version: 1,
  head: `fact "${i}"`,
  text,
  label: BOTTOM,
});

const turn = fc.oneof(
  fc.string({ maxLength: 200 }).map((text): ModelMessage[] => [{ role: "user", text }]),
  fc.tuple(fc.nat(9_999), fc.integer({ min: 1, max: 4 }), fc.nat(600)).map(
    ([id, count, size]): ModelMessage[] => {
      const ids = Array.from({ length: count }, (_, i) => `${id}-${i}`);
      return [
        {
          role: "assistant",
          text: "",
          calls: ids.map((id) => ({ id, name: "t", input: { text: "x".repeat(size) } })),
        },
        ...ids.map((id): ModelMessage => ({
          role: "tool",
          id,
          name: "t",
          output: "y".repeat(size),
          isError: false,
        })),
      ];
    },
  ),
);

Deno.test("A plan keeps all pins, its window, and calls with their results", () => {
  const material = fc.record({
    turns: fc.array(turn, { maxLength: 40 }).map((groups) => groups.flat()),
    pins: fc.array(fc.string({ maxLength: 60 }), { maxLength: 6 }),
    since: fc.array(fc.string({ maxLength: 60 }), { maxLength: 3 }),
    window: fc.integer({ min: 200, max: 6_000 }),
    summary: fc.option(fc.string({ maxLength: 300 })),
  });
  let refused = 0;
  fc.assert(
    fc.property(material, ({ turns, pins, since, window, summary }) => {
      const head = pins.map(entry);
      const later = since.map((text, i) => entry(text, i + 100));
      let made;
      try {
        made = plan({
          system: [{ role: "system", text: "Be brief." }],
          head,
          since: later,
          fresh: [...head, ...later],
          gone: [],
          requests: [],
          given: [],
          summary: summary === null ? null : entry(summary, 999),
          turns,
          model: "m",
          window,
          count: countChars,
          tools: 10,
        });
      } catch (error) {
        assert.ok(error instanceof SysError && error.code === "ELIMIT");
        refused += 1;
        return;
      }
      const messages = compose({ ...made.parts, recalled: [] });
      const size = totalOf(messages, countChars) + 10;
      assert.ok(size <= window, `${size} of ${window}`);
      assert.ok(made.room >= 0);
      const text = messages.map((message) => "text" in message ? message.text : "").join("\n");
      for (const pin of [...pins, ...since]) assert.ok(text.includes(pin));
      const open = new Set<string>();
      for (const message of made.parts.turns) {
        if (message.role === "assistant") { for (const { id } of message.calls) open.add(id); }
        else if (message.role === "tool") assert.ok(open.delete(message.id), "a result alone");
      }
      assert.equal(open.size, 0, "a call alone");
    }),
    { numRuns: 500, seed: 7 },
  );
  assert.ok(refused < 250, `${refused} were refused`);
});

Deno.test("The front of a plan stays the same while turns are added, but for few strides", () => {
  const turns: ModelMessage[] = [];
  let starts = 0;
  let last = 0;
  for (let n = 0; n < 400; n++) {
    turns.push({ role: "user", text: filler(n) });
    const { skipped } = plan({
      system: [],
      head: [],
      since: [],
      fresh: [],
      gone: [],
      requests: [],
      given: [],
      summary: null,
      turns,
      model: "m",
      window: 8_000,
      count: countChars,
      tools: 0,
    });
    if (skipped !== last) starts += 1;
    last = skipped;
  }
  assert.ok(starts <= 400 * 450 / 1_000, `${starts} starts`);
});

Deno.test("Results without a call are in no group, and one call's results in one", () => {
  const tool = (id: string): ModelMessage => ({
    role: "tool",
    id,
    name: "t",
    output: 1,
    isError: false,
  });
  const user: ModelMessage = { role: "user", text: "u" };
  const calls = [{ id: "a", name: "t" }, { id: "b", name: "t" }];
  const asks: ModelMessage = { role: "assistant", text: "", calls };
  assert.deepEqual(groupsOf([tool("z"), user, asks, tool("a"), user, tool("b"), user]), [
    { from: 1, to: 2 },
    { from: 2, to: 6 },
    { from: 6, to: 7 },
  ]);
});

Deno.test("A message that is too long is cut, says so, and has no more than it may", () => {
  const long: ModelMessage = {
    role: "tool",
    id: "1",
    name: "read",
    output: { text: "é\n".repeat(9_000) },
    isError: false,
  };
  const cut = shorten(long, 500, estimateTokens);
  assert.ok(tokensOf(cut, estimateTokens) <= 500 && tokensOf(cut, estimateTokens) > 400);
  assert.match(JSON.stringify(cut), /of 27\d+ characters are not shown/);
});

Deno.test("Pins: the last word on a name counts, and what was superseded is known", () => {
  const { held, superseded } = foldPins([
    { pin: "a", id: "obj_1.1", kind: "fact" },
    { pin: "b", id: "obj_1.2", kind: "fact", supersedes: "a" },
    { pin: "c", id: "obj_1.3", kind: "negative" },
    { unpin: "c" },
  ]);
  assert.deepEqual([[...held.keys()], [...superseded]], [["b"], [["a", "b"]]]);
});

Deno.test("What is recalled depends on what is there, never on the order in which it came", () => {
  const texts = Array.from({ length: 300 }, (_, n) => filler(n));
  const forward = new Recall();
  for (const [n, text] of texts.entries()) forward.add(`k${n}`, "", text);
  const other = new Recall();
  for (const [n, text] of [...texts.entries()].reverse()) other.add(`k${n}`, "", text);
  for (let n = 0; n < 2_000; n++) other.add(`gone${n}`, "", filler(n + 500));
  for (let n = 0; n < 2_000; n++) other.drop(`gone${n}`);
  const query = wordsOf("Turn 41: ledger budget cache");
  const all = (): boolean => true;
  assert.deepEqual(other.search(query, all), forward.search(query, all));
  assert.equal(forward.search(query, all)[0]?.key, "k41");
});

Deno.test("Words of scripts without spaces are found by pairs of letters", () => {
  assert.deepEqual(wordsOf("Héron 7281 鷺の巣"), ["héron", "7281", "鷺の", "の巣"]);
});

Deno.test("A digest keeps whole sentences, the weightiest first, inside its bound", () => {
  const said = [
    { by: "turn 0, user", text: "Hello there. The port must not be 8080." },
    { by: "turn 1, assistant", text: "Well. Fine. I see." },
  ];
  const made = digest(said, 60, countChars);
  assert.equal(made, "turn 0, user: The port must not be 8080.");
});
