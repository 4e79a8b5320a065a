/**
 * What somebody may do for agents that they started: give what was theirs to give at the start, and
 * approve nothing.
 * @module
 */

import assert from "node:assert/strict";
import { defineImage } from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import { scratch } from "./scratch.ts";
import { code } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

const writer = defineImage({
  name: "writer",
  program: async ({ sys }) => {
    await sys.message.receive({});
    const said = await sys.file.write({ path: "./out/a.md", text: "hello\n" }).then(
      () => "written",
      ({ code }) => code,
    );
    await sys.process.exit({ result: said });
  },
});

async function started(grants: readonly string[]) {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const at = await serverPlace({
    runtime: { workspace, clock, autorun: false },
    serve: { clock, images: [writer] },
  });
  const spawned = await at.post("operator", "/v1/processes", {
    image: "writer",
    goal: "write",
    grants: [...grants],
  });
  assert.equal(spawned.status, 201, await spawned.clone().text());
  const { pid } = await spawned.json();
  const go = async () => {
    await at.runtime.runUntilIdle();
    await (await at.post("operator", `/v1/processes/${pid}/messages`, { data: 1 })).body?.cancel();
    await at.runtime.runUntilIdle();
  };
  const give = (rule: string) => at.post("operator", `/v1/processes/${pid}/capabilities`, { rule });
  const result = async () =>
    (await (await at.ask("operator", `/v1/processes/${pid}/wait?timeoutMs=0`)).json()).result;
  return { at, pid, go, give, result };
}

Deno.test("Who started an agent widens nothing later: what was said at the start is its tree's ceiling", async () => {
  const { at, pid, go, give, result } = await started(["allow file.write(./out/**)"]);
  await using _ = at;
  for (const rule of ["file.write(./**)", "file.read(./out/**)", "net.fetch(**)"]) {
    assert.equal(await code(give(rule)), "403 EPERM", rule);
  }
  // Inside it, what was taken back is given again, and the log says by whom.
  const held = await (await at.ask("viewer", `/v1/processes/${pid}/capabilities`)).json();
  const { id } = held.items.find(({ right }: { right: string }) => right === "file.write");
  await (await at.ask("operator", `/v1/capabilities/${id}`, { method: "DELETE" })).body?.cancel();
  const given = await give("file.write(./out/**)");
  assert.equal(given.status, 201, await given.clone().text());
  const { by, subject } = await given.json();
  assert.deepEqual([by, subject], ["operator", pid]);
  await go();
  assert.equal(await result(), "written");
});

Deno.test("What is given to one's own agent answers no rule that asks: somebody else still has to", async () => {
  const { at, pid, go, give, result } = await started(["ask file.write(./out/**)"]);
  await using _ = at;
  await (await give("file.write(./out/**)")).body?.cancel();
  await go();
  const { items: [request] } = await (await at.ask("approver", "/v1/approvals")).json();
  assert.equal(request.pid, pid, "it is asked about, though it holds the right");
  const path = `/v1/approvals/${request.id}/decision`;
  const yes = { decision: { outcome: "approve" }, argsHash: request.call.argsHash };
  assert.equal(await code(at.post("operator", path, yes)), "403 own_request");
  // Nor does another gift, made while it waits, answer it.
  await (await give("file.write(./out/a.md)")).body?.cancel();
  await at.runtime.runUntilIdle();
  const { items } = await (await at.ask("approver", "/v1/approvals")).json();
  assert.deepEqual(items.map(({ id }: { id: string }) => id), [request.id]);
  const decided = await at.post("approver", path, yes);
  assert.equal(decided.status, 200, await decided.clone().text());
  await decided.body?.cancel();
  await at.runtime.runUntilIdle();
  assert.equal(await result(), "written");
});

Deno.test("A role that only answers gives nothing, to its own agents or to others'", async () => {
  const { at, pid } = await started(["allow file.read(./**)"]);
  await using _ = at;
  const body = { rule: "file.write(./out/**)" };
  const answer = at.post("approver", `/v1/processes/${pid}/capabilities`, body);
  assert.equal(await code(answer), "403 role_too_low");
});
