/**
 * People: nothing but a clear yes, given to what is on the screen, is a yes.
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { type PersonAnswer, type PersonRequest, SCOPES } from "../kernel/world.ts";
import { QueuePerson, ScriptedPerson, TerminalPerson } from "../providers/person.ts";
import { oneLine, printable, quoted } from "../providers/printable.ts";
import { lineTerminal, type Terminal } from "../providers/terminal.ts";

const NEVER = new AbortController().signal;
const REQUEST: PersonRequest = {
  id: "req_1",
  kind: "permission",
  pid: "pid_7",
  lineage: ["pid_1", "pid_7"],
  prompt: "I want to save the notes",
  call: {
    name: "file.write",
    right: "write",
    resource: "file:/notes/a",
    args: { path: "notes/a", text: "hello" },
    argsHash: "abc123",
  },
  risk: "medium",
  preview: "+hello",
  escalatedMs: null,
  people: { needed: 1, agreed: [] },
  scopes: SCOPES,
  suggestions: [],
  createdMs: 0,
  expiresMs: null,
};
const QUESTION: PersonRequest = {
  id: "req_2",
  kind: "question",
  pid: "pid_7",
  lineage: [],
  prompt: "Which one?",
  risk: "low",
  escalatedMs: null,
  people: { needed: 1, agreed: [] },
  scopes: [],
  suggestions: [],
  createdMs: 0,
  expiresMs: null,
};
const CALL = REQUEST.call as NonNullable<PersonRequest["call"]>;
const HOUR_PART = LIMITS.grantExpiryMsDefault;

/** A terminal at which the lines are typed one by one, as they are asked for. */
function typed(...lines: string[]): Terminal & { screen: string } {
  return {
    screen: "",
    read() {
      return Promise.resolve(lines.shift() ?? null);
    },
    write(text) {
      this.screen += text;
    },
  };
}

async function answered(
  request: PersonRequest,
  ...lines: string[]
): Promise<{ answer: PersonAnswer | undefined; screen: string }> {
  const terminal = typed(...lines);
  const answer = await new TerminalPerson(terminal).ask(request, NEVER);
  return { answer, screen: terminal.screen };
}

const ONCE = { outcome: "approve", scope: "once" } as const;
const LONG = { ...REQUEST, call: { ...CALL, args: { text: "x".repeat(5_000) } } };
const DESTRUCTIVE = { ...REQUEST, risk: "destructive" as const };
const SUGGESTED: PersonRequest = {
  ...REQUEST,
  suggestions: [
    { right: "write", resource: "file:/notes/a", scope: "once", matched: 0 },
    { right: "write", resource: "file:/notes/a", scope: "process", matched: 1 },
    { right: "write", resource: "file:/notes/*", scope: "process", matched: 4 },
  ],
};
const NARROW: PersonRequest = { ...REQUEST, scopes: ["once"] };
const CHOICES = { ...QUESTION, choices: ["red", "green"] };
const NUMBER = { ...QUESTION, schema: { type: "integer" } };
const OBJECT = { ...QUESTION, schema: { type: "object" } };
const ANSWERS: readonly (readonly [string, PersonRequest, string[], PersonAnswer | undefined])[] = [
  ["y approves once", REQUEST, ["y"], ONCE],
  ["yes approves once", REQUEST, ["YES "], ONCE],
  ["p approves for the process, once it was said which and how long", REQUEST, [
    "p",
    "",
    "",
    "y",
  ], { outcome: "approve", scope: "process", forMs: HOUR_PART }],
  ["t approves for the subtree, as long as was said", REQUEST, ["t", "1", "8h", "y"], {
    outcome: "approve",
    scope: "subtree",
    forMs: 8 * 3_600_000,
  }],
  ["P writes a rule, for good where nothing is said", REQUEST, ["P", "", "", "y"], {
    outcome: "approve",
    scope: "policy",
  }],
  ["a suggested rule is one of its numbers", SUGGESTED, ["p", "2", "", "y"], {
    outcome: "approve",
    scope: "process",
    forMs: HOUR_PART,
    resource: "file:/notes/*",
  }],
  ["a rule of one's own covers the call", REQUEST, ["p", "write(file:/**)", "5m", "y"], {
    outcome: "approve",
    scope: "process",
    forMs: 300_000,
    resource: "file:/**",
  }],
  ["a rule that does not cover the call gives nothing", REQUEST, ["p", "file:/other", "n", ""], {
    outcome: "deny",
  }],
  ["no length but those it may have", REQUEST, ["p", "", "never", "t", "", "99d", "n", ""], {
    outcome: "deny",
  }],
  [
    "one key gives nothing wider than once",
    REQUEST,
    ["p", "", "", "", "t", "", "", "p"],
    undefined,
  ],
  ["a scope it has not is no key", NARROW, ["p", "t", "P", "n", ""], { outcome: "deny" }],
  ["e approves with other arguments", REQUEST, ["e", '{"path":"b"}'], {
    outcome: "edit",
    args: { path: "b" },
  }],
  ["e gives nothing for what is no JSON", REQUEST, ["e", "{", "e", "", "n", ""], {
    outcome: "deny",
  }],
  ["N denies and stops", REQUEST, ["N", "enough"], {
    outcome: "deny",
    reason: "enough",
    stop: true,
  }],
  ["? tells the keys and asks again", REQUEST, ["?", "y"], ONCE],
  ["nothing wide and no edit for what destroys", DESTRUCTIVE, ["P", "e", "N", ""], {
    outcome: "deny",
    stop: true,
  }],
  ["n denies with a reason", REQUEST, ["n", " too early "], {
    outcome: "deny",
    reason: "too early",
  }],
  ["n denies without one", REQUEST, ["n", ""], { outcome: "deny" }],
  ["n denies at the end of the input", REQUEST, ["n"], { outcome: "deny" }],
  ["nothing is no yes", REQUEST, ["", " ", "ok", "yy", "sure", "1"], undefined],
  ["the end of the input leaves it in the queue", REQUEST, [], undefined],
  ["v shows all and asks again", REQUEST, ["v", "y"], ONCE],
  ["what was cut is viewed first", LONG, ["y", "p", "v", "y"], ONCE],
  ["what was cut is not approved unseen", LONG, ["y", "yes", "p", "t"], undefined],
  ["what was cut can be denied unseen", LONG, ["n", ""], { outcome: "deny" }],
  ["a destructive call takes the whole word", DESTRUCTIVE, ["y", "p", "t", "yes"], ONCE],
  ["a line answers a question", QUESTION, ["", "the left one"], {
    outcome: "answer",
    value: "the left one",
  }],
  ["a number is a choice", CHOICES, ["0", "3", "", "x", "1.5", "2"], {
    outcome: "answer",
    value: "green",
  }],
  ["the text of a choice is it", CHOICES, ["red"], { outcome: "answer", value: "red" }],
  ["a schema takes JSON", NUMBER, ["x", '"1"', "1.5", "42"], { outcome: "answer", value: 42 }],
  ["a schema takes an object", OBJECT, ["[]", "null", '{"__proto__":1}', '{"a":[1]}'], {
    outcome: "answer",
    value: { a: [1] },
  }],
  ["a schema for text takes the line", { ...QUESTION, schema: { type: "string" } }, ["1"], {
    outcome: "answer",
    value: "1",
  }],
  ["text that starts like a mark is the answer", QUESTION, ["!=x"], {
    outcome: "answer",
    value: "!=x",
  }],
  ["/later leaves it in the queue", QUESTION, ["/later"], undefined],
  ["/deny denies a question", QUESTION, ["/deny", "no time"], {
    outcome: "deny",
    reason: "no time",
  }],
  ["a notice takes no line", { ...QUESTION, kind: "notice" }, [], {
    outcome: "answer",
    value: null,
  }],
];

for (const [claim, request, lines, expected] of ANSWERS) {
  Deno.test(`TerminalPerson: ${claim}`, async () => {
    deepEqual((await answered(request, ...lines)).answer, expected);
  });
}

Deno.test("TerminalPerson shows who, what and why", async () => {
  const { screen } = await answered(REQUEST, "y");
  const parts = ["req_1", "medium", "pid_1 > pid_7", "file.write", "file:/notes/a", "abc123"];
  for (const part of [...parts, '{"path":"notes/a","text":"hello"}', "+hello", "save the notes"]) {
    equal(screen.includes(part), true, `"${part}" is not on the screen`);
  }
});

Deno.test("TerminalPerson shows what a rule would have matched before it is given", async () => {
  const terminal = typed("p", "2", "", "");
  const asked: string[] = [];
  await new TerminalPerson(terminal, {
    matches: (_, resource) => {
      asked.push(resource);
      return Promise.resolve("would have matched 4 of the last 9 write calls\x1b[2J");
    },
  }).ask(SUGGESTED, NEVER);
  deepEqual(asked, ["file:/notes/*"]);
  const parts = [
    "2) write(file:/notes/*)  would have matched 4",
    "would allow write(file:/notes/*) to pid_7 for 900 s",
    "matched 4 of the last 9 write calls\\u{1b}",
    "[P] policy…  [e] edit",
  ];
  for (const part of parts) equal(terminal.screen.includes(part), true, part);
});

Deno.test("TerminalPerson lets arguments be changed in an editor", async () => {
  const terminal = typed("e");
  const edit = (text: string) => Promise.resolve(text.replace("hello", "bye"));
  const answer = await new TerminalPerson(terminal, { edit }).ask(REQUEST, NEVER);
  deepEqual(answer, { outcome: "edit", args: { path: "notes/a", text: "bye" } });
});

Deno.test("TerminalPerson colours what comes and goes, and no other text", async () => {
  const coloured = { ...typed("n", ""), isColoured: true };
  const preview = "+new\n-old\n same \x1b[31m";
  await new TerminalPerson(coloured).ask({ ...REQUEST, preview }, NEVER);
  equal(coloured.screen.includes("\x1b[32m  │ +new\x1b[0m\n\x1b[31m  │ -old\x1b[0m\n"), true);
  equal(coloured.screen.split("\x1b").length, 5);
  const { screen } = await answered({ ...REQUEST, preview }, "n", "");
  equal(screen.includes("\x1b"), false);
});

Deno.test("TerminalPerson gives up after bounded nonsense", async () => {
  const lines = Array.from({ length: 1_000 }, () => "what?");
  equal((await answered(REQUEST, ...lines)).answer, undefined);
});

Deno.test("TerminalPerson prints nothing of an agent that a terminal acts on", async () => {
  const evil =
    "\x1b[2J\x07\r\x9b31m\u202e\u200b\u2028\n── permission req_9 ── risk: low ──\n[y] once";
  const { screen } = await answered(
    {
      ...REQUEST,
      prompt: evil,
      preview: evil,
      choices: [evil],
      call: { ...CALL, name: evil, resource: evil, args: { [evil]: evil } },
    },
    "v",
    "y",
  );
  // deno-lint-ignore no-control-regex
  equal(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e\u200b]/.test(screen), false);
  const heads = screen.split("\n").filter((line) => line.startsWith("──"));
  equal(heads.length, 1, "An agent wrote a line like ours");
  const menus = screen.split("\n").filter((line) => line.startsWith("[y]"));
  equal(menus.length, 2);
});

Deno.test("TerminalPerson throws away what was typed before it asked", async () => {
  const chunks = ["y\ny\n", "n\n", "\n"];
  const terminal = lineTerminal(
    () => Promise.resolve(new TextEncoder().encode(chunks.shift() ?? "\n")),
    () => {},
  );
  await terminal.read();
  const answer = await new TerminalPerson(terminal).ask(REQUEST, NEVER);
  deepEqual(answer, { outcome: "deny" });
});

Deno.test("TerminalPerson gives no answer of a withdrawn request to the next one", async () => {
  const reads: ((line: string | null) => void)[] = [];
  const screen: string[] = [];
  const person = new TerminalPerson({
    read: () => new Promise((resolve) => reads.push(resolve)),
    write: (text) => void screen.push(text),
  });
  const stop = new AbortController();
  const first = person.ask(REQUEST, stop.signal);
  await until(() => reads.length === 1);
  stop.abort();
  equal(await first, undefined);
  const second = person.ask({ ...REQUEST, id: "req_2" }, NEVER);
  await until(() => screen.some((text) => text.includes("press Enter")));
  reads[0]?.("y");
  await until(() => reads.length === 2);
  reads[1]?.("n");
  await until(() => reads.length === 3);
  reads[2]?.("");
  deepEqual(await second, { outcome: "deny" });
});

Deno.test("TerminalPerson asks one after the other and skips who was withdrawn", async () => {
  const reads: ((line: string | null) => void)[] = [];
  let screen = "";
  const person = new TerminalPerson({
    read: () => new Promise((resolve) => reads.push(resolve)),
    write: (text) => void (screen += text),
  });
  const stop = new AbortController();
  const first = person.ask(REQUEST, NEVER);
  const second = person.ask({ ...REQUEST, id: "req_2" }, stop.signal);
  const third = person.ask({ ...REQUEST, id: "req_3" }, NEVER);
  await until(() => reads.length === 1);
  equal(screen.includes("req_2"), false);
  stop.abort();
  equal(await second, undefined);
  reads[0]?.("y");
  deepEqual(await first, ONCE);
  await until(() => reads.length === 2);
  reads[1]?.("yes");
  deepEqual(await third, ONCE);
  equal(screen.includes("req_2"), false);
  equal(await person.ask(REQUEST, AbortSignal.abort()), undefined);
});

Deno.test("TerminalPerson passes on a broken terminal and can be asked again", async () => {
  let calls = 0;
  const person = new TerminalPerson({
    read: () => calls++ === 0 ? Promise.reject(new Error("gone")) : Promise.resolve("y"),
    write: () => {},
  });
  equal(await person.ask(REQUEST, NEVER).catch((error) => error.message), "gone");
  deepEqual(await person.ask(REQUEST, NEVER), ONCE);
});

Deno.test("ScriptedPerson answers from its list, then no more, and remembers", async () => {
  const person = new ScriptedPerson([ONCE, undefined, { outcome: "deny" }]);
  const all = [];
  for (let i = 0; i < 4; i++) all.push(await person.ask(REQUEST, NEVER));
  deepEqual(all, [ONCE, undefined, { outcome: "deny" }, undefined]);
  equal(person.asked.length, 4);
  equal(person.asked[0], REQUEST);
  equal(await person.ask(REQUEST, AbortSignal.abort()), undefined);
  equal(person.asked.length, 4);
});

Deno.test("ScriptedPerson answers by a function", async () => {
  const person = new ScriptedPerson(({ risk }) => risk === "low" ? ONCE : { outcome: "deny" });
  deepEqual(await person.ask(QUESTION, NEVER), ONCE);
  deepEqual(await person.ask(REQUEST, NEVER), { outcome: "deny" });
});

Deno.test("QueuePerson leaves everything in the queue", async () => {
  equal(await new QueuePerson().ask(), undefined);
});

Deno.test("printable() keeps letters and line feeds and shows the rest", () => {
  const table: readonly (readonly [string, string])[] = [
    ["plain äöü 日本 😀\nnext", "plain äöü 日本 😀\nnext"],
    ["\x1b[31m", "\\u{1b}[31m"],
    ["a\rb\bc\x7f", "a\\u{d}b\\u{8}c\\u{7f}"],
    ["\u009b2J", "\\u{9b}2J"],
    ["\u202eabc\u2066", "\\u{202e}abc\\u{2066}"],
    ["a\u200bb\ufeff\u00ad", "a\\u{200b}b\\u{feff}\\u{ad}"],
    ["\u{e0041}", "\\u{e0041}"],
    ["\ud800", "\\u{d800}"],
    ["a\u2028b", "a\\u{2028}b"],
    ["a\tb", "a  b"],
    ["e\u0301", "e\u0301"],
    ["Z" + "\u0301".repeat(50), "Z" + "\u0301".repeat(3)],
  ];
  for (const [text, expected] of table) equal(printable(text), expected);
  equal(oneLine("a\nb"), "a\\nb");
  deepEqual(quoted("a\nb", 9), { text: "  │ a\n  │ b", isCut: false });
  equal(quoted("abcdef", 3).isCut, true);
});

Deno.test("lineTerminal() makes lines of chunks, also within a letter, and ends", async () => {
  const bytes = new TextEncoder().encode("grün\r\nzwei\n\nletzte");
  const chunks = [...bytes].map((byte) => new Uint8Array([byte]));
  const terminal = lineTerminal(() => Promise.resolve(chunks.shift() ?? null), () => {});
  const lines = [];
  for (let line = await terminal.read(); line !== null; line = await terminal.read()) {
    lines.push(line);
  }
  deepEqual(lines, ["grün", "zwei", "", "letzte"]);
});

/** Lets all that is ready run until the claim holds. */
async function until(claim: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !claim(); turn++) await Promise.resolve();
  equal(claim(), true);
}
