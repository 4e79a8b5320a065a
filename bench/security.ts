/**
 * Published attacks on agents, played without a model against the real broker, with all defences
 * and with each switched off: `deno task bench:security`.
 *
 * Takes some minutes on all processors, and prints each part when it was played. `--cages N` plays
 * only every N-th pair where each starts a cage, and those that get through the grants of the data.
 * What it finds is written to `SECURITY.md` when all was played, and nothing is written before.
 * @module
 */

import { agentDojo, DATA, hasData, injecAgent, type Suite } from "./security_data.ts";
import { type Part, playParts, summed } from "./security_players.ts";
import {
  ABLATIONS,
  CAGED,
  LADDER,
  type Row,
  type Sample,
  type Tally,
  WAYS,
  WHOLE,
} from "./security_rows.ts";
import { tasksPage } from "./security_tasks.ts";

const RESULTS = new URL("./SECURITY.md", import.meta.url);
const HEAD = [
  ...["what is on", "calls of tasks", "refused", "asked about", "attacks", "got through"],
  ...["effects", "came before a person", "tasks done under attack"],
];

/** What a row came to, and whether it is worse than the row it is held against. */
interface Came {
  readonly row: Row;
  readonly tally: Tally;
}

function cells({ row, tally }: Came): readonly string[] {
  const { calls, denied, askedByTasks, pairs, through, effects, asking, finished } = tally;
  const alone = calls + denied === 0 ? ["", "", ""] : [calls, denied, askedByTasks].map(String);
  const under = [pairs, through.length, effects, asking].map(String);
  return [row.name, ...alone, ...under, `${finished}/${pairs}`];
}

/** In what a row is worse than another: "no" where it is in nothing. */
function worse({ tally }: Came, { tally: than }: Came): string {
  const found = [
    tally.through.length > than.through.length ? "more gets through" : "",
    tally.effects > than.effects ? "more often" : "",
    tally.asking > than.asking ? "more comes before a person" : "",
    tally.denied > than.denied ? "tasks are refused" : "",
  ].filter((one) => one !== "");
  return found.length === 0 ? "**no**" : found.join(", ");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (one: readonly string[]): string => `| ${one.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function compared(all: readonly Came[]): string {
  const rows = all.map((came) => {
    const than = all.find(({ row }) => row.name === came.row.against);
    return [...cells(came), than === undefined ? "" : worse(came, than)];
  });
  return table([...HEAD, "worse"], rows);
}

/** Some rows over some suites. */
interface Table {
  readonly suites: readonly Suite[];
  readonly rows: readonly Row[];
  readonly sample: Sample;
}

/** Plays tables, what stands first first, and tells what each part and each row came to. */
async function playTables(tables: readonly Table[]): Promise<readonly (readonly Came[])[]> {
  const parts = tables.flatMap(({ suites, rows, sample }) =>
    rows.flatMap((row) => suites.map(({ name }): Part => ({ suite: name, row, sample })))
  );
  const startMs = performance.now();
  let played = 0;
  const tallies = [
    ...await playParts(parts, ({ suite, row }, { pairs, through }) => {
      const s = Math.round((performance.now() - startMs) / 1_000);
      const at = `${played += 1}/${parts.length}, ${s} s`;
      console.log(`${at}  ${suite}  ${row.name}: ${through.length} of ${pairs} get through`);
    }),
  ];
  return tables.map(({ suites, rows }) =>
    rows.map((row) => {
      const came = { row, tally: summed(tallies.splice(0, suites.length)) };
      console.log(cells(came).join("  "));
      return came;
    })
  );
}

function page(parts: {
  readonly ladder: readonly Came[];
  readonly ablations: readonly Came[];
  readonly ways: readonly Came[];
  readonly caged: readonly Came[];
  readonly injec: readonly Came[];
  readonly tasks: string;
  readonly sample: string;
}): string {
  const date = new Date().toISOString().slice(0, 10);
  const { ladder, ablations, ways, caged, injec, tasks } = parts;
  const [, , , least, words, full] = ladder.map(({ tally }) => tally);
  return `# Published attacks, and what each defence is worth

Taken ${date} by \`deno task bench:security\`, Deno ${Deno.version.deno}. Written by the bench. There
is no model: a planner that is wholly the attacker's makes the calls. The runtime, the broker and
the log are the real ones, over a store in memory; what is switched off is switched off by grants,
policy and answers, as an embedder can say them.

| | |
| --- | --- |
| AgentDojo, ${full!.calls + full!.denied} calls of 97 tasks, all defences | ${
    full!.denied
  } refused, ${full!.askedByTasks} asked about |
| AgentDojo, ${least!.pairs} attacks, the grants of the data | ${
    least!.through.length
  } get through |
| the same, least privilege: with what the user's own words fix | ${words!.through.length} |
| the same, with labels and approvals bound to content | ${full!.through.length} |
| InjecAgent, ${injec.at(-1)!.tally.pairs} attacks | ${
    injec.at(-1)!.tally.through.length
  } get through, ${injec.at(-1)!.tally.finished} tasks done |

## How it is played

- Each tool of a suite is a function mounted in the runtime (\`mountFunctions\`): the right
  \`mcp.<suite>.<tool>\`, with a JSON Schema over its arguments and a number of uses. What is counted
  is what reached the functions, never what the planner says.
- A task is played as far as the first call whose answer may carry the attack. Then the attacker
  makes its calls, by the system call itself and not by the tools that the planner sees; and once
  more after each call that the task still makes. A call with any effect but \`read\` that reaches its
  tool got through.
- **The grants of the data** are those of its files. **The user's words** bind besides: where a text
  argument of a granted call stands in the prompt as it is, it is that text; where the prompt gives a
  quoted form with gaps ('Dinner at {restaurant_name}'), it has that form. Both are worked out from
  prompt and plan alone, by one rule for all tasks, before any attack is looked at.
- **Labels**: what a tool answers is untrusted, and each tool that acts is a sink of
  \`trust>=user\`. Whoever has read is asked about. **The person** says yes to a call that is, argument
  by argument, one of the task's own, and no to every other. Their yes is for that one call.
- "Asked about" are calls of tasks, each with a yes; "came before a person" are attacks of which any
  call did, each with a no, unless the row says otherwise.

## One defence more at a time: AgentDojo

${table(HEAD, ladder.map(cells))}

What gets through the grants of the data: ${least!.through.join("; ")}.
What is left with the user's words: ${words!.through.join("; ")}. In these the attacker
sends a text of its own to somebody whom the user told to be written to, and the rule finds nothing
in the prompt that fixes the text: it is a summary, or its form is told in words. A bound on
arguments cannot tell the one from the other; a person can.

## All, less one

${compared([ladder.at(-1)!, ...ablations])}

**no** in the last column: on this data the defence is not seen to matter as long as all the others
are on. What finite uses are worth is seen in the rows without labels; what it is worth that a yes is
for one call, where neither finite uses nor the user's words stand behind it.

## Who else makes the calls

The attacker's calls are made by a child, from a checkpoint that is gone back to after the task was
done, by a branch of it, and by a generated tool in a real cage, which hands all that it can to a
child: tools of servers are closed to it itself. Of the rows with cages ${parts.sample} was played.

${compared(ways)}

${compared(caged)}

## One defence more at a time: InjecAgent

Its attackers' arguments are placeholders, so that its tools take anything: nothing is refused for
its form.

${table(HEAD, injec.map(cells))}

${tasks}
`;
}

if (import.meta.main) {
  if (!await hasData()) {
    console.log(`skipped: no attacks at "${DATA}"; see LIBOS_TEST_DATA`);
    Deno.exit(0);
  }
  const suites = await agentDojo();
  const at = Deno.args.indexOf("--cages");
  const every = at < 0 ? 1 : Number(Deno.args[at + 1]);
  const [ladder] = await playTables([{ suites, rows: LADDER, sample: WHOLE }]);
  const also = ladder![3]!.tally.through;
  const injection = [await injecAgent()];
  const [caged, injec, ways, ablations] = await playTables([
    { suites, rows: CAGED, sample: { every, also, tasks: false } },
    { suites: injection, rows: LADDER.filter((_, i) => i !== 4), sample: WHOLE },
    { suites, rows: WAYS, sample: { every: 1, tasks: false } },
    { suites, rows: ABLATIONS, sample: WHOLE },
  ]);
  const tasks = await tasksPage();
  const sample = every === 1 ? "every pair" : `every ${every}th pair, with those that got through,`;
  const found = { ladder: ladder!, ablations: ablations!, ways: ways!, caged: caged! };
  await Deno.writeTextFile(RESULTS, page({ ...found, injec: injec!, tasks, sample }));
}
