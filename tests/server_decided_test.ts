/**
 * What people decided, over the API: read from the logs, for who may see the tree, and no further
 * than one question may read.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import type { DecidedRequestView } from "../server/schema/decided.ts";
import { VirtualClock } from "../testing.ts";
import { scratch } from "./scratch.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

const MINUTE_MS = 60_000;

const writer = defineImage({
  name: "writer",
  program: async ({ sys, input }) => {
    for (const path of input as readonly string[]) {
      await sys.file.write({ path, text: "words" }).catch(() => {});
    }
    await sys.message.receive({});
  },
});

const asker = defineImage({
  name: "asker",
  program: async ({ sys }) => {
    await sys.human.ask({ prompt: "Which quarter?" });
    await sys.message.receive({});
  },
});

async function place() {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const at = await serverPlace({
    runtime: { workspace, clock, autorun: false, policy: "ask file.write(./out/**)" },
    serve: { clock },
  });
  const write = async (paths: readonly string[], labels = {}) => {
    const grants = [allow("file.write", "./out/**")];
    const process = await at.runtime.spawn(writer, { goal: "Write", input: paths, grants, labels });
    await at.runtime.runUntilIdle();
    return process;
  };
  return { at, clock, write };
}

async function say(at: ServerPlace, id: string, decision: unknown): Promise<void> {
  const { call, askers } = await (await at.ask("approver", `/v1/approvals/${id}`)).json();
  const body = { decision, askers: askers.length, ...(call && { argsHash: call.argsHash }) };
  const answer = await at.post("approver", `/v1/approvals/${id}/decision`, body);
  assert.equal(answer.status, 200, await answer.clone().text());
  await answer.body?.cancel();
  await at.runtime.runUntilIdle();
}

type Page = { items: DecidedRequestView[]; next: string | null; unread: number };

async function decided(at: ServerPlace, query = "", secret?: string): Promise<Page> {
  const headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  return await (await at.ask("viewer", `/v1/decisions${query}`, { headers })).json();
}

const brief = ({ items }: Page) =>
  items.map(({ id, outcome, by, scope, gave }) =>
    [id, outcome, by, scope, ...gave.map(({ state, calls }) => `${state} ${calls}`)].join(" ")
  );

Deno.test("Who decided what is told after the asker has heard, with what became of it", async () => {
  const { at, clock, write } = await place();
  await using _ = at;
  await write(["./out/a", "./out/b", "./out/c"]);
  await say(at, "req_1.1", { outcome: "deny", reason: "use the draft" });
  await say(at, "req_1.2", { outcome: "approve", note: "fine" });
  const wide = { outcome: "approve", scope: "process", resource: "./out/*", forMs: MINUTE_MS };
  await say(at, "req_1.3", wide);
  await at.runtime.spawn(asker, { goal: "Ask", grants: [allow("human.ask")] });
  await at.runtime.runUntilIdle();
  await say(at, "req_2.1", { outcome: "answer", value: "s3cr3t" });
  const page = await decided(at);
  assert.deepEqual(brief(page), [
    "req_2.1 answer approver ",
    "req_1.3 approve approver process holds 1",
    "req_1.2 approve approver once used 1",
    "req_1.1 deny approver ",
  ]);
  const [answer, third, second, first] = page.items;
  assert(!JSON.stringify(page).includes("s3cr3t"));
  assert.equal(answer!.what, "Which quarter?");
  assert.deepEqual([third!.what, third!.pattern], ["file.write ./out/c", "./out/*"]);
  assert.equal(third!.gave[0]!.expiresAt, new Date(clock.now() + MINUTE_MS).toISOString());
  assert.deepEqual([first!.note, first!.stopped, second!.note], ["use the draft", false, "fine"]);
  // The line that says so is where it says.
  const lines = await Array.fromAsync(at.runtime.log("t_1"));
  assert.equal(lines[first!.seq - 1]!.type, "human.answered");

  await clock.advance(2 * MINUTE_MS);
  assert.equal((await decided(at, "?words=out/c")).items[0]!.gave[0]!.state, "expired");
  await at.ask("operator", `/v1/capabilities/${third!.gave[0]!.id}`, { method: "DELETE" });
  assert.equal((await decided(at, "?words=out/c")).items[0]!.gave[0]!.state, "revoked");
});

Deno.test("A yes that was not used in time, and one whose holder is gone, are told apart", async () => {
  const { at, write } = await place();
  await using _ = at;
  const process = await write(["./out/a"]);
  await say(at, "req_1.1", { outcome: "approve", scope: "process", resource: "./out/*" });
  await process.signal("kill");
  await at.runtime.runUntilIdle();
  assert.deepEqual(brief(await decided(at)), ["req_1.1 approve approver process gone 1"]);
});

Deno.test("Nobody's silence is in it, and pages go back from the latest without a gap", async () => {
  const { at, clock, write } = await place();
  await using _ = at;
  const names = Array.from({ length: 7 }, (_, i) => `./out/${i}`);
  await write(names);
  for (let n = 1; n < 7; n++) {
    await say(at, `req_1.${n}`, n % 2 === 0 ? { outcome: "approve" } : { outcome: "deny" });
    await clock.advance(1_000);
  }
  await clock.advance(48 * 60 * MINUTE_MS);
  await at.runtime.runUntilIdle();
  const all = await decided(at);
  assert.deepEqual(brief(all).slice(0, 2), [
    "req_1.7 expired  ",
    "req_1.6 approve approver once used 1",
  ]);
  const seen: string[] = [];
  for (let after: string | null = ""; after !== null;) {
    const page: Page = await decided(at, `?limit=2${after === "" ? "" : `&after=${after}`}`);
    seen.push(...page.items.map(({ id }) => id));
    // What comes in between is on no later page.
    if (seen.length === 2) {
      await write(["./out/x"]);
      await say(at, "req_2.1", { outcome: "deny" });
    }
    after = page.next;
  }
  assert.deepEqual(seen, all.items.map(({ id }) => id));
  for (
    const [query, count] of [
      ["outcome=deny", 4],
      ["outcome=expired", 1],
      ["by=approver&outcome=approve", 3],
      ["by=nobody", 0],
      ["pid=p_2", 1],
      ["tree=t_2", 1],
      ["kind=review", 0],
      ["words=OUT/3", 1],
    ] as const
  ) {
    assert.equal((await decided(at, `?${query}`)).items.length, count, query);
  }
});

Deno.test("Who sees some labels only hears of no other tree, nor how many there are", async () => {
  const { at, write } = await place();
  await using _ = at;
  for (const team of ["a", "b"]) await write(["./out/a"], { team });
  for (const id of ["req_1.1", "req_2.1"]) await say(at, id, { outcome: "deny" });
  const labels = { team: "b" };
  const { secret } = at.server.tokens.create({ name: "bee", role: "viewer", labels });
  const page = await decided(at, "", secret);
  assert.deepEqual(page.items.map(({ id }) => id), ["req_2.1"]);
  assert.equal(page.unread, 0);
  assert.deepEqual((await decided(at, "?tree=t_1", secret)).items, []);
  assert.equal((await decided(at)).items.length, 2);
  const headers = { authorization: `Bearer ${secret}` };
  const named = await at.ask("viewer", "/v1/processes?pid=p_1&pid=p_2&pid=p_9", { headers });
  assert.deepEqual((await named.json()).items.map(({ pid }: { pid: string }) => pid), ["p_2"]);
});

Deno.test("One question looks at so many trees; the next reads on, and none is opened", async () => {
  const { at, write } = await place();
  await using _ = at;
  await write(["./out/a"]);
  await say(at, "req_1.1", { outcome: "deny" });
  // Trees that are only in the store, as most are.
  const { store } = at.runtime.node.options;
  const more = 600;
  for (let i = 0; i < more; i++) await at.runtime.spawn(asker, { goal: "Ask" });
  const before = (await store.head("t_300"))!.epoch;
  const first = await decided(at);
  assert.deepEqual([first.items.length, first.unread], [0, more + 1 - 500]);
  const second = await decided(at);
  assert.deepEqual([second.items.map(({ id }) => id), second.unread], [["req_1.1"], 0]);
  assert.equal((await store.head("t_300"))!.epoch, before);
});
