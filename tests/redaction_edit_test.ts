/**
 * What people changed about calls is content, too: it stays as long as a step may be run with it,
 * and goes like any other.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type PersonAnswer } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import type { Store } from "../kernel/store.ts";
import { eraseObject } from "../runtime/retention.ts";
import { redactDue } from "../runtime/redaction.ts";
import { type Body, codeOf, imageOf, inWorld, World } from "./world_fixture.ts";

const DAY = 86_400_000;
const ASKED = "What the agent wanted to write. ".repeat(20);
const EDITED = "What the person had written instead. ".repeat(20);
const EDIT: PersonAnswer = { outcome: "edit", args: { path: "d/a", text: EDITED } };

/** A store that outlives its runtimes. */
class LastingStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Writes once, under a rule that asks, and goes on in the same step when a message comes. */
const WRITE_AND_WAIT: Body = async ({ sys }) => {
  await sys.file.write({ path: "d/a", text: ASKED });
  await sys.message.receive({});
  await sys.object.create({ name: "mine", value: "short" });
  return "done";
};

const GRANTS = [ask("file.write", "./d/**")];
const IMAGE = imageOf(WRITE_AND_WAIT);

/** The edited call is done, and its step waits. */
async function edited(world: World): Promise<Awaited<ReturnType<World["start"]>>> {
  const process = await world.start(IMAGE, { grants: GRANTS });
  const [request] = world.os.approvals.list();
  await world.os.approvals.decide(request!.id, EDIT);
  await world.os.runUntilIdle();
  return process;
}

/** Verified as it is, and by a kernel which reads it anew. */
async function assertVerified(world: World): Promise<void> {
  for (const { broken } of await world.os.verify()) assert.equal(broken, null);
}

Deno.test("An edited call of a step in hand keeps both its arguments, and the step can be run again", () =>
  inWorld(async (first) => {
    const process = await edited(first);
    await first.clock.advance(40 * DAY);
    await redactDue(first.os.node);
    await assertVerified(first);
    const { store, clock } = first;
    await first.os.close();
    const second = new World({ store, clock, files: first.files, seed: 2, images: [IMAGE] });
    await (await second.os.get(process.pid))!.send("go");
    await second.os.runUntilIdle();
    const { outcome } = (await second.events("process.ended"))[0] as never;
    assert.deepEqual(outcome, { kind: "exited", code: 0, result: "done" });
    await second.clock.advance(40 * DAY);
    await redactDue(second.os.node);
    await assertVerified(second);
    assert.equal(await textsIn(store, EDITED), 0);
    assert.equal(await textsIn(store, ASKED), 0);
    await second.close();
  }, { store: new LastingStore(), retention: { days: 30 } }));

async function textsIn(store: Store, text: string): Promise<number> {
  let count = 0;
  for await (const { payloads } of store.read("t_1", 1)) {
    for (const payload of payloads.values()) if (payload.includes(text)) count += 1;
  }
  return count;
}

Deno.test("Content in an edit that waits for a second person is in use, and is not erased", () =>
  inWorld(async (world) => {
    await world.run(async ({ sys }) => {
      await sys.object.create({ name: "ann", value: EDITED });
    });
    const body: Body = async ({ sys }) => {
      await sys.file.write({ path: "d/a", text: "short" });
    };
    await world.start(imageOf(body), { grants: [allow("file.write", "./d/**")] });
    const [request] = world.os.approvals.list();
    await world.os.approvals.decide(request!.id, EDIT, { actor: "ada" });
    const erase = () => eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
    assert.equal(await codeOf(erase()), "ESTATE");
    await world.os.approvals.decide(request!.id, EDIT, { actor: "bob" });
    await world.os.runUntilIdle();
    assert.equal(world.files!.text("d/a"), EDITED);
    assert.equal(await codeOf(erase()), "ok");
    await assertVerified(world);
  }, { policy: "ask file.write(./d/**) people 2" }));
