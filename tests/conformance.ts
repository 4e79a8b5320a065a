/**
 * Runs scenarios of `@modelcontextprotocol/conformance`, the protocol's own suite, one after another.
 *
 * A check that fails fails the run, unless it stands in a list with its reason; and what stands
 * there and passes fails the run as well, so that the list stays true.
 * @module
 */

import { stripVTControlCharacters } from "node:util";

/** Its release candidate: releases know no protocol after 2025-11-25. */
const SUITE = "npm:@modelcontextprotocol/conformance@0.2.0-alpha.12";

/** A scenario, and which of its checks are not about us, with why. */
export interface Scenario {
  readonly name: string;
  /** The protocol it is run in. */
  readonly version: string;
  /** By check: why it cannot pass here. */
  readonly not?: Readonly<Record<string, string>>;
}

const CHECK = /^\S+Z \[(\S+) *\] (SUCCESS|FAILURE|WARNING|SKIPPED|INFO)/gm;

/** Runs scenarios, prints what became of each, and tells how many did not come out as said. */
export async function conformance(
  side: "client" | "server",
  argv: readonly string[],
  scenarios: readonly Scenario[],
): Promise<number> {
  const wanted = Deno.args.filter((one) => !one.startsWith("-"));
  let wrong = 0;
  for (const { name, version, not = {} } of scenarios) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", SUITE, side, ...argv],
        ...["--scenario", name, "--spec-version", version],
      ],
      stdin: "null",
    }).output();
    const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
    const checks = [...stripVTControlCharacters(text).matchAll(CHECK)]
      .map(([, id, state]) => ({ id: id!, state: state! }));
    const passed = checks.filter(({ state }) => state === "SUCCESS").length;
    const failed = checks.filter(({ state }) => state === "FAILURE").map(({ id }) => id);
    const odd = [
      ...failed.filter((id) => !Object.hasOwn(not, id)),
      ...Object.keys(not).filter((id) => !failed.includes(id)).map((id) => `${id} does not fail`),
      ...passed === 0 ? ["nothing was checked"] : [],
    ];
    const isGood = odd.length === 0;
    if (!isGood) wrong += 1;
    const less = Object.keys(not).length === 0 ? "" : `, ${Object.keys(not).length} not ours`;
    console.log(`${isGood ? "pass" : "FAIL"} ${version} ${name}: ${passed} checks${less}`);
    if (isGood && !Deno.args.includes("--verbose")) continue;
    console.log(`  ${odd.join("\n  ")}`);
    if (Deno.args.includes("--verbose")) console.log(text.slice(-20_000));
  }
  return wrong;
}
