/**
 * A branch has ids of its own, and what is outside keeps its names, however much like an id: what
 * was denied is denied there, what was given is over the same things (G3).
 * @module
 */

import assert from "node:assert/strict";
import { allow, deny } from "../mod.ts";
import { type Pid, treeOf } from "../kernel/ids.ts";
import { renamed } from "../kernel/rename.ts";
import { emptyState, type State } from "../kernel/state.ts";
import { codeOf, imageOf, inWorld } from "./world_fixture.ts";

const WORKER = imageOf(async ({ sys }) => {
  for (;;) {
    const { messages } = await sys.message.receive({});
    const paths = messages[0]!["data"] as unknown as readonly string[];
    const read: string[] = [];
    for (const path of paths) read.push(await codeOf(sys.file.read({ path })));
    const own = await codeOf(sys.object.create({ name: "own", value: 1 }));
    return await sys.process.exit({ result: [read, own] });
  }
}, { name: "worker" });

const POLICY = `deny file.read(./data/p_1.csv)
deny *(p_1/secret/**)
ask message.send(p_1.7)
label file.read(./cap_1.3/**) sensitivity=secret trust=untrusted
`;

Deno.test("A branch has the rules of its origin for what is outside, and its own ids for what is its own", () =>
  inWorld(async (world) => {
    for (const path of ["data/p_1.csv", "data/p_2.csv", "p_1/a", "p_2/a"]) {
      world.files!.put(path, "x");
    }
    const origin = await world.start(WORKER, {
      labels: { team: "p_1", case: "obj_1.1" },
      grants: [
        allow("file.read", "./data/**"),
        allow("file.read", "./p_1/**"),
        allow("object.*", "p_1/**"),
        deny("file.write", "./obj_1/**"),
        allow("message.*", "**"),
      ],
    });
    await world.os.order("t_1", { kind: "policy", text: POLICY, by: "ops" });
    const branch = await origin.fork((await world.os.node.open(treeOf(origin.pid))).state.seq);
    await world.os.runUntilIdle();
    assert.equal(branch.pid, "p_2");
    const { policy, processes, caps } = (await world.os.node.open(treeOf(branch.pid))).state;
    assert.deepEqual(policy.text.split("\n"), [
      "deny file.read(./data/p_1.csv)",
      "deny *(p_1/secret/**)",
      "deny *(p_2/secret/**)",
      "ask message.send(p_2.7)",
      "label file.read(./cap_1.3/**) sensitivity=secret trust=untrusted",
      "",
    ]);
    const root = processes[branch.pid as Pid]!;
    assert.deepEqual(root.labels, { team: "p_1", case: "obj_1.1" });
    assert.match(root.rules, /deny file\.write\(\.\/obj_1\/\*\*\)/);
    assert.deepEqual(Object.values(caps).map(({ right, resource }) => `${right}(${resource})`), [
      // Its own memory is always its own.
      "object.*(p_2/**)",
      "file.read(./data/**)",
      "file.read(./p_1/**)",
      "object.*(p_2/**)",
      "message.*(**)",
    ]);
    const look = ["data/p_1.csv", "data/p_2.csv", "p_1/a", "p_2/a"];
    for (const agent of [origin, branch]) {
      await agent.send(look as never);
      await world.os.runUntilIdle();
      const [read, own] = (await world.ended(agent)).result as never as [string[], string];
      assert.deepEqual([read, own], [["EACCES", "ok", "ok", "EPERM"], "ok"], agent.pid);
    }
  }));

/** Parts of a state that a process brings, as far as they name anything. */
function stateOf(parts: { readonly [name: string]: unknown }): State {
  return { ...emptyState("t_1"), ...parts } as State;
}

Deno.test("What is filed under its hash, and what a tool may use outside, is in a branch as it was", () => {
  const tool = {
    name: "read_p_1",
    description: "Reads p_1.csv",
    inputSchema: { const: "p_1" },
    outputSchema: null,
    rights: ["file.read(./p_1.csv)"],
    by: "p_1.2",
    also: ["p_1", "image"],
  };
  const image = { name: "i", instructions: "See p_1.csv and obj_1.4" };
  const held = { hash: "h", rights: ["file.read(./p_1.csv)", "process.signal(p_1.3)"] };
  const process = {
    pid: "p_1",
    goal: "x",
    labels: { team: "p_1" },
    cwd: "./p_1",
    rules: "ask *.read(p_1)\nask *.read(p_2)\nallow *(p_1)\nfree p_1\n",
    approved: held.rights,
    generated: { read: held },
  };
  const ceiling = [
    { right: "file.*", resource: "./p_1/**" },
    { right: "object.*", resource: "p_1/**" },
    { right: "*", resource: "p_1" },
  ];
  const caps = {
    "cap_1.1": { right: "net.fetch", resource: "http://p_1/**", constraint: { const: "obj_1" } },
    "cap_1.2": { right: "message.send", resource: "p_1.2", constraint: { const: "p_1" } },
  };
  const given = stateOf({
    tools: { h: tool },
    images: { i: image },
    processes: { p_1: process },
    caps,
    ceiling,
  });
  const made = renamed(given, "t_2");
  assert.deepEqual(made.tools["h"], { ...tool, by: "p_2.2", also: ["p_2", "image"] });
  assert.deepEqual(made.images["i"], image);
  const rights = ["file.read(./p_1.csv)", "process.signal(p_2.3)"];
  assert.deepEqual(made.processes["p_2"], {
    ...process,
    pid: "p_2",
    // What is asked about for either is there once.
    rules: "ask *.read(p_1)\nask *.read(p_2)\nallow *(p_1)\nfree p_1\n",
    approved: rights,
    generated: { read: { ...held, rights } },
  });
  assert.deepEqual(made.ceiling.map(({ resource }) => resource), ["./p_1/**", "p_2/**", "p_1"]);
  assert.deepEqual(made.caps as unknown, {
    "cap_2.1": caps["cap_1.1"],
    "cap_2.2": { right: "message.send", resource: "p_2.2", constraint: { const: "p_2" } },
  });
});
