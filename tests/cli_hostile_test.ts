/**
 * Claims about the terminal: whatever an agent wrote, wherever it stands, nothing of it acts on a
 * screen, piped or not, in any format and any prompt.
 * @module
 */

import { deepStrictEqual as equal, doesNotMatch, match, ok } from "node:assert/strict";
import { parse } from "yaml";
import { main } from "../cli/main.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";
import { AtTerminal, terminalTest } from "./cli_terminal.ts";

/** Colour, title, link, clipboard, cursor, C1, bidi, zero width, tags, carriage return. */
const NASTY = "\u001b[5;41m\u001b]0;title\u0007\u001b]8;;http://evil.test\u001b\\link" +
  "\u001b]52;c;ZXZpbA==\u0007\u001b[2J\u009b31m\u0085\u202egnp.exe\u202c\u2066\u200b\u200d\ufeff" +
  "\u{e0041}\rover\u0008\u0000\u007f";
/** Nothing but line feeds may be left of it; what colours and clears is taken out before. */
// deno-lint-ignore no-control-regex
const ACTS = /[\0-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/;
/** What the command line itself sends to a screen: its colours, a line or the screen cleared. */
// deno-lint-ignore no-control-regex
const OURS = /\u001b\[(0|1|2|7|3[1-6])m|\r\u001b\[K/g;

const AGENT = `import { allow, ask, defineImage } from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";
const nasty = ${JSON.stringify(NASTY)};
const child = defineImage({
  name: "child",
  program: async () => {
    throw new Error("failed: " + nasty);
  },
});
const talker = defineImage({
  name: "talker",
  instructions: nasty,
  model: scriptedModel(["said " + nasty]),
});
const image = defineImage({
  name: "nasty",
  program: async ({ sys }) => {
    await sys.object.create({ name: "a", mutable: true, value: { [nasty]: nasty } });
    await sys.object.write({ object: "a", value: nasty.repeat(50), from: 1 });
    await sys.file.write({ path: "./out/" + nasty.replaceAll(/[\\u0000\\/]/g, ""), text: nasty })
      .catch(() => {});
    await sys.file.write({ path: "./out/\\u202egnp.exe", text: nasty }).catch(() => {});
    await sys.file.read({ path: "./" + nasty }).catch(() => {});
    await sys.net.fetch({ url: "http://evil.test/" + nasty }).catch(() => {});
    await sys.human.tell({ message: nasty }).catch(() => {});
    await sys.checkpoint.create({ name: nasty.replaceAll("\\u0000", "") }).catch(() => {});
    await sys.tool.propose({
      name: "tool",
      description: nasty,
      inputSchema: { type: "object", description: nasty },
      rights: [],
      tests: [{ name: nasty, input: {}, calls: [], output: nasty }],
      // Its source may hold none of them; its words, input and tests may.
      source: "export default () => 1;\\n",
    }).catch(() => {});
    for (const one of ["child", "talker"]) {
      const { pid } = await sys.process.spawn({ image: one, goal: one + nasty });
      await sys.process.wait({ pids: [pid] }).catch(() => {});
    }
    await sys.message.receive({});
    const { answer } = await sys.human.ask({ prompt: nasty, choices: [nasty, "b"] });
    await sys.file.write({ path: "./asked.md", text: nasty });
    await sys.process.exit({ result: { [nasty]: [nasty, answer] } });
  },
});
const grants = [
  allow("file.*", "./out/**"),
  ask("file.write", "./asked.md"),
  allow("process.spawn", "**"),
  allow("human.*", "**"),
  allow("checkpoint.create", "**"),
];
const spawn = { goal: "goal " + nasty, grants, images: [child, talker], labels: { l: nasty } };
export default { image, spawn };
`;

const READS: readonly string[] = [
  ...["ps -a", "ps -a -t", "top --once -a", "describe p_1", "describe p_1.1", "describe p_1.2"],
  ...["logs p_1", "logs p_1 --tree", "events", "approvals", "approvals show req_1.2"],
  ...["caps ls p_1", "caps tree p_1", "explain p_1#1.1", "explain p_1#1.3", "explain p_1#1.4"],
  ...["can p_1 file.read(./x)", "policy show", "policy unused", "budget", "budget p_1"],
  ...["objects ls p_1", "objects cat /p_1/a", "objects history /p_1/a", "objects diff /p_1/a"],
  ...["tools", "tools ls p_1", "tools show tool", "tools source tool", "checkpoint"],
  ...["checkpoint inspect p_1 9", "checkpoint diff p_1 3", "audit", "verify", "effects", "cost"],
  ...[
    "cost --by model",
    "tree ls",
    "suggest p_1",
    "replay p_1 --image nasty.ts",
    "wait p_1.1",
    "wait p_1.2",
  ],
  ...["rollback p_1 4 --preview --files", "tree retain", "token ls", "store status"],
];
const FORMATS = ["table", "wide", "json", "jsonl", "yaml", "name"];

/** A place where the agent waits for a word, and has left its text everywhere. */
async function planted(): Promise<Place> {
  const place = await Place.make();
  await place.write("nasty.ts", AGENT);
  await Deno.mkdir(`${place.folder}/out`);
  const running = place.start("run", "nasty.ts", "--jit");
  await running.shows("p_1.2 exited 0");
  await place.libos("send", "p_1", `word ${NASTY}`, "--type", "text");
  await running.shows("ask → req_1.2");
  running.interrupt();
  const { out, err } = await running.said;
  doesNotMatch(out + err, ACTS);
  match(out, /\\u\{1b\}\[5;41m/);
  return place;
}

/** Runs a command as if at a terminal; what is left when our own colours are taken out. */
async function atScreen(place: Place, argv: readonly string[]): Promise<string> {
  return (await onScreen(place, argv)).replaceAll(OURS, "");
}

/** Runs a command as if at a terminal; what is sent there. */
async function onScreen(
  place: Place,
  argv: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  let text = "";
  const hear = (part: string): void => void (text += part);
  await main(argv, {
    ...{ out: hear, err: hear, isTerminal: true, isProgressShown: true, isInteractive: false },
    env: (name) => name === "LIBOS_OPERATOR" ? "ada" : variables[name],
    secret: () => Promise.resolve(""),
    cwd: place.folder,
    onInterrupt: () => () => {},
    exitNow: () => {},
  });
  return text;
}

Deno.test("Colour is for terminals, and for none where NO_COLOR is set", async () => {
  await using place = await Place.make();
  await place.libos("run", "greeter.ts", "Say hi", "--no-wait");
  for (const argv of [["logs", "p_1"], ["logs", "p_1", "--tree"]]) {
    const piped = (await place.libos(...argv)).out;
    doesNotMatch(piped, ACTS);
    const coloured = await onScreen(place, argv);
    match(coloured, OURS);
    equal(coloured.replaceAll(OURS, ""), piped, "colour is all that differs");
    equal(await onScreen(place, argv, { NO_COLOR: "1" }), piped);
    equal(await onScreen(place, argv, { NO_COLOR: "" }), coloured);
  }
});

Deno.test("Nothing an agent wrote acts on a screen: every reading command, every format", async (test) => {
  await using place = await planted();
  await place.libos("token", "create", "eve", "--role", "viewer");
  let shown = 0;
  for (const words of READS) {
    await test.step(`libos ${words}`, async () => {
      for (const format of FORMATS) {
        const argv = [...words.split(" "), "-o", format];
        const { out, err } = await place.libos(...argv);
        doesNotMatch(out + err, ACTS, argv.join(" "));
        doesNotMatch(await atScreen(place, argv), ACTS, `${argv.join(" ")} at a terminal`);
        if (/u\{1b\}|\\u001b|\\U0000001b/.test(out)) shown += 1;
        if (format === "json" && !/^(logs|top)/.test(words)) JSON.parse(out);
        if (format === "yaml" && out !== "" && !/^(logs|top|events)/.test(words)) parse(out);
      }
    });
  }
  ok(shown > 60, `it is there to be seen, escaped: ${shown} times`);
  const [process] = await place.json<{ goal: string; labels: { l: string } }[]>("ps");
  equal([process!.goal, process!.labels.l], [`goal ${NASTY}`, NASTY], "JSON gives it back");
});

Deno.test("Nothing a person answers or an agent says of it acts on a screen, to the end", async () => {
  await using place = await planted();
  const clean = async (...argv: string[]): Promise<void> => {
    for (const format of ["table", "json"]) {
      const { out, err } = await place.libos(...argv, "-o", format);
      doesNotMatch(out + err, ACTS, argv.join(" "));
      doesNotMatch(await atScreen(place, [...argv, "-o", format]), ACTS, argv.join(" "));
    }
  };
  await clean("answer", "req_1.2", NASTY);
  await clean("run", "nasty.ts", "--jit", "--resume", "--no-wait");
  await clean("deny", "req_1.3", "-m", NASTY);
  await clean("run", "nasty.ts", "--jit", "--resume", "--no-wait");
  await clean("kill", "p_1", "-m", NASTY);
  await clean("ps", "-a");
  await clean("logs", "p_1", "--tree");
  await clean("wait", "p_1");
  for (
    const argv of [[NASTY], ["ps", NASTY], ["describe", NASTY], ["run", NASTY], ["ps", "-o", NASTY]]
  ) {
    await clean(...argv);
  }
});

Deno.test("Nothing an agent wrote acts on a screen through a server, either", async () => {
  await using at = await served(async (place) => {
    const other = await planted();
    await Deno.remove(place.folder, { recursive: true });
    await Deno.rename(other.folder, place.folder);
    return ["nasty.ts"];
  });
  const remote = READS.filter((words) =>
    !/^(policy unused|effects|tree|suggest|replay|store|rollback)/.test(words)
  );
  for (const words of remote) {
    for (const format of ["table", "json"]) {
      const { out, err } = await at.place.libos(...words.split(" "), "-o", format, ...at.host);
      doesNotMatch(out + err, ACTS, words);
    }
  }
});

terminalTest(
  "Nothing an agent wrote acts on a real terminal: prompts, top, attach and tables",
  async () => {
    await using place = await planted();
    // deno-lint-ignore no-control-regex
    const SENT = /\u001b\[5;41m|\u001b\]|\u009b|\u0085|\u202e|\u2066|\u200b|\ufeff|\u0008/;
    for (const argv of [["ps", "-a"], ["describe", "p_1"], ["logs", "p_1", "--tree"]]) {
      const at = new AtTerminal(place, ...argv);
      equal(await at.ended(), 0);
      doesNotMatch(at.screen, SENT);
      ok(at.screen.includes("u{1b}"), argv.join(" "));
    }
    const watching = new AtTerminal(place, "approvals", "watch");
    await watching.shows("u{1b}");
    await watching.shows(">");
    await watching.type("\x03");
    await watching.ended();
    doesNotMatch(watching.screen, SENT);
    const top = new AtTerminal(place, "top");
    await top.shows("u{1b}");
    await top.type("\r");
    await top.shows("Capabilities:");
    await top.type("qq");
    equal(await top.ended(), 0);
    doesNotMatch(top.screen, SENT);
    const attached = new AtTerminal(place, "attach", "p_1");
    await attached.shows("u{1b}");
    await attached.type("\x03");
    equal(await attached.ended(), 130);
    doesNotMatch(attached.screen, SENT);
  },
);
