/**
 * What if the clock jumps, forth and back again? What ended has ended, nobody is kept out by it, and
 * nothing is given twice.
 * @module
 */

import assert from "node:assert/strict";
import { ask, type Clock, defineImage } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { VirtualClock } from "../testing.ts";
import { code } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";

const HOUR_MS = 3_600_000;

/** A clock that somebody sets. */
class SetClock implements Clock {
  readonly inner = new VirtualClock(Date.UTC(2030, 0, 1));
  skewMs = 0;
  now(): number {
    return this.inner.now() + this.skewMs;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.inner.sleep(ms, signal);
  }
  soon(job: () => void): void {
    this.inner.soon(job);
  }
}

Deno.test("A request that expired is not pending again when the clock goes back", async () => {
  const clock = new SetClock();
  const workspace = await Deno.makeTempDir();
  const writer = defineImage({
    name: "writer",
    program: async ({ sys }) => {
      const said = await sys.file.write({ path: "./a", text: "" }).then(
        () => "written",
        (e) => e.code,
      );
      await sys.process.exit({ result: said });
    },
  });
  {
    await using at = await serverPlace({
      runtime: { workspace, clock, autorun: false },
      serve: { clock },
    });
    const process = await at.runtime.spawn(writer, {
      goal: "write",
      grants: [ask("file.write", "**")],
    });
    await at.runtime.runUntilIdle();
    const { items: [one] } = await (await at.ask("viewer", "/v1/approvals")).json();
    const path = `/v1/approvals/${one.id}/decision`;
    const yes = { decision: { outcome: "approve" }, argsHash: one.call.argsHash };
    clock.skewMs = 48 * HOUR_MS;
    assert.equal(await code(at.post("approver", path, yes)), "410 EEXPIRED");
    clock.skewMs = -48 * HOUR_MS;
    const again = await code(at.post("approver", path, yes));
    assert.match(again, /^4\d\d (EEXPIRED|ENOENT|ESTATE)$/);
    await at.runtime.runUntilIdle();
    assert.notEqual((await process.wait()).result, "written");
    await assert.rejects(Deno.stat(`${workspace}/a`));
  }
  await Deno.remove(workspace, { recursive: true });
});

Deno.test("Who used up a share waits as long as ever when the clock goes back, and gets one share when it goes forth", async () => {
  const clock = new SetClock();
  await using at = await serverPlace({ serve: { clock } });
  const who = async (): Promise<number> => {
    const answer = await at.ask("viewer", "/v1/whoami");
    await answer.body?.cancel();
    return answer.status;
  };
  const share = async (): Promise<number> => {
    for (let i = 0;; i++) if (await who() === 429) return i;
  };
  assert.equal(await share(), LIMITS.httpRequestsBurst);
  clock.skewMs -= 24 * HOUR_MS;
  assert.equal(await who(), 429);
  clock.skewMs += 1_000;
  assert.equal(await share(), LIMITS.httpRequestsPerSecond);
  clock.skewMs += 240 * HOUR_MS;
  assert.equal(await share(), LIMITS.httpRequestsBurst);
});

Deno.test("A link and a key are used once, wherever the clock goes between", async () => {
  const clock = new SetClock();
  await using at = await serverPlace({ serve: { clock } });
  const admin = at.server.tokens.list().find(({ role }) => role === "admin")!;
  const link = at.server.link(admin.id);
  const follow = async (): Promise<number> => {
    const answer = await fetch(link, { redirect: "manual" });
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await follow(), 303);
  for (const skew of [-HOUR_MS, HOUR_MS, -24 * HOUR_MS]) {
    clock.skewMs = skew;
    assert.equal(await follow(), 401);
  }
  const headers = { "idempotency-key": "one" };
  const make = async (): Promise<string> =>
    (await (await at.post("admin", "/v1/tokens", { name: "eve", role: "viewer" }, { headers }))
      .json()).id;
  const first = await make();
  clock.skewMs = -48 * HOUR_MS;
  assert.equal(await make(), first);
  clock.skewMs = -24 * HOUR_MS + LIMITS.httpKeyMsMax - 1;
  assert.equal(await make(), first);
});
