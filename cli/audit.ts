/**
 * Evidence: `audit` lists what was decided, `verify` checks that nobody changed it.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import { readLines, type Verified, verifyTree } from "../runtime/load.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { answerText, callText } from "./line_text.ts";
import { list } from "./output.ts";
import { findTree, headsOf, reading, TREE_CONTEXT } from "./store.ts";
import { dateOf, short } from "./words.ts";

/** A decision, as the audit shows it. */
interface Entry {
  readonly tree: TreeId;
  readonly seq: number;
  readonly atMs: number;
  readonly actor: string;
  readonly what: string;
  readonly decision: string;
  readonly by: string;
  readonly outcome: string;
}

/** `audit`. */
export const audit: Command = {
  name: "audit",
  group: "evidence",
  usage: "[ls | verify] [TREE] [--pid P] [--decision allow|ask|deny]",
  about: "List every decision and who made it, or verify the chain",
  examples: ["libos audit --decision deny", "libos audit ls t_1 --pid p_1.2 -o jsonl"],
  options: { pid: { type: "string" }, decision: { type: "string" } },
  words: [0, 2],
  async run(at) {
    const [verb = "ls", word] = at.words;
    if (verb === "verify") return await verifyAll(at, word);
    if (verb !== "ls") throw new UsageError(`Cannot run "audit ${verb}": expected ${audit.usage}`);
    const decision = at.flags.text("decision");
    if (decision !== undefined && !["allow", "ask", "deny"].includes(decision)) {
      throw new UsageError(`Cannot list "${decision}" decisions: expected allow, ask or deny`);
    }
    const pid = at.flags.text("pid");
    const entries = await reading(at, async (store) => {
      const found: Entry[] = [];
      for (const tree of await treesFor(store, word ?? pid)) {
        for await (const line of readLines(store, tree)) complete(found, line);
      }
      return found;
    });
    const wanted = entries.filter((entry) =>
      (decision === undefined || entry.decision === decision) &&
      (pid === undefined || entry.actor === pid)
    );
    list(at, wanted, {
      columns: [
        { head: "LINE", of: ({ tree, seq }) => `${tree}#${seq}` },
        { head: "AT", of: ({ atMs }) => dateOf(atMs) },
        { head: "ACTOR", of: ({ actor }) => actor },
        { head: "WHAT", of: ({ what }) => short(what, 80) },
        { head: "DECISION", of: ({ decision }) => decision === "deny" ? "DENY" : decision },
        { head: "BY", of: ({ by }) => by },
        { head: "OUTCOME", of: ({ outcome }) => outcome },
      ],
      name: ({ tree, seq }) => `${tree}#${seq}`,
      none: "Nothing was decided",
    });
    return EXIT.ok;
  },
};

async function treesFor(store: Store, word: string | undefined): Promise<TreeId[]> {
  if (word !== undefined) return [await findTree(store, word)];
  return (await headsOf(store, true)).map(({ tree }) => tree);
}

/** Adds a line's entry, or fills in the outcome of an earlier one. */
function complete(entries: Entry[], line: Line): void {
  const { type, data, tree, seq, atMs } = line;
  if (type === "call.outcome") {
    const { pid, step, key, result } = data as EventMap["call.outcome"];
    const place = `${pid}#${step}.${key}`;
    const at = entries.findLastIndex((one) => one.outcome === `pending ${place}`);
    if (at >= 0) entries[at] = { ...entries[at]!, outcome: outcomeText(result) };
    return;
  }
  const entry = entryOf(line);
  if (entry !== undefined) entries.push({ tree, seq, atMs, ...entry });
}

function entryOf({ type, data }: Line): Omit<Entry, "tree" | "seq" | "atMs"> | undefined {
  switch (type) {
    case "call.done":
    case "call.intent": {
      const head = data as CallHead & { readonly result?: CallResult };
      const { pid, step, key, decision, result } = head;
      return {
        actor: pid,
        what: callText(head),
        decision: decision.effect,
        by: [...decision.by.flatMap(([cap]) => cap ?? []), decision.rule ?? []].flat().join(" ") ||
          "-",
        outcome: result === undefined ? `pending ${pid}#${step}.${key}` : outcomeText(result),
      };
    }
    case "human.asked": {
      const { pid, id, prompt, call } = data as EventMap["human.asked"];
      const what = call === null ? prompt : `${call.name} ${call.resource}`;
      return { actor: pid, what, decision: "ask", by: id, outcome: "asked" };
    }
    case "human.answered": {
      const { id, answer, by } = data as EventMap["human.answered"];
      const decision = answer.outcome === "deny" ? "deny" : "allow";
      return { actor: by, what: `${id} ${answerText(answer)}`, decision, by: id, outcome: "ok" };
    }
    case "cap.granted": {
      const { id, subject, right, resource, via, by } = data as EventMap["cap.granted"];
      const what = `grants ${right}(${resource}) to ${subject}`;
      return { actor: by, what, decision: "allow", by: `${id} ${via}`, outcome: "ok" };
    }
    case "cap.revoked": {
      const { ids, by } = data as EventMap["cap.revoked"];
      return { actor: by, what: `revokes ${ids.join(", ")}`, decision: "deny", by, outcome: "ok" };
    }
    case "inbox.refused": {
      const { message, code } = data as EventMap["inbox.refused"];
      return { actor: "inbox", what: message, decision: "deny", by: "-", outcome: code };
    }
    default:
      return undefined;
  }
}

function outcomeText(result: CallResult): string {
  return result.ok ? "ok" : result.code;
}

/** `verify`. */
export const verify: Command = {
  name: "verify",
  group: "evidence",
  usage: "[TREE]",
  about: "Check that no line of any log was changed, and that state is what the log says",
  examples: ["libos verify", "libos verify t_1 -o json"],
  options: {},
  words: [0, 1],
  run: (at) => verifyAll(at, at.words[0]),
};

/** What was found of a tree, with the place of the first damage. */
interface Finding extends Verified {
  readonly ok: boolean;
  readonly line: number | null;
}

async function verifyAll(at: Context, word: string | undefined): Promise<number> {
  const { found, damage } = await reading(at, async (store) => {
    const found: Finding[] = [];
    for (const tree of await treesFor(store, word)) found.push(await verified(store, tree));
    return { found, damage: word === undefined ? await store.check() : [] };
  });
  list(at, found, {
    columns: [
      { head: "TREE", of: ({ tree }) => tree },
      { head: "LINES", of: ({ lines }) => String(lines) },
      {
        head: "HEAD",
        of: ({ head }) => `sha256:${at.format === "wide" ? head : head.slice(0, 16)}`,
      },
      { head: "CHAIN", of: ({ broken }) => broken === null ? "OK" : `BROKEN: ${broken}` },
    ],
    name: ({ tree }) => tree,
    none: "No trees yet",
  });
  for (const sentence of damage) at.io.err(`damage: ${sentence}\n`);
  return damage.length > 0 || found.some(({ ok }) => !ok) ? EXIT.integrity : EXIT.ok;
}

async function verified(store: Store, tree: TreeId): Promise<Finding> {
  const found = await verifyTree(store, tree, TREE_CONTEXT);
  const line = /line (\d+)/.exec(found.broken ?? "")?.[1];
  return { ...found, ok: found.broken === null, line: line === undefined ? null : Number(line) };
}
