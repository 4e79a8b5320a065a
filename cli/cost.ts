/**
 * `cost`: what models were paid for, by process, tree, model or day, as the logs have it.
 * @module
 */

import type { CallHead, EventMap, Line } from "../kernel/event.ts";
import type { Spending } from "../kernel/spending.ts";
import { realClock } from "../providers/clock.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { wholeLines } from "./lines.ts";
import { list } from "./output.ts";
import { amountText } from "./process_text.ts";
import { progressing } from "./progress.ts";
import { durationOf } from "./words.ts";

const KINDS = ["process", "tree", "model", "day"] as const;
type Kind = typeof KINDS[number];

/** What one of them cost. */
interface Row {
  readonly by: Kind;
  readonly key: string;
  readonly modelCalls: number;
  readonly tokens: number;
  readonly usd: number;
}

/** `cost`. */
export const cost: Command = {
  name: "cost",
  group: "evidence",
  usage: `[TREE|PID] [--by ${KINDS.join("|")}] [--since 24h]`,
  about: "Tell what models cost, by process, tree, model or day (UTC); the dearest first",
  examples: ["libos cost --by model", "libos cost p_1 --since 24h -o json"],
  options: { by: { type: "string" }, since: { type: "string" } },
  words: [0, 1],
  remote: "same",
  async run(at) {
    const by = kindOf(at.flags.text("by") ?? "process");
    const forMs = durationOf(at.flags.text("since"));
    const fromMs = forMs === undefined ? 0 : realClock.now() - forMs;
    const rows = await progressing(at, "Counting", () => costs(at, by, fromMs));
    list(at, rows, {
      columns: [
        { head: by.toUpperCase(), of: ({ key }) => key },
        { head: "CALLS", of: ({ modelCalls }) => String(modelCalls) },
        { head: "TOKENS", of: ({ tokens }) => amountText(tokens) },
        { head: "COST", of: ({ usd }) => `$${usd.toFixed(3)}` },
      ],
      name: ({ key }) => key,
      none: "Nothing was spent",
    });
    return EXIT.ok;
  },
};

function kindOf(word: string): Kind {
  const kind = KINDS.find((one) => one === word);
  if (kind !== undefined) return kind;
  throw new UsageError(`Cannot count by "${word}": unknown, expected ${KINDS.join(", ")}`);
}

async function costs(at: Context, by: Kind, fromMs: number): Promise<Row[]> {
  const rows = new Map<string, Row>();
  const models = new Map<string, string>();
  for await (const line of wholeLines(at, at.words[0])) {
    if (line.type !== "call.done" && line.type !== "call.intent" && line.type !== "call.outcome") {
      continue;
    }
    const { pid, step, key } = line.data as EventMap["call.outcome"];
    const place = `${pid}#${step}.${key}`;
    if (line.type !== "call.outcome") {
      const { decision, name } = line.data as CallHead;
      if (name === "model.generate") models.set(place, decision.needs[0]?.resource ?? "?");
    }
    const { spent } = line.data as { readonly spent?: Spending };
    const model = models.get(place);
    if (spent === undefined || model === undefined || line.atMs < fromMs) continue;
    const of = { process: pid, tree: line.tree, model, day: dayOf(line) }[by];
    const { modelCalls = 0, tokens = 0, usd = 0 } = spent;
    const so = rows.get(of) ?? { by, key: of, modelCalls: 0, tokens: 0, usd: 0 };
    rows.set(of, {
      ...so,
      modelCalls: so.modelCalls + modelCalls,
      tokens: so.tokens + tokens,
      usd: so.usd + usd,
    });
  }
  return [...rows.values()].sort((a, b) =>
    by === "day" ? (a.key < b.key ? -1 : 1) : b.usd - a.usd || b.tokens - a.tokens
  );
}

function dayOf({ atMs }: Line): string {
  return new Date(atMs).toISOString().slice(0, 10);
}
