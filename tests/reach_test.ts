/**
 * What a program may see that a process starts: nothing that the process could not do itself.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, deny, type Rule } from "../mod.ts";
import { describeReach, type Reach, reachOf } from "../kernel/reach.ts";
import { imageOf, inWorld, START_MS } from "./world_fixture.ts";

const HOUR_MS = 3_600_000;

async function reachWith(grants: readonly Rule[], policy = ""): Promise<Reach> {
  let found: Reach | undefined;
  await inWorld(async (world) => {
    const image = imageOf(({ sys }) => sys.clock.sleep({ ms: HOUR_MS }));
    const process = await world.start(image, { grants: grants });
    const tree = await world.tree();
    const pid = process.pid as never;
    found = reachOf(tree, { pid, nowMs: START_MS, untilMs: START_MS + 60_000, owned: [] });
    await world.untilDone();
  }, { policy });
  return found!;
}

const READS = (at: string): Rule[] =>
  ["file.read", "file.list", "file.stat"].map((r) => allow(r, at));
const WRITE = { required: ["path"], type: "object" } as const;

const TABLE:
  readonly (readonly [what: string, grants: readonly Rule[], shown: string, policy?: string])[] = [
    ["nothing", [], "sees no file of the workspace; no network"],
    [
      "all of a folder",
      [allow("file.*", "./src/**")],
      "writes ./src/**; no network",
    ],
    ["everything", [allow("file.*")], "writes ./**; no network"],
    ["a folder to read", READS("./a/**"), "reads ./a/**; no network"],
    [
      "content without names",
      [allow("file.read", "./a/**")],
      "sees no file of the workspace; no network",
    ],
    ["one file", [allow("file.read", "./a/b.txt")], "reads ./a/b.txt; no network"],
    [
      "one file to write",
      [allow("file.read", "./a"), allow("file.write", "./a")],
      "reads ./a; writes ./a; no network",
    ],
    [
      "what is written unread",
      [allow("file.write", "./a/**")],
      "sees no file of the workspace; no network",
    ],
    [
      "writing without removing",
      [...READS("./a/**"), allow("file.write", "./a/**")],
      "reads ./a/**; no network",
    ],
    [
      "a pattern of names",
      [allow("file.*", "./a/*.ts")],
      "sees no file of the workspace; no network",
    ],
    [
      "a folder whose name only begins so",
      [allow("file.*", "./a*/**")],
      "sees no file of the workspace; no network",
    ],
    [
      "what has uses",
      [allow("file.*", "./a/**", { uses: 9 })],
      "sees no file of the workspace; no network",
    ],
    [
      "what ends too soon",
      [allow("file.*", "./a/**", { expiresIn: "30s" })],
      "sees no file of the workspace; no network",
    ],
    [
      "what holds long enough",
      [allow("file.*", "./a/**", { expiresIn: "2m" })],
      "writes ./a/**; no network",
    ],
    [
      "what is constrained",
      [allow("file.*", "./a/**", { constraint: WRITE })],
      "sees no file of the workspace; no network",
    ],
    [
      "a hole by a deny",
      [allow("file.*"), deny("file.read", "./secrets/**")],
      "writes ./** without ./secrets; no network",
    ],
    [
      "a hole by an ask",
      [allow("file.*"), ask("file.write", "./.git/**")],
      "reads ./**; writes ./** without ./.git; no network",
    ],
    [
      "a rule on names anywhere",
      [allow("file.*"), deny("file.read", "./**/.env")],
      "writes ./** without ./**/.env; no network",
    ],
    [
      "a rule on names in a folder",
      [allow("file.*"), deny("file.stat", "./keys/*.pem")],
      "writes ./** without ./keys/*.pem; no network",
    ],
    [
      "rules on names, and a hole",
      [allow("file.*"), deny("file.*", "./**/*.env"), ask("file.read", "./k/**")],
      "writes ./** without ./k, ./**/*.env; no network",
    ],
    [
      "a rule on names elsewhere",
      [allow("file.*", "./a/**"), deny("file.*", "./b/**/*.env")],
      "writes ./a/**; no network",
    ],
    [
      "a rule on the area's own name",
      [allow("file.*", "./a.env/b/**"), deny("file.*", "./**/*.env")],
      "sees no file of the workspace; no network",
    ],
    [
      "a rule on a file's name",
      [allow("file.read", "./a.env"), deny("file.*", "./**/*.env")],
      "sees no file of the workspace; no network",
    ],
    [
      "a rule on changes of names",
      [allow("file.*"), deny("file.write", "./**/*.lock")],
      "reads ./**; no network",
    ],
    [
      "a rule on changes of names, and one that hides others",
      [allow("file.*"), deny("file.move", "./**/*.lock"), ask("file.*", "./**/*.env")],
      "reads ./** without ./**/*.env; no network",
    ],
    [
      "a sink on names",
      [allow("file.*")],
      "reads ./** without ./**/*.md; no network",
      "sink file.read(./**/*.md) trust>=user\nsink file.write(./**/*.md) trust>=user",
    ],
    [
      "an ask about everything",
      [allow("file.*"), ask("file.*")],
      "sees no file of the workspace; no network",
    ],
    ["a rule of the policy", [allow("file.*")], "reads ./**; no network", "ask file.remove(./**)"],
    [
      "a rule of the policy on labels",
      [allow("file.*")],
      "reads ./**; no network",
      "deny file.write when trust<=untrusted",
    ],
    [
      "a sink for what is written",
      [allow("file.*", "./a/**")],
      "reads ./a/**; no network",
      "sink file.write(./a/**) trust>=user",
    ],
    [
      "a sink for what is sent",
      [allow("net.connect")],
      "sees no file of the workspace; no network",
      "sink net.*(**) sensitivity<=public",
    ],
    [
      "a rule elsewhere",
      [allow("file.*", "./a/**"), deny("file.read", "./b/**")],
      "writes ./a/**; no network",
    ],
    [
      "a file in a folder that is seen",
      [...READS("./**"), allow("file.read", "./a")],
      "reads ./**; no network",
    ],
    ["pages only", [allow("net.fetch")], "sees no file of the workspace; no network"],
    ["the network", [allow("net.connect")], "sees no file of the workspace; has the network"],
    [
      "the network to one place",
      [allow("net.connect", "a.example")],
      "sees no file of the workspace; no network",
    ],
    [
      "the network with a rule on it",
      [allow("net.connect"), deny("net.connect", "a.example")],
      "sees no file of the workspace; no network",
    ],
  ];

for (const [what, grants, shown, policy] of TABLE) {
  Deno.test(`The reach of ${what}: ${shown}`, async () => {
    assert.equal(describeReach(await reachWith(grants, policy)), shown);
  });
}

Deno.test("What a program says is as secret as all it may have read", async () => {
  const policy = "label file.read(./a/keys/**) sensitivity=secret trust=trusted\n" +
    "label file.read(./b/**) sensitivity=confidential trust=user";
  const { label } = await reachWith([allow("file.*", "./a/**")], policy);
  assert.deepEqual(label, { sensitivity: "secret", trust: "untrusted" });
});

Deno.test("A child's reach is no wider than each capability above its own", async () => {
  await inWorld(async (world) => {
    const child = imageOf(({ sys }) => sys.clock.sleep({ ms: HOUR_MS }));
    world.os.register(child);
    const parent = imageOf(async ({ sys }) => {
      const { pid } = await sys.process.spawn({
        image: child.ref,
        goal: "go",
        grants: ["file.*(./**)"],
      } as never);
      return await sys.process.wait({ pid } as never);
    });
    await world.start(parent, {
      grants: [allow("file.*", "./a/**"), allow("process.*")],
      images: [child],
    });
    const tree = await world.tree();
    for (const pid of Object.keys(tree.state.processes)) {
      const query = { pid: pid as never, nowMs: START_MS, untilMs: START_MS, owned: [] };
      const { areas } = reachOf(tree, query);
      assert.equal(areas.every(({ path }) => path === "./a"), true);
    }
    await world.untilDone();
  });
});
