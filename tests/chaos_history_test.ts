/**
 * The judge of chaos is judged: a history that holds is let through, and each violation that is
 * planted in one is found.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { checkTree, History, type How, type Violation } from "./chaos/history.ts";

/** What clients did, a word each: `+a` begins act a, `-a` acknowledges it, `?r` begins a read. */
function told(words: string, saw: Readonly<Record<string, string>> = {}): History {
  const history = new History();
  const marks: Readonly<Record<string, How>> = { "-": "ok", "!": "refused", "~": "unknown" };
  for (const word of words.split(" ")) {
    const [mark, id] = [word[0]!, word.slice(1)];
    if (mark === "+") history.begin(id, "t", "act");
    else if (mark === "?") history.begin(id, "t", "read");
    else history.end(id, marks[mark]!, saw[id]?.split(""));
  }
  return history;
}

const kinds = (found: readonly Violation[]): string[] => found.map(({ kind }) => kind);

interface Case {
  readonly name: string;
  readonly words: string;
  readonly saw?: Readonly<Record<string, string>>;
  readonly log: string;
  readonly found: readonly Violation["kind"][];
}

const CASES: readonly Case[] = [
  { name: "one after the other", words: "+a -a +b -b", log: "ab", found: [] },
  { name: "at once, either way", words: "+a +b -a -b", log: "ba", found: [] },
  { name: "unknown and not there", words: "+a ~a +b -b", log: "b", found: [] },
  { name: "unknown and there later", words: "+a ~a +b -b", log: "ba", found: [] },
  { name: "refused and not there", words: "+a !a", log: "", found: [] },
  { name: "a read between", words: "+a -a ?r -r +b -b", saw: { r: "a" }, log: "ab", found: [] },
  {
    name: "a read of what is under way",
    words: "+a ?r -r -a",
    saw: { r: "a" },
    log: "a",
    found: [],
  },
  {
    name: "reads at once that see a different end",
    words: "+a ?r ?s -r -s -a",
    saw: { r: "a", s: "" },
    log: "a",
    found: [],
  },
  { name: "a lost act", words: "+a -a +b -b", log: "b", found: ["lost"] },
  { name: "a doubled act", words: "+a -a", log: "aa", found: ["doubled"] },
  { name: "an unknown act, doubled", words: "+a ~a", log: "aa", found: ["doubled"] },
  { name: "an act of nobody", words: "+a -a", log: "ax", found: ["phantom"] },
  { name: "a refused act", words: "+a !a", log: "a", found: ["refused"] },
  { name: "acts in another order", words: "+a -a +b -b", log: "ba", found: ["reordered"] },
  {
    name: "an unknown act before what had ended when it began",
    words: "+a -a +b ~b",
    log: "ba",
    found: ["reordered"],
  },
  {
    name: "a read that misses what was acknowledged",
    words: "+a -a ?r -r",
    saw: { r: "" },
    log: "a",
    found: ["stale"],
  },
  {
    name: "a read of what began later",
    words: "?r -r +a -a",
    saw: { r: "a" },
    log: "a",
    found: ["stale"],
  },
  {
    name: "a later read that sees less",
    words: "+a ?r -r ?s -s -a",
    saw: { r: "a", s: "" },
    log: "a",
    found: ["stale"],
  },
  {
    name: "a read of what the log never said",
    words: "+a +b -a -b ?r -r",
    saw: { r: "ba" },
    log: "ab",
    found: ["diverged"],
  },
];

for (const { name, words, saw, log, found } of CASES) {
  Deno.test(`HC ${found.length === 0 ? "lets through" : "finds"} ${name}`, () => {
    const { all } = told(words, saw);
    assert.deepEqual(kinds(checkTree("t", all, [...log])), found);
  });
}

/** A register that keeps its word, used by some at once: each takes effect at a moment inside. */
function honest(script: readonly number[]): { history: History; log: string[] } {
  const history = new History();
  const log: string[] = [];
  const open: { id: string; isRead: boolean; saw?: string[]; isDone: boolean }[] = [];
  for (const [n, roll] of script.entries()) {
    const one = open[roll % Math.max(1, open.length)];
    if (one === undefined || roll % 3 === 0) {
      const isRead = roll % 2 === 1;
      open.push({ id: `i${n}`, isRead, isDone: false });
      history.begin(`i${n}`, "t", isRead ? "read" : "act");
    } else if (!one.isDone) {
      one.isDone = true;
      if (one.isRead) one.saw = [...log];
      else log.push(one.id);
    } else {
      open.splice(open.indexOf(one), 1);
      history.end(one.id, roll % 7 === 0 && !one.isRead ? "unknown" : "ok", one.saw);
    }
  }
  return { history, log };
}

const SCRIPT = fc.array(fc.nat(1_000), { minLength: 8, maxLength: 120 });

Deno.test("HC lets through whatever a register shows that keeps its word", () => {
  fc.assert(fc.property(SCRIPT, (script) => {
    const { history, log } = honest(script);
    assert.deepEqual(checkTree("t", history.all, log), []);
  }));
});

Deno.test("HC finds one acknowledged act that is taken out, doubled, or put behind a later one", () => {
  fc.assert(fc.property(SCRIPT, fc.nat(1_000), (script, pick) => {
    const { history, log } = honest(script);
    const acknowledged = history.all.filter(({ kind, how }) => kind === "act" && how === "ok");
    const act = acknowledged[pick % Math.max(1, acknowledged.length)];
    if (act === undefined) return;
    const without = log.filter((id) => id !== act.id);
    assert.ok(kinds(checkTree("t", history.all, without)).includes("lost"));
    assert.ok(kinds(checkTree("t", history.all, [...log, act.id])).includes("doubled"));
    const isFollowed = history.all.some(({ kind, how, began, id }) =>
      kind === "act" && how === "ok" && began > act.ended && id !== act.id
    );
    if (!isFollowed) return;
    const late = kinds(checkTree("t", history.all, [...without, act.id]));
    assert.ok(late.includes("reordered") || late.includes("diverged"), `${late}`);
  }));
});
