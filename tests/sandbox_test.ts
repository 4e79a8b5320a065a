/**
 * Sandboxes: one suite for all tiers. Each claim is run for real.
 * @module
 */

import assert from "node:assert/strict";
import { type PortAnswer, TIERS } from "../broker/sandbox.ts";
import { LIMITS } from "../kernel/limits.ts";
import { realClock } from "../providers/clock.ts";
import { ENDS, REACHES, RETURNS } from "./sandbox_claims.ts";
import {
  answer,
  canJail,
  type CountedSandbox,
  hasWorkerOptions,
  outputOf,
  runOf,
  type RunOptions,
  sandboxOf,
  START_MS,
  tool,
} from "./sandbox_fixture.ts";

async function conform(t: Deno.TestContext, sandbox: CountedSandbox): Promise<void> {
  for (const [claim, body, output, options] of RETURNS) {
    await t.step(claim, async () => {
      assert.deepEqual(outputOf(await sandbox.run(runOf(tool(body), withWaits(options)))), output);
    });
  }
  for (const [claim, code, expected, options] of ENDS) {
    await t.step(claim, async () => {
      const end = await sandbox.run(runOf(code, withWaits(options)));
      assert.deepEqual({ ...end, ...expected }, end);
    });
  }
  for (const [limit, value, within, beyond] of REACHES) {
    await t.step(`holds ${limit} at both sides`, async () => {
      const options = withWaits({
        limits: { [limit]: value },
        answers: ({ name, args }) =>
          answer(name === "reply" ? "y".repeat((args as { n: number }).n - 5) : null),
      });
      assert.equal((await sandbox.run(runOf(tool(within), options))).kind, "returned");
      const end = await sandbox.run(runOf(tool(beyond), options));
      assert.deepEqual(end, { kind: "limit", limit, logs: [] });
    });
  }
}

/** Waits are answered when they are over, by a clock which goes as fast as it is asked. */
function withWaits(options: RunOptions = {}): RunOptions {
  let nowMs = START_MS;
  const { answers = ({ name, args }) => answer({ name, args }) } = options;
  // Those that are out end in the order of their times, whatever the order of their asking.
  const waits: { untilMs: number; go: (answer: PortAnswer) => void }[] = [];
  const wake = () => {
    const first = waits.sort((a, b) => a.untilMs - b.untilMs).shift();
    if (first === undefined) return;
    nowMs = Math.max(nowMs, first.untilMs);
    first.go(answer({}, nowMs));
  };
  return {
    ...options,
    answers(made, number) {
      if (made.name !== "clock.wait") return answers(made, number);
      const untilMs = nowMs + (made.args as { ms: number }).ms;
      // What the cage asks in one turn has arrived by then.
      void realClock.sleep(5).then(wake);
      return new Promise((go) => void waits.push({ untilMs, go }));
    },
  };
}

async function keeps(t: Deno.TestContext, sandbox: CountedSandbox): Promise<void> {
  await t.step("answers calls in the order in which they settled", async () => {
    const gates = [0, 1, 2].map(() => Promise.withResolvers<PortAnswer>());
    const run = runOf(
      tool(
        "const out = []; await Promise.all([0, 1, 2].map((n) => os.call('x', { n }).then((r) => out.push(r)))); return out",
      ),
      {
        answers: ({ args }, number) => {
          if (number === 3) {
            realClock.soon(() => [2, 0, 1].forEach((i) => gates[i]!.resolve(answer(i))));
          }
          return gates[(args as { n: number }).n]!.promise;
        },
      },
    );
    assert.deepEqual(outputOf(await sandbox.run(run)), [2, 0, 1]);
    assert.deepEqual(run.made.map(({ args }) => args), [{ n: 0 }, { n: 1 }, { n: 2 }]);
  });
  await t.step("tells when the code can do no more without an answer, and not before", async () => {
    const gate = Promise.withResolvers<PortAnswer>();
    const said: string[] = [];
    const code = tool(
      "os.call('a'); for (let i = 0; i < 1e7; i++); await null; await os.call('b'); return 1",
    );
    const run = {
      ...runOf(code, { answers: ({ name }) => (said.push(name), gate.promise) }),
      rested() {
        said.push("rested");
        gate.resolve(answer(null));
      },
    };
    assert.equal(outputOf(await sandbox.run(run)), 1);
    assert.deepEqual(said.slice(0, 3), ["a", "b", "rested"]);
  });
  await t.step("gives the log, line by line", async () => {
    const body = "console.log('a', 1, { b: [2] }); console.error('c\\nd'); os.log(new Error('e'))";
    const { logs } = await sandbox.run(runOf(tool(body)));
    assert.deepEqual(logs, ['a 1 {"b":[2]}', "c", "d", "Error: e"]);
  });
  await t.step("gives the same chance for the same seed", async () => {
    const body =
      "return [Math.random(), os.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(4))]]";
    const draw = async (seed: string) => outputOf(await sandbox.run(runOf(tool(body), { seed })));
    const first = await draw("0".repeat(32));
    assert.deepEqual(await draw("0".repeat(32)), first);
    assert.notDeepEqual(await draw("1".repeat(32)), first);
  });
  await t.step("gives each run a fresh realm", async () => {
    const body =
      "const had = globalThis.had ?? [].had ?? null; globalThis.had = 1; Array.prototype.had = 1; return had";
    assert.equal(outputOf(await sandbox.run(runOf(tool(body)))), null);
    assert.equal(outputOf(await sandbox.run(runOf(tool(body)))), null);
  });
  await t.step("hears nothing of a run which has answered", async () => {
    const late = runOf(tool("setInterval(() => os.call('late'), 1); return 1"), withWaits());
    assert.equal(outputOf(await sandbox.run(late)), 1);
    assert.equal(outputOf(await sandbox.run(runOf(tool("return 2")))), 2);
    assert.deepEqual(late.made.filter(({ name }) => name === "late"), []);
  });
  await t.step("stops a run whose signal is aborted", async () => {
    const stop = new AbortController();
    const run = runOf(tool("await os.call('x')"), {
      signal: stop.signal,
      answers: () => {
        stop.abort();
        return new Promise(() => {});
      },
    });
    assert.deepEqual(await sandbox.run(run), { kind: "stopped", logs: [] });
    assert.equal(outputOf(await sandbox.run(runOf(tool("return 1")))), 1);
  });
  await t.step("does not begin a run whose signal is aborted already", async () => {
    const run = runOf(tool("await os.call('x')"), { signal: AbortSignal.abort() });
    assert.deepEqual(await sandbox.run(run), { kind: "stopped", logs: [] });
    assert.deepEqual(run.made, []);
  });
  await t.step("has no more cages than the limit, and serves all who wait", async () => {
    const runs = Array.from({ length: 3 * LIMITS.cagesMax }, (_, i) => {
      return sandbox.run(
        runOf(tool("await os.call('x'); return input"), { tenant: `t${i}`, input: i }),
      );
    });
    assert.ok(sandbox.counts().cages <= LIMITS.cagesMax);
    assert.deepEqual((await Promise.all(runs)).map(outputOf), runs.map((_, i) => i));
    assert.ok(sandbox.counts().cages <= LIMITS.cagesMax);
  });
  await t.step("lets go of a run that waits for a cage", async () => {
    const stop = new AbortController();
    const hold = Array.from({ length: LIMITS.cagesMax }, (_, i) => {
      const answers = () => new Promise<PortAnswer>(() => {});
      return sandbox.run(
        runOf(tool("await os.call('x')"), { tenant: `h${i}`, signal: stop.signal, answers }),
      );
    });
    const waits = new AbortController();
    const waiting = sandbox.run(runOf(tool("return 1"), { tenant: "w", signal: waits.signal }));
    waits.abort();
    assert.equal((await waiting).kind, "stopped");
    stop.abort();
    for (const end of await Promise.all(hold)) assert.equal(end.kind, "stopped");
  });
  await t.step("stops what runs when it is closed, and begins nothing after", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const run = sandbox.run(runOf(tool("await os.call('x')"), {
      answers: () => {
        resolve();
        return new Promise(() => {});
      },
    }));
    await promise;
    await sandbox.close();
    assert.equal((await run).kind, "stopped");
    assert.equal(sandbox.counts().cages, 0);
    assert.equal((await sandbox.run(runOf(tool("return 1")))).kind, "stopped");
  });
}

const WITH_WORKERS = await hasWorkerOptions();
const JAIL = await canJail();

for (const tier of TIERS) {
  const name = `Sandbox.run() keeps its contract in tier ${tier}`;
  const isThere = tier !== "jail" || JAIL.can;
  Deno.test({
    name: isThere ? name : `${name} (${JAIL.why})`,
    // Without the option in deno.json, the first Worker would end the tests.
    ignore: tier === "worker" ? !WITH_WORKERS : !isThere,
    async fn(t) {
      const sandbox = sandboxOf(tier);
      try {
        await conform(t, sandbox);
        await keeps(t, sandbox);
      } finally {
        await sandbox.close();
      }
    },
  });
}
