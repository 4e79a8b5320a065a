/**
 * Claims about `top` and `attach`: what their keys do, what is shown, and how a terminal is left.
 * @module
 */

import { deepStrictEqual as equal, doesNotMatch, match, ok } from "node:assert/strict";
import { EMPTY, frameOf, pressed, type TopState, withData } from "../cli/top_view.ts";
import { changesOf, keysOf } from "../providers/screen.ts";
import type { ProcessView } from "../server/schema/process.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";
import { AtTerminal, terminalTest } from "./cli_terminal.ts";

const ONE: ProcessView = {
  pid: "p_1",
  parent: null,
  tree: "t_1",
  image: "writer@1",
  imageHash: "0".repeat(64),
  state: "ready",
  waiting: null,
  outcome: null,
  goal: "Write\x1b[2J it",
  cwd: ".",
  label: { sensitivity: "internal", trust: "untrusted" },
  labels: { team: "ops" },
  step: 3,
  calls: { allowed: 1, asked: 0, denied: 0 },
  spent: { tokens: 18_200, usd: 0.041 },
  budget: { tokens: 50_000 },
  tools: [],
  generatedTools: [],
  children: ["p_1.2"],
  requests: 0,
  owner: "ada",
  startedAt: "2026-11-21T10:00:00.000Z",
  endedAt: null,
  seq: 9,
};
const TWO: ProcessView = {
  ...ONE,
  pid: "p_1.2",
  parent: "p_1",
  state: "waiting",
  waiting: { reason: "person", on: "req_1.1", since: ONE.startedAt },
  requests: 1,
  spent: { tokens: 900, usd: 0.5 },
};
const THREE: ProcessView = { ...ONE, pid: "p_3", tree: "t_3", image: "reader@1", state: "paused" };
const LISTED = withData(EMPTY, [ONE, TWO, THREE], 1);

/** What keys come to: a part of the state, and what was asked for last. */
const KEYS: readonly (readonly [claim: string, keys: string[], Partial<TopState>, unknown])[] = [
  ["the first is selected", [], { selected: "p_1" }, undefined],
  ["down and j go down, to the end and no further", ["down", "j", "j"], { selected: "p_3" }],
  ["up goes up", ["down", "up", "up"], { selected: "p_1" }],
  ["Enter describes", ["enter"], {}, { do: "describe" }],
  ["l shows logs", ["l"], {}, { do: "logs" }],
  ["a shows requests", ["a"], {}, { do: "approvals" }],
  ["t makes a list of the tree", ["t"], { isTree: false }],
  ["F5 does, too, and back", ["f5", "f5"], { isTree: true }],
  ["s sorts by what comes next", ["s", "s"], { sort: "cost" }],
  ["/ filters while it is typed", ["/", ..."reader", "enter"], {
    filter: "reader",
    selected: "p_3",
    typing: null,
  }],
  ["keys are letters while one types", ["/", "q", "k", "backspace"], { filter: "q" }],
  ["Esc ends the filter", ["/", "q", "esc"], { filter: "", typing: null }],
  ["Space tags and goes on", [" ", " "], { tagged: ["p_1", "p_1.2"], selected: "p_3" }],
  ["p pauses what is selected", ["p"], {}, { do: "signal", signal: "pause", pids: ["p_1"] }],
  ["p lets what is paused go on", ["j", "j", "p"], {}, {
    do: "signal",
    signal: "resume",
    pids: ["p_3"],
  }],
  ["k asks for a signal first", ["k"], { isSignaling: true }, undefined],
  ["F9 and k kill", ["f9", "k"], { isSignaling: false }, {
    do: "signal",
    signal: "kill",
    pids: ["p_1"],
  }],
  ["a signal goes to all that were tagged", [" ", " ", "k", "c"], { tagged: [] }, {
    do: "signal",
    signal: "cancel",
    pids: ["p_1", "p_1.2"],
  }],
  ["Esc sends no signal", ["k", "esc"], { isSignaling: false }, undefined],
  ["c names a checkpoint", ["c", "a", "b", "enter"], {}, { do: "checkpoint", name: "ab" }],
  ["c without a name takes none", ["c", "enter"], {}, undefined],
  ["b sets a budget", ["b", ..."usd=1", "enter"], {}, { do: "budget", limits: "usd=1" }],
  [": runs a command", [":", ..."caps ls %", "enter"], { typing: null }, {
    do: "command",
    line: "caps ls %",
  }],
  ["Esc runs none", [":", "p", "s", "esc"], { typing: null }, undefined],
  ["q quits", ["q"], {}, { do: "quit" }],
  ["Ctrl-C quits from wherever it is", ["/", "ctrl-c"], {}, { do: "quit" }],
  ["q closes what ? opened", ["?", "q"], { pane: null }, undefined],
].map(([claim, keys, state, wish]) => [claim, keys, state, wish] as never);

Deno.test("Keys of top do what its help says", async (test) => {
  for (const [claim, keys, expected, wish] of KEYS) {
    await test.step(claim, () => {
      let at = LISTED;
      let last: unknown;
      for (const key of keys) {
        const next = pressed(at, key);
        at = next.state;
        last = next.wish;
      }
      for (const [name, value] of Object.entries(expected)) {
        equal(at[name as keyof TopState], value, name);
      }
      equal(last, wish);
    });
  }
});

Deno.test("A frame is as large as the screen, and holds nothing that acts on it", () => {
  for (const [columns, rows] of [[100, 30], [40, 10], [20, 5]] as const) {
    const given = { columns, rows, nowMs: Date.parse(ONE.startedAt) + 240_000 };
    const frame = frameOf(LISTED, { ...given, isColoured: false });
    equal(frame.length, rows);
    ok(frame.every((row) => [...row].length <= columns));
    // deno-lint-ignore no-control-regex
    doesNotMatch(frame.join("\n"), /[\x00-\x09\x0b-\x1f\x7f]/);
  }
  const wide = { columns: 160, rows: 8, nowMs: Date.parse(ONE.startedAt) + 240_000 };
  const text = frameOf(LISTED, { ...wide, isColoured: false }).join("\n");
  match(text, /3 processes, 1 running, 1 waiting · ●1 wait for you/);
  match(text, /└─p_1\.2 +writer@1 +waiting\/person ●1 +3 +900 +\$0\.500/);
  match(text, /p_1 +writer@1 +ready +3 +18\.2k +\$0\.041 +██░░░ +36% +4m +Write\\u\{1b\}/);
});

Deno.test("Only rows that changed are drawn again", () => {
  equal(changesOf(["a", "b"], ["a", "b"]), "");
  const changes = changesOf(["a", "b", "c"], ["a", "x"]);
  ok(changes.includes("\x1b[2;1Hx\x1b[K") && changes.includes("\x1b[3;1H\x1b[K"));
  ok(!changes.includes("\x1b[1;1H"));
});

Deno.test("What a terminal sends is taken apart into keys", () => {
  equal(keysOf("a\x1b[A\x1bOB\x1b[15~\x1b[20~\r\x7f\x03 é😀"), [
    ...["a", "up", "down", "f5", "f9", "enter", "backspace", "ctrl-c", " ", "é", "😀"],
  ]);
  equal(keysOf("\x1b[999X\x1b\x00"), ["esc"]);
});

Deno.test("top is refused without a terminal, and prints one frame where it is asked to", async () => {
  await using place = await Place.make();
  equal((await place.libos("run", "greeter.ts", "Say hi", "--no-wait")).exit, 5);
  const refused = await place.libos("top");
  equal(refused.exit, 2);
  match(refused.err, /Cannot show top: no terminal, expected one, or --once/);
  const { exit, out } = await place.libos("top", "--once");
  equal(exit, 0);
  match(out, /^libos top · 1 processes.*●1 wait for you/);
  match(out, /p_1 +greeter@\S+ +waiting\/person ●1/);
});

terminalTest("top is live, and leaves the terminal as it was", async () => {
  await using at = await served();
  const top = new AtTerminal(at.place, "top", ...at.host);
  await top.shows("\x1b[?1049h");
  await top.shows("p_1");
  const { out } = await at.place.libos("spawn", "-d", "waiter", "Wait for it", ...at.host);
  equal(out, "p_2\n");
  await top.shows("Wait for it");
  await top.type("j\r");
  await top.shows("Capabilities:");
  await top.type("q");
  await top.shows("TOKENS");
  await top.type(":can % 'file.read(./x)'\r");
  await top.shows("DENY  file.read(./x) for p_2");
  await top.type("q:logs -f %\r");
  await top.shows('Cannot run "logs" here');
  await top.type("p");
  await top.shows("pause: p_2");
  await top.type("q");
  equal(await top.ended(), 0);
  ok(top.screen.endsWith("\x1b[?25h\x1b[?1049l"));
  equal((await at.place.libos("ps", "--state", "paused", "-o", "name")).out, "p_2\n");
});

terminalTest("What is typed to a process that is attached is a message to it", async () => {
  await using at = await served();
  const { out } = await at.place.libos("spawn", "-d", "waiter", "Wait for it", ...at.host);
  const attached = new AtTerminal(at.place, "attach", out.trim());
  await attached.shows("Attached to p_2");
  await attached.shows("wait");
  await attached.type("hi there");
  await attached.shows("> hi there");
  await attached.type("\r");
  await attached.shows("exited 0");
  equal(await attached.ended(), 0);
  const again = new AtTerminal(at.place, "attach", "p_1", ...at.host);
  await again.shows("Attached to p_1");
  await again.type("\x03");
  await again.shows("Detached; p_1 goes on");
  equal(await again.ended(), 130);
});
