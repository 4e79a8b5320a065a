/**
 * Attacks by who answers requests, on what is not theirs to answer: branches of their own trees,
 * rules for trees that they do not see.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage } from "../mod.ts";
import { code } from "./server_attack_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

interface Shown {
  readonly id: string;
  readonly tree: string;
  readonly owner: string;
  readonly mayDecide: boolean;
  readonly scopes: readonly string[];
  readonly call: { readonly argsHash: string };
}

async function waiting(at: ServerPlace, role: "viewer", headers = {}): Promise<Shown[]> {
  const answer = await at.ask(role, "/v1/approvals", { headers });
  return (await answer.json()).items;
}

Deno.test("A branch that an agent starts is its starter's, who approves nothing of it either", async () => {
  const brancher = defineImage({
    name: "brancher",
    program: async ({ sys }) => {
      await sys.checkpoint.create({ name: "draft" });
      const filter = { type: "message" };
      const { messages } = await sys.message.receive({ filter, timeoutMs: 0 });
      if (messages.length === 0) await sys.checkpoint.fork({ from: "draft", message: "go on" });
      else await sys.file.write({ path: "./out/a.md", text: "by the branch" });
      await sys.process.exit({});
    },
  });
  const workspace = await Deno.makeTempDir();
  await Deno.mkdir(`${workspace}/out`);
  await using at = await serverPlace({ runtime: { workspace, autorun: false } });
  const grants = [ask("file.write", "./out/**"), allow("checkpoint.fork", "draft")];
  await at.runtime.spawn(brancher, { goal: "branch", by: "operator", grants });
  await at.runtime.runUntilIdle();
  const decide = (role: "operator" | "approver", { id, call }: Shown) =>
    at.post(role, `/v1/approvals/${id}/decision`, {
      decision: { outcome: "approve" },
      argsHash: call.argsHash,
    });
  const [first] = await waiting(at, "viewer");
  assert.equal(await code(decide("operator", first!)), "403 own_request");
  assert.equal((await decide("approver", first!)).status, 200);
  await at.runtime.runUntilIdle();
  const second = (await waiting(at, "viewer")).find(({ tree }) => tree === "t_2");
  assert.equal(second!.owner, "operator");
  assert.equal(await code(decide("operator", second!)), "403 own_request");
  await assert.rejects(Deno.stat(`${workspace}/out/a.md`));
  await Deno.remove(workspace, { recursive: true });
});

Deno.test("Who sees some labels only puts no rule into the policy that all trees begin with", async () => {
  const writer = defineImage({
    name: "writer",
    program: async ({ sys }) => {
      await sys.file.write({ path: "./out/a.md", text: "" });
      await sys.process.exit({});
    },
  });
  const workspace = await Deno.makeTempDir();
  await Deno.mkdir(`${workspace}/out`);
  const policyFile = `${workspace}/libos.policy`;
  await Deno.writeTextFile(policyFile, "ask file.write(./out/**)\n");
  const at = await serverPlace({ runtime: { workspace, policyFile, autorun: false } });
  const grants = [allow("file.write", "./out/**")];
  await at.runtime.spawn(writer, { goal: "write", labels: { team: "a" }, grants });
  await at.runtime.runUntilIdle();
  const { secret } = at.server.tokens.create({
    name: "a-approver",
    role: "approver",
    labels: { team: "a" },
  });
  const headers = { authorization: `Bearer ${secret}` };
  const [one] = await waiting(at, "viewer", headers);
  assert(!one!.scopes.includes("policy"), "it is not offered");
  const decision = { outcome: "approve", scope: "policy", resource: "./out/**" };
  const argsHash = one!.call.argsHash;
  const path = `/v1/approvals/${one!.id}/decision`;
  assert.equal(await code(at.post(null, path, { decision, argsHash }, { headers })), "403 EACCES");
  const items = [{ id: one!.id, argsHash }];
  const both = at.post(null, "/v1/approvals/decide", { decision, items }, { headers });
  assert.equal(await code(both), "403 EACCES");
  const [theirs] = await waiting(at, "viewer");
  assert(theirs!.scopes.includes("policy"), "who sees all may");
  assert.equal((await at.post("approver", path, { decision, argsHash })).status, 200);
  await at.runtime.runUntilIdle();
  await at[Symbol.asyncDispose]();
  assert.match(await Deno.readTextFile(policyFile), /allow file\.write/);
  await Deno.remove(workspace, { recursive: true });
});
