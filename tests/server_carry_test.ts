/**
 * Trees carried over the API: who may take one along or bring one, and what is refused whole.
 * @module
 */

import assert from "node:assert/strict";
import { defineImage } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { exportTree } from "../runtime/portable.ts";
import { bodyLines } from "../server/guard.ts";
import { connect } from "../server/client.ts";
import type { Role } from "../server/principal.ts";
import { VirtualClock } from "../testing.ts";
import { code, confined } from "./server_attack_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

const LINES = { "content-type": "application/jsonl" };

/** Keeps a value, waits for a message, and ends with both. */
const keeper = defineImage({
  name: "keeper",
  program: async ({ sys }) => {
    await sys.object.create({ name: "note", value: "n".repeat(900) });
    const { messages: [message] } = await sys.message.receive({});
    await sys.process.exit({ result: String(message?.data) });
  },
});

/** A server with a tree that waits. */
async function place(): Promise<ServerPlace> {
  const at = await serverPlace();
  at.runtime.register(keeper);
  await at.runtime.spawn(keeper, { goal: "keep", labels: { team: "b" } });
  await at.runtime.runUntilIdle();
  return at;
}

function bring(
  at: ServerPlace,
  body: BodyInit,
  role: Role | null = "admin",
  init: RequestInit = {},
) {
  const headers = { ...LINES, ...init.headers as Record<string, string> };
  return at.ask(role, "/v1/trees", { method: "POST", body, headers });
}

Deno.test("A tree is carried from server to server, runs on there, and the log says who took it", async () => {
  await using here = await place();
  await using there = await serverPlace();
  there.runtime.register(keeper);
  const out = connect(here.server.url, { token: here.secrets.operator });
  const text = (await Array.fromAsync(out.exportTree("t_1"))).join("");
  const log = await Array.fromAsync(here.runtime.log("t_1"));
  const { data } = log.findLast(({ type }) => type === "inbox.taken")!;
  assert.match(JSON.stringify(data), /"by":"operator".*"what":"reveal an export"/);
  const into = connect(there.server.url, { token: there.secrets.admin });
  const body = () => new Blob([text]).stream();
  const made = await into.importTree(body());
  assert.deepEqual([made.tree, made.created, made.inDoubt], ["t_1", true, 0]);
  assert.deepEqual(await into.importTree(body()), { ...made, blobs: 0, created: false });
  assert.deepEqual((await into.verifyTree("t_1")).map(({ ok }) => ok), [true]);
  await into.message("p_1", "hello");
  await there.runtime.runUntilIdle();
  assert.equal((await into.wait("p_1")).result, "hello");
});

Deno.test("A tree that is moved ends here, and goes on where it was brought", async () => {
  await using here = await place();
  await using there = await serverPlace();
  assert.equal(await code(here.post("operator", "/v1/trees/t_1/move", {})), "403 role_too_low");
  const out = connect(here.server.url, { token: here.secrets.admin });
  const text = (await Array.fromAsync(out.exportTree("t_1", { move: true }))).join("");
  assert.match((await out.process("p_1")).state, /^ended/);
  const into = connect(there.server.url, { token: there.secrets.admin });
  assert.equal((await into.importTree(new Blob([text]).stream())).created, true);
  assert.match((await into.process("p_1")).state, /^waiting/);
});

/** What is done to an export, and how its import is refused. */
const HOSTILE: readonly (readonly [string, (text: string) => BodyInit, string])[] = [
  ["cut behind a line", (text) => text.slice(0, text.lastIndexOf('{"digest"')), "422 EINTEGRITY"],
  ["cut in a line", (text) => text.slice(0, text.length / 2), "422 EINTEGRITY"],
  ["a value changed", (text) => text.replace("nnnn", "nnmn"), "422 EINTEGRITY"],
  ["a right widened", (text) => text.replace('"goal":"keep"', '"goal":"rule"'), "422 EINTEGRITY"],
  [
    "a line twice",
    (text) => text.replace(/\n.*\n/, (line) => line + line.slice(1)),
    "422 EINTEGRITY",
  ],
  ["more behind the end", (text) => `${text}{}\n`, "422 EINTEGRITY"],
  ["of another tree", (text) => text.replaceAll("t_1", "t_7"), "422 EINTEGRITY"],
  [
    "no JSON, as what is encrypted or packed",
    () => new Uint8Array(4_096).fill(0x9d),
    "422 EINTEGRITY",
  ],
  [
    "of a number that no tree may have",
    () => '{"head":"","seq":1,"tree":"t_9e9","type":"libos.tree/1"}\n',
    "422 EINTEGRITY",
  ],
  ["nothing at all", () => "\n", "422 EINTEGRITY"],
];

Deno.test("What is cut, changed or no export is refused, and nothing of it is there", async (test) => {
  await using here = await place();
  const { store } = here.runtime.node.options;
  const text = `${(await Array.fromAsync(exportTree(store, "t_1"))).join("\n")}\n`;
  await using there = await serverPlace();
  for (const [what, change, refusal] of HOSTILE) {
    await test.step(what, async () => {
      assert.equal(await code(bring(there, change(text))), refusal);
      const { items } = await (await there.ask("admin", "/v1/trees?all=true")).json();
      assert.deepEqual(items, []);
      assert.deepEqual(await there.runtime.node.options.store.check(), []);
    });
  }
  await test.step("and what is whole is taken in after all of them", async () => {
    assert.equal((await (await bring(there, text)).json()).created, true);
  });
});

Deno.test("Nobody but an admin who sees all brings a tree, and none replaces another", async () => {
  await using here = await place();
  const { store } = here.runtime.node.options;
  const text = `${(await Array.fromAsync(exportTree(store, "t_1"))).join("\n")}\n`;
  await using there = await serverPlace();
  for (const role of ["viewer", "approver", "operator"] as const) {
    assert.equal(await code(bring(there, text, role)), "403 role_too_low");
  }
  assert.equal(await code(bring(there, text, null)), "401 unauthenticated");
  assert.equal(await code(bring(there, text, null, confined(there, "admin"))), "403 EACCES");
  assert.equal(
    await code(there.ask("admin", "/v1/trees", { method: "POST", body: text })),
    "400 EINVAL",
  );
  const other = `/v1/trees?head=${"0".repeat(64)}`;
  const asked = { method: "POST", body: text, headers: LINES };
  assert.equal(await code(there.ask("admin", other, asked)), "422 EINTEGRITY");
  await there.runtime.spawn(keeper, { goal: "own" });
  await there.runtime.runUntilIdle();
  const before = await (await there.ask("admin", "/v1/trees/t_1")).json();
  assert.equal(await code(bring(there, text)), "409 EEXIST");
  assert.deepEqual(await (await there.ask("admin", "/v1/trees/t_1")).json(), before);
});

Deno.test("A policy is loaded by an admin only, into a tree or into a fork", async () => {
  await using at = await place();
  const put = (role: Role) =>
    at.post(role, "/v1/trees/t_1/policy", { text: "deny file.read(**)\n" }, { method: "PUT" });
  assert.equal(await code(put("operator")), "403 role_too_low");
  const made = await at.post("operator", "/v1/processes/p_1/checkpoints", { name: "here" });
  const fork = (role: Role) =>
    at.post(role, `/v1/checkpoints/${id}/fork`, { policy: "deny file.read(**)\n" });
  const { id } = await made.json();
  assert.equal(await code(fork("operator")), "403 role_too_low");
  for (const answer of [await put("admin"), await fork("admin")]) {
    assert(answer.ok, await answer.text());
  }
});

Deno.test("A fork with edits that nobody could mean is refused, and nothing is made", async () => {
  await using at = await place();
  const made = await at.post("operator", "/v1/processes/p_1/checkpoints", { name: "here" });
  const { id } = await made.json();
  const before = (await at.runtime.trees({ all: true })).length;
  for (const edits of [{ budget: { usd: -1 } }, { budget: { tokns: 1 } }, { model: "small" }]) {
    const answer = at.post("operator", `/v1/checkpoints/${id}/fork`, edits);
    assert.equal(await code(answer), "400 EINVAL", JSON.stringify(edits));
  }
  assert.equal((await at.runtime.trees({ all: true })).length, before);
});

Deno.test("How long payloads are kept is an admin's to say; a plan changes nothing", async () => {
  await using at = await place();
  const path = "/v1/trees/t_1/retention";
  const put = (role: Role, days: number) => at.post(role, path, { days }, { method: "PUT" });
  assert.equal(await code(put("operator", 30)), "403 role_too_low");
  assert.equal(await code(put("admin", 0)), "400 EINVAL");
  const plan = await (await at.ask("viewer", `${path}/plan?days=30`)).json();
  assert.deepEqual(
    plan.items.map(({ tree, count }: { tree: string; count: number }) => [tree, count]),
    [["t_1", 0]],
  );
  assert.equal((await (await at.ask("viewer", path)).json()).days, null);
  assert.equal((await (await put("admin", 30)).json()).days, 30);
  const { days, by } = await (await at.ask("viewer", path)).json();
  assert.deepEqual([days, by], [30, "admin"]);
});

/** A body that never ends: what is next is said by `more`. */
function endless(more: () => Uint8Array | null): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const part = more();
      if (part === null) return new Promise<void>(() => {});
      controller.enqueue(part);
    },
  });
}

Deno.test("A body of lines is waited for no longer, and held no further, than it may be", async () => {
  const clock = new VirtualClock();
  const late = bodyLines(endless(() => null), clock).next();
  const refused = assert.rejects(late, /expected more of it in/);
  await clock.advance(LIMITS.httpBodyMsMax);
  await refused;
  const part = new Uint8Array(2 ** 20).fill(0x20);
  await assert.rejects(bodyLines(endless(() => part), clock).next(), /too large/);
  part[0] = 0x0a;
  const lines = bodyLines(endless(() => part), clock);
  let bytes = 0;
  await assert.rejects(async () => {
    for await (const line of lines) bytes += line.length + 1;
  }, /too large/);
  assert(bytes <= LIMITS.httpImportBytesMax);
  assert.equal(clock.pending(), 0);
});
