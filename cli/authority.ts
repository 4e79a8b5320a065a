/**
 * Who may do what: `caps` and `can`.
 * @module
 */

import type { Considered, HeldCapability } from "../kernel/capability.ts";
import type { EventMap } from "../kernel/event.ts";
import type { CapId } from "../kernel/ids.ts";
import type { Tree } from "../kernel/tree.ts";
import { explainCall } from "../broker/calls/capability.ts";
import { realClock } from "../providers/clock.ts";
import type { Explained } from "../runtime/call_story.ts";
import { capabilityViews, explanationView } from "../server/view/authority.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { give, operatorOf } from "./order.ts";
import { aligned, list, show } from "./output.ts";
import { capabilityColumns, wayTo } from "./process_text.ts";
import { canThere, capsThere } from "./authority_there.ts";
import { findCapability, findProcess, reading } from "./store.ts";
import { systemOf } from "./system.ts";
import { countOf, durationOf, patternOf, usage } from "./words.ts";

/** `caps`. */
export const caps: Command = {
  name: "caps",
  group: "authority",
  usage: "ls PID | grant PID RULE [--uses N] [--for 1h] | revoke CAP [-m WHY] | tree PID",
  about: "List, give and take back capabilities",
  examples: ["libos caps ls p_1", "libos caps grant p_1 'file.read(./docs/**)' --for 1h"],
  options: {
    uses: { type: "string" },
    for: { type: "string" },
    message: { type: "string", short: "m" },
  },
  words: [2, 3],
  remote: (at, client) => at.words[0] === "ls" ? caps.run(at) : capsThere(at, client),
  async run(at) {
    const [verb, , rule] = at.words;
    if (verb === "grant" && rule !== undefined) return await grant(at, rule);
    if (rule === undefined) {
      if (verb === "ls") return await listHeld(at);
      if (verb === "tree") return await printTree(at);
      if (verb === "revoke") return await revoke(at);
    }
    throw new UsageError(`Cannot run "caps ${verb}": expected ${caps.usage}`);
  },
};

async function listHeld(at: Context): Promise<number> {
  const system = systemOf(at);
  const { pid } = await system.process(at.words[1]!);
  list(at, await system.held(pid), {
    columns: capabilityColumns(realClock.now()),
    name: ({ id }) => id,
    none: "No capabilities",
  });
  return 0;
}

function ruleOf({ right, resource, constraint }: HeldCapability): string {
  return `${right}(${resource})${constraint === null ? "" : " with a constraint"}`;
}

async function printTree(at: Context): Promise<number> {
  const { tree, process } = await reading(at, (store) => findProcess(store, at.words[1]!));
  const held = [...tree.caps.heldBy(tree.reach(process.pid))];
  const roots = new Set(held.map((cap) => rootOf(tree, cap)));
  const all = Object.values(tree.state.caps);
  const lines: string[] = [];
  const add = (cap: HeldCapability, indent: string, branch: string): void => {
    lines.push(`${branch}${cap.id} ${ruleOf(cap)} to ${cap.subject}  ${cap.via} by ${cap.by}`);
    const below = all.filter(({ parent }) => parent === cap.id);
    below.forEach((child, i) => {
      const isLast = i === below.length - 1;
      add(child, indent + (isLast ? "  " : "│ "), indent + (isLast ? "└─" : "├─"));
    });
  };
  for (const root of roots) add(root, "", "");
  const shown = new Set<string>(
    all.filter((cap) => roots.has(rootOf(tree, cap))).map(({ id }) => id),
  );
  const views = capabilityViews(tree).filter(({ id }) => shown.has(id));
  show(at, views, { name: process.pid, lines });
  return 0;
}

function rootOf(tree: Tree, cap: HeldCapability): HeldCapability {
  let at = cap;
  while (at.parent !== null) {
    const parent = tree.cap(at.parent);
    if (parent === undefined) return at;
    at = parent;
  }
  return at;
}

async function grant(at: Context, word: string): Promise<number> {
  const { right, resource } = patternOf(word);
  const uses = countOf(at.flags.text("uses"), "--uses");
  const forMs = durationOf(at.flags.text("for"));
  const { tree, process } = await reading(at, (store) => findProcess(store, at.words[1]!));
  const { lines } = await give(at, tree.state.tree, {
    kind: "grant",
    pid: process.pid,
    rule: `${right}(${resource})`,
    ...(uses === undefined ? {} : { uses }),
    ...(forMs === undefined ? {} : { forMs }),
    by: operatorOf(at),
  });
  const given = lines.filter(({ type }) => type === "cap.granted")
    .map(({ data }) => data as EventMap["cap.granted"])
    .findLast(({ subject, via }) => subject === process.pid && via === "operator");
  const what = given === undefined ? word : `${given.id} allow ${given.right}(${given.resource})`;
  show(at, given ?? {}, {
    name: given?.id ?? process.pid,
    lines: [`granted ${what} to ${process.pid} by ${operatorOf(at)}`],
  });
  return 0;
}

async function revoke(at: Context): Promise<number> {
  const { tree, id } = await reading(at, (store) => findCapability(store, at.words[1]!));
  const { lines } = await give(at, tree.state.tree, {
    kind: "revoke",
    capability: id,
    reason: at.flags.text("message") ?? "",
    by: operatorOf(at),
  });
  const gone: CapId[] = lines.filter(({ type }) => type === "cap.revoked")
    .flatMap(({ data }) => (data as EventMap["cap.revoked"]).ids);
  show(at, { revoked: gone }, { name: id, lines: [`revoked ${gone.join(", ")}`] });
  return 0;
}

/** `can`. */
export const can: Command = {
  name: "can",
  group: "authority",
  usage: "PID RULE | PID SYSCALL RESOURCE",
  about: "Tell whether a process may do something now, why, and what would let it",
  examples: ["libos can p_1 'file.write(./out/a.md)'", "libos can p_1 net.fetch https://x.test/"],
  options: {},
  words: [2, 3],
  remote: canThere,
  async run(at) {
    const [word, right, resource] = at.words;
    const pattern = patternOf(resource === undefined ? right! : `${right}(${resource})`);
    const { tree, process } = await reading(at, (store) => findProcess(store, word!));
    const nowMs = Math.max(realClock.now(), tree.state.atMs);
    const rule = `${pattern.right}(${pattern.resource})`;
    const explained = usage(() =>
      explainCall({ tree, process, pid: process.pid, nowMs }, rule, {})
    ) as unknown as Explained;
    show(at, explanationView(process.pid, explained), {
      name: explained.decision,
      lines: explainedLines(tree, process.pid, explained),
    });
    const refused = explained.decision === "deny" || explained.decision === "none";
    return refused ? EXIT.denied : EXIT.ok;
  },
};

function explainedLines(tree: Tree, pid: string, explained: Explained): string[] {
  const { decision, right, resource, cap, chain, rule, line } = explained;
  const word = decision === "none" ? "DENY" : decision.toUpperCase();
  const from = cap === undefined ? "no capability covers it" : `by ${cap}`;
  const ruled = rule === undefined ? "" : `  rule "${rule}" at line ${line}`;
  return [
    `${word}  ${right}(${resource}) for ${pid}  ${from}${ruled}`,
    ...(chain.length === 0 ? [] : [`  chain      ${chainText(tree, chain)}`]),
    ...consideredLines(explained.considered),
    ...(decision === "none" ? [`  to allow   ${wayTo(pid, explained)}`] : []),
  ];
}

/** A chain from the capability used to its root. */
export function chainText(
  tree: Tree,
  chain: readonly { readonly id: CapId; readonly via: string; readonly by: string }[],
): string {
  return chain.map(({ id, via, by }) => {
    const cap = tree.cap(id);
    const rule = cap === undefined ? "" : ` ${cap.right}(${cap.resource})`;
    return `${id}${rule} (${via} by ${by})`;
  }).join(" ⊂ ");
}

/** What was looked at, one a line. */
export function consideredLines(considered: readonly Considered[]): string[] {
  return aligned(considered.map(({ id, matched, why }, i) => [
    i === 0 ? "  considered" : "            ",
    id,
    matched ? "MATCH" : "-",
    why,
  ]));
}
