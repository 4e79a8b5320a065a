/**
 * Clocks: the real one does not end early, the virtual one does the same in each run.
 * @module
 */

import { deepEqual, equal, rejects } from "node:assert/strict";
import { realClock, VirtualClock } from "../providers/clock.ts";

Deno.test("realClock.now() is the host's time", () => {
  const before = Date.now();
  const now = realClock.now();
  equal(before <= now && now <= Date.now(), true);
});

Deno.test("realClock.sleep() does not end early", async () => {
  const sinceMs = performance.now();
  await realClock.sleep(20);
  equal(performance.now() - sinceMs >= 19, true);
});

Deno.test("realClock.sleep() ends at once when aborted, also for a year", async () => {
  const stop = new AbortController();
  const slept = realClock.sleep(366 * 86_400_000, stop.signal);
  const raced = await Promise.race([slept, realClock.sleep(5).then(() => "still asleep")]);
  equal(raced, "still asleep");
  stop.abort("enough");
  await rejects(slept, (reason) => reason === "enough");
  await rejects(realClock.sleep(1, stop.signal), (reason) => reason === "enough");
});

Deno.test("realClock.sleep() forgets a signal when it is over", async () => {
  const stop = new AbortController();
  await realClock.sleep(0, stop.signal);
  stop.abort();
});

for (
  const [name, clock] of [["realClock", realClock], ["VirtualClock", new VirtualClock()]] as const
) {
  Deno.test(`${name}.soon() runs jobs in order, after what is ready now`, async () => {
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      clock.soon(() => {
        seen.push("one");
        clock.soon(() => {
          seen.push("three");
          resolve();
        });
      });
      clock.soon(() => seen.push("two"));
      queueMicrotask(() => queueMicrotask(() => seen.push("microtask")));
      seen.push("now");
    });
    deepEqual(seen, ["now", "microtask", "one", "two", "three"]);
  });

  Deno.test(`${name}.sleep() of nothing ends by itself`, async () => {
    await clock.sleep(0);
    await clock.sleep(-5);
  });
}

Deno.test("VirtualClock stands still until it is advanced", async () => {
  const clock = new VirtualClock(1_000);
  let isAwake = false;
  const slept = clock.sleep(100).then(() => isAwake = true);
  await clock.settle();
  equal(clock.now(), 1_000);
  await clock.advance(99);
  equal(isAwake, false);
  equal(clock.pending(), 1);
  await clock.advance(1);
  await slept;
  equal(clock.now(), 1_100);
  equal(clock.pending(), 0);
});

Deno.test("VirtualClock.advance() wakes in due order, ties by who slept first", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const sleeper = async (name: string, ms: number) => {
    await clock.sleep(ms);
    seen.push(`${name}@${clock.now()}`);
  };
  const all = [sleeper("c", 30), sleeper("a", 10), sleeper("b1", 20), sleeper("b2", 20)];
  await clock.advance(30);
  await Promise.all(all);
  deepEqual(seen, ["a@10", "b1@20", "b2@20", "c@30"]);
});

Deno.test("VirtualClock.advance() also wakes those who fall asleep meanwhile", async () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  const ticking = (async () => {
    for (let i = 0; i < 5; i++) {
      await clock.sleep(10);
      await new Promise<void>((resolve) => clock.soon(resolve));
      seen.push(clock.now());
    }
  })();
  await clock.advance(35);
  deepEqual(seen, [10, 20, 30]);
  equal(clock.now(), 35);
  await clock.advance(100);
  await ticking;
  deepEqual(seen, [10, 20, 30, 40, 50]);
});

Deno.test("VirtualClock.advanceToNext() goes from one sleeper to the next", async () => {
  const clock = new VirtualClock();
  const all = [clock.sleep(70), clock.sleep(500)];
  equal(await clock.advanceToNext(), true);
  equal(clock.now(), 70);
  equal(await clock.advanceToNext(), true);
  equal(clock.now(), 500);
  equal(await clock.advanceToNext(), false);
  await Promise.all(all);
});

Deno.test("VirtualClock.sleep() is over at once when aborted", async () => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const all = [clock.sleep(10, stop.signal), clock.sleep(0, stop.signal)];
  stop.abort("enough");
  for (const slept of all) await rejects(slept, (reason) => reason === "enough");
  equal(clock.pending(), 0);
  await rejects(clock.sleep(10, stop.signal), (reason) => reason === "enough");
  await clock.advance(100);
});
