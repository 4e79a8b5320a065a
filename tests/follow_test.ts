/**
 * Whoever follows a process hears each line of it once, as soon as it is durable, to its end.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import type { Line } from "../kernel/event.ts";
import type { AgentProcess } from "../runtime/process.ts";
import { imageOf, inWorld, World } from "./world_fixture.ts";

const GRANTS = [allow("object.*", "**"), allow("process.*", "**")];

/** Makes an object for each message, and a child that is no part of it; "stop" ends it. */
const MAKER = imageOf(async ({ sys }) => {
  for (let n = 0;; n++) {
    const { messages } = await sys.message.receive({});
    if (messages[0]!["data"] === "stop") return await sys.process.exit({ result: n });
    await sys.object.create({ name: `${n}`, value: n });
    if (n === 0) await sys.process.fork({ goal: "child" });
  }
}, { name: "maker" });

/** Follows, and tells how many lines were heard. */
function following(agent: AgentProcess, options: { from?: number; signal?: AbortSignal } = {}) {
  const lines: Line[] = [];
  const over = (async () => {
    for await (const line of agent.events({ ...options, follow: true })) lines.push(line);
  })();
  over.catch(() => {});
  return { lines, over };
}

Deno.test("Who follows a process hears every line of it once and in order, and ends with it", () =>
  inWorld(async (world) => {
    const agent = await world.start(MAKER, { grants: GRANTS });
    await agent.send("one");
    await world.os.runUntilIdle();
    const early = following(agent);
    const seen = await Array.fromAsync(agent.events());
    for (const word of ["two", "three", "stop"]) {
      await agent.send(word);
      await world.os.runUntilIdle();
    }
    await early.over;
    const late = following(agent, { from: seen.at(-1)!.seq + 1 });
    await late.over;
    const all = await Array.fromAsync(agent.events());
    assert.ok(all.length > seen.length && seen.length > 3);
    assert.deepEqual(early.lines, all);
    assert.deepEqual(late.lines, all.slice(seen.length));
    assert.ok(all.some(({ type }) => type === "process.ended"));
    assert.ok(all.every(({ data }) => (data as { readonly pid: string }).pid === agent.pid));
  }));

Deno.test("Following stops with its signal, and with the runtime", async () => {
  const world = new World();
  const agent = await world.start(MAKER, { grants: GRANTS });
  const stop = new AbortController();
  const stopped = following(agent, { signal: stop.signal });
  const closed = following(agent);
  await agent.send("one");
  await world.os.runUntilIdle();
  const sofar = await Array.fromAsync(agent.events());
  stop.abort();
  await assert.rejects(stopped.over, { name: "AbortError" });
  await assert.rejects(following(agent, { signal: stop.signal }).over, { name: "AbortError" });
  await world.os.close();
  await closed.over;
  assert.deepEqual(stopped.lines, sofar.slice(0, stopped.lines.length));
  assert.deepEqual(closed.lines.slice(0, sofar.length), sofar);
});
