/**
 * Plays parts of the security bench: reads one a line, and writes a line with what each came to.
 * @module
 */

import { parseJson } from "../kernel/parse.ts";
import { agentDojo, injecAgent } from "./security_data.ts";
import { linesOf, type Part } from "./security_players.ts";
import { play } from "./security_rows.ts";

if (import.meta.main) {
  const suites = new Map([...await agentDojo(), await injecAgent()].map((one) => [one.name, one]));
  for await (const line of linesOf(Deno.stdin.readable)) {
    const { suite, row, sample } = parseJson(line) as Part;
    const tally = await play([suites.get(suite)!], row, sample);
    await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(tally)}\n`));
  }
}
