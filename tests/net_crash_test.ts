/**
 * A kernel that is killed between a request and its answer.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createRuntime } from "../mod.ts";
import { CRASH_SECRET, crashNet, image } from "./net_crash_child.ts";
import { answer, Site } from "./net_place.ts";

const CHILD = fileURLToPath(new URL("./net_crash_child.ts", import.meta.url));

const KEY = /\r\nidempotency-key: ([0-9a-f]{32})\r\n/;

Deno.test("A request that was under way when the kernel was killed is sent again only where it asks for nothing, or a person says so", async () => {
  const folder = await Deno.makeTempDir();
  const three = Promise.withResolvers<void>();
  const killed = Promise.withResolvers<void>();
  let [come, isKilled] = [0, false];
  await using site = new Site(async (request, conn) => {
    if (isKilled) return answer(200, request.split(" ")[1]);
    come += 1;
    if (come === 3) three.resolve();
    await killed.promise;
    conn.close();
  });
  const count = (path: string) => site.seen.filter((one) => one.includes(` ${path} `)).length;
  try {
    const kernel = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-prompt", CHILD, `${folder}/libos.db`, site.origin],
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    await three.promise;
    kernel.kill("SIGKILL");
    await kernel.status;
    isKilled = true;
    killed.resolve();
    assert.equal(site.seen.length, 3);
    assert.ok(site.seen.every((one) => one.includes(`x-key: ${CRASH_SECRET}`)));

    await using os = await createRuntime({
      ...{ store: `${folder}/libos.db`, workspace: null, approvals: "queue", images: [image] },
      net: crashNet(site.origin),
    });
    await os.runUntilIdle();
    const doubts = os.approvals.list();
    assert.deepEqual(doubts.map(({ kind, risk }) => `${kind} ${risk}`), [
      "doubt high",
      "doubt high",
    ]);
    assert.doesNotMatch(JSON.stringify(doubts), new RegExp(CRASH_SECRET));
    assert.deepEqual(
      [count("/GET-plain"), count("/POST-plain"), count("/POST-keyed")],
      [2, 1, 1],
    );
    const keyed = doubts.find(({ preview }) => preview!.includes("true"))!;
    const plain = doubts.find(({ id }) => id !== keyed.id)!;
    await os.approvals.decide(plain.id, { outcome: "deny", reason: "nobody knows" });
    await os.approvals.decide(keyed.id, { outcome: "answer", value: "retry" });
    const pids = ["p_1", "p_2", "p_3"] as const;
    const processes = await Promise.all(pids.map((pid) => os.get(pid)));
    const ends = await Promise.all(processes.map(async (one) => (await one!.wait()).result));
    assert.deepEqual(ends, ["200 /GET-plain", "EINDOUBT", "200 /POST-keyed"]);
    assert.deepEqual([count("/POST-plain"), count("/POST-keyed")], [1, 2]);
    // What says that it is the same request says so both times.
    const keys = site.seen.flatMap((one) => KEY.exec(one)?.[1] ?? []);
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
  } finally {
    killed.resolve();
    await Deno.remove(folder, { recursive: true });
  }
});
