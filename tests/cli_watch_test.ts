/**
 * Claims about requests on the command line: through a server, and as they come to a terminal.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { Validator } from "@cfworker/json-schema";
import { createRuntime } from "../mod.ts";
import { serve } from "../server/mod.ts";
import { Place } from "./cli_place.ts";
import { AtTerminal, terminalTest } from "./cli_terminal.ts";
import { served } from "./cli_served.ts";

Deno.test("Requests are listed, shown and answered through a server", async () => {
  await using at = await served();
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  const here = await at.place.json<Record<string, unknown>[]>("approvals");
  const there = JSON.parse((await libos("approvals", "-o", "json")).out);
  const asSeen = ({ mayDecide: _, ...rest }: Record<string, unknown>) => rest;
  equal(there.map(asSeen), here.map(asSeen));
  match((await libos("approvals", "show", "req_1")).out, /^What: +file\.write/m);
  const over = await libos("approve", "req_1.1", "--rule", "file.write(./**)");
  equal(over.exit, 4, over.err);
  equal((await libos("approve", "req_1.1", "--rule", "file.read(./**)")).exit, 2);
  const done = await libos("approve", "req_1");
  match(done.out, /^approved \(once\) req_1\.1 by bob@console\n/);
  equal((await libos("approve", "req_1.1")).exit !== 0, true);
  equal((await libos("wait", "p_1", "-o", "name")).exit, 0);
  equal(await at.place.read("out.md"), "Say hi");
});

Deno.test("What -o json prints is what the API's document says", async () => {
  await using at = await served();
  await using runtime = await createRuntime({ store: ":memory:", workspace: null });
  await using server = serve(runtime);
  const { components } = server.openapi() as { components: { schemas: object } };
  const shape = (name: string) =>
    new Validator({ $ref: `#/components/schemas/${name}`, components } as never, "2020-12");
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ["Process", ["ps", "-a"]],
    ["Request", ["approvals"]],
    ["Capability", ["caps", "ls", "p_1"]],
  ];
  for (const [name, argv] of rows) {
    const found = await at.place.json<unknown[]>(...argv);
    ok(found.length > 0, name);
    for (const one of found) {
      const { valid, errors } = shape(name).validate(one);
      equal([valid, errors], [true, []], name);
    }
  }
  const { out } = await at.place.libos("logs", "p_1", "-o", "jsonl");
  for (const line of out.trim().split("\n")) {
    equal(shape("Event").validate(JSON.parse(line)).valid, true, line);
  }
});

Deno.test("approvals watch wants a terminal, and says so", async () => {
  await using place = await Place.make();
  const { exit, err } = await place.libos("approvals", "watch");
  equal(exit, 2);
  match(err, /Cannot watch requests: no terminal/);
});

terminalTest(
  "A request comes to a terminal, is widened by two keys, and never by one",
  async () => {
    await using at = await served();
    const watch = new AtTerminal(at.place, "approvals", "watch", ...at.host);
    await watch.shows("permission req_1.1");
    await watch.shows("[p] this process, 15m");
    await watch.shows("? > ");
    await watch.type("p\n");
    await watch.shows("1) file.write(./out.md)");
    await watch.shows("which, or a pattern");
    await watch.type("\n");
    await watch.shows("for how long");
    await watch.type("5m\n");
    await watch.shows("would allow file.write(./out.md) to p_1 for 300 s");
    await watch.shows("would have matched");
    await watch.shows("[y] give it");
    equal((await at.place.json<unknown[]>("approvals")).length, 1, "nothing is given yet");
    await watch.type("y\n");
    await watch.shows("granted cap_1.");
    equal((await at.place.libos("wait", "p_1", ...at.host)).exit, 0);
    await watch.type("\x03");
    equal(await watch.ended(), 130);
  },
);

terminalTest("A request that is answered elsewhere goes from the terminal", async () => {
  await using at = await served();
  const watch = new AtTerminal(at.place, "approvals", "watch");
  await watch.shows("? > ");
  equal((await at.place.libos("deny", "req_1.1", "-m", "not now")).exit, 0);
  await watch.shows("req_1.1 was withdrawn");
  await watch.type("\x03");
  equal(await watch.ended(), 130);
});
