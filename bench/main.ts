/**
 * The bench: every number that the design asks of the kernel, and what this machine gives.
 *
 * `deno task bench` takes some six minutes, and up to twice that on a busy machine; `--long` parks
 * 100,000 trees, settles after 1,000,000 effects and replays 200,000 calls as well; names of
 * sections run only those, and then nothing is written.
 * @module
 */

import { parseJson } from "../kernel/parse.ts";
import { audit } from "./audit.ts";
import { authority } from "./authority.ts";
import { cage } from "./cage.ts";
import { context } from "./context.ts";
import { door } from "./door.ts";
import { durable } from "./durable.ts";
import { forking } from "./forking.ts";
import { growth } from "./growth.ts";
import type { Extent, Section } from "./measure.ts";
import { parked } from "./parked.ts";
import { positions } from "./positions.ts";
import { recovery } from "./recovery.ts";
import { asText, page } from "./report.ts";
import { restart } from "./restart.ts";

const SECTIONS: Readonly<Record<string, (extent: Extent) => Promise<Section>>> = {
  door,
  authority,
  durable,
  restart,
  forking,
  growth,
  positions,
  recovery,
  parked,
  audit,
  cage,
  context,
};

/**
 * Sections with a process of their own, as a kernel has: what those before them left in memory, and
 * taught the engine, is not theirs. Cages stay here: another process would share their pages.
 */
const APART: readonly string[] = ["durable"];
const ONE = "--one=";

/** A section that is measured by another process. */
async function apart(name: string, { long, folder }: Extent): Promise<Section> {
  const args = [`${ONE}${name}`, `--folder=${folder}`, ...(long ? ["--long"] : [])];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, ...args],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Section "${name}" was not measured`);
  return parseJson(new TextDecoder().decode(stdout)) as Section;
}

/** What stands behind an option that begins so. */
function optionOf(head: string): string | undefined {
  return Deno.args.find((arg) => arg.startsWith(head))?.slice(head.length);
}

const RESULTS = new URL("./RESULTS.md", import.meta.url);

const one = optionOf(ONE);
if (import.meta.main && one !== undefined) {
  const extent = { long: Deno.args.includes("--long"), folder: optionOf("--folder=")! };
  console.log(JSON.stringify(await SECTIONS[one]!(extent)));
} else if (import.meta.main) {
  const chosen = Deno.args.filter((arg) => !arg.startsWith("--"));
  const long = Deno.args.includes("--long");
  const taken = optionOf("--date=") ?? new Date().toISOString().slice(0, 10);
  const folder = await Deno.makeTempDir({ prefix: "bench-", dir: import.meta.dirname! });
  const load = Deno.loadavg()[0]!.toFixed(1);
  const start = performance.now();
  const sections: Section[] = [];
  try {
    for (const [name, measure] of Object.entries(SECTIONS)) {
      if (chosen.length > 0 && !chosen.includes(name)) continue;
      const before = performance.now();
      const extent = { long, folder };
      const section = APART.includes(name) ? await apart(name, extent) : await measure(extent);
      sections.push(section);
      console.log(asText(section));
      console.log(`  (${name}: ${Math.round((performance.now() - before) / 1_000)} s)`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const took = `${Math.round((performance.now() - start) / 1_000)} s`;
  const missed = sections.flatMap(({ rows }) => rows.filter(({ met }) => met === false));
  console.log(`\n${took}; missed: ${missed.map(({ what }) => what).join("; ") || "nothing"}`);
  if (chosen.length === 0) await Deno.writeTextFile(RESULTS, page(sections, { taken, took, load }));
}
