/**
 * Who may do what, as a server tells it: `caps grant | revoke | tree` and `can`.
 * @module
 */

import type { CapabilityView, ExplanationView } from "../server/schema/authority.ts";
import type { Client } from "../server/client.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { aligned, show } from "./output.ts";
import { wayTo } from "./process_text.ts";
import { systemOf } from "./system.ts";
import { onlyOne } from "./system_there.ts";
import { countOf, durationOf, patternOf } from "./words.ts";

/** `caps grant | revoke | tree`. */
export async function capsThere(at: Context, client: Client): Promise<number> {
  const [verb, word, rule] = at.words as [string, string, string?];
  if (verb === "grant" && rule !== undefined) return await grant(at, client, rule);
  if (verb === "revoke" && rule === undefined) return await revoke(at, client, word);
  if (verb === "tree" && rule === undefined) return await printTree(at, client, word);
  throw new UsageError(`Cannot run "caps ${verb}": expected ls, grant, revoke or tree`);
}

async function grant(at: Context, client: Client, word: string): Promise<number> {
  const { right, resource } = patternOf(word);
  const uses = countOf(at.flags.text("uses"), "--uses");
  const forMs = durationOf(at.flags.text("for"));
  const { pid } = await systemOf(at).process(at.words[1]!);
  const cap = await client.grant(pid, {
    rule: `${right}(${resource})`,
    ...(uses === undefined ? {} : { uses }),
    ...(forMs === undefined ? {} : { forMs }),
  });
  show(at, cap, {
    name: cap.id,
    lines: [`granted ${cap.id} allow ${cap.right}(${cap.resource}) to ${pid} by ${cap.by}`],
  });
  return EXIT.ok;
}

async function revoke(at: Context, client: Client, word: string): Promise<number> {
  const all = await capabilities(client);
  const id = await onlyOne("capability", word, () => Promise.resolve(all.map(({ id }) => id)));
  const gone = all.filter((cap) => lineOf(all, cap).some((above) => above.id === id));
  await client.revoke(id, at.flags.text("message") ?? "");
  const ids = gone.map((cap) => cap.id);
  show(at, { revoked: ids }, { name: id, lines: [`revoked ${ids.join(", ")}`] });
  return EXIT.ok;
}

async function capabilities(client: Client, tree?: string): Promise<CapabilityView[]> {
  return await Array.fromAsync(client.all<CapabilityView>("/v1/capabilities", { tree }));
}

/** A capability and those it was derived from, itself first. */
function lineOf(all: readonly CapabilityView[], cap: CapabilityView): CapabilityView[] {
  const parent = all.find(({ id }) => id === cap.parent);
  return parent === undefined ? [cap] : [cap, ...lineOf(all, parent)];
}

async function printTree(at: Context, client: Client, word: string): Promise<number> {
  const system = systemOf(at);
  const { pid, tree } = await system.process(word);
  const all = await capabilities(client, tree);
  const held = await system.held(pid);
  const roots = new Set(held.map((cap) => lineOf(all, cap).at(-1)!.id));
  const lines: string[] = [];
  const add = (cap: CapabilityView, indent: string, branch: string): void => {
    const { id, right, resource, subject, via, by } = cap;
    lines.push(`${branch}${id} ${right}(${resource}) to ${subject}  ${via} by ${by}`);
    const below = all.filter(({ parent }) => parent === id);
    below.forEach((child, i) => {
      const isLast = i === below.length - 1;
      add(child, indent + (isLast ? "  " : "│ "), indent + (isLast ? "└─" : "├─"));
    });
  };
  for (const root of all.filter(({ id }) => roots.has(id))) add(root, "", "");
  show(at, all.filter((cap) => roots.has(lineOf(all, cap).at(-1)!.id)), { name: pid, lines });
  return EXIT.ok;
}

/** `can`. */
export async function canThere(at: Context, client: Client): Promise<number> {
  const [word, right, resource] = at.words;
  const pattern = patternOf(resource === undefined ? right! : `${right}(${resource})`);
  const { pid } = await systemOf(at).process(word!);
  const found = await client.explain(pid, `${pattern.right}(${pattern.resource})`);
  show(at, found, { name: found.decision, lines: explainedLines(found as ExplanationView) });
  const refused = found.decision === "deny" || found.decision === "none";
  return refused ? EXIT.denied : EXIT.ok;
}

function explainedLines(explained: ExplanationView): string[] {
  const { pid, decision, right, resource, cap, chain, rule, considered } = explained;
  const word = decision === "none" ? "DENY" : decision.toUpperCase();
  const from = cap === null ? "no capability covers it" : `by ${cap}`;
  const via = chain.map(({ id, via, by }) => `${id} (${via} by ${by})`).join(" ⊂ ");
  return [
    `${word}  ${right}(${resource}) for ${pid}  ${from}${rule === null ? "" : `  rule "${rule}"`}`,
    ...(chain.length === 0 ? [] : [`  chain      ${via}`]),
    ...aligned(considered.map(({ id, matched, why }, i) => [
      i === 0 ? "  considered" : "            ",
      id,
      matched ? "MATCH" : "-",
      why,
    ])),
    ...(decision === "none" ? [`  to allow   ${wayTo(pid, explained)}`] : []),
  ];
}
