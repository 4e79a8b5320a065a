/**
 * Declassifying: a right on an object, for one version of it, that leaves what was there as it was.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type Rule } from "../mod.ts";
import type { Json } from "../kernel/json.ts";
import { sha256 } from "../kernel/json.ts";
import type { StepContext } from "../runtime/program.ts";
import { type Body, codeOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const POLICY = "label file.read(./hr/**) sensitivity=secret trust=trusted\n" +
  "sink file.write(./out/**) sensitivity<=internal else deny\n" +
  "sink label.declassify(**) trust>=user else deny";
const GRANTS: readonly Rule[] = [allow("file.*", "./**")];
const RIGHT = allow("label.declassify", "p_1/sum");

type Sys = StepContext["sys"];

/** Keeps something secret whose maker has not seen it. */
async function keep(sys: Sys): Promise<void> {
  await sys.object.import({ path: "hr/sum", name: "sum" });
}

const wish = (rest: Record<string, unknown> = {}) => ({
  object: "sum",
  version: 1,
  name: "told",
  sensitivity: "internal" as const,
  reason: "it is a mean of many",
  ...rest,
});

const out = (sys: Sys, object: string): Promise<string> =>
  codeOf(sys.object.export({ object, path: "out/a" }));

async function outcome(world: World, body: Body, grants: readonly Rule[]): Promise<Json> {
  world.files!.put("hr/sum", "The mean is 5");
  world.files!.put("mail", "Tell everybody");
  return await world.result(body, { grants: [...GRANTS, ...grants] });
}

Deno.test("Who has the right declassifies a version: the copy goes out, what was there does not", () =>
  inWorld(async (world) => {
    const said = await outcome(world, async ({ sys }) => {
      await keep(sys);
      const { label, version } = await sys.label.declassify(wish());
      const sent = await out(sys, "told");
      return [label, version, sent, await out(sys, "sum")] as never;
    }, [RIGHT]);
    const label = { sensitivity: "internal", trust: "trusted", origin: ["file:./hr"] };
    assert.deepEqual(said, [label, 1, "ok", "EACCES"]);
    assert.equal(world.files!.text("out/a"), "The mean is 5");
    const [event] = await world.events("label.declassified");
    assert.equal(event!["sha256"], sha256("The mean is 5"));
    assert.equal(event!["name"], "p_1/sum");
    assert.deepEqual(event!["from"], { ...label, sensitivity: "secret" });
    assert.deepEqual(event!["to"], label);
    assert.equal(event!["reason"], "it is a mean of many");
    const copy = Object.values((await world.tree()).state.objects)
      .find(({ id }) => id === event!["as"])!;
    assert.deepEqual([copy.name, copy.mutable], ["p_1/told", false]);
    assert.deepEqual(copy.from.sources, [`${event!["id"]}@1`]);
  }, { policy: POLICY }));

Deno.test("Without the right, on another object, or after untrusted content, nothing is lowered", () =>
  inWorld(async (world) => {
    const said = await outcome(world, async ({ sys }) => {
      await keep(sys);
      await sys.object.import({ path: "hr/sum", name: "other" });
      const other = await codeOf(sys.label.declassify(wish({ object: "other" })));
      await sys.file.read({ path: "mail" });
      return [other, await codeOf(sys.label.declassify(wish())), await out(sys, "told")];
    }, [RIGHT]);
    assert.deepEqual(said, ["EPERM", "EACCES", "ENOENT"]);
    assert.deepEqual(await world.events("label.declassified"), []);
  }, { policy: POLICY }));

Deno.test("No file right and no right on objects is one to declassify", () =>
  inWorld(async (world) => {
    const said = await outcome(world, async ({ sys }) => {
      await keep(sys);
      return await codeOf(sys.label.declassify(wish()));
    }, [allow("object.*", "**")]);
    assert.equal(said, "EPERM");
  }, { policy: POLICY }));

const WRONG: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["to a label that is no lower", { sensitivity: "secret" }, "EINVAL"],
  ["to one that is less trusted", { trust: "untrusted" }, "EINVAL"],
  ["of a version that is not there", { version: 2 }, "ESTALE"],
  ["to no label at all", { sensitivity: undefined }, "EINVAL"],
  ["without a reason", { reason: "" }, "EINVAL"],
  ["over a name that is taken", { name: "sum" }, "EEXIST"],
];

for (const [what, rest, code] of WRONG) {
  Deno.test(`Nothing is declassified ${what}`, () =>
    inWorld(async (world) => {
      const said = await outcome(world, async ({ sys }) => {
        await keep(sys);
        return await codeOf(sys.label.declassify(wish(rest)));
      }, [RIGHT]);
      assert.equal(said, code);
    }, { policy: POLICY }));
}

Deno.test("A person who is asked sees what is declassified, and says yes to that content alone", () =>
  inWorld(async (world) => {
    world.files!.put("hr/sum", "The mean is 5");
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.object.create({ name: "sum", value: "5", mutable: true });
        await sys.file.read({ path: "hr/sum" });
        await sys.object.write({ object: "sum", value: "The mean is 5", from: 1 });
        return await codeOf(sys.label.declassify(wish({ version: 2, sensitivity: "public" })));
      }),
      { grants: [...GRANTS, ask("label.declassify", "p_1/sum")] },
    );
    const [request] = world.os.approvals.list();
    assert.match(request!.preview!, /as public, trusted, because it is a mean of many:/);
    assert.match(request!.preview!, /The mean is 5/);
    await world.os.node.order("t_1", {
      kind: "put",
      pid: process.pid,
      name: "sum",
      value: "The pay is 4711",
      by: "someone",
    });
    await world.os.runUntilIdle();
    await world.os.approvals.decide(request!.id, { outcome: "approve" });
    await world.untilDone();
    assert.equal((await world.ended(process)).result, "ESTALE");
    assert.deepEqual(await world.events("label.declassified"), []);
  }, { policy: POLICY }));
