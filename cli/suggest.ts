/**
 * The least authority: `suggest`, from what a process was let do.
 * @module
 */

import { parsePattern } from "../kernel/grammar.ts";
import { leastFor, type Needed } from "../runtime/what_if.ts";
import { readLines } from "../runtime/load.ts";
import type { LeastAuthority } from "../server/client.ts";
import type { Command, Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { aligned, safeJson, show } from "./output.ts";
import { findProcess, reading, TREE_CONTEXT } from "./store.ts";
import { systemOf } from "./system.ts";

/** A rule that is suggested, in each of its forms. */
interface Suggested extends Needed {
  readonly right: string;
  readonly resource: string;
  /** As an image definition or a spawn says it. */
  readonly code: string;
  /** As `libos run` says it. */
  readonly option: string;
  /** As a policy says it. */
  readonly text: string;
}

/** `suggest`. */
export const suggest: Command = {
  name: "suggest",
  group: "authority",
  usage: "PID",
  about: "Tell the least that would have let a process, and all below it, do what it did",
  examples: ["libos suggest p_1", "libos suggest p_1 -o json"],
  options: {},
  words: [1, 1],
  remote: "same",
  async run(at) {
    const { pid, image, items: all } = await leastOf(at, at.words[0]!);
    const rules = all.filter(isWritable).map(suggested);
    const unwritable = all.filter((one) => !isWritable(one));
    const given = rules.filter(({ right }) => right === "model.generate");
    const own = rules.filter(({ right }) => right !== "model.generate");
    const head = { pid, image, grants: grantsText(own), options: optionsText(own) };
    show(at, { ...head, policy: policyLines(own).join("\n"), rules, unwritable }, {
      name: own.map(({ text }) => text).join("; "),
      lines: suggestionLines({ pid, image, own, given, unwritable }),
    });
    return EXIT.ok;
  },
};

async function leastOf(at: Context, word: string): Promise<LeastAuthority> {
  if (at.client !== null) {
    const { pid } = await systemOf(at).process(word);
    return await at.client.get(`/v1/processes/${pid}/least-authority`);
  }
  return await reading(at, async (store) => {
    const { tree: { state }, process } = await findProcess(store, word);
    const { name, version } = state.images[process.image]!;
    const lines = readLines(store, state.tree);
    const items = await leastFor(lines, process.pid, TREE_CONTEXT);
    return { pid: process.pid, image: `${name}@${version}`, items };
  });
}

/** Whether the grammar has words for it: there is none for some odd names. */
function isWritable({ rule }: Needed): boolean {
  try {
    parsePattern(rule);
    return true;
  } catch {
    return false;
  }
}

function suggested(needed: Needed): Suggested {
  const { right, resource } = parsePattern(needed.rule);
  const { effect, rule } = needed;
  return {
    ...needed,
    right,
    resource,
    code: `${effect}(${safeJson(right)}, ${safeJson(resource)})`,
    option: `${effect === "allow" ? "--grant" : "--ask"} '${rule.replaceAll("'", `'\\''`)}'`,
    text: `${effect} ${rule}`,
  };
}

function suggestionLines({ pid, image, own, given, unwritable }: {
  readonly pid: string;
  readonly image: string;
  readonly own: readonly Suggested[];
  readonly given: readonly Suggested[];
  readonly unwritable: readonly Needed[];
}): string[] {
  const models = given.map(({ resource }) => resource).join(", ");
  const notes = [
    ...(given.length === 0 ? [] : [`its image's model gives by itself: model.generate(${models})`]),
    ...unwritable.map(({ rule, lines }) =>
      `no rule can be written for ${rule}  ${linesText(lines)}`
    ),
  ];
  if (own.length === 0) return [`# ${pid} (${image}) needed no grants`, ...notes.map(commented)];
  return [
    `# ${pid} (${image}), in TypeScript`,
    `import { ${importsOf(own)} } from "@agent-libos/core";`,
    "grants: [",
    ...aligned(own.map((one) => [`  ${one.code},`, `// ${usedText(one)}`])),
    "],",
    "# On the command line",
    `libos run FILE "goal" ${optionsText(own)}`,
    "# As policy text",
    ...policyLines(own),
    ...notes.map(commented),
  ];
}

function commented(note: string): string {
  return `# ${note}`;
}

function importsOf(own: readonly Suggested[]): string {
  return [...new Set(own.map(({ effect }) => effect))].sort().join(", ");
}

function grantsText(own: readonly Suggested[]): string {
  return `[${own.map(({ code }) => code).join(", ")}]`;
}

function optionsText(own: readonly Suggested[]): string {
  return own.map(({ option }) => option).join(" ");
}

function policyLines(own: readonly Suggested[]): string[] {
  return aligned(own.map((one) => [one.text, `# ${usedText(one)}`]));
}

function usedText({ calls, lines }: Needed): string {
  const more = calls > lines.length ? ", …" : "";
  return `${calls} call${calls === 1 ? "" : "s"}, ${linesText(lines)}${more}`;
}

function linesText(lines: readonly number[]): string {
  return lines.map((seq) => `#${seq}`).join(", ");
}
