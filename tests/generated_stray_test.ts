/**
 * Cages whose second run is not like the first: what they ask for less is told, not waited for.
 * @module
 */

import assert from "node:assert/strict";
import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../broker/port_surface.ts";
import type { Sandbox } from "../broker/sandbox.ts";
import { allow } from "../mod.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";
import { FakeWorkshop, install } from "./fake_sandbox.ts";
import { tool } from "./sandbox_fixture.ts";
import { imageOf, inWorld } from "./world_fixture.ts";

const GRANTS = [
  allow("tool.register", "**"),
  allow("file.*", "./**"),
  allow("human.ask", "**"),
];

/** A cage's code in the first run, and in those after it; both are answered by the same log. */
const READ = `os.file.read("x").catch(() => null)`;
const MADE = `os.object.create({ name: "n", value: 1 })`;
const LESS: readonly (readonly [what: string, first: string, then: string])[] = [
  // To read a file takes longer than to make an object: its answer comes second in the log.
  [
    "waits for an answer that came after it",
    `await Promise.all([${READ}, ${MADE}]); await os.human.ask("?")`,
    `await ${READ}; await os.human.ask("?")`,
  ],
  [
    "waits for nothing",
    `await ${MADE}; await os.human.ask("?")`,
    `await new Promise(() => {})`,
  ],
];

for (const [what, first, then] of LESS) {
  Deno.test(`A cage whose second run asks for less and ${what} is not waited for`, () => {
    const surface = { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS };
    const parts = { children: new RealChildren(), clock: realClock, random: realRandom };
    const sandbox = new ProcessSandbox({ ...parts, surface });
    let runs = 0;
    const swapped: Sandbox = {
      tier: "process",
      run: (run) => sandbox.run({ ...run, code: tool(runs++ === 0 ? first : then) }),
      close: () => sandbox.close(),
    };
    const { compiler, limits } = FakeWorkshop.of({ tool: () => null });
    return inWorld(async (world) => {
      const process = await world.start(
        imageOf(async ({ sys }) => {
          await install(sys, "tool", { rights: ["human.ask", "object.*", "file.*(./**)"] });
          return (await sys.tool.call({ name: "tool" })).output;
        }),
        { grants: GRANTS },
      );
      const [request] = world.os.approvals.list();
      await world.os.approvals.decide(request!.id, { outcome: "answer", value: "yes" });
      await world.os.runUntilIdle();
      const { outcome } = await world.ended(process);
      assert.equal((outcome as { readonly code: string }).code, "EREPLAY");
      assert.match(
        (outcome as { readonly message: string }).message,
        /was "object\.create" before and is not made now, expected the same calls$/,
      );
      assert.equal(runs, 2);
    }, { workshop: { sandbox: swapped, compiler, limits, review: "never" } });
  });
}
