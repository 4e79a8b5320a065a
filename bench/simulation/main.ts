/**
 * A thousand nodes and ten million agents, simulated from what `queries.ts` measured: what comes
 * first to its limit, and what moves it. Writes the figures into docs/scale.md.
 *
 *     deno task bench:simulation
 *
 * @module
 */

import type { JsonObject } from "../../kernel/json.ts";
import { parseJson } from "../../kernel/parse.ts";
import { type Costs, type Given, type Result, simulate } from "./model.ts";
import type { Measured } from "./queries.ts";

const HERE = new URL(".", import.meta.url);
const PAGE = new URL("../../docs/scale.md", HERE);
const [BEGIN, END] = ["<!-- figures -->", "<!-- end of figures -->"];

/** What was measured last. */
export function measured(): Measured {
  const text = Deno.readTextFileSync(new URL("measured.json", HERE));
  return parseJson(text) as JsonObject as unknown as Measured;
}

/** What parts cost, by what was measured; cores, upkeep and the way there are assumed. */
export function costsOf(of: Measured): Costs {
  const treeMs = (of.commit64Ms - of.commitMs) / 63;
  return {
    commitMs: of.commitMs - treeMs,
    treeMs,
    takeMs: of.takeMs / 64,
    notifyMs: of.notifyMs,
    cores: 16,
    upkeep: 0.2,
    tripMs: 0.5,
  };
}

/** Ten million agents that wake twice an hour for three steps each. */
export function usual(costs: Costs): Given {
  return {
    ...{ seed: 1, agents: 10_000_000, nodes: 1_000, shards: 1, wakesPerHour: 2, stepsPerWake: 3 },
    ...{ hotShare: 0, forMs: 20_000, warmMs: 5_000, costs },
  };
}

interface Scene {
  readonly name: string;
  readonly change: Partial<Given>;
}

/** What is looked at. */
function scenes(costs: Costs): readonly Scene[] {
  const cheap = { ...costs, takeMs: costs.takeMs / 8 };
  return [
    { name: "100,000 agents, one database", change: { agents: 100_000 } },
    { name: "1,000,000 agents, one database", change: { agents: 1_000_000 } },
    { name: "10,000,000 agents, one database", change: {} },
    { name: "… 2 databases", change: { shards: 2 } },
    { name: "… 4 databases", change: { shards: 4 } },
    { name: "… 8 databases", change: { shards: 8 } },
    { name: "… 16 databases", change: { shards: 16 } },
    {
      name: "… 8 databases, half of all wakes of one agent in a thousand",
      change: { shards: 8, hotShare: 0.5 },
    },
    {
      name: "… 8 databases, all waking four times as often",
      change: { shards: 8, wakesPerHour: 8 },
    },
    { name: "… one database, taking at an eighth of its cost", change: { costs: cheap } },
    { name: "… one database, all waking four times as often", change: { wakesPerHour: 8 } },
  ];
}

const count = (n: number): string => Math.round(n).toLocaleString("en-US");
const part = (share: number): string => `${Math.round(share * 100)} %`;
const ms = (n: number): string => n < 1_000 ? `${n.toFixed(1)} ms` : `${(n / 1_000).toFixed(1)} s`;

function row(name: string, { steps, group, wakeMs, busy, isOver }: Result): string {
  const wakes = isOver ? "grows" : `${ms(wakeMs.p50)}, ${ms(wakeMs.p99)}`;
  const share = `${part(busy.mean)}, ${part(busy.most)}`;
  return `| ${name} | ${count(steps)} | ${group.toFixed(1)} | ${wakes} | ${share} | ${
    isOver ? "no" : "yes"
  } |`;
}

/** The figures of the page. */
export function figures(of: Measured): string {
  const costs = costsOf(of);
  const sizes = Object.keys(of.asked);
  const kinds = Object.keys(of.asked[sizes[0]!]!);
  const perDay = 10_000_000 * 2 * 24 * 3;
  const gib = (bytes: number): string => `${count(bytes / 2 ** 30)} GiB`;
  return [
    `Measured (${of.at}; pages that a statement touches, and milliseconds at best of 60):`,
    "",
    `| statement | ${sizes.map((size) => `${count(Number(size))} trees`).join(" | ")} |`,
    `| --- | ${sizes.map(() => "---").join(" | ")} |`,
    ...kinds.map((kind) =>
      `| ${kind} | ${
        sizes.map((size) => {
          const { pages, least } = of.asked[size]![kind]!;
          return `${count(pages)}, ${least.toFixed(2)} ms`;
        }).join(" | ")
      } |`
    ),
    "",
    "| what | bytes | of ten million agents |",
    "| --- | --- | --- |",
    `| a waiting tree, with its share of indexes | ${count(of.treeBytes)} | ${
      gib(of.treeBytes * 1e7)
    } |`,
    `| a step (two lines of 1 KB) in tables | ${count(of.stepBytes)} | ${
      gib(of.stepBytes * perDay)
    } a day |`,
    `| a step in the write-ahead log | ${count(of.stepWalBytes)} | ${
      gib(of.stepWalBytes * perDay)
    } a day |`,
    "",
    `Simulated (1,000 nodes; two wakes an hour, three steps each; ${costs.cores} cores a database,` +
    ` ${part(costs.upkeep)} of them for its upkeep, ${costs.tripMs} ms there and back; seed 1):`,
    "",
    "| what | steps/s | trees a commit | wake-up: median, p99 | databases busy: mean, most | held |",
    "| --- | --- | --- | --- | --- | --- |",
    ...scenes(costs).map(({ name, change }) => row(name, simulate({ ...usual(costs), ...change }))),
  ].join("\n");
}

if (import.meta.main) {
  const start = performance.now();
  const text = figures(measured());
  const page = await Deno.readTextFile(PAGE);
  const [before, after] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  await Deno.writeTextFile(PAGE, `${page.slice(0, before)}\n\n${text}\n\n${page.slice(after)}`);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", PAGE.pathname] }).output();
  console.log(text);
  console.log(`\nin ${((performance.now() - start) / 1_000).toFixed(1)} s`);
}
