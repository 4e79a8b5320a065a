/**
 * `audit ls`: what was decided, by whom, and how it ended.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { answerText, callText, lineText } from "../runtime/line_text.ts";
import { wholeLines } from "./lines.ts";
import { list } from "./output.ts";
import { progressing } from "./progress.ts";
import { findTree, headsOf } from "./store.ts";
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

/** Lists decisions of a tree, or of all. */
export async function listDecisions(at: Context, word: string): Promise<number> {
  const decision = at.flags.text("decision");
  if (decision !== undefined && !["allow", "ask", "deny"].includes(decision)) {
    throw new UsageError(`Cannot list "${decision}" decisions: expected allow, ask or deny`);
  }
  const pid = at.flags.text("pid");
  const entries: Entry[] = [];
  await progressing(at, "Reading", async () => {
    const named = word === "" ? pid : word;
    for await (const line of wholeLines(at, named)) complete(entries, line);
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
}

/** The tree a word names, or all trees for none. */
export async function treesFor(store: Store, word: string | undefined): Promise<TreeId[]> {
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

function entryOf(line: Line): Omit<Entry, "tree" | "seq" | "atMs"> | undefined {
  const { type, data } = line;
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
    case "retention.set":
    case "payloads.redacted":
    case "content.erased":
    case "values.collected": {
      const { by } = data as { readonly by: string };
      const { word, text } = lineText(line);
      return { actor: by, what: `${word} ${text}`, decision: "allow", by: "-", outcome: "ok" };
    }
    default:
      return undefined;
  }
}

function outcomeText(result: CallResult): string {
  return result.ok ? "ok" : result.code;
}
