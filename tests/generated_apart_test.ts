/**
 * A child that a generated tool starts sees nothing that its ancestors hold for their subtrees: the
 * tool did not declare it, and hands on what it declared and no more.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type Json, type PersonAnswer, type Pid, type Sys } from "../mod.ts";
import { FakeWorkshop, install } from "./fake_sandbox.ts";
import { codeOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const GRANTS = [
  allow("tool.register", "**"),
  allow("process.*", "**"),
  ask("file.write", "./**"),
];
const WRITE = { path: "a", text: "x" };
const STARTS = "process.*(**)";
const FILES = "file.write(./**)";

async function born(sys: Sys, starting: Promise<{ pid: Pid }>): Promise<Json> {
  const { pid } = await starting;
  return await resultOf(sys, pid);
}

async function resultOf(sys: Sys, pid: Pid): Promise<Json> {
  const { ended } = await sys.process.wait({ pids: [pid] });
  return (ended!.outcome as { readonly result?: Json }).result ?? ended!.outcome as Json;
}

/** What a child does, by its goal. */
const TRIES: Readonly<Record<string, (sys: Sys) => Promise<Json>>> = {
  write: (sys) => codeOf(sys.file.write(WRITE)),
  "write twice": async (sys) => [
    await codeOf(sys.file.write(WRITE)),
    await codeOf(sys.file.write({ ...WRITE, text: "y" })),
  ],
  list: async (sys) => {
    const { capabilities } = await sys.capability.list({});
    return capabilities.map(({ rule }) => rule as Json);
  },
  explain: async (sys) => {
    const { decision } = await sys.capability.explain({ rule: FILES, args: {} });
    return decision as Json;
  },
  "start a child": (sys) => born(sys, sys.process.spawn({ image: "child", goal: "write" })),
  fork: (sys) => born(sys, sys.process.fork({ goal: "write" })),
};
const child = imageOf(({ sys, goal }) => TRIES[goal]!(sys), { name: "child" });

/** How a tool starts a child. */
interface Start {
  readonly goal: string;
  /** What the tool declares, and what it hands on. */
  readonly rights?: readonly string[];
  readonly grants?: readonly string[];
  readonly scope?: (PersonAnswer & { readonly outcome: "approve" })["scope"];
}

/**
 * A person approves a write for more than its asker; then trusted code and a tool start a child
 * each. Gives what came of both, and how many requests there were.
 */
async function tried(world: World, start: Start): Promise<Json> {
  const { scope = "subtree", rights = [STARTS] } = start;
  const root = imageOf(async ({ sys }) => {
    const handed = { image: "child", goal: "write", grants: [FILES] };
    if (scope === "image") await born(sys, sys.process.spawn(handed));
    else await sys.file.write(WRITE);
    const trusted = await born(sys, sys.process.spawn({ image: "child", goal: "write" }));
    await install(sys, "tool", { rights: [...rights] });
    const { output } = await sys.tool.call({ name: "tool" });
    return [trusted, await resultOf(sys, output as Pid)];
  });
  const process = await world.start(root, { grants: GRANTS, images: [child] });
  let asked = 0;
  for (let open = world.os.approvals.list(); open.length > 0; open = world.os.approvals.list()) {
    for (const { id } of open) {
      asked += 1;
      await world.os.approvals.decide(id, { outcome: "approve", scope, resource: "./**" });
    }
    await world.os.runUntilIdle();
  }
  const [trusted, made] = (await world.ended(process)).result as [Json, Json];
  return { trusted, made, asked };
}

/** A workshop whose tool starts the child. */
function starting({ goal, grants = [] }: Start): FakeWorkshop {
  return FakeWorkshop.of({
    tool: async (_, os) => {
      const args = { image: "child", goal, grants: [...grants] };
      return (await os.call("process.spawn", args) as { readonly pid: string }).pid;
    },
  });
}

function claim(name: string, start: Start, expected: Json, more?: (world: World) => Promise<void>) {
  Deno.test(name, () =>
    inWorld(async (world) => {
      assert.deepEqual(await tried(world, start), expected);
      await more?.(world);
    }, { workshop: starting(start) }));
}

for (const scope of ["subtree", "tree", "image"] as const) {
  claim(
    `A child that a tool starts may not use what a person approved for the ${scope}`,
    { goal: "write", scope },
    { trusted: "ok", made: "EPERM", asked: 1 },
  );
}

const ROUNDS: readonly (readonly [string, string, Json])[] = [
  ["let a child of its own use it", "start a child", "EPERM"],
  ["let its fork use it", "fork", "EPERM"],
  ["see it among what it holds", "list", ["object.*(p_1.2/**)", "process.*(**)"]],
  ["be told that it would do", "explain", "none"],
];

for (const [what, goal, made] of ROUNDS) {
  claim(`A child that a tool starts cannot ${what}`, { goal, grants: [STARTS] }, {
    trusted: "ok",
    made,
    asked: 1,
  });
}

claim(
  "Who stands apart uses what was handed to it, and what a person then approves, for the tree too",
  { goal: "write twice", rights: [STARTS, FILES], grants: [FILES], scope: "tree" },
  { trusted: "ok", made: ["ok", "ok"], asked: 2 },
);

claim(
  "Who stands apart uses what a person approves for its image, and is asked about once",
  { goal: "write twice", rights: [STARTS, FILES], grants: [FILES], scope: "image" },
  { trusted: "ok", made: ["ok", "ok"], asked: 2 },
);

claim(
  "The log says which children stand apart, and only of those that a tool started",
  { goal: "write" },
  { trusted: "ok", made: "EPERM", asked: 1 },
  async (world) => {
    const spawned = await world.events("process.spawned");
    assert.deepEqual(spawned.map(({ apart }) => apart), [undefined, undefined, true]);
  },
);
