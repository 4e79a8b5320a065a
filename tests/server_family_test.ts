/**
 * Trees that come from others, over the API: branches, detached children, and what is damaged.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage, SysError } from "../mod.ts";
import { code, confined, sleeper } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

const SECRET = "s3cr3t";

const child = defineImage({
  name: "child",
  program: async ({ sys }) => void await sys.message.receive({}),
});
const parent = defineImage({
  name: "parent",
  program: async ({ sys }) => {
    await sys.object.create({ name: "note", value: SECRET });
    await sys.process.detach({ image: "child", goal: "sub", input: SECRET.padEnd(900) });
    await sys.message.receive({});
  },
});

Deno.test("Lines of a branch and of a family are told to who sees no values", async () => {
  await using at = await serverPlace({ runtime: { autorun: false } });
  const grants = [allow("process.*", "**"), allow("object.*", "**")];
  await at.runtime.spawn(parent, { goal: "a", grants, images: [child] });
  await at.runtime.runUntilIdle();
  const alone = await at.runtime.spawn(sleeper, { goal: "b" });
  await at.runtime.runUntilIdle();
  const { pid } = await alone.fork((await at.runtime.node.open("t_3")).state.seq, {
    message: SECRET.padEnd(900),
  });
  assert.equal(pid, "p_4");
  const words = new Set<string>();
  for (const tree of ["t_1", "t_2", "t_3", "t_4"]) {
    const answer = await at.ask("viewer", `/v1/trees/${tree}/events`);
    assert.equal(answer.status, 200, tree);
    const text = await answer.text();
    assert(!text.includes(SECRET), tree);
    for (const { type } of JSON.parse(text).items) words.add(type);
  }
  for (const type of ["kin.told", "tree.forked", "tree.grown"]) assert(words.has(type), type);
});

Deno.test("A tree that is damaged is absent to who sees other labels", async () => {
  await using at = await serverPlace({ runtime: { autorun: false } });
  await at.runtime.spawn(sleeper, { goal: "b", labels: { team: "b" } });
  await at.runtime.runUntilIdle();
  at.runtime.node.bar("t_1", new SysError("EINTEGRITY", 'Cannot read tree "t_1" at line 3'));
  const { headers } = confined(at, "operator");
  for (const path of ["/v1/processes/p_1", "/v1/trees/t_1", "/v1/trees/t_1/events"]) {
    assert.equal(await code(at.ask("admin", path)), "500 EINTEGRITY", path);
    const [theirs, absent] = await Promise.all(
      [path, path.replace("_1", "_9")].map((one) => at.ask(null, one, { headers })),
    );
    assert.deepEqual([theirs!.status, absent!.status], [404, 404], path);
    const { detail } = await absent!.json();
    assert.equal((await theirs!.json()).detail, detail.replace("_9", "_1"), path);
  }
});
